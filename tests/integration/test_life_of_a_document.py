"""The path of architecture 3, both ways, with the real rooms, stores, axis protocol and stamps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict, Rejected
from gateway.model.arrival import ArrivalState, ItemKind
from gateway.model.package import Organ, ResponseFor, StatusReport
from gateway.packing import write
from gateway.store import arrivals
from tests.support.databases import Postgres
from tests.support.houses import PDF, House, Running, Town, metadata, town

SO19, SO20, VPCP = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22"
EVERYONE = [{"axis": "vxp", "everyone": True}]


async def two_houses(
    made: Town, database: Callable[[], str], **switches: bool
) -> tuple[House, House]:
    """A department's gateway (two local agencies) and a ministry's, on one axis that rebuilds."""
    await made.axis("vxp", {"sys.h14": (SO19, SO20), "sys.g22": (VPCP,)}, **switches)
    cao_bang = made.house(
        "so19", ("H14.19", "H14.20"), {"vxp": "sys.h14"}, EVERYONE, database=database()
    )
    ministry = made.house("vpcp", ("G22",), {"vxp": "sys.g22"}, EVERYONE, database=database())
    return cao_bang, ministry


Story = Callable[[Running, Running, Town], Awaitable[None]]


def live(folder: Path, story: Story, database: Callable[[], str] = str) -> None:
    async def run() -> None:
        async with town(folder) as made:
            cao_bang, ministry = await two_houses(made, database)
            async with made.open(cao_bang) as here, made.open(ministry) as there:
                await story(here, there, made)

    asyncio.run(run())


def status_is(code: str) -> Callable[[dict[str, Any]], bool]:
    return lambda d: all(r["status_code"] == code for t in d["transfers"] for r in t["recipients"])


async def whole_life(here: Running, there: Running, made: Town) -> None:
    answer = await here.submit(
        metadata(SO19, VPCP), ("12.pdf", PDF), ("ghi chú.txt", "Nội dung\n".encode()), key="one"
    )
    assert [t["axis"] for t in answer["transfers"]] == ["vxp"]
    (item,) = await there.inbox(VPCP)
    assert item["document_id"] == answer["document_id"]
    assert item["signature"]["verdict"] == "valid", "the signature survived the rebuilding axis"
    assert [a["name"] for a in item["attachments"]] == ["12.pdf", "ghi chú.txt"]
    who = await there.account(VPCP)
    desk = there.gateway.desk
    _, stored = await desk.item_attachment(who, item["id"], 1)
    with stored.source as source:
        assert source.read() == "Nội dung\n".encode()
    await desk.fetched(who, await desk.item(who, item["id"]))
    first = await desk.confirm(who, item["id"])
    assert await desk.confirm(who, item["id"]) == first, "whoever confirms again gets that answer"
    for code in ("03", "06"):
        await desk.report_status(who, item["id"], code=code, description="")
    shown = await here.until(SO19, answer["id"], status_is("06"))
    (transfer,) = shown["transfers"]
    (recipient,) = transfer["recipients"]
    assert (transfer["state"], recipient["state"]) == ("ON_AXIS", "FINISHED")
    assert recipient["sources"] == {"on_axis_at": "observed", "entered_at": "reported"}
    statuses = await here.inbox(SO19, ItemKind.STATUS)
    assert sorted(s["status"]["code"] for s in statuses) == ["01", "03", "06"]
    events = [r["event"] for r in await here.stamped(SO19, answer["id"])]
    assert events[:3] == ["submission.accepted", "attempt.started", "attempt.ended"]


def test_a_document_goes_out_and_its_statuses_come_back(tmp_path: Path) -> None:
    live(tmp_path, whole_life)


@pytest.mark.postgres
def test_the_same_life_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        urls = iter([one, two])
        live(tmp_path, whole_life, lambda: next(urls))


def test_a_receiver_on_the_axis_and_a_local_one_each_get_it_once(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        answer = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), key="both")
        assert sorted(t["axis"] for t in answer["transfers"]) == ["loopback", "vxp"]
        (far,) = await there.inbox(VPCP)
        (near,) = await here.inbox(SO20)
        assert far["document_id"] == near["document_id"] == answer["document_id"]
        assert [o["organ_id"] for o in far["header"]["to"]] == [VPCP]
        assert [o["organ_id"] for o in near["header"]["to"]] == [SO20]
        for side, item, code in ((there, far, VPCP), (here, near, SO20)):
            await side.gateway.desk.confirm(await side.account(code), item["id"])
        await here.until(SO19, answer["id"], status_is("01"))
        assert await there.inbox(VPCP, wait=0) == []
        assert await here.inbox(SO20, wait=0) == []

    live(tmp_path, story)


def test_the_same_document_sent_later_reaches_only_the_new_receiver(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        first = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="a")
        await there.inbox(VPCP)
        again = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="b")
        assert again == first, "no new receiver: the first answer again"
        more = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), key="c")
        assert [t["axis"] for t in more["transfers"]] == ["loopback"]
        assert [f["code"] for f in more["findings"]] == ["document.already_sent"]
        await here.inbox(SO20)
        assert len(await there.inbox(VPCP, wait=0)) == 1
        assert len(made.axes["vxp"].received()) == 1

    live(tmp_path, story)


def test_another_document_under_a_used_id_is_a_conflict(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="a")
        with pytest.raises(Conflict) as other:
            await here.submit(
                metadata(SO19, VPCP, subject="Một văn bản khác"), ("12.pdf", PDF), key="b"
            )
        assert other.value.code == "document.conflict"
        with pytest.raises(Conflict) as mismatch:
            await here.submit(metadata(SO19, VPCP, number="13"), ("12.pdf", PDF), key="a")
        assert mismatch.value.code == "idempotency.mismatch"

    live(tmp_path, story)


def test_a_ready_made_package_is_never_split(tmp_path: Path) -> None:
    """Architecture 4: one axis for all receivers, or refused; its bytes never change."""

    async def story(here: Running, there: Running, made: Town) -> None:
        desk = here.gateway.desk
        who = await here.account(SO19)
        blobs = here.gateway.blobs
        sample = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="seed")
        stored = await desk.package(who, sample["id"], "vxp")
        with stored.source as source:
            whole = source.read()
        elsewhere = whole.replace(b"12/UBND-VX", b"14/UBND-VX").replace(
            b"<edXML:CodeNumber>12<", b"<edXML:CodeNumber>14<"
        )
        with blobs.spool() as spool:
            spool.write(elsewhere)
            answered = await desk.submit_package(who, spool, "whole", "en")
        assert answered.status == 202
        shown = await here.until(
            SO19,
            answered.location.rsplit("/", 1)[1],
            lambda d: d["transfers"][0]["state"] == "ON_AXIS",
        )
        sent = await desk.package(who, shown["id"], "")
        with sent.source as source:
            assert source.read() == elsewhere
        # G22 is reached by the axis, H14.20 is local: the axis' route table does not reach both
        split = elsewhere.replace(b"14/UBND-VX", b"15/UBND-VX").replace(
            b"</edXML:To>",
            b"</edXML:To><edXML:To><edXML:OrganId>000.00.00.G12</edXML:OrganId></edXML:To>",
            1,
        )
        with blobs.spool() as spool:
            spool.write(split)
            with pytest.raises(Rejected) as refused:
                await desk.submit_package(who, spool, "split", "en")
        assert refused.value.code == "route.split_required"

    async def run() -> None:
        async with town(tmp_path) as made:
            await made.axis("vxp", {"sys.h14": (SO19, SO20), "sys.g22": (VPCP,)})
            await made.axis("other", {"sys.h14": (SO19,)})
            house = made.house(
                "so19",
                ("H14.19", "H14.20"),
                {"vxp": "sys.h14", "other": "sys.h14"},
                [{"axis": "other", "agency": "G12"}, {"axis": "vxp", "everyone": True}],
            )
            async with made.open(house) as here:
                await story(here, here, made)

    asyncio.run(run())


def a_status(code: str, document_id: str, timestamp: str) -> bytes:
    return write.write_status(
        StatusReport(
            sender=Organ(organ_id=VPCP),
            response_for=ResponseFor(
                organ_id=SO19,
                code="12/UBND-VX",
                document_id=document_id,
                promulgation_date="2026-11-20",
            ),
            code=code,
            timestamp=timestamp,
        )
    )


def test_each_status_is_an_item_of_its_own_and_comes_once(tmp_path: Path) -> None:
    """03 and 06, 05 repeated later, the same 06 twice; one for a document nobody sent."""

    async def story(here: Running, there: Running, made: Town) -> None:
        answer = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="a")
        known = answer["document_id"]
        outlet = there.gateway.outbound.outlets["vxp"].axis
        packages = [
            a_status("03", known, "2026/11/22 09:00:00"),
            a_status("05", known, "2026/11/22 09:30:00"),
            a_status("05", known, "2026/11/22 10:00:00"),
            a_status("06", known, "2026/11/22 11:00:00"),
            a_status("06", known, "2026/11/22 11:00:00"),
            a_status("04", known, "2026/11/22 09:10:00"),
            a_status("06", "000.00.19.H14,2026/01/01,99/CHUA-GUI", "2026/11/22 11:00:00"),
        ]
        for data in packages:
            await made.axes["vxp"].deposit(data, system_id="sys.g22", sender=VPCP)
        await here.until(SO19, answer["id"], status_is("06"))

        async def settled() -> list[Any]:
            def look(tx: Any) -> list[Any]:
                return arrivals.in_states(tx, list(ArrivalState), 100)

            return await here.gateway.store.read(look)

        listener = here.gateway.store.listener("inbox")
        async with asyncio.timeout(20):
            while len([a for a in await settled() if a.state != "RECEIVED"]) < len(packages):
                await listener.wait(0.1)
        states = sorted(a.state for a in await settled())
        assert states == ["DUPLICATE", *["OPENED"] * 5, "ORPHAN"]
        items = await here.inbox(SO19, ItemKind.STATUS)
        assert sorted(i["status"]["code"] for i in items) == ["03", "04", "05", "05", "06"]
        shown = await here.document(SO19, answer["id"])
        assert shown["transfers"][0]["recipients"][0]["state"] == "FINISHED"
        assert outlet.name == "vxp"

    async def run() -> None:
        async with town(tmp_path) as made:
            cao_bang, ministry = await two_houses(made, str, dedupe=False)
            async with made.open(cao_bang) as here, made.open(ministry, ("seal",)) as there:
                await story(here, there, made)

    asyncio.run(run())
