"""The schema's history, run by Alembic from the installed package.

Comes in: the database's URL. Goes out: a schema at `head()`. Fails: Unavailable when the database
cannot be reached. Never: drops anything; there is no way down, a backup is the way back.

On PostgreSQL `migrate` is run by the role that owns the schema. The gateway itself should run as
another role that owns no table, so that no bug of ours can drop or alter one:

    CREATE ROLE edoc LOGIN PASSWORD '...';
    -- then what grants_sql("edoc") prints, as the owner, after each migration
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from gateway import errors
from gateway.store import sqlite_path
from gateway.store.migrations import ddl
from gateway.store.session import Tx
from gateway.store.tables import metadata

_ENSURE = text("SELECT edoc_ensure_months(:since, :ahead)")


def migrate(url: str) -> None:
    """Bring the schema to `head()`, whole or not at all. Repeating is harmless.

    Raises Misconfigured (`store.newer`) when a newer version of the gateway has been here.
    """
    config = _config()
    with connected(url) as conn:
        config.attributes["connection"] = conn
        at = MigrationContext.configure(conn).get_current_revision()
        conn.rollback()
        known = {s.revision for s in ScriptDirectory.from_config(config).walk_revisions()}
        if at is not None and at not in known:
            raise errors.Misconfigured(
                errors.Text(
                    f"Cơ sở dữ liệu do phiên bản mới hơn tạo ra (bước {at})",
                    f"the database was made by a newer version (revision {at})",
                ),
                code="store.newer",
            )
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """The revision a database is at; None when it has no schema of ours."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    with connected(url, changing=False) as conn:
        return MigrationContext.configure(conn).get_current_revision()


def head() -> str:
    """The revision this version of the gateway needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise errors.Broken(
            errors.Text("Gói cài đặt thiếu các bước di trú", "the package has no migrations"),
            code="store.no_migrations",
        )
    return revision


def ensure_partitions(tx: Tx, now: datetime) -> int:
    """Make the monthly partitions for this and the next twelve months; how many were missing.

    A month that already has rows in the default partition stays there. SQLite: nothing to do.
    """
    if tx.dialect == "sqlite":
        return 0
    params: dict[str, Any] = {"since": now, "ahead": ddl.MONTHS_AHEAD}
    return int(tx.execute(_ENSURE, params).scalar())


def grants_sql(role: str, schema: str = "public") -> str:
    """What the application's role needs on PostgreSQL, and nothing more. Run by the owner."""
    who, where = _quoted(role), _quoted(schema)
    legal = [t.name for t in metadata.sorted_tables if t.info.get("append_only")]
    other = [t.name for t in metadata.sorted_tables if not t.info.get("append_only")]

    def named(tables: list[str]) -> str:
        return ", ".join(f"{where}.{_quoted(t)}" for t in tables)

    months = f"{where}.edoc_ensure_months(timestamptz, integer)"
    return "\n".join(
        (
            f"GRANT USAGE ON SCHEMA {where} TO {who};",
            f"GRANT SELECT, INSERT ON {named(legal)} TO {who};",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {named(other)} TO {who};",
            f"GRANT SELECT ON {where}.alembic_version TO {who};",
            f"GRANT EXECUTE ON FUNCTION {months} TO {who};",
            "",
        )
    )


@contextmanager
def connected(url: str, *, changing: bool = True) -> Iterator[Connection]:
    """A connection for looking at the schema, or for `changing` it: then each of its transactions
    waits for other writers (SQLite) or other migrations (PostgreSQL), and holds them off.
    """
    path = sqlite_path(url)
    if path is not None and changing:
        _make_private(path)
    engine = create_engine(_parsed(url), poolclass=NullPool)
    if path is not None:
        event.listen(engine, "connect", _prepare_sqlite)
        begin = "BEGIN IMMEDIATE" if changing else "BEGIN"
        event.listen(engine, "begin", lambda conn: conn.exec_driver_sql(begin))
    elif changing:
        event.listen(engine, "begin", _one_at_a_time)
    try:
        conn = engine.connect()
    except OperationalError as exc:
        raise errors.Unavailable(
            errors.Text("Không kết nối được cơ sở dữ liệu", f"cannot connect: {exc.orig}"),
            code="store.unavailable",
        ) from exc
    with conn:
        yield conn


def _prepare_sqlite(raw: Any, _: object) -> None:
    raw.isolation_level = None
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL"):
        raw.execute(f"PRAGMA {pragma}").fetchall()


def _one_at_a_time(conn: Connection) -> None:
    conn.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('edoc migrate'))")


def _make_private(path: Path) -> None:
    """A database holds personal data: its file, and the ones SQLite puts beside it, are ours."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise errors.Unavailable(
            errors.Text(
                f"Không mở được cơ sở dữ liệu {path}: {exc.strerror}",
                f"cannot open the database {path}: {exc.strerror}",
            ),
            code="store.unavailable",
        ) from exc


def _parsed(url: str) -> URL:
    path = sqlite_path(url)
    if path is not None:
        return URL.create("sqlite", database=str(path))
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _config() -> Config:
    config = Config()
    folder = str(Path(__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
