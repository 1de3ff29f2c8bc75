"""A package of edXML 1.0 that an axis hands over is a document like any other."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.model.arrival import Incoming
from gateway.model.package import PackageKind
from tests.support.edxml1 import TOKEN, a_part, envelope, message
from tests.support.houses import PDF, Running, town

SO19, SO20, VPCP = "000.00.19.H14", "000.00.20.H14", "000.00.00.G22"


async def arrive(here: Running, data: bytes, doc_id: str) -> None:
    digest = hashlib.sha256(data).hexdigest()
    here.gateway.blobs.keep_bytes(data, digest)
    incoming = Incoming("vxp", doc_id, PackageKind.DOCUMENT, digest, len(data))
    await here.gateway.inbound.receive(incoming)
    await here.gateway.inbound.open_next(10)


def for_so20(data: bytes) -> bytes:
    """The sample goes to another agency; let it come to one of ours."""
    return data.replace(VPCP.encode(), SO20.encode()).replace(SO19.encode(), VPCP.encode())


def with_a_gateway(folder: Path, story: Callable[[Running], Awaitable[None]]) -> None:
    """One gateway with two local agencies; nothing turns by itself."""

    async def run() -> None:
        async with town(folder, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19, SO20), "sys.g22": (VPCP,)})
            route = [{"axis": "vxp", "everyone": True}]
            house = made.house("so19", ("H14.19", "H14.20"), {"vxp": "sys.h14"}, route)
            async with made.open(house, ()) as here:
                await story(here)

    asyncio.run(run())


def test_a_message_with_files_enters_the_inbox_once_and_its_files_are_served(
    tmp_path: Path,
) -> None:
    parts = [a_part(1, "12.pdf", PDF), a_part(2, "Phụ lục.txt", b"van ban")]

    async def story(here: Running) -> None:
        await arrive(here, for_so20(message(parts)), "d-1")
        await arrive(here, for_so20(message(parts, front=None)), "d-2")
        (shown,) = await here.inbox(SO20)
        assert shown["from"] == VPCP
        assert shown["document_id"] == "d-1"  # 1.0 has none: the axis' id stands in
        who = await here.account(SO20)
        item = await here.gateway.desk.item(who, shown["id"])
        assert TOKEN not in str(item)
        for number, content in enumerate((PDF, b"van ban")):
            _, opened = await here.gateway.inbound.attachment(item, number)
            with opened:
                assert opened.read() == content

    with_a_gateway(tmp_path, story)


def test_an_envelope_without_its_files_is_told_to_lack_them(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        await arrive(here, for_so20(envelope([a_part(1, "12.pdf", PDF)])), "d-1")
        (shown,) = await here.inbox(SO20)
        who = await here.account(SO20)
        item = await here.gateway.desk.item(who, shown["id"])
        assert "manifest.file_missing" in str(item)

    with_a_gateway(tmp_path, story)
