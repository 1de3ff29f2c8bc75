"""Memory does not grow with the document; the header alone is read in one small piece."""

from __future__ import annotations

import io
import sys
from types import FrameType
from typing import Self

import pytest

from gateway.packing.read import read_header, read_package
from gateway.packing.write import plan_files
from tests.support.document_memory import WORK, measured
from tests.support.packages import a_header, an_attachment, packed
from tests.support.streams import MB, Stream, content

# MiB above the idle process (issue: 64 MB for 500 MB, 32 MB for 10,000 attachments of 100 bytes)
MOST = {"write many": 32, "read many": 32, "write large": 16, "read large": 16, "route large": 2}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return measured(tmp_path_factory.mktemp("memory"))


@pytest.mark.parametrize("what", WORK)
def test_work_stays_within_its_memory(used: dict[str, float], what: str) -> None:
    assert used[what] < MOST[what], used


class Steps:
    """Counts the calls that Python makes in this thread: work that can be compared."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.count += event in {"call", "c_call"}


def test_ten_times_the_attachments_are_ten_times_the_steps() -> None:
    written, opened = [], []
    for count in (200, 2000):
        files = [(f"{number}.pdf", b"%PDF-1.7") for number in range(count)]
        with Steps() as steps:
            plan_files([an_attachment(name, data) for name, data in files], "seed")
            package = packed(a_header(), files)
        written.append(steps.count)
        with Steps() as steps:
            read_package(io.BytesIO(package))
        opened.append(steps.count)
    assert written[1] < 10.1 * written[0]
    assert opened[1] < 10.1 * opened[0]


class Counting(io.BytesIO):
    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_routing_reads_as_much_of_a_large_package_as_of_a_small_one() -> None:
    small = Counting(packed(a_header(), [("a.pdf", bytes(1_000_000))]))
    large = Stream(content(500 * MB))
    assert read_header(small).header == a_header()
    assert read_header(large).header == a_header()  # type: ignore[arg-type]  # as BinaryIO enough
    assert small.taken == large.taken <= 64 * 1024


def test_routing_reads_on_until_a_long_header_has_ended() -> None:
    places = tuple(f"Nơi nhận {number}" for number in range(5000))
    source = Counting(packed(a_header(to_places=places), [("a.pdf", bytes(3_000_000))]))
    assert read_header(source).header == a_header(to_places=places)
    assert 64 * 1024 < source.taken < 1_000_000
