"""Bytes to parser: encoding, junk in front, the root tag's repair, the fast path, the end.

In:     the raw bytes of a package, in pieces.
Out:    the events of `safexml`, with the text of ContentTransferEncoded given as raw bytes.
Fails:  Unreadable, TooLarge: those of `safexml`, and `package.not_xml`, `package.trailing`.
Never:  interprets an element, decodes base64.

The text of ContentTransferEncoded does not go through expat, which is four times slower than
SHA-256. It is proved by byte position that the start tag just matched is the one whose event has
just fired; then what follows up to the next `<` is that element's text and nothing else. Every
doubt (another encoding, a reference, a comment) falls back to expat by itself.
"""

from __future__ import annotations

import re
from typing import Protocol

from gateway.errors import Finding, Severity, Text, Unreadable
from gateway.model.package import NS_QCVN102
from gateway.packing.elements import RULE
from gateway.safexml import Consumer, Limits, Parser, ToUtf8, unreadable

_JUNK = 1024
_BEGINNING = re.compile(rb"<\?xml[ \t\r\n]|<(?:[A-Za-z_][\w.\-]*:)?edxml[ \t\r\n/>]", re.IGNORECASE)
# no "<" and no ">" inside: if the parser has consumed such a tag, it ends exactly where we think
_CONTENT_TAG = re.compile(rb"<(?:[^\s<>/:]+:)?contenttransferencoded(?:\s[^<>]*)?>", re.IGNORECASE)
_ROOT_TAG = re.compile(rb"<[^\s<>/]+")
_CUT_TAG = 4096
_BLANKS = b" \t\r\n"
_TRAILING = _BLANKS + b"\0"
_REPAIRS = {
    "edXML": NS_QCVN102,
    "edxml": NS_QCVN102,
    "EDXML": NS_QCVN102,
    "xlink": "http://www.w3.org/1999/xlink",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}


class Taker(Protocol):
    """What takes the text of one ContentTransferEncoded."""

    def take(self, text: bytes | memoryview, /) -> bool:
        """False: not consumed; the XML parser must judge these bytes."""


class Collecting(Consumer, Protocol):
    """The consumer of the events, which knows when it stands inside an attachment's content."""

    @property
    def content(self) -> Taker | None: ...

    @property
    def content_at(self) -> int: ...


class Feed:
    """One package. `repair`: offset of the root tag to which missing declarations are added."""

    def __init__(self, owner: Collecting, limits: Limits, repair: int | None) -> None:
        self.findings: list[Finding] = []
        self.injected: frozenset[str] = frozenset()
        self.parser = Parser(owner, limits)
        self._owner = owner
        self._limits = limits
        self._repair = repair
        self._decoder = ToUtf8()
        self._started = False
        self._held = b""
        self._inside = False
        self._ended = False

    def take(self, raw: bytes) -> None:
        data = self._held + self._decoder.decode(raw) if self._held else self._decoder.decode(raw)
        self._held = b""
        if not self._started:
            if len(data) < 2 * _JUNK + (self._repair or 0) + 8192:
                self._held = data
                return
            data = self._begin(data, final=False)
        self._give(data, final=False)

    def finish(self) -> None:
        data = self._held + self._decoder.decode(b"", final=True)
        self._held = b""
        if not self._started:
            data = self._begin(data, final=True)
        self._give(data, final=True)
        if not self._ended:
            self.parser.close()

    def _begin(self, data: bytes, *, final: bool) -> bytes:
        self._started = True
        if self._decoder.family == "utf-16":
            self.parser = Parser(self._owner, self._limits, family="utf-16")
        if final and not data.strip(_TRAILING):
            return b""  # nothing at all: the parser says that no package is there
        data = self._without_junk(data)
        return data if self._repair is None else self._repaired(data, self._repair)

    def _without_junk(self, data: bytes) -> bytes:
        match = _BEGINNING.search(data, 0, _JUNK + 256)
        at = match.start() if match is not None and match.start() <= _JUNK else 0
        if not at and not data.lstrip(_BLANKS).startswith(b"<"):
            raise unreadable(
                "package.not_xml",
                Text(
                    "Dữ liệu không phải gói tin edXML (không thấy XML)",
                    "these bytes are no edXML package (no XML found)",
                ),
            )
        junk = data[:at]
        # markup in front is a matter for the parser: a DOCTYPE must never pass as junk
        if not junk or b"<" in junk:
            return data
        self._warn(
            "package.junk_before",
            f"Có {at} byte thừa trước phần đầu XML",
            f"{at} bytes of junk before the XML begins",
        )
        return data[at:]

    def _repaired(self, data: bytes, root: int) -> bytes:
        match = _ROOT_TAG.match(data, root)
        if match is None:
            return data
        tag = data[root : data.find(b">", root)]
        missing = {
            prefix: uri
            for prefix, uri in _REPAIRS.items()
            if not re.search(rf"\sxmlns:{prefix}\s*=".encode(), tag)
        }
        self.injected = frozenset(missing)
        declarations = "".join(f' xmlns:{p}="{u}"' for p, u in missing.items()).encode()
        self._warn(
            "xml.prefix_repaired",
            "Tiền tố edXML hoặc xlink chưa khai báo; đã bổ sung khi đọc",
            "the prefix edXML or xlink is not declared; it was declared for this reading",
        )
        return data[: match.end()] + declarations + data[match.end() :]

    def _give(self, data: bytes, *, final: bool) -> None:
        position, end = 0, len(data)
        parser, owner = self.parser, self._owner
        while position < end:
            if self._inside and owner.content is not None:
                stop = data.find(b"<", position)
                until = end if stop < 0 else stop
                # a view: a copy of most of the package would be the dearest step of all
                if owner.content.take(memoryview(data)[position:until]):
                    # looking for a line end is 25 times faster than counting, and base64 has none
                    broken = data.find(b"\n", position, until) >= 0
                    lines = data.count(b"\n", position, until) if broken else 0
                    parser.skip(until - position, lines)
                    if stop < 0:
                        return
                    position = stop
            self._inside = False
            if parser.closed:
                self._after(data[position:])
                return
            # in a token that has not ended, such as a comment full of these tags, each stop would
            # make expat look at it again from its start: the next stop doubles it instead
            match = _CONTENT_TAG.search(data, position + parser.pending)
            if match is not None:
                stop = match.end()
            else:
                stop = end
                last = data.rfind(b"<", position)
                if not final and last >= 0 and end - last < 4096 and data.find(b">", last) < 0:
                    stop, self._held = last, data[last:]  # a tag cut in two: see it whole
            if stop > position:
                before = parser.fed
                self._parse(data[position:stop])
                if match is not None:
                    self._inside = owner.content_at == before + match.start() - position
            position = stop
            if self._held:
                return

    def _parse(self, piece: bytes) -> None:
        parser = self.parser
        before = parser.fed
        try:
            parser.feed(piece)
        except Unreadable:
            if not parser.closed:
                raise
            # only blanks and NUL behind the root are forgiven (edxml-format 13)
            tail = piece[piece.find(b">", parser.root_end - before) + 1 :]
            if tail.strip(_TRAILING):
                raise
            self._ended = True

    def _after(self, data: bytes) -> None:
        if self._ended and data.strip(_TRAILING):
            raise unreadable(
                "package.trailing",
                Text("Có dữ liệu sau phần tử gốc", "there are data behind the root element"),
            )
        if data.strip(_TRAILING):
            self._parse(data)

    def _warn(self, code: str, vi: str, en: str) -> None:
        self.findings.append(Finding("/", code, Severity.WARNING, Text(vi, en), RULE))
