"""Receiving over HTTP: poll, lease, fetch, confirm, report; and what each instant needs."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Text, Unavailable
from tests.support.api import PDF, RECEIVER, SENDER, Door, door, letter
from tests.support.packages import a_pdf

NUMBERS = iter(range(1000, 2000))


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("api")
    with door(folder, jobs=("api", "seal", "deliver", "open")) as opened:
        yield opened


def received(at: Door, *files: tuple[str, bytes]) -> dict[str, Any]:
    """A document that has just arrived, found by its subject."""
    number = str(next(NUMBERS))
    sent = at.submit(letter(number=number), *(files or (("van-ban.pdf", PDF),)))
    assert sent.status == 202, sent.body
    return arrived(at, RECEIVER, "document", sent.json()["document_id"])


def arrived(at: Door, agency: str, kind: str, document_id: str, code: str = "") -> dict[str, Any]:
    """Polls until the item is there; what else waits is confirmed, so that a poll really waits."""
    while True:
        answer = at.get(f"/v1/inbox?agency={agency}&kind={kind}&wait=20&limit=200", agency)
        items: list[dict[str, Any]] = answer.json()["items"]
        for found in items:
            said = found.get("status", {}).get("code", "")
            if (found["document_id"], said) == (document_id, code):
                return found
        for other in items:
            assert at.post_json(f"/v1/inbox/{other['id']}/confirm", agency, {}).status == 200


def item(at: Door, item_id: str, who: str = RECEIVER) -> dict[str, Any]:
    shown: dict[str, Any] = at.get(f"/v1/inbox/{item_id}", who).json()
    return shown


def fetched(at: Door, item_id: str) -> str | None:
    value: str | None = item(at, item_id)["instants"]["fetched_at"]
    return value


def test_a_poll_is_answered_when_something_arrives(at: Door) -> None:
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(at.get, "/v1/inbox?kind=document&wait=60", RECEIVER)
        sent = at.submit(letter(number=str(next(NUMBERS))), ("a.pdf", PDF))
        assert sent.status == 202
        items = poll.result().json()["items"]
    assert sent.json()["document_id"] in {i["document_id"] for i in items}


def test_a_poll_ends_empty_when_the_gateway_stops(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with door(tmp_path) as opened:
            opened.key(RECEIVER)
            poll = pool.submit(opened.get, "/v1/inbox?wait=60", RECEIVER)
            while not opened.run(is_polled()):
                assert opened.get("/healthz").status == 200
        answer = poll.result()
    assert answer.status == 200
    assert answer.json() == {"items": [], "cursor": ""}


async def is_polled() -> bool:
    return any("Desk.inbox" in repr(task.get_coro()) for task in asyncio.all_tasks())


def test_an_item_shows_its_header_files_verdict_and_instants(at: Door) -> None:
    got = received(at)
    assert got["state"] == "WAITING"
    assert got["from"] == SENDER
    assert got["agency"] == RECEIVER
    assert got["header"]["subject"]
    assert got["attachments"][0]["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert got["attachments"][0]["actual_type"] == "application/pdf"
    assert got["signature"]["profile"] == "relay"
    assert got["instants"]["sources"] == {"available_at": "observed"}


def test_a_lease_hides_an_item_from_everybody_else(at: Door) -> None:
    got = received(at)
    leased = at.post_json(f"/v1/inbox/{got['id']}/lease", RECEIVER, {})
    assert leased.status == 200
    assert leased.json()["lease"]
    again = at.post_json(f"/v1/inbox/{got['id']}/lease", RECEIVER, {})
    assert (again.status, again.code) == (409, "item.leased")
    listed = at.get("/v1/inbox?limit=200", RECEIVER).json()["items"]
    assert got["id"] not in {i["id"] for i in listed}
    assert at.post_json(f"/v1/inbox/{got['id']}/confirm", RECEIVER, {}).status == 200
    done = at.post_json(f"/v1/inbox/{got['id']}/lease", RECEIVER, {})
    assert (done.status, done.code) == (409, "item.state_forbids")


def test_whoever_holds_a_lease_keeps_it_by_showing_it(at: Door) -> None:
    path = f"/v1/inbox/{received(at)['id']}/lease"
    first = at.ask("POST", path, RECEIVER).json()
    again = at.post_json(path, RECEIVER, {"lease": first["lease"]})
    assert again.status == 200
    assert again.json()["lease"] == first["lease"]
    assert again.json()["until"] > first["until"]
    other = at.post_json(path, RECEIVER, {"lease": "one-that-nobody-gave"})
    assert (other.status, other.code) == (409, "item.leased")
    wrong = at.post_json(path, RECEIVER, {"lease": 5, "until": ""})
    assert wrong.findings() == {("lease", "member.invalid"), ("until", "member.unknown")}


def test_an_attachment_is_served_under_its_own_name(at: Door) -> None:
    got = received(at, ("Công văn số 1.pdf", PDF))
    served = at.get(f"/v1/inbox/{got['id']}/attachments/0", RECEIVER)
    assert served.body == PDF
    assert served.headers["Content-Type"] == "application/pdf"
    disposition = served.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename=\"C_ng v_n s_ 1.pdf\"; filename*=UTF-8''")
    assert "C%C3%B4ng%20v%C4%83n" in disposition
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert served.headers["ETag"] == f'"{hashlib.sha256(PDF).hexdigest()}"'
    for number in ("1", "99999"):
        missing = at.get(f"/v1/inbox/{got['id']}/attachments/{number}", RECEIVER)
        assert (missing.status, missing.code) == (404, "attachment.unknown")


def test_fetched_is_the_instant_of_the_first_whole_serving_of_the_package(at: Door) -> None:
    got = received(at, ("a.pdf", a_pdf(700_000)))
    path = f"/v1/inbox/{got['id']}/package"
    size = got["package"]["size"]
    assert at.ask("HEAD", path, RECEIVER).status == 200
    assert at.get(path, RECEIVER, If_None_Match=f'"{got["package"]["sha256"]}"').status == 304
    assert at.get(path, RECEIVER, Range=f"bytes=0-{size - 2}").status == 206
    assert fetched(at, got["id"]) is None
    whole = at.get(path, RECEIVER)
    assert hashlib.sha256(whole.body).hexdigest() == got["package"]["sha256"]
    first = fetched(at, got["id"])
    assert first is not None
    at.get(path, RECEIVER)
    assert fetched(at, got["id"]) == first


def test_a_range_with_the_last_byte_completes_a_serving(at: Door) -> None:
    got = received(at)
    served = at.get(f"/v1/inbox/{got['id']}/package", RECEIVER, Range="bytes=-1")
    assert served.status == 206
    assert fetched(at, got["id"]) is not None


def test_attachments_complete_a_serving_when_all_of_them_were_served(at: Door) -> None:
    got = received(at, ("a.pdf", PDF), ("b.pdf", PDF + b" "), ("c.pdf", PDF + b"  "))
    path = f"/v1/inbox/{got['id']}/attachments"
    at.get(f"{path}/0", RECEIVER)
    at.get(f"{path}/0", RECEIVER)
    at.get(f"{path}/2", RECEIVER)
    assert fetched(at, got["id"]) is None
    at.get(f"{path}/1", RECEIVER)
    assert fetched(at, got["id"]) is not None


def test_confirming_twice_brings_the_same_receipt(at: Door) -> None:
    got = received(at)
    path = f"/v1/inbox/{got['id']}/confirm"
    first = at.post_json(path, RECEIVER, {})
    assert first.json()["state"] == "ENTERED"
    assert at.post_json(path, RECEIVER, {}).body == first.body
    shown = item(at, got["id"])
    assert shown["instants"]["entered_at"] == first.json()["entered_at"]
    back = arrived(at, SENDER, "status", got["document_id"], "01")
    assert back["status"]["code"] == "01"
    seen = at.post_json(f"/v1/inbox/{back['id']}/confirm", SENDER, {}).json()
    assert seen["state"] == "SEEN"
    assert "entered_at" not in seen


def test_a_status_goes_back_with_what_the_unit_said(at: Door) -> None:
    got = received(at)
    path = f"/v1/inbox/{got['id']}"
    early = at.post_json(f"{path}/status", RECEIVER, {"code": "03"})
    assert (early.status, early.code) == (409, "item.not_entered")
    at.post_json(f"{path}/confirm", RECEIVER, {})
    staff = {"department": "Văn thư", "name": "Người mẫu", "mobile": "0900000000"}
    body = {"code": "03", "description": "Đã tiếp nhận", "staff": staff}
    made = at.post_json(f"{path}/status", RECEIVER, body)
    assert made.status == 202
    back = arrived(at, SENDER, "status", got["document_id"], "03")
    assert back["status"]["description"] == "Đã tiếp nhận"
    assert back["status"]["staff"] == staff
    assert back["about"]


def test_a_refusal_needs_a_reason_and_no_confirm(at: Door) -> None:
    got = received(at)
    path = f"/v1/inbox/{got['id']}/status"
    bare = at.post_json(path, RECEIVER, {"code": "02", "description": "  "})
    assert (bare.status, bare.code) == (422, "status.reason_missing")
    assert bare.findings() == {("description", "status.reason_missing")}
    assert at.post_json(path, RECEIVER, {"code": "02", "description": "Sai nơi nhận"}).status == 202
    assert item(at, got["id"])["state"] == "REFUSED"
    late = at.post_json(f"/v1/inbox/{got['id']}/confirm", RECEIVER, {})
    assert (late.status, late.code) == (409, "item.state_forbids")


@pytest.mark.parametrize(
    ("body", "findings"),
    [
        ({}, {("code", "member.missing")}),
        ({"code": "01"}, {("code", "member.invalid")}),
        (
            {"code": 6, "description": None, "staf": {}},
            {
                ("code", "member.invalid"),
                ("description", "member.invalid"),
                ("staf", "member.unknown"),
            },
        ),
        ({"code": "06", "staff": {"name": "x", "age": 3}}, {("staff.age", "member.unknown")}),
        ({"code": "06", "description": "a\u0000b"}, {("description", "member.invalid")}),
    ],
)
def test_a_status_body_that_is_wrong_names_every_member(
    at: Door, body: dict[str, Any], findings: set[tuple[str, str]]
) -> None:
    answer = at.post_json("/v1/inbox/some-item/status", RECEIVER, body)
    assert (answer.status, answer.code) == (422, "request.invalid")
    assert answer.findings() == findings


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"06"', b"\xff", b'{"code": "\\ud800"}'])
def test_a_status_body_that_is_no_json_object_is_malformed(at: Door, body: bytes) -> None:
    answer = at.post_json("/v1/inbox/some-item/status", RECEIVER, body)
    assert (answer.status, answer.code) == (400, "request.not_json")


def test_a_status_body_has_a_type_and_a_limit(at: Door) -> None:
    path = "/v1/inbox/some-item/status"
    other = at.ask("POST", path, RECEIVER, body=b"code=06")
    assert (other.status, other.code) == (415, "request.media_type")
    large = at.post_json(path, RECEIVER, b'{"description": "' + b"x" * 70_000 + b'"}')
    assert (large.status, large.code) == (413, "limit.json_bytes")


def test_what_belongs_to_others_does_not_exist(at: Door) -> None:
    got = received(at)
    for path in ("", "/package", "/attachments/0"):
        answer = at.get(f"/v1/inbox/{got['id']}{path}", SENDER)
        assert (answer.status, answer.code) == (404, "item.unknown")
    for step in ("lease", "confirm"):
        assert at.post_json(f"/v1/inbox/{got['id']}/{step}", SENDER, {}).status == 404
    listing = at.get(f"/v1/inbox?agency={RECEIVER}", SENDER)
    assert (listing.status, listing.code) == (403, "account.other_agency")


@pytest.mark.parametrize(
    "query",
    [
        "wait=61",
        "wait=-1",
        "wait=soon",
        "wait=1e9",
        "limit=0",
        "limit=201",
        "limit=1.5",
        "kind=letter",
        "cursor=%20",
        "cursor=bm9uc2Vuc2U",
        "cursor=WzEsMiwzXQ",
        "cursor=WyJ4IiwieSJd",
        "cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5LCJhIl0",
        "agencies=x",
    ],
)
def test_a_parameter_that_is_wrong_is_a_malformed_request(at: Door, query: str) -> None:
    answer = at.get(f"/v1/inbox?{query}", RECEIVER)
    assert answer.status == 400
    assert answer.code in ("parameter.invalid", "parameter.unknown", "cursor.invalid")


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x"])
def test_a_limit_that_is_wrong_is_answered_with_the_range_that_is_taken(
    at: Door, limit: str
) -> None:
    answer = at.get(f"/v1/inbox?limit={limit}", RECEIVER)
    assert "1 đến 200" in answer.json()["detail"]


def test_both_written_forms_of_a_code_ask_for_the_same_inbox(at: Door) -> None:
    got = received(at)
    for code in (RECEIVER, "H14.20", "h14.20"):
        listed = at.get(f"/v1/inbox?agency={code}&limit=200", RECEIVER).json()["items"]
        assert got["id"] in {i["id"] for i in listed}


def test_a_serving_that_cannot_be_recorded_is_broken_off_and_leads_to_no_instant(at: Door) -> None:
    """The port Entropy gives no id, so no record can be made of the serving."""
    got = received(at, ("a.pdf", a_pdf(700_000)))
    path = f"/v1/inbox/{got['id']}/package"
    scribe = at.gateway.scribe
    salted, scribe.entropy = scribe.entropy, Exhausted()
    try:
        with pytest.raises(http.client.IncompleteRead) as cut:
            at.get(path, RECEIVER)
    finally:
        scribe.entropy = salted
    assert len(cut.value.partial) < got["package"]["size"]
    assert fetched(at, got["id"]) is None
    assert at.get(path, RECEIVER).status == 200
    assert fetched(at, got["id"]) is not None


class Exhausted:
    """A source of ids that has none for now."""

    def new_id(self) -> str:
        raise Unavailable(Text("Hết", "none left"))

    def salt(self) -> str:
        raise Unavailable(Text("Hết", "none left"))

    def fraction(self) -> float:
        return 0.5
