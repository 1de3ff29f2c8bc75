"""Who waits at the door goes first: in one process, and among the processes of one machine.

In:     submissions from their last byte to their commit; turns of workers; word from other doors.
Out:    a nap between two turns while submissions wait; threads that share an interpreter fairly.
Never:  stops a worker: a nap is bounded, and the shorter the longer its work has waited, so the
        queue moves however many stand at the door. It may grow all the same: `api.max_backlog`.

A unit's system waits for its receipt; nobody waits for the next turn of a worker. On SQLite both
share one loop, and a burst at the door would otherwise be answered at the pace of the backlog. On
PostgreSQL they share the server's processor and its disk, however low the priority of a worker's
own process is: there the door tells that somebody stands at it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

EACH = 0.02  # seconds of a nap for each one at the door
LONGEST = 0.1
ELSEWHERE = 0.1  # seconds of a nap while somebody stands at the door of another process
REPEATED = 0.1  # seconds between two words of a door at which somebody stands
FRESH = 0.3  # seconds for which such a word holds
SLOW = 0.06  # seconds from the last byte to the commit, beyond which a door says that it is slow
SLOWER = 0.4  # seconds of a nap while the door of another process is slow
PATIENCE = 1.0  # seconds that work may have waited before a worker rests for nobody
SWITCH = 0.0005  # seconds that a thread keeps the interpreter while others wait; Python's own: 5 ms
# how doors tell other processes, see `Store.hint`
CHANNEL = "door"
SLOW_CHANNEL = "door.slow"
NICE = 19  # of processes without a door: they have what doors and the database leave


def _nobody() -> None:
    """There is no other process."""


def _nothing() -> int:
    return 0


def _yes() -> bool:
    return True


@dataclass(slots=True)
class Word:
    """Something that doors say to other processes. `tell`: say it; `heard`: a number that changes
    when another process said it.
    """

    tell: Callable[[], None] = _nobody
    heard: Callable[[], int] = _nothing
    _told: float = float("-inf")
    _number: int | None = None
    _at: float = float("-inf")  # when it was last heard

    def say(self, now: float) -> None:
        if now - self._told >= REPEATED:
            self._told = now
            self.tell()

    def holds(self, now: float) -> bool:
        return now - self._at < FRESH

    def listen(self, now: float) -> None:
        number = self.heard()
        if number != self._number:
            if self._number is not None:
                self._at = now
            self._number = number


@dataclass(slots=True)
class Courtesy:
    """One for the door and the workers of a process. `inside`: submissions being promised.

    `occupied`: somebody was let in; `slow`: it took long. `patient`: whether the queue is short
    enough for workers to wait for a slow door.
    """

    inside: int = 0
    occupied: Word = field(default_factory=Word)
    slow: Word = field(default_factory=Word)
    patient: Callable[[], bool] = _yes
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    @contextmanager
    def at_the_door(self, *, small: bool = True) -> Iterator[None]:
        """`small`: its time says how the door does; a large one takes long where nobody waits."""
        self.inside += 1
        began = time.monotonic()
        try:
            yield
        finally:
            self.inside -= 1
        # not of those who were refused: where the door is closed because of a backlog, workers
        # that rested for it would keep it closed
        now = time.monotonic()
        self.occupied.say(now)
        if small and now - began > SLOW and self.patient():
            self.slow.say(now)

    def nap(self) -> float:
        """Seconds that a worker rests before its next turn."""
        if self.inside:
            return min(LONGEST, self.inside * EACH)
        now = time.monotonic()
        if self.slow.holds(now):
            return SLOWER
        return ELSEWHERE if self.occupied.holds(now) else 0.0

    async def give_way(self, late: float = 0.0) -> None:
        """Beside a door workers nap one after the other: who wakes finds it, not a crowd.

        `late`: seconds for which this worker's work has waited.
        """
        now = time.monotonic()
        self.occupied.listen(now)
        self.slow.listen(now)
        share = min(1.0, 2 - 2 * late / PATIENCE)  # of its nap: all of it for half of the time
        if share <= 0:
            return
        if self.inside:
            async with self._order:
                await asyncio.sleep(self.nap() * share)
        elif rest := self.nap() * share:
            await asyncio.sleep(rest)


def take_turns() -> None:
    """Called once by each process of the gateway: its threads hand over sooner.

    The loop lets go of the interpreter with every system call, and would otherwise wait 5 ms for it
    behind each thread that packs or reads: ten times in one submission.
    """
    sys.setswitchinterval(SWITCH)


def behind_the_door() -> None:
    """Called once by a process that answers nobody: doors of the same machine go first.

    Where Linux shares the processor among sessions before it looks at processes (autogroup), the
    niceness of the session is what counts; it is ours to set when the session is ours. Under
    systemd neither is allowed nor counts across services: there it is CPUWeight in the units.
    What doors leave is enough in the end: a queue that grows all the same closes them
    (`api.max_backlog`), and so do records that nobody seals (`seal.max_delay`).
    """
    with suppress(OSError):
        os.nice(NICE)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICE), "ascii")
