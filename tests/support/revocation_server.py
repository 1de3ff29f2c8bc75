"""A certification authority's web server: its lists and its OCSP answers, every request counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class RevocationServer:
    """`lists`: path -> DER; `ocsp`: an OCSPRequest -> an OCSPResponse; `faults`: path -> what else.

    `asked`: method and path of each request, in order.
    """

    url: str = ""
    lists: dict[str, bytes] = field(default_factory=dict)
    ocsp: Callable[[bytes], bytes] | None = None
    faults: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        self.headers.append(dict(request.headers))
        if request.path in self.faults:
            return await self.faults[request.path](request)
        if request.method == "POST" and self.ocsp is not None:
            body = self.ocsp(await request.read())
            return web.Response(body=body, content_type="application/ocsp-response")
        if request.path in self.lists:
            return web.Response(body=self.lists[request.path], content_type="application/pkix-crl")
        raise web.HTTPNotFound


@asynccontextmanager
async def revocation_server() -> AsyncIterator[RevocationServer]:
    made = RevocationServer()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        made.url = f"http://{host}:{port}"
        yield made
    finally:
        await runner.cleanup()
