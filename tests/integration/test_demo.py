"""The demo as anybody runs it: what it says, what it proves, and that it leaves nothing."""

import json
import re
import shutil
import signal
import sqlite3
import time
from datetime import datetime

import jsonschema
import pytest

from gateway.cli.demo_page import print_result
from gateway.model.transfer import RecipientState
from tests.support.commands import PATIENCE, Ran, call, processes_naming, run, spawn

INSTANT = {"type": "string", "format": "date-time", "pattern": r"\+07:00$"}
# contract 5, `demo --json`: fields may be added, never renamed
SHAPE = {
    "type": "object",
    "required": ["ok", "documents", "ledgers", "anchors"],
    "properties": {
        "ok": {"type": "boolean"},
        "anchors": {"type": "string"},
        "documents": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    "id", "document_id", "subject", "from", "to", "axis", "attachments",
                    "recipients", "instants", "records", "evidence",
                ],
                "properties": {
                    "to": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    "axis": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    "attachments": {
                        "type": "array",
                        "items": {"type": "object", "required": ["name", "size", "sha256"]},
                    },
                    "recipients": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": [
                                "agency", "axis", "states", "status_code", "on_axis_at",
                                "entered_at",
                            ],
                            "properties": {
                                "states": {
                                    "type": "array",
                                    "items": {"enum": [s.value for s in RecipientState]},
                                },
                                "on_axis_at": INSTANT,
                                "entered_at": INSTANT,
                            },
                        },
                    },
                    "instants": {
                        "type": "object",
                        "required": ["released_at", "accepted_at", "sources"],
                        "properties": {"released_at": INSTANT, "accepted_at": INSTANT},
                    },
                    "records": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["seq", "event", "at", "sealed", "stamped_at"],
                            "properties": {
                                "seq": {"type": "integer"},
                                "at": INSTANT,
                                "sealed": {"const": True},
                                "stamped_at": INSTANT,
                            },
                        },
                    },
                    "evidence": {"type": ["string", "null"]},
                },
            },
        },
        "ledgers": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["gateway", "entries", "checkpoint", "verified"],
                "properties": {"entries": {"type": "integer"}, "verified": {"const": True}},
            },
        },
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """One finished demo: how it ended, its folder, and how long it took."""
    folder = tmp_path_factory.mktemp("demo") / "box"
    started = time.monotonic()
    ran = run("demo", "--json", "--dir", folder)
    return ran, folder, time.monotonic() - started


def test_every_step_held(told) -> None:
    ran, _, _ = told
    assert ran.code == 0, ran.err
    assert ran.json()["ok"] is True
    assert ran.json()["problems"] == []


def test_it_has_the_shape_that_programs_read(told) -> None:
    ran, _, _ = told
    jsonschema.Draft202012Validator(SHAPE).validate(ran.json())


def test_every_document_reaches_finished_over_its_axes_with_real_files(told) -> None:
    documents = told[0].json()["documents"]
    assert [(d["from"], d["to"], d["axis"]) for d in documents] == [
        ("000.00.19.H14", ["000.00.00.G22"], ["vxp"]),
        ("000.00.00.G22", ["000.00.19.H14"], ["vxp"]),
        ("000.00.19.H14", ["000.00.20.H14"], ["lgsp"]),
        ("000.00.19.H14", ["000.00.00.G22", "000.00.20.H14"], ["vxp", "lgsp"]),
    ]
    for document in documents:
        assert [a["name"].rpartition(".")[2] for a in document["attachments"]] == ["pdf", "xlsx"]
        sources = document["instants"]["sources"]
        assert sources == {"released_at": "stated", "accepted_at": "observed"}
        for recipient in document["recipients"]:
            assert recipient["status_code"] == "06"
            assert recipient["states"] == ["PENDING", "ON_AXIS", "ARRIVED", "ACCEPTED", "FINISHED"]
            assert recipient["sources"] == {"on_axis_at": "observed", "entered_at": "reported"}


def test_one_submission_to_both_kinds_of_receivers_is_a_package_on_each_axis(told) -> None:
    folder = told[1]
    both = told[0].json()["documents"][3]
    assert len([r for r in both["records"] if r["event"] == "submission.accepted"]) == 1
    delivered = [r["axis"] for r in both["records"] if r.get("outcome") == "delivered"]
    assert sorted(delivered) == ["lgsp", "vxp"]
    ran = run(
        *("evidence", "verify", both["evidence"], "--anchors", folder / "anchors", "--json"),
    )
    assert (ran.code, ran.json()["verdict"]) == (0, "valid")


def test_what_was_received_is_what_was_sent(told) -> None:
    _, folder, _ = told
    for sender, receiver in (
        ("so-mau-19", "vpcp"),
        ("vpcp", "so-mau-19"),
        ("so-mau-19-lgsp", "so-mau-20-lgsp"),
        ("so-mau-19-both", "vpcp-both"),
        ("so-mau-19-both", "so-mau-20-both"),
    ):
        for name in ("cong-van.pdf", "phụ lục số liệu.xlsx"):
            sent = (folder / "sent" / sender / name).read_bytes()
            assert (folder / "received" / receiver / name).read_bytes() == sent


def test_the_doubt_and_the_repeat_are_in_the_records(told) -> None:
    first, second, third, fourth = told[0].json()["documents"]

    def outcomes(document):
        return [r["outcome"] for r in document["records"] if r["event"] == "attempt.ended"]

    assert outcomes(first) == outcomes(third) == ["delivered"]
    assert outcomes(fourth) == ["delivered", "delivered"]
    said = outcomes(second)
    assert set(said[: said.index("uncertain")]) == {"deferred"}
    assert said[said.index("uncertain") + 1 :] == ["delivered"]


def test_instants_follow_one_another(told) -> None:
    for document in told[0].json()["documents"]:
        accepted = datetime.fromisoformat(document["instants"]["accepted_at"])
        released = datetime.fromisoformat(document["instants"]["released_at"])
        for recipient in document["recipients"]:
            fetched = datetime.fromisoformat(recipient["received"]["fetched_at"])
            entered = datetime.fromisoformat(recipient["received"]["entered_at"])
            assert released <= accepted < fetched < entered
        seqs = [r["seq"] for r in document["records"]]
        assert seqs == sorted(seqs)


def test_what_the_receiver_did_is_proved_by_the_receivers_own_ledger(told) -> None:
    for document in told[0].json()["documents"]:
        for recipient in document["recipients"]:
            own = {r["event"]: r for r in recipient["received_records"]}
            assert {"item.available", "item.fetched", "item.entered"} <= set(own)
            assert all(r["sealed"] and r["stamped_at"] for r in own.values())
            assert own["item.entered"]["at"] == recipient["received"]["entered_at"]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_table_says_no_fraction_that_nobody_told_and_fits_a_page(told, lang, capsys) -> None:
    result = told[0].json()
    print_result(result, lang)
    page = capsys.readouterr().out
    for recipient in (r for d in result["documents"] for r in d["recipients"]):
        entered = datetime.fromisoformat(recipient["entered_at"])
        assert re.search(rf"{entered:%H:%M:%S} ", page)
        # a stamp may well say .000: only what the receiver told in whole seconds must not
        assert not re.search(rf"{entered:%H:%M:%S}\.[0-9]+ +(nơi nhận báo|the receiver says)", page)
        own = {r["event"]: r["seq"] for r in recipient["received_records"]}
        assert re.search(rf" {own['item.entered']}\*", page)
        day = f"{entered:%d/%m/%Y}" if lang == "vi" else f"{entered:%Y-%m-%d}"
        assert day in page
    assert "UTC+7" in page
    assert max(map(len, page.splitlines())) <= 110


def test_a_stranger_finds_the_anchors_and_no_secret_among_them(told) -> None:
    anchors = told[1] / "anchors"
    assert told[0].json()["anchors"] == str(anchors)
    assert {p.name for p in anchors.iterdir()} == {
        "tsa-ca.pem", "so-mau-19.vkey", "vpcp.vkey", "so-mau-19-ca.pem", "vpcp-ca.pem",
        "so-mau-20.vkey", "so-mau-20-ca.pem",
    }  # fmt: skip
    assert not any(b"PRIVATE" in p.read_bytes() for p in anchors.iterdir())


def test_nothing_is_left_running(told) -> None:
    assert processes_naming(str(told[1])) == []


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_an_interrupted_demo_leaves_neither_a_process_nor_a_file(number, tmp_path) -> None:
    process = spawn("demo", "--lang", "en", env={"TMPDIR": str(tmp_path)})
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "leased" in line:
                break
        assert processes_naming(str(tmp_path))
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert processes_naming(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_the_table_says_it_in_both_languages(told) -> None:
    from contextlib import redirect_stdout
    from io import StringIO

    from gateway.cli.demo_page import print_result

    pages = {}
    for lang in ("vi", "en"):
        with redirect_stdout(StringIO()) as page:
            print_result(told[0].json(), lang)
        pages[lang] = page.getvalue()
    assert "Vào Hệ thống nơi nhận" in pages["vi"]
    assert "KHÔNG RÕ" in pages["vi"]
    assert "Mọi bước đều đạt." in pages["vi"]
    assert "Entered the receiver's System" in pages["en"]
    assert "UNCERTAIN" in pages["en"]
    assert pages["en"].count("EDOC SANDBOX timestamp authority") == 4
    assert "→ 000.00.20.H14 (lgsp)" in pages["en"]
    assert "Every step held." in pages["en"]


# -- somebody touches the ledger by hand


@pytest.fixture
def touched(told, tmp_path):
    """A copy of the department's gateway; `act(sql)` changes its database behind its back."""
    copy = tmp_path / "box"
    shutil.copytree(told[1], copy)
    conf = copy / "so-mau-19/conf"
    database = copy / "so-mau-19/data/gateway.sqlite"

    def act(*statements: str) -> None:
        db = sqlite3.connect(database)
        with db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='trigger'"):
                db.execute(f'DROP TRIGGER "{name}"')
            db.execute("PRAGMA foreign_keys=OFF")
            for statement in statements:
                assert db.execute(statement).rowcount >= 1
        db.close()

    return conf, act, copy / "sent/so-mau-19/receipt.json"


def verify(capsys, conf) -> Ran:
    return call(capsys, "ledger", "verify", "--conf", conf, "--json", "--lang", "en")


def test_an_untouched_copy_verifies(touched, capsys) -> None:
    conf, _, receipt = touched
    ran = verify(capsys, conf)
    assert (ran.code, ran.json()["verified"]) == (0, True)
    assert ran.json()["stamped_size"] == ran.json()["entries"]
    found = call(capsys, "ledger", "verify", "--conf", conf, "--receipt", receipt, "--json")
    assert (found.code, found.json()["verdict"]) == (0, "found")
    assert found.json()["event"] == "submission.accepted"


def test_one_changed_byte_of_a_record_is_found_and_named(touched, capsys) -> None:
    conf, act, _ = touched
    act(
        "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'attempt.ended',"
        " 'attempt.endee') AS BLOB) WHERE id = (SELECT record_id FROM entry WHERE seq = 4)"
    )
    ran = verify(capsys, conf)
    assert ran.code == 65
    assert ran.json()["first_bad"] == {"epoch": 1, "seq": 4}
    page = call(capsys, "ledger", "verify", "--conf", conf, "--lang", "vi")
    assert page.code == 65
    assert "Sổ cái KHÔNG toàn vẹn" in page.out


def test_a_changed_package_is_found(touched, capsys) -> None:
    conf, _, _ = touched
    blobs = conf.parent / "data/blobs"
    victim = max((p for p in blobs.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(data)
    ran = verify(capsys, conf)
    assert ran.code == 65
    assert "ledger.blob_changed" in {f["code"] for f in ran.json()["findings"]}


def test_a_receipt_still_shows_what_was_promised_after_the_row_was_removed(touched, capsys) -> None:
    conf, act, receipt = touched
    promised = json.loads(json.loads(receipt.read_bytes())["record"])["id"]
    act(
        f"DELETE FROM entry WHERE record_id = '{promised}'",
        f"DELETE FROM record WHERE id = '{promised}'",
    )
    ran = call(capsys, "ledger", "verify", "--conf", conf, "--receipt", receipt, "--lang", "en")
    assert ran.code == 1
    assert "PROMISED, but MISSING" in ran.out
    assert "submission.accepted" in ran.out


def test_a_receipt_of_another_ledger_proves_nothing_here(touched, capsys) -> None:
    conf, _, _ = touched
    other = conf.parents[1] / "sent/vpcp/receipt.json"
    ran = call(capsys, "ledger", "verify", "--conf", conf, "--receipt", other)
    assert ran.code == 65


def test_a_receipt_counts_as_people_keep_it(touched, capsys, tmp_path) -> None:
    conf, _, receipt = touched
    value = json.loads(receipt.read_bytes())
    for kept in (json.dumps(value, indent=4), json.dumps({"id": "x", "receipt": value})):
        (tmp_path / "kept.json").write_text(kept)
        ran = call(capsys, "ledger", "verify", "--conf", conf, "--receipt", tmp_path / "kept.json")
        assert ran.code == 0


@pytest.mark.parametrize("kept", ["", "{}", "[1.5]", "null", '{"receipt": 1}', "[" * 100_000])
def test_what_is_no_receipt_is_refused(kept, touched, capsys, tmp_path) -> None:
    conf, _, _ = touched
    (tmp_path / "kept.json").write_text(kept)
    ran = call(capsys, "ledger", "verify", "--conf", conf, "--receipt", tmp_path / "kept.json")
    assert ran.code == 65


def test_the_ledger_is_held_against_the_key_somebody_was_given(touched, capsys) -> None:
    conf, _, receipt = touched
    anchors = conf.parents[1] / "anchors"
    ours, theirs = anchors / "so-mau-19.vkey", anchors / "vpcp.vkey"
    # the gateway's own key is not even looked at
    (conf.parent / "keys/ledger.pem").write_bytes(b"")
    assert call(capsys, "ledger", "verify", "--conf", conf, "--vkey", ours).code == 0
    kept = ("--receipt", receipt, "--vkey", ours)
    assert call(capsys, "ledger", "verify", "--conf", conf, *kept).code == 0
    ran = call(capsys, "ledger", "verify", "--conf", conf, "--vkey", theirs, "--json")
    assert (ran.code, ran.json()["code"]) == (78, "ledger.other_key")
    name = ours.read_text().split("+")[0]
    other = theirs.read_text().replace("sandbox.vpcp", name)
    ours.write_text(other)
    ran = call(capsys, "ledger", "verify", "--conf", conf, "--vkey", ours, "--json")
    assert ran.code == 65
    assert ran.json()["verified"] is False


def test_a_folder_that_is_not_empty_is_no_place_for_a_sandbox(tmp_path, capsys) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = call(capsys, "demo", "--dir", tmp_path, "--lang", "en")
    assert ran.code == 65
    assert "init.not_empty" in ran.err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_forged_receipt_is_refused(touched, capsys) -> None:
    conf, _, receipt = touched
    receipt.write_bytes(receipt.read_bytes().replace(b"H14", b"H15"))
    assert call(capsys, "ledger", "verify", "--conf", conf, "--receipt", receipt).code == 65


def test_the_checkpoint_is_the_note_that_anybody_can_keep(touched, capsys) -> None:
    conf, _, _ = touched
    note = call(capsys, "ledger", "checkpoint", "--conf", conf)
    shown = call(capsys, "ledger", "checkpoint", "--conf", conf, "--json").json()
    assert note.code == 0
    assert note.out == shown["note"]
    origin, size, _, *lineage, empty, signature = note.out.splitlines()
    assert (origin, int(size), empty) == ("sandbox.so-mau-19", shown["size"], "")
    assert lineage[0].startswith("previous ")
    assert signature.startswith("— sandbox.so-mau-19 ")
    assert shown["vkey"] + "\n" == (conf.parent / "keys/ledger.vkey").read_text()


def test_a_ledger_without_a_checkpoint_says_so(tmp_path, capsys) -> None:
    made = call(capsys, "init", tmp_path / "gw", "--json").json()
    ran = call(capsys, "ledger", "checkpoint", "--conf", made["conf"], "--json")
    assert ran.code == 65
    assert ran.json()["code"] == "ledger.empty"
    assert verify(capsys, made["conf"]).json()["pending"] == 1
