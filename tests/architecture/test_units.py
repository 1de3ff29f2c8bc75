"""A file in workers/, a unit in systemd/, a word of `run`, a label in the logs: one name."""

import configparser
import shutil
import subprocess

import pytest

from gateway import config
from gateway.cli.running import JOBS as WORDS
from gateway.wiring.process import JOBS
from tests.support.commands import ROOT, call

UNITS = ROOT / "systemd"
WORKERS = {p.stem for p in (ROOT / "gateway/workers").glob("*.py")} - {"__init__", "loop"}
WITNESS = UNITS / "gateway-witness@.service"  # no process of a gateway: a look from a timer
SERVICES = sorted(set(UNITS.glob("*.service")) - {WITNESS})


def read(path):
    """Section -> key -> values, since systemd lets a key stand several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), {})
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            current.setdefault(key, []).append(value)
    return sections


def test_every_worker_has_its_unit_and_every_unit_its_worker() -> None:
    named = {p.stem.removeprefix("gateway-") for p in SERVICES if "-" in p.stem}
    assert named == WORKERS | {"api"}


def test_workers_jobs_and_words_of_run_are_the_same() -> None:
    assert set(JOBS) == WORKERS | {"api"}
    assert set(WORDS) == set(JOBS) | {"all"}


@pytest.mark.parametrize("path", SERVICES, ids=lambda p: p.stem)
def test_a_unit_runs_the_job_it_is_named_for(path) -> None:
    (command,) = read(path)["Service"]["ExecStart"]
    job = "all" if path.stem == "gateway" else path.stem.removeprefix("gateway-")
    assert command.split()[1:] == ["run", job]


@pytest.mark.parametrize("path", SERVICES, ids=lambda p: p.stem)
def test_a_unit_is_closed_and_is_not_restarted_into_a_broken_ledger(path) -> None:
    service = read(path)["Service"]
    assert service["Type"] == ["notify"]
    assert service["RestartPreventExitStatus"] == ["70 78"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["UMask"] == ["0077"]
    assert {v.partition(":")[0] for v in service["LoadCredential"]} == {"master.key", "ledger.pem"}


@pytest.mark.parametrize("path", SERVICES, ids=lambda p: p.stem)
def test_a_unit_is_stopped_later_than_its_longest_attempt_may_last(path) -> None:
    patience = int(read(path)["Service"]["TimeoutStopSec"][0])
    sending, fetching = config.DispatchSection(), config.CollectSection()
    assert patience > sending.attempt_deadline + sending.grace
    assert patience > fetching.fetch_deadline + sending.grace


@pytest.mark.parametrize("path", SERVICES, ids=lambda p: p.stem)
def test_a_unit_may_write_below_data_and_nowhere_else(path) -> None:
    service = read(path)["Service"]
    assert service["StateDirectory"] == ["edoc-gateway/data"]
    assert not {"ReadWritePaths", "CacheDirectory", "LogsDirectory"} & set(service)


def test_a_door_goes_before_the_workers_where_they_share_a_machine() -> None:
    weights = {p.stem: int(read(p)["Service"]["CPUWeight"][0]) for p in SERVICES}
    doors = {weights.pop("gateway"), weights.pop("gateway-api")}
    assert len(set(weights.values())) == 1
    assert min(doors) > 100 > max(weights.values())  # 100: what PostgreSQL has by default


def test_units_differ_in_nothing_but_their_job() -> None:
    bodies = set()
    for path in SERVICES:
        service = read(path)["Service"]
        service["ExecStart"] = service["CPUWeight"] = []
        bodies.add(str(service))
    assert len(bodies) == 1


def test_the_witness_looks_from_a_timer_and_a_fork_leaves_its_unit_failed() -> None:
    service = read(WITNESS)["Service"]
    assert service["Type"] == ["oneshot"]
    assert service["ExecStart"][0].split()[1:] == ["ledger", "witness"]
    assert not {"SuccessExitStatus", "Restart"} & set(service)
    for key in ("ProtectSystem", "NoNewPrivileges", "CapabilityBoundingSet", "UMask"):
        assert service[key] == read(SERVICES[0])["Service"][key]
    written = {line.split("=")[0] for line in service["Environment"]}
    assert written == {"EDOC_WITNESS_VKEY", "EDOC_WITNESS_STATE"}
    timer = read(WITNESS.with_suffix(".timer"))
    assert timer["Timer"]["OnUnitInactiveSec"] == ["10min"]
    assert timer["Install"]["WantedBy"] == ["timers.target"]


def test_the_target_and_the_whole_do_not_run_side_by_side() -> None:
    assert read(UNITS / "gateway.service")["Unit"]["Conflicts"] == ["gateway.target"]
    assert read(UNITS / "gateway.target")["Unit"]["Conflicts"] == ["gateway.service"]
    for path in SERVICES:
        if path.stem != "gateway":
            assert read(path)["Unit"]["PartOf"] == ["gateway.target"]
            assert read(path)["Install"]["WantedBy"] == ["gateway.target"]


def test_conf_can_name_the_credentials_that_units_load(tmp_path, capsys, monkeypatch) -> None:
    made = call(capsys, "init", tmp_path / "gw", "--json").json()
    given = tmp_path / "credentials"
    given.mkdir(mode=0o700)
    for name in ("ledger.pem", "master.key"):
        (tmp_path / "gw/keys" / name).rename(given / name)
    conf = tmp_path / "gw/conf/gateway.toml"
    conf.write_text(
        '[ledger]\nkey = "credential:ledger.pem"\n[secrets]\nmaster_key = "credential:master.key"\n'
    )
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    assert config.load(made["conf"]).ledger.key == given / "ledger.pem"
    assert call(capsys, "ledger", "verify", "--conf", conf).code == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_understands_every_unit(tmp_path) -> None:
    for path in UNITS.iterdir():
        text = path.read_text("utf-8").replace("/opt/edoc-gateway/bin/edoc-gateway", "/bin/true")
        (tmp_path / path.name).write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_no_unit_is_written_so_that_only_some_parsers_read_it() -> None:
    for path in UNITS.iterdir():
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read_string(path.read_text("utf-8"))
        assert parser.has_section("Unit")
