"""stamp: the newest checkpoint gets a token; none when nothing new was sealed."""

from __future__ import annotations

from gateway.sealing import Stamping
from gateway.telemetry.metrics import Metrics
from gateway.workers.loop import Worker


def worker(stamping: Stamping, metrics: Metrics, *, interval: float) -> Worker:
    """`interval`: seconds between looks; one request in flight, never more."""

    async def turn() -> bool:
        made = await stamping.stamp()
        if made is not None:
            metrics.stamped(made.gen_time)
        return False

    return Worker("stamp", turn, idle=interval)
