"""A day held against what the simulated axis says of it: lost, doubled, in doubt, silent."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from gateway import enquiring, reconciling
from gateway.audit.books import verify_books
from gateway.cli.reconcile import _page
from gateway.errors import Rejected, Unavailable, Unknown
from gateway.ledger.reconciliation import SignedReport, verify_report
from gateway.model.outcome import Deferred
from gateway.ports import FollowUp, SentItem
from gateway.store import reconciliations
from gateway.store.tables import fetch, reconciliation, transfer
from gateway.telemetry import logs
from tests.support.reconciled import MINISTRY, a_day, on_the_day_after


def test_a_good_day_matches_on_both_sides_and_its_report_holds(tmp_path):
    async def scene():
        async with a_day(tmp_path, both=True) as day:
            one, _ = await day.send("12")
            await day.answered(one)
            report = await day.report()
            assert report.counts == {"transfers": 1, "matched": 1, "asked": 3}
            theirs = await day.report(day.ministry)
            assert theirs.counts == {"transfers": 1, "matched": 1, "asked": 3}  # status 01
            gateway = day.province.gateway
            key = gateway.scribe.key.public_key()
            signed = SignedReport(report.made.report, report.made.note)
            vouched = verify_report(signed.file(), key)
            assert vouched.origin == "province.test"
            assert vouched.report == report.said
            assert await asyncio.to_thread(verified, day.town.folder / "province", key) == []

    asyncio.run(scene())


def test_a_kept_report_that_was_changed_is_found_by_ledger_verify(tmp_path):
    async def scene():
        async with a_day(tmp_path) as day:
            report = await day.report()
            gateway = day.province.gateway
            made = report.made
            forged = made.report.replace(b'"transfers":0', b'"transfers":9')
            other = replace_row(made, forged)
            await gateway.store.write(lambda tx: reconciliations.keep(tx, other))
            key = gateway.scribe.key.public_key()
            found = await asyncio.to_thread(verified, day.town.folder / "province", key)
            assert {(f.path, f.code) for f in found} == {
                (f"reconciliation/{other.id}", "ledger.shown_reconciliation")
            }

    asyncio.run(scene())


def replace_row(made, report):
    return made._replace(id=made.id[:-1] + "x", once="other", report=report)


def verified(folder, key):
    """Errors of `ledger verify`, beside the running gateway."""
    from gateway import config
    from gateway.wiring.books import open_books

    with open_books(config.load(folder / "conf" / "gateway.toml")) as books:
        report = verify_books(
            books.store, books.blobs, origin=f"{folder.name}.test", public_key=key, anchors=()
        )
    return [f for f in report.problems if f.severity == "error"]


def test_an_axis_that_took_a_document_and_kept_nothing_has_lost_it(tmp_path):
    async def scene():
        async with a_day(tmp_path, stuck_after="1h") as day:
            await day.send("12")
            document, ref = await day.send("13")
            day.axis.lose(ref)
            report = await day.report()
            (told,) = report.said["differences"]
            assert (told["kind"], told["what"]) == ("missing", "unknown_to_axis")
            assert (told["document"], told["axis_ids"]) == (document, [ref])
            assert report.counts == {
                "transfers": 2,
                "matched": 1,
                "asked": 4,
                "missing": 1,
                "wanting": 1,
            }

    asyncio.run(scene())


def test_an_error_that_nobody_has_explained_is_an_open_question_and_no_loss(tmp_path):
    async def scene():
        async with a_day(tmp_path, unknown=(), stuck_after="1h") as day:
            _, ref = await day.send("12")
            day.axis.lose(ref)
            report = await day.report()
            assert report.open == [("sent", "vxp.-1")]
            assert report.whats == []

    asyncio.run(scene())


def test_an_empty_list_says_unknown_on_any_axis(tmp_path):
    async def scene():
        switches = {"says_unknown": False}
        async with a_day(tmp_path, unknown=(), axis=switches, stuck_after="1h") as day:
            _, ref = await day.send("12")
            day.axis.lose(ref)
            assert (await day.report()).whats == ["unknown_to_axis"]

    asyncio.run(scene())


def test_an_axis_that_lies_about_success_without_an_id_cannot_be_asked(tmp_path):
    async def scene():
        async with a_day(tmp_path, stuck_after="1h") as day:
            day.axis.faults.add("error", "sendEdoc", code="0")  # success, and nothing was kept
            _, ref = await day.send("12")
            assert ref == ""
            report = await day.report()
            assert report.open == [("sent", "no_id")]
            assert report.whats == []

    asyncio.run(scene())


def test_an_axis_that_doubles_is_seen_by_sender_and_receiver_and_no_inbox_holds_two(tmp_path):
    async def scene():
        async with a_day(tmp_path, both=True, stuck_after="1h") as day:
            gate = day.axis.hold("getEdoc")
            downloads = day.axis.hold("downloadEdoc")
            _, ref = await day.send("12")
            day.axis.double(ref)
            gate.release()
            downloads.release()
            report = await day.report()
            assert report.whats == ["two_copies"]
            ids = report.said["differences"][0]["axis_ids"]
            assert sorted(ids) == sorted(e.doc_id for e in day.axis.deliveries(MINISTRY))
            await day.axis.until(lambda axis: len(axis.acknowledged()) == 2)
            assert len(await day.ministry.inbox(MINISTRY)) == 1
            listener = day.province.gateway.store.listener("test")
            async with asyncio.timeout(30):
                while (theirs := await day.report(day.ministry)).whats != ["arrived_twice"]:
                    await listener.wait(0.05)  # until the second is opened
            assert sorted(theirs.said["differences"][0]["axis_ids"]) == sorted(ids)

    asyncio.run(scene())


def restore(url):
    """The one transfer there is, as a restore leaves it (architecture 7): rows are laid down, and
    none is moved along the table."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as db:
        (trigger,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'transfer_moves'")
        db.execute("DROP TRIGGER transfer_moves")
        db.execute("UPDATE transfer SET state = 'HELD', doubt = 1, hold_cause = 'restored'")
        db.execute(trigger[0])


def test_a_held_transfer_whose_id_the_axis_knows_is_settled_and_recorded(tmp_path):
    async def scene():
        async with a_day(tmp_path, stuck_after="1h") as day:
            document, _ = await day.send("12")
            gateway = day.province.gateway
            # as a restore leaves it (architecture 7)
            restore(gateway.settings.database.url)
            report = await day.report()
            assert report.counts == {"transfers": 1, "asked": 3, "settled": 1}
            shown = await day.province.document("000.00.19.H14", document)
            assert shown["transfers"][0]["state"] == "ON_AXIS"
            who = await day.province.account("000.00.19.H14")
            history = await gateway.desk.history(who, document)
            events = [r["record"]["event"] for r in history]
            assert events.count("transfer.settled") == 1
            assert (await day.report()).counts == {"transfers": 1, "matched": 1, "asked": 3}
            key = gateway.scribe.key.public_key()
            assert await asyncio.to_thread(verified, day.town.folder / "province", key) == []

    asyncio.run(scene())


def test_what_stands_on_the_axis_and_is_not_taken_is_stuck_with_the_place_where(tmp_path):
    async def scene():
        async with a_day(tmp_path) as day:
            document, _ = await day.send("12")
            report = await day.report()
            (told,) = report.said["differences"]
            assert (told["kind"], told["what"], told["document"], told["receiver"]) == (
                "stuck",
                "not_taken",
                document,
                MINISTRY,
            )
            (entry,) = day.axis.deliveries(MINISTRY)
            day.axis._store.set_status(entry.doc_id, "done", "", "")
            assert (await day.report()).whats == ["not_confirmed"]

    asyncio.run(scene())


def test_a_document_past_its_due_date_without_a_word_was_never_answered(tmp_path):
    async def scene():
        async with a_day(tmp_path, stuck_after="1h") as day:
            await day.send("12", due_date="2026-11-21")
            later, clock = on_the_day_after(day.province)
            clock.at += timedelta(days=40)
            made = await later.make("vxp", day.today, "test")
            told = json.loads(made.report)["differences"]
            assert [d["what"] for d in told] == ["past_due_date"]
            after = await later.make("vxp", day.today + timedelta(days=20), "test")
            assert after.counts["transfers"] == 0  # a day holds its own and what ran out on it
            ran_out = await later.make("vxp", day.today + timedelta(days=5), "test")
            assert ran_out.counts["never_answered"] == 1

    asyncio.run(scene())


def test_a_held_fetch_is_told_of_and_fetched_once_more_by_its_id(tmp_path):
    async def scene():
        async with a_day(tmp_path, both=True, stuck_after="1h") as day:
            day.axis.faults.add("500", "getEdoc")
            day.axis.faults.add("500", "downloadEdoc")
            await day.send("12")
            store = day.ministry.gateway.store
            listener = store.listener("test")
            held = select(func.count()).where(fetch.c.state == "HELD")
            async with asyncio.timeout(60):
                while not await store.read(lambda tx: tx.execute(held).scalar()):
                    await listener.wait(0.05)
            day.axis.faults.clear()
            report = await day.report(day.ministry)
            assert report.whats == ["fetch_held"]
            assert len(await day.ministry.inbox(MINISTRY)) == 1

    asyncio.run(scene())


# -- a silent axis, a broken-off run, several processes --------------------------------------------


def test_a_silent_axis_leaves_questions_open_and_a_daily_run_waits_for_it(tmp_path):
    async def scene():
        async with a_day(tmp_path, stuck_after="40h", answer_within="90h") as day:
            await day.send("12")
            await day.axis.refuse_connections()
            report = await day.report()
            assert report.open == [
                ("count", "connect.refused"),
                ("sent", "connect.refused"),
                ("waiting", "connect.refused"),
            ]
            assert report.whats == []
            later, clock = on_the_day_after(day.province)
            with pytest.raises(Unavailable) as put_off:
                await later.daily("vxp", day.today)
            assert put_off.value.code == "reconciliation.put_off"
            await day.axis.accept_connections()
            made = await later.daily("vxp", day.today)
            assert (made.counts["matched"], made.counts["unanswered"]) == (1, 0)
            clock.at += timedelta(days=1)
            await day.axis.refuse_connections()
            with pytest.raises(Unavailable):
                await later.daily("vxp", day.today + timedelta(days=1))
            clock.at += reconciling.PATIENCE  # no longer: it is made without the axis
            without = await later.daily("vxp", day.today + timedelta(days=1))
            assert without.counts["unanswered"] > 0
            await day.axis.accept_connections()

    asyncio.run(scene())


def test_after_many_questions_without_an_answer_the_rest_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(enquiring, "GIVE_UP", 2)

    async def scene():
        async with a_day(tmp_path, stuck_after="1h", at_once=1) as day:
            for number in range(4):
                await day.send(str(number))
            day.axis.faults.add("500", "getSentEdocList")
            before = day.axis.requests["getSentEdocList"]
            report = await day.report()
            assert day.axis.requests["getSentEdocList"] - before == 2
            asked = {o["why"]: o["times"] for o in report.said["unanswered"]}
            assert asked == {"http.500": 2, "not_asked": 2}

    asyncio.run(scene())


def test_a_run_that_was_broken_off_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(enquiring, "PAGE", 1)

    async def scene():
        async with a_day(tmp_path, stuck_after="1h") as day:
            for number in range(3):
                await day.send(str(number))
            corridor = day.province.gateway.reconciling
            run = await corridor.begin("vxp", day.today, "test")
            asked = day.axis.requests["getSentEdocList"]
            await corridor._turn_page(run, patient=False)  # one document is done
            gate = day.axis.hold("getSentEdocList")
            going = corridor.start(run)
            await gate.reached(1)  # the second is being asked about
            assert (await corridor.one(run.id))["state"] == "running"
            await corridor.close()
            assert (await corridor.one(run.id))["state"] == "broken_off"
            gate.release()
            with suppress(asyncio.CancelledError):
                await going
            report = await day.report()
            assert report.made.id == run.id
            assert report.counts["transfers"] == report.counts["matched"] == 3
            # the first was not asked again; the second was, because its answer was lost
            assert day.axis.requests["getSentEdocList"] - asked == 4
            again = await day.report()
            assert again.made.id != run.id

    asyncio.run(scene())


def test_an_axis_is_reconciled_by_one_at_a_time(tmp_path):
    async def scene():
        async with a_day(tmp_path) as day:
            corridor = day.province.gateway.reconciling
            run = await corridor.begin("vxp", day.today, "test")
            with pytest.raises(Unavailable) as refused:
                await corridor.begin("vxp", day.today - timedelta(days=1), "other")
            assert refused.value.code == "reconciliation.running"
            await corridor.finish(run)
            await corridor.make("vxp", day.today - timedelta(days=1), "other")

    asyncio.run(scene())


def test_a_day_to_come_and_an_unknown_axis_are_refused(tmp_path):
    async def scene():
        async with a_day(tmp_path) as day:
            corridor = day.province.gateway.reconciling
            with pytest.raises(Rejected) as future:
                await corridor.begin("vxp", day.today + timedelta(days=1), "test")
            assert future.value.code == "reconciliation.future"
            with pytest.raises(Unknown) as unknown:
                await corridor.begin("elsewhere", day.today, "test")
            assert unknown.value.code == "axis.unknown"

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_daily_report_of_a_day_is_made_once_by_however_many(tmp_path, kind, request):
    database = request.getfixturevalue("postgres_url") if kind == "postgres" else ""

    async def scene():
        async with a_day(
            tmp_path, database=database, stuck_after="40h", answer_within="90h"
        ) as day:
            await day.send("12")
            processes = [on_the_day_after(day.province, f"p{n}")[0] for n in range(4)]
            assert await processes[0].due("vxp") == [day.today]
            done = await asyncio.gather(
                *(p.daily("vxp", day.today) for p in processes), return_exceptions=True
            )
            made = {one.id for one in done if isinstance(one, reconciliations.Made)}
            assert len(made) == 1
            others = [one for one in done if not isinstance(one, reconciliations.Made)]
            assert {getattr(o, "code", o) for o in others} <= {"reconciliation.running"}
            for one in processes:
                assert (await one.daily("vxp", day.today)).id in made
            rows = select(func.count()).select_from(reconciliation)
            store = day.province.gateway.store
            assert await store.read(lambda tx: tx.execute(rows).scalar()) == 1
            assert await processes[0].due("vxp") == []

    asyncio.run(scene())


def test_the_sweeper_makes_it_when_its_hour_has_come(tmp_path):
    from gateway.workers import sweep

    async def scene():
        async with a_day(tmp_path, stuck_after="40h", answer_within="90h") as day:
            await day.send("12")
            later, _ = on_the_day_after(day.province)
            (worker,) = sweep.daily(later, interval=1.0)
            assert worker.name == "sweep:reconcile:vxp"  # loopback has nothing to say
            assert await worker.turn() is False
            made = await later.store.read(
                lambda tx: reconciliations.page(tx, axis="vxp", day="", before="", most=9)
            )
            assert [one.day for one in made] == [day.today.isoformat()]

    asyncio.run(scene())


@contextmanager
def logged():
    """A function of an event that gives its log lines since then."""
    lines = io.BytesIO()
    logs.configure("info", lines)

    def said(event):
        read = [json.loads(line) for line in lines.getvalue().splitlines()]
        return [line for line in read if line["event"] == event]

    try:
        yield said
    finally:
        logs.configure("error", sys.__stderr__.buffer)


@pytest.mark.parametrize("lost", [False, True])
def test_a_daily_report_in_which_something_is_missing_is_logged_as_a_warning(tmp_path, lost):
    from gateway.workers import sweep

    async def scene():
        async with a_day(tmp_path, stuck_after="40h", answer_within="90h") as day:
            _, ref = await day.send("12")
            if lost:
                day.axis.lose(ref)
            later, _ = on_the_day_after(day.province)
            (worker,) = sweep.daily(later, interval=1.0)
            with logged() as said:
                await worker.turn()
            (made,) = said("reconciliation.made")
            assert made["missing"] == lost
            assert made["level"] == ("warning" if lost else "info")

    asyncio.run(scene())


def test_a_gateway_that_never_sent_anything_has_nothing_due(tmp_path):
    async def scene():
        async with a_day(tmp_path) as day:
            later, _ = on_the_day_after(day.province)
            assert await later.due("vxp") == []
            assert await replace(later, pace=enquiring.Pace(at=None)).due("vxp") == []

    asyncio.run(scene())


def test_an_axis_that_only_brings_is_reconciled_from_its_first_listing(tmp_path):
    """Nothing was ever sent over it, and yet its waiting list and its count are asked."""

    async def scene():
        async with a_day(tmp_path, both=True, stuck_after="40h") as day:
            await day.send("12")
            assert len(await day.ministry.inbox(MINISTRY)) == 1
            later, _ = on_the_day_after(day.ministry)
            sent = select(func.count()).select_from(transfer)
            assert await later.store.read(lambda tx: tx.execute(sent).scalar()) == 0
            assert await later.due("vxp") == [day.today]
            made = await later.daily("vxp", day.today)
            assert made.counts["transfers"] == 0
            assert made.counts["asked"] > 0, "its list and its count"
            assert json.loads(made.report)["skipped"] is None
            assert await later.due("vxp") == []

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_days_that_are_not_made_up_are_named_in_the_report_that_follows(
    tmp_path, kind, request, capsys
):
    database = request.getfixturevalue("postgres_url") if kind == "postgres" else ""

    async def scene():
        async with a_day(
            tmp_path, database=database, stuck_after="900h", answer_within="900h"
        ) as day:
            await day.send("12")
            later, clock = on_the_day_after(day.province)
            assert json.loads((await later.daily("vxp", day.today)).report)["skipped"] is None
            clock.at += timedelta(days=10)
            due = await later.due("vxp")
            assert len(due) == 7
            with logged() as said:
                made = [await later.daily("vxp", one) for one in due]
            first, last = day.today + timedelta(days=1), due[0] - timedelta(days=1)
            told = {"from": first.isoformat(), "to": last.isoformat(), "days": 3}
            assert [json.loads(one.report)["skipped"] for one in made] == [told, *[None] * 6]
            (warned,) = said("reconciliation.skipped")
            assert (warned["first"], warned["last"]) == (told["from"], told["to"])
            # one that is asked for by hand says nothing of other days
            by_hand = await later.make("vxp", first, "ops")
            assert json.loads(by_hand.report)["skipped"] is None
            capsys.readouterr()
            _page(json.loads(made[0].report), "en")
            shown = capsys.readouterr().out
            assert f"3 days before were not reconciled: {first} to {last}" in shown

    asyncio.run(scene())


# -- what an axis may say that the simulator does not ----------------------------------------------


class Telling:
    """Another axis in place of the real one: it says what a test tells it to."""

    def __init__(self, real, told):
        self.name, self.capabilities = real.name, real.capabilities
        self._real, self._told = real, told

    async def follow_up(self, remote_ref, kind, deadline_seconds):
        del kind, deadline_seconds
        return self._told(remote_ref)

    async def list_waiting(self, kind, deadline_seconds):
        return await self._real.list_waiting(kind, deadline_seconds)

    async def count_waiting(self, kind, deadline_seconds):
        return await self._real.count_waiting(kind, deadline_seconds)


def line(ref, copy="1", notation="12/UBND-VX"):
    return SentItem(MINISTRY, ref, copy, "done", "", notation=notation, passed_on=True)


@pytest.mark.parametrize(
    ("told", "whats"),
    [
        (lambda ref: FollowUp((line(ref), line("X", "2", "99/KHAC"))), ["not_ours"]),
        (lambda ref: FollowUp((line(ref), line("X", "2"))), ["two_ids"]),
        (lambda ref: FollowUp((line(ref), line(ref, "2"))), ["two_copies"]),
        (lambda _: FollowUp(), ["unknown_to_axis"]),
        (lambda _: FollowUp(failure=Deferred("answer.garbled")), []),
    ],
)
def test_an_axis_with_strange_answers(tmp_path, told, whats):
    async def scene():
        async with a_day(tmp_path, stuck_after="1h") as day:
            await day.send("12")
            real = day.province.gateway.reconciling
            strange = replace(real, axes={"vxp": Telling(real.axes["vxp"], told)})
            made = await strange.make("vxp", day.today, "test")
            found = json.loads(made.report)["differences"]
            assert [one["what"] for one in found] == whats

    asyncio.run(scene())
