"""What evidence of one document is made of: records, their places, the stamps around them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select, text

from gateway.model.record import Checkpoint, Stamp
from gateway.store.ledger import CHECKPOINT, STAMP
from gateway.store.session import Tx
from gateway.store.tables import (
    OF_LEDGER,
    arrival,
    checkpoint,
    document,
    entry,
    inbox_item,
    record,
    stamp,
)


class Recorded(NamedTuple):
    """`epoch`, `seq` None: not sealed yet."""

    id: str
    body: bytes
    document_ref: str | None
    arrival_id: str | None
    epoch: int | None
    seq: int | None


class OfLedger(NamedTuple):
    """A record by which the ledger says that it goes on otherwise, and its entry."""

    event: str
    epoch: int
    seq: int
    body: bytes


class Subject(NamedTuple):
    """Rows whose records belong together, and the receipts that were given for them."""

    documents: tuple[str, ...]
    arrivals: tuple[str, ...]
    answers: tuple[str, ...]


_RECORDS = (
    select(
        record.c.id,
        record.c.body,
        record.c.document_ref,
        record.c.arrival_id,
        entry.c.epoch,
        entry.c.seq,
    )
    .outerjoin(entry, entry.c.record_id == record.c.id)
    .where(
        or_(
            record.c.document_ref.in_(bindparam("documents", expanding=True)),
            record.c.arrival_id.in_(bindparam("arrivals", expanding=True)),
        )
    )
    .order_by(entry.c.epoch, entry.c.seq, record.c.id)
)
_OF_LEDGER = (
    select(record.c.event, entry.c.epoch, entry.c.seq, record.c.body)
    .join(entry, entry.c.record_id == record.c.id)
    .where(text(OF_LEDGER))
    .order_by(entry.c.epoch, entry.c.seq)
)
_ARRIVALS = (
    select(record.c.arrival_id)
    .where(record.c.document_ref == bindparam("ref"), record.c.arrival_id.is_not(None))
    .distinct()
)
_DOCUMENT = select(document.c.answer, document.c.about_item).where(document.c.id == bindparam("id"))
_ITEM = select(inbox_item.c.arrival_id, inbox_item.c.answer).where(
    inbox_item.c.id == bindparam("id")
)
_ITEMS_OF = select(inbox_item.c.answer).where(inbox_item.c.arrival_id == bindparam("id"))
_ANSWERS = select(document.c.id, document.c.answer).where(
    document.c.about_item == bindparam("item")
)
_KINDS = select(arrival.c.id, arrival.c.kind).where(
    arrival.c.id.in_(bindparam("ids", expanding=True))
)
_BEFORE = (
    select(*STAMP)
    .where(stamp.c.epoch == bindparam("epoch"), stamp.c.size <= bindparam("seq"))
    .order_by(stamp.c.size.desc(), stamp.c.gen_time)
    .limit(1)
)
_AFTER = (
    select(*STAMP)
    .where(stamp.c.epoch == bindparam("epoch"), stamp.c.size > bindparam("seq"))
    .order_by(stamp.c.size, stamp.c.gen_time)
    .limit(1)
)
AUTHORITY = "authority"  # of stamps
SIGNER = "signer"  # an agency of ours
_CHECKPOINT = select(*CHECKPOINT).where(
    checkpoint.c.epoch == bindparam("epoch"), checkpoint.c.size == bindparam("size")
)
_JUDGED = select(record.c.at, record.c.body).where(
    record.c.id.in_(bindparam("ids", expanding=True))
)
# a certificate is looked after within these days, or never: it is judged once a day
_LOOKED = range(-7, 41)
_NEWEST = (
    select(*CHECKPOINT)
    .where(checkpoint.c.epoch == bindparam("epoch"))
    .order_by(checkpoint.c.size.desc())
    .limit(1)
)


def of_document(tx: Tx, ref: str) -> Subject | None:
    """A document or status of ours, with the arrivals that its records speak of."""
    row = tx.execute(_DOCUMENT, {"id": ref}).one_or_none()
    if row is None:
        return None
    arrivals = tuple(str(a) for a in tx.scalars(_ARRIVALS, {"ref": ref}))
    return Subject((ref,), arrivals, (str(row[0]),))


def of_item(tx: Tx, item_id: str) -> Subject | None:
    """What came in, with the statuses that were sent about it."""
    row = tx.execute(_ITEM, {"id": item_id}).one_or_none()
    if row is None or row[0] is None:
        return None
    sent = tx.execute(_ANSWERS, {"item": item_id}).all()
    return Subject(tuple(str(s[0]) for s in sent), (str(row[0]),), (str(row[1]),))


def records(tx: Tx, subject: Subject) -> list[Recorded]:
    rows = tx.execute(
        _RECORDS, {"documents": list(subject.documents), "arrivals": list(subject.arrivals)}
    ).all()
    return [Recorded(str(r[0]), bytes(r[1]), r[2], r[3], r[4], r[5]) for r in rows]


def of_ledger(tx: Tx) -> list[OfLedger]:
    """Changes of its key, and new roots of its trees under other hash functions; sealed ones."""
    return [OfLedger(str(r[0]), r[1], r[2], bytes(r[3])) for r in tx.execute(_OF_LEDGER).all()]


def stamps_around(tx: Tx, places: Iterable[tuple[int, int]]) -> list[Stamp]:
    """For each entry (epoch, seq) the newest stamp before it and the first after it, once each.

    Neighbours share them: two statements for each pair of stamps, not for each entry.
    """
    found: dict[tuple[int, int], Stamp] = {}
    known: tuple[int, int, int | None] | None = None  # epoch, from, up to: stamps of that stretch
    for epoch, seq in sorted(places):
        if known is not None and known[0] == epoch and known[1] <= seq < (known[2] or math.inf):
            continue
        around = [_one(tx, _BEFORE, epoch, seq), _one(tx, _AFTER, epoch, seq)]
        found.update({(s.epoch, s.size): s for s in around if s is not None})
        before, after = around
        known = (epoch, before.size if before else 0, after.size if after else None)
    return list(found.values())


def checkpoints(tx: Tx, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Checkpoint]:
    found = {}
    for epoch, size in places:
        row = tx.execute(_CHECKPOINT, {"epoch": epoch, "size": size}).one_or_none()
        if row is not None:
            found[epoch, size] = Checkpoint(*row)
    return found


def newest_of(tx: Tx, epoch: int) -> Checkpoint | None:
    row = tx.execute(_NEWEST, {"epoch": epoch}).one_or_none()
    return None if row is None else Checkpoint(*row)


def judged_name(role: str, certificate: str, at: datetime) -> str:
    """The id of the record about a certificate: AUTHORITY or SIGNER, its SHA-256 (hex), a day.

    So there is one a day at most, and it is found without an index of its own.
    """
    return f"{role}:{certificate}:{at.astimezone(UTC):%Y-%m-%d}"


def judged_around(tx: Tx, role: str, certificate: str, at: datetime) -> bytes | None:
    """The first record about this certificate not before `at`, else the newest before it.

    Data that are younger than a stamp or a signature say more about it than older ones.
    """
    ids = [judged_name(role, certificate, at + timedelta(days=day)) for day in _LOOKED]
    rows = sorted((r[0], bytes(r[1])) for r in tx.execute(_JUDGED, {"ids": ids}).all())
    after = [body for when, body in rows if when >= at]
    return after[0] if after else rows[-1][1] if rows else None


def has_record(tx: Tx, record_id: str) -> bool:
    return tx.execute(_JUDGED, {"ids": [record_id]}).first() is not None


def _one(tx: Tx, asked: object, epoch: int, seq: int) -> Stamp | None:
    row = tx.execute(asked, {"epoch": epoch, "seq": seq}).one_or_none()  # type: ignore[arg-type]
    return None if row is None else Stamp(*row)
