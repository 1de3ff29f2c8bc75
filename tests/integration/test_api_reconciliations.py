"""Reconciliations over REST, for ops and auditors; the axis of this gateway never answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.api import reconciliations
from gateway.c14n import canonical_json
from gateway.dispatch.reconcile import VIETNAM
from gateway.ledger.reconciliation import verify_report
from gateway.store.tables import Role
from tests.support.api import SENDER, Answer, Door, door


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("reconciliations")) as opened:
        yield opened


def today(at: Door, back: int = 0) -> str:
    now = at.gateway.scribe.now().astimezone(VIETNAM).date()
    return (now - timedelta(days=back)).isoformat()


def ask(at: Door, who: str | Role, **body: str) -> Answer:
    return at.ask(
        "POST",
        "/v1/reconciliations",
        who,
        body=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )


def test_an_auditor_asks_and_gets_a_report_that_verifies(at: Door) -> None:
    made = ask(at, Role.AUDITOR, axis="vxp", day=today(at))
    assert made.status == 201
    told = made.json()
    assert told["counts"]["unanswered"] > 0
    assert {o["why"] for o in told["report"]["unanswered"]} == {"connect.refused"}
    file = canonical_json(told["signed"])
    key = at.gateway.scribe.key.public_key()
    assert verify_report(file, key).report == told["report"]
    again = at.get(made.headers["Location"], Role.OPS)
    assert again.json() == told


def test_loopback_can_be_asked_nothing_and_says_so(at: Door) -> None:
    told = ask(at, Role.OPS, axis="loopback", day=today(at)).json()
    assert {o["why"] for o in told["report"]["unanswered"]} == {"not_able"}
    assert told["report"]["axis_can"] == {"follow_up": False, "list": False, "count": False}


def test_who_waits_no_longer_finds_the_report_at_its_address(
    at: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliations, "WAIT_SECONDS", 0.0)
    begun = ask(at, Role.OPS, axis="vxp", day=today(at, 3))
    assert begun.status == 202
    assert begun.json()["state"] == "running"
    address = begun.headers["Location"]
    while (found := at.get(address, Role.AUDITOR).json())["state"] == "running":
        pass
    assert found["state"] == "made"


def test_reports_are_listed_newest_first_and_page_by_page(at: Door) -> None:
    ids = [
        ask(at, Role.OPS, axis="loopback", day=today(at, back)).json()["id"] for back in (5, 6, 5)
    ]
    day = today(at, 5)
    listed = at.get(f"/v1/reconciliations?axis=loopback&day={day}", Role.AUDITOR).json()
    assert [one["id"] for one in listed["reconciliations"]] == [ids[2], ids[0]]
    assert listed["cursor"] == ""
    assert {one["daily"] for one in listed["reconciliations"]} == {False}
    first = at.get("/v1/reconciliations?axis=loopback&limit=1", Role.OPS).json()
    rest = at.get(f"/v1/reconciliations?axis=loopback&cursor={first['cursor']}", Role.OPS).json()
    found = [one["id"] for one in first["reconciliations"] + rest["reconciliations"]]
    assert found[:3] == list(reversed(ids))


def test_what_cannot_be_asked_is_refused(at: Door) -> None:
    assert ask(at, SENDER, axis="vxp", day=today(at)).status == 403
    unknown = ask(at, Role.OPS, axis="none", day=today(at))
    assert (unknown.status, unknown.code) == (404, "axis.unknown")
    future = ask(at, Role.OPS, axis="vxp", day=today(at, -1))
    assert (future.status, future.code) == (422, "reconciliation.future")
    for day, code in (
        ("0001-01-01", "reconciliation.before"),
        ("1999-12-31", "reconciliation.before"),
        ("9999-12-31", "reconciliation.future"),
    ):
        impossible = ask(at, Role.OPS, axis="vxp", day=day)
        assert (impossible.status, impossible.code) == (422, code), day
        assert day in impossible.json()["detail"]
    for day in ("2026-02-30", "2026-W47-5", "20261120", "x"):
        wrong = ask(at, Role.OPS, axis="vxp", day=day)
        assert (wrong.status, wrong.findings()) == (422, {("day", "member.invalid")})
        assert "YYYY-MM-DD" in wrong.json()["findings"][0]["message"]
    both = ask(at, Role.OPS, axis="no", day="x")
    assert both.findings() == {("day", "member.invalid"), ("axis", "axis.unknown")}
    assert ask(at, Role.OPS, axis="vxp").findings() == {("day", "member.missing")}
    assert at.get("/v1/reconciliations?day=now", Role.OPS).code == "parameter.invalid"
    missing = at.get("/v1/reconciliations/0198c0de", Role.OPS)
    assert (missing.status, missing.code) == (404, "reconciliation.unknown")
