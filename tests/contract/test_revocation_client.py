"""Asking an authority over HTTP: what comes back whole, and what is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from adapters.revocation.client import HttpRevocation
from gateway.errors import Unavailable
from gateway.ports import RevocationSource
from tests.support.revocation_server import Answer, RevocationServer, revocation_server

PATIENT = 20.0


def told(
    path: str,
    question: bytes | None = None,
    *,
    fault: Answer | None = None,
    prepare: Callable[[RevocationServer], None] = lambda _: None,
    deadline: float = PATIENT,
    **settings: object,
) -> tuple[bytes, RevocationServer]:
    async def run() -> tuple[bytes, RevocationServer]:
        async with revocation_server() as server:
            server.lists["/ca.crl"] = b"a list"
            server.ocsp = lambda asked: b"answer to " + asked
            if fault is not None:
                server.faults[path] = fault
            prepare(server)
            source: RevocationSource = HttpRevocation(most_bytes=1000, **settings)  # type: ignore[arg-type]
            try:
                return await source.ask(server.url + path, question, deadline), server
            finally:
                await source.close()

    return asyncio.run(run())


def refused(path: str, question: bytes | None = None, **more: object) -> str:
    with pytest.raises(Unavailable) as caught:
        told(path, question, **more)  # type: ignore[arg-type]
    return caught.value.code


def test_a_list_is_got_and_a_question_is_posted() -> None:
    body, server = told("/ca.crl")
    assert (body, server.asked) == (b"a list", ["GET /ca.crl"])
    body, server = told("/ocsp", b"question")
    assert (body, server.asked) == (b"answer to question", ["POST /ocsp"])
    assert server.headers[0]["Content-Type"] == "application/ocsp-request"
    assert "Cookie" not in server.headers[0]


def test_what_is_not_there_is_unavailable_by_its_status() -> None:
    assert refused("/none.crl") == "revocation.http.404"


def test_an_answer_beyond_the_limit_is_given_up() -> None:
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1001)

    async def just(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    assert refused("/ca.crl", fault=large) == "revocation.too_large"
    assert len(told("/ca.crl", fault=just)[0]) == 1000


def test_an_authority_that_hangs_is_given_up() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    assert refused("/ca.crl", fault=hang, deadline=0.2) == "revocation.timeout"


def test_a_redirect_is_followed_within_the_host_only() -> None:
    async def same(_: web.Request) -> web.Response:
        raise web.HTTPFound("/ca.crl")

    async def other(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://localhost:1/ca.crl")

    async def round_and_round(_: web.Request) -> web.Response:
        raise web.HTTPFound("/moved")

    body, server = told("/moved", fault=same)
    assert (body, server.asked) == (b"a list", ["GET /moved", "GET /ca.crl"])
    assert refused("/moved", fault=other) == "revocation.redirect"
    assert refused("/moved", fault=round_and_round) == "revocation.redirect"


def test_only_hosts_of_the_list_are_asked_where_there_is_one() -> None:
    assert told("/ca.crl", hosts=["127.0.0.1"])[0] == b"a list"
    assert refused("/ca.crl", hosts=["crl.example.vn"]) == "revocation.host"


def test_nobody_listening_is_unavailable() -> None:
    async def run() -> None:
        source = HttpRevocation(most_bytes=1000)
        try:
            await source.ask("http://127.0.0.1:1/ca.crl", None, PATIENT)
        finally:
            await source.close()

    with pytest.raises(Unavailable) as caught:
        asyncio.run(run())
    assert caught.value.code == "revocation.unreachable"


def test_a_connection_cut_in_the_middle_is_unavailable() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "500"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    assert refused("/ca.crl", fault=cut) == "revocation.unreachable"
