"""POST /v1/documents and what can be asked afterwards, over real HTTP, on both databases."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.c14n import canonical_json
from gateway.ledger.receipt import verify_receipt
from gateway.model.package import Organ
from gateway.packing.read import read_package
from gateway.store.tables import Role
from tests.support.api import (
    BOUNDARY,
    FARAWAY,
    PDF,
    RECEIVER,
    SENDER,
    Answer,
    Door,
    door,
    form,
    letter,
)
from tests.support.packages import a_header, a_pdf, packed

PACKAGE = {"Content-Type": "application/edxml+xml"}
FILE = ("van-ban.pdf", PDF)
LARGE = a_pdf(3_000_000)


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("api")
    if request.param == "sqlite":
        with door(folder) as opened:
            yield opened
        return
    server = request.getfixturevalue("postgres")
    with server.database(migrated=True) as url, door(folder, database=url) as opened:
        yield opened


def seal(at: Door) -> None:
    while at.run(at.gateway.sealing.seal()):
        pass


def accepted(answer: Answer) -> dict[str, Any]:
    assert answer.status == 202, answer.body.decode()
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/documents/{made['id']}"
    return made


def test_a_document_is_accepted_with_a_receipt_that_can_be_checked(at: Door) -> None:
    made = accepted(at.submit(letter(number="100"), FILE))
    receipt = canonical_json(made["receipt"])
    checked = verify_receipt(receipt, at.gateway.scribe.key.public_key())
    assert checked.record.about["document"] == made["id"]
    assert made["transfers"][0]["recipients"] == [RECEIVER]
    assert made["legal_value"] == {"class": "information", "provisional": True}
    assert made["accepted_at"].endswith("+07:00")


@pytest.mark.parametrize("files", [[FILE], [("lớn.pdf", LARGE), ("phụ lục.bin", b"\x00\r\n--x")]])
def test_what_was_uploaded_is_in_the_package_byte_for_byte(
    at: Door, files: list[tuple[str, bytes]]
) -> None:
    """In memory and through a spool alike."""
    made = accepted(at.submit(letter(number=f"2{len(files)}"), *files))
    served = at.get(f"/v1/documents/{made['id']}/package", SENDER)
    package = read_package(io.BytesIO(served.body))
    assert [(f.declared_name, f.sha256) for f in package.files] == [
        (name, hashlib.sha256(data).hexdigest()) for name, data in files
    ]
    assert at.kept()["spools"] == 0


def test_the_same_key_and_content_bring_the_first_answer_again(at: Door) -> None:
    """Content is what the metadata say and the files hold, not how the body is written."""
    key = {"Idempotency-Key": "order-300"}
    meta = letter(number="300")
    first = at.submit(meta, FILE, headers=key)
    rewritten = json.dumps(dict(reversed(meta.items())), ensure_ascii=False, indent=4).encode()
    body = form([("metadata", None, rewritten), ("file", *FILE)]).replace(
        BOUNDARY.encode(), b"another-boundary"
    )
    kind = "multipart/form-data; boundary=another-boundary"
    before = at.kept()
    again = at.post_form(body, headers={**key, "Content-Type": kind})
    assert again.body == first.body
    assert again.headers["Location"] == first.headers["Location"]
    assert at.kept() == before
    other = at.submit(meta, ("van-ban.pdf", PDF + b" "), headers=key)
    assert (other.status, other.code) == (409, "idempotency.mismatch")
    assert at.kept() == before


def test_a_file_name_as_dotnet_writes_it_is_the_name_that_arrives(at: Door) -> None:
    word = f"=?utf-8?B?{base64.b64encode('Công văn số 12.pdf'.encode()).decode()}?="
    star = "utf-8''C%C3%B4ng%20v%C4%83n%20s%E1%BB%91%2012.pdf"
    body = form([("metadata", None, json.dumps(letter(number="977")).encode()), ("file", "?", PDF)])
    body = body.replace(b'filename="?"', f'filename="{word}"; filename*={star}'.encode())
    made = accepted(at.post_form(body))
    shown = at.get(f"/v1/documents/{made['id']}", SENDER).json()
    assert [f["name"] for f in shown["files"]] == ["Công văn số 12.pdf"]


def accepted_figure(at: Door) -> float:
    shown = at.get("/metrics").body.decode()
    found = re.search(r'^edoc_accepted_total\{kind="document"\} (\S+)$', shown, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_promise_is_counted_once_and_a_repetition_or_refusal_never(at: Door) -> None:
    before = accepted_figure(at)
    meta = letter(number="310")
    for key in ("order-310", "order-310", "order-311"):
        assert at.submit(meta, FILE, headers={"Idempotency-Key": key}).status == 202
    assert at.submit({**meta, "subject": ""}, FILE).status == 422
    assert accepted_figure(at) == before + 1


def test_equal_requests_at_the_same_moment_make_one_document(at: Door) -> None:
    at.key(SENDER)
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(
                at.submit, letter(number="310"), FILE, headers={"Idempotency-Key": "order-310"}
            )
            for _ in range(8)
        ]
        answers = {one.result().body for one in asked}
    assert len(answers) == 1
    accepted(Answer(202, at.submit(letter(number="310"), FILE).headers, answers.pop()))


def test_another_document_under_the_same_id_is_a_conflict(at: Door) -> None:
    accepted(at.submit(letter(number="320"), FILE))
    before = at.kept()
    answer = at.submit(letter(number="320", subject="Một văn bản khác"), FILE)
    assert (answer.status, answer.code) == (409, "document.conflict")
    assert at.kept() == before


def test_the_same_document_again_brings_the_first_answer_or_reaches_new_receivers(at: Door) -> None:
    first = at.submit(letter(number="330"), FILE)
    assert at.submit(letter(number="330"), FILE).body == first.body
    more = accepted(at.submit(letter(RECEIVER, FARAWAY, number="330"), FILE))
    assert more["id"] != first.json()["id"]
    assert [t["recipients"] for t in more["transfers"]] == [[FARAWAY]]
    assert [(f["path"], f["code"]) for f in more["findings"]] == [
        ("to[0].organ_id", "document.already_sent")
    ]


def test_the_gateway_makes_a_document_id_where_there_is_none(at: Door) -> None:
    meta = {k: v for k, v in letter(number="340").items() if k != "document_id"}
    made = accepted(at.submit(meta, FILE, headers={"Idempotency-Key": "order-340"}))
    assert made["document_id"] == f"{SENDER},2026/11/20,340/UBND-VX"


def test_a_ready_made_package_is_sent_as_it_came(at: Door) -> None:
    header = a_header(sender=Organ(SENDER), to=(Organ(RECEIVER),), document_id="sample,400")
    body = packed(header, [("lớn.pdf", LARGE)])
    key = {"Idempotency-Key": "order-400"}
    answer = at.ask("POST", "/v1/documents", SENDER, body=body, headers={**PACKAGE, **key})
    made = accepted(answer)
    assert made["document_id"] == "sample,400"
    assert at.get(f"/v1/documents/{made['id']}/package", SENDER).body == body
    again = at.ask("POST", "/v1/documents", SENDER, body=body, headers={**PACKAGE, **key})
    assert again.body == answer.body
    assert at.kept()["spools"] == 0


def test_states_instants_and_records_can_be_asked(at: Door) -> None:
    stated = "2026-11-20T10:00:00+07:00"
    made = accepted(at.submit(letter(number="500", released_at=stated), FILE))
    seal(at)
    shown = at.get(f"/v1/documents/{made['id']}", SENDER).json()
    assert shown["instants"]["released_at"] == "2026-11-20T10:00:00.000000+07:00"
    assert shown["instants"]["sources"] == {"released_at": "stated", "accepted_at": "observed"}
    assert shown["instants"]["accepted_at"] == made["accepted_at"]
    assert [(t["axis"], t["state"]) for t in shown["transfers"]] == [("loopback", "SEALED")]
    assert shown["files"] == [
        {"name": FILE[0], "size": len(PDF), "sha256": hashlib.sha256(PDF).hexdigest()}
    ]
    records = at.get(f"/v1/documents/{made['id']}/history", SENDER).json()["records"]
    assert [(r["event"], r["sealed"]) for r in records] == [("submission.accepted", True)]
    assert records[0]["record"]["about"]["document"] == made["id"]


def test_the_trace_of_a_request_is_kept_in_its_records(at: Door) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    asked = at.submit(letter(number="515"), FILE, headers={"traceparent": trace})
    (record,) = at.get(f"/v1/documents/{accepted(asked)['id']}/history", SENDER).json()["records"]
    assert record["record"]["about"]["traceparent"] == trace


def test_who_may_see_a_document(at: Door) -> None:
    made = accepted(at.submit(letter(number="510"), FILE))
    path = f"/v1/documents/{made['id']}"
    for suffix in ("", "/history", "/package"):
        stranger = at.get(path + suffix, RECEIVER)
        assert (stranger.status, stranger.code) == (404, "document.unknown")
    assert at.get(path, Role.AUDITOR).status == 403  # it shows the subject; the records do not
    assert at.get(path + "/history", Role.AUDITOR).status == 200
    content = at.get(path + "/package", Role.AUDITOR)
    assert (content.status, content.code) == (403, "account.role")
    assert at.get(path, Role.OPS).status == 403
    assert at.get("/v1/documents/no-such-document", SENDER).code == "document.unknown"
    assert at.get(path + "/package?axis=nowhere", SENDER).status == 404


def test_a_list_is_walked_page_by_page_without_a_gap(at: Door) -> None:
    for number in range(600, 605):
        accepted(at.submit(letter(number=str(number)), FILE))
    whole = [d["id"] for d in at.get("/v1/documents?limit=200", SENDER).json()["documents"]]
    walked: list[str] = []
    cursor = ""
    while True:
        page = at.get(f"/v1/documents?limit=2&cursor={cursor}", SENDER).json()
        walked += [d["id"] for d in page["documents"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert walked == whole
    assert len(set(walked)) == len(walked)


def test_a_package_is_served_whole_in_parts_and_not_at_all_when_it_is_known(at: Door) -> None:
    made = accepted(at.submit(letter(number="700"), ("lớn.pdf", LARGE)))
    path = f"/v1/documents/{made['id']}/package"
    whole = at.get(path, SENDER)
    digest = hashlib.sha256(whole.body)
    size = len(whole.body)
    assert whole.headers["ETag"] == f'"{digest.hexdigest()}"'
    encoded = base64.b64encode(digest.digest()).decode()
    assert whole.headers["Repr-Digest"] == f"sha-256=:{encoded}:"
    assert whole.headers["Content-Type"] == "application/edxml+xml"
    assert whole.headers["Accept-Ranges"] == "bytes"

    for asked, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=1000000-2999999", 1_000_000, 3_000_000),
        (f"bytes={size - 5}-", size - 5, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=5-{size * 2}", 5, size),
    ):
        part = at.get(path, SENDER, Range=asked)
        assert part.status == 206
        assert part.body == whole.body[start:end]
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["Repr-Digest"] == whole.headers["Repr-Digest"]
    for asked in ("bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=-", "nonsense"):
        assert at.get(path, SENDER, Range=asked).status == 200
    beyond = at.get(path, SENDER, Range=f"bytes={size}-")
    assert (beyond.status, beyond.code) == (416, "range.unsatisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{size}"
    assert at.get(path, SENDER, Range="bytes=0-9", If_Range='"other"').status == 200
    assert at.get(path, SENDER, Range="bytes=0-9", If_Range=whole.headers["ETag"]).status == 206
    known = at.get(path, SENDER, If_None_Match=f'"x", {whole.headers["ETag"]}')
    assert (known.status, known.body) == (304, b"")
    head = at.ask("HEAD", path, SENDER)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(size))
