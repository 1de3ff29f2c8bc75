"""sweep: everything that happens because time passed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from gateway.ports import BlobStore
from gateway.settling import Settling
from gateway.store import Store, Tx, blobs, families, transfers
from gateway.store.migrations import ensure_partitions
from gateway.workers.loop import Worker

UNUSED_FOR = timedelta(hours=24)
MONTHS_EVERY = 3600.0  # seconds between looks for the partitions of coming months (PostgreSQL)


class Sweep:
    def __init__(self, *, store: Store, settling: Settling, files: BlobStore) -> None:
        self.store = store
        self.settling = settling
        self.files = files
        self._turns = 0
        self._months_due = 0.0

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
        if self._turns % 60 == 0:
            await self.store.write(lambda tx: families.let_go_forgotten(tx, tx.now()))
        if self._turns % 600 == 0:
            await self.unused_blobs()
        self._turns += 1
        return moved > 0

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


def worker(sweep: Sweep, *, interval: float) -> Worker:
    return Worker("sweep", sweep.turn, idle=interval)
