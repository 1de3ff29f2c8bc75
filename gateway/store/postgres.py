"""PostgreSQL executor: eight threads over psycopg, one transaction a call (architecture 6).

Comes in: store functions. Goes out: their values, after COMMIT. Fails: Violation, Unavailable (no
connection, timeouts), Broken. A serialisation failure or a deadlock runs the function again, and
so does a connection that was lost before COMMIT was sent; one lost during COMMIT does not, since
nobody knows what became of it: Unavailable, and the idempotency key is the answer.

Functions run at the same time here: they are written for READ COMMITTED, and races are decided by
constraints and conditional updates. Reads see one snapshot (REPEATABLE READ, read only), as on
SQLite. Never: owns a table, changes the schema.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import psycopg
from psycopg.types.numeric import Int8Dumper
from sqlalchemy.dialects import registry

from gateway import errors
from gateway.store.crew import Crew, Here, Job, OnFatal, end_process
from gateway.store.messenger import Messenger
from gateway.store.plans import Plans
from gateway.store.session import Listener, Tx, Violation
from gateway.store.together import parts
from gateway.store.tx import Driver, DriverTx
from gateway.store.wake import Wakes

T = TypeVar("T")
THREADS = 8
TRIES = 8
USUAL = 100  # values of INSERTs that go together: a document to a few receivers
LOADED = 32  # rows from which on a COPY is faster than the INSERTs in a pipeline
# one message: the server's clock costs no round trip of its own
_BEGIN = "BEGIN; SELECT clock_timestamp()"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT clock_timestamp()"
_BOUNDED = 170000  # the first server that knows transaction_timeout
# who only reads holds up nobody, and a whole ledger takes its time
_BEGIN_READING_UNBOUNDED = f"{_BEGIN_READING}; SET LOCAL transaction_timeout = 0"
_AGAIN = frozenset({"40001", "40P01"})
_KINDS = {
    "23505": "unique",
    "23514": "check",
    "23503": "foreign_key",
    "23502": "not_null",
    "27000": "transition",  # triggered_data_change_violation: raised by the triggers of 0009
    "23001": "append_only",  # restrict_violation: raised by the triggers of the first migration
}
# by SQLSTATE or its class: time will mend it
_LATER = ("08", "53", "55P03", "57", "58", "25P03", "25P04", "40")
_MONTH = re.compile(r"(.+)_(?:y\d{4}m\d{2}|default)")


def _mapped(exc: Exception) -> errors.GatewayError:
    """The one table that turns the driver's exceptions into ours."""
    if not isinstance(exc, psycopg.Error):
        raise TypeError(type(exc).__name__)
    state = exc.sqlstate or ""
    said = exc.diag.message_primary or str(exc).partition("\n")[0]
    kind = _KINDS.get(state)
    if kind is not None:
        table, constraint = exc.diag.table_name or "", exc.diag.constraint_name or ""
        month = _MONTH.fullmatch(table)
        if month is not None:  # a partition has its own name for the key of its table
            table = month.group(1)
            constraint = f"pk_{table}" if constraint.endswith("_pkey") else constraint
        return Violation(kind, table, constraint, said)
    # without a SQLSTATE the server said nothing: no connection, or not any more
    if state.startswith(_LATER) or (
        not state and isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError)
    ):
        return errors.Unavailable(
            errors.Text(f"Cơ sở dữ liệu chưa sẵn sàng: {said}", f"{state or 'connection'}: {said}"),
            code="store.unavailable",
        )
    return errors.Broken(
        errors.Text(f"Lỗi cơ sở dữ liệu: {said}", f"{state}: {said}"), code="store.failed"
    )


def _connect(url: str, *, statement_seconds: int) -> psycopg.Connection[Any]:
    """A stopped process does not hold its locks for ever: the server ends a session that waits
    between two statements, and from PostgreSQL 17 on one that waits in the middle of a pipeline
    (`executemany`). What it waits for in the middle of a COPY no setting of it ends.
    """
    conn = psycopg.connect(
        url,
        autocommit=True,  # transactions begin where `_Server` says so
        application_name="edoc-gateway",
        connect_timeout=5,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        options=(
            f"-c statement_timeout={statement_seconds}s"
            f" -c idle_in_transaction_session_timeout={2 * statement_seconds}s"
            " -c timezone=UTC"
        ),
    )
    if conn.info.server_version >= _BOUNDED:
        try:
            conn.execute(f"SET transaction_timeout = '{4 * statement_seconds}s'")
        except psycopg.Error:
            conn.close()
            raise
    return conn


class _Line:
    """One connection and what is used of it again and again.

    Not the cursor that a function reads with: it would hold the last rows until the next ones.
    """

    __slots__ = ("_begin", "_numbered", "_reading", "conn")

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self._begin = conn.cursor()
        bounded = conn.info.server_version >= _BOUNDED
        self._reading = _BEGIN_READING_UNBOUNDED if bounded else _BEGIN_READING
        self._numbered = psycopg.RawCursor(conn)
        # one plan for numbers of every size
        self._numbered.adapters.register_dumper(int, Int8Dumper)

    def begin(self, *, reading: bool) -> datetime:
        """Begin a transaction; what the server's clock says."""
        self._begin.execute(self._reading if reading else _BEGIN, prepare=False)
        self._begin.nextset()
        return cast("datetime", self._begin.fetchall()[0][0]).astimezone(UTC)

    def together(self, text: bytes, values: Sequence[Any]) -> None:
        """Prepared only in its usual shapes: each number of rows is a plan of its own, on each
        connection, of up to half a megabyte.
        """
        self._numbered.execute(text, values, prepare=None if len(values) <= USUAL else False)


def _load(cursor: psycopg.Cursor[Any], text: str, rows: Sequence[Sequence[Any]]) -> bool:
    """COPY instead of many INSERTs: less than half of our time, the same constraints.

    Only for an INSERT that is nothing but its columns and one value for each.
    """
    plain = parts(text) if len(rows) >= LOADED else None
    if plain is None or plain.conflict or plain.row.count("%s") != plain.place.count(",") + 1:
        return False
    with cursor.copy(f"COPY {plain.place} FROM STDIN".encode()) as into:
        for row in rows:
            into.write_row(row)
    return True


class _Server:
    """Serves one thread with one connection, made when first needed and after every loss."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        driver: Driver,
        clock: Callable[[], datetime] | None,
        told: Callable[[Iterable[str]], None],
    ) -> None:
        self._connect = connect
        self._driver = driver
        self._clock = clock
        self._told = told
        self._line: _Line | None = None

    def serve(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if not job.abandoned():
                self._serve(job)

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.conn.close()

    def _serve(self, job: Job) -> None:
        lost = 0
        for tried in range(1, TRIES + 1):
            again = self._try(job)
            lost += again == "lost"
            if not again or lost > 1:
                return
            if tried > 1:
                time.sleep(0.002 * tried)  # in this thread only; the other one gets on meanwhile

    def _try(self, job: Job) -> str:
        """One transaction. "": over. Else why another try may do better; nothing was kept."""
        try:
            line = self._opened()
        except psycopg.Error as exc:
            job.error = _mapped(exc)
            return ""
        conn = line.conn
        try:
            began = line.begin(reading=job.reads)
        except psycopg.Error as exc:
            job.error = _mapped(exc)
            return "lost" if self._undo(conn) else ""
        tx = DriverTx(conn.cursor(), self._driver, self._clock or (lambda: began), line.together)
        with job:
            job.value = job.fn(tx)
            tx.finish()
        if job.error is None:
            return self._committed(conn, job, tx)
        if self._undo(conn):
            return "lost"
        return "conflict" if getattr(tx.cause, "sqlstate", None) in _AGAIN else ""

    def _committed(self, conn: psycopg.Connection[Any], job: Job, tx: DriverTx) -> str:
        try:
            conn.commit()
        except psycopg.Error as exc:
            job.value, job.error = None, _mapped(exc)
            self._undo(conn)
            return "conflict" if exc.sqlstate in _AGAIN else ""
        if tx.channels:
            self._told(tx.channels)
        return ""

    def _undo(self, conn: psycopg.Connection[Any]) -> bool:
        """Roll back; True when the connection is lost."""
        try:
            conn.rollback()
        except psycopg.Error:
            self.close()
            return True
        if conn.closed:
            self.close()
            return True
        return False

    def _opened(self) -> _Line:
        if self._line is None:
            self._line = _Line(self._connect())
        return self._line


class PostgresStore:
    """`session.Store` on one PostgreSQL database, which must already have its schema."""

    dialect = "postgresql"

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime] | None = None,
        on_fatal: OnFatal = end_process,
        threads: int = THREADS,
        statement_seconds: int = 30,
    ) -> None:
        """`url`: `postgresql://user:password@host/database`. Connects with the first call.

        `clock`: what `Tx.now` says instead of the server's clock.
        """
        self._connect = lambda: _connect(url, statement_seconds=statement_seconds)
        # positional values: what both drivers take fastest
        dialect = registry.load("postgresql.psycopg")(paramstyle="format")
        driver = Driver("postgresql", Plans(dialect), psycopg.Error, _mapped, _load)
        self._wakes = Wakes()
        self._on_fatal = on_fatal
        self._name = secrets.token_hex(8)
        self._gate = threading.Lock()
        self._messenger: Messenger | None = None

        def server() -> _Server:
            return _Server(self._connect, driver, clock, self._told)

        servers = [server() for _ in range(threads)]
        self._crew = Crew("pg", servers, batch=1, on_fatal=on_fatal)
        self._here = Here(server, most=threads)

    async def write(self, fn: Callable[[Tx], T], *, first: bool = False) -> T:
        return cast("T", await self._crew.run(fn, first=first))

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return cast("T", await self._crew.run(fn, reads=True))

    def write_sync(self, fn: Callable[[Tx], T], *, first: bool = False) -> T:  # noqa: ARG002 - who has a thread has a connection, and waits for nobody
        return cast("T", self._here.run(fn))

    def read_sync(self, fn: Callable[[Tx], T]) -> T:
        return cast("T", self._here.run(fn, reads=True))

    def listener(self, channel: str) -> Listener:
        self._with_messenger().hear(channel)
        return self._wakes.listener(channel)

    def generation(self, channel: str) -> int:
        self._with_messenger().hear(channel)
        return self._wakes.generation(channel)

    def hint(self, channel: str) -> None:
        self._with_messenger().tell((channel,))

    def _told(self, channels: Iterable[str]) -> None:
        """Of a transaction that was committed."""
        self._wakes.notify(channels)
        self._with_messenger().tell(channels)

    def _with_messenger(self) -> Messenger:
        with self._gate:
            if self._messenger is None:
                self._messenger = Messenger(self._connect, self._wakes, self._name, self._on_fatal)
            return self._messenger

    async def close(self) -> None:
        await asyncio.to_thread(self.close_sync)

    def close_sync(self) -> None:
        self._crew.close()
        self._here.close()
        with self._gate:
            if self._messenger is not None:
                self._messenger.close()
