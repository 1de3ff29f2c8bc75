"""Parts beyond 2 GiB: a package may be that large, and a zip then needs another header."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from gateway.evidence import zipped

LARGE = zipfile.ZIP64_LIMIT + 5  # 2 GiB and 4 bytes
ZIP64 = b"\x01\x00"  # the extra field that holds sizes of eight bytes


class Holes(io.RawIOBase):
    """A file on which blocks of nothing but zeros take no room."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        if len(data) > 4096 and not any(data):
            self.file.seek(len(data), io.SEEK_CUR)
        else:
            self.file.write(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


def zeros(size: int) -> Iterator[bytes]:
    block = bytes(zipped.CHUNK)
    for _ in range(size // len(block)):
        yield block
    yield bytes(size % len(block))


def test_only_a_large_part_has_the_large_header() -> None:
    out = io.BytesIO()
    zipped.write(
        [zipped.Part("a.bin", [b"a"], 1), zipped.Part("b.bin", [b"bc"], LARGE)],
        out,
    )
    with zipfile.ZipFile(out) as file:
        starts = {i.filename: i.header_offset for i in file.infolist()}
    raw = out.getvalue()
    assert raw[starts["a.bin"] + 28 :].startswith(b"\0\0"), "no extra field"
    assert raw[starts["b.bin"] + 30 + len("b.bin") :].startswith(ZIP64)
    with zipped.read(out) as container:
        assert container.read("b.bin") == b"bc"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_part_beyond_two_gibibytes_is_written_and_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.asice"
    with path.open("x+b") as file:
        parts = [zipped.Part("large.bin", zeros(LARGE), LARGE), zipped.Part("z.txt", [b"end"])]
        zipped.write(parts, Holes(file))  # type: ignore[arg-type]
    assert path.stat().st_blocks * 512 < 64 * 1024 * 1024, "the test itself takes no room"
    with path.open("rb") as source, zipped.read(source) as container:
        assert container.size("large.bin") == LARGE
        assert sum(len(chunk) for chunk in container.chunks("large.bin")) == LARGE
        assert container.read("z.txt") == b"end"
        assert container.names == ("large.bin", "z.txt")
