"""Wake-ups: workers sleep until rows they care about were committed.

A channel has a generation that only grows; a listener remembers the one it has seen. So a
notification between two waits is never lost, and one that nobody waited for costs nothing.
Comes in: channels, from the executors' threads after COMMIT. Never: carries data; a listener
looks into the database for what there is to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterable


def _wake(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


class Wakes:
    """The channels of one store. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generations: Counter[str] = Counter()
        self._for_all = 0
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def notify(self, channels: Iterable[str]) -> None:
        with self._lock:
            self._generations.update(channels)
            waiters = [w for c in channels for w in self._waiting.pop(c, ())]
        self._call(waiters)

    def notify_all(self) -> None:
        """Something may have been missed (a lost connection): everybody looks."""
        with self._lock:
            self._for_all += 1
            waiters = [w for its in self._waiting.values() for w in its]
            self._waiting.clear()
        self._call(waiters)

    def listener(self, channel: str) -> WakeListener:
        return WakeListener(self, channel)

    def generation(self, channel: str) -> int:
        with self._lock:
            return self._generations[channel] + self._for_all

    def enter(self, channel: str, seen: int, waiter: asyncio.Future[None]) -> bool:
        """False: notified since `seen`, there is nothing to wait for."""
        with self._lock:
            if self._generations[channel] + self._for_all != seen:
                return False
            self._waiting.setdefault(channel, set()).add(waiter)
            return True

    def leave(self, channel: str, waiter: asyncio.Future[None]) -> None:
        with self._lock:
            its = self._waiting.get(channel)
            if its is not None:
                its.discard(waiter)

    @staticmethod
    def _call(waiters: Iterable[asyncio.Future[None]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for waiter in waiters:
            by_loop.setdefault(waiter.get_loop(), []).append(waiter)
        for loop, its_waiters in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_wake, its_waiters)


class WakeListener:
    """`session.Listener`, for one waiter."""

    def __init__(self, wakes: Wakes, channel: str) -> None:
        self._wakes = wakes
        self._channel = channel
        self._seen = wakes.generation(channel)

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - the slow poll is the point
        waiter = asyncio.get_running_loop().create_future()
        if self._wakes.enter(self._channel, self._seen, waiter):
            try:
                await asyncio.wait([waiter], timeout=timeout)
            finally:
                self._wakes.leave(self._channel, waiter)
        now = self._wakes.generation(self._channel)
        notified = now != self._seen
        self._seen = now
        return notified
