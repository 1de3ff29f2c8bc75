"""The VXP client fetches and lists from servers of raw bytes, whatever they say."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json

import pytest

from gateway.model.outcome import Deferred
from gateway.model.package import PackageKind
from gateway.ports import WaitingItem
from tests.support.axes import (
    FixedClock,
    answer,
    document_package,
    raw_server,
    read_body,
    talking,
    vxp_axis,
)

LONG = 60.0
SHORT = 0.5
PACKAGE = document_package()
ITEM = WaitingItem("doc-1", PackageKind.DOCUMENT)
DOCUMENT = PackageKind.DOCUMENT


heads_of: dict[int, list[bytes]] = {}  # by the id of a talk that needs its own request


async def fetched(talk, **settings):
    sink = io.BytesIO()
    async with raw_server(talk) as (url, _), vxp_axis(url, inner_tries=1, **settings) as axis:
        got = await axis.fetch(ITEM, sink, LONG)
    return got, sink.getvalue()


# --- fetching --------------------------------------------------------------------------------


def get_answer(text: str, code: str = "0") -> bytes:
    return json.dumps({"status": "OK", "ErrorCode": code, "ErrorDesc": "e", "data": text}).encode()


BASE64 = base64.b64encode(PACKAGE).decode()
BAD_DOWNLOADS = {  # with the code of the failure; getEdoc is asked when no package came at all
    "truncated": (answer(PACKAGE)[:-50], "answer.cut"),
    "short with a true length": (answer(PACKAGE[:-50]), "package.incomplete"),
    "empty": (answer(b""), "answer.empty"),
    "a page": (answer(b"<html>maintenance</html>"), "answer.unreadable"),
    "an error text": (
        answer(b'{"status":"FAIL","ErrorCode":"-1","ErrorDesc":"unknown"}'),
        "vxp.-1",
    ),
    "half chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + PACKAGE[:64],
        "answer.cut",
    ),
    "cut until close": (b"HTTP/1.0 200 OK\r\n\r\n" + PACKAGE[:-50], "package.incomplete"),
    "cut gzip": (
        answer(gzip.compress(PACKAGE)[:-20], extra="Content-Encoding: gzip\r\n"),
        "package.incomplete",
    ),
    "denied": (answer(b"", 401), "http.401"),
    "moved": (answer(PACKAGE, 302, "Location: http://127.0.0.1:1/\r\n"), "http.302"),
    "no content": (answer(PACKAGE, 202), "http.202"),
    "a server error": (answer(PACKAGE, 500), "http.500"),
    "noise": (bytes(range(256)), "answer.garbled"),
}


@pytest.mark.parametrize("how", sorted(BAD_DOWNLOADS))
def test_a_bad_download_is_never_a_package(how):
    say, code = BAD_DOWNLOADS[how]
    got, _ = asyncio.run(fetched(talking(say)))
    assert isinstance(got.failure, Deferred)
    assert got.failure.code == code


BAD_GETS = {
    "cut base64": (answer(get_answer(BASE64[:-13])), "base64.cut"),
    "cut at a group": (answer(get_answer(BASE64[:-16])), "package.incomplete"),
    "bad letters": (answer(get_answer(BASE64[:40] + "*" + BASE64[41:])), "base64.bad"),
    "cut json": (answer(get_answer(BASE64)[:-2]), "answer.cut"),
    "truncated": (answer(get_answer(BASE64))[:-20], "answer.cut"),
    "an error code": (answer(get_answer(BASE64, "-1")), "vxp.-1"),
    "no data": (answer(b'{"status":"OK","ErrorCode":"0"}'), "answer.no_data"),
    "null data": (answer(b'{"status":"OK","ErrorCode":"0","data":null}'), "answer.no_data"),
    "no code": (answer(json.dumps({"data": BASE64}).encode()), "answer.unreadable"),
    "empty data": (answer(get_answer("")), "package.empty"),
    "a page in base64": (
        answer(get_answer(base64.b64encode(b"<html></html>").decode())),
        "package.not_edxml",
    ),
    "a page": (answer(b"<html>maintenance</html>"), "answer.unreadable"),
    "data as a list": (
        answer(b'{"status":"OK","ErrorCode":"0","data":["QUJD"]}'),
        "answer.no_data",
    ),
    "something behind": (answer(get_answer(BASE64) + b"x"), "answer.trailing"),
    "accepted for later": (answer(get_answer(BASE64), 202), "http.202"),
}


def without_download(say: bytes):
    """downloadEdoc does not exist; getEdoc says this."""

    async def talk(reader, writer):
        head = heads_of[id(talk)][-1]
        if b"downloadEdoc" in head:
            writer.write(answer(b"", 404))
        else:
            await read_body(head, reader)
            writer.write(say)
        await writer.drain()

    return talk


async def got_by_json(say: bytes):
    talk = without_download(say)
    sink = io.BytesIO()
    async with raw_server(talk) as (url, heads), vxp_axis(url, inner_tries=1) as axis:
        heads_of[id(talk)] = heads
        got = await axis.fetch(ITEM, sink, LONG)
    return got, sink.getvalue()


@pytest.mark.parametrize("how", sorted(BAD_GETS))
def test_a_bad_answer_with_base64_is_never_a_package(how):
    say, code = BAD_GETS[how]
    got, _ = asyncio.run(got_by_json(say))
    assert isinstance(got.failure, Deferred)
    assert got.failure.code == code


def test_a_package_in_json_is_read_however_it_is_written():
    escaped = get_answer("@").replace(b'"@"', b'"' + BASE64.replace("/", "\\/").encode() + b'"')
    for body in (get_answer(BASE64), escaped, b"\xef\xbb\xbf" + get_answer(BASE64) + b"\r\n"):
        got, data = asyncio.run(got_by_json(answer(body)))
        assert got.failure is None
        assert data == PACKAGE


@pytest.mark.parametrize(
    "say",
    [
        answer(PACKAGE),
        answer(PACKAGE, 201),
        b"HTTP/1.0 200 OK\r\n\r\n" + PACKAGE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(PACKAGE)
        + PACKAGE
        + b"\r\n0\r\n\r\n",
        answer(gzip.compress(PACKAGE), extra="Content-Encoding: gzip\r\n"),
    ],
)
def test_a_whole_download_is_taken_in_every_framing(say):
    got, data = asyncio.run(fetched(talking(say)))
    assert got.failure is None
    assert data == PACKAGE


def test_a_package_beyond_the_limit_is_refused_and_alarms():
    got, data = asyncio.run(fetched(talking(answer(PACKAGE)), max_package_bytes=100))
    assert isinstance(got.failure, Deferred)
    assert (got.failure.code, got.failure.alarm) == ("package.too_large", True)
    assert len(data) <= 100


def test_a_hung_download_ends_with_the_deadline():
    async def talk(reader, writer):
        writer.write(answer(PACKAGE)[:-50])
        await writer.drain()
        await reader.read(1)

    async def scene():
        async with raw_server(talk) as (url, _), vxp_axis(url) as axis:
            return await axis.fetch(ITEM, io.BytesIO(), SHORT)

    failure = asyncio.run(scene()).failure
    assert isinstance(failure, Deferred)
    assert failure.code == "answer.silence"


@pytest.mark.parametrize("doc_id", ["", "\u0110", "a\r\nX-Evil: 1", "a\x00", "x" * 300, " a"])
def test_an_id_that_cannot_be_a_header_is_never_sent(doc_id):
    async def scene():
        async with raw_server(talking(answer(PACKAGE))) as (url, heads), vxp_axis(url) as axis:
            item = WaitingItem(doc_id, DOCUMENT)
            assert (await axis.fetch(item, io.BytesIO(), LONG)).failure == Deferred(
                "item.bad_id", alarm=True
            )
            assert await axis.acknowledge(doc_id, LONG) == Deferred("item.bad_id", alarm=True)
            assert heads == []

    asyncio.run(scene())


def test_a_reset_before_an_answer_is_repeated_where_repeating_is_safe():
    async def talk(reader, writer):
        del reader
        if len(tries) < 3:
            tries.append(True)
            writer.transport.abort()
            return
        writer.write(answer(b'{"status":"OK","ErrorCode":"0","data":[]}'))
        await writer.drain()

    tries = [True]

    async def scene():
        async with raw_server(talk) as (url, _), vxp_axis(url, inner_tries=3) as axis:
            return await axis.list_waiting(DOCUMENT, LONG)

    assert asyncio.run(scene()).failure is None
    assert len(tries) == 3


# --- lists -----------------------------------------------------------------------------------


async def listed(say: bytes, **settings):
    async with (
        raw_server(talking(say)) as (url, _),
        vxp_axis(url, inner_tries=1, **settings) as axis,
    ):
        return await axis.list_waiting(DOCUMENT, LONG)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b'{"status":"OK","ErrorCode":"0","ErrorDesc":"Success"}',
        b'{"status":"OK","ErrorCode":"0","data":{}}',
        b'{"status":"OK","ErrorCode":"0","data":"W10="}',
        b'{"status":"OK","data":[]}',
        b'{"status":"FAIL","ErrorCode":"-1","data":[]}',
        b'{"status":"OK","ErrorCode":"0","data":[{"docId":"a"}',
        b'{"status":"OK","ErrorCode":"0","data":[{"docId":"a"}]',
        b'{"status":"OK","ErrorCode":"0","data":[{"docId":null}]}',
        b'{"status":"OK","ErrorCode":"0","data":[{}, 7, null, {"docId":"a\\u0000"}]}',
    ],
)
def test_a_list_that_is_no_list_is_a_failure(body):
    listing = asyncio.run(listed(answer(body)))
    assert isinstance(listing.failure, Deferred)
    assert listing.items == ()


def test_null_fields_and_unusable_lines_do_not_hide_the_others():
    items = [
        {"docId": None, "from": "a"},
        {"docId": "one", "from": None, "to": ["x"], "status": 7, "messageType": "STATUS"},
        {"docId": "two"},
        {"docId": "one", "from": "again"},
        {"docId": 12, "from": "a\x00\ud800b"},
    ]
    body = json.dumps({"status": "ok", "ErrorCode": 0, "data": items}).encode()
    listing = asyncio.run(listed(answer(body)))
    assert listing.failure is None
    assert [item.axis_doc_id for item in listing.items] == ["one", "two", "12"]
    assert listing.items[0].kind is PackageKind.STATUS
    assert listing.items[2].sender == "a b"


def test_an_empty_list_is_an_empty_list():
    for data in (b"[]", b"null"):
        listing = asyncio.run(listed(answer(b'{"status":"OK","ErrorCode":"0","data":%s}' % data)))
        assert listing.failure is None
        assert listing.items == ()


def test_a_list_beyond_the_limit_is_a_failure():
    body = b'{"status":"OK","ErrorCode":"0","data":[%s{"docId":"a"}]}' % (b'{"docId":"b"},' * 5000)
    listing = asyncio.run(listed(answer(body), max_reply_bytes=20_000))
    assert isinstance(listing.failure, Deferred)
    assert listing.failure.code == "answer.too_large"


def test_counts_are_read_and_their_failures_told():
    async def count(body: bytes):
        async with raw_server(talking(answer(body))) as (url, _), vxp_axis(url) as axis:
            return await axis.count_waiting(PackageKind.STATUS, LONG)

    assert asyncio.run(count(b'{"ErrorCode":"0","count":17}')).waiting == 17
    assert asyncio.run(count(b'{"ErrorCode":0,"count":"3"}')).waiting == 3
    for body in (b"", b"[]", b'{"ErrorCode":"0"}', b'{"ErrorCode":"1","count":3}', b"<html>"):
        assert isinstance(asyncio.run(count(body)).failure, Deferred)


def test_the_clock_is_asked_for_every_call():
    async def scene():
        clock = FixedClock()
        said = answer(b'{"ErrorCode":"0","count":1}')
        async with raw_server(talking(said)) as (url, heads), vxp_axis(url) as axis:
            axis._clock = clock
            await axis.count_waiting(DOCUMENT, LONG)
            clock.at = clock.at.replace(year=2027)
            await axis.count_waiting(DOCUMENT, LONG)
        return heads

    first, second = asyncio.run(scene())
    assert b"XroadVnpt-timestamp: 22112026T102538+0589" in first
    assert b"XroadVnpt-timestamp: 22112027T102538+0589" in second
