"""pack --encrypt-to and unpack --key: there and back without a gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import pki
from tests.support.commands import call
from tests.unit.cli.test_packages import AT, METADATA, PDF, XLSX

LEAF = pki.cast().agency_rsa
OTHER = pki.cast().root.leaf("other (test)", pki.rsa_key(1))


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps(METADATA), "utf-8")
    (tmp_path / "cong-van.pdf").write_bytes(PDF)
    (tmp_path / "phụ lục.xlsx").write_bytes(XLSX)
    for name, leaf in (("nhan", LEAF), ("khac", OTHER)):
        (tmp_path / f"{name}.pem").write_bytes(leaf.pem)
        key = tmp_path / f"{name}.key"
        key.touch(0o600)
        key.write_bytes(leaf.key_pem() + leaf.pem)
    return tmp_path


def pack(capsys, *options: str) -> dict:
    files = ("cong-van.pdf", "phụ lục.xlsx")
    ran = call(capsys, "pack", "meta.json", *files, "-o", "x.edxml", "--json", *AT, *options)
    assert ran.code == 0, ran.err
    return ran.json()


def test_what_is_packed_for_two_is_unpacked_by_each(desk, capsys) -> None:
    made = pack(capsys, "--encrypt-to", "nhan.pem", "--encrypt-to", "khac.pem")
    assert [f["code"] for f in made["findings"]] == ["encryption.certificate_usage"] * 2
    for who in ("nhan", "khac"):
        ran = call(capsys, "unpack", "x.edxml", "-d", who, "--key", f"{who}.key", "--json")
        assert ran.code == 0, ran.err
        assert ran.json()["files"] == ["metadata.json", "cong-van.pdf", "phụ lục.xlsx"]
        assert (desk / who / "cong-van.pdf").read_bytes() == PDF
        assert (desk / who / "phụ lục.xlsx").read_bytes() == XLSX
    shown = call(capsys, "inspect", "x.edxml", "--json").json()["attachments"]
    assert [a["encrypted"] for a in shown] == ["xmlenc", "xmlenc"]
    assert [a["actual_type"] for a in shown] == ["application/xenc+xml"] * 2


def test_one_receiver_is_named_in_it(desk, capsys) -> None:
    pack(capsys, "--encrypt-to", "nhan.pem")
    assert call(capsys, "unpack", "x.edxml", "-d", "out", "--json").code == 0
    sealed = (desk / "out" / "cong-van.pdf.xenc").read_bytes()
    assert b'Recipient="000.00.00.G22"' in sealed
    assert PDF[:20] not in sealed


def test_a_key_that_does_not_open_it_leaves_it_as_it_came(desk, capsys) -> None:
    pack(capsys, "--encrypt-to", "nhan.pem")
    ran = call(capsys, "unpack", "x.edxml", "-d", "out", "--key", "khac.key", "--json")
    assert ran.code == 65
    assert [(f["path"], f["code"]) for f in ran.json()["findings"]] == [
        ("attachments[0]", "encryption.not_for_this_key"),
        ("attachments[1]", "encryption.not_for_this_key"),
    ]
    assert (desk / "out" / "cong-van.pdf.xenc").exists()
    words = call(capsys, "unpack", "x.edxml", "-d", "out2", "--key", "khac.key", "--lang", "vi")
    assert "không được mã hóa cho chứng thư số này" in words.out + words.err


def test_a_certificate_that_will_not_do_packs_nothing(desk, capsys) -> None:
    (desk / "ec.pem").write_bytes(pki.cast().agency_ec.pem)
    ran = call(
        capsys, "pack", "meta.json", "cong-van.pdf", "-o", "x.edxml", *AT, "--encrypt-to", "ec.pem"
    )
    assert ran.code == 65
    assert "RSA" in ran.err
    assert not (desk / "x.edxml").exists()


def test_options_of_a_key_need_the_key(desk, capsys) -> None:
    pack(capsys)
    assert call(capsys, "unpack", "x.edxml", "-d", "out", "--cert", "nhan.pem").code == 64
    assert not (desk / "out").exists()
