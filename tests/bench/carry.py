"""Sending and fetching a large package through the VXP client, the axis in another process.

Each measurement is a fresh process, `python -m tests.bench.carry send|fetch PORT FOLDER SHA256`,
that measures its own peak memory; `axis FOLDER` is the simulated axis, which keeps packages as
they came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from adapters.blobs.local import LocalBlobs
from adapters.vxp import simulator
from adapters.vxp.axis import VxpAxis
from adapters.vxp.settings import VxpSettings
from gateway.model.package import PackageKind, TraceHeader
from gateway.model.submission import Attachment
from gateway.packing import write
from gateway.ports import Parcel
from gateway.settling import CHUNK
from tests.bench import children, machine
from tests.bench.packages import AGENCY, HEADER, MB, MOST_MB, digest_of, make_attachment
from tests.bench.report import Line, Table

SIZE = 300 * MB
SYSTEMS = {"bench": ("made-up-secret", (AGENCY,)), "other": ("made-up-secret", ("000.00.00.G22",))}
SECONDS = 300.0


class WallClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


# -- the processes ---------------------------------------------------------------------------------


async def be_axis(folder: Path) -> None:
    made = await simulator.start(
        simulator.SimulatorSettings(systems=SYSTEMS, folder=folder, rebuild=False)
    )
    print(json.dumps({"url": made.url}), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        pass
    await made.close()


def client(url: str, system: str) -> VxpAxis:
    return VxpAxis(
        VxpSettings(name="vxp", endpoint=url, system_id=system, secret=SYSTEMS[system][0]),
        WallClock(),
    )


async def send(url: str, folder: Path, sha256: str) -> dict[str, float]:
    """As the corridor does it: from the blob store, a thread reads the pieces."""
    blobs = LocalBlobs(folder / "blobs")
    size = (folder / "size").read_text()

    async def chunks() -> AsyncIterator[bytes]:
        source = await asyncio.to_thread(blobs.open, sha256)
        try:
            while piece := await asyncio.to_thread(source.read, CHUNK):
                yield piece
        finally:
            await asyncio.to_thread(source.close)

    async def mine() -> bool:
        return True

    axis = client(url, "bench")
    parcel = Parcel(
        transfer_id="bench",
        kind=PackageKind.DOCUMENT,
        sender=AGENCY,
        receivers=("000.00.00.G22",),
        sha256=sha256,
        size=int(size),
        chunks=chunks,
        still_mine=mine,
    )
    idle, started = machine.resident_mb(), time.perf_counter()
    outcome = await axis.submit(parcel, SECONDS)
    seconds = time.perf_counter() - started
    await axis.close()
    if outcome.code != "ok":
        raise SystemExit(f"not sent: {outcome}")
    return {"seconds": seconds, "above_idle_mb": machine.peak_mb() - idle}


async def fetch(url: str, folder: Path, sha256: str) -> dict[str, float]:
    axis = client(url, "other")
    listing = await axis.list_waiting(PackageKind.DOCUMENT, SECONDS)
    idle, started = machine.resident_mb(), time.perf_counter()
    with (folder / "fetched").open("w+b") as sink:
        fetched = await axis.fetch(listing.items[-1], sink, SECONDS)
    seconds = time.perf_counter() - started
    above = machine.peak_mb() - idle
    await axis.close()
    if fetched.failure is not None or digest_of(folder / "fetched") != sha256:
        raise SystemExit(f"not fetched: {fetched}")
    return {"seconds": seconds, "above_idle_mb": above}


def main(arguments: list[str]) -> None:
    what, *rest = arguments
    if what == "axis":
        asyncio.run(be_axis(Path(rest[0])))
        return
    url, folder, sha256 = rest
    work = send if what == "send" else fetch
    json.dump(asyncio.run(work(url, Path(folder), sha256)), sys.stdout)


# -- the run ---------------------------------------------------------------------------------------


def make_package(folder: Path, number: int) -> tuple[str, int]:
    """A package of its own for each round, kept as a blob: (SHA-256, size)."""
    attachment = folder / "attachment"
    make_attachment(attachment, SIZE)
    file = Attachment("scan.pdf", SIZE, digest_of(attachment), lambda: attachment.open("rb"))
    traced = (TraceHeader(AGENCY, f"2026/11/20 10:00:{number:02d}"),)
    header = replace(HEADER, traces=traced)
    blobs = LocalBlobs(folder / "blobs")
    with blobs.spool() as spool:
        made = write.write_document(spool, header, write.plan_files([file], f"bench-{number}"))
        blobs.keep(spool, made.sha256)
    attachment.unlink()
    (folder / "size").write_text(str(made.size))
    return made.sha256, made.size


def run(folder: Path, *, rounds: int) -> Iterator[Table]:
    measured: dict[str, list[dict[str, Any]]] = {"send": [], "fetch": []}
    floors: list[float] = []
    (folder / "axis").mkdir()
    with children.running("carry", "axis", folder / "axis") as axis:
        url = axis.hear()["url"]
        for number in range(rounds):
            sha256, size = make_package(folder, number)
            stored = folder / "blobs" / sha256[:2] / sha256
            started = time.perf_counter()
            if digest_of(stored) != sha256:
                raise RuntimeError("the stored package is not what was written")
            floors.append(time.perf_counter() - started)
            for what, results in measured.items():
                results.append(children.ask("carry", what, url, folder, sha256))
            stored.unlink()
            (folder / "fetched").unlink()
    yield _table(measured, floors, size)


def _table(measured: dict[str, list[dict[str, Any]]], floors: list[float], size: int) -> Table:
    floor = median(floors)
    lines = []
    for what, results in measured.items():
        seconds = median(r["seconds"] for r in results)
        above = max(r["above_idle_mb"] for r in results)
        lines.append(
            Line(
                what,
                {
                    "ms": round(seconds * 1000),
                    "MB/s": round(size / MB / seconds),
                    "x SHA-256": round(seconds / floor, 2),
                    "MB above idle": round(above, 1),
                },
                {"MB above idle": above <= MOST_MB},
                {"rounds": results},
            )
        )
    lines.append(
        Line(
            "floor: SHA-256 of the package",
            {"ms": round(floor * 1000), "MB/s": round(size / MB / floor), "x SHA-256": 1.0},
        )
    )
    aim = f"at most {MOST_MB:.0f} MB above the idle process; the axis works on the same cores"
    return Table("300 MB through the VXP client", aim, lines)


if __name__ == "__main__":
    main(sys.argv[1:])
