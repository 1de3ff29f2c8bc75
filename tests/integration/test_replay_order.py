"""A replay stands where its document stands in the family, not at the end; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select, update

from gateway.model.package import BusinessType
from gateway.model.transfer import TransferState
from gateway.store import Store, Tx, claims, families, transfers
from gateway.store.tables import document, turn
from gateway.store.tables import transfer as t
from tests.support.executors import Gate
from tests.support.queues import claimed, queued_transfers, replayed, walked

T = TransferState


def take(store: Store) -> list[claims.Claim]:
    return store.write_sync(partial(claimed, most=8))


def ids(claims_: Sequence[claims.Claim]) -> list[str]:
    return [one.id for one in claims_]


def dead(store: Store, *names: str, state: str = "REFUSED") -> None:
    def end(tx: Tx) -> None:
        for name in names:
            walked(tx, name, state, due_at=None)
            families.let_go(tx, name, tx.now())

    store.write_sync(end)


def act(
    store: Store,
    number: int,
    about: str = "doc-0",
    kind: BusinessType = BusinessType.UPDATE,
    to: Sequence[str] = ("G22",),
) -> None:
    store.write_sync(
        partial(
            queued_transfers,
            count=1,
            first=number,
            lane=0,
            about=[about],
            business_type=int(kind),
            to=to,
        )
    )


def replay(store: Store, old: str, new: str) -> None:
    def make(tx: Tx) -> None:
        assert replayed(tx, old, new)
        transfers.mark_sealed(tx, [f"r-{new}"], tx.now())

    store.write_sync(make)


def on_axis(store: Store, claim: claims.Claim) -> None:
    def commit(tx: Tx) -> None:
        now = tx.now()
        ending = transfers.Ending(T.ON_AXIS, None, False, "x", "", 1)
        assert transfers.end_attempt(tx, claim, "said", ending, seen=now, now=now)

    store.write_sync(commit)


def leaves_in_order(store: Store, *names: str) -> None:
    """One after the other, each only when the one before it is on the axis; then none waits."""
    for name in names:
        (claim,) = take(store)
        assert claim.id == name
        on_axis(store, claim)
    assert take(store) == []
    assert store.read_sync(lambda tx: tx.scalars(select(turn.c.after_id))) == []
    assert set(store.read_sync(lambda tx: tx.scalars(select(t.c.behind)))) == {0}


def test_a_replayed_act_waits_for_the_replay_of_its_document(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    dead(any_store, "t0", "t1")
    replay(any_store, "t0", "t0-again")
    replay(any_store, "t1", "t1-again")
    leaves_in_order(any_store, "t0-again", "t1-again")


def test_a_replayed_document_goes_before_the_replay_of_its_act_that_waits(
    any_store: Store,
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    dead(any_store, "t0", "t1")
    replay(any_store, "t1", "t1-again")
    replay(any_store, "t0", "t0-again")
    leaves_in_order(any_store, "t0-again", "t1-again")


@pytest.mark.parametrize("kind", list(BusinessType)[1:])
def test_an_act_that_waits_lets_the_replay_of_its_refused_document_go_first(
    any_store: Store, kind: BusinessType
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1, kind=kind)
    dead(any_store, "t0")
    replay(any_store, "t0", "again")
    leaves_in_order(any_store, "again", "t1")


def test_a_replay_for_which_an_act_waits_that_could_leave_has_no_slot(any_store: Store) -> None:
    """Else the act, urgent or not, lapsed behind a period that takes ten hours."""
    any_store.write_sync(partial(queued_transfers, count=1))
    dead(any_store, "t0", state="EXPIRED")
    act(any_store, 1)

    def make(tx: Tx) -> None:
        assert replayed(tx, "t0", "again", tx.now() + timedelta(hours=10), 1000)
        transfers.mark_sealed(tx, ["r-again"], tx.now())

    any_store.write_sync(make)
    (first,) = take(any_store)
    assert first.id == "again"
    on_axis(any_store, first)
    assert ids(take(any_store)) == ["t1"]


def test_a_take_back_and_an_act_in_doubt_wait_for_the_replay_too(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    any_store.write_sync(
        partial(queued_transfers, count=1, first=1, about=["doc-0"], kind="status", lane=0)
    )
    act(any_store, 2)
    dead(any_store, "t0")
    any_store.write_sync(lambda tx: walked(tx, "t2", "UNCERTAIN", due_at=tx.now()))
    replay(any_store, "t0", "again")
    leaves_in_order(any_store, "again", "t1", "t2")


def test_an_act_on_its_way_when_the_document_is_replayed_waits_before_its_next_attempt(
    any_store: Store,
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    dead(any_store, "t0")
    (way,) = take(any_store)
    assert way.id == "t1"
    replay(any_store, "t0", "again")

    def deferred(tx: Tx) -> None:
        now = tx.now()
        ending = transfers.Ending(T.DEFERRED, now, False, "x", "", 1)
        assert transfers.end_attempt(tx, way, "said", ending, seen=now, now=now)

    any_store.write_sync(deferred)
    leaves_in_order(any_store, "again", "t1")


def test_acts_among_themselves_keep_the_order_in_which_they_were_accepted(
    any_store: Store,
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    for number in (1, 2, 3):
        act(any_store, number)
    dead(any_store, "t0", "t2")
    replay(any_store, "t2", "again")
    first = take(any_store)
    assert ids(first) == ["t1"]
    on_axis(any_store, first[0])
    leaves_in_order(any_store, "again", "t3")


def test_an_act_about_an_act_waits_for_its_replay(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    act(any_store, 2, about="doc-1")
    dead(any_store, "t0", "t1")
    replay(any_store, "t1", "again")
    leaves_in_order(any_store, "again", "t2")


def test_nobody_waits_for_a_replay_to_another_receiver(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1, to=["G22"]))
    act(any_store, 1, to=["G12"])
    dead(any_store, "t0")
    replay(any_store, "t0", "again")
    assert set(ids(take(any_store))) == {"t1", "again"}


def test_a_clock_that_was_set_back_between_two_acts_makes_nobody_wait_in_a_circle(
    any_store: Store,
) -> None:
    """t2 came after t1 and waits for it, though its clock says that it was before the dead t3."""
    any_store.write_sync(partial(queued_transfers, count=1))
    for number in (1, 2, 3):
        act(any_store, number)
    dead(any_store, "t0", "t3")

    def set_back(tx: Tx) -> None:
        for name, minutes in (("d1", 3), ("d2", 1), ("d3", 2)):
            at = tx.now() + timedelta(minutes=minutes)
            tx.execute(update(document).where(document.c.id == name).values(accepted_at=at))

    any_store.write_sync(set_back)
    replay(any_store, "t3", "again")
    leaves_in_order(any_store, "again", "t1", "t2")


def test_an_act_that_is_accepted_while_its_document_is_replayed_waits_for_it(
    any_store: Store,
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    dead(any_store, "t0")
    gate = Gate()

    def make(tx: Tx) -> None:
        assert replayed(tx, "t0", "again")
        gate(tx)

    replaying = threading.Thread(target=any_store.write_sync, args=(make,))
    replaying.start()
    assert gate.entered.wait(30)
    accepting = threading.Thread(target=act, args=(any_store, 1))
    accepting.start()
    accepting.join(0.3)  # it waits for the replay, or has missed it
    gate.open()
    replaying.join()
    accepting.join()
    any_store.write_sync(lambda tx: transfers.mark_sealed(tx, ["r-again"], tx.now()))
    leaves_in_order(any_store, "again", "t1")
