"""What every simulated axis does when a scenario says so, as its clients meet it.

A test file subclasses `ScenarioSuite` for a protocol: how to open the axis and two clients of it,
how its operations are called, what it has taken. Kinds that only spoil one answer are asked for by
the contract suite of the port.
"""

from __future__ import annotations

import asyncio
import io
from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar

import aiohttp
import pytest

from adapters.faults import scenario_from
from gateway.model.outcome import Deferred, Delivered, Uncertain
from gateway.model.package import PackageKind
from tests.support.axes import document_package, parcel

LONG = 60.0
DOCUMENT = PackageKind.DOCUMENT


def package(number):
    return document_package(document_id=f"000.00.19.H14,2026/11/20,{number}/UBND-VX")


def one(kind, operation="*", **more):
    return {"fault": [{"kind": kind, "operation": operation, **more}]}


async def listed(theirs):
    return [item.axis_doc_id for item in (await theirs.list_waiting(DOCUMENT, LONG)).items]


async def fetched(theirs):
    """What collecting the first waiting package brings: the answer and its bytes."""
    (item, *_) = (await theirs.list_waiting(DOCUMENT, LONG)).items
    sink = io.BytesIO()
    return await theirs.fetch(item, sink, LONG), sink.getvalue()


class ScenarioSuite(ABC):
    """`send`, `list`, `done`: the operations in the words of the protocol."""

    send: ClassVar[str]
    list: ClassVar[str]
    done: ClassVar[str]

    @abstractmethod
    def world(self, folder, **changes):
        """An asynchronous context: axis we send with, axis they collect with, simulator."""

    @abstractmethod
    def taken(self, sim) -> list[tuple[str, datetime | str]]:
        """What the axis took: number of the document (`package`), when."""

    def scene(self, play, folder, scenario, **changes):
        async def whole():
            async with self.world(folder, **changes) as (ours, theirs, sim):
                sim.follow(scenario_from(scenario))
                return await play(ours, theirs, sim)

        return asyncio.run(whole())

    def test_duplicate_gives_every_receiver_two_copies(self, tmp_path):
        async def play(ours, theirs, sim):
            assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)
            assert len(set(await listed(theirs))) == 2

        self.scene(play, tmp_path, one("duplicate", self.send))

    def test_a_line_that_is_told_twice_is_taken_once(self, tmp_path):
        async def play(ours, theirs, sim):
            await ours.submit(parcel(package(1)), LONG)
            assert len(await listed(theirs)) == 1
            assert sim.faults.met[f"{self.list} duplicate"] == 1

        self.scene(play, tmp_path, one("duplicate", self.list))

    def test_reorder_tells_all_lines_in_an_order_that_the_seed_draws(self, tmp_path):
        async def play(ours, theirs, sim):
            for number in range(6):
                await ours.submit(parcel(package(number)), LONG)
            true = await listed(theirs)
            orders = []
            for seed in (1, 1, 2):
                sim.follow(scenario_from({"seed": seed, **one("reorder", self.list)}))
                told = await listed(theirs)
                assert sorted(told) == sorted(true)
                orders.append([true.index(doc_id) for doc_id in told])
            assert orders[0] == orders[1] != orders[2]
            assert sorted(orders[0]) != orders[0]

        self.scene(play, tmp_path, {})

    def test_lie_swallows_a_package_and_gives_an_id_for_it(self, tmp_path):
        async def play(ours, theirs, sim):
            outcome = await ours.submit(parcel(package(1)), LONG)
            assert isinstance(outcome, Delivered)
            assert outcome.remote_ref
            assert self.taken(sim) == []
            assert await listed(theirs) == []

        self.scene(play, tmp_path, one("lie", self.send))

    def test_lie_says_done_and_lists_the_package_again(self, tmp_path):
        async def play(ours, theirs, sim):
            await ours.submit(parcel(package(1)), LONG)
            (doc_id,) = await listed(theirs)
            assert isinstance(await theirs.acknowledge(doc_id, LONG), Delivered)
            assert await listed(theirs) == [doc_id]

        self.scene(play, tmp_path, one("lie", self.done))

    def test_lie_says_that_nothing_waits_and_gives_no_package(self, tmp_path):
        async def play(ours, theirs, sim):
            await ours.submit(parcel(package(1)), LONG)
            (item,) = (await theirs.list_waiting(DOCUMENT, LONG)).items
            sim.follow(scenario_from(one("lie")))
            assert await listed(theirs) == []
            assert (await theirs.count_waiting(DOCUMENT, LONG)).waiting == 0
            assert isinstance((await theirs.fetch(item, io.BytesIO(), LONG)).failure, Deferred)

        self.scene(play, tmp_path, {})

    def test_skew_puts_the_axis_clock_wrong_for_the_requests_it_meets(self, tmp_path):
        async def play(ours, theirs, sim):
            for number in (1, 2):
                assert isinstance(await ours.submit(parcel(package(number)), LONG), Delivered)
            skewed, right = (_moment(at) for _, at in self.taken(sim))
            assert (right - skewed).total_seconds() == 7200

        self.scene(play, tmp_path, one("skew", self.send, seconds=-7200, last=1))

    def test_slow_bodies_come_whole(self, tmp_path):
        async def play(ours, theirs, sim):
            assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)
            answer, whole = await fetched(theirs)
            assert answer.failure is None
            sim.follow(scenario_from({}))
            assert await fetched(theirs) == (answer, whole)

        self.scene(play, tmp_path, one("slow", seconds=0.08))

    def test_a_body_slower_than_the_deadline_is_given_up(self, tmp_path):
        async def play(ours, theirs, sim):
            outcome = await ours.submit(parcel(package(1)), 0.2)
            assert isinstance(outcome, Deferred | Uncertain)
            assert self.taken(sim) == []

        self.scene(play, tmp_path, one("slow", self.send, seconds=600))

    @pytest.mark.parametrize("after", [False, True])
    def test_die_breaks_off_refuses_and_comes_back_with_all_it_had(self, tmp_path, after):
        async def play(ours, theirs, sim):
            assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)
            assert isinstance(await ours.submit(parcel(package(2)), LONG), Uncertain)
            seen = []
            while not isinstance(outcome := await ours.submit(parcel(package(3)), LONG), Delivered):
                seen.append(outcome.code)
            assert set(seen) <= {"connect.refused", "answer.reset"}
            numbers = [number for number, _ in self.taken(sim)]
            assert numbers == (["1", "2", "3"] if after else ["1", "3"])

        dies = one("die", self.send, seconds=0.2, first=2, last=2, after=after)
        self.scene(play, tmp_path, dies)

    def test_closing_a_dead_axis_does_not_wait_for_its_return(self, tmp_path):
        async def play(ours, theirs, sim):
            assert isinstance(await ours.submit(parcel(package(1)), LONG), Uncertain)

        self.scene(play, tmp_path, one("die", self.send, seconds=3600, last=1))

    def test_maintenance_turns_everybody_away_for_a_while(self, tmp_path):
        async def play(ours, theirs, sim):
            outcome = await ours.submit(parcel(package(1)), LONG)
            assert outcome.code == "http.503"
            listing = await theirs.list_waiting(DOCUMENT, LONG)
            assert listing.failure is not None
            assert listing.failure.code.endswith("http.503")
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{sim.url}/anything") as answer,
            ):
                assert answer.status == 503
                assert 3500 < int(answer.headers["Retry-After"]) <= 3600
            sim.follow(scenario_from({}))
            assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)

        self.scene(play, tmp_path, one("maintenance", self.send, seconds=3600, last=1))

    def test_a_maintenance_window_ends_by_itself(self, tmp_path):
        async def play(ours, theirs, sim):
            assert (await ours.submit(parcel(package(1)), LONG)).code == "http.503"
            while not isinstance(await ours.submit(parcel(package(1)), LONG), Delivered):
                pass
            assert len(self.taken(sim)) == 1

        self.scene(play, tmp_path, one("maintenance", self.send, seconds=0.1, last=1))

    def test_a_scenario_switches_dedupe_off_and_on_again(self, tmp_path):
        async def play(ours, theirs, sim):
            for dedupe in (False, True, None):
                told = {} if dedupe is None else {"dedupe": dedupe}
                sim.follow(scenario_from(told))
                before = len(self.taken(sim))
                await ours.submit(parcel(package(1)), LONG)
                await ours.submit(parcel(package(1)), LONG)
                # off: two; on: at most one more (the first under a key); None leaves it on
                more = len(self.taken(sim)) - before
                assert more == 2 if dedupe is False else more <= int(dedupe is True)

        self.scene(play, tmp_path, {})

    def test_a_scenario_over_the_control_address(self, tmp_path):
        async def play(ours, theirs, sim):
            base = sim.url.rpartition("/")[0] + "/_simulator"
            async with aiohttp.ClientSession() as session:

                async def post(content):
                    async with session.post(f"{base}/faults", json=content) as answer:
                        return answer.status, await answer.json()

                fault = {"kind": "500", "operation": self.send, "rate": 0.5}
                scenario = {"seed": 5, "dedupe": False, "fault": [fault]}
                assert await post(scenario) == (200, {"faults": 1, "seed": 5})
                codes = [(await ours.submit(parcel(package(1)), LONG)).code for _ in range(12)]
                assert set(codes) == {"ok", "http.500"}
                await post(scenario)
                again = [(await ours.submit(parcel(package(1)), LONG)).code for _ in range(12)]
                assert again == codes
                async with session.get(f"{base}/state") as answer:
                    state = await answer.json()
                assert state["faults"] == {f"{self.send} http": codes.count("http.500")}
                assert state["met"] == {f"{self.send} http": 2 * codes.count("http.500")}
                assert len(state["received"]) == 2 * codes.count("ok") == len(self.taken(sim))
                for bad in ({"fault": [{"kind": "x"}]}, {"sead": 1}, [{"kind": "refuse"}], 3):
                    assert (await post(bad))[0] == 400
                assert (await post({"systems": {"a": {"secret": "s", "codes": []}}}))[0] == 400
                async with session.delete(f"{base}/faults") as answer:
                    assert (await answer.json())["faults"] == 0

        self.scene(play, tmp_path, {})

    def test_refuse_in_a_fault_file_closes_the_axis_while_it_stands_there(self, tmp_path):
        file = tmp_path / "faults.toml"
        file.write_text('[[fault]]\nkind = "refuse"\n', "utf-8")

        async def play(ours, theirs, sim):
            while (await ours.submit(parcel(package(1)), LONG)).code != "connect.refused":
                pass
            file.write_text("", "utf-8")
            while not isinstance(await ours.submit(parcel(package(2)), LONG), Delivered):
                pass
            assert [number for number, _ in self.taken(sim)][-1] == "2"

        async def whole():
            async with self.world(tmp_path, faults_file=file) as (ours, theirs, sim):
                await play(ours, theirs, sim)

        asyncio.run(whole())


def _moment(at):
    return at if isinstance(at, datetime) else datetime.fromisoformat(at)
