"""A turn that fails is counted, and is no sign of life."""

from __future__ import annotations

import asyncio

import pytest

from gateway.courtesy import Courtesy
from gateway.errors import Text, Unavailable
from gateway.telemetry.metrics import Metrics
from gateway.workers import loop

AWAY = Unavailable(Text("Cơ sở dữ liệu vắng", "the database is away"), code="database.unavailable")
LATE = 0.4
EVER = float("-inf")


@pytest.mark.parametrize("problem", [AWAY, RuntimeError("a fault of ours")])
def test_a_worker_that_fails_in_every_turn_is_silent_until_one_succeeds(problem: Exception) -> None:
    metrics = Metrics()
    stopping = asyncio.Event()
    alive: list[list[str]] = []

    def failures() -> float | None:
        return metrics.registry.get_sample_value("edoc_worker_failures_total", {"worker": "seal"})

    async def turn() -> bool:
        alive.append(metrics.turned_since(EVER))
        if len(alive) == 1:
            assert failures() == 0, "it is there before the first failure, so that a rise is seen"
            raise problem
        stopping.set()
        return False

    asyncio.run(loop.run(loop.Worker("seal", turn, idle=0.0), metrics, stopping, Courtesy()))
    assert alive == [[], []]
    assert metrics.turned_since(EVER) == ["seal"]
    assert failures() == 1


class Listening(Courtesy):
    """A courtesy that also keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[float] = []

    async def give_way(self, late: float = 0.0) -> None:
        self.told.append(late)
        await super().give_way(late)


def test_after_each_turn_a_worker_says_how_late_its_work_is() -> None:
    stopping = asyncio.Event()
    waited = iter([LATE, 0.0])
    courtesy = Listening()

    async def turn() -> bool:
        if len(courtesy.told) == 2:
            stopping.set()
        return True

    worker = loop.Worker("deliver:vxp", turn, idle=0.0, late=lambda: next(waited))
    asyncio.run(loop.run(worker, Metrics(), stopping, courtesy))
    assert courtesy.told == [LATE, 0.0]
