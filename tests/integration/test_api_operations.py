"""Keys, roles, the directory, the queue, quarantine, checkpoints, health: who may see what."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.app import CODE, ID, PUBLIC, ROUTES, make_app
from gateway.api.deps import ApiDeps, ApiLimits
from gateway.errors import Finding, Severity, Text
from gateway.ledger.note import verify_note
from gateway.model.arrival import Incoming
from gateway.model.package import PackageKind
from gateway.store.tables import Role
from gateway.telemetry.metrics import Metrics
from tests.support.api import FARAWAY, PDF, RECEIVER, SENDER, Answer, Door, door, letter
from tests.support.arriving import document
from tests.support.openapi import judge, served

OTHERS = {
    Role.UNIT: SENDER,
    Role.OPS: Role.OPS,
    Role.ADMIN: Role.ADMIN,
    Role.AUDITOR: Role.AUDITOR,
}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("api")) as opened:
        yield opened


def example(path: str) -> str:
    """A path of the table with values in place of its names."""
    filled = path.replace(ID, "some-id").replace(CODE, "H14.19")
    return filled.partition("{")[0] + "0" if "{" in filled else filled


ASKED = [(r.method, example(r.path), r.roles) for r in ROUTES]


# -- keys and roles --------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "roles"), ASKED)
def test_no_route_answers_without_a_key(
    at: Door, method: str, path: str, roles: tuple[Role, ...]
) -> None:
    answer = at.ask(method, path)
    assert (answer.status, answer.code) == (401, "account.key_missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="edoc-gateway"'
    for role, who in OTHERS.items():
        allowed = at.ask(method, path, who, headers={"Content-Type": "application/json"})
        refused = (allowed.status, allowed.status == 403 and allowed.code)
        assert (refused == (403, "account.role")) == (role not in roles)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer edoc_0123456789ab_wrong",
        "Bearer edoc_0123456789ab",
        "Bearer x",
        "Bearer ",
        "Bearer a b",
        "Basic dXNlcjpwYXNz",
        "Bearer edoc_\u00e9_x",
        "Bearer " + "x" * 300,
    ],
)
def test_a_wrong_key_says_only_that_it_is_wrong(at: Door, header: str) -> None:
    answer = at.ask("GET", "/v1/inbox", headers={"Authorization": header})
    assert (answer.status, answer.code) == (401, "account.unauthenticated")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_right_account_with_a_wrong_secret_is_refused(at: Door) -> None:
    key = at.key(SENDER)
    wrong = at.ask("GET", "/v1/inbox", headers={"Authorization": f"Bearer {key[:-1]}~"})
    assert wrong.status == 401


def test_a_key_lives_from_its_making_to_its_revoking(at: Door) -> None:
    body = {"name": "Phần mềm mẫu", "role": "unit", "agencies": ["H14.19"]}
    made = at.post_json("/v1/accounts", Role.OPS, body)
    assert made.status == 201
    account = made.json()
    bearer = {"Authorization": f"Bearer {account['key']}"}
    assert at.ask("GET", "/v1/inbox", headers=bearer).status == 200
    listed = at.get("/v1/accounts", Role.ADMIN)
    assert account["key"].encode() not in listed.body
    assert b"key_hash" not in listed.body
    shown = {a["id"]: a for a in listed.json()["accounts"]}[account["id"]]
    assert (shown["agencies"], shown["revoked_at"]) == (["H14.19"], None)
    gone = at.ask("DELETE", f"/v1/accounts/{account['id']}", Role.OPS)
    assert (gone.status, gone.body) == (204, b"")
    assert at.ask("GET", "/v1/inbox", headers=bearer).status == 401
    again = at.ask("DELETE", f"/v1/accounts/{account['id']}", Role.OPS)
    assert (again.status, again.code) == (404, "account.unknown")


@pytest.mark.parametrize(
    ("body", "code", "paths"),
    [
        ({"name": "x", "role": "unit"}, "account.agencies", {"agencies"}),
        (
            {"name": "x", "role": "ops", "agencies": ["H14.19"]},
            "account.agencies",
            {"agencies"},
        ),
        (
            {"name": "x", "role": "unit", "agencies": ["H14", "H99.9", "?"]},
            "account.agencies",
            {"agencies[1]", "agencies[2]"},
        ),
        ({"name": "", "role": "king"}, "request.invalid", {"name", "role"}),
        ({"name": "a\u0000", "role": "ops"}, "request.invalid", {"name"}),
        ({"nam": "x"}, "request.invalid", {"nam", "name", "role"}),
    ],
)
def test_an_account_that_cannot_be_made_says_why(
    at: Door, body: dict[str, Any], code: str, paths: set[str]
) -> None:
    answer = at.post_json("/v1/accounts", Role.OPS, body)
    assert (answer.status, answer.code) == (422, code)
    assert {path for path, _ in answer.findings()} == paths


# -- the directory ---------------------------------------------------------------------------------


def test_both_written_forms_find_the_same_agency_and_its_road(at: Door) -> None:
    found = [at.get(f"/v1/agencies/{c}", Role.OPS).json() for c in ("H14.19", SENDER, "h14.19")]
    assert found[0] == found[1] == found[2]
    assert set(found[0]) == {
        "code",
        "code102",
        "name",
        "state",
        "valid_from",
        "valid_to",
        "parents",
        "successors",
        "predecessors",
        "source",
    }
    roads = [at.get(f"/v1/agencies/{c}/route", SENDER).json() for c in ("G22", FARAWAY)]
    assert roads[0] == roads[1]
    assert roads[0]["axis"] == "vxp"
    assert roads[0]["why"]
    assert at.get(f"/v1/agencies/{RECEIVER}/route", SENDER).json()["axis"] == "loopback"
    nowhere = at.get("/v1/agencies/H14.01/route", SENDER).json()
    assert nowhere["axis"] == ""
    assert [f["code"] for f in nowhere["findings"]] == ["route.none"]
    for path in ("/v1/agencies/H99.99", "/v1/agencies/H99.99/route"):
        assert at.get(path, SENDER).code == "agency.unknown"


def test_the_directory_is_searched_without_regard_to_marks_and_walked_by_pages(at: Door) -> None:
    whole = at.get("/v1/agencies?q=cao+bang&limit=200", SENDER).json()["agencies"]
    assert len(whole) > 2
    assert all("Cao Bằng" in a["name"] for a in whole)
    walked: list[Any] = []
    cursor = ""
    while True:
        page = at.get(f"/v1/agencies?q=CAO%20B%E1%BA%B0NG&limit=2&cursor={cursor}", SENDER).json()
        walked += page["agencies"]
        cursor = page["cursor"]
        if not cursor:
            break
    assert walked == whole
    by_code = at.get("/v1/agencies?q=000.00.20", SENDER).json()["agencies"]
    assert [a["code"] for a in by_code] == ["H14.20"]


# -- queue, quarantine, ledger ---------------------------------------------------------------------


def test_operators_see_the_queue_and_never_content(at: Door) -> None:
    made = at.submit(letter(FARAWAY, number="900", subject="Nội dung riêng"), ("a.pdf", PDF)).json()
    transfer_id = made["transfers"][0]["transfer_id"]
    listed = at.get("/v1/queue", Role.OPS)
    assert "Nội dung riêng".encode() not in listed.body
    shown = {t["transfer_id"]: t for t in listed.json()["transfers"]}[transfer_id]
    assert (shown["state"], shown["axis"], shown["recipients"]) == ("ACCEPTED", "vxp", [FARAWAY])
    assert at.get("/v1/queue?state=ON_AXIS,HELD", Role.OPS).json()["transfers"] == []
    whole = at.get(f"/v1/queue/{transfer_id}", Role.AUDITOR).json()
    assert whole["attempt_list"] == []
    assert whole["document_id"] == made["document_id"]
    assert at.get("/v1/queue/none", Role.OPS).code == "transfer.unknown"
    assert at.get("/v1/queue?state=LOST", Role.OPS).code == "parameter.invalid"


def test_the_queue_is_walked_page_by_page(at: Door) -> None:
    for number in range(910, 915):
        assert at.submit(letter(number=str(number)), ("a.pdf", PDF)).status == 202
    whole = [t["transfer_id"] for t in at.get("/v1/queue?limit=200", Role.OPS).json()["transfers"]]
    walked: list[str] = []
    cursor = ""
    while True:
        page = at.get(f"/v1/queue?limit=2&cursor={cursor}", Role.OPS).json()
        walked += [t["transfer_id"] for t in page["transfers"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert walked == whole


def test_an_arrival_that_cannot_be_opened_is_shown_with_its_findings(at: Door) -> None:
    raw = "<html>riêng tư</html>".encode()
    digest = hashlib.sha256(raw).hexdigest()
    at.gateway.blobs.keep_bytes(raw, digest)
    incoming = Incoming(
        axis="vxp",
        axis_doc_id="page-1",
        kind=PackageKind.DOCUMENT,
        sha256=digest,
        size=len(raw),
        listed_from=FARAWAY,
        listed_to=SENDER,
    )
    at.run(at.gateway.inbound.receive(incoming))
    at.run(at.gateway.inbound.open_next(10))
    answer = at.get("/v1/quarantine", Role.OPS, Accept_Language="en")
    arrival = answer.json()["arrivals"][0]
    assert (arrival["state"], arrival["axis_doc_id"]) == ("QUARANTINED", "page-1")
    assert arrival["raw"] == {"sha256": digest, "size": len(raw)}
    assert arrival["findings"][0]["message"]
    assert "riêng tư".encode() not in answer.body
    assert answer.json()["fetches"] == []


def test_an_operator_decides_about_an_arrival_over_rest(at: Door) -> None:
    def arrive(doc_id: str, subject: str) -> str:
        data = document(SENDER, sender=FARAWAY, document_id="same-id", subject=subject)
        digest = hashlib.sha256(data).hexdigest()
        at.gateway.blobs.keep_bytes(data, digest)
        incoming = Incoming("vxp", doc_id, PackageKind.DOCUMENT, digest, len(data))
        arrival = at.run(at.gateway.inbound.receive(incoming))
        at.run(at.gateway.inbound.open_next(10))
        return str(arrival)

    first, second, third = (arrive(f"rest-{n}", f"Văn bản {n}") for n in range(3))
    shown = at.get(f"/v1/quarantine/{second}", Role.OPS, Accept_Language="en")
    judge(served()["components"]["schemas"]["Arrival"], shown.json())
    assert [f["code"] for f in shown.json()["findings"]] == ["arrival.conflict"]
    assert at.get("/v1/quarantine/nobody", Role.OPS).code == "arrival.unknown"

    def decide(path: str, **body: object) -> Answer:
        return at.post_json(f"/v1/quarantine/{path}", Role.OPS, body)

    refused = decide(f"{second}/open", reason=" ")
    assert (refused.status, refused.code) == (422, "decision.reason_missing")
    assert decide(f"{second}/open").code == "request.invalid"
    opened = decide(f"{second}/open", reason="Đã hỏi")
    assert (opened.status, opened.json()["state"]) == (200, "OPENED")
    again = decide(f"{second}/open", reason="Đã hỏi")
    assert (again.status, again.code) == (409, "arrival.not_waiting")
    assert decide(f"{first}/return", reason="x").code == "arrival.not_waiting"
    untold = decide(f"{third}/return", reason="x", tell_sender=True)
    assert (untold.status, untold.code) == (409, "arrival.cannot_be_told")
    returned = decide(f"{third}/return", reason="Đã gọi điện")
    assert (returned.json()["state"], returned.json()["transfers"]) == ("RETURNED", [])


def test_the_checkpoint_is_the_signed_note_itself(tmp_path: Path) -> None:
    with door(tmp_path) as at:
        empty = at.get("/v1/ledger/checkpoint", Role.OPS)
        assert (empty.status, empty.code) == (404, "ledger.empty")
        at.run(at.gateway.sealing.seal())
        note = at.get("/v1/ledger/checkpoint", Role.AUDITOR)
        assert note.headers["Content-Type"] == "text/plain; charset=utf-8"
        scribe = at.gateway.scribe
        verify_note(note.body.decode(), scribe.origin, scribe.key.public_key())


# -- health and manners ----------------------------------------------------------------------------


def test_the_public_pages_need_no_key(at: Door) -> None:
    for path, _ in PUBLIC:
        assert at.get(path).status == 200
    assert at.get("/readyz").json() == {"ready": True, "reasons": []}
    page = at.get("/docs")
    assert "style-src 'unsafe-inline'" in page.headers["Content-Security-Policy"]
    assert b"http://" not in page.body
    assert b"https://" not in page.body
    assert b"<script" not in page.body


def test_figures_name_routes_and_never_ids(at: Door) -> None:
    at.get("/v1/documents/01939c1e-0000", SENDER)
    figures = at.get("/metrics").body
    assert b'route="/v1/documents/{id}",status="4xx"' in figures
    assert b"01939c1e-0000" not in figures
    assert b'edoc_refused_total{code="document.unknown"}' in figures


def test_every_answer_has_its_manners(at: Door) -> None:
    for answer in (at.get("/v1/inbox", SENDER), at.get("/v1/inbox"), at.get("/nowhere")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "edoc-gateway"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert len(answer.headers["X-Request-Id"]) == 16


def test_addresses_and_methods_that_do_not_exist_are_problems(at: Door) -> None:
    for path in ("/", "/v1", "/v1/statistics", "/v1/documents/a%00b", "/v1/documents/../x"):
        answer = at.get(path, SENDER)
        assert (answer.status, answer.code) == (404, "request.no_such_address")
    wrong = at.ask("PUT", "/v1/documents", SENDER)
    assert (wrong.status, wrong.code) == (405, "request.method")
    assert set(wrong.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


def test_a_stored_file_that_is_gone_is_a_fault_without_detail(at: Door) -> None:
    made = at.submit(letter(number="950"), ("a.pdf", PDF)).json()
    path = f"/v1/documents/{made['id']}/package"
    digest = hashlib.sha256(at.get(path, SENDER).body).hexdigest()
    at.gateway.blobs.delete(digest)
    answer = at.get(path, SENDER, Accept_Language="en")
    assert (answer.status, answer.code) == (500, "gateway.broken")
    assert digest.encode() not in answer.body
    assert "X-Request-Id" in answer.json()["detail"]
    assert at.get("/healthz").status == 200


def alone(at: Door, **changes: Any) -> ApiDeps:
    given = {
        "desk": at.gateway.desk,
        "blobs": at.gateway.blobs,
        "metrics": Metrics(),
        "reconciling": at.gateway.reconciling,
        "stampbook": at.gateway.stampbook,
    }
    return ApiDeps(**{"readiness": ready, **given, **changes})


async def ready() -> list[Finding]:
    return []


def test_not_ready_says_why_and_a_warning_does_not_stop(at: Door) -> None:
    async def ask(severity: Severity) -> tuple[int, Any]:
        async def reasons() -> list[Finding]:
            text = Text("Sổ cái đứng yên", "the ledger stands still")
            return [Finding("ledger", "ledger.unsealed", severity, text)]

        async with TestClient(TestServer(make_app(alone(at, readiness=reasons)))) as client:
            answer = await client.get("/readyz", headers={"Accept-Language": "en"})
            return answer.status, await answer.json()

    status, said = asyncio.run(ask(Severity.ERROR))
    assert (status, said["ready"]) == (503, False)
    assert said["reasons"][0]["message"] == "the ledger stands still"
    assert asyncio.run(ask(Severity.WARNING))[0] == 200


def test_a_fault_nobody_foresaw_is_a_problem_without_detail(at: Door) -> None:
    async def surprise() -> list[Finding]:
        raise ZeroDivisionError("the secret of the house")

    async def ask() -> tuple[int, str, bytes, int]:
        app = make_app(alone(at, readiness=surprise))
        async with TestClient(TestServer(app)) as client:
            answer = await client.get("/readyz", headers={"Accept": "text/html"})
            body = await answer.read()
            alive = await client.get("/healthz")
            return answer.status, answer.content_type, body, alive.status

    status, kind, body, alive = asyncio.run(ask())
    assert (status, kind, alive) == (500, "application/problem+json", 200)
    assert b"secret" not in body
    assert b"gateway.broken" in body


def test_an_answer_that_comes_too_late_is_asked_for_again(at: Door) -> None:
    async def late() -> list[Finding]:
        raise TimeoutError

    async def ask() -> tuple[int, str, str | None]:
        async with TestClient(TestServer(make_app(alone(at, readiness=late)))) as client:
            answer = await client.get("/readyz")
            return answer.status, (await answer.json())["code"], answer.headers.get("Retry-After")

    assert asyncio.run(ask()) == (503, "service.unavailable", "5")


def test_a_body_that_stands_still_is_given_up(at: Door) -> None:
    async def ask() -> tuple[int, bytes]:
        limits = replace(ApiLimits(), idle_seconds=0.05)
        app = make_app(alone(at, limits=limits))
        async with TestServer(app) as server:
            assert server.port is not None
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                b"Content-Type: application/edxml+xml\r\n"
                b"Authorization: Bearer " + key + b"\r\n\r\n<?xml"
            )
            line = await reader.readline()
            rest = await reader.readuntil(b"findings")
            writer.close()
            return int(line.split()[1]), rest

    key = at.key(SENDER).encode()
    status, rest = asyncio.run(asyncio.wait_for(ask(), 30))
    assert status == 408
    assert b"request.stalled" in rest
