"""Two gateways on a provincial axis over SOAP, in real processes' objects, both ways."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.edoc_soap import simulator
from adapters.edoc_soap.contract import CONFIRM, LIST, UPDATE
from adapters.edoc_soap.profile import Profile
from gateway import config
from gateway.model.arrival import ItemKind
from gateway.model.package import PackageKind
from gateway.wiring.axes import make_axis
from tests.integration.test_life_of_a_document import SO19, VPCP, status_is
from tests.support.houses import PDF, WallClock, metadata, town

ROUTES = [{"axis": "soap", "everyone": True}]
SECRET = "made-up-secret"


@pytest.mark.parametrize("payload", ["swa", "package"])
def test_a_document_and_its_statuses_travel_over_soap(tmp_path: Path, payload: str) -> None:
    profile = tmp_path / "province.toml"
    profile.write_text(f'name = "province"\npayload = "{payload}"\n', "utf-8")

    async def run() -> None:
        axis = await simulator.start(
            simulator.SimulatorSettings(
                systems={"H14.19": (SECRET, (SO19,)), "G22": (SECRET, (VPCP,))},
                folder=tmp_path / "axis",
                profile=Profile(payload=payload),
            )
        )
        try:
            async with town(tmp_path) as made:
                made.axes["soap"] = axis  # type: ignore[assignment]  # another protocol, one town
                said = {"kind": "edoc_soap", "profile": str(profile)}
                houses = [
                    made.house(name, (local,), {"soap": local}, ROUTES, profile=said)
                    for name, local in (("so19", "H14.19"), ("vpcp", "G22"))
                ]
                async with made.open(houses[0]) as here, made.open(houses[1]) as there:
                    files = ("12.pdf", PDF), ("ghi chú.txt", "Nội dung\n".encode())
                    answer = await here.submit(metadata(SO19, VPCP), *files)
                    (item,) = await there.inbox(VPCP)
                    assert item["document_id"] == answer["document_id"]
                    assert [a["name"] for a in item["attachments"]] == ["12.pdf", "ghi chú.txt"]
                    kept = payload == "package"  # edXML 1.0 has no place for a signature
                    assert (item["signature"]["verdict"] == "valid") is kept
                    asked = axis.requests[LIST]
                    await axis.until(lambda a: a.requests[LIST] > asked + 2)
                    assert axis.requests[CONFIRM] == 0, "nobody has received it yet"
                    assert axis.pending("G22") != ()
                    who, desk = await there.account(VPCP), there.gateway.desk
                    _, stored = await desk.item_attachment(who, item["id"], 1)
                    with stored.source as source:
                        assert source.read() == "Nội dung\n".encode()
                    await desk.confirm(who, item["id"])
                    for code in ("03", "06"):
                        await desk.report_status(who, item["id"], code=code, description="")
                    shown = await here.until(SO19, answer["id"], status_is("06"))
                    (transfer,) = shown["transfers"]
                    (recipient,) = transfer["recipients"]
                    assert recipient["sources"] == {
                        "on_axis_at": "observed",
                        "entered_at": "reported",
                    }
                    statuses = await here.inbox(SO19, ItemKind.STATUS)
                    assert sorted(s["status"]["code"] for s in statuses) == ["01", "03", "06"]
                    assert (axis.requests[CONFIRM], axis.requests[UPDATE]) == (1, 2)
                    assert len(axis.acknowledged()) == 1
                    assert axis.pending("G22") == ()
        finally:
            await axis.close()

    asyncio.run(run())


def test_an_axis_is_made_from_its_table_and_its_mistakes_are_said(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            made.axes["soap"] = type("Elsewhere", (), {"url": "https://axis.test/edoc"})()
            said = {"kind": "edoc_soap"}
            house = made.house("so19", ("H14.19",), {"soap": "H14.19"}, ROUTES, profile=said)
            settings = house.settings()
            axis = make_axis(settings, settings.axis[0], WallClock())
            assert axis.capabilities.acknowledge_reports_arrival
            assert axis.capabilities.kinds == (PackageKind.DOCUMENT, PackageKind.STATUS)
            assert SECRET not in repr(axis)
            text = house.conf.read_text("utf-8")
            vxp = text.replace('kind = "edoc_soap"', 'kind = "vxp"\nprofile = "gateway.toml"')
            house.conf.write_text(vxp, "utf-8")
            (found,) = [f for f in config.check(house.conf) if f.path.endswith("profile")]
            assert found.code == "conf.value"

    asyncio.run(run())
