"""How much memory the VXP client needs for a large package, measured in a process of its own.

`measure(folder, megabytes)` starts a simulated axis here and a client there, for each of the
three ways a package travels. VmHWM is read inside the client: the peak since its start, not
inherited from anybody (ru_maxrss is).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.model.package import PackageKind
from gateway.ports import Parcel
from tests.support.axes import (
    CAO_BANG,
    MINISTRY,
    always_mine,
    document_package,
    simulator,
    status_package,
    vxp_axis,
)
from tests.support.axes import parcel as small_parcel

WAYS = ("send", "download", "get")
_CHUNK = 256 * 1024
_LONG = 600.0
_MARK = b"QUFBQUFBQUFBQUFB"  # stands in the small package where the large content goes


@dataclass(frozen=True, slots=True)
class Usage:
    """KiB of resident memory: idle after a small exchange, peak of the large one; seconds."""

    way: str
    package_bytes: int
    idle_kib: int
    peak_kib: int
    seconds: float

    @property
    def above_idle_mib(self) -> float:
        return (self.peak_kib - self.idle_kib) / 1024


def large_package(megabytes: int) -> Iterator[bytes]:
    """A document package of about so many MiB, in pieces; always the same bytes."""
    whole = document_package(
        files=(("large.pdf", "application/pdf", base64.b64decode(_MARK)),), document_id="large"
    )
    head, tail = whole.split(_MARK)
    yield head
    block = base64.b64encode(hashlib.sha512(b"sample").digest() * 3072)
    for _ in range(megabytes * 1024 * 1024 // len(block)):
        yield block
    yield tail


async def measure(folder: Path, megabytes: int) -> list[Usage]:
    """One usage for each of WAYS."""
    found = []
    async with simulator(folder, rebuild=False) as sim:
        for way in WAYS:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.support.axis_memory",
                way,
                sim.url,
                str(megabytes),
                stdout=asyncio.subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            said, _ = await child.communicate()
            if child.returncode:
                raise RuntimeError(f"the client that should {way} ended with {child.returncode}")
            found.append(Usage(**json.loads(said)))
    return found


def _peak_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("this system shows no VmHWM")


async def _client(way: str, url: str, megabytes: int) -> Usage:
    system = "exp.sys.01" if way == "send" else "exp.sys.02"
    async with vxp_axis(url, system) as axis:
        sender = CAO_BANG if way == "send" else MINISTRY
        own = status_package(sender=sender, to=CAO_BANG, code="05", document_id=way)
        small = small_parcel(own, kind=PackageKind.STATUS, sender=sender)
        outcome = await axis.submit(small, _LONG)
        if outcome.code != "ok":
            raise RuntimeError(f"the small package was not taken: {outcome}")
        if way == "send":
            return await _send(axis, megabytes)
        axis._downloads = way == "download"
        (item,) = (await axis.list_waiting(PackageKind.DOCUMENT, _LONG)).items
        idle, begun = _peak_kib(), time.perf_counter()
        with tempfile.TemporaryFile() as sink:
            got = await axis.fetch(item, sink, _LONG)
            if got.failure is not None or os.fstat(sink.fileno()).st_size == 0:
                raise RuntimeError(f"not fetched: {got.failure}")
        return Usage(way, got.size, idle, _peak_kib(), time.perf_counter() - begun)


async def _send(axis, megabytes: int) -> Usage:
    digest, size = hashlib.sha256(), 0
    for piece in large_package(megabytes):
        digest.update(piece)
        size += len(piece)

    async def chunks() -> AsyncIterator[bytes]:
        for piece in large_package(megabytes):
            yield piece

    cargo = Parcel(
        "large",
        PackageKind.DOCUMENT,
        CAO_BANG,
        (MINISTRY,),
        digest.hexdigest(),
        size,
        chunks,
        always_mine,
    )
    idle, begun = _peak_kib(), time.perf_counter()
    outcome = await axis.submit(cargo, _LONG)
    if outcome.code != "ok":
        raise RuntimeError(f"not sent: {outcome}")
    return Usage("send", size, idle, _peak_kib(), time.perf_counter() - begun)


if __name__ == "__main__":
    usage = asyncio.run(_client(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    fields = ("way", "package_bytes", "idle_kib", "peak_kib", "seconds")
    sys.stdout.write(json.dumps({name: getattr(usage, name) for name in fields}))
