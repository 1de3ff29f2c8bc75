"""What was last said about something that is said once for each change of it.

In:     a Tx; a name; a value as text.
Out:    whether the value is another one than the last.
Never:  decides by reading first: of several processes that start together, one is told True.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import noted

_FIRST = insert_or_ignore(noted)
_CHANGE = (
    update(noted)
    .where(noted.c.name == bindparam("about"), noted.c.value != bindparam("new_value"))
    .values(value=bindparam("new_value"), at=bindparam("now"))
)

_LAST = select(noted.c.value).where(noted.c.name == bindparam("about"))


def last(tx: Tx, name: str) -> str | None:
    """What was noted last; None: nothing yet."""
    value = tx.execute(_LAST, {"about": name}).scalar()
    return None if value is None else str(value)


def changed(tx: Tx, name: str, value: str, *, first: str) -> bool:
    """Note `value`; True when it differs from what was noted last, or from `first` before that."""
    now = tx.now()
    tx.execute(_FIRST.on(tx), {"name": name, "value": first, "at": now})
    return tx.execute(_CHANGE, {"about": name, "new_value": value, "now": now}).count == 1
