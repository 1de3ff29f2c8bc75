"""The HTTP client against the suite, and what concerns HTTP alone."""

from __future__ import annotations

import asyncio
import socket
import stat
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web

from adapters.tsa.authority import LocalAuthority
from adapters.tsa.client import Endpoint, HttpTimestampAuthority
from adapters.tsa.make import load_authority, make_authority
from adapters.tsa.server import serve
from gateway.errors import Misconfigured, Unavailable
from gateway.ledger import stamp
from tests.contract.timestamp_suite import DIGEST, PATIENT, TimestampSuite
from tests.support.ledgers import START, anchors, sample_authority


@dataclass(frozen=True)
class StoppedClock:
    def now(self):
        return START


class TestHttpTimestampAuthority(TimestampSuite):
    @asynccontextmanager
    async def opened(self, *faults):
        async with serve("127.0.0.1", 0, sample_authority(), StoppedClock(), faults) as running:
            endpoint = Endpoint(running.url, anchors())
            authority = HttpTimestampAuthority("sample", endpoint, craft=stamp)
            try:
                yield authority, running
            finally:
                await authority.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(url, **settings):
    async def once():
        authority = HttpTimestampAuthority("sample", Endpoint(url, **settings), craft=stamp)
        try:
            return await authority.stamp(DIGEST, PATIENT)
        finally:
            await authority.close()

    return asyncio.run(once())


def test_nobody_listening_is_unavailable_and_tells_no_secret():
    with pytest.raises(Unavailable) as caught:
        asked(f"http://user:secret@127.0.0.1:{free_port()}/tsa?key=hidden")
    assert caught.value.code == "tsa.unreachable"
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_name_that_does_not_exist_is_unavailable():
    with pytest.raises(Unavailable):
        asked("http://tsa.invalid/")


@pytest.mark.parametrize("url", ["", "tsa.example", "ftp://tsa.example/", "http:///tsa"])
def test_an_address_that_is_none_is_the_operators_to_mend(url):
    with pytest.raises(Misconfigured):
        Endpoint(url)


@pytest.mark.parametrize("policy", ["", "policy", "9.9", "1.", "1.02"])
def test_a_policy_that_is_no_oid_is_the_operators_to_mend(policy):
    with pytest.raises(Misconfigured):
        Endpoint("http://tsa.example/", policy=policy)


def answering(handler, **settings):
    async def once():
        app = web.Application()
        app.router.add_post("/", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        authority = HttpTimestampAuthority("sample", Endpoint(url, **settings), craft=stamp)
        try:
            return await authority.stamp(DIGEST, PATIENT)
        finally:
            await authority.close()
            await runner.cleanup()

    return asyncio.run(once())


def test_a_redirect_is_not_followed():
    async def elsewhere(_request):
        raise web.HTTPFound("http://stranger.invalid/")

    with pytest.raises(Unavailable) as caught:
        answering(elsewhere)
    assert caught.value.code == "tsa.http.302"


def test_the_request_is_a_query_with_the_headers_of_the_endpoint():
    seen = {}

    async def look(request):
        seen.update(request.headers)
        body = await request.read()
        return web.Response(
            body=sample_authority().reply(body, START, 5),
            content_type="application/timestamp-reply",
        )

    answering(look, anchors=anchors(), headers={"X-Key": "secret"}, policy="1.3.6.1.4.1.99999.1")
    assert seen["Content-Type"] == "application/timestamp-query"
    assert seen["Accept"] == "application/timestamp-reply"
    assert seen["X-Key"] == "secret"
    assert "secret" not in repr(Endpoint("http://tsa.example/", headers={"X-Key": "secret"}))


def test_a_body_cut_short_is_unavailable():
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Type": "application/timestamp-reply"})
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"\x30")
        request.transport.close()
        return response

    with pytest.raises(Unavailable) as caught:
        answering(cut)
    assert caught.value.code == "tsa.unreachable"


def test_the_local_authority_refuses_what_it_cannot_grant():
    authority = sample_authority()
    for request in (b"", b"rubbish", stamp.build_request(bytes(31), 1)):
        with pytest.raises(Unavailable, match="bad_data_format"):
            stamp.check_response(authority.reply(request, START, 1), DIGEST, 1, anchors())
    sha1 = stamp.build_request(bytes(32), 1).replace(
        bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040203")
    )
    with pytest.raises(Unavailable, match="bad_alg"):
        stamp.check_response(authority.reply(sha1, START, 1), DIGEST, 1, anchors())


def test_a_made_authority_keeps_its_key_to_itself_and_can_be_loaded(tmp_path):
    made = make_authority(tmp_path / "tsa", START)
    key = tmp_path / "tsa" / "tsa.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    loaded = load_authority(tmp_path / "tsa")
    assert isinstance(loaded, LocalAuthority)
    assert tuple(loaded.chain) == tuple(made.chain)
    request = stamp.build_request(DIGEST, 3)
    stamp.check_response(loaded.reply(request, START, 1), DIGEST, 3, [made.chain[1]])
    assert all("SANDBOX" in c.subject.rfc4514_string() for c in made.chain)


def test_an_authority_is_never_overwritten_and_a_spoiled_one_never_loaded(tmp_path):
    make_authority(tmp_path, START)
    with pytest.raises(Misconfigured):
        make_authority(tmp_path, START)
    (tmp_path / "tsa.key").write_bytes(b"not a key")
    with pytest.raises(Misconfigured):
        load_authority(tmp_path)
    with pytest.raises(Misconfigured):
        load_authority(tmp_path / "nowhere")
