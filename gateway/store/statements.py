"""The few statements whose words differ between SQLite and PostgreSQL, and pages of many rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Executable,
    Subquery,
    Table,
    TextClause,
    bindparam,
    select,
    tuple_,
    union_all,
)
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


def page_of(table: Table, shares: Iterable[Sequence[ColumnElement[bool] | TextClause]]) -> Subquery:
    """(lane, id) of the first `most` rows after the cursor (`after_lane`, `after_id`), of rows that
    fit the conditions of any share.

    Each share is read in the order of its index, which ends in lane and id, and no further than
    the page goes: what lies behind is never looked at.
    """
    lane, name = table.c.lane, table.c.id
    most: BindParameter[int] = bindparam("most")
    after = tuple_(lane, name) > tuple_(bindparam("after_lane"), bindparam("after_id"))
    heads = []
    for share in shares:
        head = select(lane, name).where(*share, after).order_by(lane, name).limit(most).subquery()
        heads.append(select(head.c.lane, head.c.id))
    return union_all(*heads).order_by("lane", "id").limit(most).subquery()
