"""The `Tx` that both executors hand to store functions; what differs comes as a `Driver`.

Over a network each statement costs a way there and back, and the thread's place among all that
want to run. So what changes rows waits, where the driver can send several at once, until somebody
asks for a count or for rows, or the function has returned; the order stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Executable

from gateway import errors
from gateway.store.plans import Plans, changes_only
from gateway.store.session import Params, Row, Rows

# dict first: asking the abstract class costs as much as the rest of `execute`
_ONE_ROW = (dict, Mapping)
MOST_WAITING = 256  # statements that wait for one round trip: what they hold in memory is bounded


class Cursor(Protocol):
    """What sqlite3 and psycopg cursors have in common (PEP 249)."""

    @property
    def description(self) -> Any: ...

    @property
    def rowcount(self) -> int: ...

    def execute(self, query: Any, params: Any = ..., /) -> Any: ...

    def executemany(self, query: Any, params_seq: Any, /) -> Any: ...

    def fetchall(self) -> list[Row]: ...


Statement = tuple[str, Sequence[Any] | None]


@dataclass(frozen=True, slots=True)
class Driver:
    """`foreign`: the root of the driver's exceptions; `mapped` turns one into a family of ours.

    `loading`: what inserts so many rows faster than the statement itself; "" where nothing does.
    `load`: does so.

    `together`: runs statements in one round trip, in their order, and returns a cursor for each;
    raises what the first one that failed raised. None: nothing is gained, each runs at once.
    """

    dialect: str
    plans: Plans
    foreign: type[Exception]
    mapped: Callable[[Exception], errors.GatewayError]
    loading: Callable[[str, int], str] = lambda _text, _rows: ""
    load: Callable[[Any, str, Sequence[Sequence[Any]]], None] | None = None
    together: Callable[[Any, Sequence[Statement]], list[Cursor]] | None = None


def _over() -> errors.Broken:
    return errors.Broken(
        errors.Text("Giao dịch đã kết thúc", "the transaction is over"), code="store.tx_over"
    )


class _Waiting(Rows):
    """What was not sent yet returns no rows; asked for its count, it is sent."""

    __slots__ = ("_send",)

    def __init__(self, send: Callable[[], None]) -> None:
        super().__init__([], 0)
        self._send = send

    @property
    def count(self) -> int:
        self._send()
        return self._count

    def touched(self, rows: int) -> None:
        self._count += rows


class DriverTx:
    """`session.Tx` over one cursor. Used by one thread, for one run of one function.

    `cause`: the driver's exception behind the first statement that failed. From there on, and
    after the function has returned, nothing can be executed any more.
    """

    __slots__ = (
        "_clock",
        "_cursor",
        "_driver",
        "_error",
        "_live",
        "_now",
        "_waiting",
        "cause",
        "channels",
    )

    def __init__(self, cursor: Cursor, driver: Driver, clock: Callable[[Cursor], datetime]) -> None:
        self._cursor = cursor
        self._driver = driver
        self._clock = clock
        self._now: datetime | None = None
        self._live = True
        self._error: errors.GatewayError | None = None
        self._waiting: list[tuple[Statement, _Waiting]] = []
        self.cause: Exception | None = None
        self.channels: set[str] = set()

    @property
    def dialect(self) -> str:
        return self._driver.dialect

    def execute(self, stmt: Executable, params: Params | Sequence[Params] | None = None) -> Rows:
        if not self._live:
            raise self._error or _over()
        plans = self._driver.plans
        try:
            if params is None or isinstance(params, _ONE_ROW):
                plan, text, values = plans.one(stmt, params)
                if self._driver.together is not None and changes_only(stmt, plan):
                    return self._later(text, (values,))
                cursor = self._run(text, values)
                if cursor.description is None:
                    return Rows([], cursor.rowcount)
                rows = cursor.fetchall()
                if plan.convert is not None:
                    rows = plan.convert(rows)
                return Rows(rows, len(rows))
            if not params:
                return Rows([], 0)
            text, given = plans.many(stmt, params)
            load = self._driver.load
            if load is not None and (loading := self._driver.loading(text, len(given))):
                self._send()
                load(self._cursor, loading, given)
                return Rows([], len(given))
            if self._driver.together is not None:
                return self._later(text, given)
            if len(given) == 1:
                self._cursor.execute(text, given[0])
            else:
                self._cursor.executemany(text, given)
            return Rows([], self._cursor.rowcount)
        except self._driver.foreign as exc:
            raise self._failed(exc) from exc

    def scalars(self, stmt: Executable, params: Params | None = None) -> list[Any]:
        return self.execute(stmt, params).scalars()

    def now(self) -> datetime:
        if self._now is None:
            if not self._live:
                raise self._error or _over()
            try:
                self._now = self._clock(self._cursor)
            except self._driver.foreign as exc:
                raise self._failed(exc) from exc
        return self._now

    def notify(self, channel: str) -> None:
        self.channels.add(channel)

    def finish(self) -> None:
        """The function has returned. An error it swallowed is raised here: PostgreSQL would not
        have gone on, so neither do we.
        """
        self._send()
        self._live = False
        if self._error is not None:
            raise self._error

    def _later(self, text: str, given: Sequence[Sequence[Any] | None]) -> Rows:
        """Behind what waits already. `given`: values for each time that it is to run."""
        rows = _Waiting(self._send)
        self._waiting += [((text, values), rows) for values in given]
        if len(self._waiting) >= MOST_WAITING:
            self._send()
        return rows

    def _run(self, text: str, values: Sequence[Any] | None) -> Cursor:
        """At once, with all that waits before it."""
        together = self._driver.together
        if together is None or not self._waiting:
            self._cursor.execute(text, values)
            return self._cursor
        waiting, self._waiting = self._waiting, []
        *before, last = together(self._cursor, [*(sent for sent, _ in waiting), (text, values)])
        for (_, rows), cursor in zip(waiting, before, strict=True):
            rows.touched(cursor.rowcount)
        return last

    def _send(self) -> None:
        """All that waits. Two or more travel together; for one alone that would cost more."""
        if self._error is not None:
            raise self._error
        if not self._waiting:
            return
        (text, values), rows = self._waiting.pop()
        try:
            rows.touched(self._run(text, values).rowcount)
        except self._driver.foreign as exc:
            raise self._failed(exc) from exc

    def _failed(self, exc: Exception) -> errors.GatewayError:
        self._live = False
        self._waiting.clear()
        self.cause = exc
        self._error = self._driver.mapped(exc)
        return self._error
