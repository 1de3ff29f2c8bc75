"""What travels together ends as if each statement had gone alone, on both databases."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import bindparam, delete, func, select, update

from gateway import errors
from gateway.store import Violation
from gateway.store import postgres as executor
from gateway.store.tx import MOST_WAITING
from tests.support.databases import opened
from tests.support.executors import ADD, ids, make_tables, thing

NUMBER = update(thing).where(thing.c.id == bindparam("x")).values(number=bindparam("n"))
NUMBERS = select(thing.c.id, thing.c.number).order_by(thing.c.id)
BACKEND = select(func.pg_backend_pid())
NO_SUCH = {"id": "child", "parent": "nobody"}


@pytest.fixture
def url(empty_url):
    make_tables(empty_url)
    return empty_url


@pytest.fixture
def trips(monkeypatch):
    """How many statements went together each time."""
    seen = []
    real = executor._together

    def counted(cursor, statements):
        seen.append(len(statements))
        return real(cursor, statements)

    monkeypatch.setattr(executor, "_together", counted)
    return seen


@pytest.fixture
def store(url, trips):
    with opened(url) as made:
        yield made


def test_a_question_sees_what_was_changed_before_it(store):
    def fn(tx):
        tx.execute(ADD, {"id": "a", "number": 1})
        tx.execute(ADD, [{"id": "b", "number": 2}, {"id": "c", "number": 3}])
        tx.execute(NUMBER, {"x": "a", "n": 4})
        first = tx.execute(NUMBERS).all()
        tx.execute(NUMBER, {"x": "b", "n": 5})
        return first, tx.execute(NUMBERS).all()

    assert store.write_sync(fn) == (
        [("a", 4), ("b", 2), ("c", 3)],
        [("a", 4), ("b", 5), ("c", 3)],
    )
    assert ids(store) == ["a", "b", "c"]


def test_each_statement_keeps_its_own_count(store):
    def fn(tx):
        added = tx.execute(ADD, [{"id": name} for name in "abc"])
        one = tx.execute(NUMBER, {"x": "a", "n": 1})
        none = tx.execute(NUMBER, {"x": "z", "n": 2})
        asked = none.count
        all_of_them = tx.execute(delete(thing))
        return added, one, none, asked, all_of_them

    *counted, all_of_them = store.write_sync(fn)
    added, one, none, asked = counted
    # also those that nobody had asked for before the commit
    assert (added.count, one.count, none.count, asked, all_of_them.count) == (3, 1, 0, 0, 3)
    assert added.all() == []


def test_what_changes_rows_waits_for_a_question(store, trips):
    def fn(tx):
        for name in "abc":
            tx.execute(ADD, {"id": name})
        tx.scalars(select(thing.c.id))
        for name in "de":
            tx.execute(ADD, {"id": name})

    store.write_sync(fn)
    together = [4, 2] if store.dialect == "postgresql" else []
    assert trips == together
    assert ids(store) == list("abcde")


def test_what_waits_is_bounded(store, trips):
    def fn(tx):
        for number in range(2 * MOST_WAITING + 3):
            tx.execute(ADD, {"id": f"{number:04}"})

    store.write_sync(fn)
    together = [MOST_WAITING, MOST_WAITING, 3] if store.dialect == "postgresql" else []
    assert trips == together
    assert len(ids(store)) == 2 * MOST_WAITING + 3


def test_many_rows_stand_behind_what_waits_before_them(store):
    def fn(tx):
        tx.execute(ADD, {"id": "parent"})
        tx.execute(ADD, [{"id": f"{n:03}", "parent": "parent"} for n in range(100)])
        tx.execute(ADD, {"id": "last", "parent": "099"})

    store.write_sync(fn)
    assert len(ids(store)) == 102


@pytest.mark.parametrize("behind", ["nothing", "a change", "a question", "its count"])
def test_a_constraint_that_said_no_is_named_whatever_stands_around_it(store, behind):
    def fn(tx):
        tx.execute(ADD, {"id": "before"})
        wrong = tx.execute(ADD, NO_SUCH)
        if behind == "a change":
            tx.execute(ADD, {"id": "before"})  # wrong as well, but behind the first
        elif behind == "a question":
            tx.scalars(select(thing.c.id))
        elif behind == "its count":
            assert wrong.count
        return "done"

    with pytest.raises(Violation) as refused:
        store.write_sync(fn)
    assert refused.value.kind == "foreign_key"
    assert ids(store) == []
    store.write_sync(lambda tx: tx.execute(ADD, {"id": "afterwards"}))
    assert ids(store) == ["afterwards"]


def test_nothing_can_be_asked_behind_a_failure(store):
    heard = []

    def fn(tx):
        waiting = tx.execute(ADD, {"id": "a", "number": -1})
        other = tx.execute(ADD, {"id": "b"})
        for question in (lambda: waiting.count, lambda: other.count, tx.now):
            try:
                question()
            except errors.GatewayError as said:
                heard.append(said)

    with pytest.raises(Violation) as refused:
        store.write_sync(fn)
    assert refused.value.kind == "check"
    if store.dialect == "postgresql":
        assert heard == [refused.value] * 3
    assert ids(store) == []


def test_a_function_that_gives_up_sends_nothing(store, trips):
    def fn(tx):
        for name in "abc":
            tx.execute(ADD, {"id": name})
        raise LookupError

    with pytest.raises(LookupError):
        store.write_sync(fn)
    assert trips == []
    assert ids(store) == []


def test_a_connection_lost_before_the_last_trip_runs_the_function_again(postgres_url):
    make_tables(postgres_url)
    runs = []

    def fn(tx):
        (pid,) = tx.scalars(BACKEND)
        tx.execute(ADD, {"id": "a"})
        tx.execute(ADD, {"id": "b"})
        runs.append(pid)
        if len(runs) == 1:
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    with opened(postgres_url) as store:
        store.write_sync(fn)
        assert ids(store) == ["a", "b"]
    assert len(set(runs)) == 2
