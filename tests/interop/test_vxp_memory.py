"""A package of 300 MB goes out and comes in within 64 MB of memory above the idle process."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.axis_memory import WAYS, measure


@pytest.mark.long
@pytest.mark.timeout(900)
def test_three_hundred_megabytes_travel_in_sixty_four_of_memory(tmp_path):
    usages = asyncio.run(measure(tmp_path, 300))
    assert [usage.way for usage in usages] == list(WAYS)
    for usage in usages:
        assert usage.package_bytes > 299 * 1024 * 1024
        assert usage.above_idle_mib < 64, usage


def test_memory_does_not_grow_with_the_package(tmp_path):
    for usage in asyncio.run(measure(tmp_path, 24)):
        assert usage.above_idle_mib < 16, usage
