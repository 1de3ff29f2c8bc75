"""Transfers in motion: an attempt ended only by its holder, and every other step of a transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Select,
    Text,
    bindparam,
    case,
    func,
    insert,
    select,
    text,
    update,
)

from gateway.model.package import PackageKind
from gateway.model.transfer import (
    CLAIMABLE,
    TRANSFER_TRANSITIONS,
    UNFINISHED,
    RecipientState,
    TransferState,
)
from gateway.model.transfer import move as allowed
from gateway.store import families
from gateway.store.claims import Claim
from gateway.store.session import Tx
from gateway.store.statements import page_of
from gateway.store.tables import LISTED_TRANSFERS, attempt, document, recipient, status_event
from gateway.store.tables import transfer as t
from gateway.store.types import Instant

URGENT = 1  # the lanes 0 and 1, whose stamps come sooner


class TransferRow(NamedTuple):
    id: str
    document_ref: str
    kind: str
    axis: str
    state: str
    lane: int
    due_at: datetime | None
    doubt: bool
    attempts: int
    package_sha256: str
    package_size: int
    last_code: str
    last_detail: str
    remote_ref: str
    hold_cause: str
    moved_at: datetime
    replay_of: str | None


class RecipientRow(NamedTuple):
    transfer_id: str
    agency_key: str
    agency: str
    state: str
    status_code: str
    on_axis_at: datetime | None
    entered_at: datetime | None
    entered_source: str
    moved_at: datetime


class Ending(NamedTuple):
    """How an attempt left the transfer (the result of `dispatch.next_step`)."""

    state: TransferState
    due_at: datetime | None
    doubt: bool
    code: str
    detail: str
    equal_answers: int
    remote_ref: str = ""
    hold_cause: str = ""


_CLAIMABLE = [s.value for s in CLAIMABLE]
_RENEW = (
    update(t)
    .where(
        t.c.id == bindparam("transfer_id"),
        t.c.fence == bindparam("held"),
        t.c.state == TransferState.SENDING.value,
        t.c.lease_until > bindparam("now"),
    )
    .values(lease_until=bindparam("until"))
)
# an id that the axis once gave is never forgotten because a later answer had none
_REF = func.coalesce(func.nullif(bindparam("to_ref", type_=Text()), ""), t.c.remote_ref)
_END = (
    update(t)
    .where(
        t.c.id == bindparam("transfer_id"),
        t.c.fence == bindparam("held"),
        t.c.state == bindparam("from_state"),
    )
    .values(
        state=bindparam("to_state"),
        due_at=bindparam("to_due"),
        doubt=bindparam("to_doubt"),
        lease_until=None,
        last_code=bindparam("to_code"),
        last_detail=bindparam("to_detail"),
        equal_answers=bindparam("to_equal"),
        remote_ref=_REF,
        hold_cause=bindparam("to_cause"),
        moved_at=bindparam("now"),
    )
)
_END_ATTEMPT = (
    update(attempt)
    .where(
        attempt.c.transfer_id == bindparam("of"),
        attempt.c.fence == bindparam("held"),
        attempt.c.ended_at.is_(None),
    )
    .values(
        ended_at=bindparam("seen"),
        outcome=bindparam("said"),
        code=bindparam("to_code"),
        detail=bindparam("to_detail"),
    )
)
_ARRIVE = (
    update(recipient)
    .where(
        recipient.c.transfer_id == bindparam("of"),
        recipient.c.state == RecipientState.PENDING.value,
    )
    .values(
        state=RecipientState.ON_AXIS.value,
        on_axis_at=bindparam("seen"),
        moved_at=bindparam("now"),
    )
)
_STALE = (
    select(t.c.id, t.c.document_ref, t.c.axis, t.c.fence, t.c.attempts, t.c.lease_until)
    .where(
        t.c.state == TransferState.SENDING.value,
        t.c.lease_until.is_not(None),  # as the index says it
        t.c.lease_until <= bindparam("now"),
    )
    .order_by(t.c.lease_until)
    .limit(500)
)
_SENDING = select(
    t.c.id, t.c.document_ref, t.c.axis, t.c.fence, t.c.attempts, t.c.lease_until
).where(t.c.state == TransferState.SENDING.value, t.c.lease_until.is_not(None))
_PAST_LIFETIME = (
    select(t.c.id, t.c.document_ref, t.c.axis, t.c.fence, t.c.state, t.c.doubt, t.c.expires_at)
    .where(
        t.c.state.in_(_CLAIMABLE),
        t.c.due_at.is_not(None),  # as the index says it
        t.c.expires_at <= bindparam("now"),
    )
    .order_by(t.c.expires_at)
    .limit(500)
)
_MOVE = (
    update(t)
    .where(
        t.c.id == bindparam("transfer_id"),
        t.c.state == bindparam("from_state"),
        t.c.fence == bindparam("held"),
    )
    .values(
        state=bindparam("to_state"),
        due_at=bindparam("to_due"),
        doubt=bindparam("to_doubt"),
        hold_cause=bindparam("to_cause"),
        fence=t.c.fence + 1,
        lease_until=None,
        moved_at=bindparam("now"),
    )
)
_SETTLE = (
    update(t)
    .where(
        t.c.id == bindparam("transfer_id"),
        t.c.state.in_(
            [s.value for s, to in TRANSFER_TRANSITIONS.items() if TransferState.ON_AXIS in to]
        ),
    )
    .values(
        state=TransferState.ON_AXIS.value,
        due_at=None,
        lease_until=None,
        hold_cause="",
        remote_ref=_REF,
        fence=t.c.fence + 1,
        moved_at=bindparam("now"),
    )
)
_SEAL = (
    update(t)
    .where(
        t.c.record_id.in_(bindparam("records", expanding=True)),
        t.c.state == TransferState.ACCEPTED.value,
    )
    .values(
        state=TransferState.SEALED.value,
        # a replay may be due later, so that many of them leave one after another
        due_at=case((t.c.due_at > bindparam("now"), t.c.due_at), else_=bindparam("now")),
        moved_at=bindparam("now"),
    )
    .returning(t.c.lane, t.c.kind)
)
_ROW = [t.c[name] for name in TransferRow._fields]
_OF_DOCUMENTS = (
    select(*_ROW)
    .where(t.c.document_ref.in_(bindparam("refs", expanding=True)))
    .order_by(t.c.accepted_at, t.c.id)
)
_BY_ID = select(*_ROW).where(t.c.id == bindparam("id"))
_R = [recipient.c[name] for name in RecipientRow._fields]
_RECIPIENTS = (
    select(*_R)
    .where(recipient.c.transfer_id.in_(bindparam("ids", expanding=True)))
    .order_by(recipient.c.transfer_id, recipient.c.agency_key)
)
_LOCKED_RECIPIENTS = _RECIPIENTS.with_for_update()
_MOVE_RECIPIENT = (
    update(recipient)
    .where(
        recipient.c.transfer_id == bindparam("of"),
        recipient.c.agency_key == bindparam("who"),
    )
    .values(
        state=bindparam("to_state"),
        status_code=bindparam("to_code"),
        on_axis_at=func.coalesce(recipient.c.on_axis_at, bindparam("seen", type_=Instant())),
        entered_at=bindparam("entered"),
        entered_source=bindparam("entered_from"),
        moved_at=bindparam("now"),
    )
)
_INSERT_STATUS = insert(status_event)
_STATUSES = (
    select(status_event.c.agency_key, status_event.c.code, status_event.c.timestamp)
    .where(status_event.c.document_ref == bindparam("ref"))
    .order_by(status_event.c.timestamp, status_event.c.received_at)
)
_SAID_BY = (
    select(status_event.c.code, status_event.c.timestamp, status_event.c.received_at)
    .where(
        status_event.c.document_ref == bindparam("ref"),
        status_event.c.agency_key == bindparam("who"),
    )
    .order_by(status_event.c.received_at, status_event.c.id)
)
_ATTEMPTS = (
    select(
        attempt.c.number,
        attempt.c.started_at,
        attempt.c.ended_at,
        attempt.c.outcome,
        attempt.c.code,
        attempt.c.detail,
    )
    .where(attempt.c.transfer_id == bindparam("of"))
    .order_by(attempt.c.number)
)


def renew(tx: Tx, transfer_id: str, fence: int, *, now: datetime, until: datetime) -> bool:
    """Prolong a lease that is still ours; False when it is lost."""
    params = {"transfer_id": transfer_id, "held": fence, "now": now, "until": until}
    return tx.execute(_RENEW, params).count == 1


def end_attempt(
    tx: Tx,
    claim: Claim,
    said: str,
    ending: Ending,
    *,
    from_state: TransferState = TransferState.SENDING,
    seen: datetime,
    now: datetime,
) -> bool | None:
    """End the attempt that `claim` began. False: the transfer moved on without it.

    None: this attempt has its end already (a repeated write after an unknown commit). `seen`:
    when the outcome came, as its record says; `now`: the database's clock. Raises Broken for an
    end that no walk of the table reaches.
    """
    allowed(from_state, ending.state)
    ended = tx.execute(
        _END_ATTEMPT,
        {
            "of": claim.id,
            "held": claim.fence,
            "seen": seen,
            "said": said,
            "to_code": ending.code,
            "to_detail": ending.detail,
        },
    ).count
    if not ended:
        return None
    moved = tx.execute(
        _END,
        {
            "transfer_id": claim.id,
            "held": claim.fence,
            "from_state": from_state.value,
            "to_state": ending.state.value,
            "to_due": ending.due_at,
            "to_doubt": ending.doubt,
            "to_code": ending.code,
            "to_detail": ending.detail,
            "to_equal": ending.equal_answers,
            "to_ref": ending.remote_ref,
            "to_cause": ending.hold_cause,
            "now": now,
        },
    ).count
    if moved:
        _let_go(tx, claim.id, ending.state, now)
    return moved == 1


def _let_go(tx: Tx, transfer_id: str, state: TransferState, now: datetime) -> None:
    """With its end, in the same commit: whoever waits behind it moves up."""
    if state not in UNFINISHED:
        families.let_go(tx, transfer_id, now)


def arrive_on_axis(tx: Tx, transfer_id: str, *, seen: datetime, now: datetime) -> None:
    tx.execute(_ARRIVE, {"of": transfer_id, "seen": seen, "now": now})


class Stale(NamedTuple):
    id: str
    document_ref: str
    axis: str
    fence: int
    attempts: int
    lease_until: datetime


def stale(tx: Tx, now: datetime) -> list[Stale]:
    """Attempts whose lease ran out: their process is gone or hangs."""
    return [Stale._make(row) for row in tx.execute(_STALE, {"now": now}).all()]


def sending(tx: Tx) -> list[Stale]:
    """Every attempt under way. Only the holder of the database lock may take them over at once."""
    return [Stale._make(row) for row in tx.execute(_SENDING).all()]


class Lapsed(NamedTuple):
    id: str
    document_ref: str
    axis: str
    fence: int
    state: str
    doubt: bool
    expires_at: datetime


def past_lifetime(tx: Tx, now: datetime) -> list[Lapsed]:
    return [Lapsed._make(row) for row in tx.execute(_PAST_LIFETIME, {"now": now}).all()]


def move(
    tx: Tx,
    transfer_id: str,
    *,
    fence: int,
    old: TransferState,
    new: TransferState,
    doubt: bool,
    now: datetime,
    due_at: datetime | None = None,
    hold_cause: str = "",
) -> bool:
    """One step outside an attempt (takeover, lifetime, settling). The fence moves on with it.

    Raises Broken for a step that the table does not know.
    """
    allowed(old, new)
    moved = tx.execute(
        _MOVE,
        {
            "transfer_id": transfer_id,
            "held": fence,
            "from_state": old.value,
            "to_state": new.value,
            "to_due": due_at,
            "to_doubt": doubt,
            "to_cause": hold_cause,
            "now": now,
        },
    ).count
    if moved:
        _let_go(tx, transfer_id, new, now)
    return moved == 1


def settle_on_axis(tx: Tx, transfer_id: str, *, now: datetime, remote_ref: str = "") -> bool:
    """A recipient's own word, or a late verdict, says that the package did get there.

    From every state that the table lets go there, an attempt under way included: its lease is
    over, and its last chunk stays here. False: the state allows no such step.
    """
    params = {"transfer_id": transfer_id, "to_ref": remote_ref, "now": now}
    moved = tx.execute(_SETTLE, params).count
    if moved:
        _let_go(tx, transfer_id, TransferState.ON_AXIS, now)
    return moved == 1


class Sealed(NamedTuple):
    """`urgent`: of them, documents of the lanes hỏa tốc and thượng khẩn."""

    moved: int
    urgent: int


def mark_sealed(tx: Tx, record_ids: Sequence[str], now: datetime) -> Sealed:
    if not record_ids:
        return Sealed(0, 0)
    rows = tx.execute(_SEAL, {"records": list(record_ids), "now": now}).all()
    urgent = [lane for lane, kind in rows if lane <= URGENT and kind == PackageKind.DOCUMENT.value]
    return Sealed(len(rows), len(urgent))


def of_documents(tx: Tx, refs: Sequence[str]) -> list[TransferRow]:
    return [TransferRow._make(r) for r in tx.execute(_OF_DOCUMENTS, {"refs": list(refs)}).all()]


def by_id(tx: Tx, transfer_id: str) -> TransferRow | None:
    row = tx.execute(_BY_ID, {"id": transfer_id}).one_or_none()
    return None if row is None else TransferRow._make(row)


def recipients_of(tx: Tx, transfer_ids: Sequence[str], *, lock: bool = False) -> list[RecipientRow]:
    """`lock`: keep them still until the commit, because what is read decides what is written."""
    asked = _LOCKED_RECIPIENTS if lock else _RECIPIENTS
    rows = tx.execute(asked, {"ids": list(transfer_ids)}).all()
    return [RecipientRow._make(row) for row in rows]


def move_recipient(
    tx: Tx,
    old: RecipientRow,
    *,
    state: RecipientState,
    code: str,
    seen: datetime,
    entered_at: datetime | None,
    entered_source: str,
    now: datetime,
) -> None:
    tx.execute(
        _MOVE_RECIPIENT,
        {
            "of": old.transfer_id,
            "who": old.agency_key,
            "to_state": state.value,
            "to_code": code,
            "seen": seen,
            "entered": entered_at,
            "entered_from": entered_source,
            "now": now,
        },
    )


def keep_status(tx: Tx, row: Mapping[str, Any]) -> None:
    """Row: id, received_at, document_ref, agency_key, code, timestamp, arrival_id."""
    tx.put(_INSERT_STATUS, row)


def statuses(tx: Tx, document_ref: str) -> list[tuple[str, str, str]]:
    """(agency_key, code, timestamp) in the order of their own timestamps, then of arrival."""
    rows = tx.execute(_STATUSES, {"ref": document_ref}).all()
    return [(str(r[0]), str(r[1]), str(r[2])) for r in rows]


class SaidStatus(NamedTuple):
    code: str
    timestamp: str
    received_at: datetime


def said_by(tx: Tx, document_ref: str, agency_key: str) -> list[SaidStatus]:
    """What one recipient said of a document, in the order in which it came."""
    rows = tx.execute(_SAID_BY, {"ref": document_ref, "who": agency_key}).all()
    return [SaidStatus._make(row) for row in rows]


class Queued(NamedTuple):
    transfer: TransferRow
    document_id: str


@lru_cache(maxsize=len(TransferState))
def in_states(number: int) -> Select[Any]:
    """A page of the queue in so many states (`state_0`, ...)."""
    listed = text(f"transfer.{LISTED_TRANSFERS}")
    page = page_of(t, ([listed, t.c.state == bindparam(f"state_{n}")] for n in range(number)))
    return (
        select(*_ROW, document.c.document_id)
        .join(page, page.c.id == t.c.id)
        .join(document, document.c.id == t.c.document_ref)
        .order_by(t.c.lane, t.c.id)
    )


def queue(tx: Tx, *, states: Sequence[str], after: tuple[int, str], most: int) -> list[Queued]:
    """Transfers in the given states, urgent lanes first, after the cursor (lane, id).

    A page costs the same behind a million as behind ten.
    """
    asked = sorted(set(states))
    if not asked:
        return []
    params = {"after_lane": after[0], "after_id": after[1], "most": most}
    named = {f"state_{n}": state for n, state in enumerate(asked)}
    rows = tx.execute(in_states(len(asked)), {**params, **named}).all()
    return [Queued(TransferRow._make(row[:-1]), row[-1]) for row in rows]


class AttemptRow(NamedTuple):
    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    code: str
    detail: str


def attempts_of(tx: Tx, transfer_id: str) -> list[AttemptRow]:
    return [AttemptRow._make(r) for r in tx.execute(_ATTEMPTS, {"of": transfer_id}).all()]
