"""Answers with random damage: every call of the VXP client ends in a value, whatever came."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import random

import pytest

from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import WaitingItem
from tests.support.axes import answer, document_package, parcel, raw_server, vxp_axis

LONG = 60.0
PACKAGE = document_package()
OK = b'{"status":"OK","ErrorCode":"0","ErrorDesc":"x","DocId":"65a1b2c3d4e5f60718293a4b"}'
ITEMS = [{"docId": f"d{n}", "from": "b", "to": "c", "status": "initial"} for n in range(3)]
LIST = json.dumps({"status": "OK", "ErrorCode": "0", "data": ITEMS}).encode()
GET = json.dumps({"ErrorCode": "0", "data": base64.b64encode(PACKAGE).decode()}).encode()


def chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def packed(body: bytes, name: str) -> bytes:
    return answer(gzip.compress(body), extra=f"Connection: close\r\nContent-Encoding: {name}\r\n")


WELL_FORMED = (
    *(answer(body) for body in (OK, LIST, GET, PACKAGE)),
    *(chunked(body) for body in (OK, LIST, GET, PACKAGE)),
    *(packed(body, "gzip") for body in (OK, LIST, PACKAGE)),
    packed(LIST, "deflate"),
    b"HTTP/1.0 200 OK\r\n\r\n" + LIST,
)
SPLINTERS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\\u0000",
    b'"',
    b"\\",
    b"{",
    b"]",
    b"\x00",
    b"Content-Length: 3\r\n",
    b"</edXML>",
    b"=",
)


def damaged(source: random.Random, text: bytes) -> bytes:
    spoilt = bytearray(text)
    for _ in range(source.randrange(1, 6)):
        at = source.randrange(len(spoilt) + 1)
        match source.randrange(6):
            case 0:
                spoilt[at : at + 1] = source.randbytes(1)
            case 1:
                del spoilt[at : at + source.randrange(1, 20)]
            case 2:
                spoilt[at:at] = source.randbytes(source.randrange(1, 8))
            case 3:
                spoilt[at:at] = spoilt[at : at + source.randrange(1, 60)]
            case 4:
                del spoilt[at:]
            case _:
                spoilt[at:at] = source.choice(SPLINTERS)
    return bytes(spoilt)


async def meet(seed: int, rounds: int) -> None:
    source = random.Random(seed)
    say = [b""]

    async def talk(reader, writer):
        if b"sendEdoc" in heads[-1]:
            await reader.readexactly(len(PACKAGE))
        writer.write(say[0])
        await writer.drain()

    async with raw_server(talk) as (url, heads), vxp_axis(url, inner_tries=2) as axis:
        for _ in range(rounds):
            say[0] = damaged(source, source.choice(WELL_FORMED))
            axis._downloads = True
            outcome = await axis.submit(parcel(PACKAGE), LONG)
            assert isinstance(outcome, Delivered | Deferred | Refused | Uncertain)
            assert "made-up-secret" not in repr(outcome)
            listing = await axis.list_waiting(PackageKind.DOCUMENT, LONG)
            assert listing.failure is not None or listing.items, say[0]
            sink = io.BytesIO()
            got = await axis.fetch(WaitingItem("d1", PackageKind.DOCUMENT), sink, LONG)
            assert (got.failure is None) == (got.size > 0)
            if got.failure is None:
                assert sink.getvalue().rstrip(b"\0 \r\n\t").lower().endswith(b">")
            outcome = await axis.acknowledge("d1", LONG)
            assert isinstance(outcome, Delivered | Deferred | Refused | Uncertain)
            await axis.count_waiting(PackageKind.STATUS, LONG)
            await axis.follow_up("d1", PackageKind.DOCUMENT, LONG)
            await axis.read_directory(lambda _: None, LONG)


def test_randomly_damaged_answers_never_raise():
    asyncio.run(meet(20261122, 200))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_thousands_of_damaged_answers_never_raise():
    for seed in range(20):
        asyncio.run(meet(seed, 200))
