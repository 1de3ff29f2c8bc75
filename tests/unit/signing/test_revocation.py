"""What lists and answers say of one certificate at one instant, and when they may be believed."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.model.trust import TrustWord
from gateway.signing.policy import DEFAULT_POLICY
from gateway.signing.revocation import (
    Evidence,
    Kind,
    judge_one,
    question,
    usable,
    wanted,
    web_address,
)
from gateway.signing.trust import Anchors, judge, nothing_kept
from tests.support.pki import AT, YEAR, ec_key
from tests.support.trust_pki import DAY, HOUR, Layer, responder, root, usage

LISTS = "http://crl.example.vn/issuing.crl"
ANSWERS = "http://ocsp.example.vn/"
ROOT = root("Revocation root", 400)
CA = ROOT.below("Revocation issuing", 401)
LEAF = CA.leaf("000.00.19.H14 (test)", ec_key(402), lists=[LISTS], answers=[ANSWERS])
SERIAL = LEAF.certificate.serial_number


def crl(data: bytes, fetched_at=AT - HOUR / 2) -> Evidence:
    return Evidence(Kind.CRL, data, fetched_at)


def answer(data: bytes, fetched_at=AT - HOUR / 2) -> Evidence:
    return Evidence(Kind.OCSP, data, fetched_at)


def said(*evidence: Evidence, at=AT, max_age=DAY, leaf=LEAF, issuer=CA):
    return judge_one(
        leaf.certificate,
        issuer.certificate,
        evidence,
        at=at,
        max_age=max_age,
        policy=DEFAULT_POLICY,
    )


def status(*evidence: Evidence, **more) -> tuple[str, str]:
    fact = said(*evidence, **more)
    return fact.status.value, fact.why


def test_a_list_that_does_not_name_it_says_good_and_is_shown_with_its_age():
    held = crl(CA.crl())
    fact = said(held)
    assert (fact.status.value, fact.kind, fact.age) == ("good", "crl", 1800)
    assert fact.sha256 == hashlib.sha256(held.data).hexdigest()
    assert fact.issuer == CA.certificate.subject.rfc4514_string()
    assert (fact.this_update, fact.next_update) == (AT - HOUR, AT - HOUR + 7 * DAY)


def test_revoked_before_the_instant_is_revoked_with_its_date_and_reason():
    fact = said(crl(CA.crl({SERIAL: AT - 30 * DAY})))
    assert (fact.status.value, fact.reason) == ("revoked", "keyCompromise")
    assert fact.revoked_at == AT - 30 * DAY
    assert status(crl(CA.crl({SERIAL: AT}))) == ("revoked", "")


def test_revoked_after_the_instant_is_good_then_and_the_later_revocation_is_told():
    fact = said(crl(CA.crl({SERIAL: AT + DAY}, at=AT + 2 * DAY), AT + 2 * DAY))
    assert (fact.status.value, fact.reason) == ("good", "keyCompromise")
    assert fact.revoked_at == AT + DAY


def test_a_key_that_was_in_wrong_hands_before_its_revocation_counts_from_then():
    listed = CA.crl({SERIAL: AT + DAY}, at=AT + 2 * DAY, invalid_since=AT - DAY)
    fact = said(crl(listed, AT + 2 * DAY))
    assert (fact.status.value, fact.revoked_at) == ("revoked", AT - DAY)


def test_a_list_that_has_run_out_or_that_we_asked_for_long_ago_says_nothing():
    assert status(crl(CA.crl(at=AT - 8 * DAY), AT - HOUR)) == ("unknown", "stale")
    assert status(crl(CA.crl(at=AT - 3 * DAY), AT - 2 * DAY)) == ("unknown", "too_old")
    assert said(crl(CA.crl(at=AT - 3 * DAY), AT - 2 * DAY)).age == 2 * 86400
    assert status(crl(CA.crl(at=AT - 3 * DAY), AT - 2 * DAY), max_age=3 * DAY) == ("good", "")


def test_a_list_younger_than_the_instant_proves_it_however_old_the_instant_is():
    assert status(crl(CA.crl(at=AT), AT), at=AT - 100 * DAY) == ("good", "")


def test_a_list_made_after_the_certificate_had_ended_may_have_dropped_it():
    late = AT + YEAR + DAY
    assert status(crl(CA.crl(at=late), late)) == ("unknown", "after_expiry")


def test_a_list_from_the_future_is_not_believed():
    assert status(crl(CA.crl(at=AT + DAY), AT)) == ("unknown", "from_the_future")


def test_an_old_list_still_proves_a_revocation():
    old = CA.crl({SERIAL: AT - 30 * DAY}, at=AT - 20 * DAY)
    assert status(crl(old, AT - 20 * DAY)) == ("revoked", "")
    assert status(crl(old, AT - 20 * DAY), crl(CA.crl())) == ("revoked", "")


def test_a_certificate_on_hold_may_be_let_go():
    hold = x509.ReasonFlags.certificate_hold
    held = crl(CA.crl({SERIAL: AT - 30 * DAY}, at=AT - 20 * DAY, reason=hold), AT - 20 * DAY)
    assert said(held).reason == "certificateHold"
    assert status(held) == ("revoked", "")
    assert status(held, crl(CA.crl())) == ("good", "")


def test_a_list_of_another_issuer_or_with_a_false_signature_says_nothing():
    assert status(crl(ROOT.crl())) == ("unknown", "other_issuer")
    assert status(crl(CA.crl(signed_by=ec_key(403)))) == ("unknown", "signature")
    twin = root("Revocation issuing", 404)  # the same name, another key
    assert status(crl(twin.crl({SERIAL: AT - DAY}))) == ("unknown", "signature")
    mute = ROOT.below("Revocation issuing", 401, usage=usage("key_cert_sign"))
    assert status(crl(CA.crl()), issuer=mute) == ("unknown", "signature")


def test_delta_and_indirect_lists_and_lists_of_some_reasons_are_not_understood():
    delta = CA.crl(extension=x509.DeltaCRLIndicator(1))
    assert status(crl(delta)) == ("unknown", "unsupported")
    for changes in (
        {"indirect_crl": True},
        {"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})},
        {"only_contains_attribute_certs": True},
    ):
        assert status(crl(CA.crl(extension=scope(**changes)))) == ("unknown", "unsupported")


def scope(**changes) -> x509.IssuingDistributionPoint:
    plain = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**plain, **changes})


def test_a_list_speaks_only_of_the_kind_and_the_place_it_is_made_for():
    assert status(crl(CA.crl(extension=scope(only_contains_user_certs=True)))) == ("good", "")
    assert status(crl(CA.crl(extension=scope(only_contains_ca_certs=True)))) == (
        "unknown",
        "other_scope",
    )
    here = [x509.UniformResourceIdentifier(LISTS)]
    elsewhere = [x509.UniformResourceIdentifier("http://crl.example.vn/other.crl")]
    assert status(crl(CA.crl(extension=scope(full_name=here)))) == ("good", "")
    assert status(crl(CA.crl(extension=scope(full_name=elsewhere)))) == ("unknown", "other_scope")


def test_garbage_is_unreadable_and_nothing_at_all_says_what_is_missing():
    for broken in (b"", b"none", CA.crl()[:-20], b"-----BEGIN X509 CRL-----\nAA\n"):
        assert status(crl(broken)) == ("unknown", "unreadable")
        assert status(answer(broken)) == ("unknown", "unreadable")
    assert status() == ("unknown", "not_fetched")
    assert status(leaf=CA.leaf("without places", ec_key(405))) == ("unknown", "no_source")


def test_a_list_may_come_as_pem():
    pem = x509.load_der_x509_crl(CA.crl()).public_bytes(Encoding.PEM)
    assert status(crl(pem)) == ("good", "")


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()])
def test_an_answer_of_the_issuer_is_believed_whatever_its_certid_is_hashed_with(algorithm):
    assert status(answer(CA.ocsp(LEAF, algorithm=algorithm))) == ("good", "")


def test_an_answer_says_revoked_since_or_that_it_does_not_know():
    fact = said(answer(CA.ocsp(LEAF, revoked_since=AT - 2 * DAY)))
    assert (fact.status.value, fact.kind, fact.revoked_at) == ("revoked", "ocsp", AT - 2 * DAY)
    assert fact.reason == "keyCompromise"
    assert fact.produced_at is not None
    assert status(answer(CA.ocsp(LEAF, unknown=True))) == ("unknown", "not_known")
    later = CA.ocsp(LEAF, at=AT + 2 * DAY, revoked_since=AT + DAY)
    assert status(answer(later, AT + 2 * DAY)) == ("good", "")


def test_an_answer_about_another_certificate_or_issuer_says_nothing():
    other = CA.leaf("another", ec_key(406))
    assert status(answer(CA.ocsp(other))) == ("unknown", "other_issuer")
    assert status(answer(CA.ocsp(LEAF, issuer=ROOT.certificate))) == ("unknown", "other_issuer")


def test_a_forged_answer_says_nothing():
    assert status(answer(CA.ocsp(LEAF, signed_by=ec_key(407)))) == ("unknown", "signature")
    genuine = bytearray(CA.ocsp(LEAF, revoked_since=AT - DAY))
    good = CA.ocsp(LEAF)
    genuine[-1] ^= 1
    assert status(answer(bytes(genuine))) == ("unknown", "signature")
    assert status(answer(good)) == ("good", "")


def test_an_answer_that_has_run_out_says_nothing():
    assert status(answer(CA.ocsp(LEAF, at=AT - 3 * DAY), AT - HOUR)) == ("unknown", "stale")


def test_a_responder_that_the_issuer_made_for_it_is_believed():
    assert status(answer(CA.ocsp(LEAF, responder=responder(CA)))) == ("good", "")


@pytest.mark.parametrize(
    ("whose", "changes"),
    [
        (CA, {"purpose": ExtendedKeyUsageOID.SERVER_AUTH}),
        (CA, {"usage": usage("key_encipherment")}),
        (CA, {"not_after": AT - 3 * HOUR}),
        (CA, {"signed_by": ec_key(408)}),
        (ROOT, {}),
        (root("Strangers", 409), {}),
    ],
    ids=["purpose", "usage", "ended", "forged", "of the root", "of strangers"],
)
def test_any_other_responder_is_not(whose: Layer, changes):
    made = responder(whose, **changes)
    # who forges an answer dates it as suits him
    assert status(answer(CA.ocsp(LEAF, responder=made))) == ("unknown", "signature")


def test_a_refusal_is_no_answer():
    refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    assert status(answer(refused.public_bytes(Encoding.DER))) == ("unknown", "refused")


def test_where_one_says_good_another_good_the_youngest_is_shown():
    fact = said(crl(CA.crl(at=AT - 2 * HOUR)), answer(CA.ocsp(LEAF, at=AT - HOUR)))
    assert (fact.status.value, fact.kind) == ("good", "ocsp")
    broken = said(crl(b"none"), answer(CA.ocsp(LEAF, at=AT - 3 * DAY)))
    assert broken.why == "stale"


def test_the_question_names_the_certificate():
    asked = ocsp.load_der_ocsp_request(question(LEAF.certificate, CA.certificate))
    assert asked.serial_number == SERIAL
    key = x509.SubjectKeyIdentifier.from_public_key(CA.certificate.public_key())
    assert asked.issuer_key_hash == key.digest


def test_where_to_ask_stands_in_the_certificate():
    found = wanted(LEAF.certificate, CA.certificate)
    assert [(w.kind.value, w.url, bool(w.about)) for w in found] == [
        ("ocsp", ANSWERS, True),
        ("crl", LISTS, False),
    ]
    assert wanted(CA.certificate, ROOT.certificate) == ()


@pytest.mark.parametrize(
    "url",
    [
        "ldap://ldap.example.vn/cn=x",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@example.vn/crl",
        "http://example.vn/\r\nHost: other",
        "http://example.vn:port/",
        "http://[::1/",
        "http://example.vn/" + "a" * 500,
        "ftp://example.vn/crl",
        "",
    ],
)
def test_addresses_that_are_never_asked(url):
    assert not web_address(url)


def test_what_is_fetched_must_answer_the_question_before_it_is_kept():
    ask = wanted(LEAF.certificate, CA.certificate)[1]
    assert usable(ask, crl(CA.crl(), AT), now=AT, policy=DEFAULT_POLICY).why == ""
    forged = crl(CA.crl(signed_by=ec_key(403)), AT)
    assert usable(ask, forged, now=AT, policy=DEFAULT_POLICY).why == "signature"


def test_the_word_of_the_whole_path_is_the_worst_of_it():
    both = (crl(ROOT.crl()), crl(CA.crl()))
    anchors = Anchors((ROOT.certificate,), (CA.certificate,), both)

    def word(**changes) -> TrustWord:
        held = Anchors((ROOT.certificate,), (CA.certificate,), changes.get("lists", both))
        return judge(LEAF.certificate, [], held, nothing_kept, AT).trust.word

    assert word() is TrustWord.TRUSTED
    assert word(lists=both[1:]) is TrustWord.UNKNOWN_REVOCATION
    revoked = crl(ROOT.crl({CA.certificate.serial_number: AT - DAY}))
    assert word(lists=(revoked, both[1])) is TrustWord.REVOKED
    told = judge(
        LEAF.certificate,
        [],
        Anchors(anchors.roots, anchors.intermediates, (revoked,)),
        nothing_kept,
        AT,
    ).trust
    assert told.word is TrustWord.REVOKED  # although of the leaf itself nothing is known
    (finding,) = told.findings
    assert finding.code == "certificate.revoked"
    assert "issuer" in finding.text.en


def test_the_cache_is_asked_for_what_the_path_names_and_its_evidence_used():
    asked = []

    def cache(places):
        asked.extend(places)
        return [(p, crl(CA.crl())) for p in places if p.kind is Kind.CRL]

    anchors = Anchors((CA.certificate,))
    judged = judge(LEAF.certificate, [], anchors, cache, AT)
    assert judged.trust.word is TrustWord.TRUSTED
    assert tuple(asked) == judged.wanted
    assert judge(LEAF.certificate, [], anchors, nothing_kept, AT).trust.why == "not_fetched"
    assert timedelta(seconds=judged.trust.revocation[0].age or 0) == HOUR / 2
