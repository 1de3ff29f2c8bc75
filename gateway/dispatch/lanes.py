"""Lanes: the urgent leave first (QĐ 28/2018 article 6.2, NĐ 30/2020 article 18.1).

In:     `OtherInfo/Priority` as the package carries it.
Out:    the number of a lane; the lower leaves first.
Fails:  never; what is unknown travels as ordinary.
Never:  changes the priority that the package carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ORDINARY = 3
LANE_COUNT = 4
# standards 1.8: 0 thường, 1 khẩn, 2 thượng khẩn, 3 hỏa tốc, 4 hỏa tốc hẹn giờ (legacy: as hỏa tốc,
# standards 8.6). One database writes thường as 5.
LANES: Mapping[int, int] = MappingProxyType({4: 0, 3: 0, 2: 1, 1: 2, 0: ORDINARY, 5: ORDINARY})


def lane_of(priority: int | None) -> int:
    """0 hỏa tốc, 1 thượng khẩn, 2 khẩn, 3 thường; absent or unknown = 3."""
    return ORDINARY if priority is None else LANES.get(priority, ORDINARY)
