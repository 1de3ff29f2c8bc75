"""edxml-format 13, right column, row by row: what we accept, and what we say about it."""

import base64
import io
import re

import pytest

from gateway.errors import Severity
from gateway.model.package import Business, Extra, Organ, Replacement
from gateway.packing.read import read_package
from gateway.packing.write import plan_files, write_document, write_status
from tests.support.packages import Q, a_header, a_status, an_attachment, codes, packed, read

PDF = b"%PDF-1.7\nmau"


@pytest.fixture
def package() -> bytes:
    return packed(a_header(), [("12.pdf", PDF)])


def changed(package: bytes, old: str, new: str, count: int = 1) -> bytes:
    text = package.decode()
    assert old in text, old
    return text.replace(old, new, count).encode()


# bytes


def test_a_byte_order_mark_is_no_matter(package: bytes) -> None:
    got = read(b"\xef\xbb\xbf" + package)
    assert got.header == a_header()
    assert got.findings == ()


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_with_and_without_a_byte_order_mark(package: bytes, codec: str) -> None:
    text = package.decode().replace('encoding="UTF-8"', 'encoding="UTF-16"')
    got = read(text.encode(codec))
    assert got.header == a_header()
    assert got.files[0].sha256 == read(package).files[0].sha256
    assert got.size == len(text.encode(codec))


def test_the_xml_declaration_may_be_missing(package: bytes) -> None:
    assert read(package.partition(b"?>")[2].lstrip()).header == a_header()


@pytest.mark.parametrize("junk", [b"1212", b"\r\n", b" \n\t", b"x" * 1024, b"\x00\xff\xfe junk"])
def test_junk_up_to_a_kilobyte_in_front_is_passed_over_with_a_warning(
    package: bytes, junk: bytes
) -> None:
    got = read(junk + package)
    assert got.header == a_header()
    assert codes(got) == ["package.junk_before"]


def test_junk_in_front_of_a_root_without_declaration_is_passed_over(package: bytes) -> None:
    bare = package.partition(b"?>")[2].lstrip()
    assert codes(read(b"1212" + bare)) == ["package.junk_before"]


@pytest.mark.parametrize("tail", [b"\r\n", b"\0", b"\0\0\r\n \0", b"\n" * 300_000, b"<!-- x -->\n"])
def test_blanks_nul_and_comments_behind_the_root_are_no_matter(package: bytes, tail: bytes) -> None:
    got = read(package + tail)
    assert got.header == a_header()
    assert got.size == len(package + tail)


# namespace


def test_any_prefix_will_do(package: bytes) -> None:
    got = read(package.replace(b"edXML:", b"e1:").replace(b":edXML=", b":e1="))
    assert got.header == a_header()
    assert codes(got) == ["xml.prefix_other"]
    assert got.findings[0].severity is Severity.NOTE


def test_everything_may_stand_in_the_default_namespace(package: bytes) -> None:
    text = re.sub(rf' xmlns:edXML="{Q}"', "", package.decode()).replace("edXML:", "")
    assert read(text.encode()).header == a_header()


def test_only_the_root_may_carry_the_namespace(package: bytes) -> None:
    text = re.sub(rf' xmlns:edXML="{Q}"', "", package.decode()).replace("edXML:", "")
    text = text.replace(f'<edXML xmlns="{Q}"', f'<r:edXML xmlns:r="{Q}"')
    got = read(text.replace("</edXML>", "</r:edXML>").encode())
    assert got.header == a_header()
    assert got.files[0].size == len(PDF)


def test_an_undeclared_edxml_prefix_is_declared_for_the_reading(package: bytes) -> None:
    # edoc.edxml of the public set uses the prefix outside the element that binds it
    text = changed(package, "<AttachmentEncoded>", "<edXML:AttachmentEncoded>")
    text = changed(text, "</AttachmentEncoded>", "</edXML:AttachmentEncoded>")
    got = read(text)
    assert got.header == a_header()
    assert got.files[0].sha256 == read(package).files[0].sha256
    assert codes(got) == ["xml.prefix_repaired"]


def test_an_undeclared_xlink_prefix_is_declared_and_its_attribute_kept(package: bytes) -> None:
    text = changed(package, "<edXML:Reference>", '<edXML:Reference xlink:href="cid:1">')
    got = read(text)
    assert codes(got) == ["xml.prefix_repaired", "package.extras"]
    assert got.extras[0].value == "cid:1"
    assert got.sha256 != read(package).sha256


def test_an_undeclared_prefix_on_the_root_itself_is_repaired(package: bytes) -> None:
    text = changed(package, f'<edXML xmlns="{Q}">', "<edXML:edXML>")
    text = changed(text, "\n</edXML>", "\n</edXML:edXML>")
    got = read(text)
    assert got.header == a_header()
    assert codes(got) == ["xml.prefix_repaired", "xml.namespace_missing"]


# order, empty, unknown, spelling


def test_any_order_will_do_even_the_attachments_in_front(package: bytes) -> None:
    text = package.decode()
    envelope = text[text.index("  <edXML:edXMLEnvelope") : text.index("  <AttachmentEncoded>")]
    moved = text.replace(envelope, "").replace("</edXML>\r\n", envelope + "</edXML>\r\n")
    subject = re.search(r" *<edXML:Subject>.*?</edXML:Subject>\r\n", moved)
    assert subject is not None
    moved = moved.replace(subject.group(), "").replace(
        "<edXML:MessageHeader>\r\n", "<edXML:MessageHeader>\r\n" + subject.group()
    )
    got = read(moved.encode())
    assert got.header == a_header()
    assert got.files == read(package).files


def test_the_older_builder_puts_traceheader_before_bussiness(package: bytes) -> None:
    text = package.decode()
    trace = re.search(r" *<edXML:TraceHeader>.*?</edXML:TraceHeader>\r\n", text, re.DOTALL)
    assert trace is not None
    text = text.replace(trace.group(), "").replace(
        "<edXML:TraceHeaderList>\r\n", "<edXML:TraceHeaderList>\r\n" + trace.group()
    )
    assert read(text.encode()).header == a_header()


@pytest.mark.parametrize(
    ("inside", "code"),
    [("", "element.empty"), (" \r\n ", "element.empty"), ("null", "element.null")],
)
def test_empty_elements_and_the_word_null_are_absent(
    package: bytes, inside: str, code: str
) -> None:
    got = read(changed(package, ">Nội dung mẫu<", f">{inside}<"))
    assert got.header == a_header(content="")
    assert codes(got) == [code]
    assert got.findings[0].severity is Severity.NOTE


def test_a_group_with_nothing_in_it_is_absent(package: bytes) -> None:
    got = read(
        changed(
            package,
            "<edXML:SteeringType>",
            "<edXML:ResponseFor><edXML:Code/></edXML:ResponseFor><edXML:SteeringType>",
        )
    )
    assert got.header is not None
    assert got.header.response_for == ()


def test_a_trace_header_whose_organ_is_null_keeps_its_time(package: bytes) -> None:
    old = "<edXML:TraceHeader>\r\n          <edXML:OrganId>000.00.19.H14<"
    got = read(changed(package, old, "<edXML:TraceHeader><edXML:OrganId>null<"))
    assert got.header is not None
    assert [t.organ_id for t in got.header.traces] == [""]
    assert codes(got) == ["element.null"]


def test_unknown_elements_and_attributes_are_kept_with_their_path(package: bytes) -> None:
    got = read(
        changed(
            package,
            "<edXML:Subject>",
            '<edXML:DoMat level="2">Mật<edXML:Sub>x</edXML:Sub></edXML:DoMat>'
            '<edXML:Subject id="s">',
        )
    )
    assert got.header == a_header()
    base = "/edXML/edXMLEnvelope/edXMLHeader/MessageHeader"
    assert set(got.extras) == {
        Extra(f"{base}/DoMat", "Mật"),
        Extra(f"{base}/DoMat/@level", "2"),
        Extra(f"{base}/DoMat/Sub", "x"),
        Extra(f"{base}/Subject/@id", "s"),
    }
    assert codes(got) == ["package.extras"]


def test_elements_of_a_foreign_namespace_are_never_taken_for_ours(package: bytes) -> None:
    got = read(
        changed(
            package,
            "<edXML:Subject>",
            '<x:Subject xmlns:x="http://x.example/">other</x:Subject><edXML:Subject>',
        )
    )
    assert got.header == a_header()
    assert [e.value for e in got.extras] == ["other"]


@pytest.mark.parametrize(
    ("standard", "other"),
    [
        ("Bussiness", "Business"),
        ("BussinessDocType", "BusinessDocType"),
        ("TyperNotation", "TypeNotation"),
        ("OrganizationInCharge", "OrganInCharge"),
        ("Subject", "SUBJECT"),
        ("PromulgationInfo", "promulgationinfo"),
        ("edXMLManifest", "Manifest"),
        ("ContentTransferEncoded", "contentTransferEncoded"),
    ],
)
def test_other_spellings_of_the_names_are_read(standard: str, other: str) -> None:
    header = a_header(sender=Organ("000.00.19.H14", "Sở", in_charge="UBND"))
    package = packed(header, [("12.pdf", PDF)])
    got = read(re.sub(rf":{standard}\b".encode(), f":{other}".encode(), package))
    assert got.header == header
    assert got.files == read(package).files
    assert set(codes(got)) == {"element.spelling"}
    assert f"{other} ({standard})" in got.findings[0].text.en


# duplicates, To, DocumentId


def test_the_last_of_a_repeated_single_element_wins_with_a_warning(package: bytes) -> None:
    got = read(
        changed(package, "<edXML:Content>", "<edXML:Content>first</edXML:Content><edXML:Content>")
    )
    assert got.header == a_header()
    assert codes(got) == ["element.repeated"]


def test_the_first_from_wins_with_a_warning(package: bytes) -> None:
    second = "<edXML:From><edXML:OrganId>H99</edXML:OrganId></edXML:From>"
    got = read(changed(package, "<edXML:To>", second + "<edXML:To>"))
    assert got.header == a_header()
    assert codes(got) == ["element.repeated"]


def test_a_repeated_message_header_the_last_wins(package: bytes) -> None:
    first = "<edXML:MessageHeader><edXML:Subject>first</edXML:Subject></edXML:MessageHeader>"
    got = read(changed(package, "<edXML:MessageHeader>", first + "<edXML:MessageHeader>"))
    assert got.header == a_header()
    assert codes(got) == ["element.repeated"]


def test_no_to_at_all_is_a_warning(package: bytes) -> None:
    text = re.sub(r" *<edXML:To>.*?</edXML:To>\r\n", "", package.decode(), flags=re.DOTALL)
    got = read(text.encode())
    assert got.header == a_header(to=())
    assert codes(got) == ["header.to_missing"]


def test_a_missing_document_id_is_told_and_left_empty(package: bytes) -> None:
    got = read(re.sub(rb"<edXML:DocumentId>.*?</edXML:DocumentId>", b"", package))
    assert got.header == a_header(document_id="")
    assert codes(got) == ["header.document_id_missing"]


def test_a_missing_from_is_an_error_and_still_read(package: bytes) -> None:
    text = re.sub(r"<edXML:From>.*?</edXML:From>", "", package.decode(), flags=re.DOTALL)
    got = read(text.encode())
    assert got.header == a_header(sender=Organ())
    assert codes(got) == ["header.from_missing"]


# dates and numbers


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026/11/20", []),
        (" 2026/11/20 ", []),
        ("2026-11-20", ["date.form"]),
        ("20/11/2026", ["date.form"]),
        ("2026/11/20 10:00:00", ["date.form"]),
        ("2026-11-20T10:00:00", ["date.form"]),
    ],
)
def test_every_form_of_a_date_that_was_seen_is_read(
    package: bytes, written: str, said: list[str]
) -> None:
    got = read(changed(package, ">2026/11/20<", f">{written}<"))
    assert got.header == a_header()
    assert codes(got) == said


@pytest.mark.parametrize("written", ["2014/02/30", "2025/14/45", "hôm nay", "2014-02-30"])
def test_a_date_that_does_not_exist_is_kept_raw_with_a_warning(
    package: bytes, written: str
) -> None:
    got = read(changed(package, ">2026/11/20<", f">{written}<"))
    assert got.header is not None
    assert got.header.promulgation.date == written
    assert codes(got) == ["date.invalid"]


def test_a_timestamp_out_of_form_is_kept_raw_with_a_warning(package: bytes) -> None:
    got = read(changed(package, "2026/11/20 10:00:00", "2026/11/20 25:00:00"))
    assert got.header is not None
    assert got.header.traces[0].timestamp == "2026/11/20 25:00:00"
    assert codes(got) == ["timestamp.invalid"]


def test_integers_are_trimmed(package: bytes) -> None:
    got = read(changed(package, "<edXML:SteeringType>1<", "<edXML:SteeringType> 1 \n<"))
    assert got.header == a_header()
    assert not got.findings


@pytest.mark.parametrize("written", ["abc", "-1", "1.5", "١", "9" * 5000])
def test_a_number_that_is_none_becomes_the_default_with_a_warning(
    package: bytes, written: str
) -> None:
    got = read(changed(package, "<edXML:SteeringType>1<", f"<edXML:SteeringType>{written}<"))
    assert got.header == a_header(steering_type=None)
    assert codes(got) == ["number.invalid"]


def test_an_empty_number_is_absent(package: bytes) -> None:
    got = read(changed(package, "<edXML:SteeringType>1<", "<edXML:SteeringType><"))
    assert got.header == a_header(steering_type=None)
    assert codes(got) == ["number.empty"]
    assert got.findings[0].severity is Severity.WARNING


# statuses


def test_a_status_code_of_one_digit_is_padded() -> None:
    got = read(write_status(a_status()).replace(b">01<", b">1<"))
    assert got.status == a_status()
    assert not got.findings


def test_an_unknown_status_code_is_kept_with_a_warning() -> None:
    got = read(write_status(a_status()).replace(b">01<", b">77<"))
    assert got.status == a_status(code="77")
    assert codes(got) == ["status.code_unknown"]


def test_a_status_is_known_by_its_status_code_alone() -> None:
    got = read(write_status(a_status()))
    assert (got.kind, got.header, got.status) == ("status", None, a_status())


def test_a_package_that_is_neither_is_unknown(package: bytes) -> None:
    got = read(f'<edXML xmlns="{Q}"><edXMLEnvelope/></edXML>'.encode())
    assert (got.kind, got.header, got.status) == ("unknown", None, None)
    assert codes(got) == ["package.kind_unknown"]


# business


def test_business_of_types_1_to_3_is_read_wherever_it_names_the_earlier_document() -> None:
    header = a_header(
        business=Business(
            type=3,
            document_id="A",
            reason="Thay thế",
            replaces=(Replacement("B", ("H14", "G22")), Replacement("B", ())),
        )
    )
    got = read(packed(header, []))
    assert got.header == header
    assert header.about() == ("A", "B")


def test_an_unknown_business_type_is_an_error_finding(package: bytes) -> None:
    got = read(changed(package, "<edXML:BussinessDocType>0<", "<edXML:BussinessDocType>7<"))
    assert got.header is not None
    assert got.header.business.type == 7
    assert codes(got) == ["business.type_unknown"]


def test_a_missing_trace_header_list_is_a_new_document(package: bytes) -> None:
    text = re.sub(
        r"<edXML:TraceHeaderList>.*</edXML:TraceHeaderList>", "", package.decode(), flags=re.DOTALL
    )
    got = read(text.encode())
    assert got.header == a_header(business=Business(), traces=())
    assert not got.findings


# content ids, types, names


@pytest.mark.parametrize("prefix", ["", "cid:cid:cid:", "CID:"])
def test_any_number_of_cid_prefixes_means_the_same_id(package: bytes, prefix: str) -> None:
    text = package.decode()
    head, _, tail = text.rpartition("<ContentId>cid:")
    got = read((head + "<ContentId>" + prefix + tail).encode())
    assert got.files[0].content_id == read(package).files[0].content_id
    assert codes(got) == ["content_id.form"]


def test_files_pair_with_the_manifest_by_name_when_ids_differ() -> None:
    plan = plan_files(
        [an_attachment("a.pdf", PDF, "tệp a"), an_attachment("b.pdf", PDF + b"b", "tệp b")], "s"
    )
    out = io.BytesIO()
    write_document(out, a_header(), plan)
    text = out.getvalue().decode()
    head, _, tail = text.partition("<AttachmentEncoded>")
    tail = re.sub("<ContentId>.*?</ContentId>", "<ContentId>cid:other</ContentId>", tail)
    tail = re.sub(" *<Description>.*?</Description>\r\n", "", tail)
    got = read((head + "<AttachmentEncoded>" + tail).encode())
    assert [f.description for f in got.files] == ["tệp a", "tệp b"]


def test_what_is_on_one_side_only_is_told(package: bytes) -> None:
    text = re.sub(r"<edXML:Reference>.*?</edXML:Reference>", "", package.decode(), flags=re.DOTALL)
    assert codes(read(text.encode())) == ["manifest.unlisted"]
    text = re.sub(r"<Attachment>.*?</Attachment>", "", package.decode(), flags=re.DOTALL)
    assert codes(read(text.encode())) == ["manifest.file_missing"]


def test_the_manifest_lends_a_missing_name(package: bytes) -> None:
    got = read(changed(package, "<AttachmentName>12.pdf</AttachmentName>", ""))
    assert got.files[0].name == "12.pdf"
    assert not got.findings


def test_the_declared_type_is_kept_and_not_believed(package: bytes) -> None:
    got = read(package.replace(b"<ContentType>application/pdf", b"<ContentType>application/zip"))
    assert got.files[0].declared_type == "application/zip"
    assert got.files[0].actual_type == "application/pdf"
    assert got.files[0].unwrapped is False


@pytest.mark.parametrize(
    ("declared", "safe"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("C:\\temp\\12.pdf", "12.pdf"),
        ("a\u202efdp.exe", "a_fdp.exe"),
        ("CON.pdf", "tep-dinh-kem-1_CON.pdf"),
    ],
)
def test_an_unsafe_name_is_reduced_and_the_declared_one_kept(
    package: bytes, declared: str, safe: str
) -> None:
    text = package.decode().replace("<AttachmentName>12.pdf<", f"<AttachmentName>{declared}<")
    got = read(text.encode())
    assert (got.files[0].name, got.files[0].declared_name) == (safe, declared)
    assert "attachment.name_unsafe" in codes(got)


# base64


def content(package: bytes, text: str) -> bytes:
    return re.sub(
        rb"(<edXML:ContentTransferEncoded[^>]*>).*?(</)",
        rb"\g<1>" + text.encode() + rb"\2",
        package,
    )


@pytest.mark.parametrize("line_end", ["\n", "\r\n", " ", "\t\n"])
def test_line_breaks_and_blanks_in_base64_are_no_matter(package: bytes, line_end: str) -> None:
    data = PDF * 100
    text = base64.b64encode(data).decode()
    broken = line_end.join(text[i : i + 76] for i in range(0, len(text), 76))
    got = read(content(package, "\r\n" + broken + "\r\n"))
    assert got.files == read(content(package, text)).files
    assert got.files[0].size == len(data)


@pytest.mark.parametrize("data", [b"%PDF-1", b"%PDF-", b"%PDF-12"])
def test_missing_padding_is_a_warning(package: bytes, data: bytes) -> None:
    text = base64.b64encode(data).decode().rstrip("=")
    got = read(content(package, text))
    assert got.files[0].size == len(data)
    assert codes(got) == (["attachment.padding"] if len(data) % 3 else [])


@pytest.mark.parametrize(
    "text",
    [
        "JVBE*g==",
        "JVBE_-==",
        "JVBEg",
        "JVBE====",
        "JV=BE",
        "JVBE==JVBE",
        "${noidung}",
        "JVBEệ",
        "=",
    ],
)
def test_other_characters_fail_that_attachment_only(text: str) -> None:
    package = packed(a_header(), [("a.pdf", PDF), ("b.pdf", PDF)])
    first, mark, rest = package.partition(b"</Attachment>")
    got = read(content(first, text) + mark + rest)
    assert got.header == a_header()
    assert [f.failed for f in got.files] == [True, False]
    assert (got.files[0].sha256, got.files[0].size) == ("", 0)
    assert got.files[1].size == len(PDF)
    assert codes(got) == ["attachment.base64"]


@pytest.mark.parametrize(
    "text",
    [
        "<![CDATA[JVBERi0xLjc=]]>",
        "JVBE<!-- a comment -->Ri0xLjc=",
        "JVBERi0&#120;Ljc=",
        "<?pi x?>JVBERi0xLjc=",
        "JVBERi0xLjc=<!-- <ContentTransferEncoded>AAAA -->",
    ],
)
def test_cdata_references_and_comments_in_base64_are_xml_and_no_matter(
    package: bytes, text: str
) -> None:
    assert read(content(package, text)).files[0].size == 8


def test_an_element_in_the_content_fails_the_attachment(package: bytes) -> None:
    got = read(content(package, "JVBE<x/>Ri0xLjc="))
    assert got.files[0].failed
    assert codes(got) == ["attachment.base64", "package.extras"]


def test_a_missing_content_is_an_error_of_that_attachment(package: bytes) -> None:
    text = re.sub(
        r"<edXML:ContentTransferEncoded.*?</edXML:ContentTransferEncoded>", "", package.decode()
    )
    got = read(text.encode())
    assert got.files[0].failed
    assert codes(got) == ["attachment.content_missing"]


def test_an_empty_content_is_an_empty_file_with_a_warning(package: bytes) -> None:
    got = read(content(package, ""))
    assert not got.files[0].failed
    assert got.files[0].size == 0
    assert codes(got) == ["attachment.empty"]


def test_no_attachment_encoded_at_all_is_a_document_without_files(package: bytes) -> None:
    text = re.sub(
        r" *<AttachmentEncoded>.*</AttachmentEncoded>\r\n", "", package.decode(), flags=re.DOTALL
    )
    text = re.sub(r"<edXML:edXMLBody>.*</edXML:edXMLBody>", "", text, flags=re.DOTALL)
    got = read_package(io.BytesIO(text.encode()))
    assert (got.kind, got.files, got.findings) == ("document", (), ())
