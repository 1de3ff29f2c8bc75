"""A sealed secret opens again under its own key and label, and nowhere else."""

import base64
import pickle
import stat

import pytest

from adapters.keys.private import CREDENTIALS
from adapters.keys.vault import SecretVault
from gateway.errors import Misconfigured

SECRET = "bí mật HMAC".encode()
LABEL = "axis/vxp/hmac"


@pytest.fixture
def vault(tmp_path):
    return SecretVault.create(tmp_path / "master.key")


def code(call, *arguments):
    with pytest.raises(Misconfigured) as refused:
        call(*arguments)
    assert "bí mật HMAC" not in f"{refused.value!r} {refused.value.text}"
    return refused.value.code


@pytest.mark.parametrize("plaintext", [SECRET, b"", bytes(100_000)])
def test_what_was_sealed_opens_again(vault, plaintext):
    assert vault.open(vault.seal(plaintext, LABEL), LABEL) == plaintext


def test_it_opens_in_another_process_with_the_same_file(vault, tmp_path):
    token = vault.seal(SECRET, LABEL)
    assert SecretVault(tmp_path / "master.key").open(token, LABEL) == SECRET


def test_a_token_does_not_open_under_another_label(vault):
    assert code(vault.open, vault.seal(SECRET, LABEL), "axis/vxp/other") == "secret.damaged"


def test_every_changed_character_of_a_token_is_found(vault):
    token = vault.seal(b"s", LABEL)
    for index in range(len(token)):
        other = "A" if token[index] != "A" else "B"
        changed = f"{token[:index]}{other}{token[index + 1 :]}"
        assert code(vault.open, changed, LABEL) in {"secret.damaged", "secret.other_key"}


@pytest.mark.parametrize("token", ["", "v1", "v1.a.b.c", "v2.x.y.z", "v1....", "é.é.é.é"])
def test_junk_is_no_token(vault, token):
    assert code(vault.open, token, LABEL) in {"secret.damaged", "secret.other_key"}


def test_a_cut_token_does_not_open(vault):
    token = vault.seal(SECRET, LABEL)
    for end in range(len(token)):
        assert code(vault.open, token[:end], LABEL) in {"secret.damaged", "secret.other_key"}


def test_another_master_key_says_so(vault, tmp_path):
    other = SecretVault.create(tmp_path / "other.key")
    assert code(other.open, vault.seal(SECRET, LABEL), LABEL) == "secret.other_key"


def test_the_same_secret_never_looks_the_same(vault):
    assert vault.seal(SECRET, LABEL) != vault.seal(SECRET, LABEL)


def test_a_token_is_plain_text_without_the_secret_in_it(vault):
    token = vault.seal(SECRET, LABEL)
    assert token.isascii()
    assert token.isprintable()
    assert SECRET not in base64.urlsafe_b64decode(token.rpartition(".")[2] + "==")


def test_the_master_key_file_belongs_to_its_owner_and_is_never_written_over(vault, tmp_path):
    path = tmp_path / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert code(SecretVault.create, path) == "key.exists"
    assert path.read_bytes() == before


def test_a_master_key_that_others_can_read_is_refused(vault, tmp_path):
    (tmp_path / "master.key").chmod(0o640)
    assert code(SecretVault, tmp_path / "master.key") == "key.readable_by_others"


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"edoc-gateway-master-key-v1 AAAA", b"edoc-gateway-master-key-v1 \xff"],
)
def test_another_file_is_no_master_key(tmp_path, content):
    path = tmp_path / "master.key"
    path.touch(0o600)
    path.write_bytes(content)
    assert code(SecretVault, path) == "secret.master_key"


def test_a_systemd_credential_is_found_by_name(vault, tmp_path):
    environ = {CREDENTIALS: str(tmp_path)}
    token = vault.seal(SECRET, LABEL)
    assert SecretVault("credential:master.key", environ).open(token, LABEL) == SECRET


@pytest.mark.parametrize("name", ["credential:", "credential:../x", "credential:/etc/x"])
def test_a_credential_cannot_name_a_path(tmp_path, name):
    environ = {CREDENTIALS: str(tmp_path)}
    assert code(SecretVault, name, environ) == "secret.no_credential"


def test_without_credentials_a_credential_is_refused():
    assert code(SecretVault, "credential:master", {}) == "secret.no_credential"


def test_a_vault_shows_nothing_and_does_not_leave_its_process(vault, tmp_path):
    key = (tmp_path / "master.key").read_bytes().split()[1].decode()
    assert key not in repr(vault)
    assert repr(vault) == f"SecretVault(key_id='{vault.key_id}')"
    with pytest.raises(TypeError):
        pickle.dumps(vault)
