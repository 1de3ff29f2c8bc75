"""edxml-format 10, quirk by quirk: a fixture made here for each, and what comes out of it.

Not here: "HTML entities" (row 19 of section 13: refused, as by the vendor's parser), "a blank in a
file name" (the name of the package's own file, which no reader sees) and "a single object where a
list is expected", which is about the JSON of a foreign converter: in XML a list of one and a
single element are the same thing, as `test_a_list_of_one` says.
"""

import base64
import hashlib
import io
import re
import zipfile

import pytest

from gateway.errors import Severity
from gateway.model.package import Business, Organ, Replacement, ResponseFor, Staff, TraceHeader
from gateway.packing.read import ReadPackage, read_package
from tests.support.packages import Q, codes, read

PDF = b"%PDF-1.7\nmau"
FROM = "<From><OrganId>H14</OrganId><OrganName>Sở</OrganName></From>"
TO = "<To><OrganId>G22</OrganId></To>"
ID = "<DocumentId>H14,2026/11/20,12/STTTT</DocumentId>"
REST = "<Subject>Trích yếu</Subject><SteeringType>1</SteeringType>"
NAMED = "<ContentId>cid:1</ContentId><AttachmentName>a.pdf</AttachmentName>"
CONTENT = base64.b64encode(PDF).decode()
BOUND = f'xmlns:edXML="{Q}"'


def a_package(
    message: str = FROM + TO + ID + REST,
    *,
    traces: str = "",
    after: str = "",
    reference: str = f"<Reference>{NAMED}</Reference>",
    attachments: str = "",
    root: str = f'edXML xmlns="{Q}"',
) -> bytes:
    """A document of a stranger, everything in the default namespace unless the test says other."""
    carried = f"<ContentTransferEncoded>{CONTENT}</ContentTransferEncoded>"
    attachments = attachments or (
        f"<AttachmentEncoded><Attachment>{NAMED}{carried}</Attachment></AttachmentEncoded>"
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root}>\n<edXMLEnvelope>\n<edXMLHeader>\n'
        f"<MessageHeader>\n{message}\n</MessageHeader>\n{traces}{after}</edXMLHeader>\n"
        f"<edXMLBody><edXMLManifest>{reference}</edXMLManifest></edXMLBody>\n"
        f"</edXMLEnvelope>\n{attachments}\n</edXML>\n"
    ).encode()


def opened(data: bytes, *said: str) -> ReadPackage:
    """Read whole: header and file as they should be, and exactly these findings."""
    got = read(data)
    assert got.kind == "document"
    assert got.header is not None
    assert got.header.sender == Organ("H14", "Sở")
    assert got.header.to == (Organ("G22"),)
    assert got.header.document_id == "H14,2026/11/20,12/STTTT"
    assert (got.header.subject, got.header.steering_type) == ("Trích yếu", 1)
    # whatever was repaired: digests are over the bytes that came, and no byte of a file changed
    assert (got.sha256, got.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert [f.sha256 for f in got.files] == [hashlib.sha256(PDF).hexdigest()]
    assert sorted(codes(got)) == sorted(said)
    return got


def test_the_plain_fixture_has_nothing_to_tell() -> None:
    opened(a_package())


def test_junk_bytes_before_the_declaration() -> None:
    got = opened(b"1212" + a_package(), "package.junk_before")
    assert got.findings[0].severity is Severity.WARNING
    assert "4 bytes" in got.findings[0].text.en


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.replace(b"\n", b"\r\n"),
        lambda d: d.replace(b"\n", b""),
        lambda d: d.replace(b"><", b">\n\t  \t<"),
        lambda d: d.replace(b"><", b">\r\n    <"),
    ],
    ids=["CRLF", "one line", "tabs mixed with blanks", "indented"],
)
def test_line_ends_and_indentation(change: object) -> None:
    opened(change(a_package()))  # type: ignore[operator]  # one of the four above


def test_comments_also_inside_the_signature_and_in_place_of_elements() -> None:
    block = (
        "<Signature><!-- <KeyValue/> --><SignedInfo><!-- x --><SignatureMethod Algorithm='m'/>"
        "</SignedInfo><SignatureValue>v<!-- y -->=</SignatureValue></Signature>"
    )
    message = (
        f"<!-- <From><OrganId>X</OrganId></From> -->{FROM}{TO}{ID}<!----><Subject>Trích"
        "<!-- c --> yếu</Subject><SteeringType><!-- 2 -->1</SteeringType>"
    )
    got = opened(a_package(message, after=block))
    assert got.signature is not None
    assert (got.signature.signature_value, got.signature.signature_method) == ("v=", "m")
    assert got.extras == ()


def test_an_xlink_attribute_with_an_unbound_prefix() -> None:
    reference = f'<Reference xlink:href="" xlink:type="simple">{NAMED}</Reference>'
    got = opened(a_package(reference=reference), "xml.prefix_repaired", "package.extras")
    assert [(e.path.rpartition("/")[2], e.value) for e in got.extras] == [
        ("@href", ""),
        ("@type", "simple"),
    ]


def test_the_edxml_prefix_outside_the_element_that_binds_it() -> None:
    data = a_package().replace(b"<edXMLEnvelope>", f"<edXML:edXMLEnvelope {BOUND}>".encode())
    data = data.replace(b"</edXMLEnvelope>", b"</edXML:edXMLEnvelope>")
    data = data.replace(b"<AttachmentEncoded>", b"<edXML:AttachmentEncoded>")
    data = data.replace(b"</AttachmentEncoded>", b"</edXML:AttachmentEncoded>")
    opened(data, "xml.prefix_repaired")


def test_empty_elements_and_whole_empty_groups() -> None:
    empty = (
        "<DueDate/><ResponseFor><OrganId/><Code/></ResponseFor><OtherInfo><Appendixes>"
        "<Appendix></Appendix></Appendixes><Priority/><PageAmount/></OtherInfo><SignerInfo/>"
    )
    got = opened(a_package(FROM + TO + ID + empty + REST), "element.empty", "number.empty")
    assert got.header is not None
    assert (got.header.response_for, got.header.due_date) == ((), "")
    assert {f.code: f.severity for f in got.findings} == {
        "element.empty": Severity.NOTE,
        "number.empty": Severity.WARNING,
    }
    assert "(2): Priority, PageAmount" in next(
        f.text.en for f in got.findings if f.code == "number.empty"
    )


@pytest.mark.parametrize(
    ("act", "said"), [("Bussiness", []), ("Business", ["element.spelling"])], ids=["sic", "right"]
)
def test_names_misspelt_as_the_standard_has_them_and_spelled_right(
    act: str, said: list[str]
) -> None:
    traces = (
        f"<TraceHeaderList><{act}><{act}DocType>2</{act}DocType><{act}DocReason>r</{act}DocReason>"
        f"<DocumentId>e</DocumentId><{act}DocumentInfo><DocumentInfo>1</DocumentInfo>"
        f"</{act}DocumentInfo></{act}></TraceHeaderList>"
    )
    got = opened(a_package(traces=traces), *said)
    assert got.header is not None
    assert got.header.business == Business(2, "e", "r", document_changed=1)


def test_what_a_third_party_puts_beside_the_names_it_spells_right() -> None:
    traces = (
        "<TraceHeaderList><Business><BusinessDocType>0</BusinessDocType>"
        "<BusinessName>x</BusinessName><StaffInfo><Staff>A</Staff><StaffName>B</StaffName>"
        "</StaffInfo></Business></TraceHeaderList>"
    )
    got = opened(a_package(traces=traces), "element.spelling", "package.extras")
    assert got.header is not None
    assert got.header.business.staff == (Staff(name="A"),)
    assert [e.path.rpartition("/")[2] for e in got.extras] == ["BusinessName", "StaffName"]


def test_organ_in_charge_in_place_of_organization_in_charge() -> None:
    sender = FROM.replace("</From>", "<OrganInCharge>UBND</OrganInCharge></From>")
    got = read(a_package(sender + TO + ID + REST))
    assert got.header is not None
    assert got.header.sender == Organ("H14", "Sở", "UBND")
    assert codes(got) == ["element.spelling"]


def test_different_element_orders() -> None:
    opened(
        a_package("<ToPlaces><Place>x</Place></ToPlaces><OtherInfo/>" + REST + TO + ID + FROM),
        "element.empty",
    )


@pytest.mark.parametrize(("organ", "said"), [("null", ["element.null"]), (None, [])])
def test_a_trace_header_whose_organ_id_is_null_or_missing(
    organ: str | None, said: list[str]
) -> None:
    inside = f"<OrganId>{organ}</OrganId>" if organ else ""
    hop = f"<TraceHeader>{inside}<Timestamp>2025/10/23 16:28:42</Timestamp></TraceHeader>"
    got = opened(a_package(traces=f"<TraceHeaderList>{hop}</TraceHeaderList>"), *said)
    assert got.header is not None
    assert got.header.traces == (TraceHeader("", "2025/10/23 16:28:42"),)


def test_no_trace_header_list_no_code_no_dates() -> None:
    got = opened(a_package())
    assert got.header is not None
    assert (got.header.traces, got.header.code.number, got.header.promulgation.date) == ((), "", "")
    assert got.header.business == Business()


def a_status(inside: str) -> bytes:
    return (
        f'<edXML xmlns="{Q}"><edXMLEnvelope><edXMLHeader><MessageHeader>{inside}</MessageHeader>'
        "</edXMLHeader></edXMLEnvelope></edXML>"
    ).encode()


def test_status_packages_in_another_order_and_earlier_than_the_document() -> None:
    got = read(
        a_status(
            "<Timestamp>2015/09/20 08:00:00</Timestamp><StatusCode>03</StatusCode>"
            "<StaffInfo><Mobile>09</Mobile><Email>e</Email><Staff>A</Staff></StaffInfo>"
            "<ResponseFor><PromulgationDate>2015/09/30</PromulgationDate>"
            "<DocumentId>d</DocumentId><Code>7816/VPCP-TTĐT</Code><OrganId>G22</OrganId>"
            "</ResponseFor><From><OrganName>Sở</OrganName><OrganizationInCharge>UBND"
            "</OrganizationInCharge><OrganId>H14</OrganId></From>"
        )
    )
    assert got.status is not None
    assert got.status.sender == Organ("H14", "Sở", "UBND")
    assert got.status.response_for == ResponseFor("G22", "7816/VPCP-TTĐT", "d", "2015-09-30")
    assert (got.status.code, got.status.timestamp) == ("03", "2015/09/20 08:00:00")
    assert got.status.staff == Staff(name="A", email="e", mobile="09")
    assert got.findings == ()


def test_leading_blanks_fillers_and_one_empty_appendix() -> None:
    sender = "<From><OrganId> H14 </OrganId><OrganName> Sở</OrganName><Fax>N/A</Fax></From>"
    other = "<OtherInfo><Appendixes><Appendix/></Appendixes></OtherInfo>"
    got = read(a_package(sender + TO + ID + other + REST))
    assert got.header is not None
    assert got.header.sender == Organ("H14", "Sở", fax="N/A")
    assert got.header.other.appendixes == ()
    assert codes(got) == ["element.empty"]


def test_statuses_whose_parties_are_swapped_are_read_as_they_are_written() -> None:
    """Whose fault it is cannot be seen here: the corridor knows the parties, not the reader."""
    swapped = read(
        a_status(
            "<From><OrganId>H14</OrganId></From><ResponseFor><OrganId>12/STTTT</OrganId>"
            "<Code>G22</Code><DocumentId>d</DocumentId></ResponseFor><StatusCode>13</StatusCode>"
            "<Timestamp>2026/11/20 10:00:00</Timestamp>"
        )
    )
    assert swapped.status is not None
    assert swapped.status.response_for == ResponseFor("12/STTTT", "G22", "d")
    own = read(
        a_status(
            "<From><OrganId>H14</OrganId></From><ResponseFor><OrganId>H14</OrganId>"
            "<DocumentId>d</DocumentId></ResponseFor><StatusCode>15</StatusCode>"
            "<Timestamp>2026/11/20 10:00:00</Timestamp>"
        )
    )
    assert own.status is not None
    assert own.status.sender.organ_id == own.status.response_for.organ_id == "H14"
    assert swapped.findings == own.findings == ()


def zipped(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def carrying(name: str, carried: bytes, kind: str) -> ReadPackage:
    named = f"<ContentId>cid:209</ContentId><AttachmentName>{name}</AttachmentName>"
    content = base64.b64encode(carried).decode()
    attached = (
        f"<AttachmentEncoded><Attachment>{named}<ContentType>{kind}</ContentType>"
        f"<ContentTransferEncoded>{content}</ContentTransferEncoded></Attachment>"
        "</AttachmentEncoded>"
    )
    return read(a_package(reference=f"<Reference>{named}</Reference>", attachments=attached))


def test_an_attachment_named_doc_that_is_a_zipped_edxml_file() -> None:
    inner = a_package()
    got = carrying("1896_QD.doc", zipped("6f9b.edxml", inner), "application/zip")
    assert got.files[0].unwrapped
    assert (got.files[0].actual_type, got.files[0].size) == ("application/edxml+xml", len(inner))
    assert codes(got) == ["attachment.type_differs"]


def test_a_pdf_with_a_name_in_capitals_that_came_back_zipped() -> None:
    got = carrying("12.PDF", zipped("6f9b.PDF", PDF), "application/pdf")
    assert (got.files[0].unwrapped, got.files[0].actual_type) == (True, "application/pdf")
    assert codes(got) == ["attachment.wrapped"]


def test_a_pdf_ruined_by_a_text_conversion() -> None:
    pdf = b"%PDF-1.7\n%" + bytes(range(128, 256)) * 4
    ruined = pdf.decode("utf-8", "replace").encode()
    got = carrying("12.pdf", ruined, "application/pdf")
    assert [(f.code, f.severity) for f in got.findings] == [("attachment.ruined", Severity.ERROR)]
    assert got.files[0].size == len(ruined)  # never mended: not a byte of a file is touched


def test_a_list_of_one() -> None:
    act = (
        "<Bussiness><BussinessDocType>3</BussinessDocType><ReplacementInfoList><ReplacementInfo>"
        "<DocumentId>e</DocumentId></ReplacementInfo></ReplacementInfoList></Bussiness>"
    )
    response = "<ResponseFor><DocumentId>e</DocumentId></ResponseFor>"
    got = opened(
        a_package(
            FROM + TO + ID + response + REST, traces=f"<TraceHeaderList>{act}</TraceHeaderList>"
        )
    )
    assert got.header is not None
    assert got.header.response_for == (ResponseFor(document_id="e"),)
    assert got.header.business.replaces == (Replacement("e"),)


def test_what_a_dotnet_generator_adds() -> None:
    root = (
        f'edXML xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns="{Q}"'
    )
    xlink = 'xmlns:xlink="http://www.w3.org/1999/xlink" xlink:type="simple" xlink:href="cid:1"'
    got = opened(
        a_package(
            traces='<TraceHeaderList mustUnderstand="1" actor="http://x.example/next"/>',
            after="<DigitalSignature/>",
            reference=f"<Reference {xlink}>{NAMED}</Reference>",
            root=root,
        ),
        "element.empty",
        "package.extras",
    )
    assert {(e.path.rpartition("/")[2], e.value) for e in got.extras} == {
        ("@mustUnderstand", "1"),
        ("@actor", "http://x.example/next"),
        ("DigitalSignature", ""),
        ("@type", "simple"),
        ("@href", "cid:1"),
    }


def test_a_dotnet_sender_leaves_cid_away_on_one_side() -> None:
    attached = a_package().replace(b"<Attachment><ContentId>cid:1", b"<Attachment><ContentId>1")
    got = opened(attached, "content_id.form")
    assert got.files[0].content_id == "cid:1"


def test_the_vendors_fresh_build_and_its_rebuilt_form_make_no_flood() -> None:
    """Ids with cid:cid: on both sides, a manifest that calls everything a zip, thirty files."""
    lines, attached = [], []
    for n in range(30):
        named = f"<ContentId>cid:cid:{n}</ContentId><AttachmentName>{n}.pdf</AttachmentName>"
        lines.append(f"<Reference>{named}<ContentType>application/zip</ContentType></Reference>")
        attached.append(
            f"<Attachment>{named}<ContentType>application/pdf</ContentType>"
            f"<ContentTransferEncoded>{CONTENT}</ContentTransferEncoded></Attachment>"
        )
    hops = (
        "<TraceHeaderList><TraceHeader><OrganId>null</OrganId><Timestamp>2026/11/20 10:00:00"
        "</Timestamp></TraceHeader><TraceHeader><Timestamp>2026/11/20 10:05:00</Timestamp>"
        "</TraceHeader></TraceHeaderList>"
    )
    got = read_package(
        io.BytesIO(
            a_package(
                FROM + TO + ID + "<ResponseFor />" + REST,
                traces=hops,
                reference="".join(lines),
                attachments=f"<AttachmentEncoded>{''.join(attached)}</AttachmentEncoded>",
            )
        )
    )
    assert {(f.code, f.severity) for f in got.findings} == {
        ("content_id.form", Severity.NOTE),
        ("manifest.type_declared", Severity.NOTE),
        ("element.empty", Severity.NOTE),
        ("element.null", Severity.NOTE),
    }
    assert len(got.findings) == 4


def test_text_copied_in_another_normal_form_or_with_hard_blanks() -> None:
    subject = "Tri\u0301ch\u00a0ye\u0302\u0301u"
    got = opened(a_package(FROM + TO + ID + REST.replace("Trích yếu", subject)), "text.normal_form")
    assert re.search("Subject", got.findings[0].text.en)
