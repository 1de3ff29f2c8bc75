"""Whether an axis is being sent to: the states of its breaker, and what is known of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class BreakerState(StrEnum):
    CLOSED = "CLOSED"  # transfers flow
    OPEN = "OPEN"  # the axis fails: nothing is claimed before `until`
    HALF_OPEN = "HALF_OPEN"  # one transfer finds out whether it works again


class Breaker(NamedTuple):
    """One axis, for all processes. `failures`: in a row, while CLOSED; `trips`: openings in a row.

    `until`: OPEN, the next probe; HALF_OPEN, when the prober counts as gone. `fence` grows with
    every change: whoever changes it must have seen the last one.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    trips: int = 0
    until: datetime | None = None
    fence: int = 0

    @property
    def clean(self) -> bool:
        return self.state is BreakerState.CLOSED and self.failures == 0
