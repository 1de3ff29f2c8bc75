"""The province's way: PostgreSQL, one process for each job, every one of them needed."""

import json
from contextlib import ExitStack
from urllib.request import urlopen

import pytest

from adapters.keys.make import make_agency_key, make_sandbox_ca
from gateway.cli.running import JOBS
from tests.support.commands import call, gateway_running, processes_naming
from tests.support.databases import Postgres
from tests.support.houses import NOW

ALSO_SHOWS = ("--metrics", "127.0.0.1:0")
METADATA = {
    "from": {"organ_id": "H14"},
    "to": [{"organ_id": "000.00.00.G22"}],
    "code": {"number": "5", "notation": "UBND-VX"},
    "promulgation": {"date": "2026-11-20"},
    "document_type": {"name": "Công văn"},
    "subject": "V/v từng việc một tiến trình",
    "signer": {"position": "Chức vụ mẫu", "full_name": "Người ký mẫu"},
}


def figures(url: str, name: str) -> dict[str, float]:
    """Labels -> value of one figure, as a process shows it."""
    with urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found = [line.removeprefix(f"{name}{{").split("} ") for line in lines]
    return {
        one[0]: float(one[1])
        for one, line in zip(found, lines, strict=True)
        if line.startswith(f"{name}{{")
    }


@pytest.mark.postgres
def test_a_document_goes_through_seven_processes(
    postgres: Postgres, tmp_path, capsys, monkeypatch
) -> None:
    def become(url: str, key: str) -> None:
        monkeypatch.setenv("EDOC_GATEWAY_URL", url)
        monkeypatch.setenv("EDOC_GATEWAY_KEY", key)

    (tmp_path / "meta.json").write_text(json.dumps(METADATA), "utf-8")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    home = tmp_path / "gw"
    with postgres.database(migrated=False) as database, ExitStack() as stack:
        made = call(
            capsys, "init", home, "--profile", "province", "--database", database,
            "--agency", "H14", "--agency", "G22", "--json",
        ).json()  # fmt: skip
        conf = home / "conf/gateway.toml"
        signer = make_agency_key(
            home / "keys", "H14", NOW, issuer=make_sandbox_ca(home / "keys", NOW), rsa_key=False
        )
        conf.write_text(
            conf.read_text("utf-8")
            + '\n[clock]\nsync = "off"\n'
            + '[api]\nport = 0\n[dispatch]\nidle = "200ms"\nsweep = "200ms"\n'
            + f'[[key]]\nagency = "H14"\npath = "{signer.key}"\n'
            + f'certificate = "{signer.certificate}"\n',
            "utf-8",
        )
        assert conf.stat().st_mode & 0o077 == 0  # the address may hold a password
        started = {
            job: stack.enter_context(
                gateway_running(conf, job, *(ALSO_SHOWS if job == "deliver" else ()))
            )
            for job in JOBS
            if job != "all"
        }
        url = started["api"][1]
        keys = {
            code: call(
                capsys, "account", "add", code, "--agency", code, "--conf", conf, "--json"
            ).json()["key"]
            for code in ("H14", "G22")
        }
        become(url, keys["H14"])
        receipt = tmp_path / "receipt.json"
        sent = call(
            capsys, "send", tmp_path / "meta.json", tmp_path / "a.pdf",
            "--receipt", receipt, "--json",
        ).json()  # fmt: skip
        assert sent["transfers"][0]["axis"] == "loopback"

        become(url, keys["G22"])
        items: list = []
        while not items:
            items = call(capsys, "inbox", "--wait", "20", "--json").json()["items"]
        assert call(capsys, "confirm", items[0]["id"]).code == 0

        become(url, keys["H14"])
        statuses: list = []
        while not statuses:
            found = call(capsys, "inbox", "--kind", "status", "--wait", "20", "--json")
            statuses = found.json()["items"]
        assert statuses[0]["status"]["code"] == "01"
        (transfer,) = call(capsys, "status", sent["id"], "--json").json()["transfers"]
        assert transfer["recipients"][0]["state"] == "ARRIVED"

        # what was counted stands with the process that did it; what waits is seen by every one
        attempts = figures(started["deliver"][1], "edoc_attempts_total")
        assert attempts['axis="loopback",outcome="delivered"'] >= 2
        assert figures(url, "edoc_attempts_total")['axis="loopback",outcome="delivered"'] == 0
        silent = figures(url, "edoc_worker_silent_seconds")
        assert {f'worker="{w}"' for w in ("seal", "open", "sweep", "deliver:loopback")} <= set(
            silent
        )
        assert max(silent.values()) < 120
        with urlopen(f"{started['deliver'][1]}/readyz") as answer:
            assert json.load(answer) == {"ready": True, "reasons": []}

        become(url, made["ops_key"])
        by_rest = call(capsys, "account", "list", "--json").json()
        assert by_rest == call(capsys, "account", "list", "--conf", conf, "--json").json()
        stack.close()  # each ends on SIGTERM
        assert {p.returncode for p, _ in started.values()} == {0}
        ran = call(capsys, "ledger", "verify", "--conf", conf, "--json")
        assert (ran.code, ran.json()["verified"]) == (0, True), ran.out
        found = call(capsys, "ledger", "verify", "--conf", conf, "--receipt", receipt)
        assert found.code == 0
    assert processes_naming(str(home)) == []
