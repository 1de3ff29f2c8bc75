"""A province is a file: what it may say, and that its mistakes are named."""

from __future__ import annotations

import dataclasses

import pytest

from adapters.edoc_soap.profile import Profile, load_profile
from gateway.errors import Misconfigured
from tests.support.houses import CONF

SHIPPED = CONF / "soap" / "bkav-edoc.toml"


def test_the_shipped_profile_says_every_key_with_its_default():
    assert load_profile(SHIPPED) == load_profile(None) == Profile()
    text = SHIPPED.read_text("utf-8")
    for field in dataclasses.fields(Profile):
        heading = "[errors]" if field.name == "errors" else f"\n{field.name} = "
        assert heading in text, field.name


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('sopa = "1.1"', "sopa"),
        ('soap = "1.3"', "soap"),
        ("soap = 1", "soap"),
        ("quote_action = 1", "quote_action"),
        ("traces_days = true", "traces_days"),
        ("traces_days = -1", "traces_days"),
        ('action = "send"', "action"),
        ('errors = {"M.*" = "maybe"}', "errors"),
        ('security = "x509"\npayload = "package"', "security"),
        ("soap =", ""),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path, line, key):
    file = tmp_path / "tinh.toml"
    file.write_text(line + "\n", "utf-8")
    with pytest.raises(Misconfigured) as wrong:
        load_profile(file)
    assert wrong.value.code == "conf.profile_invalid"
    assert str(file) in wrong.value.text.en
    assert key in wrong.value.text.en


def test_the_first_pattern_that_fits_decides():
    profile = Profile()
    assert profile.meaning("M.Exist") == "exists"
    assert profile.meaning("M.To") == "never"
    assert profile.meaning("CheckPermission.Token") == "credentials"
    assert profile.meaning("khac") == ""
