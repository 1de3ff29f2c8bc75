"""Who goes first does, in a batch of its own, and nobody waits for ever because of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from gateway import errors
from gateway.store.crew import PASSES, Crew, Here, Job


class Server:
    """Runs each job and keeps what came together; its first batch waits until all are queued."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.entered = threading.Event()
        self.go = threading.Event()

    def serve(self, jobs: Sequence[Job]) -> None:
        self.entered.set()
        assert self.go.wait(30)
        for job in jobs:
            job.value = job.fn(None)  # type: ignore[arg-type]  # no database here
        self.batches.append([job.value for job in jobs])

    def close(self) -> None:
        self.batches.append([])


def served(batch: int, usual: int, first: int) -> list[list[str]]:
    """The batches after the one that was in hand while `usual` and then `first` jobs came."""
    server = Server()
    crew = Crew("test", [server], batch=batch, on_fatal=lambda _: None)

    async def scene() -> None:
        held = asyncio.ensure_future(crew.run(lambda _: "held"))
        assert await asyncio.to_thread(server.entered.wait, 30)
        names = [(f"usual {n}", False) for n in range(usual)]
        names += [(f"first {n}", True) for n in range(first)]
        waiting = [
            asyncio.ensure_future(crew.run(lambda _, name=name: name, first=goes_first))
            for name, goes_first in names
        ]
        await asyncio.sleep(0)
        server.go.set()
        assert await asyncio.gather(*waiting) == [name for name, _ in names]
        await held

    asyncio.run(scene())
    crew.close()
    assert server.batches.pop() == []
    assert server.batches[0] == ["held"]
    return server.batches[1:]


@pytest.mark.parametrize("batch", [2, 256])
def test_who_goes_first_does_not_wait_for_what_was_queued_before(batch: int) -> None:
    told = served(batch, usual=600, first=2)
    assert told[0] == ["first 0", "first 1"]
    assert sum(map(len, told)) == 602


@pytest.mark.parametrize("batch", [1, 3])
def test_the_others_come_after_a_few_batches_however_many_go_first(batch: int) -> None:
    told = served(batch, usual=40, first=40)
    waits = longest = 0
    usual = 0
    for names in told:
        mine = sum(name.startswith("usual") for name in names)
        waits = 0 if mine else waits + 1
        usual += mine
        if usual < 40:
            longest = max(longest, waits)
    assert longest == PASSES
    assert sum(map(len, told)) == 80


def test_within_a_queue_the_order_stays() -> None:
    flat = [name for names in served(3, usual=20, first=20) for name in names]
    for kind in ("usual", "first"):
        assert [n for n in flat if n.startswith(kind)] == [f"{kind} {n}" for n in range(20)]


# -- in the thread that asks -----------------------------------------------------------------------


class Slow:
    """Serves until it may end."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.served = self.closed = 0

    def serve(self, jobs):
        self.begun.set()
        assert self.may_end.wait(30)
        for job in jobs:
            with job:
                job.value = job.fn(None)
        self.served += 1

    def close(self):
        self.closed += 1


def test_closing_waits_for_those_who_are_being_served():
    server = Slow()
    here = Here(lambda: server, most=2)
    told = []
    reader = threading.Thread(target=lambda: told.append(here.run(lambda _: "value")))
    reader.start()
    assert server.begun.wait(30)
    closing = threading.Thread(target=here.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    server.may_end.set()
    closing.join(30)
    reader.join(30)
    assert (told, server.served, server.closed) == (["value"], 1, 1)
    for _ in range(3):  # nobody waits for a place that nobody gives up
        with pytest.raises(errors.Unavailable):
            here.run(lambda _: "value")
    here.close()


def test_no_more_are_served_at_once_than_there_are_places():
    made = []

    def server():
        made.append(Slow())
        made[-1].may_end.set()
        return made[-1]

    here = Here(server, most=3)
    threads = [threading.Thread(target=here.run, args=(lambda _: None,)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    here.close()
    assert len(made) <= 3
    assert sum(one.served for one in made) == 40
    assert {one.closed for one in made} == {1}


def test_a_server_that_fails_is_not_used_again():
    made = []

    class Failing(Slow):
        def serve(self, jobs):
            raise RuntimeError("x")

    def server():
        made.append(Failing())
        return made[-1]

    here = Here(server, most=1)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            here.run(lambda _: None)
    assert [one.closed for one in made] == [1, 1]
    here.close()
