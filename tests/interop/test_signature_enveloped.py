"""xmlsec and signxml as judges of our enveloped profile, and as makers of ones that we judge."""

from __future__ import annotations

import io

import pytest
import signxml
import xmlsec
from lxml import etree

from gateway.model.package import NS_DSIG, Trust
from gateway.signing import Profile, enveloped
from tests.support import enveloped as making
from tests.support import pki
from tests.support import signed_packages as packages

WHO = pytest.mark.parametrize("who", ["agency_rsa", "agency_ec"])


@pytest.fixture(scope="module")
def cast():
    return pki.cast()


def xmlsec_agrees(xml: bytes, leaf: pki.Leaf) -> bool:
    signature = next(etree.fromstring(xml).iter(f"{{{NS_DSIG}}}Signature"))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(leaf.pem, xmlsec.constants.KeyDataFormatCertPem)
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


def signxml_agrees(xml: bytes, leaf: pki.Leaf) -> bool:
    try:
        signxml.XMLVerifier().verify(xml, x509_cert=leaf.pem.decode())
    except signxml.InvalidSignature:
        return False
    return True


@WHO
def test_xmlsec_and_signxml_find_our_signature_valid(cast, who):
    leaf = getattr(cast, who)
    xml = making.signed(leaf, Profile.ENVELOPED)
    assert xmlsec_agrees(xml, leaf)
    assert signxml_agrees(xml, leaf)
    found = making.judged(xml)
    assert found.verdict.summary() == "valid"
    assert found.verdict.profile == "enveloped"
    assert found.codes == set()


@WHO
@pytest.mark.parametrize("old", [b"VX</edXML:CodeNotation>", b"/edXML:Subject>", b"JVBERi0"])
def test_all_three_find_a_change(cast, who, old):
    leaf = getattr(cast, who)
    xml = making.signed(leaf, Profile.ENVELOPED)
    new = {b"J": b"KVBERi0", b"V": b"VY</edXML:CodeNotation>"}.get(old[:1], b"/edXML:Subject >")
    changed = xml.replace(old, new, 1)
    same = old.startswith(b"/")  # a blank inside an end tag is no change of the document
    assert xmlsec_agrees(changed, leaf) is same
    assert signxml_agrees(changed, leaf) is same
    assert (making.judged(changed).verdict.summary() == "valid") is same


def made_by_xmlsec(leaf: pki.Leaf, transforms: tuple[str, ...], digest: str, prefix: str | None):
    """Our unsigned package, signed where it stands by xmlsec's template."""
    root = etree.fromstring(making.signed(leaf, Profile.ENVELOPED))
    ours = next(root.iter(f"{{{NS_DSIG}}}Signature"))
    parent = ours.getparent()
    rsa = isinstance(leaf.key, pki.rsa.RSAPrivateKey)
    method = xmlsec.constants.TransformRsaSha256 if rsa else xmlsec.constants.TransformEcdsaSha256
    template = xmlsec.template.create(parent, xmlsec.constants.TransformExclC14N, method, ns=prefix)
    parent.replace(ours, template)
    reference = xmlsec.template.add_reference(
        template, getattr(xmlsec.constants, f"Transform{digest}"), uri=""
    )
    for name in transforms:
        xmlsec.template.add_transform(reference, getattr(xmlsec.constants, f"Transform{name}"))
    info = xmlsec.template.ensure_key_info(template)
    xmlsec.template.x509_data_add_certificate(xmlsec.template.add_x509_data(info))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(leaf.key_pem(), xmlsec.constants.KeyDataFormatPem)
    context.key.load_cert_from_memory(leaf.pem, xmlsec.constants.KeyDataFormatCertPem)
    context.sign(template)
    return etree.tostring(root, encoding="UTF-8")


@WHO
@pytest.mark.parametrize("prefix", [None, "ds"])
@pytest.mark.parametrize("digest", ["Sha256", "Sha384", "Sha512"])
@pytest.mark.parametrize(
    "transforms",
    [
        ("Enveloped",),
        ("Enveloped", "ExclC14N"),
        ("Enveloped", "InclC14N"),
        ("Enveloped", "InclC14N11"),
    ],
)
def test_we_find_what_xmlsec_signed_valid_and_a_change_in_it(cast, who, transforms, digest, prefix):
    leaf = getattr(cast, who)
    xml = made_by_xmlsec(leaf, transforms, digest, prefix)
    found = making.judged(xml)
    assert found.verdict.summary() == "valid", found
    changed = making.judged(xml.replace("liên thông".encode(), "liên thông!".encode()))
    assert changed.verdict.summary() == "not_verifiable"
    assert changed.verdict.value is Trust.VALID
    assert "signature.not_verifiable" in changed.codes


def test_what_signxml_signed_in_its_own_way_is_found_valid(cast):
    leaf = cast.agency_rsa
    root = etree.fromstring(making.signed(leaf, Profile.ENVELOPED))
    ours = next(root.iter(f"{{{NS_DSIG}}}Signature"))
    place = etree.SubElement(ours.getparent(), f"{{{NS_DSIG}}}Signature", Id="placeholder")
    ours.getparent().replace(ours, place)
    signed = signxml.XMLSigner().sign(root, key=leaf.key_pem(), cert=leaf.pem.decode())
    assert making.judged(etree.tostring(signed)).verdict.summary() == "valid"


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_canonical_form_without_signature_is_that_of_libxml2(cast, exclusive):
    """Our digest against the digest of libxml2's bytes, for awkward documents."""
    signature = making.signed(cast.agency_ec, Profile.ENVELOPED)
    start, end = signature.index(b"<Signature"), signature.index(b"</Signature>") + 12
    block = signature[start:end]
    q = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
    declaration, pi = '<?xml version="1.0"?>', "<?pi beside?>"
    tag = "ContentTransferEncoded"
    root = f'<edXML xmlns="{q}"'
    marked = f'<a:edXML xmlns:a="{q}" xmlns:z="urn:z"><x xmlns="" z:y="&#9;&quot;&lt;"/>'
    mixed = f'<{tag} a="x">AAAA\r\nBBBB&amp;</{tag}><{tag}>CC CC=\n</{tag}>'
    empty = f'<e:{tag} xmlns:e="{q}" />AAAA<{tag.lower()}>QUJD<!-- x -->REVG</{tag.lower()}>'
    awkward = [
        f'{declaration}\n{pi}\n{root} b="2" a="1">%s</edXML>\n{pi}',
        marked + "%s\r\n<![CDATA[<&>]]>&#13;<!-- c --></a:edXML>",
        f"{root}>{mixed}%s{empty}</edXML>",
    ]
    form = enveloped.Form(exclusive, "sha256")
    for text in awkward:
        xml = text.encode() % block
        whole = enveloped.look(io.BytesIO(xml), (form,))
        assert whole is not None
        assert whole.signatures == 1
        assert xml[whole.at :].startswith(b"<Signature")
        tree = etree.fromstring(xml.replace(block, b""))
        out = etree.tostring(
            tree.getroottree(), method="c14n", exclusive=exclusive, with_comments=False
        )
        assert whole.digests[form].hex() == packages.sha256(out)


@WHO
def test_it_reads_everywhere_and_says_the_same_after_an_axis_without_counting(cast, who):
    xml = making.signed(getattr(cast, who), Profile.ENVELOPED)
    direct, relayed = packages.read(xml), packages.read(packages.rebuild(xml))
    assert direct.header == relayed.header
    assert [(f.name, f.sha256) for f in direct.files] == [(f.name, f.sha256) for f in relayed.files]
    after = making.judged(packages.rebuild(xml)).verdict
    assert after.summary() == "not_verifiable"
    assert (after.value, after.header, after.files) == (
        Trust.VALID,
        Trust.NOT_VERIFIABLE,
        Trust.NOT_VERIFIABLE,
    )
