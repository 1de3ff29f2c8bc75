"""A ledger's key is changed on disk and in the tree, so that being cut short loses neither.

In:     the configuration of a gateway that stands still.
Out:    the new key in the place of the old one, `ledger.vkey` with one more line.
Fails:  Misconfigured: the gateway runs, or the key lies where this may not write.
Never:  has a tree signed by a key that is not on disk: the new key lies beside the old one before
        the commit that names it, and takes its place after it; a run that was cut short between
        goes on at the next.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from adapters.keys.ledger import load_ledger_key, make_ledger_key
from adapters.keys.private import read_public
from gateway.config import Settings
from gateway.ledger import keys as ledger_keys
from gateway.ledger.note import split_note
from gateway.model.record import Checkpoint
from gateway.renewing import Renewing
from gateway.store import ledger
from gateway.wiring.process import Gateway, open_gateway


async def rotate(settings: Settings) -> str:
    """The vkey of the new key, once the tree and the file have it."""
    file = settings.ledger.key
    coming = file.with_name(f"{file.name}.next")
    new = load_ledger_key(coming) if coming.exists() else make_ledger_key(coming)
    mark = ledger_keys.key_id(new.public_key())
    async with open_gateway(settings) as gateway:
        newest = await gateway.store.read(ledger.newest_checkpoint)
        if newest is None or mark not in {blob[:4] for _, blob in split_note(newest.note)[1]}:
            await _drain(gateway)
            await Renewing(gateway.store, gateway.scribe).change_key(new)
    coming.replace(file)
    vkey = ledger_keys.vkey(settings.ledger.origin, new)
    _add_line(file.with_name("ledger.vkey"), vkey)
    _durable(file.parent)
    return vkey


async def begin_epoch(settings: Settings, heads: Sequence[Path]) -> Checkpoint:
    notes = [read_public(head).decode("utf-8", "replace") for head in heads]
    async with open_gateway(settings) as gateway:
        return await Renewing(gateway.store, gateway.scribe).begin_epoch(notes)


def known_keys(file: Path) -> list[str]:
    """The lines of `ledger.vkey`, the oldest key first."""
    text = read_public(file).decode("utf-8", "replace") if file.exists() else ""
    return [line for line in text.split("\n") if line.strip()]


async def _drain(gateway: Gateway) -> None:
    """What the old key promised is sealed by it."""
    while await gateway.sealing.seal():
        pass


def _add_line(file: Path, line: str) -> None:
    lines = known_keys(file)
    if line in lines:
        return
    part = file.with_name(f"{file.name}.part")
    with part.open("w", encoding="utf-8") as out:
        out.write("".join(f"{one}\n" for one in [*lines, line]))
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


def _durable(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
