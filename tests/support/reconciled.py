"""Two houses on one simulated axis whose day is reconciled, and what a report says of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.vxp.simulator import Simulator
from gateway.dispatch.reconcile import VIETNAM
from gateway.model.arrival import ItemKind
from gateway.promise import from_vietnam_time
from gateway.reconciling import Reconciling
from gateway.scribe import Scribe
from gateway.store.reconciliations import Made
from tests.support.houses import PDF, House, Running, Town, metadata, town

PROVINCE, MINISTRY = "000.00.19.H14", "000.00.00.G22"
SYSTEMS = {"sys.h14": (PROVINCE,), "sys.g22": (MINISTRY,)}
AT_ONCE = {"reconcile": {"stuck_after": "1us", "answer_within": "5d", "deadline": "5s"}}


@dataclass
class Clock:
    """A clock that tests set."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass
class Day:
    """`province` sends, `ministry` receives; `axis` stands between them."""

    town: Town
    axis: Simulator
    province: Running
    ministry: Running | None = None

    @property
    def today(self) -> date:
        return self.province.gateway.scribe.now().astimezone(VIETNAM).date()

    async def send(self, number: str, **more: Any) -> tuple[str, str]:
        """A document on the axis: its id with us, and the id that the axis gave it."""
        answer = await self.province.submit(
            metadata(PROVINCE, MINISTRY, number=number, **more), ("12.pdf", PDF)
        )
        shown = await self.province.until(
            PROVINCE, answer["id"], lambda d: d["transfers"][0]["state"] == "ON_AXIS"
        )
        transfer = shown["transfers"][0]["transfer_id"]
        queued = await self.province.gateway.desk.queued(transfer)
        return answer["id"], queued["remote_ref"]

    async def answered(self, document_ref: str) -> None:
        """The ministry takes what waits and confirms it; the province hears of it."""
        assert self.ministry is not None
        who = await self.ministry.account(MINISTRY)
        for item in await self.ministry.inbox(MINISTRY):
            await self.ministry.gateway.desk.confirm(who, item["id"])
        await self.province.until(
            PROVINCE,
            document_ref,
            lambda d: d["transfers"][0]["recipients"][0]["status_code"] == "01",
        )
        assert await self.province.inbox(PROVINCE, ItemKind.STATUS)

    async def report(self, running: Running | None = None, day: date | None = None) -> Report:
        house = running or self.province
        made = await house.gateway.reconciling.make("vxp", day or self.today, "test")
        return Report(made)


@dataclass(frozen=True)
class Report:
    made: Made

    @property
    def said(self) -> Mapping[str, Any]:
        return json.loads(self.made.report)

    @property
    def counts(self) -> dict[str, int]:
        """What is not 0."""
        return {k: v for k, v in self.made.counts.items() if v}

    @property
    def whats(self) -> list[str]:
        return [d["what"] for d in self.said["differences"]]

    @property
    def open(self) -> list[tuple[str, str]]:
        return [(o["asked"], o["why"]) for o in self.said["unanswered"]]


def houses(
    made: Town, *, database: str = "", unknown: tuple[str, ...] = ("-1",), **reconcile: str
) -> tuple[House, House]:
    changes = {"reconcile": {**AT_ONCE["reconcile"], **reconcile}}
    return (
        made.house(
            "province",
            (PROVINCE,),
            {"vxp": "sys.h14"},
            [{"axis": "vxp", "level1": "G"}],
            database=database,
            changes=changes,
            profile={"unknown": list(unknown)},
        ),
        made.house(
            "ministry",
            (MINISTRY,),
            {"vxp": "sys.g22"},
            [{"axis": "vxp", "level1": "H"}],
            changes=changes,
            profile={"unknown": list(unknown)},
        ),
    )


@asynccontextmanager
async def a_day(
    folder: Path,
    *,
    both: bool = False,
    database: str = "",
    axis: Mapping[str, Any] | None = None,
    unknown: tuple[str, ...] = ("-1",),
    **reconcile: str,
) -> AsyncIterator[Day]:
    """`both`: the ministry runs too. `axis`: switches of the simulated one."""
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(town(folder, stamps=False))
        simulated = await made.axis("vxp", SYSTEMS, **(axis or {}))
        first, second = houses(made, database=database, unknown=unknown, **reconcile)
        province = await stack.enter_async_context(made.open(first))
        ministry = await stack.enter_async_context(made.open(second)) if both else None
        yield Day(made, simulated, province, ministry)


def on_the_day_after(running: Running, owner: str = "other") -> tuple[Reconciling, Clock]:
    """The same corridor at 04:00 of the next day, as another process would have it."""
    real = running.gateway.reconciling
    today = real.scribe.now().astimezone(VIETNAM).date()
    at = from_vietnam_time(f"{today + timedelta(days=1)} 04:00:00")
    assert at is not None
    clock = Clock(at)
    scribe = Scribe(
        clock=clock, entropy=real.scribe.entropy, origin=real.scribe.origin, key=real.scribe.key
    )
    return replace(real, scribe=scribe, owner=owner, _under_way=set()), clock
