"""What the simulated axis does to packages: edxml-format 4, 9.3, 9.4 and 11."""

from __future__ import annotations

import base64
import io
import random
import zipfile
from contextlib import closing

import pytest
from lxml import etree

from adapters.vxp.rebuild import PackageRefused, read_package, write_rebuilt
from gateway.model.package import NS_DSIG, NS_QCVN102, PackageKind
from tests.support.axes import CAO_BANG, MINISTRY, document_package, status_package

Q = {"q": NS_QCVN102}
AT = "2026/11/22 10:25:38"


def rebuilt(data: bytes, *, zip_all: bool = False) -> bytes:
    out = io.BytesIO()
    with closing(read_package(io.BytesIO(data), attachments=True)) as contents:
        write_rebuilt(contents, out, at=AT, zip_all=zip_all)
    return out.getvalue()


def tree(data: bytes) -> etree._Element:
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, huge_tree=True))


def texts(root: etree._Element, path: str) -> list[str]:
    return [found.text or "" for found in root.findall(path, Q)]


def zipped(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def carried(root: etree._Element) -> list[bytes]:
    return [base64.b64decode(t) for t in texts(root, ".//q:ContentTransferEncoded")]


def test_sender_receivers_and_ids_are_read_from_a_document() -> None:
    contents = read_package(
        io.BytesIO(document_package(receivers=(MINISTRY, CAO_BANG, MINISTRY))), attachments=False
    )
    assert contents.kind is PackageKind.DOCUMENT
    assert contents.sender == CAO_BANG
    assert contents.receivers == (MINISTRY, CAO_BANG)
    assert contents.document_id == "000.00.19.H14,2026/11/20,12/UBND-VX"
    assert contents.notation == "12/UBND-VX"


def test_a_status_goes_to_the_agency_it_answers() -> None:
    contents = read_package(io.BytesIO(status_package()), attachments=False)
    assert contents.kind is PackageKind.STATUS
    assert contents.receivers == (CAO_BANG,)


def test_a_rebuilt_status_keeps_its_code_and_has_no_body() -> None:
    root = tree(rebuilt(status_package(code="06")))
    assert texts(root, ".//q:StatusCode") == ["06"]
    assert not root.findall(".//q:edXMLBody", Q)
    assert not root.findall(".//q:AttachmentEncoded", Q)
    assert not root.findall(".//q:TraceHeader", Q)


def test_unknown_things_comments_and_empty_elements_do_not_come_out_again() -> None:
    extra = (
        "<!-- note --><edXML:Strange>1</edXML:Strange><edXML:Content> </edXML:Content>"
        "<edXML:OtherInfo><edXML:Priority>0</edXML:Priority></edXML:OtherInfo>"
        "<edXML:ResponseFor><edXML:Code/></edXML:ResponseFor>"
        "<edXML:DueDate>2026-12-01</edXML:DueDate>"
        "<edXML:ToPlaces><edXML:Place own='1'>Hà Nội</edXML:Place></edXML:ToPlaces>"
    )
    data = rebuilt(document_package(header_extra=extra))
    root = tree(data)
    assert b"<!--" not in data
    for gone in ("Strange", "Content", "DueDate"):
        assert not root.findall(f".//q:{gone}", Q)
    assert b"own=" not in data
    assert b"<edXML:ResponseFor />" in data
    assert texts(root, ".//q:Direction") == ["false"]
    assert texts(root, ".//q:ToPlaces/q:Place") == ["Hà Nội"]


def test_the_axis_adds_its_own_trace_and_writes_traces_before_business() -> None:
    root = tree(rebuilt(document_package()))
    traces = root.find(".//q:TraceHeaderList", Q)
    assert traces is not None
    names = [etree.QName(child).localname for child in traces]
    assert names == ["TraceHeader", "TraceHeader", "Bussiness"]
    assert texts(traces, "q:TraceHeader/q:Timestamp") == ["2026/11/20 10:00:00", AT]
    assert len(texts(traces, "q:TraceHeader/q:OrganId")) == 1


def test_the_form_is_the_builders() -> None:
    data = rebuilt(document_package(files=()))
    assert data.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\r\n<edXML xmlns="')
    assert b"  <AttachmentEncoded />\r\n</edXML>\r\n" in data
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_missing_types_are_added_and_content_ids_have_one_cid() -> None:
    data = document_package().replace(b"<ContentType>application/pdf</ContentType>", b"")
    data = data.replace(b"<edXML:ContentType>application/pdf</edXML:ContentType>", b"")
    root = tree(rebuilt(data.replace(b">cid:0<", b">cid:cid:0<")))
    assert texts(root, ".//q:Attachment/q:ContentType") == ["application/pdf"]
    assert texts(root, ".//q:Reference/q:ContentType") == ["application/pdf"]
    assert texts(root, ".//q:ContentId") == ["cid:0", "cid:0"]


def test_content_ids_get_one_more_cid_when_told_so_as_from_the_vendors_builder() -> None:
    out = io.BytesIO()
    with closing(read_package(io.BytesIO(document_package()), attachments=True)) as contents:
        write_rebuilt(contents, out, at=AT, double_ids=True)
    assert texts(tree(out.getvalue()), ".//q:ContentId") == ["cid:cid:0", "cid:cid:0"]


SIGNATURE = (
    f'<Signature xmlns="{NS_DSIG}"><SignedInfo><CanonicalizationMethod '
    'Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></CanonicalizationMethod>'
    '<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
    '<Reference URI="cid:0"><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    '<DigestValue>abc=</DigestValue></Reference><Reference URI="cid:edxml-header">'
    '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    "<DigestValue>def=</DigestValue></Reference></SignedInfo><SignatureValue>sig=</SignatureValue>"
    "<KeyInfo><X509Data><X509SubjectName>CN=A</X509SubjectName>"
    "<X509Certificate>MII=</X509Certificate></X509Data></KeyInfo></Signature>"
)


def test_a_signature_moves_into_the_edxml_namespace_with_its_values_intact() -> None:
    root = tree(rebuilt(document_package(signature=SIGNATURE)))
    assert not root.findall(f".//{{{NS_DSIG}}}Signature")
    signature = root.find(".//q:edXMLHeader/q:Signature", Q)
    assert signature is not None
    uris = [r.get("URI") for r in signature.findall("q:SignedInfo/q:Reference", Q)]
    assert uris == ["cid:0", "cid:edxml-header"]
    assert texts(signature, ".//q:DigestValue") == ["abc=", "def="]
    assert texts(signature, "q:SignatureValue") == ["sig="]
    assert texts(signature, ".//q:X509Certificate") == ["MII="]
    info = signature.find("q:SignedInfo", Q)
    assert info is not None
    assert (info.text or "").strip() == ""
    assert info.text


def test_attachments_are_unwrapped_and_wrapped_again_by_the_vendors_table() -> None:
    sheet = b"cells " * 100
    files = (
        ("a.pdf", "application/pdf", b"%PDF raw"),
        ("b.xlsx", "application/zip", zipped("x.xlsx", sheet)),
        ("c.txt", "application/zip", zipped("x.txt", b"text")),
        ("d.zip", "application/zip", zipped("inner", b"kept")),
    )
    root = tree(rebuilt(document_package(files=files)))
    pdf, xlsx, text, archive = carried(root)
    assert pdf == b"%PDF raw"
    assert archive == files[3][2]
    with zipfile.ZipFile(io.BytesIO(xlsx)) as made:
        (name,) = made.namelist()
        assert name.endswith(".xlsx")
        assert name != "x.xlsx"
        assert made.read(name) == sheet
    with zipfile.ZipFile(io.BytesIO(text)) as made:
        assert made.read(made.namelist()[0]) == b"text"


def test_every_attachment_comes_out_zipped_when_told_so() -> None:
    root = tree(rebuilt(document_package(), zip_all=True))
    (content,) = carried(root)
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        assert made.read(made.namelist()[0]) == b"%PDF-1.7 sample"
    assert texts(root, ".//q:Attachment/q:ContentType") == ["application/pdf"]


def test_a_large_attachment_keeps_every_byte() -> None:
    data = random.Random(7).randbytes(3_000_001)
    root = tree(rebuilt(document_package(files=(("a.pdf", "application/pdf", data),))))
    assert carried(root) == [data]


def test_base64_in_lines_and_url_safe_letters_decode_like_the_vendors() -> None:
    data = bytes(range(256))
    encoded = base64.b64encode(data)
    package = document_package(files=(("a.pdf", "application/pdf", data),))
    lined = b"\r\n".join(encoded[at : at + 60] for at in range(0, len(encoded), 60))
    for other in (lined, base64.urlsafe_b64encode(data)):
        assert carried(tree(rebuilt(package.replace(encoded, other)))) == [data]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        b"1212" + document_package(),
        document_package()[:-10],
        document_package().replace(b"\n<edXML ", b"\n<!DOCTYPE edXML []><edXML ", 1),
        document_package(receivers=()),
        document_package().replace(b">1</edXML:SteeringType>", b"> 1 </edXML:SteeringType>"),
        document_package(files=(("a.txt", "application/zip", b"no zip at all"),)),
        document_package(files=(("", "application/pdf", b"x"),)),
        b"<edXML>" * 100 + b"</edXML>" * 100,
        b"<edXML/>",
    ],
)
def test_what_the_vendors_parser_refuses_is_refused(data: bytes) -> None:
    with pytest.raises(PackageRefused):
        rebuilt(data)


def test_rebuilding_twice_changes_nothing_but_the_trace() -> None:
    once = rebuilt(document_package())
    twice = rebuilt(once)
    trace = (
        b"        <edXML:TraceHeader>\r\n          <edXML:Timestamp>"
        + AT.encode()
        + b"</edXML:Timestamp>\r\n        </edXML:TraceHeader>\r\n"
    )
    assert twice.count(trace) == 2
    assert twice.replace(trace, b"", 1) == once
