"""The gate before an axis, over both databases: one breaker for all processes, one prober."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select

from gateway.dispatch import BreakPolicy, share
from gateway.gating import NO_PROBE, Gate, Width
from gateway.model.breaker import BreakerState
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain
from gateway.store import Store, breakers, claims
from gateway.store.tables import record
from gateway.telemetry.metrics import Metrics
from tests.support.databases import opened
from tests.support.queues import claimed, queued_transfers

START = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
DOWN = Deferred("connect.refused")
LEASE = timedelta(minutes=6)
WIDE = Width(8, 8)


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def gate(store: Store, axis: str = "vxp", width: Width = WIDE) -> Gate:
    return Gate(
        store=store,
        metrics=Metrics(),
        axis=axis,
        width=width,
        policy=BreakPolicy(after=3, first_seconds=10, longest_seconds=40),
        probe_lease=LEASE,
        fraction=lambda: 0.0,
    )


async def hear(one: Gate, outcomes: Sequence[Outcome], probe: int = NO_PROBE) -> None:
    for outcome in outcomes:
        await one.heard(outcome, probe)


def standing(store: Store, axis: str = "vxp") -> BreakerState:
    return store.read_sync(lambda tx: breakers.seen(tx, axis)).state


def paused(one: Gate) -> str:
    lines = one.metrics.expose().decode().splitlines()
    return next((x.split()[-1] for x in lines if x.startswith("edoc_breaker_state{")), "")


def test_failures_of_several_processes_in_a_row_open_it_for_all(any_store: Store) -> None:
    async def story() -> None:
        one, two = gate(any_store), gate(any_store)
        await hear(one, [DOWN])
        await hear(two, [Uncertain("answer.silence"), DOWN])
        assert standing(any_store) is BreakerState.OPEN
        assert standing(any_store, "other") is BreakerState.CLOSED
        assert paused(two) == "2.0"

    any_store.write_sync(partial(queued_transfers, count=2))
    asyncio.run(story())
    look = claims.Look(share)
    assert any_store.write_sync(partial(claimed, most=4, look=look)) == []
    assert look.standing.state is BreakerState.OPEN
    written = any_store.read_sync(lambda tx: tx.scalars(select(record.c.event)))
    assert set(written) == {"submission.accepted"}, "no legal fact"


def test_refusals_of_documents_and_answers_keep_it_closed(any_store: Store) -> None:
    async def story() -> None:
        one = gate(any_store)
        await hear(one, [Refused("vxp.22")] * 9)
        await hear(one, [DOWN, DOWN, Deferred("vxp.-1"), DOWN, DOWN])

    asyncio.run(story())
    assert standing(any_store) is BreakerState.CLOSED


def test_after_the_pause_one_process_probes_with_one_transfer(any_url: str) -> None:
    clock = Clock()

    async def story(store: Store) -> None:
        one, two = gate(store), gate(store)
        await hear(one, [DOWN] * 3)
        assert await one.probe() == NO_PROBE, "the pause is not over"
        clock.at += timedelta(seconds=5)
        fences = [await one.probe(), await two.probe()]
        assert fences[0] != NO_PROBE
        assert fences[1] == NO_PROBE
        look, other = claims.Look(share, probe=fences[0]), claims.Look(share)
        assert await store.write(partial(claimed, most=4, look=other)) == []
        assert len(await store.write(partial(claimed, most=1, look=look))) == 1
        await hear(one, [DOWN], fences[0])
        assert standing(store) is BreakerState.OPEN
        clock.at += timedelta(seconds=5)
        assert await two.probe() == NO_PROBE, "the second pause is twice as long"
        clock.at += timedelta(seconds=5)
        fence = await two.probe()
        assert fence != NO_PROBE
        await hear(one, [DOWN])
        assert standing(store) is BreakerState.HALF_OPEN, "only the probe decides"
        await hear(two, [Delivered("1")], fence)
        assert standing(store) is BreakerState.CLOSED
        assert paused(two) == "0.0"
        assert len(await store.write(partial(claimed, most=4, look=other))) == 2

    with opened(any_url, clock=clock) as store:
        store.write_sync(partial(queued_transfers, count=3))
        asyncio.run(story(store))


def test_a_prober_that_dies_is_followed_by_another(any_url: str) -> None:
    clock = Clock()

    async def story(store: Store) -> None:
        one, two = gate(store), gate(store)
        await hear(one, [DOWN] * 3)
        clock.at += timedelta(seconds=10)
        gone = await one.probe()
        clock.at += LEASE
        fence = await two.probe()
        assert NO_PROBE != fence != gone
        await hear(one, [DOWN], gone)
        assert standing(store) is BreakerState.HALF_OPEN, "the dead one's word is nobody's"
        await two.unused(fence)
        assert await one.probe() != NO_PROBE, "nothing to probe with: whoever has something"

    with opened(any_url, clock=clock) as store:
        asyncio.run(story(store))


def test_an_answer_that_comes_late_closes_it(any_store: Store) -> None:
    async def story() -> None:
        one = gate(any_store)
        await hear(one, [DOWN] * 3)
        await hear(one, [Delivered("1")])

    asyncio.run(story())
    assert standing(any_store) is BreakerState.CLOSED


@pytest.mark.parametrize("width", [Width(8, 2), Width(3, 3)], ids=str)
def test_a_destination_has_as_much_room_as_its_attempts_deserve(
    sqlite_store: Store, width: Width
) -> None:
    one = gate(sqlite_store, width=width)
    assert one.room() == {}
    assert one.room_for_others == min(5, width.to_one)
    for _ in range(2):
        one.started("G22")
    one.started("")
    assert one.room() == {"G22": width.to_one - 2}
    one.ended("G22", Uncertain("answer.silence"))
    one.ended("G22", None)
    one.ended("", Delivered("1"))
    assert one.room() == {"G22": max(width.to_one - 1, 1)}
    assert one.window.limit == min(5, width.most) - 1


def test_destinations_without_attempts_are_forgotten(sqlite_store: Store) -> None:
    one = gate(sqlite_store)
    one.started("busy")
    for number in range(2000):
        one.started(f"G{number}")
        one.ended(f"G{number}", Delivered("1"))
    assert "busy" in one.room()
    assert len(one.room()) <= 600
