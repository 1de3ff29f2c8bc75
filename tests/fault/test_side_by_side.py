"""An axis that holds every connection it permits holds up nobody but its own documents."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from gateway.store.tables import entry, record, transfer
from tests.support.houses import PDF, metadata, town
from tests.support.troubles import (
    BESIDE,
    SO19,
    VPCP,
    WORKERS,
    eventually,
    rows,
    side_by_side,
)

PERMITTED, ON_A, ON_B = 4, 6, 50
STATES = select(transfer.c.state).order_by(transfer.c.id)


async def story(folder: Path) -> None:
    async with town(folder) as made:
        a, b, house = await side_by_side(made, permitted=PERMITTED, deadline="2m")
        gate = a.hold("sendEdoc")
        async with made.open(house, WORKERS) as here:
            for number in range(ON_A):
                await here.submit(metadata(SO19, VPCP, number=f"1{number}"), ("1.pdf", PDF))
            await gate.reached(PERMITTED)
            refs = [
                (await here.submit(metadata(SO19, BESIDE, number=f"2{n}"), ("2.pdf", PDF)))["id"]
                for n in range(ON_B)
            ]
            await b.until(lambda axis: len(axis.received()) == ON_B)
            on_b = STATES.where(transfer.c.axis == "b")
            await eventually(here, on_b, lambda found: found == [("ON_AXIS",)] * ON_B)

            assert gate.holding == PERMITTED, "A still holds what it held"
            assert a.received() == ()
            on_a = await rows(here, STATES.where(transfer.c.axis == "a"))
            assert sorted(on_a) == [("SEALED",)] * (ON_A - PERMITTED) + [("SENDING",)] * PERMITTED
            ended = select(func.count()).where(record.c.event == "attempt.ended")
            assert await rows(here, ended) == [(ON_B,)], "no attempt on A has ended"
            accepted = (
                select(func.count())
                .select_from(record)
                .join(entry, entry.c.record_id == record.c.id)
                .where(record.c.event == "submission.accepted", record.c.document_ref.in_(refs))
            )
            assert await rows(here, accepted) == [(ON_B,)], "every one of B's is sealed"

            gate.release()
            everything = [("ON_AXIS",)] * (ON_A + ON_B)
            await eventually(here, STATES, lambda found: found == everything)
            assert len(a.received()) == ON_A


def test_fifty_documents_reach_axis_b_while_axis_a_holds_every_connection(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
