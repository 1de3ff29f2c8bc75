"""The ledger's key is made once, is private, and is P-256."""

import stat

import pytest

from adapters.keys.ledger import load_ledger_key, make_ledger_key
from gateway.errors import Misconfigured
from tests.support import pki


def test_what_was_made_is_loaded_again(tmp_path):
    path = tmp_path / "ledger.pem"
    made = make_ledger_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_ledger_key(path).private_numbers() == made.private_numbers()


def test_a_ledger_key_is_never_written_over(tmp_path):
    path = tmp_path / "ledger.pem"
    make_ledger_key(path)
    before = path.read_bytes()
    with pytest.raises(Misconfigured) as refused:
        make_ledger_key(path)
    assert refused.value.code == "key.exists"
    assert path.read_bytes() == before


def test_a_missing_key_is_refused_and_not_made(tmp_path):
    with pytest.raises(Misconfigured) as refused:
        load_ledger_key(tmp_path / "ledger.pem")
    assert refused.value.code == "key.unreadable"
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "ledger.pem"
    make_ledger_key(path)
    path.chmod(0o644)
    with pytest.raises(Misconfigured) as refused:
        load_ledger_key(path)
    assert refused.value.code == "key.readable_by_others"


@pytest.mark.parametrize("kind", ["rsa", "p384", "locked", "junk"])
def test_any_other_content_is_refused(tmp_path, kind):
    cast = pki.cast()
    content = {
        "rsa": cast.agency_rsa.key_pem(),
        "p384": cast.root.leaf("p384 (test)", pki.ec_key(curve="secp384r1")).key_pem(),
        "locked": cast.agency_ec.key_pem(b"password"),
        "junk": b"junk",
    }[kind]
    path = tmp_path / "ledger.pem"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(Misconfigured) as refused:
        load_ledger_key(path)
    assert refused.value.code == "key.ledger"
