"""A package as it comes in from an axis: decoded, watched, put into its sink, piece by piece.

In:     base64 text or bytes of a package in any pieces; the sink of one try to fetch.
Out:    bytes in the sink, a `Fetched`, whether the root element opened and closed.
Fails:  NotAnAnswer with a stable code; Unavailable when the sink cannot be written, so that a full
        disk is never taken for the remote's fault.
Never:  holds a package, takes a cut one for whole.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import BinaryIO

import pybase64

from gateway.errors import Text, Unavailable
from gateway.model.outcome import Deferred
from gateway.ports import Fetched

_WHITE = b" \t\r\n"


class NotAnAnswer(ValueError):
    """The peer's text is not what the protocol promises. `code` is stable, `words` its own."""

    def __init__(self, code: str, words: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.words = words


class Base64Stream:
    """Strict base64 in any pieces, white space allowed, padding required; decoded bytes out."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._rest = b""
        self._padded = False

    def feed(self, text: bytes) -> None:
        if any(white in text for white in (b"\n", b"\r", b" ", b"\t")):
            text = text.translate(None, _WHITE)
        if not text:
            return
        if self._padded:
            raise NotAnAnswer("base64.bad")
        text = self._rest + text
        whole = len(text) & ~3
        self._rest = text[whole:]
        block = text[:whole]
        if not block:
            return
        self._padded = block.endswith(b"=")
        if self._padded and self._rest:
            raise NotAnAnswer("base64.bad")
        try:
            data = pybase64.b64decode(block, validate=True)
        except (binascii.Error, ValueError):
            raise NotAnAnswer("base64.bad") from None
        self._write(data)

    def close(self) -> None:
        """Raises NotAnAnswer when the text stopped inside a group of four (a cut string)."""
        if self._rest:
            raise NotAnAnswer("base64.cut")


_HEAD = 2048
_TAIL = 4096
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")
_ROOT_OPENS = re.compile(rb"<(?:[^\s<>/:!?]+:)?edXML[\s>/]", re.IGNORECASE)
_ROOT_CLOSES = re.compile(rb"</(?:[^\s<>/:]+:)?edXML\s*>", re.IGNORECASE)
_AFTER_ROOT = re.compile(rb"(?:\s|<!--.*?-->|<\?.*?\?>)*+\Z", re.DOTALL)


class PackageShape:
    """Watches a package go by and says whether its root element opened and closed.

    A cheap check before an axis is told "have it"; the real reading comes later. Any prefix,
    UTF-8 or UTF-16, junk in front, white space and NUL behind (edxml-format 13).
    """

    def __init__(self) -> None:
        self.size = 0
        self.head = b""
        self._tail = b""

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        if len(self.head) < _HEAD:
            self.head += data[: _HEAD - len(self.head)]
        self._tail = data[-_TAIL:] if len(data) >= _TAIL else (self._tail + data)[-_TAIL:]

    def problem(self) -> str:
        """ "" for a whole package; else `package.empty`, `.not_edxml` or `.incomplete`."""
        if not self.size:
            return "package.empty"
        # dropping NULs makes ASCII of UTF-16 where it matters, and takes NUL padding away
        tail = self._tail.replace(b"\0", b"")
        closings = list(_ROOT_CLOSES.finditer(tail))
        cut_inside_character = self.head.startswith(_UTF16_MARKS) and self.size % 2
        if closings and _AFTER_ROOT.match(tail, closings[-1].end()) and not cut_inside_character:
            return ""
        opened = _ROOT_OPENS.search(self.head.replace(b"\0", b""))
        return "package.incomplete" if opened else "package.not_edxml"


class Spool:
    """One inner try: rewound, bounded, its own failures kept apart from the remote's."""

    def __init__(self, sink: BinaryIO, limit: int) -> None:
        self._sink = sink
        self._limit = limit
        self.shape = PackageShape()
        self.too_large = False
        try:
            sink.seek(0)
            sink.truncate()
        except OSError as error:
            raise _no_space(error) from error

    def write(self, data: bytes) -> bool:
        """False when the package is longer than allowed; nothing more is written then."""
        if self.too_large or self.shape.size + len(data) > self._limit:
            self.too_large = True
            return False
        self.shape.feed(data)
        try:
            self._sink.write(data)
        except OSError as error:
            raise _no_space(error) from error
        return True

    def take(self, data: bytes) -> None:
        self.write(data)

    def result(self) -> Fetched:
        if self.too_large:
            limit = f"longer than {self._limit} bytes"
            return Fetched(failure=Deferred("package.too_large", limit, alarm=True))
        return Fetched(self.shape.size)


def _no_space(error: OSError) -> Unavailable:
    return Unavailable(
        Text(
            f"Không ghi được tệp tạm: {error.strerror}",
            f"the spool file cannot be written: {error.strerror}",
        ),
        code="spool.unwritable",
    )
