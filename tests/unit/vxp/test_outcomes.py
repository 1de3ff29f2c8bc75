"""The table of architecture 4, "Doubt", row by row."""

from __future__ import annotations

import pytest

from adapters.vxp.outcomes import Judge
from gateway.model.outcome import Deferred, Delivered, Outcome, Refused, Uncertain

JUDGE = Judge(frozenset({"20"}), frozenset({"22", "10"}), "made-up-secret")


def said(code: str, doc_id: str = "") -> bytes:
    return f'{{"status":"x","ErrorCode":"{code}","ErrorDesc":"e","DocId":"{doc_id}"}}'.encode()


PAGE = b"<html>busy</html>"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, said("0", "abc"), Delivered, "ok"),
        (201, said("0", "abc"), Delivered, "ok"),
        (202, said("0", "abc"), Delivered, "ok"),
        (200, said("0"), Delivered, "ok.no_ref"),
        (202, said("22"), Uncertain, "http.202"),
        (202, b"", Uncertain, "http.202"),
        (204, b"", Uncertain, "http.204"),
        (204, said("0", "a"), Uncertain, "answer.contradictory"),
        (200, PAGE, Uncertain, "answer.unreadable"),
        (200, b"", Uncertain, "answer.unreadable"),
        (200, None, Uncertain, "answer.cut"),
        (200, said("22"), Refused, "vxp.22"),
        (200, said("20"), Deferred, "vxp.20"),
        (200, said("-1"), Deferred, "vxp.-1"),
        (301, PAGE, Deferred, "http.301"),
        (302, b"", Deferred, "http.302"),
        (308, None, Deferred, "http.308"),
        (400, PAGE, Deferred, "http.400"),
        (401, PAGE, Deferred, "http.401"),
        (403, b"", Deferred, "http.403"),
        (404, None, Deferred, "http.404"),
        (429, PAGE, Deferred, "http.429"),
        (400, said("10"), Refused, "vxp.10"),
        (400, said("0", "a"), Uncertain, "answer.contradictory"),
        (500, PAGE, Uncertain, "http.500"),
        (502, None, Uncertain, "http.502"),
        (503, said("20"), Deferred, "vxp.20"),
        (500, said("22"), Refused, "vxp.22"),
        (500, said("0", "a"), Uncertain, "answer.contradictory"),
    ],
)
def test_every_answer_after_the_last_byte_has_its_outcome(
    status: int, body: bytes | None, kind: type[Outcome], code: str
) -> None:
    outcome = JUDGE.submitted(status, body, handed_over=True)
    assert isinstance(outcome, kind)
    assert outcome.code == code


@pytest.mark.parametrize("status", [200, 204, 302, 400, 413, 500, 503])
def test_a_failure_before_the_last_byte_is_never_doubt(status: int) -> None:
    outcome = JUDGE.submitted(status, PAGE, handed_over=False)
    assert isinstance(outcome, Deferred)
    assert outcome.code == f"http.{status}"


def test_success_before_the_last_byte_is_doubt() -> None:
    outcome = JUDGE.submitted(200, said("0", "a"), handed_over=False)
    assert isinstance(outcome, Uncertain)
    assert outcome.code == "answer.early"


@pytest.mark.parametrize("body", [PAGE, said("-1"), None])
@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_alarm(status: int, body: bytes | None) -> None:
    outcome = JUDGE.submitted(status, body, handed_over=True)
    assert isinstance(outcome, Deferred)
    assert outcome.alarm


def test_a_code_on_neither_list_is_marked_so_that_three_hold() -> None:
    listed = JUDGE.submitted(200, said("20"), handed_over=True)
    other = JUDGE.submitted(200, said("77"), handed_over=True)
    assert isinstance(listed, Deferred)
    assert isinstance(other, Deferred)
    assert (listed.unlisted, other.unlisted) == (False, True)


def test_details_hold_no_secret_no_digest_and_no_control_character() -> None:
    words = (
        'denied: made-up-secret {"XroadVnpt-systemid":"a","XroadVnpt-timestamp":"b"} '
        + "ab" * 32
        + " \x00\x1b[31m\ud800 end "
        + "x" * 500
    )
    clean = JUDGE.clean(words)
    assert clean.startswith("denied: *** [sign-header] [hex] ")
    assert len(clean) <= 300
    assert clean.isprintable()
    clean.encode()


def test_the_judge_shows_no_secret() -> None:
    assert "made-up-secret" not in repr(JUDGE)


def test_a_reference_that_cannot_be_asked_for_again_counts_as_none() -> None:
    for doc_id in ("x" * 300, "Đ", "a\\u0000b"):
        outcome = JUDGE.submitted(200, said("0", doc_id), handed_over=True)
        assert outcome.code == "ok.no_ref"
