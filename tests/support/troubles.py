"""A sender's gateway on an axis that gives trouble, and what the ledger and the axis say of it.

`trouble` gives the sender's side running (no REST door), the axis and, when asked for, the
receiver's side. Waits are tens of milliseconds; a test that needs a long one changes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Executable, update

from adapters.vxp.simulator import Simulator
from gateway.store import Tx
from gateway.store.tables import transfer
from tests.support.houses import PDF, House, Running, Town, metadata, town

SO19, VPCP = "000.00.19.H14", "000.00.00.G22"
BESIDE = "000.00.00.G12"  # whom the other one of two axes reaches
EVERYONE = [{"axis": "vxp", "everyone": True}]
WORKERS = ("seal", "stamp", "deliver", "collect", "open", "sweep")
IMPATIENT: Mapping[str, Mapping[str, Any]] = {
    "dispatch": {
        "retry": "20ms, 40ms then every 50ms for 3d, jitter full",
        "uncertain_wait": "50ms",
        "attempt_deadline": "2s",
        "grace": "100ms",
        "idle": "20ms",
        "sweep": "20ms",
        "probe_first": "20ms",
        "probe_longest": "50ms",
    },
    "collect": {"interval": "20ms"},
}


def with_changes(**sections: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """IMPATIENT, changed section by section."""
    names = {*IMPATIENT, *sections}
    return {n: {**IMPATIENT.get(n, {}), **sections.get(n, {})} for n in names}


async def side_by_side(
    made: Town, *, permitted: int, deadline: str
) -> tuple[Simulator, Simulator, House]:
    """Two axes and a house on both: VPCP is reached over the first, BESIDE over the other.

    `permitted`: connections to each; `deadline`: of an attempt, as conf writes it.
    """
    a = await made.axis("a", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
    b = await made.axis("b", {"sys.h14": (SO19,), "sys.g12": (BESIDE,)})
    house = made.house(
        "so19",
        ("H14.19",),
        {"a": "sys.h14", "b": "sys.h14"},
        [{"axis": "a", "agency": "G22"}, {"axis": "b", "everyone": True}],
        changes=with_changes(dispatch={"attempt_deadline": deadline}),
        profile={"max_connections": permitted},
    )
    return a, b, house


@dataclass
class Scene:
    town: Town
    axis: Simulator
    sender: House
    receiver: House
    here: Running
    stack: AsyncExitStack

    async def there(self, jobs: Sequence[str] = WORKERS) -> Running:
        """The receiver's gateway, running from now on."""
        return await self.stack.enter_async_context(self.town.open(self.receiver, jobs))

    async def submit(self, number: str = "12") -> dict[str, Any]:
        return await self.here.submit(
            metadata(SO19, VPCP, number=number), ("12.pdf", PDF), key=f"document-{number}"
        )

    async def until(self, answer: Mapping[str, Any], **wanted: Any) -> dict[str, Any]:
        """The document's transfer as soon as these of its fields have these values."""

        def there(shown: dict[str, Any]) -> bool:
            return all(shown["transfers"][0][k] == v for k, v in wanted.items())

        shown = await self.here.until(SO19, answer["id"], there)
        transfer: dict[str, Any] = shown["transfers"][0]
        return transfer

    async def attempts(self, answer: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(outcome, code) of each attempt, as its record says it."""
        return [
            (r["record"]["facts"]["outcome"], r["record"]["facts"]["code"])
            for r in await self.history(answer)
            if r["event"] == "attempt.ended"
        ]

    async def history(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        who = await self.here.account(SO19)
        return await self.here.gateway.desk.history(who, answer["id"])

    async def until_recorded(self, answer: Mapping[str, Any], event: str) -> dict[str, Any]:
        """The first record of this event about the document, as soon as there is one."""
        listener = self.here.gateway.store.listener("test")
        async with asyncio.timeout(30):
            while True:
                for row in await self.history(answer):
                    if row["event"] == event:
                        return row
                await listener.wait(0.02)

    async def until_attempts(self, answer: Mapping[str, Any], count: int) -> None:
        """Until so many attempts have ended."""
        listener = self.here.gateway.store.listener("test")
        async with asyncio.timeout(30):
            while len(await self.attempts(answer)) < count:
                await listener.wait(0.02)

    async def lease_over(self, answer: Mapping[str, Any]) -> None:
        """As if the lease of the attempt under way had run out: its holder is gone, or hangs."""

        def over(tx: Tx) -> None:
            mine = transfer.c.document_ref == answer["id"]
            tx.execute(update(transfer).where(mine).values(lease_until=transfer.c.moved_at))

        await self.here.gateway.store.write(over)

    def sent(self) -> list[str]:
        """The digest of every document that the axis took, in order."""
        return [p.sha256 for p in self.axis.received() if p.kind.value == "document"]


@asynccontextmanager
async def trouble(
    folder: Path,
    *,
    changes: Mapping[str, Mapping[str, Any]] = IMPATIENT,
    profile: Mapping[str, Any] | None = None,
    jobs: Sequence[str] = WORKERS,
    databases: tuple[str, str] = ("", ""),
    stamps: bool = False,
    **switches: Any,
) -> AsyncIterator[Scene]:
    """`changes`, `profile`: of both houses; `switches`: of the simulated axis."""
    async with town(folder, stamps=stamps) as made, AsyncExitStack() as stack:
        axis = await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)}, **switches)
        houses = [
            made.house(
                name,
                (code,),
                {"vxp": system},
                EVERYONE,
                changes=changes,
                profile=profile or {},
                database=database,
            )
            for name, code, system, database in (
                ("so19", SO19, "sys.h14", databases[0]),
                ("vpcp", VPCP, "sys.g22", databases[1]),
            )
        ]
        here = await stack.enter_async_context(made.open(houses[0], jobs))
        yield Scene(made, axis, houses[0], houses[1], here, stack)


async def rows(running: Running, statement: Executable) -> list[tuple[Any, ...]]:
    """What one statement finds in a running gateway's database."""

    def look(tx: Tx) -> list[tuple[Any, ...]]:
        return tx.execute(statement).all()

    return await running.gateway.store.read(look)


async def eventually(
    running: Running, statement: Executable, good: Callable[[list[tuple[Any, ...]]], bool]
) -> list[tuple[Any, ...]]:
    """The rows as soon as they are good: looked at after every wake-up of the store."""
    listener = running.gateway.store.listener("test")
    async with asyncio.timeout(30):
        while not good(found := await rows(running, statement)):
            await listener.wait(0.02)
    return found
