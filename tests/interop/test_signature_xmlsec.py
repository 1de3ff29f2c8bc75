"""xmlsec as the judge of our signatures, and the maker of ones that we judge.

xmlsec resolves `cid:` references through its input callbacks, so it checks the whole signature:
the value over SignedInfo and the digest of every file and of the header object.
"""

import base64
import hashlib
import io
from dataclasses import replace

import pytest
import xmlsec
from lxml import etree

from gateway.c14n import canonical_json
from gateway.model.package import NS_DSIG, NS_QCVN102, identity_object
from gateway.signing import ECDSA_SHA256, RSA_SHA256
from gateway.signing.verify import verify
from tests.support import pki
from tests.support import signed_packages as packages
from tests.support.signed_packages import HEADER, PARTS, Part

ODD = (
    Part("a b", "tên có dấu.pdf", b"%PDF-1.4 x"),
    Part("<&>", "two.doc", b""),
    Part("văn bản số 1", "three.zip", bytes(70_000)),
)


class Shelf:
    """What xmlsec is given when it asks for a `cid:` URI."""

    def __init__(self):
        self.content = {}
        self.asked = []

    def match(self, uri):
        return uri.startswith(b"cid:")

    def open(self, uri):
        self.asked.append(uri)
        content = self.content.get(uri)
        return None if content is None else io.BytesIO(content)

    def read(self, stream, buffer):
        return stream.readinto(buffer)

    def close(self, stream):
        stream.close()


@pytest.fixture(scope="module")
def shelf():
    shelf = Shelf()
    xmlsec.cleanup_callbacks()
    xmlsec.register_callbacks(shelf.match, shelf.open, shelf.read, shelf.close)
    yield shelf
    xmlsec.cleanup_callbacks()
    xmlsec.register_default_callbacks()


@pytest.fixture(scope="module")
def cast():
    return pki.cast()


def header_object(header, parts):
    covered = identity_object(header, [(p.name, packages.sha256(p.data)) for p in parts])
    covered["to"] = sorted(o.organ_id for o in header.to)
    return canonical_json(covered)


def put(shelf, parts, header=HEADER):
    shelf.asked.clear()
    shelf.content = {f"cid:{p.content_id}".encode(): p.data for p in parts}
    shelf.content[b"cid:edxml-header"] = header_object(header, parts)


def judge(xml, leaf):
    """Raises xmlsec.Error when xmlsec does not agree."""
    signature = next(etree.fromstring(xml).iter(f"{{{NS_DSIG}}}Signature"))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(leaf.pem, xmlsec.constants.KeyDataFormatCertPem)
    context.verify(signature)


SIGNERS = pytest.mark.parametrize(
    ("who", "algorithm"), [("agency_rsa", RSA_SHA256), ("agency_ec", ECDSA_SHA256)]
)


@SIGNERS
@pytest.mark.parametrize("parts", [PARTS, ODD, ()], ids=["plain", "odd", "none"])
def test_xmlsec_finds_our_signature_inside_a_package_valid(cast, shelf, who, algorithm, parts):
    leaf = getattr(cast, who)
    sealed = packages.seal(leaf, algorithm, parts=parts)
    put(shelf, parts)
    judge(sealed.xml, leaf)
    assert len(shelf.asked) == len(parts) + 1


@SIGNERS
def test_xmlsec_refuses_the_same_signature_over_another_file_header_or_key(
    cast, shelf, who, algorithm
):
    leaf = getattr(cast, who)
    sealed = packages.seal(leaf, algorithm)
    put(shelf, PARTS, replace(HEADER, subject="another"))
    with pytest.raises(xmlsec.Error):
        judge(sealed.xml, leaf)
    put(shelf, (replace(PARTS[0], data=b"another"), PARTS[1]))
    with pytest.raises(xmlsec.Error):
        judge(sealed.xml, leaf)
    put(shelf, PARTS)
    with pytest.raises(xmlsec.Error):
        judge(sealed.xml, cast.stranger if who == "agency_ec" else cast.agency_ec)


@SIGNERS
def test_xmlsec_agrees_once_a_relayed_signature_is_put_back_into_normal_form(
    cast, shelf, who, algorithm
):
    """What verify does for a rebuilt block, done by hand with libxml2 and judged by xmlsec."""
    leaf = getattr(cast, who)
    relayed = etree.fromstring(packages.rebuild(packages.seal(leaf, algorithm).xml))
    moved = next(relayed.iter(f"{{{NS_QCVN102}}}Signature"))
    again = etree.Element(f"{{{NS_DSIG}}}Signature", nsmap={None: NS_DSIG})

    def copy(source, target):
        for child in source:
            local = etree.QName(child).localname
            copied = etree.SubElement(target, f"{{{NS_DSIG}}}{local}", dict(child.attrib))
            copied.text = (child.text or "").strip() or None
            copy(child, copied)

    copy(moved, again)
    put(shelf, PARTS)
    judge(etree.tostring(again), leaf)


def made_by_xmlsec(leaf, method, canonicalization, *, prefix=None):
    """A package whose signature xmlsec made, indented as its templates are."""
    sealed = etree.fromstring(packages.seal(leaf, RSA_SHA256 if is_rsa(leaf) else ECDSA_SHA256).xml)
    ours = next(sealed.iter(f"{{{NS_DSIG}}}Signature"))
    parent = ours.getparent()
    parent.remove(ours)
    template = xmlsec.template.create(parent, canonicalization, method, ns=prefix)
    parent.append(template)
    for uri in (*(f"cid:{p.content_id}" for p in PARTS), "cid:edxml-header"):
        xmlsec.template.add_reference(template, xmlsec.constants.TransformSha256, uri=uri)
    xmlsec.template.x509_data_add_certificate(
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(template))
    )
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(leaf.key_pem(), xmlsec.constants.KeyDataFormatPem)
    context.key.load_cert_from_memory(leaf.pem, xmlsec.constants.KeyDataFormatCertPem)
    context.sign(template)
    return etree.tostring(sealed)


def is_rsa(leaf):
    return leaf is pki.cast().agency_rsa


@pytest.mark.parametrize("prefix", [None, "ds"])
@pytest.mark.parametrize("form", ["TransformExclC14N", "TransformInclC14N", "TransformInclC14N11"])
@pytest.mark.parametrize("method", ["RsaSha256", "RsaSha384", "RsaSha512", "EcdsaSha256"])
def test_we_find_a_signature_made_by_xmlsec_valid(cast, shelf, method, form, prefix):
    leaf = cast.agency_ec if method.startswith("Ecdsa") else cast.agency_rsa
    put(shelf, PARTS)
    xml = made_by_xmlsec(
        leaf,
        getattr(xmlsec.constants, f"Transform{method}"),
        getattr(xmlsec.constants, form),
        prefix=prefix,
    )
    opened = packages.read(xml)
    verdict = verify(opened.block, opened.header, opened.files)
    assert verdict.summary() == "valid"
    assert b"\n" in opened.block.signed_info_exclusive, "xmlsec's templates have line breaks"
    tampered = replace(opened.header, subject="another")
    assert verify(opened.block, tampered, opened.files).summary() == "false"


def test_xmlsec_and_we_agree_on_the_header_object(cast):
    opened = packages.read(packages.seal(cast.agency_ec, ECDSA_SHA256).xml)
    digest = hashlib.sha256(header_object(HEADER, PARTS)).digest()
    assert opened.block.references[-1].digest_value == base64.b64encode(digest).decode()
