"""The `Tx` that both executors hand to store functions; what differs comes as a `Driver`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Executable

from gateway import errors
from gateway.store import together
from gateway.store.plans import Plans
from gateway.store.session import Params, Row, Rows

# dict first: asking the abstract class costs as much as the rest of `execute`
_ONE_ROW = (dict, Mapping)


class Cursor(Protocol):
    """What sqlite3 and psycopg cursors have in common (PEP 249)."""

    @property
    def description(self) -> Any: ...

    @property
    def rowcount(self) -> int: ...

    def execute(self, query: Any, params: Any = ..., /) -> Any: ...

    def executemany(self, query: Any, params_seq: Any, /) -> Any: ...

    def fetchall(self) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Driver:
    """`foreign`: the root of the driver's exceptions; `mapped` turns one into a family of ours.

    `load`: inserts many rows faster than the driver's `executemany`; False when the statement is
    not one that it can take, and then nothing was done.
    """

    dialect: str
    plans: Plans
    foreign: type[Exception]
    mapped: Callable[[Exception], errors.GatewayError]
    load: Callable[[Any, str, Sequence[Sequence[Any]]], bool] | None = None


def _as_rows(params: Params | Sequence[Params]) -> Sequence[Params]:
    return [params] if isinstance(params, _ONE_ROW) else params


def _over() -> errors.Broken:
    return errors.Broken(
        errors.Text("Giao dịch đã kết thúc", "the transaction is over"), code="store.tx_over"
    )


class DriverTx:
    """`session.Tx` over one cursor. Used by one thread, for one run of one function.

    `clock`: what `now` says. `run`: executes a text with numbered parameters, so that what was put
    goes together; None where a statement costs no round trip, and nothing is gained by waiting.
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
        "_puts",
        "_run",
        "cause",
        "channels",
    )

    def __init__(
        self,
        cursor: Cursor,
        driver: Driver,
        clock: Callable[[], datetime],
        run: Callable[[bytes, Sequence[Any]], object] | None = None,
    ) -> None:
        self._cursor = cursor
        self._driver = driver
        self._clock = clock
        self._now: datetime | None = None
        self._live = True
        self._error: errors.GatewayError | None = None
        self._run = run
        self._puts: list[together.Put] = []
        self.cause: Exception | None = None
        self.channels: set[str] = set()

    @property
    def dialect(self) -> str:
        return self._driver.dialect

    def execute(self, stmt: Executable, params: Params | Sequence[Params] | None = None) -> Rows:
        if self._puts:
            self._flush()
        if not self._live:
            raise self._error or _over()
        cursor = self._cursor
        plans = self._driver.plans
        try:
            if params is None or isinstance(params, _ONE_ROW):
                plan, text, values = plans.one(stmt, params)
                cursor.execute(text, values)
                if cursor.description is None:
                    return Rows([], cursor.rowcount)
                rows = cursor.fetchall()
                if plan.convert is not None:
                    rows = plan.convert(rows)
                return Rows(rows, len(rows))
            if not params:
                return Rows([], 0)
            text, given = plans.many(stmt, params)
            if len(given) == 1:  # the usual case, for which psycopg needs twice the time
                cursor.execute(text, given[0])
                return Rows([], cursor.rowcount)
            load = self._driver.load
            if load is not None and load(cursor, text, given):
                return Rows([], len(given))
            cursor.executemany(text, given)
            return Rows([], cursor.rowcount)
        except self._driver.foreign as exc:
            raise self._failed(exc) from exc

    def put(self, stmt: Executable, params: Params | Sequence[Params]) -> None:
        if self._run is None:
            self.execute(stmt, params)
            return
        if not self._live:
            raise self._error or _over()
        rows = _as_rows(params)
        if not rows:
            return
        text, given = self._driver.plans.many(stmt, rows)
        single = together.alone(text)
        if len(given) > (1 if single else together.MOST_ROWS) or together.parts(text) is None:
            self.execute(stmt, rows)
            return
        same = next((put for put in self._puts if put.text == text), None)
        if same is not None and not single and len(same.rows) + len(given) <= together.MOST_ROWS:
            same.rows.extend(given)
            return
        if same is not None:
            self._flush()
        self._puts.append(together.Put(text, given))

    def _flush(self) -> None:
        """Send what was put; before the next statement and before the end."""
        puts, self._puts = self._puts, []
        if self._run is None or not self._live:
            return
        try:
            self._run(*together.together(puts))
        except self._driver.foreign as exc:
            raise self._failed(exc) from exc

    def scalars(self, stmt: Executable, params: Params | None = None) -> list[Any]:
        return self.execute(stmt, params).scalars()

    def now(self) -> datetime:
        if self._now is None:
            if not self._live:
                raise self._error or _over()
            self._now = self._clock()
        return self._now

    def notify(self, channel: str) -> None:
        self.channels.add(channel)

    def finish(self) -> None:
        """The function has returned. An error it swallowed is raised here: PostgreSQL would not
        have gone on, so neither do we.
        """
        if self._puts and self._error is None:
            self._flush()
        self._live = False
        if self._error is not None:
            raise self._error

    def _failed(self, exc: Exception) -> errors.GatewayError:
        self._live = False
        self.cause = exc
        self._error = self._driver.mapped(exc)
        return self._error
