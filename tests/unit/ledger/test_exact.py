"""The fast reader of whole ledgers never accepts what the reader of the format refuses."""

import json
from datetime import UTC, datetime

import pytest

from gateway.errors import Untrusted
from gateway.ledger.exact import read_exact
from gateway.ledger.records import parse_record, record_bytes
from gateway.model.record import Record
from tests.support.ledgers import sample_record

FACTS = (
    {},
    {"n": 0, "none": None, "yes": True, "no": False, "minus": -7, "text": "Ủy ban nhân dân tỉnh"},
    {"deep": {"list": [1, "hai", None, ["ba"]]}, "empty": [{}, []]},
    {"most": 2**53 - 1, "least": 1 - 2**53},
    {"package_blob": "ab" * 32, "files": [{"blob": "cd" * 32}]},
    {"end": "e\u2028\x7f\U0001f4dc", "\u20ac": 1, "\U0001f4dc": 2, "\ufb33": 3},
    {"quoted": 'nói "không":', "slash": "a/b\\c", "lines": "1\n2\r\t\x00\x1f"},
    {"nested": [[[[[[1]]]]]]},
)


def made(facts: object, event: str = "attempt.ended") -> bytes:
    sample = sample_record(7)
    return record_bytes(
        Record(sample.id, event, sample.at, sample.salt, {"document": "văn bản"}, facts)
    )


def judged(data: bytes) -> Record | None:
    try:
        return parse_record(data)
    except Untrusted:
        return None


def agrees(data: bytes) -> bool:
    """Whether the fast reader answered; it must then say what the other one says."""
    fast = read_exact(data)
    if fast is None:
        return False
    slow = judged(data)
    assert slow is not None, data
    told = (fast.id, fast.event, fast.salt, fast.about, fast.facts)
    assert told == (slow.id, slow.event, slow.salt, slow.about, slow.facts)
    assert datetime.fromisoformat(fast.at) == slow.at
    return True


@pytest.mark.parametrize("facts", FACTS[:5])
def test_a_plain_record_is_read_at_once(facts):
    assert agrees(made(facts))


@pytest.mark.parametrize("facts", FACTS[5:])
def test_what_the_two_kinds_of_json_might_write_otherwise_is_left_to_the_reader_of_the_format(
    facts,
):
    assert read_exact(made(facts)) is None
    assert judged(made(facts)) is not None


def test_every_byte_changed_or_removed_or_doubled_is_accepted_by_neither_or_by_both():
    data = made(FACTS[1])
    for n in range(len(data)):
        for other in (data[n] ^ 1, data[n] ^ 0x80, 0x22, 0x30, 0x20, 0x2E):
            agrees(data[:n] + bytes([other]) + data[n + 1 :])
        agrees(data[:n] + data[n + 1 :])
        agrees(data[: n + 1] + data[n:])


def foreign(**change: object) -> bytes:
    value = {**json.loads(made({"n": 1})), **change}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


@pytest.mark.parametrize(
    "data",
    [
        foreign(v=2),
        foreign(v=True),
        foreign(v=1.0),
        foreign(id=""),
        foreign(id=7),
        foreign(event="attempt"),
        foreign(event="Attempt.ended"),
        foreign(event="attempt.ended\n"),
        foreign(salt="0" * 31),
        foreign(salt="F" * 32),
        foreign(at="2026-11-22T05:16:22.123456+00:00"),
        foreign(at="2026-02-30T05:16:22.123456Z"),
        foreign(at="0000-11-22T05:16:22.123456Z"),
        foreign(about={"n": 1}),
        foreign(facts=[]),
        foreign(facts={"n": 1.5}),
        foreign(facts={"n": -0.0}),
        foreign(facts={"n": 2**53}),
        foreign(facts={"n": 10**30}),
        foreign(facts={"n": [{"m": -(2**53)}]}),
        foreign(facts={"\ue000": 1, "\U0001f4dc": 2}),  # by code points, not by UTF-16
        foreign(more=1),
        made({"n": 1}).replace(b'"n":1', b'"n":01'),
        made({"n": 1}).replace(b'"n":1', b'"n":-0'),
        made({"n": 1}).replace(b'"n":1', b'"n":1,"n":1'),
        made({"n": 1}).replace(b'"n":1', b'"n" :1'),
        made({"t": "a"}).replace(b'"t":"a"', b'"t":"\\u0061"'),
        made({"t": "a"}).replace(b'"t":"a"', b'"t":"\xed\xa0\x80"'),
        made({"t": "a"}) + b" ",
        b"\xef\xbb\xbf" + made({}),
        b"",
        b"[" * 100_000,
    ],
)
def test_what_is_not_of_the_format_is_refused_by_both(data):
    assert read_exact(data) is None
    assert judged(data) is None


def test_the_year_one_is_an_instant_too():
    sample = sample_record(1)
    first = Record(sample.id, sample.event, datetime(1, 1, 1, tzinfo=UTC), sample.salt, {}, {})
    assert agrees(record_bytes(first))
