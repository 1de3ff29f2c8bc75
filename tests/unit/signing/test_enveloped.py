"""The whole document without its signature: bytes in pieces, limits, memory."""

import base64
import io
import tracemalloc
from dataclasses import replace

import pytest

from gateway.errors import Broken, Misconfigured
from gateway.making import Manner, make_package
from gateway.model.package import (
    NS_DSIG,
    SignatureBlock,
    SignatureReference,
    SignatureVerdict,
    Trust,
    header_digest,
)
from gateway.packing.read import read_package
from gateway.safexml import Limits
from gateway.signing import ECDSA_SHA256, EXCLUSIVE_C14N, SHA256, Profile, enveloped, sign
from gateway.signing.signed_info import SignedInfo, normal_form
from gateway.signing.verify import verify
from tests.support import pki
from tests.support.enveloped import DAY, Holder, attachment, judged, signed
from tests.support.packages import Q
from tests.support.signed_packages import HEADER, facts, sha256

FORM = enveloped.Form(exclusive=True, digest="sha256")
BLOCK = f'<Signature xmlns="{NS_DSIG}"><SignedInfo/></Signature>'


class Dripping(io.BytesIO):
    """A source that gives a few bytes at a time, whatever is asked."""

    size = 7

    def read(self, _size=-1):
        return super().read(self.size)


def document(content: str, tag: str = "ContentTransferEncoded") -> bytes:
    return f'<edXML xmlns="{Q}">{BLOCK}<{tag}>{content}</{tag}></edXML>'.encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_the_pieces_in_which_it_comes_do_not_matter(size, monkeypatch):
    monkeypatch.setattr(Dripping, "size", size)
    for content in ("QUJD" * 50, "QU JD\r\nREVG\n", "QUJD&amp;", "", "QUJD<!-- < -->REVG", "é"):
        xml = document(content)
        whole = enveloped.look(io.BytesIO(xml), (FORM,))
        assert whole is not None
        assert enveloped.look(Dripping(xml), (FORM,)) == whole
        slow = enveloped.look(io.BytesIO(document(content, "Other")), (FORM,))
        assert slow is not None
        expected = xml.replace(b"\r\n", b"\n").replace(b"<!-- < -->", b"")
        assert whole.digests[FORM].hex() == sha256(expected.replace(BLOCK.encode(), b""))
        assert slow.digests != whole.digests


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_another_encoding_is_the_same_document(encoding):
    plain = document("QUJD văn bản")
    other = plain.decode().encode(encoding)
    assert enveloped.look(io.BytesIO(other), (FORM,)) == enveloped.look(io.BytesIO(plain), (FORM,))


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"junk" + document("QUJD"),
        document("QUJD") + b"\0",
        document("QUJD")[:-1],
        b"<!DOCTYPE edXML []>" + document("QUJD"),
        f'<edXML xmlns="{Q}"><x:y/></edXML>'.encode(),
        b"<a>" * 100 + b"</a>" * 100,
    ],
)
def test_what_is_no_document_as_it_stands_is_never_covered(xml):
    assert enveloped.look(io.BytesIO(xml), (FORM,), Limits()) is None


def test_signatures_are_counted_wherever_they_stand():
    inner = (
        f'<edXML xmlns="{Q}"><x>{BLOCK}</x><Signature><Object>{BLOCK}</Object></Signature></edXML>'
    )
    whole = enveloped.look(io.BytesIO(inner.encode()), (FORM,))
    assert whole is not None
    assert whole.signatures == 3
    without = f'<edXML xmlns="{Q}"><x></x></edXML>'
    assert whole.digests[FORM].hex() == sha256(without.encode())


def test_a_large_attachment_flows_through():
    xml = io.BytesIO(document("QUJD" * (8 * 1024 * 1024)))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        whole = enveloped.look(xml, (FORM,))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert whole is not None
    assert peak < 12 * 1024 * 1024


def test_a_package_is_signed_where_it_stands_in_its_file():
    out = io.BytesIO(b"something else")
    out.seek(0, io.SEEK_END)
    made = make_package(
        out,
        HEADER,
        [attachment("a.pdf", b"%PDF-1.7 x")],
        seed="s",
        holder=Holder(pki.cast().agency_ec),
        manner=Manner(Profile.ENVELOPED, day=DAY),
    )
    assert out.tell() == len(b"something else") + made.size
    xml = out.getvalue().removeprefix(b"something else")
    assert (sha256(xml), judged(xml).verdict.summary()) == (made.sha256, "valid")


def test_a_signature_of_another_length_than_its_place_is_refused():
    class Growing(Holder):
        certificates = 0

        @property
        def certificate(self):
            Growing.certificates += 1
            cast = pki.cast()
            return (cast.agency_ec if Growing.certificates == 1 else cast.agency_rsa).der

    with pytest.raises((Broken, Misconfigured)):
        make_package(
            io.BytesIO(),
            HEADER,
            [],
            seed="s",
            holder=Growing(pki.cast().agency_ec),
            manner=Manner(Profile.ENVELOPED, day=DAY),
        )


def test_a_whole_is_never_prepared_over_anything_but_a_digest():
    with pytest.raises(Broken):
        sign.prepare_whole(b"short", ECDSA_SHA256)


def test_a_file_without_attachments_is_signed_too():
    xml = signed(pki.cast().agency_rsa, Profile.ENVELOPED, content={})
    assert judged(xml).verdict.summary() == "valid"


def test_the_document_is_read_again_only_for_a_value_that_holds():
    xml = signed(pki.cast().agency_ec, Profile.ENVELOPED)
    package = read_package(io.BytesIO(xml))
    assert package.signature is not None
    looked = []

    def look(forms):
        looked.append(set(forms))
        return enveloped.look(io.BytesIO(xml), forms)

    def judge(block):
        return verify(block, package.header, package.files, look=look)

    assert judge(package.signature).summary() == "valid"
    assert looked == [{FORM}]
    for changed in (
        replace(package.signature, signature_value="AAAA"),
        replace(package.signature, certificates=()),
        replace(package.signature, signature_method="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
    ):
        found = judge(changed)
        assert found.header is found.value is not Trust.VALID
    assert len(looked) == 1


@pytest.mark.parametrize(
    ("value", "header", "files", "summary"),
    [
        ("valid", "not_verifiable", "not_verifiable", "not_verifiable"),
        ("valid", "none", "not_verifiable", "not_verifiable"),
        ("valid", "not_verifiable", "valid", "files_only"),
        ("valid", "valid", "not_verifiable", "header_only"),
        ("valid", "weak", "not_verifiable", "weak"),
        ("valid", "false", "not_verifiable", "false"),
        ("not_verifiable", "not_verifiable", "not_verifiable", "not_verifiable"),
        ("not_verifiable", "false", "not_verifiable", "false"),
    ],
)
def test_the_summary_never_says_more_than_its_sides(value, header, files, summary):
    verdict = SignatureVerdict("other", Trust(value), Trust(header), Trust(files))
    assert verdict.summary() == summary


def test_files_that_no_reference_names_are_covered_by_the_whole():
    """A block of both kinds: the header by name, and the document as it stands."""
    leaf = pki.cast().agency_ec
    files = facts()
    digest = header_digest(HEADER, [(f.declared_name, f.sha256) for f in files])
    whole = SignatureReference(
        "", SHA256, base64.b64encode(b"\1" * 32).decode(), (enveloped.ENVELOPED_SIGNATURE,)
    )
    named = SignatureReference("cid:edxml-header", SHA256, base64.b64encode(digest).decode())
    info = SignedInfo(EXCLUSIVE_C14N, ECDSA_SHA256, (whole, named))
    block = SignatureBlock(
        in_dsig_namespace=True,
        canonicalization=info.canonicalization,
        signature_method=info.signature_method,
        references=info.references,
        signature_value=base64.b64encode(leaf.sign(normal_form(info))).decode(),
        certificates=(base64.b64encode(leaf.der).decode(),),
    )

    def saying(found):
        def look(forms):
            return enveloped.Whole(dict.fromkeys(forms, found), 1, 0)

        return verify(block, HEADER, files, look=look)

    same = saying(b"\1" * 32)
    assert (same.summary(), same.profile, len(same.references)) == ("valid", "other", 2)
    other = saying(b"\2" * 32)
    assert (other.header, other.files) == (Trust.VALID, Trust.NOT_VERIFIABLE)
    assert other.summary() == "header_only"
