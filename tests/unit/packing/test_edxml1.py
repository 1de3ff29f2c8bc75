"""edXML 1.0: a SOAP envelope, header blocks alone, or the MIME message with its files."""

import io
import json
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Severity, TooLarge, Unreadable
from gateway.model.package import NS_QCVN102, Organ
from gateway.packing.describe import inspect_json
from gateway.packing.profile import Profile
from gateway.packing.read import ReadPackage, extract_file, read_header, read_package
from gateway.packing.strict import strict_findings, violations
from gateway.safexml import Limits
from gateway.signing.verify import verify
from tests.support.edxml1 import (
    BOUNDARY,
    SOAP,
    TOKEN,
    E,
    Part,
    a_part,
    envelope,
    in_base64,
    message,
    without_soap,
)
from tests.support.packages import Memory, a_header, a_pdf, codes, packed, read

PDF = b"%PDF-1.7\r\nmau\n--" + BOUNDARY.encode()[:9] + b"\r\n\0\xff"
PARTS = (a_part(1, "12.pdf", PDF), a_part(2, "Phụ lục.txt", "Chữ Việt".encode()))


def refused(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises((Unreadable, TooLarge)) as caught:
        read_package(io.BytesIO(data), limits=limits)
    finding = caught.value.findings[0]
    assert finding.code == caught.value.code
    assert finding.text.vi != finding.text.en
    return caught.value.code


def opened(data: bytes) -> tuple[ReadPackage, list[bytes]]:
    sink = Memory()
    package = read_package(io.BytesIO(data), sink=sink)
    return package, [sink.content(i) for i in range(len(package.files))]


# the header


@pytest.mark.parametrize(
    "data", [envelope(), without_soap(), message(())], ids=["soap", "bare", "mime"]
)
def test_the_header_is_read_into_the_same_nouns(data: bytes) -> None:
    got = read(data)
    header = got.header
    assert (got.kind, got.version, got.status) == ("document", "edxml1", None)
    assert header is not None
    assert header.sender == Organ("000.00.19.H14", "Sở mẫu")
    assert [o.organ_id for o in header.to] == ["000.00.00.G22"]
    assert (header.code.number, header.code.notation) == ("12", "SM-VP")
    assert (header.promulgation.date, header.due_date) == ("2014-11-20", "2014-12-01")
    assert (header.document_type.type, header.document_type.name) == (2, "Công văn")
    assert (header.other.priority, header.other.pages, header.other.appendixes) == (1, 2, ())
    assert header.to_places == ("Như trên",)
    assert [t.timestamp for t in header.traces] == ["2014/11/20 10:11:12"]
    assert header.document_id == ""
    assert read_header(io.BytesIO(data)).header == header
    assert got.findings[0].code == "package.version_old"
    assert got.findings[0].severity is Severity.NOTE
    assert "date.invalid" not in codes(got)
    assert "timestamp.invalid" not in codes(got)


def test_a_token_is_told_and_its_value_kept_nowhere() -> None:
    elsewhere = envelope().replace(
        b"<S:Header>",
        b'<S:Header><t:Token xmlns:t="http://e-doc.vn/xsd">KHAC-NUA</t:Token>'
        b'<w:Security xmlns:w="urn:w" apiKey="THUOC-TINH"><w:UsernameToken><w:Username>u'
        b"</w:Username><w:Password>MAT-KHAU</w:Password></w:UsernameToken></w:Security>",
    )
    got = read(elsewhere)
    told = next(f for f in got.findings if f.code == "package.token_present")
    assert told.severity is Severity.NOTE
    shown = json.dumps(inspect_json(got, verify(None, None, ())), ensure_ascii=False) + repr(got)
    for secret in (TOKEN, "KHAC-NUA", "THUOC-TINH", "MAT-KHAU"):
        assert secret not in shown
    assert ("/Envelope/Header/Signature/KeyInfo/OrganId", "000.00.19.H14") in [
        (e.path, e.value) for e in got.extras
    ]
    assert got.signature is None


def test_a_token_in_what_cannot_be_read_is_not_told_either() -> None:
    with pytest.raises(Unreadable) as caught:
        read(envelope()[:-20])
    assert TOKEN not in repr(caught.value) + repr(caught.value.findings)
    no_token = envelope().replace(TOKEN.encode(), b"")
    assert "package.token_present" not in codes(read(no_token))


def test_an_error_list_goes_into_the_extras() -> None:
    error = b"<edXML:Error><edXML:Code>M.Exist</edXML:Code></edXML:Error>"
    listed = b"<edXML:ErrorList>" + error + b"</edXML:ErrorList>"
    got = read(envelope().replace(b"<edXML:ErrorList/>", listed))
    assert ("/Envelope/Header/ErrorList/Error/Code", "M.Exist") in [
        (e.path, e.value) for e in got.extras
    ]


def test_a_status_in_the_old_envelope_is_a_status() -> None:
    block = (
        "<edXML:MessageHeader><edXML:From><edXML:OrganId>G22</edXML:OrganId></edXML:From>"
        "<edXML:ResponseFor><edXML:OrganId>H14</edXML:OrganId><edXML:DocumentId>d</edXML:DocumentId>"
        "</edXML:ResponseFor><edXML:StatusCode>1</edXML:StatusCode>"
        "<edXML:Timestamp>20/11/2014 10:11:12</edXML:Timestamp></edXML:MessageHeader>"
    )
    got = read(envelope(header=block))
    assert got.status is not None
    assert (got.status.code, got.status.timestamp) == ("01", "2014/11/20 10:11:12")


def test_a_real_signature_in_the_header_is_read_as_one() -> None:
    block = (
        b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/>'
        b"<SignatureValue>eA==</SignatureValue></Signature></S:Header>"
    )
    got = read(envelope().replace(b"</S:Header>", block))
    assert got.signature is not None
    assert got.signature.signature_value == "eA=="


# the files


def test_the_files_come_out_byte_by_byte_with_the_manifests_names() -> None:
    got, files = opened(message(PARTS))
    assert files == [PDF, "Chữ Việt".encode()]
    assert [(f.name, f.content_id, f.actual_type) for f in got.files] == [
        ("12.pdf", "cid:tep1@mau", "application/pdf"),
        ("Phụ lục.txt", "cid:tep2@mau", "text/plain"),
    ]
    assert {"manifest.unlisted", "manifest.file_missing"} & set(codes(got)) == set()
    assert got.size == len(message(PARTS))


@pytest.mark.parametrize(
    "data",
    [
        message(PARTS, front=None),
        b"\r\n" + message(PARTS, front=None),
        message(PARTS, front=f"content-TYPE: Multipart/Related;\r\n\tBoundary={BOUNDARY}\r\n"),
        message(PARTS, front="Content-Type: multipart/related\r\n"),
        message(PARTS, end=f"--{BOUNDARY}--".encode()),
        message(PARTS, end=f"--{BOUNDARY}--  \r\n\0\0\r\n".encode()),
        message(PARTS).replace(f"--{BOUNDARY}\r\n".encode(), f"--{BOUNDARY} \t\r\n".encode()),
        message(PARTS).replace(b"\r\n", b"\n"),
        message(PARTS).replace(b"Content-ID", b"CONTENT-id").replace(b"Transfer-E", b"transfer-e"),
    ],
    ids=range(9),
)
def test_a_message_may_be_written_in_many_ways(data: bytes) -> None:
    got, files = opened(data)
    assert files == [PDF, "Chữ Việt".encode()]
    assert not [f for f in got.findings if f.code.startswith("mime.")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 61, 1024])
def test_where_the_pieces_are_cut_changes_nothing(size: int, monkeypatch) -> None:
    blank = Part("b@mau", "b.bin", b"\r\n\r\n--x\r", "binary")
    data = message((*PARTS, blank, Part("e", "e", b"")))
    whole = read(data)
    monkeypatch.setattr("gateway.packing.collect._BLOCK", size)
    assert read(data) == whole
    assert whole.files[2].size == len(b"\r\n\r\n--x\r")
    assert whole.files[3].size == 0


@pytest.mark.parametrize("encoding", ["binary", "8bit", "7bit", ""])
def test_bytes_as_they_are(encoding: str) -> None:
    got, files = opened(message([Part("a@mau", "a.pdf", PDF, encoding)]))
    assert files == [PDF]
    assert "attachment.base64_undeclared" not in codes(got)


def test_base64_that_nobody_declared_is_read_where_it_is_plain() -> None:
    parts = [
        Part("a@mau", "a.pdf", in_base64(a_pdf(10_000)), "8bit"),
        Part("b@mau", "b.txt", b"QUJDREVGR0g=", "8bit"),
    ]
    got, files = opened(message(parts))
    assert files == [a_pdf(10_000), b"QUJDREVGR0g="]
    assert codes(got).count("attachment.base64_undeclared") == 1


def test_a_zip_around_a_file_is_taken_off_as_everywhere() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.doc", b"van ban")
    data = message([Part("a@mau", "a.doc", out.getvalue(), "binary")])
    got, files = opened(data)
    assert files == [b"van ban"]
    assert got.files[0].unwrapped
    alone = io.BytesIO()
    extract_file(io.BytesIO(data), 0, alone, unwrap=False)
    assert alone.getvalue() == out.getvalue()


def test_one_file_is_extracted_from_the_message() -> None:
    out = io.BytesIO()
    extract_file(io.BytesIO(message(PARTS)), 1, out, unwrap=False)
    assert out.getvalue() == "Chữ Việt".encode()


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ('Content-Disposition: attachment; filename="a\\"b.pdf"', 'a"b.pdf'),
        ("Content-Disposition: attachment; filename*=UTF-8''Ph%E1%BB%A5%20l.pdf", "Phụ l.pdf"),
        ("Content-Disposition: attachment; filename*=x-no''a%FF.pdf", "a%FF.pdf"),
        ("Content-Disposition: attachment; filename*=UTF-8''a%FF.pdf", "a\ufffd.pdf"),
        ('Content-Disposition: a; filename="=?utf-8?B?UGjhu6U=?="', "Phụ"),
        ('Content-Disposition: a; filename="=?no-such?B?UGjhu6U=?="', "=?no-such?B?UGjhu6U=?="),
        ('Content-Disposition: a; filename="../../etc/passwd"', "../../etc/passwd"),
        ("Content-Disposition: a; filename*=base64''a%00b.pdf", "a%00b.pdf"),
        ("Content-Disposition: a; filename*=utf-8''a%00b.pdf", "a\ufffdb.pdf"),
        ('Content-Disposition: a; filename="a\0b.pdf"', "a\ufffdb.pdf"),
        ('Content-Disposition: a; filename="=?utf-8?B?AGE=?="', "\ufffda"),
    ],
)
def test_without_a_manifest_line_the_part_says_its_name(more: str, name: str) -> None:
    part = Part("a@mau", "", PDF, "binary", more=(more,))
    got = read(message([part], root=envelope()))
    assert got.files[0].declared_name == name
    assert "/" not in got.files[0].name
    assert "manifest.unlisted" in codes(got)


def test_broken_base64_fails_that_file_and_no_other() -> None:
    got, files = opened(message([Part("a@mau", "a.pdf", b"JVBE*Rx"), PARTS[1]]))
    assert [f.failed for f in got.files] == [True, False]
    assert "attachment.base64" in codes(got)
    assert files[1] == "Chữ Việt".encode()


def test_memory_does_not_grow_with_the_files() -> None:
    data = message([a_part(1, "a.pdf", a_pdf(20_000_000))])
    source = io.BytesIO(data)
    tracemalloc.start()
    try:
        got = read_package(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got.files[0].size == len(a_pdf(20_000_000))
    assert peak < 16 * 1024 * 1024


# hostile messages


@pytest.mark.parametrize("cut", ["", "--", f"--{BOUNDARY}-", f"--{BOUNDARY}\r\n"])
def test_a_message_without_its_end_boundary_is_incomplete(cut: str) -> None:
    assert refused(message(PARTS, end=cut.encode())) == "package.incomplete"


def test_every_cut_of_a_message_is_refused() -> None:
    data = message(PARTS)
    for at in range(200, len(data) - 2, 13):
        assert refused(data[:at]) == "package.incomplete", at


def test_a_multipart_inside_is_not_opened() -> None:
    inner = message(PARTS, front=None).replace(BOUNDARY.encode(), b"trong")
    nested = Part("a@mau", "a.eml", inner, "binary", kind='multipart/mixed; boundary="trong"')
    got = read(message([nested, PARTS[1]]))
    assert [f.failed for f in got.files] == [True, False]
    assert "mime.nested" in codes(got)
    wrong = message(PARTS).replace(b"text/xml; charset=UTF-8", b"multipart/mixed; boundary=x")
    assert refused(wrong) == "mime.nested"


def test_headers_without_an_end_are_refused_before_they_fill_memory() -> None:
    endless = b"X-A: " + b"a" * 3_000_000
    assert refused(b"Content-Type: multipart/related\r\n" + endless) == "limit.field_bytes"
    part = message(PARTS, end=f"--{BOUNDARY}\r\n".encode() + endless)
    assert refused(part) == "limit.field_bytes"
    many = "".join(f"X-{n}: a\r\n" for n in range(65))
    assert refused(message(PARTS, end=f"--{BOUNDARY}\r\n{many}\r\n".encode())) == "limit.attributes"


def test_a_hundred_thousand_parts_are_refused() -> None:
    part = f"--{BOUNDARY}\r\nContent-ID: <a>\r\n\r\nx\r\n".encode()
    assert refused(message((), end=part * 100_000)) == "limit.attachments"
    few = message((), end=part * 5 + f"--{BOUNDARY}--".encode())
    assert refused(few, Limits(attachments=4)) == "limit.attachments"
    assert len(read(few).files) == 5


@pytest.mark.parametrize("length", ["3", "99999999999999999999", "-1", "x", "0"])
def test_a_content_length_that_lies_is_told_and_not_believed(length: str) -> None:
    part = Part("a@mau", "a.pdf", PDF, "binary", more=(f"Content-Length: {length}",))
    got, files = opened(message([part]))
    assert files == [PDF]
    assert "mime.length_differs" in codes(got)
    right = Part("a@mau", "a.pdf", PDF, "binary", more=(f"Content-Length: {len(PDF)}",))
    assert "mime.length_differs" not in codes(read(message([right])))


def test_the_length_of_the_whole_is_held_against_it_too() -> None:
    body = message(PARTS, front=None)
    head = f"Content-Type: multipart/related; boundary={BOUNDARY}\r\nContent-Length: "
    for size, told in ((len(body), False), (len(body) + 1, True)):
        got = read(f"{head}{size}\r\n\r\n".encode() + body)
        assert ("mime.length_differs" in codes(got)) is told


def test_what_stands_outside_the_parts_is_told() -> None:
    assert "mime.outside" in codes(read(message(PARTS) + b"hidden"))
    inside = message(PARTS).replace(b"\r\n\r\n--", b"\r\n\r\nhidden\r\n--", 1)
    assert "mime.outside" in codes(read(inside))


@pytest.mark.parametrize("encoding", ["quoted-printable", "x-uuencode", "gzip"])
def test_an_encoding_nobody_declared_to_know_fails_its_part(encoding: str) -> None:
    got = read(message([Part("a@mau", "a.pdf", PDF, encoding), PARTS[1]]))
    assert [f.failed for f in got.files] == [True, False]
    assert "mime.encoding" in codes(got)
    wrong = message(PARTS).replace(b"Encoding: 8bit", b"Encoding: " + encoding.encode(), 1)
    assert refused(wrong) == "mime.encoding"


@pytest.mark.parametrize(
    "front",
    [
        "Content-Type: text/plain\r\n",
        f"Content-Type: multipart/related; boundary={'x' * 201}\r\n",
    ],
)
def test_a_message_without_a_usable_boundary_is_refused(front: str) -> None:
    assert refused(message(PARTS, front=front)) == "mime.boundary"


def test_lines_that_only_begin_as_the_boundary_does_are_content() -> None:
    tricks = (
        f"\r\n--{BOUNDARY}x\r\n--{BOUNDARY}---\r\n--{BOUNDARY}".encode() + b" " * 300 + b"\r\n-"
    )
    got, files = opened(message([Part("a@mau", "a.bin", b"\0" + tricks, "binary")]))
    assert files == [b"\0" + tricks]
    assert not [c for c in codes(got) if c.startswith("mime.")]


def test_a_hostile_name_in_a_manifest_stays_a_name() -> None:
    got = read(message([a_part(1, "../../a.pdf", PDF)]))
    assert got.files[0].name == "a.pdf"
    assert "attachment.name_unsafe" in codes(got)


def test_an_external_body_is_never_followed() -> None:
    kind = 'message/external-body; access-type=URL; URL="file:///etc/passwd"'
    got, files = opened(message([Part("a@mau", "a.txt", b"\r\n", "", kind=kind)]))
    assert files == [b"\r\n"]
    assert len(got.files) == 1


# what is no edXML 1.0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (f'<S:Envelope xmlns:S="{SOAP}"><S:Body/></S:Envelope>'.encode(), "package.not_edxml"),
        (f'<edXML xmlns="{E}"/>'.encode(), "package.not_edxml"),
        (envelope().replace(E.encode(), b"http://www.go.vn/eDoc"), "package.namespace"),
        (envelope().replace(E.encode(), NS_QCVN102.encode()), "package.namespace"),
        (without_soap().replace(E.encode(), E.encode() + b"x"), "package.namespace"),
        (message((), root=packed(a_header(), [])), "package.namespace"),
        (message((), root=b"<html/>"), "package.namespace"),
        (message((), root=b"no xml"), "package.not_xml"),
        (envelope().replace(b"<S:Header>", b"<!DOCTYPE x><S:Header>"), "xml.malformed"),
    ],
    ids=range(9),
)
def test_what_is_no_edxml_1_is_refused(data: bytes, code: str) -> None:
    assert refused(data) == code


def test_an_undeclared_xlink_prefix_is_repaired_in_the_message_too() -> None:
    parts = [a_part(1, "12.pdf", PDF)]
    bare = envelope(parts).replace(b' xmlns:xlink="http://www.w3.org/1999/xlink"', b"")
    got, files = opened(message(parts, root=bare))
    assert files == [PDF]
    assert got.files[0].name == "12.pdf"
    assert "xml.prefix_repaired" in codes(got)


# anything at all


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_mutations_of_a_message_are_read_or_refused_and_never_a_crash(data: st.DataObject) -> None:
    mutated = bytearray(MESSAGE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated)))
        length = data.draw(st.integers(0, 60))
        piece = bytes(mutated[at : at + length])
        match data.draw(st.sampled_from(["cut", "repeat", "insert", "end"])):
            case "cut":
                del mutated[at : at + length]
            case "repeat":
                mutated[at:at] = piece * 3
            case "insert":
                mutated[at:at] = data.draw(st.one_of(st.binary(max_size=12), st.sampled_from(BITS)))
            case _:
                del mutated[at:]
    told: tuple[object, ...] = ()
    try:
        told = read_package(io.BytesIO(bytes(mutated)), sink=Memory()).findings
    except (Unreadable, TooLarge) as error:
        told = error.findings
    assert told


MESSAGE = message(PARTS)
BITS = [
    f"\r\n--{BOUNDARY}".encode(),
    f"\r\n--{BOUNDARY}--\r\n".encode(),
    b"\r\n\r\n",
    b"\r\n",
    b"\r\n ",
    b'"',
    b"\0",
    b";",
    b"<!--",
]


def test_strictly_it_is_no_package_of_today() -> None:
    got = read(MESSAGE)
    found = strict_findings(io.BytesIO(MESSAGE), got, Profile())
    assert "strict.version" in [f.code for f in found]
    assert violations(found)
