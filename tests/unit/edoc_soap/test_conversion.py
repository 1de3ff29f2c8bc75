"""edXML 1.0 from QCVN 102 and back: the same document, and what is lost is named."""

from __future__ import annotations

import base64
import hashlib
import io

import pytest
from lxml import etree

from adapters.edoc_soap.arriving import SwaArrival
from adapters.edoc_soap.contract import SEND, Contract
from adapters.edoc_soap.forms import StatusForm, SwaForm
from adapters.edoc_soap.older import status_from_older, status_to_older, to_older
from adapters.edoc_soap.profile import Profile
from adapters.edoc_soap.simulator_depot import _PRESENT as PRESENT
from adapters.edoc_soap.trees import Node, TreeReader, node, read_tree
from adapters.streams import Spool
from gateway.errors import Unreadable
from gateway.model.package import identity
from gateway.packing.read import read_package
from tests.support.axes import document_package, status_package

FILES = (
    ("12.pdf", "application/pdf", b"%PDF-1.7 " + b"noi dung " * 40_000),
    ("Phụ lục số 1.docx", "application/octet-stream", b"PK\x03\x04 khong that"),
    ("trong.txt", "text/plain", b""),
)
PACKAGE = document_package(files=FILES, signature="<edXML:Signature><a/></edXML:Signature>")


def contract(**changes: object) -> Contract:
    made = Contract(Profile(**changes), "000.00.19.H14", "ma-bi-mat")  # type: ignore[arg-type]
    made.load()
    return made


def sent(package: bytes, how: Contract, step: int = 10_000) -> tuple[str, bytes, SwaForm]:
    form = SwaForm(how, hashlib.sha256(package).hexdigest())
    pieces = [form.take(package[at : at + step]) for at in range(0, len(package), step)]
    return form.content_type(), b"".join(pieces) + form.finish(), form


def came(content_type: str, message: bytes, how: Contract, step: int = 7_001) -> bytes:
    sink = io.BytesIO()
    arrival = SwaArrival(how, content_type, Spool(sink, 1 << 30))
    for at in range(0, len(message), step):
        arrival.feed(message[at : at + step])
    arrival.close()
    assert arrival.answer is None
    return sink.getvalue()


def named(read) -> str:
    return identity(read.header, [(f.declared_name, f.sha256) for f in read.files])


@pytest.mark.parametrize("parts", ["base64", "text", "binary"])
def test_a_document_that_went_by_edxml_1_is_the_same_document(parts):
    how = contract(parts=parts)
    content_type, message, _ = sent(PACKAGE, how)
    back = came(content_type, message, how)
    before, after = read_package(io.BytesIO(PACKAGE)), read_package(io.BytesIO(back))
    assert named(after) == named(before)
    assert [(f.declared_name, f.carried_sha256) for f in after.files] == [
        (f.declared_name, f.carried_sha256) for f in before.files
    ]
    assert after.header.traces == before.header.traces
    assert b"ma-bi-mat" not in back
    assert b"from edXML 1.0; not carried: Signature" in back


def test_what_we_send_is_read_by_the_reader_of_edxml_1():
    content_type, message, _ = sent(PACKAGE, contract())
    whole = f"Content-Type: {content_type}\r\n\r\n".encode() + message
    read = read_package(io.BytesIO(whole))
    assert read.version == "edxml1"
    assert named(read) == named(read_package(io.BytesIO(PACKAGE)))


def test_equal_packages_give_equal_requests_in_any_pieces():
    how = contract()
    assert sent(PACKAGE, how, 1_000)[1] == sent(PACKAGE, how, 1_000_000)[1]


def header_of(package: bytes):
    reader = TreeReader(stream="ContentTransferEncoded")
    reader.feed(package)
    return reader.close().find("edXMLEnvelope", "edXMLHeader")


def test_every_element_that_the_other_side_insists_on_is_there():
    made = to_older(header_of(PACKAGE))
    message = made.blocks[0]
    assert [path for path in PRESENT if message.find(*path.split("/")) is None] == []
    assert [b.name for b in made.blocks] == ["MessageHeader", "TraceHeaderList", "ErrorList"]
    assert made.lost == ["Signature"]
    assert made.filled == ["DocumentType/Type", "OtherInfo/Priority"]
    assert made.words() == (
        "not carried in edXML 1.0: Signature; filled in: DocumentType/Type, OtherInfo/Priority"
    )


def test_dates_of_older_packages_become_those_of_today():
    said = (
        '<Status xmlns="http://www.e-doc.vn/Schema/"><StatusCode>03</StatusCode>'
        "<From><OrganId>A</OrganId></From><Timestamp>21/11/2026 08:00:00</Timestamp>"
        "<ResponseFor><OrganId>B</OrganId><Code>1/A&amp;B</Code>"
        "<PromulgationDate>20/11/2026</PromulgationDate></ResponseFor></Status>"
    )
    report = read_package(io.BytesIO(status_from_older(read_tree(said.encode())))).status
    assert report is not None
    assert (report.code, report.timestamp) == ("03", "2026/11/21 08:00:00")
    assert report.response_for.code == "1/A&B"
    assert report.response_for.promulgation_date == "2026-11-20"


def test_a_status_is_the_same_after_the_way_there_and_back():
    package = status_package()
    status = status_to_older(header_of(package))
    assert status.name == "Status"
    back = read_package(io.BytesIO(status_from_older(status)))
    assert back.status == read_package(io.BytesIO(package)).status


def test_what_has_no_form_there_is_refused_with_a_reason():
    how = contract()
    broken = PACKAGE.replace(base64.b64encode(FILES[0][2])[:40], b"!" * 40)
    for package, form in (
        (broken, SwaForm(how, "0" * 64)),
        (PACKAGE.replace(b"QCVN_102_2016", b"QCVN_102_2099"), SwaForm(how, "0" * 64)),
        (PACKAGE[:500], SwaForm(how, "0" * 64)),
        (b"<edXML/>", StatusForm(how)),
    ):
        with pytest.raises(Unreadable):
            form.take(package) + form.finish()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"soap": "1.2", "wrapper_namespace": "urn:x"},
        {"credentials": "signature"},
        {"credentials": "header"},
    ],
)
def test_the_envelope_written_in_zeeps_frame_is_the_one_that_zeep_writes(how):
    """Every block, credential and reference, whatever characters stand in it."""
    odd = "a<b>&\"c' \r\n\tđ 中 ]]> package"
    blocks = to_older(read_tree(PACKAGE).find("edXMLEnvelope", "edXMLHeader")).blocks
    blocks[0].children.append(
        node(blocks[0].uri, "Odd", Node(blocks[0].uri, "In", odd, [], {"a": odd}))
    )
    references = [
        {"href": f"cid:{n}", "AttachmentName": odd, "ContentType": kind, "Description": None}
        for n, kind in enumerate(("application/pdf", None, ""))
    ]
    made = contract(**how)
    for listed in (references, []):
        by_zeep = made.request(SEND, {"Reference": listed, "version": "1.0"}, blocks)
        for _ in range(2):
            ours = made.document(blocks, listed)
            assert shape(etree.fromstring(ours)) == shape(etree.fromstring(by_zeep))


def shape(found):
    """Names, attributes, text and children: what prefixes cannot change."""
    text = (found.text or "") if len(found) == 0 else (found.text or "").strip()
    return found.tag, dict(found.attrib), text, [shape(child) for child in found]


def test_a_token_in_the_header_stands_once_and_nowhere_else():
    """`credentials = "header"`: a SOAP header Token in its own namespace, OrganId in the body."""
    made = contract(credentials="header", token_namespace="urn:tinh")
    asked = etree.fromstring(made.request("GetDocument", {"documentId": "7"}))
    header, body = asked[0], asked[1]
    assert [(one.tag, one.text) for one in header] == [("{urn:tinh}Token", "ma-bi-mat")]
    assert shape(body[0]) == (
        "GetDocumentRequest",
        {},
        "",
        [("OrganId", {}, "000.00.19.H14", []), ("documentId", {}, "7", [])],
    )
    blocks = to_older(read_tree(PACKAGE).find("edXMLEnvelope", "edXMLHeader")).blocks
    for envelope in (
        made.document(blocks, []),
        made.request("UpdateTraces", {"StatusCode": "03"}),
        etree.tostring(asked),
    ):
        assert envelope.count(b"ma-bi-mat") == 1
    assert b"KeyInfo" not in made.document(blocks, [])
