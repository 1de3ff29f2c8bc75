"""A retry policy as a person writes it: "30s, 2m, 10m then every 1h for 3d, jitter full".

In:     one line of text; or a number of attempts and a fraction in [0, 1).
Out:    a Retry; or the pause before the next attempt, in seconds.
Fails:  Misconfigured `conf.value`, with the position (from 1) of what is wrong.
Never:  guesses a unit; goes on without an end.

The grammar:

    policy   = pause { "," pause } [ "then" "every" pause ] "for" duration [ "," "jitter" word ]
    duration = number unit, written together; units: ms s m h d
    word     = "full" | "half" | "none"

The pauses follow the attempts in their order; then the one after `every` repeats, or else the
last. `for` is the lifetime: it ends the tries, and no count of them does. Jitter: of each pause a
random part (full), half of it and a random part of the other half, or the pause as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from gateway.errors import Misconfigured, Text

Jitter = Literal["full", "half", "none"]
DEFAULT = "30s, 1m, 2m, 4m, 8m, 16m, 32m then every 1h for 3d, jitter full"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_TOKEN = re.compile(r"\s*(,|[^\s,]+)")
_JITTERS = ("full", "half", "none")


@dataclass(frozen=True, slots=True)
class Retry:
    """`pauses` in seconds after the first, second... attempt; `every` after all later ones."""

    pauses: tuple[float, ...]
    every: float
    lifetime: float
    jitter: Jitter = "full"

    @property
    def longest(self) -> float:
        """The longest pause between two attempts, in seconds."""
        return max((*self.pauses, self.every))

    def pause(self, attempts: int, fraction: float) -> float:
        """After `attempts` attempts (from 1). `fraction` in [0, 1) is the draw for the jitter."""
        number = max(attempts, 1) - 1
        whole = self.pauses[number] if number < len(self.pauses) else self.every
        if self.jitter == "none":
            return whole
        return whole * (fraction if self.jitter == "full" else (1 + fraction) / 2)


class _Token(NamedTuple):
    text: str
    position: int


class _Reader:
    """Words and commas, one after the other."""

    def __init__(self, line: str) -> None:
        self._tokens = list(_tokens(line))
        self._end = _Token("", len(line.rstrip()) + 1)

    @property
    def next(self) -> _Token:
        return self._tokens[0] if self._tokens else self._end

    def took(self, *words: str) -> bool:
        """True: these words stood next, and are read."""
        found = [token.text for token in self._tokens[: len(words)]] == list(words)
        if found:
            del self._tokens[: len(words)]
        return found

    def duration(self) -> float:
        token = self.next
        match = _DURATION.fullmatch(token.text)
        seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
        if seconds <= 0:
            raise _wrong(token, 'thời lượng lớn hơn 0 như "30s", "2m"', 'a duration as "30s", "2m"')
        del self._tokens[:1]
        return seconds

    def jitter(self) -> Jitter:
        token = self.next
        if token.text not in _JITTERS:
            raise _wrong(token, "full, half hoặc none", "full, half or none")
        del self._tokens[:1]
        return cast("Jitter", token.text)


def parse(line: str) -> Retry:
    """The policy that `line` says; the grammar stands at the top of this file."""
    reader = _Reader(line)
    pauses = [reader.duration()]
    while reader.took(","):
        pauses.append(reader.duration())
    every = pauses[-1]
    if reader.took("then"):
        if not reader.took("every"):
            raise _wrong(reader.next, '"every" sau "then"', '"every" after "then"')
        every = reader.duration()
    if not reader.took("for"):
        raise _wrong(
            reader.next,
            'dấu phẩy, "then every" hoặc "for" và thời hạn',
            'a comma, "then every", or "for" and the lifetime',
        )
    lifetime = reader.duration()
    jitter: Jitter = "full"
    if reader.took(",", "jitter"):
        jitter = reader.jitter()
    if reader.next.text:
        raise _wrong(reader.next, '", jitter" hoặc hết dòng', '", jitter" or the end')
    return Retry(tuple(pauses), every, lifetime, jitter)


def _tokens(line: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(line):
        yield _Token(match[1], match.start(1) + 1)


def _wrong(token: _Token, vi: str, en: str) -> Misconfigured:
    found = token.text[:20]
    said_vi = f"gặp {found!r}" if found else "gặp cuối dòng"
    said_en = f"found {found!r}" if found else "found the end"
    return Misconfigured(
        Text(
            f"Vị trí {token.position}: cần {vi}, {said_vi}",
            f"position {token.position}: need {en}, {said_en}",
        ),
        code="conf.value",
    )
