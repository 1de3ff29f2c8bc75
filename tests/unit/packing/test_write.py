"""The strict form: edxml-format 1, 2, 3, 13 (left column) and 14."""

import io
import re
import zipfile
from base64 import b64decode
from dataclasses import replace

import pytest
from lxml import etree

from gateway.errors import Broken, Rejected
from gateway.model.package import (
    Business,
    DocumentHeader,
    Organ,
    OtherInfo,
    Promulgation,
    ReceiverChange,
    Replacement,
    ResponseFor,
    Staff,
    TraceHeader,
)
from gateway.packing.write import plan_files, write_document, write_status
from tests.support.packages import Q, a_header, a_pdf, a_status, an_attachment, packed, read

PDF = a_pdf(1000)

SKELETON = """<?xml version="1.0" encoding="UTF-8"?>
<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016">
  <edXML:edXMLEnvelope xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016">
    <edXML:edXMLHeader>
      <edXML:MessageHeader>
        <edXML:From>
          <edXML:OrganId>H14.19</edXML:OrganId>
        </edXML:From>
        <edXML:To>
          <edXML:OrganId>G22</edXML:OrganId>
        </edXML:To>
        <edXML:DocumentId>d-1</edXML:DocumentId>
        <edXML:Subject>a &lt; b &amp; "c"</edXML:Subject>
        <edXML:SteeringType>0</edXML:SteeringType>
      </edXML:MessageHeader>
      <edXML:TraceHeaderList>
        <edXML:Bussiness>
          <edXML:BussinessDocType>0</edXML:BussinessDocType>
        </edXML:Bussiness>
      </edXML:TraceHeaderList>
    </edXML:edXMLHeader>
    <edXML:edXMLBody>
      <edXML:edXMLManifest version="1.0" />
    </edXML:edXMLBody>
  </edXML:edXMLEnvelope>
  <AttachmentEncoded />
</edXML>
"""

FULL = DocumentHeader(
    sender=Organ("H14.19", "n", "i", "a", "e", "t", "f", "w"),
    to=(Organ("G22"), Organ("H37")),
    document_id="d-1",
    code=a_header().code,
    promulgation=Promulgation("p", "2026-11-20"),
    document_type=a_header().document_type,
    subject="s",
    content="c",
    signer=a_header().signer,
    due_date="2026-12-01",
    other=OtherInfo(4, "s", "CV", 1, 2, "r", True, "c", ("x", "y")),
    response_for=(ResponseFor("G22", "7/AB", "e-1", "2026-01-02"), ResponseFor(code="8/AB")),
    steering_type=2,
    task_codes=("t1", "t2"),
    application_type="at",
    to_places=("p1", "p2"),
    business=Business(
        type=2,
        document_id="e-1",
        reason="r",
        paper=1,
        document_changed=1,
        receivers_changed=0,
        receivers=(ReceiverChange("G22", 0), ReceiverChange("H37", 1)),
        replaces=(Replacement("e-2", ("G22", "H37")), Replacement("e-3")),
        staff=(Staff("d", "di", "n", "si", "e", "m"), Staff(name="n2")),
    ),
    traces=(TraceHeader("H14.19", "2026/11/20 10:00:00"), TraceHeader("", "2026/11/20 10:00:01")),
    trace_id='a"<1',
    trace_version="1.0",
    paper=1,
)


def refused(header: DocumentHeader) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as caught:
        packed(header, [])
    assert caught.value.code == "package.not_writable"
    assert all(f.text.vi and f.text.en for f in caught.value.findings)
    return [(f.path, f.code) for f in caught.value.findings]


# form


def test_the_form_is_the_builders_to_the_byte() -> None:
    header = DocumentHeader(
        sender=Organ("H14.19"), to=(Organ("G22"),), document_id="d-1", subject='a < b & "c"'
    )
    assert packed(header, []) == SKELETON.replace("\n", "\r\n").encode()


def test_elements_stand_in_builder_order() -> None:
    tree = etree.fromstring(packed(FULL, [("a.pdf", PDF), ("b.txt", b"x")]))
    message = tree.find(".//{*}MessageHeader")
    assert message is not None
    names = [etree.QName(child).localname for child in message]
    assert names == [
        "From",
        "To",
        "To",
        "DocumentId",
        "Code",
        "PromulgationInfo",
        "DocumentType",
        "Subject",
        "Content",
        "SignerInfo",
        "DueDate",
        "OtherInfo",
        "ResponseFor",
        "ResponseFor",
        "SteeringType",
        "ResponseForTask",
        "ApplicationType",
        "ToPlaces",
    ]
    sender = [etree.QName(child).localname for child in message[0]]
    assert sender == (
        [
            "OrganId",
            "OrganizationInCharge",
            "OrganName",
            "OrganAdd",
            "Email",
            "Telephone",
            "Fax",
            "Website",
        ]
    )
    traces = tree.find(".//{*}TraceHeaderList")
    assert traces is not None
    assert [etree.QName(child).localname for child in traces] == (
        ["Paper", "Bussiness", "TraceHeader", "TraceHeader"]
    )
    business = traces.find("{*}Bussiness")
    assert business is not None
    assert [etree.QName(child).localname for child in business] == [
        "DocumentId",
        "BussinessDocType",
        "BussinessDocReason",
        "Paper",
        "BussinessDocumentInfo",
        "ReplacementInfoList",
        "StaffInfo",
        "StaffInfo",
    ]


def test_everything_is_in_one_namespace_with_the_builders_prefixes() -> None:
    text = packed(FULL, [("a.pdf", PDF)]).decode()
    tree = etree.fromstring(text.encode())
    assert {etree.QName(element).namespace for element in tree.iter()} == {Q}
    tail = text[text.index("  <AttachmentEncoded>") :]
    assert re.findall(r"<(\w+:?\w*)", tail) == [
        "AttachmentEncoded",
        "Attachment",
        "ContentId",
        "AttachmentName",
        "ContentType",
        "edXML:ContentTransferEncoded",
    ]
    assert f'<edXML:ContentTransferEncoded xmlns:edXML="{Q}">' in tail


def test_lines_end_with_crlf_and_base64_is_one_padded_line() -> None:
    package = packed(a_header(), [("a.pdf", PDF)])
    assert package.endswith(b"</edXML>\r\n")
    assert b"\n" not in package.replace(b"\r\n", b"")
    found = re.search(rb"TransferEncoded [^>]*>([^<]*)<", package)
    assert found is not None
    assert b64decode(found.group(1), validate=True) == PDF


def test_no_empty_element_is_ever_written() -> None:
    for header in (a_header(), FULL, a_header(other=OtherInfo(), to_places=(), due_date="")):
        for element in etree.fromstring(packed(header, [])).iter():
            assert (
                len(element)
                or (element.text or "").strip()
                or "version" in element.attrib
                or (etree.QName(element).localname == "AttachmentEncoded")
            )


def test_manifest_and_attachment_agree_on_id_type_and_name() -> None:
    files = [("a.pdf", PDF), ("b.DOCX", b"PK"), ("c.xls", b"x"), ("d.txt", b"x"), ("e", b"x")]
    tree = etree.fromstring(packed(a_header(), files))
    listed = [
        [(r.findtext(f"{{*}}{n}")) for n in ("ContentId", "ContentType", "AttachmentName")]
        for r in tree.iter("{*}Reference")
    ]
    carried = [
        [(r.findtext(f"{{*}}{n}")) for n in ("ContentId", "ContentType", "AttachmentName")]
        for r in tree.iter("{*}Attachment")
    ]
    assert listed == carried
    assert [row[1] for row in carried] == [
        "application/pdf",
        "application/docx",
        "application/zip",
        "application/zip",
        "application/zip",
    ]
    assert all(re.fullmatch(r"cid:[0-9a-f]{8}-[0-9a-f-]{27}", str(row[0])) for row in carried)
    assert len({row[0] for row in carried}) == 5


def test_wrapped_files_stand_in_a_zip_that_python_and_java_read() -> None:
    data = b"noi dung " * 1000
    for name, ext in (("a.xls", "xls"), ("b.TXT", "txt"), ("c", "unk"), ("d.a-b", "unk")):
        tree = etree.fromstring(packed(a_header(), [(name, data)]))
        carried = b64decode(tree.findtext(".//{*}ContentTransferEncoded") or "")
        with zipfile.ZipFile(io.BytesIO(carried)) as archive:
            (entry,) = archive.infolist()
            assert archive.testzip() is None
            assert archive.read(entry) == data
            assert re.fullmatch(rf"[0-9a-f-]{{36}}\.{ext}", entry.filename)
            assert entry.compress_type == zipfile.ZIP_DEFLATED
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_the_signature_is_the_last_child_of_the_header_byte_for_byte() -> None:
    block = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/></Signature>'
    package = packed(a_header(), [("a.pdf", PDF)], signature=block)
    assert b"      " + block + b"\r\n    </edXML:edXMLHeader>" in package
    got = read(package)
    assert got.signature is not None
    assert got.signature.in_dsig_namespace
    assert got.header == a_header()


def test_equal_input_gives_equal_bytes() -> None:
    files = [("a.pdf", PDF), ("b.txt", b"x" * 10_000)]
    assert packed(FULL, files) == packed(FULL, files)
    assert packed(FULL, files, seed="other") != packed(FULL, files)


def test_digest_and_size_are_those_of_the_bytes_written() -> None:
    out = io.BytesIO(b"in front")
    out.seek(0, io.SEEK_END)
    plan = plan_files([an_attachment("a.pdf", PDF)], "s")
    ready = write_document(out, a_header(), plan)
    got = read(out.getvalue()[len(b"in front") :])
    assert (got.sha256, got.size) == (ready.sha256, ready.size)


def test_what_is_written_is_read_back_whole() -> None:
    assert read(packed(FULL, [])).header == FULL


def test_texts_are_trimmed_and_keep_their_inner_blanks() -> None:
    got = read(packed(a_header(subject=" a \t b\r\nc  d\re "), []))
    assert got.header is not None
    assert got.header.subject == "a \t b\r\nc  d\re"


def test_names_are_written_in_nfc() -> None:
    got = read(packed(a_header(), [("ba\u0309n.pdf", PDF)]))
    assert got.files[0].declared_name == "bản.pdf"


# refusals


def test_everything_wrong_is_told_at_once() -> None:
    header = a_header(
        sender=Organ("không phải mã"),
        to=(Organ("G22"), Organ("g22"), Organ("")),
        document_id=" ",
        promulgation=Promulgation("x", "2026-02-30"),
        due_date="01/12/2026",
        subject="a\x00b",
        content="null",
        other=OtherInfo(priority=5, pages=-1),
        steering_type=9,
        business=Business(type=4, paper=2, receivers=(ReceiverChange("G22", 2),)),
        response_for=(ResponseFor("G22", promulgation_date="?"),),
        traces=(TraceHeader("H14", "2026-11-20T10:00:00"),),
    )
    assert refused(header) == [
        ("from.organ_id", "agency.code_invalid"),
        ("to[1].organ_id", "header.to_repeated"),
        ("to[2].organ_id", "agency.code_invalid"),
        ("document_id", "header.document_id_invalid"),
        ("promulgation.date", "date.invalid"),
        ("due_date", "date.invalid"),
        ("response_for[0].promulgation_date", "date.invalid"),
        ("other.priority", "number.invalid"),
        ("other.pages", "number.invalid"),
        ("steering_type", "number.invalid"),
        ("business.type", "number.invalid"),
        ("paper", "number.invalid"),
        ("business.receivers[0].change", "number.invalid"),
        ("traces[0].timestamp", "timestamp.invalid"),
        ("subject", "text.control_character"),
        ("content", "text.null"),
    ]


def test_no_receiver_is_refused() -> None:
    assert refused(a_header(to=())) == [("to", "header.to_missing")]


@pytest.mark.parametrize("char", ["\x00", "\x0b", "\x1f", "\x7f", "\x85", "\ud800", "\ufffe"])
def test_a_control_character_is_refused_wherever_it_hides(char: str) -> None:
    assert refused(a_header(subject=f"a{char}b")) == [("subject", "text.control_character")]
    places = ("x", f"a{char}b")
    assert refused(a_header(to_places=places)) == [("to_places[1]", "text.control_character")]
    deep = Business(staff=(Staff(), Staff(email=f"a{char}b")))
    assert refused(a_header(business=deep)) == [
        ("business.staff[1].email", "text.control_character")
    ]
    assert refused(a_header(trace_id=f"a{char}b")) == [("trace_id", "text.control_character")]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a/b.pdf",
        "..\\b.pdf",
        "..",
        "a\x00.pdf",
        "a\n.pdf",
        "a" * 252 + ".pdf",
        "a\x85.pdf",
        ".",
    ],
)
def test_an_unsafe_file_name_is_refused(name: str) -> None:
    with pytest.raises(Rejected) as caught:
        plan_files([an_attachment("ok.pdf", PDF), an_attachment(name, PDF)], "s")
    assert [(f.path, f.code) for f in caught.value.findings] == [
        ("files[1].name", "attachment.name_unsafe")
    ]


@pytest.mark.parametrize(
    "name", ['a"b.pdf', "CON.pdf", "a<b>&c.pdf", "a:b?.pdf", ".profile", "a.pdf.", " trimmed.pdf "]
)
def test_any_bare_file_name_is_written_and_read_back(name: str) -> None:
    out = io.BytesIO()
    write_document(out, a_header(), plan_files([an_attachment(name, PDF)], "s"))
    (fact,) = read(out.getvalue()).files
    assert fact.declared_name == name.strip()


def test_a_file_over_two_gibibytes_is_refused() -> None:
    large = replace(an_attachment("a.pdf", PDF), size=2**31 + 1)
    with pytest.raises(Rejected) as caught:
        plan_files([large], "s")
    assert caught.value.findings[0].code == "limit.attachment_bytes"


def test_a_description_with_a_control_character_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        plan_files([an_attachment("a.pdf", PDF, "x\x01")], "s")
    assert caught.value.findings[0].path == "files[0].description"


@pytest.mark.parametrize("name", ["a.pdf", "a.txt"])
def test_a_file_that_changed_after_its_upload_breaks_the_packing(name: str) -> None:
    plan = plan_files([replace(an_attachment(name, PDF), size=len(PDF) + 1)], "s")
    with pytest.raises(Broken) as caught:
        write_document(io.BytesIO(), a_header(), plan)
    assert caught.value.code == "attachment.changed"


def test_nothing_is_written_before_the_header_is_found_good() -> None:
    out = io.BytesIO()
    with pytest.raises(Rejected):
        write_document(out, a_header(to=()), ())
    assert out.getvalue() == b""


# statuses


def test_a_status_is_written_in_builder_order_and_read_back() -> None:
    data = write_status(a_status())
    message = etree.fromstring(data).find(".//{*}MessageHeader")
    assert message is not None
    assert [etree.QName(child).localname for child in message] == (
        ["From", "ResponseFor", "StaffInfo", "StatusCode", "Description", "Timestamp"]
    )
    assert b"AttachmentEncoded" not in data
    assert b"edXMLBody" not in data
    assert read(data).status == a_status()
    assert read(data).findings == ()


def test_everything_wrong_with_a_status_is_told_at_once() -> None:
    report = a_status(
        sender=Organ(""), response_for=ResponseFor(), code="7", timestamp="", description="\x02"
    )
    with pytest.raises(Rejected) as caught:
        write_status(report)
    assert [(f.path, f.code) for f in caught.value.findings] == [
        ("from.organ_id", "agency.code_invalid"),
        ("response_for.organ_id", "agency.code_invalid"),
        ("response_for.document_id", "header.document_id_invalid"),
        ("timestamp", "timestamp.invalid"),
        ("code", "status.code_unknown"),
        ("description", "text.control_character"),
    ]
