"""prepare -> finish: the bytes that are signed, and what never leaves the house."""

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from gateway.errors import Broken, Misconfigured
from gateway.model.package import NS_DSIG, NS_QCVN102
from gateway.signing import DEFAULT_POLICY, ECDSA_SHA256, RSA_SHA256, finish, prepare
from tests.support import pki
from tests.support import signed_packages as packages

RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
ZERO = hashlib.sha256(b"").hexdigest()
HEADER = hashlib.sha256(b"header").digest()


@pytest.fixture(scope="module")
def cast():
    return pki.cast()


def test_the_signed_bytes_are_spelled_exactly_as_exclusive_c14n_spells_them():
    prepared = prepare([("cid:a", ZERO)], HEADER, RSA_SHA256)
    assert prepared.signed_info == (
        b'<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">'
        b'<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">'
        b"</CanonicalizationMethod>"
        b'<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">'
        b"</SignatureMethod>"
        b'<Reference URI="cid:a">'
        b'<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod>'
        b"<DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</DigestValue></Reference>"
        b'<Reference URI="cid:edxml-header">'
        b'<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod>'
        b"<DigestValue>" + base64.b64encode(HEADER) + b"</DigestValue></Reference></SignedInfo>"
    )


@pytest.mark.parametrize(
    "content_id",
    ["cid:5a0e", "cid:a b", "cid:<&>", 'cid:"q"', "cid:tab\tline\nend\r", "cid:văn bản", "cid:𠀋"],
)
def test_what_is_signed_is_what_libxml2_makes_of_the_element_inside_a_package(cast, content_id):
    prepared = prepare([(content_id, ZERO)], HEADER, ECDSA_SHA256)
    leaf = cast.agency_ec
    signature = finish(prepared, leaf.sign(prepared.signed_info), leaf.der)
    root = etree.fromstring(packages.package(signature, packages.HEADER, ()))
    info = next(root.iter(f"{{{NS_DSIG}}}SignedInfo"))
    assert etree.tostring(info, method="c14n", exclusive=True) == prepared.signed_info


def test_the_block_has_no_white_space_and_no_attribute_but_the_two(cast):
    element = etree.fromstring(packages.sign(cast.agency_rsa))
    for node in element.iter():
        assert set(node.attrib) <= {"Algorithm", "URI"}
        assert len(node) == 0 or not (node.text or "").strip(" \r\n\t")
        assert node.tail is None
        assert len(node) == 0 or node.text is None
    assert [etree.QName(c).localname for c in element] == [
        "SignedInfo",
        "SignatureValue",
        "KeyInfo",
    ]


def test_the_block_carries_the_certificate_and_its_name(cast):
    block = packages.block_of(packages.sign(cast.agency_rsa))
    assert block.certificates == (base64.b64encode(cast.agency_rsa.der).decode(),)
    assert block.subject_name.startswith("CN=000.00.19.H14 (test)")


@pytest.mark.parametrize("namespace", [NS_DSIG, NS_QCVN102])
def test_the_block_stands_whole_in_the_namespace_asked_for(cast, namespace):
    element = etree.fromstring(packages.sign(cast.agency_rsa, namespace=namespace))
    assert {etree.QName(node).namespace for node in element.iter()} == {namespace}
    assert element.nsmap == {None: namespace}


def test_the_same_input_gives_the_same_block_with_rsa(cast):
    assert packages.sign(cast.agency_rsa) == packages.sign(cast.agency_rsa)


def test_the_signed_bytes_do_not_depend_on_how_many_cid_stand_in_front():
    once = prepare([("cid:a", ZERO)], HEADER, RSA_SHA256)
    assert prepare([("a", ZERO)], HEADER, RSA_SHA256) == once
    assert prepare([("cid:cid:cid:a", ZERO)], HEADER, RSA_SHA256) == once


@pytest.mark.parametrize(
    "algorithm",
    [
        RSA_SHA1,
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "",
    ],
)
def test_sha1_and_whatever_else_we_do_not_produce_is_never_prepared(algorithm):
    with pytest.raises(Misconfigured) as refused:
        prepare([("a", ZERO)], HEADER, algorithm)
    assert refused.value.code == "signing.algorithm"


def test_a_signature_of_another_key_never_leaves_the_house(cast):
    prepared = prepare([("a", ZERO)], HEADER, ECDSA_SHA256)
    value = cast.other_agency.sign(prepared.signed_info)
    with pytest.raises(Misconfigured) as refused:
        finish(prepared, value, cast.agency_ec.der)
    assert refused.value.code == "signing.key_mismatch"
    assert "000.00.00.G22 (test)" in refused.value.text.vi


@pytest.mark.parametrize("value", [b"", b"\0" * 64, b"\0" * 256, b"junk"])
def test_junk_in_place_of_a_signature_value_never_leaves_the_house(cast, value):
    for leaf, algorithm in ((cast.agency_rsa, RSA_SHA256), (cast.agency_ec, ECDSA_SHA256)):
        prepared = prepare([("a", ZERO)], HEADER, algorithm)
        with pytest.raises(Misconfigured):
            finish(prepared, value, leaf.der)


def test_an_ecdsa_value_in_der_form_never_leaves_the_house(cast):
    prepared = prepare([("a", ZERO)], HEADER, ECDSA_SHA256)
    der = cast.agency_ec.key.sign(prepared.signed_info, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(Misconfigured):
        finish(prepared, der, cast.agency_ec.der)


def test_a_key_below_2048_bits_signs_nothing(cast):
    prepared = prepare([("a", ZERO)], HEADER, RSA_SHA256)
    with pytest.raises(Misconfigured) as refused:
        finish(prepared, cast.weak.sign(prepared.signed_info), cast.weak.der)
    assert refused.value.code == "signing.weak_key"


def test_a_key_of_the_other_kind_signs_nothing(cast):
    prepared = prepare([("a", ZERO)], HEADER, RSA_SHA256)
    with pytest.raises(Misconfigured) as refused:
        finish(prepared, cast.agency_ec.sign(prepared.signed_info), cast.agency_ec.der)
    assert refused.value.code == "signing.key_kind"


def test_a_certificate_that_cannot_be_read_is_named_as_the_cause(cast):
    prepared = prepare([("a", ZERO)], HEADER, RSA_SHA256)
    with pytest.raises(Misconfigured) as refused:
        finish(prepared, cast.agency_rsa.sign(prepared.signed_info), b"not a certificate")
    assert refused.value.code == "signing.certificate"


@pytest.mark.parametrize(
    "ids", [[""], ["cid:"], ["a", "a"], ["a", "cid:a"], ["edxml-header"], ["a\0b"], ["\ud800"]]
)
def test_content_ids_that_could_be_read_two_ways_are_our_own_fault(ids):
    with pytest.raises(Broken) as broken:
        prepare([(i, ZERO) for i in ids], HEADER, RSA_SHA256)
    assert broken.value.code == "signing.content_id"


@pytest.mark.parametrize("digest", ["", "00", "zz" * 32, ZERO + "00"])
def test_a_digest_that_is_none_is_our_own_fault(digest):
    with pytest.raises(Broken):
        prepare([("a", digest)], HEADER, RSA_SHA256)


def test_a_header_digest_of_another_length_is_our_own_fault():
    with pytest.raises(Broken):
        prepare([("a", ZERO)], b"short", RSA_SHA256)


def test_another_namespace_than_the_two_is_our_own_fault(cast):
    prepared = prepare([("a", ZERO)], HEADER, ECDSA_SHA256)
    leaf = cast.agency_ec
    with pytest.raises(Broken):
        finish(prepared, leaf.sign(prepared.signed_info), leaf.der, namespace='x" y="')


def test_the_policy_may_forbid_what_we_produce_by_default(cast):
    rows = tuple(replace(m, produced=False) for m in DEFAULT_POLICY.signatures)
    with pytest.raises(Misconfigured):
        prepare([("a", ZERO)], HEADER, RSA_SHA256, policy=replace(DEFAULT_POLICY, signatures=rows))
