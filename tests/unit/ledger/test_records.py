"""Records: one record, one form; what the format cannot hold is never written."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785

from gateway.errors import Broken, Untrusted
from gateway.ledger import records
from gateway.model.record import Record

RECORD = Record(
    id="0192f0c1-0000-7000-8000-000000000001",
    event="submission.accepted",
    at=datetime(2026, 11, 22, 5, 16, 22, 123456, tzinfo=UTC),
    salt="00112233445566778899aabbccddeeff",
    about={"submission": "s-1"},
    facts={
        "transfers": [{"axis": "vxp", "package_blob": "ab" * 32}],
        "ok": True,
        "n": 3,
        "z": None,
    },
)


def test_a_record_is_written_as_rfc_8785_json_with_its_version():
    data = records.record_bytes(RECORD)
    assert data == rfc8785.dumps(json.loads(data))
    assert json.loads(data) == {
        "v": 1,
        "id": RECORD.id,
        "event": "submission.accepted",
        "at": "2026-11-22T05:16:22.123456Z",
        "salt": RECORD.salt,
        "about": {"submission": "s-1"},
        "facts": RECORD.facts,
    }


def test_what_was_written_is_read_back():
    assert records.parse_record(records.record_bytes(RECORD)) == RECORD


def test_an_instant_is_written_in_utc_with_six_digits_whatever_its_zone():
    hanoi = timezone(timedelta(hours=7))
    at = datetime(2026, 11, 22, 12, 0, 0, tzinfo=hanoi)
    assert records.instant_text(at) == "2026-11-22T05:00:00.000000Z"
    assert records.parse_instant("2026-11-22T05:00:00.000000Z") == at
    for other in ("2026-11-22T05:00:00Z", "2026-11-22T05:00:00.000000+00:00", "2026-11-22"):
        with pytest.raises(ValueError, match="instant"):
            records.parse_instant(other)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"event": "accepted"},
        {"event": "Submission.Accepted"},
        {"salt": "00"},
        {"salt": "0" * 31 + "G"},
        {"at": datetime(2026, 11, 22, tzinfo=UTC).replace(tzinfo=None)},
        {"about": {"submission": 1}},
        {"facts": {"share": 0.5}},
        {"facts": {"large": 2**53}},
        {"facts": {"text": "\ud800"}},
        {"facts": {"bytes": b"x"}},
    ],
)
def test_what_the_format_cannot_hold_is_our_own_fault(change):
    with pytest.raises(Broken) as caught:
        records.record_bytes(replace(RECORD, **change))
    assert caught.value.code == "record.invalid"


GOOD = records.record_bytes(RECORD)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b'"v":1', b'"v":2'),
        GOOD.replace(b'"v":1', b'"v":true'),
        GOOD.replace(b'"v":1', b'"v":1.0'),
        GOOD.replace(b'"v":1', b'"v":1,"w":1'),
        GOOD.replace(b'"n":3', b'"n":3,"n":3'),
        GOOD.replace(b'"n":3', b'"n":3.5'),
        GOOD.replace(b'"n":3', b'"n":NaN'),
        GOOD.replace(b'"n":3', b'"n": 3'),
        GOOD.replace(b"123456Z", b"123Z"),
        GOOD.replace(b'"about":{"submission":"s-1"}', b'"about":{"submission":1}'),
        GOOD.replace(b'"about":{"submission":"s-1"}', b'"about":[]'),
        GOOD.replace(b"2026-11-22T05", b"2026-13-22T05"),
        GOOD.replace(b"s-1", b"\\u0073-1"),
        json.dumps(json.loads(GOOD)).encode(),
    ],
)
def test_bytes_in_any_other_form_are_not_a_record(data):
    with pytest.raises(Untrusted) as caught:
        records.parse_record(data)
    assert caught.value.code == "record.unreadable"


def test_the_leaf_hash_is_that_of_rfc_9162():
    assert records.leaf_hash(GOOD) == hashlib.sha256(b"\x00" + GOOD).digest()


def test_a_personal_field_becomes_a_digest_that_depends_on_salt_field_and_value():
    salt = RECORD.salt
    digest = records.salted(salt, "staff.name", "Người mẫu")
    message = b"edoc-gateway/salted/v1\x00staff.name\x00" + "Người mẫu".encode()
    assert digest == hmac.new(bytes.fromhex(salt), message, "sha256").hexdigest()
    others = {
        records.salted("ff" * 16, "staff.name", "Người mẫu"),
        records.salted(salt, "signer.name", "Người mẫu"),
        records.salted(salt, "staff.name", "Người mẫu "),
        records.salted(salt, "staff.nam", "eNgười mẫu"),
    }
    assert len(others | {digest}) == 5


def test_a_salt_that_is_none_is_refused():
    for bad, field in (
        ("", "a"),
        ("00", "a"),
        (RECORD.salt.upper(), "a"),
        (RECORD.salt, "a\x00b"),
    ):
        with pytest.raises(Broken):
            records.salted(bad, field, "x")


def test_a_record_names_its_blobs_by_key_at_any_depth_once_each():
    a, b, c = "aa" * 32, "bb" * 32, "cc" * 32
    facts = {
        "blob": a,
        "identity": c,
        "transfers": [{"package_blob": b}, {"package_blob": b}, {"inner": {"raw_blob": a}}],
        "note_blob": "not a digest",
        "sha256": c,
    }
    assert records.named_blobs(replace(RECORD, facts=facts)) == (a, b)
