"""Record <-> bytes, format v1: the bytes that are hashed, promised and kept for good.

In: a `Record`. Out: RFC 8785 JSON, its leaf hash, and back. Fails with `Broken` when we ourselves
made a record that the format cannot hold, with `Untrusted` when bytes are not a record in exactly
the form that this module writes. It never repairs, reorders or defaults anything: one record has
one form. The format is golden (tests/golden/ledger): vectors are added, never edited.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from gateway.c14n import JsonValue, canonical_json
from gateway.errors import Broken, Text, Untrusted
from gateway.model.record import Record

VERSION = 1
_KEYS = frozenset({"v", "id", "event", "at", "salt", "about", "facts"})
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_SALT = re.compile(r"[0-9a-f]{32}")
_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SALTED = b"edoc-gateway/salted/v1"


class _Facts(Protocol):
    @property
    def facts(self) -> Mapping[str, JsonValue]: ...


def record_bytes(record: Record) -> bytes:
    """The canonical bytes of a record (contract 4): what is stored, hashed and put in receipts.

    `{"about":{},"at":"2026-11-22T05:16:22.123456Z","event","facts":{},"id","salt","v":1}`.
    Raises Broken (`record.invalid`): naive time, a salt that is not 128 bits of lower-case hex, an
    event that is not dotted lower case, an empty id, `about` that is not text to text, or a fact
    that canonical JSON refuses (floats, integers beyond 2^53, lone surrogates).
    """
    if not record.id or not _SALT.fullmatch(record.salt) or not _EVENT.fullmatch(record.event):
        raise _invalid("id, event, salt")
    if not _all_text(record.about):
        raise _invalid("about")
    value: dict[str, JsonValue] = {
        "v": VERSION,
        "id": record.id,
        "event": record.event,
        "at": instant_text(record.at),
        "salt": record.salt,
        "about": record.about,
        "facts": record.facts,
    }
    try:
        return canonical_json(value)
    except (TypeError, ValueError) as error:  # UnicodeEncodeError is a ValueError
        raise _invalid("facts") from error


def parse_record(data: bytes) -> Record:
    """The record behind stored or received bytes; only the exact form of `record_bytes` passes.

    Raises Untrusted (`record.unreadable`) for anything else: another key order, a blank, a
    doubled key, an unknown member, another version. So one record can never have two leaf hashes.
    """
    try:
        value = json.loads(data.decode("utf-8", "strict"))
    except (ValueError, RecursionError) as error:
        raise _unreadable() from error
    if not isinstance(value, dict) or value.keys() != _KEYS or value["v"] != VERSION:
        raise _unreadable()
    try:
        record = Record(
            id=_text(value["id"]),
            event=_text(value["event"]),
            at=parse_instant(_text(value["at"])),
            salt=_text(value["salt"]),
            about=_mapping(value["about"]),
            facts=_mapping(value["facts"]),
        )
        again = record_bytes(record)
    except (Broken, TypeError, ValueError, RecursionError) as error:
        raise _unreadable() from error
    if again != data:
        raise _unreadable()
    return record


def leaf_hash(data: bytes) -> bytes:
    """RFC 9162 2.1.1: SHA-256(0x00 || record bytes)."""
    return hashlib.sha256(b"\x00" + data).digest()


def salted(salt: str, field: str, value: str) -> str:
    """A personal field as it may stand in a record: 64 hex digits, HMAC-SHA256.

    Key = the 16 bytes of `salt`; message = `edoc-gateway/salted/v1`, 0x00, the field's name, 0x00,
    the value; both UTF-8 exactly as given (nothing is normalised: the row that holds the value
    must keep it byte for byte). One value under two fields or two salts gives unrelated digests.

    What it hides: with the record's own salt, the value from everybody who does not hold the
    record. Whoever holds it can still try all telephone numbers. Where the value must become
    unknowable once its row is erased, give a salt of its own and keep that salt in the same row.
    Raises Broken (`record.invalid`) for a salt that is not 32 hex digits or a NUL in the name.
    """
    if not _SALT.fullmatch(salt) or "\x00" in field:
        raise _invalid("salt, field")
    message = b"\x00".join((_SALTED, field.encode(), value.encode("utf-8", "surrogatepass")))
    return hmac.digest(bytes.fromhex(salt), message, "sha256").hex()


def named_blobs(record: _Facts) -> tuple[str, ...]:
    """SHA-256 digests (hex) of the stored blobs that a record vouches for, in order, once each.

    The convention: a fact under a key `blob` or ending in `_blob`, at any depth, is the digest of
    bytes that must be in the blob store. Other digests (inner files, identities) are not.
    """
    return tuple(dict.fromkeys(_blobs_in(record.facts)))


def instant_text(at: datetime) -> str:
    """RFC 3339, UTC, always six digits: `2026-11-22T05:16:22.123456Z`. Broken when naive."""
    if at.tzinfo is None:
        raise _invalid("at")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_instant(text: str) -> datetime:
    """The inverse of `instant_text`; ValueError for any other spelling of a time."""
    if not _AT.fullmatch(text):
        raise ValueError("not an instant of record format v1")
    return datetime.fromisoformat(text)


def _blobs_in(value: JsonValue) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            named = key == "blob" or key.endswith("_blob")
            if named and isinstance(item, str) and _SHA256.fullmatch(item):
                yield item
            else:
                yield from _blobs_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _blobs_in(item)


def _all_text(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, str) for k, v in value.items())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("object expected")
    return value


def _invalid(what: str) -> Broken:
    return Broken(
        Text(
            f"Bản ghi không hợp với định dạng v1: {what}",
            f"the record does not fit format v1: {what}",
        ),
        code="record.invalid",
    )


def _unreadable() -> Untrusted:
    return Untrusted(
        Text(
            "Các byte không phải là một bản ghi định dạng v1",
            "the bytes are not a record of format v1",
        ),
        code="record.unreadable",
    )
