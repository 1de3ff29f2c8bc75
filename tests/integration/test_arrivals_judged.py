"""What may enter an inbox: one document under one DocumentId, and acts of its sender alone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from gateway.audit.against import said
from gateway.audit.shown import shown_otherwise
from gateway.model.arrival import ItemKind
from gateway.model.package import Business, BusinessType, PackageKind, Replacement, ResponseFor
from gateway.store import ledger
from gateway.store.tables import inbox_item
from tests.support.arriving import (
    BO,
    SO19,
    SO20,
    VPCP,
    alone,
    arrive,
    codes,
    consistent,
    document,
    facts,
    open_all,
    receive,
    row,
    status,
)
from tests.support.databases import Postgres
from tests.support.houses import PDF, Running, metadata, town
from tests.support.troubles import rows

NAMED = "000.00.19.H14,2026/11/20,12/STTTT-VX"


async def conflicting(here: Running) -> None:
    first = await arrive(here, document(), "d1")
    second = await arrive(here, document(subject="Một văn bản khác hẳn"), "d2")
    assert (first.state, second.state) == ("OPENED", "QUARANTINED")
    assert codes(second) == ["arrival.conflict"]
    (item,) = await here.inbox(VPCP)
    (finding,) = [f for f in second.findings if f["code"] == "arrival.conflict"]
    assert item["id"] in finding["en"], "it names the document that was there first"
    assert NAMED in finding["vi"]
    # whoever has the first one is told, and is not given the second
    (report,) = await here.inbox(VPCP, ItemKind.REPORT)
    assert [f["code"] for f in report["findings"]] == ["arrival.conflict"]
    assert report["document_id"] == NAMED
    assert report["package"]["sha256"] == first.raw_sha256
    who = await here.account(VPCP)
    await here.gateway.desk.confirm(who, report["id"])
    assert (await here.gateway.desk.item(who, report["id"])).state == "SEEN"
    # the first one came again, and is what it was; the second is no news either time
    assert (await arrive(here, document(), "d3")).state == "DUPLICATE"
    again = await arrive(here, document(subject="Một văn bản khác hẳn"), "d4")
    assert codes(again) == ["arrival.conflict"]
    assert len(await here.inbox(VPCP)) == 1
    await consistent(here)


def test_two_documents_under_one_document_id_are_a_conflict(tmp_path: Path) -> None:
    with capture_logs() as said:
        alone(tmp_path, conflicting)
    alarms = [line["log_level"] for line in said if line["event"] == "arrival.opened"]
    assert alarms == ["warning"] * 2, "the operator is told aloud"


@pytest.mark.postgres
def test_the_same_conflict_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, conflicting, database=url)


async def first_gone(here: Running) -> None:
    """Its key stands and its item does not: a copy of the books from which it was removed."""
    first = await arrive(here, document(), "d1")
    await here.gateway.store.write(
        lambda tx: tx.execute(delete(inbox_item).where(inbox_item.c.arrival_id == first.id))
    )
    second = await arrive(here, document(subject="Một văn bản khác hẳn"), "d2")
    assert codes(second) == ["arrival.conflict"]
    (report,) = await here.inbox(VPCP, ItemKind.REPORT)
    assert [f["code"] for f in report["findings"]] == ["arrival.conflict"]
    assert report["report"]["arrival"] == second.id
    assert (report["report"]["state"], report["report"]["cause"]) == ("QUARANTINED", "peer")
    assert "package" not in report, "what waits for a person is not served through it"
    who = await here.account(VPCP)
    await here.gateway.desk.confirm(who, report["id"])
    # of all that is shown only the item that was removed is another than its records say
    assert await disagree(here) == [f"inbox/{await item_of(here, first.id)}"]
    await here.gateway.store.write(
        lambda tx: tx.execute(delete(inbox_item).where(inbox_item.c.id == report["id"]))
    )
    assert f"inbox/{report['id']}" in await disagree(here)
    assert await rows(here, select(inbox_item.c.id)) == []


async def disagree(here: Running) -> list[str]:
    wrong = await here.gateway.store.read(lambda tx: list(shown_otherwise(tx)))
    return [f.path for f in wrong]


async def item_of(here: Running, arrival_id: str) -> str:
    found = await here.gateway.store.read(lambda tx: ledger.of_arrival(tx, arrival_id))
    told = [said(r.body) for r in found if r.event == "item.available"]
    assert told[0] is not None
    return told[0].about["item"]


def test_the_receiver_is_told_where_the_first_document_has_no_item(tmp_path: Path) -> None:
    alone(tmp_path, first_gone)


@pytest.mark.postgres
def test_the_receiver_is_told_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, first_gone, database=url)


async def sender_here(here: Running) -> None:
    """From is an agency of ours, and the second document is not what it sent through us."""
    sent = await here.submit(metadata(VPCP, BO), ("12.pdf", PDF), key="a")
    mine = {"sender": VPCP, "document_id": sent["document_id"]}
    first = await arrive(here, document(BO, **mine, subject="Bản đầu"), "d1")
    assert (first.state, await here.inbox(VPCP, ItemKind.REPORT, wait=0)) == ("OPENED", [])
    second = await arrive(here, document(BO, **mine, subject="Bản khác"), "d2")
    assert codes(second) == ["arrival.conflict"]
    (told,) = await here.inbox(BO, ItemKind.REPORT)
    assert told["package"]["sha256"] == first.raw_sha256
    (report,) = await here.inbox(VPCP, ItemKind.REPORT)
    assert (report["about"], report["document_id"]) == (sent["id"], sent["document_id"])
    assert (report["report"]["arrival"], report["report"]["cause"]) == (second.id, "unit")
    assert [f["code"] for f in report["findings"]] == ["arrival.conflict"]
    assert "package" not in report
    await here.gateway.desk.confirm(await here.account(VPCP), report["id"])
    # from a sender of ours that sent nothing of the kind through us, to two receivers
    other = {"sender": VPCP, "document_id": "none-of-ours"}
    await arrive(here, document(BO, **other, subject="Bản đầu"), "d3")
    third = await arrive(here, document(BO, VPCP, **other, subject="Bản khác"), "d4")
    (report,) = await here.inbox(VPCP, ItemKind.REPORT)
    assert "about" not in report
    assert report["report"]["arrival"] == third.id
    assert await here.inbox(VPCP, wait=0) == []
    await here.gateway.desk.confirm(await here.account(VPCP), report["id"])
    await consistent(here)


def test_a_sender_of_ours_is_told_of_the_conflict_too(tmp_path: Path) -> None:
    alone(tmp_path, sender_here)


@pytest.mark.postgres
def test_a_sender_of_ours_is_told_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, sender_here, database=url)


@pytest.mark.postgres
def test_of_two_that_are_opened_at_once_the_key_lets_one_in(
    tmp_path: Path, postgres: Postgres
) -> None:
    async def story(here: Running) -> None:
        ids = [
            await receive(here, document(VPCP, BO, subject=f"Bản {n}"), f"d{n}") for n in range(6)
        ]
        inbound = here.gateway.inbound
        await asyncio.gather(*(inbound.open_next(1) for _ in ids))
        await open_all(here)
        states = sorted([(await row(here, one)).state for one in ids])
        assert states == ["OPENED", *["QUARANTINED"] * 5]
        for code in (VPCP, BO):
            assert len(await here.inbox(code)) == 1
            assert len(await here.inbox(code, ItemKind.REPORT)) == 5

    with postgres.database(migrated=True) as url:
        alone(tmp_path, story, database=url)


def without_id(data: bytes) -> bytes:
    """As some systems write them."""
    named = re.compile(rb"<edXML:DocumentId>none</edXML:DocumentId>")
    assert len(named.findall(data)) == 1
    return named.sub(b"", data)


def test_what_takes_no_document_id_conflicts_with_nothing(tmp_path: Path) -> None:
    """Acts are compared by identity alone, other senders' ids are their own."""

    async def story(here: Running) -> None:
        recall = Business(BusinessType.RECALL, reason="Ban hành nhầm")
        about = (ResponseFor(SO19, "12", NAMED),)
        packages = [
            document(),
            document(sender=SO20, subject="Của cơ quan khác"),
            document(business=recall, response_for=about, subject="Thu hồi"),
            document(business=recall, response_for=about, subject="Thu hồi lần nữa"),
            without_id(document(document_id="none", subject="Không mã")),
            without_id(document(document_id="none", subject="Không mã, văn bản khác")),
        ]
        for n, data in enumerate(packages):
            came = await arrive(here, data, f"d{n}")
            assert (n, came.state, codes(came)) == (n, "OPENED", [])
        assert len(await here.inbox(VPCP)) == len(packages)
        assert await here.inbox(VPCP, ItemKind.REPORT, wait=0) == []

    alone(tmp_path, story)


def test_a_conflict_for_one_receiver_keeps_the_others_waiting_and_takes_no_key(
    tmp_path: Path,
) -> None:
    """The whole arrival waits for a person; meanwhile the true one still reaches the other."""

    async def story(here: Running) -> None:
        await arrive(here, document(VPCP), "d1")
        other = await arrive(here, document(VPCP, BO, subject="Bản khác"), "d2")
        assert other.state == "QUARANTINED"
        assert await here.inbox(BO, wait=0) == []
        true = await arrive(here, document(VPCP, BO), "d3")
        assert true.state == "OPENED"
        assert len(await here.inbox(BO)) == 1
        assert (await facts(here, true.id))["doubles"] == [(await here.inbox(VPCP))[0]["id"]]

    alone(tmp_path, story)


@pytest.mark.parametrize(
    ("listed", "state"),
    [
        ("000.00.19.H14", "OPENED"),
        ("H14.19", "OPENED"),
        (" h14.019 ", "OPENED"),
        ("", "OPENED"),
        ("sys.h14", "OPENED"),  # names no agency, so contradicts none
        ("H14.20", "QUARANTINED"),
        ("000.00.20.H14", "QUARANTINED"),
        ("000.00.77.H77", "QUARANTINED"),  # in no directory, and yet another agency
    ],
)
@pytest.mark.parametrize("kind", list(PackageKind))
def test_the_sender_in_the_package_is_the_one_that_the_axis_lists(
    tmp_path: Path, listed: str, state: str, kind: PackageKind
) -> None:
    async def story(here: Running) -> None:
        await arrive(here, document(), "d0")
        data = (
            document(document_id="other", subject="Khác")
            if kind is PackageKind.DOCUMENT
            else status("13", NAMED)
        )
        came = await arrive(here, data, "d1", listed_from=listed, kind=kind)
        wanted = ["arrival.sender_differs"] if state == "QUARANTINED" else []
        assert (came.state, codes(came)) == (state, wanted)
        await consistent(here)

    alone(tmp_path, story)


def acting(kind: BusinessType, about: str) -> dict[str, Any]:
    if kind is BusinessType.RECALL:
        return {
            "business": Business(kind, reason="Nhầm"),
            "response_for": (ResponseFor(SO20, "12", about),),
        }
    if kind is BusinessType.UPDATE:
        return {"business": Business(kind, document_id=about, document_changed=1)}
    return {"business": Business(kind, replaces=(Replacement(about, (VPCP,)),))}


@pytest.mark.parametrize(
    "kind", [BusinessType.RECALL, BusinessType.UPDATE, BusinessType.REPLACE], ids=str
)
def test_only_its_sender_acts_on_a_document(tmp_path: Path, kind: BusinessType) -> None:
    async def story(here: Running) -> None:
        await arrive(here, document(), "d0")
        act = acting(kind, NAMED)
        stranger = document(sender=SO20, document_id="a-1", subject="Của tôi", **act)
        came = await arrive(here, stranger, "d1")
        assert (came.state, codes(came)) == ("QUARANTINED", ["act.not_the_sender"])
        # the sender itself, under the other form of its code
        own = document(sender="H14.19", document_id="a-2", subject="Của tôi", **act)
        assert (await arrive(here, own, "d2")).state == "OPENED"
        # what nobody here knows may come later
        unknown = document(sender=SO20, document_id="a-3", **acting(kind, "not-known"))
        assert (await arrive(here, unknown, "d3")).state == "OPENED"
        await consistent(here)

    alone(tmp_path, story)


def test_an_act_that_answers_anothers_document_is_no_act_on_it(tmp_path: Path) -> None:
    """ResponseFor of a replacement names what it answers; of a recall, what it takes back."""

    async def story(here: Running) -> None:
        await arrive(here, document(sender=SO20), "d0")
        act = acting(BusinessType.REPLACE, "000.00.19.H14,2026/11/01,1/STTTT-VX")
        answer = document(document_id="a-1", response_for=(ResponseFor(SO20, "12", NAMED),), **act)
        assert (await arrive(here, answer, "d1")).state == "OPENED"

    alone(tmp_path, story)


def test_nobody_recalls_what_we_sent_ourselves_or_takes_back_what_another_sent(
    tmp_path: Path,
) -> None:
    async def story(here: Running) -> None:
        sent = await here.submit(metadata(VPCP, SO19), ("12.pdf", PDF), key="a")
        act = acting(BusinessType.RECALL, sent["document_id"])
        came = await arrive(here, document(document_id="a-1", **act), "d0")
        assert (came.state, codes(came)) == ("QUARANTINED", ["act.not_the_sender"])
        await arrive(here, document(), "d1")
        asked = status("13", NAMED, sender=SO20)
        came = await arrive(here, asked, "d2", kind=PackageKind.STATUS)
        assert (came.state, codes(came)) == ("QUARANTINED", ["act.not_the_sender"])
        asked = status("13", NAMED)
        came = await arrive(here, asked, "d3", kind=PackageKind.STATUS)
        assert came.state == "OPENED"

    alone(tmp_path, story)


def test_one_document_over_two_axes_is_delivered_once_and_acknowledged_twice(
    tmp_path: Path,
) -> None:
    """Each axis rebuilds the package in its own way; the identity is the same."""

    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            systems = {"sys.h14": (SO19,), "sys.g22": (VPCP,)}
            national = await made.axis("vxp", systems, rebuild=False)
            provincial = await made.axis("lgsp", systems, rebuild=True)
            everyone = [{"axis": "vxp", "everyone": True}]
            sender = made.house("so19", ("H14.19",), {"vxp": "sys.h14"}, everyone)
            both = {"vxp": "sys.g22", "lgsp": "sys.g22"}
            receiver = made.house("vpcp", ("G22",), both, everyone)
            async with made.open(sender) as here, made.open(receiver) as there:
                meta = metadata(SO19, VPCP)
                first = await here.submit(meta, ("12.pdf", PDF), key="a")
                (item,) = await there.inbox(VPCP)
                (entry,) = national.deliveries(VPCP)
                data = national.sent_bytes(national.received()[0].doc_id)
                await provincial.deposit(data, system_id="sys.h14", sender=SO19)
                await provincial.until(lambda axis: len(axis.acknowledged()) == 1)
                await national.until(lambda axis: entry.doc_id in axis.acknowledged())
                listener = there.gateway.store.listener("inbox")
                async with asyncio.timeout(30):
                    while not (found := await _duplicates(there)):
                        await listener.wait(0.02)
                (duplicate,) = found
                assert duplicate.axis == "lgsp"
                assert duplicate.raw_sha256 != item["package"]["sha256"], "it was rebuilt"
                assert (await facts(there, duplicate.id))["doubles"] == [item["id"]]
                assert len(await there.inbox(VPCP)) == 1
                # whoever asks again, on either side, is given the first answer
                who = await there.account(VPCP)
                receipt = await there.gateway.desk.confirm(who, item["id"])
                assert await there.gateway.desk.confirm(who, item["id"]) == receipt
                assert await here.submit(meta, ("12.pdf", PDF), key="b") == first
                await here.until(
                    SO19,
                    first["id"],
                    lambda d: d["transfers"][0]["recipients"][0]["state"] == "ARRIVED",
                )
                await consistent(there)

    async def _duplicates(there: Running) -> list[Any]:
        from gateway.model.arrival import ArrivalState
        from gateway.store import arrivals

        return await there.gateway.store.read(
            lambda tx: arrivals.in_states(tx, [ArrivalState.DUPLICATE], 10)
        )

    asyncio.run(run())


def test_a_report_of_a_conflict_names_no_organ_as_its_sender(tmp_path: Path) -> None:
    """It is the gateway that speaks; the answer to a report is SEEN, never a status."""
    from gateway.errors import Unknown

    async def story(here: Running) -> None:
        await arrive(here, document(), "d1")
        await arrive(here, document(subject="Khác"), "d2")
        (report,) = await here.inbox(VPCP, ItemKind.REPORT)
        assert report["from"] == ""
        with pytest.raises(Unknown):
            await here.gateway.desk.report_status(
                await here.account(VPCP), report["id"], code="02", description="Không nhận"
            )

    alone(tmp_path, story)
