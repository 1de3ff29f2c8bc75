"""Many rows in one statement: what was given is what is read, and what may not be is refused."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.store import Violation, ledger
from gateway.store.audit import records

START = datetime(2026, 11, 22, 5, 16, 22, 123456, tzinfo=UTC)
TEXTS = ("", "\\N", "\\.", "a\tb\\t", "hai\ndòng\r\n", "Ủy ban \U0001f4dc", "\x7f'\"%s{},", "\x01")


def rows(count: int) -> list[ledger.NewRecord]:
    return [
        ledger.NewRecord(
            f"record-{n:04d}",
            TEXTS[n % len(TEXTS)],
            START + timedelta(microseconds=n),
            bytes(range(256)) if n % 3 else b"",
            None if n % 5 else TEXTS[n % len(TEXTS)],
            TEXTS[n % len(TEXTS)] if n % 7 else None,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [2, 31, 32, 300])
def test_whatever_is_written_is_read(any_store, count):
    given = rows(count)
    asyncio.run(any_store.write(lambda tx: ledger.append(tx, given)))
    read = any_store.read_sync(lambda tx: records(tx, "", 1000))
    told = [(r.id, r.event, r.at, r.body, r.document_ref, r.arrival_id) for r in given]
    assert [(r.id, r.event, r.at, r.body, r.document_ref, r.arrival_id) for r in read] == told


def test_a_key_that_is_there_already_is_named_and_nothing_is_kept(any_store):
    given = rows(200)
    with pytest.raises(Violation) as refused:
        asyncio.run(any_store.write(lambda tx: ledger.append(tx, [*given, given[7]])))
    assert (refused.value.kind, refused.value.table) == ("unique", "record")
    assert any_store.read_sync(ledger.record_count) == 0
