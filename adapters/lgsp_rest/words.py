"""Their JSON: small answers and lists as values, a large one read while it comes. Pure.

In:     bytes of an answer.
Out:    `Answer`, lists, the text of `data.edxml` in pieces.
Fails:  NotAnAnswer with a stable code; `answer_in` gives None for what is no answer.
Never:  takes a cut or unreadable text for an empty one; holds a package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.streams import NotAnAnswer

_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n"
_LONGEST_KEPT = 64 * 1024
_LONGEST_UNIT = 12  # two \u escapes
_MAX_DEPTH = 64
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
# whole characters of a JSON string, as many as there are
_UNITS = re.compile(
    rb"(?:[\x00-\x21\x23-\x5b\x5d-\x7f]++|\\[\"\\/bfnrt]"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    rb"|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})*+"
)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]+")


def text_of(value: object) -> str:
    """A field's text fit for any database: strings trimmed, numbers as text, else ""."""
    match value:
        case str():
            return _UNSTORABLE.sub(" ", value).strip()[:_LONGEST_KEPT]
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says of itself. `success` None and no `code`: it says nothing."""

    success: bool | None
    code: str
    message: str
    doc_id: str


def parsed(body: bytes) -> object:
    """The JSON of a body, or None. Bytes that are not UTF-8 are borne, a byte order mark too."""
    try:
        value: object = json.loads(body.removeprefix(_BOM).decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value


def answer_in(body: bytes) -> Answer | None:
    """The answer in a body; None when it is none. Its parts may stand below `data` (8.3)."""
    fields = parsed(body)
    return answer_of(fields) if isinstance(fields, dict) else None


def answer_of(fields: Mapping[str, object]) -> Answer | None:
    """None for an object that says neither success nor a code."""
    inner = fields.get("data")
    both = (inner if isinstance(inner, dict) else {}, fields)

    def first(*names: str) -> str:
        found = (text_of(part.get(name)) for part in both for name in names)
        return next((text for text in found if text), "")

    said = fields.get("success")
    success = said if isinstance(said, bool) else None
    code = first("errorCode", "ErrorCode", "code")
    if success is None and not code:
        return None
    return Answer(success, code, first("errorDesc", "message"), first("docId"))


class DocumentReader:
    """Reads the answer of getEdoc. `feed` every piece, then `close`.

    `on_text` gets the text of `data.edxml` as UTF-8, in pieces. Of the rest, short values of
    objects are kept in `fields` by path; `filled` holds the paths of lists that are not empty.
    """

    def __init__(self, on_text: Callable[[bytes], None]) -> None:
        self.fields: dict[tuple[str, ...], object] = {}
        self.filled: set[tuple[str, ...]] = set()
        self.streamed = False
        self._on_text = on_text
        self._buffer = bytearray()
        self._stack: list[int] = []  # the brackets that are open
        self._path: list[str] = []  # the key at each of them, "" in a list
        self._wanted = "value"  # value | key | colon | next | end
        self._string: bytearray | None = None  # what is kept of the string we are in
        self._into_text = False
        self._as_key = False
        self._begun = False

    def feed(self, piece: bytes) -> None:
        if not self._begun:
            self._buffer += piece
            if len(self._buffer) < len(_BOM):
                return
            self._begun = True
            piece, self._buffer = bytes(self._buffer).removeprefix(_BOM), bytearray()
        self._buffer += piece
        at = 0
        while (after := self._step(at)) >= 0:
            at = after
        del self._buffer[:~after]

    def close(self) -> None:
        """Raises NotAnAnswer when the object did not close."""
        if self._wanted != "end":
            empty = not self._begun and not self._buffer.strip()
            raise NotAnAnswer("answer.empty" if empty else "answer.cut")

    def answer(self) -> Answer:
        """Once closed. Raises NotAnAnswer for an answer that says nothing of itself."""
        inner = {path[1]: v for path, v in self.fields.items() if path[0] == "data" and path[1:]}
        outer = {path[0]: value for path, value in self.fields.items() if len(path) == 1}
        answer = answer_of({**outer, "data": inner})
        if answer is None:
            raise NotAnAnswer("answer.unreadable")
        return answer

    def _step(self, at: int) -> int:
        """One token from `at`: where it ends; `~there` when it needs more bytes from there on."""
        buffer = self._buffer
        if self._string is not None:
            return self._more_text(at)
        while at < len(buffer) and buffer[at] in _WHITE:
            at += 1
        if at >= len(buffer):
            return ~at
        char = buffer[at]
        match self._wanted:
            case "value":
                return self._value(at, char)
            case "key" if char == ord('"'):
                return self._open_string(at + 1, key=True)
            case "key" if char == ord("}"):
                return self._shut(at, char)
            case "colon" if char == ord(":"):
                self._wanted = "value"
                return at + 1
            case "next" if char in b"]}":
                return self._shut(at, char)
            case "next" if char == ord(","):
                self._wanted = "key" if self._stack[-1] == ord("{") else "value"
                return at + 1
        raise NotAnAnswer("answer.unreadable")

    def _value(self, at: int, char: int) -> int:
        if char == ord("]") and self._stack and self._stack[-1] == ord("["):
            return self._shut(at, char)
        if not self._stack and char != ord("{"):
            raise NotAnAnswer("answer.unreadable")
        if self._stack and self._stack[-1] == ord("["):
            self.filled.add(tuple(self._path[:-1]))
        if char in b"{[":
            if len(self._stack) >= _MAX_DEPTH:
                raise NotAnAnswer("answer.too_deep")
            self._stack.append(char)
            self._path.append("")
            self._wanted = "key" if char == ord("{") else "value"
            return at + 1
        if char == ord('"'):
            return self._open_string(at + 1, key=False)
        found = _SCALAR.match(self._buffer, at)
        if found is None:
            raise NotAnAnswer("answer.unreadable")
        if found.end() >= len(self._buffer):
            if found.end() - at > _LONGEST_KEPT:
                raise NotAnAnswer("answer.unreadable")
            return ~at
        self._keep(found.group())
        return found.end()

    def _open_string(self, at: int, *, key: bool) -> int:
        self._string = bytearray()
        self._as_key = key
        self._into_text = not key and self._path == ["data", "edxml"] and 91 not in self._stack
        if self._into_text:
            if self.streamed:
                raise NotAnAnswer("answer.unreadable")
            self.streamed = True
        return at

    def _more_text(self, at: int) -> int:
        buffer = self._buffer
        found = _UNITS.match(buffer, at)
        end = found.end() if found else at
        piece = bytes(buffer[at:end])
        if self._into_text:
            if piece:
                self._on_text(_unescaped(piece))
        elif self._string is not None and len(self._string) <= _LONGEST_KEPT:
            self._string += piece[: _LONGEST_KEPT + 1]
        if end < len(buffer) and buffer[end] == ord('"'):
            kept, self._string = bytes(self._string or b""), None
            if self._as_key and len(kept) > _LONGEST_KEPT:
                raise NotAnAnswer("answer.unreadable")
            if self._as_key:
                self._path[-1] = _unescaped(kept).decode()
                self._wanted = "colon"
            elif self._into_text:
                self._wanted = "next"
            else:
                self._keep(b'"' + kept + b'"' if len(kept) <= _LONGEST_KEPT else b'""')
            return end + 1
        if len(buffer) - end >= _LONGEST_UNIT:
            raise NotAnAnswer("answer.unreadable")
        return ~end

    def _keep(self, text: bytes) -> None:
        try:
            value = json.loads(text, strict=False)
        except ValueError:
            raise NotAnAnswer("answer.unreadable") from None
        if ord("[") not in self._stack and len(self._path) <= 2:
            self.fields[tuple(self._path)] = value
        self._wanted = "next"

    def _shut(self, at: int, char: int) -> int:
        opened = self._stack.pop() if self._stack else 0
        if (opened, char) not in {(123, 125), (91, 93)}:
            raise NotAnAnswer("answer.unreadable")
        self._path.pop()
        self._wanted = "next" if self._stack else "end"
        return at + 1


def _unescaped(piece: bytes) -> bytes:
    """The characters of a JSON string, as UTF-8."""
    if b"\\" not in piece:
        return piece
    text: str = json.loads(b'"' + piece + b'"', strict=False)
    return text.encode()
