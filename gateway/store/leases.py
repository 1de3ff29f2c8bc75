"""Named leases: one sealer and one stamper at a time, over any number of processes.

The fence grows with every taking and never goes back, so a holder that slept through its lease can
be told from the one that took it over. Work that lies in one transaction with `take` needs no
second look: the row stays locked until its commit. Work that goes on outside asks `holds` in the
transaction that ends it.
"""

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
_HOLDS = (
    select(lease.c.fence)
    .where(
        lease.c.name == bindparam("lease_name"),
        lease.c.owner == bindparam("who"),
        lease.c.fence == bindparam("held"),
        lease.c.until > bindparam("now"),
    )
    .with_for_update()
)
_GIVE = (
    update(lease)
    .where(lease.c.name == bindparam("lease_name"), lease.c.owner == bindparam("who"))
    .values(owner="", until=bindparam("now"))
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


def holds(tx: Tx, name: str, owner: str, fence: int) -> bool:
    """True: this taking still stands, and does so until this transaction ends."""
    params = {"lease_name": name, "who": owner, "held": fence, "now": tx.now()}
    return tx.execute(_HOLDS, params).scalar() is not None


def is_held(tx: Tx, name: str, now: datetime) -> bool:
    """Whether somebody, whoever it is, has this turn."""
    return bool(tx.execute(_HELD, {"lease_name": name, "now": now}).scalar())


def give_back(tx: Tx, name: str, owner: str) -> None:
    """Somebody else may take it at once; nothing happens when somebody did."""
    tx.execute(_GIVE, {"lease_name": name, "who": owner, "now": tx.now()})


def forget(tx: Tx) -> None:
    """Only for the holder of the database lock, at start: whoever held one is dead."""
    tx.execute(_FORGET)
