"""A document and the acts on it died: what a replay of one, or of a period, sends of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.acts import Acts
from gateway.model.package import BusinessType, Staff
from gateway.replaying import Period, Replaying
from gateway.store import Tx, families
from gateway.store.tables import transfer, turn
from tests.integration.test_acts import act
from tests.integration.test_operating import at, by, refusal, said, transfer_of
from tests.support.databases import Postgres
from tests.support.houses import PDF, metadata
from tests.support.queues import walked
from tests.support.reported import books_disagree
from tests.support.troubles import SO19, VPCP, Scene, rows, trouble, with_changes

Plot = Callable[[Scene], Awaitable[None]]
PATIENT = with_changes(dispatch={"retry": "1h then every 2h for 3d"})
MINUTE = timedelta(minutes=1)


def play(folder: Path, plot: Plot, **setting: Any) -> None:
    async def run() -> None:
        async with trouble(folder, **setting) as scene:
            await plot(scene)

    asyncio.run(run())


def on_both(folder: Path, plot: Plot, postgres: Postgres, **setting: Any) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        play(folder, plot, databases=(one, two), **setting)


async def ended(scene: Scene, *answers: dict[str, Any], state: str = "EXPIRED") -> datetime:
    """Their transfers end, a minute apart and the first named first; the last a minute ago."""

    def end(tx: Tx) -> datetime:
        now = tx.now()
        for n, answer in enumerate(reversed(answers), start=1):
            walked(tx, transfer_of(answer), state, due_at=None, moved_at=now - n * MINUTE)
            families.let_go(tx, transfer_of(answer), now)
        return now

    return await scene.here.gateway.store.write(end)


async def changed(
    scene: Scene, about: dict[str, Any], kind: BusinessType, key: str
) -> dict[str, Any]:
    if kind is BusinessType.REPLACE:
        new = metadata(SO19, VPCP, number="99")
        del new["to"], new["document_id"]
        return await act(scene.here, kind, about["id"], new, ("99.pdf", PDF + b"%"), key=key)
    word = {"document_changed": 1} if kind is BusinessType.UPDATE else {"reason": "Sai số liệu"}
    meta = {"subject": f"Về việc {key}", "business": word}
    return await act(scene.here, kind, about["id"], meta, key=key)


async def in_a_period(scene: Scene) -> None:
    document = await scene.submit()
    first = await changed(scene, document, BusinessType.UPDATE, "first")
    second = await changed(scene, first, BusinessType.UPDATE, "second")
    now = await ended(scene, second, first, document)
    person = Replaying(at(scene.here))
    period = Period(now - timedelta(hours=1), now)
    assert (await person.preview(period))["count"] == 3
    made = said(await person.run(by(), period, reason="Trục thông lại"))
    wanted = [transfer_of(one) for one in (document, first, second)]
    assert [one["replay_of"] for one in made["replays"]] == wanted
    new = [one["transfer_id"] for one in made["replays"]]
    turns = await rows(scene.here, select(turn.c.transfer_id, turn.c.after_id))
    assert {(new[1], new[0]), (new[2], new[1])} <= set(turns)
    behind = await rows(scene.here, select(transfer.c.behind).where(transfer.c.id == new[0]))
    assert behind == [(0,)]
    assert made["recalled"] == {"count": 0, "transfer_ids": []}


def test_a_period_takes_a_document_before_the_acts_on_it(tmp_path: Path) -> None:
    play(tmp_path, in_a_period, jobs=("open",))


@pytest.mark.postgres
def test_a_period_in_order_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    on_both(tmp_path, in_a_period, postgres, jobs=("open",))


def test_what_died_outside_the_period_is_not_drawn_in_by_an_act(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        document = await scene.submit()
        first = await changed(scene, document, BusinessType.UPDATE, "first")
        now = await ended(scene, document, first)
        period = Period(now - MINUTE - timedelta(seconds=1), now)
        made = said(await Replaying(at(scene.here)).run(by(), period, reason="x"))
        assert [one["replay_of"] for one in made["replays"]] == [transfer_of(first)]

    play(tmp_path, plot, jobs=("open",))


async def recalled(scene: Scene) -> None:
    """Each kind of second thought; the update of a recalled document goes with it."""
    kept = await scene.submit("1")
    left = [await scene.submit(str(n)) for n in (2, 3, 4)]
    update = await changed(scene, left[0], BusinessType.UPDATE, "update")
    await ended(scene, update, *left, kept)
    recall = await changed(scene, left[0], BusinessType.RECALL, "recall")
    replacement = await changed(scene, left[1], BusinessType.REPLACE, "replace")
    now = await ended(scene, recall)
    desk = scene.here.gateway.desk

    def may_have_it(tx: Tx) -> None:  # nobody is asked for what was certainly not delivered
        walked(tx, transfer_of(left[2]), doubt=True, moved_at=now - MINUTE)

    await scene.here.gateway.store.write(may_have_it)
    await Acts(desk).take_back(
        await scene.here.account(SO19),
        left[2]["id"],
        reason="Gửi nhầm",
        staff=Staff(),
        to=(),
        idempotency_key=None,
    )
    person = Replaying(at(scene.here))
    period = Period(now - timedelta(hours=1), now)
    skipped = {transfer_of(one) for one in (*left, update)}
    seen = await person.preview(period)
    assert seen["count"] == 2, "the one that was kept, and the recall itself"
    assert seen["recalled"]["count"] == 4
    assert set(seen["recalled"]["transfer_ids"]) == skipped
    made = said(await person.run(by(), period, reason="Trục thông lại"))
    assert {one["replay_of"] for one in made["replays"]} == {transfer_of(kept), transfer_of(recall)}
    assert made["recalled"]["count"] == 4
    assert set(made["recalled"]["transfer_ids"]) == skipped

    for one in skipped:
        code, text = await refusal(person.one(by(), one, again=False, reason="x"))
        assert code == "transfer.recalled"
        assert "--yes-again" in text
    sent = said(await person.one(by(), transfer_of(left[1]), again=True, reason="Nơi nhận cần"))
    turns = await rows(scene.here, select(turn.c.transfer_id, turn.c.after_id))
    assert (transfer_of(replacement), sent["transfer_id"]) in turns, "what replaces it comes after"


def test_what_its_sender_has_undone_is_left_alone_until_somebody_means_it(tmp_path: Path) -> None:
    play(tmp_path, recalled, jobs=("open",))


@pytest.mark.postgres
def test_what_was_undone_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    on_both(tmp_path, recalled, postgres, jobs=("open",))


def test_a_recall_that_was_withdrawn_itself_undoes_nothing(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        document = await scene.submit()
        recall = await changed(scene, document, BusinessType.RECALL, "recall")
        now = await ended(scene, document)
        await ended(scene, recall, state="WITHDRAWN")
        period = Period(now - timedelta(hours=1), now)
        seen = await Replaying(at(scene.here)).preview(period)
        assert (seen["count"], seen["recalled"]["count"]) == (1, 0)

    play(tmp_path, plot, jobs=("open",))


def test_a_replayed_recall_waits_for_a_document_that_the_axis_does_not_take(
    tmp_path: Path,
) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("error", "sendEdoc", code="22", times=2)
        document = await scene.submit()
        await scene.until(document, state="REFUSED")
        recall = await changed(scene, document, BusinessType.RECALL, "back")
        await scene.until(recall, state="REFUSED")
        scene.axis.faults.add("error", "sendEdoc", code="77", times=1)
        again = Replaying(at(scene.here))
        old = transfer_of(document)
        first = said(await again.one(by(), old, again=True, reason="x"))["transfer_id"]

        def deferred(shown: dict[str, Any]) -> bool:
            return [t["state"] for t in shown["transfers"]] == ["REFUSED", "DEFERRED"]

        await scene.here.until(SO19, document["id"], deferred)
        made = said(await again.one(by(), transfer_of(recall), again=False, reason="x"))
        asked = select(transfer.c.behind).where(transfer.c.id == made["transfer_id"])
        assert await rows(scene.here, asked) == [(1,)]
        await at(scene.here).retry(by(), first, force=False, reason="")

        def there(shown: dict[str, Any]) -> bool:
            return [t["state"] for t in shown["transfers"]] == ["REFUSED", "ON_AXIS"]

        await scene.here.until(SO19, recall["id"], there)
        shown = await scene.here.until(SO19, document["id"], there)
        assert shown["transfers"][1]["state"] == "ON_AXIS"
        digests = [t["package"]["sha256"] for t in shown["transfers"]]
        assert scene.sent()[0] == digests[1], "the document first"
        assert await books_disagree(scene.here) == []

    play(tmp_path, plot, profile={"never": ["22"]}, changes=PATIENT)
