"""Packages that arrive at a gateway as if an axis had handed them over; what became of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from gateway.audit.against import said
from gateway.audit.shown import shown_otherwise
from gateway.model.arrival import Incoming
from gateway.model.package import DocumentHeader, Organ, PackageKind, ResponseFor, StatusReport
from gateway.packing import write
from gateway.store import arrivals, ledger
from tests.support.houses import PDF, Running, attachment, town
from tests.support.packages import a_header

SO19, SO20, VPCP, BO = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22", "000.00.00.G12"
Story = Callable[[Running], Awaitable[None]]


def alone(folder: Path, story: Story, jobs: tuple[str, ...] = (), database: str = "") -> None:
    """One gateway that serves VPCP and the ministry; nothing turns but `jobs`."""

    async def run() -> None:
        async with town(folder, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19, SO20), "sys.g22": (VPCP, BO)})
            routes = [{"axis": "vxp", "everyone": True}]
            local = ("G22", "G12")
            house = made.house("vpcp", local, {"vxp": "sys.g22"}, routes, database=database)
            async with made.open(house, jobs) as here:
                await story(here)

    asyncio.run(run())


def document(*to: str, sender: str = SO19, file: bytes = PDF, **changes: Any) -> bytes:
    """A whole package; unsigned. `to`: VPCP when nothing is said."""
    receivers = tuple(Organ(code) for code in to or (VPCP,))
    header: DocumentHeader = a_header(sender=Organ(sender), to=receivers, **changes)
    out = BytesIO()
    write.write_document(out, header, write.plan_files([attachment("12.pdf", file)], "seed"))
    return out.getvalue()


def status(
    code: str,
    document_id: str,
    *,
    sender: str = SO19,
    to: str = VPCP,
    timestamp: str = "2026/11/22 09:00:00",
) -> bytes:
    return write.write_status(
        StatusReport(
            sender=Organ(organ_id=sender),
            response_for=ResponseFor(organ_id=to, code="12/UBND-VX", document_id=document_id),
            code=code,
            timestamp=timestamp,
        )
    )


async def receive(
    here: Running,
    data: bytes,
    doc_id: str,
    *,
    axis: str = "vxp",
    listed_from: str = "",
    kind: PackageKind = PackageKind.DOCUMENT,
) -> str:
    """The arrival's id; not opened yet."""
    digest = hashlib.sha256(data).hexdigest()
    here.gateway.blobs.keep_bytes(data, digest)
    return await here.gateway.inbound.receive(
        Incoming(axis, doc_id, kind, digest, len(data), listed_from=listed_from)
    )


async def open_all(here: Running) -> None:
    while await here.gateway.inbound.open_next(8):
        pass


async def arrive(here: Running, data: bytes, doc_id: str, **how: Any) -> arrivals.ArrivalRow:
    """Received and opened: its row."""
    arrival_id = await receive(here, data, doc_id, **how)
    await open_all(here)
    return await row(here, arrival_id)


async def row(here: Running, arrival_id: str) -> arrivals.ArrivalRow:
    found = await here.gateway.store.read(lambda tx: arrivals.by_id(tx, arrival_id))
    assert found is not None
    return found


async def consistent(here: Running) -> None:
    """Nothing is shown that the records say otherwise."""
    wrong = await here.gateway.store.read(lambda tx: list(shown_otherwise(tx)))
    assert [(f.path, f.text.en) for f in wrong] == []


def codes(came: arrivals.ArrivalRow) -> Sequence[str]:
    """The codes of the findings that a person must look at."""
    return [f["code"] for f in came.findings if f["severity"] == "error"]


async def facts(here: Running, arrival_id: str, event: str = "arrival.opened") -> dict[str, Any]:
    """What the last record of this event says about the arrival."""
    rows = await here.gateway.store.read(lambda tx: ledger.of_arrival(tx, arrival_id))
    bodies = [said(r.body) for r in rows if r.event == event]
    assert bodies, f"no {event} about {arrival_id}"
    last = bodies[-1]
    assert last is not None
    return dict(last.facts)
