"""A signed package of any kind that an axis rebuilt is still signed; one changed on the way is not.

The rebuilding is done by rule (edxml-format 9.3, 9.4), by adapters/vxp/rebuild.py; each rule is
seen to have been at work before the verdict is looked at. What is changed on the way is changed in
the rebuilt form, as an axis or somebody on it could.
"""

import base64
import io
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.vxp import rebuild as axis
from gateway.model.package import (
    NS_DSIG,
    NS_QCVN102,
    BusinessType,
    DocumentHeader,
    SignatureVerdict,
    Trust,
    header_digest,
    identity,
    status_identity,
)
from gateway.packing.names import ZIP_BASED, extension
from gateway.packing.read import ReadPackage
from gateway.packing.write import plan_files, write_document, write_status
from gateway.signing import ECDSA_SHA256, finish, prepare
from gateway.signing.verify import verify
from tests.support import pki
from tests.support.packages import an_attachment, read
from tests.support.strategies import files_of_a_package, of_type, reports

LEAF = pki.cast().agency_ec
AT = "2026/11/22 10:25:38"
few = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
many = settings(few, max_examples=600)
Files = list[tuple[str, bytes]]


def signed(header: DocumentHeader, files: Files, seed: str = "s") -> bytes:
    plan = plan_files([an_attachment(name, data) for name, data in files], seed)
    digests = [(p.fact.declared_name, p.fact.sha256) for p in plan]
    prepared = prepare(
        [(p.fact.content_id, p.fact.sha256) for p in plan],
        header_digest(header, digests),
        ECDSA_SHA256,
    )
    block = finish(prepared, LEAF.sign(prepared.signed_info), LEAF.der)
    out = io.BytesIO()
    write_document(out, header, plan, signature=block)
    return out.getvalue()


def with_strange_things(package: bytes) -> bytes:
    """Comments, unknown elements and attributes: what an axis does not hand on."""
    text = package.decode()
    for place in ("<edXML:Subject>", "<SignedInfo>", "<edXML:edXMLManifest", "<AttachmentEncoded"):
        text = text.replace(place, f"<!-- STRANGE -->{place}", 1)
    text = text.replace("<edXML:Code>", '<edXML:STRANGE own="1">x</edXML:STRANGE><edXML:Code>')
    return text.replace("<edXML:To>", '<edXML:To STRANGE="1">').encode()


def rebuilt(package: bytes, *, zip_all: bool, double_ids: bool) -> bytes:
    out = io.BytesIO()
    contents = axis.read_package(io.BytesIO(package), attachments=True)
    try:
        axis.write_rebuilt(contents, out, at=AT, zip_all=zip_all, double_ids=double_ids)
    finally:
        contents.close()
    return out.getvalue()


def judged(package: bytes) -> tuple[ReadPackage, SignatureVerdict]:
    got = read(package)
    return got, verify(got.signature, got.header, got.files)


ways = st.builds(dict, zip_all=st.booleans(), double_ids=st.booleans())
roads = st.lists(ways, min_size=1, max_size=3)
Roads = list[dict[str, bool]]


def is_zip(data: bytes) -> bool:
    return data.startswith(b"PK\x03\x04")


def passable(files: Files, road: Roads) -> tuple[Files, Roads]:
    """What a reader's rule can undo (edxml-format 4): one level of zip, known by its entry.

    So no .xlsx that is no zip (an axis wraps it, and then it looks like any zip), and at most one
    hop that zips what its type does not call a zip, and that not around what a reader would have
    looked into already.
    """
    files = [(n, d) for n, d in files if is_zip(d) or extension(n) not in ZIP_BASED]
    plan = plan_files([an_attachment(name, data) for name, data in files], "s")
    plain = all(p.wrapped or not p.fact.unwrapped for p in plan)
    first = next((i for i, way in enumerate(road) if way["zip_all"] and plain), None)
    return files, [{**way, "zip_all": index == first} for index, way in enumerate(road)]


def keeps_its_verdicts(header: DocumentHeader, files: Files, road: Roads) -> None:
    files, road = passable(files, road)
    package = with_strange_things(signed(header, files))
    before, verdict = judged(package)
    assert verdict.summary() == "valid"
    assert b"STRANGE" in package
    data = package
    for way in road:
        data = rebuilt(data, **way)
    the_rules_were_at_work(package, data, road, len(files))
    after, verdict = judged(data)
    assert (verdict.summary(), verdict.profile) == ("valid", "relay")
    assert (verdict.value, verdict.header, verdict.files) == (
        Trust.VALID,
        Trust.VALID,
        Trust.VALID if files else verdict.files,
    )
    assert all(r.verdict is Trust.VALID for r in verdict.references)
    assert before.header is not None
    assert after.header is not None
    first, second = (
        identity(h, [(f.declared_name, f.sha256) for f in p.files])
        for p, h in ((before, before.header), (after, after.header))
    )
    assert first == second
    assert [(f.content_id, f.sha256) for f in after.files] == [
        (f.content_id, f.sha256) for f in before.files
    ]


def the_rules_were_at_work(package: bytes, data: bytes, road: Roads, files: int) -> None:
    assert b"<!--" not in data
    assert b"STRANGE" not in data
    before, after = etree.fromstring(package), etree.fromstring(data)
    signature = after.find(f".//{{{NS_QCVN102}}}Signature")
    assert signature is not None
    assert not after.findall(f".//{{{NS_DSIG}}}Signature")
    assert before.findall(f".//{{{NS_DSIG}}}Signature")
    info = signature.find(f"{{{NS_QCVN102}}}SignedInfo")
    assert info is not None
    assert info.text
    assert not info.text.strip()
    assert b"\n" not in data.replace(b"\r\n", b"\n").replace(b"\n", b"")
    hops = len(before.findall(".//{*}TraceHeader")) + len(road)
    assert len(after.findall(".//{*}TraceHeader")) == hops
    assert data.count(f"<edXML:Timestamp>{AT}<".encode()) >= len(road)
    # the last rebuild without doubling takes all `cid:` but one; each later one adds one
    doubled = 1
    for way in road:
        doubled = doubled + 1 if way["double_ids"] else 1
    ids = [e.text or "" for e in after.findall(".//{*}ContentId")]
    assert len(ids) == 2 * files
    assert all(re.match(rf"(cid:){{{doubled}}}[0-9a-f]", i) for i in ids)
    zips_are_remade(before, after, road)


def zips_are_remade(before: etree._Element, after: etree._Element, road: Roads) -> None:
    for one, other in zip(
        before.findall(".//{*}Attachment"), after.findall(".//{*}Attachment"), strict=True
    ):
        was, now = (
            base64.b64decode(e.findtext("{*}ContentTransferEncoded") or "") for e in (one, other)
        )
        name = (one.findtext("{*}AttachmentName") or "").lower()
        ours = one.findtext("{*}ContentType") == "application/zip" and not name.endswith(".zip")
        if ours or road[-1]["zip_all"]:
            assert now != was


@pytest.mark.parametrize("kind", list(BusinessType))
def test_a_package_of_every_kind_keeps_its_verdicts_on_the_road(kind: BusinessType) -> None:
    few(given(of_type(kind), files_of_a_package, roads)(keeps_its_verdicts))()


@pytest.mark.long
@pytest.mark.parametrize("kind", list(BusinessType))
def test_hundreds_of_packages_of_every_kind_keep_their_verdicts(kind: BusinessType) -> None:
    many(given(of_type(kind), files_of_a_package, roads)(keeps_its_verdicts))()


@few
@given(reports, roads)
def test_a_status_says_the_same_after_the_road(report, road) -> None:
    data = write_status(report)
    for way in road:
        data = rebuilt(data, **way)
    got = read(data)
    assert got.status is not None
    assert status_identity(got.status) == status_identity(report)
    assert (got.status.code, got.status.timestamp) == (report.code, report.timestamp)
    assert got.findings == ()


# changed on the way


def set_text(data: bytes, path: str, change: Callable[[str], str]) -> bytes:
    root = etree.fromstring(data)
    element = root.find(path)
    assert element is not None
    element.text = change(element.text or "")
    return etree.tostring(root)


some_files = st.lists(
    st.tuples(st.just("a.pdf"), st.binary(min_size=1, max_size=50).map(lambda d: b"%PDF-" + d)),
    min_size=1,
    max_size=2,
)
MESSAGE = ".//{*}MessageHeader/"
CHANGES = {
    "subject": MESSAGE + "{*}Subject",
    "number": MESSAGE + "{*}Code/{*}CodeNumber",
    "notation": MESSAGE + "{*}Code/{*}CodeNotation",
    "From": MESSAGE + "{*}From/{*}OrganId",
    "To": MESSAGE + "{*}To/{*}OrganId",
    "DocumentId": MESSAGE + "{*}DocumentId",
    "type of act": ".//{*}BussinessDocType",
}


def whole(header: DocumentHeader) -> bool:
    return bool(header.subject and header.code.number and header.code.notation)


def changed(kind: BusinessType, what: str, value: str) -> str:
    return str((int(kind) + 1) % 4) if what == "type of act" else value + "1"


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("kind", list(BusinessType))
def test_a_header_changed_on_the_way_is_found(kind: BusinessType, what: str) -> None:
    @settings(few, max_examples=4)
    @given(of_type(kind).filter(whole), some_files, ways)
    def found(header: DocumentHeader, files: Files, way: dict[str, bool]) -> None:
        data = rebuilt(signed(header, files), **way)
        forged = set_text(data, CHANGES[what], lambda text: changed(kind, what, text))
        _, verdict = judged(forged)
        # the files are still those that were signed, and are said to be
        assert (verdict.value, verdict.header, verdict.files) == (
            Trust.VALID,
            Trust.FALSE,
            Trust.VALID,
        )
        assert verdict.summary() == "false"

    found()


def attachments_of(data: bytes) -> bytes:
    found = re.search(rb"  <AttachmentEncoded.*</AttachmentEncoded>", data, re.DOTALL)
    assert found is not None
    return found.group()


def signature_of(data: bytes) -> bytes:
    found = re.search(rb"<Signature>.*</Signature>", data, re.DOTALL)
    assert found is not None
    return found.group()


@few
@given(of_type(0), of_type(3), some_files, some_files, ways)
def test_files_moved_under_another_header_are_found(one, other, files, others, way) -> None:
    """Both packages are genuine; only what belongs together was parted."""
    assume(sorted(files) != sorted(others))
    first = rebuilt(signed(one, files, "first"), **way)
    second = rebuilt(signed(other, others, "second"), **way)
    # the files of the first under the header and the signature of the second
    moved = second.replace(attachments_of(second), attachments_of(first))
    _, verdict = judged(moved)
    assert (verdict.files, verdict.header) == (Trust.FALSE, Trust.FALSE)
    assert verdict.summary() == "false"
    # with their own signature, under the header of the second
    _, verdict = judged(moved.replace(signature_of(moved), signature_of(first)))
    assert (verdict.value, verdict.header) == (Trust.VALID, Trust.FALSE)
    assert verdict.summary() == "false"


@few
@given(of_type(1), some_files, ways, st.data())
def test_a_file_changed_added_or_taken_away_is_found(header, files, way, data) -> None:
    sealed = rebuilt(signed(header, files), **way)
    tree = etree.fromstring(sealed)
    encoded = tree.find("{*}AttachmentEncoded")
    assert encoded is not None
    one = data.draw(st.sampled_from(list(encoded)))
    kind = data.draw(st.sampled_from(["changed", "added", "taken away"]))
    content = one.find("{*}ContentTransferEncoded")
    assert content is not None
    if kind == "taken away":
        encoded.remove(one)
    else:
        if kind == "added":
            copy = etree.fromstring(etree.tostring(one))
            encoded.append(copy)
            content = copy.find("{*}ContentTransferEncoded")
            copy.find("{*}ContentId").text = "cid:another"
        content.text = base64.b64encode(b"%PDF-1.7 another file").decode()
    _, verdict = judged(etree.tostring(tree))
    assert verdict.header is Trust.FALSE  # the header reference covers every file's digest
    assert verdict.files is (Trust.NOT_CHECKED if kind == "added" else Trust.FALSE)
    assert verdict.summary() == "false"
