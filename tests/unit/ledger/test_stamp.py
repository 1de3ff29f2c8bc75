"""Timestamps: believed only when digest, nonce, policy, signature, certificate and path agree."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import NameOID

from adapters.tsa.authority import BAD_POLICY, LocalAuthority, granted_without_token, rejection
from gateway.errors import Unavailable, Untrusted
from gateway.ledger import stamp
from gateway.ledger.stamp import ChainVerdict, Reading
from tests.support.ledgers import START, anchors, sample_authority, sample_ledger

DIGEST = hashlib.sha256(b"what is stamped").digest()
NONCE = 2**63 + 12345
ROOT_KEY = ec.derive_private_key(11, ec.SECP256R1())
KEY = ec.derive_private_key(12, ec.SECP256R1())
MIDDLE_KEY = ec.derive_private_key(13, ec.SECP256R1())
KEY_USAGES = (
    "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
    "key_cert_sign crl_sign encipher_only decipher_only"
)
LEAF_USAGES = ([Eku.TIME_STAMPING], True)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    name,
    issuer,
    public_key,
    signer,
    *,
    ca=None,
    path_length=None,
    usages=None,
    key_usage=None,
    days=(-1, 100),
    extra=(),
):
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(public_key)
        .serial_number(1000 + len(name))
        .not_valid_before(START + timedelta(days=days[0]))
        .not_valid_after(START + timedelta(days=days[1]))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages[0]), critical=usages[1])
    if key_usage is not None:
        bits = dict.fromkeys(KEY_USAGES.split(), False)
        usage = x509.KeyUsage(**{**bits, **dict.fromkeys(key_usage, True)})
        builder = builder.add_extension(usage, critical=True)
    for extension in extra:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(signer, hashes.SHA256())


ROOT = certificate("root", "root", ROOT_KEY.public_key(), ROOT_KEY, ca=True)


def leaf(**changes):
    given = {"usages": LEAF_USAGES, **changes}
    return certificate("tsa", "root", KEY.public_key(), ROOT_KEY, **given)


def answer(authority, *, nonce=NONCE, at=START, policy=None):
    return authority.reply(stamp.build_request(DIGEST, nonce, policy), at, 77)


def check(reply, trusted, **changes):
    asked = {"digest": DIGEST, "nonce": NONCE, "policy": None, **changes}
    return stamp.check_response(reply, asked["digest"], asked["nonce"], trusted, asked["policy"])


def code_of(reply, trusted, **changes):
    with pytest.raises((Untrusted, Unavailable)) as caught:
        check(reply, trusted, **changes)
    return caught.value.code


def test_a_request_asks_for_sha256_a_nonce_and_the_certificate():
    request = tsp.TimeStampReq.load(stamp.build_request(DIGEST, NONCE, "1.2.3.4")).native
    assert request["message_imprint"]["hash_algorithm"]["algorithm"] == "sha256"
    assert request["message_imprint"]["hashed_message"] == DIGEST
    assert (request["nonce"], request["cert_req"]) == (NONCE, True)
    assert request["req_policy"] == "1.2.3.4"
    assert tsp.TimeStampReq.load(stamp.build_request(DIGEST, 1)).native["req_policy"] is None


def test_an_honest_answer_is_believed_and_tells_who_and_when():
    authority = sample_authority()
    facts = check(answer(authority, policy=authority.policy), anchors(), policy=authority.policy)
    assert facts.gen_time == START
    assert facts.policy == authority.policy
    assert facts.serial == "77"
    assert facts.authority == authority.chain[0].subject.rfc4514_string()
    assert (facts.chain, facts.reading) == (ChainVerdict.TRUSTED, Reading.STRICT)


def test_a_whole_second_is_a_time_too():
    at = START.replace(microsecond=0)
    assert check(answer(sample_authority(), at=at), anchors()).gen_time == at


@pytest.mark.parametrize("size", [2048, 3072])
def test_an_authority_with_an_rsa_key_is_believed(size):
    key = rsa.generate_private_key(65537, size)
    made = certificate("tsa", "root", key.public_key(), ROOT_KEY, usages=LEAF_USAGES)
    facts = check(answer(LocalAuthority(key, (made, ROOT))), [ROOT])
    assert (facts.chain, facts.reading) == (ChainVerdict.TRUSTED, Reading.STRICT)


def test_without_anchors_the_signature_is_checked_and_nobody_is_trusted():
    facts = check(answer(sample_authority()), [])
    assert facts.chain is ChainVerdict.NOT_CHECKED
    stranger = LocalAuthority(KEY, sample_authority().chain)
    assert code_of(answer(stranger), []) == "stamp.signature"


def test_an_answer_to_something_else_is_refused():
    honest = answer(sample_authority())
    assert code_of(honest, anchors(), digest=bytes(32)) == "stamp.other_digest"
    assert code_of(honest, anchors(), nonce=NONCE + 1) == "stamp.other_nonce"
    assert code_of(honest, anchors(), policy="1.2.3") == "stamp.other_policy"
    without = sample_authority().token(DIGEST, None, START, 5)
    granted = bytes.fromhex("3082") + (len(without) + 5).to_bytes(2) + b"\x30\x03\x02\x01\x00"
    assert code_of(granted + without, anchors()) == "stamp.other_nonce"


def test_a_refusal_is_for_time_to_mend_and_says_why():
    with pytest.raises(Unavailable, match="unaccepted_policy because") as caught:
        check(rejection(BAD_POLICY, "because"), anchors())
    assert caught.value.code == "tsa.rejected"
    assert code_of(answer(sample_authority(), policy="1.2.3"), anchors()) == "tsa.rejected"


def test_a_grant_without_a_token_is_no_stamp():
    assert code_of(granted_without_token(), anchors()) == "tsa.no_token"


@pytest.mark.parametrize(
    "reply", [b"", b"<html>", b"\x30\x80", b"\x30\x03\x02\x01\x00", bytes(300_000)]
)
def test_bytes_that_are_no_reply_are_refused(reply):
    assert code_of(reply, anchors()) == "stamp.unreadable"


def test_a_reply_cut_short_anywhere_is_refused():
    honest = answer(sample_authority())
    for end in range(0, len(honest), 7):
        assert code_of(honest[:end], anchors()) == "stamp.unreadable"
    assert code_of(honest + b"\x00", anchors()) == "stamp.unreadable"


def test_every_changed_byte_of_a_token_is_found():
    ledger = sample_ledger()
    token, note = ledger.stamps[-1].token, ledger.checkpoints[-1].note
    assert stamp.verify_stamp(token, note, anchors()).chain is ChainVerdict.TRUSTED
    for position in range(len(token)):
        spoiled = bytearray(token)
        spoiled[position] ^= 0x01
        with pytest.raises(Untrusted):
            stamp.verify_stamp(bytes(spoiled), note, anchors())


def test_a_stamp_is_for_one_signed_note_and_no_other():
    ledger = sample_ledger()
    token, made = ledger.stamps[-1].token, ledger.checkpoints[-1]
    assert stamp.stamp_digest(made) == hashlib.sha256(made.note.encode()).digest()
    with pytest.raises(Untrusted) as caught:
        stamp.verify_stamp(token, ledger.checkpoints[0].note, anchors())
    assert caught.value.code == "stamp.other_digest"


def test_a_stranger_with_the_same_name_is_not_the_authority():
    authority = sample_authority()
    name = authority.chain[-1].subject
    impostor_root = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(ROOT_KEY.public_key())
        .serial_number(authority.chain[-1].serial_number)
        .not_valid_before(START - timedelta(days=1))
        .not_valid_after(START + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ROOT_KEY, hashes.SHA256())
    )
    assert code_of(answer(authority), [impostor_root]) == "stamp.chain"


def test_the_certificate_must_be_for_time_stamping_alone():
    for usages in (
        None,
        ([Eku.TIME_STAMPING], False),
        ([Eku.SERVER_AUTH], True),
        ([Eku.TIME_STAMPING, Eku.CODE_SIGNING], True),
    ):
        authority = LocalAuthority(KEY, (leaf(usages=usages), ROOT))
        assert code_of(answer(authority), [ROOT]) == "stamp.certificate"
    authority = LocalAuthority(KEY, (leaf(key_usage=["key_encipherment"]), ROOT))
    assert code_of(answer(authority), [ROOT]) == "stamp.certificate"
    signs = LocalAuthority(KEY, (leaf(key_usage=["content_commitment"]), ROOT))
    assert check(answer(signs), [ROOT]).chain is ChainVerdict.TRUSTED


def test_the_certificate_must_have_been_valid_at_the_tokens_time_not_now():
    short = LocalAuthority(KEY, (leaf(days=(-1, 1)), ROOT))
    assert check(answer(short), [ROOT]).chain is ChainVerdict.TRUSTED
    assert code_of(answer(short, at=START + timedelta(days=2)), [ROOT]) == "stamp.chain"
    assert code_of(answer(short, at=START - timedelta(days=2)), [ROOT]) == "stamp.chain"


def through(middle):
    made = certificate("tsa", "middle", KEY.public_key(), MIDDLE_KEY, usages=LEAF_USAGES)
    return LocalAuthority(KEY, (made, middle, ROOT))


def middle_certificate(**changes):
    given = {"ca": True, **changes}
    return certificate("middle", "root", MIDDLE_KEY.public_key(), ROOT_KEY, **given)


def test_a_path_through_an_issuing_authority_is_found_inside_the_token():
    facts = check(answer(through(middle_certificate())), [ROOT])
    assert (facts.chain, facts.reading) == (ChainVerdict.TRUSTED, Reading.STRICT)


def test_an_issuer_that_may_not_issue_breaks_the_path():
    for changes in (
        {"ca": None},
        {"ca": False},
        {"key_usage": ["digital_signature"]},
        {"days": (-10, -5)},
        {"days": (5, 10)},
        {"extra": [x509.NameConstraints(None, [x509.DNSName("example")])]},
    ):
        assert code_of(answer(through(middle_certificate(**changes))), [ROOT]) == "stamp.chain"


def test_a_path_longer_than_its_root_allows_is_refused():
    shallow = certificate("root", "root", ROOT_KEY.public_key(), ROOT_KEY, ca=True, path_length=0)
    assert code_of(answer(through(middle_certificate())), [shallow]) == "stamp.chain"
    assert check(answer(LocalAuthority(KEY, (leaf(), ROOT))), [shallow]).serial == "77"


def test_an_anchor_may_be_the_issuer_or_the_authority_itself():
    middle = middle_certificate()
    authority = through(middle)
    for anchor in (middle, authority.chain[0]):
        facts = check(answer(authority), [anchor])
        assert (facts.chain, facts.reading) == (ChainVerdict.TRUSTED, Reading.TOLERANT)


def test_a_token_without_certificates_is_checked_with_the_one_we_hold():
    authority = LocalAuthority(KEY, (leaf(), ROOT))
    note = "a note\n"
    bare = authority.token(stamp.note_digest(note), None, START, 9, with_certificates=False)
    facts = stamp.verify_stamp(bare, note, [authority.chain[0]])
    assert (facts.chain, facts.reading) == (ChainVerdict.TRUSTED, Reading.TOLERANT)
    with pytest.raises(Untrusted) as caught:
        stamp.verify_stamp(bare, note, [ROOT])
    assert caught.value.code == "stamp.unreadable"


def test_a_signature_bound_to_another_certificate_of_the_same_key_is_refused():
    genuine = LocalAuthority(KEY, (leaf(), ROOT))
    der = genuine.chain[0].public_bytes(Encoding.DER)
    others = (leaf(days=(-1, d)).public_bytes(Encoding.DER) for d in range(101, 900))
    reissued = next(other for other in others if len(other) == len(der))
    assert code_of(answer(genuine).replace(der, reissued), [ROOT]) == "stamp.signature"


def test_an_unsorted_set_of_certificates_is_read_by_the_tolerant_path():
    authority = through(middle_certificate())
    honest = answer(authority)
    first, second = sorted(c.public_bytes(Encoding.DER) for c in authority.chain[:2])
    unsorted = honest.replace(first + second, second + first)
    assert unsorted != honest
    assert check(honest, [ROOT]).reading is Reading.STRICT
    facts = check(unsorted, [ROOT])
    assert (facts.chain, facts.reading) == (ChainVerdict.TRUSTED, Reading.TOLERANT)
    spoiled = unsorted.replace(DIGEST, bytes(32))
    assert code_of(spoiled, [ROOT]) == "stamp.other_digest"
