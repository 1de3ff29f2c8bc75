"""The breaker of each axis, one row for all processes; a conditional update decides who wins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, update

from gateway.model.breaker import Breaker, BreakerState
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import breaker as b

_SEEN = select(b.c.state, b.c.failures, b.c.trips, b.c.until, b.c.fence).where(
    b.c.axis == bindparam("of")
)
_MAKE = insert_or_ignore(b)
_SWAP = (
    update(b)
    .where(b.c.axis == bindparam("of"), b.c.fence == bindparam("held"))
    .values(
        state=bindparam("to_state"),
        failures=bindparam("to_failures"),
        trips=bindparam("to_trips"),
        until=bindparam("to_until"),
        fence=b.c.fence + 1,
        changed_at=bindparam("now"),
    )
)


def seen(tx: Tx, axis: str) -> Breaker:
    """As it stands; CLOSED for an axis that never failed."""
    row = tx.execute(_SEEN, {"of": axis}).one_or_none()
    if row is None:
        return Breaker()
    state, failures, trips, until, fence = row
    return Breaker(BreakerState(state), failures, trips, until, fence)


def swap(tx: Tx, axis: str, old: Breaker, new: Breaker) -> Breaker | None:
    """`new` in the place of `old`, with its fence; None: somebody else was faster."""
    now = tx.now()
    values: dict[str, Any] = {
        "to_state": new.state.value,
        "to_failures": new.failures,
        "to_trips": new.trips,
        "to_until": new.until,
    }
    if old.fence == 0:
        made = {"axis": axis, "state": BreakerState.CLOSED.value, "failures": 0, "trips": 0}
        tx.execute(_MAKE.on(tx), {**made, "until": None, "fence": 0, "changed_at": now})
    moved = tx.execute(_SWAP, {"of": axis, "held": old.fence, "now": now, **values}).count
    return new._replace(fence=old.fence + 1) if moved == 1 else None
