"""Work in a thread that is given up: its result, its error, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from datetime import timedelta

import pytest

from gateway.watched import TookTooLong, Watch, time_for

LONG = timedelta(seconds=60)
SOON = timedelta(milliseconds=20)
WHERE = contextvars.ContextVar("where", default="outside")


def test_what_it_returns_and_raises_is_the_callers() -> None:
    async def story() -> None:
        within = Watch().within
        assert await within(LONG, lambda: 7) == 7
        assert await within(LONG, lambda: None) is None
        WHERE.set("inside")
        assert await within(LONG, WHERE.get) == "inside"
        for error in (ValueError("x"), TimeoutError("its own"), MemoryError()):

            def fail(error: Exception = error) -> None:
                raise error

            with pytest.raises(type(error)) as raised:
                await within(LONG, fail)
            assert raised.value is error

    asyncio.run(story())


def test_what_hangs_is_given_up_and_hinders_neither_the_others_nor_the_end() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def hang() -> str:
        go_on.wait()
        ended.set()
        return "too late"

    async def story() -> None:
        within = Watch().within
        for _ in range(20):  # more than the shared pool has threads
            with pytest.raises(TookTooLong):
                await within(SOON, hang)
        assert await asyncio.to_thread(lambda: 1) == 1
        assert await within(LONG, lambda: 2) == 2

    asyncio.run(story())  # ends, though they still hang
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(30), "what it does in the end troubles nobody"


def test_one_thread_serves_what_ends_and_goes_with_its_watch() -> None:
    async def story() -> set[int]:
        watch = Watch()
        return {await watch.within(LONG, threading.get_ident) for _ in range(5)}

    (thread,) = asyncio.run(story())
    gc.collect()
    for one in threading.enumerate():
        if one.ident == thread and one.name == "watched":
            one.join(30)
            assert not one.is_alive()


def test_large_packages_have_more_time_up_to_the_lease() -> None:
    most = timedelta(minutes=5)
    assert time_for(0, most) == timedelta(seconds=60)
    assert time_for(80 * 1024 * 1024, most) == timedelta(seconds=70)
    assert time_for(2**40, most) == most
