"""The contract of the port Axis: an adapter is whatever passes this suite.

A test file subclasses `AxisSuite` (named `Test...`) and says how to open a `World`: an axis, the
other side of it, and ways to break that other side.
"""

from __future__ import annotations

import asyncio
import io
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

import pytest

from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import Axis, Count, FollowUp, Listing
from tests.support.axes import document_package, parcel, status_package

LONG = 60.0  # far beyond anything a healthy remote needs; pytest's own timeout guards the rest
SHORT = 0.5  # how long a silent remote may be silent; enough to hand a small package over
PACKAGE = document_package()

# What may come back from `submit` when the remote does this. `*_after`: it did its work first.
SUBMIT_OUTCOMES: dict[str, tuple[type[Outcome], ...]] = {
    "unreachable": (Deferred,),
    "silent": (Uncertain,),
    "silent_after": (Uncertain,),
    "lost_answer": (Uncertain,),
    "garbage": (Uncertain,),
    "page": (Uncertain,),
    "server_error": (Uncertain,),
    "redirect": (Deferred,),
    "denied": (Deferred,),
    "never": (Refused,),
    "later": (Deferred,),
    "unavailable": (Deferred,),
}
# Which of them leave the package with the remote all the same
STORED = {"silent_after", "lost_answer", "garbage"}


class World(Protocol):
    """An axis and the stranger behind it. `secrets`: what must never be shown."""

    axis: Axis
    secrets: tuple[str, ...]

    async def break_remote(self, how: str) -> None:
        """From now on the remote misbehaves like this."""

    async def heal(self) -> None:
        """From now on the remote is well again."""

    async def stored(self) -> int:
        """How many packages the remote has taken."""

    async def offer(self, package: bytes) -> None:
        """Makes the remote hold this package for us to collect."""


LIST_FAULTS = ("unreachable", "silent", "lost_answer", "garbage", "page", "server_error", "denied")
FETCH_FAULTS = (*LIST_FAULTS, "cut", "truncated")


class AxisSuite(ABC):
    """Sending. `breaks`: the keys of SUBMIT_OUTCOMES this remote can be made to do."""

    breaks: ClassVar[frozenset[str]] = frozenset()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each way in which this remote can be broken."""
        for name, ways in (
            ("how", SUBMIT_OUTCOMES.keys() & self.breaks),
            ("stored", STORED & self.breaks),
            ("listing", LIST_FAULTS),
            ("fetching", FETCH_FAULTS),
        ):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, sorted(ways))

    @abstractmethod
    def world(self, folder: Path) -> AbstractAsyncContextManager[World]:
        """A fresh axis with its stranger; `folder` is empty and the world's own."""

    def test_a_parcel_is_delivered_with_the_id_of_the_other_side(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                outcome = await world.axis.submit(parcel(PACKAGE), LONG)
                assert isinstance(outcome, Delivered)
                assert outcome.remote_ref
                assert await world.stored() == 1

        asyncio.run(scene())

    def test_status_packages_travel_too(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                assert PackageKind.STATUS in world.axis.capabilities.kinds
                cargo = parcel(status_package(sender="000.00.00.H14", to="000.00.00.G22"))
                cargo = replace(cargo, kind=PackageKind.STATUS, sender="000.00.00.H14")
                assert isinstance(await world.axis.submit(cargo, LONG), Delivered)

        asyncio.run(scene())

    def test_the_same_parcel_again_is_the_same_thing_again(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                first = await world.axis.submit(parcel(PACKAGE), LONG)
                assert await world.axis.submit(parcel(PACKAGE), LONG) == first
                assert await world.stored() == 1

        asyncio.run(scene())

    def test_a_lost_lease_stops_the_parcel_before_it_is_whole(self, tmp_path):
        asked = []

        async def not_mine():
            asked.append(True)
            return False

        async def scene():
            async with self.world(tmp_path) as world:
                outcome = await world.axis.submit(parcel(PACKAGE, still_mine=not_mine), LONG)
                assert isinstance(outcome, Deferred)
                assert outcome.code == "lease.lost"
                assert asked == [True]
                assert await world.stored() == 0
                assert isinstance(await world.axis.submit(parcel(PACKAGE), LONG), Delivered)

        asyncio.run(scene())

    def test_a_broken_remote_is_an_outcome_never_an_exception(self, tmp_path, how):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.break_remote(how)
                silent = how.startswith("silent")
                outcome = await world.axis.submit(parcel(PACKAGE), SHORT if silent else LONG)
                assert isinstance(outcome, SUBMIT_OUTCOMES[how])
                assert outcome.code
                for secret in world.secrets:
                    assert secret not in repr(outcome)
                await world.heal()
                again = await world.axis.submit(parcel(PACKAGE), LONG)
                assert isinstance(again, Delivered)
                assert await world.stored() == 1

        asyncio.run(scene())

    def test_doubt_is_right_to_be_doubt(self, tmp_path, stored):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.break_remote(stored)
                outcome = await world.axis.submit(
                    parcel(PACKAGE), SHORT if stored == "silent_after" else LONG
                )
                assert isinstance(outcome, Uncertain)
                assert await world.stored() == 1

        asyncio.run(scene())

    def test_cancelling_leaves_no_half_state(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                before = asyncio.all_tasks()
                await world.break_remote("silent")
                entered = asyncio.Event()

                async def mine():
                    entered.set()
                    return True

                attempt = asyncio.create_task(
                    world.axis.submit(parcel(PACKAGE, still_mine=mine), LONG)
                )
                await entered.wait()
                attempt.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await attempt
                await world.heal()
                assert isinstance(await world.axis.submit(parcel(PACKAGE), LONG), Delivered)
                left = {t for t in asyncio.all_tasks() - before if not _of_remote(t)}
                assert left <= {attempt}

        asyncio.run(scene())

    def test_nothing_of_the_axis_shows_a_secret(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                for secret in world.secrets:
                    assert secret not in repr(world.axis)
                    assert secret not in repr(world.axis.capabilities)

        asyncio.run(scene())

    def test_closing_twice_is_harmless(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.axis.submit(parcel(PACKAGE), LONG)
                await world.axis.close()
                await world.axis.close()

        asyncio.run(scene())


class CollectingAxisSuite(AxisSuite):
    """Sending and collecting."""

    def test_what_is_listed_can_be_fetched_acknowledged_and_is_then_gone(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(PACKAGE)
                listing = await world.axis.list_waiting(PackageKind.DOCUMENT, LONG)
                (item,) = listing.items
                assert listing.failure is None
                assert item.kind is PackageKind.DOCUMENT
                sink = io.BytesIO(b"left over from an earlier try " * 1000)
                sink.seek(0, io.SEEK_END)
                got = await world.axis.fetch(item, sink, LONG)
                assert got.failure is None
                assert got.size == len(sink.getvalue())
                assert sink.getvalue().rstrip().endswith(b"</edXML>")
                again = io.BytesIO()
                assert await world.axis.fetch(item, again, LONG) == got
                assert again.getvalue() == sink.getvalue()
                for _ in range(2):
                    outcome = await world.axis.acknowledge(item.axis_doc_id, LONG)
                    assert isinstance(outcome, Delivered)
                assert await world.axis.list_waiting(PackageKind.DOCUMENT, LONG) == Listing()

        asyncio.run(scene())

    def test_documents_and_statuses_are_listed_apart(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(PACKAGE)
                await world.offer(status_package(sender="000.00.00.H14", to="000.00.00.G22"))
                kinds = []
                for kind in PackageKind:
                    listing = await world.axis.list_waiting(kind, LONG)
                    kinds.append([item.kind for item in listing.items])
                assert kinds == [[PackageKind.DOCUMENT], [PackageKind.STATUS]]

        asyncio.run(scene())

    def test_a_list_that_cannot_be_read_is_a_failure_never_empty(self, tmp_path, listing):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(PACKAGE)
                await world.break_remote(listing)
                deadline = SHORT if listing == "silent" else LONG
                listed = await world.axis.list_waiting(PackageKind.DOCUMENT, deadline)
                assert isinstance(listed.failure, Deferred)
                assert listed.items == ()
                await world.heal()
                assert len((await world.axis.list_waiting(PackageKind.DOCUMENT, LONG)).items) == 1

        asyncio.run(scene())

    def test_a_package_that_did_not_come_whole_is_never_fetched(self, tmp_path, fetching):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(PACKAGE)
                (item,) = (await world.axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
                await world.break_remote(fetching)
                deadline = SHORT if fetching == "silent" else LONG
                got = await world.axis.fetch(item, io.BytesIO(), deadline)
                assert isinstance(got.failure, Deferred)
                await world.heal()
                sink = io.BytesIO()
                assert (await world.axis.fetch(item, sink, LONG)).failure is None
                assert sink.getvalue().rstrip().endswith(b"</edXML>")

        asyncio.run(scene())

    def test_following_up_never_raises(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                sent = await world.axis.submit(parcel(PACKAGE), LONG)
                assert isinstance(sent, Delivered)
                assert world.axis.capabilities.follows_up
                told = await world.axis.follow_up(sent.remote_ref, PackageKind.DOCUMENT, LONG)
                assert told.failure is None
                (line,) = told.items
                assert (line.receiver, line.remote_ref) == ("000.00.00.G22", sent.remote_ref)
                assert (line.passed_on, line.taken) == (True, False)
                assert line.receiver_ref
                for unknown in ("nothing", "", "\u0110", "a\nb"):
                    nothing = await world.axis.follow_up(unknown, PackageKind.DOCUMENT, LONG)
                    assert nothing.items == ()

        asyncio.run(scene())

    def test_an_unknown_id_is_told_from_a_question_that_was_not_answered(self, tmp_path, listing):
        """Else a silent axis would be charged with losing every document of the day."""

        async def scene():
            async with self.world(tmp_path) as world:
                asking = partial(world.axis.follow_up, "never-given", PackageKind.DOCUMENT)
                assert await asking(LONG) == FollowUp()
                await world.break_remote(listing)
                told = await asking(SHORT if listing == "silent" else LONG)
                assert isinstance(told.failure, Deferred)
                assert told.items == ()
                await world.heal()
                assert await asking(LONG) == FollowUp()

        asyncio.run(scene())

    def test_what_waits_can_be_counted_and_a_broken_count_is_not_zero(self, tmp_path, listing):
        async def scene():
            async with self.world(tmp_path) as world:
                assert world.axis.capabilities.counts
                await world.offer(PACKAGE)
                await world.offer(status_package(sender="000.00.00.H14", to="000.00.00.G22"))
                for kind in PackageKind:
                    assert await world.axis.count_waiting(kind, LONG) == Count(1)
                await world.break_remote(listing)
                deadline = SHORT if listing == "silent" else LONG
                told = await world.axis.count_waiting(PackageKind.DOCUMENT, deadline)
                assert isinstance(told.failure, Deferred)
                await world.heal()

        asyncio.run(scene())


def _of_remote(task: asyncio.Task) -> bool:
    """Tasks of a stand-in that runs in the same loop: its connections and watchers."""
    code = getattr(task.get_coro(), "__qualname__", "")
    return code.startswith(("RequestHandler.", "raw_server.", "Simulator."))
