"""Our clock against the time in tokens. It only tells.

In:     the instants around a request for a stamp and the time in its token.
Out:    seconds by which the clock is surely wrong; the last of them, in the store.
Fails:  never.
Never:  sets a clock, rewrites an instant: records keep the clock as it was, stamps bound the truth.

A token's time lies between asking and answering. A token that says earlier shows that our clock is
ahead, one that says later that it is behind, by at least so much; what lies between shows nothing.
"""

from __future__ import annotations

from datetime import datetime

from gateway.store import Tx, noted

NAME = "clock.drift"
ACCURACY = 1.0  # seconds: tokens may leave out fractions (RFC 3161 2.4.2, genTime)


def of_stamp(asked: datetime, gen_time: datetime, answered: datetime) -> float:
    """By how many seconds the clock is ahead (> 0) or behind (< 0), at least."""
    ahead = (asked - gen_time).total_seconds() - ACCURACY
    behind = (gen_time - answered).total_seconds()
    return ahead if ahead > 0 else -behind if behind > 0 else 0.0


def note(tx: Tx, seconds: float) -> None:
    """For every process of this gateway: the one that answers readiness asks no authority."""
    noted.changed(tx, NAME, f"{seconds:.1f}", first="0.0")


def last(tx: Tx) -> float:
    return float(noted.last(tx, NAME) or 0.0)
