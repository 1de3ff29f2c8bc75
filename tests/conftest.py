"""Fixtures that every folder of tests may use."""

from __future__ import annotations

from tests.support.databases import (
    any_store,
    any_url,
    empty_url,
    migrated_sqlite_file,
    postgres,
    postgres_store,
    postgres_url,
    sqlite_store,
    sqlite_url,
)

__all__ = [
    "any_store",
    "any_url",
    "empty_url",
    "migrated_sqlite_file",
    "postgres",
    "postgres_store",
    "postgres_url",
    "sqlite_store",
    "sqlite_url",
]
