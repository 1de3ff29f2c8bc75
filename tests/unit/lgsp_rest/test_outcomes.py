"""What an answer of a REST axis means: the table of the profile, and doubt."""

from __future__ import annotations

import json

import pytest

from adapters.lgsp_rest.outcomes import Judge, table_of
from adapters.lgsp_rest.profile import profile_of, read_profile
from gateway.errors import Misconfigured
from gateway.model.outcome import Deferred, Delivered, Refused, Uncertain

CODES = read_profile().codes
JUDGE = Judge(CODES, {"secret": "s3cret", "token": "t0ken"})


def said(code: str | None = None, success: bool | None = None, **fields: object) -> bytes:
    named = {"success": success, "errorCode": code, **fields}
    return json.dumps({k: v for k, v in named.items() if v is not None}).encode()


@pytest.mark.parametrize(
    ("code", "kind", "alarm"),
    [
        ("10", Refused, None),
        ("15", Deferred, True),
        ("18", Refused, None),
        ("19", Deferred, True),
        ("20", Deferred, False),
        ("21", Deferred, False),
        ("22", Refused, None),
        ("23", Deferred, False),
    ],
)
def test_every_code_of_the_protocol_has_its_meaning(code, kind, alarm):
    for body in (said(code, False), said(code), json.dumps({"data": {"errorCode": code}}).encode()):
        outcome = JUDGE.submitted(200, body, handed_over=True)
        assert isinstance(outcome, kind)
        assert outcome.code == f"rest.{code}"
        if alarm is not None:
            assert (outcome.alarm, outcome.unlisted) == (alarm, False)


def test_a_code_that_stands_nowhere_is_unlisted():
    outcome = JUDGE.submitted(200, said("77", False, message="?"), handed_over=True)
    assert outcome == Deferred("rest.77", "?", unlisted=True)
    assert JUDGE.submitted(200, said(None, False), handed_over=True).code == "rest.failed"


def test_success_is_believed_only_where_nothing_speaks_against_it():
    assert JUDGE.submitted(200, said("0", True, docId="7"), handed_over=True) == Delivered("7")
    assert JUDGE.submitted(201, said(None, True, docId=7), handed_over=True) == Delivered("7")
    assert JUDGE.submitted(200, said("0", True), handed_over=True) == Delivered("", "ok.no_ref")
    for status, body, whole in (
        (200, said("20", True), True),
        (200, said("0", False), True),
        (500, said("0", True), True),
        (200, said("0", True), False),
        (200, b"<html>", True),
        (200, None, True),
        (202, said("20", False), True),
        (502, b"<html>", True),
    ):
        assert isinstance(JUDGE.submitted(status, body, handed_over=whole), Uncertain)


def test_what_the_remote_says_is_shown_without_secrets():
    outcome = JUDGE.submitted(200, said("20", False, message="s3cret\x00t0ken"), handed_over=True)
    assert outcome.detail == "*** ***"


def test_the_operators_lists_go_before_the_profiles_table():
    judge = Judge(table_of(CODES, ("22",), ("20",)))
    assert isinstance(judge.submitted(200, said("22", False), handed_over=True), Deferred)
    assert isinstance(judge.submitted(200, said("20", False), handed_over=True), Refused)


GOOD = {
    "dated": "2026-11-22",
    "source": "their manual",
    "sure": "read",
    "paths": dict.fromkeys(("login", "send", "list", "get", "status", "agencies"), "x"),
    "codes": {"0": "good"},
}


def test_a_profile_says_when_from_what_and_how_well_it_is_known():
    assert profile_of(GOOD, "x.toml").sure == "read"
    shipped = read_profile()
    assert shipped.sure == "reported"
    assert set(shipped.codes) == {"0", "10", "15", *map(str, range(18, 24))}


@pytest.mark.parametrize(
    "change",
    [
        {"sure": "certainly"},
        {"source": " "},
        {"dated": None},
        {"codes": {"1": "never"}},
        {"codes": {"0": "fine"}},
        {"list_days": 0},
        {"login": {"lifetime": 10.0, "renew_before": 10.0}},
        {"unknown": 1},
    ],
)
def test_a_profile_with_a_mistake_is_refused_by_name(change):
    with pytest.raises(Misconfigured) as raised:
        profile_of({**GOOD, **change}, "x.toml")
    assert raised.value.code == "conf.profile_invalid"
    assert "x.toml" in raised.value.text.en


def test_a_profile_that_cannot_be_read_is_refused(tmp_path):
    for text in (None, "dated = ", ""):
        file = tmp_path / "p.toml"
        if text is not None:
            file.write_text(text)
        with pytest.raises(Misconfigured):
            read_profile(file)
