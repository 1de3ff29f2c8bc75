"""Named leases: one sealer and one stamper at a time, over any number of processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, func, or_, select, update

from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import lease

_MAKE = insert_or_ignore(lease)
_TAKE = (
    update(lease)
    .where(
        lease.c.name == bindparam("lease_name"),
        or_(lease.c.until <= bindparam("now"), lease.c.owner == bindparam("who")),
    )
    .values(owner=bindparam("who"), fence=lease.c.fence + 1, until=bindparam("new_until"))
    .returning(lease.c.fence)
)
_GIVE = delete(lease).where(
    lease.c.name == bindparam("lease_name"), lease.c.owner == bindparam("who")
)
_FORGET = delete(lease)
_HELD = select(func.count()).where(
    lease.c.name == bindparam("lease_name"), lease.c.until > bindparam("now")
)


def take(tx: Tx, name: str, owner: str, *, now: datetime, until: datetime) -> int | None:
    """The fence when the lease is ours (again); None while somebody else holds it."""
    tx.execute(_MAKE.on(tx), {"name": name, "owner": owner, "fence": 0, "until": now})
    value = tx.execute(
        _TAKE, {"lease_name": name, "who": owner, "now": now, "new_until": until}
    ).scalar()
    return None if value is None else int(value)


def is_held(tx: Tx, name: str, now: datetime) -> bool:
    """Whether somebody, whoever it is, has this turn."""
    return bool(tx.execute(_HELD, {"lease_name": name, "now": now}).scalar())


def give_back(tx: Tx, name: str, owner: str) -> None:
    tx.execute(_GIVE, {"lease_name": name, "who": owner})


def forget(tx: Tx) -> None:
    """Only for the holder of the database lock, at start: whoever held one is dead."""
    tx.execute(_FORGET)
