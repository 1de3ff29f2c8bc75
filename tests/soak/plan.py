"""What is sent in a soak: how large document number n is, and what is in it. Pure."""

from __future__ import annotations

import random

from tests.support.fleet.units import contents
from tests.support.fleet.world import FROM

# the mix of issue 4: share, bytes
MIX = ((0.30, 2_000), (0.60, 10_000), (0.09, 100_000), (0.009, 2_000_000), (0.001, 10_000_000))
MEASURED = 10_000  # the size whose accepting is timed


def size_of(seed: int, number: int) -> int:
    weights, sizes = zip(*MIX, strict=True)
    (size,) = random.Random(f"{seed} {number}").choices(sizes, weights)
    return int(size)


def content_of(seed: int, number: int) -> bytes:
    return contents(number, size_of(seed, number))


def name_of(receiver: str, number: int) -> str:
    """The DocumentId of number n for this receiver, where an axis brings it."""
    return f"{FROM},2026/11/20,{receiver[-3:]}{number}/UBND-VX"
