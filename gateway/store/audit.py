"""Rows as `ledger verify` reads them: whole tables in the order of their ids, batch by batch.

What a caller may be shown, each beside the bodies of the records that speak of it. Only reads;
every statement asks by a key or an index, so a batch costs the same in a large ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, bindparam, select, text

from gateway.store.session import Tx
from gateway.store.tables import (
    OF_LEDGER,
    arrival,
    attempt,
    document,
    inbox_item,
    recipient,
    record,
    status_event,
    transfer,
)


class RecordColumns(NamedTuple):
    """The columns of a record that are copies of what `body` says."""

    id: str
    event: str
    at: datetime
    document_ref: str | None
    arrival_id: str | None
    body: bytes


class Document(NamedTuple):
    id: str
    kind: str
    account_id: str
    sender: str
    document_id: str
    identity: str
    business_type: int
    files: Sequence[Any]
    accepted_at: datetime
    released_at: datetime
    released_source: str
    answer: str
    record_id: str
    about_item: str | None


class Transfer(NamedTuple):
    id: str
    document_ref: str
    axis: str
    state: str
    attempts: int
    sender: str
    package_sha256: str
    package_size: int
    accepted_at: datetime
    record_id: str


class Recipient(NamedTuple):
    transfer_id: str
    agency_key: str
    agency: str
    state: str
    status_code: str
    on_axis_at: datetime | None
    entered_at: datetime | None
    entered_source: str


class Attempt(NamedTuple):
    transfer_id: str
    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    code: str


class Status(NamedTuple):
    document_ref: str
    agency_key: str
    arrival_id: str
    code: str
    timestamp: str
    received_at: datetime


class Arrival(NamedTuple):
    id: str
    axis: str
    axis_doc_id: str
    kind: str
    state: str
    raw_sha256: str
    raw_size: int
    received_at: datetime
    sender: str
    document_id: str
    identity: str
    status_code: str
    verdict: Mapping[str, Any]
    record_id: str


class Item(NamedTuple):
    """`arrival_id` None: a report of this gateway."""

    id: str
    arrival_id: str | None
    agency: str
    kind: str
    identity: str
    state: str
    sender: str
    document_id: str
    status_code: str
    about_document: str | None
    available_at: datetime
    fetched_at: datetime | None
    entered_at: datetime | None
    answer: str


def _in_order(table: Table, names: Sequence[str]) -> Select[Any]:
    return (
        select(*[table.c[name] for name in names])
        .where(table.c.id > bindparam("after"))
        .order_by(table.c.id)
        .limit(bindparam("most"))
    )


def _of(table: Table, names: Sequence[str], key: str) -> Select[Any]:
    among = table.c[key].in_(bindparam("ids", expanding=True))
    return select(*[table.c[name] for name in names]).where(among)


_BODY = select(record.c.body).where(record.c.id == bindparam("id"))
_OF_EVENT = select(record.c.body).where(text(OF_LEDGER), record.c.event == bindparam("event"))
_RECORDS = _in_order(record, RecordColumns._fields)
_DOCUMENTS = _in_order(document, Document._fields)
_ARRIVALS = _in_order(arrival, Arrival._fields)
_TRANSFERS = _of(transfer, Transfer._fields, "document_ref")
_STATUSES = _of(status_event, Status._fields, "document_ref")
_RECIPIENTS = _of(recipient, Recipient._fields, "transfer_id")
_ATTEMPTS = _of(attempt, Attempt._fields, "transfer_id")
_ITEMS = _of(inbox_item, Item._fields, "arrival_id")
_REPORTS = _in_order(inbox_item, Item._fields).where(inbox_item.c.arrival_id.is_(None))
_ITEM_IDS = _of(inbox_item, ["id"], "id")
_OF_DOCUMENTS = _of(record, ["body"], "document_ref")
_OF_ARRIVALS = _of(record, ["body"], "arrival_id")


def _asked(ids: Sequence[str]) -> dict[str, list[str]]:
    return {"ids": list(ids)}


def body_of(tx: Tx, record_id: str) -> bytes | None:
    value = tx.execute(_BODY, {"id": record_id}).scalar()
    return None if value is None else bytes(value)


def bodies_of_event(tx: Tx, event: str) -> list[bytes]:
    """Of an event of the ledger about itself (`OF_LEDGER`): few, found by an index of their own."""
    return [bytes(body) for body in tx.scalars(_OF_EVENT, {"event": event})]


def records(tx: Tx, after: str, most: int) -> list[RecordColumns]:
    rows = tx.execute(_RECORDS, {"after": after, "most": most}).all()
    return list(map(RecordColumns._make, rows))


def documents(tx: Tx, after: str, most: int) -> list[Document]:
    rows = tx.execute(_DOCUMENTS, {"after": after, "most": most}).all()
    return [Document._make(row) for row in rows]


def arrivals(tx: Tx, after: str, most: int) -> list[Arrival]:
    rows = tx.execute(_ARRIVALS, {"after": after, "most": most}).all()
    return [Arrival._make(row) for row in rows]


def transfers_of(tx: Tx, document_refs: Sequence[str]) -> list[Transfer]:
    return [Transfer._make(row) for row in tx.execute(_TRANSFERS, _asked(document_refs)).all()]


def statuses_of(tx: Tx, document_refs: Sequence[str]) -> list[Status]:
    return [Status._make(row) for row in tx.execute(_STATUSES, _asked(document_refs)).all()]


def recipients_of(tx: Tx, transfer_ids: Sequence[str]) -> list[Recipient]:
    return [Recipient._make(row) for row in tx.execute(_RECIPIENTS, _asked(transfer_ids)).all()]


def attempts_of(tx: Tx, transfer_ids: Sequence[str]) -> list[Attempt]:
    return [Attempt._make(row) for row in tx.execute(_ATTEMPTS, _asked(transfer_ids)).all()]


def items_of(tx: Tx, arrival_ids: Sequence[str]) -> list[Item]:
    return [Item._make(row) for row in tx.execute(_ITEMS, _asked(arrival_ids)).all()]


def reports(tx: Tx, after: str, most: int) -> list[Item]:
    rows = tx.execute(_REPORTS, {"after": after, "most": most}).all()
    return [Item._make(row) for row in rows]


def items_there(tx: Tx, item_ids: Sequence[str]) -> set[str]:
    """Which of these ids have a row."""
    return {str(v) for v in tx.scalars(_ITEM_IDS, _asked(item_ids))}


def bodies_about_documents(tx: Tx, document_refs: Sequence[str]) -> list[bytes]:
    return [bytes(body) for body in tx.scalars(_OF_DOCUMENTS, _asked(document_refs))]


def bodies_about_arrivals(tx: Tx, arrival_ids: Sequence[str]) -> list[bytes]:
    return [bytes(body) for body in tx.scalars(_OF_ARRIVALS, _asked(arrival_ids))]
