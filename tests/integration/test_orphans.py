"""Statuses in any order, before their document too: matched to the recipient that reports."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.model.package import PackageKind
from gateway.store import Tx
from gateway.store.tables import arrival, orphan
from tests.support.arriving import (
    SO19,
    SO20,
    VPCP,
    alone,
    arrive,
    consistent,
    document,
    facts,
    open_all,
    receive,
    row,
    status,
)
from tests.support.databases import Postgres
from tests.support.houses import PDF, Running, metadata
from tests.support.troubles import eventually, rows


async def said(here: Running, code: str, document_id: str, n: int, sender: str = SO19) -> Any:
    """One status from this recipient; each of another second."""
    data = status(code, document_id, sender=sender, timestamp=f"2026/11/22 09:00:{n:02}")
    doc_id = f"{document_id}-{sender}-{code}-{n}"
    return await arrive(here, data, doc_id, kind=PackageKind.STATUS)


def recipients(shown: dict[str, Any]) -> dict[str, str]:
    return {r["agency"]: r["state"] for t in shown["transfers"] for r in t["recipients"]}


async def before_the_document(here: Running) -> None:
    meta = metadata(VPCP, SO19, SO20)
    early = await said(here, "03", meta["document_id"], 1)
    stranger = await said(here, "01", meta["document_id"], 2, sender="000.00.77.H77")
    assert (early.state, stranger.state) == ("ORPHAN", "ORPHAN")
    inbound = here.gateway.inbound
    assert await inbound.enter_orphans(8) == 0, "its document is not known"
    sent = await here.submit(meta, ("12.pdf", PDF), key="a")
    assert await inbound.enter_orphans(8) == 1
    assert (await row(here, early.id)).state == "OPENED"
    assert (await facts(here, early.id))["was"] == "ORPHAN"
    shown = await here.document(VPCP, sent["id"])
    assert recipients(shown) == {SO19: "ACCEPTED", SO20: "PENDING"}
    # whoever was sent nothing reports on nothing of ours: it waits on, looked at now and then
    assert (await row(here, stranger.id)).state == "ORPHAN"
    assert await inbound.enter_orphans(8) == 0
    ((due, tries),) = await rows(here, select(orphan.c.due_at, orphan.c.tries))
    assert tries == 1
    assert due > stranger.received_at + timedelta(minutes=30)
    await consistent(here)


def test_a_status_that_came_before_its_document_is_opened_once_it_is_known(
    tmp_path: Path,
) -> None:
    alone(tmp_path, before_the_document)


@pytest.mark.postgres
def test_the_same_orphan_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, before_the_document, database=url)


def test_the_worker_opens_orphans_by_itself(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        meta = metadata(VPCP, SO19)
        early = await receive(
            here, status("01", meta["document_id"]), "early", kind=PackageKind.STATUS
        )
        state = select(arrival.c.state).where(arrival.c.id == early)
        await eventually(here, state, lambda found: found == [("ORPHAN",)])
        sent = await here.submit(meta, ("12.pdf", PDF), key="a")
        await here.until(VPCP, sent["id"], lambda d: recipients(d) == {SO19: "ARRIVED"})
        assert await rows(here, state) == [("OPENED",)]

    alone(tmp_path, story, ("open",))


def test_the_same_status_twice_before_its_document_is_entered_once(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        meta = metadata(VPCP, SO19)
        data = status("03", meta["document_id"])
        both = [await arrive(here, data, d, kind=PackageKind.STATUS) for d in ("a", "b")]
        assert {b.state for b in both} == {"ORPHAN"}
        sent = await here.submit(meta, ("12.pdf", PDF), key="a")
        assert await here.gateway.inbound.enter_orphans(8) == 2
        told = [await facts(here, one.id) for one in both]
        assert [len(t.get("doubles", ())) for t in told] == [0, 1]
        (recipient,) = (await here.document(VPCP, sent["id"]))["transfers"][0]["recipients"]
        assert [s["code"] for s in recipient["statuses"]] == ["03"]
        await consistent(here)

    alone(tmp_path, story)


def test_a_take_back_that_came_before_its_document_is_opened_with_it(tmp_path: Path) -> None:
    """Not ours, but one that our agency receives: the sender asks for it back (13)."""

    async def story(here: Running) -> None:
        named = "000.00.19.H14,2026/11/20,12/STTTT-VX"
        early = await said(here, "13", named, 1)
        assert early.state == "ORPHAN"
        await arrive(here, document(), "d1")
        assert await here.gateway.inbound.enter_orphans(8) == 1
        assert (await row(here, early.id)).state == "OPENED"

    alone(tmp_path, story)


def test_what_killed_an_earlier_look_is_looked_at_later_and_never_forgotten(
    tmp_path: Path,
) -> None:
    """The look is put off before it begins; a process that dies in it leaves the orphan."""

    async def story(here: Running) -> None:
        meta = metadata(VPCP, SO19)
        early = await said(here, "03", meta["document_id"], 1)
        await here.submit(meta, ("12.pdf", PDF), key="a")

        def as_if_it_died(tx: Tx) -> None:
            now = tx.now()
            tx.execute(update(orphan).values(due_at=now + timedelta(hours=1), tries=1))

        await here.gateway.store.write(as_if_it_died)
        assert await here.gateway.inbound.enter_orphans(8) == 0

        def an_hour_later(tx: Tx) -> None:
            tx.execute(update(orphan).values(due_at=tx.now()))

        await here.gateway.store.write(an_hour_later)
        assert await here.gateway.inbound.enter_orphans(8) == 1
        assert (await row(here, early.id)).state == "OPENED"
        assert await rows(here, select(orphan.c.arrival_id)) == []

    alone(tmp_path, story)


def test_statuses_in_any_order_end_in_the_same_state(tmp_path: Path) -> None:
    """Every order of 01, 03, 05 and 06, from two recipients, some before the document is known."""

    async def story(here: Running) -> None:
        orders = list(itertools.permutations(("01", "03", "05", "06")))
        for n, order in enumerate(orders):
            meta = metadata(VPCP, SO19, SO20, number=str(100 + n), subject=f"Văn bản {n}")
            name = meta["document_id"]
            before = n % 3
            timed = {"01": 1, "03": 2, "05": 3, "06": 4}
            for code in order[:before]:
                await said(here, code, name, timed[code])
            sent = await here.submit(meta, ("12.pdf", PDF), key=f"k{n}")
            for code in order[before:]:
                await said(here, code, name, timed[code])
            for code in order[:2]:
                await said(here, code, name, timed[code], sender=SO20)
            while await here.gateway.inbound.enter_orphans(8):
                pass
            shown = await here.document(VPCP, sent["id"])
            furthest = {"01": "ARRIVED", "03": "ACCEPTED", "05": "PROCESSING", "06": "FINISHED"}
            assert recipients(shown) == {
                SO19: "FINISHED",
                SO20: furthest[max(order[:2])],
            }, order
            (nineteen,) = [
                r for t in shown["transfers"] for r in t["recipients"] if r["agency"] == SO19
            ]
            assert nineteen["entered_at"] == "2026-11-22T09:00:01.000000+07:00", order
            assert sorted(s["code"] for s in nineteen["statuses"]) == ["01", "03", "05", "06"]
        await open_all(here)
        await consistent(here)

    alone(tmp_path, story)


TIED = (
    # what is said, and at which second (None: it does not say); where it ends
    ((("02", 1), ("06", 2)), "FINISHED"),
    ((("02", 2), ("06", 1)), "REJECTED"),
    ((("05", 1), ("16", 2)), "TAKE_BACK_REFUSED"),
    ((("05", 2), ("16", 1)), "PROCESSING"),
    ((("05", 2), ("16", None)), "PROCESSING"),
    ((("01", 1), ("06", 2), ("02", 3)), "REJECTED"),
)


async def tied(here: Running) -> None:
    stage = {"02": "REJECTED", "06": "FINISHED", "05": "PROCESSING", "16": "TAKE_BACK_REFUSED"}
    cases = [(order, end) for said_, end in TIED for order in itertools.permutations(said_)]
    # of one second the one that came last counts
    cases += [
        (order, stage[order[-1][0]])
        for same in ((("02", 1), ("06", 1)), (("05", 1), ("16", 1)))
        for order in itertools.permutations(same)
    ]
    for n, (order, end) in enumerate(cases):
        meta = metadata(VPCP, SO19, number=str(100 + n), subject=f"Văn bản {n}")
        sent = await here.submit(meta, ("12.pdf", PDF), key=f"k{n}")
        for code, second in order:
            when = f"2026/11/22 09:00:{second or 0:02}"
            data = status(code, meta["document_id"], timestamp=when)
            if second is None:  # a day alone is no instant
                data = data.replace(when.encode(), b"2026/11/22")
            await arrive(here, data, f"{n}-{code}", kind=PackageKind.STATUS)
        shown = await here.document(VPCP, sent["id"])
        assert recipients(shown) == {SO19: end}, order
        (one,) = shown["transfers"][0]["recipients"]
        assert stage[one["status_code"]] == end, order
    await consistent(here)


def test_states_of_one_stage_end_as_they_were_said(tmp_path: Path) -> None:
    """Finished or returned, in work or not given back: no stage says which; Timestamps do."""
    alone(tmp_path, tied)


@pytest.mark.postgres
def test_states_of_one_stage_end_as_they_were_said_on_postgresql(
    tmp_path: Path, postgres: Postgres
) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, tied, database=url)
