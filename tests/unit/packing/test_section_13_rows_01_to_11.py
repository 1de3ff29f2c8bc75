"""edxml-format 13, row by row: `test_NN_row_we_send` and `test_NN_row_we_accept`.

Rows 12 to 22 stand in the module of that name. What is accepted comes with what is said about it:
nothing, a note (a habit of the field), a warning (something is wrong) or an error.
"""

import io
import re
import unicodedata
from collections.abc import Callable

import pytest
from lxml import etree

from gateway.errors import Rejected, Severity
from gateway.model.package import (
    Business,
    DocumentHeader,
    Extra,
    Organ,
    OtherInfo,
    Promulgation,
    ReceiverChange,
    Replacement,
    ResponseFor,
    Staff,
    TraceHeader,
)
from gateway.packing import spelling
from gateway.packing.read import ReadPackage, read_package
from tests.support.packages import Q, a_header, codes, packed, read

PDF = b"%PDF-1.7\nmau"
FILES = [("12.pdf", PDF), ("Bảng kê.csv", b"a;b")]
FULL = a_header(
    sender=Organ("000.00.19.H14", "Sở", "UBND tỉnh", "1 Phố", "a@b.vn", "1", "2", "b.vn"),
    response_for=(ResponseFor("000.00.00.G22", "7/VPCP", "x,1", "2026-10-01"),),
    task_codes=("NV-1",),
    application_type="1",
    other=OtherInfo(1, "Toàn quốc", "CV", 1, 2, "r", False, "c", ("Phụ lục 1", "Phụ lục 2")),
    business=Business(
        type=3,
        document_id="e-0",
        reason="Thay thế",
        paper=0,
        document_changed=1,
        receivers_changed=1,
        receivers=(ReceiverChange("000.00.00.G22", 1),),
        replaces=(Replacement("e-1", ("G22", "H37")), Replacement("e-2")),
        staff=(Staff("Văn thư", "1", "Mẫu", "2", "m@b.vn", "09"),),
    ),
    traces=(TraceHeader("000.00.19.H14", "2026/11/20 10:00:00"),),
    trace_id="t-1",
    trace_version="1.0",
    paper=0,
)
SENT = packed(FULL, FILES)
BARE = re.sub(rf' xmlns:edXML="{Q}"', "", SENT.decode()).replace("edXML:", "")
BASE = "/edXML/edXMLEnvelope/edXMLHeader/MessageHeader"


def accepted(data: bytes | str, *said: str, header: DocumentHeader = FULL) -> ReadPackage:
    """Read whole: every value of the header, every file, and exactly these findings."""
    got = read(data.encode() if isinstance(data, str) else data)
    assert got.header == header
    assert [(f.declared_name, f.failed) for f in got.files] == [(n, False) for n, _ in FILES]
    assert codes(got) == list(said)
    return got


def sent(old: str, new: str, count: int = 1) -> str:
    text = SENT.decode()
    assert old in text, old
    return text.replace(old, new, count)


def refused(header: DocumentHeader) -> list[str]:
    with pytest.raises(Rejected) as caught:
        packed(header, [])
    return [f.code for f in caught.value.findings]


# 01 bytes


def test_01_bytes_we_send() -> None:
    assert SENT.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\r\n<edXML xmlns=')
    assert SENT.decode("utf-8").endswith("</edXML>\r\n")
    assert b"\n" not in SENT.replace(b"\r\n", b"")


UTF_16 = SENT.decode().replace('encoding="UTF-8"', 'encoding="UTF-16"')


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xef\xbb\xbf" + SENT, []),
        (UTF_16.encode("utf-16"), []),
        (UTF_16.encode("utf-16-le"), []),
        (UTF_16.encode("utf-16-be"), []),
        (SENT.partition(b"?>\r\n")[2], []),
        (SENT.replace(b"\r\n", b"\n"), []),
        (b"1212" + SENT, ["package.junk_before"]),
        (b"\r\n" + SENT, ["package.junk_before"]),
        (b"x" * 1024 + SENT, ["package.junk_before"]),
        (b"\xef\xbb\xbf1212" + SENT.partition(b"?>\r\n")[2], ["package.junk_before"]),
        (SENT + b" \r\n\t\n", []),
        (SENT + b"\0", []),
        (SENT.rstrip() + b"\0\0\0 \r\n\0", []),
    ],
    ids=[
        "BOM",
        "UTF-16 with BOM",
        "UTF-16 LE",
        "UTF-16 BE",
        "no declaration",
        "LF",
        "junk",
        "a blank line in front",
        "1 KB of junk",
        "BOM, junk, no declaration",
        "white space behind",
        "NUL behind",
        "NUL and blanks behind",
    ],
)
def test_01_bytes_we_accept(data: bytes, said: list[str]) -> None:
    got = accepted(data, *said)
    assert got.size == len(data)
    assert all(f.severity is Severity.WARNING for f in got.findings)


# 02 namespace


def test_02_namespace_we_send() -> None:
    assert {etree.QName(e).namespace for e in etree.fromstring(SENT).iter()} == {Q}
    text = SENT.decode()
    assert text.count("xmlns") == text.count(f'"{Q}"') == 2 + len(FILES)
    head, _, tail = text.partition("  <AttachmentEncoded>")
    outside = re.findall(r"<([A-Za-z:]+)", head.partition("edXMLEnvelope")[2])
    assert all(name.startswith("edXML:") for name in outside)
    assert set(re.findall(r"<edXML:(\w+)", tail)) == {"ContentTransferEncoded"}


def none_below_the_envelope() -> str:
    """The namespace is undone on what stands in the envelope and beside it."""
    text = BARE.replace("<edXMLHeader>", '<edXMLHeader xmlns="">')
    text = text.replace("<edXMLBody>", '<edXMLBody xmlns="">')
    return text.replace("<AttachmentEncoded>", '<AttachmentEncoded xmlns="">')


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BARE, []),
        (SENT.decode().replace("edXML:", "ed:").replace("xmlns:edXML", "xmlns:ed"), ["prefix"]),
        (SENT.decode().replace("edXML:", "ns2:").replace("xmlns:edXML", "xmlns:ns2"), ["prefix"]),
        (none_below_the_envelope(), ["none"]),
        (
            BARE.replace(f'<edXML xmlns="{Q}"', f'<q:edXML xmlns:q="{Q}"').replace(
                "\n</edXML>", "\n</q:edXML>"
            ),
            ["prefix", "none"],
        ),
        (sent("<AttachmentEncoded>", '<AttachmentEncoded xmlns="">'), ["none"]),
        (
            BARE.replace(f'<edXML xmlns="{Q}">', "<edXML>").replace(
                "<edXMLEnvelope>", f'<edXMLEnvelope xmlns="{Q}">'
            ),
            ["none"],
        ),
        (SENT.decode().replace(f' xmlns:edXML="{Q}"', ""), ["repaired"]),
        (
            SENT.decode()
            .replace(f' xmlns:edXML="{Q}"', "")
            .replace("<edXML:", "<edxml:")
            .replace("</edXML:", "</edxml:"),
            ["repaired", "prefix"],
        ),
        (sent("<edXML:Subject>", '<edXML:Subject xlink:href="">'), ["repaired", "extras"]),
        (
            BARE.replace(f'<edXML xmlns="{Q}">', f'<Package xmlns="{Q}">').replace(
                "\n</edXML>", "\n</Package>"
            ),
            ["root"],
        ),
    ],
    ids=[
        "all in the default namespace",
        "another prefix",
        "a prefix of a generator",
        "no namespace below the envelope",
        "only the root has one",
        "attachments in none",
        "only the envelope has one",
        "edXML unbound",
        "edxml unbound",
        "xlink unbound",
        "another root",
    ],
)
def test_02_namespace_we_accept(data: str, said: list[str]) -> None:
    full = {
        "prefix": "xml.prefix_other",
        "none": "xml.namespace_missing",
        "repaired": "xml.prefix_repaired",
        "extras": "package.extras",
        "root": "package.root_name",
    }
    accepted(data, *(full[word] for word in said))


# 03 order


def test_03_order_we_send() -> None:
    """The builder's order, whatever order the values were given in: 14 is the grammar."""
    message = etree.fromstring(SENT).find(".//{*}MessageHeader")
    assert message is not None
    assert " ".join(etree.QName(child).localname for child in message) == (
        "From To DocumentId Code PromulgationInfo DocumentType Subject Content SignerInfo DueDate "
        "OtherInfo ResponseFor SteeringType ResponseForTask ApplicationType ToPlaces"
    )


def test_03_order_we_accept() -> None:
    """Every group turned around, and the attachments in front of the envelope."""
    tree = etree.fromstring(SENT)
    many = {"To", "Reference", "Attachment", "Place", "Appendix", "ReplacementInfo", "OrganId"}
    for element in tree.iter():
        children = list(element)
        if not {etree.QName(child).localname for child in children} <= many:
            element[:] = children[::-1]
    accepted(etree.tostring(tree))


# 04 empty elements


def test_04_empty_elements_we_send() -> None:
    header = DocumentHeader(Organ("H14"), (Organ("G22"),), "d", content=" ", to_places=("", " "))
    for element in etree.fromstring(packed(header, [])).iter():
        name = etree.QName(element).localname
        assert len(element) or element.text or name in {"edXMLManifest", "AttachmentEncoded"}


def test_04_empty_elements_we_accept() -> None:
    text = sent(
        "<edXML:Subject>",
        "<edXML:Subject></edXML:Subject><edXML:Content>\r\n </edXML:Content><edXML:DueDate/>"
        "<edXML:ResponseFor /><edXML:ResponseFor><edXML:Code/></edXML:ResponseFor>"
        "<edXML:To><edXML:OrganId/></edXML:To><edXML:Subject>",
    )
    text = text.replace("<edXML:Appendixes>", "<edXML:Appendixes><edXML:Appendix/>")
    got = read(text.encode())
    assert got.header == FULL
    assert sorted(set(codes(got))) == ["element.empty", "element.repeated"]
    (said,) = (f for f in got.findings if f.code == "element.empty")
    assert said.severity is Severity.NOTE
    # the repeated ones that were not taken (Subject, Content, DueDate) are not counted again
    assert "(4)" in said.text.en


# 05 unknown elements and attributes


def test_05_unknown_we_send() -> None:
    known = set(re.findall(r"</?(?:edXML:)?(\w+)", SENT.decode()))
    assert known <= set(spelling._NAMES.split())
    assert set(re.findall(r"\s(\w+)=", SENT.decode())) == {"version", "encoding", "xmlns", "id"}


def test_05_unknown_we_accept() -> None:
    text = sent(
        "<edXML:Subject>",
        '<edXML:Mat do="1">A<edXML:B>b</edXML:B></edXML:Mat><edXML:Subject id="s">',
    )
    text = text.replace("<edXML:Reference>", '<edXML:Reference><edXML:Dai c="2">9</edXML:Dai>', 1)
    text = text.replace("<Attachment>", "<Attachment><Sub/><Own x=''>o</Own>", 1)
    text = text.replace("<AttachmentEncoded>", "<AttachmentEncoded><Other>z</Other>")
    text = text.replace("<edXML:Receiver>", "<edXML:Receiver><edXML:Why>w</edXML:Why>")
    text = text.replace('Manifest version="1.0"', 'Manifest version="1.0" count="2"')
    text = text.replace("</edXML:edXMLHeader>", "<edXML:DigitalSignature/></edXML:edXMLHeader>")
    got = accepted(text, "package.extras")
    head, body = BASE.rpartition("/")[0], "/edXML/edXMLEnvelope/edXMLBody/edXMLManifest"
    business = f"{head}/TraceHeaderList/Bussiness/BussinessDocumentInfo/ReceiverList/Receiver"
    assert set(got.extras) == {
        Extra(f"{BASE}/Mat", "A"),
        Extra(f"{BASE}/Mat/@do", "1"),
        Extra(f"{BASE}/Mat/B", "b"),
        Extra(f"{BASE}/Subject/@id", "s"),
        Extra(f"{business}/Why", "w"),
        Extra(f"{head}/DigitalSignature", ""),
        Extra(f"{body}/@count", "2"),
        Extra(f"{body}/Reference[1]/Dai", "9"),
        Extra(f"{body}/Reference[1]/Dai/@c", "2"),
        Extra("/edXML/AttachmentEncoded/Other", "z"),
        Extra("/edXML/AttachmentEncoded/Attachment[1]/Sub", ""),
        Extra("/edXML/AttachmentEncoded/Attachment[1]/Own", "o"),
        Extra("/edXML/AttachmentEncoded/Attachment[1]/Own/@x", ""),
    }
    assert got.findings[0].text.en.startswith("13 elements or attributes")


def test_05_unknown_we_accept_up_to_a_bound_and_say_how_many_there_were() -> None:
    got = read(sent("<edXML:Subject>", "<edXML:X/>" * 1500 + "<edXML:Subject>").encode())
    assert len(got.extras) == 1000
    assert "1500 elements or attributes outside the regulation, of which 1000" in (
        got.findings[0].text.en
    )


# 06 spelling


def test_06_spelling_we_send() -> None:
    for name in ("Bussiness", "BussinessDocType", "BussinessDocReason", "BussinessDocumentInfo"):
        assert f"<edXML:{name}>".encode() in SENT
    assert b"<edXML:TyperNotation>CV<" in SENT
    assert b"<edXML:OrganizationInCharge>" in SENT
    assert b"Business" not in SENT


@pytest.mark.parametrize(
    ("standard", "other"),
    [
        ("Bussiness", "Business"),
        ("TyperNotation", "TypeNotation"),
        ("OrganizationInCharge", "OrganInCharge"),
        ("edXMLManifest", "Manifest"),
        ("BussinessDocType", "bussinessDOCType"),
    ],
)
def test_06_spelling_we_accept(standard: str, other: str) -> None:
    got = accepted(SENT.decode().replace(standard, other), "element.spelling")
    assert got.findings[0].severity is Severity.NOTE
    assert f"{other} ({standard})" in got.findings[0].text.en


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
def test_06_spelling_we_accept_in_any_letter_case(change: Callable[[str], str]) -> None:
    text = re.sub(r"(</?(?:edXML:)?)(\w+)", lambda m: m[1] + change(m[2]), SENT.decode())
    got = accepted(text, "element.spelling")
    assert re.search(r"\(\d{2}\)", got.findings[0].text.en)  # one note for some eighty names


# 07 duplicates


def test_07_duplicates_we_send() -> None:
    assert refused(a_header(to=(Organ("G22"), Organ("g22")))) == ["header.to_repeated"]
    once = ("DocumentId", "Subject", "SteeringType", "edXMLManifest", "TraceHeaderList", "From")
    message = re.sub(rb"<edXML:(ResponseFor|Bussiness)>.*?</edXML:\1>", b"", SENT, flags=re.DOTALL)
    for name in once:
        assert message.count(f"</edXML:{name}>".encode()) == 1


def test_07_duplicates_we_accept() -> None:
    second = "<edXML:From><edXML:OrganId>H99</edXML:OrganId></edXML:From>"
    got = accepted(sent("</edXML:From>", f"</edXML:From>{second}"), "element.repeated")
    assert "first" in got.findings[0].text.en
    again = "<edXML:To><edXML:OrganId>000.00.00.G22</edXML:OrganId></edXML:To>"
    header = a_header(to=(*a_header().to, Organ("000.00.00.G22"), Organ("H37")))
    more = again + "<edXML:To><edXML:OrganId>H37</edXML:OrganId></edXML:To>"
    plain = packed(a_header(), FILES).decode().replace("</edXML:To>", f"</edXML:To>{more}")
    accepted(plain, header=header)
    for name in ("DocumentId", "Subject", "SteeringType"):
        text = sent(f"<edXML:{name}>", f"<edXML:{name}>7</edXML:{name}><edXML:{name}>")
        got = accepted(text, "element.repeated")
        assert got.findings[0].severity is Severity.WARNING
        assert "last" in got.findings[0].text.en
    first = "<edXML:Code><edXML:CodeNumber>9</edXML:CodeNumber></edXML:Code>"
    accepted(sent("<edXML:Code>", f"{first}<edXML:Code>"), "element.repeated")
    whole = "<edXML:MessageHeader><edXML:Subject>1</edXML:Subject></edXML:MessageHeader>"
    accepted(sent("<edXML:MessageHeader>", f"{whole}<edXML:MessageHeader>"), "element.repeated")


# 08 To


def test_08_to_we_send() -> None:
    assert refused(a_header(to=())) == ["header.to_missing"]


def test_08_to_we_accept() -> None:
    text = re.sub(
        r"<edXML:To>.*?</edXML:To>", "", packed(a_header(), FILES).decode(), flags=re.DOTALL
    )
    got = accepted(text, "header.to_missing", header=a_header(to=()))
    assert got.findings[0].severity is Severity.WARNING


# 09 DocumentId


def test_09_document_id_we_send() -> None:
    """Whoever makes the id (desk) decides its form; none at all is never written."""
    for empty in ("", " ", "\u00a0"):
        assert refused(a_header(document_id=empty)) == ["header.document_id_invalid"]
    assert refused(a_header(document_id="x" * 256)) == ["header.document_id_invalid"]
    assert b"<edXML:DocumentId>000.00.19.H14,2026/11/20,12/STTTT-VX</edXML:DocumentId>" in SENT


@pytest.mark.parametrize(
    "written",
    [
        "000.00.00.G22,2014/02/30,7806/VPCP-TTĐT",
        "000.00.00.H01,2018,10",
        "6f9b1c1e-0000-4000-8000-000000000001",
        " 1 ",
        "x" * 400,
    ],
)
def test_09_document_id_we_accept(written: str) -> None:
    old = "<edXML:DocumentId>000.00.19.H14,2026/11/20,12/STTTT-VX<"
    got = read(sent(old, f"<edXML:DocumentId>{written}<").encode())
    assert got.header is not None
    assert got.header.document_id == written.strip()
    assert not got.findings


@pytest.mark.parametrize("inside", [None, "", "null"])
def test_09_document_id_we_accept_missing(inside: str | None) -> None:
    new = "" if inside is None else f"<edXML:DocumentId>{inside}</edXML:DocumentId>"
    text = re.sub(r"<edXML:DocumentId>000.*?</edXML:DocumentId>", new, SENT.decode())
    got = read(text.encode())
    assert got.header is not None
    assert got.header.document_id == ""
    (said,) = (f for f in got.findings if f.code == "header.document_id_missing")
    assert said.severity is Severity.WARNING


# 10 dates


def test_10_dates_we_send() -> None:
    text = SENT.decode()
    assert "<edXML:PromulgationDate>2026/11/20</edXML:PromulgationDate>" in text
    assert "<edXML:DueDate>2026/12/01</edXML:DueDate>" in text
    assert "<edXML:Timestamp>2026/11/20 10:00:00</edXML:Timestamp>" in text
    for bad in ("2026-02-30", "2026/11/20", "20/11/2026", "2026-1-2", "hôm nay"):
        assert refused(a_header(promulgation=Promulgation("x", bad))) == ["date.invalid"]
    for bad in ("2026/02/30 10:00:00", "2026/11/20 24:00:00", "2026-11-20 10:00:00"):
        assert refused(a_header(traces=(TraceHeader("H14", bad),))) == ["timestamp.invalid"]


@pytest.mark.parametrize(
    ("written", "value", "said"),
    [
        ("2026/11/20", "2026-11-20", []),
        ("2026-11-20", "2026-11-20", ["date.form"]),
        ("20/11/2026", "2026-11-20", ["date.form"]),
        ("2026/11/20 08:00:00", "2026-11-20", ["date.form"]),
        ("2026-11-20T08:00:00+07:00", "2026-11-20", ["date.form"]),
        ("20/11/2026 08:00", "2026-11-20", ["date.form"]),
        ("2026/2/3", "2026-02-03", ["date.form"]),
        ("2014/02/30", "2014/02/30", ["date.invalid"]),
        ("2025/14/45", "2025/14/45", ["date.invalid"]),
        ("11/20/2026", "11/20/2026", ["date.invalid"]),
        ("20.11.2026", "20.11.2026", ["date.invalid"]),
    ],
)
def test_10_dates_we_accept(written: str, value: str, said: list[str]) -> None:
    for name in ("PromulgationDate", "DueDate"):
        old = re.search(rf"<edXML:{name}>2026/1[12]/[0-9]+<", SENT.decode())
        assert old is not None
        got = read(sent(old.group(), f"<edXML:{name}>{written}<").encode())
        assert got.header is not None
        found = {"PromulgationDate": got.header.promulgation.date, "DueDate": got.header.due_date}
        assert found[name] == value
        assert codes(got) == said
    severity = {"date.form": Severity.NOTE, "date.invalid": Severity.WARNING}
    assert [f.severity for f in got.findings] == [severity[code] for code in said]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026/11/20 23:59:59", []),
        ("2026-11-20 10:00:00", ["timestamp.form"]),
        ("20/11/2026 10:00:00", ["timestamp.form"]),
        ("2026/11/20", ["timestamp.invalid"]),
        ("2026/11/31 10:00:00", ["timestamp.invalid"]),
        ("2026/11/20 24:00:00", ["timestamp.invalid"]),
    ],
)
def test_10_dates_we_accept_as_timestamps_are_kept_as_written(
    written: str, said: list[str]
) -> None:
    got = read(sent("2026/11/20 10:00:00", written).encode())
    assert got.header is not None
    assert got.header.traces[0].timestamp == written
    assert codes(got) == said


# 11 integers


def test_11_integers_we_send() -> None:
    found = re.findall(
        r"<edXML:(?:Type|TypeDetail|Priority|SteeringType|PageAmount|Paper|ReceiverType|"
        r"PromulgationAmount|BussinessDocType|DocumentInfo|DocumentReceiver)>(.*?)</",
        SENT.decode(),
    )
    assert len(found) == 12
    assert all(re.fullmatch("[0-9]+", value) for value in found)
    assert refused(a_header(other=OtherInfo(pages=-1))) == ["number.invalid"]
    # the vendor's parser wants a number there, and its builder always writes one
    assert b"<edXML:SteeringType>0<" in packed(a_header(steering_type=None), [])


@pytest.mark.parametrize(
    ("written", "value", "said"),
    [
        (" 2 ", 2, []),
        ("\r\n 2\r\n", 2, []),
        ("02", 2, []),
        ("+2", 2, []),
        ("", None, ["number.empty"]),
        ("null", None, ["element.null"]),
        ("hai", None, ["number.invalid"]),
        ("2.0", None, ["number.invalid"]),
        ("-1", None, ["number.invalid"]),
        ("9" * 40, None, ["number.invalid"]),
    ],
)
def test_11_integers_we_accept(written: str, value: int | None, said: list[str]) -> None:
    names = ("SteeringType", "Priority", "PageAmount")
    text = SENT.decode()
    for name in names:
        text = re.sub(f"<edXML:{name}>.*?<", f"<edXML:{name}>{written}<", text)
    got = read_package(io.BytesIO(text.encode()))
    assert got.header is not None
    header = got.header
    assert (header.steering_type, header.other.priority, header.other.pages) == (value,) * 3
    assert set(codes(got)) == set(said)


def test_11_integers_we_accept_hundreds_of_bad_ones_without_a_flood() -> None:
    fields = "<edXML:OrganId>G22</edXML:OrganId><edXML:ReceiverType>x</edXML:ReceiverType>"
    bad = f"<edXML:Receiver>{fields}</edXML:Receiver>"
    got = read(sent("<edXML:ReceiverList>", "<edXML:ReceiverList>" + bad * 300).encode())
    told = codes(got)
    assert told.count("number.invalid") == told.count("receiver.incomplete") == 21
    assert [f.text.en for f in got.findings[-2:]] == ["… and 280 more like these"] * 2


def test_text_in_another_normal_form_is_the_same_text() -> None:
    """Not a row of its own: section 10's last quirk, on both sides."""
    decomposed = unicodedata.normalize("NFD", "Thông báo số 1").replace(" ", "\u00a0")
    written = packed(a_header(subject=decomposed), FILES)
    assert "Thông báo số 1".encode() in written
    accepted(written, header=a_header(subject="Thông báo số 1"))
    raw = written.decode().replace("Thông báo số 1", decomposed)
    accepted(raw, "text.normal_form", header=a_header(subject="Thông báo số 1"))
