"""Every key holder passes the suite of its port: PEM and PKCS#12, RSA and P-256, and a leaf."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from adapters.keys import files
from adapters.keys.make import make_agency_key
from gateway import signing
from tests.contract.key_holder_suite import CHECKS
from tests.support import pki

PASSWORD = "mật khẩu thử"


def pem(folder, leaf):
    path = folder / "key.pem"
    path.touch(0o600)
    path.write_bytes(leaf.key_pem() + leaf.pem)
    return path, {}


def locked_pem(folder, leaf):
    path, certificate, password = folder / "key.pem", folder / "cert.der", folder / "pass"
    for private in (path, password):
        private.touch(0o600)
    path.write_bytes(leaf.key_pem(PASSWORD.encode()))
    password.write_text(f"{PASSWORD}\n", "utf-8")
    certificate.write_bytes(leaf.der)
    return path, {"password_file": password, "certificate": certificate}


def pfx(folder, leaf):
    path, password = folder / "key.p12", folder / "pass"
    for private in (path, password):
        private.touch(0o600)
    password.write_text(PASSWORD, "utf-8")
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"agency",
            leaf.key,
            leaf.certificate,
            [leaf.issuer],
            BestAvailableEncryption(PASSWORD.encode()),
        )
    )
    return path, {"password_file": password}


def sandbox(folder, leaf):
    made = make_agency_key(folder, "000.00.19.H14", pki.AT, rsa_key=leaf is pki.cast().agency_rsa)
    return made.key, {"certificate": made.certificate}


@pytest.fixture(scope="module", params=["agency_rsa", "agency_ec"])
def leaf(request):
    return getattr(pki.cast(), request.param)


@pytest.fixture(scope="module", params=[pem, locked_pem, pfx, sandbox], ids=lambda f: f.__name__)
def held(request, leaf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("key")
    path, options = request.param(folder, leaf)
    loaded = files.load(path, now=pki.AT, **options)
    assert loaded.warnings == ()
    certificate = leaf.certificate
    if request.param is sandbox:
        certificate = x509.load_pem_x509_certificate(options["certificate"].read_bytes())
    return loaded.holder, certificate


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_a_key_holder_keeps_the_promises_of_its_port(held, check):
    check(*held)


def test_the_adapter_and_the_room_mean_the_same_algorithms():
    assert files.RSA_SHA256 == signing.RSA_SHA256
    assert files.ECDSA_SHA256 == signing.ECDSA_SHA256
