"""Each kind of fault that a scenario may name, as a client of the axis meets it.

The kinds that only spoil one answer stand in test_vxp_simulator and test_vxp_remote_faults.
"""

from __future__ import annotations

import asyncio
import io
import json
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from adapters.faults import scenario_from
from gateway.model.outcome import Deferred, Delivered, Uncertain
from gateway.model.package import PackageKind
from tests.support.axes import (
    MINISTRY,
    FixedClock,
    document_package,
    parcel,
    simulator,
    vxp_axis,
)

LONG = 60.0
DOCUMENT = PackageKind.DOCUMENT


def package(number):
    return document_package(document_id=f"000.00.19.H14,2026/11/20,{number}/UBND-VX")


def scene(play, folder, scenario, **changes):
    """Runs `play(axis we send with, axis they collect with, simulator)` under a scenario."""

    async def whole():
        async with (
            simulator(folder, **changes) as sim,
            vxp_axis(sim.url) as ours,
            vxp_axis(sim.url, "exp.sys.02") as theirs,
        ):
            sim.follow(scenario_from(scenario))
            return await play(ours, theirs, sim)

    return asyncio.run(whole())


def one(kind, operation="*", **more):
    return {"fault": [{"kind": kind, "operation": operation, **more}]}


async def listed(theirs):
    return [item.axis_doc_id for item in (await theirs.list_waiting(DOCUMENT, LONG)).items]


async def fetched(theirs):
    """What collecting the first waiting package brings: the answer and its bytes."""
    (item, *_) = (await theirs.list_waiting(DOCUMENT, LONG)).items
    sink = io.BytesIO()
    return await theirs.fetch(item, sink, LONG), sink.getvalue()


def test_duplicate_gives_every_receiver_two_copies(tmp_path):
    async def play(ours, theirs, sim):
        assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)
        assert len(await listed(theirs)) == len(sim.deliveries(MINISTRY)) == 2

    scene(play, tmp_path, one("duplicate", "sendEdoc"))


def test_duplicate_tells_each_line_of_a_list_twice(tmp_path):
    async def play(ours, theirs, sim):
        await ours.submit(parcel(package(1)), LONG)
        ask = theirs._headers("getReceivedEdocList", {"servicetype": "eDoc", "messagetype": "edoc"})
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{sim.url}/getReceivedEdocList", headers=ask) as answer,
        ):
            lines = (await answer.json())["data"]
        assert len(lines) == 2
        assert lines[0] == lines[1]
        assert len(await listed(theirs)) == 1, "the client takes each once"

    scene(play, tmp_path, one("duplicate", "getReceivedEdocList"))


def test_reorder_tells_all_lines_in_an_order_that_the_seed_draws(tmp_path):
    async def play(ours, theirs, sim):
        for number in range(6):
            await ours.submit(parcel(package(number)), LONG)
        true = [entry.doc_id for entry in sim.deliveries(MINISTRY)]
        orders = []
        for seed in (1, 1, 2):
            sim.follow(scenario_from({"seed": seed, **one("reorder", "getReceivedEdocList")}))
            told = await listed(theirs)
            assert sorted(told) == sorted(true)
            orders.append([true.index(doc_id) for doc_id in told])
        assert orders[0] == orders[1] != orders[2]
        assert sorted(orders[0]) != orders[0]

    scene(play, tmp_path, {})


def test_lie_swallows_a_package_and_gives_a_docid_for_it(tmp_path):
    async def play(ours, theirs, sim):
        outcome = await ours.submit(parcel(package(1)), LONG)
        assert isinstance(outcome, Delivered)
        assert len(outcome.remote_ref) == 24
        assert sim.received() == ()
        assert list((tmp_path / "packages").iterdir()) == []
        told = await ours.follow_up(outcome.remote_ref, PackageKind.DOCUMENT, LONG)
        assert told.items == ()

    scene(play, tmp_path, one("lie", "sendEdoc"))


def test_lie_says_done_and_lists_the_package_again(tmp_path):
    async def play(ours, theirs, sim):
        await ours.submit(parcel(package(1)), LONG)
        (doc_id,) = await listed(theirs)
        assert isinstance(await theirs.acknowledge(doc_id, LONG), Delivered)
        assert sim.acknowledged() == ()
        assert await listed(theirs) == [doc_id]

    scene(play, tmp_path, one("lie", "updateStatus"))


def test_lie_says_that_nothing_waits_and_gives_no_package(tmp_path):
    async def play(ours, theirs, sim):
        await ours.submit(parcel(package(1)), LONG)
        (item,) = (await theirs.list_waiting(DOCUMENT, LONG)).items
        sim.follow(scenario_from(one("lie")))
        assert await listed(theirs) == []
        assert (await theirs.count_waiting(DOCUMENT, LONG)).waiting == 0
        assert isinstance((await theirs.fetch(item, io.BytesIO(), LONG)).failure, Deferred)

    scene(play, tmp_path, {})


def test_skew_puts_the_axis_clock_wrong_for_the_requests_it_meets(tmp_path):
    async def play(ours, theirs, sim):
        for number in (1, 2):
            await ours.submit(parcel(package(number)), LONG)
        skewed, right = sim.received()
        local = FixedClock().now() + timedelta(hours=7)
        assert right.at == f"{local:%Y-%m-%d %H:%M:%S}"
        assert skewed.at == f"{local - timedelta(hours=2):%Y-%m-%d %H:%M:%S}"

    scene(play, tmp_path, one("skew", "sendEdoc", seconds=-7200, last=1))


def test_slow_bodies_come_whole(tmp_path):
    async def play(ours, theirs, sim):
        sent = package(1)
        outcome = await ours.submit(parcel(sent), LONG)
        assert isinstance(outcome, Delivered)
        assert sim.sent_bytes(outcome.remote_ref) == sent
        answer, whole = await fetched(theirs)
        assert answer.failure is None
        assert whole == sim.delivered_bytes(sim.deliveries(MINISTRY)[0])
        theirs._downloads = False
        answer, again = await fetched(theirs)
        assert answer.failure is None
        assert again == whole

    scene(play, tmp_path, one("slow", seconds=0.08))


def test_a_body_slower_than_the_deadline_is_given_up(tmp_path):
    async def play(ours, theirs, sim):
        outcome = await ours.submit(parcel(package(1)), 0.2)
        assert isinstance(outcome, Deferred | Uncertain)
        assert sim.received() == ()

    scene(play, tmp_path, one("slow", "sendEdoc", seconds=600))


@pytest.mark.parametrize("after", [False, True])
def test_die_breaks_off_refuses_and_comes_back_with_all_it_had(tmp_path, after):
    async def play(ours, theirs, sim):
        assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)
        assert isinstance(await ours.submit(parcel(package(2)), LONG), Uncertain)
        seen = []
        while not isinstance(outcome := await ours.submit(parcel(package(3)), LONG), Delivered):
            seen.append(outcome.code)
        assert set(seen) <= {"connect.refused", "answer.reset"}
        numbers = [p.document_id.split(",")[2][0] for p in sim.received()]
        assert numbers == (["1", "2", "3"] if after else ["1", "3"])

    scene(play, tmp_path, one("die", "sendEdoc", seconds=0.2, first=2, last=2, after=after))


def test_closing_a_dead_axis_does_not_wait_for_its_return(tmp_path):
    async def play(ours, theirs, sim):
        assert isinstance(await ours.submit(parcel(package(1)), LONG), Uncertain)

    scene(play, tmp_path, one("die", "sendEdoc", seconds=3600, last=1))


def test_maintenance_turns_everybody_away_for_a_while(tmp_path):
    async def play(ours, theirs, sim):
        outcome = await ours.submit(parcel(package(1)), LONG)
        assert outcome.code == "http.503"
        listing = await theirs.list_waiting(DOCUMENT, LONG)
        assert listing.failure is not None
        assert listing.failure.code == "http.503"
        async with aiohttp.ClientSession() as session, session.post(f"{sim.url}/getEdoc") as answer:
            assert answer.status == 503
            assert 3500 < int(answer.headers["Retry-After"]) <= 3600
        sim.follow(scenario_from({}))
        assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)

    scene(play, tmp_path, one("maintenance", "sendEdoc", seconds=3600, last=1))


def test_a_maintenance_window_ends_by_itself(tmp_path):
    async def play(ours, theirs, sim):
        assert (await ours.submit(parcel(package(1)), LONG)).code == "http.503"
        while not isinstance(await ours.submit(parcel(package(1)), LONG), Delivered):
            pass
        assert len(sim.received()) == 1

    scene(play, tmp_path, one("maintenance", "sendEdoc", seconds=0.1, last=1))


def test_a_scenario_switches_dedupe_off_and_on_again(tmp_path):
    async def play(ours, theirs, sim):
        for dedupe in (False, True, None):
            told = {} if dedupe is None else {"dedupe": dedupe}
            sim.follow(scenario_from(told))
            await ours.submit(parcel(package(1)), LONG)
            await ours.submit(parcel(package(1)), LONG)
        # off: two; on: one more under a key; None leaves it on
        assert len(sim.received()) == 3

    scene(play, tmp_path, {})


def test_a_scenario_over_the_control_address(tmp_path):
    async def play(ours, theirs, sim):
        base = sim.url.removesuffix("/vxp") + "/_simulator"
        async with aiohttp.ClientSession() as session:

            async def post(content):
                async with session.post(f"{base}/faults", json=content) as answer:
                    return answer.status, await answer.json()

            scenario = {"seed": 5, "dedupe": False, "fault": [{"kind": "500", "rate": 0.5}]}
            assert await post(scenario) == (200, {"faults": 1, "seed": 5})
            codes = [(await ours.submit(parcel(package(1)), LONG)).code for _ in range(12)]
            assert set(codes) == {"ok", "http.500"}
            await post(scenario)
            again = [(await ours.submit(parcel(package(1)), LONG)).code for _ in range(12)]
            assert again == codes
            async with session.get(f"{base}/state") as answer:
                assert (await answer.json())["faults"] == {"sendEdoc http": codes.count("http.500")}
            for bad in ({"fault": [{"kind": "x"}]}, {"sead": 1}, [{"kind": "refuse"}], 3):
                assert (await post(bad))[0] == 400
            assert (await post({"systems": {"a": {"secret": "s", "codes": []}}}))[0] == 400
            async with session.delete(f"{base}/faults") as answer:
                assert (await answer.json())["faults"] == 0

    scene(play, tmp_path, {})


def test_the_examples_run(tmp_path):
    """Each example over some documents: what was said to be delivered can be accounted for."""

    async def run(path, folder):
        async with simulator(folder, faults_file=path) as sim, vxp_axis(sim.url) as ours:
            outcomes = [await ours.submit(parcel(package(n)), LONG) for n in range(12)]
            known = {p.doc_id for p in sim.received()}
            said = [o for o in outcomes if isinstance(o, Delivered)]
            lies = sim.faults.met["sendEdoc lie"]
            assert len([o for o in said if o.remote_ref not in known]) == lies
            return json.dumps(dict(sim.faults.met))

    root = Path(__file__).parents[2] / "conf/simulator"
    for path in sorted(root.glob("*.toml")):
        first, again = (
            asyncio.run(run(path, tmp_path / f"{path.stem}-{turn}")) for turn in range(2)
        )
        assert first == again
