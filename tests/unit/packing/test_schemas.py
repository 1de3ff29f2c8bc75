"""What we write is valid by schemas/edxml, whatever goes in; each planted fault is not."""

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from gateway.model.package import (
    NS_DSIG,
    NS_QCVN102,
    Business,
    DocumentCode,
    DocumentType,
    ReceiverChange,
    Replacement,
    ResponseFor,
    Staff,
)
from gateway.packing.write import write_status
from tests.support import pki, signed_packages
from tests.support.packages import a_header, a_pdf, a_status, packed
from tests.support.schemas import FOLDER, faults

SAMPLES = Path(__file__).parents[2] / "interop" / "samples"
FILES = [("12.pdf", b"%PDF-1.7\nmau"), ("bang.xlsx", b"PK\3\4 khong phai zip"), ("a.txt", b"")]
ACTS = {
    "new": Business(0, paper=0),
    "recall": Business(1, reason="Sai số", paper=1),
    "update": Business(2, "x", "r", 0, 1, 1, (ReceiverChange("G22", 0), ReceiverChange("H14", 1))),
    "replacement": Business(
        3, replaces=(Replacement("x", ("G22", "H14")), Replacement("y")), staff=(Staff("P", "1"),)
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_document_of_every_business_type_is_valid(act: str) -> None:
    earlier = (ResponseFor("G22", "1/VPCP", "d", "2026-01-02"), ResponseFor(document_id="e"))
    header = a_header(business=ACTS[act], response_for=earlier, task_codes=("1",), paper=1)
    assert faults(packed(header, FILES)) == []


def test_a_document_without_files_or_without_the_number_of_its_type_is_valid() -> None:
    assert faults(packed(a_header(), [])) == []
    assert faults(packed(a_header(document_type=DocumentType(name="Công văn")), FILES)) == []


def test_a_large_attachment_is_no_hindrance() -> None:
    assert faults(packed(a_header(), [("a.pdf", a_pdf(9_000_000))])) == []


@pytest.mark.parametrize("namespace", [NS_DSIG, NS_QCVN102])
def test_a_signed_document_is_valid_in_both_namespaces(namespace: str) -> None:
    signature = signed_packages.sign(pki.cast().agency_rsa, namespace=namespace)
    assert b"SignatureValue" in signature
    assert faults(packed(a_header(), FILES, signature)) == []


@pytest.mark.parametrize("code", ["01", "02", "03", "04", "05", "06", "13", "15", "16"])
def test_a_status_of_every_code_is_valid(code: str) -> None:
    assert faults(write_status(a_status(code=code)), "status") == []
    bare = a_status(code=code, description="", staff=Staff())
    assert faults(write_status(bare), "status") == []


DOCUMENT = packed(a_header(), FILES)
STATUS = write_status(a_status())


def moved(data: bytes, first: str, behind: str) -> bytes:
    """The element `first` stands behind the next `behind` instead of where it stood."""
    root = etree.fromstring(data)
    names = {etree.QName(e).localname: e for e in reversed(list(root.iter()))}
    names[behind].addnext(names[first])
    return etree.tostring(root)


@pytest.mark.parametrize(
    "wrong",
    [
        moved(DOCUMENT, "Subject", "Content"),
        moved(DOCUMENT, "DocumentId", "SteeringType"),
        moved(DOCUMENT, "ContentId", "ContentType"),
        moved(DOCUMENT, "OrganName", "DocumentId"),
        DOCUMENT.replace(b"<edXML:Priority>0<", b"<edXML:Priority>5<"),
        DOCUMENT.replace(b"<edXML:SteeringType>1<", b"<edXML:SteeringType>4<"),
        DOCUMENT.replace(b"<edXML:SteeringType>1<", b"<edXML:SteeringType> 1 <"),
        DOCUMENT.replace(b"DocType>0<", b"DocType>4<"),
        DOCUMENT.replace(b"2026/12/01", b"2026-12-01"),
        DOCUMENT.replace(b">2026/11/20 10:00:00<", b">2026/11/20<"),
        DOCUMENT.replace("Nội dung mẫu".encode(), b""),
        DOCUMENT.replace("Nội dung mẫu".encode(), b" \t "),
        DOCUMENT.replace(b"<edXML:DueDate>", b"<edXML:Odd/><edXML:DueDate>"),
        DOCUMENT.replace(b"<edXML:Subject>", b'<edXML:Subject a="">'),
        DOCUMENT.replace(b"Bussiness", b"Business"),
        DOCUMENT.replace(b"TyperNotation", b"TypeNotation"),
        DOCUMENT.replace(b">cid:", b">"),
        DOCUMENT.replace(b'Manifest version="1.0"', b"Manifest"),
        DOCUMENT.replace(b'xmlns:edXML="' + NS_QCVN102.encode(), b'xmlns:edXML="urn:x'),
        DOCUMENT.replace(b"JVBERi0x", b"JVBER*0x"),
        DOCUMENT.replace(b">000.00.19.H14<", b">000.00.19 H14<"),
        packed(a_header(code=DocumentCode()), FILES),
        packed(a_header(subject=""), FILES),
        packed(a_header(document_type=DocumentType(2, 18)), FILES),
        packed(a_header(), FILES, b"<Signature><SignedInfo/></Signature>"),
        STATUS,
    ],
    ids=range(26),
)
def test_a_planted_fault_in_a_document_is_found(wrong: bytes) -> None:
    assert wrong != DOCUMENT
    assert faults(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        moved(STATUS, "StatusCode", "Timestamp"),
        moved(STATUS, "ResponseFor", "StaffInfo"),
        STATUS.replace(b">01<", b">1<"),
        STATUS.replace(b">01<", b">07<"),
        STATUS.replace(b">01<", b"><"),
        STATUS.replace(b"<edXML:StatusCode>01</edXML:StatusCode>", b""),
        STATUS.replace(b">2026/11/20 11:08:36<", b">20/11/2026 11:08:36<"),
        STATUS.replace(b"</edXML:edXMLHeader>", b"</edXML:edXMLHeader><edXML:edXMLBody/>"),
        DOCUMENT,
    ],
    ids=range(9),
)
def test_a_planted_fault_in_a_status_is_found(wrong: bytes) -> None:
    assert wrong != STATUS
    assert faults(wrong, "status")


# edxml-format 14 says which of the public samples the grammar holds
VALIDITY = {
    "edoc_new": ("document", ""),  # once its junk `1212` is off
    "edoc_revocation": ("document", ""),
    "edoc_update": ("document", ""),
    "relayed_pdf_in_zip": ("document", ""),
    "two_files": ("document", ""),
    "status": ("status", ""),
    "minimal": ("document", f"Expected is ( {{{NS_QCVN102}}}Code )"),
    "status_acceptance_03": ("status", "OrganizationInCharge': This element is not expected"),
    "status_inbox_ 01": ("status", "OrganizationInCharge': This element is not expected"),
    "status_processing_05": ("status", "OrganizationInCharge': This element is not expected"),
    "status_rejection_02": ("status", "OrganizationInCharge': This element is not expected"),
}


def test_every_sample_has_its_validity_said() -> None:
    assert {path.stem for path in SAMPLES.glob("*.edxml")} == set(VALIDITY)


@pytest.mark.parametrize("name", VALIDITY)
def test_a_sample_is_as_valid_as_it_is_said_to_be(name: str) -> None:
    kind, fault = VALIDITY[name]
    data = (SAMPLES / f"{name}.edxml").read_bytes()
    found = faults(data[data.index(b"<?xml") :], kind)
    assert fault in found[0] if fault else found == []


def test_every_file_of_the_schemas_has_its_origin_told() -> None:
    told = (FOLDER / "ORIGIN.md").read_text("utf-8")
    for path in FOLDER.glob("*.xsd"):
        assert f"`{path.name}`" in told
        assert "ORIGIN.md" in path.read_text("utf-8")


def test_a_header_that_says_it_all_is_valid() -> None:
    other = replace(
        a_header().other, direction=True, reply_fors="1", reference_codes="2", appendixes=("PL",)
    )
    header = a_header(other=other, application_type="1", trace_id="i", trace_version="1.0")
    assert faults(packed(header, FILES)) == []
