"""Asking an axis: soon after something came, politely in the quiet, gently while it fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.polling import JITTER, Pace, Polling, first_pace, next_pace, wait_seconds

POLICY = Polling(fastest=1.0, usual=15.0, slowest=30.0, failing=300.0)
SECONDS = st.floats(min_value=0.001, max_value=100_000)
LOOKS = st.lists(st.tuples(st.integers(0, 500), st.booleans()), max_size=60)


def walk(policy: Polling, looks: list[tuple[int, bool]], pace: Pace | None = None) -> list[Pace]:
    paces = [pace or first_pace(policy)]
    for came, failed in looks:
        paces.append(next_pace(paces[-1], came=came, failed=failed, policy=policy))
    return paces


def test_after_something_came_it_asks_soon_and_slows_down_look_by_look() -> None:
    paces = walk(POLICY, [(3, False)] + [(0, False)] * 20)
    seconds = [p.seconds for p in paces]
    assert seconds[:4] == [15.0, 1.0, 1.5, 2.25]
    assert seconds[1:] == sorted(seconds[1:])
    assert seconds[8] == 15.0, "the usual pace is met on the way, not jumped over"
    assert seconds[9] == pytest.approx(16.5)
    assert seconds[-1] == 30.0


def test_a_failing_axis_is_asked_ever_more_seldom_and_the_first_good_list_ends_that() -> None:
    paces = walk(POLICY, [(0, True)] * 7 + [(0, False), (0, True), (4, False)])
    assert [p.seconds for p in paces] == [15, 15, 30, 60, 120, 240, 300, 300, 15, 15, 1]
    assert [p.failures for p in paces][-4:] == [7, 0, 1, 0]


def test_what_came_beside_a_failure_does_not_hurry() -> None:
    """Documents came, and the list of statuses could not be read: the axis is in trouble."""
    assert next_pace(Pace(1.0), came=5, failed=True, policy=POLICY) == Pace(15.0, 1)


def test_an_axis_away_for_months_is_still_asked() -> None:
    assert walk(POLICY, [(0, True)] * 5000)[-1] == Pace(300.0, 5000)


@given(SECONDS, SECONDS, SECONDS, SECONDS, LOOKS)
def test_the_pace_stays_within_what_the_operator_said(
    fastest: float, usual: float, slowest: float, failing: float, looks: list[tuple[int, bool]]
) -> None:
    policy = Polling(fastest, usual, slowest, failing)
    assert policy.usual == usual
    for pace in walk(policy, looks):
        most = policy.failing if pace.failures else policy.slowest
        assert policy.fastest <= pace.seconds <= most


@given(SECONDS, st.floats(min_value=0, max_value=1, exclude_max=True))
def test_the_jitter_is_a_tenth_to_either_side(seconds: float, fraction: float) -> None:
    wait = wait_seconds(Pace(seconds), fraction)
    least, most = seconds * (1 - JITTER), seconds * (1 + JITTER)
    assert least == pytest.approx(wait_seconds(Pace(seconds), 0.0))
    assert least <= wait * (1 + 1e-9)
    assert wait <= most * (1 + 1e-9)
