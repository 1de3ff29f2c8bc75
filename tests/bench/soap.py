"""100 KB documents to a provincial axis over SOAP, against the same over VXP in the same run.

The client is this process, the simulated axis another one; both keep packages as they came. Each
round sends over the one and then over the other, the order changing. `axis KIND FOLDER` is the
simulated axis.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from adapters.edoc_soap import simulator as soap
from adapters.edoc_soap.axis import SoapAxis
from adapters.edoc_soap.settings import SoapSettings
from adapters.vxp import simulator as vxp
from adapters.vxp.axis import VxpAxis
from adapters.vxp.settings import VxpSettings
from tests.bench import children, machine
from tests.bench.report import Line, Table
from tests.support.axes import SYSTEMS, FixedClock, document_package, parcel

SIZE = 100 * 1024
DOCUMENTS, AT_ONCE = 150, 4
AIM = 0.6
KINDS = ("vxp", "edoc_soap")
ACCOUNT = "exp.sys.01"
SECONDS = 60.0


async def be_axis(kind: str, folder: Path) -> None:
    if kind == "vxp":
        made = await vxp.start(vxp.SimulatorSettings(systems=SYSTEMS, folder=folder, rebuild=False))
    else:
        made = await soap.start(soap.SimulatorSettings(systems=SYSTEMS, folder=folder))
    print(json.dumps({"url": made.url}), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        pass
    await made.close()


async def sent(kind: str, url: str, number: int) -> tuple[float, float]:
    """Seconds for all documents, and our own processor seconds."""
    secret = SYSTEMS[ACCOUNT][0]
    if kind == "vxp":
        axis = VxpAxis(VxpSettings("vxp", url, ACCOUNT, secret), FixedClock())
    else:
        axis = SoapAxis(SoapSettings("soap", url, ACCOUNT, secret), FixedClock())
        await axis.prepare()  # the contract is read once in the life of a process
    packages = [
        document_package(
            f"000.00.19.H14,2026/11/20,{number}-{one}/UBND-VX",
            files=(("12.pdf", "application/pdf", b"%PDF-1.7 " + os.urandom(SIZE)),),
        )
        for one in range(DOCUMENTS)
    ]
    waiting = iter(packages)

    async def one_after_another() -> None:
        for package in waiting:
            outcome = await axis.submit(parcel(package), SECONDS)
            if outcome.code != "ok":
                raise SystemExit(f"not sent over {kind}: {outcome}")

    began, ours = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
    took = time.perf_counter() - began, time.process_time() - ours
    await axis.close()
    return took


def run(folder: Path, *, rounds: int) -> Iterator[Table]:
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    ours: dict[str, list[float]] = {kind: [] for kind in KINDS}
    theirs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        axes = {
            kind: stack.enter_context(children.running("soap", "axis", kind, folder / kind))
            for kind in KINDS
        }
        urls = {kind: axis.hear()["url"] for kind, axis in axes.items()}
        for number in range(rounds + 1):
            for kind in KINDS if number % 2 else reversed(KINDS):
                before = machine.cpu_seconds(axes[kind].pid)
                took, used = asyncio.run(sent(kind, urls[kind], number))
                if number:  # the first round warms both up
                    seconds[kind].append(took)
                    ours[kind].append(used)
                    theirs[kind].append(machine.cpu_seconds(axes[kind].pid) - before)
    yield _table(seconds, ours, theirs, rounds)


def _table(
    seconds: dict[str, list[float]],
    ours: dict[str, list[float]],
    theirs: dict[str, list[float]],
    rounds: int,
) -> Table:
    lines = []
    rates = {kind: DOCUMENTS / median(seconds[kind]) for kind in KINDS}
    work = {
        kind: median(a + b for a, b in zip(ours[kind], theirs[kind], strict=True)) for kind in KINDS
    }
    for kind in KINDS:
        figures: dict[str, float] = {
            "a second": round(rates[kind], 1),
            "ms of ours": round(1000 * median(ours[kind]) / DOCUMENTS, 2),
            "ms of the axis": round(1000 * median(theirs[kind]) / DOCUMENTS, 2),
            "x VXP": round(rates[kind] / rates["vxp"], 2),
            "x VXP by processor time": round(work["vxp"] / work[kind], 2),
        }
        rounded = {"seconds": seconds[kind], "ours": ours[kind], "axis": theirs[kind]}
        within = {} if kind == "vxp" else {"x VXP": rates[kind] / rates["vxp"] >= AIM}
        lines.append(Line(f"{kind}, {rounds} rounds of {DOCUMENTS}", figures, within, rounded))
    return Table(
        "100 KB documents over SOAP (files as parts) and over VXP",
        f"SOAP at least {AIM:.0%} of the rate of VXP; client and axis on the same cores",
        lines,
    )


if __name__ == "__main__":
    _, what, *rest = sys.argv
    if what == "axis":
        asyncio.run(be_axis(rest[0], Path(rest[1])))
