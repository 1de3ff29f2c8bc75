"""The schema on both databases is what tables.py says, and refuses what it must refuse."""

from __future__ import annotations

import re
import runpy
import stat
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine, delete, insert, text, update

from gateway import errors
from gateway.store import Store, Violation, migrations, open_store
from gateway.store.tables import attempt, metadata, record
from tests.support.databases import Postgres

GOLDEN = Path(__file__).parents[1] / "golden/store"
AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
LEGAL = sorted(t.name for t in metadata.sorted_tables if t.info.get("append_only"))
RECORD = {"id": "r1", "event": "submission.accepted", "at": AT, "body": b"{}"}


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or not re.search(r"_(default|y\d{4}m\d{2})$", name or "")


def test_the_migrated_schema_is_what_the_tables_say(any_url):
    with migrations.connected(any_url) as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "include_name": _is_ours,
                "compare_type": True,
                # on SQLite '' and DEFAULT '' differ to Alembic; the test below compares their text
                "compare_server_default": conn.dialect.name == "postgresql",
                "target_metadata": metadata,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_checks_and_keys_on_sqlite_are_what_the_tables_say(sqlite_url, tmp_path):
    """What compare_metadata does not see: CHECK constraints and the names of keys."""
    made = tmp_path / "made.db"
    engine = create_engine(f"sqlite:///{made}")
    metadata.create_all(engine)
    engine.dispose()
    schema = runpy.run_path(str(GOLDEN / "make.py"))["schema"]

    def parts(database: str) -> set[tuple[str, ...]]:
        """Each statement as its first line and the rest in any order."""
        found = set()
        for statement in schema(Path(database)).replace('"', "").split(";\n\n"):
            # a column that a later migration added stands on the line of the one before it
            apart = re.sub(r", (?=[a-z_]+ [A-Z])", ",\n", statement.strip())
            lines = [line.strip().rstrip(",") for line in apart.splitlines()]
            if lines:
                found.add((lines[0], *sorted(lines[1:])))
        return found

    migrated = parts(sqlite_url.removeprefix("sqlite:///"))
    added = {p for p in migrated if "TRIGGER" in p[0] or "alembic_version" in p[0]}
    assert migrated - added == parts(str(made))
    moving = [t for t in metadata.sorted_tables if t.info.get("moves")]
    assert len(added) == 2 * len(LEGAL) + len(moving) + 1


def test_the_schema_on_sqlite_is_the_golden_one():
    """A difference is a change of what is installed out there: tests/golden/store/make.py."""
    made = runpy.run_path(str(GOLDEN / "make.py"))
    assert made["migrated"]() == (GOLDEN / "schema.sqlite.sql").read_text("utf-8")


def test_checks_on_postgresql_are_those_of_sqlite(postgres_url):
    with psycopg.connect(postgres_url) as conn:
        named = conn.execute(
            "SELECT conname FROM pg_constraint WHERE contype IN ('c', 'u', 'p', 'f')"
            " AND connamespace = 'public'::regnamespace AND conparentid = 0"
            " AND conrelid NOT IN (SELECT inhrelid FROM pg_inherits)"
        ).fetchall()
    ours = {str(c.name) for t in metadata.sorted_tables for c in t.constraints if c.name}
    assert {name for (name,) in named} - {"alembic_version_pkc"} == ours


def test_migrating_twice_changes_nothing(empty_url):
    assert migrations.current(empty_url) is None
    migrations.migrate(empty_url)
    migrations.migrate(empty_url)
    assert migrations.current(empty_url) == migrations.head()


def test_a_database_of_the_first_version_is_brought_up_with_its_rows(empty_url):
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with migrations.connected(empty_url) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        conn.execute(insert(record), RECORD)
        conn.commit()
    assert migrations.current(empty_url) == "0001"
    migrations.migrate(empty_url)
    assert migrations.current(empty_url) == migrations.head()
    store = open_store(empty_url)
    kept = store.read_sync(lambda tx: tx.scalars(text("SELECT event FROM record")))
    store.close_sync()
    assert kept == ["submission.accepted"]


def test_a_database_of_a_newer_version_is_left_alone(any_url):
    with migrations.connected(any_url) as conn, conn.begin():
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(errors.Misconfigured) as refused:
        migrations.migrate(any_url)
    assert refused.value.code == "store.newer"
    assert migrations.current(any_url) == "9999"


def test_a_new_sqlite_file_and_its_companions_are_private(tmp_path):
    url = f"sqlite:///{tmp_path / 'a database?.db'}"
    migrations.migrate(url)
    store = open_store(url)
    store.write_sync(lambda tx: tx.execute(insert(record), RECORD))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    store.close_sync()
    assert set(modes) == {f"a database?.db{end}" for end in ("", "-wal", "-shm")}
    assert set(modes.values()) == {0o600}


def test_a_folder_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(errors.Unavailable):
        migrations.migrate(f"sqlite:///{tmp_path / 'none' / 'gateway.db'}")


def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(errors.Unavailable):
        migrations.migrate(f"postgresql:///none?host={tmp_path}")


def test_asking_for_the_revision_does_not_wait_for_a_writer(any_store: Store, any_url):
    found = any_store.write_sync(
        lambda tx: (tx.execute(insert(record), RECORD), migrations.current(any_url))[1]
    )
    assert found == migrations.head()


def test_asking_for_the_revision_of_a_missing_file_does_not_make_it(tmp_path):
    assert migrations.current(f"sqlite:///{tmp_path / 'none.db'}") is None
    assert not (tmp_path / "none.db").exists()


def test_a_migration_that_fails_leaves_nothing(empty_url):
    name = next(t.name for t in reversed(metadata.sorted_tables))
    with migrations.connected(empty_url) as conn, conn.begin():
        conn.exec_driver_sql(f"CREATE TABLE {name} (in_the_way INTEGER)")
    with pytest.raises(Exception, match=name):
        migrations.migrate(empty_url)
    with migrations.connected(empty_url) as conn:
        tables = set(MigrationContext.configure(conn).bind.dialect.get_table_names(conn))
    assert tables - {"alembic_version"} == {name}
    assert migrations.current(empty_url) is None


def test_a_legal_row_is_neither_changed_nor_removed(any_store: Store):
    any_store.write_sync(lambda tx: tx.execute(insert(record), RECORD))
    for statement in (update(record).values(event="other"), delete(record)):
        with pytest.raises(Violation) as refused:
            any_store.write_sync(lambda tx, s=statement: tx.execute(s))
        assert (refused.value.kind, refused.value.table) == ("append_only", "record")
    assert any_store.read_sync(lambda tx: tx.scalars(text("SELECT event FROM record"))) == [
        "submission.accepted"
    ]


def test_a_legal_row_is_not_replaced_by_an_insert(sqlite_store: Store):
    """INSERT OR REPLACE removes a row, but fires its triggers only with recursive_triggers."""
    sqlite_store.write_sync(lambda tx: tx.execute(insert(record), RECORD))
    with pytest.raises(Violation) as refused:
        sqlite_store.write_sync(
            lambda tx: tx.execute(insert(record).prefix_with("OR REPLACE"), RECORD)
        )
    assert refused.value.kind == "append_only"


@pytest.mark.parametrize("table", LEGAL)
def test_a_legal_table_has_its_triggers_on_sqlite(sqlite_store: Store, table):
    names = sqlite_store.read_sync(
        lambda tx: tx.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"),
            {"t": table},
        )
    )
    assert sorted(names) == [f"{table}_no_delete", f"{table}_no_update"]


@pytest.mark.parametrize("table", LEGAL)
def test_a_legal_table_is_not_truncated_even_by_its_owner(postgres_url, table):
    with (
        psycopg.connect(postgres_url) as conn,
        pytest.raises(psycopg.errors.RestrictViolation),
    ):
        conn.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(table)))


def test_a_legal_row_is_safe_from_a_replication_role(postgres_url):
    with psycopg.connect(postgres_url) as conn:
        conn.execute("INSERT INTO record VALUES ('r', 'e', now(), '')")
        conn.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.RestrictViolation):
            conn.execute("DELETE FROM record")


def test_every_month_of_the_coming_year_has_its_partition(postgres_url):
    with psycopg.connect(postgres_url) as conn:
        rows = conn.execute(
            "SELECT p.relname, count(*) FROM pg_inherits i JOIN pg_class p ON p.oid = inhparent"
            " JOIN pg_class c ON c.oid = inhrelid WHERE c.relkind = 'r' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    by_month = sorted(t.name for t in metadata.sorted_tables if t.info.get("by_month"))
    assert rows == [(table, 14) for table in by_month]  # this month, twelve more, the default


def _attempt(name: str, at: datetime) -> dict[str, object]:
    return {"id": name, "started_at": at, "transfer_id": "t", "number": 1, "fence": 1}


def test_the_sweep_makes_the_months_that_are_missing(postgres_store: Store):
    later = datetime(2041, 1, 31, 17, 30, tzinfo=UTC)

    def make(tx):
        return migrations.ensure_partitions(tx, later)

    assert postgres_store.write_sync(make) == 2 * 13
    assert postgres_store.write_sync(make) == 0
    postgres_store.write_sync(lambda tx: tx.execute(insert(attempt), _attempt("a", later)))
    where = text("SELECT tableoid::regclass::text FROM attempt")
    assert postgres_store.read_sync(lambda tx: tx.scalars(where)) == ["attempt_y2041m01"]


def test_the_sweep_does_not_wait_long_for_a_table_in_use(postgres_store: Store, postgres_url):
    later = datetime(2043, 1, 1, tzinfo=UTC)
    with psycopg.connect(postgres_url) as busy:
        busy.execute("LOCK TABLE attempt IN ACCESS SHARE MODE")
        with pytest.raises(errors.Unavailable, match="55P03"):
            postgres_store.write_sync(lambda tx: migrations.ensure_partitions(tx, later))
    assert postgres_store.write_sync(lambda tx: migrations.ensure_partitions(tx, later)) == 2 * 13


def test_a_month_with_rows_in_the_default_partition_stays_there(postgres_store: Store):
    later = datetime(2041, 2, 1, tzinfo=UTC)
    postgres_store.write_sync(lambda tx: tx.execute(insert(attempt), _attempt("a", later)))
    made = postgres_store.write_sync(lambda tx: migrations.ensure_partitions(tx, later))
    assert made == 2 * 13 - 1
    where = text("SELECT tableoid::regclass::text FROM attempt")
    assert postgres_store.read_sync(lambda tx: tx.scalars(where)) == ["attempt_default"]


def test_a_doubled_key_in_a_partition_is_named_like_that_of_its_table(postgres_store: Store):
    def twice(tx):
        tx.execute(insert(attempt), [_attempt("a", AT), _attempt("a", AT)])

    with pytest.raises(Violation) as refused:
        postgres_store.write_sync(twice)
    assert (refused.value.table, refused.value.constraint) == ("attempt", "pk_attempt")


def test_on_sqlite_there_are_no_partitions_to_make(sqlite_store: Store):
    assert sqlite_store.write_sync(lambda tx: migrations.ensure_partitions(tx, AT)) == 0


def test_the_granted_role_owns_nothing_and_can_do_its_work(postgres: Postgres, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS edoc_app")
        owner.execute("CREATE ROLE edoc_app LOGIN")
        owner.execute(migrations.grants_sql("edoc_app"))
    store = open_store(postgres_url.replace("//postgres:@", "//edoc_app:@"))
    later = datetime(2042, 1, 1, tzinfo=UTC)
    try:
        store.write_sync(lambda tx: tx.execute(insert(record), RECORD))
        store.write_sync(lambda tx: tx.execute(insert(attempt), _attempt("a", AT)))
        store.write_sync(lambda tx: tx.execute(update(attempt).values(outcome="delivered")))
        assert store.write_sync(lambda tx: migrations.ensure_partitions(tx, later)) == 2 * 13
        with pytest.raises(Exception, match="permission denied"):
            store.write_sync(lambda tx: tx.execute(delete(record)))
    finally:
        store.close_sync()
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owned = owner.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = 'edoc_app'::regrole"
        ).fetchone()
        assert owned == (0,)
        owner.execute("DROP OWNED BY edoc_app")
        owner.execute("DROP ROLE edoc_app")
