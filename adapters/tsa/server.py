"""The local authority behind HTTP, with faults on demand: the sandbox's and the tests' stand-in.

In: an address to bind, a `LocalAuthority`, a clock. Out: a running server with its URL and what it
saw. A fault is queued and spoils exactly one answer. It never runs in production: conf names a real
authority there.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.tsa.authority import BAD_FORMAT, LocalAuthority, granted_without_token, rejection
from gateway.ports import Clock

_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_MAX_REQUEST = 16 * 1024


class Fault(StrEnum):
    """What may go wrong with one answer."""

    HANG = "hang"  # no answer until the client goes or the server closes
    DROP = "drop"  # the connection is closed without an answer
    ERROR_500 = "500"
    HTML = "html"  # 200 with a page, as a proxy sends
    GARBAGE = "garbage"  # the right type, bytes that are no reply
    HUGE = "huge"  # the right type, more bytes than any reply
    REJECTED = "rejected"
    EMPTY_GRANT = "empty_grant"  # granted, but no token in it
    WRONG_NONCE = "wrong_nonce"
    WRONG_DIGEST = "wrong_digest"
    WRONG_KEY = "wrong_key"  # our certificate, a stranger's signature
    NO_CERTIFICATE = "no_certificate"


@dataclass(slots=True)
class Running:
    """A server that is up. `faults`: the next answers, in order; empty = good ones.

    `received`: requests so far. `hanging`: set while a request hangs, for tests to wait on.
    """

    url: str
    authority: LocalAuthority
    faults: deque[Fault] = field(default_factory=deque)
    received: int = 0
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serve(
    host: str,
    port: int,
    authority: LocalAuthority,
    clock: Clock,
    faults: tuple[Fault, ...] = (),
    serial: Callable[[], int] = lambda: secrets.randbits(63) + 1,
) -> AsyncIterator[Running]:
    """Answer at `http://host:port/tsa` until the block ends; port 0 takes a free one."""
    running = Running(url="", authority=authority, faults=deque(faults))

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        running.received += 1
        fault = running.faults.popleft() if running.faults else None
        if request.content_type != _QUERY:
            return web.Response(status=415)
        if fault is Fault.HANG:
            running.hanging.set()
            await running.closing.wait()
            return web.Response(status=503)
        if fault is Fault.DROP:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if fault is Fault.ERROR_500:
            return web.Response(status=500, text="internal error")
        if fault is Fault.HTML:
            return web.Response(text="<html>Log in to the network</html>", content_type="text/html")
        reply = _reply(running.authority, body, clock, serial(), fault)
        return web.Response(body=reply, content_type=_REPLY)

    app = web.Application(client_max_size=_MAX_REQUEST)
    app.router.add_post("/tsa", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        running.url = f"http://{host}:{bound[1]}/tsa"
        yield running
    finally:
        running.closing.set()
        await runner.cleanup()


def _reply(
    authority: LocalAuthority, request: bytes, clock: Clock, serial: int, fault: Fault | None
) -> bytes:
    at = clock.now()
    match fault:
        case None:
            return authority.reply(request, at, serial)
        case Fault.REJECTED:
            return rejection(BAD_FORMAT, "refused on demand")
        case Fault.EMPTY_GRANT:
            return granted_without_token()
        case Fault.HUGE:
            return bytes(1024 * 1024)
        case Fault.WRONG_KEY:
            stranger = ec.generate_private_key(ec.SECP256R1())
            return LocalAuthority(stranger, authority.chain).reply(request, at, serial)
        case Fault.WRONG_NONCE | Fault.WRONG_DIGEST | Fault.NO_CERTIFICATE:
            return authority.reply(_altered(request, fault), at, serial)
        case _:
            return b"this is not DER at all"


def _altered(request: bytes, fault: Fault) -> bytes:
    """Another request than the client's, so that the answer is honest but not to it."""
    wanted = tsp.TimeStampReq.load(request)
    if fault is Fault.WRONG_NONCE:
        wanted["nonce"] = wanted["nonce"].native + 1
    elif fault is Fault.WRONG_DIGEST:
        wanted["message_imprint"]["hashed_message"] = hashlib.sha256(request).digest()
    else:
        wanted["cert_req"] = False
    altered: bytes = wanted.dump(force=True)
    return altered
