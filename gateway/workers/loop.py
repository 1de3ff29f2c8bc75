"""The loop every worker turns in, and the only place where any exception is caught.

A turn returns True when there may be more to do at once. A turn that raises Unavailable or
anything foreign backs off and goes on; Broken stops the worker and with it the process, because
a ledger that does not add up must not be retried into looking normal (architecture 9).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.courtesy import Courtesy
from gateway.errors import Broken, GatewayError
from gateway.store import Listener
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics

Turn = Callable[[], Awaitable[bool]]

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


def in_time() -> float:
    """Of a worker that has no queue behind it."""
    return 0.0


@dataclass(slots=True)
class Worker:
    """`idle`: seconds between looks when nothing wakes it; `pause`: after a busy turn.

    `late`: seconds that its work has waited for it, of which a door may ask only so many.
    """

    name: str
    turn: Turn
    idle: float
    listener: Listener | None = None
    pause: float = 0.0
    late: Callable[[], float] = in_time
    failures: int = field(default=0, init=False)


async def run(
    worker: Worker, metrics: Metrics, stopping: asyncio.Event, courtesy: Courtesy
) -> None:
    """Turn until `stopping`. Raises only Broken."""
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        await _turn(worker, metrics, stopping, stopped, courtesy)
    finally:
        stopped.cancel()


async def _turn(
    worker: Worker,
    metrics: Metrics,
    stopping: asyncio.Event,
    stopped: asyncio.Future[Any],
    courtesy: Courtesy,
) -> None:
    log = get_logger(worker=worker.name)
    metrics.worker_begins(worker.name)
    while not stopping.is_set():
        started = time.monotonic()
        try:
            more = await worker.turn()
            worker.failures = 0
        except Broken as broken:
            log.critical(Event.WORKER_BROKEN, code=broken.code, detail=broken.text.en)
            raise
        except GatewayError as problem:
            more = False
            metrics.worker_failed(worker.name)
            await _back_off(worker, stopping)
            log.warning(Event.WORKER_UNAVAILABLE, code=problem.code, failures=worker.failures)
        except Exception:
            more = False
            metrics.worker_failed(worker.name)
            log.exception(Event.WORKER_SURPRISED, failures=worker.failures)
            await _back_off(worker, stopping)
        else:
            # only now: who fails in every turn does its work as little as who is gone
            metrics.worker_turned(worker.name, time.monotonic() - started)
        if stopping.is_set():
            break
        await courtesy.give_way(worker.late())
        if more:
            if worker.pause:
                await sleep(worker.pause, stopping)
            continue
        if worker.listener is not None:
            await _wait(worker.listener, worker.idle, stopped)
            if worker.pause:
                await sleep(worker.pause, stopping)
        else:
            await sleep(worker.idle, stopping)


async def _back_off(worker: Worker, stopping: asyncio.Event) -> None:
    worker.failures += 1
    await sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (worker.failures - 1)), stopping)


async def sleep(seconds: float, stopping: asyncio.Event) -> None:
    """Until `seconds` went by or the process stops."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


async def _wait(listener: Listener, seconds: float, stopped: asyncio.Future[Any]) -> None:
    """Until notified, or `seconds` went by, or the process stops."""
    woken = asyncio.ensure_future(listener.wait(seconds))
    try:
        await asyncio.wait({woken, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
        await asyncio.gather(woken, return_exceptions=True)
