"""The loopback axis onto an intake in memory, by the contract of the port Axis."""

from __future__ import annotations

import asyncio
import contextlib
import io

import pytest

from adapters.loopback.axis import LoopbackAxis
from gateway.errors import Broken, Text, Unavailable
from gateway.model.outcome import Deferred, Delivered
from gateway.model.package import PackageKind
from gateway.ports import Count, Listing, WaitingItem
from tests.contract.axis_suite import AxisSuite
from tests.support.axes import MemoryIntake, document_package, parcel


class LoopbackSubject:
    def __init__(self):
        self.intake = MemoryIntake()
        self.axis = LoopbackAxis(self.intake)
        self.secrets = ()
        self.agencies = ()

    async def break_remote(self, how):
        if how == "silent":
            self.intake.before.clear()
        elif how == "silent_after":
            self.intake.after.clear()
        elif how == "lost_answer":
            self.intake.losses = 1_000
        else:
            self.intake.failure = Unavailable(Text("bận", "busy"), code="store.busy")

    async def heal(self):
        self.intake.before.set()
        self.intake.after.set()
        self.intake.failure = None
        self.intake.losses = 0

    async def stored(self):
        return len(self.intake.arrivals)


class TestLoopbackAxis(AxisSuite):
    breaks = frozenset({"silent", "silent_after", "lost_answer", "unavailable"})

    @contextlib.asynccontextmanager
    async def world(self, folder):
        yield LoopbackSubject()


def test_the_arrival_names_the_transfer_the_parties_and_the_digest():
    async def scene():
        world = LoopbackSubject()
        cargo = parcel(document_package(), transfer_id="t-9", receivers=("H14.1", "H14.2"))
        assert await world.axis.submit(cargo, 60) == Delivered("arrival-1")
        ((key, incoming),) = world.intake.arrivals.items()
        assert key == ("loopback", "t-9")
        assert (incoming.sha256, incoming.size) == (cargo.sha256, cargo.size)
        assert (incoming.listed_from, incoming.listed_to) == (cargo.sender, "H14.1,H14.2")

    asyncio.run(scene())


def test_a_commit_whose_answer_was_lost_is_found_by_asking_again():
    async def scene():
        world = LoopbackSubject()
        world.intake.losses = 1
        assert await world.axis.submit(parcel(document_package()), 60) == Delivered("arrival-1")
        assert await world.stored() == 1

    asyncio.run(scene())


def test_a_lease_that_cannot_be_asked_for_is_no_doubt():
    async def away():
        raise Unavailable(Text("bận", "busy"), code="store.busy")

    async def scene():
        world = LoopbackSubject()
        outcome = await world.axis.submit(parcel(document_package(), still_mine=away), 60)
        assert outcome == Deferred("store.busy", "busy")
        assert await world.stored() == 0

    asyncio.run(scene())


def test_a_lease_that_does_not_answer_in_time_is_no_doubt():
    async def never():
        await asyncio.Event().wait()
        return True

    async def scene():
        world = LoopbackSubject()
        outcome = await world.axis.submit(parcel(document_package(), still_mine=never), 0.05)
        assert isinstance(outcome, Deferred)
        assert await world.stored() == 0

    asyncio.run(scene())


def test_a_fault_of_our_own_is_raised_and_not_taken_for_the_remotes():
    async def scene():
        world = LoopbackSubject()
        world.intake.failure = Broken(Text("hỏng", "broken"))
        with pytest.raises(Broken):
            await world.axis.submit(parcel(document_package()), 60)

    asyncio.run(scene())


def test_nothing_is_ever_collected_from_loopback():
    async def scene():
        axis = LoopbackSubject().axis
        assert not axis.capabilities.collects
        assert await axis.list_waiting(PackageKind.DOCUMENT, 60) == Listing()
        got = await axis.fetch(WaitingItem("x", PackageKind.DOCUMENT), io.BytesIO(), 60)
        assert got.failure is not None
        assert isinstance(await axis.acknowledge("x", 60), Delivered)
        assert not axis.capabilities.follows_up
        assert not axis.capabilities.counts
        told = await axis.follow_up("x", PackageKind.DOCUMENT, 60)
        assert told.failure is not None
        assert await axis.count_waiting(PackageKind.DOCUMENT, 60) == Count()

    asyncio.run(scene())
