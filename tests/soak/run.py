"""Documents at a steady rate for a while; then every id is accounted for.

One gateway under test, the simulated axes as sink and source. Sending: documents go in over REST,
the axes answer each with a status 01. Receiving: packages come over the axes at the same rate, a
unit takes and confirms them, its 01 goes back.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.bench import machine
from tests.soak.plan import MEASURED, MIX, content_of, name_of, size_of
from tests.support.fleet.judge import Verdict, judge, quiet
from tests.support.fleet.units import Sent, Told, Traffic
from tests.support.fleet.world import SENDER, TO, World, world

PATIENCE = 60.0
UNITS = Path(__file__).parents[2] / "systemd"
UNIT_OF = {"api": "gateway-api", "all": "gateway"}
P99_MS = 150.0
# the waits of service, but for those that would only make a short run longer
PACE: Mapping[str, Mapping[str, Any]] = {
    "dispatch": {
        "retry": "1s, 2s, 4s, 8s, 16s then every 30s for 1h, jitter full",
        "attempt_deadline": "60s",
        "idle": "1s",
        "sweep": "1s",
    },
    "collect": {"interval": "1s", "list_deadline": "60s", "fetch_deadline": "60s"},
    "stamp": {"interval": "5s", "deadline": "30s"},
    "log": {"level": "warning"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`side`: whose gateway is under test. `limit_ms`: for p99 of accepting; None: only shown."""

    side: str
    database: str
    seconds: float
    rate: float
    seed: int
    limit_ms: float | None = P99_MS


@dataclass(slots=True)
class Outcome:
    wish: Wish
    verdict: Verdict = field(default_factory=Verdict)
    figures: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        wish = self.wish
        title = f"{wish.database}, {wish.side}: {wish.seconds:.0f} s at {wish.rate:g} documents/s"
        facts = {**self.figures, **self.verdict.facts}
        return [
            f"{title}, seed {wish.seed}",
            *(f"  {name}: {fact}" for name, fact in facts.items()),
            *self.verdict.lines(),
            "  FAILED" if self.verdict.problems else "  0 lost, 0 doubled, 0 wrong",
        ]


async def run(wish: Wish, folder: Path) -> Outcome:
    outcome = Outcome(wish)
    async with world(
        folder,
        database=wish.database,
        scenarios={name: _order(wish, code) for name, code in TO.items()},
        changes=PACE,
        sides=(wish.side,),
        axis=("-m", "tests.soak.axis"),
        keep_alive=True,
        durable=True,
    ) as made:
        await made.start()
        with machine.before_others(*(axis.pid for axis in made.axes.values())) as first:
            doors = [p for p in made.processes if p.url]
            units = [UNITS / f"{UNIT_OF[door.job]}.service" for door in doors]
            weighed = all(
                machine.as_its_unit(door.pid, unit) for door, unit in zip(doors, units, strict=True)
            )
            outcome.figures["load and axes go first, the door has its unit's weight"] = (
                "yes" if first and weighed else "not allowed here"
            )
            await _loaded(wish, made, outcome)
    return outcome


async def _loaded(wish: Wish, made: World, outcome: Outcome) -> None:
    told = Told()
    traffic = Traffic(made, told, wish.seed)
    traffic.receive()
    began, before = time.monotonic(), machine.stolen()
    try:
        if wish.side == SENDER:
            await _send(wish, traffic, began)
            outcome.figures["kept by the host"] = _kept(before)
            outcome.figures["accepting"] = _accepting(outcome.verdict, wish, told)
            outcome.figures["p99 ms by minute"] = _by_minute(wish, told)
        else:
            await _brought(wish, made, told)
        loaded = time.monotonic() - began
        print(wish.database, wish.side, outcome.figures, file=sys.stderr, flush=True)
        left = await quiet(made, told, PATIENCE)
    finally:
        await traffic.stop()
    outcome.figures["quiet after the load"] = f"{time.monotonic() - began - loaded:.1f} s"
    peaks = [machine.peak_mb(process.pid) for process in made.processes]
    outcome.figures["peak memory"] = f"{max(peaks):.0f} MB in one process"
    await made.stop()
    verdict = await judge(made, told)
    verdict.problems[:0] = [*outcome.verdict.problems, *left]
    outcome.verdict = verdict


def _order(wish: Wish, receiver: str) -> dict[str, Any]:
    if wish.side == SENDER:
        return {}
    rate = wish.rate / len(TO)
    order = {"rate": rate, "seconds": wish.seconds, "seed": wish.seed, "receiver": receiver}
    return {"feed": order}


async def _send(wish: Wish, traffic: Traffic, began: float) -> None:
    def over() -> bool:
        return time.monotonic() - began >= wish.seconds

    await traffic.send(rate=wish.rate, sizes=MIX, until=over, both=False)


def _kept(before: tuple[int, int]) -> str:
    """Time of our processors that went to other guests of the host: nothing of ours can mend it."""
    stolen, every = (now - then for now, then in zip(machine.stolen(), before, strict=True))
    return f"{stolen / every:.1%} of the processors"


def _by_minute(wish: Wish, told: Told) -> str:
    """Whether it grows with what the run leaves behind: p99 in ms of each minute's documents."""
    minutes: dict[int, list[float]] = {}
    for one in told.sent.values():
        if one.size == MEASURED:
            minutes.setdefault(int(one.number / wish.rate / 60), []).append(one.seconds * 1000)
    waits = [sorted(waits) for _, waits in sorted(minutes.items())]
    return " ".join(f"{each[len(each) * 99 // 100]:.0f}" for each in waits)


def _accepting(verdict: Verdict, wish: Wish, told: Told) -> str:
    waits = sorted(one.seconds * 1000 for one in told.sent.values() if one.size == MEASURED)
    asked = sum(one.asked > 1 for one in told.sent.values())
    verdict.check(bool(waits), "nothing of the measured size was accepted")
    if not waits:
        return "nothing"
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    if wish.limit_ms is not None:
        verdict.check(p99 <= wish.limit_ms, f"p99 of accepting is {p99:.0f} ms")
    return f"10 KB: p50 {p50:.0f} ms, p99 {p99:.0f} ms; {asked} asked more than once"


async def _brought(wish: Wish, made: World, told: Told) -> None:
    """What the axes bring, and when all of it is there."""
    each = int(wish.rate / len(TO) * wish.seconds)
    for code in TO.values():
        for number in range(each):
            name = name_of(code, number)
            digest = sha256(await asyncio.to_thread(content_of, wish.seed, number)).hexdigest()
            size = size_of(wish.seed, number)
            told.sent[name] = Sent(number, name, (code,), digest, size, 1, 0.0, {})
    for axis in made.axes.values():
        while True:  # another process: only asking tells
            if _documents(await axis.state()) == each:
                break
            await asyncio.sleep(0.5)


def _documents(state: dict[str, Any]) -> int:
    return sum(p["kind"] == "document" for p in state["received"])
