"""A MIME multipart message, taken apart as it streams by (RFC 2046; SOAP with attachments).

In:     the bytes of the whole message, with or without the headers in front of its first boundary.
Out:    begin, data and end of each part in order; the boundary is found, never trusted to be right.
Fails:  Unreadable `package.incomplete`, `mime.boundary`; TooLarge for headers without an end.
Never:  holds a part, follows an external body, believes a Content-Length.

Boundary: from the Content-Type in front of the message, else the message's first line. Line ends
are CRLF or LF. What stands in front of the first boundary and behind the last is not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Protocol
from urllib.parse import unquote

from gateway.errors import Finding, Severity, Text, Unreadable
from gateway.safexml import Limits, too_large, unreadable

RULE = "RFC 2046"
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,60})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))')
_FIRST_LINE = re.compile(rb"--([^\r\n]{1,200}?)[ \t]*\r?\n(?:[A-Za-z][A-Za-z0-9\-]*:|\r?\n)")
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9\-]{0,60}:[^\r\n]*\r?\n")
_PADDING = 256  # blanks behind a boundary
PEEK = 16 * 1024
_BLANKS = b" \t\r\n"
_MOST = 200  # findings
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def looks_like_mime(head: bytes) -> bool:
    """Whether these first PEEK bytes begin a MIME message rather than a package."""
    head = head.lstrip(_BLANKS)
    if _FIRST_LINE.match(head) is not None:
        return True
    front = _BLANK_LINE.split(head, maxsplit=1)[0].lower()
    return _FIELD.match(head) is not None and re.search(rb"(?m)^content-type:", front) is not None


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields by lower-case name; of a repeated one the first counts."""

    fields: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """Without parameters, lower case: `text/xml`."""
        return self.fields.get(name, "").partition(";")[0].strip().lower()

    def parameter(self, name: str, key: str) -> str:
        """A parameter's value, decoded (RFC 2231, RFC 2047); "" when it is not there."""
        found: dict[str, str] = {}
        for match in _PARAMETER.finditer(self.fields.get(name, "")):
            quoted, bare = match[2], match[3]
            value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found.setdefault(match[1].lower(), value)
        if extended := found.get(f"{key}*", ""):
            charset, _, rest = extended.partition("'")
            text = rest.partition("'")[2]
            try:
                return plain(unquote(text, charset or "utf-8", "replace"))
            except (LookupError, ValueError):
                return plain(text)
        return plain(_words(found.get(key, "")))

    def content_id(self) -> str:
        """Content-ID without its angle brackets."""
        return self.fields.get("content-id", "").strip().removeprefix("<").removesuffix(">")

    def length(self) -> int | None:
        """Content-Length; -1 when it is no number, None when it is not there."""
        said = self.fields.get("content-length")
        if said is None:
            return None
        text = said.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


class Parts(Protocol):
    """Who takes the parts; `number` from 1."""

    def begin_part(self, number: int, headers: Headers) -> None: ...

    def part_data(self, piece: bytes) -> None: ...

    def end_part(self) -> None: ...


class Splitter:
    """One message. `findings`: what was odd about it; the reader adds them to its own."""

    def __init__(self, owner: Parts, limits: Limits) -> None:
        self.findings: list[Finding] = []
        self._owner = owner
        self._limits = limits
        # the byte in front of `_at` is kept: a boundary begins with the line end before it
        self._buffer = b"\n"
        self._at = 1
        self._safe = 0
        self._step: Callable[[], bool] = self._front
        self._delimiter = b""
        self._headed = False
        self._total = 0
        self._front_size = 0
        self._front_length: int | None = None
        self._number = 0
        self._part_size = 0
        self._part_length: int | None = None
        self._told: set[str] = set()

    def take(self, raw: bytes) -> None:
        self._total += len(raw)
        kept = max(self._at - 1, 0)
        self._buffer, self._at = self._buffer[kept:] + raw, self._at - kept
        while self._step():
            pass

    def finish(self) -> None:
        """The bytes have ended. A message is whole only with its last boundary."""
        size = self._total - self._front_size
        if self._step != self._behind:
            self.take(b"\n")  # the last boundary may be the last line, without a line end
        if self._step != self._behind:
            raise unreadable(
                "package.incomplete",
                Text(
                    "Thông điệp MIME bị cắt: không có ranh giới kết thúc",
                    "the MIME message is cut off: it has no end boundary",
                ),
                self.where(),
            )
        self._judge_length(self._front_length, size, "/")

    def where(self) -> str:
        return f"/part[{self._number}]" if self._number else "/"

    # -- steps: each says whether another may be possible with the bytes at hand -----------------

    def _front(self) -> bool:
        """The headers of the message, or its first boundary at once."""
        data = self._buffer[self._at :].lstrip(_BLANKS)
        if not data.startswith(b"--") and not self._headed:
            headers = self._headers()
            if headers is None:
                return False
            self._headed = True
            self._front_size = self._total - (len(self._buffer) - self._at)
            self._front_length = headers.length()
            boundary = headers.parameter("content-type", "boundary")
            if not headers.value("content-type").startswith("multipart/") or len(boundary) > 200:
                raise self._no_boundary()
            if boundary:
                self._delimiter = b"\n--" + boundary.encode()
                self._step = self._before
            return True
        first = _FIRST_LINE.match(data)
        if first is None:
            if len(data) > PEEK or not b"--".startswith(data[:2]):
                raise self._no_boundary()
            return False
        self._delimiter = b"\n--" + first[1]
        self._buffer, self._at = b"\n" + data, 1
        self._step = self._before
        return True

    def _before(self) -> bool:
        """In front of the first boundary stands nothing of the message."""
        found = self._boundary()
        if found is None:
            if len(self._buffer) > self._limits.header_bytes:
                raise too_large("header_bytes", self._limits.header_bytes, self.where())
            return False
        self._next(*found)
        return True

    def _heading(self) -> bool:
        """The headers of a part."""
        headers = self._headers()
        if headers is None:
            return False
        self._number += 1
        self._part_size = 0
        self._part_length = headers.length()
        self._owner.begin_part(self._number, headers)
        self._step = self._inside
        return True

    def _inside(self) -> bool:
        found = self._boundary()
        if found is None:
            self._give(self._safe - 1)  # the byte before may be half of a line end
            return False
        end = found[0]
        self._give(end - 1 if self._buffer[end - 1 : end] == b"\r" else end)
        self._judge_length(self._part_length, self._part_size, self.where())
        self._owner.end_part()
        self._next(*found)
        return True

    def _behind(self) -> bool:
        """Behind the last boundary stands nothing of the message."""
        self._outside(self._buffer[self._at :])
        self._at = len(self._buffer)
        return False

    # -- pieces ----------------------------------------------------------------------------------

    def _boundary(self) -> tuple[int, int, bool] | None:
        """Start of the next boundary's line, its end, whether it is the last; None: not yet.

        Then no boundary begins in front of `_safe`.
        """
        data, delimiter = self._buffer, self._delimiter
        start = self._at - 1
        while (at := data.find(delimiter, start)) >= 0:
            behind = at + len(delimiter)
            end = data.find(b"\n", behind, behind + _PADDING)
            if end < 0 and len(data) < behind + _PADDING:
                self._safe = at
                return None
            rest = data[behind:end].strip(_BLANKS) if end >= 0 else b"?"
            if rest in {b"", b"--"}:
                return at, end + 1, rest == b"--"
            start = behind  # a longer line that only begins as a boundary does
        self._safe = len(data) - len(delimiter)
        return None

    def _next(self, at: int, behind: int, last: bool) -> None:
        if not self._number:
            self._outside(self._buffer[self._at : at])
        self._at = behind
        self._step = self._behind if last else self._heading

    def _give(self, end: int) -> None:
        if end > self._at:
            piece = self._buffer[self._at : end]
            self._at = end
            self._part_size += len(piece)
            self._owner.part_data(piece)

    def _headers(self) -> Headers | None:
        """The header block that begins here; None while its blank line has not come."""
        data, at, limits = self._buffer, self._at, self._limits
        end = _BLANK_LINE.search(data, at - 1)
        size = (len(data) if end is None else end.start()) - at
        if size > limits.field_bytes:
            raise too_large("field_bytes", limits.field_bytes, f"/part[{self._number + 1}]")
        if end is None:
            return None
        text = _FOLD.sub(" ", data[at : max(at, end.start())].decode("utf-8", "replace"))
        lines = text.splitlines()
        if len(lines) > limits.attributes:
            raise too_large("attributes", limits.attributes, f"/part[{self._number + 1}]")
        fields: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), value.strip())
        self._at = end.end()
        return Headers(fields)

    def _judge_length(self, said: int | None, size: int, where: str) -> None:
        if said is not None and said != size:
            self._tell(
                where,
                "mime.length_differs",
                f"Content-Length nói {said}, thực có {size} byte",
                f"Content-Length says {said}, there are {size} bytes",
            )

    def _outside(self, data: bytes) -> None:
        if data.strip(_BLANKS + b"\0"):
            self._tell(
                "/",
                "mime.outside",
                "Có dữ liệu ngoài các phần của thông điệp MIME; không đọc",
                "there are data outside the parts of the MIME message; they are not read",
            )

    def _tell(self, where: str, code: str, vi: str, en: str) -> None:
        if where + code not in self._told and len(self._told) < _MOST:
            self._told.add(where + code)
            self.findings.append(Finding(where, code, Severity.WARNING, Text(vi, en), RULE))

    def _no_boundary(self) -> Unreadable:
        text = Text(
            "Thông điệp MIME không nêu ranh giới (boundary) dùng được",
            "the MIME message names no boundary that could be used",
        )
        finding = Finding(self.where(), "mime.boundary", Severity.ERROR, text, RULE)
        return Unreadable(text, code="mime.boundary", findings=(finding,))


def _words(text: str) -> str:
    """RFC 2047 words decoded, where they can be."""
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):
        return text


def plain(text: str) -> str:
    """Without what XML could not have carried either: NUL and its like become U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)
