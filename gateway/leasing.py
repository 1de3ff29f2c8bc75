"""Taking an inbox item for a while, and keeping it longer: what several workers of a unit share.

In:     an item, the lease that the caller holds already (or ""), the instant from the store.
Out:    the lease that hides the item from now on.
Fails:  Conflict `item.leased` while another lease runs, `item.state_forbids` once it is done.
Never:  guards anything: a lease only hides; confirming needs none (architecture 3).

Whoever asks again is known by the lease that was given, not by the key: workers of one unit
share a key, and are the very ones whom a lease keeps apart.
"""

from __future__ import annotations

from datetime import datetime

from gateway.answering import OPEN_STATES, state_forbids
from gateway.errors import Conflict, Text
from gateway.promise import local_time
from gateway.store import Tx, inbox


def lease_item(
    tx: Tx, item_id: str, *, held: str, fresh: str, now: datetime, until: datetime
) -> str:
    """`held` again, prolonged, when it is the item's newest lease; else `fresh`, if it is free."""
    item = inbox.by_id(tx, item_id)
    token = held if held and item is not None and item.lease_token == held else fresh
    if inbox.lease(tx, item_id, token, now=now, until=until):
        return token
    found = inbox.by_id(tx, item_id)
    if found is None or found.state not in OPEN_STATES:
        raise state_forbids(found.state if found else "")
    ends = local_time(found.lease_until)[11:19] if found.lease_until else ""
    raise Conflict(
        Text(
            f"Mục này đang được giữ đến {ends}, có thể bởi chính hệ thống của bạn; "
            "gửi kèm lease đã nhận để giữ tiếp",
            f"this item is held until {ends}, maybe by your own system; "
            "send the lease that you were given to keep it",
        ),
        code="item.leased",
    )
