"""What an auditor can do with openssl and sha256sum alone: SignedInfo, value, certificate, files.

Contract 4 (Evidence): SignedInfo bytes, signature value and inner files are separate parts.
"""

import base64
import shutil
import subprocess
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.signing import ECDSA_SHA256, RSA_SHA256
from tests.support import pki
from tests.support import signed_packages as packages

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed on this machine")


@pytest.fixture(scope="module")
def cast():
    return pki.cast()


def openssl(*arguments):
    done = subprocess.run(
        [OPENSSL, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("who", "algorithm"), [("agency_rsa", RSA_SHA256), ("agency_ec", ECDSA_SHA256)]
)
def test_openssl_verifies_the_value_over_the_signed_bytes(cast, tmp_path, who, algorithm):
    leaf = getattr(cast, who)
    block = packages.block_of(packages.sign(leaf, algorithm))
    value = base64.b64decode(block.signature_value)
    if algorithm == ECDSA_SHA256:  # openssl takes DER
        value = encode_dss_signature(int.from_bytes(value[:32]), int.from_bytes(value[32:]))
    info, signature, key = (tmp_path / n for n in ("info.xml", "value.bin", "key.pem"))
    info.write_bytes(block.signed_info_exclusive)
    signature.write_bytes(value)
    key.write_bytes(leaf.public_pem())
    command = ("dgst", "-sha256", "-verify", key, "-signature", signature, info)
    assert openssl(*command) == (0, "Verified OK\n")
    info.write_bytes(block.signed_info_exclusive + b" ")
    assert openssl(*command)[0] != 0


def test_openssl_accepts_the_test_pki_and_sees_who_is_revoked_and_expired(cast, tmp_path):
    root, crl = tmp_path / "root.pem", tmp_path / "crl.pem"
    root.write_bytes(cast.root.pem)
    revoked = {cast.revoked.certificate.serial_number: cast.revoked_since}
    crl.write_bytes(cast.root.crl(revoked, pki.AT).public_bytes(Encoding.PEM))

    def says(leaf):
        path = tmp_path / "leaf.pem"
        path.write_bytes(leaf.pem)
        at = int((pki.AT + timedelta(hours=1)).timestamp())
        return openssl(
            "verify", "-attime", at, "-CAfile", root, "-CRLfile", crl, "-crl_check", path
        )

    assert says(cast.agency_rsa)[0] == 0
    assert says(cast.agency_ec)[0] == 0
    assert "certificate has expired" in says(cast.expired)[1]
    assert "certificate revoked" in says(cast.revoked)[1]
    assert says(cast.stranger)[0] != 0


def test_openssl_reads_the_ocsp_answers_of_the_test_pki(cast, tmp_path):
    root, leaf, answer = (tmp_path / n for n in ("root.pem", "leaf.pem", "answer.der"))
    root.write_bytes(cast.root.pem)
    for who, since, word in (
        (cast.agency_ec, None, "good"),
        (cast.revoked, cast.revoked_since, "revoked"),
    ):
        leaf.write_bytes(who.pem)
        answer.write_bytes(cast.root.ocsp(who, pki.AT, since).public_bytes(Encoding.DER))
        code, said = openssl(
            "ocsp", "-respin", answer, "-issuer", root, "-sha256", "-cert", leaf, "-CAfile", root,
            "-attime", int(pki.AT.timestamp()), "-validity_period", 10**9,
        )  # fmt: skip
        assert code == 0, said
        assert f"{leaf}: {word}" in said
