"""What a scenario does to the national axis, beyond what it does to every axis (`scenario_suite`).

The kinds that only spoil one answer stand in test_vxp_simulator and test_vxp_*_faults.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import aiohttp

from adapters.faults import scenario_from
from gateway.model.outcome import Delivered
from gateway.model.package import PackageKind
from tests.interop.scenario_suite import LONG, fetched, listed, one, package
from tests.support.axes import MINISTRY, FixedClock, parcel, simulator, vxp_axis


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
