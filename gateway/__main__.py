"""`python -m gateway`: the same as `edoc-gateway`."""

from gateway.cli import main

main()
