"""Stored bytes going out: whole or one range, with their digest, and the record in time.

In:     what `desk` opened; a request. `before_last`: what must be done before the last byte leaves.
Out:    200, 206, 304 or 416 (RFC 9110), with ETag and Repr-Digest (RFC 9530) over the whole.
Fails:  OutOfRange; Broken (`blob.short`). When `before_last` fails the last byte stays here: the
        client sees a short body and asks again.
Never:  lets a browser run what it serves: attachment, nosniff, a policy that forbids everything.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import web

from gateway.api.problems import OutOfRange
from gateway.desk import Stored
from gateway.errors import Broken, Text

CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_PLAIN_NAME = re.compile(r"[^A-Za-z0-9 !#$&+.^_`{}~()-]")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")

BeforeLast = Callable[[], Awaitable[None]]


class Span(NamedTuple):
    """The bytes from `start` up to but not including `end`; `partial`: a 206."""

    start: int
    end: int
    partial: bool


async def serve(
    request: web.Request, stored: Stored, before_last: BeforeLast | None = None
) -> web.StreamResponse:
    """Closes `stored.source`. A HEAD never counts as a serving, nor does a 304."""
    try:
        return await _serve(request, stored, before_last)
    finally:
        await asyncio.to_thread(stored.source.close)


async def _serve(
    request: web.Request, stored: Stored, before_last: BeforeLast | None
) -> web.StreamResponse:
    headers = describe(stored)
    if _matches(request.headers.get("If-None-Match", ""), headers["ETag"]):
        return web.Response(status=304, headers={"ETag": headers["ETag"]})
    span = choose(request, stored.size, headers["ETag"])
    length = span.end - span.start
    headers["Content-Length"] = str(length)
    if span.partial:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{stored.size}"
    status = 206 if span.partial else 200
    if request.method == "HEAD":
        return web.Response(status=status, headers=headers)
    if span.end < stored.size:
        before_last = None  # the last byte stays here, so this cannot complete a serving
    if span.start:
        await asyncio.to_thread(stored.source.seek, span.start)
    if length <= CHUNK:
        body = await asyncio.to_thread(_read, stored, length)
        if before_last is not None:
            await before_last()
        return web.Response(status=status, body=body, headers=headers)
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    left = length
    while left:
        chunk = await asyncio.to_thread(_read, stored, min(CHUNK, left))
        left -= len(chunk)
        if not left and before_last is not None:
            await before_last()
        await response.write(chunk)
    await response.write_eof()
    return response


def _read(stored: Stored, size: int) -> bytes:
    data = stored.source.read(size)
    if len(data) < size:
        raise Broken(
            Text(
                f"Tệp đã lưu {stored.sha256} ngắn hơn đã ghi",
                f"the stored file {stored.sha256} is shorter than was written down",
            ),
            code="blob.short",
        )
    return data


def describe(stored: Stored) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    known = _MEDIA_TYPE.fullmatch(stored.media_type)
    return {
        "Content-Type": stored.media_type if known else "application/octet-stream",
        "Content-Disposition": disposition(stored.name),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Accept-Ranges": "bytes",
        "ETag": f'"{stored.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }


def disposition(name: str) -> str:
    """`attachment` with the name twice: plain for old clients, UTF-8 for the others (RFC 8187)."""
    plain = _PLAIN_NAME.sub("_", name)
    exact = quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def choose(request: web.Request, size: int, etag: str) -> Span:
    """The one range asked for; several ranges, or one in another unit, are answered by it all.

    Raises OutOfRange (RFC 9110, 14.1.1, 15.5.17).
    """
    whole = Span(0, size, partial=False)
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    condition = request.headers.get("If-Range")
    if match is None or (condition is not None and condition.strip() != etag):
        return whole
    first, last = match[1], match[2]
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return whole  # not a range at all
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return whole
    if start >= size or start >= end:
        raise OutOfRange(
            Text(
                f"Tệp có {size} byte, không có phạm vi này",
                f"there are {size} bytes; this range has none of them",
            ),
            size=size,
        )
    return Span(start, end, partial=True)


def _matches(condition: str, etag: str) -> bool:
    """If-None-Match, weak comparison (RFC 9110, 13.1.2)."""
    tags = {t.strip().removeprefix("W/") for t in condition.split(",")}
    return etag in tags or tags == {"*"}
