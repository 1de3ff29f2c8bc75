"""A served sandbox, used as the README says and by the client commands."""

import hashlib
import json
import re
import shutil
import signal
import subprocess

import pytest

from gateway.cli.client import Client
from gateway.cli.demo_page import FIRST_LINES
from tests.support.commands import PATIENCE, ROOT, call, processes_naming, spawn

READMES = ("README.md", "README.vi.md")


def commands_of(readme: str) -> str:
    """What stands in its ```sh blocks."""
    text = (ROOT / readme).read_text("utf-8")
    return "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """(the folder, its env.sh as a dict, the page that was printed)"""
    folder = tmp_path_factory.mktemp("serve") / "box"
    process = spawn("demo", "--serve", "--dir", folder, "--lang", "en")
    try:
        page = ""
        assert process.stdout is not None
        for line in process.stdout:
            page += line
            if "kind=document&wait=30" in line:
                break
        lines = (folder / "env.sh").read_text().splitlines()
        pairs = (line.removeprefix("export ").split("=", 1) for line in lines)
        yield folder, {name: value.strip("'") for name, value in pairs}, page
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert processes_naming(str(folder)) == []


@pytest.fixture
def as_unit(box, monkeypatch):
    """`as_unit("H14")`: the environment of that agency's clerk."""

    def become(side: str) -> None:
        monkeypatch.setenv("EDOC_GATEWAY_URL", box[1][f"{side}_URL"])
        monkeypatch.setenv("EDOC_GATEWAY_KEY", box[1][f"{side}_KEY"])
        monkeypatch.delenv("EDOC_GATEWAY_CONF", raising=False)

    return become


def a_document(folder, number: str):
    """Metadata of a document of its own."""
    said = json.loads((folder / "metadata.json").read_text("utf-8"))
    said["code"]["number"] = number
    file = folder / f"metadata-{number}.json"
    file.write_text(json.dumps(said), "utf-8")
    return file


@pytest.mark.skipif(shutil.which("curl") is None, reason="README's commands need curl")
def test_every_command_of_the_readme_works_as_printed(box) -> None:
    folder, _, _ = box
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", ". ./env.sh\n" + commands_of("README.md")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stderr
    accepted = json.loads((folder / "accepted.json").read_text("utf-8"))
    assert accepted["transfers"][0]["axis"] == "vxp"
    assert accepted["receipt"]["v"] == 1
    confirmed = json.loads((folder / "confirmed.json").read_text("utf-8"))
    assert confirmed["state"] == "ENTERED"
    assert '"records"' in ran.stdout
    assert accepted["id"] in ran.stdout


def test_both_readmes_show_the_same_commands() -> None:
    def bare(readme: str) -> list[str]:
        return [x for x in commands_of(readme).splitlines() if not x.startswith("#")]

    assert bare("README.md") == bare("README.vi.md")
    assert len(bare("README.md")) > 15


def test_the_page_shows_addresses_keys_and_lines_that_work(box) -> None:
    folder, env, page = box
    for name in ("H14_URL", "H14_KEY", "H14_OPS", "G22_URL", "G22_KEY", "G22_CONF"):
        assert env[name] in page
    assert f"cd {folder} && . ./env.sh" in page
    lines = page.split("env.sh\n", 1)[1].replace("first-1", "page-1").replace("wait=30", "wait=1")
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". ./env.sh\n{lines}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stderr
    assert (folder / "env.sh").stat().st_mode & 0o077 == 0


def test_the_page_and_the_readme_hand_the_same_document_in() -> None:
    def parts(text: str) -> tuple[list[str], list[str]]:
        return re.findall(r'-F "([^"]+)"', text), re.findall(r"Idempotency-Key: ([^$\"]+)\"", text)

    assert parts("\n".join(FIRST_LINES)) == parts(commands_of("README.md"))
    assert len(parts(commands_of("README.md"))[0]) == 3


def test_its_script_puts_the_command_on_the_path_and_conf_leads_to_the_gateway(box) -> None:
    folder, _, _ = box
    script = """
        . ./env.sh
        EDOC_GATEWAY_KEY="$H14_OPS" edoc-gateway account list --conf "$H14_CONF" --json
        cd /
        edoc-gateway --version
    """
    ran = subprocess.run(
        ["sh", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 0, ran.stderr
    assert '"role": "ops"' in ran.stdout
    assert "edoc-gateway, version" in ran.stdout


def test_a_document_by_the_client_commands_alone(box, as_unit, capsys, tmp_path) -> None:
    folder, _, _ = box
    as_unit("H14")
    meta = a_document(folder, "77")
    files = (folder / "cong-van.pdf", folder / "phụ lục số liệu.xlsx")
    receipt = tmp_path / "receipt.json"
    sent = call(capsys, "send", meta, *files, "--receipt", receipt, "--json").json()
    again = call(capsys, "send", meta, *files, "--receipt", receipt, "--json").json()
    assert again == sent  # the same command is the same request
    assert sent["document_id"] in call(capsys, "send", meta, *files).out

    as_unit("G22")
    item = waiting(capsys, sent["document_id"])
    assert item["id"] in call(capsys, "inbox", "--kind", "document").out
    got = call(capsys, "inbox", item["id"], "-d", tmp_path / "got", "--json").json()
    assert [p.rpartition("/")[2] for p in got["fetched"]] == [
        "package.edxml",
        "cong-van.pdf",
        "phụ lục số liệu.xlsx",
    ]
    for file in files:
        assert (tmp_path / "got" / file.name).read_bytes() == file.read_bytes()
    assert call(capsys, "inbox", item["id"], "-d", tmp_path / "got").code == 65  # nothing over it
    early = call(capsys, "status", item["id"], "--report", "03", "--json")
    assert (early.code, early.json()["code"]) == (65, "item.not_entered")
    first = call(capsys, "confirm", item["id"], "--receipt", tmp_path / "entered.json", "--json")
    assert first.json()["state"] == "ENTERED"
    assert call(capsys, "confirm", item["id"], "--json").json() == first.json()
    unreasoned = call(capsys, "status", item["id"], "--report", "02", "--json")
    assert unreasoned.code == 65
    assert call(capsys, "status", item["id"], "--report", "06").code == 0

    as_unit("H14")
    while not_finished(call(capsys, "status", sent["id"], "--json").json()):
        call(capsys, "inbox", "--kind", "status", "--wait", "1")
    page = call(capsys, "status", sent["id"], "--lang", "en").out
    assert "FINISHED 06" in page
    told = call(capsys, "inspect", tmp_path / "got" / "package.edxml", "--json").json()
    assert told["signature"]["verdict"] == "valid"


def waiting(capsys, document_id: str):
    """The inbox item of a document, by long polls."""
    while True:
        items = call(capsys, "inbox", "--kind", "document", "--wait", "5", "--json").json()["items"]
        for item in items:
            if item["document_id"] == document_id:
                return item


def not_finished(document) -> bool:
    return document["transfers"][0]["recipients"][0]["state"] != "FINISHED"


def test_a_ready_made_package_goes_as_it_is(box, as_unit, capsys, tmp_path) -> None:
    folder, env, _ = box
    packed = tmp_path / "ready.edxml"
    meta = a_document(folder, "78")
    said = json.loads(meta.read_text("utf-8"))
    said.pop("released_at")
    meta.write_text(json.dumps(said), "utf-8")
    assert call(capsys, "pack", meta, folder / "cong-van.pdf", "-o", packed).code == 0
    as_unit("H14")
    sent = call(capsys, "send", "--package", packed, "--json").json()
    whole = tmp_path / "sent.edxml"
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    Client(env["H14_URL"], env["H14_KEY"]).download(
        f"/v1/documents/{sent['id']}/package", whole, digest
    )
    assert whole.read_bytes() == packed.read_bytes()


def test_what_is_wrong_is_said_with_every_finding(box, as_unit, capsys) -> None:
    folder, _, _ = box
    as_unit("H14")
    meta = a_document(folder, "79")
    said = json.loads(meta.read_text("utf-8"))
    del said["subject"], said["signer"]
    meta.write_text(json.dumps(said), "utf-8")
    ran = call(capsys, "send", meta, folder / "cong-van.pdf", "--lang", "vi")
    assert ran.code == 65
    assert ran.out == ""
    assert ran.err.count(": lỗi: ") >= 2
    assert "subject" in ran.err
    other = call(capsys, "send", a_document(folder, "80"), "--json", "--lang", "en")
    assert other.code == 65
    assert "content.no_file" in {f["code"] for f in other.json()["findings"]}


def test_a_key_speaks_for_its_own_agency_only(box, as_unit, capsys) -> None:
    folder, _, _ = box
    as_unit("G22")
    ran = call(capsys, "send", a_document(folder, "81"), folder / "cong-van.pdf", "--json")
    assert (ran.code, ran.json()["code"]) == (65, "account.other_agency")
    assert call(capsys, "inbox", "--agency", "H14.19", "--json").code == 65
    assert call(capsys, "status", "no-such-document", "--json").code == 65


def test_a_wrong_key_is_refused(box, as_unit, capsys, monkeypatch) -> None:
    as_unit("G22")
    monkeypatch.setenv("EDOC_GATEWAY_KEY", "edoc_nobody_nothing")
    ran = call(capsys, "inbox", "--json")
    assert (ran.code, ran.json()["code"]) == (65, "account.unauthenticated")


def test_ops_see_the_queue_and_its_attempts_while_it_runs(
    box, as_unit, capsys, monkeypatch
) -> None:
    folder, env, _ = box
    as_unit("H14")
    sent = call(capsys, "send", a_document(folder, "82"), folder / "cong-van.pdf", "--json").json()
    as_unit("G22")
    waiting(capsys, sent["document_id"])
    monkeypatch.setenv("EDOC_GATEWAY_URL", env["H14_URL"])
    monkeypatch.setenv("EDOC_GATEWAY_KEY", env["H14_OPS"])
    listed = call(capsys, "queue", "list", "--state", "on_axis", "--limit", "200", "--json").json()[
        "transfers"
    ]
    (mine,) = (t for t in listed if t["transfer_id"] == sent["transfers"][0]["transfer_id"])
    assert set(mine) >= {
        "transfer_id", "document_id", "state", "axis", "recipients", "lane", "attempts",
        "due_at", "last_outcome",
    }  # fmt: skip
    assert (mine["state"], mine["attempts"]) == ("ON_AXIS", 1)
    shown = call(
        capsys, "queue", "show", mine["transfer_id"], "--conf", env["H14_CONF"], "--json"
    ).json()
    assert [a["outcome"] for a in shown["attempt_list"]] == ["delivered"]
    page = call(capsys, "queue", "show", mine["transfer_id"], "--lang", "en").out
    assert "delivered" in page
    assert call(capsys, "queue", "list", "--state", "ON_AXIS", "--lang", "vi").code == 0


def test_the_ledger_can_be_verified_while_the_gateway_writes(box, capsys) -> None:
    _, env, _ = box
    for side in ("H14", "G22"):
        ran = call(capsys, "ledger", "verify", "--conf", env[f"{side}_CONF"], "--json")
        assert (ran.code, ran.json()["verified"]) == (0, True), ran.out
