"""The certificate behind a signature: path, dates, and what stands in the way of trust."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model.trust import TrustWord
from gateway.signing import chains, trust
from gateway.signing.revocation import Evidence, Kind
from gateway.signing.trust import Anchors, Relied, judge, nothing_kept
from tests.support.pki import AT, YEAR, ec_key, rsa_key
from tests.support.trust_pki import DAY, Layer, root, usage, with_sha1

ROOT = root("Trust root", 300)
ISSUING = ROOT.below("Trust issuing", 301, path_length=0)
LEAF = ISSUING.leaf("000.00.19.H14 (test)", ec_key(302))


def lists(*layers: Layer) -> tuple[Evidence, ...]:
    """An empty list of each authority, laid down by hand."""
    return tuple(Evidence(Kind.CRL, layer.crl()) for layer in layers)


ANCHORS = Anchors((ROOT.certificate,), lists=lists(ROOT, ISSUING))


def words(leaf, *others, anchors: Anchors = ANCHORS, at=AT) -> tuple[str, str]:
    judged = judge(leaf.certificate, [o.certificate for o in others], anchors, nothing_kept, at)
    return judged.trust.word.value, judged.trust.why


def test_a_path_to_a_root_that_is_nowhere_revoked_is_trusted():
    judged = judge(LEAF.certificate, [ISSUING.certificate], ANCHORS, nothing_kept, AT).trust
    assert judged.word is TrustWord.TRUSTED
    assert judged.findings == ()
    assert [s.sha256 for s in judged.path] == [
        chains.fingerprint(c.certificate) for c in (LEAF, ISSUING, ROOT)
    ]
    assert [f.status.value for f in judged.revocation] == ["good", "good"]
    assert judged.path[0].subject == LEAF.certificate.subject.rfc4514_string()


def test_an_intermediate_of_the_operator_stands_in_for_one_that_was_left_out():
    with_it = replace(ANCHORS, intermediates=(ISSUING.certificate,))
    assert words(LEAF, anchors=with_it) == ("trusted", "")
    assert words(LEAF) == ("untrusted", "no_path")


def test_without_roots_nothing_is_claimed():
    assert words(LEAF, ISSUING, anchors=Anchors()) == ("not_configured", "no_roots")
    judged = judge(LEAF.certificate, [], Anchors(), nothing_kept, AT)
    assert (judged.trust.findings, judged.trust.path, judged.wanted) == ((), (), ())


def test_a_certificate_of_strangers_is_untrusted_and_makes_us_ask_nobody():
    foreign = root("Foreign root", 303)
    leaf = foreign.leaf("stranger", ec_key(304), lists=["http://10.0.0.1/crl"])
    judged = judge(leaf.certificate, [foreign.certificate], ANCHORS, nothing_kept, AT)
    assert (judged.trust.word, judged.wanted) == (TrustWord.UNTRUSTED, ())
    (finding,) = judged.trust.findings
    assert finding.code == "certificate.untrusted"
    assert finding.text.vi
    assert finding.text.en


def test_expired_and_not_yet_valid_are_judged_at_the_given_instant():
    assert words(LEAF, ISSUING, at=AT + 2 * YEAR) == ("expired", "expired")
    assert words(LEAF, ISSUING, at=AT - 2 * YEAR) == ("not_yet_valid", "not_yet_valid")
    (finding,) = judge(
        LEAF.certificate, [ISSUING.certificate], ANCHORS, nothing_kept, AT + 2 * YEAR
    ).trust.findings
    assert finding.code == "certificate.expired"
    assert f"{AT + YEAR:%Y-%m-%d}" in finding.text.en


def test_an_issuer_that_had_ended_ends_its_certificates():
    old = ROOT.below("Trust issuing", 301, not_after=AT - DAY)
    leaf = old.leaf("under the old one", ec_key(302))
    assert words(leaf, old) == ("expired", "expired")
    # the same key under a certificate that was renewed: another path, and a valid one
    assert words(leaf, old, ISSUING) == ("trusted", "")


def test_a_key_that_may_not_sign_documents_is_refused():
    leaf = ISSUING.leaf("encipherment", ec_key(305), usage=usage("key_encipherment"))
    assert words(leaf, ISSUING) == ("untrusted", "key_usage")
    only = ISSUING.leaf("commitment", ec_key(305), usage=usage("content_commitment"))
    assert words(only, ISSUING) == ("trusted", "")


def test_who_is_no_authority_issues_nothing():
    unit = ISSUING.leaf("an agency", ec_key(306), usage=usage("digital_signature", "key_cert_sign"))
    forged = Layer(unit.certificate, unit.key).leaf("forged", ec_key(307))
    deep = replace(ANCHORS, roots=(ROOT.certificate,))
    assert words(forged, unit, ISSUING, anchors=deep) == ("untrusted", "not_an_authority")
    bare = ROOT.below("without constraints", 308, basic=False)
    assert words(bare.leaf("x", ec_key(307)), bare) == ("untrusted", "not_an_authority")
    signs_no_others = ROOT.below("no cert sign", 308, usage=usage("crl_sign"))
    assert words(signs_no_others.leaf("x", ec_key(307)), signs_no_others) == (
        "untrusted",
        "key_usage",
    )


def test_a_path_longer_than_an_authority_allows_is_refused():
    second = ISSUING.below("one too many", 309)
    assert words(second.leaf("x", ec_key(310)), second, ISSUING) == ("untrusted", "path_length")


def test_a_path_deeper_than_we_go_is_refused():
    layer, above = ROOT, []
    for number in range(chains.MAX_DEPTH):
        layer = layer.below(f"layer {number}", 311 + number)
        above.append(layer)
    word, why = words(layer.leaf("x", ec_key(310)), *above)
    assert (word, why) == ("untrusted", "path_length")


def test_a_signature_that_does_not_hold_leads_nowhere():
    forged = ISSUING.leaf("forged", ec_key(320), signed_by=ec_key(321))
    assert words(forged, ISSUING) == ("untrusted", "signature")


def test_an_extension_that_must_be_understood_and_is_not_leads_nowhere():
    demanding = x509.NameConstraints(
        permitted_subtrees=[x509.DNSName("example.vn")], excluded_subtrees=None
    )
    layer = ROOT.below("constrained", 322, extension=demanding)
    assert words(layer.leaf("x", ec_key(323)), layer) == ("untrusted", "critical_extension")
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    leaf = ISSUING.leaf("x", ec_key(323), extension=strange)
    assert words(leaf, ISSUING) == ("untrusted", "critical_extension")


def test_short_keys_are_refused_wherever_they_stand():
    weak = ISSUING.leaf("weak", rsa_key(bits=1024))
    assert words(weak, ISSUING) == ("untrusted", "weak_key")
    layer = ROOT.below("weak authority", 0, key=rsa_key(bits=1024))
    assert words(layer.leaf("x", ec_key(324)), layer) == ("untrusted", "weak_key")


def test_an_authority_that_signs_with_sha1_is_refused():
    layer = ROOT.below("old authority", 0, key=rsa_key(7))
    leaf = layer.leaf("x", ec_key(325))
    old = replace(leaf, certificate=with_sha1(leaf.certificate, rsa_key(7)))
    assert words(old, layer) == ("untrusted", "weak_algorithm")


def test_a_root_that_signed_itself_with_sha1_counts_by_being_held():
    made = root("SHA-1 root", 0, key=rsa_key(8))
    old = replace(made, certificate=with_sha1(made.certificate, rsa_key(8)))
    held = Anchors((old.certificate,), lists=lists(old))
    assert words(old.leaf("x", ec_key(326)), anchors=held) == ("trusted", "")


def test_an_issuing_authority_may_itself_be_the_anchor():
    held = Anchors((ISSUING.certificate,), lists=lists(ISSUING))
    assert words(LEAF, anchors=held) == ("trusted", "")


def test_certificates_that_cross_sign_each_other_cost_little():
    """Sixteen of one name, each signed by every other: bounded, and never a crash."""
    layers = [root("the same name", 330 + n) for n in range(8)]
    crossed = [
        Layer(a.below("the same name", 330 + n).certificate, ec_key(330 + n))
        for a in layers
        for n in range(8)
        if a.key is not ec_key(330 + n)
    ]
    leaf = layers[0].leaf("x", ec_key(340))
    calls = 0
    real = chains.issued

    def counted(subject, issuer):
        nonlocal calls
        calls += 1
        return real(subject, issuer)

    chains.issued = counted
    try:
        assert words(leaf, *crossed) == ("untrusted", "too_much_work")
    finally:
        chains.issued = real
    assert calls <= chains.MOST_CHECKS + 1


def test_a_loop_of_two_authorities_ends():
    a, b = root("loop a", 341), root("loop b", 342)
    a_by_b, b_by_a = b.below("loop a", 341), a.below("loop b", 342)
    assert words(a.leaf("x", ec_key(343)), a_by_b, b_by_a)[0] == "untrusted"


def test_the_certificate_of_a_block_is_found_by_its_digest_among_the_texts():
    texts = [
        base64.b64encode(c.certificate.public_bytes(Encoding.DER)).decode() for c in (ISSUING, LEAF)
    ]
    sha256 = chains.fingerprint(LEAF.certificate)
    judged = trust.judge_block(["garbage", *texts], sha256, Relied(ANCHORS), AT)
    assert judged is not None
    assert judged.trust.word is TrustWord.TRUSTED
    assert trust.judge_block(texts, "0" * 64, Relied(ANCHORS), AT) is None


def test_what_a_record_holds_names_nobody():
    judged = judge(LEAF.certificate, [ISSUING.certificate], ANCHORS, nothing_kept, AT).trust
    record = judged.for_record()
    assert record["trust"] == "trusted"
    assert record["evidence"] == [
        {"kind": "crl", "blob": e.sha256} for e in reversed(ANCHORS.lists)
    ]
    assert "H14" not in str(record)
    shown = judged.as_json()
    assert shown["trust_at"] == "2026-11-20T03:00:00Z"
    assert shown["revocation"][0]["age_seconds"] == timedelta(hours=1).total_seconds()


def test_every_digest_that_a_record_names_is_of_bytes_to_keep():
    judged = judge(LEAF.certificate, [ISSUING.certificate], ANCHORS, nothing_kept, AT)
    record = judged.trust.for_record()
    named = {part["blob"] for key in ("path", "evidence") for part in record[key]}
    assert named == {hashlib.sha256(data).hexdigest() for data in judged.kept}
    assert len(named) == 5


def test_files_of_the_operator_are_read_in_both_spellings():
    der = ROOT.certificate.public_bytes(Encoding.DER)
    assert trust.read_certificates(der) == (ROOT.certificate,)
    assert trust.read_certificates(ROOT.pem + ISSUING.pem) == (
        ROOT.certificate,
        ISSUING.certificate,
    )
    with pytest.raises(ValueError, match=r"."):
        trust.read_certificates(b"none")
    with pytest.raises(ValueError, match="not a certificate revocation list"):
        trust.read_list(der)
