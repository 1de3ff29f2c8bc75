"""SQL refuses each change of state that no table of transitions knows, on both databases.

Every pair of states of every table that has such a table is tried with a plain UPDATE.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import psycopg
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Integer, SmallInteger, Table, insert, update

from gateway.dispatch import schedule
from gateway.model.arrival import FETCH_TRANSITIONS
from gateway.model.steps import moves
from gateway.model.transfer import TRANSFER_MOVES, TRANSFER_TRANSITIONS, TransferState
from gateway.store import Store, Tx, Violation
from gateway.store.tables import arrival, document, inbox_item, metadata, transfer
from gateway.store.types import Instant, Json

MOVING = [t for t in metadata.sorted_tables if t.info.get("moves")]
NUMBERS = itertools.count()


def row_of(tx: Tx, table: Table, **given: Any) -> dict[str, Any]:
    """A row with something in every column that needs it."""

    def value(column: Column[Any]) -> Any:
        match column.type:
            case Instant():
                return tx.now()
            case Json():
                return {}
            case Boolean():
                return False
            case Integer() | SmallInteger() | BigInteger():
                return 0
        return f"{column.name}-{next(NUMBERS)}"

    return {
        column.name: given.get(column.name, value(column))
        for column in table.columns
        if column.name in given or not column.nullable
    }


def kinds(table: Table) -> list[tuple[str, Mapping[StrEnum, frozenset[StrEnum]]]]:
    """Every kind of row with its own table of moves."""
    by_kind = table.info["moves"]
    if set(by_kind) == {""}:
        return [("document", by_kind[""])]
    return [(str(kind), its) for kind, its in by_kind.items()]


def parent(tx: Tx, table: Table) -> dict[str, str]:
    """What its foreign key needs."""
    if table is transfer:
        row = row_of(tx, document, kind="document")
        tx.execute(insert(document), row)
        return {"document_ref": row["id"]}
    if table is inbox_item:
        row = row_of(tx, arrival, kind="document", state="OPENED")
        tx.execute(insert(arrival), row)
        return {"arrival_id": row["id"]}
    return {}


def moved(store: Store, table: Table, kind: str, old: str, new: str) -> str:
    """ "" when SQL let a row go from `old` to `new`, else the kind of violation it said."""
    key = next(iter(table.primary_key.columns))

    def change(tx: Tx) -> None:
        row = row_of(tx, table, kind=kind, state=old, **parent(tx, table))
        tx.execute(insert(table), row)
        changed = update(table).where(key == row[key.name]).values(state=new)
        assert tx.execute(changed).count == 1

    try:
        store.write_sync(change)
    except Violation as violation:
        return violation.kind
    return ""


@pytest.mark.parametrize("table", MOVING, ids=lambda t: t.name)
def test_sql_lets_a_state_change_exactly_as_its_table_says(any_store: Store, table: Table) -> None:
    for kind, its in kinds(table):
        states = list(type(next(iter(its))))
        for old, new in itertools.product(states, states):
            allowed = old is new or new in its.get(old, ())
            said = moved(any_store, table, kind, old.value, new.value)
            assert said == ("" if allowed else "transition"), f"{table.name} {kind} {old} -> {new}"


def test_every_table_with_transitions_is_guarded() -> None:
    assert {t.name for t in MOVING} == {"transfer", "fetch", "arrival", "inbox_item"}


@pytest.mark.postgres
def test_a_replication_role_is_refused_too(postgres_store: Store, postgres_url: str) -> None:
    def add(tx: Tx) -> None:
        row = row_of(tx, transfer, kind="document", state="ON_AXIS", **parent(tx, transfer))
        tx.execute(insert(transfer), row)

    postgres_store.write_sync(add)
    with psycopg.connect(postgres_url) as conn:
        conn.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.TriggeredDataChangeViolation, match="ON_AXIS -> SEALED"):
            conn.execute("UPDATE transfer SET state = 'SEALED'")


# -- the walks that one commit makes at once


def test_a_walk_that_is_no_path_is_refused() -> None:
    state = TransferState
    for walk in ((state.SEALED, state.SENDING), (state.ON_AXIS, state.SENDING, state.HELD)):
        with pytest.raises(ValueError, match="no walk"):
            moves(TRANSFER_TRANSITIONS, [walk])


def test_moves_add_only_the_ends_of_walks() -> None:
    added = {
        (old, new)
        for old, news in TRANSFER_MOVES.items()
        for new in news - TRANSFER_TRANSITIONS[old]
    }
    state = TransferState
    assert added == {(state.SENDING, state.HELD), (state.SENDING, state.EXPIRED)}
    assert moves(FETCH_TRANSITIONS) == FETCH_TRANSITIONS


def test_the_schedule_walks_only_what_the_model_lists() -> None:
    """Its steps are pinned one by one in tests/unit/dispatch; this is their sum."""
    state = TransferState
    ends = {state.HELD, state.EXPIRED, state.ON_AXIS, state.REFUSED, *schedule.CLAIMABLE}
    assert TRANSFER_MOVES[state.SENDING] == ends - {state.SEALED}
