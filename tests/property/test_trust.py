"""Whatever a stranger or an authority sends: a word comes out, never a better one than is due."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.trust import RevocationWord, TrustWord
from gateway.signing.policy import DEFAULT_POLICY
from gateway.signing.revocation import Evidence, Kind, judge_one
from gateway.signing.trust import Anchors, Relied, judge_der
from tests.support.pki import AT, ec_key
from tests.support.trust_pki import DAY, HOUR, responder, root

ROOT = root("Property root", 800)
CA = ROOT.below("Property issuing", 801)
LEAF = CA.leaf(
    "000.00.19.H14 (test)", ec_key(802), lists=["http://a.vn/crl"], answers=["http://a.vn/"]
)
SERIAL = LEAF.certificate.serial_number
CHAIN = [c.certificate.public_bytes(Encoding.DER) for c in (LEAF, CA, ROOT)]
EVIDENCE = [
    (Kind.CRL, CA.crl({SERIAL: AT - DAY})),
    (Kind.CRL, CA.crl({1: AT - DAY})),
    (Kind.OCSP, CA.ocsp(LEAF)),
    (Kind.OCSP, CA.ocsp(LEAF, responder=responder(CA))),
]
ANCHORS = Anchors(
    (ROOT.certificate,),
    lists=tuple(Evidence(Kind.CRL, layer.crl()) for layer in (ROOT, CA)),
)
edits = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 255), st.sampled_from(["set", "cut", "put"])),
    min_size=1,
    max_size=4,
)


def edited(data: bytes, changes: list[tuple[int, int, str]]) -> bytes:
    made = bytearray(data)
    for at, value, how in changes:
        place = at % (len(made) or 1)
        if how == "set" and made:
            made[place] = value
        elif how == "cut":
            del made[place : place + value % 8]
        else:
            made.insert(place, value)
    return bytes(made)


@settings(deadline=None, max_examples=300)
@given(which=st.sampled_from(EVIDENCE), changes=edits)
def test_changed_evidence_proves_nothing(which, changes) -> None:
    kind, data = which
    changed = edited(data, changes)
    fact = judge_one(
        LEAF.certificate,
        CA.certificate,
        [Evidence(kind, changed, AT - HOUR)],
        at=AT,
        max_age=DAY,
        policy=DEFAULT_POLICY,
    )
    if fact.status is not RevocationWord.UNKNOWN:
        # what lies outside the signed part (the certificates of an answer) may change unharmed
        whole = judge_one(
            LEAF.certificate,
            CA.certificate,
            [Evidence(kind, data, AT - HOUR)],
            at=AT,
            max_age=DAY,
            policy=DEFAULT_POLICY,
        )
        assert (fact.status, fact.revoked_at) == (whole.status, whole.revoked_at)


@settings(deadline=None, max_examples=300)
@given(place=st.integers(0, 2), changes=edits)
def test_a_changed_certificate_is_never_trusted_unless_nothing_rests_on_it(place, changes) -> None:
    chain = list(CHAIN)
    chain[place] = edited(chain[place], changes)
    if chain[place] == CHAIN[place]:
        return
    judged = judge_der(chain[0], chain[1:], Relied(ANCHORS), AT)
    assert judged is None or place == 2 or judged.trust.word is not TrustWord.TRUSTED


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(st.binary(max_size=60), max_size=10))
def test_garbage_beside_the_signer_changes_nothing(texts) -> None:
    judged = judge_der(CHAIN[0], [*texts, CHAIN[1]], Relied(ANCHORS), AT)
    assert judged is not None
    assert judged.trust.word is TrustWord.TRUSTED
