"""Checkpoints: the signed head of one epoch of the tree, as C2SP tlog-checkpoint text.

    <origin of the epoch>
    <size, decimal>
    <root, base64>
    <extension lines: what it says of those before it, see lineage.py>
    <empty line>
    — <origin of the epoch> <base64(key ID || signature)>

In: origin, epoch, size, root, time, key. Out: `Checkpoint`, and back. Fails with `Untrusted`
(`checkpoint.*`, `note.*`) on reading, `Broken` on making nonsense. It never builds a tree.

An epoch is one tree. The origin of epoch 1 is the ledger's own origin; later epochs (a restore
begins one, architecture 7) add `/epoch/<n>`, so that two trees can never be held against each
other by mistake. Key name = origin line, as C2SP advises. `at` is not in the text: a checkpoint
proves order, a stamp proves time.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Broken, Text, Untrusted
from gateway.ledger.note import decode_base64, sign_note, split_note, verify_note
from gateway.model.record import Checkpoint

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class Head(NamedTuple):
    """What a checkpoint's text says, whoever signed it."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def epoch_origin(origin: str, epoch: int) -> str:
    """`<origin>` for epoch 1, `<origin>/epoch/<n>` afterwards."""
    return origin if epoch == 1 else f"{origin}/epoch/{epoch}"


def checkpoint_text(
    origin: str, epoch: int, size: int, root: bytes, extensions: Sequence[str] = ()
) -> str:
    """The lines that are signed: three, and the extensions."""
    three = (epoch_origin(origin, epoch), str(size), base64.b64encode(root).decode())
    return "".join(f"{line}\n" for line in (*three, *extensions))


def make_checkpoint(
    origin: str,
    epoch: int,
    size: int,
    root: bytes,
    at: datetime,
    key: ec.EllipticCurvePrivateKey,
    extensions: Sequence[str] = (),
) -> Checkpoint:
    """Sign the head of an epoch. Broken (`checkpoint.invalid`): epoch < 1, size < 0, no SHA-256."""
    if epoch < 1 or size < 0 or len(root) != 32:
        raise Broken(
            Text("Điểm kiểm soát không hợp lệ", "no such checkpoint can exist"),
            code="checkpoint.invalid",
        )
    text = checkpoint_text(origin, epoch, size, root, extensions)
    note = sign_note(text, epoch_origin(origin, epoch), key)
    return Checkpoint(epoch=epoch, size=size, root=root, note=note, at=at)


def parse_head(text: str) -> Head:
    """A checkpoint's text, extension lines kept. Untrusted (`checkpoint.malformed`)."""
    origin, *rest = text.removesuffix("\n").split("\n")
    if len(rest) < 2 or not origin or not _SIZE.fullmatch(rest[0]) or "" in rest:
        raise _malformed()
    root = decode_base64(rest[1])
    if len(root) != 32:
        raise _malformed()
    return Head(origin, int(rest[0]), root, tuple(rest[2:]))


def parse_checkpoint(
    note: str, origin: str, public_key: ec.EllipticCurvePublicKey, at: datetime
) -> Checkpoint:
    """A checkpoint of this ledger, its signature verified. `at` is when the caller says it was.

    Untrusted: `note.*`; `checkpoint.malformed`; `checkpoint.other_origin` (another ledger, or an
    epoch written in another way). Extension lines are for lineage.py.
    """
    head = parse_head(split_note(note)[0])
    epoch = _epoch_of(head.origin, origin)
    text = verify_note(note, head.origin, public_key)
    if text != checkpoint_text(origin, epoch, head.size, head.root, head.extensions):
        raise _malformed()
    return Checkpoint(epoch=epoch, size=head.size, root=head.root, note=note, at=at)


def _epoch_of(line: str, origin: str) -> int:
    if line == origin:
        return 1
    prefix, number = f"{origin}/epoch/", line.removeprefix(f"{origin}/epoch/")
    if line.startswith(prefix) and re.fullmatch(r"[1-9][0-9]{0,8}", number) and number != "1":
        return int(number)
    raise Untrusted(
        Text(
            "Điểm kiểm soát thuộc một sổ cái khác",
            "the checkpoint belongs to another ledger",
        ),
        code="checkpoint.other_origin",
    )


def _malformed() -> Untrusted:
    return Untrusted(
        Text("Không đúng dạng điểm kiểm soát", "this is not a checkpoint"),
        code="checkpoint.malformed",
    )
