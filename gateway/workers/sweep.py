"""sweep: everything that happens because time passed.

Any number of processes may sweep. The step of a timer is a conditional update, so it happens once;
what costs (every stored file is listed) is done by one of them, about once in an hour. Each kind
of work is a worker with a name of its own: one that hangs holds up no other, and is seen to hang.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from time import monotonic

from gateway.errors import Unavailable
from gateway.ports import Axis, BlobStore
from gateway.reconciling import Reconciling
from gateway.scribe import Scribe
from gateway.settling import Settling
from gateway.store import Store, Tx, blobs, families, leases, transfers
from gateway.store.migrations import ensure_partitions
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.trusting import CHANNEL, Trusting
from gateway.workers.loop import Turn, Worker

UNUSED_FOR = timedelta(hours=24)
UNUSED_EVERY = timedelta(hours=1)
UNUSED_LOOK = 600.0  # seconds between a process' looks whether it is time
FORGOTTEN_EVERY = 60.0
UNUSED = "unused-blobs"  # this lease is not given back: it lasts until it is time again
ASK_EVERY = 30.0  # seconds between looks for places that are due; new ones are noticed at once
UNUSED_NAME, ASKER_NAME = "sweep:blobs", "sweep:revocation"
LOOK_AGAIN = 60.0  # seconds before a reconciliation that was put off is tried again
MONTHS_EVERY = 3600.0  # seconds between looks for the partitions of coming months (PostgreSQL)


class Sweep:
    """The timers of transfers, and what the database needs for coming months."""

    def __init__(self, *, store: Store, settling: Settling) -> None:
        self.store = store
        self.settling = settling
        self._months_due = 0.0
        self._forgotten_due = 0.0

    async def turn(self) -> bool:
        at = self.settling.scribe.now()

        def timers(tx: Tx) -> int:
            gone = transfers.stale(tx, tx.now())
            return self.settling.take_over(tx, gone, at) + self.settling.lapse(tx, at)

        moved = await self.store.write(timers)
        now = asyncio.get_running_loop().time()
        if now >= self._months_due:
            await self.store.write(lambda tx: ensure_partitions(tx, tx.now()))
            self._months_due = now + MONTHS_EVERY
        if now >= self._forgotten_due:
            self._forgotten_due = now + FORGOTTEN_EVERY
            await self.store.write(lambda tx: families.let_go_forgotten(tx, tx.now()))
        return moved > 0


class Unused:
    """Files that nobody needs any more. Every stored one is listed, which may last: no timer
    waits behind it.
    """

    def __init__(self, *, store: Store, scribe: Scribe, files: BlobStore) -> None:
        self.store = store
        self.scribe = scribe
        self.files = files

    async def turn(self) -> bool:
        if await self.store.write(self._my_turn):
            gone = await self.unused_blobs()
            get_logger(worker=UNUSED_NAME).info(Event.BLOBS_SWEPT, removed=gone)
        return False

    def _my_turn(self, tx: Tx) -> bool:
        at = tx.now()
        # a name for each asking: a lease that we had ourselves must run out like any other
        owner = self.scribe.entropy.new_id()
        return leases.take(tx, UNUSED, owner, now=at, until=at + UNUSED_EVERY) is not None

    async def unused_blobs(self) -> int:
        """Rows nobody refers to, and files without a row, both untouched for a day.

        Between looking and deleting, an accept may come to count on the same bytes: keeping them
        makes the file young, and only what is still old at the moment of deleting goes.
        """
        old = UNUSED_FOR.total_seconds()

        def drop(tx: Tx) -> list[str]:
            return blobs.drop_unused(tx, tx.now() - UNUSED_FOR)

        dropped = await self.store.write(drop)
        for digest in dropped:
            await asyncio.to_thread(self.files.delete_older, digest, old)
        aged = [digest for digest, age in await asyncio.to_thread(self.files.digests) if age > old]
        orphans = 0
        for start in range(0, len(aged), 500):
            batch = aged[start : start + 500]
            known = await self.store.read(partial(blobs.known, digests=batch))
            for digest in batch:
                if digest not in known:
                    orphans += await asyncio.to_thread(self.files.delete_older, digest, old)
        return len(dropped) + orphans


def asker(trusting: Trusting, store: Store) -> Worker:
    """Revocation data, in a turn of its own: an authority that hangs holds up no other timer."""
    listener = store.listener(CHANNEL)
    return Worker(ASKER_NAME, trusting.refresh, idle=ASK_EVERY, listener=listener)


def worker(sweep: Sweep, *, interval: float) -> Worker:
    return Worker("sweep", sweep.turn, idle=interval)


def unused(unused: Unused) -> Worker:
    return Worker(UNUSED_NAME, unused.turn, idle=UNUSED_LOOK)


def daily(reconciling: Reconciling, *, interval: float) -> list[Worker]:
    """One worker for each axis that can be asked: the day before, once it is due."""
    return [
        Worker(reconciler_name(name), _daily(reconciling, name), idle=interval)
        for name, axis in reconciling.axes.items()
        if can_be_asked(axis)
    ]


def can_be_asked(axis: Axis) -> bool:
    """Whether there is a daily reconciliation of this axis."""
    return axis.capabilities.follows_up or axis.capabilities.collects


def reconciler_name(axis: str) -> str:
    return f"sweep:reconcile:{axis}"


def _daily(reconciling: Reconciling, axis: str) -> Turn:
    rest = 0.0

    async def turn() -> bool:
        nonlocal rest
        if monotonic() < rest:
            return False
        days = await reconciling.due(axis)
        rest = monotonic() + LOOK_AGAIN
        if not days:
            return False
        log = get_logger(worker="sweep", axis=axis)
        try:
            made = await reconciling.daily(axis, days[0])
        except Unavailable as not_now:
            if not not_now.code.startswith("reconciliation."):
                raise
            log.warning(Event.RECONCILIATION_PUT_OFF, day=str(days[0]), code=not_now.code)
            return False
        told = log.warning if made.counts["wanting"] else log.info
        told(Event.RECONCILIATION_MADE, day=made.day, id=made.id, **made.counts)
        rest = 0.0
        return len(days) > 1

    return turn
