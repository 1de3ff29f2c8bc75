"""Gateway processes that are started, watched, stopped and killed from outside."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
READY_SECONDS = 180.0  # of forty that may start at once, on a machine that others use as well
STOP_SECONDS = 30.0
_NAMES = itertools.count()


class Parent:
    """The process that forks them (`parent.py`)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def fork(self, **order: str) -> int:
        async with self._turn:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            said = await self._process.stdout.readline()
        pid: int = json.loads(said)["pid"]
        return pid


@asynccontextmanager
async def parent() -> AsyncIterator[Parent]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.fleet.parent",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Parent(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@dataclass(slots=True)
class Process:
    """One process of a house: `run JOB`. `url`: where it listens, once it does and has a door.

    `kills`: how often it was killed; `surprises`: how often it was found dead without that.
    """

    parent: Parent
    side: str
    job: str
    number: int
    conf: Path
    log: Path
    url: str = ""
    pid: int = 0
    kills: int = 0
    surprises: int = 0
    _fd: int = -1
    _ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _ready: asyncio.Task[None] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.side}/{self.job}-{self.number}"

    async def start(self) -> None:
        """Begin; `ready` says when it turns."""
        name = f"edoc-fleet-{os.getpid()}-{next(_NAMES)}"
        hearing = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        hearing.bind(f"\0{name}")
        hearing.setblocking(False)
        self.pid = await self.parent.fork(
            job=self.job, conf=str(self.conf), log=str(self.log), notify=f"@{name}"
        )
        self._fd = os.pidfd_open(self.pid)
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._ended.set)
        self._ready = asyncio.create_task(self._hear(hearing))

    async def ready(self) -> None:
        """Returns when it said READY=1. RuntimeError: it did not, or died before."""
        assert self._ready is not None
        await asyncio.shield(self._ready)

    async def _hear(self, hearing: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with hearing:
            said = asyncio.ensure_future(loop.sock_recv(hearing, 4096))
            dead = asyncio.ensure_future(self._ended.wait())
            await asyncio.wait(
                {said, dead}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            heard = said.done()
            lines = said.result().decode().splitlines() if heard else []
            for waiting in (said, dead):
                waiting.cancel()
            await asyncio.gather(said, dead, return_exceptions=True)
        facts = dict(line.partition("=")[::2] for line in lines)
        if facts.get("READY") != "1":
            raise RuntimeError(f"{self} did not start: {self.last_words()}")
        self.url = facts["STATUS"] if facts["STATUS"].startswith("http") else ""

    @property
    def alive(self) -> bool:
        if self._fd < 0:
            return False
        watching = select.poll()
        watching.register(self._fd, select.POLLIN)
        return not watching.poll(0)

    async def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        if not self.alive:
            self.surprises += 1
        else:
            self.kills += 1
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
        await self._gone()

    def signal(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self._fd, number)

    async def stop(self) -> None:
        """SIGTERM, and its end; whoever does not listen is killed and counted as a surprise."""
        if self._fd < 0:
            return
        if not self.alive:
            self.surprises += 1
        else:
            self.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._ended.wait()
            except TimeoutError:
                self.surprises += 1
                self.signal(signal.SIGKILL)
        await self._gone()

    async def _gone(self) -> None:
        self.url = ""
        await self._ended.wait()
        if self._ready is not None:
            with contextlib.suppress(RuntimeError):
                await self._ready
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def last_words(self) -> str:
        return self.log.read_bytes()[-1500:].decode("utf-8", "replace")
