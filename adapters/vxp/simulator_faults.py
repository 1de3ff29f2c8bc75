"""How the simulated axis goes wrong: the answers that its faults make.

In:     a fault that a request met, and the answer that would have been right.
Out:    another answer, a small body that is cut or trickles.
Fails:  `Dropped` where the connection is to die without an answer.
Never:  decides what goes wrong when: `faults` did.
"""

from __future__ import annotations

from math import ceil

from aiohttp import web

from adapters.faults import Fault
from adapters.faults.bends import STEPS, Dropped, Pause
from adapters.vxp import wire

_PAGE = b"<html><head><title>502</title></head><body>Bad gateway</body></html>"


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


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=wire.JSON_TYPE, charset="utf-8")
