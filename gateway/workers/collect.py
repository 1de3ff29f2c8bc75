"""collect: asks one axis for both kinds of packages, documents first, at the pace of what comes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gateway.collecting import Collecting
from gateway.dispatch.polling import Polling, first_pace, next_pace, wait_seconds
from gateway.model.outcome import Deferred
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics
from gateway.workers.loop import Worker


def worker(
    collecting: Collecting, metrics: Metrics, *, polling: Polling, fraction: Callable[[], float]
) -> Worker:
    """`fraction`: uniform in [0, 1), so that gateways that started together drift apart."""
    axis = collecting.axis
    pace = first_pace(polling)

    async def turn() -> bool:
        nonlocal pace
        log = get_logger(worker="collect", axis=axis.name)
        came, failed, more = 0, False, False
        for kind in axis.capabilities.kinds:
            done = await collecting.collect(kind, partial(metrics.listed, axis.name, kind.value))
            metrics.collected(axis.name, done.fetched, done.failed)
            if isinstance(done.failure, Deferred) and done.failure.alarm:
                metrics.alarmed(axis.name, done.failure.code)
            if done.failure is not None:
                failed = True
                log.warning(Event.COLLECT_LIST_FAILED, kind=kind.value, code=done.failure.code)
            if done.fetched or done.failed:
                log.info(
                    Event.COLLECT_DONE, kind=kind.value, fetched=done.fetched, failed=done.failed
                )
            if done.unconfirmed:
                metrics.alarmed(axis.name, "collect.unconfirmed")
                log.warning(Event.COLLECT_UNCONFIRMED, kind=kind.value, count=done.unconfirmed)
            came += done.fetched
            more = more or done.more
        pace = next_pace(pace, came=came, failed=failed, policy=polling)
        made.idle = wait_seconds(pace, fraction())
        return more

    made = Worker(f"collect:{axis.name}", turn, idle=polling.fastest)
    return made
