"""The container as a file: a zip that is the same for the same parts, and is read without trust.

In:     parts in the order they are to stand, each as a name and something to read.
Out:    bytes; or the parts of a file, each read in pieces and counted.
Fails:  Untrusted (`evidence.container`) for anything that this module would not have written.
Never:  compresses (a reader then needs no limit on what comes out), keeps a date of its own, writes
        to a folder: whoever unpacks a container does it with a tool of his own.

EN 319 162-1 6.2.1 and A.1: `mimetype` is the first entry, stored, without an extra field.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from gateway.errors import Text, Untrusted

MIMETYPE = "mimetype"
MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
MOST_PARTS = 100_000
MOST_TEXT = 16 * 1024 * 1024  # a part that is read whole: records, proofs, tokens, texts
CHUNK = 256 * 1024
# the earliest that a zip can say; the date of a part proves nothing and would change the bytes
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Part:
    """`chunks`: the bytes, in pieces of at most about 256 KiB; read once.

    `size`: of a part that may be large, so that it gets a header for it (zip64) beforehand.
    """

    name: str
    chunks: Iterable[bytes]
    size: int = 0


def write(parts: Iterable[Part], to: BinaryIO) -> None:
    """All parts behind `mimetype`. `to` can seek. The same parts give the same bytes."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED, allowZip64=True) as container:
        container.writestr(_entry(MIMETYPE), MEDIA_TYPE)
        for part in parts:
            with container.open(
                _entry(part.name), "w", force_zip64=part.size > zipfile.ZIP64_LIMIT
            ) as entry:
                for chunk in part.chunks:
                    entry.write(chunk)


class Container:
    """A container that is read. Parts are found by name; nothing is ever written to a disk."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._infos = {info.filename: info for info in _sound(file)}

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they stand, `mimetype` not among them."""
        return tuple(name for name in self._infos if name != MIMETYPE)

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def size(self, name: str) -> int:
        return self._infos[name].file_size

    def chunks(self, name: str) -> Iterator[bytes]:
        """Untrusted (`evidence.container`) when the part is cut short or its check sum is wrong."""
        try:
            with self._file.open(self._infos[name]) as entry:
                while chunk := entry.read(CHUNK):
                    yield chunk
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
            raise _broken(f"{name}: {error}") from error

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The part as a file that can seek."""
        try:
            with self._file.open(self._infos[name]) as entry:
                yield cast(BinaryIO, entry)  # it reads and seeks as one
        except (zipfile.BadZipFile, EOFError) as error:
            raise _broken(f"{name}: {error}") from error

    def read(self, name: str) -> bytes:
        """A part that is small by its nature. Untrusted when it is not, or not there."""
        if name not in self._infos:
            raise _broken(f"{name}: not there")
        if self.size(name) > MOST_TEXT:
            raise _broken(f"{name}: {self.size(name)} bytes")
        return b"".join(self.chunks(name))


@contextmanager
def read(source: BinaryIO) -> Iterator[Container]:
    """The container in `source`, whose frame was checked. Untrusted (`evidence.container`)."""
    try:
        file = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError) as error:
        raise _broken(str(error)) from error
    with file:
        yield Container(file)


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _NO_DATE)
    info.external_attr = _FILE_MODE
    info.create_system = 3  # whatever system writes it
    return info


def _sound(file: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    infos = file.infolist()
    if len(infos) > MOST_PARTS:
        raise _broken(f"{len(infos)} parts")
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        raise _broken("two parts have one name")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise _broken(f"{info.filename}: compressed")
        if info.flag_bits & 0x1:
            raise _broken(f"{info.filename}: encrypted")
    first = infos[0] if infos else None
    if first is None or first.filename != MIMETYPE or first.header_offset != 0:
        raise _broken("it does not begin with mimetype")
    with file.open(first) as entry:
        if entry.read(len(MEDIA_TYPE) + 1) != MEDIA_TYPE.encode():
            raise _broken("another mimetype")
    return infos


def _broken(why: str) -> Untrusted:
    return Untrusted(
        Text(f"Tệp bằng chứng không đúng dạng: {why}", f"not an evidence container: {why}"),
        code="evidence.container",
    )
