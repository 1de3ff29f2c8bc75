"""Protocol answers and packages read piece by piece, in memory that does not grow with them.

In: pieces of bytes as they come. Out: the answer's small fields, and its `data` handed on while
it arrives: base64 text to a decoder, list items one by one. A text that is no well-formed answer
raises `NotAnAnswer` with a stable code; nothing is ever taken for empty. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import Enum, auto

from adapters.streams import NotAnAnswer
from adapters.vxp import wire

_WHITE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,\]}\["{:]+(?=[\s,\]}])')
_ESCAPE = re.compile(rb"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LONGEST_ESCAPE = 6
_MAX_DEPTH = 64


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
