"""Faults on our own side: no timestamp authority, no sealer, a clock that jumps, a full disk."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from adapters.tsa import server as tsa_server
from adapters.tsa.make import make_authority
from gateway.errors import Severity, Unavailable
from gateway.store.tables import (
    arrival,
    blob,
    checkpoint,
    document,
    idempotency,
    inbox_item,
    record,
    stamp,
    transfer,
)
from tests.support.houses import NOW, PDF, WallClock, metadata
from tests.support.troubles import (
    IMPATIENT,
    SO19,
    VPCP,
    WORKERS,
    Scene,
    eventually,
    rows,
    trouble,
    with_changes,
)

MIB = 1024 * 1024
SEALED_SIZE = select(func.max(checkpoint.c.size))
STAMPED_SIZE = select(func.max(stamp.c.size))


def play(folder: Path, plot: Callable[[Scene], Awaitable[None]], **setting: Any) -> None:
    async def run() -> None:
        async with trouble(folder, **setting) as scene:
            await plot(scene)

    asyncio.run(run())


def test_sending_and_receiving_go_on_without_a_timestamp_authority(tmp_path: Path) -> None:
    """Its address is known, and nobody listens there until everything is sent."""

    async def plot(scene: Scene) -> None:
        answer = await scene.submit()
        there = await scene.there()
        (item,) = await there.inbox(VPCP)
        await there.gateway.desk.confirm(await there.account(VPCP), item["id"])
        shown = await scene.here.until(
            SO19, answer["id"], lambda d: d["transfers"][0]["recipients"][0]["status_code"] == "01"
        )
        assert shown["transfers"][0]["state"] == "ON_AXIS"
        assert await rows(scene.here, STAMPED_SIZE) == [(None,)]

    async def run() -> None:
        authority = make_authority(tmp_path / "tsa", NOW)
        anchor = tmp_path / "tsa" / "ca.pem"
        async with tsa_server.serve("127.0.0.1", 0, authority, WallClock()) as running:
            url = running.url
        named = {"name": "gone", "url": url, "ca_file": str(anchor)}
        changes = with_changes(stamp={"interval": "20ms", "authorities": [named]})
        async with trouble(tmp_path, changes=changes) as scene:
            await plot(scene)
            port = urlsplit(url).port or 0
            async with tsa_server.serve("127.0.0.1", port, authority, WallClock()):
                ((sealed,),) = await rows(scene.here, SEALED_SIZE)
                await eventually(
                    scene.here, STAMPED_SIZE, lambda found: (found[0][0] or 0) >= sealed
                )

    asyncio.run(run())


def test_nothing_is_accepted_while_the_ledger_is_not_sealed_in_time(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        gateway = scene.here.gateway
        await scene.here.account(SO19)
        while await gateway.sealing.seal():
            pass  # what was recorded before must not be what is late
        await scene.submit("12")
        listener = gateway.store.listener("test")
        async with asyncio.timeout(30):
            while not [f for f in await gateway.readiness() if f.severity is Severity.ERROR]:
                await listener.wait(0.02)
        assert [f.code for f in await gateway.readiness()] == ["ledger.unsealed"]
        with pytest.raises(Unavailable) as refused:
            await scene.submit("13")
        assert refused.value.code == "ledger.unsealed"
        assert await rows(scene.here, select(func.count()).select_from(document)) == [(1,)]
        assert await rows(scene.here, select(func.count()).select_from(idempotency)) == [(1,)]
        while await gateway.sealing.seal():
            pass
        assert await gateway.readiness() == []
        answer = await scene.submit("13")
        assert answer["transfers"][0]["state"] == "ACCEPTED"

    without = [w for w in WORKERS if w != "seal"]
    play(tmp_path, plot, jobs=without, changes=with_changes(seal={"max_delay": "200ms"}))


class HandClock:
    """A wall clock that somebody sets by hand."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


ITEMS = select(func.count()).select_from(inbox_item)
STEPS = select(record.c.event, record.c.at).where(record.c.event == "clock.stepped")


def test_a_clock_that_steps_back_is_written_down_beside_the_next_fact(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        clock = HandClock(scene.here.gateway.scribe.now())
        scene.here.gateway.scribe.clock = clock
        first = clock.at
        await scene.submit("12")
        clock.at = first - timedelta(seconds=1.9)
        await scene.submit("13")
        assert await rows(scene.here, STEPS) == [], "within the tolerance of two seconds"
        clock.at = first - timedelta(seconds=2.1)
        answer = await scene.submit("14")
        assert await rows(scene.here, STEPS) == [("clock.stepped", clock.at)]
        # `at` is the wall clock as it was, not made to grow
        accepted = [r for r in await scene.history(answer) if r["event"] == "submission.accepted"]
        assert datetime.fromisoformat(accepted[0]["at"]) == clock.at

    play(tmp_path, plot, jobs=["seal"])


def test_the_receiving_side_writes_a_step_of_its_clock_down_too(tmp_path: Path) -> None:
    """Beside an arrival, and beside the instant that matters most: entered."""

    async def plot(scene: Scene) -> None:
        there = await scene.there()
        clock = HandClock(there.gateway.scribe.now())
        there.gateway.scribe.clock = clock
        for number in ("12", "13"):
            clock.at -= timedelta(hours=1)
            await scene.submit(number)
            await eventually(
                there, select(inbox_item.c.id), lambda f, n=number: len(f) == int(n) - 11
            )
        assert await rows(there, STEPS) == [("clock.stepped", clock.at)]
        clock.at -= timedelta(hours=1)
        who = await there.account(VPCP)
        await there.gateway.desk.confirm(who, (await there.inbox(VPCP))[0]["id"])
        assert len(await rows(there, STEPS)) == 2

    play(tmp_path, plot)


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond it (EFBIG), as a full disk refuses with ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def a_scan(size: int) -> bytes:
    """A PDF that no zip makes smaller."""
    return PDF + os.urandom(size)


def stored_files(scene: Scene) -> list[str]:
    """Every file of the sender's blob store, names of the spool included."""
    return [p.name for p in (scene.sender.folder / "data" / "blobs").rglob("*") if p.is_file()]


@pytest.mark.parametrize("size", [3 * MIB, 900 * 1024], ids=["spooled", "in memory"])
def test_a_full_disk_refuses_a_submission_and_keeps_nothing_of_it(
    tmp_path: Path, size: int
) -> None:
    async def plot(scene: Scene) -> None:
        scan = a_scan(size)
        said = metadata(SO19, VPCP)
        await scene.here.account(SO19)
        with no_file_longer_than(512 * 1024), pytest.raises(Unavailable) as refused:
            await scene.here.submit(said, ("scan.pdf", scan), key="one")
        assert refused.value.code == "blob.unavailable"
        for table in (document, transfer, idempotency, blob):
            assert await rows(scene.here, select(func.count()).select_from(table)) == [(0,)], table
        assert await rows(scene.here, select(record.c.event)) == [("account.added",)]
        assert stored_files(scene) == []
        answer = await scene.here.submit(said, ("scan.pdf", scan), key="one")
        await scene.until(answer, state="ON_AXIS")
        assert len(stored_files(scene)) == 1

    play(tmp_path, plot)


def test_a_full_disk_never_acknowledges_what_it_could_not_keep(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        answer = await scene.here.submit(
            metadata(SO19, VPCP), ("scan.pdf", a_scan(2 * MIB)), key="one"
        )
        await scene.until(answer, state="ON_AXIS")
        with no_file_longer_than(1 * MIB):
            there = await scene.there()
            # the second try begins after the first one failed
            await scene.axis.until(lambda axis: axis.requests["downloadEdoc"] >= 2)
            assert await rows(there, select(arrival.c.id)) == []
            assert scene.axis.acknowledged() == ()
            assert await rows(there, select(record.c.event)) == [], "it is not the axis' fault"
        (item,) = await there.inbox(VPCP)
        assert item["document_id"] == answer["document_id"]
        await scene.axis.until(lambda axis: len(axis.acknowledged()) == 1)

    jobs = [w for w in WORKERS if w != "collect"]
    changes = with_changes(collect={**IMPATIENT["collect"], "fetch_deadline": "1s"})
    play(tmp_path, plot, jobs=jobs, changes=changes)


def test_a_database_that_cannot_grow_promises_nothing_and_recovers(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await scene.here.account(SO19)
        files = (scene.sender.folder / "data").glob("gateway.sqlite*")
        with no_file_longer_than(max(f.stat().st_size for f in files)):
            refused = None
            for number in range(100, 400):
                try:
                    await scene.submit(str(number))
                except Unavailable as problem:
                    refused = problem
                    break
            assert refused is not None
            assert refused.code == "store.unavailable"
            kept = select(document.c.id).where(document.c.document_id.contains(f",{number}/"))
            assert await rows(scene.here, kept) == []
        answer = await scene.submit(str(number))
        await scene.until(answer, state="ON_AXIS")

    play(tmp_path, plot)
