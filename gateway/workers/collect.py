"""collect: asks one axis for both kinds of packages, documents first."""

from __future__ import annotations

from gateway.collecting import Collecting
from gateway.model.outcome import Deferred
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics
from gateway.workers.loop import Worker


def worker(collecting: Collecting, metrics: Metrics, *, interval: float) -> Worker:
    axis = collecting.axis

    async def turn() -> bool:
        log = get_logger(worker="collect", axis=axis.name)
        more = False
        for kind in axis.capabilities.kinds:
            done = await collecting.collect(kind)
            metrics.collected(axis.name, done.fetched, done.failed)
            if isinstance(done.failure, Deferred) and done.failure.alarm:
                metrics.alarmed(axis.name, done.failure.code)
            if done.failure is not None:
                log.warning(Event.COLLECT_LIST_FAILED, kind=kind.value, code=done.failure.code)
            elif done.fetched or done.failed:
                log.info(
                    Event.COLLECT_DONE, kind=kind.value, fetched=done.fetched, failed=done.failed
                )
            more = more or done.fetched > 0
        return more

    return Worker(f"collect:{axis.name}", turn, idle=interval)
