"""deliver: each axis has its own hands, so that one that hangs never holds up another."""

from __future__ import annotations

import asyncio

from gateway.dispatch import share
from gateway.model.outcome import outcome_word
from gateway.outbound import Outbound
from gateway.promise import Work
from gateway.store import Store
from gateway.store.claims import Look
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics
from gateway.workers.loop import Worker


class Hands:
    """At most `limit` attempts on one axis at a time."""

    def __init__(self, outbound: Outbound, metrics: Metrics, axis: str, limit: int) -> None:
        self.outbound = outbound
        self.metrics = metrics
        self.axis = axis
        self.limit = limit
        self.busy: set[asyncio.Task[None]] = set()
        self.look = Look(share)

    async def turn(self) -> bool:
        """Fill the free hands; True while there may be more to do at once."""
        free = self.limit - len(self.busy)
        if free > 0:
            claimed = await self.outbound.claim(self.axis, free, self.look)
            more = self.look.keep()
            for work in claimed:
                self.busy.add(asyncio.create_task(self._attempt(work)))
            if more:
                return True
            if len(claimed) == free:
                free = 0
            if not claimed and not self.busy:
                return False
        if not self.busy:
            return False
        if free > 0:
            # some hands rest: look again when one more transfer is sealed (the loop's listener)
            await asyncio.sleep(0)
            self._reap()
            return False
        await asyncio.wait(self.busy, return_when=asyncio.FIRST_COMPLETED)
        self._reap()
        return True

    def _reap(self) -> None:
        for task in [t for t in self.busy if t.done()]:
            self.busy.discard(task)
            task.result()  # Broken and the unforeseen surface in the loop

    async def _attempt(self, work: Work) -> None:
        log = get_logger(worker="deliver", axis=self.axis, transfer_id=work.claim.id)
        outcome = await self.outbound.deliver(work)
        self.metrics.attempted(self.axis, outcome_word(outcome))
        log.info(
            Event.ATTEMPT_ENDED,
            outcome=outcome_word(outcome),
            code=outcome.code,
            attempt=work.claim.attempts,
        )

    async def rest(self) -> None:
        """Wait for the attempts under way: each is bounded by its deadline."""
        if self.busy:
            await asyncio.wait(self.busy)
            self._reap()


def worker(hands: Hands, store: Store, *, idle: float) -> Worker:
    return Worker(
        f"deliver:{hands.axis}", hands.turn, idle=idle, listener=store.listener("deliver")
    )
