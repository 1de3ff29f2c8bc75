"""What commands need from adapters when no gateway is built: a key for `pack`, a simulated axis.

In:     paths and ports from the command line.
Out:    a KeyHolder; a running simulator.
Fails:  Misconfigured, naming the file.
Never:  opens a database.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from adapters.keys import files as key_files
from adapters.vxp import simulator
from gateway.ports import KeyHolder


def key_holder(
    key: str, *, certificate: str | None, password_file: str | None, now: datetime
) -> KeyHolder:
    """The key in a PEM or PKCS#12 file of mode 0600; `certificate` where it holds none."""
    loaded = key_files.load(
        Path(key),
        now=now,
        certificate=Path(certificate) if certificate else None,
        password_file=Path(password_file) if password_file else None,
    )
    return loaded.holder


def simulate_vxp(port: int, faults: str | None) -> None:
    """Serve until interrupted; accounts and address are printed."""
    simulator.run(port, Path(faults) if faults else None)
