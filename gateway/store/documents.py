"""What units handed in: promises once given, documents, and their first answers.

The keys of `idempotency`, `document_key` and `sent_receiver` decide races: an insert that meets
an earlier one raises Violation, and the corridor starts over by reading what was there first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, insert, literal_column, or_, select, union_all

from gateway.store import families
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import document, document_key, idempotency, recipient, sent_receiver
from gateway.store.tables import transfer as transfers


class Answered(NamedTuple):
    content: str
    status: int
    answer: str
    location: str


class Repeated(Answered):
    """An answer that was given before: nothing new was promised with it."""

    __slots__ = ()


class NewDocument(NamedTuple):
    """One accepted message of a unit: a document (văn bản) or a status report."""

    id: str
    kind: str
    account_id: str
    sender: str
    sender_key: str
    document_id: str
    identity: str
    business_type: int
    header: Mapping[str, Any]
    files: Sequence[Mapping[str, Any]]
    accepted_at: datetime
    released_at: datetime
    released_source: str
    answer: str
    record_id: str
    about_item: str | None = None
    about: tuple[str, ...] = ()  # document ids: whom it must not overtake (`families`)


class DocumentRow(NamedTuple):
    id: str
    kind: str
    sender: str
    sender_key: str
    document_id: str
    identity: str
    business_type: int
    header: Mapping[str, Any]
    files: Sequence[Mapping[str, Any]]
    accepted_at: datetime
    released_at: datetime
    released_source: str
    answer: str
    record_id: str


class Served(NamedTuple):
    """A receiver that already got this identity, and the document that took it there."""

    receiver_key: str
    document_ref: str


_ANSWERED = select(
    idempotency.c.content, idempotency.c.status, idempotency.c.answer, idempotency.c.location
).where(idempotency.c.account_id == bindparam("account_id"), idempotency.c.key == bindparam("key"))
_SERVED = select(sent_receiver.c.receiver_key, sent_receiver.c.document_ref).where(
    sent_receiver.c.sender_key == bindparam("sender_key"),
    sent_receiver.c.identity == bindparam("identity"),
)
# what decides about a submission before anything is packed, in one look
_BEFORE = union_all(
    _ANSWERED.with_only_columns(
        literal_column("'answered'").label("what"),
        idempotency.c.content,
        idempotency.c.status,
        idempotency.c.answer,
        idempotency.c.location,
    ),
    select(
        literal_column("'bound'"),
        document_key.c.identity,
        literal_column("0"),
        literal_column("''"),
        literal_column("''"),
    ).where(
        document_key.c.sender_key == bindparam("sender_key"),
        document_key.c.document_id == bindparam("document_id"),
    ),
    _SERVED.with_only_columns(
        literal_column("'served'"),
        sent_receiver.c.receiver_key,
        literal_column("0"),
        sent_receiver.c.document_ref,
        literal_column("''"),
    ),
)
_COLUMNS = [document.c[name] for name in DocumentRow._fields]
_BY_ID = select(*_COLUMNS).where(document.c.id == bindparam("id"))
# put in order here: asked for it, SQLite goes through everything of the sender by time
_BY_DOCUMENT_ID = select(*_COLUMNS).where(
    document.c.sender_key == bindparam("sender_key"),
    document.c.document_id == bindparam("document_id"),
    document.c.kind == "document",
)
_PAGE = (
    select(*_COLUMNS)
    .where(
        document.c.kind == "document",
        document.c.sender_key.in_(bindparam("sender_keys", expanding=True)),
        or_(
            document.c.accepted_at < bindparam("before_at"),
            and_(
                document.c.accepted_at == bindparam("before_at"),
                document.c.id < bindparam("before_id"),
            ),
        ),
    )
    .order_by(document.c.accepted_at.desc(), document.c.id.desc())
    .limit(bindparam("most"))
)
_INSERT_KEY = insert(document_key)
_INSERT_SERVED = insert(sent_receiver)
_INSERT_DOCUMENT = insert(document)
_INSERT_TRANSFER = insert(transfers)
_INSERT_RECIPIENT = insert(recipient)
_INSERT_ANSWER = insert(idempotency)
_INSERT_ANSWER_AGAIN = insert_or_ignore(idempotency)


class Before(NamedTuple):
    """What stands before a submission. `bound`: the identity first sent under its DocumentId as a
    new document (type 0), if any.
    """

    answered: Answered | None
    bound: str | None
    served: tuple[Served, ...]


def before(
    tx: Tx, *, account_id: str, key: str | None, sender_key: str, document_id: str, identity: str
) -> Before:
    rows = tx.execute(
        _BEFORE,
        {
            "account_id": account_id,
            "key": key or "",  # the key of no request
            "sender_key": sender_key,
            "document_id": document_id,
            "identity": identity,
        },
    ).all()
    found = {row[0]: row[1:] for row in rows}
    return Before(
        Repeated._make(found["answered"]) if "answered" in found else None,
        str(found["bound"][0]) if "bound" in found else None,
        tuple(Served(str(row[1]), str(row[3])) for row in rows if row[0] == "served"),
    )


def answered(tx: Tx, account_id: str, key: str) -> Answered | None:
    row = tx.execute(_ANSWERED, {"account_id": account_id, "key": key}).one_or_none()
    return None if row is None else Repeated._make(row)


def keep_answer(
    tx: Tx, *, account_id: str, key: str, answered: Answered, created_at: datetime
) -> None:
    """Raises Violation when the key was used before."""
    tx.put(
        _INSERT_ANSWER,
        {"account_id": account_id, "key": key, "created_at": created_at, **answered._asdict()},
    )


def keep_answer_again(
    tx: Tx, *, account_id: str, key: str, answered: Answered, created_at: datetime
) -> None:
    """`keep_answer` where an earlier one with this key may stand: it says the same."""
    tx.execute(
        _INSERT_ANSWER_AGAIN.on(tx),
        {"account_id": account_id, "key": key, "created_at": created_at, **answered._asdict()},
    )


def claim_document_id(tx: Tx, *, sender_key: str, document_id: str, identity: str) -> None:
    """Bind a DocumentId to an identity for ever. Raises Violation when it is bound."""
    tx.put(
        _INSERT_KEY,
        {"sender_key": sender_key, "document_id": document_id, "identity": identity},
    )


def served(tx: Tx, sender_key: str, identity: str) -> list[Served]:
    rows = tx.execute(_SERVED, {"sender_key": sender_key, "identity": identity}).all()
    return [Served._make(row) for row in rows]


def add(
    tx: Tx,
    new: NewDocument,
    receiver_keys: Sequence[str],
    transfer_rows: Sequence[Mapping[str, Any]],
    recipient_rows: Sequence[Mapping[str, Any]],
) -> None:
    """One submission with everything it promises. Raises Violation when a receiver was served.

    A transfer waits behind those of its family that have not ended, and knows its destination.
    """
    keys: dict[str, list[str]] = {str(row["id"]): [] for row in transfer_rows}
    for row in recipient_rows:
        keys[str(row["transfer_id"])].append(str(row["agency_key"]))
    waiting = families.waits_for(
        tx, new.id, sender_key=new.sender_key, about=new.about, receivers=keys
    )
    tx.put(
        _INSERT_SERVED,
        [
            {
                "sender_key": new.sender_key,
                "identity": new.identity,
                "receiver_key": key,
                "document_ref": new.id,
            }
            for key in receiver_keys
        ],
    )
    tx.put(_INSERT_DOCUMENT, {k: v for k, v in new._asdict().items() if k != "about"})
    tx.put(
        _INSERT_TRANSFER,
        [
            {
                **row,
                "behind": len(waiting.get(row["id"], ())),
                "destination": keys[row["id"]][0] if len(keys[row["id"]]) == 1 else "",
            }
            for row in transfer_rows
        ],
    )
    families.line_up(tx, waiting)
    tx.put(_INSERT_RECIPIENT, list(recipient_rows))


def by_id(tx: Tx, document_ref: str) -> DocumentRow | None:
    row = tx.execute(_BY_ID, {"id": document_ref}).one_or_none()
    return None if row is None else DocumentRow._make(row)


def by_document_id(tx: Tx, sender_key: str, document_id: str) -> list[DocumentRow]:
    """Every submission of this document, oldest first (later ones served further receivers)."""
    rows = tx.execute(_BY_DOCUMENT_ID, {"sender_key": sender_key, "document_id": document_id}).all()
    return sorted(map(DocumentRow._make, rows), key=lambda row: (row.accepted_at, row.id))


def page(
    tx: Tx, *, sender_keys: Sequence[str], before_at: datetime, before_id: str, most: int
) -> list[DocumentRow]:
    """Newest first, strictly older than (before_at, before_id)."""
    rows = tx.execute(
        _PAGE,
        {
            "sender_keys": list(sender_keys),
            "before_at": before_at,
            "before_id": before_id,
            "most": most,
        },
    ).all()
    return [DocumentRow._make(row) for row in rows]
