"""A simulated axis that is also everybody behind it: sink and source of one gateway under test.

`python -m tests.soak.axis FILE`; FILE is JSON: `systems` as in a scenario, and `feed` (documents
that it brings: rate, seconds, seed, receiver) or nothing: then it answers each document that comes
in with a status 01, as a receiver's gateway would. Prints its endpoint, ends with SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from adapters.vxp.simulator import Simulator, SimulatorSettings, start
from gateway.model.package import PackageKind
from tests.soak.plan import content_of, name_of
from tests.support.axes import document_package, status_package
from tests.support.fleet.world import FROM, RECEIVER, SENDER


async def answer(axis: Simulator) -> None:
    """A status 01 from every receiver of every document, as soon as it is there.

    Packages are numbered without a gap; looking costs the same however many there are.
    """
    seen = 0
    while True:
        await axis.until(lambda _: True)
        new = axis._store._packages("WHERE seq > ? ORDER BY seq", (seen,))
        seen += len(new)
        for package in new:
            if package.kind is PackageKind.DOCUMENT:
                for code in package.receivers:
                    data = status_package(code, FROM, package.document_id, "01")
                    await axis.deposit(data, system_id=f"sys.{RECEIVER}", sender=code)
        await asyncio.sleep(0.02)


async def feed(axis: Simulator, order: dict[str, Any]) -> None:
    """Documents at a rate, whether anybody collects them or not."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number in range(int(order["rate"] * order["seconds"])):
        await asyncio.sleep(max(0.0, begun + number / order["rate"] - loop.time()))
        content = await asyncio.to_thread(content_of, order["seed"], number)
        data = document_package(
            document_id=name_of(order["receiver"], number),
            receivers=(order["receiver"],),
            files=(("vb.pdf", "application/pdf", content),),
            subject=f"Về việc thử số {number}",
        )
        await axis.deposit(data, system_id=f"sys.{SENDER}", sender=FROM)


async def live(order: dict[str, Any]) -> None:
    systems = {name: (one["secret"], tuple(one["codes"])) for name, one in order["systems"].items()}
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    with tempfile.TemporaryDirectory(prefix="edoc-soak-axis-") as folder:
        axis = await start(SimulatorSettings(systems, Path(folder)))
        print(f"endpoint {axis.url}", flush=True)
        work = asyncio.create_task(feed(axis, order["feed"]) if "feed" in order else answer(axis))
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            await ending
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await axis.close()


if __name__ == "__main__":
    asyncio.run(live(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
