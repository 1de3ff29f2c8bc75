"""Rows whose outcome nobody asks for: the same on both databases, whatever goes together."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from gateway import errors
from gateway.store import Violation, blobs
from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SqliteStore
from gateway.store.tables import blob
from tests.support.executors import ADD, IDS, ids, make_tables, scratch, thing

AT = datetime(2026, 11, 20, 3, 4, 5, 678901, tzinfo=UTC)
ALL = select(thing.c.id, thing.c.number, thing.c.at, thing.c.data, thing.c.parent).order_by(
    thing.c.id
)


@pytest.fixture
def store(empty_url):
    make_tables(empty_url)
    if empty_url.startswith("sqlite"):
        made = SqliteStore(empty_url.removeprefix("sqlite:///"), tables=scratch)
    else:
        made = PostgresStore(empty_url)
    yield made
    made.close_sync()


def full(name: str, number: int | None, parent: str | None = None) -> dict[str, object]:
    return {"id": name, "number": number, "at": AT, "data": {"x": [name]}, "parent": parent}


def test_what_was_put_is_there_as_it_was_given(store):
    numbers = [None, 0, 1, 40_000, 2**31 - 1]
    rows = [full(f"văn bản {n}", number) for n, number in enumerate(numbers)]

    def fn(tx):
        for row in rows:
            tx.put(ADD, row)

    for _ in range(2):  # the first times a server plans a statement differ from the later ones
        store.write_sync(fn)
        found = store.read_sync(lambda tx: tx.execute(ALL).all())
        assert found == [tuple(row.values()) for row in rows]
        store.write_sync(lambda tx: tx.execute(thing.delete()))


@pytest.mark.parametrize("counts", [(1, 1), (31, 1), (32, 5), (33, 2), (1, 200, 1)])
def test_however_many_rows(store, counts):
    names = [f"t{block}-{n:03}" for block, count in enumerate(counts) for n in range(count)]

    def fn(tx):
        for block in range(len(counts)):
            tx.put(ADD, [{"id": name} for name in names if name.startswith(f"t{block}-")])

    store.write_sync(fn)
    assert ids(store) == sorted(names)


def test_a_child_goes_with_its_parent(store):
    def fn(tx):
        tx.put(ADD, full("a", 1))
        tx.put(ADD, full("b", 2, parent="a"))

    store.write_sync(fn)
    assert ids(store) == ["a", "b"]


def test_the_function_sees_what_it_put(store):
    def fn(tx):
        tx.put(ADD, {"id": "a"})
        return tx.scalars(IDS)

    assert store.write_sync(fn) == ["a"]


@pytest.mark.parametrize("row", [full("b", 1), full("c", -1), full("d", 3, parent="nobody")])
def test_what_is_wrong_is_named_and_nothing_is_kept(store, row):
    def fn(tx):
        tx.put(ADD, full("a", 1))
        tx.put(ADD, row)
        return "done"

    kinds = {"b": "unique", "c": "check", "d": "foreign_key"}
    with pytest.raises(Violation) as refused:
        asyncio.run(store.write(fn))
    assert refused.value.kind == kinds[row["id"]]
    assert ids(store) == []
    assert store.write_sync(lambda tx: tx.put(ADD, full("a", 1))) is None
    assert ids(store) == ["a"]


def test_a_row_that_is_counted_up_twice_in_one_commit(any_store):
    digest = "ab" * 32
    any_store.write_sync(lambda tx: blobs.refer(tx, [(digest, 5), (digest, 5)]))
    any_store.write_sync(lambda tx: blobs.refer(tx, [(digest, 5)]))
    refs = any_store.read_sync(
        lambda tx: tx.execute(select(blob.c.refs).where(blob.c.sha256 == digest)).scalar()
    )
    assert refs == 3


def test_a_function_that_reads_through_the_store_is_refused(store):
    with pytest.raises(errors.Broken) as refused:
        store.read_sync(lambda tx: store.read_sync(lambda inner: inner.scalars(IDS)))
    assert refused.value.code == "store.nested"
