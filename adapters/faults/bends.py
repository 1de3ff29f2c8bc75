"""How a simulated axis goes wrong, whatever it speaks: bodies that trickle, lines, clocks.

In:     a fault that a request met, and what would have been right.
Out:    a body that trickles, lines twice or in another order, a clock that is off.
Fails:  `Dropped` where the connection is to die without an answer.
Never:  decides what goes wrong when: the plan did.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from math import ceil
from typing import TypeVar

from aiohttp import StreamReader, web

from adapters.faults.plan import Fault
from gateway.ports import Clock

DAMAGES = frozenset({"cut", "truncated"})  # the answer is begun and then spoilt
BENDS = frozenset({"duplicate", "reorder", "lie", "slow"})  # whole answers, and not as they should
STEPS = 8  # pieces of a body that trickles
_CLOSED = b"<html><head><title>503</title></head><body>Maintenance</body></html>"

Pause = Callable[[], Awaitable[None]]
Line = TypeVar("Line")


class Dropped(Exception):
    """The connection is to die without an answer."""


def closed(seconds: float) -> web.Response:
    """What everybody is told during maintenance; `seconds`: what is left of it."""
    wait = {"Retry-After": str(ceil(seconds))}
    return web.Response(status=503, body=_CLOSED, content_type="text/html", headers=wait)


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


def lines_as_told(lines: Sequence[Line], fault: Fault | None) -> list[Line]:
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
