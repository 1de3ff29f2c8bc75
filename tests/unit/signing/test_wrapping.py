"""Signature wrapping on our own packages: each variant of the literature has a name or a verdict.

The signed bytes are kept somewhere in the document and others put where programs look (McIntosh and
Austel 2005; Somorovsky et al., "On Breaking SAML", 2012). Applied to a relay and to an enveloped
package; in no case may what the forger put in count as signed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest

from gateway.model.package import Trust
from gateway.signing import Profile
from tests.support import pki
from tests.support.enveloped import CONTENT, encoded, judged, signed
from tests.support.packages import Q
from tests.support.signed_packages import sha256

NAME = "12-UBND-VX.pdf"
GENUINE = CONTENT[NAME]
EVIL = GENUINE.replace(b"%%EOF", b"%%FOE")
SUBJECT = "V/v liên thông văn bản &lt;mẫu&gt; &amp; kiểm thử".encode()
OTHER_SUBJECT = "V/v chuyển tiền".encode()
BOTH = pytest.mark.parametrize("profile", list(Profile))


@pytest.fixture(scope="module")
def made() -> dict[Profile, bytes]:
    return {p: signed(pki.cast().agency_ec, p) for p in Profile}


def part(xml: bytes, local: str, number: int = 0) -> bytes:
    """The bytes of one element, found by its local name."""
    pattern = rf"<((?:edXML:)?{local})(?:\s[^>]*)?>.*?</\1>".encode()
    return [m.group() for m in re.finditer(pattern, xml, re.DOTALL)][number]


def before(xml: bytes, mark: bytes, new: bytes) -> bytes:
    assert xml.count(mark) >= 1
    return xml.replace(mark, new + mark, 1)


def after(xml: bytes, mark: bytes, new: bytes) -> bytes:
    assert xml.count(mark) >= 1
    return xml.replace(mark, mark + new, 1)


def evil(attachment: bytes) -> bytes:
    assert encoded(GENUINE) in attachment
    return attachment.replace(encoded(GENUINE), encoded(EVIL))


def wrap(piece: bytes) -> bytes:
    return b'<Wrapper xmlns="urn:x">' + piece + b"</Wrapper>"


def moved_file(xml: bytes) -> bytes:
    """1. The signed element goes under a wrapper, an unsigned twin takes its place."""
    one = part(xml, "Attachment")
    return xml.replace(one, evil(one), 1).replace(b"</edXML>", wrap(one) + b"</edXML>")


def moved_header(xml: bytes) -> bytes:
    """1, for the header: the signed MessageHeader is kept where nobody looks."""
    one = part(xml, "MessageHeader")
    other = one.replace(SUBJECT, OTHER_SUBJECT)
    return xml.replace(one, other, 1).replace(b"</edXML>", wrap(one) + b"</edXML>")


def sibling_file(xml: bytes) -> bytes:
    """2. A twin with the same content id stands beside the signed one, in front."""
    one = part(xml, "Attachment")
    return before(xml, one, evil(one))


def sibling_file_behind(xml: bytes) -> bytes:
    """2. The same, behind it."""
    one = part(xml, "Attachment")
    return after(xml, one, evil(one))


def second_list(xml: bytes) -> bytes:
    """3. A second AttachmentEncoded with the twin."""
    one = evil(part(xml, "Attachment"))
    return before(xml, b"</edXML>", b"<AttachmentEncoded>" + one + b"</AttachmentEncoded>")


def second_header(xml: bytes) -> bytes:
    """3. A second MessageHeader behind the signed one."""
    one = part(xml, "MessageHeader")
    return after(xml, one, one.replace(SUBJECT, OTHER_SUBJECT))


def second_signature(xml: bytes) -> bytes:
    """4. A second Signature, of the forger's own key, behind the genuine one."""
    forged = signed(pki.cast().stranger, Profile.RELAY)
    return after(xml, b"</Signature>", part(forged, "Signature"))


def signature_elsewhere(xml: bytes) -> bytes:
    """5. The Signature moves out of the header into the body."""
    block = part(xml, "Signature")
    return after(xml.replace(block, b"", 1), b"<edXML:edXMLBody>", block)


def signature_out_of_sight(xml: bytes) -> bytes:
    """5. The Signature moves under a wrapper, where no reader looks for one."""
    block = part(xml, "Signature")
    return before(xml.replace(block, b"", 1), b"</edXML>", wrap(block))


def object_wrapped(xml: bytes) -> bytes:
    """6. The signed header goes into an Object of the Signature, another takes its place."""
    one = part(xml, "MessageHeader")
    changed = xml.replace(one, one.replace(SUBJECT, OTHER_SUBJECT), 1)
    return before(changed, b"</Signature>", b"<Object>" + one + b"</Object>")


def doubled_signed_info(xml: bytes) -> bytes:
    """7. The genuine SignedInfo for the value, another in front for the digests."""
    info = part(xml, "SignedInfo")
    digest = part(info, "DigestValue")
    forged = info.replace(digest, b"<DigestValue>" + b"A" * 43 + b"=</DigestValue>", 1)
    return before(xml, info, forged)


def doubled_reference(xml: bytes) -> bytes:
    """7. One Reference twice."""
    one = part(part(xml, "SignedInfo"), "Reference")
    return after(xml, one, one)


def changed_reference(uri: bytes) -> Callable[[bytes], bytes]:
    def change(xml: bytes) -> bytes:
        """7. A Reference that points elsewhere."""
        return re.sub(rb'<Reference URI="[^"]*"', b'<Reference URI="' + uri + b'"', xml, count=1)

    return change


def other_namespace(xml: bytes) -> bytes:
    """8. Namespace injection: the prefix is bound anew around the signed values."""
    one = part(xml, "MessageHeader")
    other = one.replace(SUBJECT, OTHER_SUBJECT)
    hidden = one.replace(b"edXML:MessageHeader>", b'edXML:MessageHeader xmlns:edXML="urn:x">', 1)
    return xml.replace(one, hidden + other, 1)


def manifest_twin(xml: bytes) -> bytes:
    """8. A second manifest that gives the signed content id another name."""
    manifest = part(xml, "edXMLManifest")
    return after(xml, manifest, manifest.replace(NAME.encode(), b"other.pdf"))


FORGERIES = {
    # the name of the finding, for relay and for enveloped
    moved_file: ("signature.false", "signature.not_verifiable"),
    moved_header: ("signature.false", "signature.not_verifiable"),
    sibling_file: ("attachment.content_id_doubled", "attachment.content_id_doubled"),
    sibling_file_behind: ("signature.content_id_doubled", "attachment.content_id_doubled"),
    second_list: ("attachment.content_id_doubled", "signature.not_verifiable"),
    second_header: ("element.repeated", "element.repeated"),
    object_wrapped: ("signature.object", "signature.object"),
    doubled_signed_info: ("signature.part_doubled", "signature.part_doubled"),
    doubled_reference: ("signature.reference_doubled", "signature.false"),
    other_namespace: ("signature.false", "signature.not_verifiable"),
    changed_reference(b"#evil"): ("signature.reference_outside", "signature.reference_outside"),
    changed_reference(b"http://203.0.113.1/x"): ("signature.reference_outside",) * 2,
    changed_reference(b"file:///etc/passwd"): ("signature.reference_outside",) * 2,
    changed_reference(b"cid:nobody"): ("signature.reference_missing", "signature.transform"),
}


@BOTH
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda f: f.__name__)
def test_a_forgery_is_named_and_nothing_forged_counts_as_signed(made, profile, forge):
    forged = forge(made[profile])
    assert forged != made[profile]
    found = judged(forged)
    name = FORGERIES[forge][0 if profile is Profile.RELAY else 1]
    assert name in found.codes, found
    assert found.verdict.summary() != "valid"
    if found.package.header is not None and found.package.header.subject == "V/v chuyển tiền":
        assert found.verdict.header is not Trust.VALID
    if any(f.sha256 == sha256(EVIL) for f in found.package.files):
        assert found.verdict.files is not Trust.VALID


@BOTH
def test_of_a_second_signature_only_the_last_is_judged_and_said(made, profile):
    found = judged(second_signature(made[profile]))
    assert "signature.several" in found.codes
    assert found.verdict.certificate["subject"].startswith("CN=stranger")
    # the stranger signed the same values: his relay block holds, the whole is never taken for it
    assert found.verdict.profile == "relay"


def test_with_two_blocks_no_whole_document_is_covered(made):
    """The genuine enveloped block stands last; the other could be the one that was removed."""
    xml = made[Profile.ENVELOPED]
    other = part(made[Profile.RELAY], "Signature")
    for forged in (before(xml, b"<Signature", other), before(xml, b"</edXML>", wrap(other))):
        found = judged(forged)
        assert found.verdict.profile == "enveloped"
        assert found.verdict.value is Trust.VALID
        assert (found.verdict.header, found.verdict.files) == (Trust.NOT_CHECKED,) * 2
        assert "signature.several" in found.codes


@BOTH
def test_a_signature_in_another_place_is_said(made, profile):
    found = judged(signature_elsewhere(made[profile]))
    assert "signature.misplaced" in found.codes
    # neither profile covers where its own block stands
    assert found.verdict.summary() == "valid"
    found = judged(signature_out_of_sight(made[profile]))
    assert "signature.misplaced" in found.codes
    assert found.verdict.summary() == "none"


def test_a_manifest_twin_is_said_and_cannot_rename_a_signed_file(made):
    found = judged(manifest_twin(made[Profile.RELAY]))
    assert "manifest.content_id_doubled" in found.codes
    assert [f.declared_name for f in found.package.files] == list(CONTENT)
    assert found.verdict.summary() == "valid"
    assert judged(manifest_twin(made[Profile.ENVELOPED])).verdict.summary() == "not_verifiable"


def test_an_added_file_is_said_and_the_files_are_not_counted_as_covered(made):
    xml = made[Profile.RELAY]
    one = part(xml, "Attachment")
    added = re.sub(rb"cid:[0-9a-f-]+", b"cid:new", evil(one))
    found = judged(before(xml, one, added))
    assert "signature.file_unsigned" in found.codes
    assert found.verdict.files is Trust.NOT_CHECKED
    assert [r.verdict for r in found.verdict.references if r.uri == "cid:new"] == [Trust.NONE]


@BOTH
@pytest.mark.parametrize(
    "transform",
    [
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    ],
)
def test_a_transform_outside_the_list_is_said_and_never_run(profile, transform):
    xml = resigned(profile, lambda t: [*t, transform])
    found = judged(xml)
    assert "signature.transform" in found.codes
    assert found.verdict.value is Trust.VALID
    if profile is Profile.RELAY:  # the first reference is that of a file
        assert (found.verdict.header, found.verdict.files) == (Trust.VALID, Trust.NOT_CHECKED)
    else:
        assert found.verdict.summary() == "not_checked"


@pytest.mark.parametrize("order", [[], ["c14n"], ["c14n", "enveloped"], ["enveloped"] * 2])
def test_only_enveloped_and_then_one_c14n_is_the_whole_document(order):
    uris = {
        "c14n": "http://www.w3.org/2001/10/xml-exc-c14n#",
        "enveloped": "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    }
    found = judged(resigned(Profile.ENVELOPED, lambda _: [uris[o] for o in order]))
    assert found.verdict.value is Trust.VALID
    assert found.verdict.summary() == "not_checked"
    assert "signature.transform" in found.codes


def resigned(profile: Profile, change: Callable[[list[str]], list[str]]) -> bytes:
    """The package with other transforms in its first reference, signed again by its own signer."""
    leaf = pki.cast().agency_ec
    xml = signed(leaf, profile)
    info = part(xml, "SignedInfo")
    reference = part(info, "Reference")
    old = [m.decode() for m in re.findall(rb'<Transform Algorithm="([^"]*)"', reference)]
    steps = "".join(f'<Transform Algorithm="{t}"></Transform>' for t in change(old))
    bare = re.sub(rb"<Transforms>.*</Transforms>", b"", reference)
    listed = f"<Transforms>{steps}</Transforms>".encode() if steps else b""
    new = bare.replace(b"<DigestMethod", listed + b"<DigestMethod", 1)
    changed = info.replace(reference, new, 1)
    message = changed.replace(
        b"<SignedInfo>", b'<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">', 1
    )
    value = base64.b64encode(leaf.sign(message))
    value = b"<SignatureValue>" + value + b"</SignatureValue>"
    return xml.replace(info, changed, 1).replace(part(xml, "SignatureValue"), value, 1)


@BOTH
def test_comments_are_never_read(made, profile):
    """A comment inside a value neither cuts it nor hides a part of it (CVE-2018-0489)."""
    xml = made[profile]
    comment = b"<!-- .evil -->"
    for before_it, after_it in (
        (b"1", b"2</edXML:CodeNumber>"),
        (b"000.00", b".19.H14"),
        (b"", b"</DigestValue>"),
        (b"", b"</SignedInfo>"),
        (b"", b"<edXML:Subject>"),
    ):
        old = before_it + after_it
        assert old in xml
        found = judged(xml.replace(old, before_it + comment + after_it, 1))
        assert found.verdict.summary() == "valid", (old, found)
        assert found.package.header == judged(xml).package.header


def test_parts_of_the_block_in_another_namespace_are_said(made):
    xml = made[Profile.RELAY]
    info = part(xml, "SignatureValue")
    mixed = info.replace(b"<SignatureValue>", f'<SignatureValue xmlns="{Q}">'.encode())
    assert "signature.namespace_mixed" in judged(xml.replace(info, mixed)).codes
