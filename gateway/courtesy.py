"""Who waits at the door goes first: in one process, and among the processes of one machine.

In:     submissions from their last byte to their commit; turns of workers.
Out:    a nap between two turns while submissions wait.
Never:  stops a worker: a nap is bounded, so the queue moves however many stand at the door.

A unit's system waits for its receipt; nobody waits for the next turn of a worker. On SQLite both
share one loop, and a burst at the door would otherwise be answered at the pace of the backlog.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

USUAL = 1  # so many at the door disturb nobody
EACH = 0.01  # seconds of a nap for each one beyond
LONGEST = 0.1
NICE = 19  # of processes without a door: they have what doors and the database leave


@dataclass(slots=True)
class Courtesy:
    """One for the door and the workers of a process. `inside`: submissions being promised."""

    inside: int = 0

    @contextmanager
    def at_the_door(self) -> Iterator[None]:
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def nap(self) -> float:
        """Seconds that a worker rests before its next turn."""
        return min(LONGEST, max(0, self.inside - USUAL) * EACH)

    async def give_way(self) -> None:
        if seconds := self.nap():
            await asyncio.sleep(seconds)


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
