"""The only way XML comes in: expat in namespace mode, streaming, every limit named.

In:     bytes of one XML 1.0 document, UTF-8 or UTF-16, in pieces; a consumer of events.
Out:    start, end, text and instruction events with resolved names; comments are dropped.
Fails:  Unreadable (malformed, DOCTYPE, entity, encoding, namespaces), TooLarge (a limit), each with
        one finding whose path says which element and line.
Never:  expands an entity, opens a file or a socket, builds a tree, holds more than one token.

Namespace mode refuses what libxml2 refuses (undeclared prefixes, doubled expanded attributes), so
that no other reader sees another document than we do (feasibility 2.5).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from xml.parsers import expat

from gateway.c14n import Attributes, Declared, Name
from gateway.errors import Finding, Severity, Text, TooLarge, Unreadable

BLOCK = 256 * 1024
_MIB = 1024 * 1024
# U+001F can stand neither in a name nor in a URI: XML 1.0 forbids it everywhere
_SEPARATOR = "\x1f"
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_BLANKS = b" \t\r\n"
_WORD = 256
_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_UTF16_NAMES = frozenset({"utf-16", "utf16", "utf-16le", "utf-16be", "ucs-2"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Keys of `[limits]` in conf/gateway.toml, with the defaults of contract 5. Sizes in bytes.

    `ratio`: unpacked to packed, judged only beyond `ratio_floor_bytes` of unpacked bytes.
    """

    package_bytes: int = 2048 * _MIB
    header_bytes: int = _MIB
    field_bytes: int = 64 * 1024
    depth: int = 64
    attributes: int = 64
    attachments: int = 20_000
    attachment_bytes: int = 2048 * _MIB
    ratio: int = 200
    ratio_floor_bytes: int = 16 * _MIB
    signature_bytes: int = _MIB

    @property
    def distinct_names(self) -> int:
        """How many different names (of elements, attributes, prefixes, instructions) and namespace
        URIs one document may use, each 256 characters long on average.

        expat keeps each name it has seen until the end; a hostile file is a stream of new ones.
        """
        return self.depth * self.attributes


class Consumer(Protocol):
    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        """`declared`: namespace declarations on this element, in document order."""

    def end(self, name: Name) -> None: ...

    def text(self, data: str) -> None:
        """Character data with references and CDATA resolved; may come in several pieces."""

    def instruction(self, target: str, data: str) -> None: ...


class UnboundPrefix(Unreadable):
    """A prefix without declaration. The reader of packages may repair it (edxml-format 13)."""

    default_code = "xml.prefix_unbound"
    offset: int = 0


class ToUtf8:
    """Bytes as they came -> UTF-8 bytes without BOM. UTF-8 passes through unchecked: expat checks.

    `family` is "utf-8" or "utf-16" once the first bytes were seen.
    """

    def __init__(self) -> None:
        self.family = ""
        self.had_bom = False
        self._first = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def decode(self, raw: bytes, *, final: bool = False) -> bytes:
        if not self.family:
            self._first += raw
            if len(self._first) < 4 and not final:
                return b""
            raw, self._first = self._detect(self._first), b""
        if self._decoder is None:
            return raw
        try:
            # never `final`: a character cut in two is a document cut in two, as the parser says
            return self._decoder.decode(raw).encode()
        except UnicodeError:
            raise unreadable(
                "xml.malformed",
                Text(
                    "Gói tin UTF-16 có byte không giải mã được",
                    "the UTF-16 bytes cannot be decoded",
                ),
            ) from None

    def _detect(self, first: bytes) -> bytes:
        self.family = "utf-8"
        if first.startswith(codecs.BOM_UTF8):
            self.had_bom = True
            return first[3:]
        for bom, start, codec in (
            (codecs.BOM_UTF16_LE, b"<\0", "utf-16-le"),
            (codecs.BOM_UTF16_BE, b"\0<", "utf-16-be"),
        ):
            if first.startswith((bom, start)):
                self.family = "utf-16"
                self.had_bom = first.startswith(bom)
                self._decoder = codecs.getincrementaldecoder(codec)("strict")
                return first[len(bom) :] if self.had_bom else first
        return first


class Parser:
    """One document in pieces of UTF-8. `offset`, `line`: where the event being handled starts.

    Offsets count the bytes given to `feed` and `skip`. `closed`: the root element has ended.
    """

    def __init__(self, consumer: Consumer, limits: Limits, *, family: str = "utf-8") -> None:
        self.closed = False
        self.fed = 0
        self.root_end = 0  # offset of the tag that closed the root
        self._consumer = consumer
        self._limits = limits
        self._encodings = _UTF16_NAMES if family == "utf-16" else _UTF8_NAMES
        self._skipped = 0
        self._skipped_lines = 0
        self._names: dict[str, Name] = {}
        self._words: set[str] = set()  # prefixes, namespaces, instructions
        self._kept = 0
        self._kept_size = 0
        self._most_kept = limits.distinct_names
        self._behind = 0
        self._stack: list[Name] = []
        self._declared: list[tuple[str, str]] = []
        # the protocol encoding overrides the declaration, which _declaration judges
        parser = expat.ParserCreate("UTF-8", _SEPARATOR)
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.buffer_size = 64 * 1024
        if hasattr(parser, "SetReparseDeferralEnabled"):
            # expat 2.6+: without this the fast path of base64 never sees its start tag in time
            parser.SetReparseDeferralEnabled(False)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = consumer.text
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartNamespaceDeclHandler = self._namespace
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        self._expat = parser

    @property
    def offset(self) -> int:
        return self._expat.CurrentByteIndex + self._skipped

    @property
    def pending(self) -> int:
        """Bytes of a tag, comment or instruction at whose start the parser waits for its end."""
        return self.fed - self.offset

    @property
    def line(self) -> int:
        return self._expat.CurrentLineNumber + self._skipped_lines

    @property
    def depth(self) -> int:
        return len(self._stack)

    def where(self) -> str:
        """`/edXML/edXMLEnvelope (line 12)`: element path without prefixes, for findings."""
        return f"{element_path(self._stack)} (line {self.line})"

    def feed(self, data: bytes) -> None:
        self.fed += len(data)
        if self.closed:
            # comments and instructions may stand behind the root, but not without end
            self._behind += len(data.strip(_BLANKS))
            if self._behind > self._limits.header_bytes:
                raise self.too_large("header_bytes")
        try:
            self._expat.Parse(data, False)
        except expat.ExpatError as error:
            raise self._refusal(error) from None
        if self.pending > self._limits.header_bytes and not self.closed:
            raise self.too_large("header_bytes")

    def skip(self, size: int, lines: int) -> None:
        """Character data that the caller has judged: known free of markup, never given to expat.

        `size` bytes with `lines` line ends. Only where the parser stands exactly behind a tag.
        """
        self.fed += size
        self._skipped += size
        self._skipped_lines += lines

    def close(self) -> None:
        """The input has ended. Raises Unreadable `package.incomplete` if the root is open."""
        if not self.closed:
            raise unreadable(
                "package.incomplete",
                Text(
                    "Gói tin bị cắt: phần tử gốc chưa đóng",
                    "the package is cut off: its root element is not closed",
                ),
                self.where(),
            )
        try:
            self._expat.Parse(b"", True)
        except expat.ExpatError as error:
            raise self._refusal(error) from None

    def too_large(self, limit: str) -> TooLarge:
        return too_large(limit, getattr(self._limits, limit), self.where())

    def _start(self, raw: str, flat: list[str]) -> None:
        name = self._names.get(raw) or self._name(raw)
        stack = self._stack
        stack.append(name)
        limits = self._limits
        if len(stack) > limits.depth:
            raise self.too_large("depth")
        declared: Declared = ()
        if self._declared:
            declared, self._declared = self._declared, []
        attributes: Attributes = ()
        if flat:
            names = self._names
            attributes = [
                (names.get(flat[i]) or self._name(flat[i]), flat[i + 1])
                for i in range(0, len(flat), 2)
            ]
            if any(len(value) > limits.field_bytes for _, value in attributes):
                raise self.too_large("field_bytes")
        if len(attributes) + len(declared) > limits.attributes:
            raise self.too_large("attributes")
        self._consumer.start(name, attributes, declared)

    def _end(self, _raw: str) -> None:
        self._consumer.end(self._stack[-1])
        self._stack.pop()
        if not self._stack:
            self.closed = True
            self.root_end = self.offset

    def _name(self, raw: str) -> Name:
        self._keep(len(raw))
        name = self._names[raw] = _split(raw) if len(raw) <= _WORD else _parts(raw)
        return name

    def _keep(self, size: int) -> None:
        """Count what expat and its interning keep until the end of the document."""
        self._kept += 1
        self._kept_size += size
        most = self._most_kept
        if self._kept > most or self._kept_size > most * _WORD:
            raise too_large("attributes", most, self.where())

    def _keep_word(self, word: str) -> None:
        if word not in self._words:
            self._words.add(word)
            self._keep(len(word))

    def _instruction(self, target: str, data: str) -> None:
        self._keep_word(target)
        self._consumer.instruction(target, data)

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        for word in (prefix, uri):
            if word:
                self._keep_word(word)
        if uri and not _ABSOLUTE_URI.match(uri):
            raise unreadable(
                "xml.namespace_relative",
                Text(
                    f"Không gian tên tương đối không được chấp nhận: {uri[:100]!r}",
                    f"a relative namespace URI is refused: {uri[:100]!r}",
                ),
                self.where(),
            )
        self._declared.append((prefix or "", uri or ""))

    def _declaration(self, version: str, encoding: str | None, _standalone: int) -> None:
        if version != "1.0":
            raise unreadable(
                "xml.version",
                Text(
                    f"Chỉ chấp nhận XML 1.0, không phải {version[:20]!r}",
                    f"only XML 1.0 is accepted, not {version[:20]!r}",
                ),
                self.where(),
            )
        if encoding is not None and encoding.lower() not in self._encodings:
            raise unreadable(
                "xml.encoding",
                Text(
                    f"Bảng mã khai báo {encoding[:40]!r} không khớp với UTF-8/UTF-16 của gói tin",
                    f"the declared encoding {encoding[:40]!r} is not the UTF-8 or UTF-16 found",
                ),
                self.where(),
            )

    def _doctype(self, *_: object) -> None:
        raise unreadable(
            "xml.doctype",
            Text(
                "Không chấp nhận khai báo DOCTYPE (DTD, thực thể)",
                "a DOCTYPE (DTD, entities) is refused",
            ),
            self.where(),
        )

    def _refusal(self, error: expat.ExpatError) -> Unreadable:
        reason = expat.errors.messages[error.code]
        code, vi = _REASONS.get(error.code, ("xml.malformed", "XML sai cú pháp"))
        where = (
            f"{element_path(self._stack)} (line {error.lineno + self._skipped_lines}, "
            f"column {error.offset + 1})"
        )
        text = Text(f"{vi} ({reason})", f"the XML cannot be read: {reason}")
        if error.code == _UNBOUND:
            unbound = UnboundPrefix(text, findings=(_finding(where, code, text),))
            unbound.offset = self._expat.ErrorByteIndex + self._skipped
            return unbound
        return unreadable(code, text, where)


def _parts(raw: str) -> Name:
    parts = raw.split(_SEPARATOR)
    return ("", raw, "") if len(parts) == 1 else (parts[0], parts[1], "".join(parts[2:]))


# most packages hold the same sixty names
_split = lru_cache(maxsize=1024)(_parts)

_UNBOUND = expat.errors.codes[expat.errors.XML_ERROR_UNBOUND_PREFIX]
_REASONS = {
    expat.errors.codes[reason]: (code, vi)
    for reason, code, vi in (
        (
            expat.errors.XML_ERROR_UNBOUND_PREFIX,
            "xml.prefix_unbound",
            "Tiền tố không gian tên chưa được khai báo",
        ),
        (
            expat.errors.XML_ERROR_UNDEFINED_ENTITY,
            "xml.entity",
            "Tham chiếu thực thể không được chấp nhận",
        ),
        (expat.errors.XML_ERROR_INVALID_TOKEN, "xml.malformed", "Ký tự không hợp lệ trong XML"),
        (expat.errors.XML_ERROR_TAG_MISMATCH, "xml.malformed", "Thẻ đóng không khớp thẻ mở"),
    )
}


def parse(data: bytes, consumer: Consumer, limits: Limits | None = None) -> None:
    """One whole document held in memory; for large ones drive a `Parser` piece by piece."""
    decoder = ToUtf8()
    utf8 = decoder.decode(data, final=True)
    parser = Parser(consumer, limits or Limits(), family=decoder.family)
    for start in range(0, len(utf8), BLOCK):
        parser.feed(utf8[start : start + BLOCK])
    parser.close()


def element_path(names: Sequence[Name]) -> str:
    """Local names joined by `/`, shortened to 300 characters."""
    path = "/" + "/".join([name[1][:100] for name in names[-12:]])
    return path if len(path) <= 300 else "…" + path[-299:]


def unreadable(code: str, text: Text, path: str = "/") -> Unreadable:
    return Unreadable(text, code=code, findings=(_finding(path, code, text),))


def too_large(limit: str, allowed: int, path: str = "/") -> TooLarge:
    """`limit` is the key in `[limits]` of conf/gateway.toml; the code is `limit.<key>`."""
    text = Text(
        f"Vượt giới hạn {limit} = {allowed} (mục [limits] trong gateway.toml)",
        f"over the limit {limit} = {allowed} (section [limits] of gateway.toml)",
    )
    code = f"limit.{limit}"
    return TooLarge(text, code=code, findings=(_finding(path, code, text),))


def _finding(path: str, code: str, text: Text) -> Finding:
    return Finding(path, code, Severity.ERROR, text)
