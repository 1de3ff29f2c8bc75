"""Settings of an axis: a wrong value stops the start and is named; the secret is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.vxp.axis import VxpAxis
from adapters.vxp.settings import VxpSettings
from gateway.errors import Misconfigured
from tests.support.axes import FixedClock


def settings(**changes: object) -> VxpSettings:
    values: dict[str, object] = {
        "name": "vxp",
        "endpoint": "https://axis.example/vxp",
        "system_id": "exp.sys.01",
        "secret": "made-up-secret",
    }
    return VxpSettings(**{**values, **changes})  # type: ignore[arg-type]  # wrong ones on purpose


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("endpoint", "http://axis.example/vxp"),
        ("endpoint", "ftp://axis.example"),
        ("endpoint", "https://user:pw@axis.example"),
        ("endpoint", "https://axis.example/?a=1"),
        ("endpoint", "https://axis.example:99999/"),
        ("endpoint", "axis.example"),
        ("system_id", "hệ thống"),
        ("system_id", ""),
        ("secret", ""),
        ("hash_form", "md5"),
        ("repeat", "maybe"),
        ("max_connections", 0),
        ("connect_timeout", -1),
        ("ca_file", "/nowhere/ca.pem"),
    ],
)
def test_a_wrong_value_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(Misconfigured) as error:
        settings(**{key: value})
    assert key in error.value.text.en
    assert key in error.value.text.vi
    assert "made-up-secret" not in str(error.value)


def test_a_code_cannot_be_on_both_lists() -> None:
    with pytest.raises(Misconfigured):
        settings(retry_codes=("20",), never_codes=("20",))


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:8080/vxp", "http://localhost/vxp", "http://[::1]:1/vxp"]
)
def test_plain_http_is_for_this_machine(endpoint: str) -> None:
    assert settings(endpoint=endpoint).endpoint == endpoint
    assert settings(endpoint="http://axis.example", allow_http=True).allow_http


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    with pytest.raises(Misconfigured):
        VxpAxis(settings(ca_file=str(empty)), FixedClock())


def test_neither_settings_nor_axis_show_the_secret() -> None:
    shown = settings()
    assert "made-up-secret" not in repr(shown)
    assert "made-up-secret" not in repr(VxpAxis(shown, FixedClock()))
