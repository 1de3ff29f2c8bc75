"""The breaker and the windows, for any story of attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch import BreakPolicy, breaker, window
from gateway.dispatch.breaker import Voice
from gateway.errors import Misconfigured
from gateway.model.breaker import Breaker, BreakerState
from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain

START = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
LEASE = timedelta(seconds=360)
S = BreakerState
policies = st.builds(
    lambda after, first, more: BreakPolicy(
        after=after, first_seconds=first, longest_seconds=first * more
    ),
    st.integers(1, 6),
    st.floats(0.01, 100),
    st.floats(1, 100),
)
fractions = st.floats(0, 1, exclude_max=True)
steps = st.lists(
    st.tuples(st.sampled_from([*Voice, "probe"]), st.booleans(), st.floats(0, 400), fractions),
    max_size=60,
)


@given(policies, steps)
def test_it_opens_only_after_failures_in_a_row_and_only_one_probes(policy, story) -> None:
    """Any interleaving of probes, their outcomes and late outcomes of others."""
    seen, now, row = Breaker(), START, 0
    for what, by_prober, seconds, fraction in story:
        now += timedelta(seconds=seconds)
        if what == "probe":
            new = breaker.probe(seen, now=now, lease=LEASE)
            early = seen.until is not None and now < seen.until
            assert (new is None) == (seen.state is S.CLOSED or early)
            if new is not None:
                assert new.state is S.HALF_OPEN
                assert new.until == now + LEASE
                again = new._replace(fence=seen.fence + 1)
                assert breaker.probe(again, now=now, lease=LEASE) is None, "one at a time"
        else:
            held = seen.fence if by_prober and seen.state is S.HALF_OPEN else -1
            new = breaker.heard(seen, what, probe=held, now=now, fraction=fraction, policy=policy)
            if what is Voice.ANSWERS:
                assert new is None or new.clean
            if seen.state is S.CLOSED:
                row = row + 1 if what is Voice.FAILS else 0 if what is Voice.ANSWERS else row
                opened = new is not None and new.state is S.OPEN
                assert opened == (what is Voice.FAILS and row >= policy.after)
            elif what is not Voice.ANSWERS and held == -1:
                assert new is None, "attempts of before do not decide"
            if new is not None and new.state is S.OPEN:
                assert new.until is not None
                wait = (new.until - now).total_seconds()
                assert policy.first_seconds / 2 <= wait + 1e-5
                assert wait <= policy.longest_seconds + 1e-5
        if new is not None:
            seen = new._replace(fence=seen.fence + 1)
            row = seen.failures


@given(policies, st.integers(1, 2000), fractions)
def test_pauses_double_up_to_the_longest(policy, trips, fraction) -> None:
    pause = policy.pause(trips, fraction)
    assert pause <= policy.pause(trips + 1, fraction)
    assert pause.total_seconds() <= policy.longest_seconds + 1e-6


def test_a_prober_that_found_nothing_to_send_leaves_the_probe_to_whoever_comes_next() -> None:
    open_again = breaker.unused(Breaker(S.HALF_OPEN, trips=2, until=START + LEASE), now=START)
    assert open_again.state is S.OPEN
    assert breaker.probe(open_again, now=START, lease=LEASE) is not None


@pytest.mark.parametrize(
    ("outcome", "voice"),
    [
        (Delivered("1"), Voice.ANSWERS),
        (Refused("vxp.22"), Voice.ANSWERS),
        (Deferred("vxp.-1", unlisted=True), Voice.ANSWERS),
        (Deferred("connect.refused"), Voice.FAILS),
        (Deferred("send.interrupted"), Voice.FAILS),
        (Deferred("http.503"), Voice.FAILS),
        (Deferred("http.401", alarm=True), Voice.FAILS),
        (Deferred("http.413"), Voice.NOTHING),
        (Deferred("lease.lost"), Voice.NOTHING),
        (Uncertain("answer.silence"), Voice.FAILS),
        (Uncertain("http.502"), Voice.FAILS),
    ],
    ids=lambda value: getattr(value, "code", value),
)
def test_what_an_outcome_says_of_the_axis(outcome, voice) -> None:
    assert breaker.voice_of(outcome) is voice


@pytest.mark.parametrize(
    "wrong",
    [{"after": 0}, {"first_seconds": 0}, {"first_seconds": 2, "longest_seconds": 1}],
    ids=str,
)
def test_a_policy_that_contradicts_itself_is_refused(wrong) -> None:
    with pytest.raises(Misconfigured):
        BreakPolicy(**wrong)


@given(st.integers(1, 64), st.lists(st.booleans(), max_size=300))
def test_a_window_stays_between_one_and_its_most_and_moves_by_one(most, story) -> None:
    now = window.opened(most)
    assert now.limit == min(window.FIRST, most)
    for success in story:
        new = window.after(now, success=success)
        assert 1 <= new.limit <= most
        assert abs(new.limit - now.limit) <= 1
        assert success or new.limit == max(now.limit - 1, 1)
        now = new


@given(st.integers(1, 32), st.integers(1, 32))
def test_a_window_grows_by_one_after_as_many_successes_as_it_is_wide(limit, more) -> None:
    now = window.Window(limit, limit + more)
    for _ in range(limit):
        assert now.limit == limit
        now = window.after(now, success=True)
    assert now.limit == limit + 1
