"""What an axis can do to a package that we fetch: nothing of it may be lost, or told to be had."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from adapters.vxp.simulator_store import INITIAL
from gateway.model.arrival import ItemKind
from gateway.store.tables import arrival, fetch, record
from tests.support.houses import Running
from tests.support.kills import zygote
from tests.support.troubles import (
    VPCP,
    WORKERS,
    Scene,
    eventually,
    rows,
    trouble,
    with_changes,
)

FETCHES = select(fetch.c.state, fetch.c.tries, fetch.c.last_code)
FAILURES = select(record.c.event).where(record.c.event.in_(["fetch.failed", "fetch.held"]))
DOWNLOAD, GET = "downloadEdoc", "getEdoc"


def play(folder: Path, plot: Callable[[Scene], Awaitable[None]], **setting: Any) -> None:
    async def run() -> None:
        async with trouble(folder, **setting) as scene:
            await plot(scene)

    asyncio.run(run())


async def on_axis(scene: Scene, number: str = "12") -> dict[str, Any]:
    """A document that stands on the axis and waits for the receiver, whose gateway is off."""
    answer = await scene.submit(number)
    await scene.until(answer, state="ON_AXIS")
    return answer


WAYS = [
    ((DOWNLOAD,), True, "truncated"),
    ((DOWNLOAD,), True, "cut"),
    ((DOWNLOAD, GET), True, "html"),
    ((DOWNLOAD, GET), True, "500"),
    ((GET,), False, "html"),
    ((GET,), False, "cut"),
    ((GET,), False, "truncated"),
    ((GET,), False, "garbage"),
]


@pytest.mark.parametrize(("operations", "download", "fault"), WAYS)
def test_what_did_not_come_whole_is_fetched_again_and_only_then_acknowledged(
    tmp_path: Path, operations: tuple[str, ...], fault: str, *, download: bool
) -> None:
    async def plot(scene: Scene) -> None:
        answer = await on_axis(scene)
        (entry,) = scene.axis.deliveries(VPCP)
        for operation in operations:
            scene.axis.faults.add(fault, operation, times=2)
        there = await scene.there()
        (item,) = await there.inbox(VPCP)
        assert item["document_id"] == answer["document_id"]
        whole = scene.axis.delivered_bytes(entry)
        assert item["package"]["sha256"] == hashlib.sha256(whole).hexdigest()
        await scene.axis.until(lambda axis: entry.doc_id in axis.acknowledged())
        failures = await rows(there, FAILURES)
        assert set(failures) <= {("fetch.failed",)}
        ((state, tries, _),) = await rows(there, FETCHES)
        # resets before an answer are repeated within one fetch: fewer failures than faults
        assert (state, tries) == ("FETCHED", len(failures) + 1)
        assert len(await rows(there, select(arrival.c.id))) == 1

    play(tmp_path, plot, download=download)


@pytest.mark.parametrize(("operations", "download", "fault"), [WAYS[0], WAYS[2], WAYS[5]])
def test_what_never_comes_whole_is_held_unacknowledged_and_stays_with_the_axis(
    tmp_path: Path, operations: tuple[str, ...], fault: str, *, download: bool
) -> None:
    async def plot(scene: Scene) -> None:
        await on_axis(scene)
        (entry,) = scene.axis.deliveries(VPCP)
        for operation in operations:
            scene.axis.faults.add(fault, operation)
        there = await scene.there()
        await eventually(there, FETCHES, lambda found: bool(found) and found[0][0] == "HELD")
        assert await rows(there, FAILURES) == [("fetch.failed",)] * 2 + [("fetch.held",)]
        assert await rows(there, select(arrival.c.id)) == []
        assert scene.axis.requests["updateStatus"] == 0, "it was told nothing, not even `fail`"
        # a person who releases it will find it there
        (still,) = scene.axis.deliveries(VPCP)
        assert (still.doc_id, still.status) == (entry.doc_id, INITIAL)
        (held,) = (await there.gateway.desk.quarantine(10))["fetches"]
        assert (held["axis_doc_id"], held["tries"]) == (entry.doc_id, 3)

    play(tmp_path, plot, download=download, changes=with_changes(collect={"hold_after": 3}))


def test_equal_failures_hold_only_the_package_that_fails(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await on_axis(scene, "12")
        there = await scene.there(["seal", "sweep"])
        scene.axis.faults.add("cut", DOWNLOAD)
        collect = collecting_of(there)
        held = False
        while not held:
            await collect()
            held = (await rows(there, FETCHES))[0][0] == "HELD"
        scene.axis.faults.clear()
        await on_axis(scene, "13")
        await collect()
        assert sorted(r[0] for r in await rows(there, FETCHES)) == ["FETCHED", "HELD"]
        assert len(scene.axis.acknowledged()) == 1

    play(tmp_path, plot, changes=with_changes(collect={"hold_after": 2}))


def test_a_list_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await on_axis(scene)
        for fault in ("html", "truncated", "cut", "garbage", "500", "drop_after"):
            scene.axis.faults.add(fault, "getReceivedEdocList", times=2)
        there = await scene.there()
        (item,) = await there.inbox(VPCP)
        assert item["kind"] == ItemKind.DOCUMENT.value
        assert await rows(there, FAILURES) == []

    play(tmp_path, plot)


def test_an_acknowledgement_that_was_lost_is_made_again_and_nothing_is_stored_twice(
    tmp_path: Path,
) -> None:
    """As after a crash between the commit of the arrival and the word to the axis."""

    async def plot(scene: Scene) -> None:
        await on_axis(scene)
        for fault in ("500", "drop_before", "html"):
            scene.axis.faults.add(fault, "updateStatus", times=1)
        there = await scene.there()
        await scene.axis.until(lambda axis: len(axis.acknowledged()) == 1)
        assert len(await there.inbox(VPCP)) == 1
        assert await rows(there, select(arrival.c.state)) == [("OPENED",)]
        assert scene.axis.requests["updateStatus"] == 4
        assert scene.axis.requests[DOWNLOAD] == 1

    play(tmp_path, plot)


def test_a_package_that_killed_two_processes_is_quarantined_and_its_neighbours_are_opened(
    tmp_path: Path,
) -> None:
    async def plot(scene: Scene) -> None:
        """All three are in the batch that dies first; the next deaths are the killer's own."""
        numbers = ("12", "13", "14")
        answers = [await on_axis(scene, n) for n in numbers]
        async with scene.town.open(scene.receiver, ["collect", "seal"]) as there:
            await eventually(there, select(arrival.c.id), lambda found: len(found) == len(numbers))
            killer, *_ = await rows(
                there, select(arrival.c.id, arrival.c.raw_sha256).order_by(arrival.c.received_at)
            )
        async with zygote() as bearer:
            for _ in range(2):
                victim = await bearer.bear(scene.receiver, deadly=killer[1])
                try:
                    await victim.death()
                finally:
                    await victim.end()
        async with scene.town.open(scene.receiver) as there:
            desk = there.gateway.desk
            await eventually(
                there, select(arrival.c.state), lambda found: ("RECEIVED",) not in found
            )
            items = await there.inbox(VPCP)
            assert [i["document_id"] for i in items] == [a["document_id"] for a in answers[1:]]
            quarantine = await desk.quarantine(10, "vi")
            (poison,) = quarantine["arrivals"]
            assert [f["code"] for f in poison["findings"]] == ["arrival.poison"]
            assert poison["id"] == killer[0]
            with there.gateway.blobs.open(killer[1]) as source:
                assert hashlib.sha256(source.read()).hexdigest() == killer[1]
            found = await rows(there, select(arrival.c.id, arrival.c.state))
            assert sorted(state for _, state in found) == ["OPENED", "OPENED", "QUARANTINED"]

    play(tmp_path, plot, jobs=[j for j in WORKERS if j != "collect"])


def collecting_of(running: Running) -> Callable[[], Awaitable[Any]]:
    """One turn of the collector, by hand: documents of the one axis."""
    (worker,) = [w for w in running.gateway.workers(["collect"]) if w.name == "collect:vxp"]
    return worker.turn
