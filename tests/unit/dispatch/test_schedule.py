"""The rules of doubt and of time (architecture 4), one sentence each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.dispatch import (
    HoldCause,
    Policy,
    Step,
    backoff_seconds,
    expire,
    lane_of,
    next_fetch,
    next_step,
    parse_retry,
    taken_over,
)
from gateway.errors import Misconfigured
from gateway.model.arrival import FetchState
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain
from gateway.model.transfer import TransferState as T

START = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
POLICY = Policy(
    retry=parse_retry("10s, 20s, 40s, 80s then every 100s for 1000s"),
    uncertain_wait_seconds=60,
    attempt_deadline_seconds=30,
    grace_seconds=5,
)
NEVER = Policy(repeat="never")


def after(
    outcome: Outcome,
    *,
    doubt: bool = False,
    attempts: int = 1,
    age: float = 1,
    fraction: float = 0.5,
    policy: Policy = POLICY,
    recent: tuple[str, ...] = (),
) -> Step:
    return next_step(
        outcome=outcome,
        doubt=doubt,
        attempts=attempts,
        accepted_at=START,
        now=START + timedelta(seconds=age),
        fraction=fraction,
        policy=policy,
        recent_codes=recent,
    )


def test_a_delivered_transfer_is_on_the_axis_and_never_due_again() -> None:
    assert after(Delivered("42")) == Step((T.ON_AXIS,), None, doubt=False)


def test_a_delivery_does_not_wipe_out_the_doubt_of_an_earlier_attempt() -> None:
    assert after(Delivered(), doubt=True).doubt is True


def test_a_refused_package_is_never_sent_again() -> None:
    assert after(Refused("vxp.22")) == Step((T.REFUSED,), None, doubt=False)


def test_a_refusal_after_doubt_walks_through_uncertain_to_a_person() -> None:
    step = after(Refused("vxp.22"), doubt=True)
    assert step == Step((T.UNCERTAIN, T.HELD), None, True, HoldCause.REFUSED_IN_DOUBT)
    assert step.state is T.HELD


def test_a_deferred_transfer_backs_off_exponentially_up_to_the_cap() -> None:
    waits = [backoff_seconds(n, 0.5, POLICY) for n in range(1, 8)]
    assert waits == [5, 10, 20, 40, 50, 50, 50]
    step = after(Deferred("connect.refused"), attempts=3, age=7)
    assert step == Step((T.DEFERRED,), START + timedelta(seconds=27), doubt=False)


def test_a_thousand_attempts_do_not_overflow_the_back_off() -> None:
    assert backoff_seconds(1000, 0.999, POLICY) == pytest.approx(99.9)


def test_the_last_try_is_made_at_the_end_of_the_lifetime_and_not_after_it() -> None:
    step = after(Deferred("connect.refused"), attempts=9, age=990, fraction=0.9)
    assert step.due_at == START + timedelta(seconds=1000)


def test_a_deferred_transfer_at_the_end_of_its_lifetime_expires() -> None:
    step = after(Deferred("connect.refused"), age=1000)
    assert step == Step((T.DEFERRED, T.EXPIRED), None, doubt=False)


def test_a_transfer_with_doubt_at_the_end_of_its_lifetime_is_held_and_never_expires() -> None:
    step = after(Deferred("connect.refused"), age=1000, doubt=True)
    assert step == Step((T.DEFERRED, T.HELD), None, True, HoldCause.LIFETIME_IN_DOUBT)


def test_an_uncertain_attempt_repeats_the_same_bytes_after_the_wait() -> None:
    step = after(Uncertain("silence"), age=2)
    assert step == Step((T.UNCERTAIN,), START + timedelta(seconds=62), doubt=True)


def test_the_wait_after_doubt_is_not_shortened_by_the_lifetime() -> None:
    step = after(Uncertain("silence"), age=999)
    assert step.due_at == START + timedelta(seconds=1059)


def test_an_uncertain_attempt_after_the_lifetime_is_held() -> None:
    step = after(Uncertain("silence"), age=1001)
    assert step == Step((T.UNCERTAIN, T.HELD), None, True, HoldCause.LIFETIME_IN_DOUBT)


def test_a_profile_that_never_repeats_leaves_doubt_to_a_person() -> None:
    step = after(Uncertain("silence"), policy=NEVER)
    assert step == Step((T.UNCERTAIN, T.HELD), None, True, HoldCause.REPEAT_NEVER)


def test_doubt_stays_with_a_transfer_that_is_deferred_later() -> None:
    assert after(Deferred("connect.refused"), doubt=True).doubt is True


def test_three_equal_unlisted_answers_hold_the_transfer() -> None:
    odd = Deferred("vxp.77", unlisted=True)
    assert after(odd, recent=("vxp.77",)).state is T.DEFERRED
    held = after(odd, recent=("http.503", "vxp.77", "vxp.77"))
    assert held == Step((T.DEFERRED, T.HELD), None, False, HoldCause.EQUAL_ANSWERS)


def test_equal_answers_with_another_between_them_do_not_hold() -> None:
    odd = Deferred("vxp.77", unlisted=True)
    assert after(odd, recent=("vxp.77", "vxp.77", "vxp.78")).state is T.DEFERRED


def test_an_axis_that_is_down_never_holds_a_transfer() -> None:
    down = Deferred("connect.refused")
    assert after(down, recent=("connect.refused",) * 50).state is T.DEFERRED


def test_a_taken_over_attempt_waits_for_its_deadline_and_a_grace() -> None:
    deadline = START + timedelta(seconds=30)
    step = taken_over(deadline_at=deadline, now=START + timedelta(seconds=3), policy=POLICY)
    assert step == Step((T.UNCERTAIN,), START + timedelta(seconds=35), doubt=True)


def test_a_take_over_long_after_the_deadline_is_due_at_once() -> None:
    now = START + timedelta(hours=5)
    assert taken_over(deadline_at=START, now=now, policy=POLICY).due_at == now


def test_a_taken_over_attempt_on_an_axis_that_never_repeats_is_held() -> None:
    step = taken_over(deadline_at=START, now=START, policy=NEVER)
    assert step == Step((T.UNCERTAIN, T.HELD), None, True, HoldCause.REPEAT_NEVER)


@pytest.mark.parametrize(
    ("state", "doubt", "walk"),
    [
        (T.SEALED, False, (T.EXPIRED,)),
        (T.DEFERRED, False, (T.EXPIRED,)),
        (T.SEALED, True, (T.HELD,)),
        (T.DEFERRED, True, (T.HELD,)),
        (T.UNCERTAIN, True, (T.HELD,)),
        (T.UNCERTAIN, False, (T.HELD,)),
    ],
)
def test_what_waits_past_its_lifetime_expires_or_is_held(
    state: T, doubt: bool, walk: tuple[T, ...]
) -> None:
    end = START + timedelta(seconds=1000)
    step = expire(state=state, doubt=doubt, accepted_at=START, now=end, policy=POLICY)
    assert step is not None
    assert step.walk == walk
    assert step.doubt is (walk == (T.HELD,))


@pytest.mark.parametrize("state", [T.ACCEPTED, T.SENDING, T.HELD, T.ON_AXIS, T.WITHDRAWN])
def test_only_waiting_transfers_expire(state: T) -> None:
    late = START + timedelta(days=400)
    step = expire(state=state, doubt=False, accepted_at=START, now=late, policy=POLICY)
    assert step is None


def test_nothing_expires_before_its_time() -> None:
    early = START + timedelta(seconds=999)
    step = expire(state=T.DEFERRED, doubt=True, accepted_at=START, now=early, policy=POLICY)
    assert step is None


def test_a_fetch_is_held_after_equal_failures_and_never_given_up() -> None:
    def fetch(recent: tuple[str, ...], attempts: int) -> tuple[FetchState, datetime | None]:
        step = next_fetch(
            code="download.cut",
            recent_codes=recent,
            attempts=attempts,
            now=START,
            fraction=0.5,
            policy=POLICY,
            hold_after=3,
        )
        return step.state, step.due_at

    assert fetch((), 1) == (FetchState.DUE, START + timedelta(seconds=5))
    assert fetch(("html", "download.cut"), 3)[0] is FetchState.DUE
    assert fetch(("download.cut", "download.cut"), 3) == (FetchState.HELD, None)


@pytest.mark.parametrize(
    "bad",
    [
        {"grace_seconds": 0},
        {"uncertain_wait_seconds": -1},
        {"hold_after_equal": 0},
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(Misconfigured) as caught:
        Policy(**bad)  # type: ignore[arg-type]  # the table mixes int and float on purpose
    assert caught.value.code == "conf.dispatch_invalid"


def test_the_urgent_leave_first_and_the_unknown_travel_as_ordinary() -> None:
    by_priority = {p: lane_of(p) for p in (None, 0, 1, 2, 3, 4, 5, 99, -1)}
    assert by_priority == {None: 3, 0: 3, 1: 2, 2: 1, 3: 0, 4: 0, 5: 3, 99: 3, -1: 3}
