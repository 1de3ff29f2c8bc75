"""Alembic's entry: runs what `migrate` asked for, in one transaction, on its connection."""

from __future__ import annotations

from alembic import context

from gateway.store.tables import metadata

_CONNECTION = context.config.attributes["connection"]

context.configure(
    connection=_CONNECTION,
    target_metadata=metadata,
    # SQLite's DDL is transactional; only the default of Python's driver is not
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
