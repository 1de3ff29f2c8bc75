"""When to try again, and when to stop: outcome + attempt + policy + now -> the next step.

In:     what an axis said, what stands behind it (doubt, attempts, age), a policy, a fraction.
Out:    the states to walk, the next due time, whether doubt remains, why a person must decide.
Fails:  Misconfigured, when a policy contradicts itself.
Never:  reads a clock, draws a random number, forgets doubt, sends anything.
Next:   the corridors write the step; `workers/deliver` claims what is due, lane by lane.
"""

from gateway.dispatch.breaker import BreakPolicy
from gateway.dispatch.fetching import FetchStep, next_fetch
from gateway.dispatch.lanes import lane_of, share
from gateway.dispatch.retry import Retry
from gateway.dispatch.retry import parse as parse_retry
from gateway.dispatch.schedule import (
    HoldCause,
    Policy,
    Step,
    backoff_seconds,
    expire,
    next_step,
    taken_over,
)

__all__ = [
    "BreakPolicy",
    "FetchStep",
    "HoldCause",
    "Policy",
    "Retry",
    "Step",
    "backoff_seconds",
    "expire",
    "lane_of",
    "next_fetch",
    "next_step",
    "parse_retry",
    "share",
    "taken_over",
]
