"""What waits for a unit's document-management system, and what it did with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import product
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    Select,
    Text,
    bindparam,
    func,
    or_,
    select,
    text,
    update,
)

from gateway.model.arrival import ItemKind, ItemState
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore, page_of
from gateway.store.tables import OPEN_ITEMS, arrival, inbox_item
from gateway.store.types import Instant

i = inbox_item.c


class NewItem(NamedTuple):
    """`arrival_id` None: a report, which came from nowhere but this gateway."""

    id: str
    arrival_id: str | None
    agency: str
    agency_key: str
    kind: str
    identity: str
    lane: int
    axis: str
    sender: str
    document_id: str
    status_code: str
    about_document: str | None
    content: Mapping[str, Any]
    available_at: datetime


class Item(NamedTuple):
    """`arrival_id`, `raw_sha256` "": a report, of which there is no package."""

    id: str
    arrival_id: str
    agency: str
    agency_key: str
    kind: str
    identity: str
    state: str
    lane: int
    axis: str
    sender: str
    document_id: str
    status_code: str
    about_document: str | None
    content: Mapping[str, Any]
    available_at: datetime
    fetched_at: datetime | None
    entered_at: datetime | None
    lease_token: str
    lease_until: datetime | None
    answer: str
    raw_sha256: str
    raw_size: int


_COLUMNS = [
    i.id,
    func.coalesce(i.arrival_id, ""),
    *[i[name] for name in Item._fields[2:-2]],
    func.coalesce(arrival.c.raw_sha256, ""),
    func.coalesce(arrival.c.raw_size, 0),
]
_OPEN_STATES = (ItemState.WAITING.value, ItemState.LEASED.value)
_SHARES = 90  # of an inbox in one statement: SQLite takes 500 SELECTs in a compound
_INSERT = insert_or_ignore(inbox_item)
_BY_ID = (
    select(*_COLUMNS)
    .outerjoin(arrival, arrival.c.id == i.arrival_id)
    .where(i.id == bindparam("id"))
)
_LEASE = (
    update(inbox_item)
    .where(
        i.id == bindparam("item_id"),
        i.state.in_(_OPEN_STATES),
        or_(
            i.lease_until.is_(None),
            i.lease_until <= bindparam("now"),
            i.lease_token == bindparam("token"),
        ),
    )
    .values(
        state=ItemState.LEASED.value, lease_token=bindparam("given"), lease_until=bindparam("until")
    )
)
_FETCHED = (
    update(inbox_item)
    .where(i.id == bindparam("item_id"), i.fetched_at.is_(None))
    .values(fetched_at=bindparam("at"))
)
_END = (
    update(inbox_item)
    .where(i.id == bindparam("item_id"), i.state.in_(bindparam("olds", expanding=True)))
    .values(
        state=bindparam("to_state"),
        entered_at=func.coalesce(i.entered_at, bindparam("entered", type_=Instant())),
        lease_token="",
        lease_until=None,
        # an answer once given stays: whoever moves the item on may have read it before
        answer=func.coalesce(func.nullif(bindparam("to_answer", type_=Text()), ""), i.answer),
    )
)
_COUNT_WAITING = (
    select(func.count())
    .select_from(inbox_item)
    .where(i.agency_key.in_(bindparam("agencies", expanding=True)), text(OPEN_ITEMS))
)
_HOLDS = (
    select(i.id)
    .where(
        i.agency_key == bindparam("agency"),
        i.document_id == bindparam("document_id"),
        i.kind == ItemKind.DOCUMENT.value,
    )
    .limit(1)
)


def add(tx: Tx, new: NewItem) -> bool:
    """False: this agency has an item of the same identity, whatever road it came by."""
    return (
        tx.execute(_INSERT.on(tx), {**new._asdict(), "state": ItemState.WAITING.value}).count == 1
    )


def by_id(tx: Tx, item_id: str) -> Item | None:
    row = tx.execute(_BY_ID, {"id": item_id}).one_or_none()
    return None if row is None else Item._make(row)


@lru_cache(maxsize=_SHARES)
def _waiting(shares: int) -> Select[Any]:
    """A page of an inbox in so many shares, each of one agency and one kind."""
    free = or_(i.lease_until.is_(None), i.lease_until <= bindparam("now"))
    page = page_of(
        inbox_item,
        (
            [
                i.agency_key == bindparam(f"agency_{n}"),
                i.kind == bindparam(f"kind_{n}"),
                text(OPEN_ITEMS),
                free,
            ]
            for n in range(shares)
        ),
    )
    return (
        select(*_COLUMNS)
        .join(page, page.c.id == i.id)
        .outerjoin(arrival, arrival.c.id == i.arrival_id)
        .order_by(i.lane, i.id)
    )


def waiting(
    tx: Tx,
    *,
    agency_keys: Sequence[str],
    kinds: Sequence[ItemKind],
    after: tuple[int, str],
    most: int,
) -> list[Item]:
    """Unleased items, urgent first, after the cursor (lane, id)."""
    now = tx.now()
    found: list[Item] = []
    shares = list(product(agency_keys, kinds))
    for first in range(0, len(shares), _SHARES):
        some = shares[first : first + _SHARES]
        params = {"now": now, "after_lane": after[0], "after_id": after[1], "most": most}
        for n, (agency, kind) in enumerate(some):
            params[f"agency_{n}"] = agency
            params[f"kind_{n}"] = kind.value
        found += map(Item._make, tx.execute(_waiting(len(some)), params))
    return sorted(found, key=attrgetter("lane", "id"))[:most]


def lease(tx: Tx, item_id: str, token: str, *, now: datetime, until: datetime) -> bool:
    """False while another lease runs. `token`: a new one, or the one that holds it already."""
    params = {"item_id": item_id, "token": token, "given": token, "now": now, "until": until}
    return tx.execute(_LEASE, params).count == 1


def mark_fetched(tx: Tx, item_id: str, at: datetime) -> bool:
    """True only the first time: then a record is due in the same commit."""
    return tx.execute(_FETCHED, {"item_id": item_id, "at": at}).count == 1


def end(
    tx: Tx,
    item_id: str,
    *,
    olds: Sequence[ItemState],
    new: ItemState,
    entered_at: datetime | None,
    answer: str,
) -> bool:
    """Move to a later state and keep the answer that a repeated request gets again ("": as is)."""
    return (
        tx.execute(
            _END,
            {
                "item_id": item_id,
                "olds": [s.value for s in olds],
                "to_state": new.value,
                "entered": entered_at,
                "to_answer": answer,
            },
        ).count
        == 1
    )


def holds_document(tx: Tx, *, agency_key: str, document_id: str) -> bool:
    """Whether this agency was ever given this document: then statuses about it make sense."""
    params = {"agency": agency_key, "document_id": document_id}
    return tx.execute(_HOLDS, params).first() is not None


def count_waiting(tx: Tx, agency_keys: Sequence[str]) -> int:
    """Items that nobody confirmed yet, of these agencies."""
    return int(tx.execute(_COUNT_WAITING, {"agencies": list(agency_keys)}).scalar() or 0)
