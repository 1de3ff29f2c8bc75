"""The addresses of acts over real HTTP: what they take, what they fill in, what they refuse."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.model.package import Business, Organ, ResponseFor
from gateway.packing.read import read_package
from gateway.store.tables import Role
from tests.support.api import BOUNDARY, PDF, RECEIVER, SENDER, Answer, Door, door, form, letter
from tests.support.commands import call
from tests.support.packages import a_header, packed

FILE = ("van-ban.pdf", PDF)
PACKAGE = {"Content-Type": "application/edxml+xml"}
REASON = {"business": {"reason": "Ban hành nhầm"}}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("acts")) as opened:
        yield opened


@pytest.fixture(scope="module")
def sent(at: Door) -> dict[str, Any]:
    made: dict[str, Any] = at.submit(letter(number="40"), FILE).json()
    return made


def deliver(at: Door) -> None:
    """Seal what was promised, and hand it over to the agencies of this gateway."""
    outbound = at.gateway.outbound
    while at.run(at.gateway.sealing.seal()):
        pass
    for work in at.run(outbound.claim("loopback", 50)):
        at.run(outbound.deliver(work))


def ask(
    at: Door, path: str, body: object, *, key: str = "", who: str | Role = SENDER, kind: str = ""
) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": kind or "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    return at.ask("POST", f"/v1/documents/{path}", who, body=raw, headers=headers)


def test_a_recall_needs_its_reason_and_nothing_else(at: Door, sent: dict[str, Any]) -> None:
    answer = ask(at, f"{sent['id']}/recall", REASON, key="recall")
    assert answer.status == 202
    made = answer.json()
    assert answer.headers["Location"] == f"/v1/documents/{made['id']}"
    assert ask(at, f"{sent['id']}/recall", REASON, key="recall").body == answer.body
    package = at.ask("GET", f"/v1/documents/{made['id']}/package", SENDER)
    read = read_package(io.BytesIO(package.body))
    assert read.header is not None
    assert [r.document_id for r in read.header.response_for] == [sent["document_id"]]
    assert [f.declared_name for f in read.files] == [FILE[0]]
    shown = at.ask("GET", f"/v1/documents/{sent['id']}", SENDER).json()
    assert shown["acts"] == [{"id": made["id"], "type": 1, "document_id": made["document_id"]}]


def test_a_form_brings_files_of_its_own(at: Door, sent: dict[str, Any]) -> None:
    meta = letter(number="41", business={"type": 3})
    del meta["document_id"], meta["to"]
    parts = [("metadata", None, json.dumps(meta).encode()), ("file", "moi.pdf", PDF + b"%")]
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    answer = ask(at, f"{sent['id']}/replace", form(parts), key="replace", kind=kind)
    assert answer.status == 202
    made = answer.json()
    assert [r for t in made["transfers"] for r in t["recipients"]] == [RECEIVER]
    shown = at.ask("GET", f"/v1/documents/{made['id']}", SENDER).json()
    assert (shown["business_type"], shown["about"]) == (3, [sent["document_id"]])
    assert [f["name"] for f in shown["files"]] == ["moi.pdf"]


def test_an_update_says_what_changed(at: Door, sent: dict[str, Any]) -> None:
    bare = ask(at, f"{sent['id']}/update", {}, key="update")
    assert bare.status == 422
    assert bare.findings() == {("business.document_changed", "business.change_missing")}
    said = {"content": "Nội dung mới", "business": {"document_changed": 1}}
    assert ask(at, f"{sent['id']}/update", said, key="update").status == 202
    other = ask(at, f"{sent['id']}/update", {**said, "content": "Khác"}, key="update")
    assert (other.status, other.code) == (409, "idempotency.mismatch")


def test_a_take_back_asks_for_its_reason(at: Door) -> None:
    sent = at.submit(letter(number="44"), FILE).json()
    path = f"{sent['id']}/take-back"
    early = ask(at, path, {"reason": "Gửi nhầm"}, key="early")
    assert (early.status, early.code) == (409, "document.nobody_has_it")
    deliver(at)
    answer = ask(at, path, {"reason": "Gửi nhầm"}, key="13")
    assert (answer.status, answer.json()["code"]) == (202, "13")
    assert ask(at, path, {"reason": "Gửi nhầm"}, key="13").body == answer.body
    wrong = ask(at, path, {})
    assert wrong.findings() == {("reason", "member.missing")}
    assert (ask(at, path, {"reason": " "}).code) == "status.reason_missing"
    stranger = ask(at, path, {"reason": "x", "to": [RECEIVER, "H29"]})
    assert stranger.findings() == {("to[1]", "document.no_receiver")}


@pytest.mark.parametrize("act", ["recall", "update", "replace", "take-back"])
def test_only_the_sender_acts_on_a_document_that_is_there(
    at: Door, sent: dict[str, Any], act: str
) -> None:
    body = {"reason": "x"} if act == "take-back" else REASON
    at.key(RECEIVER)
    at.key(Role.OPS)
    before = at.kept()
    assert ask(at, f"{sent['id']}/{act}", body, key="k", who=RECEIVER).status == 404
    assert ask(at, f"{sent['id']}/{act}", body, key="k", who=Role.OPS).status == 403
    assert ask(at, f"none-{act}/{act}", body, key="k").code == "document.unknown"
    assert ask(at, f"{sent['id']}/{act}", b"x", key="k", kind="text/plain").status == 415
    assert ask(at, f"{sent['id']}/{act}", b"[", key="k").status in (400, 422)
    assert ask(at, f"{sent['id']}/{act}", {"nothing": 1}, key="k").status == 422
    assert at.kept() == before


def test_an_act_without_an_id_needs_a_key(at: Door, sent: dict[str, Any]) -> None:
    answer = ask(at, f"{sent['id']}/recall", REASON)
    assert (answer.status, answer.code) == (400, "idempotency.missing")


def test_a_secret_act_is_refused_before_its_files(at: Door, sent: dict[str, Any]) -> None:
    answer = ask(at, f"{sent['id']}/recall", {**REASON, "secrecy": "Mật"}, key="secret")
    assert (answer.status, answer.code) == (422, "secrecy.marked")


def test_a_status_is_no_document_to_act_on(at: Door) -> None:
    sent = at.submit(letter(number="42"), FILE).json()
    deliver(at)
    assert ask(at, f"{sent['id']}/take-back", {"reason": "x"}).status == 202
    shown = at.ask("GET", f"/v1/documents/{sent['id']}", SENDER).json()
    (status,) = [a["id"] for a in shown["acts"] if a["code"] == "13"]
    assert ask(at, f"{status}/recall", REASON, key="status").code == "document.unknown"


def test_the_command_line_sends_an_act_and_shows_what_it_is_about(
    at: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = at.submit(letter(number="43"), FILE).json()
    monkeypatch.setenv("EDOC_GATEWAY_URL", at.url)
    monkeypatch.setenv("EDOC_GATEWAY_KEY", at.key(SENDER))
    meta = letter(
        number="43",
        business={"type": 1, "reason": "Ban hành\nnhầm"},
        response_for=[{"organ_id": SENDER, "document_id": sent["document_id"]}],
    )
    del meta["document_id"]
    (tmp_path / "meta.json").write_text(json.dumps(meta), "utf-8")
    (tmp_path / "a.pdf").write_bytes(PDF)
    ran = call(capsys, "send", tmp_path / "meta.json", tmp_path / "a.pdf")
    assert ran.code == 0, ran.err
    # the gateway of this test logs into the same terminal, so its answer is asked for over REST
    made = at.ask("GET", "/v1/documents?limit=1", SENDER).json()["documents"][0]
    assert made["about"] == [sent["document_id"]]
    shown = call(capsys, "status", made["id"], "--lang", "en").out
    assert "recall" in shown
    assert sent["document_id"] in shown
    assert made["id"] in call(capsys, "status", sent["id"], "--lang", "vi").out


def test_ready_made_acts_go_as_they_are_and_the_same_one_is_one(at: Door) -> None:
    def recall(reason: str) -> bytes:
        header = a_header(
            sender=Organ(SENDER),
            to=(Organ(RECEIVER),),
            document_id="ready-made",
            business=Business(type=1, reason=reason),
            response_for=(ResponseFor(SENDER, "9/UBND-VX", "earlier", "2026-11-02"),),
        )
        return packed(header, [FILE])

    def send(body: bytes) -> Answer:
        return at.ask("POST", "/v1/documents", SENDER, body=body, headers=PACKAGE)

    first = send(recall("Ban hành nhầm"))
    assert first.status == 202
    assert send(recall("Ban hành nhầm")).body == first.body
    other = send(recall("Lý do khác"))
    assert other.status == 202, "acts are compared by identity only: no conflict of ids"
    assert other.json()["id"] != first.json()["id"]
    kept = at.ask("GET", f"/v1/documents/{first.json()['id']}/package", SENDER)
    assert kept.body == recall("Ban hành nhầm")
    nameless = a_header(sender=Organ(SENDER), to=(Organ(RECEIVER),), business=Business(type=2))
    assert send(packed(nameless, [FILE])).findings() == {
        ("business.about", "business.about_missing"),
        ("business.document_changed", "business.change_missing"),
    }
