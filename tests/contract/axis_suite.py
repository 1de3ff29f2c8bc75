"""The contract of the port Axis: an adapter is whatever passes this suite.

A test file subclasses `AxisSuite`, or `CollectingAxisSuite` for an axis that we also collect from
(named `Test...`), and says how to open a `Subject`: an axis, the other side of it, and ways to
break that other side. Which of the promises a mutant breaks: `test_axis_mutants.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import pytest

from gateway.errors import Broken, Unavailable
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import Axis, AxisCapabilities, Count, Fetched, FollowUp, Listing, WaitingItem
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
    "unavailable": (Uncertain,),  # our own store as the far side: it may have committed
}
# Which of them leave the package with the remote all the same
STORED = {"silent_after", "lost_answer", "garbage"}

# How a simulated axis is told to do that: the kinds of the fault kit (docs/simulator.md), but for
# the two answers that each protocol says in its own codes
SIMULATED: dict[str, dict[str, str]] = {
    "silent": {"kind": "hang"},
    "silent_after": {"kind": "hang_after"},
    "lost_answer": {"kind": "drop_after"},
    "garbage": {"kind": "garbage"},
    "page": {"kind": "html"},
    "server_error": {"kind": "500"},
    "redirect": {"kind": "302"},
    "denied": {"kind": "401"},
    "cut": {"kind": "cut"},
    "truncated": {"kind": "truncated"},
}

T = TypeVar("T")


class Subject(Protocol):
    """An axis and the stranger behind it. `secrets`: what must never be shown.

    `agencies`: codes that the stranger's directory lists, where it has one.
    """

    axis: Axis
    secrets: tuple[str, ...]
    agencies: tuple[str, ...]

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
    patience: ClassVar[float] = 90.0  # seconds after which a call is taken for one that never ends

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each way in which this remote can be broken."""
        for name, ways in (
            ("how", SUBMIT_OUTCOMES.keys() & self.breaks),
            ("stored", STORED & self.breaks),
            ("listing", LIST_FAULTS),
            ("fetching", FETCH_FAULTS),
            ("steps", (0, 1, 3, 10, 40)),
        ):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, sorted(ways))

    @abstractmethod
    def world(self, folder: Path) -> AbstractAsyncContextManager[Subject]:
        """A fresh axis with its stranger; `folder` is empty and the world's own."""

    async def bounded(self, call: Awaitable[T]) -> T:
        """The call's result; AssertionError for one that outlives its deadline by far."""
        try:
            async with asyncio.timeout(self.patience):
                return await call
        except TimeoutError as error:
            raise AssertionError("the deadline of the caller does not bound the call") from error

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
        """`repeat` says whether the same bytes may go again; where it says so, they may."""

        async def scene():
            async with self.world(tmp_path) as world:
                if world.axis.capabilities.repeat == "never":
                    return
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
                outcome = await self.bounded(
                    world.axis.submit(parcel(PACKAGE), SHORT if silent else LONG)
                )
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
                outcome = await self.bounded(
                    world.axis.submit(parcel(PACKAGE), SHORT if stored == "silent_after" else LONG)
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

    def test_cancelling_at_any_step_leaves_nothing_behind(self, tmp_path, steps):
        """Whatever was cancelled, and however far it had come, the axis serves the next call."""

        async def scene():
            async with self.world(tmp_path) as world:
                before = asyncio.all_tasks()
                await world.break_remote("silent")
                for call in _every_verb(world.axis):
                    attempt = asyncio.create_task(call(LONG))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    attempt.cancel()
                    (said,) = await self.bounded(asyncio.gather(attempt, return_exceptions=True))
                    # what needs no remote may have ended before it was cancelled
                    cancelled = isinstance(said, asyncio.CancelledError)
                    assert cancelled or not isinstance(said, BaseException)
                await world.heal()
                left = {t for t in asyncio.all_tasks() - before if not _of_remote(t)}
                # a connection that closes may need another round or two; a leak never ends
                pending = (await asyncio.wait(left, timeout=self.patience))[1] if left else set()
                assert not pending
                again = await self.bounded(world.axis.submit(parcel(PACKAGE), LONG))
                assert isinstance(again, Delivered)

        asyncio.run(scene())

    def test_our_own_side_is_bounded_by_the_deadline_too(self, tmp_path):
        """A lease that does not answer is no doubt: the last bytes never left."""

        async def never():
            await asyncio.Event().wait()
            return True

        async def scene():
            async with self.world(tmp_path) as world:
                cargo = parcel(PACKAGE, still_mine=never)
                outcome = await self.bounded(world.axis.submit(cargo, 0.1))
                assert isinstance(outcome, Deferred)
                assert await world.stored() == 0

        asyncio.run(scene())

    def test_what_the_axis_can_do_is_stated_once_and_for_all(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                stated = world.axis.capabilities
                assert isinstance(stated, AxisCapabilities)
                assert world.axis.name
                assert stated.kinds
                assert set(stated.kinds) <= set(PackageKind)
                assert stated.repeat in {"again", "never"}
                for call in _every_verb(world.axis):
                    await self.bounded(call(LONG))
                assert world.axis.capabilities == stated

        asyncio.run(scene())

    def test_what_it_cannot_be_asked_is_said_and_never_answered(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                axis, can = world.axis, world.axis.capabilities
                if not can.follows_up:
                    told = await axis.follow_up("x", PackageKind.DOCUMENT, LONG)
                    assert told.items == ()
                    assert told.failure is not None
                if not can.counts:
                    count = await axis.count_waiting(PackageKind.DOCUMENT, LONG)
                    assert count.waiting == 0
                if not can.lists_agencies:
                    seen: list[object] = []
                    assert await axis.read_directory(seen.append, LONG) is not None
                    assert seen == []
                if not can.collects:
                    assert await axis.list_waiting(PackageKind.DOCUMENT, LONG) == Listing()

        asyncio.run(scene())

    def test_no_call_writes_a_secret_anywhere(self, tmp_path, how):
        async def scene():
            async with self.world(tmp_path) as world:
                with _listening() as heard:
                    await world.break_remote(how)
                    deadline = SHORT if how.startswith("silent") else LONG
                    said = [await self.bounded(call(deadline)) for call in _every_verb(world.axis)]
                    await world.heal()
                    said += [await self.bounded(call(LONG)) for call in _every_verb(world.axis)]
                shown = repr(said) + heard()
                for secret in world.secrets:
                    assert secret not in shown

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
                got = await self.bounded(world.axis.fetch(item, sink, LONG))
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
                sink = io.BytesIO()
                assert (await world.axis.fetch(listing.items[0], sink, LONG)).failure is None
                assert b"StatusCode>03<" in sink.getvalue()

        asyncio.run(scene())

    def test_a_list_that_cannot_be_read_is_a_failure_never_empty(self, tmp_path, listing):
        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(PACKAGE)
                await world.break_remote(listing)
                deadline = SHORT if listing == "silent" else LONG
                listed = await self.bounded(world.axis.list_waiting(PackageKind.DOCUMENT, deadline))
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
                got = await self.bounded(world.axis.fetch(item, io.BytesIO(), deadline))
                assert isinstance(got.failure, Deferred)
                await world.heal()
                sink = io.BytesIO()
                assert (await world.axis.fetch(item, sink, LONG)).failure is None
                assert sink.getvalue().rstrip().endswith(b"</edXML>")

        asyncio.run(scene())

    def test_following_up_never_raises(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                if not world.axis.capabilities.follows_up:
                    return
                sent = await world.axis.submit(parcel(PACKAGE), LONG)
                assert isinstance(sent, Delivered)
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
                if not world.axis.capabilities.follows_up:
                    return
                asking = partial(world.axis.follow_up, "never-given", PackageKind.DOCUMENT)
                assert await asking(LONG) == FollowUp()
                await world.break_remote(listing)
                told = await self.bounded(asking(SHORT if listing == "silent" else LONG))
                assert isinstance(told.failure, Deferred)
                assert told.items == ()
                await world.heal()
                assert await asking(LONG) == FollowUp()

        asyncio.run(scene())

    def test_what_waits_can_be_counted_and_a_broken_count_is_not_zero(self, tmp_path, listing):
        async def scene():
            async with self.world(tmp_path) as world:
                if not world.axis.capabilities.counts:
                    return
                await world.offer(PACKAGE)
                await world.offer(status_package(sender="000.00.00.H14", to="000.00.00.G22"))
                for kind in PackageKind:
                    assert await world.axis.count_waiting(kind, LONG) == Count(1)
                await world.break_remote(listing)
                deadline = SHORT if listing == "silent" else LONG
                told = await self.bounded(world.axis.count_waiting(PackageKind.DOCUMENT, deadline))
                assert isinstance(told.failure, Deferred)
                await world.heal()

        asyncio.run(scene())

    def test_an_acknowledgement_that_was_not_heard_is_not_taken_for_one(self, tmp_path, listing):
        """What the axis did not acknowledge is offered again, and can be acknowledged then."""

        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(PACKAGE)
                (item,) = (await world.axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
                await world.break_remote(listing)
                deadline = SHORT if listing == "silent" else LONG
                told = await self.bounded(world.axis.acknowledge(item.axis_doc_id, deadline))
                assert isinstance(told, Deferred | Uncertain)
                await world.heal()
                assert isinstance(await world.axis.acknowledge(item.axis_doc_id, LONG), Delivered)
                assert await world.axis.list_waiting(PackageKind.DOCUMENT, LONG) == Listing()

        asyncio.run(scene())

    def test_an_id_that_the_axis_never_gave_is_an_outcome(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                for unknown in ("never-given", "", "\u0110", "a\nb", "x" * 5000):
                    told = await self.bounded(world.axis.acknowledge(unknown, LONG))
                    assert isinstance(told, Deferred | Delivered | Refused | Uncertain)

        asyncio.run(scene())

    def test_bytes_that_are_not_those_recorded_never_become_whole_there(self, tmp_path):
        """Our own fault is raised as ours; the axis is not charged with it."""

        async def scene():
            async with self.world(tmp_path) as world:
                cargo = parcel(PACKAGE, sha256="0" * 64)
                with pytest.raises(Broken) as raised:
                    await self.bounded(world.axis.submit(cargo, LONG))
                assert raised.value.code == "blob.damaged"
                assert await world.stored() == 0

        asyncio.run(scene())

    def test_a_full_disk_of_ours_is_not_the_remotes_fault(self, tmp_path):
        class Full(io.BytesIO):
            def write(self, data):
                raise OSError(28, "No space left on device")

        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(PACKAGE)
                (item,) = (await world.axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
                with pytest.raises(Unavailable):
                    await self.bounded(world.axis.fetch(item, Full(), LONG))
                sink = io.BytesIO()
                assert (await world.axis.fetch(item, sink, LONG)).failure is None

        asyncio.run(scene())

    def test_the_directory_is_read_whole_or_said_to_be_incomplete(self, tmp_path, listing):
        async def scene():
            async with self.world(tmp_path) as world:
                if not world.axis.capabilities.lists_agencies:
                    return
                codes: list[str] = []
                failure = await world.axis.read_directory(lambda one: codes.append(one.code), LONG)
                assert failure is None
                assert set(world.agencies) <= set(codes)
                await world.break_remote(listing)
                deadline = SHORT if listing == "silent" else LONG
                told = await self.bounded(world.axis.read_directory(codes.append, deadline))
                assert isinstance(told, Deferred)
                await world.heal()

        asyncio.run(scene())


def _every_verb(axis: Axis) -> Iterator[Callable[[float], Awaitable[object]]]:
    """Every call of the port with a deadline to come; those that send, first."""
    yield lambda deadline: axis.submit(parcel(PACKAGE), deadline)
    yield lambda deadline: axis.list_waiting(PackageKind.DOCUMENT, deadline)
    yield lambda deadline: _fetched(axis, deadline)
    yield lambda deadline: axis.acknowledge("never-given", deadline)
    yield lambda deadline: axis.follow_up("never-given", PackageKind.DOCUMENT, deadline)
    yield lambda deadline: axis.count_waiting(PackageKind.STATUS, deadline)
    yield lambda deadline: axis.read_directory(lambda _: None, deadline)


async def _fetched(axis: Axis, deadline: float) -> Fetched:
    return await axis.fetch(
        WaitingItem("never-given", PackageKind.DOCUMENT), io.BytesIO(), deadline
    )


@contextlib.contextmanager
def _listening() -> Iterator[Callable[[], str]]:
    """Everything that is logged, at any level, or written to the two streams meanwhile."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            yield heard.getvalue
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def _of_remote(task: asyncio.Task) -> bool:
    """Tasks of a stand-in that runs in the same loop: its connections and watchers."""
    code = getattr(task.get_coro(), "__qualname__", "")
    return code.startswith(
        ("RequestHandler.", "raw_server.", "Simulator.", "BaseSelectorEventLoop.")
    )
