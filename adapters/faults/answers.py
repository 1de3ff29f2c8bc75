"""Small answers that are not what they should be, in whatever protocol they are written.

In:     a fault that a request met; the answer that would have been right.
Out:    another answer, a body that stops in the middle or trickles.
Fails:  `Dropped` where the connection is to die without an answer.
Never:  decides what goes wrong when: the plan did.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from aiohttp import web

from adapters.faults.bends import STEPS, Dropped, Pause
from adapters.faults.plan import Fault

_PAGE = b"<html><head><title>502</title></head><body>Bad gateway</body></html>"


def failed(
    fault: Fault, error: Callable[[str], web.Response], garbage: Callable[[], web.Response]
) -> web.Response:
    """The answer that stands in place of the right one; Dropped when there is none.

    `error`: an answer of the protocol with this code; `garbage`: one that cannot be parsed.
    """
    match fault.kind:
        case "http":
            moved = {"Location": "/elsewhere"} if 300 <= fault.status < 400 else None
            body = b"" if fault.status < 300 else b"<html>refused by a proxy</html>"
            return web.Response(
                status=fault.status, body=body, content_type="text/html", headers=moved
            )
        case "error":
            return error(fault.code)
        case "garbage":
            return garbage()
        case "html":
            return web.Response(body=_PAGE, content_type="text/html")
    raise Dropped


async def damaged(request: web.Request, response: web.Response, fault: Fault) -> web.StreamResponse:
    """A small answer cut in the middle: by the transport, or within a good one."""
    body = _body(response)
    half = body[: len(body) // 2]
    if fault.kind == "cut":
        return web.Response(body=half, content_type=response.content_type, charset="utf-8")
    cut = web.StreamResponse(headers={"Content-Type": response.content_type})
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(half)
    raise Dropped


async def trickling(
    request: web.Request, response: web.Response, pause: Pause
) -> web.StreamResponse:
    """A small answer in `STEPS` pieces, a pause before each."""
    body = _body(response)
    trickle = web.StreamResponse(
        status=response.status, headers={"Content-Type": response.content_type}
    )
    trickle.content_length = len(body)
    await trickle.prepare(request)
    step = max(1, ceil(len(body) / STEPS))
    for start in range(0, len(body), step):
        await pause()
        await trickle.write(body[start : start + step])
    await trickle.write_eof()
    return trickle


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""
