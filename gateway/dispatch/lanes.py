"""Lanes: the urgent leave first (QĐ 28/2018 article 6.2, NĐ 30/2020 article 18.1), none starves.

In:     `OtherInfo/Priority` as the package carries it; how many wait in each lane.
Out:    the number of a lane, the lower leaves first; how many of a batch each lane gets.
Fails:  never; what is unknown travels as ordinary.
Never:  changes the priority that the package carries; makes the first urgent one wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from gateway.errors import Text
from gateway.model.transfer import LANE_COUNT

ORDINARY = LANE_COUNT - 1
# standards 1.8: 0 thường, 1 khẩn, 2 thượng khẩn, 3 hỏa tốc, 4 hỏa tốc hẹn giờ (legacy: as hỏa tốc,
# standards 8.6). One database writes thường as 5.
LANES: Mapping[int, int] = MappingProxyType({4: 0, 3: 0, 2: 1, 1: 2, 0: ORDINARY, 5: ORDINARY})

# by lane, as letterheads have it; English keeps the term that stands on the paper
URGENCY = (
    Text("hỏa tốc", "express (hỏa tốc)"),
    Text("thượng khẩn", "very urgent (thượng khẩn)"),
    Text("khẩn", "urgent (khẩn)"),
    Text("thường", "ordinary (thường)"),
)

# What a waiting lane is owed, in eighths of a place, for each place that goes to a more urgent one.
# Together less than a place, so that however many wait below, hỏa tốc keeps half.
SHARES = (0, 2, 1, 1)
PLACE = 8

Owed = tuple[int, ...]
NOTHING_OWED: Owed = (0,) * LANE_COUNT


class Shares(NamedTuple):
    """`takes`: places of this batch, by lane. `owed`: to be handed in with the next batch."""

    takes: tuple[int, ...]
    owed: Owed


def lane_of(priority: int | None) -> int:
    """0 hỏa tốc, 1 thượng khẩn, 2 khẩn, 3 thường; absent or unknown = 3."""
    return ORDINARY if priority is None else LANES.get(priority, ORDINARY)


def share(waiting: Sequence[int], places: int, owed: Owed = NOTHING_OWED) -> Shares:
    """Deal `places` among lanes in which `waiting[lane]` transfers are due.

    The most urgent go first. A lane that is passed over is owed a part of each place; once that
    makes a whole place, it gets one, however many urgent ones wait. Nothing is owed to a lane where
    nobody waits, or that is served in its own turn: so an urgent transfer that comes into a queue
    of ordinary ones takes the very next place.
    """
    left = list(waiting)
    takes = [0] * LANE_COUNT
    debts = [owed[lane] if left[lane] else 0 for lane in range(LANE_COUNT)]
    for _ in range(places):
        first = next((lane for lane in range(LANE_COUNT) if left[lane]), None)
        if first is None:
            break
        due = next(
            (lane for lane in range(LANE_COUNT) if left[lane] and debts[lane] >= PLACE), None
        )
        chosen = first if due is None else due
        takes[chosen] += 1
        left[chosen] -= 1
        debts[chosen] = max(debts[chosen] - PLACE, 0) if chosen == due else 0
        for lane in range(chosen + 1, LANE_COUNT):
            debts[lane] = min(debts[lane] + SHARES[lane], 2 * PLACE) if left[lane] else 0
    return Shares(tuple(takes), tuple(debts))
