"""SOAP software that is not ours: zeep as a plain client, verifiers of signatures by others."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from importlib.resources import files

import pytest
import requests
import zeep
from lxml import etree
from signxml import InvalidDigest, XMLVerifier
from signxml.verifier import SignatureConfiguration
from zeep.exceptions import SignatureVerificationFailed
from zeep.wsse.signature import MemorySignature

from adapters.edoc_soap.axis import SoapAxis
from adapters.edoc_soap.contract import SEND, SOAP_11, Contract
from adapters.edoc_soap.profile import Profile
from adapters.edoc_soap.security import WSSE, WSU, X509Signer
from adapters.edoc_soap.trees import node
from gateway.model.outcome import Delivered
from gateway.model.package import NS_DSIG, NS_EDXML1, PackageKind
from gateway.packing.read import read_package
from tests.support.axes import SYSTEMS, FixedClock, document_package, parcel, status_package
from tests.support.pki import AT, cast
from tests.support.soap import soap_settings, soap_simulator

WSDL = str(files("schemas") / "soap" / "edoc.wsdl")
LONG = 60.0
US, THEM = "exp.sys.01", "exp.sys.02"


def plain_client(url: str, port: str = "Swa11"):
    """zeep as anybody would use it: requests underneath, the WSDL from its file."""
    client = zeep.Client(WSDL, transport=zeep.Transport(timeout=30, operation_timeout=30))
    binding = "{urn:edoc-gateway:soap}" + port
    return client.create_service(binding, url)


def asking(account: str) -> dict[str, str]:
    return {"OrganId": account, "Token": SYSTEMS[account][0]}


def test_a_plain_zeep_client_exchanges_with_our_axis_over_the_simulator(tmp_path):
    """It collects what our adapter sent, confirms it and reports on it; we hear of both."""

    async def scene():
        async with soap_simulator(tmp_path) as simulated:
            axis = SoapAxis(soap_settings(simulated.url), FixedClock())
            try:
                sent = await axis.submit(parcel(document_package()), LONG)
                assert isinstance(sent, Delivered)
                await asyncio.to_thread(stranger, simulated.url, sent.remote_ref)
                heard = await axis.list_waiting(PackageKind.STATUS, LONG)
                assert sorted(item.listed_status for item in heard.items) == ["01", "03"]
                for item in heard.items:
                    sink = io.BytesIO()
                    assert (await axis.fetch(item, sink, LONG)).failure is None
                    sink.seek(0)
                    read = read_package(sink)
                    assert read.status is not None
                    assert read.status.code == item.listed_status
            finally:
                await axis.close()

    def stranger(url, doc_id):
        service = plain_client(url)
        pending = service.GetPendingDocumentIds(**asking(THEM))
        assert pending.DocumentIds.DocumentId == [doc_id]
        wrong = service.GetPendingDocumentIds(OrganId=THEM, Token="sai")
        assert wrong.Report.IsSuccess == "false"
        assert wrong.Report.ErrorList.Error[0].Code == "CheckPermission.Token"
        raw = requests.post(
            url,
            data=f"<S:Envelope xmlns:S='{SOAP_11}'><S:Body><GetDocumentRequest><OrganId>{THEM}"
            f"</OrganId><Token>{SYSTEMS[THEM][0]}</Token><DOCUMENTID>{doc_id}</DOCUMENTID>"
            "</GetDocumentRequest></S:Body></S:Envelope>",
            headers={"SOAPAction": "GetDocument", "Content-Type": "text/xml"},
            timeout=30,
        )
        front = f"Content-Type: {raw.headers['Content-Type']}\r\n\r\n".encode()
        read = read_package(io.BytesIO(front + raw.content))
        assert [f.name for f in read.files] == ["12.pdf"]
        assert service.ConfirmReceived(documentId=doc_id, **asking(THEM)).IsSuccess == "true"
        assert service.GetPendingDocumentIds(**asking(THEM)) is None
        status = {
            "From": {"OrganId": "000.00.00.G22"},
            "ResponseFor": {"OrganId": "000.00.19.H14", "DocumentId": "x", "Code": "12/UBND-VX"},
            "StatusCode": "03",
            "Timestamp": "2026/11/22 09:00:00",
        }
        key = etree.Element(f"{{{NS_EDXML1}}}Signature")
        info = etree.SubElement(key, f"{{{NS_EDXML1}}}KeyInfo")
        for name, text in asking(THEM).items():
            etree.SubElement(info, f"{{{NS_EDXML1}}}{name}").text = text
        assert service.UpdateTraces(**status, _soapheaders=[key]).IsSuccess == "true"
        again = service.UpdateTraces(**status, _soapheaders=[key])
        assert again.ErrorList.Error[0].Code == "M.Exist"
        organs = service.GetOrganizations(**asking(THEM)).Organizations.Organization
        assert "000.00.19.H14" in {one.OrganId for one in organs}

    asyncio.run(scene())


def test_a_plain_zeep_client_sends_a_whole_package_and_we_collect_it(tmp_path):
    profile = Profile(payload="package")
    package = document_package(sender="000.00.00.G22", receivers=("000.00.19.H14",))

    async def scene():
        async with soap_simulator(tmp_path, profile=profile) as simulated:
            axis = SoapAxis(soap_settings(simulated.url, profile=profile), FixedClock())
            try:
                said = await asyncio.to_thread(stranger, simulated.url)
                (item,) = (await axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
                assert item.axis_doc_id == said
                sink = io.BytesIO()
                assert (await axis.fetch(item, sink, LONG)).failure is None
                assert sink.getvalue() == package
            finally:
                await axis.close()

    def stranger(url):
        import base64

        service = plain_client(url, "Package12")
        text = base64.encodebytes(package).decode()
        told = service.SendDocument(Package=text, **asking(THEM))
        assert told.Report.IsSuccess == "true"
        return told.DocumentId

    asyncio.run(scene())


# -- WS-Security


@pytest.fixture(params=["rsa", "ec"])
def leaf(request):
    return getattr(cast(), f"agency_{request.param}")


def signed(leaf) -> bytes:
    signer = X509Signer(leaf.key_pem(), leaf.pem, FixedClock())
    contract = Contract(Profile(security="x509"), US, "ma", signer)
    contract.load()
    return contract.request(SEND, {"version": "1.0"}, [node(NS_EDXML1, "ErrorList")])


def judged(envelope: bytes, leaf) -> list[str]:
    """What signxml says was signed; raises when the signature does not hold."""
    root = etree.fromstring(envelope)
    results = XMLVerifier().verify(
        root,
        x509_cert=leaf.certificate,
        id_attribute="Id",
        expect_config=SignatureConfiguration(expect_references=3, verification_time=AT),
    )
    return [etree.QName(one.signed_xml).localname for one in results]


def test_timestamp_body_and_token_are_signed_as_signxml_judges(leaf):
    envelope = signed(leaf)
    assert sorted(judged(envelope, leaf)) == ["BinarySecurityToken", "Body", "Timestamp"]
    root = etree.fromstring(envelope)
    created = root.find(f".//{{{WSU}}}Created").text
    assert created == "2026-11-22T03:25:38.589Z"
    token = root.find(f".//{{{WSSE}}}BinarySecurityToken").text
    reference = root.find(f".//{{{NS_DSIG}}}KeyInfo/{{{WSSE}}}SecurityTokenReference")
    assert reference[0].get("URI") == "#token"
    assert token


@pytest.mark.parametrize(
    ("was", "becomes"),
    [(b'version="1.0"', b'version="1.1"'), (b"2026-11-22T03:25", b"2026-11-22T09:25")],
)
def test_what_was_changed_behind_the_signature_is_found(leaf, was, becomes):
    envelope = signed(leaf)
    assert envelope.count(was) == 1
    changed = envelope.replace(was, becomes)
    with pytest.raises(InvalidDigest):
        judged(changed, leaf)
    with pytest.raises(SignatureVerificationFailed):
        MemorySignature(leaf.key_pem(), leaf.pem).verify(etree.fromstring(changed))


def test_zeep_itself_verifies_it(leaf):
    MemorySignature(leaf.key_pem(), leaf.pem).verify(etree.fromstring(signed(leaf)))


def test_a_profile_with_a_signature_delivers_documents_and_statuses(tmp_path):
    leaf = cast().agency_rsa
    profile = dataclasses.replace(Profile(), security="x509")

    async def scene():
        async with soap_simulator(tmp_path) as simulated:
            settings = soap_settings(
                simulated.url, profile=profile, key=leaf.key_pem(), certificate=leaf.pem
            )
            axis = SoapAxis(settings, FixedClock())
            try:
                assert isinstance(await axis.submit(parcel(document_package()), LONG), Delivered)
                status = parcel(
                    status_package(sender="000.00.19.H14", to="000.00.00.G22"),
                    kind=PackageKind.STATUS,
                )
                assert isinstance(await axis.submit(status, LONG), Delivered)
                assert (await axis.check_permission(LONG)).code == "ok"
            finally:
                await axis.close()

    asyncio.run(scene())
