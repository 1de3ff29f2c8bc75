"""Shared pieces for tests of the SOAP axis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from adapters.edoc_soap.profile import Profile
from adapters.edoc_soap.settings import SoapSettings
from adapters.edoc_soap.simulator import Simulator, SimulatorSettings, start
from tests.support.axes import SYSTEMS, FixedClock, read_body

SWA = Profile()


@contextlib.asynccontextmanager
async def soap_simulator(folder: Path, **changes: object) -> AsyncIterator[Simulator]:
    """A running simulated axis with `SYSTEMS`; `changes`: fields of SimulatorSettings."""
    settings = SimulatorSettings(**{"systems": SYSTEMS, "folder": folder, **changes})  # type: ignore[arg-type]  # forwarded as given
    running = await start(settings, FixedClock())
    try:
        yield running
    finally:
        await running.close()


def soap_settings(url: str, organ_id: str = "exp.sys.01", **changes: object) -> SoapSettings:
    """Settings of a client of the test account."""
    values = {
        "name": "soap",
        "endpoint": url,
        "organ_id": organ_id,
        "token": SYSTEMS[organ_id][0],
    }
    return SoapSettings(**{**values, **changes})  # type: ignore[arg-type]  # forwarded as given


async def whole_request(head: bytes, reader: asyncio.StreamReader) -> None:
    """Reads a request's body to its end: who answers sooner may reset what is still on its way."""
    if b"chunked" not in head.lower():
        await read_body(head, reader)
        return
    body = b""
    while not body.endswith(b"0\r\n\r\n"):
        if not (piece := await reader.read(65536)):
            return
        body += piece
