"""The timestamp authority is dead for a simulated day, and beyond; a clock is set by hand."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from adapters.tsa import server as tsa_server
from adapters.tsa.authority import LocalAuthority
from adapters.tsa.make import make_authority
from gateway.errors import Severity, Unavailable
from gateway.model.arrival import ItemKind
from gateway.promise import VIETNAM
from gateway.store.tables import checkpoint, record, stamp, transfer
from tests.support.houses import NOW, Running
from tests.support.troubles import SO19, Scene, rows, trouble, with_changes

HOUR = timedelta(hours=1)
STATES = select(transfer.c.state, transfer.c.hold_cause).order_by(transfer.c.id)
SEALED_SIZE = select(func.max(checkpoint.c.size))
STAMPED_SIZE = select(func.max(stamp.c.size))
RECORDED = select(func.count()).select_from(record)
EVENTS = select(record.c.event).order_by(record.c.at, record.c.id)


class HandClock:
    """A wall clock that somebody sets by hand: the gateway's and the authority's."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Outage:
    """A gateway with one authority that can be switched on; its clock stands until it is set."""

    def __init__(self, scene: Scene, url: str, authority: LocalAuthority) -> None:
        self.scene = scene
        self.clock = HandClock(NOW)
        self.url = url
        self.authority = authority
        self.stack = AsyncExitStack()
        scene.here.gateway.scribe.clock = self.clock

    @property
    def here(self) -> Running:
        return self.scene.here

    async def later(self, by: timedelta) -> list[tuple[str, Severity]]:
        """The clock moves; what readiness says then, and every process has noticed."""
        self.clock.at += by
        await self.here.gateway._gauge()
        return [(f.code, f.severity) for f in await self.here.gateway.readiness()]

    async def answers(self) -> None:
        port = urlsplit(self.url).port or 0
        await self.stack.enter_async_context(
            tsa_server.serve("127.0.0.1", port, self.authority, self.clock)
        )

    async def silent(self) -> None:
        await self.stack.aclose()

    async def covered(self) -> None:
        """Every record is sealed and stamped; no traffic is needed for that."""

        async with asyncio.timeout(60):
            while True:
                ((size,),) = await rows(self.here, SEALED_SIZE)
                ((stamped,),) = await rows(self.here, STAMPED_SIZE)
                ((recorded,),) = await rows(self.here, RECORDED)
                if size == stamped == recorded:
                    return
                await self.here.gateway.store.listener("test").wait(0.05)

    def level(self) -> float | None:
        return self.here.gateway.metrics.registry.get_sample_value("edoc_stamp_level")


def play(folder: Path, plot: Any, databases: tuple[str, str] = ("", ""), **stamps: Any) -> None:
    async def run() -> None:
        authority = make_authority(folder / "tsa", NOW)
        async with tsa_server.serve("127.0.0.1", 0, authority, HandClock(NOW)) as running:
            url = running.url  # nobody listens there from here on
        named = {"name": "gone", "url": url, "ca_file": str(folder / "tsa" / "ca.pem")}
        changes = with_changes(stamp={"interval": "20ms", "authorities": [named], **stamps})
        async with trouble(folder, changes=changes, databases=databases) as scene:
            outage = Outage(scene, url, authority)
            try:
                await plot(outage)
            finally:
                await outage.stack.aclose()

    asyncio.run(run())


async def on_axis(outage: Outage, number: str) -> dict[str, Any]:
    answer = await outage.scene.submit(number)
    await outage.scene.until(answer, state="ON_AXIS")
    return answer


def held(states: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [s for s in states if s[0] == "HELD"]


def test_a_dead_day_documents_flow_alarms_come_in_order_and_the_gap_is_stamped_without_traffic(
    tmp_path: Path,
) -> None:
    async def plot(outage: Outage) -> None:
        await outage.answers()
        await on_axis(outage, "1")
        await outage.covered()
        before = outage.clock.at
        await outage.silent()
        assert await outage.later(timedelta(minutes=1)) == []
        began = outage.clock.at
        first = await on_axis(outage, "2")
        heard = []
        for hour in range(24):
            await on_axis(outage, str(hour + 3))
            heard.append(await outage.later(HOUR))
        assert heard == [[]] + 23 * [[("stamp.late", Severity.WARNING)]]
        assert outage.level() == 1
        (alarm,) = await outage.here.gateway.readiness()
        told = alarm.as_json("en")
        brake_at = (began + timedelta(hours=48)).astimezone(VIETNAM).strftime("%H:%M %d/%m/%Y")
        assert told["until"].startswith(brake_at)
        assert "accepted but held" in told["until"]
        await outage.answers()
        await outage.covered()
        assert await outage.later(timedelta(minutes=1)) == []
        assert outage.level() == 0
        assert held(await rows(outage.here, STATES)) == []
        # the bundle states both ends of the gap
        recovered = outage.clock.at - timedelta(minutes=1)
        with await outage.here.gateway.desk.exporting.export(first["id"]) as made:
            container = zipfile.ZipFile(io.BytesIO(made.read()))
        minutes = container.read("bien-ban.txt").decode()
        bounds = [t.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M:%S") for t in (before, recovered)]
        (gap,) = [x for x in minutes.splitlines() if "TẠM TÍNH" in x]
        assert all(b in gap for b in bounds), gap

    play(tmp_path, plot)


def test_beyond_the_brake_documents_are_held_and_go_by_themselves_after_a_stamp(
    tmp_path: Path,
) -> None:
    async def plot(outage: Outage) -> None:
        await on_axis(outage, "1")
        assert await outage.later(2 * HOUR) == [("stamp.late", Severity.WARNING)]
        assert await outage.later(47 * HOUR) == [("stamp.brake", Severity.WARNING)]
        assert outage.level() == 2
        answer = await outage.scene.submit("2")
        assert [f["code"] for f in answer["findings"]] == ["stamp.held"]
        assert held(await rows(outage.here, STATES)) == [("HELD", "unstamped")]
        (report,) = await outage.here.inbox(SO19, ItemKind.REPORT)
        assert report["report"]["hold_cause"] == "unstamped"
        await outage.answers()
        await outage.scene.until(answer, state="ON_AXIS")
        await outage.covered()
        assert await outage.later(timedelta(minutes=1)) == []
        events = [e for (e,) in await rows(outage.here, EVENTS)]
        assert events.count("transfer.held") == events.count("transfer.released") == 1
        await on_axis(outage, "3")

    play(tmp_path, plot)


def test_the_other_policy_refuses_new_documents_and_answers_repetitions(tmp_path: Path) -> None:
    async def plot(outage: Outage) -> None:
        first = await on_axis(outage, "1")
        assert await outage.later(49 * HOUR) == [("stamp.brake", Severity.ERROR)]
        with pytest.raises(Unavailable) as refused:
            await outage.scene.submit("2")
        assert refused.value.code == "stamp.overdue"
        assert await outage.scene.submit("1") == first
        await outage.answers()
        await outage.covered()
        assert await outage.later(timedelta(minutes=1)) == []
        await on_axis(outage, "2")

    play(tmp_path, plot, brake="refuse")


def test_an_authority_that_hangs_keeps_nothing_from_being_sent(tmp_path: Path) -> None:
    async def plot(outage: Outage) -> None:
        port = urlsplit(outage.url).port or 0
        hangs = (tsa_server.Fault.HANG,) * 9
        async with tsa_server.serve(
            "127.0.0.1", port, outage.authority, outage.clock, hangs
        ) as running:
            await on_axis(outage, "1")
            async with asyncio.timeout(60):
                await running.hanging.wait()
            await on_axis(outage, "2")
            assert await rows(outage.here, STAMPED_SIZE) == [(None,)]

    play(tmp_path, plot, deadline="10m")


@pytest.mark.postgres
def test_on_postgresql_too_what_the_brake_held_goes_by_itself(
    tmp_path: Path, postgres_url: str
) -> None:
    async def plot(outage: Outage) -> None:
        await on_axis(outage, "1")
        assert await outage.later(49 * HOUR) == [("stamp.brake", Severity.WARNING)]
        answer = await outage.scene.submit("2")
        assert held(await rows(outage.here, STATES)) == [("HELD", "unstamped")]
        await outage.answers()
        await outage.scene.until(answer, state="ON_AXIS")
        await outage.covered()

    play(tmp_path, plot, databases=(postgres_url, ""))


def test_a_clock_that_stamps_contradict_is_an_alarm_and_nothing_is_rewritten(
    tmp_path: Path,
) -> None:
    async def plot(outage: Outage) -> None:
        await outage.answers()
        ours = HandClock(NOW + 2 * HOUR)
        outage.here.gateway.scribe.clock = ours
        await on_axis(outage, "1")
        await outage.covered()
        found = await outage.here.gateway.readiness()
        assert [f.code for f in found] == ["clock.drift"]
        assert "ahead by at least 7199.0 s" in found[0].text.en
        instants = {at for (at,) in await rows(outage.here, select(record.c.at).distinct())}
        assert ours.at in instants, "the record has the clock as it was"
        ours.at = NOW
        await on_axis(outage, "2")
        await outage.covered()
        assert await outage.here.gateway.readiness() == []

    play(tmp_path, plot)
