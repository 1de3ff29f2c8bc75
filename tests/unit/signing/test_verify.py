"""What a signature covers is said apart for the value, the header and the files."""

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from gateway.model.package import (
    NS_DSIG,
    NS_QCVN102,
    Organ,
    SignatureBlock,
    SignatureReference,
    Trust,
    header_digest,
)
from gateway.signing import DEFAULT_POLICY, ECDSA_SHA256, RSA_SHA256, SHA256, finish, prepare
from gateway.signing.signed_info import SignedInfo, normal_form
from gateway.signing.verify import inner_choice, verify
from tests.support import pki
from tests.support import signed_packages as packages
from tests.support.signed_packages import HEADER, PARTS, Part, with_reference

EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
INC = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
FILES = packages.facts()


@pytest.fixture(scope="module")
def cast():
    return pki.cast()


@pytest.fixture(scope="module")
def block(cast):
    return packages.block_of(packages.sign(cast.agency_ec, ECDSA_SHA256))


def signed_by(leaf, references, *, algorithm=ECDSA_SHA256, canonicalization=EXC, value=None):
    """A block as a foreign signer would leave it: any references, normal form."""
    info = SignedInfo(canonicalization, algorithm, tuple(references))
    message = normal_form(info)
    return SignatureBlock(
        in_dsig_namespace=True,
        canonicalization=canonicalization,
        signature_method=algorithm,
        references=info.references,
        signature_value=base64.b64encode(value or leaf.sign(message)).decode(),
        certificates=(base64.b64encode(leaf.der).decode(),),
        signed_info_exclusive=message,
        signed_info_inclusive=message,
    )


def ref(uri, digest, method=SHA256, transforms=()):
    return SignatureReference(uri, method, base64.b64encode(digest).decode(), transforms)


def file_refs(files=FILES):
    return [ref(f"cid:{f.content_id}", bytes.fromhex(f.sha256)) for f in files]


def header_ref(header=HEADER, files=FILES):
    digests = [(f.declared_name, f.sha256) for f in files]
    return ref("cid:edxml-header", header_digest(header, digests))


def verdicts(verdict):
    return [(r.uri, r.verdict) for r in verdict.references]


def test_no_block_is_no_signature():
    verdict = verify(None, HEADER, FILES)
    assert verdict.summary() == verdict.profile == "none"
    assert (verdict.value, verdict.header, verdict.files) == (Trust.NONE,) * 3


def test_a_whole_signature_covers_header_and_files(block):
    verdict = verify(block, HEADER, FILES)
    assert verdict.summary() == "valid"
    assert verdict.profile == "relay"
    assert verdict.algorithm == ECDSA_SHA256
    assert [r.matched for r in verdict.references] == ["carried", "inner", "header"]
    assert {r.verdict for r in verdict.references} == {Trust.VALID}


def test_the_certificate_is_shown_and_its_trust_is_not_claimed(cast, block):
    shown = verify(block, HEADER, FILES).certificate
    certificate = cast.agency_ec.certificate
    assert shown == {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "not_before": "2025-11-20T03:00:00Z",
        "not_after": "2027-11-20T03:00:00Z",
        "sha256": hashlib.sha256(cast.agency_ec.der).hexdigest(),
        "key": "EC secp256r1",
        "trust": "not_checked",
    }


def test_a_changed_file_is_false_and_the_untouched_one_stays_valid(block):
    changed = replace(FILES[0], sha256="0" * 64, carried_sha256="0" * 64)
    verdict = verify(block, HEADER, (changed, FILES[1]))
    assert [r.verdict for r in verdict.references] == [Trust.FALSE, Trust.VALID, Trust.FALSE]
    assert (verdict.value, verdict.header, verdict.files) == (Trust.VALID, Trust.FALSE, Trust.FALSE)
    assert verdict.summary() == "false"


def test_a_changed_header_leaves_the_files_valid(block):
    verdict = verify(block, replace(HEADER, subject="another subject"), FILES)
    assert (verdict.header, verdict.files) == (Trust.FALSE, Trust.VALID)
    assert verdict.summary() == "false"


@pytest.mark.parametrize(
    "change",
    [
        {"to": (Organ("000.00.00.G22"),)},
        {"sender": Organ("000.00.20.H14")},
        {"document_id": "other"},
        {"promulgation": replace(HEADER.promulgation, date="2026-11-21")},
        {"code": replace(HEADER.code, number="13")},
    ],
)
def test_every_field_of_the_header_object_is_covered(block, change):
    assert verify(block, replace(HEADER, **change), FILES).header is Trust.FALSE


def test_a_renamed_attachment_contradicts_the_header(block):
    verdict = verify(block, HEADER, (replace(FILES[0], declared_name="other.pdf"), FILES[1]))
    assert (verdict.header, verdict.files) == (Trust.FALSE, Trust.VALID)


def test_what_the_axis_adds_to_a_header_contradicts_nothing(block):
    moved = replace(HEADER, sender=Organ("000.00.19.h14 "), subject=f"{HEADER.subject}\u00a0 ")
    assert verify(block, moved, FILES).summary() == "valid"


def test_a_signature_without_a_header_reference_says_files_only(cast):
    verdict = verify(signed_by(cast.agency_ec, file_refs()), HEADER, FILES)
    assert (verdict.value, verdict.header, verdict.files) == (Trust.VALID, Trust.NONE, Trust.VALID)
    assert verdict.summary() == "files_only"


def test_a_header_reference_alone_says_header_only(cast):
    verdict = verify(signed_by(cast.agency_ec, [header_ref()]), HEADER, FILES)
    assert (verdict.header, verdict.files) == (Trust.VALID, Trust.NONE)
    assert verdict.summary() == "header_only"
    assert verdicts(verdict)[1:] == [(f"cid:{f.content_id}", Trust.NONE) for f in FILES]


def test_a_file_that_no_reference_names_is_shown_and_the_files_are_not_valid(cast):
    verdict = verify(signed_by(cast.agency_ec, file_refs()[:1]), HEADER, FILES)
    assert verdict.files is Trust.NOT_CHECKED
    assert verdicts(verdict)[-1] == (f"cid:{FILES[1].content_id}", Trust.NONE)
    assert verdict.summary() == "not_checked"


def test_a_file_smuggled_in_beside_signed_ones_contradicts_the_header(block):
    smuggled = packages.fact(Part("cid:new", "x.exe", b"MZ"), b"MZ")
    verdict = verify(block, HEADER, (*FILES, smuggled))
    assert (verdict.header, verdict.files) == (Trust.FALSE, Trust.NOT_CHECKED)
    assert verdicts(verdict)[-1] == ("cid:new", Trust.NONE)


def test_a_file_without_content_id_is_never_covered(cast):
    nameless = replace(FILES[0], content_id="")
    references = [ref("cid:", bytes.fromhex(nameless.sha256))]
    verdict = verify(signed_by(cast.agency_ec, references), HEADER, (nameless,))
    assert verdict.files is Trust.FALSE


def test_a_signed_file_that_is_not_in_the_package_is_false(block):
    verdict = verify(block, HEADER, FILES[:1])
    assert verdict.files is Trust.FALSE
    assert verdict.header is Trust.FALSE


def test_a_package_without_files_is_covered_by_its_header_reference(cast):
    digest = header_digest(HEADER, [])
    verdict = verify(signed_by(cast.agency_ec, [ref("cid:edxml-header", digest)]), HEADER, ())
    assert (verdict.header, verdict.files) == (Trust.VALID, Trust.VALID)


def test_a_file_that_failed_to_decode_is_never_valid(block):
    failed = replace(FILES[0], failed=True, sha256="", carried_sha256="", size=0, carried_size=0)
    verdict = verify(block, HEADER, (failed, FILES[1]))
    assert verdict.files is Trust.FALSE


def test_two_references_to_one_file_are_both_false(cast):
    again = [*file_refs(), ref(f"cid:cid:{FILES[0].content_id}", bytes.fromhex(FILES[0].sha256))]
    verdict = verify(signed_by(cast.agency_ec, again), HEADER, FILES)
    assert [r.verdict for r in verdict.references] == [Trust.FALSE, Trust.VALID, Trust.FALSE]
    assert verdict.files is Trust.FALSE


def test_two_header_references_are_both_false(cast):
    verdict = verify(
        signed_by(cast.agency_ec, [*file_refs(), header_ref(), header_ref()]), HEADER, FILES
    )
    assert verdict.header is Trust.FALSE


def test_two_files_under_one_content_id_are_not_told_apart(block):
    twin = replace(FILES[1], content_id=FILES[0].content_id)
    verdict = verify(block, HEADER, (FILES[0], twin))
    assert verdict.references[0].verdict is Trust.FALSE
    assert verdict.files is Trust.FALSE


def test_a_file_that_calls_itself_the_header_is_not_covered_by_the_header_reference(cast):
    disguised = replace(FILES[0], content_id="cid:edxml-header")
    digest = bytes.fromhex(disguised.sha256)
    verdict = verify(
        signed_by(cast.agency_ec, [ref("cid:edxml-header", digest)]), HEADER, (disguised,)
    )
    assert verdict.header is Trust.FALSE
    assert verdict.files is not Trust.VALID
    good = verify(signed_by(cast.agency_ec, [header_ref(files=(disguised,))]), HEADER, (disguised,))
    assert good.header is Trust.VALID
    assert good.files is Trust.NONE


def test_a_header_that_could_not_be_read_is_not_checked(block):
    verdict = verify(block, None, FILES)
    assert (verdict.header, verdict.files) == (Trust.NOT_CHECKED, Trust.VALID)


def test_a_value_that_does_not_hold_takes_every_reference_with_it(cast, block):
    value = base64.b64encode(cast.agency_ec.sign(b"something else")).decode()
    verdict = verify(replace(block, signature_value=value), HEADER, FILES)
    assert {r.verdict for r in verdict.references} == {Trust.FALSE}
    assert [r.matched for r in verdict.references] == ["carried", "inner", "header"]
    assert verdict.summary() == "false"


def test_a_certificate_of_another_key_is_false(cast, block):
    other = base64.b64encode(cast.other_agency.der).decode()
    assert verify(replace(block, certificates=(other,)), HEADER, FILES).value is Trust.FALSE


def test_among_several_certificates_the_one_that_signed_is_shown(cast, block):
    chain = tuple(
        base64.b64encode(der).decode()
        for der in (cast.other_agency.der, cast.agency_rsa.der, cast.agency_ec.der)
    )
    verdict = verify(replace(block, certificates=chain), HEADER, FILES)
    assert verdict.summary() == "valid"
    assert verdict.certificate["subject"].startswith("CN=000.00.00.G22")


def test_a_long_row_of_certificates_is_cut_off(cast, block):
    others = (base64.b64encode(cast.other_agency.der).decode(),) * 8
    late = (*others, *block.certificates)
    assert verify(replace(block, certificates=late), HEADER, FILES).value is Trust.FALSE


@pytest.mark.parametrize("stub", ["MIIFqTCCBJG", "", "not base64!", "AAAA", "é"])
def test_a_stub_of_a_certificate_proves_nothing_and_breaks_nothing(block, stub):
    verdict = verify(replace(block, certificates=(stub,)), HEADER, FILES)
    assert verdict.value is Trust.NOT_CHECKED
    assert verdict.certificate == {}
    assert verdict.summary() == "not_checked"


def test_no_certificate_proves_nothing(block):
    assert verify(replace(block, certificates=()), HEADER, FILES).value is Trust.NOT_CHECKED


def test_a_certificate_in_lines_or_as_a_pem_block_is_read(cast, block):
    lines = "\r\n".join(block.certificates[0][i : i + 64] for i in range(0, 2000, 64))
    for text in (lines, cast.agency_ec.pem.decode()):
        assert verify(replace(block, certificates=(text,)), HEADER, FILES).summary() == "valid"


# algorithms


@pytest.mark.parametrize("name", ["rsa-sha1", "rsa-md5", "ecdsa-sha1"])
def test_a_weak_signature_method_is_weak_whatever_the_arithmetic_says(cast, name):
    prefix = "http://www.w3.org/2000/09/xmldsig#" if name == "rsa-sha1" else MORE
    good = signed_by(cast.agency_rsa, [*file_refs(), header_ref()], algorithm=prefix + name)
    for block in (good, replace(good, signature_value="AAAA"), replace(good, certificates=())):
        verdict = verify(block, HEADER, FILES)
        assert (verdict.value, verdict.header, verdict.files) == (Trust.WEAK,) * 3
        assert verdict.summary() == "weak"


def test_rsa_sha1_that_truly_verifies_is_still_weak(cast):
    info = SignedInfo(EXC, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", tuple(file_refs()))
    value = cast.agency_rsa.key.sign(normal_form(info), padding.PKCS1v15(), hashes.SHA1())
    block = signed_by(cast.agency_rsa, file_refs(), algorithm=info.signature_method, value=value)
    assert verify(block, HEADER, FILES).summary() == "weak"


def test_a_sha1_digest_under_a_good_value_is_weak(cast):
    sha1 = hashlib.sha1(PARTS[0].data, usedforsecurity=False).digest()
    references = [ref(f"cid:{FILES[0].content_id}", sha1, SHA1), file_refs()[1]]
    verdict = verify(signed_by(cast.agency_ec, references), HEADER, FILES)
    assert verdict.value is Trust.VALID
    assert verdict.files is Trust.WEAK
    assert [r.verdict for r in verdict.references] == [Trust.WEAK, Trust.VALID]


def test_a_small_rsa_key_is_weak(cast):
    block = signed_by(cast.weak, [*file_refs(), header_ref()], algorithm=RSA_SHA256)
    verdict = verify(block, HEADER, FILES)
    assert (verdict.value, verdict.files) == (Trust.WEAK, Trust.WEAK)
    assert verdict.certificate["key"] == "RSA 1024"


def test_a_digest_that_is_not_computed_here_is_not_checked(cast):
    digest = hashlib.sha512(PARTS[0].data).digest()
    references = [ref(f"cid:{FILES[0].content_id}", digest, SHA512), file_refs()[1]]
    verdict = verify(signed_by(cast.agency_ec, references), HEADER, FILES)
    assert verdict.files is Trust.NOT_CHECKED


@pytest.mark.parametrize("method", ["", "http://example.org/none", f"{MORE}hmac-sha256"])
def test_an_unknown_signature_method_is_not_checked(cast, method):
    verdict = verify(signed_by(cast.agency_ec, file_refs(), algorithm=method), HEADER, FILES)
    assert verdict.value is Trust.NOT_CHECKED
    assert verdict.files is Trust.NOT_CHECKED


def test_a_method_of_the_other_family_than_the_key_is_not_checked(cast):
    block = signed_by(cast.agency_rsa, file_refs(), algorithm=ECDSA_SHA256)
    assert verify(block, HEADER, FILES).value is Trust.NOT_CHECKED


def test_a_curve_outside_the_policy_is_not_checked(cast):
    odd = cast.root.leaf("secp256k1 (test)", pki.ec_key(curve="secp256k1"))
    verdict = verify(signed_by(odd, file_refs()), HEADER, FILES)
    assert verdict.value is Trust.NOT_CHECKED
    assert verdict.certificate["key"] == "other"


@pytest.mark.parametrize(("digest", "length"), [("256", 32), ("384", 48), ("512", 64)])
def test_rsa_pss_and_pkcs1_are_both_read(cast, digest, length):
    algorithm = {
        32: hashes.SHA256(),
        48: hashes.SHA384(),
        64: hashes.SHA512(),
    }[length]
    modes = {
        f"{MORE}rsa-sha{digest}": padding.PKCS1v15(),
        f"http://www.w3.org/2007/05/xmldsig-more#sha{digest}-rsa-MGF1": padding.PSS(
            padding.MGF1(algorithm), length
        ),
    }
    for uri, mode in modes.items():
        message = normal_form(SignedInfo(EXC, uri, tuple(file_refs())))
        value = cast.agency_rsa.key.sign(message, mode, algorithm)
        block = signed_by(cast.agency_rsa, file_refs(), algorithm=uri, value=value)
        assert verify(block, HEADER, FILES).value is Trust.VALID


def test_larger_curves_have_longer_halves(cast):
    for curve in ("secp384r1", "secp521r1"):
        leaf = cast.root.leaf(f"{curve} (test)", pki.ec_key(curve=curve))
        assert verify(signed_by(leaf, file_refs()), HEADER, FILES).value is Trust.VALID


def test_an_ecdsa_value_in_der_form_is_false(cast, block):
    der = cast.agency_ec.key.sign(block.signed_info_exclusive, ec.ECDSA(hashes.SHA256()))
    changed = replace(block, signature_value=base64.b64encode(der).decode())
    assert verify(changed, HEADER, FILES).value is Trust.FALSE


def test_a_hostile_key_cannot_ask_for_endless_work(cast):
    narrow = replace(DEFAULT_POLICY, maximum_bits=1024)
    block = signed_by(cast.agency_rsa, file_refs(), algorithm=RSA_SHA256)
    assert verify(block, HEADER, FILES, policy=narrow).value is Trust.NOT_CHECKED


# forms


def test_a_value_over_the_vendor_namespace_is_read_as_carried(cast):
    carried = normal_form(SignedInfo(EXC, ECDSA_SHA256, tuple(file_refs()))).replace(
        NS_DSIG.encode(), NS_QCVN102.encode()
    )
    block = replace(
        signed_by(cast.agency_ec, file_refs(), value=cast.agency_ec.sign(carried)),
        in_dsig_namespace=False,
        signed_info_exclusive=carried,
    )
    assert verify(block, HEADER, FILES).value is Trust.VALID


def test_a_value_over_white_space_is_found_again_after_the_namespace_was_changed(cast):
    spaced = normal_form(SignedInfo(EXC, ECDSA_SHA256, tuple(file_refs()))).replace(
        b"><", b">\n  <"
    )
    block = replace(
        signed_by(cast.agency_ec, file_refs(), value=cast.agency_ec.sign(spaced)),
        in_dsig_namespace=False,
        signed_info_exclusive=spaced.replace(NS_DSIG.encode(), NS_QCVN102.encode()),
    )
    assert verify(block, HEADER, FILES).value is Trust.VALID


def test_an_inclusive_value_made_inside_an_edxml_header_is_rebuilt(cast):
    info = SignedInfo(INC, ECDSA_SHA256, tuple(file_refs()))
    message = normal_form(info, other_namespaces=f' xmlns:edXML="{NS_QCVN102}"')
    block = replace(
        signed_by(cast.agency_ec, file_refs(), canonicalization=INC),
        signature_value=base64.b64encode(cast.agency_ec.sign(message)).decode(),
        signed_info_inclusive=b"",
    )
    assert verify(block, HEADER, FILES).value is Trust.VALID


def test_reference_uris_doubled_by_a_rebuild_still_verify(block):
    doubled = tuple(replace(r, uri=f"cid:{r.uri}") for r in block.references)
    rebuilt = replace(block, references=doubled, signed_info_exclusive=b"")
    assert verify(rebuilt, HEADER, FILES).summary() == "valid"


def test_the_scheme_of_a_uri_is_read_in_any_letter_case(cast):
    references = [replace(r, uri=r.uri.replace("cid:", "CID:cid:")) for r in file_refs()]
    assert verify(signed_by(cast.agency_ec, references), HEADER, FILES).summary() == "files_only"


def test_white_space_around_base64_is_no_change(block):
    value = "\r\n ".join(block.signature_value[i : i + 20] for i in range(0, 88, 20))
    assert verify(replace(block, signature_value=value), HEADER, FILES).summary() == "valid"


def test_loose_bits_at_the_end_of_base64_are_a_change(cast):
    block = packages.block_of(packages.sign(cast.agency_rsa))
    assert block.signature_value.endswith("==")
    last = block.signature_value[-3]
    loose = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = loose[loose.index(last) | 1] if loose.index(last) % 2 == 0 else last
    changed = replace(block, signature_value=f"{block.signature_value[:-3]}{other}==")
    assert changed != block
    assert verify(changed, HEADER, FILES).value is Trust.FALSE


def test_enveloped_references_are_not_checked_yet(cast):
    verdict = verify(signed_by(cast.agency_ec, [ref("", b"\0" * 32)]), HEADER, FILES)
    assert verdict.profile == "enveloped"
    assert verdicts(verdict) == [("", Trust.NOT_CHECKED)]
    assert (verdict.value, verdict.header, verdict.files) == (
        Trust.VALID,
        Trust.NOT_CHECKED,
        Trust.NOT_CHECKED,
    )
    assert verdict.summary() == "not_checked"


def test_a_foreign_block_that_was_moved_is_not_called_false(cast):
    good = signed_by(cast.agency_ec, [ref("", b"\0" * 32)], canonicalization=INC)
    broken = replace(good, signature_value=base64.b64encode(b"\1" * 64).decode())
    assert verify(broken, HEADER, FILES).value is Trust.FALSE
    moved = replace(broken, in_dsig_namespace=False)
    assert verify(moved, HEADER, FILES).value is Trust.NOT_VERIFIABLE


def test_a_relay_block_that_was_moved_and_does_not_hold_is_false(cast, block):
    moved = replace(
        block, in_dsig_namespace=False, signature_value=base64.b64encode(b"\1" * 64).decode()
    )
    assert verify(moved, HEADER, FILES).value is Trust.FALSE


@pytest.mark.parametrize("uri", ["#obj", "file:///etc/passwd", "http://example.org/x", "cidx"])
def test_references_out_of_the_package_are_never_valid_and_never_followed(cast, uri):
    references = [*file_refs(), header_ref(), ref(uri, hashlib.sha256(b"").digest())]
    verdict = verify(signed_by(cast.agency_ec, references), HEADER, FILES)
    assert verdict.profile == "other"
    assert verdict.references[-1].verdict is Trust.NOT_CHECKED
    assert verdict.files is Trust.VALID


def test_a_transform_is_not_followed(cast):
    transforms = ("http://www.w3.org/TR/1999/REC-xslt-19991116",)
    references = [replace(r, transforms=transforms) for r in file_refs()]
    verdict = verify(signed_by(cast.agency_ec, references), HEADER, FILES)
    assert verdict.files is Trust.NOT_CHECKED


# signature wrapping


def test_a_second_signed_info_shown_to_the_digest_check_is_never_valid(cast, block):
    """A reader that hands on the bytes of one SignedInfo and the references of another."""
    forged_files = (replace(FILES[0], sha256="1" * 64, carried_sha256="1" * 64), FILES[1])
    forged = with_reference(block, 0, digest_value=base64.b64encode(b"\x11" * 32).decode())
    verdict = verify(forged, HEADER, forged_files)
    assert verdict.value is Trust.FALSE
    assert verdict.files is Trust.FALSE


@pytest.mark.parametrize(
    "carried",
    [
        "<SignedInfo xmlns='{ns}'>{inner}</SignedInfo>{again}",
        "<x xmlns='{ns}'>{again}</x>",
        "<SignedInfo xmlns='{ns}'>{inner}{again}</SignedInfo>",
        "<SignedInfo xmlns='{ns}'>{inner}{inner}</SignedInfo>",
        "<SignedInfo xmlns='{ns}'>{inner}<Reference URI=''></Reference></SignedInfo>",
        "<SignedInfo xmlns='{ns}'>{inner}<Reference></Reference></SignedInfo>",
        "<SignedInfo xmlns='{ns}'>{inner}<Object></Object></SignedInfo>",
        "<SignedInfo xmlns='http://example.org/'>{inner}</SignedInfo>",
        "<SignedInfo xmlns='{ns}'><?x y?>{inner}</SignedInfo>",
        "<!DOCTYPE SignedInfo><SignedInfo xmlns='{ns}'>{inner}</SignedInfo>",
        "<SignedInfo xmlns='{ns}'>{nested}</SignedInfo>",
        "not XML",
        "",
    ],
)
def test_bytes_that_are_not_one_plain_signed_info_prove_nothing_even_when_signed(cast, carried):
    """The signer's key really signed these bytes; they must still not vouch for the values."""
    values = SignedInfo(EXC, ECDSA_SHA256, tuple(file_refs()))
    normal = normal_form(values).decode()
    inner = normal.partition(">")[2].removesuffix("</SignedInfo>")
    message = carried.format(
        ns=NS_DSIG,
        inner=inner,
        again=normal,
        nested=inner.replace("</DigestValue>", "<b></b></DigestValue>"),
    ).encode()
    block = replace(
        signed_by(cast.agency_ec, file_refs(), value=cast.agency_ec.sign(message)),
        signed_info_exclusive=message,
    )
    verdict = verify(block, HEADER, FILES)
    assert verdict.value is Trust.FALSE
    assert verdict.summary() == "false"


def test_a_plain_signed_info_with_prefixes_ids_and_white_space_is_accepted_as_carried(cast):
    """The same test as above with bytes that do say it: the judge is not simply asleep."""
    message = (
        f'<ds:SignedInfo xmlns:ds="{NS_DSIG}" Id="s">\n  '
        f'<ds:CanonicalizationMethod Algorithm="{EXC}">'
        f'<ec:InclusiveNamespaces xmlns:ec="{EXC}" PrefixList="ds"></ec:InclusiveNamespaces>'
        f"</ds:CanonicalizationMethod>\n  "
        f'<ds:SignatureMethod Algorithm="{ECDSA_SHA256}"></ds:SignatureMethod>\n  '
        + "".join(
            f'<ds:Reference Id="r" URI="{r.uri}">\n'
            f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
            f"<ds:DigestValue>\n{r.digest_value}\n</ds:DigestValue></ds:Reference>"
            for r in file_refs()
        )
        + "\n</ds:SignedInfo>"
    ).encode()
    block = replace(
        signed_by(cast.agency_ec, file_refs(), value=cast.agency_ec.sign(message)),
        signed_info_exclusive=message,
    )
    assert verify(block, HEADER, FILES).summary() == "files_only"


def test_a_very_deep_or_very_long_uri_costs_no_more_than_its_length(cast):
    uri = "cid:" * 200_000 + "x"
    verdict = verify(signed_by(cast.agency_ec, [ref(uri, b"\0" * 32)]), HEADER, FILES)
    assert verdict.files is Trust.FALSE


# which bytes count


def test_the_carried_bytes_count_only_where_a_verified_reference_is_over_them(cast):
    over_carried = [ref(f"cid:{f.content_id}", bytes.fromhex(f.carried_sha256)) for f in FILES]
    verdict = verify(signed_by(cast.agency_ec, over_carried), HEADER, FILES)
    assert [r.matched for r in verdict.references] == ["carried", "carried"]
    assert inner_choice(verdict, FILES) == tuple(f.carried_sha256 for f in FILES)


def test_without_a_signature_the_unwrapped_bytes_count(cast, block):
    unwrapped = tuple(f.sha256 for f in FILES)
    assert inner_choice(verify(None, HEADER, FILES), FILES) == unwrapped
    assert inner_choice(verify(block, HEADER, FILES), FILES) == unwrapped


def test_a_reference_under_a_value_that_does_not_hold_chooses_nothing(cast):
    over_carried = [ref(f"cid:{f.content_id}", bytes.fromhex(f.carried_sha256)) for f in FILES]
    block = replace(signed_by(cast.agency_ec, over_carried), signature_value="AAAA")
    verdict = verify(block, HEADER, FILES)
    assert inner_choice(verdict, FILES) == tuple(f.sha256 for f in FILES)


# after relay


@pytest.mark.parametrize("namespace", [NS_DSIG, NS_QCVN102])
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_the_signature_survives_what_the_axis_does_to_a_package(cast, namespace, rounds):
    for leaf, algorithm in ((cast.agency_rsa, RSA_SHA256), (cast.agency_ec, ECDSA_SHA256)):
        xml = packages.seal(leaf, algorithm, namespace=namespace).xml
        for _ in range(rounds):
            xml = packages.rebuild(xml)
        opened = packages.read(xml)
        assert opened.block is not None
        assert opened.block.in_dsig_namespace == (namespace == NS_DSIG and not rounds)
        verdict = verify(opened.block, opened.header, opened.files)
        assert verdict.summary() == "valid"
        if rounds:
            assert opened.files[1].carried_sha256 != FILES[1].carried_sha256
            assert opened.files[1].content_id.startswith("cid:cid:")


def test_a_change_made_on_the_way_is_found_after_relay(cast):
    sealed = packages.seal(cast.agency_ec, ECDSA_SHA256)
    relayed = packages.rebuild(sealed.xml)
    tampered = relayed.replace(b"12/UBND-VX</edXML:DocumentId>", b"13/UBND-VX</edXML:DocumentId>")
    assert tampered != relayed
    opened = packages.read(tampered)
    verdict = verify(opened.block, opened.header, opened.files)
    assert (verdict.value, verdict.header, verdict.files) == (
        Trust.VALID,
        Trust.FALSE,
        Trust.VALID,
    )


def test_prepare_and_verify_agree_on_what_a_header_is(cast):
    digests = [(f.declared_name, f.sha256) for f in FILES]
    prepared = prepare(
        [(f.content_id, f.sha256) for f in FILES], header_digest(HEADER, digests), ECDSA_SHA256
    )
    leaf = cast.agency_ec
    signature = finish(prepared, leaf.sign(prepared.signed_info), leaf.der)
    assert verify(packages.block_of(signature), HEADER, FILES).summary() == "valid"


def test_a_certificate_whose_dates_cannot_be_read_is_none(cast, block):
    leaf = cast.agency_ec
    text = f"{leaf.certificate.not_valid_before_utc:%y%m%d%H%M%SZ}".encode()
    assert leaf.der.count(text) == 1
    broken = base64.b64encode(leaf.der.replace(text, b"999999999999Z")).decode()
    verdict = verify(replace(block, certificates=(broken,)), HEADER, FILES)
    assert verdict.value is Trust.NOT_CHECKED
    assert verdict.certificate == {}
