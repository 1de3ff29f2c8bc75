"""Where the bytes of a request lie: memory first, then one spool, and readers of their own."""

from __future__ import annotations

import asyncio
import io
import os
import random
from pathlib import Path
from typing import BinaryIO

import pytest

from adapters.blobs.local import LocalBlobs
from gateway.api.uploads import BLOCK, Hold, Window
from gateway.errors import Unavailable

DATA = random.Random(7).randbytes(3 * BLOCK + 17)


def held(blobs: LocalBlobs, in_memory: int, pieces: list[bytes]) -> Hold:
    async def fill() -> Hold:
        hold = Hold(blobs, in_memory)
        for piece in pieces:
            await hold.add(piece)
        await hold.settle()
        return hold

    return asyncio.run(fill())


def sliced(data: bytes, sizes: list[int]) -> list[bytes]:
    source = io.BytesIO(data)
    return [piece for size in sizes if (piece := source.read(size))]


@pytest.mark.parametrize("in_memory", [0, 1000, len(DATA) - 1, len(DATA), 2 * len(DATA)])
@pytest.mark.parametrize("step", [1 << 20, 65_536, 100_003])
def test_every_stretch_reads_as_it_was_added(tmp_path: Path, in_memory: int, step: int) -> None:
    hold = held(LocalBlobs(tmp_path), in_memory, sliced(DATA, [step] * (len(DATA) // step + 1)))
    assert hold.size == len(DATA)
    for start, size in ((0, len(DATA)), (1, 10), (BLOCK - 3, 7), (len(DATA) - 5, 5), (9, 0)):
        opener = hold.opener(start, size)
        with opener() as one, opener() as two:
            assert one.read(4) == DATA[start : start + min(4, size)]
            assert two.read() == DATA[start : start + size]
            assert one.read() == DATA[start + 4 : start + size]
    asyncio.run(hold.close())


def test_a_reader_outlives_the_hold_and_sees_its_stretch_only(tmp_path: Path) -> None:
    hold = held(LocalBlobs(tmp_path), 0, [DATA])
    reader = hold.opener(100, 50)()
    asyncio.run(hold.close())
    assert reader.read(1000) == DATA[100:150]
    assert reader.seek(-10, os.SEEK_END) == 40
    assert reader.read() == DATA[140:150]
    assert reader.seek(1000) == 1000
    assert reader.read() == b""
    reader.close()


def test_a_hold_that_is_closed_gives_no_reader_over_the_file_of_another(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    hold = held(blobs, 0, [DATA])
    opener = hold.opener(100, 50)
    asyncio.run(hold.close())
    with blobs.spool() as other:  # takes the number that became free
        other.write(b"x" * len(DATA))
        with pytest.raises(ValueError, match="closed"):
            opener()


def test_closing_a_window_twice_closes_no_other_file() -> None:
    with Path(os.devnull).open("rb") as other:
        window = Window(other.fileno(), 0, 0)
        window.close()
        window.close()
        assert not other.closed
        os.fstat(other.fileno())


class FullDisk(LocalBlobs):
    """A disk on which a spool can be made and nothing written (a device that is always full)."""

    def spool(self) -> BinaryIO:
        return Path("/dev/full").open("w+b", buffering=0)


def test_a_full_disk_is_a_matter_of_time(tmp_path: Path) -> None:
    async def fill() -> None:
        hold = Hold(FullDisk(tmp_path), 0)
        try:
            await hold.add(DATA)
        finally:
            await hold.close()

    with pytest.raises(Unavailable) as caught:
        asyncio.run(fill())
    assert caught.value.code == "spool.unavailable"
