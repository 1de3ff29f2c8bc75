"""What a user trial once found wrong: who a gateway speaks for, and what it says aloud."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.errors import Conflict, Rejected
from gateway.store import watching
from gateway.store.tables import Role
from gateway.wiring.process import JOBS, patience, resting
from gateway.workers import loop
from tests.support.houses import PDF, Running, metadata, town

SO19, SO20, VPCP = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22"


def codes(refused: pytest.ExceptionInfo[Rejected]) -> list[str]:
    return [f.code for f in refused.value.findings]


def test_a_key_is_bound_only_to_agencies_served_here(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            house = made.house("so19", ("H14.19", "H14.20"), {}, [])
            async with made.open(house, ("seal",)) as here:
                with pytest.raises(Rejected) as refused:
                    await here.gateway.desk.add_account(
                        "test", name="x", role=Role.UNIT, agencies=["G22"]
                    )
                assert codes(refused) == ["agency.not_served"]

    asyncio.run(run())


def test_nothing_is_made_unsigned_for_an_agency_without_a_key(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            house = made.house("so19", ("H14.19", "H14.20"), {}, [])
            kept = house.conf.read_text("utf-8").split("[[key]]")
            house.conf.write_text("[[key]]".join(kept[:1] + kept[2:]), "utf-8")
            async with made.open(house, ("seal",)) as here:
                with pytest.raises(Rejected) as refused:
                    await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="a")
                assert codes(refused) == ["signing.no_key"]

    asyncio.run(run())


async def ready_made(here: Running, data: bytes) -> str:
    with here.gateway.blobs.spool() as spool:
        spool.write(data)
        who = await here.account(SO19)
        answered = await here.gateway.desk.submit_package(who, spool, "ready", "en")
    return answered.answer


def test_a_false_signature_is_said_aloud_at_both_ends(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            house = made.house("so19", ("H14.19", "H14.20"), {}, [])
            async with made.open(house) as here:
                first = await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="a")
                stored = await here.gateway.desk.package(await here.account(SO19), first["id"], "")
                with stored.source as source:
                    changed = source.read().replace(b"12/UBND-VX", b"77/UBND-VX")
                answer = await ready_made(here, changed)
                assert "signature.false" in answer
                items = await here.inbox(SO20)
                while len(items) < 2:
                    items = await here.inbox(SO20, wait=0.05)
                by_id = {i["document_id"]: i for i in items}
                (false,) = (i for d, i in by_id.items() if d.endswith("77/UBND-VX"))
                assert false["signature"]["verdict"] == "false"
                assert "signature.false" in [f["code"] for f in false["findings"]]

    asyncio.run(run())


def test_after_a_refusal_nothing_more_is_reported(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            house = made.house("so19", ("H14.19", "H14.20"), {}, [])
            async with made.open(house) as here:
                await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="a")
                (item,) = await here.inbox(SO20)
                desk, who = here.gateway.desk, await here.account(SO20)
                await desk.confirm(who, item["id"])
                await desk.report_status(who, item["id"], code="02", description="Gửi nhầm")
                for code in ("03", "06", "02"):
                    with pytest.raises(Conflict) as refused:
                        await desk.report_status(who, item["id"], code=code, description="x")
                    assert refused.value.code == "item.state_forbids"

    asyncio.run(run())


def test_a_dead_timestamp_authority_is_an_alarm_and_figures_move(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path) as made:
            changes = {"stamp": {"interval": "100ms", "deadline": "200ms", "alarm_share": 1e-12}}
            house = made.house("so19", ("H14.19", "H14.20"), {}, [], changes=changes)
            jobs = ("seal", "deliver", "open")
            async with made.open(house, jobs) as here:
                await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="a")
                await here.inbox(SO20)
                assert [f.code for f in await here.gateway.readiness()] == ["stamp.late"]
                await here.gateway._gauge()
                shown = here.gateway.metrics.expose().decode()
                assert "edoc_inbox_waiting 1.0" in shown
                sealed = [x for x in shown.splitlines() if "records_sealed_total " in x]
                assert float(sealed[-1].rsplit(" ", 1)[1]) > 0

    asyncio.run(run())


def test_which_workers_turned_is_written_down_for_the_other_processes(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            house = made.house("so19", ("H14.19", "H14.20"), {}, [])
            async with made.open(house, ("seal", "deliver", "open")) as here:
                await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="a")
                await here.inbox(SO20)
                here.gateway._pulsed = float("-inf")
                await here.gateway._gauge()
                turns = await here.gateway.store.read(watching.turns)
                assert set(turns) == {"seal", "deliver:loopback", "open", "open:orphans"}
                await here.gateway._gauge()
                shown = here.gateway.metrics.expose().decode()
                assert 'edoc_worker_silent_seconds{worker="sweep"}' in shown  # nobody turns it here

    asyncio.run(run())


def test_every_worker_has_a_name_of_its_own_and_is_missed_when_it_is_silent(tmp_path: Path) -> None:
    """Two workers of one name would vouch for each other: one that hangs would look alive."""

    async def run() -> None:
        async with town(tmp_path) as made:
            for name in ("vxp", "second"):
                await made.axis(name, {"sys.h14": (SO19,)})
            on = {"vxp": "sys.h14", "second": "sys.h14"}
            house = made.house("so19", ("H14.19",), on, [{"axis": "vxp", "everyone": True}])
            async with made.open(house, ()) as here:
                names = [w.name for w in here.gateway.workers(JOBS)]
                assert len(names) == len(set(names)) > 10
                expects = patience(here.gateway.settings, here.gateway.axes)
                assert set(names) == set(expects.workers)

    asyncio.run(run())


def test_a_sweep_that_hangs_is_seen_while_its_neighbours_turn(tmp_path: Path) -> None:
    """Only the timers do not turn here, and nothing else of the sweep vouches for them."""

    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            house = made.house("so19", ("H14.19", "H14.20"), {}, [])
            async with made.open(house, ()) as here:
                gateway = here.gateway
                stands = [w for w in gateway.workers(("sweep",)) if w.name != "sweep"]
                stopping = asyncio.Event()
                turning = [
                    asyncio.create_task(loop.run(w, gateway.metrics, stopping, gateway.courtesy))
                    for w in stands
                ]
                async with asyncio.timeout(30):
                    ever = float("-inf")
                    while len(gateway.metrics.turned_since(ever)) < len(stands):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                stopping.set()
                await asyncio.gather(*turning)
                gateway._pulsed = ever
                await gateway._gauge()
                turns = await gateway.store.read(watching.turns)
                assert "sweep" not in turns
                assert {"sweep:blobs", "sweep:revocation"} <= set(turns)

    asyncio.run(run())


def test_a_queue_that_is_slow_to_count_is_counted_less_often_but_never_forgotten() -> None:
    assert [resting(took) for took in (0.0, 0.01, 0.5, 60.0)] == [2.0, 2.0, 10.0, 30.0]
