"""The queue over REST as its operators use it: acts, dead letters, replays, bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gateway.store import Tx, arrivals
from gateway.store.tables import Role, fetch
from tests.support.api import FARAWAY, PDF, RECEIVER, SENDER, Answer, Door, door, letter
from tests.support.queues import walked

NUMBERS = iter(range(1, 1000))


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Nobody seals or sends here: transfers stand where a test puts them."""
    with door(tmp_path_factory.mktemp("api")) as opened:
        yield opened


def sent(at: Door, **values: Any) -> str:
    """A transfer of a new document, put into a state."""
    made = at.submit(letter(FARAWAY, number=str(next(NUMBERS))), ("a.pdf", PDF)).json()
    transfer_id = str(made["transfers"][0]["transfer_id"])
    if values:
        put(at, transfer_id, **values)
    return transfer_id


def put(at: Door, transfer_id: str, **values: Any) -> None:
    def change(tx: Tx) -> None:
        walked(tx, transfer_id, **values)

    at.run(at.gateway.store.write(change))  # type: ignore[arg-type]  # a coroutine


def now(at: Door) -> datetime:
    return at.run(at.gateway.store.read(lambda tx: tx.now()))  # type: ignore[arg-type]  # as above


def act(at: Door, transfer_id: str, word: str, body: Any = None, key: str | None = None) -> Answer:
    headers = {"Idempotency-Key": key} if key else {}
    raw = None
    if body is not None:
        raw = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    return at.ask("POST", f"/v1/queue/{transfer_id}/{word}", Role.OPS, body=raw, headers=headers)


# -- acts ------------------------------------------------------------------------------------------


def test_hold_and_release_need_no_body_and_are_answered_with_what_can_be_done(at: Door) -> None:
    one = sent(at)
    held = act(at, one, "hold").json()
    assert (held["state"], held["can"]) == ("HELD", ["release", "withdraw"])
    assert at.get(f"/v1/queue/{one}", Role.OPS).json()["can"] == ["release", "withdraw"]
    assert act(at, one, "release").json()["state"] == "ACCEPTED"


def test_the_key_of_an_act_brings_its_first_answer_and_no_other_act(at: Door) -> None:
    one, other = sent(at), sent(at)
    first = act(at, one, "hold", {"reason": "Chờ"}, key="k-1")
    assert act(at, one, "release").status == 200
    again = act(at, one, "hold", {"reason": "Chờ"}, key="k-1")
    assert (again.status, again.body) == (200, first.body), "and it is not held again"
    assert at.get(f"/v1/queue/{one}", Role.OPS).json()["state"] == "ACCEPTED"
    for path, word, body in (
        (one, "hold", {"reason": "khác"}),
        (other, "hold", {"reason": "Chờ"}),
        (one, "withdraw", {"reason": "Chờ"}),
    ):
        assert act(at, path, word, body, key="k-1").code == "idempotency.mismatch"


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        ("ACCEPTED", {"hold", "withdraw"}),
        ("SEALED", {"hold", "withdraw"}),
        ("SENDING", set()),
        ("DEFERRED", {"retry", "hold", "withdraw"}),
        ("UNCERTAIN", {"retry", "hold"}),
        ("HELD", {"release", "withdraw"}),
        ("REFUSED", {"replay"}),
        ("EXPIRED", {"replay"}),
        ("WITHDRAWN", {"replay"}),
        ("ON_AXIS", {"replay"}),
        ("REROUTED", set()),
    ],
)
def test_each_state_allows_what_the_table_says_and_refuses_the_rest_by_name(
    at: Door, state: str, allowed: set[str]
) -> None:
    bodies = {
        "hold": {"reason": ""},
        "release": {"again": True},
        "retry": {"force": True, "reason": "Đã hỏi trục"},
        "withdraw": {"reason": "Đơn vị đề nghị"},
        "replay": {"reason": "Trục đã sửa", "again": True},
    }
    for word, body in bodies.items():
        one = sent(at, state=state, doubt=state == "UNCERTAIN")
        answer = act(at, one, word, body)
        if word in allowed:
            assert answer.status == 200, (word, answer.body)
        else:
            assert (answer.status, answer.code) == (409, "transfer.state_forbids"), word
            assert state in answer.json()["detail"]
            assert f"{word} again" not in answer.json()["detail"]
            assert f"{word} lại" not in answer.json()["detail"]
            assert answer.findings() == {("state", "transfer.state_forbids")}


def test_doubt_is_told_apart(at: Door) -> None:
    one = sent(at, state="HELD", doubt=True, hold_cause="repeat_never")
    assert act(at, one, "withdraw", {"reason": "x"}).code == "transfer.in_doubt"
    assert act(at, one, "release").code == "transfer.again"
    assert act(at, one, "release", {"again": True}).json()["doubt"] is True
    there = sent(at, state="ON_AXIS")
    assert act(at, there, "replay", {"reason": "x"}).code == "transfer.again"
    late = now(at) + timedelta(hours=1)
    silent = sent(at, state="UNCERTAIN", doubt=True, due_at=late)
    assert act(at, silent, "retry").code == "transfer.too_early"
    assert act(at, silent, "retry", {"force": True}).code == "transfer.reason_missing"


@pytest.mark.parametrize(
    ("word", "body", "code", "paths"),
    [
        ("withdraw", {}, "request.invalid", {"reason"}),
        ("withdraw", {"reason": " "}, "transfer.reason_missing", {"reason"}),
        ("replay", {"reason": "x", "again": "yes"}, "request.invalid", {"again"}),
        ("hold", {"why": "x"}, "request.invalid", {"why"}),
        ("release", {"again": 1, "reason": 2}, "request.invalid", {"again", "reason"}),
        ("retry", {"reason": "a\u0000"}, "request.invalid", {"reason"}),
        ("hold", {"reason": "x" * 1001}, "request.invalid", {"reason"}),
    ],
)
def test_a_body_that_is_wrong_is_told_member_by_member(
    at: Door, word: str, body: Any, code: str, paths: set[str]
) -> None:
    answer = act(at, "any", word, body)
    assert (answer.status, answer.code) == (422, code)
    assert {path for path, _ in answer.findings()} == paths


def test_other_mistakes_have_their_own_answers(at: Door) -> None:
    for word, body in (("hold", None), ("withdraw", {"reason": "x"}), ("replay", {"reason": "x"})):
        assert act(at, "none", word, body).code == "transfer.unknown"
    assert act(at, "none", "withdraw").code == "request.media_type"
    assert act(at, "none", "burn").code == "request.no_such_address"
    assert at.post_json("/v1/queue/x/hold?now=1", Role.OPS, {}).code == "parameter.unknown"
    assert at.post_json("/v1/queue/x/hold", Role.OPS, b"[]").code == "request.not_json"
    assert act(at, "x", "hold", key="k" * 201).code == "idempotency.invalid"
    assert at.ask("POST", "/v1/queue/x/hold", SENDER).code == "account.role"


# -- a unit withdraws ------------------------------------------------------------------------------


def test_a_unit_withdraws_its_own_document_only(at: Door) -> None:
    made = at.submit(letter(FARAWAY, number=str(next(NUMBERS))), ("a.pdf", PDF)).json()
    path = f"/v1/documents/{made['id']}/withdraw"
    assert at.post_json(path, RECEIVER, {"reason": "x"}).code == "document.unknown"
    assert at.post_json(path, Role.OPS, {"reason": "x"}).code == "account.role"
    assert at.post_json(path, SENDER, {}).code == "request.invalid"
    assert at.post_json(path, SENDER, {"reason": " "}).code == "transfer.reason_missing"
    gone = at.post_json(path, SENDER, {"reason": "Sai số"})
    assert [t["state"] for t in gone.json()["transfers"]] == ["WITHDRAWN"]
    there = at.submit(letter(FARAWAY, number=str(next(NUMBERS))), ("a.pdf", PDF)).json()
    put(at, there["transfers"][0]["transfer_id"], state="ON_AXIS")
    refused = at.post_json(f"/v1/documents/{there['id']}/withdraw", SENDER, {"reason": "x"})
    assert (refused.status, refused.code) == (409, "document.may_be_delivered")


# -- the dead, and replays -------------------------------------------------------------------------


def dead(at: Door, query: str = "", **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = at.get(f"/v1/queue/dead?limit=200{query}", Role.OPS, **headers).json()
    return found


def test_the_dead_say_whose_fault_it_is_and_what_to_do(at: Door) -> None:
    bad = sent(at, state="REFUSED", last_code="vxp.22")
    away = sent(at, state="EXPIRED", last_code="connect.refused")
    doubt = sent(at, state="HELD", doubt=True, hold_cause="refused_in_doubt")
    by_id = {d["id"]: d for d in dead(at)["dead"]}
    assert [by_id[i]["cause"] for i in (bad, away, doubt)] == ["unit", "peer", "peer"]
    assert by_id[bad]["can"] == ["replay"]
    assert by_id[doubt]["commands"] == [
        f"edoc-gateway queue show {doubt}",
        f"edoc-gateway queue release {doubt} --yes-again",
    ]
    assert (by_id[away]["recipients"], by_id[away]["from"]) == ([FARAWAY], SENDER)
    english = {d["id"]: d for d in dead(at, Accept_Language="en")["dead"]}
    assert "the axis" in english[away]["reason"]
    assert by_id[away]["reason"] != english[away]["reason"]
    only = dead(at, "&cause=unit")["dead"]
    assert bad in {d["id"] for d in only}
    assert {d["cause"] for d in only} == {"unit"}
    assert at.get("/v1/queue/dead?cause=moon", Role.OPS).code == "parameter.invalid"
    assert at.get("/v1/queue/dead?state=HELD", Role.OPS).code == "parameter.unknown"
    assert at.get("/v1/queue/dead?cursor=bm8", Role.OPS).code == "cursor.invalid"
    assert at.get("/v1/queue/dead", SENDER).code == "account.role"


def test_pages_of_the_dead_join_without_a_gap(at: Door) -> None:
    def fill(tx: Tx) -> None:
        now = tx.now()
        rows = [
            {
                "axis": "vxp", "axis_doc_id": f"held-{n}", "kind": "document", "sender": "",
                "receiver": "", "listed_at": now, "due_at": now,
            }
            for n in range(3)
        ]  # fmt: skip
        arrivals.list_for_fetch(tx, rows)
        tx.execute(update(fetch).values(state="HELD", last_code="http.500"))

    at.run(at.gateway.store.write(fill))  # type: ignore[arg-type]  # a coroutine
    for _ in range(3):
        sent(at, state="EXPIRED")
    whole = [d["id"] for d in dead(at)["dead"]]
    assert {"held-0", "held-1", "held-2"} <= set(whole)
    walked: list[str] = []
    cursor = ""
    while True:
        page = at.get(f"/v1/queue/dead?limit=2&cursor={cursor}", Role.ADMIN).json()
        walked += [d["id"] for d in page["dead"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert walked == whole
    peer = [d["id"] for d in dead(at, "&cause=peer")["dead"]]
    assert peer[-3:] == ["held-0", "held-1", "held-2"]

    def release(doc_id: str) -> Answer:
        body = {"axis": "vxp", "axis_doc_id": doc_id}
        return at.post_json("/v1/quarantine/fetches/release", Role.OPS, body)

    freed = release("held-1")
    assert freed.json() == {"axis": "vxp", "axis_doc_id": "held-1", "state": "DUE"}
    assert release("held-1").code == "fetch.state_forbids"
    assert release("none").code == "fetch.unknown"
    assert "held-1" not in {d["id"] for d in dead(at)["dead"]}
    left = next(d for d in dead(at)["dead"] if d["id"] == "held-2")
    assert left["commands"] == ["edoc-gateway queue release held-2 --axis vxp"]


def test_one_is_replayed_and_is_no_longer_dead(at: Door) -> None:
    one = sent(at, state="EXPIRED")
    made = act(at, one, "replay", {"reason": "Trục thông lại"}, key="replay-one")
    new = made.json()["transfer_id"]
    assert made.json() == {"transfer_id": new, "replay_of": one, "state": "ACCEPTED"}
    assert act(at, one, "replay", {"reason": "Trục thông lại"}, key="replay-one").body == made.body
    assert act(at, one, "replay", {"reason": "Trục thông lại"}).code == "transfer.replayed_already"
    assert one not in {d["id"] for d in dead(at)["dead"]}
    shown = at.get(f"/v1/queue/{new}", Role.OPS).json()
    assert (shown["replay_of"], shown["state"], shown["recipients"]) == (one, "ACCEPTED", [FARAWAY])


def test_a_period_is_previewed_then_replayed(at: Door) -> None:
    since = now(at).isoformat()
    ids = {sent(at, state="EXPIRED", last_code="http.503") for _ in range(3)}
    mine = sent(at, state="EXPIRED", last_code="http.401")
    until = now(at).isoformat()

    def ask(**body: Any) -> Answer:
        return at.post_json("/v1/queue/replay", Role.OPS, {"from": since, **body})

    seen = ask(preview=True).json()
    assert seen["count"] == 4
    assert set(seen["by_cause"]["peer"]["transfer_ids"]) == ids
    assert seen["by_cause"]["ours"] == {"count": 1, "transfer_ids": [mine]}
    assert ask(to=until).code == "transfer.reason_missing"
    assert ask(reason="x").code == "replay.period"
    assert ask(to=until, axis="nosuch", reason="x").code == "axis.unknown"
    assert ask(preview=True, axis="nosuch").status == 422
    for rate in (0, -5, 100_000):
        wrong = ask(to=until, rate=rate)
        assert wrong.findings() == {
            ("rate", "member.invalid"),
            ("reason", "transfer.reason_missing"),
        }
        assert "1" in wrong.json()["findings"][0]["message"]
        assert "6000" in wrong.json()["findings"][0]["message"]
    assert "true" in ask(preview="maybe").json()["findings"][0]["message"]
    assert ask(to=until, cause="moon").code == "request.invalid"
    nothing = at.post_json("/v1/queue/replay", Role.OPS, {})
    assert nothing.code == "request.invalid"
    assert {path for path, _ in nothing.findings()} == {"from", "to", "reason"}
    assert at.post_json("/v1/queue/replay", SENDER, {"from": since}).code == "account.role"
    made = ask(to=until, cause="peer", rate=120, reason="Trục thông lại").json()
    assert {r["replay_of"] for r in made["replays"]} == ids
    assert ask(to=until, cause="peer", rate=120, reason="Trục thông lại").json()["count"] == 0
    assert ask(preview=True).json()["count"] == 1
