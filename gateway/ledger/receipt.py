"""Receipts: what we promise with a 202, before the tree knows of it (architecture 3, step 4).

    {"note":"...","record":"<the record's bytes as text>","v":1}        RFC 8785 JSON

    edoc-gateway receipt v1           the note's text
    <origin>
    <leaf hash of the record, base64>
    <when it was signed, RFC 3339 UTC, six digits>

In: record bytes, origin, time, key. Out: the receipt; or what a receipt proves. Fails with
`Untrusted` (`receipt.*`, `note.*`). It never reads the tree: `find_receipt` is told what is there.

The same key signs checkpoints. The two texts cannot be confused: the first line here holds blanks,
which no origin may (it is a key name), and the second line of a checkpoint is a number. Any other
kind of note that this key may ever sign must open with a line of its own that holds a blank.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.c14n import canonical_json
from gateway.errors import Text, Untrusted
from gateway.ledger.merkle import verify_inclusion
from gateway.ledger.records import leaf_hash, parse_record
from gateway.ledger.statement import make_statement, read_statement
from gateway.model.record import Checkpoint, Entry, Record

VERSION = 1
DOMAIN = "edoc-gateway receipt v1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a verified receipt proves: this record was promised by this ledger at this time."""

    origin: str
    record: Record
    record_bytes: bytes
    leaf: bytes
    at: datetime


def make_receipt(
    record_bytes: bytes, origin: str, at: datetime, key: ec.EllipticCurvePrivateKey
) -> bytes:
    """The receipt for bytes made by `records.record_bytes`; `origin` without an epoch.

    The same inputs give the same receipt (RFC 6979), so a repeated request cannot get a second.
    """
    note = make_statement(DOMAIN, origin, leaf_hash(record_bytes), at, key)
    return canonical_json({"v": VERSION, "record": record_bytes.decode(), "note": note})


def verify_receipt(
    receipt: bytes, public_keys: ec.EllipticCurvePublicKey | Sequence[ec.EllipticCurvePublicKey]
) -> Receipt:
    """Check form, signature, and that the note speaks of this record; nothing else.

    `public_keys`: the ledger's key, or all keys it ever had. The caller compares `origin` with the
    ledger it trusts that key for. White space around the JSON is forgiven (files get a newline at
    their end); inside, only the canonical form passes. Untrusted: `receipt.malformed`,
    `receipt.mismatch` (another record's note), `note.*`, `record.unreadable`.
    """
    data = receipt.strip(b" \t\r\n")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed() from error
    if not isinstance(value, dict) or value.keys() != {"v", "record", "note"}:
        raise _malformed()
    text, note = value["record"], value["note"]
    if not isinstance(text, str) or not isinstance(note, str) or value["v"] != VERSION:
        raise _malformed()
    try:
        if canonical_json(value) != data:
            raise _malformed()
    except (TypeError, ValueError) as error:
        raise _malformed() from error
    origin, leaf, at = read_statement(note, DOMAIN, public_keys, _malformed)
    raw = text.encode()
    record = parse_record(raw)
    if leaf_hash(raw) != leaf:
        raise Untrusted(
            Text(
                "Chữ ký của biên nhận không nói về bản ghi này",
                "the receipt's note speaks of another record",
            ),
            code="receipt.mismatch",
        )
    return Receipt(origin=origin, record=record, record_bytes=raw, leaf=leaf, at=at)


class ReceiptVerdict(IntEnum):
    """What became of a promise; the numbers are those of contract 2, `ledger verify --receipt`."""

    FOUND = 0
    MISSING = 1
    NOT_SEALED = 2


def find_receipt(
    receipt: Receipt,
    *,
    entry: Entry | None,
    checkpoint: Checkpoint | None,
    proof: Sequence[bytes],
    waiting: bytes | None,
) -> ReceiptVerdict:
    """Decide about a verified receipt from what the store has under its record's id.

    `entry`: the entry of that record; `proof`: its inclusion in `checkpoint`, whose signature the
    caller has verified; `waiting`: the record's bytes when it stands in `pending`. FOUND only when
    the promised leaf itself is proved to be in the tree; NOT_SEALED only when the promised bytes
    wait; everything else is a promise broken.
    """
    if entry is not None and checkpoint is not None and entry.epoch == checkpoint.epoch:
        held = verify_inclusion(receipt.leaf, entry.seq, checkpoint.size, proof, checkpoint.root)
        return ReceiptVerdict.FOUND if held else ReceiptVerdict.MISSING
    if entry is None and waiting is not None and leaf_hash(waiting) == receipt.leaf:
        return ReceiptVerdict.NOT_SEALED
    return ReceiptVerdict.MISSING


def _malformed() -> Untrusted:
    return Untrusted(
        Text("Không đúng dạng biên nhận", "this is not a receipt"), code="receipt.malformed"
    )
