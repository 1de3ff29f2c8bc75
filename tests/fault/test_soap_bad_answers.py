"""Every answer that a provincial axis should not give becomes an outcome with its words kept."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io

import pytest

from adapters.edoc_soap.axis import SoapAxis
from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain
from gateway.model.package import PackageKind
from gateway.ports import WaitingItem
from tests.support.axes import FixedClock, answer, document_package, parcel, raw_server
from tests.support.edxml1 import SOAP, E
from tests.support.soap import SWA, soap_settings, whole_request

LONG, SHORT = 100.0, 0.5
XML = "Content-Type: text/xml; charset=utf-8\r\nConnection: close\r\n"
MIME = 'Content-Type: multipart/related; type="text/xml"; boundary="b"\r\nConnection: close\r\n'
PDF = b"%PDF-1.7 " + b"mot hai ba bon " * 400


def envelope(inner: str, header: str = "") -> bytes:
    return (
        f'<S:Envelope xmlns:S="{SOAP}" xmlns:E="{E}"><S:Header>{header}</S:Header>'
        f"<S:Body>{inner}</S:Body></S:Envelope>"
    ).encode()


def report(operation: str, inner: str) -> bytes:
    return envelope(f"<E:{operation}Response><E:Report>{inner}</E:Report></E:{operation}Response>")


ERROR = (
    "<E:ErrorList><E:Error><E:Code>{}</E:Code><E:Description>{}</E:Description></E:Error>"
    "</E:ErrorList>"
)
FAULT = "<S:Fault><faultcode>S:{}</faultcode><faultstring>kho van ban day</faultstring></S:Fault>"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
GOOD = "<E:IsSuccess>true</E:IsSuccess>"
UTF8 = b'<?xml version="1.0" encoding="UTF-8"?>'
DTD = b'<!DOCTYPE x [<!ENTITY a "bung no">]>'


@contextlib.asynccontextmanager
async def axis_that_hears(said: bytes, profile=SWA):
    async def talk(reader, writer):
        await whole_request(heads[-1], reader)
        writer.write(said)
        await writer.drain()

    async with raw_server(talk) as (url, heads):
        axis = SoapAxis(soap_settings(url, profile=profile), FixedClock())
        try:
            yield axis
        finally:
            await axis.close()


def submitted(said: bytes, **changes):
    async def scene():
        async with axis_that_hears(said) as axis:
            return await axis.submit(parcel(document_package(), **changes), LONG)

    return asyncio.run(scene())


def listed(said: bytes):
    async def scene():
        async with axis_that_hears(said) as axis:
            return await axis.list_waiting(PackageKind.DOCUMENT, LONG)

    return asyncio.run(scene())


def fetched(said: bytes, seconds: float = LONG, profile=SWA):
    async def scene():
        sink = io.BytesIO()
        async with axis_that_hears(said, profile) as axis:
            got = await axis.fetch(WaitingItem("17", PackageKind.DOCUMENT), sink, seconds)
        return got, sink.getvalue()

    return asyncio.run(scene())


# -- sending


@pytest.mark.parametrize(
    ("said", "kind", "code", "words"),
    [
        (answer(envelope(FAULT.format("Server")), 500, XML), Uncertain, "soap.fault.Server", "kho"),
        (answer(envelope(FAULT.format("Client")), 500, XML), Deferred, "soap.fault.Client", "kho"),
        (answer(report("SendDocument", ""), 200, XML), Uncertain, "report.no_verdict", ""),
        (
            answer(report("SendDocument", "<E:IsSuccess>có lẽ</E:IsSuccess>"), 200, XML),
            Uncertain, "report.no_verdict", "",
        ),
        (
            answer(report("SendDocument", ERROR.format("N.Subject", "Thiếu trích yếu")), 200, XML),
            Uncertain, "report.no_verdict", "Thiếu trích yếu",
        ),
        (
            answer(b"<html><body>Dang nhap</body></html>", 200, "Content-Type: text/html\r\n"),
            Uncertain, "answer.no_envelope", "Dang nhap",
        ),
        (answer(b"khong phai XML", 200, XML), Uncertain, "answer.unreadable", "khong phai XML"),
        (answer(b"", 200, XML), Uncertain, "answer.unreadable", ""),
        (answer(envelope(""), 200, XML), Uncertain, "answer.empty", ""),
        (
            answer(envelope("<E:Other>la</E:Other>"), 200, XML),
            Uncertain, "answer.unexpected", "Other: la",
        ),
        (answer(DTD + envelope(""), 200, XML), Uncertain, "answer.dtd", "bung no"),
        (
            answer(report("SendDocument", "<E:IsSuccess>true</E:IsSuccess>")[:-30], 200, XML),
            Uncertain, "answer.unreadable", "IsSuccess",
        ),
        (
            answer(UTF8 + report("SendDocument", GOOD + "@").replace(b"@", b"\xea\xec"), 200, XML),
            Uncertain, "answer.unreadable", "",
        ),
        (answer(b"x" * 100, 502, "Content-Type: text/html\r\n"), Uncertain, "http.502", "xxx"),
        (answer(b"cam", 403, XML), Deferred, "http.403", "cam"),
        (
            CHUNKED + XML.encode() + b"\r\n5\r\n<S:En\r\n",
            Uncertain, "answer.cut", "",
        ),
        (
            answer(report("SendDocument", "<E:IsSuccess>true</E:IsSuccess>"), 500, XML),
            Uncertain, "answer.contradictory", "500",
        ),
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_doubt_unless_it_says_that_nothing_was_taken(said, kind, code, words):
    outcome = submitted(said)
    assert isinstance(outcome, kind)
    assert outcome.code == code
    assert words in outcome.detail


@pytest.mark.parametrize(
    ("codes", "kind", "code"),
    [
        (("N.MessageHeader.Subject",), Refused, "edoc.N.MessageHeader.Subject"),
        (("R.DocumentType.Type", "M.To"), Refused, "edoc.R.DocumentType.Type"),
        (("CheckPermission.Token",), Deferred, "edoc.CheckPermission.Token"),
        (("M.Exist",), Refused, "edoc.M.Exist"),
        (("la lung",), Deferred, "edoc.la_lung"),
    ],
)
def test_the_codes_of_a_report_mean_what_the_profile_says(codes, kind, code):
    inner = "".join(
        f"<E:Error><E:Code>{c}</E:Code><E:Description>loi {c}</E:Description></E:Error>"
        for c in codes
    )
    said = f"<E:IsSuccess>false</E:IsSuccess><E:ErrorList>{inner}</E:ErrorList>"
    outcome = submitted(answer(report("SendDocument", said), 200, XML))
    assert isinstance(outcome, kind)
    assert outcome.code == code
    assert f"loi {codes[0]}" in outcome.detail


def test_a_report_is_understood_whatever_its_namespace_order_and_wrapper():
    said = (
        "<SendDocumentResponse><DocumentId>9</DocumentId><More/><Report><ErrorList/>"
        "<IsSuccess> TRUE </IsSuccess></Report></SendDocumentResponse>"
    )
    outcome = submitted(answer(envelope(said), 200, "Content-Type: application/octet-stream\r\n"))
    assert outcome == Delivered("9", "ok", outcome.detail)
    bare = submitted(answer(envelope("<Report><IsSuccess>1</IsSuccess></Report>"), 200, XML))
    assert bare.code == "ok.no_ref"


def test_a_report_that_came_in_parts_is_read_too():
    first = report("SendDocument", "<E:IsSuccess>true</E:IsSuccess>")
    said = b"--b\r\nContent-Type: text/xml\r\n\r\n" + first + b"\r\n--b--\r\n"
    assert isinstance(submitted(answer(said, 200, MIME)), Delivered)


# -- asking


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (envelope(FAULT.format("Server")), "soap.fault.Server"),
        (envelope("<E:GetPendingDocumentIdsResponse><E:Report/></E:GetPendingDocumentIdsResponse>"),
         "report.no_verdict"),
        (b"<html/>", "answer.no_envelope"),
        (envelope(""), "answer.empty"),
        (envelope("<E:GetPendingDocumentIdsResponse><E:DocumentIds><E:DocumentId>1"
                  "</E:DocumentId></E:DocumentIds></E:GetPendingDocumentIdsResponse>")[:-25],
         "answer.unreadable"),
    ],
)  # fmt: skip
def test_a_list_that_is_no_list_is_a_failure(said, code):
    listing = listed(answer(said, 200, XML))
    assert isinstance(listing.failure, Deferred)
    assert listing.failure.code == code
    assert listing.items == ()


@pytest.mark.parametrize("inner", ["", "<E:DocumentIds/>", "<E:DocumentIds>  </E:DocumentIds>"])
def test_an_empty_list_is_an_empty_list(inner):
    said = f"<E:GetPendingDocumentIdsResponse>{inner}</E:GetPendingDocumentIdsResponse>"
    listing = listed(answer(envelope(said), 200, XML))
    assert listing.failure is None
    assert listing.items == ()


# -- fetching


HEADER = (
    "<E:MessageHeader><E:From><E:OrganId>000.00.00.H14</E:OrganId></E:From>"
    "<E:Subject>V/v thử</E:Subject></E:MessageHeader>"
)


def document(*names: str) -> bytes:
    references = "".join(
        f'<E:Reference x:href="cid:{n}"><E:AttachmentName>{n}.pdf</E:AttachmentName></E:Reference>'
        for n in names
    )
    manifest = f'<E:Manifest xmlns:x="http://www.w3.org/1999/xlink">{references}</E:Manifest>'
    return envelope(manifest, HEADER)


def message(root: bytes, *parts: bytes, end: bytes = b"\r\n--b--\r\n") -> bytes:
    first = b"--b\r\nContent-Type: text/xml\r\n\r\n" + root
    return first + b"".join(b"\r\n--b\r\n" + part for part in parts) + end


def part(name: str, body: bytes, encoding: str = "") -> bytes:
    lines = f"Content-Type: application/pdf\r\nContent-ID: <{name}>\r\n"
    if encoding:
        lines += f"Content-Transfer-Encoding: {encoding}\r\n"
    return lines.encode() + b"\r\n" + body


TEXT = base64.b64encode(PDF)


@pytest.mark.parametrize("promised", ["text", "as_declared"])
@pytest.mark.parametrize(
    ("body", "encoding"),
    [(TEXT, ""), (TEXT, "base64"), (PDF, ""), (PDF, "binary"), (PDF, "base64"), (TEXT, "binary")],
)
def test_a_file_is_what_it_is_whatever_was_promised(body, encoding, promised):
    import dataclasses

    profile = dataclasses.replace(SWA, answers=promised)
    whole = message(document("a"), part("a", body, encoding))
    got, package = fetched(answer(whole, 200, MIME), profile=profile)
    assert got.failure is None
    assert TEXT in package
    assert package.endswith(b"</edXML>\r\n")


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (answer(envelope(FAULT.format("Server")), 200, XML), "soap.fault.Server", "kho"),
        (
            answer(report("GetDocument", "<E:IsSuccess>false</E:IsSuccess>"
                          + ERROR.format("M.documentId", "Không có văn bản")), 200, XML),
            "edoc.M.documentId", "Không có văn bản",
        ),
        (
            answer(report("GetDocument", "<E:IsSuccess>true</E:IsSuccess>"), 200, XML),
            "answer.no_data", "",
        ),
        (answer(b"<html>Dang nhap</html>", 200, XML), "answer.no_envelope", "Dang nhap"),
        (answer(b"nothing in parts", 200, MIME), "package.incomplete", ""),
        (
            answer(b"nothing", 200, "Content-Type: multipart/related\r\nConnection: close\r\n"),
            "mime.boundary", "",
        ),
        (answer(document("a"), 200, XML), "package.part_missing", "a.pdf"),
        (
            answer(message(document("a", "b"), part("a", TEXT)), 200, MIME),
            "package.part_missing", "b.pdf",
        ),
        (
            answer(message(document("a"), part("a", TEXT), end=b""), 200, MIME),
            "package.incomplete", "",
        ),
        (
            answer(message(document("a"), part("a", TEXT[:-2], "base64")), 200, MIME),
            "base64.cut", "",
        ),
        (
            answer(message(document("a"), part("a", TEXT[:6000] + b"!" + TEXT[6001:], "base64")),
                   200, MIME),
            "base64.bad", "",
        ),
        (
            answer(message(document("a"), part("a", TEXT, "quoted-printable")), 200, MIME),
            "mime.encoding", "",
        ),
        (answer(message(DTD + document("a"), part("a", TEXT)), 200, MIME), "xml.doctype", ""),
        (
            answer(message(document("a")[:-20], part("a", TEXT)), 200, MIME),
            "answer.unreadable", "MessageHeader",
        ),
        (answer(message(b" " * (1 << 21)), 200, MIME), "limit.header_bytes", ""),
    ],
)  # fmt: skip
def test_what_is_no_whole_document_is_never_fetched(said, code, words):
    got, _ = fetched(said)
    assert isinstance(got.failure, Deferred)
    assert got.failure.code == code
    assert words in got.failure.detail


def test_a_body_that_never_ends_ends_with_the_deadline():
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{MIME}\r\n".encode()
    begun = message(document("a"), part("a", TEXT[:4000]), end=b"")

    async def scene():
        async def talk(reader, writer):
            writer.write(head + f"{len(begun):x}\r\n".encode() + begun + b"\r\n")
            await writer.drain()
            await reader.read()  # until the client gives up

        async with raw_server(talk) as (url, _):
            axis = SoapAxis(soap_settings(url), FixedClock())
            try:
                item = WaitingItem("17", PackageKind.DOCUMENT)
                return await axis.fetch(item, io.BytesIO(), SHORT)
            finally:
                await axis.close()

    got = asyncio.run(scene())
    assert got.failure == Deferred("answer.silence", got.failure.detail)


def test_a_huge_part_is_refused_by_its_limit():
    import dataclasses

    async def scene():
        async with axis_that_hears(
            answer(message(document("a"), part("a", TEXT * 40)), 200, MIME)
        ) as axis:
            axis._settings = dataclasses.replace(axis._settings, max_package_bytes=100_000)
            return await axis.fetch(WaitingItem("17", PackageKind.DOCUMENT), io.BytesIO(), LONG)

    got = asyncio.run(scene())
    assert got.failure is not None
    assert got.failure.code == "package.too_large"
    assert got.failure.alarm


def test_no_answer_shows_the_token():
    said = envelope(f"<E:Other>{soap_settings('http://localhost').token}</E:Other>")
    assert "***" in submitted(answer(said, 200, XML)).detail
