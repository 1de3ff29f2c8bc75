"""Places among lanes, for any queue: none is wasted, the urgent come first, nobody starves."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.dispatch import share
from gateway.dispatch.lanes import NOTHING_OWED, PLACE
from gateway.model.transfer import LANE_COUNT

waiting = st.lists(st.integers(0, 40), min_size=LANE_COUNT, max_size=LANE_COUNT)
debts = st.tuples(*[st.integers(0, 2 * PLACE)] * LANE_COUNT)
LONGEST = 40  # places of others before a waiting lane gets one


@given(waiting, st.integers(0, 64), debts)
def test_every_place_is_dealt_and_only_to_those_who_wait(
    waits: list[int], places: int, owed: tuple[int, ...]
) -> None:
    takes, _ = share(waits, places, owed)
    assert sum(takes) == min(places, sum(waits))
    assert all(0 <= take <= wait for take, wait in zip(takes, waits, strict=True))


@given(waiting, st.integers(1, 64))
def test_without_debts_the_first_place_goes_to_the_most_urgent(
    waits: list[int], places: int
) -> None:
    takes, _ = share(waits, places)
    first = next((lane for lane, wait in enumerate(waits) if wait), None)
    assert first is None or takes[first] >= 1


@given(waiting, st.integers(0, 64), debts)
def test_urgent_lanes_keep_half_of_the_places_once_debts_are_paid(
    waits: list[int], places: int, owed: tuple[int, ...]
) -> None:
    (urgent, *_), _ = share(waits, places, owed)
    # what was owed before is at most two places to each other lane
    assert urgent >= min(waits[0], places // 2 - 2 * (LANE_COUNT - 1))


@given(st.sampled_from(range(1, LANE_COUNT)), st.integers(1, 8))
@example(3, 1)
def test_a_lane_that_waits_gets_a_place_however_many_wait_above(lane: int, places: int) -> None:
    waits, owed, others = [100] * LANE_COUNT, NOTHING_OWED, 0
    while True:
        takes, owed = share(waits, places, owed)
        if takes[lane]:
            break
        others += sum(takes)
        assert others <= LONGEST


@given(waiting, st.integers(1, 64), debts)
def test_nothing_is_owed_where_nobody_waits(
    waits: list[int], places: int, owed: tuple[int, ...]
) -> None:
    _, left = share(waits, places, owed)
    assert all(0 <= debt <= 2 * PLACE for debt in left)
    assert all(debt == 0 for debt, wait in zip(left, waits, strict=True) if wait == 0)


def test_an_urgent_one_that_comes_into_a_long_queue_of_ordinary_ones_is_next() -> None:
    owed = NOTHING_OWED
    for _ in range(100):
        takes, owed = share([0, 0, 0, 50], 1, owed)
        assert takes == (0, 0, 0, 1)
    assert share([1, 0, 0, 50], 1, owed).takes == (1, 0, 0, 0)
