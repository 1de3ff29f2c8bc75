"""key list, key rotate: the key that signs a ledger, and who comes after it.

In:     the configuration of a gateway; for `rotate` one that stands still.
Out:    public keys; after `rotate` a new one, which the old one vouches for in the ledger itself.
Fails:  78 while the gateway runs, or where the key's folder cannot be written.
Never:  shows a private key; leaves a tree whose key is not on disk.
"""

from __future__ import annotations

import asyncio

import click

from gateway.cli.answers import Command, conf_option, example, json_option, say, say_json, told
from gateway.errors import Text


@click.group("key", epilog=example("edoc-gateway key list --conf /srv/edoc/conf"))
def key() -> None:
    """The key that signs receipts and checkpoints."""


@key.command("list", cls=Command, epilog=example("edoc-gateway key list --conf /srv/edoc/conf"))
@conf_option
@json_option
def listing(conf: str | None, as_json: bool, lang: str) -> None:
    """The public keys that this ledger had, the oldest first; the last one signs now."""
    from gateway.cli.places import settings as load
    from gateway.wiring.succession import known_keys

    settings = load(conf)
    lines = known_keys(settings.ledger.key.with_name("ledger.vkey"))
    if as_json:
        say_json({"origin": settings.ledger.origin, "keys": lines})
        return
    none = Text("không có tệp ledger.vkey", "there is no file ledger.vkey")
    for line in lines or [told(none, lang)]:
        say(line)


@key.command("rotate", cls=Command, epilog=example("edoc-gateway key rotate --conf /srv/edoc/conf"))
@conf_option
@json_option
def rotate(conf: str | None, as_json: bool, lang: str) -> None:
    """Change the ledger's key while the gateway stands still (all processes of it).

    The change is an entry of the ledger, signed by the old key and by the new one. A run that was
    cut short goes on when it is repeated.
    """
    from gateway.cli.places import settings as load
    from gateway.wiring.succession import rotate as change

    vkey = asyncio.run(change(load(conf)))
    if as_json:
        say_json({"vkey": vkey})
        return
    done = Text(
        "Đã đổi khóa; đưa dòng này cho đơn vị, kiểm toán và nhân chứng:",
        "The key is changed; give this line to units, auditors and witnesses:",
    )
    say(told(done, lang))
    say(vkey)
