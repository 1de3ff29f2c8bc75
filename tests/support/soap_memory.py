"""How much memory the SOAP client needs for a large package, measured in a process of its own.

As `axis_memory` for VXP; the idle process has read the contract already, zeep with it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from adapters.edoc_soap.axis import SoapAxis
from adapters.edoc_soap.profile import Profile
from gateway.model.package import PackageKind
from tests.support.axes import FixedClock
from tests.support.axis_memory import Usage, _peak_kib, _send
from tests.support.soap import soap_settings, soap_simulator

WAYS = ("send", "fetch")
_LONG = 600.0


async def measure(folder: Path, megabytes: int, payload: str) -> list[Usage]:
    """One usage for each of WAYS."""
    found = []
    async with soap_simulator(folder, profile=Profile(payload=payload)) as sim:
        for way in WAYS:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.support.soap_memory",
                way,
                sim.url,
                str(megabytes),
                payload,
                stdout=asyncio.subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            said, _ = await child.communicate()
            if child.returncode:
                raise RuntimeError(f"the client that should {way} ended with {child.returncode}")
            found.append(Usage(**json.loads(said)))
    return found


async def _client(way: str, url: str, megabytes: int, payload: str) -> Usage:
    account = "exp.sys.01" if way == "send" else "exp.sys.02"
    settings = soap_settings(url, account, profile=Profile(payload=payload))
    axis = SoapAxis(settings, FixedClock())
    try:
        listing = await axis.list_waiting(PackageKind.DOCUMENT, _LONG)
        if listing.failure is not None:
            raise RuntimeError(f"no list: {listing.failure}")
        if way == "send":
            return await _send(axis, megabytes)
        (item,) = listing.items
        idle, begun = _peak_kib(), time.perf_counter()
        with tempfile.TemporaryFile() as sink:
            got = await axis.fetch(item, sink, _LONG)
            sink.flush()
            if got.failure is not None or os.fstat(sink.fileno()).st_size != got.size:
                raise RuntimeError(f"not fetched: {got.failure}")
        return Usage(way, got.size, idle, _peak_kib(), time.perf_counter() - begun)
    finally:
        await axis.close()


if __name__ == "__main__":
    usage = asyncio.run(_client(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
    sys.stdout.write(json.dumps(dataclasses.asdict(usage)))
