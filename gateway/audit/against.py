"""One thing that is shown, held against the records that speak of it.

In:     bodies of records; values as rows hold them.
Out:    Said, the little of a record that is compared; findings where a row says something else.
Fails:  never: a body that is no record is left out, `ledger.verify` names it.
Never:  judges a record; its bytes are judged by their leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from gateway.errors import Finding, Severity, Text
from gateway.promise import local_time

BATCH = 500
_LONGEST = 120  # of a value in a text: rows may hold anything


class Said(msgspec.Struct, frozen=True):
    """A record, read only as far as it is compared; the reader of format v1 is in the ledger."""

    id: str
    event: str
    at: datetime
    about: dict[str, str]
    facts: dict[str, Any]


class Headed(msgspec.Struct, frozen=True):
    """Of a record what stands in columns beside it, without the facts: read for every record."""

    event: str
    at: datetime
    about: dict[str, str]


_read = msgspec.json.Decoder(Said).decode
_read_head = msgspec.json.Decoder(Headed).decode


def said(body: bytes) -> Said | None:
    """None: the bytes are no record."""
    try:
        return _read(body)
    except msgspec.MsgspecError:
        return None


def headed(body: bytes) -> Headed | None:
    """None: the bytes are no record."""
    try:
        return _read_head(body)
    except msgspec.MsgspecError:
        return None


def about(bodies: Iterable[bytes], thing: str) -> dict[str, list[Said]]:
    """The records by the id that they name under `thing`, in the order of their instants."""
    read = [one for body in bodies if (one := said(body)) is not None]
    return by(sorted(read, key=lambda s: (s.at, s.id)), lambda s: s.about.get(thing, ""))


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_HasId)
V = TypeVar("V")


def by(rows: Iterable[V], key: Callable[[V], str]) -> dict[str, list[V]]:
    found: dict[str, list[V]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def batches(read: Callable[[str, int], list[R]], most: int = BATCH) -> Iterator[list[R]]:
    """A table from its first id to its last; `read(after, most)` gives the next rows."""
    after = ""
    while rows := read(after, most):
        yield rows
        after = rows[-1].id


class Against:
    """Findings about one thing: `path` names it, `vi` and `en` say what is wrong with it."""

    def __init__(self, path: str, code: str, vi: str, en: str) -> None:
        self._path = path
        self._code = code
        self._text = Text(vi, en)

    def says(self, name: str, shown: object, *recorded: object) -> Iterator[Finding]:
        """One finding unless `shown` is one of `recorded`; none of them: no record says it."""
        if shown not in recorded:
            yield self.finding(name, shown, recorded)

    def finding(self, name: str, shown: object, recorded: Sequence[object]) -> Finding:
        nothing = Text("không có bản ghi nào", "no record says it")
        told = " | ".join(dict.fromkeys(_plain(value) for value in recorded))
        return Finding(
            self._path,
            self._code,
            Severity.ERROR,
            Text(
                f"{self._text.vi}: {name} hiển thị {_plain(shown)}, bản ghi: {told or nothing.vi}",
                f"{self._text.en}: {name} is shown as {_plain(shown)}, recorded: "
                f"{told or nothing.en}",
            ),
        )


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return local_time(value)
    text = "-" if value in (None, "") else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
