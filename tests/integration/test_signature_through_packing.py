"""Written, relayed, read and judged by the real rooms: what we sign is what a receiver verifies."""

import base64
import io
import zipfile
from dataclasses import replace

import pytest

from adapters.vxp import rebuild as axis
from gateway.model.package import (
    NS_DSIG,
    NS_QCVN102,
    Business,
    DocumentType,
    OtherInfo,
    Signer,
    TraceHeader,
    Trust,
    header_digest,
)
from gateway.model.submission import Attachment
from gateway.packing.read import read_package
from gateway.packing.write import plan_files, write_document
from gateway.signing import ECDSA_SHA256, RSA_SHA256, finish, prepare
from gateway.signing.verify import inner_choice, verify
from tests.support import pki
from tests.support import signed_packages as packages


def workbook():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return out.getvalue()


CONTENT = {
    "12-UBND-VX.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 40 + b"\n%%EOF\n",
    "Bảng kê.xlsx": workbook(),
    "ghi chú.txt": "một dòng\r\nhai dòng\n".encode(),
    "trống.txt": b"",
}
HEADER = replace(
    packages.HEADER,
    document_type=DocumentType(2, 18, "Công văn"),
    signer=Signer("TM.", "Chủ tịch", "Tên mẫu"),
    other=OtherInfo(priority=0),
    steering_type=1,
    business=Business(type=0, paper=0),
    traces=(TraceHeader("000.00.19.H14", "2026/11/20 10:00:00"),),
)


def attachment(name, data):
    return Attachment(name, len(data), packages.sha256(data), lambda: io.BytesIO(data))


def written(leaf, algorithm, *, namespace=NS_DSIG, content=CONTENT):
    planned = plan_files([attachment(n, d) for n, d in content.items()], "seed")
    digests = [(p.fact.declared_name, p.fact.sha256) for p in planned]
    prepared = prepare(
        [(p.fact.content_id, p.fact.sha256) for p in planned],
        header_digest(HEADER, digests),
        algorithm,
    )
    value = leaf.sign(prepared.signed_info)
    signature = finish(prepared, value, leaf.der, namespace=namespace)
    out = io.BytesIO()
    write_document(out, HEADER, planned, signature=signature)
    return out.getvalue()


def through_the_axis(xml, *, zip_all):
    out = io.BytesIO()
    contents = axis.read_package(io.BytesIO(xml), attachments=True)
    try:
        axis.write_rebuilt(contents, out, at="2026/11/20 10:05:00", zip_all=zip_all)
    finally:
        contents.close()
    return out.getvalue()


ROADS = {
    "direct": lambda xml: xml,
    "simulated axis": lambda xml: through_the_axis(xml, zip_all=False),
    "simulated axis, all zipped": lambda xml: through_the_axis(xml, zip_all=True),
    "two axes": lambda xml: through_the_axis(through_the_axis(xml, zip_all=True), zip_all=False),
    "lxml": packages.rebuild,
    "lxml after an axis": lambda xml: packages.rebuild(through_the_axis(xml, zip_all=False)),
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("namespace", [NS_DSIG, NS_QCVN102])
@pytest.mark.parametrize(
    ("who", "algorithm"), [("agency_rsa", RSA_SHA256), ("agency_ec", ECDSA_SHA256)]
)
def test_a_package_verifies_whatever_road_it_came_by(road, namespace, who, algorithm):
    xml = ROADS[road](written(getattr(pki.cast(), who), algorithm, namespace=namespace))
    package = read_package(io.BytesIO(xml))
    verdict = verify(package.signature, package.header, package.files)
    assert verdict.summary() == "valid", (verdict, package.findings)
    assert verdict.profile == "relay"
    chosen = inner_choice(verdict, package.files)
    assert sorted(chosen) == sorted(packages.sha256(d) for d in CONTENT.values())


@pytest.mark.parametrize("road", ["direct", "simulated axis, all zipped"])
def test_one_changed_byte_of_a_file_is_found_after_the_road(road):
    xml = ROADS[road](written(pki.cast().agency_ec, ECDSA_SHA256))
    changed = {**CONTENT, "12-UBND-VX.pdf": CONTENT["12-UBND-VX.pdf"].replace(b"EOF", b"EOG")}
    other = ROADS[road](written(pki.cast().agency_ec, ECDSA_SHA256, content=changed))
    package, forged = (read_package(io.BytesIO(x)) for x in (xml, other))
    verdict = verify(package.signature, forged.header, forged.files)
    assert (verdict.value, verdict.header, verdict.files) == (
        Trust.VALID,
        Trust.FALSE,
        Trust.FALSE,
    )
    assert [r.verdict for r in verdict.references].count(Trust.FALSE) == 2


def test_a_second_signed_info_in_front_or_behind_is_never_valid():
    """Wrapping: the forger keeps the signed element and adds one over his own file."""
    xml = written(pki.cast().agency_ec, ECDSA_SHA256)
    start, end = xml.index(b"<SignedInfo>"), xml.index(b"</SignedInfo>") + len(b"</SignedInfo>")
    genuine = xml[start:end]
    package = read_package(io.BytesIO(xml))
    pdf = package.files[0]
    good = base64.b64encode(bytes.fromhex(pdf.sha256))
    evil_file = CONTENT["12-UBND-VX.pdf"].replace(b"EOF", b"EOG")
    evil = base64.b64encode(bytes.fromhex(packages.sha256(evil_file)))
    forged = genuine.replace(good, evil)
    assert forged != genuine
    carried = base64.b64encode(CONTENT["12-UBND-VX.pdf"])
    body = xml.replace(carried, base64.b64encode(evil_file))
    for both in (forged + genuine, genuine + forged, genuine.replace(b"</S", forged + b"</S", 1)):
        package = read_package(io.BytesIO(body[:start] + both + body[end:]))
        verdict = verify(package.signature, package.header, package.files)
        assert verdict.files is not Trust.VALID
        assert verdict.summary() == "false"


def test_a_reference_moved_out_of_signed_info_covers_nothing():
    xml = written(pki.cast().agency_ec, ECDSA_SHA256)
    start = xml.index(b"<Reference URI=")
    end = xml.index(b"</Reference>", start) + len(b"</Reference>")
    one = xml[start:end]
    moved = (xml[:start] + xml[end:]).replace(b"</SignedInfo>", b"</SignedInfo>" + one, 1)
    package = read_package(io.BytesIO(moved))
    verdict = verify(package.signature, package.header, package.files)
    assert verdict.value is Trust.FALSE
    assert verdict.summary() == "false"
