"""inspect --roots: the certificate behind a signature, on this machine alone."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.signing import ECDSA_SHA256
from tests.support.commands import call
from tests.support.pki import AT, ec_key
from tests.support.signed_packages import seal
from tests.support.trust_pki import DAY, HOUR, root

ROOT = root("Inspect root", 700)
CA = ROOT.below("Inspect issuing", 701)
SIGNER = CA.leaf("000.00.19.H14 (test)", ec_key(702), lists=["http://192.0.2.1/a.crl"])
WHEN = ("--at", "2026-11-20T10:00:00+07:00")


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    """A folder like conf/trust, with lists of both authorities."""
    folder = tmp_path / "trust"
    for name, file, content in (
        ("roots", "root.pem", ROOT.pem),
        ("intermediates", "issuing.crt", CA.pem),
        ("lists", "root.crl", ROOT.crl(at=AT - HOUR)),
        ("lists", "issuing.crl", CA.crl(at=AT - HOUR)),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / file).write_bytes(content)
    (folder / "roots" / "README.md").write_text("no certificate", "utf-8")
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    file = tmp_path / "den.edxml"
    file.write_bytes(seal(SIGNER, ECDSA_SHA256).xml)
    return file


def certificate(capsys: Any, package: Path, *options: object) -> dict[str, Any]:
    ran = call(capsys, "inspect", package, "--json", "--lang", "en", *WHEN, *options)
    assert ran.code == 0
    return dict(ran.json()["signature"]["certificate"])


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_page_shows_the_word_the_path_and_the_age(lang, package, trust, capsys) -> None:
    page = call(capsys, "inspect", package, "--roots", trust, *WHEN, "--lang", lang).out
    said = {
        "vi": (
            "TIN CẬY",
            "Xét tại thời điểm   20/11/2026 10:00:00",
            "Chuỗi chứng thư (2) Inspect issuing",
            "chứng thư này: chưa bị thu hồi theo CRL 1 giờ tuổi",
        ),
        "en": ("TRUSTED", "Path (2)", "this certificate: not revoked by CRL, 1 hour old"),
    }
    for words in said[lang]:
        assert words in page


def test_roots_decide_and_without_them_nothing_is_claimed(package, trust, capsys) -> None:
    shown = certificate(capsys, package, "--roots", trust)
    assert (shown["trust"], len(shown["path"])) == ("trusted", 3)
    assert shown["trust_at"] == "2026-11-20T03:00:00Z"
    bare = certificate(capsys, package)
    assert (bare["trust"], bare["path"]) == ("not_configured", [])


def test_a_revocation_is_a_finding(package, trust, capsys) -> None:
    listed = CA.crl({SIGNER.certificate.serial_number: AT - DAY}, at=AT - HOUR)
    (trust / "lists" / "issuing.crl").write_bytes(listed)
    ran = call(capsys, "inspect", package, "--json", *WHEN, "--roots", trust).json()
    assert ran["signature"]["certificate"]["trust"] == "revoked"
    assert "certificate.revoked" in [f["code"] for f in ran["findings"]]


def test_no_socket_is_opened_though_the_certificate_names_an_address(
    package, trust, capsys, monkeypatch
) -> None:
    (trust / "lists" / "issuing.crl").unlink()

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert certificate(capsys, package, "--roots", trust)["trust_why"] == "not_fetched"


def test_a_file_that_is_no_certificate_is_named(package, trust, capsys) -> None:
    (trust / "roots" / "broken.pem").write_text("none", "utf-8")
    ran = call(capsys, "inspect", package, "--roots", trust, "--lang", "en")
    assert ran.code == 78
    assert "broken.pem" in ran.err
