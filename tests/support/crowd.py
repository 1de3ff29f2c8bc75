"""Many processes of one gateway, each with its jobs, forked from one that imported everything.

`python -m tests.support.crowd` reads orders from stdin, one JSON object a line: `{"conf", "jobs"}`.
It forks a process for each, which says `{"pid", "jobs", "url"}` on stdout once it turns. All end in
order when stdin does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Member:
    pid: int
    jobs: tuple[str, ...]
    url: str

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


class Crowd:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def join(self, conf: Path, *jobs: Sequence[str]) -> list[Member]:
        """One process more for each of `jobs`; all of them turn."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for some in jobs:
            order = {"conf": str(conf), "jobs": list(some)}
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
        born = []
        for _ in jobs:
            said = json.loads(await self._process.stdout.readline())
            born.append(Member(said["pid"], tuple(said["jobs"]), said["url"]))
        return born


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.crowd",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Crowd(process)
    finally:
        process.stdin.close()
        await process.stdout.read()  # its end: no process of the crowd is left
        await process.wait()


def main() -> None:
    from gateway import config
    from gateway.telemetry import logs
    from gateway.wiring import serving
    from gateway.wiring.process import open_gateway

    # what others print goes to stderr: stdout is for the lines above
    report = os.dup(1)
    os.dup2(2, 1)
    assert serving
    logs.configure("error")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead need no burial
    lives, life = os.pipe()

    async def live(conf: Path, jobs: list[str]) -> None:
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_reader(lives, stopping.set)  # the parent's end shows there
        async with open_gateway(config.load(conf)) as gateway:

            def started() -> None:
                said = {"pid": os.getpid(), "jobs": jobs, "url": gateway.url}
                os.write(report, json.dumps(said).encode() + b"\n")

            await gateway.run(jobs, stopping, started)

    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            os.close(life)
            asyncio.run(live(Path(order["conf"]), order["jobs"]))
            os._exit(0)


if __name__ == "__main__":
    main()
