"""The corridor to the door of `inbound`: what an axis lists -> durable bytes -> acknowledged.

In:     one axis' lists of waiting documents and statuses.
Out:    complete packages handed to `Intake.receive`; *then* the axis is told "have it".
Fails:  never for what a remote does: a failed fetch is a record and a later try; after equal
        failures it is HELD for a person.
Never:  acknowledges what is not committed; answers `fail`; reads a broken list as an empty one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO, TypeVar

from gateway.dispatch import fetching, schedule
from gateway.model.arrival import FetchState, Incoming
from gateway.model.outcome import Outcome, outcome_word
from gateway.model.package import PackageKind
from gateway.ports import Axis, BlobStore, Intake, WaitingItem
from gateway.scribe import Scribe
from gateway.store import Store, Tx, arrivals, ledger
from gateway.store.patience import write_patiently
from gateway.telemetry.events import Event

HASHED_AT_ONCE = 1024 * 1024
SORTED_AT_ONCE = 500
UNCONFIRMED = timedelta(days=30)  # so long after its arrival somebody should have confirmed it
SHARE = 200  # packages of one kind in a turn, before the other kind has its own

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Collected:
    """`more`: its share is used up, and more may be due. `failure`: the list could not be read;
    then nothing else happened for that kind. `unconfirmed`: listed, and held here for a month; only
    where acknowledging tells the sender that it arrived.
    """

    listed: int = 0
    fetched: int = 0
    failed: int = 0
    more: bool = False
    failure: Outcome | None = None
    unconfirmed: int = 0


class Collecting:
    """One axis. `at_once`: how many packages are fetched side by side. `local_keys`: of the
    agencies served here.
    """

    def __init__(
        self,
        *,
        axis: Axis,
        store: Store,
        blobs: BlobStore,
        scribe: Scribe,
        intake: Intake,
        policy: schedule.Policy,
        list_seconds: float,
        fetch_seconds: float,
        hold_after: int,
        at_once: int,
        local_keys: Sequence[str] = (),
    ) -> None:
        self.axis = axis
        self.store = store
        self.blobs = blobs
        self.scribe = scribe
        self.intake = intake
        self.policy = policy
        self.hold_after = hold_after
        self.at_once = at_once
        self.local_keys = local_keys
        self.list_seconds = list_seconds
        self.fetch_seconds = fetch_seconds

    async def collect(
        self, kind: PackageKind, listed: Callable[[], None] = lambda: None
    ) -> Collected:
        """List one kind, fetch what is due, acknowledge what we hold.

        An axis' list says nothing of urgency, so what is known decides: documents before statuses
        (the order of `kinds`), a share of each in turn, so that a flood of one keeps the other
        waiting for no longer; within a kind the order of the list, and last what failed before.
        What was listed once is fetched by its docId, whether or not the list still names it.
        `listed` is called as soon as the list was read: what it names may take hours to fetch.
        """
        asked_at = self.scribe.now()
        listing = await self.axis.list_waiting(kind, self.list_seconds)
        if listing.failure is not None:
            return Collected(failure=listing.failure)
        listed()
        held: list[str] = []
        for start in range(0, len(listing.items), SORTED_AT_ONCE):
            # a list may be longer than one statement can hold
            held += await self._sort(listing.items, start)
        fetched = taken = 0
        more = False
        for fresh, share in ((True, SHARE), (False, self.at_once)):
            left = share
            while left > 0 and (claims := await self._claim(kind, fresh=fresh)):
                fetched += await self._take(claims)
                taken += len(claims)
                left -= len(claims)
            more = more or left <= 0
        # taken before, but the axis did not hear it: a crash or a lost answer. After the fetches:
        # an axis that hangs here keeps nothing new waiting
        await self._have(held)
        late = await self._unconfirmed(held, asked_at) if kind is PackageKind.DOCUMENT else 0
        return Collected(len(listing.items), fetched, taken - fetched, more, unconfirmed=late)

    async def _take(self, claims: Sequence[arrivals.DueFetch]) -> int:
        """Fetch, receive, acknowledge; how many came whole. What our own side broke off is due."""
        over = False
        try:
            got = await together([self._fetch(due) for due in claims])
            whole = [incoming for incoming in got if incoming is not None]
            for incoming in whole:
                # side by side over the network, but received in the order of the list
                await self.intake.receive(incoming)
            over = True
        finally:
            if not over:
                give_back = partial(arrivals.give_back_fetches, claims=claims)
                await write_patiently(self.store, give_back)
        await self._have([incoming.axis_doc_id for incoming in whole])
        return len(whole)

    async def _sort(self, listed: Sequence[WaitingItem], start: int) -> list[str]:
        """Some of a list: known ids (to acknowledge again) apart from new ones (to fetch)."""
        items = listed[start : start + SORTED_AT_ONCE]

        def sort(tx: Tx) -> list[str]:
            held = arrivals.held_already(tx, self.axis.name, [i.axis_doc_id for i in items])
            now = tx.now()
            arrivals.list_for_fetch(
                tx,
                [
                    {
                        "axis": self.axis.name,
                        "axis_doc_id": item.axis_doc_id,
                        "kind": item.kind.value,
                        "sender": item.sender,
                        "receiver": item.receiver,
                        "listed_at": now,
                        # the axis lists the oldest first: keep that order among equals
                        "due_at": now + timedelta(microseconds=place),
                    }
                    for place, item in enumerate(items, start=start - len(listed))
                    if item.axis_doc_id not in held
                ],
            )
            return sorted(held)

        return await self.store.write(sort)

    async def _claim(self, kind: PackageKind, *, fresh: bool) -> list[arrivals.DueFetch]:
        lease = timedelta(seconds=self.fetch_seconds + self.policy.grace_seconds)

        def take(tx: Tx) -> list[arrivals.DueFetch]:
            now = tx.now()
            return arrivals.claim_fetches(
                tx,
                axis=self.axis.name,
                kind=kind,
                fresh=fresh,
                most=self.at_once,
                now=now,
                until=now + lease,
            )

        return await self.store.write(take)

    async def _fetch(self, due: arrivals.DueFetch) -> Incoming | None:
        """Whole and durable under its digest; None: a failure, recorded, to be tried again."""
        item = WaitingItem(due.axis_doc_id, PackageKind(due.kind), due.sender, due.receiver)
        spool = await asyncio.to_thread(self.blobs.spool)
        try:
            got = await self.axis.fetch(item, spool, self.fetch_seconds)
            if got.failure is not None:
                await self._failed(due, got.failure, self.scribe.now())
                return None
            sha256, size = await asyncio.to_thread(_digest, spool)
            await asyncio.to_thread(self.blobs.keep, spool, sha256)
        finally:
            await asyncio.to_thread(spool.close)
        return Incoming(
            axis=due.axis,
            axis_doc_id=due.axis_doc_id,
            kind=item.kind,
            sha256=sha256,
            size=size,
            listed_from=due.sender,
            listed_to=due.receiver,
        )

    async def _have(self, doc_ids: Sequence[str]) -> None:
        """Tell the axis, of what is committed. What it does not hear, it lists again.

        Never where this would tell the sender that the document arrived: only a confirm may.
        """
        if self.axis.capabilities.acknowledge_reports_arrival:
            return
        for start in range(0, len(doc_ids), self.at_once):
            some = doc_ids[start : start + self.at_once]
            await together([self.axis.acknowledge(d, self.list_seconds) for d in some])

    async def _unconfirmed(self, held: Sequence[str], asked_at: datetime) -> int:
        """How many of the held the sender has been left without word of for a month.

        What is listed although its 01 was said before is acknowledged here: a second copy of a
        document that entered, which nobody confirms, or one whose confirmation the axis forgot.
        """
        if not held or not self.axis.capabilities.acknowledge_reports_arrival:
            return 0
        name, month = self.axis.name, asked_at - UNCONFIRMED
        late = 0
        for start in range(0, len(held), SORTED_AT_ONCE):
            some = held[start : start + SORTED_AT_ONCE]
            heard = partial(arrivals.arrival_said, axis=name, keys=self.local_keys, before=asked_at)
            said = await self.store.read(partial(heard, doc_ids=some))
            for one in range(0, len(said), self.at_once):
                batch = said[one : one + self.at_once]
                await together([self.axis.acknowledge(d, self.list_seconds) for d in batch])
            left = [doc_id for doc_id in some if doc_id not in set(said)]
            late += await self.store.read(
                partial(arrivals.held_since, axis=name, doc_ids=left, before=month)
            )
        return late

    async def _failed(self, due: arrivals.DueFetch, failure: Outcome, at: datetime) -> None:
        fraction = self.scribe.entropy.fraction()
        equal = due.equal_failures + 1 if failure.code == due.last_code else 1

        def commit(tx: Tx) -> None:
            now = tx.now()
            step = fetching.next_fetch(
                code=failure.code,
                recent_codes=[due.last_code] * due.equal_failures,
                attempts=due.tries,
                now=now,
                fraction=fraction,
                policy=self.policy,
                hold_after=self.hold_after,
            )
            if not arrivals.fetch_failed(
                tx,
                due,
                state=step.state,
                due_at=step.due_at or now,
                code=failure.code,
                equal=equal,
            ):
                return
            held = step.state is FetchState.HELD
            made = self.scribe.record(
                Event.FETCH_HELD if held else Event.FETCH_FAILED,
                at,
                {},
                {
                    "axis": due.axis,
                    "axis_doc_id": due.axis_doc_id,
                    "try": due.tries,
                    "outcome": outcome_word(failure),
                    "code": failure.code,
                    "state": step.state.value,
                },
            )
            ledger.append(tx, [made])

        await self.store.write(commit)


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Side by side; every one ends before the first error is raised, so none goes on unseen."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return [one for one in done if not isinstance(one, BaseException)]


def _digest(spool: BinaryIO) -> tuple[str, int]:
    spool.seek(0)
    digest = hashlib.sha256()
    size = 0
    while chunk := spool.read(HASHED_AT_ONCE):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
