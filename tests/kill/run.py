"""SIGKILL at random points of random processes, under faults on both axes, and the verdict.

Meanwhile units send documents of every urgency, recall, update and replace some of them a moment
later, and at both gateways an operator holds, releases and retries what is on its way.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kill.scenario import trouble
from tests.support.fleet.judge import Verdict, judge, quiet
from tests.support.fleet.mix import Mix
from tests.support.fleet.operators import Operator
from tests.support.fleet.units import Told, Traffic
from tests.support.fleet.world import OPERATOR, World, world

SIZES = ((0.3, 2_000), (0.6, 10_000), (0.09, 100_000), (0.01, 1_500_000))
PATIENCE = 90.0  # seconds without any progress after which it is not quiet, but stuck
MOMENT = (0.02, 0.9)  # seconds from a start, or a readiness, to the next kill
WHILE_STARTING = 0.15  # the share of kills that do not wait until their process is ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`workers`: of each job on PostgreSQL; `rate`: documents a second while gateways die.

    `soap`: the second of the two axes is a provincial one over SOAP.
    """

    kills: int
    seed: int
    database: str
    workers: int = 3
    rate: float = 8.0
    soap: bool = False

    @property
    def axes(self) -> str:
        return "vxp+soap" if self.soap else "vxp+vxp"

    def trouble(self, place: int, *, later: bool) -> dict[str, Any]:
        """Of the axis at this place, before or after half of the kills."""
        seed = self.seed + place + (100 if later else 0)
        return trouble(seed, dedupe=(place == 0) != later, soap=self.soap and place == 1)


@dataclass(slots=True)
class Outcome:
    wish: Wish
    verdict: Verdict = field(default_factory=Verdict)
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        wish = self.wish
        lines = [
            f"{wish.database}, {wish.axes}: seed {wish.seed}, {self.seconds:.0f} s",
            f"  {sum(self.kills.values())} kills: {dict(sorted(self.kills.items()))}",
        ]
        for name, fact in self.verdict.facts.items():
            lines.append(f"  {name}: {fact}")
        lines += self.verdict.lines()
        lines.append(
            "  0 lost, 0 doubled, every ledger verifies, every end state allowed"
            if not self.verdict.problems
            else f"  FAILED with seed {wish.seed}, axes {wish.axes}"
        )
        return lines


async def run(wish: Wish, folder: Path, say: Callable[[str], None] = print) -> Outcome:
    """Half of the kills with one axis recognising repeats and the other not, half turned round."""
    rng = random.Random(wish.seed)
    began = time.monotonic()
    outcome = Outcome(wish)
    say(f"kill test on {wish.database}, {wish.axes}: seed {wish.seed}, {wish.kills} kills")
    names = ("north", "south")
    scenarios = {name: wish.trouble(place, later=False) for place, name in enumerate(names)}
    async with world(
        folder,
        database=wish.database,
        workers=wish.workers,
        scenarios=scenarios,
        over_soap=names[1:] if wish.soap else (),
    ) as made:
        await made.start()
        told = Told()
        traffic = Traffic(made, told, wish.seed)
        traffic.receive()
        killing = asyncio.create_task(_kill(made, rng, wish, outcome, say))
        over = killing.done
        work = [
            Operator(traffic.unit(side, OPERATOR), random.Random(f"{wish.seed} {side}")).work(over)
            for side in made.sides
        ]
        work.append(traffic.send(rate=wish.rate, sizes=SIZES, until=over, mix=Mix(wish.seed)))
        working = asyncio.gather(*work)
        try:
            await killing
            await working
            for axis in made.axes.values():
                await axis.follow({})
            say(f"healed after {time.monotonic() - began:.0f} s; waiting until it is quiet")
            left = await quiet(made, told, PATIENCE)
        finally:
            killing.cancel()
            working.cancel()
            await traffic.stop()
        outcome.kills = Counter()
        for process in made.processes:
            if process.kills:
                outcome.kills[f"{process.side}/{process.job}"] += process.kills
        await made.stop()
        outcome.verdict = await judge(made, told)
        outcome.verdict.problems[:0] = left
    outcome.seconds = time.monotonic() - began
    return outcome


async def _kill(
    made: World, rng: random.Random, wish: Wish, outcome: Outcome, say: Callable[[str], None]
) -> None:
    for count in range(1, wish.kills + 1):
        victim = rng.choice(made.processes)
        if rng.random() > WHILE_STARTING:
            await victim.ready()
        await asyncio.sleep(rng.uniform(*MOMENT))
        await victim.kill()
        await victim.start()
        if count % 25 == 0:
            say(f"{count} kills")
        if count == wish.kills // 2:
            for place, axis in enumerate(made.axes.values()):
                await axis.follow(wish.trouble(place, later=True))
    for process in made.processes:
        await process.ready()
