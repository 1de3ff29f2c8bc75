"""A forecast is arithmetic over counts: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.forecast import (
    Deadline,
    Outlook,
    Queue,
    emptying,
    end_of_day,
    present_rate,
    too_late,
)

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # 10:00 in Vietnam
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MOST = 2000


def every(seconds: float, count: int) -> list[datetime]:
    return [NOW - timedelta(seconds=seconds * n) for n in range(count)]


def queue(
    waiting: dict[int, int],
    delivered: Sequence[datetime] = (),
    *,
    failed: int = 0,
    due_since: datetime | None = NOW - HOUR,
) -> Queue:
    return Queue("vxp", waiting, failed, due_since, delivered, MOST)


def waits(name: str, *, lane: int = 3, lives: timedelta = 72 * HOUR, **more: object) -> Deadline:
    values = {
        "transfer_id": name,
        "document_ref": f"d-{name}",
        "axis": "vxp",
        "lane": lane,
        "due_at": NOW,
        "expires_at": NOW + lives,
        "due_date": None,
        **more,
    }
    return Deadline(**values)  # type: ignore[arg-type]  # as the tests give them


# -- the rate --------------------------------------------------------------------------------------


def test_the_present_counts_when_there_is_enough_of_it() -> None:
    # 15 minutes ago it stood; for a minute now it has delivered one a second
    rate = present_rate(every(1, 60), MOST, NOW)
    assert (rate.delivered, rate.window, rate.per_minute) == (60, MINUTE, 60)


def test_a_slow_axis_is_judged_by_the_longest_window() -> None:
    rate = present_rate(every(120, 7), MOST, NOW)
    assert (rate.delivered, rate.window) == (7, 15 * MINUTE)
    assert not rate.rough
    assert present_rate(every(300, 3), MOST, NOW).rough


def test_when_only_the_newest_are_known_the_window_begins_with_them() -> None:
    rate = present_rate(every(0.01, 2000), 2000, NOW)
    assert round(rate.per_minute) == round(2000 * 60 / 19.99)


def test_no_delivery_is_a_rate_of_nothing() -> None:
    assert present_rate([], MOST, NOW).per_minute == 0


# -- when it is empty ------------------------------------------------------------------------------


def test_lanes_leave_one_after_the_other() -> None:
    made = emptying(queue({0: 10, 1: 0, 3: 110}, every(3, 20)), NOW)  # 20 a minute
    assert made.outlook is Outlook.MOVING
    assert made.lanes == {0: NOW + 0.5 * MINUTE, 3: NOW + 6 * MINUTE}
    assert (made.waiting, made.empty_at) == (120, NOW + 6 * MINUTE)


def test_nothing_waiting_is_empty_now_whatever_the_rate() -> None:
    made = emptying(queue({0: 0, 3: 0}), NOW)
    assert (made.outlook, made.empty_at, dict(made.lanes)) == (Outlook.EMPTY, NOW, {})


def test_a_queue_that_nothing_leaves_is_never_empty() -> None:
    made = emptying(queue({3: 5}), NOW)
    assert (made.outlook, made.empty_at, dict(made.lanes)) == (Outlook.STANDS, None, {3: None})


def test_what_came_a_moment_ago_says_nothing_about_the_axis() -> None:
    fresh = NOW - timedelta(seconds=5)
    assert emptying(queue({3: 5}, due_since=fresh), NOW).outlook is Outlook.UNKNOWN
    # but one attempt in vain says something
    assert emptying(queue({3: 5}, due_since=fresh, failed=1), NOW).outlook is Outlook.STANDS


# -- what is too late ------------------------------------------------------------------------------


def test_a_due_date_is_over_when_its_day_is_over_in_vietnam() -> None:
    assert end_of_day("2026-11-20") == datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


def test_what_passes_before_its_lane_is_empty_is_named_the_earliest_first() -> None:
    made = emptying(queue({0: 5, 3: 1195}, every(3, 20)), NOW)  # empty in an hour
    found = too_late(
        made,
        [
            waits("lives"),
            waits("urgent", lane=0, lives=HOUR / 2),  # its lane is empty long before
            waits("lapses", lives=HOUR / 2),
            waits("day", lives=HOUR / 4, due_date="2026-11-19"),  # its day is over already
            waits("elsewhere", lives=MINUTE, axis="other"),
        ],
        NOW,
    )
    assert [(p.deadline.transfer_id, p.at, p.passes) for p in found] == [
        ("day", NOW + HOUR / 4, "lifetime"),
        ("lapses", NOW + HOUR / 2, "lifetime"),
    ]


def test_a_due_date_counts_when_it_ends_before_the_lifetime() -> None:
    made = emptying(queue({3: 20 * 60 * 8}, every(3, 20)), NOW)  # empty at 18:00 in Vietnam
    stays = emptying(queue({3: 20 * 60 * 15}, every(3, 20)), NOW)  # at 01:00 tomorrow
    today = [waits("today", due_date="2026-11-20")]
    assert too_late(made, today, NOW) == []
    (one,) = too_late(stays, today, NOW)
    assert (one.passes, one.at) == ("due_date", end_of_day("2026-11-20"))


def test_what_waits_for_its_next_attempt_until_its_end_is_too_late_in_the_quickest_queue() -> None:
    made = emptying(queue({3: 1}, every(1, 60)), NOW)
    late = waits("late", lives=HOUR, due_at=NOW + HOUR)
    assert [p.deadline for p in too_late(made, [late], NOW)] == [late]


def test_when_nothing_leaves_everything_is_too_late_and_when_nothing_is_known_nothing_is() -> None:
    every_one = [waits("a"), waits("b", due_date="2027-01-01", lives=9999 * HOUR), waits("a")]
    stands = emptying(queue({3: 2}), NOW)
    assert [p.deadline.transfer_id for p in too_late(stands, every_one, NOW)] == ["a", "b"]
    unknown = emptying(queue({3: 2}, due_since=NOW), NOW)
    assert too_late(unknown, every_one, NOW) == []


@given(
    st.dictionaries(st.integers(0, 3), st.integers(0, 10**6)),
    st.lists(st.integers(0, 900), max_size=60),
)
def test_lanes_are_empty_in_their_order_and_the_queue_with_the_last(
    waiting: dict[int, int], ages: list[int]
) -> None:
    delivered = sorted((NOW - timedelta(seconds=age) for age in ages), reverse=True)
    made = emptying(queue(waiting, delivered), NOW)
    times = [at for _, at in sorted(made.lanes.items())]
    known = [at for at in times if at is not None]
    assert known == sorted(known)
    assert len(known) in (0, len(times))
    if made.outlook is Outlook.MOVING:
        assert made.empty_at == times[-1]
