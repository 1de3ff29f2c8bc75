"""Recall, update, replacement and take-back, from what a unit asks to what the receiver sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.acts import Acts
from gateway.audit.shown import shown_otherwise
from gateway.errors import Conflict, Rejected, Unknown
from gateway.model.arrival import ItemKind
from gateway.model.package import BusinessType, PackageKind, Staff
from gateway.packing import read
from gateway.releasing import Releasing
from tests.support.arriving import alone, arrive, consistent, status
from tests.support.databases import Postgres
from tests.support.houses import PDF, Running, Town, attachment, metadata, town

SO19, SO20, VPCP, BO = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22", "000.00.00.G12"
EVERYONE = [{"axis": "vxp", "level1": "H"}, {"axis": "vxp", "agency": "G22"}]
Story = Callable[[Running, Running, Town], Awaitable[None]]
WORD = ("phụ lục.docx", b"PK\x03\x04 not really a zip")


def live(folder: Path, story: Story, database: Callable[[], str] = str) -> None:
    async def run() -> None:
        async with town(folder, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19, SO20), "sys.g22": (VPCP,)})
            houses = [
                made.house(name, local, {"vxp": system}, EVERYONE, database=database())
                for name, local, system in (
                    ("so19", ("H14.19", "H14.20"), "sys.h14"),
                    ("vpcp", ("G22",), "sys.g22"),
                )
            ]
            async with made.open(houses[0]) as here, made.open(houses[1]) as there:
                await story(here, there, made)
                for side in (here, there):
                    wrong = await side.gateway.store.read(lambda tx: list(shown_otherwise(tx)))
                    assert [(f.path, f.text.en) for f in wrong] == []

    asyncio.run(run())


async def act(
    side: Running,
    kind: BusinessType,
    ref: str,
    meta: dict[str, Any],
    *files: tuple[str, bytes],
    key: str,
    who: str = SO19,
) -> dict[str, Any]:
    account = await side.account(who)
    window = Acts(side.gateway.desk)
    asked = await window.about(account, ref, kind)
    submission = window.judge(account, asked, json.dumps(meta).encode(), key)
    submission = replace(submission, files=tuple(attachment(n, d) for n, d in files))
    answered = await window.submit(account, asked, submission, key, "en")
    return json.loads(answered.answer)


async def item(side: Running, code: str, item_id: str) -> dict[str, Any]:
    return await Acts(side.gateway.desk).item(await side.account(code), item_id, "en")


async def answer(side: Running, code: str, item_id: str, status: str, why: str = "") -> None:
    await side.gateway.desk.report_status(
        await side.account(code), item_id, code=status, description=why
    )


async def took(side: Running, code: str, document_id: str) -> dict[str, Any]:
    """The document with this id in the inbox, once it is there; whatever else waits."""
    listener = side.gateway.store.listener("inbox")
    async with asyncio.timeout(30):
        while True:
            for one in await side.inbox(code):
                if one["document_id"] == document_id:
                    return one
            await listener.wait(0.1)


async def quarantined(side: Running) -> dict[str, Any]:
    """The one arrival that waits for a person, once it does."""
    listener = side.gateway.store.listener("inbox")
    async with asyncio.timeout(30):
        while not (found := (await side.gateway.desk.quarantine(10, "en"))["arrivals"]):
            await listener.wait(0.1)
    (one,) = found
    return dict(one)


def states(shown: dict[str, Any]) -> dict[str, str]:
    return {r["agency"]: r["state"] for t in shown["transfers"] for r in t["recipients"]}


def said(shown: dict[str, Any]) -> list[str]:
    """The codes that came about a document; they overtake each other on their way."""
    recipients = [r for t in shown["transfers"] for r in t["recipients"]]
    return sorted(s["code"] for r in recipients for s in r["statuses"])


async def package_of(side: Running, code: str, ref: str, axis: str = "") -> read.ReadPackage:
    stored = await side.gateway.desk.package(await side.account(code), ref, axis)
    with stored.source as source:
        return read.read_package(BytesIO(source.read()))


async def recalled(here: Running, there: Running, made: Town) -> None:
    sent = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), WORD, key="sent")
    first = await took(there, VPCP, sent["document_id"])
    near = await took(here, SO20, sent["document_id"])
    await there.gateway.desk.confirm(await there.account(VPCP), first["id"])
    why = {"business": {"reason": "Ban hành nhầm"}}
    made_act = await act(here, BusinessType.RECALL, sent["id"], why, key="back")
    again = await act(here, BusinessType.RECALL, sent["id"], why, key="back")
    assert again == made_act, "the same act twice is one"
    assert UUID(made_act["document_id"]).version == 5
    package = await package_of(here, SO19, made_act["id"], "vxp")
    header = package.header
    assert header is not None
    assert (header.business.type, header.business.document_id) == (1, "")
    (named,) = header.response_for
    assert (named.organ_id, named.code, named.document_id, named.promulgation_date) == (
        SO19,
        "12/UBND-VX",
        sent["document_id"],
        "2026-11-20",
    )
    assert [(f.declared_name, f.size) for f in package.files] == [
        ("12.pdf", len(PDF)),
        (WORD[0], len(WORD[1])),
    ], "the files of the stored package travel again"

    came = await took(there, VPCP, made_act["document_id"])
    shown = await item(there, VPCP, came["id"])
    assert shown["business"] == {
        "type": 1,
        "about": [sent["document_id"]],
        "reason": "Ban hành nhầm",
    }
    assert shown["signature"]["verdict"] == "valid"
    assert shown["about_items"] == [
        {"id": first["id"], "document_id": sent["document_id"], "state": "ENTERED"}
    ]
    assert (await item(there, VPCP, first["id"]))["acts"] == [
        {
            "id": came["id"],
            "type": 1,
            "document_id": made_act["document_id"],
            "state": "WAITING",
        }
    ]
    await answer(there, VPCP, came["id"], "15")
    assert (await item(there, VPCP, first["id"]))["state"] == "RECALLED"
    assert (await item(there, VPCP, came["id"]))["state"] == "WAITING", "the act itself stays"
    with pytest.raises(Conflict, match="RECALLED"):
        await answer(there, VPCP, first["id"], "06")
    # the other receiver refuses, about the document itself
    with pytest.raises(Rejected, match="reason"):
        await answer(here, SO20, near["id"], "16")
    await answer(here, SO20, near["id"], "16", "Đã xử lý xong")
    assert (await item(here, SO20, near["id"]))["state"] == "WAITING"
    told = await here.until(
        SO19,
        sent["id"],
        lambda d: states(d) == {VPCP: "RECALLED", SO20: "TAKE_BACK_REFUSED"},
    )
    assert [(a["type"], a["id"]) for a in told["acts"]] == [(1, made_act["id"])]
    own = await here.until(SO19, made_act["id"], lambda d: states(d)[VPCP] == "TAKE_BACK_AGREED")
    assert own["about"] == [sent["document_id"]]
    assert (await here.document(SO19, sent["id"]))["business_type"] == 0


def test_a_recall_is_answered_by_each_receiver_for_itself(tmp_path: Path) -> None:
    live(tmp_path, recalled)


@pytest.mark.postgres
def test_the_same_recall_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        urls = iter([one, two])
        live(tmp_path, recalled, lambda: next(urls))


def test_a_take_back_is_asked_of_all_who_have_it_and_answered_both_ways(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        sent = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), key="sent")
        far = await took(there, VPCP, sent["document_id"])
        near = await took(here, SO20, sent["document_id"])
        await here.until(SO19, sent["id"], lambda d: set(states(d).values()) == {"ON_AXIS"})
        who = await here.account(SO19)
        window = Acts(here.gateway.desk)

        async def ask(key: str, *to: str, reason: str = "Gửi nhầm nơi nhận") -> dict[str, Any]:
            answered = await window.take_back(
                who,
                sent["id"],
                reason=reason,
                staff=Staff(name="Văn thư mẫu"),
                to=to,
                idempotency_key=key,
            )
            return json.loads(answered.answer)

        # 15 without being asked says what it says, and recalls nothing
        await answer(there, VPCP, far["id"], "15", "Chưa ai hỏi")
        assert (await item(there, VPCP, far["id"]))["state"] == "WAITING"
        await here.until(SO19, sent["id"], lambda d: states(d)[VPCP] == "TAKE_BACK_AGREED")

        for wrong, code in (
            ({"reason": " "}, "status.reason_missing"),
            ({"to": (BO,)}, "document.no_receiver"),
        ):
            with pytest.raises(Rejected) as refused:
                await ask("none", *wrong.get("to", ()), reason=str(wrong.get("reason", "x")))
            assert refused.value.code == code
        asked = await ask("13")
        assert await ask("13") == asked
        assert {t["axis"]: t["recipients"] for t in asked["transfers"]} == {
            "vxp": [VPCP],
            "loopback": [SO20],
        }
        with pytest.raises(Conflict) as mismatch:
            await ask("13", reason="Lý do khác")
        assert mismatch.value.code == "idempotency.mismatch"

        (thirteen,) = await there.inbox(VPCP, ItemKind.STATUS)
        assert thirteen["status"]["code"] == "13"
        assert thirteen["status"]["description"] == "Gửi nhầm nơi nhận"
        assert thirteen["status"]["staff"] == {"name": "Văn thư mẫu"}
        shown = await item(there, VPCP, thirteen["id"])
        assert [a["id"] for a in shown["about_items"]] == [far["id"]]
        assert (await item(there, VPCP, far["id"]))["acts"] == [
            {"id": thirteen["id"], "code": "13", "state": "WAITING"}
        ]
        with pytest.raises(Unknown):
            await answer(there, VPCP, thirteen["id"], "06")
        await answer(there, VPCP, thirteen["id"], "15")
        assert (await item(there, VPCP, far["id"]))["state"] == "RECALLED"
        (near13,) = await here.inbox(SO20, ItemKind.STATUS)
        await answer(here, SO20, near13["id"], "16", "Đã chuyển xử lý")
        assert (await item(here, SO20, near["id"]))["state"] == "WAITING"
        told = await here.until(
            SO19,
            sent["id"],
            lambda d: states(d) == {VPCP: "RECALLED", SO20: "TAKE_BACK_REFUSED"},
        )
        assert [a["code"] for a in told["acts"]] == ["13", "13"]
        # whoever refused may be asked again, and may then agree about the document itself
        second = await ask("again")
        assert [t["recipients"] for t in second["transfers"]] == [[SO20]]
        assert second["not_asked"] == [
            {"agency": VPCP, "state": "RECALLED", "transfer_state": "ON_AXIS"}
        ]
        await answer(here, SO20, near["id"], "15")
        assert (await item(here, SO20, near["id"]))["state"] == "RECALLED"
        await here.until(SO19, sent["id"], lambda d: set(states(d).values()) == {"RECALLED"})
        with pytest.raises(Conflict) as nobody:
            await ask("nobody")
        assert nobody.value.code == "document.nobody_has_it"

    live(tmp_path, story)


def test_an_update_tells_old_and_new_receivers_what_changed(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        sent = await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="sent")
        changes = [{"organ_id": SO20, "change": 0}, {"organ_id": VPCP, "change": 1}]
        made_act = await act(
            here,
            BusinessType.UPDATE,
            sent["id"],
            {
                "subject": "Về việc thử nghiệm (đã sửa)",
                "business": {"document_changed": 1, "receivers": changes},
            },
            key="update",
        )
        assert sorted(t["axis"] for t in made_act["transfers"]) == ["loopback", "vxp"]
        for side, code in ((here, SO20), (there, VPCP)):
            came = await took(side, code, made_act["document_id"])
            shown = await item(side, code, came["id"])
            assert shown["business"] == {
                "type": 2,
                "about": [sent["document_id"]],
                "document_id": sent["document_id"],
                "document_changed": 1,
                "receivers_changed": 1,
                "receivers": changes,
            }
            assert shown["header"]["subject"] == "Về việc thử nghiệm (đã sửa)"
            assert [a["name"] for a in shown["attachments"]] == ["12.pdf"]
            assert len(shown.get("about_items", ())) == (1 if code == SO20 else 0)
            await answer(side, code, came["id"], "15")
        await here.until(
            SO19, made_act["id"], lambda d: set(states(d).values()) == {"TAKE_BACK_AGREED"}
        )
        # agreeing to an update recalls nothing
        await here.until(SO19, sent["id"], lambda d: states(d) == {SO20: "ON_AXIS"})

    live(tmp_path, story)


def test_a_replacement_names_two_documents_and_the_receivers_of_each(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        one = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), key="one")
        two = await here.submit(metadata(SO19, VPCP, number="13"), ("13.pdf", PDF), key="two")
        for sent in (one, two):
            await took(there, VPCP, sent["document_id"])
        new = metadata(SO19, VPCP, number="14", subject="Thay thế hai văn bản")
        del new["to"], new["document_id"]
        new["business"] = {"replaces": [{"document_id": two["document_id"], "organ_ids": [VPCP]}]}
        with pytest.raises(Rejected) as fileless:
            await act(here, BusinessType.REPLACE, one["id"], new, key="none")
        assert [f.code for f in fileless.value.findings] == ["content.no_file"]
        made_act = await act(
            here, BusinessType.REPLACE, one["id"], new, ("14.pdf", PDF + b"%"), key="new"
        )
        came = await took(there, VPCP, made_act["document_id"])
        await took(here, SO20, made_act["document_id"])
        shown = await item(there, VPCP, came["id"])
        assert shown["business"] == {
            "type": 3,
            "about": sorted([one["document_id"], two["document_id"]]),
            "replaces": [
                {"document_id": one["document_id"], "organ_ids": [VPCP, SO20]},
                {"document_id": two["document_id"], "organ_ids": [VPCP]},
            ],
        }
        assert {a["document_id"] for a in shown["about_items"]} == set(shown["business"]["about"])

    live(tmp_path, story)


def test_an_act_says_what_it_is_about_or_is_refused_whole(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        sent = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="sent")

        async def refused(kind: BusinessType, meta: dict[str, Any]) -> set[tuple[str, str]]:
            with pytest.raises(Rejected) as wrong:
                await act(here, kind, sent["id"], meta, key="none")
            return {(f.path, f.code) for f in wrong.value.findings}

        assert await refused(BusinessType.RECALL, {}) == {
            ("business.reason", "business.reason_missing")
        }
        assert await refused(BusinessType.UPDATE, {"business": {}}) == {
            ("business.document_changed", "business.change_missing")
        }
        assert await refused(
            BusinessType.RECALL,
            {"from": {"organ_id": SO20}, "business": {"type": 3, "about": "x", "reason": "y"}},
        ) == {
            ("business.type", "business.contradicts"),
            ("business.about", "business.contradicts"),
            ("from.organ_id", "business.contradicts"),
        }
        nowhere = {"to": [{"organ_id": BO}, {"organ_id": VPCP}], "business": {"reason": "x"}}
        assert await refused(BusinessType.RECALL, nowhere) == {("to[0].organ_id", "route.none")}
        recall = await act(
            here, BusinessType.RECALL, sent["id"], {"business": {"reason": "x"}}, key="recall"
        )
        with pytest.raises(Conflict) as again:
            await act(here, BusinessType.UPDATE, recall["id"], {}, key="none")
        assert again.value.code == "document.is_recall"
        with pytest.raises(Unknown):
            await act(here, BusinessType.RECALL, sent["id"], {}, key="none", who=SO20)

    live(tmp_path, story)


def test_nobody_recalls_what_another_sent(tmp_path: Path) -> None:
    """A recall by another sender waits for a person, and recalls nothing (standards 9.1)."""

    async def story(here: Running, there: Running, made: Town) -> None:
        sent = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="sent")
        mine = await took(there, VPCP, sent["document_id"])
        stranger = metadata(SO20, VPCP, number="1")
        stranger["business"] = {"type": 1, "reason": "Không phải của tôi"}
        stranger["response_for"] = [{"organ_id": SO19, "document_id": sent["document_id"]}]
        del stranger["document_id"]
        made_act = await here.submit(stranger, ("1.pdf", PDF), key="stranger")
        waiting = await quarantined(there)
        assert [f["code"] for f in waiting["findings"]] == ["act.not_the_sender"]
        assert "acts" not in await item(there, VPCP, mine["id"])
        # even where a person lets it in, it moves nothing
        window = Releasing(there.gateway.desk)
        await window.let_in("ops", waiting["id"], reason="Văn thư muốn xem")
        came = await took(there, VPCP, made_act["document_id"])
        shown = await item(there, VPCP, came["id"])
        assert shown["business"]["about"] == [sent["document_id"]]
        assert "about_items" not in shown
        assert "acts" not in await item(there, VPCP, mine["id"])
        await answer(there, VPCP, came["id"], "15")
        assert (await item(there, VPCP, mine["id"]))["state"] == "WAITING"
        await here.until(SO20, made_act["id"], lambda d: states(d)[VPCP] == "TAKE_BACK_AGREED")
        await here.until(SO19, sent["id"], lambda d: states(d) == {VPCP: "ON_AXIS"})

    live(tmp_path, story)


def test_two_acts_of_the_same_words_under_other_keys_are_two(tmp_path: Path) -> None:
    """To add a receiver, remove it and add it again are three updates, not two."""

    async def story(here: Running, there: Running, made: Town) -> None:
        sent = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="sent")
        meta = {"business": {"receivers": [{"organ_id": SO20, "change": 1}]}}
        one = await act(here, BusinessType.UPDATE, sent["id"], meta, key="one")
        two = await act(here, BusinessType.UPDATE, sent["id"], meta, key="two")
        assert one["document_id"] != two["document_id"]
        with pytest.raises(Conflict) as other:
            await act(here, BusinessType.UPDATE, sent["id"], {**meta, "subject": "Khác"}, key="two")
        assert other.value.code == "idempotency.mismatch"

    live(tmp_path, story)


def test_a_finished_document_can_be_recalled_and_recalled_again(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        sent = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="sent")
        mine = await took(there, VPCP, sent["document_id"])
        await there.gateway.desk.confirm(await there.account(VPCP), mine["id"])
        for code in ("03", "06"):
            await answer(there, VPCP, mine["id"], code)
        await here.until(SO19, sent["id"], lambda d: said(d) == ["01", "03", "06"])
        assert states(await here.document(SO19, sent["id"])) == {VPCP: "FINISHED"}
        for why in ("Sai nội dung", "Vẫn sai"):
            meta = {"business": {"reason": why}}
            made_act = await act(here, BusinessType.RECALL, sent["id"], meta, key=why)
            came = await took(there, VPCP, made_act["document_id"])
            await answer(there, VPCP, came["id"], "15", why)
            await here.until(SO19, made_act["id"], lambda d: states(d)[VPCP] == "TAKE_BACK_AGREED")
            shown = await here.document(SO19, sent["id"])
            assert states(shown) == {VPCP: "RECALLED"}
            assert (await item(there, VPCP, mine["id"]))["state"] == "RECALLED"
        assert said(shown) == ["01", "03", "06", "15", "15"]
        assert shown["transfers"][0]["recipients"][0]["entered_at"] is not None

    live(tmp_path, story)


def test_what_a_receiver_returned_stays_returned(tmp_path: Path) -> None:
    """02 was the last word: a recall of it is answered, and moves nothing."""

    async def story(here: Running, there: Running, made: Town) -> None:
        sent = await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF), key="sent")
        mine = await took(there, VPCP, sent["document_id"])
        await answer(there, VPCP, mine["id"], "02", "Gửi nhầm")
        await here.until(SO19, sent["id"], lambda d: states(d) == {VPCP: "REJECTED"})
        meta = {"business": {"reason": "Ban hành nhầm"}}
        made_act = await act(here, BusinessType.RECALL, sent["id"], meta, key="recall")
        came = await took(there, VPCP, made_act["document_id"])
        await answer(there, VPCP, came["id"], "15")
        await here.until(SO19, made_act["id"], lambda d: states(d)[VPCP] == "TAKE_BACK_AGREED")
        assert states(await here.document(SO19, sent["id"])) == {VPCP: "REJECTED"}
        assert (await item(there, VPCP, mine["id"]))["state"] == "REFUSED"

    live(tmp_path, story)


def test_returned_or_recalled_is_what_was_said_first(tmp_path: Path) -> None:
    """Both are a last word: whichever comes first here, the one said first stands."""
    alone(tmp_path, returned_or_recalled)


@pytest.mark.postgres
def test_returned_or_recalled_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, returned_or_recalled, database=url)


async def returned_or_recalled(here: Running) -> None:
    n = 0
    for returned, agreed in ((1, 2), (2, 1)):
        words = (("02", returned), ("15", agreed))
        for order in (words, words[::-1]):
            n += 1
            meta = metadata(VPCP, SO19, number=str(n), subject=f"Văn bản {n}")
            sent = await here.submit(meta, ("12.pdf", PDF), key=f"k{n}")
            why = {"business": {"reason": "Ban hành nhầm"}}
            key = f"recall {n}"
            await act(here, BusinessType.RECALL, sent["id"], why, key=key, who=VPCP)
            for code, second in order:
                when = f"2026/11/22 09:00:{second:02}"
                data = status(code, meta["document_id"], timestamp=when)
                await arrive(here, data, f"{n}-{code}", kind=PackageKind.STATUS)
            first = {"02": "REJECTED", "15": "RECALLED"}[min(words, key=lambda w: w[1])[0]]
            assert states(await here.document(VPCP, sent["id"])) == {SO19: first}, order
    await consistent(here)


def test_an_act_may_come_before_the_document_that_it_is_about(tmp_path: Path) -> None:
    async def story(here: Running, there: Running, made: Town) -> None:
        later = metadata(SO19, VPCP)
        early = metadata(SO19, VPCP, number="13")
        early["business"] = {"type": 1, "reason": "Ban hành nhầm"}
        early["response_for"] = [{"organ_id": SO19, "document_id": later["document_id"]}]
        del early["document_id"]
        made_act = await here.submit(early, ("13.pdf", PDF), key="early")
        came = await took(there, VPCP, made_act["document_id"])
        assert "about_items" not in await item(there, VPCP, came["id"])
        sent = await here.submit(later, ("12.pdf", PDF), key="late")
        mine = await took(there, VPCP, sent["document_id"])
        assert [a["id"] for a in (await item(there, VPCP, mine["id"]))["acts"]] == [came["id"]]
        about = (await item(there, VPCP, came["id"]))["about_items"]
        assert [a["id"] for a in about] == [mine["id"]]
        await answer(there, VPCP, mine["id"], "15")
        assert (await item(there, VPCP, mine["id"]))["state"] == "RECALLED"
        await here.until(SO19, sent["id"], lambda d: states(d) == {VPCP: "RECALLED"})

    live(tmp_path, story)
