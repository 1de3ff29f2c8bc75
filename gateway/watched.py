"""Blocking work on bytes of strangers, in a thread that is given up when it does not end.

In:     a function, and how long it may take.
Out:    what it returns, or what it raises.
Fails:  TookTooLong: the thread goes on alone, and what it does in the end is nobody's result.
Never:  uses the pool that everybody shares: threads that hang there would stop the process.

A thread cannot be ended from outside. One that is given up holds its memory, and perhaps a core,
until the process ends, which it does not hinder; the caller sees to it that there are few.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from queue import SimpleQueue
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
AT_LEAST = timedelta(seconds=60)  # for the smallest package, on a machine with much to do
RATE = 8 * 1024 * 1024  # bytes a second that every reader reaches


class TookTooLong(Exception):
    """It did not end in the time that it was given."""


def time_for(size: int, most: timedelta) -> timedelta:
    """How long `size` bytes may take: a minute, and more for many, at most `most`."""
    return min(most, AT_LEAST + timedelta(seconds=size / RATE))


class _Result:
    """What came of a thread, for whoever waits in the loop: a value, or the error as it was."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waited: asyncio.Future[None] = loop.create_future()
        self.error: BaseException | None = None
        self.ended = False

    def __enter__(self) -> None:
        return

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> bool:
        self.error = error
        self.ended = True
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._told)
        return True  # it is raised where the result is waited for

    def _told(self) -> None:
        if not self.waited.done():  # neither given up nor cancelled
            self.waited.set_result(None)


class Watch:
    """One thread is kept from one work to the next; one that was given up never comes back.

    A new thread for each work would stop the loop for as long as the new thread waits for the
    interpreter. Those that wait end with this object.
    """

    def __init__(self) -> None:
        self._waiting: list[SimpleQueue[Callable[[], None] | None]] = []

    async def within(self, limit: timedelta, work: Callable[[], T]) -> T:
        """`work()` in a thread of its own. Raises TookTooLong after `limit`."""
        result = _Result(asyncio.get_running_loop())
        made: list[T] = []

        def run() -> None:
            with result:
                made.append(context.run(work))

        context = contextvars.copy_context()
        orders = self._waiting.pop() if self._waiting else self._another()
        orders.put(run)
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await result.waited
        except TimeoutError:
            raise TookTooLong from None
        finally:
            if result.ended:
                self._waiting.append(orders)
            else:
                orders.put(None)  # given up, or cancelled: it ends when its work does
        if result.error is not None:
            raise result.error
        return made[0]

    def _another(self) -> SimpleQueue[Callable[[], None] | None]:
        orders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=_serve, args=(orders,), name="watched", daemon=True).start()
        weakref.finalize(self, orders.put, None)
        return orders


def _serve(orders: SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := orders.get()) is not None:
        work()
        del work  # what it holds is not kept while the next one is waited for
