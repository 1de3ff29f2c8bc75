"""How often each timestamp authority was asked, by day of Vietnam: for the bill, no evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, func, select, update

from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import stamp_use

u = stamp_use


class Use(NamedTuple):
    """`authority`: its name in conf. `cost`: of the granted ones, in the unit that conf counts."""

    authority: str
    granted: int
    failed: int
    cost: int


_FIRST = insert_or_ignore(u)
_ADD = (
    update(u)
    .where(u.c.authority == bindparam("of"), u.c.day == bindparam("on_day"))
    .values(
        granted=u.c.granted + bindparam("more_granted"),
        failed=u.c.failed + bindparam("more_failed"),
        cost=u.c.cost + bindparam("more_cost"),
    )
)
_SUMS = (
    select(u.c.authority, func.sum(u.c.granted), func.sum(u.c.failed), func.sum(u.c.cost))
    .where(u.c.day >= bindparam("first"), u.c.day <= bindparam("last"))
    .group_by(u.c.authority)
    .order_by(u.c.authority)
)


def add(tx: Tx, day: str, uses: Iterable[Use]) -> None:
    """`day`: yyyy-mm-dd."""
    for use in uses:
        none = {"authority": use.authority, "day": day, "granted": 0, "failed": 0, "cost": 0}
        tx.execute(_FIRST.on(tx), none)
        tx.execute(
            _ADD,
            {
                "of": use.authority,
                "on_day": day,
                "more_granted": use.granted,
                "more_failed": use.failed,
                "more_cost": use.cost,
            },
        )


def sums(tx: Tx, first: str, last: str) -> list[Use]:
    """Of the days from `first` to `last`, both included."""
    rows = tx.execute(_SUMS, {"first": first, "last": last}).all()
    return [Use(str(r[0]), int(r[1]), int(r[2]), int(r[3])) for r in rows]
