"""Nothing vanishes after the last try: the sender's inbox says what became of its document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from gateway.errors import Unknown
from gateway.operating import Operating
from gateway.promise import Order
from gateway.replaying import Replaying
from gateway.store import Tx
from gateway.store.tables import inbox_item, record, transfer
from tests.support.databases import Postgres
from tests.support.reported import books_disagree, reports
from tests.support.troubles import SO19, VPCP, Scene, rows, trouble, with_changes

Plot = Callable[[Scene], Awaitable[None]]


def play(folder: Path, plot: Plot, **setting: Any) -> None:
    async def run() -> None:
        async with trouble(folder, **setting) as scene:
            await plot(scene)

    asyncio.run(run())


async def refused_and_seen(scene: Scene) -> None:
    scene.axis.faults.add("error", "sendEdoc", code="22", times=1)
    answer = await scene.submit()
    await scene.until(answer, state="REFUSED")
    (item,) = await reports(scene.here)
    assert (item["kind"], item["agency"], item["from"], item["about"]) == (
        "report",
        SO19,
        "",
        answer["id"],
    )
    assert "package" not in item
    told = item["report"]
    assert told["document"] == answer["id"]
    assert (told["state"], told["final"], told["cause"], told["code"], told["receivers"]) == (
        "REFUSED",
        True,
        "unit",
        "vxp.22",
        [VPCP],
    )
    assert "từ chối" in told["what"], "one language, the reader's"
    assert told["reason"]
    assert told["next_step"]
    history = await scene.history(answer)
    (ended,) = (r for r in history if r["event"] == "attempt.ended")
    (available,) = (r for r in history if r["event"] == "report.available")
    assert available["record"]["facts"]["identity"] == ended["record"]["id"]
    assert item["instants"]["available_at"] == ended["at"], "one commit, one instant"

    desk, who = scene.here.gateway.desk, await scene.here.account(SO19)
    with pytest.raises(Unknown) as none:
        await desk.item_package(who, item["id"])
    assert none.value.code == "item.no_package"
    with pytest.raises(Unknown):
        await desk.report_status(who, item["id"], code="02", description="x")
    assert (await desk.lease(who, item["id"]))["lease"]
    first = await desk.confirm(who, item["id"])
    assert '"SEEN"' in first
    assert await desk.confirm(who, item["id"]) == first, "confirmed again, answered again"
    assert (await desk.item(who, item["id"])).state == "SEEN"
    assert await reports(scene.here, wait=0) == []
    assert [r["event"] for r in await scene.history(answer)][-1] == "item.seen"
    assert len(await rows(scene.here, select(transfer.c.id))) == 1, "no status goes out about it"
    assert await books_disagree(scene.here) == []


def test_a_refusal_is_reported_and_the_report_is_settled_by_confirming(tmp_path: Path) -> None:
    play(tmp_path, refused_and_seen, profile={"never": ["22"]})


@pytest.mark.postgres
def test_the_same_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        play(tmp_path, refused_and_seen, profile={"never": ["22"]}, databases=(one, two))


def test_an_end_by_lifetime_is_reported_once_whoever_saw_it_first(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await scene.axis.refuse_connections()
        answer = await scene.submit()
        await scene.until(answer, state="EXPIRED")
        (item,) = await reports(scene.here)
        told = item["report"]
        assert (told["state"], told["cause"], told["code"]) == (
            "EXPIRED",
            "peer",
            "connect.refused",
        )

    play(
        tmp_path,
        plot,
        changes=with_changes(dispatch={"retry": "20ms then every 50ms for 400ms, jitter full"}),
    )


async def replayed_in_vain(scene: Scene) -> None:
    """The axis has the document; a replay of it is refused, and the replay of that one expires."""
    answer = await scene.submit()
    await scene.until(answer, state="ON_AXIS")
    old = answer["transfers"][0]["transfer_id"]
    gateway = scene.here.gateway
    person = Replaying(Operating(gateway.outbound, gateway.settling))

    async def again(one: str) -> str:
        order = Order("console", one, None)
        made = await person.one(order, one, again=True, reason="Nơi nhận báo mất")
        return str(json.loads(made.answer)["transfer_id"])

    async def ended(number: int, state: str) -> dict[str, Any]:
        def there(shown: dict[str, Any]) -> bool:
            return [t["state"] for t in shown["transfers"]][number:] == [state]

        await scene.here.until(SO19, answer["id"], there)
        told = [i["report"] for i in await reports(scene.here)]
        (one,) = (t for t in told if t["state"] == state)
        return one

    scene.axis.faults.add("error", "sendEdoc", code="22", times=1)
    refused = await again(old)
    told = await ended(1, "REFUSED")
    assert (told["transfer_id"], told["doubt"]) == (refused, True)
    assert "có thể đã tới nơi nhận" in told["what"]
    assert "không được chuyển đi" not in told["what"]
    # it was replayed because the axis lost it: there is no status to wait for
    assert told["next_step"].startswith("Không gửi lại khi chưa hỏi người vận hành gateway")
    assert "trạng thái" not in told["next_step"]

    await scene.axis.refuse_connections()
    expired = await again(refused)

    def over(tx: Tx) -> None:
        asked = update(transfer).where(transfer.c.id == expired)
        tx.execute(asked.values(expires_at=tx.now()))

    await gateway.store.write(over)
    told = await ended(2, "EXPIRED")
    assert (told["transfer_id"], told["doubt"]) == (expired, True), "the first one is on the axis"
    assert "có thể đã tới nơi nhận" in told["what"]
    assert await books_disagree(scene.here) == []


def test_a_replay_of_what_the_axis_has_is_never_told_as_not_delivered(tmp_path: Path) -> None:
    play(
        tmp_path,
        replayed_in_vain,
        profile={"never": ["22"]},
        changes=with_changes(dispatch={"retry": "50ms then every 50ms for 3d"}),
    )


@pytest.mark.postgres
def test_a_replay_in_vain_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        play(
            tmp_path,
            replayed_in_vain,
            profile={"never": ["22"]},
            changes=with_changes(dispatch={"retry": "50ms then every 50ms for 3d"}),
            databases=(one, two),
        )


def test_a_transfer_that_a_person_must_decide_about_is_reported_as_delayed(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("error", "sendEdoc", code="77")
        answer = await scene.submit()
        await scene.until(answer, state="HELD")
        (item,) = await reports(scene.here)
        told = item["report"]
        assert (told["state"], told["final"], told["hold_cause"]) == (
            "HELD",
            False,
            "equal_answers",
        )
        assert await books_disagree(scene.here) == []

    play(tmp_path, plot)


def test_an_attempt_taken_over_that_may_not_be_repeated_is_reported(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("hang_after", "sendEdoc")
        answer = await scene.submit()
        await scene.until_recorded(answer, "attempt.started")
        await scene.lease_over(answer)
        held = await scene.until(answer, state="HELD")
        assert held["doubt"]
        (item,) = await reports(scene.here)
        told = item["report"]
        assert (told["hold_cause"], told["doubt"]) == ("repeat_never", True)

    play(tmp_path, plot, profile={"repeat": "never"})


def test_a_status_that_does_not_get_there_is_not_reported(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        there = await scene.there()
        await scene.submit()
        (item,) = await there.inbox(VPCP)
        scene.axis.faults.add("error", "updateStatus", code="22")
        scene.axis.faults.add("error", "sendEdoc", code="22")
        await there.gateway.desk.confirm(await there.account(VPCP), item["id"])
        listener = there.gateway.store.listener("test")
        async with asyncio.timeout(30):
            while ("REFUSED",) not in await rows(there, select(transfer.c.state)):
                await listener.wait(0.02)
        assert await reports(there, VPCP, wait=0) == []

    play(tmp_path, plot, profile={"never": ["22"]})


def test_a_report_that_was_changed_or_taken_away_is_found_by_the_audit(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("error", "sendEdoc", code="22", times=1)
        await scene.until(await scene.submit(), state="REFUSED")
        (item,) = await reports(scene.here)

        def spoil(tx: Tx) -> None:
            tx.execute(update(inbox_item).values(identity="another"))

        def take_away(tx: Tx) -> None:
            tx.execute(delete(inbox_item))

        for act in (spoil, take_away):
            await scene.here.gateway.store.write(act)
            assert f"inbox/{item['id']}" in [f.path for f in await books_disagree(scene.here)]
        made = select(record.c.id).where(record.c.event == "report.available")
        assert len(await rows(scene.here, made)) == 1

    play(tmp_path, plot, profile={"never": ["22"]})
