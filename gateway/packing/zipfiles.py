"""The vendor's habit of zipping attachments: one deflated entry, written and unwrapped as a stream.

In:     a file to wrap, in pieces; or the carried bytes of an attachment, in pieces.
Out:    a zip of one entry; or the entry's bytes, and whether the whole really was such a zip.
Fails:  never: what cannot be unwrapped stays the zip it is. Limits are told in `violated`.
Never:  uses the entry's name as a path, looks at a second entry, unwraps twice.

Unwrapping rule: edxml-format 4. It is applied alike by writer and reader, because the identity of a
document is made of the digests after it (contract 4). A zip counts as a wrapper only if its local
headers, its central directory and its bytes tell one story: exactly one file, nothing else inside.
Stored entries with a data descriptor cannot be read as a stream and are left as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from isal import isal_zlib
from zlib_ng import zlib_ng

from gateway.packing.names import ZIP_BASED, extension
from gateway.safexml import Limits

LOCAL = b"PK\x03\x04"
_CENTRAL = b"PK\x01\x02"
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_DESCRIPTOR = b"PK\x07\x08"
_OUT = 256 * 1024
_TAIL = 256 * 1024  # descriptor, central directory, end record and comment of one entry
_MAX32 = 0xFFFFFFFF
_EMPTY = 8  # deflate spends two bytes on the nothing in a folder
_FOLDERS = 256  # more in front of the one file are no wrapper
# flags: encrypted, sizes follow in a descriptor, strongly encrypted, name is UTF-8
_TELLING = 0x0849
# flags: sizes follow in a descriptor, name is UTF-8; 1 January 1980, the first DOS date
_FLAGS = 0x0808
_DOS_DATE = 0x0021


class Wrapper:
    """Writes a zip of one deflated entry: `start`, `add` for each piece, `finish`.

    Data descriptor, so that nothing must be known beforehand; deflated, because Java's
    ZipInputStream takes stored entries only without one (feasibility 6.1). Below 4 GiB: the
    caller refuses larger files.
    """

    def __init__(self, entry: str) -> None:
        self._name = entry.encode()
        self._deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
        self._crc = 0
        self._size = 0
        self._packed = 0

    def start(self) -> bytes:
        fixed = struct.pack(
            "<4s5H3I2H", LOCAL, 20, _FLAGS, 8, 0, _DOS_DATE, 0, 0, 0, len(self._name), 0
        )
        return fixed + self._name

    def add(self, piece: bytes) -> bytes:
        self._crc = isal_zlib.crc32(piece, self._crc)
        self._size += len(piece)
        packed: bytes = self._deflate.compress(piece)
        self._packed += len(packed)
        return packed

    def finish(self) -> bytes:
        rest: bytes = self._deflate.flush()
        self._packed += len(rest)
        facts = struct.pack("<3I", self._crc, self._packed, self._size)
        versions = struct.pack("<2H", 20, 20)
        form = struct.pack("<4H", _FLAGS, 8, 0, _DOS_DATE)
        lengths = struct.pack("<5H2I", len(self._name), 0, 0, 0, 0, 0, 0)
        central = _CENTRAL + versions + form + facts + lengths + self._name
        at = len(self.start()) + self._packed + len(_DESCRIPTOR + facts)
        end = _END + struct.pack("<4H2IH", 0, 0, 1, 1, len(central), at, 0)
        return rest + _DESCRIPTOR + facts + central + end


class Unwrapper:
    """Fed the carried bytes, yields the one entry's bytes; `is_wrapper` gives the verdict.

    `name`: the attachment's own name, None while it is not known (then nothing is left out early
    and `fits` decides at the end). `violated`: the limit that the entry passed, or "". `before`:
    see Content; the ratio is judged over all attachments of a package together.
    """

    def __init__(self, limits: Limits, name: str | None, before: tuple[int, int] = (0, 0)) -> None:
        self.violated = ""
        self.size = 0
        self.entry = ""
        self._limits = limits
        self._name = name
        self._entry_name = b""
        self._form = (0, 0)
        self._before = before
        # what waits for the rest of a header; then all that stands behind the data
        self._buffer = bytearray()
        self._needed = 0
        self._folders = 0
        self._consumed = 0  # bytes of the carried file before `_buffer`
        self._state = "header"
        self._inflate = zlib_ng.decompressobj(-15)
        self._stored_left = 0
        self._stored = False
        self._offset = 0
        self._data_start = 0
        self._data_end = 0
        self._crc = 0
        self._magic = b""
        self._described = False

    @property
    def hopeless(self) -> bool:
        """No wrapper, whatever follows: the caller need not go on."""
        return self._state == "no"

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._state == "no":
            return
        data = piece
        if self._buffer or self._needed:
            # never joined anew for each piece: pieces may be three bytes long
            self._buffer += piece
            if self._state == "tail" or len(self._buffer) < self._needed:
                self._bound()
                return
            data = bytes(self._buffer)
            self._buffer.clear()
            self._needed = 0
        while data and self._state != "no":
            if self._state == "header":
                rest = self._header(data)
                if rest is None:
                    self._buffer += data
                    self._bound()
                    return
                data = rest
            elif self._state == "data":
                for inner, rest in self._data(data):
                    if inner:
                        yield inner
                    data = rest
                    if self._state == "no":
                        return
            else:
                self._buffer += data
                self._bound()
                return

    def _bound(self) -> None:
        if len(self._buffer) > _TAIL:
            self._state = "no"

    def is_wrapper(self, name: str) -> bool:
        """After the last piece: is this a zip of exactly one file that `name` may be wrapped in?"""
        return self._state == "tail" and self._fits(name, self._magic) and self._closes()

    def blames(self, name: str) -> bool:
        """A limit was passed by an entry that would have been unwrapped."""
        return bool(self.violated) and self._fits(name, self._magic)

    def _fits(self, name: str, magic: bytes | None) -> bool:
        ext = extension(name)
        if ext not in ZIP_BASED:
            return True
        if extension(self.entry) != ext:
            return False
        return magic is None or magic == LOCAL

    def _header(self, data: bytes) -> bytes | None:
        if len(data) < 30:
            self._needed = 30
            return None
        if data[:4] != LOCAL:
            self._state = "no"
            return b""
        (_, flags, method, _, _, _, packed, size, name_length, extra_length) = struct.unpack_from(
            "<5H3I2H", data, 4
        )
        start = 30 + name_length + extra_length
        if len(data) < start:
            self._needed = start
            return None
        entry = data[30 : 30 + name_length]
        if entry.endswith(b"/") and not size and packed <= _EMPTY and not flags & 8:
            if len(data) < start + packed:
                self._needed = start + packed
                return None
            self._consumed += start + packed  # a folder: not a file
            self._folders += 1
            if self._folders > _FOLDERS:
                self._state = "no"
            return data[start + packed :]
        self._entry_name = entry
        self._form = (flags & _TELLING, method)
        self.entry = entry.decode("utf-8" if flags & 0x800 else "cp437", "replace")
        self._offset = self._consumed
        self._data_start = self._consumed + start
        self._described = bool(flags & 8)
        self._stored = method == 0
        self._stored_left = size
        readable = not flags & 0x41 and (
            method == 8 or (self._stored and not self._described and size != _MAX32)
        )
        if not readable or (self._name is not None and not self._fits(self._name, None)):
            self._state = "no"
            return b""
        self._consumed += start
        self._state = "data"
        if self._stored and not size:
            self._end_of_data()
        return data[start:]

    def _data(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        if self._stored:
            inner = data[: self._stored_left]
            self._stored_left -= len(inner)
            self._consumed += len(inner)
            if not self._stored_left:
                self._end_of_data()
            yield self._checked(inner), data[len(inner) :]
            return
        while self._state == "data":
            try:
                inner = self._inflate.decompress(data, _OUT)
            except zlib_ng.error:  # type: ignore[misc]  # its stub says instance, it is a class
                self._state = "no"
                yield b"", b""
                return
            ended = self._inflate.eof
            rest = self._inflate.unused_data if ended else self._inflate.unconsumed_tail
            self._consumed += len(data) - len(rest)
            data = rest
            if ended:
                self._end_of_data()
            out = self._checked(inner)
            if self._state == "data" and not data and len(inner) < _OUT:
                yield out, b""
                return
            yield out, data

    def _checked(self, inner: bytes) -> bytes:
        if not inner:
            return inner
        if len(self._magic) < 4:
            self._magic += inner[: 4 - len(self._magic)]
            if (
                self._name is not None
                and len(self._magic) == 4
                and not self._fits(self._name, self._magic)
            ):
                self._state = "no"
                return b""
        self.size += len(inner)
        self._crc = isal_zlib.crc32(inner, self._crc)
        limits = self._limits
        unpacked = self._before[0] + self.size
        packed = self._before[1] + self._consumed - self._data_start
        if self.size > limits.attachment_bytes:
            self.violated = "attachment_bytes"
        elif unpacked > limits.ratio_floor_bytes and unpacked > limits.ratio * max(packed, 1):
            self.violated = "ratio"
        if self.violated:
            self._state = "no"
            return b""
        return inner

    def _end_of_data(self) -> None:
        self._data_end = self._consumed
        self._state = "tail"

    def _closes(self) -> bool:
        """Descriptor, folders, central directory and end record leave room for nothing else."""
        tail = bytes(self._buffer)
        lengths = (16, 12, 24, 20) if self._described else (0,)
        return any(self._directory(tail, length) for length in lengths)

    def _directory(self, tail: bytes, at: int) -> bool:
        while tail[at : at + 4] == LOCAL and len(tail) >= at + 30:  # folders behind the file
            flags, packed, size, name_length, extra_length = (
                *struct.unpack_from("<H", tail, at + 6),
                *struct.unpack_from("<II2H", tail, at + 18),
            )
            end = at + 30 + name_length
            if flags & 8 or packed > _EMPTY or size or tail[end - 1 : end] != b"/":
                return False
            at = end + extra_length + packed
        start, files, entries = at, 0, 0
        while tail[at : at + 4] == _CENTRAL and len(tail) >= at + 46:
            (crc, packed, size, name_length, extra_length, comment_length) = struct.unpack_from(
                "<3I3H", tail, at + 16
            )
            offset = struct.unpack_from("<I", tail, at + 42)[0]
            end = at + 46 + name_length
            if tail[end - 1 : end] != b"/" or size or packed > _EMPTY:
                files += 1
                wide = _wide_sizes(tail[end : end + extra_length], size, packed, offset)
                expected = (self.size, self._data_end - self._data_start, self._offset)
                flags, method = struct.unpack_from("<2H", tail, at + 8)
                named = tail[at + 46 : end] == self._entry_name
                told = (flags & _TELLING, method) == self._form
                if crc != self._crc or wide != expected or not named or not told:
                    return False
            entries += 1
            at = end + extra_length + comment_length
        length = at - start
        if tail[at : at + 4] == _END64:
            at += 56 + 20  # the zip64 end record and its locator
        if tail[at : at + 4] != _END or len(tail) < at + 22:
            return False
        (_, _, _, count, directory, offset, comment) = struct.unpack_from("<4H2IH", tail, at + 4)
        return (
            files == 1
            and count in {entries, 0xFFFF}
            and directory in {length, _MAX32}
            and offset in {self._data_end + start, _MAX32}
            and len(tail) == at + 22 + comment
        )


def _wide_sizes(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Zip64 extra field: only the values that do not fit stand in it, in this order."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            field = extra[at + 4 : at + 4 + length]
            values = []
            for value in (size, packed, offset):
                if value == _MAX32 and len(field) >= 8:
                    values.append(int(struct.unpack_from("<Q", field)[0]))
                    field = field[8:]
                else:
                    values.append(value)
            return values[0], values[1], values[2]
        at += 4 + length
    return size, packed, offset
