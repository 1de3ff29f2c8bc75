"""Instants and structures mean the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import registry

from gateway import errors
from gateway.store.types import Instant, Json, from_microseconds, to_microseconds

SQLITE = registry.load("sqlite")()
POSTGRES = registry.load("postgresql.psycopg")()
aware = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=7))))


def processors(kind, dialect):
    made = kind.dialect_impl(dialect)
    return made.bind_processor(dialect), made.result_processor(dialect, None)


@given(aware)
def test_an_instant_keeps_every_microsecond_on_sqlite(at):
    there, back = processors(Instant(), SQLITE)
    assert isinstance(there(at), int)
    assert back(there(at)) == at
    assert back(there(at)).tzinfo is UTC
    assert from_microseconds(to_microseconds(at)) == at


@given(st.lists(aware, min_size=2))
def test_stored_instants_sort_like_instants(instants):
    there, _ = processors(Instant(), SQLITE)
    assert sorted(instants) == [from_microseconds(n) for n in sorted(map(there, instants))]


@given(aware)
def test_an_instant_from_postgresql_is_in_utc(at):
    there, back = processors(Instant(), POSTGRES)
    assert there(at) is at
    assert back(at) == at
    assert back(at).tzinfo is UTC


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRES], ids=["sqlite", "postgresql"])
def test_a_naive_instant_is_refused_and_none_stays_none(dialect):
    there, back = processors(Instant(), dialect)
    assert there(None) is None
    assert back(None) is None
    with pytest.raises(errors.Broken):
        there(datetime(2026, 11, 20))


structures = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=50)
@given(structures)
def test_a_structure_comes_back_as_it_was(value):
    there, back = processors(Json(), SQLITE)
    assert back(there(value)) == value


def test_a_structure_is_stored_compactly_and_in_plain_letters():
    there, _ = processors(Json(), POSTGRES)
    assert there({"tên": ["Cao Bằng", 1, None]}) == '{"tên":["Cao Bằng",1,null]}'
    assert there((1, 2)) == "[1,2]"
