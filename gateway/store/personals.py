"""Personal values beside records: salted in the record, in rows that may be erased."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, literal_column, or_, select

from gateway.store.session import Tx
from gateway.store.statements import Bilingual
from gateway.store.tables import personal, record

# of the bytes of a record: RFC 8785 writes it in this one way
_STATES = {
    "sqlite": literal_column("""instr(record.body, CAST('"personal":{' AS BLOB))""") > 0,
    "postgresql": literal_column("""position('"personal":{'::bytea in record.body)""") > 0,
}


class Value(NamedTuple):
    record_id: str
    field: str
    salt: str
    value: str


_STATING = Bilingual(
    *(
        select(record.c.id, record.c.body)
        .where(record.c.id > bindparam("after"), states)
        .order_by(record.c.id)
        .limit(bindparam("most"))
        for states in _STATES.values()
    )
)
_VALUES = select(personal.c.record_id, personal.c.field, personal.c.salt, personal.c.value).where(
    personal.c.record_id.in_(bindparam("ids", expanding=True))
)
_STRAY = Bilingual(
    *(
        select(personal.c.record_id, personal.c.field)
        .outerjoin(record, record.c.id == personal.c.record_id)
        .where(or_(record.c.id.is_(None), ~states))
        .order_by(personal.c.record_id, personal.c.field)
        .limit(bindparam("most"))
        for states in _STATES.values()
    )
)


def stating(tx: Tx, after: str, most: int) -> list[tuple[str, bytes]]:
    """Records (id, bytes) that state digests of personal values, by id."""
    rows = tx.execute(_STATING.on(tx), {"after": after, "most": most}).all()
    return [(str(row[0]), bytes(row[1])) for row in rows]


def values(tx: Tx, record_ids: list[str]) -> list[Value]:
    return [Value._make(row) for row in tx.execute(_VALUES, {"ids": record_ids}).all()]


def strays(tx: Tx, most: int) -> list[tuple[str, str]]:
    """(record, field) of values beside a record that states none, or is not there."""
    rows = tx.execute(_STRAY.on(tx), {"most": most}).all()
    return [(str(row[0]), str(row[1])) for row in rows]
