"""A recall never overtakes its document, and waits for nothing that has ended; both databases."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from gateway.model.transfer import TransferState
from gateway.store import Store, Tx, claims, families, transfers
from gateway.store.tables import turn
from tests.support.executors import Gate
from tests.support.queues import claimed, queued_transfers, walked

T = TransferState


def take(store: Store, most: int = 8) -> list[str]:
    return [one.id for one in store.write_sync(partial(claimed, most=most))]


def act(store: Store, number: int, **more: object) -> None:
    """A recall of doc-0 to the same receiver, urgent."""
    store.write_sync(
        partial(queued_transfers, count=1, first=number, lane=0, about=["doc-0"], **more)
    )


def end(store: Store, claim: claims.Claim, state: TransferState) -> None:
    """The attempt ends so; due again at once where it is not over."""

    def commit(tx: Tx) -> None:
        now = tx.now()
        due = now if state in (T.DEFERRED, T.UNCERTAIN) else None
        ending = transfers.Ending(state, due, state is T.UNCERTAIN, "x", "", 1)
        assert transfers.end_attempt(tx, claim, "said", ending, seen=now, now=now)

    store.write_sync(commit)


def test_an_act_waits_until_its_document_is_on_the_axis(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    (document,) = any_store.write_sync(partial(claimed, most=8))
    assert document.id == "t0", "the act is more urgent, and waits all the same"
    assert take(any_store) == []
    for state in (T.DEFERRED, T.UNCERTAIN):
        end(any_store, document, state)
        (document,) = any_store.write_sync(partial(claimed, most=8))
        assert document.id == "t0"
    end(any_store, document, T.ON_AXIS)
    assert take(any_store) == ["t1"]
    assert any_store.read_sync(lambda tx: tx.scalars(select(turn.c.after_id))) == []


def test_an_act_goes_on_behind_a_document_that_was_refused(any_store: Store) -> None:
    """It was promised by itself, and a receiver without the document answers so."""
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    (document,) = any_store.write_sync(partial(claimed, most=8))
    end(any_store, document, T.REFUSED)
    assert take(any_store) == ["t1"]


@pytest.mark.parametrize("state", [T.EXPIRED, T.WITHDRAWN, T.REROUTED])
def test_an_act_goes_on_behind_a_document_that_ended_without_an_attempt(
    any_store: Store, state: TransferState
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    assert any_store.write_sync(partial(moved, old=T.SEALED, new=state))
    assert take(any_store) == ["t1"]


def moved(tx: Tx, old: TransferState, new: TransferState) -> bool:
    return transfers.move(tx, "t0", fence=0, old=old, new=new, doubt=False, now=tx.now())


def test_an_act_waits_for_a_person_who_must_decide_about_its_document(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    assert any_store.write_sync(partial(moved, old=T.SEALED, new=T.HELD))
    assert take(any_store) == []
    assert any_store.write_sync(lambda tx: transfers.settle_on_axis(tx, "t0", now=tx.now()))
    assert take(any_store) == ["t1"]


def test_a_document_that_waits_for_the_sealer_holds_up_its_recall(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1, sealed=False))
    act(any_store, 1)
    assert take(any_store) == []
    any_store.write_sync(lambda tx: transfers.mark_sealed(tx, ["r0"], tx.now()))
    assert take(any_store) == ["t0"]


def test_an_act_waits_only_for_receivers_that_it_is_sent_to(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1, to=["G22"]))
    act(any_store, 1, to=["G12"])
    act(any_store, 2, to=["G12", "G22"])
    assert take(any_store) == ["t1", "t0"]


def test_acts_and_statuses_about_one_document_keep_their_order_on_any_axis(
    any_store: Store,
) -> None:
    any_store.write_sync(partial(queued_transfers, count=1, axis="a"))
    for number, lane in ((1, 3), (2, 2), (3, 0)):
        any_store.write_sync(
            partial(
                queued_transfers, count=1, first=number, lane=lane, about=["doc-0"], kind="status"
            )
        )
    assert take(any_store) == [], "the document is on another axis, and not sent yet"
    (document,) = any_store.write_sync(partial(claimed, most=8, axis="a"))
    end(any_store, document, T.ON_AXIS)
    for name in ("t1", "t2", "t3"):
        (status,) = any_store.write_sync(partial(claimed, most=8))
        assert status.id == name
        end(any_store, status, T.ON_AXIS)


def test_an_act_that_waits_too_long_ends_and_holds_up_nobody(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1, axis="silent"))
    act(any_store, 1, lifetime=timedelta(seconds=-1))
    lapsed = any_store.read_sync(lambda tx: transfers.past_lifetime(tx, tx.now()))
    assert [row.id for row in lapsed] == ["t1"]


def test_a_document_that_ends_while_its_recall_is_being_accepted_lets_it_go(
    any_store: Store,
) -> None:
    """Whoever comes first: either the recall sees the end, or the end sees the recall."""
    any_store.write_sync(partial(queued_transfers, count=1))
    (document,) = any_store.write_sync(partial(claimed, most=8))
    gate = Gate()

    def accept(tx: Tx) -> None:
        queued_transfers(tx, 1, first=1, about=["doc-0"])
        gate(tx)

    accepting = threading.Thread(target=any_store.write_sync, args=(accept,))
    accepting.start()
    assert gate.entered.wait(30)
    ending = threading.Thread(target=end, args=(any_store, document, T.ON_AXIS))
    ending.start()
    gate.open()
    accepting.join()
    ending.join()
    assert take(any_store) == ["t1"]


def test_one_that_waits_for_nobody_any_more_is_let_go_by_the_sweep(any_store: Store) -> None:
    any_store.write_sync(partial(queued_transfers, count=1))
    act(any_store, 1)
    any_store.write_sync(lambda tx: walked(tx, "t0", "WITHDRAWN", due_at=None))
    assert take(any_store) == []
    assert any_store.write_sync(lambda tx: families.let_go_forgotten(tx, tx.now())) == 1
    assert take(any_store) == ["t1"]
    assert any_store.write_sync(lambda tx: families.let_go_forgotten(tx, tx.now())) == 0
