"""The pace of a period's replays holds when they leave, whatever stood still; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

from sqlalchemy import select, update

from gateway.dispatch import share
from gateway.store import Store, Tx, claims, transfers
from gateway.store.pacing import SLACK
from gateway.store.tables import transfer as t
from tests.support.queues import claimed, queued_transfers, replayed, walked

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
When = Callable[[datetime, int], datetime]


def period(store: Store, count: int, when: When, *, pace_ms: int = 1000, axis: str = "vxp") -> None:
    """`count` replays p0, p1..., sealed, the nth of them due `when(now, n)`."""

    def make(tx: Tx) -> None:
        now = tx.now()
        queued_transfers(tx, count, axis=axis, name="old")
        for n in range(count):
            walked(tx, f"told{n}", "EXPIRED", due_at=None)
            assert replayed(tx, f"told{n}", f"p{n}", now, pace_ms)
        transfers.mark_sealed(tx, [f"r-p{n}" for n in range(count)], now)
        for n in range(count):
            tx.execute(update(t).where(t.c.id == f"p{n}").values(due_at=when(now, n)))

    store.write_sync(make)


def take(store: Store) -> list[str]:
    return [one.id for one in store.write_sync(partial(claimed, most=50))]


def due(store: Store) -> list[tuple[str, datetime]]:
    asked = select(t.c.id, t.c.due_at).where(t.c.due_at.is_not(None)).order_by(t.c.due_at)
    return store.read_sync(lambda tx: [(str(r[0]), r[1]) for r in tx.execute(asked)])


def clock(store: Store) -> datetime:
    return store.read_sync(lambda tx: tx.now())


def test_replays_that_an_axis_could_not_take_for_an_hour_leave_one_by_one(
    any_store: Store,
) -> None:
    period(any_store, 40, lambda now, n: now - HOUR + n * SECOND)
    before = clock(any_store)
    assert take(any_store) == ["p0"]
    left = due(any_store)
    assert [name for name, _ in left] == [f"p{n}" for n in range(1, 40)], "in their order"
    assert left[0][1] >= before + SECOND
    assert {b - a for (_, a), (_, b) in pairwise(left)} == {SECOND}


def test_those_still_to_come_make_room_and_those_far_away_stay(any_store: Store) -> None:
    far = HOUR * 9

    def when(now: datetime, n: int) -> datetime:
        return now + far + n * SECOND if n >= 130 else now + (n - 100) * SECOND

    period(any_store, 135, when)
    last = due(any_store)[-5:]
    assert take(any_store) == ["p0"]
    left = due(any_store)
    assert min(b - a for (_, a), (_, b) in pairwise(left)) >= SECOND
    assert left[-5:] == last


def test_what_was_sealed_late_and_all_at_once_leaves_one_by_one(any_store: Store) -> None:
    period(any_store, 30, lambda now, _: now)
    assert len(take(any_store)) == 1
    assert len({at for _, at in due(any_store)}) == 29


def test_what_waits_for_room_does_not_hold_up_the_others(any_store: Store) -> None:
    """However often they come: each time it is the first, and late."""
    period(any_store, 6, lambda now, n: now - HOUR + n * SECOND)

    def part(tx: Tx) -> None:
        tx.execute(update(t).where(t.c.pace_ms.is_not(None)).values(destination="X"))
        tx.execute(update(t).where(t.c.id.in_(["p3", "p5"])).values(destination="Y"))

    any_store.write_sync(part)
    look = claims.Look(share, room={"X": 0})
    taken = any_store.write_sync(partial(claimed, most=50, look=look))
    assert [one.id for one in taken] == ["p3"]
    first = [name for name, _ in due(any_store)]
    assert first == ["p0", "p1", "p2", "p4", "p5"]
    until = due(any_store)[-1][1]
    any_store.write_sync(partial(claimed, most=50, look=claims.Look(share, room={"X": 0})))
    assert due(any_store)[-1] == ("p5", until), "its slot stays"


def test_a_queue_that_is_slower_than_the_pace_is_not_written_anew_each_time(
    any_store: Store,
) -> None:
    period(any_store, 50, lambda now, n: now + (n - 40) * SECOND)
    before = dict(due(any_store))
    assert len(any_store.write_sync(partial(claimed, most=3))) == 3
    after = dict(due(any_store))
    assert len(after) == 47
    assert after.items() <= before.items()


def test_a_little_late_is_not_late(any_store: Store) -> None:
    """Workers look every second or so: what came due meanwhile goes together."""
    period(any_store, 3, lambda now, n: now - 2 * SECOND + n * SECOND)
    assert timedelta(seconds=3) < SLACK
    assert take(any_store) == ["p0", "p1", "p2"]


def test_documents_are_not_held_up_by_replays_and_replays_of_one_axis_not_by_another(
    any_store: Store,
) -> None:
    period(any_store, 20, lambda now, _: now - HOUR, axis="other")
    any_store.write_sync(partial(queued_transfers, count=5, first=100))
    assert len(take(any_store)) == 5
    assert len({at for _, at in due(any_store)}) == 1, "nobody came to take those of the other"


def test_a_replay_that_waits_for_another_takes_no_turn(any_store: Store) -> None:
    period(any_store, 5, lambda now, n: now - HOUR + n * SECOND)
    any_store.write_sync(lambda tx: tx.execute(update(t).where(t.c.id == "p0").values(behind=1)))
    assert take(any_store) == ["p1"]
