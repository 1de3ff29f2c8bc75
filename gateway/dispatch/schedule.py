"""The schedule: pauses as the policy writes them, until a lifetime; doubt is never lost.

In:     an Outcome, the transfer's doubt, attempts and age, a Policy, `now`, a fraction in [0, 1).
Out:    a Step: states to walk (each legal by `model.transfer.step`), due time, doubt, hold cause.
Fails:  Misconfigured for a policy that contradicts itself; nothing else.
Never:  reads a clock, draws a random number, moves a due time before `now`, drops doubt.
Next:   `outbound.settle` writes the step in the commit of the attempt's record.

The rules are those of architecture 4, "Doubt". A Step carries a *walk*, because some ends have
no direct edge: a refusal after doubt goes SENDING -> UNCERTAIN -> HELD, both in one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from gateway.dispatch.retry import DEFAULT, Retry, parse
from gateway.errors import Misconfigured, Text
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused
from gateway.model.transfer import CLAIMABLE, TransferState


class HoldCause(StrEnum):
    """Why a person must decide. Stored as `hold_cause`; the queue shows it."""

    REFUSED_IN_DOUBT = "refused_in_doubt"  # the axis says never, but may have it from before
    LIFETIME_IN_DOUBT = "lifetime_in_doubt"  # too old to go on, and it may have been delivered
    REPEAT_NEVER = "repeat_never"  # the axis' profile forbids the same bytes twice
    EQUAL_ANSWERS = "equal_answers"  # an answer nobody has classified, too often the same
    RESTORED = "restored"  # set by a restore (architecture 7), not by this room
    PERSON = "person"  # set by `queue hold`
    UNSTAMPED = "unstamped"  # set by the brake (braking.py); it lets go by itself after a stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All durations in seconds (float, > 0). Defaults are those of conf/gateway.toml.

    `repeat`: what doubt allows: `again` = the same bytes after `uncertain_wait_seconds`,
    `never` = a person decides. `hold_after_equal`: how many equal unlisted answers hold.
    """

    retry: Retry = field(default_factory=lambda: parse(DEFAULT))
    uncertain_wait_seconds: float = 600.0
    attempt_deadline_seconds: float = 300.0
    grace_seconds: float = 60.0
    hold_after_equal: int = 3
    repeat: Literal["again", "never"] = "again"

    def __post_init__(self) -> None:
        durations = (
            self.uncertain_wait_seconds,
            self.attempt_deadline_seconds,
            self.grace_seconds,
        )
        if min(durations) <= 0 or self.hold_after_equal < 1:
            raise Misconfigured(
                Text(
                    "Chính sách gửi lại không hợp lệ: thời lượng phải dương, hold_after_equal ≥ 1",
                    "dispatch policy: durations must be positive, hold_after_equal >= 1",
                ),
                code="conf.dispatch_invalid",
            )

    @property
    def lifetime_seconds(self) -> float:
        return self.retry.lifetime


@dataclass(frozen=True, slots=True)
class Step:
    """What to write. `walk`: states after the present one, in order; the last one stays.

    `due_at`: when the transfer may be claimed again; None when the state is not claimable.
    `hold_cause`: a HoldCause word when the walk ends in HELD, else "".
    """

    walk: tuple[TransferState, ...]
    due_at: datetime | None
    doubt: bool
    hold_cause: str = ""

    @property
    def state(self) -> TransferState:
        return self.walk[-1]


def backoff_seconds(attempts: int, fraction: float, policy: Policy) -> float:
    """The pause that the policy writes for this attempt (from 1), with its jitter."""
    return policy.retry.pause(attempts, fraction)


def next_step(
    *,
    outcome: Outcome,
    doubt: bool,
    attempts: int,
    accepted_at: datetime,
    now: datetime,
    fraction: float,
    policy: Policy,
    recent_codes: Sequence[str] = (),
) -> Step:
    """The step after one attempt, from SENDING.

    `attempts`: attempts made, this one included. `accepted_at`: the instant the lifetime counts
    from: acceptance, or the last release by a person. `recent_codes`: outcome codes of the
    earlier attempts since that instant, oldest first, this one not included.
    """
    state = TransferState
    if isinstance(outcome, Delivered):
        return Step((state.ON_AXIS,), None, doubt)
    if isinstance(outcome, Refused):
        if doubt:
            return _held((state.UNCERTAIN, state.HELD), HoldCause.REFUSED_IN_DOUBT)
        return Step((state.REFUSED,), None, doubt=False)

    end = accepted_at + timedelta(seconds=policy.lifetime_seconds)
    if isinstance(outcome, Deferred):
        if now >= end:
            if doubt:
                return _held((state.DEFERRED, state.HELD), HoldCause.LIFETIME_IN_DOUBT)
            return Step((state.DEFERRED, state.EXPIRED), None, doubt=False)
        if outcome.unlisted and equal_run(outcome.code, recent_codes) >= policy.hold_after_equal:
            return Step((state.DEFERRED, state.HELD), None, doubt, HoldCause.EQUAL_ANSWERS)
        delay = timedelta(seconds=backoff_seconds(attempts, fraction, policy))
        # never past the end: what falls there lapses (`expire`) instead of trying for ever
        return Step((state.DEFERRED,), min(now + delay, end), doubt)

    # Uncertain: from here on the transfer carries doubt for ever
    if policy.repeat == "never":
        return _held((state.UNCERTAIN, state.HELD), HoldCause.REPEAT_NEVER)
    if now >= end:
        return _held((state.UNCERTAIN, state.HELD), HoldCause.LIFETIME_IN_DOUBT)
    # the wait is never shortened, not even by the lifetime: `expire` settles what is due too late
    wait = timedelta(seconds=policy.uncertain_wait_seconds)
    return Step((state.UNCERTAIN,), now + wait, doubt=True)


def taken_over(*, deadline_at: datetime, now: datetime, policy: Policy) -> Step:
    """The step for a SENDING row whose process is gone or lost its lease.

    `deadline_at`: the hard deadline of the attempt that is taken over. Its bytes may still be on
    the way until then, so nothing is sent again before that deadline plus a grace.
    """
    if policy.repeat == "never":
        walk = (TransferState.UNCERTAIN, TransferState.HELD)
        return _held(walk, HoldCause.REPEAT_NEVER)
    due_at = max(deadline_at + timedelta(seconds=policy.grace_seconds), now)
    return Step((TransferState.UNCERTAIN,), due_at, doubt=True)


def expire(
    *, state: TransferState, doubt: bool, accepted_at: datetime, now: datetime, policy: Policy
) -> Step | None:
    """The step for a waiting transfer whose lifetime is over; None while it may still be sent.

    Only claimable states expire: ACCEPTED waits for the sealer, SENDING for its outcome, HELD for
    a person. With doubt the end is HELD, never EXPIRED (architecture 5).
    """
    if state not in CLAIMABLE or now < accepted_at + timedelta(seconds=policy.lifetime_seconds):
        return None
    if doubt or state is TransferState.UNCERTAIN:
        return _held((TransferState.HELD,), HoldCause.LIFETIME_IN_DOUBT)
    return Step((TransferState.EXPIRED,), None, doubt=False)


def _held(walk: tuple[TransferState, ...], cause: HoldCause) -> Step:
    return Step(walk, None, doubt=True, hold_cause=cause)


def equal_run(code: str, recent_codes: Sequence[str]) -> int:
    """How many attempts in a row, this one included, ended with this code."""
    run = 1
    for earlier in reversed(recent_codes):
        if earlier != code:
            break
        run += 1
    return run
