"""Reconciliation's rows: what we know of one axis' days, runs under way, signed reports.

Everything that is read is read in pages: a day of a province does not fit into one answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, insert, or_, select, update

from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.package import PackageKind
from gateway.model.transfer import RecipientState, TransferState
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import (
    arrival,
    document,
    fetch,
    inbox_item,
    recipient,
    reconciliation,
    reconciliation_page,
    record,
)
from gateway.store.tables import transfer as t


class SentRow(NamedTuple):
    """A transfer with the little of its document that counts here."""

    id: str
    document_ref: str
    document_id: str
    kind: str
    state: str
    doubt: bool
    attempts: int
    remote_ref: str
    accepted_at: datetime
    header: Mapping[str, Any]


class FetchRow(NamedTuple):
    axis_doc_id: str
    state: str
    listed_at: datetime


class ArrivalRow(NamedTuple):
    axis_doc_id: str
    state: str
    received_at: datetime


class Doubled(NamedTuple):
    """An arrival that doubled one that was there; `of`: the ids that first brought it."""

    axis_doc_id: str
    document_id: str
    received_at: datetime
    of: tuple[str, ...]


class Page(NamedTuple):
    """How far a run has come: `after` begins the next page, `found` is this one's yield."""

    run_id: str
    page: int
    after: Mapping[str, Any]
    found: Mapping[str, Any]
    at: datetime


class Made(NamedTuple):
    """A report as it stands in the store."""

    id: str
    axis: str
    day: str
    once: str
    made_at: datetime
    counts: Mapping[str, int]
    report: bytes
    note: str
    record_id: str


def daily_key(axis: str, day: str) -> str:
    """`once` of the daily report: one for each axis and day."""
    return f"{axis}/{day}"


class Listed(NamedTuple):
    id: str
    axis: str
    day: str
    once: str
    made_at: datetime
    counts: Mapping[str, int]

    @property
    def daily(self) -> bool:
        return self.once == daily_key(self.axis, self.day)


_SENT = (
    select(
        t.c.id,
        t.c.document_ref,
        document.c.document_id,
        t.c.kind,
        t.c.state,
        t.c.doubt,
        t.c.attempts,
        t.c.remote_ref,
        t.c.accepted_at,
        document.c.header,
    )
    .join(document, document.c.id == t.c.document_ref)
    .where(
        t.c.axis == bindparam("on_axis"),
        t.c.accepted_at >= bindparam("begin"),
        t.c.accepted_at < bindparam("end"),
        or_(
            t.c.accepted_at > bindparam("after_at"),
            and_(t.c.accepted_at == bindparam("after_at"), t.c.id > bindparam("after_id")),
        ),
    )
    .order_by(t.c.accepted_at, t.c.id)
    .limit(bindparam("most"))
)
_SILENT = exists().where(
    recipient.c.transfer_id == t.c.id,
    recipient.c.status_code == "",
    recipient.c.state.in_([RecipientState.PENDING.value, RecipientState.ON_AXIS.value]),
)
_ENDED = [
    s.value
    for s in (
        TransferState.REFUSED,
        TransferState.EXPIRED,
        TransferState.WITHDRAWN,
        TransferState.REROUTED,
    )
]
_OPEN = _SENT.where(
    t.c.state.not_in(_ENDED),
    or_(
        t.c.state != TransferState.ON_AXIS.value,
        and_(t.c.kind == PackageKind.DOCUMENT.value, _SILENT),
    ),
)
_ENDED_ATTEMPTS = select(record.c.body).where(
    record.c.document_ref.in_(bindparam("refs", expanding=True)),
    record.c.event == bindparam("word"),
)
_OURS = select(t.c.remote_ref).where(
    t.c.axis == bindparam("on_axis"), t.c.remote_ref.in_(bindparam("refs", expanding=True))
)
_FETCHES = select(fetch.c.axis_doc_id, fetch.c.state, fetch.c.listed_at).where(
    fetch.c.axis == bindparam("on_axis"), fetch.c.axis_doc_id.in_(bindparam("ids", expanding=True))
)
_ARRIVALS = select(arrival.c.axis_doc_id, arrival.c.state, arrival.c.received_at).where(
    arrival.c.axis == bindparam("on_axis"),
    arrival.c.axis_doc_id.in_(bindparam("ids", expanding=True)),
)
_UNFETCHED = (
    select(fetch.c.axis_doc_id, fetch.c.state, fetch.c.listed_at)
    .where(
        fetch.c.axis == bindparam("on_axis"),
        fetch.c.state.in_([FetchState.DUE.value, FetchState.HELD.value]),
    )
    .order_by(fetch.c.due_at, fetch.c.axis_doc_id)
    .limit(bindparam("most"))
)
_UNOPENED = (
    select(arrival.c.axis_doc_id, arrival.c.state, arrival.c.received_at)
    .where(
        arrival.c.axis == bindparam("on_axis"),
        arrival.c.state == ArrivalState.RECEIVED.value,
        arrival.c.received_at <= bindparam("before"),
    )
    .order_by(arrival.c.received_at)
    .limit(bindparam("most"))
)
_DOUBLED = (
    select(arrival.c.axis_doc_id, arrival.c.document_id, arrival.c.received_at, arrival.c.identity)
    .where(
        arrival.c.axis == bindparam("on_axis"),
        arrival.c.state == ArrivalState.DUPLICATE.value,
        arrival.c.kind == PackageKind.DOCUMENT.value,
        arrival.c.received_at >= bindparam("begin"),
        arrival.c.received_at < bindparam("end"),
        arrival.c.axis_doc_id > bindparam("after_id"),
    )
    .order_by(arrival.c.axis_doc_id)
    .limit(bindparam("most"))
)
_FIRST = (
    select(inbox_item.c.identity, arrival.c.axis_doc_id)
    .join(arrival, arrival.c.id == inbox_item.c.arrival_id)
    .where(
        inbox_item.c.agency_key.in_(bindparam("keys", expanding=True)),
        inbox_item.c.identity.in_(bindparam("identities", expanding=True)),
        arrival.c.axis == bindparam("on_axis"),
    )
)
_LIST = insert_or_ignore(fetch)
_AGAIN = (
    update(fetch)
    .where(
        fetch.c.axis == bindparam("on_axis"),
        fetch.c.axis_doc_id == bindparam("doc_id"),
        fetch.c.state == FetchState.HELD.value,
    )
    .values(state=FetchState.DUE.value, due_at=bindparam("now"), lease_until=None)
)
_ADD_PAGE = insert(reconciliation_page)
_LAST_PAGE = (
    select(
        reconciliation_page.c.run_id,
        reconciliation_page.c.page,
        reconciliation_page.c.after,
        reconciliation_page.c.found,
        reconciliation_page.c.at,
    )
    .where(
        reconciliation_page.c.axis == bindparam("on_axis"),
        reconciliation_page.c.day == bindparam("of_day"),
    )
    .order_by(reconciliation_page.c.page.desc())
    .limit(1)
)
_FOUND = (
    select(reconciliation_page.c.found)
    .where(
        reconciliation_page.c.axis == bindparam("on_axis"),
        reconciliation_page.c.day == bindparam("of_day"),
        reconciliation_page.c.page == bindparam("number"),
    )
    .limit(1)
)
_RUN = (
    select(reconciliation_page.c.axis, reconciliation_page.c.day)
    .where(reconciliation_page.c.run_id == bindparam("run"))
    .limit(1)
)
_DROP_PAGES = delete(reconciliation_page).where(
    reconciliation_page.c.axis == bindparam("on_axis"),
    reconciliation_page.c.day == bindparam("of_day"),
)
_KEEP = insert(reconciliation)
_MADE = [reconciliation.c[name] for name in Made._fields]
_BY_ID = select(*_MADE).where(reconciliation.c.id == bindparam("id"))
_ONCE = select(*_MADE).where(reconciliation.c.once == bindparam("key"))
_NEWEST_DAILY = select(func.max(reconciliation.c.day)).where(
    reconciliation.c.axis == bindparam("on_axis"),
    # as `daily_key` says it; the others are named for their id
    reconciliation.c.once == reconciliation.c.axis + "/" + reconciliation.c.day,
)
_FIRST_SENT = select(func.min(t.c.accepted_at)).where(t.c.axis == bindparam("on_axis"))
_FIRST_KNOWN = (
    _FIRST_SENT,
    select(func.min(fetch.c.listed_at)).where(fetch.c.axis == bindparam("on_axis")),
    select(func.min(arrival.c.received_at)).where(arrival.c.axis == bindparam("on_axis")),
)
_SINCE_DAY = (
    select(*[reconciliation.c[name] for name in Listed._fields])
    .where(
        reconciliation.c.axis == bindparam("on_axis"), reconciliation.c.day >= bindparam("from_day")
    )
    .order_by(reconciliation.c.day, reconciliation.c.id)
)
_LISTED = (
    select(*[reconciliation.c[name] for name in Listed._fields])
    .where(
        or_(bindparam("on_axis") == "", reconciliation.c.axis == bindparam("on_axis")),
        or_(bindparam("of_day") == "", reconciliation.c.day == bindparam("of_day")),
        or_(bindparam("before") == "", reconciliation.c.id < bindparam("before")),
    )
    .order_by(reconciliation.c.id.desc())
    .limit(bindparam("most"))
)
_ALL = (
    select(*_MADE)
    .where(reconciliation.c.id > bindparam("after"))
    .order_by(reconciliation.c.id)
    .limit(bindparam("most"))
)


# -- what we know ----------------------------------------------------------------------------------


def sent_page(
    tx: Tx,
    axis: str,
    *,
    begin: datetime,
    end: datetime,
    after: tuple[datetime, str],
    most: int,
    only_open: bool,
) -> list[SentRow]:
    """Transfers of an axis accepted in [begin, end), oldest first, after the cursor.

    `only_open`: without those that came to their end, and the documents that were answered.
    """
    params = {
        "on_axis": axis,
        "begin": begin,
        "end": end,
        "after_at": after[0],
        "after_id": after[1],
        "most": most,
    }
    rows = tx.execute(_OPEN if only_open else _SENT, params).all()
    return [SentRow._make(row) for row in rows]


def bodies_of_attempts(tx: Tx, document_refs: Sequence[str], word: str) -> list[bytes]:
    """Records of ended attempts: the only place where every id an axis ever gave is kept."""
    if not document_refs:
        return []
    found = tx.scalars(_ENDED_ATTEMPTS, {"refs": list(document_refs), "word": word})
    return [bytes(body) for body in found]


def our_ids(tx: Tx, axis: str, refs: Sequence[str]) -> frozenset[str]:
    """Which of these ids transfers of ours on this axis have."""
    if not refs:
        return frozenset()
    return frozenset(tx.scalars(_OURS, {"on_axis": axis, "refs": list(refs)}))


def fetches(tx: Tx, axis: str, ids: Sequence[str]) -> dict[str, FetchRow]:
    if not ids:
        return {}
    rows = tx.execute(_FETCHES, {"on_axis": axis, "ids": list(ids)}).all()
    return {row[0]: FetchRow._make(row) for row in rows}


def arrivals(tx: Tx, axis: str, ids: Sequence[str]) -> dict[str, ArrivalRow]:
    if not ids:
        return {}
    rows = tx.execute(_ARRIVALS, {"on_axis": axis, "ids": list(ids)}).all()
    return {row[0]: ArrivalRow._make(row) for row in rows}


def unfetched(tx: Tx, axis: str, *, most: int) -> list[FetchRow]:
    """What the axis once listed and we do not have, what waits longest first."""
    rows = tx.execute(_UNFETCHED, {"on_axis": axis, "most": most}).all()
    return [FetchRow._make(row) for row in rows]


def unopened(tx: Tx, axis: str, *, before: datetime, most: int) -> list[ArrivalRow]:
    """What came before an instant and was not opened yet, oldest first."""
    rows = tx.execute(_UNOPENED, {"on_axis": axis, "before": before, "most": most}).all()
    return [ArrivalRow._make(row) for row in rows]


def doubled(
    tx: Tx,
    axis: str,
    *,
    begin: datetime,
    end: datetime,
    agency_keys: Sequence[str],
    after: str,
    most: int,
) -> list[Doubled]:
    """Documents received in [begin, end) that doubled one that came before."""
    params = {"on_axis": axis, "begin": begin, "end": end, "after_id": after, "most": most}
    rows = tx.execute(_DOUBLED, params).all()
    first: dict[str, set[str]] = {}
    if rows and agency_keys:
        asked = {
            "keys": list(agency_keys),
            "identities": [row[3] for row in rows],
            "on_axis": axis,
        }
        for identity, axis_doc_id in tx.execute(_FIRST, asked).all():
            first.setdefault(identity, set()).add(axis_doc_id)
    return [Doubled(row[0], row[1], row[2], tuple(sorted(first.get(row[3], ())))) for row in rows]


# -- fetching once more ----------------------------------------------------------------------------


def fetch_by_id(tx: Tx, axis: str, doc_id: str, kind: PackageKind, *, now: datetime) -> bool:
    """A package that the axis names by its id and never listed: due at once; False: known."""
    row = {
        "axis": axis,
        "axis_doc_id": doc_id,
        "kind": kind.value,
        "sender": "",
        "receiver": "",
        "state": FetchState.DUE.value,
        "listed_at": now,
        "due_at": now,
        "fence": 0,
        "tries": 0,
        "equal_failures": 0,
    }
    return tx.execute(_LIST.on(tx), row).count == 1


def fetch_again(tx: Tx, axis: str, doc_id: str, *, now: datetime) -> bool:
    """A held fetch is due once more; another equal failure holds it again at once."""
    return tx.execute(_AGAIN, {"on_axis": axis, "doc_id": doc_id, "now": now}).count == 1


# -- runs under way --------------------------------------------------------------------------------


def add_page(tx: Tx, axis: str, day: str, page: Page) -> None:
    """Violation: somebody else wrote this page."""
    tx.execute(_ADD_PAGE, {"axis": axis, "day": day, **page._asdict()})


def last_page(tx: Tx, axis: str, day: str) -> Page | None:
    row = tx.execute(_LAST_PAGE, {"on_axis": axis, "of_day": day}).one_or_none()
    return None if row is None else Page._make(row)


def found_on(tx: Tx, axis: str, day: str, number: int) -> Mapping[str, Any]:
    found = tx.execute(_FOUND, {"on_axis": axis, "of_day": day, "number": number}).scalar()
    return found if isinstance(found, Mapping) else {}


def run_of(tx: Tx, run_id: str) -> tuple[str, str] | None:
    """Axis and day of a run that has no report yet; None: there is no such run."""
    row = tx.execute(_RUN, {"run": run_id}).one_or_none()
    return None if row is None else (str(row[0]), str(row[1]))


def drop_pages(tx: Tx, axis: str, day: str) -> None:
    tx.execute(_DROP_PAGES, {"on_axis": axis, "of_day": day})


# -- reports ---------------------------------------------------------------------------------------


def keep(tx: Tx, made: Made) -> None:
    """Violation: the daily report of this axis and day is there already."""
    tx.execute(_KEEP, made._asdict())


def by_id(tx: Tx, made_id: str) -> Made | None:
    row = tx.execute(_BY_ID, {"id": made_id}).one_or_none()
    return None if row is None else Made._make(row)


def by_once(tx: Tx, once: str) -> Made | None:
    row = tx.execute(_ONCE, {"key": once}).one_or_none()
    return None if row is None else Made._make(row)


def newest_daily(tx: Tx, axis: str) -> str:
    """The last day of which there is a daily report; "" when there is none."""
    return str(tx.execute(_NEWEST_DAILY, {"on_axis": axis}).scalar() or "")


def first_known(tx: Tx, axis: str) -> datetime | None:
    """When an axis first had anything of ours: sent over it, listed by it, received from it.

    Reads all that the axis ever had: for once, not for each turn.
    """
    firsts = (tx.execute(asked, {"on_axis": axis}).scalar() for asked in _FIRST_KNOWN)
    return min((at for at in firsts if isinstance(at, datetime)), default=None)


def first_sent(tx: Tx, axis: str) -> datetime | None:
    """When something was first accepted for an axis: one seek, for each look."""
    at = tx.execute(_FIRST_SENT, {"on_axis": axis}).scalar()
    return at if isinstance(at, datetime) else None


def told_since(tx: Tx, axis: str, since: datetime, first_day: str) -> list[Listed]:
    """Of the newest day that has a daily report, and of each whose daily report was made after
    `since`, the last report: asked for again by a person, or the daily one. By day.

    `first_day`: where to begin; the newest day with a daily report is not before it, and of none
    before it can one have been made since then.
    """
    asked = {"on_axis": axis, "from_day": first_day}
    rows = [Listed._make(row) for row in tx.execute(_SINCE_DAY, asked)]
    last = {row.day: row for row in rows}
    daily = [row for row in rows if row.daily]
    return [last[row.day] for row in daily if row.made_at > since or row is daily[-1]]


def page(tx: Tx, *, axis: str, day: str, before: str, most: int) -> list[Listed]:
    """Newest first; `axis` and `day` "" for all, `before`: an id, for the next page."""
    params = {"on_axis": axis, "of_day": day, "before": before, "most": most}
    return [Listed._make(row) for row in tx.execute(_LISTED, params).all()]


def all_made(tx: Tx, after: str, most: int) -> list[Made]:
    """The whole table in the order of its ids, for `ledger verify`."""
    return [Made._make(row) for row in tx.execute(_ALL, {"after": after, "most": most}).all()]
