"""`inspect --strict`: what we write conforms, and each thing that we would not write is named."""

import io
import subprocess
import sys
import tomllib
import tracemalloc
from dataclasses import replace
from datetime import date

import pytest

from gateway.errors import Finding, Severity
from gateway.model.package import NS_DSIG, NS_QCVN102, DocumentType, Organ, ResponseFor, TraceHeader
from gateway.packing.profile import Profile, load_profile
from gateway.packing.read import read_package
from gateway.packing.schema_words import in_words
from gateway.packing.strict import day_of, strict_findings, violations
from gateway.packing.write import write_status
from gateway.safexml import Limits
from tests.support import pki, signed_packages
from tests.support.commands import ROOT
from tests.support.packages import a_header, a_status, packed, read

TODAY = date(2026, 11, 29)
FILES = [("12.pdf", b"%PDF-1.7\nmau"), ("bang.xlsx", b"PK\3\4 khong phai zip"), ("a.txt", b"x")]
DOCUMENT = packed(a_header(), FILES)
STATUS = write_status(a_status())


def profile() -> Profile:
    files = sorted((ROOT / "conf" / "profile").glob("*.toml"))
    return load_profile({f.name: tomllib.loads(f.read_text("utf-8")) for f in files})


PROFILE = profile()


def strictly(data: bytes, today: date = TODAY, limits: Limits | None = None) -> list[Finding]:
    package = read_package(io.BytesIO(data), limits=limits)
    in_force = PROFILE.on(day_of(package, today))
    return list(strict_findings(io.BytesIO(data), package, in_force, limits=limits))


def counted(data: bytes) -> list[str]:
    return [f.code for f in strictly(data) if f.severity is not Severity.NOTE]


# what conforms


@pytest.mark.parametrize(
    "data",
    [
        DOCUMENT,
        packed(a_header(), []),
        packed(a_header(), FILES, signed_packages.sign(pki.cast().agency_rsa, namespace=NS_DSIG)),
        packed(
            a_header(), FILES, signed_packages.sign(pki.cast().agency_rsa, namespace=NS_QCVN102)
        ),
        packed(a_header(document_type=DocumentType(name="Công văn")), FILES),
        packed(a_header(), [(f"{n}.pdf", b"%PDF") for n in range(2500)]),
        STATUS,
    ],
    ids=["plain", "no files", "signed", "signed in Q", "no number of the type", "many", "status"],
)
def test_what_we_write_conforms(data: bytes) -> None:
    assert strictly(data) == []


def test_a_sandbox_code_and_a_missing_name_are_told_but_not_counted() -> None:
    found = strictly(packed(a_header(sender=Organ("vxp.saas.03")), FILES))
    assert [(f.code, f.severity) for f in found] == [
        ("strict.form", Severity.NOTE),
        ("strict.presence", Severity.NOTE),
    ]
    assert violations(found) == 0


def test_a_detail_in_a_gap_of_the_catalogue_is_not_held_against_anybody() -> None:
    assert strictly(packed(a_header(document_type=DocumentType(2, 12, "Kế hoạch")), FILES)) == []
    unknown = strictly(packed(a_header(document_type=DocumentType(1, 14, "?")), FILES))
    assert [(f.code, f.severity) for f in unknown] == [("strict.code", Severity.NOTE)]


# what does not

PDF = b">JVBERi0xLjcKbWF1<"
WRONG = {
    "mark": (b"\xef\xbb\xbf" + DOCUMENT, "strict.bytes"),
    "no declaration": (DOCUMENT.partition(b"?>\r\n")[2], "strict.bytes"),
    "tail": (DOCUMENT + b"\0\0", "strict.bytes"),
    "instruction": (
        DOCUMENT.replace(b"<AttachmentE", b"<?x y?><AttachmentE"),
        "strict.instruction",
    ),
    "other prefix": (
        DOCUMENT.replace(b"edXML:", b"e:").replace(b":edXML=", b":e="),
        "strict.prefix",
    ),
    "order": (
        DOCUMENT.replace(b"<edXML:SteeringType>1</edXML:SteeringType>", b"").replace(
            b"<edXML:Code>", b"<edXML:SteeringType>1</edXML:SteeringType><edXML:Code>"
        ),
        "strict.schema",
    ),
    "spelling": (DOCUMENT.replace(b"Bussiness", b"Business"), "strict.schema"),
    "attribute": (DOCUMENT.replace(b"<edXML:Code>", b'<edXML:Code a="1">'), "strict.schema"),
    "text in a group": (DOCUMENT.replace(b"<edXML:Code>", b"<edXML:Code>x"), "strict.schema"),
    "version": (
        DOCUMENT.replace(b'version="1.0">\r\n        ', b'version="2">\r\n'),
        "strict.schema",
    ),
    "priority": (DOCUMENT.replace(b"Priority>0<", b"Priority>7<"), "strict.code"),
    "code": (STATUS.replace(b">01<", b">99<"), "strict.code"),
    "code nobody has seen": (STATUS.replace(b">01<", b">09<"), "strict.schema"),
    "one digit": (STATUS.replace(b">01<", b">1<"), "strict.code"),
    "date": (DOCUMENT.replace(b"2026/12/01", b"01/12/2026"), "strict.schema"),
    "empty": (DOCUMENT.replace("Nội dung mẫu".encode(), b""), "strict.empty"),
    "null": (DOCUMENT.replace("Nội dung mẫu".encode(), b"null"), "strict.null"),
    "doubled id": (DOCUMENT.replace(b">cid:", b">cid:cid:"), "strict.content_id"),
    "lines": (DOCUMENT.replace(PDF, b">JVBERi0x\r\nLjcKbWF1<"), "strict.base64"),
    "blank by reference": (DOCUMENT.replace(PDF, b">JVBERi0x&#10;LjcKbWF1<"), "strict.base64"),
    "type": (
        DOCUMENT.replace(b"<ContentType>application/pdf", b"<ContentType>text/plain"),
        "strict.content_type",
    ),
    "quoted id": (
        packed(a_header(response_for=(ResponseFor("không phải mã"),)), FILES),
        "strict.form",
    ),
    "trace": (packed(a_header(traces=(TraceHeader("a b"),)), FILES), "strict.form"),
    "number": (
        DOCUMENT.replace(b"<edXML:CodeNumber>12</edXML:CodeNumber>", b""),
        "strict.presence",
    ),
    "about": (
        STATUS.replace(
            b"<edXML:DocumentId>000.00.19.H14,2026/11/20,12/STTTT-VX</edXML:DocumentId>", b""
        ),
        "strict.presence",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_we_would_not_write_is_named(name: str) -> None:
    data, code = WRONG[name]
    assert data not in {DOCUMENT, STATUS}
    found = [f for f in strictly(data) if f.code == code]
    assert found
    assert found[0].severity is Severity.ERROR
    assert found[0].text.vi != found[0].text.en
    assert violations(found)


def test_one_fault_is_told_once_and_with_its_place() -> None:
    found = strictly(WRONG["priority"][0])
    assert [f.code for f in found] == ["strict.code"]
    line = WRONG["priority"][0][: WRONG["priority"][0].index(b"Priority>7")].count(b"\n") + 1
    assert found[0].path.endswith(f"/MessageHeader/OtherInfo/Priority (line {line})")
    assert counted(WRONG["empty"][0]) == ["strict.empty"]
    assert counted(WRONG["date"][0]) == ["strict.schema"]


def test_an_empty_group_is_named_though_the_grammar_lets_it_pass() -> None:
    signer = DOCUMENT[DOCUMENT.index(b"<edXML:SignerInfo>") : DOCUMENT.index(b"<edXML:DueDate>")]
    found = counted(DOCUMENT.replace(signer, b"<edXML:SignerInfo />"))
    assert found == ["strict.empty", "strict.presence"]


def test_what_the_reader_repaired_counts() -> None:
    unbound = DOCUMENT.replace(b"<AttachmentEncoded>", b'<AttachmentEncoded xlink:href="">')
    found = counted(unbound)
    assert "xml.prefix_repaired" in found
    assert "strict.schema" in found
    assert "package.junk_before" in counted(b"1212" + DOCUMENT)


def test_what_a_file_is_under_its_name_is_not_the_writers_doing() -> None:
    odd = packed(a_header(), [("a.pdf", b"PK\3\4")])
    said = {f.code for f in read(odd).findings}
    assert said == {"attachment.type_declared", "attachment.type_differs"}
    assert strictly(odd) == []


def test_the_profile_is_that_of_the_day_of_promulgation() -> None:
    old = packed(
        a_header(
            sender=Organ("H14.19", "Sở"),
            promulgation=replace(a_header().promulgation, date="2021-01-02"),
        ),
        FILES,
    )
    assert [f.code for f in strictly(old)] == ["strict.form"]
    assert strictly(packed(a_header(sender=Organ("H14.19", "Sở")), FILES)) == []


def test_the_day_is_the_documents_or_the_statuss_or_today() -> None:
    assert day_of(read(DOCUMENT), TODAY) == date(2026, 11, 20)
    assert day_of(read(STATUS), TODAY) == date(2026, 11, 20)
    undated = packed(a_header(promulgation=replace(a_header().promulgation, date="")), [])
    assert day_of(read(undated), TODAY) == TODAY


# size


def test_a_fault_far_behind_in_a_long_list_is_found_and_the_list_is_let_go() -> None:
    many = packed(a_header(), [(f"{n}.pdf", b"%PDF") for n in range(3000)])
    at = many.index(b"<AttachmentName>2900.pdf")
    wrong = many[:at] + b"<Odd>x</Odd>" + many[at:]
    line = many[:at].count(b"\n") + 1
    found = [f for f in strictly(wrong) if f.code == "strict.schema"]
    assert [f.path for f in found] == [f"/edXML/AttachmentEncoded/Attachment/Odd (line {line})"]


def test_more_findings_than_anybody_reads_are_counted() -> None:
    many = packed(a_header(), [(f"{n}.pdf", b"%PDF") for n in range(300)])
    found = strictly(many.replace(b">cid:", b">cid:cid:"))
    assert len(found) == 201
    assert found[-1].code == "strict.more"


def test_memory_does_not_grow_with_the_document() -> None:
    data = packed(a_header(), [("a.pdf", b"%PDF" + bytes(12_000_000))])
    package, source = read(data), io.BytesIO(data)
    in_force = PROFILE.on(TODAY)
    tracemalloc.start()
    try:
        assert strict_findings(source, package, in_force) == ()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * 1024 * 1024


def test_accepting_a_document_never_loads_the_schemas_library() -> None:
    code = (
        "import io, sys\n"
        "import gateway.desk, gateway.inbound, gateway.outbound\n"
        "from gateway.packing.read import read_package\n"
        "read_package(io.BytesIO(sys.stdin.buffer.read()))\n"
        "sys.exit('lxml' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=DOCUMENT, cwd=ROOT, check=False)
    assert done.returncode == 0


# words


@pytest.mark.parametrize(
    ("message", "vi", "en"),
    [
        ("Element '{urn:x}A': This element is not expected.", "không được đứng", "must not stand"),
        (
            "Element '{urn:x}A': Missing child element(s). Expected is ( {urn:x}B, {urn:x}C ).",
            "thiếu phần tử con: B, C",
            "lacks a child: B, C",
        ),
        (
            "Element 'A', attribute 'b': [facet 'enumeration'] The value 'x' is not an element",
            "A/@b có giá trị",
            "A/@b has a value",
        ),
        (
            "Element 'A': [facet 'minLength'] The value has a length of '0'; this underruns",
            "độ dài",
            "length",
        ),
        ("Element 'A': 'x' is not a valid value of the atomic type 'xs:int'.", "sai kiểu", "type"),
        ("Element 'A': The attribute 'b' is required but missing.", "thiếu thuộc tính b", "lacks"),
        ("Element 'A': Something new.", "A sai lược đồ: Something new.", "against the schema"),
        ("Something else", "Sai lược đồ", "against the schema"),
        ("Element 'A': No matching global declaration available.", "phần tử gốc", "not the root"),
    ],
)
def test_the_validators_words_are_told_in_both_languages(message: str, vi: str, en: str) -> None:
    told = in_words(message)
    assert vi in told.vi
    assert en in told.en
    assert "urn:x" not in told.vi + told.en
