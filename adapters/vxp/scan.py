"""Protocol answers and packages read piece by piece, in memory that does not grow with them.

In: pieces of bytes as they come. Out: the answer's small fields, and its `data` handed on while
it arrives: base64 text to a decoder, list items one by one. A text that is no well-formed answer
raises `NotAnAnswer` with a stable code; nothing is ever taken for empty. Pure.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable
from enum import Enum, auto

import pybase64

from adapters.vxp import wire

_WHITE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,\]}\["{:]+(?=[\s,\]}])')
_ESCAPE = re.compile(rb"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LONGEST_ESCAPE = 6
_MAX_DEPTH = 64


class NotAnAnswer(ValueError):
    """The peer's text is not what the protocol promises. `code` is stable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _At(Enum):
    START = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    NEXT = auto()
    TEXT = auto()
    ITEM = auto()
    NEXT_ITEM = auto()
    END = auto()


class AnswerScanner:
    """Reads one answer. `feed` every piece, then `close`; `fields` holds the small values.

    `on_text` gets the pieces of `data` when that is a string, JSON escapes undone;
    `on_item` gets each element of `data` when that is a list. Without the fitting one, `data`
    is kept in `fields` like any other field. A single kept value may have `max_value` bytes.
    """

    def __init__(
        self,
        *,
        on_text: Callable[[bytes], None] | None = None,
        on_item: Callable[[object], None] | None = None,
        max_value: int = 1024 * 1024,
    ) -> None:
        self.fields: dict[str, object] = {}
        self.streamed = False  # `data` was handed on
        self._on_text = on_text
        self._on_item = on_item
        self._max_value = max_value
        self._buffer = bytearray()
        self._at = 0
        self._state = _At.START
        self._key = ""
        self._first = True

    def answer(self) -> wire.Answer:
        """The common fields, once closed. Raises NotAnAnswer without an ErrorCode."""
        answer = wire.answer_of(self.fields)
        if answer is None:
            raise NotAnAnswer("answer.unreadable")
        return answer

    def feed(self, piece: bytes) -> None:
        self._buffer += piece
        while self._step():
            pass
        del self._buffer[: self._at]
        self._at = 0
        if len(self._buffer) > self._max_value:
            raise NotAnAnswer("answer.too_large")

    def close(self) -> None:
        """Raises NotAnAnswer when the object did not close (a cut answer)."""
        if self._state is not _At.END:
            raise NotAnAnswer("answer.cut" if self._state is not _At.START else "answer.empty")

    def _step(self) -> bool:
        """One token; False when more bytes are needed."""
        if self._state is _At.TEXT:
            return self._text()
        if not self._skip_white():
            return False
        char = bytes(self._buffer[self._at : self._at + 1])
        match self._state:
            case _At.START:
                self._take(char, b"{", _At.KEY)
            case _At.KEY:
                if char == b"}" and self._first:
                    self._take(char, b"}", _At.END)
                else:
                    return self._read_key()
            case _At.COLON:
                self._take(char, b":", _At.VALUE)
            case _At.VALUE:
                return self._begin_value(char)
            case _At.NEXT:
                if char == b"}":
                    self._take(char, b"}", _At.END)
                else:
                    self._take(char, b",", _At.KEY)
            case _At.ITEM:
                if char == b"]" and self._first:
                    self._take(char, b"]", _At.NEXT)
                else:
                    return self._item()
            case _At.NEXT_ITEM:
                if char == b"]":
                    self._take(char, b"]", _At.NEXT)
                else:
                    self._take(char, b",", _At.ITEM)
            case _:
                raise NotAnAnswer("answer.trailing")
        return True

    def _skip_white(self) -> bool:
        """Moves to the next byte that counts; False when there is none yet."""
        buffer = self._buffer
        if self._state is _At.START and not self._at and _BOM.startswith(bytes(buffer[:3])):
            if len(buffer) < len(_BOM):
                return False
            self._at = len(_BOM)
        at, size = self._at, len(buffer)
        while at < size and buffer[at] in _WHITE:
            at += 1
        self._at = at
        return at < size

    def _take(self, char: bytes, wanted: bytes, then: _At) -> None:
        if char != wanted:
            raise NotAnAnswer("answer.unreadable")
        self._at += 1
        self._state = then

    def _read_key(self) -> bool:
        found = _STRING.match(self._buffer, self._at)
        if found is None:
            if self._buffer[self._at] != ord('"'):
                raise NotAnAnswer("answer.unreadable")
            return False
        self._key = str(_parsed(found.group()))
        self._at = found.end()
        self._first = False
        self._state = _At.COLON
        return True

    def _begin_value(self, char: bytes) -> bool:
        if self._key == "data" and self._streamable(char):
            if self.streamed:
                raise NotAnAnswer("answer.unreadable")
            self.streamed = True
            self._at += 1
            self._first = True
            self._state = _At.TEXT if char == b'"' else _At.ITEM
            return True
        end = self._value_end()
        if end < 0:
            return False
        self.fields[self._key] = _parsed(self._buffer[self._at : end])
        self._at = end
        self._state = _At.NEXT
        return True

    def _streamable(self, char: bytes) -> bool:
        if char == b'"':
            return self._on_text is not None
        return char == b"[" and self._on_item is not None

    def _item(self) -> bool:
        end = self._value_end()
        if end < 0:
            return False
        if self._on_item is not None:
            self._on_item(_parsed(self._buffer[self._at : end]))
        self._at = end
        self._first = False
        self._state = _At.NEXT_ITEM
        return True

    def _value_end(self) -> int:
        """Where the value that starts here ends; -1 when it has not come whole yet."""
        buffer, at = self._buffer, self._at
        first = buffer[at]
        if first == ord('"'):
            found = _STRING.match(buffer, at)
            return found.end() if found else -1
        if first not in b"{[":
            found = _SCALAR.match(buffer, at)
            if found is None and buffer[at] in b",]}:":
                raise NotAnAnswer("answer.unreadable")
            return found.end() if found else -1
        depth = 0
        for token in _TOKEN.finditer(buffer, at):
            text = token.group()
            if text in {b"{", b"["}:
                depth += 1
                if depth > _MAX_DEPTH:
                    raise NotAnAnswer("answer.too_deep")
            elif text in {b"}", b"]"}:
                depth -= 1
                if not depth:
                    return token.end()
            elif text == b'"':
                return -1
        return -1

    def _text(self) -> bool:
        buffer, at = self._buffer, self._at
        end = buffer.find(b'"', at)
        closed = end >= 0
        if not closed:
            end = len(buffer)
            # an escape may be cut by the end of the piece: leave it for the next one
            begun = buffer.rfind(b"\\", max(at, end - _LONGEST_ESCAPE + 1))
            if begun >= 0:
                end = begun
        piece = bytes(buffer[at:end])
        if piece.endswith(b"\\"):
            raise NotAnAnswer("base64.bad")  # an escaped quote: no base64 has one
        self._at = end + closed
        if closed:
            self._state = _At.NEXT
        if piece and self._on_text is not None:
            self._on_text(_unescaped(piece))
        return closed


def _parsed(text: bytes | bytearray) -> object:
    try:
        value: object = json.loads(bytes(text).decode("utf-8", "replace"))
    except ValueError:
        raise NotAnAnswer("answer.unreadable") from None
    return value


def _unescaped(piece: bytes) -> bytes:
    """JSON escapes that writers put into base64 undone: `\\/` and `\\u003d` above all."""
    if b"\\" not in piece:
        return piece
    return _ESCAPE.sub(_character, piece.replace(b"\\/", b"/"))


def _character(found: re.Match[bytes]) -> bytes:
    escape = found.group(1)
    if escape in {b"n", b"r", b"t"}:
        return b"\n"
    if len(escape) > 1:
        return chr(int(escape[1:], 16)).encode("utf-8", "replace")
    raise NotAnAnswer("base64.bad")


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
