"""open: raw bytes become inbox items and settled statuses, or go to quarantine.

A status that came before its document waits as an orphan, and is opened once the document is
known: sent after it, or found again by a person after a restore.
"""

from __future__ import annotations

from gateway.inbound import Inbound
from gateway.store import Store
from gateway.workers.loop import Worker

ORPHANS_NAME = "open:orphans"
AT_ONCE = 2  # short turns: between two of them the door goes first
APART = 8  # in a process without a door a turn may be longer


def worker(inbound: Inbound, store: Store, *, idle: float, at_once: int = AT_ONCE) -> Worker:
    async def turn() -> bool:
        return await inbound.open_next(at_once) > 0

    return Worker("open", turn, idle=idle, listener=store.listener("open"))


def orphans(inbound: Inbound, *, idle: float) -> Worker:
    async def turn() -> bool:
        return await inbound.enter_orphans(AT_ONCE) > 0

    return Worker(ORPHANS_NAME, turn, idle=idle)
