"""A package of 100 MB goes out and comes in over SOAP within 64 MB above the idle process."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.soap_memory import WAYS, measure


@pytest.mark.parametrize("payload", ["swa", "package"])
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_hundred_megabytes_travel_in_sixty_four_of_memory(tmp_path, payload):
    usages = asyncio.run(measure(tmp_path, 100, payload))
    assert [usage.way for usage in usages] == list(WAYS)
    for usage in usages:
        assert usage.package_bytes > 99 * 1024 * 1024
        assert usage.above_idle_mib < 64, usage


@pytest.mark.parametrize("payload", ["swa", "package"])
def test_memory_does_not_grow_with_the_package(tmp_path, payload):
    for usage in asyncio.run(measure(tmp_path, 24, payload)):
        assert usage.above_idle_mib < 24, usage
