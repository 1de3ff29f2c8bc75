"""What an axis listed, what was fetched, and what became of it when it was opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.package import PackageKind
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import arrival, document, fetch, inbox_item, recipient, transfer


class DueFetch(NamedTuple):
    axis: str
    axis_doc_id: str
    kind: str
    sender: str
    receiver: str
    fence: int
    tries: int
    equal_failures: int
    last_code: str


class NewArrival(NamedTuple):
    id: str
    axis: str
    axis_doc_id: str
    kind: str
    raw_sha256: str
    raw_size: int
    listed_from: str
    listed_to: str
    received_at: datetime
    record_id: str


class OpenClaim(NamedTuple):
    """An arrival taken for opening; `opens` counts this try, so a killer of processes shows."""

    id: str
    axis: str
    axis_doc_id: str
    kind: str
    raw_sha256: str
    raw_size: int
    listed_from: str
    listed_to: str
    received_at: datetime
    opens: int
    fence: int


class ArrivalRow(NamedTuple):
    id: str
    axis: str
    axis_doc_id: str
    kind: str
    state: str
    raw_sha256: str
    raw_size: int
    listed_from: str
    listed_to: str
    received_at: datetime
    opens: int
    sender: str
    document_id: str
    identity: str
    status_code: str
    verdict: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]


_LIST = insert_or_ignore(fetch)
_HELD_ARRIVALS = select(arrival.c.axis_doc_id).where(
    arrival.c.axis == bindparam("on_axis"),
    arrival.c.axis_doc_id.in_(bindparam("doc_ids", expanding=True)),
)
_HELD_SINCE = _HELD_ARRIVALS.where(arrival.c.received_at < bindparam("before"))


def _claim_fetch(*which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    due = (
        select(fetch.c.axis_doc_id)
        .where(
            fetch.c.axis == bindparam("on_axis"),
            fetch.c.state == FetchState.DUE.value,
            fetch.c.kind == bindparam("of_kind"),
            fetch.c.due_at <= bindparam("now"),
            or_(fetch.c.lease_until.is_(None), fetch.c.lease_until <= bindparam("now")),
            *which,
        )
        .order_by(fetch.c.tries, fetch.c.due_at)  # as the index does: what failed often comes last
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
        # as a CTE it is run once; a sub-select may be run once a row, and then takes others each
        # time
        .cte("due")
    )
    return (
        update(fetch)
        # by the key alone: a state asked for here too makes SQLite go through all that is due
        .where(
            fetch.c.axis == bindparam("on_axis"),
            fetch.c.axis_doc_id.in_(select(due.c.axis_doc_id)),
        )
        .values(lease_until=bindparam("until"), fence=fetch.c.fence + 1, tries=fetch.c.tries + 1)
        .returning(*[fetch.c[name] for name in DueFetch._fields], fetch.c.due_at)
    )


_CLAIM_FRESH = _claim_fetch(fetch.c.tries == 0)
_CLAIM_TRIED = _claim_fetch(fetch.c.tries > 0)
_FETCHED = (
    update(fetch)
    .where(fetch.c.axis == bindparam("on_axis"), fetch.c.axis_doc_id == bindparam("doc_id"))
    .values(state=FetchState.FETCHED.value, lease_until=None)
)
_FAILED = (
    update(fetch)
    .where(
        fetch.c.axis == bindparam("on_axis"),
        fetch.c.axis_doc_id == bindparam("doc_id"),
        fetch.c.fence == bindparam("held"),
        fetch.c.state == FetchState.DUE.value,
    )
    .values(
        state=bindparam("to_state"),
        due_at=bindparam("to_due"),
        lease_until=None,
        equal_failures=bindparam("to_equal"),
        last_code=bindparam("to_code"),
    )
)
_GIVE_BACK_FETCH = (
    update(fetch)
    .where(
        fetch.c.axis == bindparam("on_axis"),
        fetch.c.axis_doc_id == bindparam("doc_id"),
        fetch.c.fence == bindparam("held"),
        fetch.c.state == FetchState.DUE.value,
    )
    .values(lease_until=None)
)
_INSERT = insert_or_ignore(arrival)
_ID_OF = select(arrival.c.id).where(
    arrival.c.axis == bindparam("on_axis"), arrival.c.axis_doc_id == bindparam("doc_id")
)
_TO_OPEN = (
    select(arrival.c.id)
    .where(
        arrival.c.state == ArrivalState.RECEIVED.value,
        or_(arrival.c.lease_until.is_(None), arrival.c.lease_until <= bindparam("now")),
    )
    .order_by(arrival.c.received_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def _claim_open(waiting: Select[tuple[str]]) -> ReturningUpdate[Any]:
    return (
        update(arrival)
        .where(arrival.c.id.in_(select(waiting.cte("waiting").c.id)))  # as above
        .values(
            lease_until=bindparam("until"), fence=arrival.c.fence + 1, opens=arrival.c.opens + 1
        )
        .returning(*[arrival.c[name] for name in OpenClaim._fields])
    )


_CLAIM_SUSPECT = _claim_open(_TO_OPEN.where(arrival.c.opens > 0))
_CLAIM_OPEN = _claim_open(_TO_OPEN.where(arrival.c.opens == 0))
_GIVE_BACK = (
    update(arrival)
    .where(
        arrival.c.id == bindparam("arrival_id"),
        arrival.c.fence == bindparam("held"),
        arrival.c.state == ArrivalState.RECEIVED.value,
    )
    .values(lease_until=None, opens=arrival.c.opens - 1)
)
_HOLD_ON = (
    update(arrival)
    .where(
        arrival.c.id == bindparam("arrival_id"),
        arrival.c.fence == bindparam("held"),
        arrival.c.state == ArrivalState.RECEIVED.value,
        arrival.c.lease_until.is_not(None),
    )
    .values(lease_until=bindparam("until"))
)
_OPENED = (
    update(arrival)
    .where(
        arrival.c.id == bindparam("arrival_id"),
        arrival.c.fence == bindparam("held"),
        arrival.c.state == bindparam("old_state"),
    )
    .values(
        state=bindparam("to_state"),
        lease_until=None,
        sender=bindparam("said_sender"),
        document_id=bindparam("said_document"),
        identity=bindparam("made_identity"),
        status_code=bindparam("said_code"),
        verdict=bindparam("made_verdict"),
        findings=bindparam("made_findings"),
    )
)
_RETURNED = (
    update(arrival)
    .where(
        arrival.c.id == bindparam("arrival_id"),
        arrival.c.state == ArrivalState.QUARANTINED.value,
    )
    .values(state=ArrivalState.RETURNED.value)
)
_RELEASE_FETCH = (
    update(fetch)
    .where(
        fetch.c.axis == bindparam("on_axis"),
        fetch.c.axis_doc_id == bindparam("doc_id"),
        fetch.c.state == FetchState.HELD.value,
    )
    .values(state=FetchState.DUE.value, due_at=bindparam("now"), equal_failures=0, lease_until=None)
)
_AGAIN = select(*[arrival.c[name] for name in OpenClaim._fields]).where(
    arrival.c.id == bindparam("arrival_id"), arrival.c.state == bindparam("old_state")
)
_COLUMNS = [arrival.c[name] for name in ArrivalRow._fields]
_BY_ID = select(*_COLUMNS).where(arrival.c.id == bindparam("id"))
_IN_STATES = (
    select(*_COLUMNS)
    .where(arrival.c.state.in_(bindparam("states", expanding=True)))
    .order_by(arrival.c.received_at)
    .limit(bindparam("most"))
)
_HELD = (
    select(fetch.c.axis, fetch.c.axis_doc_id, fetch.c.last_code, fetch.c.tries)
    .where(fetch.c.state == FetchState.HELD.value)
    .order_by(fetch.c.listed_at)
    .limit(1000)
)
_RELEASE_LEASES_OPEN = (
    update(arrival).where(arrival.c.lease_until.is_not(None)).values(lease_until=None)
)
_RELEASE_LEASES_FETCH = (
    update(fetch).where(fetch.c.lease_until.is_not(None)).values(lease_until=None)
)


def held_already(tx: Tx, axis: str, doc_ids: Sequence[str]) -> set[str]:
    """Which of these listed ids we hold for good: acknowledged again, never stored again."""
    if not doc_ids:
        return set()
    return {str(v) for v in tx.scalars(_HELD_ARRIVALS, {"on_axis": axis, "doc_ids": list(doc_ids)})}


def held_since(tx: Tx, axis: str, doc_ids: Sequence[str], before: datetime) -> int:
    """How many of these listed ids we have held since before then."""
    asked = {"on_axis": axis, "doc_ids": list(doc_ids), "before": before}
    return len(list(tx.scalars(_HELD_SINCE, asked))) if doc_ids else 0


def list_for_fetch(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows: axis, axis_doc_id, kind, sender, receiver, listed_at, due_at. Known ids stay."""
    for row in rows:
        tx.execute(
            _LIST.on(tx),
            {
                **row,
                "state": FetchState.DUE.value,
                "fence": 0,
                "tries": 0,
                "equal_failures": 0,
            },
        )


def claim_fetches(
    tx: Tx,
    *,
    axis: str,
    kind: PackageKind,
    fresh: bool,
    most: int,
    now: datetime,
    until: datetime,
) -> list[DueFetch]:
    """Up to `most` due fetches of one kind, the oldest first: never tried before, or those that
    were. Whether the axis still lists them plays no part.
    """
    rows = tx.execute(
        _CLAIM_FRESH if fresh else _CLAIM_TRIED,
        {"on_axis": axis, "of_kind": kind.value, "most": most, "now": now, "until": until},
    ).all()
    # RETURNING promises no order; the oldest first
    return [DueFetch._make(row[:-1]) for row in sorted(rows, key=lambda row: row[-1])]


def fetch_failed(
    tx: Tx, due: DueFetch, *, state: FetchState, due_at: datetime, code: str, equal: int
) -> bool:
    return (
        tx.execute(
            _FAILED,
            {
                "on_axis": due.axis,
                "doc_id": due.axis_doc_id,
                "held": due.fence,
                "to_state": state.value,
                "to_due": due_at,
                "to_equal": equal,
                "to_code": code,
            },
        ).count
        == 1
    )


def give_back_fetches(tx: Tx, claims: Sequence[DueFetch]) -> None:
    """Claims that did not come to their end through a fault of ours: due as before."""
    for due in claims:
        tx.execute(
            _GIVE_BACK_FETCH,
            {"on_axis": due.axis, "doc_id": due.axis_doc_id, "held": due.fence},
        )


def receive(tx: Tx, new: NewArrival) -> str | None:
    """None when the row is new; else the id of the arrival that came first."""
    made = tx.execute(
        _INSERT.on(tx),
        {
            **new._asdict(),
            "state": ArrivalState.RECEIVED.value,
            "opens": 0,
            "fence": 0,
            "verdict": {},
            "findings": [],
        },
    ).count
    tx.execute(_FETCHED, {"on_axis": new.axis, "doc_id": new.axis_doc_id})
    if made:
        return None
    return str(tx.execute(_ID_OF, {"on_axis": new.axis, "doc_id": new.axis_doc_id}).scalar())


def claim_to_open(tx: Tx, *, most: int, now: datetime, until: datetime) -> list[OpenClaim]:
    """Up to `most` arrivals that nobody opens; oldest first.

    One whose opening was begun before and never ended may have killed its process: it is taken
    alone, so that the next death is its own and never counts against its neighbours.
    """
    params = {"now": now, "until": until}
    rows = tx.execute(_CLAIM_SUSPECT, {**params, "most": 1}).all()
    rows = rows or tx.execute(_CLAIM_OPEN, {**params, "most": most}).all()
    # RETURNING promises no order; opened in the order of receiving
    return sorted((OpenClaim._make(row) for row in rows), key=lambda c: (c.received_at, c.id))


def hold_on(tx: Tx, claims: Sequence[OpenClaim], *, until: datetime) -> None:
    """The leases of what is still being opened under these claims; the rest is left alone."""
    for claim in claims:
        tx.execute(_HOLD_ON, {"arrival_id": claim.id, "held": claim.fence, "until": until})


def give_back(tx: Tx, claims: Sequence[OpenClaim]) -> None:
    """Arrivals that were claimed and not begun: as if they had not been."""
    for claim in claims:
        tx.execute(_GIVE_BACK, {"arrival_id": claim.id, "held": claim.fence})


def opened(
    tx: Tx,
    claim: OpenClaim,
    state: ArrivalState,
    *,
    old: ArrivalState = ArrivalState.RECEIVED,
    sender: str = "",
    document_id: str = "",
    identity: str = "",
    status_code: str = "",
    verdict: Mapping[str, Any] | None = None,
    findings: Sequence[Mapping[str, Any]] = (),
) -> bool:
    """False: another process opened it in our stead, or a person decided before."""
    return (
        tx.execute(
            _OPENED,
            {
                "arrival_id": claim.id,
                "held": claim.fence,
                "old_state": old.value,
                "to_state": state.value,
                "said_sender": sender,
                "said_document": document_id,
                "made_identity": identity,
                "said_code": status_code,
                "made_verdict": verdict or {},
                "made_findings": list(findings),
            },
        ).count
        == 1
    )


def claim_again(tx: Tx, arrival_id: str, old: ArrivalState) -> OpenClaim | None:
    """An arrival that stands in a state that may be left: to be read once more, without a lease.

    Whoever enters it first changes the state; `opened` tells the second one.
    """
    asked = {"arrival_id": arrival_id, "old_state": old.value}
    row = tx.execute(_AGAIN, asked).one_or_none()
    return None if row is None else OpenClaim._make(row)


def returned(tx: Tx, arrival_id: str) -> bool:
    """QUARANTINED -> RETURNED. False: it does not wait any more."""
    return tx.execute(_RETURNED, {"arrival_id": arrival_id}).count == 1


def by_id(tx: Tx, arrival_id: str) -> ArrivalRow | None:
    row = tx.execute(_BY_ID, {"id": arrival_id}).one_or_none()
    return None if row is None else ArrivalRow._make(row)


def in_states(tx: Tx, states: Sequence[ArrivalState], most: int) -> list[ArrivalRow]:
    rows = tx.execute(_IN_STATES, {"states": [s.value for s in states], "most": most}).all()
    return [ArrivalRow._make(row) for row in rows]


class HeldFetch(NamedTuple):
    axis: str
    axis_doc_id: str
    last_code: str
    tries: int


def held_fetches(tx: Tx) -> list[HeldFetch]:
    return [HeldFetch._make(row) for row in tx.execute(_HELD).all()]


def forget_leases(tx: Tx) -> None:
    """Only for the holder of the database lock, at start: every older process is dead."""
    tx.execute(_RELEASE_LEASES_OPEN)
    tx.execute(_RELEASE_LEASES_FETCH)


_REPORTED_ON = (
    select(arrival.c.axis_doc_id)
    .join(inbox_item, inbox_item.c.arrival_id == arrival.c.id)
    .join(document, document.c.about_item == inbox_item.c.id)
    .where(document.c.id == bindparam("document"), arrival.c.axis == bindparam("on_axis"))
)


def reported_on(tx: Tx, document_ref: str, axis: str) -> str:
    """The axis' id of the document that this status is about; "" when it came by another road."""
    found = tx.execute(_REPORTED_ON, {"document": document_ref, "on_axis": axis}).scalar()
    return str(found) if found is not None else ""


_LISTED_DOCUMENTS = select(arrival.c.axis_doc_id, arrival.c.identity).where(
    arrival.c.axis == bindparam("on_axis"),
    arrival.c.axis_doc_id.in_(bindparam("doc_ids", expanding=True)),
    arrival.c.kind == PackageKind.DOCUMENT.value,
    arrival.c.state.in_([ArrivalState.OPENED.value, ArrivalState.DUPLICATE.value]),
)
_WHAT_WAS_SAID = (
    select(inbox_item.c.identity, inbox_item.c.id, inbox_item.c.entered_at, recipient.c.on_axis_at)
    .outerjoin(
        document,
        and_(
            document.c.sender_key == inbox_item.c.agency_key,
            document.c.document_id == inbox_item.c.document_id,
            document.c.about_item == inbox_item.c.id,
        ),
    )
    .outerjoin(transfer, transfer.c.document_ref == document.c.id)
    .outerjoin(recipient, recipient.c.transfer_id == transfer.c.id)
    .where(
        inbox_item.c.agency_key.in_(bindparam("keys", expanding=True)),
        inbox_item.c.identity.in_(bindparam("identities", expanding=True)),
    )
)


def arrival_said(
    tx: Tx, axis: str, doc_ids: Sequence[str], keys: Sequence[str], before: datetime
) -> list[str]:
    """Which of these listed ids the sender heard of before then: every item of the document, or
    of the one that it doubles, entered, and its 01 was on its axis. `keys`: of our agencies.
    """
    if not doc_ids or not keys:
        return []
    asked = {"on_axis": axis, "doc_ids": list(doc_ids)}
    listed = {str(row[0]): str(row[1]) for row in tx.execute(_LISTED_DOCUMENTS, asked).all()}
    if not listed:
        return []
    found = {"keys": list(keys), "identities": sorted(set(listed.values()))}
    said: dict[str, dict[str, bool]] = {}  # identity -> item -> whether its 01 was heard
    for identity, item, entered_at, on_axis_at in tx.execute(_WHAT_WAS_SAID, found).all():
        heard = entered_at is not None and on_axis_at is not None and on_axis_at < before
        items = said.setdefault(identity, {})
        items[item] = items.get(item, False) or heard
    return [doc_id for doc_id, one in listed.items() if one in said and all(said[one].values())]
