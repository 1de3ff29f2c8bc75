"""The memory: tables and statements once, driven by two executors behind one call (architecture 6).

`session.py` is the face: read it first. `tables.py` holds every table, one module a noun the
statements over them; `sqlite.py` and `postgres.py` drive them; `migrations` makes the schema;
`lock.py` guards a SQLite database against a second gateway process.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gateway import errors
from gateway.store.crew import OnFatal, end_process
from gateway.store.session import Listener, Row, Rows, Store, Tx, Violation

__all__ = [
    "Listener",
    "Row",
    "Rows",
    "Store",
    "Tx",
    "Violation",
    "open_store",
    "sqlite_path",
]


def sqlite_path(url: str) -> Path | None:
    """The file of a `sqlite:///...` URL (four slashes: absolute); None for another database."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def open_store(
    url: str, *, clock: Callable[[], datetime] | None = None, on_fatal: OnFatal = end_process
) -> Store:
    """The executor for `sqlite:///path` or `postgresql://...`; the schema must be there already.

    `clock` replaces the database's clock. `on_fatal` is called when a thread of the store dies.
    Raises Misconfigured for another kind of URL.
    """
    path = sqlite_path(url)
    if path is not None:
        from gateway.store.sqlite import SqliteStore

        return SqliteStore(path, clock=clock, on_fatal=on_fatal)
    if url.startswith("postgresql://"):
        from gateway.store.postgres import PostgresStore  # psycopg is slow to import

        return PostgresStore(url, clock=clock, on_fatal=on_fatal)
    raise errors.Misconfigured(
        errors.Text(
            "Địa chỉ cơ sở dữ liệu phải bắt đầu bằng sqlite:/// hoặc postgresql://",
            "a database URL begins with sqlite:/// or postgresql://",
        ),
        code="conf.database_url",
    )
