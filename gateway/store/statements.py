"""The few statements whose words differ between SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store.session import Tx


class Bilingual(NamedTuple):
    on_sqlite: Executable
    on_postgresql: Executable

    def on(self, tx: Tx) -> Executable:
        return self.on_sqlite if tx.dialect == "sqlite" else self.on_postgresql


def insert_or_ignore(table: Table) -> Bilingual:
    """INSERT that leaves a row with the same key alone; its count says which happened."""
    return Bilingual(
        sqlite.insert(table).on_conflict_do_nothing(),
        postgresql.insert(table).on_conflict_do_nothing(),
    )


def insert_or_update(table: Table, keys: list[str], changes: Mapping[str, Any]) -> Bilingual:
    return Bilingual(
        sqlite.insert(table).on_conflict_do_update(index_elements=keys, set_=dict(changes)),
        postgresql.insert(table).on_conflict_do_update(index_elements=keys, set_=dict(changes)),
    )
