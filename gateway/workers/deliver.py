"""deliver: each axis has its own hands, so that one that hangs never holds up another.

How many of them are at work follows from how attempts end (`gating`): on the axis, and to each
destination. An axis that fails is left alone, and probed by one process with one transfer.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from gateway.dispatch import share
from gateway.gating import NO_PROBE, Gate
from gateway.model.breaker import BreakerState
from gateway.model.outcome import Deferred, Delivered, outcome_word
from gateway.outbound import Outbound
from gateway.promise import Work
from gateway.store import Store
from gateway.store.claims import Look
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics
from gateway.workers.loop import Worker

SOON = 0.05  # seconds between looks while some destination has all it can take


class Hands:
    """Attempts on one axis, as many at a time as its gate has places."""

    def __init__(self, outbound: Outbound, metrics: Metrics, gate: Gate) -> None:
        self.outbound = outbound
        self.metrics = metrics
        self.gate = gate
        self.axis = gate.axis
        self.busy: set[asyncio.Task[None]] = set()
        self.look = Look(share)

    async def turn(self) -> bool:
        """Fill the free hands; True while there may be more to do at once."""
        self._reap()  # all that ended since the last turn: one claim for them together
        free = self.gate.window.limit - len(self.busy)
        if free > 0:
            claimed, more = await self._claim(free)
            if more:
                return True
            if claimed == free:
                free = 0
        if not self.busy:
            return False
        if free > 0 and min(self.gate.room().values(), default=1) > 0:
            # some hands rest: look again when one more transfer is sealed (the loop's listener)
            await asyncio.sleep(0)
            self._reap()
            return False
        # all hands are busy, or those of one destination: soon there may be one for it again
        patience = None if free <= 0 else SOON
        await asyncio.wait(self.busy, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        self._reap()
        return True

    async def _claim(self, most: int) -> tuple[int, bool]:
        """How many attempts were begun, and whether to claim again at once."""
        look, gate = self.look, self.gate
        look.room, look.room_for_others = gate.room(), gate.room_for_others
        look.probe = NO_PROBE
        claimed = await self.outbound.claim(self.axis, most, look)
        gate.saw(look.standing)
        if look.standing.state is not BreakerState.CLOSED:
            look.probe = await gate.probe()
            if look.probe == NO_PROBE:
                return 0, False
            claimed = await self.outbound.claim(self.axis, 1, look)
            if not claimed:
                await gate.unused(look.probe)
        more = look.keep()
        for work in claimed:
            gate.started(work.claim.destination)
            self.busy.add(asyncio.create_task(self._attempt(work, look.probe)))
        return len(claimed), more

    def _reap(self) -> None:
        for task in [t for t in self.busy if t.done()]:
            self.busy.discard(task)
            task.result()  # Broken and the unforeseen surface in the loop

    async def _attempt(self, work: Work, probe: int) -> None:
        log = get_logger(worker="deliver", axis=self.axis, transfer_id=work.claim.id)
        outcome = None
        began = monotonic()
        try:
            outcome = await self.outbound.deliver(work)
        finally:
            self.gate.ended(work.claim.destination, outcome)
        seconds = monotonic() - began
        await self.gate.heard(outcome, probe)
        self.metrics.attempted(self.axis, outcome_word(outcome), seconds)
        if isinstance(outcome, Delivered):
            since = self.outbound.scribe.now() - work.claim.accepted_at
            self.metrics.delivered(self.axis, since.total_seconds())
        if isinstance(outcome, Deferred) and outcome.alarm:
            self.metrics.alarmed(self.axis, outcome.code)
            log.warning(
                Event.ATTEMPT_ALARMED,
                code=outcome.code,
                detail=outcome.detail,
                advice=Event.ATTEMPT_ALARMED.advice,
            )
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
        f"deliver:{hands.axis}",
        hands.turn,
        idle=idle,
        listener=store.listener("deliver"),
        late=lambda: hands.look.waited,
    )
