"""init and conf check: a gateway's folder is whole, private, and never made twice."""

import asyncio
import json
import os
import shutil
import stat
import tomllib

import pytest

from gateway import config
from gateway.desk import Role
from gateway.store.migrations import current, head
from gateway.wiring.founding import POINTERS
from gateway.wiring.process import open_gateway
from tests.support.commands import call


def modes(folder):
    return {
        str(p.relative_to(folder)): stat.S_IMODE(p.stat().st_mode)
        for p in folder.rglob("*")
        if "blobs" not in p.parts
    }


@pytest.mark.parametrize("profile", ["sandbox", "unit"])
def test_everything_is_for_its_owner_alone(profile, tmp_path, capsys) -> None:
    before = os.umask(0o022)
    os.umask(before)
    home = tmp_path / "gw"
    assert call(capsys, "init", home, "--profile", profile, "--json").code == 0
    public = {"keys/ledger.vkey", "keys/H14.19.cert.pem", "keys/sandbox-ca.cert.pem"}
    for name, mode in modes(home).items():
        assert mode & 0o077 == 0 or name in public, name
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert os.umask(before) == before


def test_the_ops_key_works_and_is_stored_nowhere(tmp_path, capsys) -> None:
    home = tmp_path / "gw"
    made = call(capsys, "init", home, "--profile", "sandbox", "--json").json()

    async def ask():
        async with open_gateway(config.load(made["conf"])) as gateway:
            return await gateway.desk.authenticate(made["ops_key"])

    assert asyncio.run(ask()).role is Role.OPS
    secret = made["ops_key"].rpartition("_")[2].encode()
    for file in home.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes(), file


def test_the_database_is_at_the_version_of_the_program(tmp_path, capsys) -> None:
    made = call(capsys, "init", tmp_path / "gw", "--json").json()
    assert current(config.load(made["conf"]).database.url) == head()


def test_agency_keys_are_made_in_a_sandbox_only(tmp_path, capsys) -> None:
    call(capsys, "init", tmp_path / "unit", "--agency", "H14")
    call(capsys, "init", tmp_path / "sandbox", "--profile", "sandbox")
    kept = {"ledger.pem", "ledger.vkey", "master.key"}
    assert {p.name for p in (tmp_path / "unit/keys").iterdir()} == kept
    assert {p.name for p in (tmp_path / "sandbox/keys").iterdir()} == kept | {
        "H14.19.key.pem", "H14.19.cert.pem", "sandbox-ca.key.pem", "sandbox-ca.cert.pem",
    }  # fmt: skip


def test_samples_stay_out_of_a_gateway_for_service(tmp_path, capsys) -> None:
    call(capsys, "init", tmp_path / "unit")
    call(capsys, "init", tmp_path / "sandbox", "--profile", "sandbox")
    assert not list((tmp_path / "unit/conf/agencies").glob("sample-*"))
    assert list((tmp_path / "sandbox/conf/agencies").glob("sample-*"))


def test_conf_holds_only_what_differs_and_checks_clean(tmp_path, capsys) -> None:
    made = call(capsys, "init", tmp_path / "gw", "--name", "so.example", "--json").json()
    table = tomllib.loads((tmp_path / "gw/conf/gateway.toml").read_text("utf-8"))
    assert table == {"gateway": {"name": "so.example"}}
    assert made["vkey"].startswith("so.example+")
    checked = call(capsys, "conf", "check", "--conf", made["conf"], "--json")
    assert (checked.code, checked.json()["ok"]) == (0, True)
    # it can start; what it cannot do yet is said, and nothing else
    told = [(f["code"], f["path"].rpartition(":")[2]) for f in checked.json()["findings"]]
    assert told == [
        ("conf.incomplete", key) for key in ("local.agencies", "axis", "stamp.authorities")
    ]


def test_the_pointers_of_a_new_conf_are_keys_that_exist(tmp_path, capsys) -> None:
    call(capsys, "init", tmp_path / "gw")
    file = tmp_path / "gw/conf/gateway.toml"
    pointers = [
        line.removeprefix("# ").partition("  #")[0].rstrip()
        for line in POINTERS.splitlines()
        if line.startswith("# [") or " = " in line
    ]
    text = file.read_text("utf-8")
    file.write_text("\n".join([text.replace(POINTERS, ""), *pointers]), "utf-8")
    found = call(capsys, "conf", "check", "--conf", file, "--json").json()["findings"]
    assert text.endswith(POINTERS)
    assert len(pointers) > 15
    # the keys are right; the values are for the operator to fill in
    values = {"conf.file", "conf.value", "conf.agency_without_key", "conf.agencies_invalid"}
    assert {f["code"] for f in found} <= values


def test_a_folder_that_is_not_empty_is_left_as_it_is(tmp_path, capsys) -> None:
    (tmp_path / "gw").mkdir()
    (tmp_path / "gw" / "mine.txt").write_text("mine")
    ran = call(capsys, "init", tmp_path / "gw", "--lang", "en")
    assert ran.code == 65
    assert "init.not_empty" in ran.err
    assert [p.name for p in tmp_path.rglob("*")] == ["gw", "mine.txt"]


def test_a_gateway_is_never_made_twice(tmp_path, capsys) -> None:
    call(capsys, "init", tmp_path / "gw")
    key = (tmp_path / "gw/keys/ledger.pem").read_bytes()
    assert call(capsys, "init", tmp_path / "gw").code == 65
    assert (tmp_path / "gw/keys/ledger.pem").read_bytes() == key


def test_an_empty_folder_is_taken(tmp_path, capsys) -> None:
    (tmp_path / "gw").mkdir()
    assert call(capsys, "init", tmp_path / "gw").code == 0


def test_what_fails_leaves_nothing_behind(tmp_path, capsys) -> None:
    ran = call(capsys, "init", tmp_path / "gw", "--agency", "Z99.1", "--json")
    assert ran.code == 78
    assert any("Z99.1" in f["message"] for f in ran.json()["findings"])
    assert list(tmp_path.iterdir()) == []


def test_conf_check_names_every_mistake_with_its_line(tmp_path, capsys) -> None:
    call(capsys, "init", tmp_path / "gw")
    file = tmp_path / "gw/conf/gateway.toml"
    file.write_text(
        '[gateway]\nname = "a b"\nlanguge = "vi"\n[api]\nport = 70000\n[seal]\npause = "soon"\n'
    )
    ran = call(capsys, "conf", "check", "--conf", file, "--json", "--lang", "en")
    assert ran.code == 78
    said = {f["path"].removeprefix(f"{file}:") for f in ran.json()["findings"]}
    assert {"3:gateway.languge", "5:api.port", "7:seal.pause"} <= said
    words = call(capsys, "conf", "check", "--conf", file, "--lang", "vi")
    assert words.code == 78
    assert all(place in words.out for place in said)


def test_the_reference_beside_conf_is_the_programs_own(tmp_path, capsys) -> None:
    call(capsys, "init", tmp_path / "gw")
    from gateway.cli.places import packaged_conf

    kept = (tmp_path / "gw/conf/defaults.toml").read_bytes()
    assert kept == (packaged_conf() / "gateway.toml").read_bytes()


def test_the_public_half_of_the_ledger_key_is_beside_it(tmp_path, capsys) -> None:
    made = call(capsys, "init", tmp_path / "gw", "--json").json()
    assert (tmp_path / "gw/keys/ledger.vkey").read_text() == made["vkey"] + "\n"
    assert json.dumps(made).count("PRIVATE") == 0


def test_a_master_key_that_others_can_read_is_a_mistake_even_while_nothing_needs_it(
    tmp_path, capsys
) -> None:
    made = call(capsys, "init", tmp_path / "gw", "--json").json()
    (tmp_path / "gw/keys/master.key").chmod(0o644)
    checked = call(capsys, "conf", "check", "--conf", made["conf"], "--json")
    assert checked.code == 78
    (wrong,) = (f for f in checked.json()["findings"] if f["severity"] == "error")
    assert wrong["path"].endswith(":secrets.master_key")


def test_an_auditors_copy_is_verified_without_any_private_key(tmp_path, capsys) -> None:
    made = call(
        capsys, "init", tmp_path / "gw", "--profile", "sandbox", "--agency", "H14.19", "--json"
    ).json()
    vkey = tmp_path / "ledger.vkey"
    (tmp_path / "gw/keys/ledger.vkey").rename(vkey)
    shutil.rmtree(tmp_path / "gw/keys")
    with_key = ("--conf", made["conf"], "--vkey", vkey, "--json")
    report = call(capsys, "ledger", "verify", *with_key)
    assert (report.code, report.json()["verified"]) == (0, True)
    without = call(capsys, "ledger", "verify", "--conf", made["conf"], "--json")
    assert (without.code, without.json()["code"]) == (78, "ledger.no_key_file")
    assert "--vkey" in without.json()["message"]


def test_the_key_of_another_ledger_verifies_nothing(tmp_path, capsys) -> None:
    for name in ("one", "two"):
        call(capsys, "init", tmp_path / name)
    (tmp_path / "one/keys/ledger.pem").unlink()
    other = tmp_path / "two/keys/ledger.vkey"
    ran = call(
        capsys, "ledger", "verify", "--conf", tmp_path / "one/conf", "--vkey", other, "--json"
    )
    assert (ran.code, ran.json()["code"]) == (78, "ledger.other_key")


def test_an_agency_that_the_directory_has_not_is_named_and_nothing_is_made(
    tmp_path, capsys
) -> None:
    codes = ("--agency", "H14", "--agency", "văn", "--agency", "H14.19")
    ran = call(capsys, "init", tmp_path / "gw", *codes, "--lang", "vi")
    assert ran.code == 78
    assert "init.agency_unknown" in ran.err
    assert "`văn`" in ran.err
    assert "`H14.19`" in ran.err, "samples are for a sandbox"
    assert "`H14`" not in ran.err
    assert "founding" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_without_an_authority_stamps_are_told_as_not_configured_and_not_as_normal(
    tmp_path, capsys
) -> None:
    made = call(capsys, "init", tmp_path / "gw", "--json").json()
    ran = call(capsys, "ledger", "stamps", "--conf", made["conf"], "--lang", "vi")
    assert ran.code == 0
    assert "chưa cấu hình nơi cấp dấu thời gian" in ran.out
    assert "bình thường" not in ran.out
