"""What a caller asks for: query parameters, JSON bodies, the headers of a POST. Strictly.

In:     a request. Out: plain values, or a msgspec.Struct.
Fails:  Malformed (400) for what cannot be understood, Rejected (422) with every finding for a
        JSON object whose members are wrong, TooLarge, WrongMedia, Stalled.
Never:  ignores a parameter or a member that it does not know: a misspelt name would go unseen.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from gateway.api.deps import Call
from gateway.api.expected import wrong_members
from gateway.api.problems import Malformed, Stalled, WrongMedia
from gateway.errors import Finding, Rejected, Severity, Text, TooLarge

S = TypeVar("S", bound=msgspec.Struct)
Also = Callable[[Mapping[str, Any]], Iterable[Finding]]

DEFAULT_PAGE = 50
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_CURSOR = re.compile(r"[0-9A-Za-z_-]{0,200}")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


def json_answer(value: object, status: int = 200, **headers: str) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=headers,
    )


# -- parameters and headers ------------------------------------------------------------------------


def media_type(request: web.Request) -> str:
    """`type/subtype` of Content-Type in small letters; empty without one.

    `request.content_type` parses the whole header as mail: a millisecond of the loop for each form,
    because each has a boundary of its own.
    """
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def only(request: web.Request, *names: str) -> None:
    """Refuses query parameters that this address does not take."""
    unknown = sorted({n for n in request.query if n not in names})
    if unknown:
        shown = ", ".join(unknown)[:100]
        raise Malformed(
            Text(f"Tham số không được biết: {shown}", f"unknown parameter: {shown}"),
            code="parameter.unknown",
        )


def number(
    request: web.Request, name: str, default: float, most: float, *, least: int = 0
) -> float:
    text = request.query.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not least <= float(text) <= most:
        raise Malformed(
            Text(
                f"{name} phải là số từ {least} đến {most:g}",
                f"{name} is a number from {least} to {most:g}",
            ),
            code="parameter.invalid",
        )
    return float(text)


def limit_of(call: Call) -> int:
    most = call.deps.limits.page
    value = number(call.request, "limit", min(DEFAULT_PAGE, most), most, least=1)
    if value != int(value):
        raise Malformed(
            Text(f"limit phải từ 1 đến {most}", f"limit is a whole number from 1 to {most}"),
            code="parameter.invalid",
        )
    return int(value)


def cursor_of(call: Call) -> str:
    text = call.request.query.get("cursor", "")
    if not _CURSOR.fullmatch(text):
        raise Malformed(
            Text("Con trỏ trang không hợp lệ", "the cursor is not one of ours"),
            code="cursor.invalid",
        )
    return text


def idempotency_key(request: web.Request) -> str | None:
    """Opaque, 1 to 200 visible ASCII characters; compared as written."""
    text = request.headers.get("Idempotency-Key")
    if text is not None and not _KEY.fullmatch(text):
        raise Malformed(
            Text(
                "Idempotency-Key phải gồm 1 đến 200 ký tự ASCII nhìn thấy được",
                "Idempotency-Key is 1 to 200 visible ASCII characters",
            ),
            code="idempotency.invalid",
        )
    return text


# -- bodies ----------------------------------------------------------------------------------------


def refuse_encoded(request: web.Request) -> None:
    """A compressed body would be measured after it was unpacked; nobody needs one here."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise WrongMedia(
            Text("Không nhận thân yêu cầu nén (Content-Encoding)", "no Content-Encoding is taken"),
            code="request.encoding",
        )


def too_large(name: str, most: int) -> TooLarge:
    text = Text(f"Vượt giới hạn {name} = {most} byte", f"over the limit {name} = {most} bytes")
    code = f"limit.{name}"
    return TooLarge(text, code=code, findings=(Finding("", code, Severity.ERROR, text),))


async def pieces(call: Call, name: str, most: int) -> AsyncIterator[bytes]:
    """The body as it comes, in pieces of at most some 256 KiB; never more than `most` bytes.

    A client that goes away ends it with ConnectionError, one that stops sending with Stalled.
    """
    request, idle = call.request, call.deps.limits.idle_seconds
    if request.content_length is not None and request.content_length > most:
        raise too_large(name, most)
    await _go_on(request)
    total = 0
    while not request.content.at_eof():
        # what is here already needs no clock
        piece = request.content.read_nowait() or await _next_piece(request, idle)
        if not piece:
            return
        total += len(piece)
        if total > most:
            raise too_large(name, most)
        yield piece


async def _next_piece(request: web.Request, idle: float) -> bytes:
    try:
        async with asyncio.timeout(idle):
            return await request.content.readany()
    except TimeoutError:
        raise Stalled(
            Text(
                f"Không nhận được dữ liệu trong {idle:g} giây",
                f"no byte of the body came for {idle:g} seconds",
            )
        ) from None


async def _go_on(request: web.Request) -> None:
    """100 Continue, sent only now: whoever is refused by his headers keeps his body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def read_json(call: Call, shape: type[S], also: Also | None = None) -> S:
    """A JSON object of exactly this shape; every member that is wrong is named at once.

    `also`: what else is wrong with an object of another shape, so that nobody mends twice.
    """
    refuse_encoded(call.request)
    if media_type(call.request) != "application/json":
        raise WrongMedia(
            Text("Thân yêu cầu phải là application/json", "the body must be application/json")
        )
    data = bytearray()
    async for piece in pieces(call, "json_bytes", call.deps.limits.json_bytes):
        data += piece
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(
            Text(
                "Thân yêu cầu không phải JSON UTF-8 hợp lệ", "the body is not valid JSON in UTF-8"
            ),
            code="request.not_json",
        ) from None
    if not isinstance(value, dict):
        raise Malformed(
            Text("Thân yêu cầu phải là một đối tượng JSON", "the body must be a JSON object"),
            code="request.not_json",
        )
    wrong = tuple(wrong_members(value, shape))
    if wrong:
        if also is not None:
            named = {finding.path for finding in wrong}
            wrong += tuple(finding for finding in also(value) if finding.path not in named)
        raise Rejected(
            Text("Thân yêu cầu chưa đúng; xem từng lỗi", "the body is wrong; see each finding"),
            code="request.invalid",
            findings=wrong,
        )
    return msgspec.convert(value, shape)
