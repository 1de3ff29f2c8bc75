"""The values of a Signature as read, and SignedInfo in canonical form in its surroundings."""

import base64
import hashlib
import hmac
import io

import pytest
import xmlsec
from lxml import etree

from gateway.model.package import SignatureReference
from gateway.packing.read import read_header
from tests.support.packages import Q, a_header, a_pdf, codes, packed, read

DSIG = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
HMAC = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
KEY = b"a key for tests only"


def block(namespace: str = DSIG, c14n: str = EXCLUSIVE, gap: str = "", uri: str = "") -> str:
    return gap.join(
        [
            f'<Signature xmlns="{namespace}"><SignedInfo>',
            f'<CanonicalizationMethod Algorithm="{c14n}"/>',
            f'<SignatureMethod Algorithm="{HMAC}"/>',
            f'<Reference URI="{uri}"><Transforms>',
            f'<Transform Algorithm="{DSIG}enveloped-signature"/></Transforms>',
            f'<DigestMethod Algorithm="{SHA256}"/><DigestValue> QUJD\n </DigestValue>',
            "</Reference></SignedInfo>",
            "<SignatureValue>QQ==</SignatureValue>",
            "<KeyInfo><X509Data><X509SubjectName>CN=x</X509SubjectName>",
            "<X509Certificate>AA==</X509Certificate><X509Certificate>BB==</X509Certificate>",
            "</X509Data></KeyInfo></Signature>",
        ]
    )


@pytest.mark.parametrize("namespace", [DSIG, Q])
@pytest.mark.parametrize("gap", ["", "\r\n    "])
def test_values_are_read_trimmed_from_either_namespace(namespace: str, gap: str) -> None:
    text = block(namespace, gap=gap, uri="cid:1")
    got = read(packed(a_header(), [], text.encode()))
    signature = got.signature
    assert signature is not None
    assert signature.in_dsig_namespace is (namespace == DSIG)
    assert signature.canonicalization == EXCLUSIVE
    assert signature.signature_method == HMAC
    assert signature.references == (
        SignatureReference("cid:1", SHA256, "QUJD", (DSIG + "enveloped-signature",)),
    )
    assert signature.signature_value == "QQ=="
    assert signature.certificates == ("AA==", "BB==")
    assert signature.subject_name == "CN=x"
    assert got.findings == ()


def test_a_package_without_signature_has_none() -> None:
    assert read(packed(a_header(), [])).signature is None


@pytest.mark.parametrize("gap", ["", "\r\n  "])
@pytest.mark.parametrize("c14n", [EXCLUSIVE, INCLUSIVE])
def test_signed_info_is_what_xmlsec_signs(c14n: str, gap: str) -> None:
    """The package's own prefixes are in scope: the inclusive form must carry them."""
    package = packed(a_header(), [("a.pdf", a_pdf(300))], block(DSIG, c14n, gap).encode())
    tree = etree.fromstring(package)
    node = tree.find(f".//{{{DSIG}}}Signature")
    assert node is not None
    for unused in node.findall(f"{{{DSIG}}}KeyInfo"):
        node.remove(unused)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataHmac, KEY)
    context.sign(node)
    got = read(etree.tostring(tree, encoding="utf-8"))
    signature = got.signature
    assert signature is not None
    canonical = (
        signature.signed_info_inclusive if c14n == INCLUSIVE else signature.signed_info_exclusive
    )
    made = hmac.new(KEY, canonical, hashlib.sha256).digest()
    assert made == base64.b64decode(signature.signature_value)
    assert (b"xmlns:edXML" in canonical) is (c14n == INCLUSIVE)


def test_a_repaired_prefix_is_not_in_the_canonical_form() -> None:
    package = packed(a_header(), [], block(Q, INCLUSIVE).encode())
    broken = package.replace(b"<edXML:Subject>", b'<edXML:Subject xlink:href="x">')
    got = read(broken)
    assert "xml.prefix_repaired" in codes(got)
    first = read(package).signature
    assert got.signature is not None
    assert first is not None
    assert got.signature.signed_info_inclusive == first.signed_info_inclusive
    assert b"xlink" not in got.signature.signed_info_inclusive


def test_of_two_signatures_the_last_counts_with_a_warning() -> None:
    two = block(uri="cid:1") + block(uri="cid:2")
    got = read(packed(a_header(), [], two.encode()))
    assert got.signature is not None
    assert got.signature.references[0].uri == "cid:2"
    assert b'"cid:2"' in got.signature.signed_info_exclusive
    assert codes(got) == ["signature.several"]


def test_of_two_signed_infos_the_first_counts_for_values_and_bytes_alike() -> None:
    text = block(uri="cid:1")
    second = text[text.index("<SignedInfo>") : text.index("<SignatureValue>")]
    text = text.replace("<SignatureValue>", second.replace("cid:1", "cid:2") + "<SignatureValue>")
    signature = read(packed(a_header(), [], text.encode())).signature
    assert signature is not None
    assert [r.uri for r in signature.references] == ["cid:1"]
    assert b"cid:2" not in signature.signed_info_exclusive


@pytest.mark.parametrize("place", ["</edXML>", "  </edXML:edXMLEnvelope>"])
def test_a_signature_elsewhere_in_the_envelope_is_found(place: str) -> None:
    package = packed(a_header(), []).decode()
    text = package.replace(place, block() + place)
    assert read(text.encode()).signature is not None


def test_the_header_alone_brings_its_signature() -> None:
    package = packed(a_header(), [("a.pdf", b"x")], block(uri="cid:1").encode())
    got = read_header(io.BytesIO(package))
    assert got.signature == read(package).signature
