"""run: one process on one database, ready when it says so, gone when it is told."""

import shutil
import signal
import socket
import sqlite3
import urllib.request

import pytest

from gateway.errors import Broken, GatewayError, Text
from tests.support.commands import PATIENCE, call, gateway_running, run, spawn


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """A gateway's folder as `init` leaves it, and its first key; nothing in it says where it is."""
    folder = tmp_path_factory.mktemp("made") / "gw"
    made = run("init", folder, "--profile", "sandbox", "--json").json()
    conf = folder / "conf/gateway.toml"
    conf.write_text(conf.read_text("utf-8") + "\n[api]\nport = 0\n", "utf-8")
    return folder, made["ops_key"]


@pytest.fixture
def home(made_once, tmp_path):
    folder, ops_key = made_once
    shutil.copytree(folder, tmp_path / "gw")
    return tmp_path / "gw/conf/gateway.toml", ops_key


def test_ready_means_answering_and_sigterm_ends_it_well(home) -> None:
    conf, _ = home
    with gateway_running(conf) as (process, url):
        with urllib.request.urlopen(f"{url}/healthz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_second_gateway_on_the_same_database_is_refused_and_ctrl_c_ends_the_first(home) -> None:
    conf, _ = home
    with gateway_running(conf) as (process, _):
        ran = run("run", "all", "--conf", conf, "--lang", "en")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert ran.code == 78
    assert "store.locked" in ran.err


def test_on_sqlite_a_single_job_is_refused(home, capsys) -> None:
    conf, _ = home
    for job in ("api", "seal", "stamp", "deliver", "collect", "open", "sweep"):
        ran = call(capsys, "run", job, "--conf", conf)
        assert ran.code == 78
        assert "run.sqlite_all_only" in ran.err


def test_a_database_of_another_version_is_refused(home, capsys, tmp_path) -> None:
    conf, _ = home
    with sqlite3.connect(tmp_path / "gw/data/gateway.sqlite") as db:
        db.execute("UPDATE alembic_version SET version_num = 'other'")
    db.close()
    ran = run("run", "all", "--conf", conf)
    assert ran.code == 78
    assert "store.schema" in ran.err


def test_a_configuration_with_mistakes_does_not_start(home, capsys) -> None:
    conf, _ = home
    conf.write_text(conf.read_text("utf-8") + "[nonsense]\nx = 1\n", "utf-8")
    ran = call(capsys, "run", "all", "--conf", conf, "--lang", "en")
    assert ran.code == 78
    assert "conf.unknown_key" in ran.err


def test_accounts_without_a_running_gateway(home, capsys) -> None:
    conf, _ = home
    added = call(
        capsys, "account", "add", "qlvb", "--agency", "H14.19", "--conf", conf, "--json"
    ).json()
    assert added["key"].startswith("edoc_")
    assert "key_hash" not in added
    listed = call(capsys, "account", "list", "--conf", conf, "--json").json()["accounts"]
    assert {(a["name"], a["role"]) for a in listed} == {("ops", "ops"), ("qlvb", "unit")}
    assert call(capsys, "account", "revoke", added["id"], "--conf", conf).code == 0
    assert call(capsys, "account", "revoke", added["id"], "--conf", conf).code == 65
    listed = call(capsys, "account", "list", "--conf", conf, "--json").json()["accounts"]
    assert [a["revoked_at"] is None for a in listed if a["name"] == "qlvb"] == [False]
    assert "qlvb" in call(capsys, "account", "list", "--conf", conf).out


def test_a_units_key_needs_agencies_of_the_directory(home, capsys) -> None:
    conf, _ = home
    for args in (("x",), ("x", "--agency", "Z99"), ("x", "--role", "ops", "--agency", "H14.19")):
        assert call(capsys, "account", "add", *args, "--conf", conf).code == 65


def test_while_a_gateway_runs_accounts_go_through_it(home, capsys, monkeypatch) -> None:
    conf, ops_key = home
    monkeypatch.delenv("EDOC_GATEWAY_KEY", raising=False)
    with gateway_running(conf) as (_, url):
        monkeypatch.setenv("EDOC_GATEWAY_URL", url)
        without = call(capsys, "account", "list", "--conf", conf, "--lang", "en")
        assert without.code == 78
        assert "EDOC_GATEWAY_KEY" in without.err
        monkeypatch.setenv("EDOC_GATEWAY_KEY", ops_key)
        added = call(
            capsys, "account", "add", "qlvb", "--agency", "H14.19", "--conf", conf, "--json"
        ).json()
        assert call(capsys, "account", "revoke", added["id"], "--conf", conf).code == 0
        by_rest = call(capsys, "account", "list", "--json").json()  # no --conf: REST alone
        empty = call(capsys, "queue", "list", "--conf", conf, "--json").json()
    directly = call(capsys, "account", "list", "--conf", conf, "--json").json()
    assert by_rest == directly
    assert {a["id"]: a["revoked_at"] is None for a in directly["accounts"]}[added["id"]] is False
    assert empty == {"transfers": [], "cursor": ""}


def test_a_transfer_that_does_not_exist_is_65(home, capsys) -> None:
    conf, _ = home
    ran = call(capsys, "queue", "show", "no-such-transfer", "--conf", conf, "--json")
    assert ran.code == 65
    assert ran.json()["code"] == "transfer.unknown"


def test_the_error_of_ours_in_a_group_is_the_one_that_counts() -> None:
    from gateway.cli.running import first_error

    broken = Broken(Text("vi", "en"))
    group = BaseExceptionGroup("", [ValueError(), ExceptionGroup("", [KeyError(), broken])])
    assert first_error(group) is broken
    assert isinstance(first_error(BaseExceptionGroup("", [ValueError()])), ValueError)
    assert not isinstance(first_error(BaseExceptionGroup("", [ValueError()])), GatewayError)


@pytest.mark.parametrize("kind", ["vxp", "edoc-soap", "rest"])
def test_the_simulated_axis_says_where_it_is_and_ends_with_ctrl_c(kind: str) -> None:
    process = spawn("simulate", kind)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("endpoint http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["vxp", "edoc-soap", "rest"])
def test_a_simulated_axis_that_is_told_to_end_leaves_nothing(tmp_path, kind: str) -> None:
    process = spawn("simulate", kind, env={"TMPDIR": str(tmp_path)})
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("endpoint ")
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_taken_is_named_without_a_trace(home, capsys) -> None:
    conf, _ = home
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        conf.write_text(conf.read_text("utf-8").replace("port = 0", f"port = {port}"), "utf-8")
        for words in (("run", "all", "--conf", conf), ("simulate", "vxp", "--port", port)):
            ran = run(*words)
            assert ran.code == 78
            assert "[run.address]" in ran.err
            assert "Traceback" not in ran.err


def test_the_last_key_that_can_operate_a_gateway_is_not_taken_by_mistake(home, capsys) -> None:
    conf, _ = home
    (ops,) = call(capsys, "account", "list", "--conf", conf, "--json").json()["accounts"]
    kept = call(capsys, "account", "revoke", ops["id"], "--conf", conf, "--json")
    assert (kept.code, kept.json()["code"]) == (65, "account.last_ops")
    call(capsys, "account", "add", "second", "--role", "admin", "--conf", conf)
    assert call(capsys, "account", "revoke", ops["id"], "--conf", conf).code == 0
    listed = call(capsys, "account", "list", "--conf", conf, "--json").json()["accounts"]
    (last,) = (a for a in listed if not a["revoked_at"])
    assert call(capsys, "account", "revoke", last["id"], "--conf", conf).code == 65
    wanted = ("account", "revoke", last["id"], "--even-the-last", "--conf", conf)
    assert call(capsys, *wanted).code == 0


def test_the_last_key_is_kept_through_a_running_gateway_too(home, capsys, monkeypatch) -> None:
    conf, ops_key = home
    with gateway_running(conf) as (_, url):
        monkeypatch.setenv("EDOC_GATEWAY_KEY", ops_key)
        monkeypatch.delenv("EDOC_GATEWAY_URL", raising=False)
        # api.port is 0: the configuration cannot say where it listens
        nowhere = call(capsys, "account", "list", "--conf", conf, "--json")
        assert (nowhere.code, nowhere.json()["code"]) == (78, "client.no_address")
        monkeypatch.setenv("EDOC_GATEWAY_URL", url)
        (ops,) = call(capsys, "account", "list", "--conf", conf, "--json").json()["accounts"]
        kept = call(capsys, "account", "revoke", ops["id"], "--conf", conf, "--json")
        assert (kept.code, kept.json()["code"]) == (65, "account.last_ops")
        assert call(capsys, "account", "list", "--conf", conf).code == 0


def test_a_fault_file_that_cannot_be_read_is_78(tmp_path, capsys) -> None:
    (tmp_path / "faults.toml").write_text("[[fault]]\nkind = 'no such kind'\n")
    ran = call(capsys, "simulate", "vxp", "--faults", tmp_path / "faults.toml")
    assert ran.code == 78


def test_an_address_for_figures_has_a_host_and_a_port(home, capsys) -> None:
    for wrong in ("9303", "127.0.0.1", ":9303", "127.0.0.1:99999", "127.0.0.1:x"):
        ran = call(capsys, "run", "all", "--metrics", wrong, "--conf", home[0])
        assert (ran.code, "HOST:PORT" in ran.err) == (64, True)
