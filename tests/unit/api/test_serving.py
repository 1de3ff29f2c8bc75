"""Stored bytes going out: names, ranges, and the promise kept before the last byte."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import pytest
from aiohttp import ClientPayloadError, web
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.serving import CHUNK, describe, disposition, serve
from gateway.desk import Stored
from gateway.errors import Text, Unavailable

LARGE = bytes(range(256)) * (3 * CHUNK // 256) + b"end"


def stored(data: bytes, media_type: str = "application/pdf", size: int | None = None) -> Stored:
    digest = hashlib.sha256(data).hexdigest()
    return Stored(
        digest, len(data) if size is None else size, io.BytesIO(data), "a.pdf", media_type
    )


def asked(
    made: Stored,
    before_last: Callable[[], Awaitable[None]] | None = None,
    **headers: str,
) -> tuple[int, bytes, bool]:
    """Status, the bytes that came, and whether the body was whole."""

    async def ask() -> tuple[int, bytes, bool]:
        ended = asyncio.Event()

        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                return await serve(request, made, before_last)
            finally:
                ended.set()

        app = web.Application()
        app.router.add_get("/", handler)
        async with TestClient(TestServer(app)) as client:
            answer = await client.get("/", headers=headers)
            came = b""
            try:
                async for piece in answer.content.iter_any():
                    came += piece
            except ClientPayloadError:
                return answer.status, came, False
            await ended.wait()  # the last byte leaves before the source is closed
            return answer.status, came, True

    return asyncio.run(ask())


@pytest.mark.parametrize("data", [b"", b"x", LARGE[:CHUNK], LARGE[: CHUNK + 1], LARGE])
def test_all_bytes_arrive_and_the_source_is_closed(data: bytes) -> None:
    made = stored(data)
    assert asked(made) == (200, data, True)
    assert made.source.closed


@pytest.mark.parametrize("data", [LARGE[: CHUNK + 1], LARGE])
def test_the_last_byte_stays_here_when_its_record_cannot_be_written(data: bytes) -> None:
    async def cannot() -> None:
        raise ConnectionResetError

    made = stored(data)
    _, came, whole = asked(made, cannot)
    assert not whole
    assert len(came) < len(data)
    assert made.source.closed


def test_a_small_body_does_not_begin_when_its_record_cannot_be_written() -> None:
    async def cannot() -> None:
        raise Unavailable(Text("bận", "busy"))

    status, came, _ = asked(stored(b"the content"), cannot)
    assert status == 500  # without the application around it, which makes it a 503
    assert b"content" not in came


def test_the_record_is_written_before_the_last_byte_and_after_all_others_were_read() -> None:
    made = stored(LARGE)
    seen: list[int] = []

    async def note() -> None:
        seen.append(made.source.tell())

    assert asked(made, note)[1] == LARGE
    assert seen == [len(LARGE)]


@pytest.mark.parametrize(
    ("header", "noted"),
    [("bytes=0-5", False), ("bytes=-1", True), ("bytes=3-", True), ("bytes=0-1,4-5", True)],
)
def test_only_a_serving_with_the_last_byte_is_noted(header: str, noted: bool) -> None:
    seen: list[bool] = []

    async def note() -> None:
        seen.append(True)

    asked(stored(b"0123456789"), note, Range=header)
    assert bool(seen) == noted


def test_a_file_shorter_than_its_row_says_is_never_served_as_whole() -> None:
    made = stored(LARGE, size=len(LARGE) + 10)
    _, came, whole = asked(made)
    assert not whole
    assert len(came) <= len(LARGE)


@pytest.mark.parametrize(
    "name",
    [
        "plain.pdf",
        "Công văn số 1 & 2 (bản ký).pdf",
        'quote".pdf',
        "back\\slash.pdf",
        "new\r\nline: x.pdf",
        "per%cent.pdf",
        "€ rates.pdf",
        "\ud800.pdf",
        "",
    ],
)
def test_a_file_name_cannot_leave_its_header(name: str) -> None:
    header = disposition(name)
    assert header.isascii()
    assert "\r" not in header
    assert "\n" not in header
    plain, _, exact = header.removeprefix('attachment; filename="').partition(
        "\"; filename*=UTF-8''"
    )
    assert '"' not in plain
    assert "\\" not in plain
    assert unquote(exact) == name.encode("utf-8", "replace").decode()


def test_an_odd_media_type_is_served_as_bytes() -> None:
    assert describe(stored(b"", "text/html\r\nX: y"))["Content-Type"] == "application/octet-stream"
    assert describe(stored(b"", "text/html"))["Content-Type"] == "text/html"
    assert "sandbox" in describe(stored(b"", "text/html"))["Content-Security-Policy"]
