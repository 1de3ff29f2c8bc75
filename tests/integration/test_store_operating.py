"""What a person at the queue reads and changes, on both databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import sqlite

from gateway.model.transfer import TransferState
from gateway.store import Store, Tx, operating, transfers
from gateway.store.tables import arrival, fetch, transfer
from tests.support.queues import queued_transfers, replayed, walked

LATER = datetime.max.replace(tzinfo=UTC)


def set_to(tx: Tx, transfer_id: str, state: str, **values: Any) -> None:
    walked(tx, transfer_id, state, **{"due_at": None, **values})


def test_the_dead_are_read_newest_first_page_by_page_without_what_was_replayed(
    any_store: Store,
) -> None:
    def fill(tx: Tx) -> None:
        queued_transfers(tx, 6)
        now = tx.now()
        for n, state in enumerate(("REFUSED", "EXPIRED", "HELD", "ON_AXIS", "WITHDRAWN")):
            set_to(tx, f"t{n}", state, moved_at=now - timedelta(minutes=n))
        assert replayed(tx, "t1", "new")

    any_store.write_sync(fill)

    def walk(tx: Tx) -> list[str]:
        found: list[str] = []
        before = (LATER, "")
        while rows := operating.dead(tx, before=before, most=1):
            found.append(rows[0].transfer.id)
            assert rows[0].document_id.startswith("doc-")
            before = (rows[0].transfer.moved_at, rows[0].transfer.id)
        return found

    assert any_store.read_sync(walk) == ["t0", "t2"]


def test_what_ended_in_a_period_is_read_oldest_first_and_its_end_is_outside(
    any_store: Store,
) -> None:
    def fill(tx: Tx) -> datetime:
        queued_transfers(tx, 4)
        now = tx.now()
        for n, state in enumerate(("REFUSED", "EXPIRED", "HELD", "EXPIRED")):
            set_to(tx, f"t{n}", state, moved_at=now - timedelta(minutes=n))
        return now

    now = any_store.write_sync(fill)

    def ended(tx: Tx, minutes: int, after: tuple[int, str] = (99, "")) -> list[str]:
        found = operating.ended(
            tx,
            start=now - timedelta(minutes=minutes),
            end=now,
            after=(now - timedelta(minutes=after[0]), after[1]),
            most=10,
        )
        return [one.transfer.id for one in found]

    assert any_store.read_sync(lambda tx: ended(tx, 5)) == ["t3", "t1"]
    assert any_store.read_sync(lambda tx: ended(tx, 1)) == ["t1"]
    assert any_store.read_sync(lambda tx: ended(tx, 5, (3, "t3"))) == ["t1"]


def test_a_transfer_has_one_replay_whoever_asks(any_store: Store) -> None:
    any_store.write_sync(lambda tx: queued_transfers(tx, 1))
    assert any_store.write_sync(lambda tx: replayed(tx, "t0", "one"))
    assert not any_store.write_sync(lambda tx: replayed(tx, "t0", "two"))
    assert any_store.read_sync(lambda tx: operating.replay_of(tx, "t0")) == "one"
    assert any_store.read_sync(lambda tx: operating.replay_of(tx, "one")) is None
    made = any_store.read_sync(lambda tx: transfers.by_id(tx, "one"))
    assert made is not None
    assert (made.state, made.replay_of, made.attempts) == ("ACCEPTED", "t0", 0)
    (receiver,) = any_store.read_sync(lambda tx: transfers.recipients_of(tx, ["one"]))
    assert (receiver.agency, receiver.state) == ("G22", "PENDING")
    assert any_store.read_sync(lambda tx: transfers.recipients_of(tx, ["two"])) == []


def test_a_replay_keeps_the_due_date_of_its_document(any_store: Store) -> None:
    """The forecast names what is too late by it."""

    def fill(tx: Tx) -> str | None:
        queued_transfers(tx, 1)
        set_to(tx, "t0", "EXPIRED", due_date="2026-11-30")
        assert replayed(tx, "t0", "again")
        return tx.execute(select(transfer.c.due_date).where(transfer.c.id == "again")).scalar()

    assert any_store.write_sync(fill) == "2026-11-30"


def test_sealing_leaves_a_later_turn_alone_and_gives_others_theirs(any_store: Store) -> None:
    def fill(tx: Tx) -> datetime:
        queued_transfers(tx, 2)
        later = tx.now() + timedelta(hours=1)
        assert operating.last_slot(tx) is None
        assert replayed(tx, "t0", "later", later, 1000)
        assert replayed(tx, "t1", "soon")
        return later

    later = any_store.write_sync(fill)
    sealed = any_store.write_sync(
        lambda tx: transfers.mark_sealed(tx, ["r-later", "r-soon"], tx.now())
    )
    assert sealed.moved == 2

    def look(tx: Tx) -> dict[str, datetime | None]:
        rows = tx.execute(select(transfer.c.id, transfer.c.due_at)).all()
        return {str(r[0]): r[1] for r in rows}

    due = any_store.read_sync(look)
    assert due["later"] == later
    assert due["soon"] is not None
    assert due["soon"] < later
    assert any_store.read_sync(operating.last_slot) == later


def test_a_release_asks_whether_its_record_has_its_entry(any_store: Store) -> None:
    def fill(tx: Tx) -> None:
        queued_transfers(tx, 1)
        set_to(tx, "t0", "HELD", equal_answers=3)

    any_store.write_sync(fill)
    assert any_store.write_sync(lambda tx: operating.waits_for_seal(tx, "r0"))
    assert not any_store.write_sync(lambda tx: operating.waits_for_seal(tx, "none"))

    def release(tx: Tx) -> bool:
        row = operating.standing(tx, "t0")
        assert row is not None
        now = tx.now()
        return operating.release(
            tx,
            row._replace(fence=row.fence + wrong),
            state=TransferState.SEALED,
            due_at=now,
            expires_at=now + timedelta(days=1),
            now=now,
        )

    wrong = 1
    assert not any_store.write_sync(release), "another was faster"
    wrong = 0
    assert any_store.write_sync(release)
    assert not any_store.write_sync(release), "it is no longer held"


def test_fetches_and_arrivals_that_wait_are_walked_too(any_store: Store) -> None:
    def fill(tx: Tx) -> None:
        now = tx.now()
        for axis, doc_id, state in (("a", "1", "HELD"), ("b", "1", "HELD"), ("b", "2", "DUE")):
            tx.execute(
                fetch.insert(),
                {
                    "axis": axis, "axis_doc_id": doc_id, "kind": "document", "state": state,
                    "listed_at": now, "due_at": now, "fence": 1, "tries": 3,
                    "equal_failures": 3, "last_code": "http.500",
                },
            )  # fmt: skip
        for n, state in enumerate(("QUARANTINED", "OPENED", "QUARANTINED")):
            tx.execute(
                arrival.insert(),
                {
                    "id": f"a{n}", "axis": "b", "axis_doc_id": f"x{n}", "kind": "document",
                    "state": state, "raw_sha256": "0", "raw_size": 1, "listed_from": "",
                    "listed_to": "", "received_at": now, "opens": 1, "fence": 1, "verdict": {},
                    "findings": [], "record_id": "r",
                },
            )  # fmt: skip

    any_store.write_sync(fill)

    def walk(tx: Tx) -> tuple[list[str], list[str]]:
        first = operating.held_fetches(tx, after=("", ""), most=1)
        second = operating.held_fetches(tx, after=(first[0].axis, first[0].axis_doc_id), most=9)
        newest = operating.quarantined(tx, before=(LATER, ""), most=1)
        older = operating.quarantined(tx, before=(newest[0].received_at, newest[0].id), most=9)
        return [f.axis for f in (*first, *second)], [a.id for a in (*newest, *older)]

    assert any_store.read_sync(walk) == (["a", "b"], ["a2", "a0"])

    def free(tx: Tx) -> tuple[bool, str | None]:
        return operating.release_fetch(tx, "a", "1", tx.now()), operating.fetch_state(tx, "a", "1")

    assert any_store.write_sync(free) == (True, "DUE")
    assert any_store.write_sync(free) == (False, "DUE"), "it is no longer held"
    assert any_store.read_sync(lambda tx: operating.fetch_state(tx, "a", "9")) is None


@pytest.mark.parametrize("asked", ["_DEAD", "_ENDED"])
def test_the_dead_are_found_by_their_own_index(sqlite_url: str, asked: str) -> None:
    """Among a million that live, a look at every row would take seconds."""
    compiled = getattr(operating, asked).compile(dialect=sqlite.dialect())
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as db:
        nothing = [None] * str(compiled).count("?")
        plan = str(db.execute(f"EXPLAIN QUERY PLAN {compiled}", nothing).fetchall())
    assert "ix_transfer_dead" in plan
    assert "ix_transfer_replay_of" in plan
    assert "SCAN document" not in plan
