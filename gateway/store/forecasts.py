"""What a forecast of the queue needs: latest deliveries, nearest deadlines, names.

In:     a Tx; an axis; instants and days that bound each look.
Out:    instants and plain rows, never more than asked for.
Never:  writes; reads beyond the partial indexes of `transfer`, whose conditions it spells out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, select

from gateway.model.transfer import CLAIMABLE, TransferState
from gateway.store.session import Tx
from gateway.store.tables import document, turn
from gateway.store.tables import transfer as t
from gateway.store.watching import spelt

_MOST = bindparam("most", type_=Integer())
_WAITS = t.c.state.in_(spelt(CLAIMABLE))
_ROW = (t.c.id, t.c.document_ref, t.c.axis, t.c.lane, t.c.due_at, t.c.expires_at, t.c.due_date)
_DELIVERED = (
    select(t.c.moved_at)
    .where(
        t.c.axis == bindparam("on_axis"),
        t.c.state == spelt([TransferState.ON_AXIS])[0],
        t.c.moved_at > bindparam("since"),
    )
    .order_by(t.c.moved_at.desc())
    .limit(_MOST)
)
_LAPSING = (
    select(*_ROW)
    .where(_WAITS, t.c.expires_at <= bindparam("until"))
    .order_by(t.c.expires_at)
    .limit(_MOST)
)


def _falling_due(which: ColumnElement[bool]) -> Select[Any]:
    """Those of which the DueDate lies in [from_day, to_day), the earliest first."""
    day = t.c.due_date
    return (
        select(*_ROW)
        .where(
            which,
            day.is_not(None),
            day >= bindparam("from_day"),
            day < bindparam("to_day"),
        )
        .order_by(day)
        .limit(_MOST)
    )


def _past_by_axis(which: ColumnElement[bool]) -> Select[Any]:
    """Axis, and how many of those have a DueDate that is over."""
    past = (
        select(t.c.axis)
        .where(which, t.c.due_date.is_not(None), t.c.due_date < bindparam("today"))
        .order_by(t.c.due_date)
        .limit(_MOST)
        .subquery()
    )
    return select(past.c.axis, func.count()).group_by(past.c.axis)


_HELD = t.c.state == spelt([TransferState.HELD])[0]
_FALLING_DUE, _HELD_FALLING_DUE = _falling_due(_WAITS), _falling_due(_HELD)
_PAST_BY_AXIS, _HELD_PAST_BY_AXIS = _past_by_axis(_WAITS), _past_by_axis(_HELD)
_held = t.alias("held")
_BEHIND_HELD = (
    select(t.c.lane, func.count(t.c.id.distinct()))
    .select_from(turn)
    .join(_held, _held.c.id == turn.c.after_id)
    .join(t, t.c.id == turn.c.transfer_id)
    .where(
        _held.c.state == spelt([TransferState.HELD])[0],
        t.c.axis == bindparam("on_axis"),
        t.c.state.in_(spelt([*CLAIMABLE, TransferState.ACCEPTED])),
    )
    .group_by(t.c.lane)
)
_NAMES = select(document.c.id, document.c.document_id).where(
    document.c.id.in_(bindparam("refs", expanding=True))
)


class WaitingRow(NamedTuple):
    """A transfer that waits for its next attempt. `due_date`: yyyy-MM-dd, as its document says."""

    transfer_id: str
    document_ref: str
    axis: str
    lane: int
    due_at: datetime | None
    expires_at: datetime
    due_date: str | None


def delivered(tx: Tx, axis: str, *, since: datetime, most: int) -> list[datetime]:
    """When transfers of an axis came onto it, after `since`, the newest first."""
    params = {"on_axis": axis, "since": since, "most": most}
    return tx.scalars(_DELIVERED, params)


def lapsing(tx: Tx, *, until: datetime, most: int) -> list[WaitingRow]:
    """Transfers of all axes whose lifetime ends by `until`, the earliest first."""
    rows = tx.execute(_LAPSING, {"until": until, "most": most})
    return [WaitingRow._make(row) for row in rows]


def falling_due(tx: Tx, *, from_day: str, to_day: str, most: int) -> list[WaitingRow]:
    """Those whose DueDate lies in [from_day, to_day), the earliest first."""
    rows = tx.execute(_FALLING_DUE, {"from_day": from_day, "to_day": to_day, "most": most})
    return [WaitingRow._make(row) for row in rows]


def past_due(tx: Tx, *, today: str, most: int) -> dict[str, int]:
    """Axis -> waiting transfers whose DueDate is over; together at most `most`."""
    rows = tx.execute(_PAST_BY_AXIS, {"today": today, "most": most})
    return {str(axis): int(number) for axis, number in rows}


def held_falling_due(tx: Tx, *, from_day: str, to_day: str, most: int) -> list[WaitingRow]:
    """HELD ones whose DueDate lies in [from_day, to_day), the earliest first."""
    rows = tx.execute(_HELD_FALLING_DUE, {"from_day": from_day, "to_day": to_day, "most": most})
    return [WaitingRow._make(row) for row in rows]


def held_past_due(tx: Tx, *, today: str, most: int) -> dict[str, int]:
    """Axis -> HELD transfers whose DueDate is over; together at most `most`."""
    rows = tx.execute(_HELD_PAST_BY_AXIS, {"today": today, "most": most})
    return {str(axis): int(number) for axis, number in rows}


def behind_held(tx: Tx, axis: str) -> dict[int, int]:
    """Lane -> transfers that wait, of their family, for one that is HELD."""
    return {int(lane): int(n) for lane, n in tx.execute(_BEHIND_HELD, {"on_axis": axis})}


def names(tx: Tx, refs: Sequence[str]) -> dict[str, str]:
    """Document -> its DocumentId."""
    return {str(r[0]): str(r[1]) for r in tx.execute(_NAMES, {"refs": list(refs)})}
