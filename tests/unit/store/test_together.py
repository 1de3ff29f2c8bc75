"""INSERTs that become one statement, and those that do not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql, registry

from gateway import errors
from gateway.store import together
from gateway.store.plans import Plans
from gateway.store.together import MOST_ROWS, Put
from gateway.store.tx import Driver, DriverTx
from tests.support.executors import thing

AT = datetime(2026, 11, 30, 1, 2, 3, tzinfo=UTC)
IGNORE = postgresql.insert(thing).on_conflict_do_nothing()
COUNT_UP = postgresql.insert(thing).on_conflict_do_update(
    index_elements=["id"], set_={"number": thing.c.number + 1}
)


class Sent:
    """What a transaction sent: statements alone, and those with everything that was put."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.together: list[tuple[bytes, list[Any]]] = []
        self.description = None
        self.rowcount = 0

    def execute(self, query: str, params: object = ()) -> None:
        self.statements.append(query)

    def executemany(self, query: str, params: object) -> None:
        self.statements.append(query)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return []

    def run(self, query: bytes, values: Any) -> None:
        self.together.append((query, list(values)))


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def tx(sent: Sent) -> DriverTx:
    dialect = registry.load("postgresql.psycopg")(paramstyle="format")
    driver = Driver(
        "postgresql", Plans(dialect), psycopg.Error, lambda exc: errors.Broken(errors.Text("", ""))
    )
    return DriverTx(sent, driver, lambda: AT, sent.run)


def test_all_that_was_put_is_one_statement_with_its_values_in_order(tx, sent):
    tx.put(insert(thing), {"id": "a", "number": 1})
    tx.put(IGNORE, [{"id": "b", "number": 2}, {"id": "c", "number": 3}])
    assert sent.together == []
    tx.finish()
    ((query, values),) = sent.together
    assert query == (
        b"WITH p2 AS (INSERT INTO thing (id, number) VALUES ($3::VARCHAR, $4::INTEGER), "
        b"($5::VARCHAR, $6::INTEGER) ON CONFLICT DO NOTHING) "
        b"INSERT INTO thing (id, number) VALUES ($1::VARCHAR, $2::INTEGER)"
    )
    assert values == ["a", 1, "b", 2, "c", 3]
    assert sent.statements == []


def test_rows_of_one_insert_join_up_to_a_bound(tx, sent):
    add = insert(thing)
    for n in range(MOST_ROWS + 1):
        tx.put(add, {"id": str(n)})
    tx.finish()
    assert [query.count(b"VARCHAR") for query, _ in sent.together] == [MOST_ROWS, 1]


def test_one_statement_changes_no_row_twice(tx, sent):
    for name in ("a", "a", "b"):
        tx.put(COUNT_UP, {"id": name, "number": 0})
    tx.put(COUNT_UP, [{"id": "c", "number": 0}, {"id": "c", "number": 0}])
    tx.finish()
    assert [values for _, values in sent.together] == [["a", 0, 1], ["a", 0, 1], ["b", 0, 1]]
    assert len(sent.statements) == 1  # many at once: as any statement with many rows


def test_what_was_put_goes_before_the_next_statement(tx, sent):
    tx.put(insert(thing), {"id": "a"})
    tx.execute(text("SELECT 1"))
    assert (len(sent.together), len(sent.statements)) == (1, 1)
    tx.put(insert(thing), [])
    tx.finish()
    assert len(sent.together) == 1


def test_nothing_is_put_after_the_end(tx):
    tx.finish()
    with pytest.raises(errors.Broken) as over:
        tx.put(insert(thing), {"id": "a"})
    assert over.value.code == "store.tx_over"


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO a (b) VALUES (%s) RETURNING b",
        "INSERT INTO a (b) VALUES (lower(%s))",
        "INSERT INTO a (b) SELECT %s",
        "UPDATE a SET b = %s",
        "INSERT INTO a (b) VALUES (%s); DROP TABLE a",
    ],
)
def test_another_statement_is_never_taken_apart(query):
    assert together.parts(query) is None
    assert together.alone(query)
    with pytest.raises(ValueError, match="a"):
        together.together([Put(query, [["x"]])])
