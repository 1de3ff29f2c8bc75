"""One axis says nothing: what the other one carries, against a day on which both answer.

Both towns live in this process: a gateway with its workers, two simulated axes, documents for the
second axis. The floor is the same with nothing for the first one. On the silent one hang as many
attempts as it permits, and twice as many documents wait behind them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from gateway.telemetry import logs
from tests.bench.report import Line, Table
from tests.support.houses import PDF, metadata, town
from tests.support.troubles import BESIDE, SO19, VPCP, WORKERS, side_by_side

PERMITTED, DOCUMENTS = 4, 200
LOSS_AIM = 0.05


async def carried(folder: Path, *, silent: bool) -> float:
    """Documents a second on axis `b`, from the first submission to the last arrival there."""
    async with town(folder) as made:
        a, b, house = await side_by_side(made, permitted=PERMITTED, deadline="10m")
        gate = a.hold("sendEdoc")
        async with made.open(house, WORKERS) as here:
            if silent:
                for number in range(3 * PERMITTED):
                    await here.submit(metadata(SO19, VPCP, number=f"1{number}"), ("1.pdf", PDF))
                await gate.reached(PERMITTED)
            began = time.perf_counter()
            for number in range(DOCUMENTS):
                await here.submit(metadata(SO19, BESIDE, number=f"2{number}"), ("2.pdf", PDF))
            await b.until(lambda axis: len(axis.received()) == DOCUMENTS)
            took = time.perf_counter() - began
            if silent and gate.holding != PERMITTED:
                raise SystemExit(f"the silent axis holds {gate.holding}, not {PERMITTED}")
            gate.release()
    return DOCUMENTS / took


def run(folder: Path, *, rounds: int) -> Iterator[Table]:
    logs.configure("warning")
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for silent in (False, True) if number % 2 else (True, False):
            place = folder / f"{number}-{silent}"
            place.mkdir()
            rates[silent].append(asyncio.run(carried(place, silent=silent)))
    both, one = median(rates[False]), median(rates[True])
    loss = 1 - one / both
    yield Table(
        "one axis is silent",
        f"the other one carries at most {LOSS_AIM:.0%} less",
        [
            Line(
                f"sqlite: {DOCUMENTS} documents to the other, {rounds} rounds",
                {"a second": round(one, 1), "both answer": round(both, 1), "loss": round(loss, 3)},
                {"loss": loss < LOSS_AIM},
                {"rounds": {"silent": rates[True], "both": rates[False]}},
            )
        ],
    )
