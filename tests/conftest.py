"""Fixtures that every folder of tests may use."""

from __future__ import annotations

from hypothesis import settings

from tests.support.buckets import buckets
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
    "buckets",
    "empty_url",
    "migrated_sqlite_file",
    "postgres",
    "postgres_store",
    "postgres_url",
    "sqlite_store",
    "sqlite_url",
]

# `make test` tries the same examples each time, so that a red run is the change's own doing; `make
# test-long` explores with others (profile `explore`) and what it finds becomes an @example
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")
