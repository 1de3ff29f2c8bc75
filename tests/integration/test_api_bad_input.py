"""What a unit system can do wrong at POST /v1/documents: each a clear problem, nothing kept."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.model.package import Organ
from gateway.packing.write import write_status
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
from tests.support.edxml1 import TOKEN, a_part, envelope, message
from tests.support.packages import a_header, a_status, packed

META = json.dumps(letter()).encode()
FILE = ("file", "van-ban.pdf", PDF)
FORM = f"multipart/form-data; boundary={BOUNDARY}"
PACKAGE = {"Content-Type": "application/edxml+xml"}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    changes: Mapping[str, Mapping[str, Any]] = {
        "api": {"port": 0, "metadata_bytes": 65536},
        "limits": {"package_bytes": 4 * 1024 * 1024, "attachments": 5},
    }
    with door(tmp_path_factory.mktemp("api"), changes=changes) as opened:
        for who in (SENDER, RECEIVER, Role.OPS):
            opened.key(who)
        yield opened


@pytest.fixture(autouse=True)
def nothing_is_kept(at: Door) -> Iterator[None]:
    before = at.kept()
    yield
    # a file is let go of by the thread that wrote it, which may be a little later
    for _ in range(200):
        if at.kept() == before:
            break
        time.sleep(0.05)
    assert at.kept() == before
    assert at.get("/healthz").status == 200


def without(*keys: str) -> dict[str, Any]:
    return {k: v for k, v in letter().items() if k not in keys}


def problem(answer: Answer, status: int, code: str) -> Answer:
    assert (answer.status, answer.code) == (status, code), answer.body.decode()
    said = answer.json()
    assert said["status"] == status
    assert said["detail"]
    assert said["title"]
    assert said["type"] == f"/docs#{code}"
    return answer


# -- the form itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(form([FILE]), 400, "multipart.metadata_first", id="no metadata"),
        pytest.param(
            form([FILE, ("metadata", None, META)]),
            400,
            "multipart.metadata_first",
            id="after files",
        ),
        pytest.param(
            form([("metadata", None, META), FILE, ("metadata", None, META)]),
            400,
            "multipart.metadata_twice",
            id="metadata twice",
        ),
        pytest.param(
            form([("metadata", None, META), FILE, ("remark", None, b"x")]),
            400,
            "multipart.unknown_part",
            id="unknown part",
        ),
        pytest.param(
            form([("metadata", None, META), ("file", None, PDF)]),
            400,
            "multipart.no_file_name",
            id="file without a name",
        ),
        pytest.param(form([]), 400, "multipart.no_metadata", id="no parts at all"),
        pytest.param(b"", 400, "multipart.malformed", id="empty body"),
        pytest.param(b"junk that is no form", 400, "multipart.malformed", id="junk"),
        pytest.param(
            form([("metadata", None, META), FILE], end=b""),
            400,
            "multipart.malformed",
            id="cut before the end",
        ),
        pytest.param(
            form([("metadata", None, META), FILE])[:-200],
            400,
            "multipart.malformed",
            id="cut inside a file",
        ),
        pytest.param(
            form([("metadata", None, META)]).replace(b"\r\n", b"\n"),
            400,
            "multipart.malformed",
            id="line feeds alone",
        ),
        pytest.param(
            b"--" + BOUNDARY.encode() + b"\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
            400,
            "multipart.malformed",
            id="endless header",
        ),
        pytest.param(
            form([("metadata", None, META), ("file", "n\xe4me.pdf", PDF)]).replace(
                "n\xe4me".encode(), b"n\xe4me"
            ),
            400,
            "multipart.malformed",
            id="file name not in UTF-8",
        ),
        pytest.param(
            form([("metadata", None, b'{"subject": "' + b"x" * 70_000 + b'"}'), FILE]),
            413,
            "limit.metadata_bytes",
            id="metadata too large",
        ),
        pytest.param(
            form([("metadata", None, META), *[FILE] * 6]), 413, "limit.attachments", id="many files"
        ),
    ],
)
def test_a_form_that_is_wrong_says_what_is_wrong(
    at: Door, body: bytes, status: int, code: str
) -> None:
    problem(at.post_form(body), status, code)


def test_a_part_with_a_transfer_encoding_is_refused(at: Door) -> None:
    body = form([("metadata", None, META), FILE]).replace(
        b'filename="van-ban.pdf"\r\n',
        b'filename="van-ban.pdf"\r\nContent-Transfer-Encoding: base64\r\n',
    )
    problem(at.post_form(body), 415, "multipart.encoding")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=iso-8859-1", "application/xml", "multipart/mixed"]
)
def test_metadata_must_be_json_in_utf8(at: Door, kind: str) -> None:
    body = form([("metadata", None, META), FILE]).replace(
        b'name="metadata"\r\n', f'name="metadata"\r\nContent-Type: {kind}\r\n'.encode()
    )
    problem(at.post_form(body), 415, "multipart.metadata_type")


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 71,
        'multipart/form-data; boundary="ends in blank "',
    ],
)
def test_a_form_needs_a_boundary(at: Door, kind: str) -> None:
    body = form([("metadata", None, META), FILE])
    problem(at.post_form(body, headers={"Content-Type": kind}), 400, "multipart.no_boundary")


@pytest.mark.parametrize("kind", ["application/json", "text/xml", "application/octet-stream", ""])
def test_another_content_type_is_refused(at: Door, kind: str) -> None:
    problem(at.post_form(META, headers={"Content-Type": kind}), 415, "request.media_type")


def test_a_compressed_body_is_refused_before_it_is_unpacked(at: Door) -> None:
    body = gzip.compress(form([("metadata", None, META), FILE]))
    answer = at.post_form(body, headers={"Content-Encoding": "gzip"})
    problem(answer, 415, "request.encoding")


def test_a_body_that_says_it_is_too_large_is_refused_unread(at: Door) -> None:
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key(SENDER)}\r\n"
        f"Content-Type: {FORM}\r\nContent-Length: 999999999999\r\nConnection: close\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    answered = at.raw(head.encode(), until=b'"findings"')
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert b"limit.body_bytes" in answered
    assert b"100 Continue" not in answered


def test_a_wrong_key_is_told_so_before_the_body_is_sent(at: Door) -> None:
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer edoc_no_key\r\n"
        f"Content-Type: {FORM}\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    )
    answered = at.raw(head.encode(), until=b'"findings"')
    assert answered.startswith(b"HTTP/1.1 401 ")
    assert b"100 Continue" not in answered


def test_a_body_that_turns_out_too_large_is_refused_where_it_passes_the_limit(at: Door) -> None:
    large = b"0" * (5 * 1024 * 1024)
    body = form([("metadata", None, META), ("file", "large.bin", large)])
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key(SENDER)}\r\n"
        f"Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    answered = at.raw(head.encode() + chunked)
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert b"limit.body_bytes" in answered


def test_a_client_that_goes_away_leaves_nothing_and_no_alarm(
    at: Door, caplog: pytest.LogCaptureFixture
) -> None:
    body = form([("metadata", None, META), ("file", "large.bin", b"0" * 3_000_000)])
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key(SENDER)}\r\n"
        f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert at.raw(head.encode() + body[:2_500_000], half_close=True) == b""
    assert [r for r in caplog.records if r.levelname == "ERROR"] == []


def test_chunks_that_are_no_chunks_are_a_malformed_request(at: Door) -> None:
    head = (
        f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key(SENDER)}\r\n"
        f"Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    answered = at.raw(head.encode() + b"zz\r\nnot a chunk\r\n")
    assert b" 400 " in answered.partition(b"\r\n")[0]


def test_an_expectation_nobody_knows_is_a_malformed_request(at: Door) -> None:
    answer = at.post_form(form([]), headers={"Expect": "a miracle"})
    problem(answer, 400, "request.malformed")


# -- the metadata ----------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"", b"not json", b'{"from": ', b"\xff\xfe", b"[1,2]", b"null"])
def test_metadata_that_are_not_a_json_object_are_a_malformed_request(at: Door, raw: bytes) -> None:
    answer = at.submit(raw, ("a.pdf", PDF))
    assert answer.status == 400
    assert answer.code in ("metadata.not_json", "metadata.type")
    assert answer.json()["findings"]


def test_every_mistake_of_shape_is_named_at_once(at: Door) -> None:
    meta = {**letter(), "to": "G22", "copies": 1, "other": {"pages": "two"}}
    answer = problem(at.submit(meta, ("a.pdf", PDF)), 422, "metadata.invalid")
    assert answer.findings() == {
        ("to", "metadata.type"),
        ("copies", "metadata.unknown_key"),
        ("other.pages", "metadata.type"),
    }


def test_every_missing_field_and_unknown_receiver_is_named_at_once(at: Door) -> None:
    meta = {**letter(RECEIVER, "H99.99"), "subject": "", "signer": {}}
    answer = problem(at.submit(meta), 422, "submission.invalid")
    assert {
        ("subject", "content.missing"),
        ("signer.full_name", "content.missing"),
        ("signer.position", "content.missing"),
        ("to[1].organ_id", "agency.unknown"),
        ("files", "content.no_file"),
    } <= answer.findings()


def test_file_names_with_paths_are_findings(at: Door) -> None:
    answer = at.submit(None, ("../../etc/passwd", PDF), ("a/b.pdf", PDF), ("ok.pdf", PDF))
    problem(answer, 422, "submission.invalid")
    assert answer.findings() == {
        ("files[0].name", "content.file_name"),
        ("files[1].name", "content.file_name"),
    }


def test_empty_files_are_findings_beside_the_others(at: Door) -> None:
    meta = {**letter(), "subject": ""}
    answer = at.submit(meta, ("one.pdf", b""), ("a/b.pdf", PDF), ("three.pdf", b""))
    problem(answer, 422, "submission.invalid")
    assert answer.findings() == {
        ("subject", "content.missing"),
        ("files[0]", "content.file_empty"),
        ("files[1].name", "content.file_name"),
        ("files[2]", "content.file_empty"),
    }


MISSING = {
    ("from.organ_id", "content.missing"),
    ("to", "content.missing"),
    ("code.number", "content.missing"),
    ("code.notation", "content.missing"),
    ("promulgation.date", "content.missing"),
    ("document_type.name", "content.missing"),
    ("subject", "content.missing"),
    ("signer.full_name", "content.missing"),
    ("signer.position", "content.missing"),
}


def test_metadata_with_nothing_in_them_name_all_that_is_missing(at: Door) -> None:
    answer = problem(at.submit(b"{}", ("a.pdf", PDF)), 422, "submission.invalid")
    assert answer.findings() == {*MISSING, ("document_id", "idempotency.missing")}


def test_a_mistake_of_shape_hides_nothing_of_the_rest(at: Door) -> None:
    meta = {
        **letter(RECEIVER, "H99.99", document_id=""),
        "from": {"organ_id": FARAWAY},
        "subjekt": "x",
        "subject": "",
        "promulgation": {"date": "20/11/2026"},
        "signer": "Mẫu",
        "other": {"priority": 9},
    }
    answer = problem(at.submit(meta, ("a.pdf", PDF)), 422, "metadata.invalid")
    assert answer.findings() == {
        ("subjekt", "metadata.unknown_key"),
        ("promulgation.date", "metadata.date"),
        ("signer", "metadata.type"),
        ("subject", "content.missing"),
        ("other.priority", "content.code_unknown"),
        ("to[1].organ_id", "agency.unknown"),
        ("from.organ_id", "account.other_agency"),
        ("document_id", "idempotency.missing"),
    }


def test_a_secrecy_mark_hides_nothing_of_the_rest(at: Door) -> None:
    meta = {**letter(), "secrecy": "Mật", "subject": "", "copies": 1}
    answer = problem(at.submit(meta, ("a.pdf", PDF)), 422, "secrecy.marked")
    assert answer.findings() == {
        ("secrecy", "secrecy.marked"),
        ("subject", "content.missing"),
        ("copies", "metadata.unknown_key"),
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"secrecy": "Mật"},
        {"secrecy": "x"},
        {"document_type": {"name": "TỐI MẬT"}},
        {"other": {"typer_notation": "Tuyệt mật"}},
    ],
)
def test_a_secret_document_is_refused_before_its_files_are_read(
    at: Door, changed: Mapping[str, Any]
) -> None:
    meta = json.dumps({**letter(), **changed}).encode()
    whole = form([("metadata", None, meta), ("file", "a.pdf", PDF + b" " * 5000)])
    cut = whole[:-4000]  # its file never came whole
    answer = problem(at.post_form(cut), 422, "secrecy.marked")
    assert answer.findings()


def test_a_key_does_not_speak_for_another_agency(at: Door) -> None:
    answer = problem(at.submit(None, FILE[1:], who=RECEIVER), 403, "account.other_agency")
    assert answer.findings() == {("from.organ_id", "account.other_agency")}


def test_a_key_of_operators_hands_nothing_in(at: Door) -> None:
    problem(at.submit(None, FILE[1:], who=Role.OPS), 403, "account.role")


def test_metadata_without_document_id_need_an_idempotency_key(at: Door) -> None:
    answer = at.submit(without("document_id"), FILE[1:])
    problem(answer, 400, "idempotency.missing")


@pytest.mark.parametrize("key", ["two words", "\u00e9t\u00e9", "k" * 201])
def test_an_idempotency_key_is_visible_ascii(at: Door, key: str) -> None:
    answer = at.submit(None, FILE[1:], headers={"Idempotency-Key": key})
    problem(answer, 400, "idempotency.invalid")


@pytest.mark.parametrize("text", ["\u0000", "\u0007", "\ufffe"])
def test_characters_that_xml_cannot_carry_are_findings(at: Door, text: str) -> None:
    answer = at.submit({**letter(), "subject": f"a{text}b"}, FILE[1:])
    assert answer.status == 422
    assert "subject" in {path for path, _ in answer.findings()}


def test_half_a_surrogate_pair_is_a_finding(at: Door) -> None:
    raw = META.replace(b'"subject": "', b'"subject": "\\ud800')
    assert at.submit(raw, FILE[1:]).findings() == {("subject", "metadata.text")}


def test_an_act_that_does_not_say_what_it_is_about_is_told_all_of_it(at: Door) -> None:
    meta = {**letter(), "business": {"type": 1, "about": "x"}}
    found = at.submit(meta, FILE[1:]).findings()
    assert {
        ("response_for", "business.about_missing"),
        ("business.reason", "business.reason_missing"),
        ("business.about", "business.misplaced"),
    } <= found


# -- ready-made packages ---------------------------------------------------------------------------


def package(*to: str, sender: str = SENDER) -> bytes:
    receivers = tuple(Organ(code) for code in to or (RECEIVER,))
    return packed(a_header(sender=Organ(sender), to=receivers), [("van-ban.pdf", PDF)])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 422, id="empty"),
        pytest.param(b"<html><body>504</body></html>", 422, id="another page"),
        pytest.param(b"%PDF-1.7 not xml", 422, id="no xml"),
        pytest.param(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', 422, id="DTD"),
        pytest.param(package()[:-40], 422, id="cut off"),
        pytest.param(package().replace(b"QCVN_102_2016", b"QCVN_999_2016"), 422, id="namespace"),
        pytest.param(package() + b" " * 5_000_000, 413, id="too large"),
    ],
)
def test_a_package_that_cannot_be_read_is_refused(at: Door, body: bytes, status: int) -> None:
    answer = at.ask("POST", "/v1/documents", SENDER, body=body, headers=PACKAGE)
    assert answer.status == status, answer.body
    assert answer.json()["code"]
    assert answer.json()["findings"]


def test_a_package_of_another_agency_is_refused(at: Door) -> None:
    answer = at.ask("POST", "/v1/documents", RECEIVER, body=package(SENDER), headers=PACKAGE)
    problem(answer, 403, "account.other_agency")


def test_a_package_that_would_need_splitting_is_refused(at: Door) -> None:
    """One receiver is served here, the other is on an axis that does not reach the first."""
    answer = at.ask(
        "POST", "/v1/documents", SENDER, body=package(RECEIVER, FARAWAY), headers=PACKAGE
    )
    problem(answer, 422, "route.split_required")
    assert answer.findings() >= {("to", "route.split_required")}


def test_a_status_package_is_not_handed_in_as_a_document(at: Door) -> None:
    answer = at.ask("POST", "/v1/documents", SENDER, body=write_status(a_status()), headers=PACKAGE)
    problem(answer, 422, "package.not_document")


@pytest.mark.parametrize("body", [envelope(), message([a_part(1, "12.pdf", b"%PDF")])])
def test_a_package_of_edxml_1_is_only_received_never_sent(at: Door, body: bytes) -> None:
    answer = at.ask("POST", "/v1/documents", SENDER, body=body, headers=PACKAGE)
    problem(answer, 422, "package.version_unsupported")
    assert TOKEN not in answer.body.decode()


def test_the_problem_is_told_in_the_language_asked_for(at: Door) -> None:
    vietnamese = at.submit(None)
    english = at.submit(None, headers={"Accept-Language": "fr;q=0.9, en-GB;q=0.8, vi;q=0.1"})
    assert vietnamese.headers["Content-Language"] == "vi"
    assert english.headers["Content-Language"] == "en"
    assert vietnamese.findings() == english.findings()
    assert vietnamese.json()["detail"] != english.json()["detail"]
    assert vietnamese.json()["findings"][0]["message"] != english.json()["findings"][0]["message"]


def test_a_receiver_nobody_knows_refuses_the_whole_submission(at: Door) -> None:
    answer = problem(
        at.submit(letter(RECEIVER, FARAWAY, "H99.99"), FILE[1:]), 422, "submission.invalid"
    )
    assert answer.findings() == {("to[2].organ_id", "agency.unknown")}
