"""Write the golden copy of the SQLite schema: `python tests/golden/store/make.py`.

With `--first` it also writes the first migration anew from `gateway/store/tables.py`. That was
right only until version 0.1.0 was landed; since then a change of the tables is a new file in
`gateway/store/migrations/versions/`, and the golden copy shows what it does.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent, wrap

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations.ops import CreateTableOp
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from gateway.store import migrations  # noqa: E402 - the tree must be on the path first
from gateway.store.tables import metadata  # noqa: E402
from gateway.store.types import Instant, Json  # noqa: E402

GOLDEN = Path(__file__).with_name("schema.sqlite.sql")
FIRST = ROOT / "gateway/store/migrations/versions/0001_first.py"
HEAD = '''"""The first schema: documents, transfers, arrivals, inbox, ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import ddl
from gateway.store.types import Instant, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    ddl.functions()
'''


def schema(database: Path) -> str:
    """Every object of the schema, as SQLite keeps it."""
    with sqlite3.connect(database) as conn:
        rows = conn.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type, name"
        ).fetchall()
    conn.close()
    return "".join(f"{sql};\n\n" for (sql,) in rows)


def migrated() -> str:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "golden.db")
        migrations.migrate(f"sqlite:///{database}")
        return schema(database)


def _rendered(kind: str, item: object, _: object) -> str | bool:
    if kind == "type" and isinstance(item, Instant | Json):
        return f"{type(item).__name__}()"
    return False


def _short(line: str) -> str:
    """A long CHECK as several string literals, which the formatter cannot make of one."""
    found = re.search(r'"(.+ IN \(.+\))"', line)
    if found is None:
        return line
    pieces = "\n".join(f'"{piece}"' for piece in wrap(found[1], 70, drop_whitespace=False))
    return line.replace(found[0], pieces)


def first() -> str:
    """The first migration: every table spelled out, so that it stays what it is."""
    engine = create_engine("sqlite://")
    with engine.connect() as conn:
        context = MigrationContext.configure(conn)
        script = produce_migrations(context, metadata)
        assert script.upgrade_ops is not None
        for made in script.upgrade_ops.ops:
            if isinstance(made, CreateTableOp) and made.info.get("by_month"):
                made.kw["postgresql_partition_by"] = f"RANGE ({made.info['by_month']})"
        body = render_python_code(
            script.upgrade_ops, render_item=_rendered, migration_context=context
        )
    engine.dispose()
    flagged = {
        flag: [t.name for t in metadata.sorted_tables if t.info.get(flag)]
        for flag in ("by_month", "append_only")
    }
    lines = [_short(line) for line in dedent(f"    {body}").splitlines()]
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    lines += [
        f"ddl.{flag}({', '.join(repr(t) for t in tables)})" for flag, tables in flagged.items()
    ]
    return HEAD + "".join(f"    {line}\n" for line in lines)


if __name__ == "__main__":
    if "--first" in sys.argv:
        FIRST.write_text(first(), "utf-8")
        subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(FIRST)], check=True)
    GOLDEN.write_text(migrated(), "utf-8")
