"""The newest signed checkpoint, for anybody who wants to hold us to it."""

from __future__ import annotations

from aiohttp import web

from gateway.api.asking import only
from gateway.api.deps import Call


async def checkpoint(call: Call) -> web.Response:
    """The note exactly as it was signed (C2SP tlog-checkpoint)."""
    only(call.request)
    note = await call.desk.checkpoint()
    return web.Response(body=note.encode(), content_type="text/plain", charset="utf-8")
