"""Answers that the axis must sign: made by zeep and by signxml, spoilt in every way we know."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import io
from datetime import timedelta

import pytest
import xmlsec
from lxml import etree
from signxml import CanonicalizationMethod, XMLSigner, methods
from zeep.wsse.signature import MemorySignature
from zeep.wsse.signature import _sign_envelope_with_key_binary as sign_binary

from adapters.edoc_soap.axis import SoapAxis
from adapters.edoc_soap.profile import Profile
from adapters.edoc_soap.security import WSSE, WSU
from gateway.errors import Misconfigured
from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain
from gateway.model.package import NS_DSIG, PackageKind
from gateway.ports import Listing, WaitingItem
from tests.support.axes import FixedClock, answer, document_package, parcel, raw_server
from tests.support.edxml1 import SOAP, E
from tests.support.pki import AT, cast, rsa_key
from tests.support.soap import soap_settings, whole_request

LONG = 100.0
PROFILE = Profile(verify_answers=True)
ITEM = WaitingItem("1", PackageKind.DOCUMENT)
GOOD = (
    "<E:SendDocumentResponse><E:Report><E:IsSuccess>true</E:IsSuccess></E:Report>"
    "<E:DocumentId>7</E:DocumentId></E:SendDocumentResponse>"
)
LISTED = (
    "<E:GetPendingDocumentIdsResponse><E:DocumentIds><E:DocumentId>1</E:DocumentId>"
    "</E:DocumentIds></E:GetPendingDocumentIdsResponse>"
)
SHA256 = {
    "signature_method": xmlsec.Transform.RSA_SHA256,
    "digest_method": xmlsec.Transform.SHA256,
}


def bare(inner: str, header: str = "", at=AT) -> bytes:
    """An envelope with a timestamp, as a server hands it to its signer."""
    moment, end = (f"{one:%Y-%m-%dT%H:%M:%S.000Z}" for one in (at, at + timedelta(minutes=5)))
    return (
        f'<S:Envelope xmlns:S="{SOAP}" xmlns:E="{E}" xmlns:u="{WSU}"><S:Header>{header}'
        f'<w:Security xmlns:w="{WSSE}"><u:Timestamp u:Id="TS"><u:Created>{moment}</u:Created>'
        f"<u:Expires>{end}</u:Expires></u:Timestamp></w:Security></S:Header>"
        f'<S:Body u:Id="BODY">{inner}</S:Body></S:Envelope>'
    ).encode()


def by_zeep(inner: str, leaf=None, how=None, **more) -> bytes:
    leaf = leaf or cast().agency_rsa
    root = etree.fromstring(bare(inner, **more))
    MemorySignature(leaf.key_pem(), leaf.pem, None, **(how or SHA256)).apply(root, {})
    return etree.tostring(root)


def by_zeep_with_a_token(inner: str) -> bytes:
    leaf = cast().agency_rsa
    root = etree.fromstring(bare(inner))
    key = xmlsec.Key.from_memory(leaf.key_pem(), xmlsec.KeyFormat.PEM, None)
    key.load_cert_from_memory(leaf.pem, xmlsec.KeyFormat.PEM)
    sign_binary(root, key, SHA256["signature_method"], SHA256["digest_method"])
    return etree.tostring(root)


def by_signxml(inner: str) -> bytes:
    leaf = cast().agency_ec
    root = etree.fromstring(bare(inner))
    exclusive = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
    signer = XMLSigner(
        method=methods.detached, signature_algorithm="ecdsa-sha256", c14n_algorithm=exclusive
    )
    made = signer.sign(
        root,
        key=leaf.key,
        cert=[leaf.certificate],
        reference_uri=["#BODY", "#TS"],
        id_attribute="Id",
    )
    root.find(f".//{{{WSSE}}}Security").append(made)
    return etree.tostring(root)


SIGNERS = [by_zeep, by_zeep_with_a_token, by_signxml]


@contextlib.asynccontextmanager
async def axis_that_hears(said: bytes, kind="text/xml; charset=utf-8", status=200, at=AT):
    async def talk(reader, writer):
        await whole_request(heads[-1], reader)
        writer.write(answer(said, status, f"Content-Type: {kind}\r\nConnection: close\r\n"))
        await writer.drain()

    trusted = cast().agency_rsa.pem + cast().agency_ec.pem
    async with raw_server(talk) as (url, heads):
        settings = soap_settings(url, profile=PROFILE, answer_certificates=trusted)
        axis = SoapAxis(settings, FixedClock(at))
        try:
            yield axis
        finally:
            await axis.close()


def submitted(said: bytes, **more):
    async def scene():
        async with axis_that_hears(said, **more) as axis:
            return await axis.submit(parcel(document_package()), LONG)

    return asyncio.run(scene())


def listed(said: bytes, **more) -> Listing:
    async def scene():
        async with axis_that_hears(said, **more) as axis:
            return await axis.list_waiting(PackageKind.DOCUMENT, LONG)

    return asyncio.run(scene())


@pytest.mark.parametrize("sign", SIGNERS)
def test_an_answer_that_others_signed_for_the_axis_is_believed(sign):
    assert submitted(sign(GOOD)) == Delivered("7", "ok", submitted(by_zeep(GOOD)).detail)
    assert [one.axis_doc_id for one in listed(sign(LISTED)).items] == ["1"]
    bad = "<E:SendDocumentResponse><E:Report><E:IsSuccess>false</E:IsSuccess><E:ErrorList><E:Error>"
    bad += "<E:Code>N.To</E:Code></E:Error></E:ErrorList></E:Report></E:SendDocumentResponse>"
    assert isinstance(submitted(sign(bad)), Refused)


def changed(data: bytes, was: str, becomes: str) -> bytes:
    assert data.count(was.encode()) == 1
    return data.replace(was.encode(), becomes.encode())


def wrapped(place: str) -> bytes:
    """The signed body moved away, another one where it is looked for."""
    root = etree.fromstring(by_zeep(GOOD.replace(">7<", ">666<")))
    body = root.find(f"{{{SOAP}}}Body")
    evil = etree.Element(f"{{{SOAP}}}Body", nsmap={"E": E})
    evil.append(etree.fromstring(f'<E:x xmlns:E="{E}">{GOOD}</E:x>')[0])
    if place == "beside":
        root.append(evil)
    elif place == "before, of another namespace":
        evil.tag = "{urn:other}Body"
        body.addprevious(evil)
    elif place == "instead, the signed one in the header":
        root.replace(body, evil)
        root.find(f"{{{SOAP}}}Header").append(body)
    else:
        root.replace(body, evil)
        evil.set(f"{{{WSU}}}Id", body.get(f"{{{WSU}}}Id"))
        etree.SubElement(root.find(f"{{{SOAP}}}Header"), "{urn:other}kept").append(body)
    return etree.tostring(root)


def without(name: str) -> bytes:
    root = etree.fromstring(by_zeep(GOOD))
    found = root.find(f".//{{{NS_DSIG}}}{name}")
    found = root.find(f".//{{{WSU}}}{name}") if found is None else found
    found.getparent().remove(found)
    return etree.tostring(root)


def body_alone() -> bytes:
    root = etree.fromstring(bare(GOOD))
    security = root.find(f".//{{{WSSE}}}Security")
    stamp = security[0]
    security.remove(stamp)
    leaf = cast().agency_rsa
    MemorySignature(leaf.key_pem(), leaf.pem, None, **SHA256).apply(root, {})
    security.append(stamp)
    return etree.tostring(root)


def stranger():
    """Of the same authority, and not the one that was named."""
    return cast().root.leaf("another (test)", rsa_key(1))


def plain(header: str) -> bytes:
    start = f'<S:Envelope xmlns:S="{SOAP}" xmlns:E="{E}">{header}'
    return f"{start}<S:Body>{GOOD}</S:Body></S:Envelope>".encode()


def weak() -> bytes:
    return by_zeep(
        GOOD,
        how={
            "signature_method": xmlsec.Transform.RSA_SHA1,
            "digest_method": xmlsec.Transform.SHA1,
        },
    )


HOUR = timedelta(hours=1)
BAD = {
    "no signature at all": lambda: bare(GOOD),
    "no security header": lambda: plain("<S:Header/>"),
    "no header": lambda: plain(""),
    "a changed body": lambda: changed(by_zeep(GOOD), ">7<", ">8<"),
    "a changed timestamp": lambda: changed(by_zeep(GOOD), "03:00:00.000Z", "03:00:01.000Z"),
    "a stranger's certificate": lambda: by_zeep(GOOD, leaf=stranger()),
    "SHA-1": weak,
    "an old answer": lambda: by_zeep(GOOD, at=AT - HOUR),
    "an answer of tomorrow": lambda: by_zeep(GOOD, at=AT + HOUR),
    "the timestamp not signed": body_alone,
    "no timestamp": lambda: without("Timestamp"),
    "no reference left": lambda: without("Reference"),
    "another body beside it": lambda: wrapped("beside"),
    "a body of another namespace": lambda: wrapped("before, of another namespace"),
    "the body moved into the header": lambda: wrapped("instead, the signed one in the header"),
    "the same id twice": lambda: wrapped("the id twice"),
}


@pytest.mark.parametrize("how", BAD)
def test_an_answer_that_is_not_signed_as_it_must_be_is_never_believed(how):
    said = BAD[how]()
    outcome = submitted(said)
    assert isinstance(outcome, Uncertain)
    assert outcome.code == "answer.unsigned"
    assert outcome.detail
    told = listed(said).failure
    assert isinstance(told, Deferred)
    assert (told.code, told.alarm) == ("answer.unsigned", True)


def test_a_fault_and_an_error_that_nobody_signed_refuse_nothing():
    fault = "<S:Fault><faultcode>S:Client</faultcode><faultstring>x</faultstring></S:Fault>"
    assert submitted(bare(fault), status=500).code == "answer.unsigned"
    assert isinstance(submitted(by_zeep(fault), status=500), Deferred)
    page = submitted(b"<html>502</html>", status=502)
    assert page == Uncertain("http.502", page.detail)


def test_a_certificate_that_is_not_in_force_signs_nothing():
    later = AT + timedelta(days=3650)
    outcome = submitted(by_zeep(GOOD, at=later), at=later)
    assert (outcome.code, isinstance(outcome, Uncertain)) == ("answer.unsigned", True)


def document(envelope: bytes) -> bytes:
    text = base64.b64encode(b"%PDF-1.7 x")
    return (
        b"--b\r\nContent-Type: text/xml; charset=utf-8\r\nContent-ID: <root>\r\n\r\n"
        + envelope
        + b"\r\n--b\r\nContent-Type: application/pdf\r\nContent-ID: <1@x>\r\n\r\n"
        + text
        + b"\r\n--b--\r\n"
    )


def test_a_document_whose_envelope_is_not_signed_leaves_nothing_in_the_sink():
    blocks = (
        "<E:MessageHeader><E:From><E:OrganId>000.00.00.G22</E:OrganId></E:From><E:To><E:OrganId>"
        "000.00.19.H14</E:OrganId></E:To><E:Subject>x</E:Subject></E:MessageHeader>"
    )
    manifest = (
        '<E:Manifest xmlns:l="http://www.w3.org/1999/xlink"><E:Reference l:href="cid:1@x">'
        "<E:AttachmentName>a.pdf</E:AttachmentName></E:Reference></E:Manifest>"
    )
    kind = 'multipart/related; type="text/xml"; boundary="b"'

    async def fetched(envelope):
        async with axis_that_hears(document(envelope), kind) as axis:
            sink = io.BytesIO()
            return await axis.fetch(ITEM, sink, LONG), sink.getvalue()

    good, kept = asyncio.run(fetched(by_zeep(manifest, header=blocks)))
    assert good.failure is None
    assert kept.rstrip().endswith(b"</edXML>")
    spoilt = changed(by_zeep(manifest, header=blocks), "a.pdf", "b.pdf")
    for envelope in (bare(manifest, header=blocks), spoilt):
        got, kept = asyncio.run(fetched(envelope))
        assert got.failure is not None
        assert (got.failure.code, got.failure.alarm, kept) == ("answer.unsigned", True, b"")


def test_without_certificates_or_with_wrong_ones_the_axis_is_not_made():
    with pytest.raises(Misconfigured) as raised:
        soap_settings("http://127.0.0.1:1/", profile=PROFILE)
    assert "answer_certificates" in raised.value.text.en
    settings = soap_settings("http://127.0.0.1:1/", profile=PROFILE, answer_certificates=b"x")
    with pytest.raises(Misconfigured):
        SoapAxis(settings, FixedClock())
    assert dataclasses.replace(PROFILE, verify_answers=False).verify_answers is False
