"""What an agency received under which DocumentId, and statuses whose document is not known yet.

The key of `received_key` decides which of two documents with one DocumentId came first; nothing
is looked for before it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, exists, or_, select, update

from gateway.model.arrival import ArrivalState, ItemKind
from gateway.model.package import PackageKind
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import arrival, document, inbox_item, orphan, received_key


class Holding(NamedTuple):
    """An inbox item, found by what it is and not by its id."""

    id: str
    arrival_id: str
    agency: str
    document_id: str


_BIND = insert_or_ignore(received_key)
_THIS_KEY = (
    received_key.c.agency_key == bindparam("agency"),
    received_key.c.sender_key == bindparam("sender"),
    received_key.c.document_id == bindparam("named"),
)
_BOUND = select(received_key.c.identity).where(*_THIS_KEY)
_UNBIND = delete(received_key).where(*_THIS_KEY)
_HOLDING = select(*[inbox_item.c[name] for name in Holding._fields]).where(
    inbox_item.c.agency_key == bindparam("agency"),
    inbox_item.c.identity == bindparam("identity"),
)
_WAIT = insert_or_ignore(orphan)
_FORGET = delete(orphan).where(orphan.c.arrival_id == bindparam("arrival"))
_FOUND = (
    select(orphan.c.arrival_id)
    .join(arrival, arrival.c.id == orphan.c.arrival_id)
    .where(
        orphan.c.due_at <= bindparam("now"),
        arrival.c.state == ArrivalState.ORPHAN.value,
        or_(
            exists().where(
                document.c.sender_key == orphan.c.agency_key,
                document.c.document_id == orphan.c.document_id,
                document.c.kind == PackageKind.DOCUMENT.value,
            ),
            exists().where(
                inbox_item.c.agency_key == orphan.c.agency_key,
                inbox_item.c.document_id == orphan.c.document_id,
                inbox_item.c.kind == ItemKind.DOCUMENT.value,
            ),
        ),
    )
    .order_by(orphan.c.due_at)
    .limit(bindparam("most"))
)
_LATER = (
    update(orphan)
    .where(orphan.c.arrival_id == bindparam("arrival"), orphan.c.due_at <= bindparam("now"))
    .values(due_at=bindparam("to_due"), tries=orphan.c.tries + 1)
)


def bind(tx: Tx, *, agency_key: str, sender_key: str, document_id: str, identity: str) -> bool:
    """Bind what this agency knows this sender's DocumentId for. False: it was bound before."""
    made = tx.execute(
        _BIND.on(tx),
        {
            "agency_key": agency_key,
            "sender_key": sender_key,
            "document_id": document_id,
            "identity": identity,
        },
    ).count
    return made == 1


def bound(tx: Tx, *, agency_key: str, sender_key: str, document_id: str) -> str:
    """The identity that this key is bound to; "" when it is free."""
    asked = {"agency": agency_key, "sender": sender_key, "named": document_id}
    return str(tx.execute(_BOUND, asked).scalar() or "")


def unbind(tx: Tx, *, agency_key: str, sender_key: str, document_id: str) -> None:
    """Take back a `bind` of the same commit."""
    tx.execute(_UNBIND, {"agency": agency_key, "sender": sender_key, "named": document_id})


def holding(tx: Tx, *, agency_key: str, identity: str) -> Holding | None:
    """The item of this identity in this agency's inbox: there is one at most."""
    asked = {"agency": agency_key, "identity": identity}
    row = tx.execute(_HOLDING, asked).one_or_none()
    return None if row is None else Holding._make(row)


# -- statuses that wait for their document ------------------------------------------------------


def wait_for_document(
    tx: Tx, arrival_id: str, *, agency_key: str, document_id: str, due_at: datetime
) -> None:
    """Once for each arrival; a later look does not begin the wait again."""
    tx.execute(
        _WAIT.on(tx),
        {
            "arrival_id": arrival_id,
            "agency_key": agency_key,
            "document_id": document_id,
            "due_at": due_at,
            "tries": 0,
        },
    )


def found(tx: Tx, *, now: datetime, most: int) -> Sequence[str]:
    """Arrivals that wait as orphans though a document with the id that they name is known now."""
    return [str(v) for v in tx.scalars(_FOUND, {"now": now, "most": most})]


def look_later(tx: Tx, arrival_id: str, *, now: datetime, due_at: datetime) -> bool:
    """Take an orphan for one look. False: another process looks at it."""
    asked = {"arrival": arrival_id, "now": now, "to_due": due_at}
    return tx.execute(_LATER, asked).count == 1


def waits_no_more(tx: Tx, arrival_id: str) -> None:
    tx.execute(_FORGET, {"arrival": arrival_id})
