"""The breaker: an axis that fails is left alone, and probed with one transfer at a time.

In:     a Breaker as it stands, what an attempt's outcome says of the axis, `now`, a fraction.
Out:    the Breaker as it shall stand, or None where nothing changes.
Fails:  Misconfigured for a policy that contradicts itself.
Never:  reads a clock; opens because an axis refuses one document; forgets who probes.

Failures in a row open it; the answer to a probe closes it, and so does an answer to any attempt
that began before. While it is open nobody claims. Pauses double up to a longest one, with half of
each drawn, so that processes and gateways do not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from gateway.errors import Misconfigured, Text
from gateway.model.breaker import Breaker, BreakerState
from gateway.model.outcome import Deferred, Outcome, Uncertain

_LARGEST_EXPONENT = 40
# codes of our own side, which say nothing of the axis
_OURS = ("lease.", "store.", "blob.", "item.", "package.", "ledger.")
# no connection, no whole exchange
_LINE = ("connect.", "send.", "answer.")
# the server as a whole, or our account on it: not this document
_SERVER = ("http.5", "http.401", "http.403", "http.408", "http.429")


class Voice(Enum):
    """What one outcome says of the axis."""

    ANSWERS = "answers"  # it works, whatever it thinks of this document
    FAILS = "fails"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakPolicy:
    """`after`: failures in a row. Pauses in seconds: the first, and the longest."""

    after: int = 5
    first_seconds: float = 10.0
    longest_seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.after < 1 or not 0 < self.first_seconds <= self.longest_seconds:
            raise Misconfigured(
                Text(
                    "Ngắt mạch không hợp lệ: break_after ≥ 1, 0 < probe_first ≤ probe_longest",
                    "breaker policy: break_after >= 1, 0 < probe_first <= probe_longest",
                ),
                code="conf.dispatch_invalid",
            )

    def pause(self, trips: int, fraction: float) -> timedelta:
        """Between half of, and the whole of, first x 2^(trips - 1), at most the longest."""
        exponent = min(max(trips, 1) - 1, _LARGEST_EXPONENT)
        whole = min(self.longest_seconds, self.first_seconds * float(2**exponent))
        return timedelta(seconds=whole * (1 + fraction) / 2)


def voice_of(outcome: Outcome) -> Voice:
    """A refusal is an answer; doubt, and what failed below the protocol, speaks of the axis."""
    if isinstance(outcome, Uncertain):
        return Voice.FAILS
    if not isinstance(outcome, Deferred):
        return Voice.ANSWERS
    code = outcome.code
    if code.startswith((*_LINE, *_SERVER)):
        return Voice.FAILS
    return Voice.NOTHING if code.startswith((*_OURS, "http.")) else Voice.ANSWERS


def heard(
    seen: Breaker, voice: Voice, *, probe: int, now: datetime, fraction: float, policy: BreakPolicy
) -> Breaker | None:
    """After an attempt. `probe`: the fence under which it probed, -1 for any other attempt."""
    if voice is Voice.ANSWERS:
        return None if seen.clean else Breaker()
    if seen.state is BreakerState.CLOSED:
        if voice is Voice.NOTHING:
            return None
        failures = seen.failures + 1
        if failures < policy.after:
            return Breaker(failures=failures)
        return _opened(1, now, fraction, policy)
    if seen.state is BreakerState.OPEN or probe != seen.fence:
        return None  # attempts of before, one after the other; only the probe decides
    trips = seen.trips + 1 if voice is Voice.FAILS else seen.trips
    return _opened(trips, now, fraction, policy)


def probe(seen: Breaker, *, now: datetime, lease: timedelta) -> Breaker | None:
    """Who sends one transfer to find out, once the pause is over or the last prober is gone."""
    if seen.state is BreakerState.CLOSED or (seen.until is not None and now < seen.until):
        return None
    return Breaker(BreakerState.HALF_OPEN, trips=seen.trips, until=now + lease)


def unused(seen: Breaker, *, now: datetime) -> Breaker:
    """The prober found nothing to send: whoever has something next may probe at once."""
    return Breaker(BreakerState.OPEN, trips=seen.trips, until=now)


def _opened(trips: int, now: datetime, fraction: float, policy: BreakPolicy) -> Breaker:
    until = now + policy.pause(trips, fraction)
    return Breaker(BreakerState.OPEN, trips=trips, until=until)
