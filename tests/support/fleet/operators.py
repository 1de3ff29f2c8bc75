"""The people who run a gateway: they hold, release and send again what is on its way, over REST.

The seed decides the draws, what is on its way at that moment what they fall on. A transfer moves on
while a person looks at it, so the answer may be that its state forbids the act; it may never be
anything else. In the end everything is released that a person held.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.fleet.units import JSON, Moved, Unit

PAUSE = (0.02, 0.3)  # seconds between two looks at the queue
SHARE = 0.4  # of the transfers seen that something is done to, all at once,
MOST = 4  # and no more than so many: behind a backlog the rest is to go its own way
ACTS: Mapping[str, tuple[str, ...]] = {
    "ACCEPTED": ("hold",),
    "SEALED": ("hold",),
    "DEFERRED": ("hold", "retry"),
    "UNCERTAIN": ("hold", "retry"),
    "HELD": ("release",),
}
REASON = "Thử trong lúc tiến trình bị dừng"
IN_DOUBT = "transfer.again"
# what a person is told who comes too late, too early, or does not know of the doubt
FORBIDDEN = frozenset({"transfer.state_forbids", "transfer.too_early", IN_DOUBT})


class Operator:
    """`unit`: the account that asks."""

    def __init__(self, unit: Unit, rng: random.Random) -> None:
        self._unit = unit
        self._rng = rng
        self._asked = 0

    async def work(self, until: Callable[[], bool]) -> None:
        """Returns when all that was held is released."""
        while not until():
            await asyncio.sleep(self._rng.uniform(*PAUSE))
            seen = await self._queue()
            self._rng.shuffle(seen)
            chosen = [row for row in seen if self._rng.random() < SHARE]
            await asyncio.gather(*(self._move(row) for row in chosen[:MOST]))
        while held := await self._queue("&state=HELD"):
            for row in held:
                await self._release(row["transfer_id"])

    async def _queue(self, more: str = "") -> list[dict[str, Any]]:
        page = await self._unit.json("GET", f"/v1/queue?limit=50{more}")
        rows: list[dict[str, Any]] = page.get("transfers", [])
        return rows

    async def _move(self, row: Mapping[str, Any]) -> None:
        """One act on a transfer as it was seen."""
        act = self._rng.choice(ACTS.get(row["state"], ("",)))
        name = row["transfer_id"]
        if act == "release":
            await self._release(name)
        elif act == "retry":
            await self._act(name, act, force=self._rng.choice((False, True)))
        elif act:
            await self._act(name, act)

    async def _release(self, name: str) -> None:
        """In doubt a person is told so, and says that the same bytes may go again."""
        if await self._act(name, "release") == IN_DOUBT:
            await self._act(name, "release", again=True)

    async def _act(self, name: str, act: str, **said: bool) -> str:
        """Why not; "" when it is done."""
        self._asked += 1
        told, body = self._unit.told, json.dumps({"reason": REASON, **said}).encode()
        key = {"Idempotency-Key": f"{self._unit.side}-operator-{self._asked}"}
        status, _, answer, _ = await self._unit.ask(
            "POST", f"/v1/queue/{name}/{act}", form=lambda: body, **JSON, **key
        )
        code = str(json.loads(answer).get("code", "")) if status == 409 else ""
        if status == 200:
            told.moved.append(Moved(self._unit.side, act, name))
        elif code in FORBIDDEN:
            told.forbidden[code] += 1
        else:
            told.wrong.append(f"{act} of {name}: {status} {answer[:300]!r}")
        return code
