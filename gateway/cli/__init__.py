"""`edoc-gateway`: the command line. One module a kind of work; `answers` is how all of them end.

setup      init, conf check                   before a gateway runs
running    run, simulate, demo                what stays until it is told to stop
packages   pack, unpack, inspect              offline: no gateway, no network
unit       send, inbox, confirm, status       against a running gateway, over REST
operating  account                            the database when it is free, else REST
queue      queue                              the same, for people at the queue
quarantine quarantine                         what arrived and waits for a person
books      ledger                             the proof (rehash: under a newer hash function)
keys       key                                who signs it
evidence   evidence                           the proof of one document, for others
reconcile  reconcile                          a day, held against what an axis says of it

A command's module is imported when it is called, and what is heavy inside its function: `--help`
must not wait for a database driver. In: arguments. Out: text or JSON, and an exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import NoReturn

import click

from gateway import __version__
from gateway.cli.answers import INTERRUPTED, USAGE
from gateway.cli.wrongly import language_of, show

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "setup:init",
        "conf": "setup:conf",
        "run": "running:run",
        "demo": "running:demo",
        "simulate": "running:simulate",
        "pack": "packages:pack",
        "unpack": "packages:unpack",
        "inspect": "packages:inspect",
        "send": "unit:send",
        "inbox": "unit:inbox",
        "confirm": "unit:confirm",
        "status": "unit:status",
        "account": "operating:account",
        "queue": "queue:queue",
        "quarantine": "quarantine:quarantine",
        "ledger": "books:ledger",
        "key": "keys:key",
        "evidence": "evidence:evidence",
        "reconcile": "reconcile:reconcile",
    }
)


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"gateway.cli.{module}"), name)
        return found


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  edoc-gateway demo\n  edoc-gateway inspect van-ban.edxml --json",
)
@click.version_option(__version__, prog_name="edoc-gateway")
def cli() -> None:
    """Gateway for official electronic documents: edXML packages, axes, a provable ledger."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Entry of `edoc-gateway` and `python -m gateway`. Ends the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show Vietnamese
    try:
        code = cli.main(args, prog_name="edoc-gateway", standalone_mode=False)
    except click.UsageError as wrong:
        show(wrong, language_of(sys.argv[1:] if args is None else args))
        sys.exit(USAGE)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
