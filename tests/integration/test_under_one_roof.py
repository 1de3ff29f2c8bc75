"""Two agencies of one gateway: everything stays under the roof, unless an axis insists.

Whole gateways with their workers: a document there, its statuses back, over each road.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from adapters.lgsp_rest import simulator as rest_simulator
from gateway.model.arrival import ItemKind
from tests.support.houses import PDF, House, WallClock, metadata, town

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"
SECRET = "made-up-secret"


@asynccontextmanager
async def roof(folder: Path, road: str, *, insists: bool):
    """A running gateway of both agencies with an account on an axis of this kind, and that axis."""
    route = {"axis": "province", "under": "H14", "local": insists}
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(town(folder))
        if road == "vxp":
            axis = await here.axis("province", {"roof": (SO19, SO20)})
            house = here.house("roof", (SO19, SO20), {"province": "roof"}, [route])
        else:
            axis = await rest_simulator.start(
                rest_simulator.SimulatorSettings({"roof": (SECRET, (SO19, SO20))}, folder / "axis"),
                WallClock(),
            )
            stack.push_async_callback(axis.close)
            password = folder / "password"
            password.write_text(SECRET)
            password.chmod(0o600)
            house = House(
                "roof",
                folder / "roof",
                (SO19, SO20),
                {"province": (axis.url, "roof")},
                [route],
                tsa=here.tsa,
                profile={"kind": "lgsp_rest", "username": "roof", "password_file": str(password)},
            ).build()
        yield await stack.enter_async_context(here.open(house)), axis


@pytest.mark.parametrize(
    ("road", "insists", "axis_name"),
    [("vxp", False, "loopback"), ("vxp", True, "province"), ("rest", True, "province")],
)
def test_a_document_there_and_its_statuses_back(tmp_path, road, insists, axis_name):
    async def story():
        async with roof(tmp_path, road, insists=insists) as (gateway, axis):
            sent = await gateway.submit(metadata(SO19, SO20), ("12.pdf", PDF))
            (item,) = await gateway.inbox(SO20)
            desk, receiver = gateway.gateway.desk, await gateway.account(SO20)
            await desk.confirm(receiver, item["id"])
            await desk.report_status(receiver, item["id"], code="06", description="")

            def finished(shown):
                found = [r for t in shown["transfers"] for r in t["recipients"]]
                codes = {one["code"] for r in found for one in r["statuses"]}
                return [r["status_code"] for r in found] == ["06"] and codes == {"01", "06"}

            shown = await gateway.until(SO19, sent["id"], finished)
            assert [t["axis"] for t in shown["transfers"]] == [axis_name]
            # nothing that the axis handed on came back as news to whoever sent it
            assert await gateway.inbox(SO19, wait=0) == []
            assert await gateway.inbox(SO20, wait=0) == []
            told = await gateway.inbox(SO19, ItemKind.STATUS)
            assert len(told) == 2
            taken = axis.received() if road == "vxp" else axis.depot.sent
            assert len(taken) == (3 if insists else 0)

    asyncio.run(story())
