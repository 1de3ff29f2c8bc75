"""How the simulated axis goes wrong: the answers, bodies and clocks that its faults make.

In:     a fault that a request met, and the answer that would have been right.
Out:    another answer, a body that trickles, lines twice or in another order, a clock that is off.
Fails:  `Dropped` where the connection is to die without an answer.
Never:  decides what goes wrong when: `faults` did.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from math import ceil

from aiohttp import StreamReader, web

from adapters.faults import Fault
from adapters.vxp import wire
from gateway.ports import Clock

DAMAGES = frozenset({"cut", "truncated"})  # the answer is begun and then spoilt
BENDS = frozenset({"duplicate", "reorder", "lie", "slow"})  # whole answers, and not as they should
STEPS = 8  # pieces of a body that trickles
_PAGE = b"<html><head><title>502</title></head><body>Bad gateway</body></html>"
_CLOSED = b"<html><head><title>503</title></head><body>Maintenance</body></html>"

Pause = Callable[[], Awaitable[None]]


class Dropped(Exception):
    """The connection is to die without an answer."""


def failed(fault: Fault) -> web.Response:
    """The answer that stands in place of the right one; Dropped when there is none."""
    match fault.kind:
        case "http":
            moved = {"Location": "/elsewhere"} if 300 <= fault.status < 400 else None
            body = b"" if fault.status < 300 else b"<html>refused by a proxy</html>"
            return web.Response(
                status=fault.status, body=body, content_type="text/html", headers=moved
            )
        case "error":
            return _json(wire.render_answer(fault.code, "Lỗi mô phỏng / simulated error"))
        case "garbage":
            return _json(b'{"status":"OK","ErrorCode":"0",,"Err')
        case "html":
            return web.Response(body=_PAGE, content_type="text/html")
    raise Dropped


def closed(seconds: float) -> web.Response:
    """What everybody is told during maintenance; `seconds`: what is left of it."""
    wait = {"Retry-After": str(ceil(seconds))}
    return web.Response(status=503, body=_CLOSED, content_type="text/html", headers=wait)


async def damaged_json(
    request: web.Request, response: web.Response, fault: Fault
) -> web.StreamResponse:
    """A small answer cut in the middle: by the transport, or within a good one."""
    body = _body(response)
    half = body[: len(body) // 2]
    if fault.kind == "cut":
        return _json(half)
    cut = web.StreamResponse(headers={"Content-Type": "application/json"})
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(half)
    raise Dropped


async def slow_json(
    request: web.Request, response: web.Response, pause: Pause
) -> web.StreamResponse:
    """A small answer in `STEPS` pieces, a pause before each."""
    body = _body(response)
    trickle = web.StreamResponse(
        status=response.status, headers={"Content-Type": "application/json"}
    )
    trickle.content_length = len(body)
    await trickle.prepare(request)
    step = max(1, ceil(len(body) / STEPS))
    for start in range(0, len(body), step):
        await pause()
        await trickle.write(body[start : start + step])
    await trickle.write_eof()
    return trickle


class Slowly:
    """The body of a request, read in about `STEPS` pieces with a pause before each."""

    def __init__(self, content: StreamReader, size: int | None, pause: Pause) -> None:
        self._content = content
        self._step = max(1, ceil((size or 0) / STEPS)) if size else 64 * 1024
        self._pause = pause

    async def iter_any(self) -> AsyncIterator[bytes]:
        await self._pause()
        while piece := await self._content.read(self._step):
            yield piece
            await self._pause()


def lines_as_told(lines: Sequence[dict[str, str]], fault: Fault | None) -> list[dict[str, str]]:
    """The lines of a list after `duplicate`, `reorder` or `lie` (then none)."""
    match fault.kind if fault is not None else "":
        case "lie":
            return []
        case "duplicate":
            return [line for line in lines for _ in range(2)]
        case "reorder" if fault is not None and len(lines) > 1:
            places = sorted(range(len(lines)), key=lambda place: _by_chance(fault.draw, place))
            if places == sorted(places):
                places.reverse()
            return [lines[place] for place in places]
    return list(lines)


def _by_chance(draw: int, place: int) -> bytes:
    return hashlib.blake2b(f"{draw}\n{place}".encode(), digest_size=8).digest()


class SkewedClock:
    """The axis' clock, off by so many seconds inside a `skewed` block."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._off = ContextVar("off", default=0.0)

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._off.get())

    @contextmanager
    def skewed(self, seconds: float) -> Iterator[None]:
        before = self._off.set(seconds)
        try:
            yield
        finally:
            self._off.reset(before)


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=wire.JSON_TYPE, charset="utf-8")
