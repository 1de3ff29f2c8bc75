"""Families of failure as problem documents: one table, two languages, no detail of our own."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from gateway import errors
from gateway.api import problems
from gateway.errors import Finding, GatewayError, Severity, Text

SAID = Text("Sai rồi", "it is wrong")


def body(answer: web.Response) -> dict[str, object]:
    assert isinstance(answer.body, bytes)
    made: dict[str, object] = json.loads(answer.body)
    return made


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (problems.Malformed(SAID), 400),
        (errors.Rejected(SAID, code="idempotency.missing"), 400),
        (errors.Rejected(SAID, code="cursor.invalid"), 400),
        (errors.Rejected(SAID, code="metadata.not_json"), 400),
        (errors.Unauthenticated(SAID), 401),
        (errors.Forbidden(SAID), 403),
        (errors.Unknown(SAID), 404),
        (problems.Stalled(SAID), 408),
        (errors.Conflict(SAID), 409),
        (errors.TooLarge(SAID), 413),
        (problems.WrongMedia(SAID), 415),
        (problems.OutOfRange(SAID, size=9), 416),
        (errors.Rejected(SAID), 422),
        (errors.Untrusted(SAID), 422),
        (errors.Unreadable(SAID), 422),
        (errors.Unavailable(SAID), 503),
        (errors.Misconfigured(SAID), 500),
        (errors.Broken(SAID), 500),
        (GatewayError(SAID), 500),
    ],
)
def test_each_family_has_one_status(problem: GatewayError, status: int) -> None:
    answer = problems.answer(problem, "en")
    said = body(answer)
    assert answer.status == said["status"] == status
    assert answer.content_type == "application/problem+json"
    if status == 500:
        assert said["code"] == "gateway.broken"
        assert said["detail"] != SAID.en
    else:
        assert said["code"] == problem.code
        assert said["detail"] == SAID.en


def all_families(root: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    return [root, *(c for sub in root.__subclasses__() for c in all_families(sub))]


def test_every_class_of_error_finds_its_family() -> None:
    for family in all_families():
        assert any(c in problems.FAMILIES for c in family.__mro__)


def test_findings_and_texts_come_in_the_language_asked_for() -> None:
    finding = Finding("to[0]", "agency.unknown", Severity.ERROR, Text("Lạ", "strange"), "Điều 1")
    problem = errors.Rejected(SAID, findings=(finding,))
    for language, detail, message in (("vi", "Sai rồi", "Lạ"), ("en", "it is wrong", "strange")):
        answer = problems.answer(problem, language)
        said = body(answer)
        assert answer.headers["Content-Language"] == language
        assert answer.headers["Vary"] == "Accept-Language"
        assert said["detail"] == detail
        assert said["findings"] == [
            {
                "path": "to[0]",
                "code": "agency.unknown",
                "severity": "error",
                "message": message,
                "rule": "Điều 1",
            }
        ]


def test_waiting_and_ranges_and_keys_have_their_headers() -> None:
    assert problems.answer(errors.Unavailable(SAID), "vi").headers["Retry-After"] == "5"
    out = problems.answer(problems.OutOfRange(SAID, size=9), "vi")
    assert out.headers["Content-Range"] == "bytes */9"
    wrong = problems.answer(errors.Unauthenticated(SAID), "vi")
    assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
    missing = problems.answer(errors.Unauthenticated(SAID, code="account.key_missing"), "vi")
    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="edoc-gateway"'


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "vi"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("vi-VN,en;q=0.8", "vi"),
        ("en;q=0.5, vi;q=0.4", "en"),
        ("fr, en;q=0.1", "en"),
        ("fr, de", "vi"),
        ("*", "vi"),
        ("en;q=0", "vi"),
        ("en;q=nonsense", "vi"),
        ("en;level=1", "en"),
        (",,;;=,", "vi"),
        ("x" * 10_000 + ",en", "vi"),
    ],
)
def test_the_language_is_the_best_of_ours(accepted: str, language: str) -> None:
    assert problems.language_of(accepted) == language
