"""The queue of a whole gateway: a recall behind its document, an axis that fails and comes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from sqlalchemy import select

from gateway.acts import Acts
from gateway.model.package import BusinessType
from gateway.store.tables import breaker, transfer, turn
from tests.support.houses import PDF, metadata, town
from tests.support.troubles import SO19, VPCP, WORKERS, eventually, rows, with_changes

STATES = select(transfer.c.state, transfer.c.behind).order_by(transfer.c.accepted_at)
SYSTEMS = {"sys.h14": (SO19,), "sys.g22": (VPCP,)}
ROUTES = [{"axis": "a", "everyone": True}]


async def a_recall(folder: Path) -> None:
    async with town(folder) as made:
        axis = await made.axis("a", SYSTEMS)
        house = made.house("so19", ("H14.19",), {"a": "sys.h14"}, ROUTES)
        gate = axis.hold("sendEdoc")
        async with made.open(house, WORKERS) as here:
            sent = await here.submit(metadata(SO19, VPCP), ("1.pdf", PDF))
            await gate.reached(1)
            who, window = await here.account(SO19), Acts(here.gateway.desk)
            asked = await window.about(who, sent["id"], BusinessType.RECALL)
            meta = {"business": {"reason": "Sai tệp"}, "other": {"priority": 3}}
            recall = window.judge(who, asked, json.dumps(meta).encode(), "recall")
            await window.submit(who, asked, recall, "recall", "en")
            await eventually(here, STATES, lambda found: found[-1:] == [("SEALED", 1)])
            assert gate.holding == 1, "the recall is urgent, hands are free, and it waits"
            gate.release()
            done = [("ON_AXIS", 0)] * 2
            await eventually(here, STATES, lambda found: found == done)
            assert await rows(here, select(turn)) == []


def test_a_recall_follows_its_document(tmp_path: Path) -> None:
    asyncio.run(a_recall(tmp_path))


async def an_outage(folder: Path) -> None:
    async with town(folder) as made:
        axis = await made.axis("a", SYSTEMS)
        changes = with_changes(dispatch={"break_after": 2})
        house = made.house("so19", ("H14.19",), {"a": "sys.h14"}, ROUTES, changes=changes)
        axis.faults.add("drop_before", "sendEdoc", times=12)
        async with made.open(house, WORKERS) as here:
            for number in range(6):
                await here.submit(metadata(SO19, VPCP, number=f"{number}"), ("1.pdf", PDF))
            everything = [("ON_AXIS", 0)] * 6
            await eventually(here, STATES, lambda found: found == everything)
            ((state, failures, fence),) = await rows(
                here, select(breaker.c.state, breaker.c.failures, breaker.c.fence)
            )
            assert (state, failures) == ("CLOSED", 0)
            assert fence >= 5, "it was opened, probed and closed again"
            assert 'edoc_breaker_state{axis="a"} 0.0' in here.gateway.metrics.expose().decode()
        assert len({p.sha256 for p in axis.received()}) == 6


def test_an_axis_that_fails_is_left_alone_until_a_probe_is_answered(tmp_path: Path) -> None:
    asyncio.run(an_outage(tmp_path))
