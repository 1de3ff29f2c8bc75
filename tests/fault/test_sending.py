"""What an axis can do to a package that is being sent, and what must become of the transfer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.outbound import Outbound
from gateway.store import Tx, transfers
from gateway.store.tables import arrival, record, transfer
from tests.support.troubles import (
    SO19,
    VPCP,
    WORKERS,
    Scene,
    eventually,
    rows,
    trouble,
    with_changes,
)

Plot = Callable[[Scene], Awaitable[None]]
AN_HOUR = {"uncertain_wait": "1h"}


def play(folder: Path, plot: Plot, **setting: Any) -> None:
    async def run() -> None:
        async with trouble(folder, **setting) as scene:
            await plot(scene)

    asyncio.run(run())


def test_what_cannot_be_connected_is_deferred_without_doubt(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await scene.axis.refuse_connections()
        answer = await scene.submit()
        await scene.until(answer, state="DEFERRED", last_outcome="connect.refused")
        await scene.axis.accept_connections()
        shown = await scene.until(answer, state="ON_AXIS")
        assert not shown["doubt"]
        *failed, last = await scene.attempts(answer)
        assert set(failed) == {("deferred", "connect.refused")}
        assert last == ("delivered", "ok")
        assert len(scene.sent()) == 1

    play(tmp_path, plot, dedupe=False)


@pytest.mark.parametrize(
    ("fault", "code", "taken"),
    [
        ("drop_after", "answer.reset", True),
        ("500", "http.500", False),
        ("502", "http.502", False),
        ("garbage", "answer.unreadable", True),
        ("html", "answer.unreadable", False),
        ("202", "http.202", True),
        ("truncated", "answer.cut", True),
        ("hang_after", "answer.silence", True),
        ("hang", "answer.silence", False),
    ],
)
def test_no_verdict_is_doubt_and_the_same_bytes_go_again(
    tmp_path: Path, fault: str, code: str, taken: bool
) -> None:
    """`taken`: the axis did take it the first time, so that it has two copies in the end."""

    async def plot(scene: Scene) -> None:
        scene.axis.faults.add(fault, "sendEdoc", times=1)
        answer = await scene.submit()
        shown = await scene.until(answer, state="ON_AXIS")
        assert shown["doubt"]
        assert await scene.attempts(answer) == [("uncertain", code), ("delivered", "ok")]
        sent = scene.sent()
        assert sent == [shown["package"]["sha256"]] * (2 if taken else 1)
        ended = [
            r["record"]["facts"]["state"]
            for r in await scene.history(answer)
            if "ended" in r["event"]
        ]
        assert ended == ["UNCERTAIN", "ON_AXIS"]
        there = await scene.there()
        (item,) = await there.inbox(VPCP)
        found = await eventually(
            there,
            select(arrival.c.state),
            lambda states: len(states) == len(sent) and ("RECEIVED",) not in states,
        )
        assert sorted(found) == [("DUPLICATE",)] * (len(sent) - 1) + [("OPENED",)]
        assert item["document_id"] == answer["document_id"]

    # the grace is longer than any pause of a busy machine: nobody else takes the attempt over
    quick = {"attempt_deadline": "300ms", "grace": "20s"}
    changes = with_changes(dispatch=quick if "hang" in fault else {})
    play(tmp_path, plot, dedupe=False, changes=changes)


def test_a_connection_that_dies_before_the_body_was_read_leaves_one_copy(tmp_path: Path) -> None:
    """Whether the last byte had been handed over is a race; either way it goes again, once."""

    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_before", "sendEdoc", times=2)
        answer = await scene.submit()
        shown = await scene.until(answer, state="ON_AXIS")
        *failed, last = await scene.attempts(answer)
        assert {word for word, _ in failed} <= {"uncertain", "deferred"}
        assert len(failed) == 2
        assert last == ("delivered", "ok")
        assert scene.sent() == [shown["package"]["sha256"]]

    play(tmp_path, plot, dedupe=False)


def test_an_axis_that_remembers_gives_the_first_id_again(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_after", "sendEdoc", times=1)
        answer = await scene.submit()
        await scene.until(answer, state="ON_AXIS")
        (package,) = scene.axis.received()
        (row,) = await rows(scene.here, select(transfer.c.remote_ref))
        assert row == (package.doc_id,)
        assert scene.axis.requests["sendEdoc"] == 2

    play(tmp_path, plot, dedupe=True)


def test_a_status_from_the_recipient_settles_doubt(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_after", "sendEdoc", times=1)
        answer = await scene.submit()
        await scene.until(answer, state="UNCERTAIN")
        await confirm_there(scene)
        shown = await scene.until(answer, state="ON_AXIS")
        assert shown["attempts"] == 1, "its own word was enough: nothing was sent again"
        assert shown["recipients"][0]["state"] == "ARRIVED"

    play(tmp_path, plot, changes=with_changes(dispatch=AN_HOUR))


def test_a_status_settles_what_is_held_because_the_profile_forbids_a_repeat(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_after", "sendEdoc", times=1)
        answer = await scene.submit()
        held = await scene.until(answer, state="HELD")
        assert (held["hold_cause"], held["due_at"]) == ("repeat_never", None)
        await confirm_there(scene)
        shown = await scene.until(answer, state="ON_AXIS")
        assert (shown["attempts"], shown["hold_cause"]) == (1, "")

    play(tmp_path, plot, profile={"repeat": "never"})


@pytest.mark.parametrize("repeat", ["again", "never"])
def test_a_status_that_comes_while_we_still_wait_for_the_axis_settles_it(
    tmp_path: Path, repeat: str
) -> None:
    """The axis took the package and is silent; the recipient answers before our deadline."""

    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("hang_after", "sendEdoc", times=1)
        answer = await scene.submit()
        await confirm_there(scene)
        await scene.until_recorded(answer, "attempt.ended")
        assert await scene.attempts(answer) == [("uncertain", "answer.silence")]
        shown = await scene.until(answer, state="ON_AXIS")
        assert (shown["attempts"], shown["hold_cause"]) == (1, "")
        assert shown["recipients"][0]["state"] == "ARRIVED"

    play(tmp_path, plot, profile={"repeat": repeat}, changes=with_changes(dispatch=AN_HOUR))


def test_refused_without_doubt_is_final_and_never_sent_again(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("error", "sendEdoc", code="22", times=1)
        refused = await scene.submit("12")
        shown = await scene.until(refused, state="REFUSED", last_outcome="vxp.22")
        assert (shown["due_at"], shown["doubt"]) == (None, False)
        assert shown["recipients"][0]["state"] == "PENDING"
        later = await scene.submit("13")
        await scene.until(later, state="ON_AXIS")
        assert scene.axis.requests["sendEdoc"] == 2, "one attempt for each document"

    play(tmp_path, plot, profile={"never": ["22"]})


def test_refused_after_doubt_is_held_and_a_status_settles_it(tmp_path: Path) -> None:
    """The refusal may be of the second copy: what the axis has from before is not known."""

    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("drop_after", "sendEdoc", times=1)
        scene.axis.faults.add("error", "sendEdoc", code="22", times=1)
        answer = await scene.submit()
        held = await scene.until(answer, state="HELD")
        assert (held["hold_cause"], held["doubt"]) == ("refused_in_doubt", True)
        assert [word for word, _ in await scene.attempts(answer)] == ["uncertain", "refused"]
        await confirm_there(scene)
        await scene.until(answer, state="ON_AXIS")

    play(tmp_path, plot, profile={"never": ["22"]})


def test_three_equal_answers_that_nobody_classified_hold_a_transfer(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("error", "sendEdoc", code="77")
        answer = await scene.submit()
        held = await scene.until(answer, state="HELD")
        assert (held["hold_cause"], held["doubt"]) == ("equal_answers", False)
        assert await scene.attempts(answer) == [("deferred", "vxp.77")] * 3

    play(tmp_path, plot)


def state_of(row: Mapping[str, Any]) -> str | None:
    """The state that a record says its transfer came to."""
    state: str | None = row["record"]["facts"].get("state")
    return state


def test_a_lifetime_that_ends_without_doubt_expires(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        await scene.axis.refuse_connections()
        answer = await scene.submit()
        shown = await scene.until(answer, state="EXPIRED")
        assert (shown["doubt"], shown["due_at"]) == (False, None)
        assert {word for word, _ in await scene.attempts(answer)} <= {"deferred"}
        # said by whoever saw it first: the attempt that ended too late, or the sweep
        ends = [r["event"] for r in await scene.history(answer) if state_of(r) == "EXPIRED"]
        assert ends in (["attempt.ended"], ["transfer.expired"])

    play(
        tmp_path,
        plot,
        changes=with_changes(dispatch={"retry": "20ms, 40ms then every 50ms for 400ms"}),
    )


def test_a_lifetime_that_ends_with_doubt_is_held(tmp_path: Path) -> None:
    async def plot(scene: Scene) -> None:
        scene.axis.faults.add("html", "sendEdoc")
        answer = await scene.submit()
        await scene.until(answer, doubt=True)
        await scene.here.gateway.store.write(lambda tx: make_old(tx, answer))
        shown = await scene.until(answer, state="HELD")
        assert (shown["hold_cause"], shown["doubt"]) == ("lifetime_in_doubt", True)
        assert "EXPIRED" not in [state_of(r) for r in await scene.history(answer)]

    play(tmp_path, plot)


def test_an_expired_transfer_that_did_arrive_is_settled_by_its_status(tmp_path: Path) -> None:
    """The clerk may have sent the same package by hand: the recipient's word counts."""

    async def plot(scene: Scene) -> None:
        await scene.axis.refuse_connections()
        answer = await scene.submit()
        await scene.until(answer, state="EXPIRED")
        await scene.axis.accept_connections()
        desk = scene.here.gateway.desk
        stored = await desk.package(await scene.here.account(SO19), answer["id"], "vxp")
        with stored.source as source:
            await scene.axis.deposit(source.read(), system_id="sys.h14", sender=SO19)
        await confirm_there(scene)
        shown = await scene.until(answer, state="ON_AXIS")
        assert shown["recipients"][0]["status_code"] == "01"

    play(
        tmp_path,
        plot,
        changes=with_changes(dispatch={"retry": "20ms, 40ms then every 50ms for 300ms"}),
    )


def test_attempts_are_timed_and_so_is_the_way_from_the_promise_to_the_axis(tmp_path: Path) -> None:
    async def run() -> None:
        async with trouble(tmp_path) as scene:
            scene.axis.faults.add("error", "sendEdoc", code="77", times=2)
            answer = await scene.submit()
            await scene.until(answer, state="ON_AXIS")
            registry = scene.here.gateway.metrics.registry

            def figure(name: str) -> float | None:
                return registry.get_sample_value(name, {"axis": "vxp"})

            await eventually(
                scene.here,
                select(record.c.id),
                lambda _: figure("edoc_delivery_seconds_count") == 1,
            )
            assert figure("edoc_attempt_seconds_count") == 3
            assert (figure("edoc_delivery_seconds_sum") or 0) > 0
            assert (figure("edoc_attempt_seconds_sum") or 0) > 0

    asyncio.run(run())


def test_an_attempt_whose_lease_ran_out_is_taken_over_as_doubt(tmp_path: Path) -> None:
    """Its holder is gone after the claim: nothing may be sent again before deadline and grace."""

    async def plot(scene: Scene) -> None:
        answer = await scene.submit()
        await scene.until(answer, state="SEALED")
        outbound: Outbound = scene.here.gateway.outbound
        (work,) = await outbound.claim("vxp", 4)
        await scene.lease_over(answer)
        shown = await scene.until(answer, state="UNCERTAIN")
        assert shown["doubt"]
        (taken,) = [r for r in await scene.history(answer) if r["event"] == "attempt.taken_over"]
        assert taken["record"]["facts"]["state"] == "UNCERTAIN"
        # the old holder wakes up: it asks for its lease before the last chunk and sends nothing
        outcome = await outbound.deliver(work)
        assert outcome.code == "lease.lost"
        assert scene.sent() == []
        (ended,) = [r for r in await scene.history(answer) if r["event"] == "attempt.ended"]
        assert ended["record"]["facts"]["overtaken"] is True
        assert (await scene.until(answer, state="UNCERTAIN"))["attempts"] == 1

    play(
        tmp_path,
        plot,
        jobs=[j for j in WORKERS if j != "deliver"],
        changes=with_changes(dispatch={**AN_HOUR, "attempt_deadline": "20s"}),
    )


@pytest.mark.parametrize("answers", ["before the next attempt", "while the next attempt is made"])
def test_a_late_delivered_of_the_old_holder_settles_the_doubt(tmp_path: Path, answers: str) -> None:
    async def plot(scene: Scene) -> None:
        answer = await scene.submit()
        await scene.until(answer, state="SEALED")
        gateway = scene.here.gateway
        gate = scene.axis.hold("sendEdoc")
        (work,) = await gateway.outbound.claim("vxp", 4)
        old = asyncio.create_task(gateway.outbound.deliver(work))
        await gate.reached(1)
        at = gateway.scribe.now()

        def by_another_process(tx: Tx) -> int:
            return gateway.settling.take_over(tx, transfers.sending(tx), at)

        assert await gateway.store.write(by_another_process) == 1
        await scene.until(answer, state="UNCERTAIN")
        if "while" in answers:
            await gateway.store.write(lambda tx: make_due(tx, answer))
            (newer,) = await gateway.outbound.claim("vxp", 4)
            gate.release()
            assert (await old).code == "ok"
            await scene.axis.refuse_connections()
            await gateway.outbound.deliver(newer)
        else:
            gate.release()
            assert (await old).code == "ok"
        shown = await scene.until(answer, state="ON_AXIS")
        assert shown["recipients"][0]["state"] == "ON_AXIS"
        words = [
            (r["record"]["facts"]["outcome"], r["record"]["facts"].get("overtaken", False))
            for r in await scene.history(answer)
            if r["event"] == "attempt.ended"
        ]
        assert words[0] == ("delivered", True)

    play(
        tmp_path,
        plot,
        jobs=[j for j in WORKERS if j != "deliver"],
        changes=with_changes(dispatch={**AN_HOUR, "attempt_deadline": "20s"}),
    )


def make_due(tx: Tx, answer: dict[str, Any]) -> None:
    """As if the wait after the takeover had gone by."""
    tx.execute(
        update(transfer)
        .where(transfer.c.document_ref == answer["id"])
        .values(due_at=transfer.c.moved_at)
    )


def make_old(tx: Tx, answer: dict[str, Any]) -> None:
    """As if its lifetime had gone by."""
    tx.execute(
        update(transfer)
        .where(transfer.c.document_ref == answer["id"])
        .values(expires_at=transfer.c.moved_at)
    )


async def confirm_there(scene: Scene) -> None:
    """The receiver's side starts, gets the document and confirms it: a 01 is on its way."""
    there = await scene.there()
    (item,) = await there.inbox(VPCP)
    await there.gateway.desk.confirm(await there.account(VPCP), item["id"])
