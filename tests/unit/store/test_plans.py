"""Statements are compiled once, forgotten with their owner, and refused where they must be."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    SelectBase,
    Table,
    Text,
    TextClause,
    UpdateBase,
    bindparam,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateTable

import gateway.store
from gateway import errors
from gateway.store.plans import Plan, Plans
from gateway.store.statements import Bilingual
from tests.support.executors import ADD, thing

DIALECTS = ("sqlite.pysqlite", "postgresql.psycopg")


@pytest.fixture(params=DIALECTS)
def dialect(request):
    if request.param == DIALECTS[0]:
        return registry.load(request.param)()
    return registry.load(request.param)(paramstyle="format")


@pytest.fixture
def plans(dialect):
    return Plans(dialect)


@pytest.fixture
def compilations(plans, monkeypatch):
    made = []
    real = plans._compile
    monkeypatch.setattr(plans, "_compile", lambda *args: (made.append(args[0]), real(*args))[1])
    return made


def test_a_statement_is_compiled_once(plans, compilations):
    for n in range(5):
        _, sql, values = plans.one(ADD, {"id": str(n), "number": n})
        assert sql.startswith("INSERT INTO thing (id, number)")
        assert values == [str(n), n]
    assert compilations == [ADD]


def test_other_columns_make_another_text(plans, compilations):
    plans.one(ADD, {"id": "a"})
    _, sql, _ = plans.one(ADD, {"id": "a", "number": 1, "data": {}})
    assert sql.startswith("INSERT INTO thing (id, number, data)")
    assert len(compilations) == 2


def test_an_in_list_is_expanded_once_for_each_length(plans, compilations):
    among = select(thing.c.id).where(thing.c.number.in_(bindparam("ns", expanding=True)))
    first = plans.one(among, {"ns": [1, 2, 3]})
    again = plans.one(among, {"ns": [7, 8, 9]})
    assert first[1] == again[1]
    assert again[2] == [7, 8, 9]
    assert len(compilations) == 2  # the statement, and its text for three
    assert plans.one(among, {"ns": []})[2] == []
    assert plans.one(among, {"ns": [1]})[1] != first[1]
    assert len(compilations) == 4


def test_a_statement_built_in_a_function_is_forgotten_with_it(plans):
    def once(n):
        plans.one(select(thing.c.id).where(thing.c.number.in_([n]), thing.c.id == str(n)), None)

    for n in range(10):
        once(n)
    gc.collect()
    assert len(plans._known) == 0


def test_values_of_a_statement_built_in_a_function_are_its_own(plans):
    for n in range(3):
        _, _, values = plans.one(select(thing.c.id).where(thing.c.number == n).limit(n), None)
        assert values[:2] == [n, n]


def test_many_rows_take_the_columns_of_the_first(plans):
    sql, values = plans.many(ADD, [{"id": "a", "number": 1}, {"number": 2, "id": "b"}])
    assert values == [["a", 1], ["b", 2]]
    assert "RETURNING" not in sql


def test_a_row_that_lacks_a_column_is_refused(plans):
    with pytest.raises(errors.Broken, match="number"):
        plans.many(ADD, [{"id": "a", "number": 1}, {"id": "b"}])


@pytest.mark.parametrize(
    "ask",
    [
        lambda plans: plans.many(ADD.returning(thing.c.id), [{"id": "a"}]),
        lambda plans: plans.many(select(thing), [{}]),
        lambda plans: plans.one(CreateTable(thing), None),
        lambda plans: plans.one(text("VACUUM"), None),
        lambda plans: plans.one(ADD, {"id": "a", "no_such_column": 1}),
        lambda plans: plans.one(update(thing).where(thing.c.id == bindparam("id")), {"id": "a"}),
    ],
)
def test_what_no_store_function_may_send_is_refused(plans, ask):
    with pytest.raises(errors.Broken) as refused:
        ask(plans)
    assert refused.value.code == "store.statement"


def test_a_default_made_in_python_is_refused_rather_than_forgotten(plans):
    table = Table("t", MetaData(), Column("id", Text), Column("n", Integer, default=lambda: 7))
    with pytest.raises(errors.Broken, match="default"):
        plans.one(insert(table), {"id": "a"})


def test_no_table_of_ours_has_a_default_made_in_python():
    from gateway.store.tables import metadata

    made = [c for t in metadata.sorted_tables for c in t.columns if c.default or c.onupdate]
    assert made == []


def _statements() -> list:
    """Every statement that stands at module level in gateway/store, as (name, dialect, it)."""
    found = []
    for module in pkgutil.iter_modules(gateway.store.__path__, "gateway.store."):
        for name, value in vars(importlib.import_module(module.name)).items():
            where = f"{module.name.rpartition('.')[2]}.{name}"
            if isinstance(value, Bilingual):
                found += zip([where] * 2, DIALECTS, value, strict=True)
            elif isinstance(value, SelectBase | UpdateBase | TextClause):
                found += [(where, d, value) for d in DIALECTS]
    return found


@pytest.mark.parametrize(
    ("where", "dialect", "statement"), _statements(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_statement_of_ours_can_be_sent_to_both_databases(where, dialect, statement):
    loaded = registry.load(dialect)(paramstyle="qmark" if "sqlite" in dialect else "format")
    assert Plan(Plans(loaded)._compile(statement, (), False), loaded).text
