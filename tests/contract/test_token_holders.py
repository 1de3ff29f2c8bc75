"""Keys on a token pass the suite of the port, and are found and proved as conf says."""

from __future__ import annotations

import pytest

from adapters.keys import pkcs11
from adapters.keys.token_link import Token
from gateway.errors import Misconfigured, Unavailable
from tests.contract.key_holder_suite import CHECKS, verifies
from tests.support import pki, tokens

KEYS = {"agency_rsa": ("so-19", "a1"), "agency_ec": ("bộ mẫu", "b2c3")}


@pytest.fixture(scope="module")
def soft(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        made = tokens.SoftToken(tmp_path_factory.mktemp("hsm"))
        patch.setenv("SOFTHSM2_CONF", str(made.conf))
        for name, (label, ident) in KEYS.items():
            made.put(getattr(pki.cast(), name), label, ident)
        made.put(pki.cast().other_agency, "không chứng thư", "d4", certificate=False)
        yield made
        made.close()


@pytest.fixture(scope="module")
def token(soft):
    return soft.token()


@pytest.fixture(scope="module", params=list(KEYS))
def held(request, token):
    leaf = getattr(pki.cast(), request.param)
    loaded = pkcs11.load(token, KEYS[request.param][0], agency="000.00.19.H14", now=pki.AT)
    assert loaded.warnings == ()
    return loaded.holder, leaf.certificate


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_a_token_keeps_the_promises_of_the_port(held, check):
    check(*held)


def load(token, wanted, **options):
    return pkcs11.load(token, wanted, agency="000.00.19.H14", now=pki.AT, **options)


def test_a_key_is_found_by_its_id_too(token):
    holder = load(token, "B2:C3").holder
    assert holder == load(token, "bộ mẫu").holder
    verifies(pki.cast().agency_ec.certificate, holder.sign(b"x"), b"x")


def test_the_certificate_may_stand_in_a_file(token, tmp_path):
    leaf = pki.cast().other_agency
    file = tmp_path / "cert.pem"
    file.write_bytes(pki.cast().agency_ec.pem + leaf.pem)
    holder = load(token, "không chứng thư", certificate=file).holder
    assert holder.certificate == leaf.der
    with pytest.raises(Misconfigured) as none:
        load(token, "không chứng thư")
    assert none.value.code == "key.certificate"


def test_a_certificate_of_another_key_is_refused(token, tmp_path):
    file = tmp_path / "cert.der"
    file.write_bytes(pki.cast().other_agency.der)
    with pytest.raises(Misconfigured) as wrong:
        load(token, "so-19", certificate=file)
    assert wrong.value.code == "key.mismatch"
    assert "000.00.19.H14" in wrong.value.text.en
    assert tokens.LABEL in wrong.value.text.vi


def test_an_expired_certificate_is_a_warning(token):
    loaded = pkcs11.load(token, "so-19", agency="H14.19", now=pki.AT + 3 * pki.YEAR)
    assert [w.code for w in loaded.warnings] == ["key.certificate_expired"]


def test_an_object_that_is_not_there_is_named(token):
    with pytest.raises(Misconfigured) as wrong:
        load(token, "so-20")
    assert wrong.value.code == "key.token_object"
    holder = load(token, "so-19").holder
    assert holder.sign(b"x"), "the token goes on"


def test_two_keys_of_one_label_are_not_guessed_between(tmp_path, monkeypatch):
    soft = tokens.SoftToken(tmp_path)
    monkeypatch.setenv("SOFTHSM2_CONF", str(soft.conf))
    soft.put(pki.cast().agency_ec, "đơn vị", "01", certificate=False)
    soft.put(pki.cast().other_agency, "đơn vị", "02", certificate=False)
    with pytest.raises(Misconfigured) as wrong:
        load(soft.token(), "đơn vị")
    soft.close()
    assert wrong.value.code == "key.token_ambiguous"


def test_a_token_that_is_not_there_may_come_yet(soft):
    with pytest.raises(Unavailable) as absent:
        load(soft.token(label="Token khác"), "so-19")
    assert absent.value.code == "key.token_absent"
    assert tokens.LABEL in absent.value.text.en, "it says which tokens there are"


def test_a_module_that_cannot_be_loaded_is_named(soft, tmp_path):
    token = Token(tmp_path / "none.so", tokens.LABEL, lambda: tokens.PIN)
    with pytest.raises(Misconfigured) as wrong:
        load(token, "so-19")
    assert wrong.value.code == "key.token_module"
    assert str(tmp_path / "none.so") in wrong.value.text.en


@pytest.mark.parametrize("name", list(KEYS))
def test_a_token_that_only_hashes_by_itself_is_given_the_message(tmp_path, monkeypatch, name):
    """Some offer CKM_SHA256_RSA_PKCS alone."""
    soft = tokens.SoftToken(tmp_path, mechanisms="CKM_SHA256_RSA_PKCS,CKM_ECDSA")
    monkeypatch.setenv("SOFTHSM2_CONF", str(soft.conf))
    leaf = getattr(pki.cast(), name)
    soft.put(leaf, *KEYS[name])
    token = soft.token()
    label = KEYS[name][0]
    assert token.find(label).takes == ("message" if name == "agency_rsa" else "digest")
    holder = load(token, label).holder
    for message in (b"", bytes(300_000)):
        verifies(leaf.certificate, holder.sign(message), message)
    soft.close()
