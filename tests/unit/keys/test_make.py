"""Keys of a sandbox say that they are, are private, and belong to one CA."""

import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.keys.files import load
from adapters.keys.make import make_agency_key, make_sandbox_ca
from gateway.errors import Misconfigured
from tests.support import pki

CODE = "000.00.19.H14"


def read(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_two_agencies_get_keys_of_one_authority(tmp_path):
    first = make_agency_key(tmp_path, CODE, pki.AT, rsa_key=False)
    second = make_agency_key(tmp_path, "000.00.00.G22", pki.AT, rsa_key=False)
    ca = make_sandbox_ca(tmp_path, pki.AT).certificate
    for made, code in ((first, CODE), (second, "000.00.00.G22")):
        certificate = read(made.certificate)
        certificate.verify_directly_issued_by(ca)
        assert f"{code} (sandbox)" in certificate.subject.rfc4514_string()
        assert "SANDBOX" in certificate.subject.rfc4514_string()
    assert "sandbox" in ca.subject.rfc4514_string()


def test_a_made_key_loads_without_a_warning(tmp_path):
    made = make_agency_key(tmp_path, CODE, pki.AT)
    loaded = load(made.key, now=pki.AT, certificate=made.certificate)
    assert loaded.warnings == ()
    assert isinstance(read(made.certificate).public_key(), rsa.RSAPublicKey)


def test_an_authority_from_elsewhere_may_issue(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    ca = make_sandbox_ca(there, pki.AT)
    made = make_agency_key(here, CODE, pki.AT, issuer=ca, rsa_key=False)
    read(made.certificate).verify_directly_issued_by(ca.certificate)
    assert sorted(p.name for p in here.iterdir()) == [f"{CODE}.cert.pem", f"{CODE}.key.pem"]


def test_private_keys_are_private_and_certificates_are_not(tmp_path):
    made = make_agency_key(tmp_path, CODE, pki.AT, rsa_key=False)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "sandbox-ca.key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(made.certificate.stat().st_mode) == 0o644


def test_a_key_is_never_written_over(tmp_path):
    made = make_agency_key(tmp_path, CODE, pki.AT, rsa_key=False)
    before = made.key.read_bytes()
    with pytest.raises(Misconfigured) as refused:
        make_agency_key(tmp_path, CODE, pki.AT, rsa_key=False)
    assert refused.value.code == "key.exists"
    assert made.key.read_bytes() == before


@pytest.mark.parametrize("code", ["", "../x", "a/b", ".hidden", "x" * 51, "a b", "mã"])
def test_a_code_that_is_no_file_name_is_refused(tmp_path, code):
    with pytest.raises(Misconfigured) as refused:
        make_agency_key(tmp_path, code, pki.AT, rsa_key=False)
    assert refused.value.code == "key.agency_code"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Misconfigured) as refused:
        make_sandbox_ca(tmp_path / "none", pki.AT)
    assert "none" in refused.value.text.en


def test_something_else_in_place_of_the_authority_is_refused(tmp_path):
    make_sandbox_ca(tmp_path, pki.AT)
    (tmp_path / "sandbox-ca.cert.pem").write_bytes(b"junk")
    with pytest.raises(Misconfigured) as refused:
        make_sandbox_ca(tmp_path, pki.AT)
    assert refused.value.code == "key.sandbox_ca"


def test_no_repr_shows_a_key(tmp_path):
    shown = repr(make_sandbox_ca(tmp_path, pki.AT))
    assert "Private" not in shown
    assert "_key" not in shown
