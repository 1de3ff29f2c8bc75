"""stamp: the newest checkpoint gets a token, sooner after an urgent document; none when idle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.sealing import URGENT_CHANNEL, Stamping
from gateway.store import Store
from gateway.telemetry.metrics import Metrics
from gateway.workers.loop import Worker


def worker(
    stamping: Stamping,
    metrics: Metrics,
    store: Store,
    let_go: Callable[[], Awaitable[bool]],
    *,
    interval: float,
    urgent_interval: float,
) -> Worker:
    """Seconds between looks, and from the sealing of an urgent document to its stamp.

    `let_go`: what the brake held goes on; before the authorities are asked, too, who may not
    answer: the brake can be off for another reason. True: there may be more.
    """
    soon = min(interval, urgent_interval)

    async def turn() -> bool:
        more = await let_go()
        made = await stamping.stamp()
        if made is not None:
            metrics.stamped(made.gen_time)
            more = await let_go()
        return more

    # a look every `interval` in all: the wait that an urgent document ends, then the short pause,
    # in which neighbours come under the same checkpoint
    listener = store.listener(URGENT_CHANNEL)
    return Worker("stamp", turn, idle=interval - soon, listener=listener, pause=soon)
