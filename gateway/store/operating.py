"""What a person at the queue reads and changes: one transfer at a time, the dead, their replays.

A transfer is read under its lock and moved by its fence, so that an attempt that ends at the same
moment and a person never both decide. One transfer has at most one replay: the key of `replay_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, exists, func, insert, or_, select, text, update

from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.transfer import TransferState
from gateway.store import families
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import (
    DEAD_TRANSFERS,
    arrival,
    attempt,
    document,
    fetch,
    pending,
    recipient,
)
from gateway.store.tables import transfer as t


class Standing(NamedTuple):
    """A transfer as a person finds it. `moved_at`: on the database's clock, as `due_at` is."""

    id: str
    document_ref: str
    kind: str
    axis: str
    state: str
    lane: int
    due_at: datetime | None
    doubt: bool
    attempts: int
    sender: str
    package_sha256: str
    package_size: int
    fence: int
    last_code: str
    hold_cause: str
    record_id: str
    replay_of: str | None
    moved_at: datetime
    due_date: str | None


class Dead(NamedTuple):
    """`document_id` as the package says it."""

    transfer: Standing
    document_id: str


class DeadFetch(NamedTuple):
    axis: str
    axis_doc_id: str
    kind: str
    sender: str
    receiver: str
    listed_at: datetime
    last_code: str


class DeadArrival(NamedTuple):
    id: str
    axis: str
    axis_doc_id: str
    kind: str
    state: str
    received_at: datetime
    sender: str
    listed_from: str
    document_id: str
    findings: Sequence[Mapping[str, Any]]


_COLUMNS = [t.c[name] for name in Standing._fields]
_STANDING = select(*_COLUMNS).where(t.c.id == bindparam("id")).with_for_update()
_OF_DOCUMENT = (
    select(*_COLUMNS).where(t.c.document_ref == bindparam("ref")).order_by(t.c.id).with_for_update()
)
_HELD_FOR = (
    select(*_COLUMNS)
    .where(
        t.c.axis == bindparam("on_axis"),
        t.c.state == TransferState.HELD.value,
        t.c.hold_cause == bindparam("cause"),
    )
    .order_by(t.c.id)
    .limit(bindparam("most"))
)
_WAITS_FOR_SEAL = (
    select(pending.c.record_id).where(pending.c.record_id == bindparam("id")).with_for_update()
)
_RELEASE = (
    update(t)
    .where(
        t.c.id == bindparam("transfer_id"),
        t.c.fence == bindparam("held"),
        t.c.state == TransferState.HELD.value,
    )
    .values(
        state=bindparam("to_state"),
        due_at=bindparam("to_due"),
        expires_at=bindparam("to_expires"),
        equal_answers=0,
        hold_cause="",
        fence=t.c.fence + 1,
        moved_at=bindparam("now"),
    )
)
_DUE_NOW = (
    update(t)
    .where(
        t.c.id == bindparam("transfer_id"),
        t.c.fence == bindparam("held"),
        t.c.state == bindparam("from_state"),
    )
    .values(due_at=bindparam("now"))
)
_LAST_STARTED = select(func.max(attempt.c.started_at)).where(
    attempt.c.transfer_id == bindparam("of")
)
_again = t.alias("again")
_NEVER_REPLAYED = ~exists(select(_again.c.id).where(_again.c.replay_of == t.c.id))
_dead: Select[Any] = (
    select(*_COLUMNS, document.c.document_id)
    .join(document, document.c.id == t.c.document_ref)
    .where(text(f"transfer.{DEAD_TRANSFERS}"), _NEVER_REPLAYED)
    .limit(bindparam("most"))
)
_DEAD = _dead.where(
    or_(
        t.c.moved_at < bindparam("before_at"),
        and_(t.c.moved_at == bindparam("before_at"), t.c.id < bindparam("before_id")),
    )
).order_by(t.c.moved_at.desc(), t.c.id.desc())
_ENDED = _dead.where(
    t.c.state != TransferState.HELD.value,
    t.c.moved_at >= bindparam("start"),
    t.c.moved_at < bindparam("end"),
    or_(
        t.c.moved_at > bindparam("after_at"),
        and_(t.c.moved_at == bindparam("after_at"), t.c.id > bindparam("after_id")),
    ),
).order_by(t.c.moved_at, t.c.id)
_HELD_SINCE = _dead.where(
    t.c.state == TransferState.HELD.value,
    t.c.moved_at >= bindparam("start"),
    t.c.moved_at < bindparam("end"),
).order_by(t.c.moved_at, t.c.id)
_beside = recipient.alias("beside")
_DEAD_OF = (
    select(*_COLUMNS, document.c.document_id)
    .join(document, document.c.id == t.c.document_ref)
    .where(
        t.c.document_ref.in_(bindparam("refs", expanding=True)),
        t.c.state.in_([TransferState.REFUSED.value, TransferState.EXPIRED.value]),
        _NEVER_REPLAYED,
        exists(
            select(recipient.c.transfer_id)
            .join(_beside, _beside.c.agency_key == recipient.c.agency_key)
            .where(recipient.c.transfer_id == t.c.id, _beside.c.transfer_id == bindparam("of"))
        ),
    )
    .order_by(document.c.accepted_at, document.c.id, t.c.id)
)
_FETCHES = (
    select(*[fetch.c[name] for name in DeadFetch._fields])
    .where(
        fetch.c.state == FetchState.HELD.value,
        or_(
            fetch.c.axis > bindparam("after_axis"),
            and_(fetch.c.axis == bindparam("after_axis"), fetch.c.axis_doc_id > bindparam("after")),
        ),
    )
    .order_by(fetch.c.axis, fetch.c.axis_doc_id)
    .limit(bindparam("most"))
)
_RELEASE_FETCH = (
    update(fetch)
    .where(
        fetch.c.axis == bindparam("on_axis"),
        fetch.c.axis_doc_id == bindparam("doc_id"),
        fetch.c.state == FetchState.HELD.value,
    )
    .values(
        state=FetchState.DUE.value,
        due_at=bindparam("now"),
        equal_failures=0,
        lease_until=None,
        fence=fetch.c.fence + 1,
    )
)
_FETCH_STATE = select(fetch.c.state).where(
    fetch.c.axis == bindparam("on_axis"), fetch.c.axis_doc_id == bindparam("doc_id")
)
_ARRIVALS = (
    select(*[arrival.c[name] for name in DeadArrival._fields])
    .where(
        arrival.c.state == ArrivalState.QUARANTINED.value,
        or_(
            arrival.c.received_at < bindparam("before_at"),
            and_(
                arrival.c.received_at == bindparam("before_at"), arrival.c.id < bindparam("before")
            ),
        ),
    )
    .order_by(arrival.c.received_at.desc(), arrival.c.id.desc())
    .limit(bindparam("most"))
)
_REPLAY_OF = select(t.c.id).where(t.c.replay_of == bindparam("id"))
_LAST_SLOT = select(func.max(t.c.due_at)).where(
    t.c.pace_ms.is_not(None),
    t.c.due_at.is_not(None),  # as the index says it
    t.c.state.in_([TransferState.ACCEPTED.value, TransferState.SEALED.value]),
)
_INSERT_REPLAY = insert_or_ignore(t)
_INSERT_RECIPIENT = insert(recipient)


def standing(tx: Tx, transfer_id: str) -> Standing | None:
    """One transfer, kept still until the commit."""
    row = tx.execute(_STANDING, {"id": transfer_id}).one_or_none()
    return None if row is None else Standing._make(row)


def of_document(tx: Tx, document_ref: str) -> list[Standing]:
    """Every transfer of one document, kept still until the commit."""
    return [Standing._make(row) for row in tx.execute(_OF_DOCUMENT, {"ref": document_ref}).all()]


def held_for(tx: Tx, axis: str, cause: str, most: int) -> list[Standing]:
    """Transfers that are HELD for one cause, by id. Not locked: `release` asks for the fence."""
    params = {"on_axis": axis, "cause": cause, "most": most}
    return [Standing._make(row) for row in tx.execute(_HELD_FOR, params).all()]


def waits_for_seal(tx: Tx, record_id: str) -> bool:
    """Whether a record has no entry yet. Until the commit the sealer cannot take it: on PostgreSQL
    it would find the transfer in neither state, and leave it ACCEPTED for ever.
    """
    return tx.execute(_WAITS_FOR_SEAL, {"id": record_id}).first() is not None


def release(
    tx: Tx,
    row: Standing,
    *,
    state: TransferState,
    due_at: datetime | None,
    expires_at: datetime,
    now: datetime,
) -> bool:
    """HELD goes on, with a new lifetime and without the equal answers of before."""
    params = {
        "transfer_id": row.id,
        "held": row.fence,
        "to_state": state.value,
        "to_due": due_at,
        "to_expires": expires_at,
        "now": now,
    }
    return tx.execute(_RELEASE, params).count == 1


def due_now(tx: Tx, row: Standing, now: datetime) -> bool:
    """The same state, its next attempt at once."""
    params = {"transfer_id": row.id, "held": row.fence, "from_state": row.state, "now": now}
    return tx.execute(_DUE_NOW, params).count == 1


def last_started(tx: Tx, transfer_id: str) -> datetime | None:
    """When the last attempt began, on the wall clock; None before the first."""
    value = tx.execute(_LAST_STARTED, {"of": transfer_id}).scalar()
    return value if isinstance(value, datetime) else None


# -- the dead --------------------------------------------------------------------------------------


def _rows(found: Sequence[Any]) -> list[Dead]:
    return [Dead(Standing._make(row[:-1]), row[-1]) for row in found]


def dead(tx: Tx, *, before: tuple[datetime, str], most: int) -> list[Dead]:
    """REFUSED, EXPIRED and HELD transfers that were not replayed, the newest first."""
    params = {"before_at": before[0], "before_id": before[1], "most": most}
    return _rows(tx.execute(_DEAD, params).all())


def ended(
    tx: Tx, *, start: datetime, end: datetime, after: tuple[datetime, str], most: int
) -> list[Dead]:
    """REFUSED and EXPIRED in [start, end) and not replayed, the oldest first."""
    params = {
        "start": start,
        "end": end,
        "after_at": after[0],
        "after_id": after[1],
        "most": most,
    }
    return _rows(tx.execute(_ENDED, params).all())


def held_between(tx: Tx, *, start: datetime, end: datetime, most: int) -> list[Dead]:
    """HELD since an instant in [start, end), the oldest first."""
    return _rows(tx.execute(_HELD_SINCE, {"start": start, "end": end, "most": most}).all())


def dead_before(tx: Tx, one: Standing) -> list[Dead]:
    """REFUSED, EXPIRED and not replayed, of documents before this one in its family, and to one of
    its receivers; as they were accepted.
    """
    family = families.relatives(tx, one.document_ref)
    if not family.before:
        return []
    return _rows(tx.execute(_DEAD_OF, {"refs": sorted(family.before), "of": one.id}).all())


def held_fetches(tx: Tx, *, after: tuple[str, str], most: int) -> list[DeadFetch]:
    """Fetches given up for now, in the order of axis and docId."""
    params = {"after_axis": after[0], "after": after[1], "most": most}
    return [DeadFetch._make(row) for row in tx.execute(_FETCHES, params).all()]


def release_fetch(tx: Tx, axis: str, doc_id: str, now: datetime) -> bool:
    """HELD -> DUE, and due at once; False when it is not held."""
    return tx.execute(_RELEASE_FETCH, {"on_axis": axis, "doc_id": doc_id, "now": now}).count == 1


def fetch_state(tx: Tx, axis: str, doc_id: str) -> str | None:
    value = tx.execute(_FETCH_STATE, {"on_axis": axis, "doc_id": doc_id}).scalar()
    return None if value is None else str(value)


def quarantined(tx: Tx, *, before: tuple[datetime, str], most: int) -> list[DeadArrival]:
    """Arrivals in quarantine, the newest first."""
    params = {"before_at": before[0], "before": before[1], "most": most}
    return [DeadArrival._make(row) for row in tx.execute(_ARRIVALS, params).all()]


# -- replays ---------------------------------------------------------------------------------------


def replay_of(tx: Tx, transfer_id: str) -> str | None:
    """The id of the replay that this transfer has, if any."""
    value = tx.execute(_REPLAY_OF, {"id": transfer_id}).scalar()
    return None if value is None else str(value)


def last_slot(tx: Tx) -> datetime | None:
    """When the last of the periods' replays that wait for their turn is due, or was."""
    value = tx.execute(_LAST_SLOT).scalar()
    return value if isinstance(value, datetime) else None


def add_replay(
    tx: Tx,
    old: Standing,
    *,
    new_id: str,
    record_id: str,
    accepted_at: datetime,
    due_at: datetime | None,
    expires_at: datetime,
    now: datetime,
    recipients: Sequence[tuple[str, str]],
    pace_ms: int | None = None,
) -> bool:
    """The same bytes to the same receivers (key, code), ACCEPTED. False: it has a replay already.

    `due_at`: not before then; None: as soon as it is sealed. `pace_ms`: see `pacing`. It takes its
    document's place in the family (`families`), and the deadline of the old one.
    """
    turn = families.turn_of_replay(tx, old.document_ref, [key for key, _ in recipients])
    if turn.after:  # an act on it could leave now: it is not kept waiting for a slot
        due_at = pace_ms = None
    made = tx.execute(
        _INSERT_REPLAY.on(tx),
        {
            "id": new_id,
            "document_ref": old.document_ref,
            "kind": old.kind,
            "axis": old.axis,
            "state": TransferState.ACCEPTED.value,
            "lane": old.lane,
            "due_at": due_at,
            "doubt": False,
            "attempts": 0,
            "sender": old.sender,
            "package_sha256": old.package_sha256,
            "package_size": old.package_size,
            "accepted_at": accepted_at,
            "expires_at": expires_at,
            "fence": 0,
            "equal_answers": 0,
            "record_id": record_id,
            "replay_of": old.id,
            "behind": len(turn.before),
            "due_date": old.due_date,
            "pace_ms": pace_ms,
            "destination": recipients[0][0] if len(recipients) == 1 else "",
            "moved_at": now,
        },
    ).count
    if made:
        families.line_up(tx, {new_id: turn.before})
        families.put_behind(tx, new_id, turn.after)
        tx.put(
            _INSERT_RECIPIENT,
            [
                {
                    "transfer_id": new_id,
                    "agency_key": key,
                    "agency": code,
                    "state": "PENDING",
                    "moved_at": now,
                }
                for key, code in recipients
            ],
        )
    return made == 1
