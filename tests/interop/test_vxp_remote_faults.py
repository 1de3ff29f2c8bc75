"""The VXP client sends to servers of raw bytes: what no well-behaved server would ever do.

What it fetches from such servers: `test_vxp_fetch_faults.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import random
from dataclasses import replace

import pytest

from gateway.errors import Broken, Text, Unavailable
from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import WaitingItem
from tests.support.axes import (
    answer,
    closed_port,
    document_package,
    parcel,
    raw_server,
    read_body,
    reset,
    self_signed,
    talking,
    vxp_axis,
)

LONG = 60.0
SHORT = 0.5  # enough to hand a small package over
PACKAGE = document_package()
LARGE = document_package(
    files=(("a.pdf", "application/pdf", random.Random(1).randbytes(24 * 1024 * 1024)),)
)
OK = b'{"status":"OK","ErrorCode":"0","ErrorDesc":"","DocId":"65a1b2c3d4e5f60718293a4b"}'
ITEM = WaitingItem("doc-1", PackageKind.DOCUMENT)


heads_of: dict[int, list[bytes]] = {}  # by the id of a talk that needs its own request


async def submitted(talk, package=PACKAGE, deadline=LONG, tls=None, **settings):
    async with raw_server(talk, tls) as (url, _), vxp_axis(url, **settings) as axis:
        return await axis.submit(parcel(package), deadline)


# --- sending ---------------------------------------------------------------------------------


def test_the_request_is_exactly_what_the_protocol_describes():
    seen = []

    async def talk(reader, writer):
        seen.append(await reader.readexactly(len(PACKAGE)))
        writer.write(answer(OK))
        await writer.drain()

    async def scene():
        async with raw_server(talk) as (url, heads), vxp_axis(url) as axis:
            assert await axis.submit(parcel(PACKAGE), LONG) == Delivered("65a1b2c3d4e5f60718293a4b")
            return heads[0].decode("ascii").split("\r\n")

    lines = asyncio.run(scene())
    assert seen == [PACKAGE]
    assert lines[0] == "POST /vxp/sendEdoc HTTP/1.1"
    names = [line.partition(":")[0] for line in lines[1:] if line]
    for name in (
        "XroadVnpt-systemid",
        "XroadVnpt-servicetype",
        "XroadVnpt-messagetype",
        "XroadVnpt-hash-file",
        "XroadVnpt-from",
        "XroadVnpt-timestamp",
        "XroadVnpt-Content-Type",
        "XroadVnpt-sign-header-key",
        "XroadVnpt-sign-header",
        "XroadVnpt-hash-header",
        "XroadVnpt-version",
        "User-Agent",
        "Content-Type",
    ):
        assert names.count(name) == 1
    assert f"Content-Length: {len(PACKAGE)}" in lines
    assert not {"Accept-Encoding", "Transfer-Encoding", "Expect", "Cookie"} & set(names)


def test_a_refused_connection_is_not_doubt():
    async def scene():
        async with vxp_axis(f"http://127.0.0.1:{closed_port()}") as axis:
            return await axis.submit(parcel(PACKAGE), LONG)

    outcome = asyncio.run(scene())
    assert isinstance(outcome, Deferred)
    assert outcome.code == "connect.refused"


def test_a_name_that_does_not_resolve_is_not_doubt():
    async def scene():
        async with vxp_axis("https://axis.invalid/vxp") as axis:
            return await axis.submit(parcel(PACKAGE), LONG)

    outcome = asyncio.run(scene())
    assert isinstance(outcome, Deferred)
    assert outcome.code == "connect.dns"


def test_plain_text_where_tls_was_expected_is_not_doubt():
    async def scene():
        plain = talking(answer(b"", 400))
        async with (
            raw_server(plain, read_head=False) as (url, _),
            vxp_axis(url.replace("http:", "https:")) as axis,
        ):
            return await axis.submit(parcel(PACKAGE), LONG)

    outcome = asyncio.run(scene())
    assert isinstance(outcome, Deferred)
    assert outcome.code == "connect.tls"


def test_a_handshake_that_never_ends_is_not_doubt():
    async def mute(reader, writer):
        del writer
        while await reader.read(1000):
            pass

    async def scene():
        async with (
            raw_server(mute, read_head=False) as (url, _),
            vxp_axis(url.replace("http:", "https:")) as axis,
        ):
            return await axis.submit(parcel(PACKAGE), SHORT)

    outcome = asyncio.run(scene())
    assert isinstance(outcome, Deferred)
    assert outcome.code == "send.timeout"


def test_an_unknown_certificate_is_not_doubt_and_alarms(tmp_path):
    context, _ = self_signed(tmp_path)

    async def scene():
        async with raw_server(talking(answer(OK)), context) as (url, heads):
            async with vxp_axis(url.replace("127.0.0.1", "localhost")) as axis:
                outcome = await axis.submit(parcel(PACKAGE), LONG)
            assert heads == []
            return outcome

    outcome = asyncio.run(scene())
    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.alarm) == ("connect.certificate", True)


def test_a_certificate_of_the_configured_authority_is_trusted(tmp_path):
    context, pem = self_signed(tmp_path)

    async def talk(reader, writer):
        await reader.readexactly(len(PACKAGE))
        writer.write(answer(OK))
        await writer.drain()

    async def scene():
        async with raw_server(talk, context) as (url, _):
            local = url.replace("127.0.0.1", "localhost")
            async with vxp_axis(local, ca_file=str(pem)) as axis:
                return await axis.submit(parcel(PACKAGE), LONG)

    assert isinstance(asyncio.run(scene()), Delivered)


def test_a_reset_before_the_last_byte_is_not_doubt():
    async def talk(reader, writer):
        await reader.readexactly(1000)
        reset(writer)

    outcome = asyncio.run(submitted(talk, LARGE))
    assert isinstance(outcome, Deferred)
    assert outcome.code == "send.interrupted"


def test_a_remote_that_stops_reading_is_not_doubt():
    async def talk(reader, writer):
        del writer
        await asyncio.Event().wait()
        await reader.read(1)

    outcome = asyncio.run(submitted(talk, LARGE, SHORT))
    assert isinstance(outcome, Deferred)
    assert outcome.code == "send.timeout"


def test_a_reset_after_the_last_byte_is_doubt():
    async def talk(reader, writer):
        await reader.readexactly(len(PACKAGE))
        reset(writer)

    outcome = asyncio.run(submitted(talk))
    assert isinstance(outcome, Uncertain)
    assert outcome.code == "answer.reset"


def test_silence_is_doubt_and_ends_with_the_deadline():
    async def talk(reader, writer):
        await reader.readexactly(len(PACKAGE))
        await reader.read(1)
        del writer

    outcome = asyncio.run(submitted(talk, deadline=SHORT))
    assert isinstance(outcome, Uncertain)
    assert outcome.code == "answer.silence"


def test_nothing_of_an_attempt_is_sent_after_its_deadline():
    """The rest of the package must not trickle out of a buffer when the lease is gone."""
    got = bytearray()
    go_on = asyncio.Event()
    ended = asyncio.Event()

    async def talk(reader, writer):
        del writer
        await go_on.wait()
        try:
            while piece := await reader.read(65536):
                got.extend(piece)
        except ConnectionError:
            pass
        ended.set()

    async def scene():
        async with raw_server(talk) as (url, _), vxp_axis(url) as axis:
            # one chunk: everything is in the connection's buffer at once
            cargo = parcel(LARGE, chunk=len(LARGE))
            outcome = await axis.submit(cargo, SHORT)
            assert isinstance(outcome, Uncertain)
            go_on.set()
            await ended.wait()

    asyncio.run(scene())
    assert len(got) < len(LARGE)


HALF_ANSWERS = {
    "no answer line": b"",
    "half a status line": b"HTTP/1.1 20",
    "half the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no body": b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n" + OK[:40],
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n" + OK[:40],
    "a chunk without an end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n52\r\n" + OK,
    "a bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + OK,
    "binary noise": bytes(range(256)) * 4,
    "another protocol": b"220 mail.example ESMTP\r\n",
    "a broken header": b"HTTP/1.1 200 OK\r\n\x00\x01: \x02\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 80\r\n\r\n" + OK,
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + OK,
    "false gzip": answer(OK, extra="Content-Encoding: gzip\r\n"),
    "cut gzip": answer(gzip.compress(OK)[:30], extra="Content-Encoding: gzip\r\n"),
    "a page": answer(b"<html>login</html>", extra="Content-Type: text/html\r\n"),
    "a list": answer(b"[]"),
    "nothing": answer(b""),
    "the wrong case": answer(OK.replace(b"ErrorCode", b"errorcode")),
    "too much": answer(b" " * 2_000_000),
    "a server error": answer(b"<html>oops</html>", 500),
    "a gateway error": answer(b"", 504),
    "accepted for later": answer(b"", 202),
    "no content": answer(b"", 204),
}


@pytest.mark.parametrize("how", sorted(HALF_ANSWERS))
def test_an_answer_that_says_nothing_is_doubt(how):
    async def talk(reader, writer):
        await reader.readexactly(len(PACKAGE))
        writer.write(HALF_ANSWERS[how])
        await writer.drain()

    outcome = asyncio.run(submitted(talk))
    assert isinstance(outcome, Uncertain)
    assert "made-up-secret" not in repr(outcome)


GOOD_ANSWERS = {
    "plain": answer(OK),
    "created": answer(OK, 201),
    "accepted": answer(OK, 202),
    "until close": b"HTTP/1.0 200 OK\r\n\r\n" + OK,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n51\r\n"
    + OK
    + b"\r\n0\r\n\r\n",
    "with a mark": answer(b"\xef\xbb\xbf" + OK),
    "as text": answer(OK, extra="Content-Type: text/plain\r\n"),
    "gzip though not asked": answer(gzip.compress(OK), extra="Content-Encoding: gzip\r\n"),
    "a number": answer(OK.replace(b'"0"', b"0")),
    "after 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(OK),
}


@pytest.mark.parametrize("how", sorted(GOOD_ANSWERS))
def test_every_form_of_success_is_understood(how):
    assert len(OK) == 0x51

    async def talk(reader, writer):
        await reader.readexactly(len(PACKAGE))
        writer.write(GOOD_ANSWERS[how])
        await writer.drain()

    assert asyncio.run(submitted(talk)) == Delivered("65a1b2c3d4e5f60718293a4b")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status):
    asked = []

    async def elsewhere(reader, writer):
        del reader
        asked.append(True)
        writer.write(answer(OK))
        await writer.drain()

    async def scene():
        async with raw_server(elsewhere) as (target, _):

            async def talk(reader, writer):
                await reader.readexactly(len(PACKAGE))
                writer.write(answer(b"", status, f"Location: {target}/sendEdoc\r\n"))
                await writer.drain()

            return await submitted(talk)

    outcome = asyncio.run(scene())
    assert isinstance(outcome, Deferred)
    assert outcome.code == f"http.{status}"
    assert asked == []


def test_an_early_refusal_of_a_large_package_is_read():
    async def talk(reader, writer):
        await reader.readexactly(1000)
        body = b'{"status":"FAIL","ErrorCode":"15","ErrorDesc":"key","DocId":""}'
        writer.write(answer(body, extra="Connection: close\r\n"))
        await writer.drain()
        while await reader.read(65536):
            pass

    outcome = asyncio.run(submitted(talk, LARGE, never_codes=("15",)))
    assert outcome == Refused("vxp.15", "key")


def test_send_is_never_repeated_by_the_adapter_itself():
    calls = []

    async def talk(reader, writer):
        await reader.readexactly(len(PACKAGE))
        calls.append(True)
        writer.transport.abort()

    asyncio.run(submitted(talk, inner_tries=5))
    assert calls == [True]


def test_a_connection_that_the_axis_closed_meanwhile_is_not_used_for_a_package():
    async def talk(reader, writer):
        await read_body(heads_of[id(talk)][-1], reader)
        writer.write(answer(OK, extra=""))  # says nothing of closing, and closes
        await writer.drain()

    async def scene():
        async with raw_server(talk) as (url, heads), vxp_axis(url) as axis:
            heads_of[id(talk)] = heads
            for _ in range(5):
                assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered)
                # by the time another connection was opened and closed, the end of ours is known
                await _round_trip(int(url.split(":")[2].split("/")[0]))
            assert len([head for head in heads if b"sendEdoc" in head]) == 5

    asyncio.run(scene())


async def _round_trip(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()


# --- our own side ----------------------------------------------------------------------------


def test_damaged_bytes_never_become_a_whole_package_at_the_axis():
    whole = []

    async def talk(reader, writer):
        await read_body(b"Content-Length: %d" % len(LARGE), reader)
        whole.append(True)
        writer.write(answer(OK))
        await writer.drain()

    async def scene(cargo):
        async with raw_server(talk) as (url, _), vxp_axis(url) as axis:
            with pytest.raises(Broken) as error:
                await axis.submit(cargo, LONG)
            assert error.value.code == "blob.damaged"

    good = parcel(LARGE)
    for cargo in (
        parcel(LARGE, sha256="00" * 32),
        replace(good, size=good.size - 5),
        replace(good, size=good.size + 5),
    ):
        asyncio.run(scene(cargo))
    assert whole == []


@pytest.mark.parametrize(
    "cuts", [[0, 0, 10, 10, 500, 10**6, 10**6], [10**6], [1] * 40 + [10**6, 0]]
)
def test_a_package_arrives_whole_in_whatever_pieces_it_is_read(cuts):
    got = []

    async def pieces():
        at = 0
        for size in cuts:
            yield PACKAGE[at : at + size]
            at += size

    async def talk(reader, writer):
        got.append(await reader.readexactly(len(PACKAGE)))
        writer.write(answer(OK))
        await writer.drain()

    async def scene():
        async with raw_server(talk) as (url, _), vxp_axis(url) as axis:
            return await axis.submit(replace(parcel(PACKAGE), chunks=pieces), LONG)

    assert isinstance(asyncio.run(scene()), Delivered)
    assert got == [PACKAGE]


@pytest.mark.parametrize("error", [Broken(Text("a", "b")), OSError("disk"), RuntimeError("bug")])
def test_a_fault_of_our_own_store_is_raised_as_it_is(error):
    async def chunks():
        yield PACKAGE[:100]
        raise error

    async def scene():
        async with raw_server(talking(answer(OK))) as (url, _), vxp_axis(url) as axis:
            with pytest.raises(type(error)) as raised:
                await axis.submit(replace(parcel(PACKAGE), chunks=chunks), LONG)
            assert raised.value is error

    asyncio.run(scene())


def test_a_store_that_cannot_give_the_bytes_now_leaves_no_doubt():
    """The last of them never left, so the axis has no whole package: certainly not sent."""
    whole = []

    async def chunks():
        yield PACKAGE[:100]
        raise Unavailable(Text("Kho tệp", "object store: gone"), code="blob.unavailable")

    async def talk(reader, writer):
        whole.append(await reader.read())
        writer.close()

    async def scene():
        async with raw_server(talk) as (url, _), vxp_axis(url) as axis:
            return await axis.submit(replace(parcel(PACKAGE), chunks=chunks), LONG)

    assert asyncio.run(scene()) == Deferred("blob.unavailable", "object store: gone")
    assert all(len(got) < len(PACKAGE) for got in whole)


def test_a_full_disk_is_not_the_remotes_fault():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    async def scene():
        async with raw_server(talking(answer(PACKAGE))) as (url, _), vxp_axis(url) as axis:
            with pytest.raises(Unavailable) as error:
                await axis.fetch(ITEM, Full(), LONG)
            assert error.value.code == "spool.unwritable"

    asyncio.run(scene())
