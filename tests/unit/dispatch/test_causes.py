"""Whose fault it is: one table, and every row of it is right for somebody."""

from __future__ import annotations

import pytest

from gateway.dispatch.causes import Whose, for_sender, of_arrival, of_transfer
from gateway.dispatch.schedule import HoldCause


@pytest.mark.parametrize(
    ("state", "code", "whose"),
    [
        ("REFUSED", "vxp.21", Whose.UNIT),
        ("REFUSED", "vxp.22", Whose.UNIT),
        ("REFUSED", "vxp.220", Whose.PEER),
        ("REFUSED", "package.too_large", Whose.UNIT),
        ("REFUSED", "", Whose.PEER),
        ("EXPIRED", "http.401", Whose.OURS),
        ("EXPIRED", "http.4011", Whose.PEER),
        ("EXPIRED", "http.503", Whose.PEER),
        ("EXPIRED", "connect.refused", Whose.PEER),
        ("EXPIRED", "connect.dns", Whose.OURS),
        ("EXPIRED", "connect.certificate", Whose.PEER),
        ("EXPIRED", "blob.missing", Whose.OURS),
        ("EXPIRED", "", Whose.OURS),
        ("WITHDRAWN", "connect.refused", Whose.OURS),
    ],
)
def test_the_last_code_says_who_must_act(state: str, code: str, whose: Whose) -> None:
    assert of_transfer(state, hold_cause="", code=code, doubt=False).whose is whose


@pytest.mark.parametrize("cause", [*HoldCause, "one of a version to come"])
def test_whatever_holds_a_transfer_has_its_reason_and_next_step(cause: str) -> None:
    found = of_transfer("HELD", hold_cause=cause, code="http.503", doubt=False)
    assert all((*found.reason, *found.next_step))
    own = (HoldCause.PERSON, HoldCause.RESTORED, HoldCause.UNSTAMPED)
    ours = cause in own or cause not in list(HoldCause)
    assert found.whose is (Whose.OURS if ours else Whose.PEER)


@pytest.mark.parametrize("cause", [*HoldCause, "one of a version to come"])
def test_with_doubt_nobody_is_sent_to_an_act_that_is_refused(cause: str) -> None:
    found = of_transfer("HELD", hold_cause=cause, code="http.503", doubt=True)
    assert "withdraw" not in found.next_step.en + found.next_step.vi
    if cause != HoldCause.UNSTAMPED:  # which goes on by itself
        assert "ask the axis" in found.next_step.en


@pytest.mark.parametrize("doubt", [False, True])
@pytest.mark.parametrize("state", ["HELD", "REFUSED", "EXPIRED", "WITHDRAWN"])
def test_a_unit_is_told_nothing_that_only_an_operator_can_do(state: str, doubt: bool) -> None:
    for code in ("vxp.21", "http.401", "http.503", ""):
        for held in [*HoldCause, ""]:
            cause = of_transfer(state, hold_cause=held, code=code, doubt=doubt)
            words = for_sender(state, cause, doubt=doubt)
            assert all(words)
            assert not [w for w in ("release", "queue show", "conf") if w in words.en + words.vi]
            assert ("do not send it again" in words.en) is doubt
            assert "status" not in words.en, "what an axis lost brings none"


def test_what_came_and_cannot_be_opened_is_the_senders_unless_it_is_not_for_us() -> None:
    assert of_arrival("package.unknown_kind").whose is Whose.UNIT
    assert of_arrival("").whose is Whose.UNIT
    assert of_arrival("arrival.not_ours").whose is Whose.PEER
    assert of_arrival("arrival.poison").whose is Whose.OURS
    assert of_arrival("secrecy.marked").whose is Whose.UNIT
    theirs = ("arrival.conflict", "arrival.sender_differs", "act.not_the_sender")
    assert {of_arrival(code).whose for code in theirs} == {Whose.PEER}
    every = [of_arrival(c) for c in (*theirs, "arrival.not_ours", "secrecy.marked", "")]
    for words in ([c.reason for c in every], [c.next_step for c in every]):
        assert len({w.vi for w in words}) == len({w.en for w in words}) == len(every)
