"""Reports in the sender's inbox, and whether the books still agree once a gateway stands still."""

from __future__ import annotations

from typing import Any

from gateway.audit.shown import shown_otherwise
from gateway.errors import Finding
from gateway.model.arrival import ItemKind
from gateway.store import Tx
from tests.support.houses import Running
from tests.support.troubles import SO19


async def reports(
    running: Running, code: str = SO19, *, wait: float = 20.0
) -> list[dict[str, Any]]:
    """What the gateway tells this agency by itself; waits for the first one."""
    return await running.inbox(code, ItemKind.REPORT, wait)


async def books_disagree(running: Running) -> list[Finding]:
    """What is shown otherwise than it was recorded; [] when the books agree."""

    def look(tx: Tx) -> list[Finding]:
        return list(shown_otherwise(tx))

    return await running.gateway.store.read(look)
