"""A person at the queue, with an axis that gives trouble: hold, free, try, withdraw, replay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from gateway.acts import Acts
from gateway.errors import Conflict, Rejected, Unavailable, Unknown
from gateway.operating import Operating
from gateway.promise import Order
from gateway.replaying import BATCH, Period, Replaying, period_of
from gateway.store import Store, Tx
from gateway.store.documents import Answered
from gateway.store.tables import attempt, record, transfer
from tests.support.databases import Postgres
from tests.support.houses import Running
from tests.support.queues import walked
from tests.support.reported import books_disagree, reports
from tests.support.troubles import SO19, VPCP, Scene, rows, trouble, with_changes

Plot = Callable[[Scene], Awaitable[None]]
PATIENT = {"retry": "1h then every 2h for 3d", "uncertain_wait": "2h"}


def play(folder: Path, plot: Plot, **setting: Any) -> None:
    async def run() -> None:
        async with trouble(folder, **setting) as scene:
            await plot(scene)

    asyncio.run(run())


def at(running: Running) -> Operating:
    gateway = running.gateway
    return Operating(gateway.outbound, gateway.settling)


def by(key: str | None = None, content: str = "content") -> Order:
    return Order("console", content, key)


def said(answered: Answered) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(answered.answer)
    return value


async def refusal(asking: Awaitable[object]) -> tuple[str, str]:
    with pytest.raises(Conflict) as refused:
        await asking
    return refused.value.code, refused.value.text.en


def transfer_of(answer: dict[str, Any]) -> str:
    return str(answer["transfers"][0]["transfer_id"])


async def last_record(scene: Scene, answer: dict[str, Any], event: str) -> dict[str, Any]:
    history = await scene.history(answer)
    found: dict[str, Any] = [r for r in history if r["event"] == event][-1]["record"]
    return found


# -- hold and release ------------------------------------------------------------------------------


async def held_and_freed(scene: Scene) -> None:
    await scene.axis.refuse_connections()
    answer = await scene.submit()
    await scene.until(answer, state="DEFERRED")
    person, one = at(scene.here), transfer_of(answer)
    held = said(await person.hold(by("h"), one, reason="Chờ Văn phòng xác nhận"))
    assert (held["state"], held["hold_cause"], held["due_at"]) == ("HELD", "person", None)
    assert held["can"] == ["release", "withdraw"]
    assert said(await person.hold(by("h"), one, reason="x")) == held, "the key's first answer"
    code, text = await refusal(person.hold(by(), one, reason=""))
    assert code == "transfer.state_forbids"
    assert "HELD" in text
    assert "release, withdraw" in text
    made = await last_record(scene, answer, "transfer.held")
    assert made["about"]["account"] == "console"
    assert set(made["facts"]["personal"]) == {"reason"}
    assert "Văn phòng" not in json.dumps(made, ensure_ascii=False)
    (item,) = await reports(scene.here)
    assert (item["report"]["state"], item["report"]["cause"]) == ("HELD", "ours")

    await scene.axis.accept_connections()
    freed = said(await person.release(by(), one, again=False, reason=""))
    assert freed["state"] == "SEALED", "its record has its entry"
    await scene.until(answer, state="ON_AXIS")
    assert len(scene.sent()) == 1
    for _ in range(2):  # after the attempts of others too
        assert await books_disagree(scene.here) == []
    code, text = await refusal(person.release(by(), one, again=True, reason=""))
    assert code == "transfer.state_forbids"
    assert "ON_AXIS" in text


def test_a_person_holds_and_frees_a_transfer(tmp_path: Path) -> None:
    play(tmp_path, held_and_freed, changes=with_changes(dispatch=PATIENT))


@pytest.mark.postgres
def test_the_same_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        play(
            tmp_path,
            held_and_freed,
            changes=with_changes(dispatch=PATIENT),
            databases=(one, two),
        )


def test_what_was_held_before_it_was_sealed_goes_back_and_is_sealed(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        answer = await scene.submit()  # nobody seals here
        person, one = at(scene.here), transfer_of(answer)
        await person.hold(by(), one, reason="")
        freed = said(await person.release(by(), one, again=False, reason=""))
        assert (freed["state"], freed["due_at"]) == ("ACCEPTED", None)
        await person.hold(by(), one, reason="")
        assert await scene.here.gateway.sealing.seal() > 0
        freed = said(await person.release(by(), one, again=False, reason=""))
        assert freed["state"] == "SEALED"
        assert freed["due_at"]

    play(tmp_path, plot, jobs=("open",))


def test_a_held_transfer_in_doubt_goes_again_only_when_told_so(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_after", "sendEdoc", times=1)
        answer = await scene.submit()
        await scene.until(answer, state="HELD")
        person, one = at(scene.here), transfer_of(answer)
        code, text = await refusal(person.release(by(), one, again=False, reason=""))
        assert code == "transfer.again"
        assert "the same bytes" in text
        code, _ = await refusal(person.withdraw(by(), one, reason="x"))
        assert code == "transfer.in_doubt"
        freed = said(await person.release(by(), one, again=True, reason="Nơi nhận chưa có"))
        assert (freed["state"], freed["doubt"]) == ("SEALED", True)
        assert "withdraw" not in freed["can"]
        await scene.until(answer, state="ON_AXIS")
        assert (await last_record(scene, answer, "transfer.released"))["facts"]["again"] is True
        sent = scene.sent()
        assert len(sent) in (1, 2)
        assert len(set(sent)) == 1, "the same bytes"
        assert await books_disagree(scene.here) == []

    play(tmp_path, plot, profile={"repeat": "never"})


def test_a_release_begins_a_new_lifetime_and_forgets_equal_answers(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("error", "sendEdoc", code="77")
        answer = await scene.submit()
        await scene.until(answer, state="HELD", hold_cause="equal_answers")
        one = transfer_of(answer)
        asked = select(transfer.c.expires_at).where(transfer.c.id == one)
        ((before,),) = await rows(scene.here, asked)
        await at(scene.here).release(by(), one, again=False, reason="")
        ((after,),) = await rows(scene.here, asked)
        assert after > before
        await scene.until_attempts(answer, 6)
        shown = await scene.until(answer, state="HELD")
        assert shown["attempts"] == 6, "three more before it is held again"

    play(tmp_path, plot)


# -- retry -----------------------------------------------------------------------------------------


def test_a_deferred_transfer_is_tried_now(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await scene.axis.refuse_connections()
        answer = await scene.submit()
        await scene.until(answer, state="DEFERRED")
        await scene.axis.accept_connections()
        one = transfer_of(answer)
        told = said(await at(scene.here).retry(by(), one, force=False, reason=""))
        assert told["state"] == "DEFERRED"
        await scene.until(answer, state="ON_AXIS")
        facts = (await last_record(scene, answer, "transfer.retried"))["facts"]
        assert (facts["state"], facts["forced"]) == ("DEFERRED", False)

    play(tmp_path, plot, changes=with_changes(dispatch=PATIENT))


def test_after_silence_a_retry_waits_for_the_bytes_on_their_way(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_after", "sendEdoc", times=1)
        answer = await scene.submit()
        await scene.until(answer, state="UNCERTAIN")
        person, one = at(scene.here), transfer_of(answer)
        code, text = await refusal(person.retry(by(), one, force=False, reason=""))
        assert code == "transfer.too_early"
        assert "force" in text
        with pytest.raises(Rejected) as unsaid:
            await person.retry(by(), one, force=True, reason="  ")
        assert unsaid.value.code == "transfer.reason_missing"
        await person.retry(by(), one, force=True, reason="Trục xác nhận chưa nhận")
        await scene.until(answer, state="ON_AXIS")
        assert (await last_record(scene, answer, "transfer.retried"))["facts"]["forced"] is True
        code, text = await refusal(person.retry(by(), one, force=True, reason="x"))
        assert (code, "ON_AXIS" in text) == ("transfer.state_forbids", True)

    changes = with_changes(dispatch={**PATIENT, "attempt_deadline": "1h", "grace": "1h"})
    play(tmp_path, plot, changes=changes)


def test_once_the_deadline_and_the_grace_are_over_a_retry_needs_no_force(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_after", "sendEdoc", times=1)
        answer = await scene.submit()
        await scene.until(answer, state="UNCERTAIN")

        def long_ago(tx: Tx) -> None:
            tx.execute(update(attempt).values(started_at=tx.now() - timedelta(minutes=1)))

        await scene.here.gateway.store.write(long_ago)
        await at(scene.here).retry(by(), transfer_of(answer), force=False, reason="")
        await scene.until(answer, state="ON_AXIS")

    play(tmp_path, plot, changes=with_changes(dispatch=PATIENT))


def test_nothing_is_done_to_an_attempt_under_way(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("hang", "sendEdoc")
        answer = await scene.submit()
        await scene.until(answer, state="SENDING")
        person, one = at(scene.here), transfer_of(answer)
        for asking in (
            person.hold(by(), one, reason=""),
            person.release(by(), one, again=True, reason=""),
            person.retry(by(), one, force=True, reason="x"),
            person.withdraw(by(), one, reason="x"),
            Replaying(person).one(by(), one, again=True, reason="x"),
        ):
            code, text = await refusal(asking)
            assert (code, "SENDING" in text) == ("transfer.state_forbids", True)
        with pytest.raises(Unknown):
            await person.hold(by(), "none", reason="")

    play(tmp_path, plot)


# -- withdraw --------------------------------------------------------------------------------------


def test_ops_withdraw_a_transfer_and_its_sender_is_told(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await scene.axis.refuse_connections()
        answer = await scene.submit()
        await scene.until(answer, state="DEFERRED")
        person, one = at(scene.here), transfer_of(answer)
        with pytest.raises(Rejected):
            await person.withdraw(by(), one, reason=" ")
        gone = said(await person.withdraw(by(), one, reason="Đơn vị đề nghị"))
        assert (gone["state"], gone["can"]) == ("WITHDRAWN", ["replay"])
        (item,) = await reports(scene.here)
        assert (item["report"]["state"], item["report"]["final"]) == ("WITHDRAWN", True)
        assert await books_disagree(scene.here) == []

    play(tmp_path, plot, changes=with_changes(dispatch=PATIENT))


def test_a_unit_withdraws_its_own_document_or_nothing_of_it(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await scene.axis.refuse_connections()
        here = scene.here
        answer = await scene.submit()
        await scene.until(answer, state="DEFERRED")
        window, who = Acts(here.gateway.desk), await here.account(SO19)

        async def withdraw(ref: str, key: str | None = None) -> dict[str, Any]:
            return said(await window.withdraw(who, ref, reason="Sai số", idempotency_key=key))

        first = await withdraw(answer["id"], "w")
        assert [t["state"] for t in first["transfers"]] == ["WITHDRAWN"]
        assert await withdraw(answer["id"], "w") == first
        assert await withdraw(answer["id"]) == first, "asked again, answered again"
        assert await reports(here, wait=0) == [], "whoever asks is not told by a report"
        made = await last_record(scene, answer, "transfer.withdrawn")
        assert made["about"]["account"] == who.id

        await scene.axis.accept_connections()
        sent = await scene.submit("13")
        await scene.until(sent, state="ON_AXIS")
        code, _ = await refusal(withdraw(sent["id"]))
        assert code == "document.may_be_delivered"

    play(tmp_path, plot, changes=with_changes(dispatch=PATIENT))


def test_a_document_that_was_refused_has_nothing_left_to_withdraw(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("error", "sendEdoc", code="22", times=1)
        answer = await scene.submit()
        await scene.until(answer, state="REFUSED")
        code, text = await refusal(
            at(scene.here).withdraw_document(by(), answer["id"], reason="Sai số")
        )
        assert code == "document.nothing_to_withdraw"
        assert "REFUSED" in text

    play(tmp_path, plot, profile={"never": ["22"]})


# -- replay ----------------------------------------------------------------------------------------


async def replayed(scene: Scene) -> None:
    scene.axis.faults.add("error", "sendEdoc", code="22", times=1)
    answer = await scene.submit()
    await scene.until(answer, state="REFUSED")
    again, one = Replaying(at(scene.here)), transfer_of(answer)
    with pytest.raises(Rejected):
        await again.one(by(), one, again=False, reason="")
    made = said(await again.one(by("r"), one, again=False, reason="Trục đã sửa"))
    assert said(await again.one(by("r"), one, again=False, reason="Trục đã sửa")) == made
    code, text = await refusal(again.one(by(), one, again=False, reason="x"))
    assert code == "transfer.replayed_already"
    assert made["transfer_id"] in text

    def delivered(shown: dict[str, Any]) -> bool:
        return [t["state"] for t in shown["transfers"]] == ["REFUSED", "ON_AXIS"]

    shown = await scene.here.until(SO19, answer["id"], delivered)
    assert shown["transfers"][1]["replay_of"] == one
    digests = {t["package"]["sha256"] for t in shown["transfers"]}
    assert digests == set(scene.sent()), "the same bytes"
    about = (await last_record(scene, answer, "transfer.replayed"))["about"]
    assert (about["transfer"], about["replay_of"]) == (made["transfer_id"], one)
    there = await scene.there()
    (item,) = await there.inbox(VPCP)
    await there.gateway.desk.confirm(await there.account(VPCP), item["id"])

    def entered(shown: dict[str, Any]) -> bool:
        return shown["transfers"][1]["recipients"][0]["state"] == "ARRIVED"

    shown = await scene.here.until(SO19, answer["id"], entered)
    assert shown["transfers"][0]["state"] == "REFUSED", "the status speaks of what arrived"
    code, _ = await refusal(again.one(by(), made["transfer_id"], again=False, reason="x"))
    assert code == "transfer.again", "it is on the axis"
    twice = said(await again.one(by(), made["transfer_id"], again=True, reason="Nơi nhận mất"))
    assert twice["replay_of"] == made["transfer_id"]
    assert await books_disagree(scene.here) == []


def test_a_replay_is_a_new_transfer_of_the_same_bytes(tmp_path: Path) -> None:
    play(tmp_path, replayed, profile={"never": ["22"]})


@pytest.mark.postgres
def test_a_replay_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        play(tmp_path, replayed, profile={"never": ["22"]}, databases=(one, two))


async def many_dead(scene: Scene, count: int) -> Period:
    """`count` documents, each EXPIRED; the period in which they ended."""
    for n in range(count):
        await scene.submit(str(n))

    def expire(tx: Tx) -> datetime:
        now = tx.now()
        for transfer_id in tx.scalars(select(transfer.c.id)):
            walked(tx, transfer_id, "EXPIRED", moved_at=now)
        return now

    when = await scene.here.gateway.store.write(expire)
    return Period(when, when + timedelta(microseconds=1), rate=60)


async def a_period(scene: Scene) -> None:
    period = await many_dead(scene, 5)
    person = Replaying(at(scene.here))
    before = await rows(scene.here, select(func.count()).select_from(record))
    seen = await person.preview(period)
    assert (seen["count"], seen["minutes"], set(seen["by_cause"])) == (5, 1, {"ours"})
    assert len(seen["by_cause"]["ours"]["transfer_ids"]) == 5
    assert (await person.preview(period._replace(axis="other")))["count"] == 0
    assert await rows(scene.here, select(func.count()).select_from(record)) == before

    made = said(await person.run(by("run"), period, reason="Trục thông lại"))
    assert made["count"] == 5
    assert said(await person.run(by("run"), period, reason="Trục thông lại")) == made
    again = said(await person.run(by(), period, reason="Lần nữa"))
    assert (again["count"], again["last_due_at"]) == (0, None), "asked again, nothing is doubled"
    due = [datetime.fromisoformat(one["due_at"]) for one in made["replays"]]
    assert [b - a for a, b in pairwise(due)] == [timedelta(seconds=1)] * 4
    assert len({one["replay_of"] for one in made["replays"]}) == 5
    ordered = select(func.count()).select_from(record).where(record.c.event == "replay.ordered")
    assert await rows(scene.here, ordered) == [(2,)], "each order is a fact"
    assert (await person.preview(period))["count"] == 0


def test_a_period_is_previewed_and_replayed_at_a_rate(tmp_path: Path) -> None:
    play(tmp_path, a_period, jobs=("open",))


@pytest.mark.postgres
def test_a_period_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        play(tmp_path, a_period, jobs=("open",), databases=(one, two))


class Killed(Exception):
    pass


class Mortal:
    """The real store, until it has taken `left` writes: then the process is gone."""

    def __init__(self, store: Store, left: int) -> None:
        self._store = store
        self._left = left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, fn: Callable[[Tx], Any], **how: bool) -> Any:
        if self._left == 0:
            raise Killed
        self._left -= 1
        return await self._store.write(fn, **how)


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_run_that_was_killed_goes_on_where_it_was_and_keeps_its_rate(
    tmp_path: Path, writes: int
) -> None:
    async def plot(scene: Scene) -> None:
        count = BATCH + 3
        period = await many_dead(scene, count)
        outbound = scene.here.gateway.outbound
        person = Replaying(at(scene.here))
        real = outbound.store
        outbound.store = Mortal(real, writes)  # type: ignore[assignment]  # a store that ends
        with pytest.raises(Killed):
            await person.run(by("run"), period, reason="x")
        outbound.store = real
        if writes < 3:
            with pytest.raises(Unavailable) as busy:
                await person.run(by("other", "another"), period, reason="x")
            assert busy.value.code == "replay.busy"
        made = said(await person.run(by("run"), period, reason="x"))
        assert made["count"] == count - (0 if writes == 1 else BATCH if writes == 2 else count)
        replays = select(transfer.c.replay_of, transfer.c.due_at).where(
            transfer.c.replay_of.is_not(None)
        )
        found = await rows(scene.here, replays.order_by(transfer.c.due_at))
        assert len(found) == len({old for old, _ in found}) == count
        due = [at for _, at in found]
        gaps = {b - a for a, b in pairwise(due)}
        assert min(gaps) >= timedelta(seconds=1), "the rate holds over both runs"

    play(tmp_path, plot, jobs=())


def test_a_second_period_begins_behind_a_first_one_that_is_overdue(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        store, person = scene.here.gateway.store, Replaying(at(scene.here))
        await person.run(by("one"), await many_dead(scene, 5), reason="x")
        paced = transfer.c.replay_of.is_not(None)

        def stood_still(tx: Tx) -> datetime:
            tx.execute(update(transfer).where(paced).values(due_at=tx.now() - timedelta(hours=1)))
            return tx.now()

        now = await store.write(stood_still)
        first = {name for (name,) in await rows(scene.here, select(transfer.c.id).where(paced))}
        later = transfer_of(await scene.submit("later"))

        def expire(tx: Tx) -> datetime:
            walked(tx, later, "EXPIRED", moved_at=tx.now())
            return tx.now() + timedelta(microseconds=1)

        end = await store.write(expire)
        made = said(await person.run(by("two", "two"), Period(now, end), reason="x"))
        assert made["count"] == 1
        found = await rows(
            scene.here, select(transfer.c.due_at, transfer.c.id).where(paced).order_by("due_at")
        )
        assert found[-1][1] not in first
        assert found[0][0] >= now
        assert min(b - a for (a, _), (b, _) in pairwise(found)) >= timedelta(seconds=1)

    play(tmp_path, plot, jobs=("open",))


NOW = datetime.fromisoformat("2026-11-20T12:00:00+07:00")
MORNING = "2026-11-20T06:00:00+07:00"


@pytest.mark.parametrize(
    ("wrong", "paths"),
    [
        ({"start": "yesterday", "end": MORNING}, {"from"}),
        ({"start": "0001-01-01T00:00", "end": "9999-12-31T23:59"}, {"from", "to"}),
        ({"start": MORNING, "end": ""}, {"to"}),
        ({"start": "", "end": "", "axis": "none", "reason": " "}, {"from", "to", "axis", "reason"}),
        ({"start": MORNING, "end": MORNING}, {"to"}),
        ({"start": MORNING, "end": "2026-11-21T06:00:00+07:00"}, {"to"}),
        ({"start": MORNING, "end": "", "preview": True, "rate": 0}, {"rate"}),
        ({"start": "", "end": "9999-99-99", "whose": "moon", "rate": 9999999},
         {"from", "to", "cause", "rate"}),
    ],
)  # fmt: skip
def test_a_period_that_is_none_is_refused_with_all_that_is_wrong(
    wrong: dict[str, Any], paths: set[str]
) -> None:
    with pytest.raises(Rejected) as refused:
        period_of(**{"reason": "x", **wrong}, now=NOW, axes={"vxp"})
    assert refused.value.code == "replay.period"
    assert {f.path for f in refused.value.findings} == paths


def test_only_a_preview_may_leave_its_end_open() -> None:
    assert period_of(MORNING, "", now=NOW, axes=(), preview=True).end == NOW


def test_an_instant_without_an_offset_is_vietnams() -> None:
    period = period_of("2026-11-20T06:00", MORNING[:-6] + "+06:00", now=NOW, axes=(), reason="x")
    assert period.start == datetime.fromisoformat(MORNING)
    assert period.end - period.start == timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "missing"),
        ("soon", "Vietnam's time"),
        ("9999-12-31T23:59", "out of range: years 1990 to 2199"),
        ("0001-01-01T00:00", "out of range: years 1990 to 2199"),
    ],
)
def test_what_is_wrong_with_an_instant_is_told_apart(given: str, says: str) -> None:
    with pytest.raises(Rejected) as refused:
        period_of(given, MORNING, now=NOW, axes=(), reason="x")
    (finding,) = refused.value.findings
    assert says in finding.text.en


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"axis": "none"}, "axis.unknown"), ({"reason": " "}, "transfer.reason_missing")],
)
def test_what_alone_is_wrong_with_a_period_has_its_own_code(
    wrong: dict[str, str], code: str
) -> None:
    said = {"reason": "x", **wrong}
    with pytest.raises(Rejected) as refused:
        period_of("2026-11-20T05:00", MORNING, now=NOW, axes={"vxp"}, **said)
    assert refused.value.code == code
