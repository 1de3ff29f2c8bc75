"""The pace of a period's replays, kept when they leave and not only when they were made.

A replay of a period is due a pace after the one before it. An axis that stood still, a gateway or
a sealer that did, makes many of them due at once: whoever comes to take them spaces them anew from
that moment, so that an axis just back gets no more in a minute than it was meant to. Each axis by
itself; what is late by less than LATE goes as it is, so that an axis that is slower than the pace
has its queue written anew once a minute at most. Lifetimes are not prolonged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import bindparam, literal_column, select, update

from gateway.model.transfer import TransferState
from gateway.store.session import Tx
from gateway.store.tables import transfer as t
from gateway.store.types import Instant

SLACK = timedelta(seconds=10)  # of replays that have come too close to each other
LATE = timedelta(minutes=1)
_IN_TURN = (
    select(t.c.id, t.c.due_at, t.c.pace_ms, t.c.destination)
    .where(
        t.c.axis == bindparam("on_axis"),
        t.c.pace_ms.is_not(None),
        t.c.due_at.is_not(None),  # as the index says it
        # never tried: what was tried in vain has the pauses of the retry policy
        t.c.state.in_(bindparam("states", expanding=True)),
        t.c.behind == literal_column("0"),
        t.c.expires_at > bindparam("now"),
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
    """Whether replays that are due, each with its pace in ms, would leave faster than they may:
    the first is late by more than LATE, or they stand closer to each other than they were made.
    """
    waiting = sorted(due)
    if not waiting:
        return False
    short = sum(
        (
            max(timedelta(0), timedelta(milliseconds=pace) - (at - before))
            for (before, _), (at, pace) in pairwise(waiting)
        ),
        timedelta(0),
    )
    return waiting[0][0] < now - LATE or short > SLACK


def space(
    tx: Tx, axis: str, now: datetime, *, full: Collection[str] = (), unsealed: bool = False
) -> None:
    """None is due before `now`, and each its pace after the one before it, in their order.

    `full`: destinations that take no more at present. What goes there keeps its place: it must not
    hold up the others each time they come to go. `unsealed`: also those; not for who comes often,
    for the sealer waits meanwhile.
    """
    moved, free = [], now
    states = (TransferState.SEALED, TransferState.ACCEPTED) if unsealed else (TransferState.SEALED,)
    asked = {"on_axis": axis, "now": now, "states": [state.value for state in states]}
    rows = tx.execute(_IN_TURN, asked)
    going = [row for row in rows if row[3] not in full]
    for n, (transfer_id, due_at, pace_ms, _) in enumerate(going):
        earliest = free + timedelta(milliseconds=pace_ms) if n else now
        if due_at >= earliest:
            break  # and those behind it are as they were made
        moved.append({"transfer_id": transfer_id, "to_due": earliest})
        free = earliest
    if moved:
        tx.execute(_SPACE, moved)
