"""One axis says nothing: what the other one carries, against times in which both answer.

Both towns live in this process: a gateway with its workers, two simulated axes, documents for the
second axis. The floor is the same with nothing for the first one, by turns in one life of the
gateway: one start differs from another by more than what is asked for here. On the silent axis hang
as many attempts as it permits, and twice as many documents wait behind them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from adapters.vxp.simulator import Simulator
from gateway.telemetry import logs
from tests.bench.report import Line, Table
from tests.support.houses import PDF, Running, metadata, town
from tests.support.troubles import BESIDE, SO19, VPCP, WORKERS, side_by_side

PERMITTED, DOCUMENTS, PAIRS = 4, 200, 2  # of turns in a round
LOSS_AIM = 0.05


async def carried(here: Running, a: Simulator, b: Simulator, turn: int, *, silent: bool) -> float:
    """Seconds for the documents of axis `b`, from the first submission to the last arrival."""
    there, before = len(a.received()), len(b.received())
    gate = a.hold("sendEdoc")
    if silent:
        for number in range(3 * PERMITTED):
            await here.submit(metadata(SO19, VPCP, number=f"1{turn}{number}"), ("1.pdf", PDF))
        await gate.reached(PERMITTED)
    began = time.perf_counter()
    for number in range(DOCUMENTS):
        await here.submit(metadata(SO19, BESIDE, number=f"2{turn}{number}"), ("2.pdf", PDF))
    await b.until(lambda axis: len(axis.received()) == before + DOCUMENTS)
    took = time.perf_counter() - began
    if gate.holding != (PERMITTED if silent else 0):
        raise SystemExit(f"the silent axis holds {gate.holding}, not {PERMITTED}")
    gate.release()
    await a.until(lambda axis: len(axis.received()) == there + 3 * PERMITTED * silent)
    return took


async def _turns(folder: Path, pairs: int) -> dict[bool, list[float]]:
    took: dict[bool, list[float]] = {False: [], True: []}
    async with town(folder) as made:
        a, b, house = await side_by_side(made, permitted=PERMITTED, deadline="10m")
        async with made.open(house, WORKERS) as here:
            await carried(here, a, b, 100, silent=False)
            for pair in range(pairs):
                for silent in (False, True) if pair % 2 else (True, False):
                    turn = 101 + 2 * pair + silent
                    took[silent].append(await carried(here, a, b, turn, silent=silent))
    return took


def run(folder: Path, *, rounds: int) -> Iterator[Table]:
    logs.configure("warning")
    took = asyncio.run(_turns(folder, rounds * PAIRS))
    documents = rounds * PAIRS * DOCUMENTS
    one, both = (documents / sum(took[silent]) for silent in (True, False))
    loss = 1 - one / both
    yield Table(
        "one axis is silent",
        f"the other one carries at most {LOSS_AIM:.0%} less",
        [
            Line(
                f"sqlite: {documents:,} documents to the other in {rounds * PAIRS} turns",
                {"a second": round(one, 1), "both answer": round(both, 1), "loss": round(loss, 3)},
                {"loss": loss < LOSS_AIM},
                {"seconds": {"silent": took[True], "both": took[False]}},
            )
        ],
    )
