"""Several INSERTs as one statement, for a server that each of them costs a round trip.

In:     INSERTs as `plans.py` gives them to psycopg, with the values of each row.
Out:    one text with numbered parameters, whose parts are data-modifying CTEs (PostgreSQL 7.8.4).
Never:  takes an INSERT apart that is more than columns, values and ON CONFLICT; reorders rows.

The parts see neither each other's rows nor an order among themselves: right for rows whose
outcome nobody asks for, whose foreign keys are looked at when the whole statement has ended. One
message goes out and is answered before the next: unlike with a pipeline, a process that is stopped
in between leaves a server that waits in a transaction, and `idle_in_transaction_session_timeout`
ends that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

MOST_ROWS = 32  # of one INSERT; beyond, COPY is faster
_MARK = r"%s(?:::[\w ]+)?"
# types are cast where SQLAlchemy names them
_INTO = r"INSERT INTO (?P<place>\w+ \(\w+(?:, \w+)*\)) VALUES "
_ROW = rf"(?P<row>\({_MARK}(?:, {_MARK})*\))"
_CONFLICT = r"(?P<conflict>(?: ON CONFLICT [^%]*(?:%s[^%]*)*)?)"
_INSERT = re.compile(_INTO + _ROW + _CONFLICT)


class Put(NamedTuple):
    """One INSERT and its rows, the values of each in the order of the marks in `text`."""

    text: str
    rows: list[Sequence[Any]]


class _Parts(NamedTuple):
    place: str  # the table and its columns
    row: str
    conflict: str


@lru_cache(maxsize=256)
def parts(text: str) -> _Parts | None:
    """None: this statement is not one that can stand with others."""
    found = _INSERT.fullmatch(text)
    return None if found is None else _Parts(found["place"], found["row"], found["conflict"])


def alone(text: str) -> bool:
    """One row of it for each statement: its ON CONFLICT has values of its own, or changes a row,
    which one statement must not do twice.
    """
    found = parts(text)
    return found is None or "%s" in found.conflict or "DO UPDATE" in found.conflict


def together(puts: Sequence[Put]) -> tuple[bytes, list[Any]]:
    """The one statement and its values. Each text must be one that `parts` knows."""
    shape = tuple((put.text, len(put.rows)) for put in puts)
    return _text(shape), [value for put in puts for row in put.rows for value in row]


@lru_cache(maxsize=256)
def _text(shape: tuple[tuple[str, int], ...]) -> bytes:
    numbers = count(1)
    inserts: list[str] = []
    for text, rows in shape:
        found = parts(text)
        if found is None:
            raise ValueError(text)
        whole = text.replace(found.row, ", ".join([found.row] * rows), 1)
        inserts.append(re.sub("%s", lambda _: f"${next(numbers)}", whole))
    # the server runs the main part first and then the CTEs from the last to the first: written in
    # this way they go in the order in which they were put, as they do where some go by COPY, and
    # two transactions do not wait for each other's keys crosswise
    first, *others = inserts
    if not others:
        return first.encode()
    named = [f"p{number} AS ({insert})" for number, insert in enumerate(others, start=2)]
    return f"WITH {', '.join(reversed(named))} {first}".encode()
