"""How long to wait before an axis is asked again what waits for us.

In:     the pace so far, what the last look gave, a fraction in [0, 1), a policy.
Out:    the next pace; seconds to wait, with jitter.
Fails:  never.
Never:  asks faster than `fastest`; gives up; lets many gateways that started together ask together.

Documents come in bursts: an office hands in its morning's post, a receiver answers what it was just
sent. So after something came the axis is asked again soon, and each look in vain waits longer: by a
half up to `usual`, then by a tenth up to `slowest`. An axis that fails is in trouble already: the
wait doubles from `usual` up to `failing`, and the first list that can be read ends that.
"""

from __future__ import annotations

from dataclasses import dataclass

SLOWER = 1.5  # below `usual`
POLITER = 1.1  # above it
JITTER = 0.1  # of the wait, to either side


@dataclass(frozen=True, slots=True)
class Polling:
    """Seconds. What contradicts `usual` gives way to it: fastest <= usual <= slowest, failing."""

    fastest: float = 1.0
    usual: float = 15.0
    slowest: float = 30.0
    failing: float = 300.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fastest", min(self.fastest, self.usual))
        object.__setattr__(self, "slowest", max(self.slowest, self.usual))
        object.__setattr__(self, "failing", max(self.failing, self.usual))


@dataclass(frozen=True, slots=True)
class Pace:
    """`seconds`: the wait without jitter; `failures`: lists in a row that could not be read."""

    seconds: float
    failures: int = 0


def first_pace(policy: Polling) -> Pace:
    """A process that starts knows nothing of the last hours: as after a quiet look."""
    return Pace(policy.usual)


def next_pace(pace: Pace, *, came: int, failed: bool, policy: Polling) -> Pace:
    """After one look. `came`: packages that came; `failed`: a list could not be read."""
    if failed:
        failures = pace.failures + 1
        # the exponent is bounded: an axis may be away for months
        doubled = policy.usual * 2.0 ** min(failures - 1, 30)
        return Pace(min(policy.failing, doubled), failures)
    if came:
        return Pace(policy.fastest)
    if pace.failures:
        return Pace(policy.usual)
    if pace.seconds < policy.usual:
        return Pace(min(policy.usual, pace.seconds * SLOWER))
    return Pace(min(policy.slowest, pace.seconds * POLITER))


def wait_seconds(pace: Pace, fraction: float) -> float:
    """The wait of this pace, a tenth shorter to a tenth longer. `fraction`: uniform in [0, 1)."""
    return pace.seconds * (1 - JITTER + 2 * JITTER * fraction)
