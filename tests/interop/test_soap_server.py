"""A SOAP server that is not ours: soapbar behind wsgiref, our adapter and zeep as its clients."""

from __future__ import annotations

import asyncio
import base64
import io
from importlib.resources import files

import pytest
import zeep
from lxml import etree

from adapters.edoc_soap.axis import SoapAxis
from adapters.edoc_soap.profile import Profile
from gateway.model.outcome import Deferred, Delivered, Refused
from gateway.model.package import NS_EDXML1, PackageKind
from gateway.packing.read import read_package
from gateway.ports import Listing
from tests.support.axes import SYSTEMS, FixedClock, document_package, parcel, status_package
from tests.support.soap import soap_settings
from tests.support.soap_foreign import foreign_axis

LONG = 60.0
US, THEM = "exp.sys.01", "exp.sys.02"
OURS, THEIRS = "000.00.19.H14", "000.00.00.G22"
# wsgiref reads no chunked body: what `framing` is there for
PROFILE = Profile(payload="package", framing="length")


@pytest.fixture
def foreign():
    with foreign_axis(SYSTEMS) as running:
        yield running


def talking(foreign, scene, account=US, **changes):
    """Runs `scene(axis)` with a client of this account."""

    async def whole():
        settings = soap_settings(foreign.url, account, profile=PROFILE, **changes)
        axis = SoapAxis(settings, FixedClock())
        try:
            return await scene(axis)
        finally:
            await axis.close()

    return asyncio.run(whole())


def asking(account: str) -> dict[str, str]:
    return {"OrganId": account, "Token": SYSTEMS[account][0]}


async def fetched(axis, item) -> bytes:
    sink = io.BytesIO()
    got = await axis.fetch(item, sink, LONG)
    assert got.failure is None
    assert got.size == len(sink.getvalue())
    return sink.getvalue()


def test_documents_and_statuses_go_both_ways_through_a_server_of_others(foreign):
    """All is said with our adapter on both ends: account 1 is us, account 2 another gateway."""
    out = document_package(files=(("12.pdf", "application/pdf", b"%PDF-1.7 " + b"x" * 300_000),))
    back = document_package(document_id="tra loi", sender=THEIRS, receivers=(OURS,))

    async def sending(axis):
        sent = await axis.submit(parcel(out), LONG)
        assert sent == Delivered("1", "ok")
        refused = await axis.submit(parcel(out), LONG)
        assert isinstance(refused, Refused)
        assert refused.code == "edoc.M.Exist"

    async def answering(axis):
        (item,) = (await axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
        assert item.axis_doc_id == "1"
        assert await fetched(axis, item) == out
        assert isinstance(await axis.acknowledge("1", LONG), Delivered)
        assert await axis.list_waiting(PackageKind.DOCUMENT, LONG) == Listing()
        told = parcel(status_package(code="03"), kind=PackageKind.STATUS, sender=THEIRS)
        assert isinstance(await axis.submit(told, LONG), Delivered)
        answer = parcel(back, sender=THEIRS, receivers=(OURS,))
        assert await axis.submit(answer, LONG) == Delivered("2", "ok")

    async def hearing(axis):
        heard = (await axis.list_waiting(PackageKind.STATUS, LONG)).items
        assert [one.listed_status for one in heard] == ["01", "03"]
        for one in heard:
            read = read_package(io.BytesIO(await fetched(axis, one)))
            assert read.status is not None
            assert read.status.code == one.listed_status
            assert read.status.sender.organ_id == THEIRS
        (item,) = (await axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
        assert await fetched(axis, item) == back

    talking(foreign, sending)
    talking(foreign, answering, account=THEM)
    talking(foreign, hearing)
    said = foreign.service.seen
    assert said[:2] == ["SendDocument"] * 2
    assert {"GetDocument", "ConfirmReceived", "UpdateTraces", "GetTraces"} <= set(said)
    assert {r["HTTP_SOAPACTION"] for r in foreign.requests} >= {'"SendDocument"'}


def test_our_adapter_and_plain_zeep_exchange_through_it_with_nothing_else_of_ours(foreign):
    """The one client is ours; the server, and the client on the other side, are of others."""
    out = document_package()
    back = document_package(document_id="tra loi", sender=THEIRS, receivers=(OURS,))
    wsdl = str(files("schemas") / "soap" / "edoc.wsdl")
    client = zeep.Client(wsdl, transport=zeep.Transport(timeout=30, operation_timeout=30))
    service = client.create_service("{urn:edoc-gateway:soap}Package11", foreign.url)

    async def sending(axis):
        assert isinstance(await axis.submit(parcel(out), LONG), Delivered)

    async def hearing(axis):
        (item,) = (await axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
        assert await fetched(axis, item) == back
        assert isinstance(await axis.acknowledge(item.axis_doc_id, LONG), Delivered)
        heard = (await axis.list_waiting(PackageKind.STATUS, LONG)).items
        assert [one.listed_status for one in heard] == ["01", "06"]

    talking(foreign, sending)
    pending = service.GetPendingDocumentIds(**asking(THEM))
    assert pending.DocumentIds.DocumentId == ["1"]
    body = service.GetDocument(documentId="1", **asking(THEM))
    assert base64.b64decode(getattr(body, "Package", body)) == out
    assert service.ConfirmReceived(documentId="1", **asking(THEM)).IsSuccess == "true"
    key = etree.Element(f"{{{NS_EDXML1}}}Signature")
    told = service.UpdateTraces(
        From={"OrganId": THEIRS},
        ResponseFor={"OrganId": OURS, "DocumentId": "x", "Code": "12/UBND-VX"},
        StatusCode="06",
        Timestamp="2026/11/22 11:00:00",
        _soapheaders=[key],
    )
    assert told.IsSuccess == "true"
    sent = service.SendDocument(Package=base64.b64encode(back).decode(), **asking(THEM))
    assert sent.Report.IsSuccess == "true"
    talking(foreign, hearing)


def test_its_faults_are_outcomes_and_its_empty_lists_are_empty(foreign):
    async def scene(axis):
        assert await axis.list_waiting(PackageKind.DOCUMENT, LONG) == Listing()
        assert await axis.list_waiting(PackageKind.STATUS, LONG) == Listing()
        seen = []
        assert await axis.read_directory(seen.append, LONG) is None
        assert {one.code: one.name for one in seen}[THEIRS] == f"Cơ quan {THEIRS}"
        unknown = await axis.acknowledge("77", LONG)
        assert isinstance(unknown, Deferred)
        assert (unknown.code, "77" in unknown.detail) == ("soap.fault.Client", True)
        # its body is empty, which this server takes for no request at all
        checked = await axis.check_permission(LONG)
        assert isinstance(checked, Deferred)
        assert checked.code == "soap.fault.Client"

    async def strange(axis):
        listed = await axis.list_waiting(PackageKind.DOCUMENT, LONG)
        assert listed.failure is not None
        assert listed.failure.code == "soap.fault.Client"
        assert "account is not known" in listed.failure.detail

    talking(foreign, scene)
    talking(foreign, strange, token="another-one")
