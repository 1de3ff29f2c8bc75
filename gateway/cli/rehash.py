"""ledger rehash: the tree of the ledger under a newer hash function, its root recorded.

In:     a configuration; on SQLite the gateway must stand still, on PostgreSQL it may go on.
Out:    the new root; its record is sealed and stamped by the gateway like any other.
Fails:  as the families do; 78 while a gateway holds the database.
Never:  changes an entry or a proof that was given.
"""

from __future__ import annotations

import asyncio

import click

from gateway.cli.answers import Command, conf_option, example, json_option, say, say_json, told
from gateway.errors import Text


@click.command(
    "rehash",
    cls=Command,
    epilog=example("edoc-gateway ledger rehash --algorithm sha3-256 --conf /srv/edoc/conf"),
)
@click.option(
    "--algorithm",
    default="sha3-256",
    show_default=True,
    help="sha384, sha512, sha3-256, sha3-384 or sha3-512.",
)
@conf_option
@json_option
def rehash(algorithm: str, conf: str | None, as_json: bool, lang: str) -> None:
    """Hash every record anew and put the root of that tree on record."""
    from gateway.cli.places import settings
    from gateway.rehashing import Rehashed, Rehashing
    from gateway.wiring.process import open_gateway

    async def inside() -> Rehashed:
        async with open_gateway(settings(conf)) as gateway:
            made = await Rehashing(gateway.store, gateway.scribe).run(algorithm)
            while await gateway.sealing.seal():
                pass
            return made

    made = asyncio.run(inside())
    if as_json:
        say_json({**made._asdict(), "root": made.root.hex()})
    else:
        words = Text(
            f"Gốc mới ({made.algorithm}) của {made.size:,} mục: {made.root.hex()}",
            f"New root ({made.algorithm}) of {made.size:,} entries: {made.root.hex()}",
        )
        say(told(words, lang))
