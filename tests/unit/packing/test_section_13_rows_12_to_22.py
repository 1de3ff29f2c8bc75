"""edxml-format 13, rows 12 to 22, as the module of rows 1 to 11 explains."""

import ast
import base64
import io
import re
import zipfile
from pathlib import Path

import pytest

from gateway.errors import Rejected, Severity, Unreadable
from gateway.model.package import (
    NS_DSIG,
    NS_EDXML1,
    STATUS_CODES,
    Business,
    FileFact,
    ResponseFor,
    Staff,
    TraceHeader,
)
from gateway.packing.read import ReadPackage
from gateway.packing.write import plan_files, write_document, write_status
from tests.support.packages import Q, a_header, a_status, an_attachment, codes, packed, read

PDF = b"%PDF-1.7\nmau"
ROWS = (
    "bytes",
    "namespace",
    "order",
    "empty_elements",
    "unknown",
    "spelling",
    "duplicates",
    "to",
    "document_id",
    "dates",
    "integers",
    "status_code",
    "null",
    "content_ids",
    "content_type",
    "base64",
    "zip",
    "attachment_name",
    "dtd",
    "signature",
    "trace_header_list",
    "versions",
)


def zipped(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


def carrying(*attachments: str, manifest: str = "", header: str = "") -> bytes:
    """A package as a stranger writes it, its attachments given as XML."""
    return (
        f'<edXML xmlns="{Q}"><edXMLEnvelope><edXMLHeader><MessageHeader>'
        "<From><OrganId>H14</OrganId></From><To><OrganId>G22</OrganId></To><DocumentId>d</DocumentId></MessageHeader>"
        f"{header}</edXMLHeader><edXMLBody><edXMLManifest>{manifest}</edXMLManifest></edXMLBody>"
        f"</edXMLEnvelope><AttachmentEncoded>{''.join(attachments)}</AttachmentEncoded></edXML>"
    ).encode()


def attachment(content: bytes | str, **fields: str) -> str:
    text = content if isinstance(content, str) else base64.b64encode(content).decode()
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    content_tag = f"<ContentTransferEncoded>{text}</ContentTransferEncoded>"
    return f"<Attachment>{inside}{content_tag}</Attachment>"


def one(
    content: bytes | str, name: str = "a.pdf", kind: str = "", content_id: str = "cid:1"
) -> bytes:
    fields = {"ContentId": content_id, "AttachmentName": name, "ContentType": kind}
    fields = {key: value for key, value in fields.items() if value}
    line = f"<ContentId>cid:1</ContentId><AttachmentName>{name}</AttachmentName>"
    return carrying(attachment(content, **fields), manifest=f"<Reference>{line}</Reference>")


def said(got: ReadPackage) -> list[tuple[str, Severity]]:
    return [(f.code, f.severity) for f in got.findings]


def test_every_row_of_the_table_has_its_tests_on_both_sides() -> None:
    named = []
    for path in sorted(Path(__file__).parent.glob("test_section_13_rows_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        named += [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    for number, row in enumerate(ROWS, start=1):
        assert f"test_{number:02}_{row}_we_send" in named
        assert f"test_{number:02}_{row}_we_accept" in named


# 12 StatusCode


def test_12_status_code_we_send() -> None:
    for code in STATUS_CODES:
        assert f"<edXML:StatusCode>{code}</edXML:StatusCode>".encode() in (
            write_status(a_status(code=code))
        )
    for code in ("1", "00", "07", "14", "77", "", " 01", "001"):
        with pytest.raises(Rejected) as caught:
            write_status(a_status(code=code))
        assert [f.code for f in caught.value.findings] == ["status.code_unknown"]


@pytest.mark.parametrize(
    ("written", "code", "findings"),
    [
        *((code, code, []) for code in STATUS_CODES),
        ("1", "01", []),
        (" 3\n", "03", []),
        ("77", "77", [("status.code_unknown", Severity.WARNING)]),
        ("9", "09", [("status.code_unknown", Severity.WARNING)]),
        ("đã đến", "đã đến", [("status.code_unknown", Severity.WARNING)]),
    ],
)
def test_12_status_code_we_accept(
    written: str, code: str, findings: list[tuple[str, Severity]]
) -> None:
    got = read(write_status(a_status()).replace(b">01<", f">{written}<".encode()))
    assert got.status == a_status(code=code)
    assert said(got) == findings


# 13 null


def test_13_null_we_send() -> None:
    with pytest.raises(Rejected) as caught:
        packed(a_header(subject="null", to_places=("a", " null ")), [])
    assert [(f.path, f.code) for f in caught.value.findings] == [
        ("subject", "text.null"),
        ("to_places[1]", "text.null"),
    ]
    with pytest.raises(Rejected):
        write_status(a_status(description="null"))


def test_13_null_we_accept() -> None:
    text = packed(a_header(), [("a.pdf", PDF)]).decode()
    for name in ("Subject", "Content", "DueDate", "Place", "Priority", "Mobile"):
        text = re.sub(f"<edXML:{name}>.*?<", f"<edXML:{name}>null<", text)
    text = re.sub(r"(<edXML:TraceHeader>\s*<edXML:OrganId>).*?<", r"\1null<", text)
    got = read(text.encode())
    assert got.header is not None
    header = got.header
    assert (header.subject, header.content, header.due_date) == ("", "", "")
    assert (header.promulgation.place, header.to_places, header.other.priority) == ("", (), None)
    assert header.traces == (TraceHeader("", "2026/11/20 10:00:00"),)
    assert said(got) == [("element.null", Severity.NOTE)]
    assert "(8)" in got.findings[0].text.en


# 14 content ids


def test_14_content_ids_we_send() -> None:
    text = packed(a_header(), [("a.pdf", PDF), ("b.txt", b"x")]).decode()
    uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    listed = re.findall(f"<edXML:ContentId>(cid:{uuid})</edXML:ContentId>", text)
    carried = re.findall(f"<ContentId>(cid:{uuid})</ContentId>", text)
    assert listed == carried
    assert len(set(listed)) == 2


@pytest.mark.parametrize(
    ("written", "findings"),
    [
        ("cid:1", []),
        ("1", [("content_id.form", Severity.NOTE)]),
        ("cid:cid:1", [("content_id.form", Severity.NOTE)]),
        ("cid:cid:cid:cid:1", [("content_id.form", Severity.NOTE)]),
        ("CID:1", [("content_id.form", Severity.NOTE)]),
    ],
)
def test_14_content_ids_we_accept(written: str, findings: list[tuple[str, Severity]]) -> None:
    got = read(one(PDF, content_id=written))
    assert got.files[0].content_id == "cid:1"
    assert said(got) == findings


def listed(*lines: tuple[str, str, str]) -> str:
    return "".join(
        f"<Reference><ContentId>{i}</ContentId><Description>{d}</Description>"
        f"<AttachmentName>{n}</AttachmentName></Reference>"
        for i, n, d in lines
    )


@pytest.mark.parametrize(
    ("attachments", "lines", "described", "findings"),
    [
        # in another order: by id, whatever the names say
        ([("cid:1", "a"), ("cid:2", "b")], [("2", "a", "two"), ("1", "b", "one")], "one two", []),
        # an id that nobody lists: by name
        ([("cid:9", "b"), ("cid:8", "a")], [("1", "a", "A"), ("2", "b", "B")], "B A", ["paired"]),
        # neither: by position
        ([("cid:9", "x"), ("cid:8", "y")], [("1", "a", "A"), ("2", "b", "B")], "A B", ["paired"]),
        # the first has nothing but its place, which the second names by its id
        ([("", "x"), ("cid:1", "y")], [("1", "a", "A"), ("2", "b", "B")], "- A", ["un", "miss"]),
        # an id beats a name, a name beats a place
        ([("", "a"), ("cid:1", "b")], [("1", "a", "A"), ("2", "b", "B")], "- A", ["un", "miss"]),
        (
            [("", "b"), ("", "c")],
            [("1", "x", "X"), ("2", "b", "B")],
            "B -",
            ["un", "miss", "paired"],
        ),
        # doubled ids and names: each line is given away once, and it is said
        (
            [("cid:1", "a"), ("cid:1", "a")],
            [("1", "a", "A"), ("1", "a", "B")],
            "A B",
            ["doubled", "listed twice"],
        ),
    ],
)
def test_14_content_ids_we_accept_and_pair_by_id_then_name_then_position(
    attachments: list[tuple[str, str]],
    lines: list[tuple[str, str, str]],
    described: str,
    findings: list[str],
) -> None:
    made = [
        attachment(PDF, **({"ContentId": i} if i else {}), AttachmentName=n) for i, n in attachments
    ]
    got = read(carrying(*made, manifest=listed(*((f"cid:{i}", n, d) for i, n, d in lines))))
    assert " ".join(f.description or "-" for f in got.files) == described
    meant = {
        "un": "manifest.unlisted",
        "miss": "manifest.file_missing",
        "paired": "manifest.paired",
        "doubled": "attachment.content_id_doubled",
        "listed twice": "manifest.content_id_doubled",
    }
    assert codes(got) == [meant[word] for word in findings]


# 15 ContentType


def test_15_content_type_we_send() -> None:
    table = {
        "a.pdf": "application/pdf",
        "b.DOC": "application/doc",
        "c.docx": "application/docx",
        "d.zip": "application/zip",
        "e.xls": "application/zip",
        "f.txt": "application/zip",
        "g": "application/zip",
    }
    text = packed(a_header(), [(name, b"PK\x03\x04") for name in table]).decode()
    assert re.findall("<ContentType>(.*?)<", text) == list(table.values())
    assert re.findall("<edXML:ContentType>(.*?)<", text) == list(table.values())


WORD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


@pytest.mark.parametrize(
    ("kind", "name", "data", "findings"),
    [
        ("application/pdf", "a.pdf", PDF, []),
        ("", "a.pdf", PDF, []),
        ("application/octet-stream", "a.pdf", PDF, []),
        ("application/doc", "a.doc", WORD, []),
        ("application/msword; x=1", "a.doc", WORD, []),
        ("application/zip", "a.txt", zipped(("x.txt", b"chu")), []),
        ("application/zip", "a.zip", zipped(("x.txt", b"chu")), []),
        ("text/plain", "a.txt", zipped(("x.txt", b"chu")), ["attachment.wrapped"]),
        ("application/pdf", "a.pdf", zipped(("x.pdf", PDF)), ["attachment.wrapped"]),
        ("application/zip", "a.pdf", PDF, ["attachment.type_declared"]),
        ("text/plain", "a.pdf", PDF, ["attachment.type_declared"]),
        ("application/pdf", "a.bin", b"\x00\x01\x02", ["attachment.type_declared"]),
        (
            "application/pdf",
            "a.bin",
            zipped(("x", b"\x00\x01")),
            ["attachment.wrapped", "attachment.type_declared"],
        ),
    ],
)
def test_15_content_type_we_accept(kind: str, name: str, data: bytes, findings: list[str]) -> None:
    got = read(one(data, name, kind))
    assert got.files[0].declared_type == kind
    assert sorted(codes(got)) == sorted(findings)
    severity = {"attachment.wrapped": Severity.NOTE, "attachment.type_declared": Severity.WARNING}
    assert all(f.severity is severity[f.code] for f in got.findings)


def test_15_content_type_we_accept_from_a_manifest_that_was_written_too_early() -> None:
    """A fresh build of the vendor's lists every file as application/zip (4): one note."""
    made = [attachment(PDF, ContentId=f"cid:{i}", AttachmentName=f"{i}.pdf") for i in range(50)]
    lines = "".join(
        f"<Reference><ContentId>cid:{i}</ContentId><ContentType>application/zip</ContentType>"
        f"<AttachmentName>{i}.pdf</AttachmentName></Reference>"
        for i in range(50)
    )
    got = read(carrying(*made, manifest=lines))
    assert said(got) == [("manifest.type_declared", Severity.NOTE)]
    assert "(50)" in got.findings[0].text.en


# 16 base64


def test_16_base64_we_send() -> None:
    for size in range(300, 304):
        text = packed(a_header(), [("a.pdf", bytes(size))])
        found = re.search(rb"ContentTransferEncoded [^>]*>([^<]*)</edXML", text)
        assert found is not None
        assert found.group(1) == base64.b64encode(bytes(size))


@pytest.mark.parametrize(
    ("text", "size", "findings"),
    [
        ("JVBERi0xLjc=", 8, []),
        ("JVBE\r\nRi0x\r\nLjc=\r\n", 8, []),
        (" JVBE Ri0x\tLjc= ", 8, []),
        ("J\nV\nB\nE\nRi0xLjc=", 8, []),
        ("JVBERi0xLjc", 8, [("attachment.padding", Severity.WARNING)]),
        ("JVBERi0xLjcwMA=", 10, [("attachment.padding", Severity.WARNING)]),
        ("", 0, [("attachment.empty", Severity.WARNING)]),
    ],
)
def test_16_base64_we_accept(text: str, size: int, findings: list[tuple[str, Severity]]) -> None:
    got = read(one(text))
    assert (got.files[0].failed, got.files[0].size) == (False, size)
    assert said(got) == findings


@pytest.mark.parametrize("text", ["JVBE-_xLjc=", "${file}", "JVBE====", "JVBERi0xL", "é", "*"])
def test_16_base64_we_accept_all_but_the_attachment_with_other_characters(text: str) -> None:
    def made(number: int, content: bytes | str) -> str:
        return attachment(content, ContentId=f"cid:{number}", AttachmentName=f"{number}.pdf")

    lines = listed(*((f"cid:{n}", f"{n}.pdf", "") for n in (1, 2, 3)))
    got = read(carrying(made(1, PDF), made(2, text), made(3, PDF), manifest=lines))
    assert [f.failed for f in got.files] == [False, True, False]
    assert got.files[0].sha256 == got.files[2].sha256 != ""
    assert ("attachment.base64", Severity.ERROR) in said(got)
    assert got.header is not None


# 17 zip


def test_17_zip_we_send() -> None:
    text = packed(a_header(), [("Bảng.xls", b"cells" * 100)])
    found = re.search(rb"ContentTransferEncoded [^>]*>([^<]*)</edXML", text)
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(found.group(1)))) as archive:
        (entry,) = archive.infolist()
        assert re.fullmatch(r"[0-9a-f-]{36}\.xls", entry.filename)
        assert entry.compress_type == zipfile.ZIP_DEFLATED
        assert archive.read(entry) == b"cells" * 100


@pytest.mark.parametrize(
    ("name", "carried", "unwrapped", "findings"),
    [
        ("a.txt", zipped(("x", b"chu")), True, []),
        ("a.txt", zipped(("../../x", b"chu")), True, ["attachment.entry_path"]),
        ("a.txt", zipped(("d/", b""), ("d/x", b"chu")), True, ["attachment.entry_path"]),
        ("a.bin", zipped(("x", zipped(("y", b"chu")))), True, ["attachment.zip_nested"]),
        ("a.zip", zipped(("x.zip", zipped(("y", b"chu")))), True, ["attachment.zip_nested"]),
        ("a.docx", zipped(("x.docx", zipped(("word/document.xml", b"w")))), True, []),
        ("a.zip", zipped(("x.txt", b"chu")), False, []),
        ("a.docx", zipped(("word/document.xml", b"w")), False, []),
        ("a.bin", zipped(("x", b"chu"), ("y", b"chu")), False, []),
        ("a.bin", zipped(("x", b"chu"), ("y", b"")), False, []),
        ("a.bin", zipped(), False, []),
    ],
    ids=[
        "one entry",
        "its name is no path",
        "a folder beside it",
        "one level only",
        "a zip in a zip, named so",
        "an office file in a zip",
        "a zip is a zip",
        "an office file is one too",
        "two entries",
        "two entries, one empty",
        "no entry",
    ],
)
def test_17_zip_we_accept(
    name: str, carried: bytes, *, unwrapped: bool, findings: list[str]
) -> None:
    got = read(one(carried, name, "application/zip"))
    fact = got.files[0]
    assert fact.unwrapped is unwrapped
    assert (fact.sha256 == fact.carried_sha256) is not unwrapped
    assert codes(got) == findings


# 18 attachment name


def test_18_attachment_name_we_send() -> None:
    out = io.BytesIO()
    long = "ộ" * 83 + ".pdf"
    plan = plan_files([an_attachment("ba\u0309n.pdf", PDF), an_attachment(long, PDF)], "s")
    write_document(out, a_header(), plan)
    assert [f.declared_name for f in read(out.getvalue()).files] == ["bản.pdf", long]
    for bad in ("a/b.pdf", "a\\b.pdf", "..", "", "a\u202eb.pdf", "a\x00.pdf", "ộ" * 84 + ".pdf"):
        with pytest.raises(Rejected) as caught:
            plan_files([an_attachment(bad, PDF)], "s")
        assert [f.code for f in caught.value.findings] == ["attachment.name_unsafe"]


@pytest.mark.parametrize(
    ("declared", "name", "findings"),
    [
        ("Công văn số 12.pdf", "Công văn số 12.pdf", []),
        ("../../etc/x.pdf", "x.pdf", [("attachment.name_unsafe", Severity.WARNING)]),
        ("C:\\a\\x.pdf", "x.pdf", [("attachment.name_unsafe", Severity.WARNING)]),
        ("x\u202efdp.pdf", "x_fdp.pdf", [("attachment.name_unsafe", Severity.WARNING)]),
        ("NUL.pdf", "tep-dinh-kem-1_NUL.pdf", [("attachment.name_unsafe", Severity.WARNING)]),
        ("ba\u0309n.pdf", "bản.pdf", [("text.normal_form", Severity.NOTE)]),
    ],
)
def test_18_attachment_name_we_accept(
    declared: str, name: str, findings: list[tuple[str, Severity]]
) -> None:
    got = read(one(PDF, declared))
    assert (got.files[0].name, got.files[0].declared_name) == (name, declared)
    assert said(got) == findings


def test_18_attachment_name_we_accept_absent_and_overlong() -> None:
    nameless = read(
        carrying(attachment(PDF, ContentId="cid:1"), manifest=listed(("cid:1", "b.pdf", "")))
    )
    assert nameless.files[0].declared_name == "b.pdf"
    got = read(one(PDF, "ộ" * 300 + ".pdf"))
    assert len(got.files[0].name.encode()) <= 255
    assert got.files[0].name.endswith(".pdf")


# 19 DTD, entities


def test_19_dtd_we_send() -> None:
    text = packed(a_header(subject="&nbsp; <!DOCTYPE x> &#1;"), [])
    assert b"<!" not in text
    assert set(re.findall(rb"&[^;]*;", text)) == {b"&amp;", b"&lt;", b"&gt;"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<edXML ", "<!DOCTYPE edXML><edXML ", "xml.doctype"),
        ("<edXML ", '<!DOCTYPE edXML [<!ENTITY a "b">]><edXML ', "xml.doctype"),
        ("<edXML ", '<!DOCTYPE edXML SYSTEM "file:///etc/passwd"><edXML ', "xml.doctype"),
        ("V/v", "&ocirc;", "xml.entity"),
    ],
)
def test_19_dtd_we_accept(old: str, new: str, code: str) -> None:
    """Nothing of the kind: refused."""
    with pytest.raises(Unreadable) as caught:
        read(packed(a_header(), []).decode().replace(old, new, 1).encode())
    assert caught.value.code == code


# 20 Signature (its verdicts: tests of signing; here: where it stands and what is read)

BLOCK = (
    f'<Signature xmlns="{NS_DSIG}"><SignedInfo><SignatureMethod Algorithm="m"/>'
    '<Reference URI="cid:1"><DigestValue>d=</DigestValue></Reference></SignedInfo>'
    "<SignatureValue>v=</SignatureValue></Signature>"
)


def test_20_signature_we_send() -> None:
    text = packed(a_header(), [("a.pdf", PDF)], BLOCK.encode()).decode()
    assert re.search(re.escape(BLOCK) + r"\s*</edXML:edXMLHeader>", text)


@pytest.mark.parametrize(
    "block",
    [
        BLOCK,
        BLOCK.replace(f' xmlns="{NS_DSIG}"', ""),
        re.sub(r"(</?)(\w)", r"\1ds:\2", BLOCK).replace("xmlns=", "xmlns:ds="),
        BLOCK.replace("><", ">\r\n  <!-- x --><"),
    ],
    ids=["XML-DSig", "in Q", "prefixed", "indented, commented"],
)
@pytest.mark.parametrize("root", [False, True])
def test_20_signature_we_accept(block: str, *, root: bool) -> None:
    data = carrying(header="" if root else block)
    if root:
        data = data.replace(b"</edXMLEnvelope>", b"</edXMLEnvelope>" + block.encode())
    got = read(data)
    assert got.signature is not None
    assert got.signature.signature_value == "v="
    assert [(r.uri, r.digest_value) for r in got.signature.references] == [("cid:1", "d=")]


# 21 TraceHeaderList


def test_21_trace_header_list_we_send() -> None:
    text = packed(a_header(), []).decode()
    start = text.index("<edXML:TraceHeaderList>")
    assert re.sub(r"\s", "", text[start:].partition("</edXML:edXMLHeader>")[0]) == re.sub(
        r"\s",
        "",
        """<edXML:TraceHeaderList><edXML:Bussiness><edXML:BussinessDocType>0</edXML:BussinessDocType>
        <edXML:Paper>0</edXML:Paper><edXML:StaffInfo><edXML:Department>Văn thư</edXML:Department>
        <edXML:Staff>Mẫu</edXML:Staff></edXML:StaffInfo></edXML:Bussiness><edXML:TraceHeader>
        <edXML:OrganId>000.00.19.H14</edXML:OrganId><edXML:Timestamp>2026/11/20 10:00:00
        </edXML:Timestamp></edXML:TraceHeader></edXML:TraceHeaderList>""",
    )
    # type 0 is written for a document without any act
    assert b"<edXML:BussinessDocType>0<" in packed(a_header(business=Business()), [])


ACT = "<Bussiness><BussinessDocType>1</BussinessDocType><DocumentId>e</DocumentId></Bussiness>"
HOP = "<TraceHeader><OrganId>H14</OrganId><Timestamp>2026/11/20 10:00:00</Timestamp></TraceHeader>"
ITS_OWN = "<TraceHeader><Timestamp>2026/11/20 10:05:00</Timestamp></TraceHeader>"


@pytest.mark.parametrize(
    ("inside", "business", "organs"),
    [
        (None, Business(), []),
        ("", Business(), []),
        (HOP, Business(), ["H14"]),
        (ACT + HOP, Business(1, "e"), ["H14"]),
        (HOP + ACT, Business(1, "e"), ["H14"]),
        (HOP + ITS_OWN + ACT, Business(1, "e"), ["H14", ""]),
        (HOP + ACT + ITS_OWN, Business(1, "e"), ["H14", ""]),
        (ITS_OWN, Business(), [""]),
    ],
    ids=[
        "absent",
        "empty",
        "no Bussiness",
        "Bussiness first",
        "Bussiness last",
        "the axis' hop without OrganId",
        "Bussiness in between",
        "no OrganId at all",
    ],
)
def test_21_trace_header_list_we_accept(
    inside: str | None, business: Business, organs: list[str]
) -> None:
    traces = f"<TraceHeaderList>{inside}</TraceHeaderList>" if inside is not None else ""
    got = read(carrying(header=traces))
    assert got.header is not None
    assert got.header.business == business
    assert [hop.organ_id for hop in got.header.traces] == organs
    assert codes(got) == (["element.empty"] if inside == "" else [])


def test_21_trace_header_list_we_accept_with_its_attributes_and_paper() -> None:
    traces = f'<TraceHeaderList id="7" version="1.0"><Paper>1</Paper>{HOP}</TraceHeaderList>'
    got = read(carrying(header=traces))
    assert got.header is not None
    assert (got.header.trace_id, got.header.trace_version, got.header.paper) == ("7", "1.0", 1)


# 22 versions


def test_22_versions_we_send() -> None:
    assert set(re.findall('xmlns(?::edXML)?="(.*?)"', packed(a_header(), []).decode())) == {Q}
    assert set(re.findall('xmlns(?::edXML)?="(.*?)"', write_status(a_status()).decode())) == {Q}


@pytest.mark.parametrize(
    "namespace", [f"{Q}/", "http://www.go.vn/eDoc", "http://edxml.gov.vn/schema"]
)
def test_22_versions_we_accept(namespace: str) -> None:
    """QCVN 102:2016; other namespaces by name, edXML 1.0 ones with tests of their own."""
    assert read(packed(a_header(), [])).version == "qcvn102"
    assert namespace != NS_EDXML1
    with pytest.raises(Unreadable) as caught:
        read(packed(a_header(), []).replace(Q.encode(), namespace.encode()))
    assert caught.value.code == "package.namespace"
    assert namespace in caught.value.text.vi


# beside the rows: what makes a status and an act whole


@pytest.mark.parametrize("code", [*STATUS_CODES, "77"])
def test_a_status_of_every_code_keeps_all_it_says(code: str) -> None:
    report = a_status(
        response_for=ResponseFor("H14", "7816/VPCP-TTĐT", "d,1", "2026-11-20"),
        staff=Staff("Văn thư", "1", "Mẫu", "2", "m@b.vn", "09"),
        description="TP. Văn thư: đã tiếp nhận",
    )
    got = read(write_status(report).replace(b">01<", f">{code}<".encode()))
    assert got.status is not None
    assert (got.status.code, got.status.staff, got.status.response_for) == (
        code,
        report.staff,
        report.response_for,
    )
    assert codes(got) == (["status.code_unknown"] if code == "77" else [])


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_the_earlier_document_is_found_in_all_three_places_whatever_the_type(kind: int) -> None:
    response = "<ResponseFor><DocumentId>A</DocumentId></ResponseFor>"
    replaced = (
        "<ReplacementInfoList><ReplacementInfo><DocumentId>C</DocumentId></ReplacementInfo>"
        "<ReplacementInfo><DocumentId>C</DocumentId></ReplacementInfo></ReplacementInfoList>"
        "<ReplacementInfoList><ReplacementInfo><DocumentId>D</DocumentId></ReplacementInfo>"
        "</ReplacementInfoList>"
    )
    kind_of_act = f"<BussinessDocType>{kind}</BussinessDocType>"
    act = f"<Bussiness><DocumentId>B</DocumentId>{kind_of_act}{replaced}</Bussiness>"
    data = carrying(header=f"<TraceHeaderList>{act}</TraceHeaderList>")
    got = read(data.replace(b"</MessageHeader>", response.encode() + b"</MessageHeader>"))
    assert got.header is not None
    assert got.header.about() == (("A", "B", "C", "D") if kind else ())
    assert codes(got) == []


def test_a_file_that_failed_says_nothing_about_its_types() -> None:
    got = read(one("*", "a.pdf", "text/plain"))
    assert got.files[0] == FileFact(
        "a.pdf", 0, "", 0, "", False, "a.pdf", "text/plain", "", "cid:1", "", True
    )
    assert codes(got) == ["attachment.base64"]
