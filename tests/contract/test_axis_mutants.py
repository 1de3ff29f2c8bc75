"""The suite bites: an axis that breaks one promise is caught, for each promise.

Each mutant is the sound axis in memory with one thing changed. `CAUGHT` says by which test of the
suite; a test of the suite that catches no mutant is a test that nobody would miss.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import logging

import pytest

from gateway.errors import Unavailable
from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import AxisCapabilities, Count, Fetched, FollowUp, Listing
from tests.contract.axis_suite import CollectingAxisSuite
from tests.contract.test_axis_in_memory import MemorySubject
from tests.support.axis_in_memory import MemoryAxis, Misbehaved


class GivesNoId(MemoryAxis):
    async def submit(self, parcel, deadline_seconds):
        outcome = await super().submit(parcel, deadline_seconds)
        return Delivered() if isinstance(outcome, Delivered) else outcome


class CarriesDocumentsOnly(MemoryAxis):
    async def submit(self, parcel, deadline_seconds):
        if parcel.kind is PackageKind.STATUS:
            return Refused("memory.no_status")
        return await super().submit(parcel, deadline_seconds)


class SaysThatRepeatingIsSafe(MemoryAxis):
    def __init__(self, far):
        super().__init__(far)
        far.dedupes = False


class SendsWithoutTheLease(MemoryAxis):
    async def submit(self, parcel, deadline_seconds):
        async def mine():
            await parcel.still_mine()
            return True

        return await super().submit(dataclasses.replace(parcel, still_mine=mine), deadline_seconds)


class RaisesForARemotesFault(MemoryAxis):
    def _meant(self, fault):
        raise fault


class TakesDoubtForFailure(MemoryAxis):
    def _meant(self, fault):
        meant = super()._meant(fault)
        return Deferred(meant.code) if isinstance(meant, Uncertain) else meant


class TakesDoubtForSuccess(MemoryAxis):
    def _meant(self, fault):
        meant = super()._meant(fault)
        return Delivered("perhaps") if isinstance(meant, Uncertain) else meant


class Deafens(MemoryAxis):
    """After a cancelled attempt its one connection stays taken."""

    _busy = False

    async def submit(self, parcel, deadline_seconds):
        if self._busy:
            return Deferred("connection.busy")
        self._busy = True
        outcome = await super().submit(parcel, deadline_seconds)
        self._busy = False
        return outcome


class SwallowsCancellation(MemoryAxis):
    async def submit(self, parcel, deadline_seconds):
        try:
            return await super().submit(parcel, deadline_seconds)
        except asyncio.CancelledError:
            return Uncertain("cancelled")


class LeavesWorkBehind(MemoryAxis):
    async def list_waiting(self, kind, deadline_seconds):
        self.behind = asyncio.create_task(asyncio.Event().wait())
        return await super().list_waiting(kind, deadline_seconds)


class ForgetsTheDeadline(MemoryAxis):
    async def submit(self, parcel, deadline_seconds):
        return await super().submit(parcel, None)

    async def _asked(self, work, deadline_seconds):
        return await super()._asked(work, None)


class ChangesWhatItCan(MemoryAxis):
    async def count_waiting(self, kind, deadline_seconds):
        self.capabilities = dataclasses.replace(self.capabilities, counts=False)
        return await super().count_waiting(kind, deadline_seconds)


class AnswersWhatItCannotKnow(MemoryAxis):
    def __init__(self, far):
        super().__init__(far)
        self.capabilities = AxisCapabilities()

    async def follow_up(self, remote_ref, kind, deadline_seconds):
        return FollowUp()


class ShowsTheSecretInWords(MemoryAxis):
    def _meant(self, fault):
        meant = super()._meant(fault)
        return dataclasses.replace(meant, detail=fault.words)


class LogsTheSecret(MemoryAxis):
    async def close(self):
        await super().close()

    async def acknowledge(self, axis_doc_id, deadline_seconds):
        logging.getLogger("memory-axis").debug("asking with %s", self._secret)
        return await super().acknowledge(axis_doc_id, deadline_seconds)


class ShowsTheSecretItself(MemoryAxis):
    def __repr__(self):
        return f"MemoryAxis({vars(self)})"


class ClosesOnce(MemoryAxis):
    _closed = False

    async def close(self):
        if self._closed:
            raise RuntimeError("closed already")
        self._closed = True


class FetchesOnTop(MemoryAxis):
    """Writes where the sink stands, behind what an earlier try left there."""

    async def fetch(self, item, sink, deadline_seconds):
        laid = self.far.laid[item.axis_doc_id]
        sink.write(laid.data)
        return Fetched(len(laid.data))


class MixesTheKinds(MemoryAxis):
    async def list_waiting(self, kind, deadline_seconds):
        both = [await super(MixesTheKinds, self).list_waiting(k, 60) for k in PackageKind]
        return Listing(tuple(item for listing in both for item in listing.items))


class TakesABrokenListForEmpty(MemoryAxis):
    async def list_waiting(self, kind, deadline_seconds):
        return Listing((await super().list_waiting(kind, deadline_seconds)).items)


class TakesAPartForTheWhole(MemoryAxis):
    async def fetch(self, item, sink, deadline_seconds):
        got = await super().fetch(item, sink, deadline_seconds)
        return Fetched(sink.write(b"<edXML>half")) if got.failure else got


class TellsOfAnotherPackage(MemoryAxis):
    async def follow_up(self, remote_ref, kind, deadline_seconds):
        told = await super().follow_up(remote_ref, kind, deadline_seconds)
        items = tuple(dataclasses.replace(i, remote_ref="other") for i in told.items)
        return FollowUp(items, told.failure)


class TakesSilenceForUnknown(MemoryAxis):
    async def follow_up(self, remote_ref, kind, deadline_seconds):
        return FollowUp((await super().follow_up(remote_ref, kind, deadline_seconds)).items)


class CountsABrokenCountAsZero(MemoryAxis):
    async def count_waiting(self, kind, deadline_seconds):
        return Count((await super().count_waiting(kind, deadline_seconds)).waiting)


class AcknowledgesWhateverTheRemoteSays(MemoryAxis):
    async def acknowledge(self, axis_doc_id, deadline_seconds):
        await super().acknowledge(axis_doc_id, deadline_seconds)
        return Delivered(axis_doc_id)


class StumblesOverUnknownIds(MemoryAxis):
    async def acknowledge(self, axis_doc_id, deadline_seconds):
        self.far.laid[axis_doc_id].taken = True
        return Delivered()


class SendsWhateverItReads(MemoryAxis):
    async def submit(self, parcel, deadline_seconds):
        data = b"".join([chunk async for chunk in parcel.chunks()])
        return Delivered(await self.far.take(parcel.transfer_id, data, parcel.receivers))


class BlamesTheRemoteForOurDisk(MemoryAxis):
    async def fetch(self, item, sink, deadline_seconds):
        try:
            return await super().fetch(item, sink, deadline_seconds)
        except Unavailable:
            return Fetched(failure=Deferred("answer.cut"))


class TakesABrokenDirectoryForWhole(MemoryAxis):
    async def read_directory(self, take, deadline_seconds):
        await super().read_directory(take, deadline_seconds)


# mutant -> test of the suite, arguments of the test
CAUGHT = (
    (GivesNoId, "a_parcel_is_delivered_with_the_id_of_the_other_side", {}),
    (CarriesDocumentsOnly, "status_packages_travel_too", {}),
    (SaysThatRepeatingIsSafe, "the_same_parcel_again_is_the_same_thing_again", {}),
    (SendsWithoutTheLease, "a_lost_lease_stops_the_parcel_before_it_is_whole", {}),
    (RaisesForARemotesFault, "a_broken_remote_is_an_outcome_never_an_exception", {"how": "later"}),
    (TakesDoubtForSuccess, "a_broken_remote_is_an_outcome_never_an_exception", {"how": "page"}),
    (TakesDoubtForFailure, "doubt_is_right_to_be_doubt", {"stored": "lost_answer"}),
    (Deafens, "cancelling_leaves_no_half_state", {}),
    (SwallowsCancellation, "cancelling_leaves_no_half_state", {}),
    (LeavesWorkBehind, "cancelling_at_any_step_leaves_nothing_behind", {"steps": 3}),
    (Deafens, "cancelling_at_any_step_leaves_nothing_behind", {"steps": 3}),
    (ForgetsTheDeadline, "our_own_side_is_bounded_by_the_deadline_too", {}),
    (ForgetsTheDeadline, "a_broken_remote_is_an_outcome_never_an_exception", {"how": "silent"}),
    (
        ForgetsTheDeadline,
        "a_list_that_cannot_be_read_is_a_failure_never_empty",
        {"listing": "silent"},
    ),
    (
        ForgetsTheDeadline,
        "a_package_that_did_not_come_whole_is_never_fetched",
        {"fetching": "silent"},
    ),
    (ChangesWhatItCan, "what_the_axis_can_do_is_stated_once_and_for_all", {}),
    (AnswersWhatItCannotKnow, "what_it_cannot_be_asked_is_said_and_never_answered", {}),
    (ShowsTheSecretInWords, "no_call_writes_a_secret_anywhere", {"how": "denied"}),
    (LogsTheSecret, "no_call_writes_a_secret_anywhere", {"how": "denied"}),
    (ShowsTheSecretItself, "nothing_of_the_axis_shows_a_secret", {}),
    (ClosesOnce, "closing_twice_is_harmless", {}),
    (FetchesOnTop, "what_is_listed_can_be_fetched_acknowledged_and_is_then_gone", {}),
    (MixesTheKinds, "documents_and_statuses_are_listed_apart", {}),
    (
        TakesABrokenListForEmpty,
        "a_list_that_cannot_be_read_is_a_failure_never_empty",
        {"listing": "page"},
    ),
    (
        TakesAPartForTheWhole,
        "a_package_that_did_not_come_whole_is_never_fetched",
        {"fetching": "cut"},
    ),
    (TellsOfAnotherPackage, "following_up_never_raises", {}),
    (
        TakesSilenceForUnknown,
        "an_unknown_id_is_told_from_a_question_that_was_not_answered",
        {"listing": "silent"},
    ),
    (
        CountsABrokenCountAsZero,
        "what_waits_can_be_counted_and_a_broken_count_is_not_zero",
        {"listing": "page"},
    ),
    (
        AcknowledgesWhateverTheRemoteSays,
        "an_acknowledgement_that_was_not_heard_is_not_taken_for_one",
        {"listing": "unreachable"},
    ),
    (StumblesOverUnknownIds, "an_id_that_the_axis_never_gave_is_an_outcome", {}),
    (
        SendsWhateverItReads,
        "bytes_that_are_not_those_recorded_never_become_whole_there",
        {},
    ),
    (BlamesTheRemoteForOurDisk, "a_full_disk_of_ours_is_not_the_remotes_fault", {}),
    (
        TakesABrokenDirectoryForWhole,
        "the_directory_is_read_whole_or_said_to_be_incomplete",
        {"listing": "garbage"},
    ),
)


def _suite(mutant):
    class Broken(CollectingAxisSuite):
        patience = 2.0  # what never ends is waited for so long, and nothing else is

        @contextlib.asynccontextmanager
        async def world(self, folder):
            yield MemorySubject(mutant)

    return Broken()


@pytest.mark.parametrize(
    ("mutant", "promise", "given"),
    CAUGHT,
    ids=[f"{mutant.__name__}-{index}" for index, (mutant, _, _) in enumerate(CAUGHT)],
)
def test_an_axis_that_breaks_a_promise_is_caught(tmp_path, mutant, promise, given):
    with pytest.raises((AssertionError, pytest.fail.Exception, Misbehaved, KeyError, RuntimeError)):
        getattr(_suite(mutant), f"test_{promise}")(tmp_path, **given)


@pytest.mark.parametrize(("promise", "given"), [(p, g) for _, p, g in CAUGHT], ids=str)
def test_the_same_axis_unbroken_is_not(tmp_path, promise, given):
    getattr(_suite(MemoryAxis), f"test_{promise}")(tmp_path, **given)


def test_every_promise_has_a_mutant():
    promises = {
        name.removeprefix("test_")
        for name, _ in inspect.getmembers(CollectingAxisSuite, inspect.isfunction)
        if name.startswith("test_")
    }
    assert promises == {promise for _, promise, _ in CAUGHT}
