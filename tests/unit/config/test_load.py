"""gateway.toml -> Settings, and every mistake at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway import config
from gateway.errors import Finding, Misconfigured, Severity

CONF = Path(__file__).parents[3] / "conf"
AXIS = """
[[axis]]
name = "vxp"
endpoint = "https://axis.example.vn/vxp"
system_id = "SYS"
secret_file = "vxp.secret"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    for name in ("rules", "agencies", "profile", "algorithms.toml"):
        (folder / name).symlink_to(CONF / name)
    private(tmp_path / "keys" / "ledger.pem")
    private(folder / "vxp.secret")
    return folder


def private(file: Path, mode: int = 0o600) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    file.chmod(mode)


def write(home: Path, text: str) -> Path:
    file = home / "gateway.toml"
    file.write_text(text, "utf-8")
    return file


def found(home: Path, text: str) -> dict[str, str]:
    """`LINE:key` -> code; the file in front is the one that was written."""
    file = write(home, text)
    shown = {}
    for finding in config.check(file):
        assert finding.path.startswith(f"{file}:")
        shown[finding.path.removeprefix(f"{file}:")] = finding.code
    return shown


def test_an_empty_file_gives_every_default(home: Path) -> None:
    settings = config.load(write(home, ""))
    data = home.parent / "data"
    assert settings.api.port == 8080
    assert settings.gateway.data == data
    assert settings.database.url == f"sqlite:///{data}/gateway.sqlite"
    assert settings.blobs.folder == data / "blobs"
    assert settings.ledger.origin == "edoc-gateway"
    assert settings.ledger.key == home.parent / "keys" / "ledger.pem"
    assert settings.secrets.master_key == str(home.parent / "keys" / "master.key")
    assert settings.limits.package_bytes == 2 * 1024**3
    assert settings.dispatch.policy().uncertain_wait_seconds == 600
    assert settings.directory.find("000.00.00.H14") is not None
    assert settings.rules.rules


def test_the_folder_of_the_file_will_do(home: Path) -> None:
    write(home, "[api]\nport = 1")
    assert config.load(home).api.port == 1


def test_a_whole_configuration_is_read(home: Path) -> None:
    private(home / "h14.pem")
    settings = config.load(
        write(
            home,
            AXIS
            + """
            max_connections = 3
            repeat = "never"
            retry = ["-1", "20"]
            [gateway]
            data = "/var/lib/edoc"
            [local]
            agencies = ["000.00.19.H14"]
            [[route]]
            axis = "vxp"
            level1 = "G"
            valid_from = 2026-01-01
            [[route]]
            axis = "vxp"
            everyone = true
            also = ["vxp"]
            [[key]]
            agency = "H14.19"
            path = "h14.pem"
            [seal]
            pause = "0s"
            max_delay = "1.5h"
            [limits]
            package_bytes = "3 MiB"
            field_bytes = 100
            [[stamp.authorities]]
            name = "a"
            url = "http://tsa.example.vn"
            [database]
            url = "postgresql://edoc@db/edoc"
            [secrets]
            master_key = "credential:master"
            """,
        )
    )
    (axis,) = settings.axis
    assert (axis.max_connections, axis.repeat, axis.retry) == (3, "never", ("-1", "20"))
    assert axis.secret_file == home / "vxp.secret"
    assert [r.words() for r in settings.routes] == ["level1 = G", "everyone"]
    assert settings.keys[0].path == home / "h14.pem"
    assert settings.keys[0].certificate is None
    assert (settings.seal.pause, settings.seal.max_delay) == (0, 5400)
    assert (settings.limits.package_bytes, settings.limits.field_bytes) == (3 * 1024**2, 100)
    assert settings.stamp.authorities[0].ca_file is None
    assert settings.database.url == "postgresql://edoc@db/edoc"
    assert settings.blobs.folder == Path("/var/lib/edoc/blobs")
    assert settings.secrets.master_key == "credential:master"
    assert settings.dispatch.policy(axis.repeat).repeat == "never"
    assert [a.code for a in settings.directory.local_agencies()] == ["H14.19"]
    assert settings.warnings == ()


def test_every_mistake_is_named_at_once_with_line_and_key(home: Path) -> None:
    text = """
[gateway]
nmae = "x"
[api]
port = 70000
long_poll = 60
metadata_bytes = "1 MB"
[colour]
[seal]
batch = 251
pause = "20 ms"
max_delay = "0s"
[dispatch]
retry = "2h then for 3d"
hold_after_equal = 0
[[axis]]
endpoint = "ftp://x"
system_id = 3
kind = "soap"
[[axis]]
name = "loopback"
endpoint = "http://axis.example.vn"
system_id = "S"
secret = "plain"
retry = ["1"]
never = ["1"]
[[route]]
axis = "vpx"
agency = "H98"
[local]
agencies = ["H14", "H97"]
[ledger]
origin = "a b"
[log]
level = "loud"
"""
    assert found(home, text) == {
        "3:gateway.nmae": "conf.unknown_key",
        "5:api.port": "conf.value",
        "6:api.long_poll": "conf.value",
        "7:api.metadata_bytes": "conf.value",
        "8:colour": "conf.unknown_key",
        "10:seal.batch": "conf.value",
        "11:seal.pause": "conf.value",
        "12:seal.max_delay": "conf.value",
        "14:dispatch.retry": "conf.value",
        "15:dispatch.hold_after_equal": "conf.value",
        "16:axis[0].name": "conf.missing_key",
        "17:axis[0].endpoint": "conf.value",
        "18:axis[0].system_id": "conf.value",
        "19:axis[0].kind": "conf.value",
        "16:axis[0].secret": "conf.value",
        "21:axis[1].name": "conf.value",
        "22:axis[1].endpoint": "conf.http",
        "24:axis[1].secret": "conf.value",
        "25:axis[1].retry": "conf.value",
        "28:route[0].axis": "conf.value",
        "29:route[0].agency": "conf.routes_invalid",
        "31:local.agencies[0]": "conf.agency_without_key",
        "31:local.agencies[1]": "conf.agencies_invalid",
        "33:ledger.origin": "conf.value",
        "35:log.level": "conf.value",
        "1:secrets.master_key": "conf.file",
    }


def test_a_misspelt_key_is_answered_with_the_one_that_was_meant(home: Path) -> None:
    (finding,) = config.check(write(home, "[dispatch]\ngraec = '60s'"))
    assert "grace?" in finding.text.en
    assert "grace?" in finding.text.vi


def test_load_refuses_with_all_findings_and_check_gives_the_same(home: Path) -> None:
    file = write(home, "[api]\nport = 'x'\nhots = 'y'")
    with pytest.raises(Misconfigured) as caught:
        config.load(file)
    assert caught.value.code == "conf.invalid"
    assert len(caught.value.findings) == 2
    assert caught.value.findings == config.check(file)


@pytest.mark.parametrize(
    ("text", "where"),
    [("[api\nport = 1", "1:"), ("a = 1\n\nb = = 2", "3:"), ("[api]\nport = 1\nport = 2", "3:")],
)
def test_a_syntax_error_names_its_line(home: Path, text: str, where: str) -> None:
    assert found(home, text) == {where: "conf.syntax"}


def test_a_file_that_is_not_utf8_is_refused(home: Path) -> None:
    file = home / "gateway.toml"
    file.write_bytes(b"[gateway]\nname = '\xff'")
    assert [f.code for f in config.check(file)] == ["conf.syntax"]


@pytest.mark.parametrize(
    ("raw", "line", "vi", "en"),
    [
        (b"\xef\xbb\xbf[gateway]\n", 1, "BOM (Notepad", "which Notepad adds"),
        ("[gateway]\n".encode("utf-16"), 1, "UTF-16", "UTF-16"),
        (b"[gateway]\nname = '\xff'", 2, "dòng 2 không phải", "line 2 is not"),
        (b"a = 1\n\nb = = 2", 3, "ở dòng 3, cột 5 (bộ đọc TOML: Inv", "at line 3, column 5 (the"),
        (b"a = [\n1,", 2, "ở cuối tệp", "at its end"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(
    home: Path, raw: bytes, line: int, vi: str, en: str
) -> None:
    file = home / "gateway.toml"
    file.write_bytes(raw)
    (finding,) = config.check(file)
    assert (finding.path, finding.code) == (f"{file}:{line}:", "conf.syntax")
    assert vi in finding.text.vi
    assert en in finding.text.en


@pytest.mark.parametrize(
    ("text", "vi"),
    [
        ('[log]\nlevel = "loud"', 'cần một trong "debug", "info", "warning", "error"'),
        ("[log]\nlevel = 1", 'cần một trong "debug"'),
        ("[gateway]\nname = 1", "cần chuỗi trong dấu nháy"),
        ('[local]\nagencies = "H14"', 'cần danh sách chuỗi như ["a", "b"]'),
        ('[signing]\ncountersign_weak = "yes"', "cần true hoặc false"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_right(home: Path, text: str, vi: str) -> None:
    (finding,) = config.check(write(home, text))
    assert vi in finding.text.vi
    assert "enum" not in finding.text.vi + finding.text.en
    assert "Expected" not in finding.text.vi + finding.text.en


def test_a_missing_file_is_a_finding_and_not_a_crash(home: Path) -> None:
    (finding,) = config.check(home / "none.toml")
    assert finding.code == "conf.unreadable"
    assert finding.text.vi == "Không đọc được tệp: không có tệp hoặc thư mục này"
    with pytest.raises(Misconfigured):
        config.load(home / "none.toml")


# --- what several keys decide together


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/vxp", "http://localhost/vxp", "http://[::1]:8/v", "https://a.vn/v"]
)
def test_plain_http_to_this_machine_and_https_anywhere_are_fine(home: Path, url: str) -> None:
    assert found(home, AXIS.replace("https://axis.example.vn/vxp", url)) == {}


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/vxp", "http://127.0.0.1.evil.vn/vxp", "http://localhost.evil.vn/v"]
)
def test_plain_http_to_another_machine_is_refused_unless_a_reason_is_given(
    home: Path, url: str
) -> None:
    text = AXIS.replace("https://axis.example.vn/vxp", url)
    assert found(home, text) == {"4:axis[0].endpoint": "conf.http"}
    settings = config.load(write(home, text + 'allow_http = "state network, level I"'))
    (warning,) = settings.warnings
    assert warning.severity is Severity.WARNING
    assert "state network, level I" in warning.text.en


@pytest.mark.parametrize("reason", ["", "   ", "ok", "x  \n  y", "internal"])
def test_a_word_is_no_reason(home: Path, reason: str) -> None:
    text = AXIS.replace("https://axis.example.vn/vxp", "http://10.0.0.1/vxp")
    said = found(home, f"{text}allow_http = {json.dumps(reason)}")
    assert said == {"4:axis[0].endpoint": "conf.http"}


@pytest.mark.parametrize("part", ["user:pw@", "?a=b", "#c"])
def test_an_endpoint_has_no_account_or_question_in_it(home: Path, part: str) -> None:
    host, tail = (f"{part}axis.example.vn", "") if "@" in part else ("axis.example.vn", part)
    url = f"https://{host}/vxp{tail}"
    text = AXIS.replace("https://axis.example.vn/vxp", url)
    assert found(home, text) == {"4:axis[0].endpoint": "conf.value"}


def test_timestamp_authorities_may_be_asked_over_plain_http(home: Path) -> None:
    text = '[[stamp.authorities]]\nname = "a"\nurl = "http://tsa.example.vn/"'
    assert found(home, text) == {}


def test_a_secret_in_the_clear_does_not_belong_into_the_file(home: Path) -> None:
    text = AXIS.replace('secret_file = "vxp.secret"', 'secret = "hunter2"')
    findings = config.check(write(home, text))
    assert "axis[0].secret" in findings[0].path
    assert all("hunter2" not in f.text.en + f.text.vi for f in findings)


def test_no_secret_stands_in_the_representation_of_settings(home: Path) -> None:
    private(home.parent / "keys" / "master.key")
    text = AXIS.replace('secret_file = "vxp.secret"', 'secret = "v1.abc.def.s3cret"')
    text += '[database]\nurl = "postgresql://u:pa55@h/d"'
    shown = repr(config.load(write(home, text)))
    assert "s3cret" not in shown
    assert "pa55" not in shown


def test_a_private_file_that_others_can_read_is_refused(home: Path) -> None:
    private(home / "vxp.secret", 0o640)
    assert found(home, AXIS) == {"6:axis[0].secret_file": "conf.file"}


def test_a_missing_file_is_refused_but_init_may_load_without_it(home: Path) -> None:
    (home / "vxp.secret").unlink()
    assert found(home, AXIS) == {"6:axis[0].secret_file": "conf.file"}
    assert config.load(home, files=False).axis[0].name == "vxp"


def test_two_axes_of_one_name_are_refused(home: Path) -> None:
    assert found(home, AXIS + AXIS) == {"9:axis[1].name": "conf.value"}


def test_a_route_to_an_axis_that_does_not_exist_is_refused(home: Path) -> None:
    text = AXIS + '[[route]]\naxis = "vxp"\neveryone = true\nalso = ["lgsp"]'
    assert found(home, text) == {"10:route[0].also": "conf.value"}


def test_a_route_with_two_conditions_is_refused(home: Path) -> None:
    text = AXIS + '[[route]]\naxis = "vxp"\neveryone = true\nlevel1 = "G"'
    assert found(home, text) == {"7:route[0]": "conf.routes_invalid"}


def test_a_local_agency_without_a_key_is_a_warning(home: Path) -> None:
    text = '[local]\nagencies = ["H14"]'
    assert found(home, text) == {"2:local.agencies[0]": "conf.agency_without_key"}
    assert [w.code for w in config.load(home).warnings] == ["conf.agency_without_key"]


def test_two_keys_for_one_agency_are_refused_in_either_written_form(home: Path) -> None:
    private(home / "k.pem")
    one = '[[key]]\nagency = "{}"\npath = "k.pem"\n'
    text = one.format("H14") + one.format("000.00.00.H14") + one.format("H98")
    assert found(home, text) == {"5:key[1].agency": "conf.value", "8:key[2].agency": "conf.value"}


def test_mistakes_in_rule_and_agency_files_are_named_with_their_own_line(home: Path) -> None:
    (home / "mine").mkdir()
    rules = home / "mine" / "r.toml"
    rules.write_text(
        (CONF / "rules" / "content.toml").read_text("utf-8").partition("[[rule]]")[0]
        + '[[rule]]\nid = "x"\ncode = "y"\nchek = "required"\n',
        "utf-8",
    )
    agencies = home / "mine" / "a.toml"
    agencies.write_text(
        '\n[[agency]]\ncode = "H14"\nname = "A"\n[[agency]]\ncode = "H/1"\nname="B"'
    )
    text = '[tables]\nrules = ["mine/r.toml", "rules/*.toml"]\nagencies = ["mine/a.toml"]'
    paths = {f.path.removeprefix(f"{home}/"): f.code for f in config.check(write(home, text))}
    (rule_path,) = [p for p in paths if p.startswith("mine/r.toml:")]
    assert rule_path.endswith(":rule[0]")
    assert paths["mine/a.toml:6:agency[1].code"] == "conf.agencies_invalid"


def test_a_pattern_that_names_no_file_is_refused(home: Path) -> None:
    text = '[tables]\nrules = ["none/*.toml"]\nagencies = ["/none/x.toml"]'
    file = write(home, text)
    assert [(f.path, f.code) for f in config.check(file)] == [
        (f"{file}:2:tables.rules[0]", "conf.file"),
        ("/none/x.toml:1:", "conf.unreadable"),
    ]


def test_a_syntax_error_in_a_rule_file_names_that_file(home: Path) -> None:
    (home / "bad.toml").write_text("[[rule]]\nid = \n")
    findings = config.check(write(home, '[tables]\nrules = ["rules/*.toml", "bad.toml"]'))
    assert [(f.path, f.code) for f in findings] == [(f"{home}/bad.toml:2:", "conf.syntax")]


def test_lines_are_found_past_arrays_strings_and_nested_tables(home: Path) -> None:
    text = '''# a comment with [brackets
[local] # [[not]] a table
agencies = [ # [
  "H14",   # ]
  "H97",
]
[gateway]
name = """edoc
[api]
port = 1"""
[[stamp.authorities]]
name = "a"
url = "x"
[[stamp.authorities]]
name = "b"
"url" = "http://b"
oops = { a = 1 }
[stamp]
'''
    file = write(home, text.replace("[stamp]\n", ""))
    paths = [f.path.removeprefix(f"{file}:") for f in config.check(file)]
    assert "3:local.agencies[1]" in paths
    assert "13:stamp.authorities[0].url" in paths
    assert "17:stamp.authorities[1].oops" in paths
    assert "8:ledger.origin" not in paths


def test_findings_speak_both_languages(home: Path) -> None:
    findings: tuple[Finding, ...] = config.check(write(home, "[api]\nport = -1\nx = 1\n[[axis]]"))
    assert len(findings) > 4
    for finding in findings:
        assert finding.text.vi
        assert finding.text.vi != finding.text.en


def test_revocation_data_must_be_asked_for_before_they_are_too_old(home: Path) -> None:
    text = '[trust]\nrefresh = "2d"\nmax_age = "1d"\n'
    assert found(home, text)["2:trust.refresh"] == "conf.value"


def test_a_folder_of_roots_that_is_not_there_is_refused_when_it_was_named(home: Path) -> None:
    assert found(home, '[trust]\nfolder = "rooots"\n')["2:trust.folder"] == "conf.file"
    (home / "rooots").mkdir()
    assert "2:trust.folder" not in found(home, '[trust]\nfolder = "rooots"\n')
    assert not [k for k in found(home, "") if "trust" in k]


BUCKET = """
[blobs]
url = "s3://edoc/gateways/so19"
endpoint = "https://s3.example.vn"
access_key = "so19"
secret_file = "blobs.secret"
"""


def test_a_bucket_is_read_with_its_prefix(home: Path) -> None:
    private(home / "blobs.secret")
    settings = config.load(write(home, BUCKET))
    assert settings.blobs.place() == ("edoc", "gateways/so19")
    assert settings.blobs.secret_file == home / "blobs.secret"
    assert settings.blobs.folder == home.parent / "data" / "blobs", "files under way lie there"
    assert config.load(write(home, BUCKET.replace("/gateways/so19", ""))).blobs.place() == (
        "edoc",
        "",
    )
    assert config.load(write(home, "")).blobs.place() is None


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.example.vn/edoc",
        "s3://",
        "s3://E",
        "s3://edoc//a",
        "s3://edoc/a b",
        "s3://a/../b",
        "s3://edoc/a?b",
        "s3://user:secret@edoc/a",
        "s3://edoc/đ",
        "s3://edoc/./a",
    ],
)
def test_what_is_no_bucket_is_a_mistake(home: Path, url: str) -> None:
    private(home / "blobs.secret")
    text = BUCKET.replace("s3://edoc/gateways/so19", url)
    assert found(home, text) == {"3:blobs.url": "conf.value"}


def test_every_mistake_about_a_bucket_is_named(home: Path) -> None:
    text = """
        [blobs]
        url = "s3://edoc"
        endpoint = "http://s3.example.vn"
        secret = "hunter2"
        secret_file = "blobs.secret"
        ca_file = "ca.pem"
        """
    assert found(home, text) == {
        "2:blobs.access_key": "conf.value",
        "4:blobs.endpoint": "conf.http",
        "5:blobs.secret": "conf.value",
        "6:blobs.secret_file": "conf.file",
        "7:blobs.ca_file": "conf.file",
        "1:secrets.master_key": "conf.file",
    }
    private(home / "blobs.secret", 0o644)
    assert "6:blobs.secret_file" in found(home, BUCKET)


def test_plain_http_to_a_bucket_needs_a_reason_that_is_shown(home: Path) -> None:
    private(home / "blobs.secret")
    text = BUCKET.replace("https://s3.example.vn", "http://10.0.0.7:9000")
    assert found(home, text) == {"4:blobs.endpoint": "conf.http"}
    (warning,) = config.load(
        write(home, text + 'allow_http = "our own rack, a wire of our own"')
    ).warnings
    assert "our own rack, a wire of our own" in warning.text.en
    local = BUCKET.replace("https://s3.example.vn", "http://127.0.0.1:9000")
    assert config.load(write(home, local)).warnings == ()


def test_keys_of_a_bucket_without_one_are_mistakes(home: Path) -> None:
    private(home / "blobs.secret")
    text = BUCKET.replace('url = "s3://edoc/gateways/so19"', "")
    assert found(home, text) == {
        "4:blobs.endpoint": "conf.value",
        "5:blobs.access_key": "conf.value",
        "6:blobs.secret_file": "conf.value",
    }


@pytest.mark.parametrize("at", ["24:00", "3:10", "03:60", "noon"])
def test_the_hour_of_reconciliation_is_a_time_of_day(home: Path, at: str) -> None:
    assert found(home, f'[reconcile]\nat = "{at}"\n') == {"2:reconcile.at": "conf.value"}


def test_reconciliation_may_have_no_hour_and_stuck_comes_before_unanswered(home: Path) -> None:
    assert config.load(write(home, '[reconcile]\nat = ""\n')).reconcile.at == ""
    swapped = '[reconcile]\nstuck_after = "2d"\nanswer_within = "1d"\n'
    assert found(home, swapped) == {"2:reconcile.stuck_after": "conf.value"}
