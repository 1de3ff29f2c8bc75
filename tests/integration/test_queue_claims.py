"""Claims on both databases: the urgent first, nobody starves, and never a walk over the backlog."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import Executable, select, text, update
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import dialect as sqlite_dialect

from gateway.dispatch import share
from gateway.store import Store, Tx, claims, transfers
from gateway.store.plans import Plans
from gateway.store.tables import transfer
from tests.support.databases import opened
from tests.support.executors import Gate
from tests.support.queues import claimed, queued_transfers

START = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


class Clock:
    """The database's clock, moved by the test."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def later(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def ids(found: list[claims.Claim]) -> list[str]:
    return [one.id for one in found]


def take(store: Store, most: int, look: claims.Look) -> list[str]:
    got = store.write_sync(partial(claimed, most=most, look=look))
    look.keep()
    return ids(got)


def test_an_urgent_transfer_behind_many_ordinary_ones_leaves_with_the_next_claim(
    any_store: Store,
) -> None:
    look = claims.Look(share)
    any_store.write_sync(partial(queued_transfers, count=200))
    assert take(any_store, 4, look) == ["t0", "t1", "t10", "t100"]
    any_store.write_sync(partial(queued_transfers, count=1, first=500, lane=0))
    assert take(any_store, 1, look) == ["t500"]


def test_ordinary_ones_leave_too_while_urgent_ones_never_end(any_store: Store) -> None:
    look = claims.Look(share)
    any_store.write_sync(partial(queued_transfers, count=8, lane=3))
    any_store.write_sync(partial(queued_transfers, count=40, first=100, lane=0))
    lanes = [
        one.lane
        for _ in range(18)
        for one in any_store.write_sync(partial(claimed, most=1, look=look))
        if look.keep() is not None
    ]
    assert lanes[:8] == [0] * 8
    assert Counter(lanes) == {0: 16, 3: 2}


def test_in_a_lane_the_longest_due_leave_first(any_store: Store) -> None:
    with_clock = any_store.write_sync(lambda tx: tx.now())
    for number, ago in ((0, 1), (1, 30), (2, 10)):
        due = with_clock - timedelta(seconds=ago)
        any_store.write_sync(partial(queued_transfers, count=1, first=number, due_at=due))
    look = claims.Look(share)
    assert [take(any_store, 1, look) for _ in range(4)] == [["t1"], ["t2"], ["t0"], []]


def test_a_claim_knows_for_how_long_what_it_took_had_been_due(any_url: str) -> None:
    clock = Clock()
    with opened(any_url, clock=clock) as store:
        for number, ago in ((0, 30), (1, 10), (2, 0)):
            due = START - timedelta(seconds=ago)
            store.write_sync(partial(queued_transfers, count=1, first=number, due_at=due))
        look = claims.Look(share)
        store.write_sync(partial(claimed, most=2, look=look))
        assert look.waited == 0, "not before it is committed"
        look.keep()
        assert look.waited == 20
        waits = []
        for _ in range(2):
            take(store, 2, look)
            waits.append(look.waited)
        assert waits == [0, 0]
        clock.later(5)
        store.write_sync(partial(queued_transfers, count=1, first=3, due_at=START))
        take(store, 1, look)
        assert look.waited == 5
        take(store, 1, look)
        assert look.waited == 0, "nobody waits"


def test_a_destination_gets_no_more_than_it_has_room_for(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=6))
    any_store.write_sync(partial(queued_transfers, count=3, first=10, to=["G12"]))
    any_store.write_sync(partial(queued_transfers, count=1, first=20, to=["G12", "G22"]))
    look = claims.Look(share, room={"G22": 2, "G12": 1})
    assert take(any_store, 8, look) == ["t0", "t1", "t10", "t20"], "t20 has several receivers"


def test_a_full_destination_hides_nobody_behind_it(any_store: Store) -> None:
    before = any_store.write_sync(lambda tx: tx.now()) - timedelta(minutes=2)
    count = 2 * claims.LONG_WINDOW + 10
    any_store.write_sync(partial(queued_transfers, count=count, due_at=before))
    any_store.write_sync(partial(queued_transfers, count=1, first=2000, to=["G12"]))
    look = claims.Look(share, room={"G22": 0})
    tries: list[tuple[list[str], bool]] = []
    for _ in range(4):
        got = any_store.write_sync(partial(claimed, most=2, look=look))
        tries.append((ids(got), look.keep()))
    assert tries == [([], True), ([], True), (["t2000"], False), ([], False)]
    look.room = {}
    assert len(take(any_store, 2, look)) == 2, "once it has room again, its own leave"


def test_what_has_lapsed_hides_nobody_behind_it(any_store: Store) -> None:
    before = any_store.write_sync(lambda tx: tx.now()) - timedelta(minutes=2)
    gone = timedelta(seconds=-1)
    count = claims.WINDOW + 5
    any_store.write_sync(partial(queued_transfers, count=count, lifetime=gone, due_at=before))
    any_store.write_sync(partial(queued_transfers, count=1, first=900))
    look = claims.Look(share)
    assert any_store.write_sync(partial(claimed, most=1, look=look)) == []
    assert look.keep() is True, "the window was full"
    assert take(any_store, 1, look) == ["t900"]


def test_what_is_committed_late_is_found_at_once_or_with_the_next_round(any_url: str) -> None:
    clock = Clock()
    with opened(any_url, clock=clock) as store:
        look = claims.Look(share)
        store.write_sync(partial(queued_transfers, count=1))
        assert take(store, 4, look) == ["t0"]
        clock.later(7)
        store.write_sync(partial(queued_transfers, count=1, first=7))
        assert take(store, 4, look) == ["t7"]
        late, later_still = clock.at - timedelta(seconds=4), clock.at - timedelta(seconds=6)
        store.write_sync(partial(queued_transfers, count=1, first=1, due_at=late))
        store.write_sync(partial(queued_transfers, count=1, first=2, due_at=later_still))
        assert take(store, 4, look) == ["t1"]
        clock.later(3)
        assert take(store, 4, look) == ["t2"], "a new round begins where the lane begins"


def test_a_clock_that_steps_back_begins_a_new_round(any_url: str) -> None:
    clock = Clock()
    with opened(any_url, clock=clock) as store:
        look = claims.Look(share)
        store.write_sync(partial(queued_transfers, count=1))
        assert take(store, 4, look) == ["t0"]
        clock.later(-3600)
        store.write_sync(partial(queued_transfers, count=1, first=1))
        assert take(store, 4, look) == ["t1"]


def test_a_claim_that_is_not_committed_leaves_no_trace_in_what_is_remembered(
    any_store: Store,
) -> None:
    class Undone(Exception):
        pass

    any_store.write_sync(partial(queued_transfers, count=2))
    look = claims.Look(share)

    def lost(tx: Tx) -> None:
        claimed(tx, 1, look=look)
        raise Undone

    with pytest.raises(Undone):
        any_store.write_sync(lost)
    assert take(any_store, 4, look) == ["t0", "t1"]


def test_a_claimed_transfer_has_no_due_time_and_cannot_be_claimed_again(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    assert take(any_store, 4, claims.Look(share)) == ["t0"]
    due = any_store.read_sync(lambda tx: tx.scalars(select(transfer.c.due_at)))
    assert due == [None]
    # the state decides, even where somebody has written a due time by hand
    now = any_store.read_sync(lambda tx: tx.now())
    any_store.write_sync(lambda tx: tx.execute(update(transfer).values(due_at=now)))
    assert take(any_store, 4, claims.Look(share)) == []


@pytest.mark.postgres
def test_two_processes_claim_at_once_and_never_the_same(
    postgres_store: Store, postgres_url: str
) -> None:
    postgres_store.write_sync(partial(queued_transfers, count=30))
    gate, got = Gate(), []

    def first(tx: Tx) -> None:
        got.extend(ids(claimed(tx, 8)))
        gate(tx)

    with opened(postgres_url) as other:
        thread = threading.Thread(target=other.write_sync, args=(first,))
        thread.start()
        assert gate.entered.wait(30)
        second = ids(postgres_store.write_sync(partial(claimed, most=8)))
        gate.open()
        thread.join()
    assert (len(got), len(second)) == (8, 8)
    assert not set(got) & set(second)


def plan_of_a_claim(store: Store, url: str) -> str:
    """How the database says that it reads the fronts of the lanes."""
    look = claims.Look(share)
    now = store.read_sync(lambda tx: tx.now())
    _, start = look.start(frozenset(), now)
    return plan_of(store, url, claims.FRONT, claims.asked("vxp", start, claims.WINDOW, now))


def plan_of(store: Store, url: str, asked: Executable, params: dict[str, Any]) -> str:
    if store.dialect == "sqlite":
        _, sql, values = Plans(sqlite_dialect(paramstyle="qmark")).one(asked, params)
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
            rows = conn.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
        return "\n".join(str(row[3]) for row in rows)
    dialect = registry.load("postgresql.psycopg")(paramstyle="format")
    _, sql, values = Plans(dialect).one(asked, params)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("ANALYZE transfer")
        return "\n".join(str(row[0]) for row in conn.execute(f"EXPLAIN {sql}", values).fetchall())


def test_the_front_of_each_lane_is_read_from_its_index_without_sorting(
    any_store: Store, any_url: str
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    # many more, as copies: the planner must see a backlog
    columns = ", ".join(c.name for c in transfer.columns if c.name != "id")
    for doubling in range(13):
        copy = text(
            f"INSERT INTO transfer (id, {columns}) SELECT id || '{doubling:x}', {columns}"
            " FROM transfer"
        )
        any_store.write_sync(lambda tx, copy=copy: tx.execute(copy))
    plan = plan_of_a_claim(any_store, any_url)
    assert plan.count("ix_transfer_due") == 4
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan
    shown = {"state_0": "SEALED", "state_1": "HELD", "after_lane": -1, "after_id": "", "most": 50}
    page = plan_of(any_store, any_url, transfers.in_states(2), shown)
    assert "ix_transfer_listed" in page
    assert not [line for line in page.splitlines() if line.strip(" ->").startswith("Seq Scan on t")]
    assert "SCAN transfer" not in page
