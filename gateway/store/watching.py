"""What stands still, counted: for the gauges and for /readyz.

In:     a Tx; names of axes and workers; limits.
Out:    numbers and instants.
Fails:  as every statement does.
Never:  reads what is done: each look goes into an index of what waits, or stops at `MOST`. Only
        `turned` and `expected` write: one row for each worker, and for each list of an axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    text,
    union_all,
)

from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.transfer import LANE_COUNT, UNFINISHED, TransferState
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore, insert_or_update
from gateway.store.tables import arrival, fetch, worker_turn
from gateway.store.tables import transfer as t
from gateway.store.types import Instant

MOST = 10_000  # what only grows until a person acts is counted no further
LANES = range(LANE_COUNT)
DEAD = (TransferState.REFUSED, TransferState.EXPIRED)


def spelt(states: Sequence[TransferState]) -> list[ColumnElement[str]]:
    """States written into the statement, so that a partial index is recognised (see `tables`)."""
    return [literal_column(f"'{s.value}'") for s in states]


_WAITING = (
    select(t.c.state, t.c.lane, func.count())
    .where(t.c.axis == bindparam("on_axis"), t.c.state.in_([s.value for s in UNFINISHED]))
    .group_by(t.c.state, t.c.lane)
)
# One seek for each lane: each is the first row of its part of the index that claims read.
_OLDEST_DUE = union_all(
    *(
        select(
            literal_column(str(lane)).label("lane"),
            select(func.min(t.c.due_at))
            .where(
                t.c.axis == bindparam("on_axis"),
                t.c.lane == lane,
                t.c.behind == literal_column("0"),  # as the index says it
                t.c.due_at.is_not(None),
            )
            .scalar_subquery()
            .label("oldest"),
        )
        for lane in LANES
    )
)
_again = t.alias()
_DEAD = select(func.count()).select_from(
    select(literal_column("1"))
    .where(
        t.c.axis == bindparam("on_axis"),
        t.c.state == bindparam("dead_state"),
        # as `queue dead`: what was replayed has its answer (looked up by the key of replay_of)
        ~exists(select(_again.c.id).where(_again.c.replay_of == t.c.id)),
    )
    .limit(bindparam("most", type_=Integer()))
    .subquery()
)
_ARRIVALS = select(func.count()).select_from(
    select(literal_column("1"))
    .where(arrival.c.state == bindparam("in_state"))
    .limit(bindparam("most", type_=Integer()))
    .subquery()
)
_OLDEST_UNOPENED = select(func.min(arrival.c.received_at)).where(
    arrival.c.state == ArrivalState.RECEIVED.value
)
_HELD_FETCHES = select(func.count()).select_from(
    select(literal_column("1"))
    .where(fetch.c.axis == bindparam("on_axis"), fetch.c.state == FetchState.HELD.value)
    .limit(bindparam("most", type_=Integer()))
    .subquery()
)
# Whoever keeps a transaction open keeps every dead row of the queue from being cleared away. Of
# sessions of other roles this shows times only to members of pg_read_all_stats.
_OLDEST_SNAPSHOT = text(
    "SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::float8 FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
)
_TURNED = insert_or_update(
    worker_turn,
    ["worker"],
    {
        "owner": bindparam("whose", type_=Text()),
        "at": bindparam("again", type_=Instant()),
    },
)
_EXPECTED = insert_or_ignore(worker_turn)
_TURNS = select(worker_turn.c.worker, worker_turn.c.owner, worker_turn.c.at)


class Waiting(NamedTuple):
    """Transfers of one axis in one state and lane."""

    state: str
    lane: int
    number: int


def waiting(tx: Tx, axis: str) -> list[Waiting]:
    """Every transfer of an axis that has not come to its end, by state and lane."""
    return [
        Waiting(str(r[0]), int(r[1]), int(r[2])) for r in tx.execute(_WAITING, {"on_axis": axis})
    ]


def oldest_due(tx: Tx, axis: str) -> dict[int, datetime]:
    """Lane -> the earliest due time of what may be sent; lanes in which nothing waits are absent.

    What waits for an earlier one of its family is not due (`store/families.py`).

    It may lie in the future: then nothing of that lane is due yet.
    """
    found: dict[int, datetime] = {}
    for lane, at in tx.execute(_OLDEST_DUE, {"on_axis": axis}):
        if at is not None:
            found[int(lane)] = min(found.get(int(lane), at), at)
    return found


def dead(tx: Tx, axis: str, most: int = MOST) -> dict[str, int]:
    """How many transfers of an axis were refused and how many lapsed, and were not replayed;
    `most`: so many or more.
    """
    found = {}
    for state in DEAD:
        params = {"on_axis": axis, "dead_state": state.value, "most": most}
        found[state.value] = int(tx.execute(_DEAD, params).scalar() or 0)
    return found


def arrivals_in(tx: Tx, state: ArrivalState, most: int = MOST) -> int:
    """Arrivals in a state that a person ends; `most`: so many or more."""
    return int(tx.execute(_ARRIVALS, {"in_state": state.value, "most": most}).scalar() or 0)


def oldest_unopened(tx: Tx) -> datetime | None:
    """When the oldest package came that nobody has opened yet."""
    value = tx.execute(_OLDEST_UNOPENED, {}).scalar()
    return value if isinstance(value, datetime) else None


def held_fetches(tx: Tx, axis: str, most: int = MOST) -> int:
    """Packages of an axis that were given up for now; `most`: so many or more."""
    return int(tx.execute(_HELD_FETCHES, {"on_axis": axis, "most": most}).scalar() or 0)


def oldest_snapshot(tx: Tx) -> float | None:
    """Seconds since the oldest open transaction of our database began to hold rows; 0 without one.

    PostgreSQL, as far as our role may see. None on SQLite: its readers cannot be asked for.
    """
    if tx.dialect == "sqlite":
        return None
    return max(float(tx.execute(_OLDEST_SNAPSHOT).scalar() or 0.0), 0.0)


def turned(tx: Tx, workers: Sequence[str], owner: str) -> None:
    """These workers of this process ended a turn since the last time this was called."""
    now = tx.now()
    for worker in sorted(workers):  # in one order, so that processes do not wait crosswise
        row = {"worker": worker, "owner": owner, "at": now, "whose": owner, "again": now}
        tx.execute(_TURNED.on(tx), row)


def reading(axis: str, kind: str) -> str:
    """The name under which it is written down that a list of an axis could be read."""
    return f"list:{axis}:{kind}"


def expected(tx: Tx, names: Sequence[str], owner: str) -> None:
    """What was never done counts from now on: later processes do not begin to count anew."""
    now = tx.now()
    for name in sorted(names):
        tx.execute(_EXPECTED.on(tx), {"worker": name, "owner": owner, "at": now})


class LastTurn(NamedTuple):
    owner: str
    at: datetime


def turns(tx: Tx) -> Mapping[str, LastTurn]:
    """Worker -> the last turn of any process, as far as it was written down."""
    return {str(r[0]): LastTurn(str(r[1]), r[2]) for r in tx.execute(_TURNS)}
