"""An `[[axis]]` of kind lgsp_rest: its keys, their mistakes, the adapter that is made of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.lgsp_rest.axis import RestAxis
from adapters.lgsp_rest.profile import read_profile
from adapters.vxp.axis import VxpAxis
from gateway import config
from gateway.errors import Misconfigured
from gateway.model.outcome import Deferred, Delivered
from gateway.wiring.axes import make_axis
from tests.support.axes import SECRET, FixedClock, closed_port, document_package, parcel
from tests.support.commands import call
from tests.support.rest_axes import rest_simulator

CONF = Path(__file__).parents[3] / "conf"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    for name in ("rules", "agencies", "profile", "axes", "algorithms.toml"):
        (folder / name).symlink_to(CONF / name)
    for name in ("ledger", "secret", "password"):
        (folder / name).write_text(f"{SECRET}\n")
        (folder / name).chmod(0o600)
    return folder


def text(url="http://127.0.0.1:1/lgsp", kind="lgsp_rest", more=""):
    login = 'username = "exp.sys.01"\npassword_file = "password"' if kind == "lgsp_rest" else ""
    return f"""
[ledger]
key = "ledger"
[[axis]]
name = "province"
kind = "{kind}"
endpoint = "{url}"
system_id = "exp.sys.01"
secret_file = "secret"
{login}
{more}
"""


def found(home, said):
    file = home / "gateway.toml"
    file.write_text(said, "utf-8")
    return {one.path.rpartition(":")[2]: one.code for one in config.check(file)}


def settings_of(home, said):
    assert found(home, said) == {}
    return config.load(home)


def test_what_conf_says_is_an_axis_that_delivers(home, tmp_path):
    async def scene():
        async with rest_simulator(tmp_path) as simulated:
            settings = settings_of(home, text(simulated.url))
            axis = make_axis(settings, settings.axis[0], FixedClock())
            try:
                assert axis.name == "province"
                outcome = await axis.submit(parcel(document_package()), 60)
                assert isinstance(outcome, Delivered)
            finally:
                await axis.close()

    asyncio.run(scene())


def test_a_province_that_speaks_otherwise_is_a_file_and_no_code(home):
    shipped = (CONF / "axes" / "rest-v1.toml").read_text("utf-8")
    (home / "other.toml").write_text(shipped.replace('login = "v1/', 'login = "v2/'), "utf-8")
    url = f"http://127.0.0.1:{closed_port()}"
    settings = settings_of(home, text(url, more='profile = "other.toml"\nrepeat = "never"'))
    axis = make_axis(settings, settings.axis[0], FixedClock())
    assert isinstance(axis, RestAxis)
    assert axis._profile.paths.login == "v2/auth/login"
    assert axis.capabilities.repeat == "never"

    async def scene():
        outcome = await axis.submit(parcel(document_package()), 60)
        await axis.close()
        assert isinstance(outcome, Deferred)
        assert outcome.code == "connect.refused"

    asyncio.run(scene())


def test_a_profile_with_a_mistake_is_refused_when_the_axis_is_made(home):
    (home / "other.toml").write_text("dated = 2026-11-22\n", "utf-8")
    settings = settings_of(home, text(more='profile = "other.toml"'))
    with pytest.raises(Misconfigured) as raised:
        make_axis(settings, settings.axis[0], FixedClock())
    assert "other.toml" in raised.value.text.vi


def test_keys_of_one_protocol_are_no_keys_of_another(home):
    assert found(home, text(kind="vxp")) == {}
    login = 'username = "u"\npassword_file = "password"\nprofile = "axes/rest-v1.toml"'
    assert found(home, text(kind="vxp", more=login)) == {
        "axis[0].username": "conf.value",
        "axis[0].password_file": "conf.value",
        "axis[0].profile": "conf.value",
    }
    bare = text(kind="vxp").replace('"vxp"', '"lgsp_rest"')
    assert found(home, bare) == {
        "axis[0].username": "conf.value",
        "axis[0].password_file": "conf.value",
    }
    assert found(home, text(more='profile = "nowhere.toml"')) == {"axis[0].profile": "conf.file"}
    (home / "password").chmod(0o644)
    assert found(home, text()) == {"axis[0].password_file": "conf.file"}


def test_vxp_stays_what_an_axis_is_by_default(home):
    settings = settings_of(home, text(kind="vxp"))
    assert isinstance(make_axis(settings, settings.axis[0], FixedClock()), VxpAxis)


def test_mistakes_inside_profiles_are_said_by_conf_check_with_file_line_and_key(home, capsys):
    """Of both kinds of axis and all at once, beside a mistake of gateway.toml itself."""
    (home / "rest.toml").write_text(
        """dated = 2026-11-22
source = "their manual"
sure = "certainly"
odd = 1
[paths]
login = "v1/login"
send = 7
list = "l"
get = "g"
status = "s"
[codes]
"0" = "good"
""",
        "utf-8",
    )
    (home / "soap.toml").write_text('soap = "1.3"\nsopa = 1\naction = "send"\n', "utf-8")
    (home / "broken.toml").write_text("soap =\n", "utf-8")
    soap = """
[[axis]]
name = "%s"
kind = "edoc_soap"
endpoint = "http://127.0.0.1:1/edoc"
system_id = "x"
secret_file = "secret"
profile = "%s"
"""
    said = text(more='profile = "rest.toml"\nrepeat = "perhaps"')
    said += soap % ("soap", "soap.toml") + soap % ("other", "broken.toml")
    said += soap % ("good", CONF / "soap" / "bkav-edoc.toml")
    (home / "gateway.toml").write_text(said, "utf-8")
    told = call(capsys, "conf", "check", "--conf", home, "--json")
    assert told.code == 78
    findings = told.json()["findings"]
    inside = {
        one["path"].removeprefix(f"{home}/"): one["rule"]
        for one in findings
        if "gateway.toml" not in one["path"]
    }
    rest, soap = "conf/axes/rest-v1.toml", "conf/soap/bkav-edoc.toml"
    assert inside == {
        "rest.toml:3:sure": rest,
        "rest.toml:4:odd": rest,
        "rest.toml:7:paths.send": rest,
        "rest.toml:5:paths.agencies": rest,
        "soap.toml:1:soap": soap,
        "soap.toml:2:sopa": soap,
        "soap.toml:3:action": soap,
        "broken.toml:1:": "",
    }
    assert [one["code"] for one in findings if "gateway.toml" in one["path"]] == ["conf.value"]
    with pytest.raises(Misconfigured) as raised:
        read_profile(home / "rest.toml")
    for key in ("sure", "odd", "paths.send", "paths.agencies"):
        assert f"{key}: " in raised.value.text.en


def test_profiles_without_a_mistake_are_not_spoken_of(home, capsys):
    (home / "gateway.toml").write_text(text(more='profile = "axes/rest-v1.toml"'), "utf-8")
    told = call(capsys, "conf", "check", "--conf", home, "--json")
    assert (told.code, told.json()["ok"]) == (0, True)
