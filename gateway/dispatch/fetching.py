"""When to fetch again what an axis lists and could not hand over whole.

In:     the code of the failure, the codes before it, attempts, `now`, a fraction, a Policy.
Out:    DUE with the next due time, or HELD after N equal failures (architecture 3, 5).
Fails:  never.
Never:  acknowledges anything: a failed fetch leaves the package with the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.dispatch.schedule import Policy, backoff_seconds, equal_run
from gateway.model.arrival import FetchState


@dataclass(frozen=True, slots=True)
class FetchStep:
    """`due_at` is None when the fetch is HELD: a person releases it to DUE."""

    state: FetchState
    due_at: datetime | None


def next_fetch(
    *,
    code: str,
    recent_codes: Sequence[str],
    attempts: int,
    now: datetime,
    fraction: float,
    policy: Policy,
    hold_after: int,
) -> FetchStep:
    """The step after a failed fetch. `recent_codes`: earlier failures, oldest first, not this one.

    A fetch has no lifetime: what the axis keeps for us is never given up, only held.
    """
    if equal_run(code, recent_codes) >= hold_after:
        return FetchStep(FetchState.HELD, None)
    delay = timedelta(seconds=backoff_seconds(attempts, fraction, policy))
    return FetchStep(FetchState.DUE, now + delay)
