"""Threads that work for the event loop: jobs go in, results come back when they are durable.

Comes in: store functions as jobs, from any event loop or plain thread. Goes out: their values or
errors, one wake-up of a loop for each batch. Fails: Unavailable once closed. A worker's death
fails every waiter and ends the process (architecture 6): a store that silently stopped writing
would leave all callers waiting for ever. Never: knows SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol

from gateway import errors
from gateway.store.session import Tx

Fn = Callable[[Tx], Any]
OnFatal = Callable[[BaseException | None], None]
PASSES = 4  # batches of those who go first, while others wait


def end_process(cause: BaseException | None) -> None:
    """Exit with 70 (Broken, architecture 9) at once: nothing may be promised any more."""
    if cause is not None:
        traceback.print_exception(cause)
    sys.stderr.flush()
    os._exit(70)


class _Here(threading.local):
    """What this thread does."""

    running = False  # a store function


_here = _Here()


def refuse_nested() -> None:
    """Raises Broken where a store function calls the store: it would wait for itself."""
    if _here.running:
        raise errors.Broken(
            errors.Text(
                "Hàm dữ liệu gọi lại kho dữ liệu",
                "a store function called the store: it would wait for itself",
            ),
            code="store.nested",
        )


def closed() -> errors.Unavailable:
    return errors.Unavailable(
        errors.Text("Kho dữ liệu đã đóng", "the store is closed"), code="store.closed"
    )


class Job:
    """One store function on its way. As a context manager it keeps what its function raised:
    the error belongs to the caller, and the neighbours in the same commit live on.
    """

    __slots__ = ("_done", "_loop", "_waiter", "error", "fn", "reads", "value")

    def __init__(
        self, fn: Fn, waiter: asyncio.Future[Any] | None = None, *, reads: bool = False
    ) -> None:
        self.fn = fn
        self.reads = reads
        self.value: Any = None
        self.error: BaseException | None = None
        self._waiter = waiter
        self._loop = None if waiter is None else waiter.get_loop()
        self._done = threading.Event() if waiter is None else None

    def __enter__(self) -> None:
        self.value = self.error = None
        _here.running = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        _here.running = False
        self.error = error
        return True

    def abandoned(self) -> bool:
        """The caller was cancelled; what nobody waits for need not be run."""
        return self._waiter is not None and self._waiter.cancelled()

    def settle(self) -> None:
        """Give the result to the waiter; in its event loop's thread if it has one."""
        waiter = self._waiter
        if waiter is None:
            if self._done is not None:
                self._done.set()
        elif waiter.done():
            pass  # cancelled meanwhile: unknown to its caller
        elif self.error is None:
            waiter.set_result(self.value)
        elif isinstance(self.error, StopIteration):
            # a Future cannot carry it
            waiter.set_exception(RuntimeError("a store function raised StopIteration"))
        else:
            waiter.set_exception(self.error)

    def wait(self) -> Any:
        """For callers without a loop."""
        if self._done is not None:
            self._done.wait()
        if self.error is not None:
            raise self.error
        return self.value

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        return self._loop


def _settle_all(jobs: Iterable[Job]) -> None:
    for job in jobs:
        job.settle()


def hand_out(jobs: Sequence[Job]) -> None:
    """One call into each event loop, however many of the jobs are its own."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.loop is None:
            job.settle()
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, its_jobs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle_all, its_jobs)


class Server(Protocol):
    """What one thread does with what it took. Leaves a value or an error in every job."""

    def serve(self, jobs: Sequence[Job]) -> None: ...

    def close(self) -> None: ...


class Crew:
    """One thread for each server; `batch` = how many queued jobs one server takes at once.

    A job wakes one thread, the one that went to rest last: its stack and its pages are still in
    the processor's cache. A queue shared by all would wake a second one in vain each time.
    """

    def __init__(
        self, name: str, servers: Sequence[Server], *, batch: int, on_fatal: OnFatal
    ) -> None:
        self._gate = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._first: deque[Job] = deque()
        self._passed = 0  # batches in a row that went before what else is queued
        self._resting: list[threading.Lock] = []  # bells of threads that wait, the latest last
        self._open = True
        self._batch = batch
        self._on_fatal = on_fatal
        self._threads = [
            threading.Thread(
                target=self._work, args=(server,), name=f"store-{name}-{n}", daemon=True
            )
            for n, server in enumerate(servers)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, fn: Fn, *, reads: bool = False, first: bool = False) -> Any:
        """`first`: before all that is queued, in a batch without the rest of it."""
        waiter = asyncio.get_running_loop().create_future()
        self._put(Job(fn, waiter, reads=reads), first=first)
        return await waiter

    def run_sync(self, fn: Fn, *, first: bool = False) -> Any:
        refuse_nested()
        job = Job(fn)
        self._put(job, first=first)
        return job.wait()

    def close(self) -> None:
        """Finish what is queued, then stop. Blocks; repeating is harmless."""
        with self._gate:
            self._open = False
            self._wake_all()
        for thread in self._threads:
            thread.join()

    def _put(self, job: Job, *, first: bool = False) -> None:
        with self._gate:  # so that nothing enters behind the last look of a dying thread
            if not self._open:
                raise closed()
            (self._first if first else self._jobs).append(job)
            bell = self._resting.pop() if self._resting else None
        if bell is not None:
            bell.release()

    def _take(self, bell: threading.Lock) -> list[Job]:
        """What is queued, at most one batch, waiting for the first; empty = stop."""
        while True:
            with self._gate:
                if self._first or self._jobs:
                    return self._next()
                if not self._open:
                    return []
                self._resting.append(bell)
            bell.acquire()  # until somebody rings it

    def _next(self) -> list[Job]:
        """Under the gate. Who goes first does so without the rest, a few times in a row."""
        alone = bool(self._first) and self._passed < PASSES
        self._passed = self._passed + 1 if alone and self._jobs else 0
        taken: list[Job] = []
        for queue in (self._first,) if alone else (self._jobs, self._first):
            while queue and len(taken) < self._batch:
                taken.append(queue.popleft())
        return taken

    def _wake_all(self) -> None:
        """Under the gate: everybody looks once more, and stops when there is nothing left."""
        while self._resting:
            self._resting.pop().release()

    def _work(self, server: Server) -> None:
        jobs: list[Job] = []
        stopped = False
        bell = threading.Lock()
        bell.acquire()
        try:
            while jobs := self._take(bell):
                server.serve(jobs)
                hand_out(jobs)
            stopped = True
        finally:
            if stopped:
                server.close()
            else:
                self._die(jobs, sys.exc_info()[1])

    def _die(self, in_hand: list[Job], cause: BaseException | None) -> None:
        with self._gate:
            self._open = False
            lost = [*in_hand, *self._first, *self._jobs]
            self._first.clear()
            self._jobs.clear()
            self._wake_all()
        for job in lost:
            job.error = errors.Broken(
                errors.Text(
                    "Luồng ghi dữ liệu đã chết; tiến trình dừng",
                    "the store's thread died; the process ends",
                ),
                code="store.dead",
            )
        try:
            # first: a caller that gets its error could otherwise end the process with another code
            self._on_fatal(cause)
        finally:
            hand_out(lost)


class Here:
    """Serves in the thread that asks: it waits anyway, and waking another costs more than a read.

    As many servers as threads have asked at the same time, at most `most`: who comes then waits.
    `made` may raise what its caller gets.
    """

    def __init__(self, made: Callable[[], Server], *, most: int) -> None:
        self._made = made
        self._most = most
        self._places = threading.BoundedSemaphore(most)
        self._gate = threading.Lock()
        self._spare: list[Server] = []
        self._closed = threading.Event()

    def run(self, fn: Fn, *, reads: bool = False) -> Any:
        refuse_nested()
        with self._places:
            job = self._served(Job(fn, reads=reads))
        if job.error is not None:
            raise job.error
        return job.value

    def _served(self, job: Job) -> Job:
        with self._gate:
            if self._closed.is_set():
                raise closed()
            server = self._spare.pop() if self._spare else None
        if server is None:
            server = self._made()
        served = False
        try:
            server.serve([job])
            served = True
        finally:
            with self._gate:
                kept = served and not self._closed.is_set()
                if kept:
                    self._spare.append(server)
            if not kept:
                server.close()
        return job

    def close(self) -> None:
        """Wait for those who are being served, then stop. Blocks; repeating is harmless."""
        with self._gate:
            self._closed.set()
        for _ in range(self._most):
            self._places.acquire()
        with self._gate:
            while self._spare:
                self._spare.pop().close()
        for _ in range(self._most):
            self._places.release()  # whoever comes is told that it is closed
