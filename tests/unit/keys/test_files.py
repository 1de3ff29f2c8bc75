"""Which key files are taken, and what an operator is told about the others."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from adapters.keys.files import PemKeyHolder, Pkcs12KeyHolder, load
from adapters.keys.private import CREDENTIALS, read_private
from gateway.errors import Misconfigured, Severity
from tests.support import pki

SECRET = b"correct horse"


@pytest.fixture(scope="module")
def cast():
    return pki.cast()


@pytest.fixture
def put(tmp_path):
    def write(name, data, mode=0o600):
        path = tmp_path / name
        path.write_bytes(data)
        path.chmod(mode)
        return path

    return write


def refusal(path, **options):
    with pytest.raises(Misconfigured) as refused:
        load(path, now=pki.AT, **options)
    return refused.value


def test_the_content_tells_the_format_and_not_the_name(cast, put):
    leaf = cast.agency_ec
    bundle = pkcs12.serialize_key_and_certificates(
        None, leaf.key, leaf.certificate, None, NoEncryption()
    )
    assert isinstance(
        load(put("a.p12", leaf.key_pem() + leaf.pem), now=pki.AT).holder, PemKeyHolder
    )
    assert isinstance(load(put("b.pem", bundle), now=pki.AT).holder, Pkcs12KeyHolder)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601, 0o660, 0o777])
def test_a_key_that_others_can_reach_is_refused(cast, put, mode):
    path = put("key.pem", cast.agency_ec.key_pem() + cast.agency_ec.pem, mode)
    refused = refusal(path)
    assert refused.code == "key.readable_by_others"
    assert str(path) in refused.text.vi
    assert f"{mode:04o}" in refused.text.en


def test_a_password_file_that_others_can_reach_is_refused(cast, put):
    key = put("key.pem", cast.agency_ec.key_pem(SECRET) + cast.agency_ec.pem)
    refused = refusal(key, password_file=put("password", SECRET, 0o644))
    assert refused.code == "key.readable_by_others"
    assert "password" in str(refused.text.en)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_that_only_its_owner_reads_is_taken(cast, put, mode):
    path = put("key.pem", cast.agency_ec.key_pem() + cast.agency_ec.pem, mode)
    assert load(path, now=pki.AT).holder.certificate == cast.agency_ec.der


def test_a_systemd_credential_may_show_the_group_bit_of_its_acl(cast, put, tmp_path, monkeypatch):
    path = put("key.pem", b"x", 0o440)
    with pytest.raises(Misconfigured):
        read_private(path, {})
    with pytest.raises(Misconfigured):
        read_private(path, {CREDENTIALS: str(tmp_path.parent)})
    assert read_private(path, {CREDENTIALS: str(tmp_path)}) == b"x"
    path.chmod(0o444)
    with pytest.raises(Misconfigured):
        read_private(path, {CREDENTIALS: str(tmp_path)})


def test_a_wrong_password_is_refused_and_not_repeated(cast, put):
    key = put("key.pem", cast.agency_ec.key_pem(SECRET) + cast.agency_ec.pem)
    refused = refusal(key, password_file=put("password", b"wrong guess"))
    assert refused.code == "key.undecodable"
    assert "wrong guess" not in f"{refused!r} {refused} {refused.text}"
    assert refused.__cause__ is None


@pytest.mark.parametrize("lines", [b"", b"\n", b"\r\n"])
def test_an_empty_password_file_is_refused(cast, put, lines):
    key = put("key.pem", cast.agency_ec.key_pem(SECRET) + cast.agency_ec.pem)
    assert refusal(key, password_file=put("password", lines)).code == "key.password"


def test_a_locked_key_without_password_is_refused(cast, put):
    leaf = cast.agency_ec
    assert refusal(put("a.pem", leaf.key_pem(SECRET) + leaf.pem)).code == "key.undecodable"
    bundle = pkcs12.serialize_key_and_certificates(
        None, leaf.key, leaf.certificate, None, BestAvailableEncryption(SECRET)
    )
    assert refusal(put("b.p12", bundle)).code == "key.undecodable"


def test_a_password_that_is_not_needed_is_refused(cast, put):
    key = put("key.pem", cast.agency_ec.key_pem() + cast.agency_ec.pem)
    assert refusal(key, password_file=put("password", SECRET)).code == "key.undecodable"


def test_a_certificate_of_another_key_is_refused_and_named(cast, put):
    key = put("key.pem", cast.agency_ec.key_pem())
    other = put("other.pem", cast.other_agency.pem, 0o644)
    refused = refusal(key, certificate=other)
    assert refused.code == "key.mismatch"
    assert str(other) in refused.text.en


def test_a_key_without_certificate_is_refused(cast, put):
    assert refusal(put("key.pem", cast.agency_ec.key_pem())).code == "key.certificate"


def test_the_certificate_of_the_key_is_found_in_a_chain(cast, put):
    leaf = cast.agency_ec
    chain = put("chain.pem", cast.root.pem + cast.other_agency.pem + leaf.pem, 0o644)
    holder = load(put("key.pem", leaf.key_pem()), now=pki.AT, certificate=chain).holder
    assert holder.certificate == leaf.der


def test_an_rsa_key_below_2048_bits_is_refused(cast, put):
    refused = refusal(put("key.pem", cast.weak.key_pem() + cast.weak.pem))
    assert refused.code == "key.weak"
    assert "1024" in refused.text.vi


def test_a_curve_other_than_p256_is_refused(cast, put):
    leaf = cast.root.leaf("P-384 (test)", pki.ec_key(curve="secp384r1"))
    assert refusal(put("key.pem", leaf.key_pem() + leaf.pem)).code == "key.kind"


def test_a_kind_of_key_that_xml_signatures_here_do_not_know_is_refused(put):
    key = ed25519.Ed25519PrivateKey.generate()
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert refusal(put("key.pem", data)).code == "key.kind"


@pytest.mark.parametrize(
    "data", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_holds_no_key_is_refused(put, data):
    assert refusal(put("key.pem", data)).code == "key.undecodable"


def test_a_certificate_file_that_holds_none_is_refused(cast, put):
    key = put("key.pem", cast.agency_ec.key_pem())
    assert refusal(key, certificate=put("c.pem", b"junk", 0o644)).code == "key.certificate"
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert refusal(key, certificate=put("d.pem", broken, 0o644)).code == "key.certificate"


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    refused = refusal(tmp_path / "none.pem")
    assert refused.code == "key.unreadable"
    assert "none.pem" in refused.text.vi


def test_a_folder_a_device_or_a_pipe_is_no_key_and_nobody_waits_for_it(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert refusal(tmp_path).code in {"key.not_a_file", "key.unreadable"}
    assert refusal(Path("/dev/null")).code == "key.not_a_file"
    assert refusal(pipe).code == "key.not_a_file"


def test_a_file_far_too_large_for_a_key_is_refused(put):
    assert refusal(put("key.pem", bytes(1024 * 1024 + 1))).code == "key.too_large"


def test_an_expired_certificate_is_a_warning(cast, put):
    leaf = cast.expired
    loaded = load(put("key.pem", leaf.key_pem() + leaf.pem), now=pki.AT)
    assert [(w.code, w.severity) for w in loaded.warnings] == [
        ("key.certificate_expired", Severity.WARNING)
    ]
    assert loaded.holder.sign(b"still signs")


def test_a_certificate_of_tomorrow_is_a_warning(cast, put):
    leaf = cast.root.leaf("tomorrow (test)", pki.ec_key(), not_before=pki.AT + timedelta(days=1))
    loaded = load(put("key.pem", leaf.key_pem() + leaf.pem), now=pki.AT)
    assert [w.code for w in loaded.warnings] == ["key.certificate_not_yet_valid"]


def test_a_certificate_that_is_not_for_signing_is_a_warning(cast, put):
    leaf = cast.root.leaf("not for signing (test)", pki.ec_key(), signing=False)
    loaded = load(put("key.pem", leaf.key_pem() + leaf.pem), now=pki.AT)
    assert [w.code for w in loaded.warnings] == ["key.certificate_usage"]


def test_the_key_id_stays_when_the_certificate_is_renewed(cast, put):
    leaf = cast.agency_ec
    renewed = cast.root.leaf("renewed (test)", leaf.key)
    old = load(put("old.pem", leaf.key_pem() + leaf.pem), now=pki.AT).holder
    new = load(put("new.pem", leaf.key_pem() + renewed.pem), now=pki.AT).holder
    assert old.key_id == new.key_id
    assert old.certificate != new.certificate
    named = load(put("named.pem", leaf.key_pem() + leaf.pem), now=pki.AT, key_id="h14-2026")
    assert named.holder.key_id == "h14-2026"


def test_a_certificate_whose_dates_cannot_be_read_is_refused_while_loading(cast, put):
    leaf = cast.agency_ec
    text = f"{leaf.certificate.not_valid_before_utc:%y%m%d%H%M%SZ}".encode()
    assert leaf.der.count(text) == 1
    broken = put("cert.der", leaf.der.replace(text, b"999999999999Z"), 0o644)
    key = put("key.pem", leaf.key_pem())
    assert refusal(key, certificate=broken).code in {"key.certificate", "key.mismatch"}
