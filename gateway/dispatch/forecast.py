"""When a queue is empty at the present rate, and which documents are too late by then.

In:     one axis' queue as counted, the instants of its latest deliveries, deadlines, `now`.
Out:    a rate, the times at which lanes and queue are empty (or never), what passes before.
Fails:  never.
Never:  reads a clock, promises: nothing that may still come is counted, and no repair of an axis.

A DueDate is a day (QCVN 102:2016/BTTTT, DueDate): it is passed when that day is over in Vietnam.
Lanes leave one after the other, the lower number first; what `dispatch` gives to the lower lanes
meanwhile, so that they do not starve, makes the upper ones a little later than is said here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
WINDOWS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
ENOUGH = 20  # deliveries in a window, for its rate to count before that of a longer one
FEW = 5  # below it a rate is a guess
YOUNG = timedelta(minutes=1)  # a queue that nothing has left for less is not called standing


class Outlook(StrEnum):
    EMPTY = "empty"  # nothing waits
    MOVING = "moving"  # it will be empty at a time
    STANDS = "stands"  # nothing leaves it: at this rate never
    UNKNOWN = "unknown"  # what waits came a moment ago, and nothing was delivered before it


@dataclass(frozen=True, slots=True)
class Rate:
    """`delivered` transfers within `window`, up to now."""

    delivered: int
    window: timedelta

    @property
    def per_minute(self) -> float:
        return self.delivered * 60 / self.window.total_seconds()

    @property
    def rough(self) -> bool:
        return self.delivered < FEW


@dataclass(frozen=True, slots=True)
class Queue:
    """One axis. `waiting`: lane -> transfers that wait or are being sent; `failed`: how many of
    them were tried in vain; `due_since`: since when the oldest of them could have been sent.

    `delivered`: instants of the latest deliveries, the newest first, at least those of the longest
    window unless there are more than `most`, which then are the newest. `paused`: the breaker lets
    nothing leave but a probe now and then; what left before says nothing of that.
    """

    axis: str
    waiting: Mapping[int, int]
    failed: int
    due_since: datetime | None
    delivered: Sequence[datetime]
    most: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Deadline:
    """A waiting transfer: `due_at` its next attempt, `expires_at` the end of its lifetime."""

    transfer_id: str
    document_ref: str
    axis: str
    lane: int
    due_at: datetime | None
    expires_at: datetime
    due_date: str | None

    @property
    def first(self) -> tuple[datetime, Literal["due_date", "lifetime"]]:
        """The instant from which it is too late, and for what."""
        if self.due_date is not None:
            day = end_of_day(self.due_date)
            if day < self.expires_at:
                return day, "due_date"
        return self.expires_at, "lifetime"


@dataclass(frozen=True, slots=True)
class Passing:
    """`at`: when it is too late, which is before it leaves."""

    deadline: Deadline
    at: datetime
    passes: Literal["due_date", "lifetime"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """`empty_at`, `lanes`: None where it is never, or unknown. `passing`: the earliest first."""

    axis: str
    outlook: Outlook
    waiting: int
    rate: Rate
    empty_at: datetime | None
    lanes: Mapping[int, datetime | None]
    passing: Sequence[Passing]


def end_of_day(day: str) -> datetime:
    """The first instant after a day `yyyy-MM-dd` of Vietnam."""
    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), VIETNAM)


def present_rate(delivered: Sequence[datetime], most: int, now: datetime) -> Rate:
    """By the shortest window that holds ENOUGH deliveries, else by the longest.

    Of more than `most` deliveries only the newest are known: then the window begins with them.
    """
    for window in WINDOWS:
        seen = sum(1 for at in delivered if at > now - window)
        if seen >= most:
            known = max(now - min(delivered), timedelta(seconds=1))
            return Rate(seen, min(known, window))
        if seen >= ENOUGH or window == WINDOWS[-1]:
            return Rate(seen, window)
    return Rate(0, WINDOWS[-1])


def emptying(queue: Queue, now: datetime) -> Forecast:
    """What is to be expected of a queue, before anybody looked at its documents."""
    rate = present_rate(() if queue.paused else queue.delivered, queue.most, now)
    total = sum(queue.waiting.values())
    lanes: dict[int, datetime | None] = {}
    before = 0
    for lane in sorted(queue.waiting):
        if queue.waiting[lane]:
            before += queue.waiting[lane]
            lanes[lane] = _after(before, rate, now)
    young = queue.due_since is None or now - queue.due_since < YOUNG
    if not total:
        outlook = Outlook.EMPTY
    elif rate.delivered:
        outlook = Outlook.MOVING
    else:
        fresh = young and not queue.failed and not queue.paused
        outlook = Outlook.UNKNOWN if fresh else Outlook.STANDS
    empty_at = now if outlook is Outlook.EMPTY else _after(total, rate, now)
    return Forecast(queue.axis, outlook, total, rate, empty_at, lanes, ())


def too_late(made: Forecast, deadlines: Iterable[Deadline], now: datetime) -> list[Passing]:
    """Which of the axis' transfers pass a deadline before they leave, the earliest first.

    None while nothing is known. What is past its day already passes nothing any more, unless its
    lifetime ends as well.
    """
    if made.outlook in (Outlook.UNKNOWN, Outlook.EMPTY):
        return []
    found = {}
    for one in deadlines:
        if one.axis != made.axis:
            continue
        at, passes = one.first
        if at <= now:
            at, passes = one.expires_at, "lifetime"
        lane_empty = made.lanes.get(one.lane, made.empty_at)
        if lane_empty is None or max(lane_empty, one.due_at or now) >= at:
            found[one.transfer_id] = Passing(one, at, passes)
    return sorted(found.values(), key=lambda p: (p.at, p.deadline.lane, p.deadline.transfer_id))


def while_held(
    axis: str, deadlines: Iterable[Deadline], now: datetime, until: datetime
) -> list[Passing]:
    """Which of the axis' held transfers pass their DueDate in (now, until] if nobody decides, the
    earliest first. Their lifetime ends nothing: what is held never lapses, and a release begins a
    new one.
    """
    found = {}
    for one in deadlines:
        if one.axis != axis or one.due_date is None:
            continue
        at = end_of_day(one.due_date)
        if now < at <= until:
            found[one.transfer_id] = Passing(one, at, "due_date")
    return sorted(found.values(), key=lambda p: (p.at, p.deadline.lane, p.deadline.transfer_id))


def _after(transfers: int, rate: Rate, now: datetime) -> datetime | None:
    if not rate.delivered:
        return None
    return now + timedelta(minutes=transfers / rate.per_minute)
