"""ledger witness: hold another gateway's ledger to every tree it ever showed. From a timer.

In:     EDOC_GATEWAY_URL and EDOC_GATEWAY_KEY (role auditor) of the ledger's gateway; its public
        key; a folder of the witness' own.
Out:    the newest checkpoint, checked against the last one seen, remembered and cosigned.
Fails:  65 on a fork or a rollback, in plain words, with a file that convicts; 75 when the gateway
        does not answer (the timer comes again); 78 when the folder or a key cannot be used.
Never:  cosigns what it has not put on disk; forgets what it saw.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gateway.cli.answers import (
    Command,
    complain,
    conf_option,
    example,
    json_option,
    say,
    say_json,
    told,
)
from gateway.errors import Text, Untrusted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from gateway.cli.client import Client
    from gateway.model.record import Checkpoint
    from gateway.wiring.witness import Memory

_CONVICTING = ("witness.rollback", "witness.fork", "witness.epoch")


class _Seen(NamedTuple):
    """`first`: nothing was known of this ledger before. `grown`: entries since the last time."""

    head: Checkpoint
    first: bool
    grown: int


@click.command(
    "witness",
    cls=Command,
    epilog=example(
        "export EDOC_GATEWAY_URL=https://gateway.so19.example EDOC_GATEWAY_KEY=edoc_...",
        "edoc-gateway ledger witness --vkey so19.vkey --name g22.example/witness --state DIR",
    ),
)
@click.option(
    "--vkey",
    type=click.Path(exists=True, dir_okay=False),
    required=True,
    envvar="EDOC_WITNESS_VKEY",
    show_envvar=True,
    help="The ledger's public key as you got it once (keys/ledger.vkey of its gateway).",
)
@click.option(
    "--name",
    required=True,
    envvar="EDOC_WITNESS_NAME",
    show_envvar=True,
    help="This witness, in a domain of its own, such as g22.example/witness.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False),
    required=True,
    envvar="EDOC_WITNESS_STATE",
    show_envvar=True,
    help="Folder of the witness: its key and what it saw. Lost, it trusts the next it sees.",
)
@json_option
def witness(vkey: str, name: str, state: str, as_json: bool, lang: str) -> None:
    """Check that another gateway's ledger only grew since the last time, and cosign it."""
    from gateway.cli.client import Client
    from gateway.ledger import cosignature
    from gateway.ledger.note import split_note
    from gateway.wiring.witness import open_memory, seconds, trusted_keys

    client = Client.from_environment(lang)
    origin, keys = trusted_keys(Path(vkey))
    with open_memory(Path(state), name) as memory:
        seen = _look(client, memory, origin, keys, lang)
        memory.remember(origin, seen.head.note)
        text = split_note(seen.head.note)[0]
        made = cosignature.cosign(text, name, memory.key, seconds())
        client.post(
            "/v1/ledger/cosignatures",
            {"note": cosignature.cosigned(seen.head.note, (made.line,))},
        )
    answer: dict[str, Any] = {
        "origin": origin,
        "epoch": seen.head.epoch,
        "size": seen.head.size,
        "root": seen.head.root.hex(),
        "first": seen.first,
        "grown": seen.grown,
        "cosigned_at": made.time,
        "witness": memory.vkey,
    }
    if as_json:
        say_json(answer)
        return
    size, grown = f"{seen.head.size:,}", f"{seen.grown:,}"
    if seen.first:
        words = Text(
            f"{origin}: lần đầu thấy, {size} mục; ghi nhớ và đã ký",
            f"{origin}: seen for the first time, {size} entries; remembered and cosigned",
        )
    else:
        words = Text(
            f"{origin}: {size} mục, thêm {grown}, không mục nào bị sửa hay bỏ; đã ký",
            f"{origin}: {size} entries, {grown} more, none changed or dropped; cosigned",
        )
    say(told(words, lang))


@click.command(
    "begin-epoch",
    cls=Command,
    epilog=example("edoc-gateway ledger begin-epoch --head witnessed.txt --conf /srv/edoc/conf"),
)
@click.option(
    "--head",
    "heads",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A checkpoint that somebody holds and the backup has not; may be given several times.",
)
@conf_option
@json_option
def begin_epoch(heads: tuple[str, ...], conf: str | None, as_json: bool, lang: str) -> None:
    """After the database was restored: a new tree, which names the last heads of the old one.

    Ask every witness for the checkpoint that it saw last (its folder holds it as *.note).
    """
    import asyncio

    from gateway.cli.places import settings as load
    from gateway.wiring.succession import begin_epoch as begin

    made = asyncio.run(begin(load(conf), [Path(head) for head in heads]))
    if as_json:
        say_json({"epoch": made.epoch, "size": made.size, "note": made.note})
        return
    words = Text(
        f"Đã bắt đầu kỷ nguyên {made.epoch} của sổ cái",
        f"epoch {made.epoch} of the ledger has begun",
    )
    say(told(words, lang))


def _look(
    client: Client,
    memory: Memory,
    origin: str,
    keys: tuple[ec.EllipticCurvePublicKey, ...],
    lang: str,
) -> _Seen:
    """The newest head, once it holds the last one. Untrusted otherwise; what convicts is kept."""
    from gateway.ledger import witness as room

    note = client.text("/v1/ledger/checkpoint")
    before = memory.last(origin)
    if before is None:
        return _Seen(room.read_head(note, origin, keys), first=True, grown=0)
    keys += memory.successors(origin)
    last = room.read_head(before, origin, keys)
    try:
        shown = room.read_head(note, origin, keys)
    except Untrusted as unknown:
        if unknown.code != "note.unsigned":
            raise
        facts = _handovers(client, last)
        memory.succeed(origin, keys, facts)
        keys += memory.successors(origin)
        shown = room.read_head(note, origin, keys)
    given: list[str] = []
    try:
        if shown.epoch < last.epoch:
            raise _older_epoch(last, shown)
        if shown.epoch == last.epoch:
            _same_tree(client, last, shown, given)
            return _Seen(shown, first=False, grown=shown.size - last.size)
        for epoch in range(last.epoch + 1, shown.epoch + 1):
            head = shown if epoch == shown.epoch else _newest_of(client, epoch, origin, keys)
            _next_tree(client, last, head, (origin, keys), given)
            last = head
    except Untrusted as found:
        if found.code in _CONVICTING:
            file = memory.convict(origin, [before, note, *given])
            kept = Text(f"  bằng chứng: {file}", f"  what convicts it: {file}")
            complain(told(kept, lang))
        raise
    return _Seen(shown, first=False, grown=shown.size)


def _handovers(client: Client, last: Checkpoint) -> list[dict[str, Any]]:
    """The changes of key among the entries that came since; each proves itself."""
    from gateway.ledger.records import parse_record
    from gateway.ledger.succession import KEY_CHANGED

    found, cursor = [], f"{last.epoch}-{last.size}"
    while cursor:
        page = client.get("/v1/ledger/entries", cursor=cursor, limit=200)
        for row in page["entries"]:
            record = parse_record(str(row["body"]).encode())
            if record.event == KEY_CHANGED:
                found.append(dict(record.facts))
        cursor = str(page["cursor"])
    return found


def _same_tree(client: Client, last: Checkpoint, shown: Checkpoint, given: list[str]) -> None:
    from gateway.ledger import witness as room

    proof = None
    if shown.size > last.size:
        proof = client.text(
            "/v1/ledger/consistency", epoch=last.epoch, old=last.size, new=shown.size
        )
        given.append(proof)
    room.same_tree(last, shown, proof)


def _next_tree(
    client: Client,
    last: Checkpoint,
    head: Checkpoint,
    log: tuple[str, tuple[ec.EllipticCurvePublicKey, ...]],
    given: list[str],
) -> None:
    """A new epoch: its first entry must name a head of the old one that holds what was seen."""
    from gateway.ledger import witness as room

    origin, keys = log
    page = client.get("/v1/ledger/entries", epoch=head.epoch, limit=1)
    body = str(page["entries"][0]["body"]).encode() if page["entries"] else b""
    proof = client.text("/v1/ledger/proof", epoch=head.epoch, seq=0)
    given += [body.decode(), proof]
    # the proof leads to the newest tree of the epoch, which may have grown since
    over = room.read_head(room.note_of(proof), origin, keys)
    if over.size != head.size:
        step = client.text("/v1/ledger/consistency", epoch=head.epoch, old=head.size, new=over.size)
        room.same_tree(head, over, step)
    named = room.heads_named(over, body, proof, origin, keys)
    for one in named:
        if one.epoch == last.epoch and one.size == last.size:
            room.same_tree(last, one, None)
            return
    for one in named:
        if one.epoch == last.epoch and one.size > last.size:
            _same_tree(client, last, one, given)
            return
    raise room.unexplained(head.epoch)


def _newest_of(
    client: Client, epoch: int, origin: str, keys: tuple[ec.EllipticCurvePublicKey, ...]
) -> Checkpoint:
    from gateway.ledger import witness as room

    proof = client.text("/v1/ledger/consistency", epoch=epoch, old=0)
    return room.read_head(room.note_of(proof, consistency=True), origin, keys)


def _older_epoch(last: Checkpoint, shown: Checkpoint) -> Untrusted:
    return Untrusted(
        Text(
            f"SỔ CÁI BỊ LÙI LẠI: đã thấy kỷ nguyên {last.epoch}, nay lại là {shown.epoch}",
            f"ROLLBACK: epoch {last.epoch} was seen before, now it is {shown.epoch} again",
        ),
        code="witness.rollback",
    )
