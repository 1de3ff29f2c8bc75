"""Business acts and what they are about: found from the act, and from the earlier document.

A row of `act_target` is written with the act itself: with our document, or with the inbox item. The
earlier document may be there already, come later, or never: nothing here waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, insert, or_, select, union_all

from gateway.model.arrival import ItemKind
from gateway.model.package import BusinessType, PackageKind, normal_text
from gateway.model.transfer import TransferState
from gateway.store.session import Tx
from gateway.store.tables import act_target, document, inbox_item, recipient, transfer

TAKE_BACK = "13"


class SentAct(NamedTuple):
    """An act of ours about some document; a take-back is a status and has `business_type` 0."""

    id: str
    business_type: int
    document_id: str
    accepted_at: datetime


class Named(NamedTuple):
    """An inbox item that speaks of another, or that another speaks of."""

    id: str
    arrival_id: str
    kind: str
    state: str
    agency: str
    sender: str
    document_id: str
    identity: str
    status_code: str


_ITEM = [inbox_item.c[name] for name in Named._fields]
_INSERT = insert(act_target)
_TARGETS = (
    select(act_target.c.document_id)
    .where(act_target.c.act_ref == bindparam("ref"))
    .order_by(act_target.c.document_id)
)
_SENT = (
    select(document.c.id, document.c.business_type, document.c.document_id, document.c.accepted_at)
    .join(act_target, act_target.c.act_ref == document.c.id)
    .where(
        act_target.c.agency_key == bindparam("agency"),
        act_target.c.document_id.in_(bindparam("document_ids", expanding=True)),
    )
    .distinct()
    .order_by(document.c.accepted_at, document.c.id)
)
# of all statuses that an agency sends about a document of its own, 13 is the only one; what it
# says about the documents of others is about an inbox item
_TAKE_BACKS = (
    select(document.c.id, document.c.business_type, document.c.document_id, document.c.accepted_at)
    .where(
        document.c.sender_key == bindparam("agency"),
        document.c.document_id == bindparam("document_id"),
        document.c.kind == PackageKind.STATUS.value,
        document.c.about_item.is_(None),
    )
    .order_by(document.c.accepted_at, document.c.id)
)
_RECALL_SENT = (
    select(transfer.c.id)
    .join(act_target, act_target.c.act_ref == transfer.c.document_ref)
    .join(recipient, recipient.c.transfer_id == transfer.c.id)
    .where(
        act_target.c.agency_key == bindparam("agency"),
        act_target.c.document_id.in_(bindparam("document_ids", expanding=True)),
        act_target.c.business_type == BusinessType.RECALL.value,
        recipient.c.agency_key == bindparam("receiver"),
    )
    .limit(1)
)
_TAKE_BACK_SENT = (
    select(transfer.c.id)
    .join(document, document.c.id == transfer.c.document_ref)
    .join(recipient, recipient.c.transfer_id == transfer.c.id)
    .where(
        document.c.sender_key == bindparam("agency"),
        document.c.document_id == bindparam("document_id"),
        document.c.kind == PackageKind.STATUS.value,
        document.c.about_item.is_(None),
        recipient.c.agency_key == bindparam("receiver"),
    )
    .limit(1)
)
_CARRIED = (
    select(
        transfer.c.id,
        recipient.c.agency_key,
        document.c.id,
        document.c.sender_key,
        document.c.document_id,
        document.c.business_type,
        document.c.accepted_at,
    )
    .join(document, document.c.id == transfer.c.document_ref)
    .join(recipient, recipient.c.transfer_id == transfer.c.id)
    .where(
        transfer.c.id.in_(bindparam("ids", expanding=True)),
        transfer.c.kind == PackageKind.DOCUMENT.value,
    )
)
_UPDATED = select(act_target.c.act_ref, act_target.c.document_id).where(
    act_target.c.act_ref.in_(bindparam("refs", expanding=True))
)
_SUBMITTED = select(document.c.document_id, document.c.id).where(
    document.c.sender_key == bindparam("agency"),
    document.c.document_id.in_(bindparam("document_ids", expanding=True)),
    document.c.kind == PackageKind.DOCUMENT.value,
)
# what was withdrawn before it left says nothing
_UNDOING = union_all(
    select(act_target.c.document_id, recipient.c.agency_key, document.c.id, document.c.accepted_at)
    .join(document, document.c.id == act_target.c.act_ref)
    .join(transfer, transfer.c.document_ref == document.c.id)
    .join(recipient, recipient.c.transfer_id == transfer.c.id)
    .where(
        act_target.c.agency_key == bindparam("agency"),
        act_target.c.document_id.in_(bindparam("document_ids", expanding=True)),
        act_target.c.business_type.in_([BusinessType.RECALL.value, BusinessType.REPLACE.value]),
        transfer.c.state != TransferState.WITHDRAWN.value,
    ),
    select(document.c.document_id, recipient.c.agency_key, document.c.id, document.c.accepted_at)
    .join(transfer, transfer.c.document_ref == document.c.id)
    .join(recipient, recipient.c.transfer_id == transfer.c.id)
    .where(
        document.c.sender_key == bindparam("agency"),
        document.c.document_id.in_(bindparam("document_ids", expanding=True)),
        document.c.kind == PackageKind.STATUS.value,
        document.c.about_item.is_(None),
        transfer.c.state != TransferState.WITHDRAWN.value,
    ),
)
_RECEIVED = (
    select(*_ITEM, act_target.c.business_type, act_target.c.sender_key)
    .join(act_target, act_target.c.act_ref == inbox_item.c.id)
    .where(
        act_target.c.agency_key == bindparam("agency"),
        act_target.c.document_id.in_(bindparam("document_ids", expanding=True)),
    )
    .distinct()
    .order_by(inbox_item.c.id)
)
_NAMED = (
    select(*_ITEM)
    .where(
        inbox_item.c.agency_key == bindparam("agency"),
        inbox_item.c.document_id.in_(bindparam("document_ids", expanding=True)),
        or_(
            inbox_item.c.kind == ItemKind.DOCUMENT.value,
            (inbox_item.c.kind == ItemKind.STATUS.value) & (inbox_item.c.status_code == TAKE_BACK),
        ),
    )
    .order_by(inbox_item.c.id)
)


def keep(
    tx: Tx,
    act_ref: str,
    *,
    agency_key: str,
    sender_key: str,
    business_type: int,
    about: Iterable[str],
) -> None:
    """What the act `act_ref` is about; `about` as it names them. Nothing for a new document."""
    rows = [
        {
            "act_ref": act_ref,
            "agency_key": agency_key,
            "sender_key": sender_key,
            "business_type": business_type,
            "document_id": name,
        }
        for name in sorted({form for d in about for form in forms(d)})
    ]
    if rows:
        tx.put(_INSERT, rows)


def targets(tx: Tx, act_ref: str) -> list[str]:
    """Every id that this act names, in each form under which it may be kept."""
    return [str(name) for (name,) in tx.execute(_TARGETS, {"ref": act_ref}).all()]


def sent(tx: Tx, *, sender_key: str, document_id: str) -> list[SentAct]:
    """Our acts about a document of ours, oldest first."""
    asked = {"agency": sender_key, "document_ids": forms(document_id)}
    return [SentAct._make(row) for row in tx.execute(_SENT, asked).all()]


def take_backs(tx: Tx, *, sender_key: str, document_id: str) -> list[SentAct]:
    """Our statuses 13 about a document of ours, oldest first."""
    asked = {"agency": sender_key, "document_id": document_id}
    return [SentAct._make(row) for row in tx.execute(_TAKE_BACKS, asked).all()]


def asked_back(tx: Tx, *, sender_key: str, document_id: str, receiver_key: str) -> bool:
    """Whether this receiver was ever sent a recall of this document, or a status 13 about it."""
    who = {"agency": sender_key, "receiver": receiver_key}
    for asked, params in (
        (_TAKE_BACK_SENT, {"document_id": document_id}),
        (_RECALL_SENT, {"document_ids": forms(document_id)}),
    ):
        if tx.execute(asked, {**who, **params}).first() is not None:
            return True
    return False


class _Carried(NamedTuple):
    transfer_id: str
    receiver: str
    ref: str
    sender: str
    document_id: str
    business_type: int
    accepted_at: datetime


def undone(tx: Tx, transfer_ids: Sequence[str]) -> set[str]:
    """Those of these transfers whose document its sender has since recalled, replaced or asked
    back at one of the transfer's receivers. An update is undone with the document it updates.

    Where several submissions bear one DocumentId, an act is about those accepted before it. Of a
    single one every act is, whatever a clock that was set back between the two says.
    """
    carried = [_Carried._make(r) for r in tx.execute(_CARRIED, {"ids": list(transfer_ids)})]
    updates = {one.ref for one in carried if one.business_type == BusinessType.UPDATE}
    updated: dict[str, list[str]] = {}
    if updates:
        for ref, name in tx.execute(_UPDATED, {"refs": sorted(updates)}):
            updated.setdefault(ref, []).append(name)
    names: dict[str, set[str]] = {}
    for one in carried:
        names.setdefault(one.sender, set()).update(forms(one.document_id), updated.get(one.ref, ()))
    acted: dict[tuple[str, str, str], list[tuple[datetime, str]]] = {}
    submitted: dict[tuple[str, str], set[str]] = {}
    for sender, ids in names.items():
        asked = {"agency": sender, "document_ids": sorted(ids)}
        for name, ref in tx.execute(_SUBMITTED, asked):
            submitted.setdefault((sender, normal_text(name)), set()).add(ref)
        for name, receiver, ref, at in tx.execute(_UNDOING, asked):
            acted.setdefault((sender, receiver, name), []).append((at, ref))
    found = set()
    for one in carried:
        only = len(submitted.get((one.sender, normal_text(one.document_id)), ())) < 2
        own = [acted.get((one.sender, one.receiver, n), ()) for n in forms(one.document_id)]
        theirs = [acted.get((one.sender, one.receiver, n), ()) for n in updated.get(one.ref, ())]
        if any(
            ref != one.ref and (only or at > one.accepted_at) for acts in own for at, ref in acts
        ) or any(at > one.accepted_at for acts in theirs for at, _ in acts):
            found.add(one.transfer_id)
    return found


class Received(NamedTuple):
    """An act in somebody's inbox, with the type under which it was kept."""

    item: Named
    business_type: int
    sender_key: str


def received(tx: Tx, *, agency_key: str, document_id: str) -> list[Received]:
    """The acts in this agency's inbox about a document, whoever sent them, oldest first."""
    asked = {"agency": agency_key, "document_ids": forms(document_id)}
    return [
        Received(Named._make(row[:-2]), int(row[-2]), str(row[-1]))
        for row in tx.execute(_RECEIVED, asked).all()
    ]


def named(tx: Tx, *, agency_key: str, document_ids: Sequence[str]) -> list[Named]:
    """Documents with these ids in this agency's inbox, and take-backs of them, oldest first."""
    names = sorted({form for d in document_ids for form in forms(d)})
    if not names:
        return []
    asked = {"agency": agency_key, "document_ids": names}
    return [Named._make(row) for row in tx.execute(_NAMED, asked).all()]


def forms(document_id: str) -> list[str]:
    """Ids are compared after NFC and trimming (edxml-format 7), and kept as they came."""
    return sorted({document_id, normal_text(document_id)} - {""})
