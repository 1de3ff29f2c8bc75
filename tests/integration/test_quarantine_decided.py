"""What a person does with what waits: lets it in, sends it back, has it fetched again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import select

from gateway import deadletters, quarantine
from gateway.cli import cli
from gateway.dispatch.causes import Whose
from gateway.errors import Conflict, Rejected, Unknown
from gateway.model.arrival import ItemKind
from gateway.model.package import Business, BusinessType, OtherInfo, PackageKind, ResponseFor
from gateway.releasing import Releasing
from gateway.store.tables import document as sent
from gateway.store.tables import personal, record
from tests.support.arriving import (
    SO19,
    SO20,
    VPCP,
    alone,
    arrive,
    consistent,
    document,
    facts,
    row,
    status,
)
from tests.support.commands import call
from tests.support.databases import Postgres
from tests.support.houses import Running, attachment
from tests.support.troubles import rows

NAMED = "000.00.19.H14,2026/11/20,12/STTTT-VX"
RECALL = {
    "business": Business(BusinessType.RECALL, reason="Nhầm"),
    "response_for": (ResponseFor(SO19, "12", NAMED),),
    "document_id": "recall-1",
}


def window(here: Running) -> Releasing:
    return Releasing(here.gateway.desk)


async def let_in(here: Running) -> None:
    await arrive(here, document(), "d1")
    second = await arrive(here, document(subject="Bản khác"), "d2")
    told = await window(here).let_in("ops-1", second.id, reason="Đã hỏi ông Mẫu", language="en")
    assert told["state"] == "OPENED"
    both = await here.inbox(VPCP)
    assert len(both) == 2
    (entered,) = [i for i in both if i["package"]["sha256"] == second.raw_sha256]
    assert [(f["code"], f["severity"]) for f in entered["findings"]] == [
        ("arrival.conflict", "warning")
    ], "whoever reads it sees what was overruled"
    said = await facts(here, second.id)
    assert (said["was"], said["state"]) == ("QUARANTINED", "OPENED")
    # the reason stands where it can be erased, never in a record
    bodies = await rows(here, select(record.c.body))
    assert all("Mẫu".encode() not in body for (body,) in bodies)
    assert ("Đã hỏi ông Mẫu",) in await rows(here, select(personal.c.value))
    with pytest.raises(Conflict) as over:
        await window(here).let_in("ops-1", second.id, reason="Lần nữa")
    assert over.value.code == "arrival.not_waiting"
    # what was let in is a document like any other: the same again is a duplicate
    assert (await arrive(here, document(subject="Bản khác"), "d3")).state == "DUPLICATE"
    await consistent(here)


def test_a_person_lets_in_what_was_objected_to(tmp_path: Path) -> None:
    alone(tmp_path, let_in)


@pytest.mark.postgres
def test_a_person_lets_it_in_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, let_in, database=url)


def test_what_is_let_in_under_another_sender_takes_its_document_id(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        first = await arrive(here, document(), "d1", listed_from=SO20)
        assert first.state == "QUARANTINED"
        # as long as it waits it takes nothing from the true sender
        true = await arrive(here, document(subject="Thật"), "d2", listed_from=SO19)
        assert true.state == "OPENED"
        other = await arrive(here, document(document_id="x"), "d3", listed_from=SO20)
        await window(here).let_in("ops-1", other.id, reason="Trục ghi sai")
        late = await arrive(here, document(document_id="x", subject="Khác"), "d4")
        assert late.state == "QUARANTINED"

    alone(tmp_path, story)


@pytest.mark.parametrize("what", ["unreadable", "secret", "not ours", "orphan"])
def test_what_is_no_matter_of_opinion_stays_out(tmp_path: Path, what: str) -> None:
    async def story(here: Running) -> None:
        kind = PackageKind.DOCUMENT
        if what == "unreadable":
            data = b"<html>not a package</html>"
        elif what == "secret":
            data = document(other=OtherInfo(typer_notation="Tối mật"))
        elif what == "not ours":
            data = document(SO20)
        else:
            data, kind = status("03", "nobody-knows", to=VPCP), PackageKind.STATUS
        came = await arrive(here, data, "d1", kind=kind)
        assert came.state == ("ORPHAN" if what == "orphan" else "QUARANTINED")
        with pytest.raises(Conflict) as refused:
            await window(here).let_in("ops-1", came.id, reason="Muốn xem")
        assert refused.value.code == "arrival.not_openable"
        assert (await row(here, came.id)).state == came.state
        for each in ItemKind:
            assert await here.inbox(VPCP, each, wait=0) == []

    alone(tmp_path, story)


async def sent_back(here: Running) -> None:
    await arrive(here, document(), "d1")
    came = await arrive(here, document(sender=SO20, **RECALL), "d2")
    told = await window(here).send_back(
        "ops-1", came.id, reason="Văn bản này không phải của quý cơ quan", tell_sender=True
    )
    assert told["state"] == "RETURNED"
    (transfer,) = told["transfers"]
    shown = await here.gateway.desk.queued(transfer)
    assert (shown["axis"], shown["recipients"]) == ("vxp", [SO20])
    said = await rows(here, select(sent.c.kind, sent.c.sender, sent.c.document_id))
    assert said == [("status", VPCP, "recall-1")]
    assert (await facts(here, came.id, "arrival.returned"))["transfers"] == [transfer]
    for again in (
        window(here).send_back("ops-1", came.id, reason="Lần nữa"),
        window(here).let_in("ops-1", came.id, reason="Lần nữa"),
    ):
        with pytest.raises(Conflict) as over:
            await again
        assert over.value.code == "arrival.not_waiting"
    await consistent(here)


def test_what_is_sent_back_is_told_to_its_sender_on_demand(tmp_path: Path) -> None:
    alone(tmp_path, sent_back)


@pytest.mark.postgres
def test_it_is_sent_back_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, sent_back, database=url)


def test_nothing_is_said_that_the_sender_would_take_for_something_else(tmp_path: Path) -> None:
    """02 names a DocumentId: after a conflict it would refuse the document that stands."""

    async def story(here: Running) -> None:
        await arrive(here, document(), "d1")
        cases = [
            await arrive(here, document(subject="Khác"), "d2"),
            await arrive(here, document(document_id="x"), "d3", listed_from=SO20),
            await arrive(here, status("13", NAMED, sender=SO20), "d4", kind=PackageKind.STATUS),
            await arrive(here, b"<html/>", "d5"),
        ]
        for came in cases:
            with pytest.raises(Conflict) as refused:
                await window(here).send_back("ops-1", came.id, reason="Sai", tell_sender=True)
            assert (came.axis_doc_id, refused.value.code) == (
                came.axis_doc_id,
                "arrival.cannot_be_told",
            )
            done = await window(here).send_back("ops-1", came.id, reason="Đã gọi điện thoại")
            assert (done["state"], done["transfers"]) == ("RETURNED", [])
        assert await rows(here, select(sent.c.id)) == []
        await consistent(here)

    alone(tmp_path, story)


def test_a_decision_has_a_reason_and_something_to_decide(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        came = await arrive(here, document(), "d1", listed_from=SO20)
        opened = await arrive(here, document(document_id="y"), "d2")
        at = window(here)
        for reasonless in (
            at.let_in("o", came.id, reason="  "),
            at.send_back("o", came.id, reason=""),
        ):
            with pytest.raises(Rejected) as refused:
                await reasonless
            assert refused.value.code == "decision.reason_missing"
        for unknown in (at.one("nobody"), at.let_in("o", "nobody", reason="x")):
            with pytest.raises(Unknown):
                await unknown
        with pytest.raises(Conflict):
            await at.let_in("o", opened.id, reason="x")

    alone(tmp_path, story)


def test_files_of_what_was_let_in_can_be_fetched(tmp_path: Path) -> None:
    """It was never served before; now it is, like any other."""

    async def story(here: Running) -> None:
        await arrive(here, document(), "d1")
        second = await arrive(here, document(file=b"%PDF-1.4 other"), "d2")
        await window(here).let_in("ops-1", second.id, reason="Được phép")
        (entered,) = [
            i for i in await here.inbox(VPCP) if i["package"]["sha256"] == second.raw_sha256
        ]
        who = await here.account(VPCP)
        item = await here.gateway.desk.item(who, entered["id"])
        _, source = await here.gateway.inbound.attachment(item, 0)
        with source:
            assert source.read() == attachment("x", b"%PDF-1.4 other").open().read()

    alone(tmp_path, story)


def test_the_command_line_decides_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The database is free: no gateway runs."""
    ids: list[str] = []

    async def story(here: Running) -> None:
        await arrive(here, document(), "d1")
        ids.extend([(await arrive(here, document(subject=f"Bản {n}"), f"d{n}")).id for n in (2, 3)])

    alone(tmp_path, story)
    at = ("--conf", tmp_path / "vpcp" / "conf", "--lang", "en")
    listed = call(capsys, "quarantine", "list", *at, "--json").json()
    assert [a["id"] for a in listed["arrivals"]] == ids
    told = call(capsys, "quarantine", "list", *at)
    assert ids[0] in told.out
    assert "arrival.conflict" in told.out
    shown = call(capsys, "quarantine", "show", ids[0], *at)
    assert "under the same DocumentId" in shown.out
    assert call(capsys, "quarantine", "open", ids[0], *at).code == 64, "a reason is a must"
    why = ("--reason", "asked the sender")
    opened = call(capsys, "quarantine", "open", ids[0], *why, *at, "--json")
    assert (opened.code, opened.json()["state"]) == (0, "OPENED")
    assert call(capsys, "quarantine", "return", ids[1], *why, "--tell", *at).code == 65
    returned = call(capsys, "quarantine", "return", ids[1], *why, *at)
    assert "RETURNED" in returned.out
    assert "Nothing waits" in call(capsys, "quarantine", "list", *at).out


async def dead_letters(here: Running) -> None:
    """Whose fault each is, and commands that work: they are run as they are shown."""
    await arrive(here, document(), "d1")
    about = {**RECALL, "response_for": (ResponseFor(SO20, "12", NAMED),)}
    wanted = {
        "arrival.conflict": (await arrive(here, document(subject="Khác"), "d2"), "peer"),
        "arrival.sender_differs": (
            await arrive(here, document(document_id="x"), "d3", listed_from=SO20),
            "peer",
        ),
        "act.not_the_sender": (await arrive(here, document(sender=SO20, **about), "d4"), "peer"),
        "secrecy.marked": (
            await arrive(here, document(other=OtherInfo(typer_notation="Tối mật")), "d5"),
            "unit",
        ),
        "arrival.not_ours": (await arrive(here, document(SO20, document_id="y"), "d6"), "peer"),
        "package.not_xml": (await arrive(here, b"<html>not a package", "d7"), "unit"),
    }
    store = here.gateway.store

    async def page(language: str, whose: Whose | None = None) -> dict[str, dict[str, Any]]:
        found, _ = await deadletters.page(
            store, whose=whose, cursor="", limit=50, language=language
        )
        return {one["id"]: one for one in found}

    letters, english = await page("vi"), await page("en")
    assert set(letters) == {came.id for came, _ in wanted.values()}
    for code, (came, cause) in wanted.items():
        letter = letters[came.id]
        if code.startswith("package."):
            assert letter["code"].startswith("package.")
        else:
            assert letter["code"] == code
        assert letter["cause"] == cause, code
        for words in ("reason", "next_step"):
            assert letter[words] != english[came.id][words]
        opens = code in ("arrival.conflict", "arrival.sender_differs", "act.not_the_sender")
        assert letter["can"] == (["open", "return"] if opens else ["return"]), code
        assert [line.split()[:4] for line in letter["commands"]] == [
            ["edoc-gateway", "quarantine", act, came.id] for act in ("show", *letter["can"])
        ]
        assert all(taken(line) for line in letter["commands"])
        if opens:
            assert (await window(here).let_in("ops", came.id, reason="..."))["state"] == "OPENED"
        else:
            back = await window(here).send_back("ops", came.id, reason="...")
            assert back["state"] == "RETURNED"
    assert await page("vi") == {}
    await consistent(here)


def taken(line: str) -> bool:
    """The command line takes it as it stands."""
    _, group, name, *rest = shlex.split(line)
    context = click.Context(cli)
    family = cli.get_command(context, group)
    assert isinstance(family, click.Group)
    command = family.get_command(context, name)
    assert command is not None, line
    with command.make_context(name, list(rest)) as made:
        return bool(made.params["arrival_id"])


def test_the_dead_say_what_can_be_done_about_an_arrival(tmp_path: Path) -> None:
    alone(tmp_path, dead_letters)


@pytest.mark.postgres
def test_the_dead_say_it_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, dead_letters, database=url)


def test_what_stopped_an_arrival_comes_before_its_other_errors() -> None:
    wrong = ["attachment.digest", "arrival.conflict"]
    assert quarantine.stopped_by(wrong) == "arrival.conflict"
    assert quarantine.person_may(wrong) == ("open", "return")
    assert quarantine.stopped_by(["package.unknown_kind", "limit.size"]) == "package.unknown_kind"
    assert quarantine.stopped_by([]) == ""
