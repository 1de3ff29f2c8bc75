"""An axis that holds every connection it permits holds up nobody but its own documents."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from gateway.store.tables import entry, record, transfer
from tests.support.houses import PDF, metadata, town
from tests.support.troubles import SO19, VPCP, WORKERS, eventually, rows, with_changes

OTHER = "000.00.00.G12"
PERMITTED, ON_A, ON_B = 4, 6, 50
STATES = select(transfer.c.state).order_by(transfer.c.id)


async def story(folder: Path) -> None:
    async with town(folder) as made:
        a = await made.axis("a", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
        b = await made.axis("b", {"sys.h14": (SO19,), "sys.g12": (OTHER,)})
        house = made.house(
            "so19",
            ("H14.19",),
            {"a": "sys.h14", "b": "sys.h14"},
            [{"axis": "a", "agency": "G22"}, {"axis": "b", "everyone": True}],
            changes=with_changes(dispatch={"attempt_deadline": "2m"}),
            profile={"max_connections": PERMITTED},
        )
        gate = a.hold("sendEdoc")
        async with made.open(house, WORKERS) as here:
            for number in range(ON_A):
                await here.submit(metadata(SO19, VPCP, number=f"1{number}"), ("1.pdf", PDF))
            await gate.reached(PERMITTED)
            refs = [
                (await here.submit(metadata(SO19, OTHER, number=f"2{n}"), ("2.pdf", PDF)))["id"]
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
