"""SQLite executor: one writer thread, group commit, four readers (feasibility 9 (a)).

Comes in: store functions. Goes out: their values, after COMMIT with `synchronous=FULL`. Fails:
Violation, Unavailable (busy, disk full, I/O), Broken. Never: shares the file with another
gateway process (`lock.py`).

What is queued is committed together, each function in a SAVEPOINT of its own, so one that fails
takes nothing with it. When the transaction of a group is gone (a trigger's RAISE(ROLLBACK), a full
disk) or its COMMIT fails, the connection is opened anew and every function runs again alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar, cast

from sqlalchemy import Index, MetaData, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.sqlite.pysqlite import dialect as sqlite_dialect

from gateway import errors
from gateway.store.crew import Crew, Here, Job, OnFatal, end_process
from gateway.store.plans import Plans
from gateway.store.session import Listener, Tx, Violation
from gateway.store.tables import metadata
from gateway.store.tx import Driver, DriverTx
from gateway.store.wake import Wakes

T = TypeVar("T")
GROUP = 256
READERS = 4
READERS_HERE = 16  # in threads that ask and wait; more wait for one another
BUSY_MS = 10_000
WRITER_CACHE_KIB = 32 * 1024
CHECKPOINT_PAGES = 4000  # 16 MiB

_KINDS = {
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
    "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_CHECK": "check",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_NOTNULL": "not_null",
    "SQLITE_CONSTRAINT_TRIGGER": "append_only",
}
_LATER = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_NOMEM",
    "SQLITE_INTERRUPT",
    "SQLITE_PROTOCOL",
)


def steady_clock() -> Callable[[], datetime]:
    """Wall time at this moment, carried on by the monotonic clock: never steps back."""
    wall = datetime.fromtimestamp(time.time_ns() // 1000 / 1e6, UTC)
    started = time.monotonic_ns()

    def now() -> datetime:
        return wall + timedelta(microseconds=(time.monotonic_ns() - started) // 1000)

    return now


def _keys(tables: MetaData) -> dict[str, tuple[str, str]]:
    """SQLite names the columns of a broken key, not the key: `t.a, t.b` -> (table, its name)."""
    names: dict[str, tuple[str, str]] = {}
    for table in tables.tables.values():
        for key in (*table.constraints, *(i for i in table.indexes if i.unique)):
            if isinstance(key, PrimaryKeyConstraint | UniqueConstraint | Index):
                columns = ", ".join(f"{table.name}.{c.name}" for c in key.columns)
                names[columns] = (table.name, str(key.name))
    return names


def _mapping(tables: MetaData) -> Callable[[Exception], errors.GatewayError]:
    """The one table that turns the driver's exceptions into ours."""
    keys = _keys(tables)

    def mapped(exc: Exception) -> errors.GatewayError:
        name = getattr(exc, "sqlite_errorname", "")
        said = str(exc)
        kind = _KINDS.get(name)
        if kind is not None:
            what = said.partition(": ")[2]
            if kind == "unique":
                return Violation(kind, *keys.get(what, ("", "")), detail=said)
            if kind == "append_only":  # or another trigger of ours: they say which
                return Violation(said.partition(": ")[0], what, detail=said)
            if kind == "not_null":
                return Violation(kind, what.partition(".")[0], detail=said)
            return Violation(kind, constraint=what if kind == "check" else "", detail=said)
        if name.startswith(_LATER):
            return errors.Unavailable(
                errors.Text(f"Cơ sở dữ liệu đang bận hoặc đầy: {said}", f"{name}: {said}"),
                code="store.unavailable",
            )
        return errors.Broken(
            errors.Text(f"Lỗi cơ sở dữ liệu: {said}", f"{name}: {said}"), code="store.failed"
        )

    return mapped


class _TransactionGone(Exception):
    """The group's transaction no longer exists, or could not be committed."""


def _connect(path: Path, *pragmas: str) -> sqlite3.Connection:
    # isolation_level=None: BEGIN and COMMIT are ours; autocommit=False (3.12) begins deferred
    conn = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    for pragma in (f"busy_timeout={BUSY_MS}", *pragmas):
        conn.execute(f"PRAGMA {pragma}").fetchall()
    return conn


class _Writer:
    """Serves the writer thread."""

    def __init__(
        self, path: Path, driver: Driver, clock: Callable[[], datetime], wakes: Wakes
    ) -> None:
        self._path = path
        self._driver = driver
        self._clock = clock
        self._wakes = wakes
        self._conn: sqlite3.Connection | None = None
        self._open()

    def serve(self, jobs: Sequence[Job]) -> None:
        jobs = [job for job in jobs if not job.abandoned()]
        if len(jobs) > 1:
            try:
                self._together(jobs)
            except _TransactionGone:
                self._drop()
            else:
                return
        for job in jobs:
            self._alone(job)

    def close(self) -> None:
        self._drop()

    def _together(self, jobs: Sequence[Job]) -> None:
        """One commit for all; raises when there is no commit to share any more."""
        channels: set[str] = set()
        try:
            conn = self._open()
            conn.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as exc:
            self._drop()
            for job in jobs:
                job.error = self._driver.mapped(exc)
            return
        try:
            for job in jobs:
                # by hand on the driver's connection: 68 % more than begin_nested() at 32 callers
                conn.execute("SAVEPOINT fn")
                tx = self._run(conn, job)
                if not conn.in_transaction:
                    raise _TransactionGone
                if job.error is None:
                    channels |= tx.channels
                else:
                    conn.execute("ROLLBACK TO fn")
                conn.execute("RELEASE fn")
            conn.execute("COMMIT")
        except sqlite3.Error as exc:
            raise _TransactionGone from exc
        self._wakes.notify(channels)

    def _alone(self, job: Job) -> None:
        try:
            conn = self._open()
            conn.execute("BEGIN IMMEDIATE")
            tx = self._run(conn, job)
            if job.error is not None:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                return
            conn.execute("COMMIT")
        except sqlite3.Error as exc:
            self._drop()
            job.value, job.error = None, self._driver.mapped(exc)
            return
        self._wakes.notify(tx.channels)

    def _run(self, conn: sqlite3.Connection, job: Job) -> DriverTx:
        tx = DriverTx(conn.cursor(), self._driver, self._clock)
        with job:
            job.value = job.fn(tx)
            tx.finish()
        return tx

    def _open(self) -> sqlite3.Connection:
        if self._conn is None:
            self._conn = _connect(
                self._path,
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "recursive_triggers=ON",
                "trusted_schema=OFF",
                # savepoints copy pages aside: with the default, into files of /var/tmp
                "temp_store=MEMORY",
                f"cache_size=-{WRITER_CACHE_KIB}",
                # fewer checkpoints write a hot page once instead of ten times; the WAL stays below
                # half its limit, and recovery after a crash below a second
                f"wal_autocheckpoint={CHECKPOINT_PAGES}",
                "journal_size_limit=67108864",
            )
        return self._conn

    def _drop(self) -> None:
        """Close whatever is left of the connection; an open transaction is rolled back by it."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


class _Reader:
    """Serves one reading thread. A snapshot begins at the function's first query."""

    def __init__(self, path: Path, driver: Driver, clock: Callable[[], datetime]) -> None:
        self._path = path
        self._driver = driver
        self._clock = clock
        self._conn: sqlite3.Connection | None = None
        self._open()

    def serve(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if not job.abandoned():
                self._serve(job)

    def close(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def _serve(self, job: Job) -> None:
        try:
            conn = self._open()
            conn.execute("BEGIN")
        except sqlite3.Error as exc:
            self.close()
            job.error = self._driver.mapped(exc)
            return
        tx = DriverTx(conn.cursor(), self._driver, self._clock)
        with job:
            job.value = job.fn(tx)
            tx.finish()
        if tx.cause is None:
            conn.execute("ROLLBACK")
        else:
            self.close()  # whatever is wrong with it; the next one opens its own

    def _open(self) -> sqlite3.Connection:
        if self._conn is None:
            self._conn = _connect(self._path, "query_only=ON", "trusted_schema=OFF")
        return self._conn


def _reader(path: Path, driver: Driver, clock: Callable[[], datetime]) -> _Reader:
    """Raises Unavailable or Broken when the file cannot be opened."""
    try:
        return _Reader(path, driver, clock)
    except sqlite3.Error as exc:
        raise driver.mapped(exc) from exc


class SqliteStore:
    """`session.Store` on one SQLite file, which must already have its schema (`migrations`)."""

    dialect = "sqlite"

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime] | None = None,
        on_fatal: OnFatal = end_process,
        tables: MetaData = metadata,
    ) -> None:
        """`clock`: what `Tx.now` says; by default wall time that never steps back.

        Raises Unavailable or Broken when the file cannot be opened.
        """
        clock = clock or steady_clock()
        # paramstyle qmark is the default; positional values are what both drivers take fastest
        driver = Driver("sqlite", Plans(sqlite_dialect()), sqlite3.Error, _mapping(tables))
        self._wakes = Wakes()
        try:
            # first the writer: two connections at once on a fresh file meet "database is locked"
            # at journal_mode=WAL
            writer = _Writer(path, driver, clock, self._wakes)
            readers = [_Reader(path, driver, clock) for _ in range(READERS)]
        except sqlite3.Error as exc:
            raise driver.mapped(exc) from exc
        self._writing = Crew("writer", [writer], batch=GROUP, on_fatal=on_fatal)
        self._reading = Crew("reader", readers, batch=1, on_fatal=on_fatal)
        self._here = Here(lambda: _reader(path, driver, clock), most=READERS_HERE)

    async def write(self, fn: Callable[[Tx], T], *, first: bool = False) -> T:
        return cast("T", await self._writing.run(fn, first=first))

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return cast("T", await self._reading.run(fn))

    def write_sync(self, fn: Callable[[Tx], T], *, first: bool = False) -> T:
        return cast("T", self._writing.run_sync(fn, first=first))

    def read_sync(self, fn: Callable[[Tx], T]) -> T:
        return cast("T", self._here.run(fn, reads=True))

    def listener(self, channel: str) -> Listener:
        return self._wakes.listener(channel)

    def generation(self, channel: str) -> int:
        return self._wakes.generation(channel)  # nobody else writes: architecture 6, `lock.py`

    def hint(self, channel: str) -> None:
        """There are no other processes."""

    async def close(self) -> None:
        await asyncio.to_thread(self.close_sync)

    def close_sync(self) -> None:
        self._writing.close()
        self._reading.close()
        self._here.close()
