"""The pace of a period's replays, kept when they leave and not only when they were made.

A replay of a period is due a pace after the one before it. An axis that stood still, a gateway or
a sealer that did, makes many of them due at once: whoever comes to take them spaces them anew from
that moment, so that an axis just back gets no more in a minute than it was meant to. Each axis by
itself; what was late by less than SLACK goes as it is. Lifetimes are not prolonged.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import bindparam, literal_column, select, update

from gateway.model.transfer import TransferState
from gateway.store.session import Tx
from gateway.store.tables import transfer as t
from gateway.store.types import Instant

SLACK = timedelta(seconds=10)
# those that were never tried; what was tried in vain has the pauses of the retry policy
_NOT_TRIED = [TransferState.ACCEPTED.value, TransferState.SEALED.value]
_IN_TURN = (
    select(t.c.id, t.c.due_at, t.c.pace_ms)
    .where(
        t.c.axis == bindparam("on_axis"),
        t.c.pace_ms.is_not(None),
        t.c.due_at.is_not(None),  # as the index says it
        t.c.state.in_(_NOT_TRIED),
        t.c.behind == literal_column("0"),
    )
    .order_by(t.c.due_at, t.c.id)
    # one that another process spaces or takes at this moment is left to it
    .with_for_update(skip_locked=True, key_share=True)
)
_SPACE = (
    update(t)
    .where(t.c.id == bindparam("transfer_id"))
    .values(due_at=bindparam("to_due", type_=Instant()))
)


def together(due: Iterable[tuple[datetime, int]], now: datetime) -> bool:
    """Whether replays that are due, each with its pace in ms, would leave faster than they may."""
    waiting = sorted(due)
    if not waiting:
        return False
    paces = sum(pace for _, pace in waiting[1:])
    return waiting[0][0] < now - SLACK or timedelta(milliseconds=paces) > SLACK


def space(tx: Tx, axis: str, now: datetime) -> None:
    """None is due before `now`, and each its pace after the one before it, in their order."""
    moved, free = [], now
    for n, (transfer_id, due_at, pace_ms) in enumerate(tx.execute(_IN_TURN, {"on_axis": axis})):
        earliest = free + timedelta(milliseconds=pace_ms) if n else now
        if due_at >= earliest:
            break  # and those behind it are as they were made
        moved.append({"transfer_id": transfer_id, "to_due": earliest})
        free = earliest
    if moved:
        tx.execute(_SPACE, moved)
