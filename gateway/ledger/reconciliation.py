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

Why the note cannot be taken for a receipt's: `statement.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.c14n import JsonValue, canonical_json
from gateway.errors import Text, Untrusted
from gateway.ledger.statement import Keys, make_statement, read_statement

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
    note = make_statement(DOMAIN, origin, hashlib.sha256(data).digest(), at, key)
    return SignedReport(data, note)


def verify_report(file: bytes, public_keys: Keys) -> Vouched:
    """Check form, signature, and that the note speaks of these very bytes.

    White space around the JSON is forgiven, inside only the canonical form passes. The caller
    compares `origin`. Untrusted: `reconciliation.malformed`, `reconciliation.mismatch` (the note
    is over other bytes), `note.*`.
    """
    report, note = _parts(file.strip(b" \t\r\n"))
    origin, digest, at = read_statement(note, DOMAIN, public_keys, _malformed)
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


def _malformed() -> Untrusted:
    return Untrusted(
        Text("Không đúng dạng biên bản đối soát đã ký", "this is not a signed reconciliation"),
        code="reconciliation.malformed",
    )
