"""The gate before one axis: how many transfers may leave now, learned from how attempts end.

In:     outcomes, by `workers/deliver`; the breaker that all processes share, from the store.
Out:    places: on the axis, and to each destination; the right to probe an axis that failed.
Fails:  Unavailable, when the store does.
Never:  writes a record: a breaker is no legal fact. Each change is a log line and a metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from gateway.dispatch import breaker, window
from gateway.dispatch.breaker import BreakPolicy, Voice
from gateway.dispatch.window import Window
from gateway.model.breaker import Breaker, BreakerState
from gateway.model.outcome import Deferred, Outcome, Uncertain
from gateway.store import Store, Tx, breakers
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics

MANY = 512  # destinations that are remembered though nothing is on its way to them
NO_PROBE = -1
_EVENTS = {
    BreakerState.OPEN: Event.AXIS_PAUSED,
    BreakerState.HALF_OPEN: Event.AXIS_PROBED,
    BreakerState.CLOSED: Event.AXIS_RESUMED,
}


class Width(NamedTuple):
    """Attempts at once: on the axis, and to one destination."""

    most: int
    to_one: int


class Gate:
    """Of one worker on one axis. `probe_lease`: how long a prober may take."""

    def __init__(
        self,
        *,
        store: Store,
        metrics: Metrics,
        axis: str,
        width: Width,
        policy: BreakPolicy,
        probe_lease: timedelta,
        fraction: Callable[[], float],
    ) -> None:
        self.store = store
        self.metrics = metrics
        self.axis = axis
        self.policy = policy
        self.probe_lease = probe_lease
        self.fraction = fraction
        self.width = width
        self.window = window.opened(width.most)
        self.going: Counter[str] = Counter()
        self.seen = Breaker()
        self._windows: dict[str, Window] = {}

    # -- windows --------------------------------------------------------------------------------

    def room(self) -> dict[str, int]:
        """How many more may go to each destination of which something is known."""
        return {name: w.limit - self.going[name] for name, w in self._windows.items()}

    @property
    def room_for_others(self) -> int:
        return window.opened(self.width.to_one).limit

    def started(self, destination: str) -> None:
        if destination:
            self.going[destination] += 1
            self._windows.setdefault(destination, window.opened(self.width.to_one))

    def ended(self, destination: str, outcome: Outcome | None) -> None:
        """`outcome` None: the attempt came to no outcome, which says nothing of the other side."""
        voice = Voice.NOTHING if outcome is None else breaker.voice_of(outcome)
        if voice is not Voice.NOTHING:
            self.window = window.after(self.window, success=voice is Voice.ANSWERS)
        if not destination:
            return
        self.going[destination] -= 1
        if voice is not Voice.NOTHING:
            failed = isinstance(outcome, Deferred | Uncertain)
            known = self._windows[destination]
            self._windows[destination] = window.after(known, success=not failed)
        if len(self._windows) > MANY:
            self._windows = {n: w for n, w in self._windows.items() if self.going[n] > 0}
            self.going = +self.going

    # -- the breaker ----------------------------------------------------------------------------

    def saw(self, standing: Breaker) -> None:
        """What a claim found; other processes may have changed it."""
        if standing.state is not self.seen.state:
            self._say(standing)
        self.seen = standing

    async def probe(self) -> int:
        """The fence under which this worker may send one transfer; NO_PROBE: not now, not we."""

        def decide(now: datetime, seen: Breaker) -> Breaker | None:
            return breaker.probe(seen, now=now, lease=self.probe_lease)

        taken = await self._change(decide)
        return NO_PROBE if taken is None else taken.fence

    async def unused(self, fence: int) -> None:
        """There was nothing to probe with."""

        def decide(now: datetime, seen: Breaker) -> Breaker | None:
            return breaker.unused(seen, now=now) if seen.fence == fence else None

        await self._change(decide)

    async def heard(self, outcome: Outcome, probe: int) -> None:
        """What an attempt says of the axis; an answer from one that is well costs no write."""
        voice = breaker.voice_of(outcome)
        if self.seen.clean and voice is not Voice.FAILS:
            return
        fraction = self.fraction()

        def decide(now: datetime, seen: Breaker) -> Breaker | None:
            return breaker.heard(
                seen, voice, probe=probe, now=now, fraction=fraction, policy=self.policy
            )

        await self._change(decide)

    async def _change(
        self, decide: Callable[[datetime, Breaker], Breaker | None]
    ) -> Breaker | None:
        """What `decide` makes of the breaker; None: nothing, or somebody else was faster."""

        def commit(tx: Tx) -> tuple[Breaker, Breaker | None]:
            seen = breakers.seen(tx, self.axis)
            new = decide(tx.now(), seen)
            changed = None if new is None else breakers.swap(tx, self.axis, seen, new)
            return changed or seen, changed

        standing, changed = await self.store.write(commit)
        self.saw(standing)
        return changed

    def _say(self, standing: Breaker) -> None:
        event = _EVENTS[standing.state]
        self.metrics.breaker(self.axis, standing.state.value.lower())
        log = get_logger(worker="deliver", axis=self.axis)
        until = standing.until.isoformat() if standing.until else ""
        say = log.warning if standing.state is BreakerState.OPEN else log.info
        say(event, until=until, trips=standing.trips, advice=event.advice)
