"""openssl as judge of paths, lists and answers: both must come to the same word."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.model.trust import TrustWord
from gateway.signing.policy import DEFAULT_POLICY
from gateway.signing.revocation import Evidence, Kind, judge_one, question
from gateway.signing.trust import Anchors, judge, nothing_kept
from tests.support.pki import AT, YEAR, Leaf, ec_key
from tests.support.trust_pki import DAY, HOUR, Layer, responder, root, usage

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="NO openssl COMMAND: nothing was judged")

ROOT = root("Oracle root", 500)
CA = ROOT.below("Oracle issuing", 501, path_length=0)
LEAF = CA.leaf("oracle leaf", ec_key(502))
STRANGERS = root("Oracle strangers", 503)
SECOND = CA.below("one too many", 504)
UNIT = CA.leaf("a unit", ec_key(505), usage=usage("digital_signature", "key_cert_sign"))


def openssl(*arguments: object) -> tuple[bool, str]:
    assert OPENSSL is not None
    done = subprocess.run(
        [OPENSSL, *map(str, arguments)], capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0, (done.stdout + done.stderr).decode()


def files(folder: Path, leaf: Leaf, above: Sequence[Layer]) -> tuple[Path, Path, Path]:
    made = (folder / "leaf.pem", folder / "above.pem", folder / "root.pem")
    made[0].write_bytes(leaf.pem)
    made[1].write_bytes(b"".join(a.certificate.public_bytes(Encoding.PEM) for a in above))
    made[2].write_bytes(ROOT.pem)
    return made


CASES = {
    "good": (LEAF, [CA], AT),
    "expired": (LEAF, [CA], AT + 2 * YEAR),
    "not yet valid": (LEAF, [CA], AT - 2 * YEAR),
    "without its issuer": (LEAF, [STRANGERS], AT),
    "of strangers": (STRANGERS.leaf("x", ec_key(506)), [STRANGERS], AT),
    "forged": (CA.leaf("x", ec_key(506), signed_by=ec_key(507)), [CA], AT),
    "a unit as authority": (
        Layer(UNIT.certificate, UNIT.key).leaf("x", ec_key(506)),
        [Layer(UNIT.certificate, UNIT.key), CA],
        AT,
    ),
    "path length": (SECOND.leaf("x", ec_key(506)), [SECOND, CA], AT),
    "an authority that may not issue": (
        (MUTE := ROOT.below("mute", 508, usage=usage("crl_sign"))).leaf("x", ec_key(506)),
        [MUTE],
        AT,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_openssl_verify_accepts_the_paths_that_we_accept(case: str, tmp_path: Path) -> None:
    leaf, above, at = CASES[case]
    signer, others, held = files(tmp_path, leaf, above)
    accepted, said = openssl(
        *("verify", "-attime", int(at.timestamp()), "-CAfile", held, "-untrusted", others),
        *("-purpose", "any", signer),
    )
    anchors = Anchors((ROOT.certificate,))
    ours = judge(
        leaf.certificate, [a.certificate for a in above], anchors, nothing_kept, at
    ).trust.word
    # without lists the best word is that nothing is known of a revocation
    assert (ours is TrustWord.UNKNOWN_REVOCATION) == accepted, (case, ours, said)
    assert accepted == (case == "good")


def told(evidence: Evidence, at: datetime = AT) -> str:
    return judge_one(
        LEAF.certificate,
        CA.certificate,
        [evidence],
        at=at,
        max_age=30 * DAY,
        policy=DEFAULT_POLICY,
    ).status.value


@pytest.mark.parametrize(
    ("revoked", "at", "expected"),
    [
        ({}, AT, "good"),
        ({LEAF.certificate.serial_number: AT - DAY}, AT, "revoked"),
        ({1: AT - DAY}, AT, "good"),
        ({}, AT + 8 * DAY, "unknown"),
    ],
    ids=["empty", "revoked", "another", "run out"],
)
def test_openssl_reads_our_list_and_verifies_with_it(revoked, at, expected, tmp_path) -> None:
    data = CA.crl(revoked)
    assert told(Evidence(Kind.CRL, data, AT), at) == expected
    signer, others, held = files(tmp_path, LEAF, [CA])
    (tmp_path / "list.der").write_bytes(data)
    (tmp_path / "issuer.pem").write_bytes(CA.pem)
    holds, said = openssl(
        *("crl", "-inform", "DER", "-in", tmp_path / "list.der", "-out", tmp_path / "list.pem"),
        *("-CAfile", tmp_path / "issuer.pem"),
    )
    assert holds, said
    assert "verify OK" in said
    accepted, said = openssl(
        *("verify", "-attime", int(at.timestamp()), "-CAfile", held, "-untrusted", others),
        *("-crl_check", "-CRLfile", tmp_path / "list.pem", signer),
    )
    assert accepted == (expected == "good"), said


def test_openssl_finds_the_same_fault_in_a_list_of_another_key(tmp_path) -> None:
    forged = CA.crl(signed_by=ec_key(509))
    (tmp_path / "list.der").write_bytes(forged)
    (tmp_path / "issuer.pem").write_bytes(CA.pem)
    _, said = openssl(
        *("crl", "-inform", "DER", "-in", tmp_path / "list.der", "-noout"),
        *("-CAfile", tmp_path / "issuer.pem"),
    )
    assert "verify failure" in said
    assert told(Evidence(Kind.CRL, forged, AT)) == "unknown"


ANSWERS = {
    "good": (CA.ocsp(LEAF), "good"),
    "revoked": (CA.ocsp(LEAF, revoked_since=AT - DAY), "revoked"),
    "delegated": (CA.ocsp(LEAF, responder=responder(CA)), "good"),
    "forged": (CA.ocsp(LEAF, signed_by=ec_key(510)), "unknown"),
    "a responder without the purpose": (
        CA.ocsp(LEAF, responder=CA.leaf("no responder", ec_key(511))),
        "unknown",
    ),
    "a responder of strangers": (CA.ocsp(LEAF, responder=responder(STRANGERS)), "unknown"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_openssl_ocsp_believes_the_answers_that_we_believe(case: str, tmp_path: Path) -> None:
    data, expected = ANSWERS[case]
    assert told(Evidence(Kind.OCSP, data, AT - HOUR)) == expected
    for name, content in (
        ("leaf.pem", LEAF.pem),
        ("issuer.pem", CA.pem),
        ("root.pem", ROOT.pem),
        ("answer.der", data),
    ):
        (tmp_path / name).write_bytes(content)
    _, said = openssl(
        *("ocsp", "-respin", tmp_path / "answer.der", "-issuer", tmp_path / "issuer.pem"),
        *("-cert", tmp_path / "leaf.pem", "-CAfile", tmp_path / "root.pem"),
        *("-verify_other", tmp_path / "issuer.pem", "-attime", int(AT.timestamp())),
        *("-validity_period", 20 * 365 * 86400),
    )
    believed = "Response verify OK" in said
    assert believed == (expected != "unknown"), said
    if believed:
        assert f"leaf.pem: {expected}" in said


def test_openssl_reads_the_question_that_we_would_ask(tmp_path: Path) -> None:
    (tmp_path / "question.der").write_bytes(question(LEAF.certificate, CA.certificate))
    done, said = openssl("ocsp", "-reqin", tmp_path / "question.der", "-req_text", "-noverify")
    assert done, said
    assert f"{LEAF.certificate.serial_number:X}" in said


def test_the_oracle_and_the_library_read_one_certificate_alike(tmp_path: Path) -> None:
    (tmp_path / "leaf.pem").write_bytes(LEAF.pem)
    _, said = openssl("x509", "-in", tmp_path / "leaf.pem", "-noout", "-fingerprint", "-sha256")
    read = x509.load_pem_x509_certificate(LEAF.pem)
    judged = judge(read, [CA.certificate], Anchors((ROOT.certificate,)), nothing_kept, AT).trust
    assert judged.path[0].sha256 == said.partition("=")[2].strip().replace(":", "").lower()
