"""Reports of reconciliation: canonical bytes, and a note by the ledger's key over their digest.

    {"note":"...","report":"<the report's bytes as text>","v":1}         RFC 8785 JSON

    edoc-gateway reconciliation v1    the note's text
    <origin>
    <SHA-256 of the report, base64>
    <when it was made, RFC 3339 UTC, six digits>

In: a report as JSON values, origin, time, key. Out: the signed file; or what a signed file vouches
for. Fails with `Untrusted` (`reconciliation.*`, `note.*`). It never judges what a report says, and
never reads the tree: the record `reconciliation.made` holds the same digest, so a report that was
left out or exchanged is found there (audit/reconciled.py).

The same key signs receipts and checkpoints; the first lines differ, and each holds a blank.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.c14n import JsonValue, canonical_json
from gateway.errors import Text, Untrusted
from gateway.ledger.keys import key_id
from gateway.ledger.note import decode_base64, sign_note, split_note, verify_note
from gateway.ledger.records import instant_text, parse_instant

VERSION = 1
DOMAIN = "edoc-gateway reconciliation v1"


@dataclass(frozen=True, slots=True)
class SignedReport:
    """`report`: RFC 8785 bytes; `note`: who vouches for them."""

    report: bytes
    note: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.report).hexdigest()

    def file(self) -> bytes:
        """The form in which it leaves the house."""
        return canonical_json({"v": VERSION, "report": self.report.decode(), "note": self.note})


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a verified file says, by whom, when."""

    origin: str
    at: datetime
    sha256: str
    report: Mapping[str, Any]


def sign_report(
    report: Mapping[str, JsonValue], origin: str, at: datetime, key: ec.EllipticCurvePrivateKey
) -> SignedReport:
    """The same inputs give the same file (RFC 6979). `origin` without an epoch."""
    data = canonical_json(report)
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    text = f"{DOMAIN}\n{origin}\n{digest}\n{instant_text(at)}\n"
    return SignedReport(data, sign_note(text, origin, key))


def verify_report(
    file: bytes, public_keys: ec.EllipticCurvePublicKey | Sequence[ec.EllipticCurvePublicKey]
) -> Vouched:
    """Check form, signature, and that the note speaks of these very bytes.

    White space around the JSON is forgiven, inside only the canonical form passes. The caller
    compares `origin`. Untrusted: `reconciliation.malformed`, `reconciliation.mismatch` (the note
    is over other bytes), `note.*`.
    """
    report, note = _parts(file.strip(b" \t\r\n"))
    keys = [public_keys] if isinstance(public_keys, ec.EllipticCurvePublicKey) else public_keys
    origin, digest, at = _vouched(note, keys)
    if hashlib.sha256(report).digest() != digest:
        raise Untrusted(
            Text(
                "Chữ ký không nói về biên bản đối soát này: nội dung đã bị thay đổi",
                "the note speaks of another report: what it says was changed",
            ),
            code="reconciliation.mismatch",
        )
    return Vouched(origin, at, digest.hex(), _object(report))


def _parts(data: bytes) -> tuple[bytes, str]:
    value = _object(data)
    if value.keys() != {"v", "report", "note"} or value["v"] != VERSION:
        raise _malformed()
    report, note = value["report"], value["note"]
    if not isinstance(report, str) or not isinstance(note, str):
        raise _malformed()
    try:
        if canonical_json(value) != data:
            raise _malformed()
        return report.encode(), note
    except (TypeError, ValueError) as error:
        raise _malformed() from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed() from error
    if not isinstance(value, dict):
        raise _malformed()
    return value


def _vouched(note: str, keys: Sequence[ec.EllipticCurvePublicKey]) -> tuple[str, bytes, datetime]:
    """Origin, digest and time, from a note by one of the keys."""
    text, lines = split_note(note)
    fields = text.removesuffix("\n").split("\n")
    if len(fields) != 4 or fields[0] != DOMAIN:
        raise _malformed()
    _, origin, encoded, at = fields
    ids = {blob[:4] for name, blob in lines if name == origin}
    key = next((k for k in keys if key_id(k) in ids), None)
    if key is None:
        raise Untrusted(
            Text(
                "Biên bản đối soát không do khóa của sổ cái này ký",
                "the report was not signed by this ledger's key",
            ),
            code="note.unsigned",
        )
    verify_note(note, origin, key)
    digest = decode_base64(encoded)
    try:
        when = parse_instant(at)
    except ValueError as error:
        raise _malformed() from error
    if len(digest) != 32 or re.search(r"\s", origin):
        raise _malformed()
    return origin, digest, when


def _malformed() -> Untrusted:
    return Untrusted(
        Text("Không đúng dạng biên bản đối soát đã ký", "this is not a signed reconciliation"),
        code="reconciliation.malformed",
    )
