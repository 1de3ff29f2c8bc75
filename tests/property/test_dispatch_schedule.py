"""Schedules never go back, delays stay within the cap, every walk is legal, doubt is never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch import (
    HoldCause,
    Policy,
    Retry,
    Step,
    backoff_seconds,
    expire,
    next_step,
    taken_over,
)
from gateway.dispatch.retry import Jitter
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain
from gateway.model.transfer import CLAIMABLE, TransferState, step

START = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
seconds = st.floats(min_value=0.001, max_value=1e7, allow_nan=False)
codes = st.sampled_from(["connect.refused", "http.503", "vxp.-1", "vxp.77"])
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Delivered),
    st.builds(Deferred, code=codes, unlisted=st.booleans()),
    st.builds(Refused, code=codes),
    st.builds(Uncertain, code=codes),
)
fractions = st.floats(min_value=0, max_value=1, exclude_max=True)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    *pauses, every = sorted(draw(st.lists(seconds, min_size=2, max_size=9)))
    jitter: Jitter = draw(st.sampled_from(["full", "half", "none"]))
    return Policy(
        retry=Retry(tuple(pauses), every, draw(seconds), jitter),
        uncertain_wait_seconds=draw(seconds),
        attempt_deadline_seconds=draw(seconds),
        grace_seconds=draw(seconds),
        hold_after_equal=draw(st.integers(1, 5)),
        repeat=draw(st.sampled_from(["again", "never"])),
    )


def assert_sound(result: Step, start: TransferState, now: datetime, doubt: bool) -> None:
    state = start
    for following in result.walk:
        state = step(state, following)  # raises Broken when the table forbids it
    assert result.doubt or not doubt
    assert (result.due_at is not None) == (state in CLAIMABLE)
    assert result.due_at is None or result.due_at >= now
    assert bool(result.hold_cause) == (state is TransferState.HELD)
    if result.hold_cause:
        assert HoldCause(result.hold_cause) in HoldCause
    if result.doubt:
        assert state not in (TransferState.REFUSED, TransferState.EXPIRED)


@given(
    policy=policies(),
    history=st.lists(st.tuples(outcomes, fractions, seconds), min_size=1, max_size=12),
)
def test_a_whole_history_stays_legal_forward_and_doubtful(
    policy: Policy, history: list[tuple[Outcome, float, float]]
) -> None:
    now, doubt, recent, last_due = START, False, [], START
    for attempt, (outcome, fraction, late) in enumerate(history, start=1):
        result = next_step(
            outcome=outcome,
            doubt=doubt,
            attempts=attempt,
            accepted_at=START,
            now=now,
            fraction=fraction,
            policy=policy,
            recent_codes=recent,
        )
        assert_sound(result, TransferState.SENDING, now, doubt)
        if isinstance(outcome, Uncertain):
            assert result.doubt
        doubt = result.doubt
        recent.append(outcome.code)
        if result.due_at is None:
            break
        assert result.due_at >= last_due
        last_due = result.due_at
        now = result.due_at + timedelta(seconds=late)


@given(policy=policies(), attempts=st.integers(1, 10_000), fraction=fractions)
def test_a_delay_lies_between_nothing_and_the_longest_pause(
    policy: Policy, attempts: int, fraction: float
) -> None:
    assert 0 <= backoff_seconds(attempts, fraction, policy) <= policy.retry.every


@given(policy=policies(), fraction=fractions, attempts=st.integers(1, 99))
def test_more_attempts_never_shorten_the_longest_delay(
    policy: Policy, fraction: float, attempts: int
) -> None:
    first = backoff_seconds(attempts, fraction, policy)
    assert backoff_seconds(attempts + 1, fraction, policy) >= first


@given(policy=policies(), deadline=seconds, age=seconds)
def test_a_take_over_is_legal_and_never_due_before_the_deadline(
    policy: Policy, deadline: float, age: float
) -> None:
    now, ends = START + timedelta(seconds=age), START + timedelta(seconds=deadline)
    result = taken_over(deadline_at=ends, now=now, policy=policy)
    assert_sound(result, TransferState.SENDING, now, doubt=True)
    assert result.due_at is None or result.due_at > ends


@given(
    policy=policies(),
    state=st.sampled_from(list(TransferState)),
    doubt=st.booleans(),
    age=seconds,
)
def test_expiry_is_legal_and_keeps_doubt(
    policy: Policy, state: TransferState, doubt: bool, age: float
) -> None:
    now = START + timedelta(seconds=age)
    result = expire(state=state, doubt=doubt, accepted_at=START, now=now, policy=policy)
    if result is None:
        assert state not in CLAIMABLE or age < policy.lifetime_seconds + 1e-3
    else:
        assert_sound(result, state, now, doubt)
