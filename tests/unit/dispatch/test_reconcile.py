"""What each answer of an axis means for one transfer, and for one waiting package."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from gateway.dispatch.reconcile import (
    NO_ID,
    WORDS,
    Answer,
    Copy,
    Kind,
    Limits,
    Receiver,
    Sent,
    Waiting,
    What,
    compare_sent,
    compare_waiting,
    counts_differ,
    day_bounds,
    days_due,
    days_skipped,
    falls_due,
)
from gateway.dispatch.report import Found, exit_code
from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.package import PackageKind
from gateway.model.transfer import RecipientState, TransferState

DAY = date(2026, 11, 20)
BEGIN, END = day_bounds(DAY)
AT = BEGIN + timedelta(hours=9)
SOON = AT + timedelta(hours=1)
LIMITS = Limits(stuck_after=timedelta(hours=24), answer_within=timedelta(days=5))
TWO = (
    Receiver("G22", "000.00.00.G22", RecipientState.ON_AXIS, on_axis_at=AT),
    Receiver("G09", "000.00.00.G09", RecipientState.ON_AXIS, on_axis_at=AT),
)
SENT = Sent(
    transfer="t1",
    document="d1",
    document_id="000.00.19.H14,2026/11/20,12/UBND-VX",
    kind=PackageKind.DOCUMENT,
    state=TransferState.ON_AXIS,
    doubt=False,
    refs=("A",),
    accepted_at=AT,
    receivers=TWO[:1],
    notation="12/UBND-VX",
)
COPY = Copy("G22", "A", "a-1", "12/UBND-VX", passed_on=True, taken=False)
KNOWN = Answer("A", (COPY,))
NOTHING = Answer("A")
SILENCE = Answer("A", why="answer.silence")


def judge(ours=SENT, *answers, now=SOON, **more):
    return compare_sent(ours, answers or (KNOWN,), now=now, limits=LIMITS, **more)


def whats(judged):
    return [(d.what, d.receiver) for d in judged.differences]


def in_state(state, **more):
    return replace(SENT, state=TransferState(state), **more)


def test_what_the_axis_knows_and_passed_on_matches():
    assert judge().matched


def test_what_it_took_and_does_not_know_any_more_is_missing():
    judged = judge(SENT, NOTHING)
    assert whats(judged) == [(What.UNKNOWN_TO_AXIS, "")]
    assert judged.differences[0].axis_ids == ("A",)
    assert judged.differences[0].kind is Kind.MISSING


def test_silence_is_an_open_question_and_never_a_loss():
    judged = judge(SENT, SILENCE, now=AT + timedelta(days=30))
    assert [(o.asked, o.why, o.about) for o in judged.unanswered] == [
        ("sent", "answer.silence", "A")
    ]
    assert {d.kind for d in judged.differences} == {Kind.NEVER_ANSWERED}


def test_a_recipient_s_own_word_outweighs_an_axis_that_forgot():
    answered = replace(TWO[0], state=RecipientState.ARRIVED, status_code="01")
    assert judge(replace(SENT, receivers=(answered,)), NOTHING).matched


def test_a_lost_id_cannot_be_asked_about():
    def why(state, **more):
        ours = in_state(state, refs=(), **more)
        return [o.why for o in compare_sent(ours, (), now=SOON, limits=LIMITS).unanswered]

    assert why("ON_AXIS") == [NO_ID]
    assert why("UNCERTAIN") == [NO_ID]
    assert why("DEFERRED", doubt=True) == [NO_ID]
    assert why("DEFERRED") == []
    arrived = replace(TWO[0], state=RecipientState.ARRIVED, status_code="01")
    assert why("ON_AXIS", receivers=(arrived,)) == []


@pytest.mark.parametrize("state", ["UNCERTAIN", "HELD", "DEFERRED", "REFUSED", "EXPIRED"])
def test_what_the_axis_has_settles_what_was_in_doubt(state):
    judged = judge(in_state(state, doubt=True))
    assert judged.settle == "A"
    assert whats(judged) == [(What.KNOWN_TO_AXIS, "")]


@pytest.mark.parametrize("state", ["ACCEPTED", "SEALED", "SENDING", "ON_AXIS"])
def test_nothing_else_is_settled(state):
    assert judge(in_state(state)).settle == ""


def test_an_axis_that_passed_it_on_to_nobody_settles_nothing():
    failed = Answer("A", (replace(COPY, copy_ref="", passed_on=False),))
    judged = judge(in_state("HELD", doubt=True), failed)
    assert judged.settle == ""
    assert whats(judged) == [(What.HELD, "")]


@pytest.mark.parametrize("state", ["WITHDRAWN", "REROUTED"])
def test_what_ended_elsewhere_and_is_here_all_the_same_is_doubled(state):
    assert whats(judge(in_state(state))) == [(What.ENDED_ELSEWHERE, "")]
    assert judge(in_state(state), NOTHING).matched


def test_two_ids_that_the_axis_gave_for_one_transfer():
    both = replace(SENT, refs=("A", "B"))
    judged = judge(both, KNOWN, Answer("B", (replace(COPY, ref="B", copy_ref="b-1"),)))
    assert whats(judged) == [(What.TWO_IDS, "")]
    assert judged.differences[0].axis_ids == ("A", "B")
    assert judge(both, KNOWN, Answer("B")).matched


def test_an_id_told_beside_ours_for_the_same_document_is_its_double():
    judged = judge(SENT, Answer("A", (COPY, replace(COPY, ref="X", copy_ref="x-1"))))
    assert whats(judged) == [(What.TWO_IDS, "")]
    assert judged.differences[0].axis_ids == ("A", "X")


def test_an_id_said_to_be_ours_that_we_never_sent_is_foreign():
    stranger = replace(COPY, ref="X", copy_ref="x-1", notation="99/KHAC")
    judged = judge(SENT, Answer("A", (COPY, stranger)))
    assert [(d.what, d.axis_ids) for d in judged.differences] == [(What.NOT_OURS, ("X",))]
    other = judge(SENT, Answer("A", (COPY, stranger)), our_ids=frozenset({"X"}))
    assert other.matched


def test_an_axis_that_tells_of_other_packages_only_does_not_know_this_one():
    judged = judge(SENT, Answer("A", (replace(COPY, ref="Y"),)), our_ids=frozenset({"Y"}))
    assert whats(judged) == [(What.UNKNOWN_TO_AXIS, "")]


def test_two_copies_for_one_receiver():
    judged = judge(SENT, Answer("A", (COPY, replace(COPY, copy_ref="a-2"))))
    assert whats(judged) == [(What.TWO_COPIES, "000.00.00.G22")]
    assert judged.differences[0].axis_ids == ("a-1", "a-2")


def test_each_receiver_is_looked_at_by_itself():
    both = replace(SENT, receivers=TWO)
    assert whats(judge(both)) == [(What.NOT_LISTED, "000.00.00.G09")]
    failed = replace(COPY, receiver_key="G09", copy_ref="", passed_on=False)
    assert whats(judge(both, Answer("A", (COPY, failed)))) == [
        (What.NOT_PASSED_ON, "000.00.00.G09")
    ]


@pytest.mark.parametrize(
    ("taken", "what"),
    [(False, What.NOT_TAKEN), (True, What.NOT_CONFIRMED), (None, What.NO_STATUS)],
)
def test_where_it_stands_still_is_told_as_far_as_the_axis_tells(taken, what):
    answer = Answer("A", (replace(COPY, taken=taken),))
    late = AT + LIMITS.stuck_after
    assert whats(judge(SENT, answer, now=late)) == [(what, "000.00.00.G22")]
    assert judge(SENT, answer, now=late - timedelta(microseconds=1)).matched


def test_whoever_said_nothing_in_time_never_answered():
    late = AT + LIMITS.answer_within
    assert whats(judge(now=late)) == [(What.PAST_ANSWER_WITHIN, "000.00.00.G22")]
    due = replace(SENT, due_date=DAY)
    assert whats(judge(due, now=END)) == [(What.PAST_DUE_DATE, "000.00.00.G22")]
    assert judge(due, now=END - timedelta(microseconds=1)).matched


def test_any_status_is_an_answer():
    rejected = replace(TWO[0], state=RecipientState.REJECTED, status_code="02")
    far = AT + timedelta(days=300)
    assert judge(replace(SENT, receivers=(rejected,)), now=far).matched


def test_a_status_package_waits_for_no_answer():
    assert judge(replace(SENT, kind=PackageKind.STATUS), now=AT + timedelta(days=300)).matched


def test_what_is_not_on_the_axis_for_long_is_stuck_and_what_is_held_at_once():
    late = AT + LIMITS.stuck_after
    for state in ("ACCEPTED", "SEALED", "SENDING", "DEFERRED", "UNCERTAIN"):
        found = judge(in_state(state, doubt=True), SILENCE, now=late)
        assert whats(found) == [(What.NOT_SENT, "")]
        assert judge(in_state(state), NOTHING).matched
    assert whats(judge(in_state("HELD"), NOTHING)) == [(What.HELD, "")]


@pytest.mark.parametrize("state", ["REFUSED", "EXPIRED"])
def test_an_honest_end_that_the_axis_confirms_matches(state):
    assert judge(in_state(state), NOTHING, now=AT + timedelta(days=30)).matched


def test_a_copy_for_an_agency_of_ours_that_never_came_is_fetched_by_its_id():
    ours = replace(SENT, receivers=(replace(TWO[0], local=True),))
    late = AT + LIMITS.stuck_after
    judged = judge(ours, now=late)
    assert judged.fetch == ("a-1",)
    assert (What.NEVER_CAME, "000.00.00.G22") in whats(judged)
    assert judge(ours, now=late, here=frozenset({"a-1"})).fetch == ()
    assert judge(ours, now=SOON).fetch == ()
    assert judge(SENT, now=late).fetch == ()


def test_an_axis_that_cannot_be_asked_is_not_asked_once_for_each_document():
    judged = compare_sent(replace(SENT, refs=()), (), now=SOON, limits=LIMITS, asks=False)
    assert judged.matched


OLD = SOON - LIMITS.stuck_after
FRESH = OLD + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (Waiting("w", listed=True), None),
        (Waiting("w", True, FetchState.DUE, FRESH), None),
        (Waiting("w", True, FetchState.DUE, OLD), What.NOT_FETCHED),
        (Waiting("w", False, FetchState.DUE, FRESH), None),
        (Waiting("w", False, FetchState.DUE, OLD), What.LISTED_THEN_GONE),
        (Waiting("w", True, FetchState.HELD, FRESH), What.FETCH_HELD),
        (Waiting("w", False, FetchState.HELD, OLD), What.FETCH_HELD),
        (Waiting("w", True, FetchState.FETCHED, OLD, ArrivalState.OPENED, FRESH), None),
        (
            Waiting("w", True, FetchState.FETCHED, OLD, ArrivalState.OPENED, OLD),
            What.NOT_ACKNOWLEDGED,
        ),
        (Waiting("w", False, FetchState.FETCHED, OLD, ArrivalState.OPENED, OLD), None),
        (Waiting("w", False, None, None, ArrivalState.RECEIVED, OLD), What.NOT_OPENED),
        (Waiting("w", False, None, None, ArrivalState.RECEIVED, FRESH), None),
    ],
)
def test_a_waiting_package(one, what):
    found = compare_waiting(one, now=SOON, limits=LIMITS)
    assert (found.what if found else None) is what


def test_a_count_contradicts_a_list_only_when_it_stood_still():
    assert counts_differ(3, 2, 3)
    assert not counts_differ(2, 2, 2)
    assert not counts_differ(3, 2, 2)
    assert not counts_differ(2, 3, 3)


def test_an_open_matter_is_looked_at_on_the_days_its_times_run_out():
    for due, instant in (
        (None, AT + LIMITS.stuck_after),
        (None, AT + LIMITS.answer_within),
        (DAY + timedelta(days=2), day_bounds(DAY + timedelta(days=3))[0]),
    ):
        begin, end = day_bounds((instant.astimezone(BEGIN.tzinfo)).date())
        assert falls_due(replace(SENT, due_date=due), begin, end, LIMITS)
    third = day_bounds(DAY + timedelta(days=3))
    assert not falls_due(SENT, *third, LIMITS)
    answered = replace(TWO[0], state=RecipientState.ARRIVED, status_code="01")
    next_day = day_bounds(DAY + timedelta(days=1))
    assert not falls_due(replace(SENT, receivers=(answered,)), *next_day, LIMITS)
    assert falls_due(in_state("DEFERRED"), *next_day, LIMITS)


def test_a_day_is_vietnam_s():
    assert datetime(2026, 11, 19, 17, 0, tzinfo=UTC) == BEGIN
    assert datetime(2026, 11, 20, 17, 0, tzinfo=UTC) == END


def test_the_day_before_is_due_at_its_hour_and_missed_days_are_made_up():
    at = time(3, 10)
    early = datetime(2026, 11, 20, 20, 9, tzinfo=UTC)  # 03:09 on the 21st
    due = early + timedelta(minutes=1)
    before = DAY - timedelta(days=1)
    assert days_due(early, at, before) == []
    assert days_due(due, at, before) == [DAY]
    assert days_due(due, at, DAY) == []
    assert days_due(due, at, None) == []
    assert days_due(due, at, date(2026, 11, 17)) == [date(2026, 11, d) for d in (18, 19, 20)]
    assert days_due(due, at, date(2026, 1, 1)) == [date(2026, 11, d) for d in range(14, 21)]


def test_days_that_no_daily_report_speaks_of_are_named():
    assert days_skipped(None, DAY) is None
    assert days_skipped(DAY - timedelta(days=1), DAY) is None
    assert days_skipped(DAY, DAY) is None
    assert days_skipped(DAY + timedelta(days=3), DAY) is None
    assert days_skipped(date(2026, 11, 17), DAY) == (date(2026, 11, 18), date(2026, 11, 19))


def test_every_difference_has_words_in_both_languages():
    assert set(WORDS) == set(What)
    for _, text in WORDS.values():
        assert text.vi
        assert text.en


def test_the_exit_code_says_what_is_to_be_done():
    found = Found()
    assert exit_code(found.counts) == 0
    found.add(judge(in_state("HELD", doubt=True)))
    assert exit_code(found.counts) == 0  # settled: nothing is left to do
    found.add(judge(SENT, SILENCE))
    assert exit_code(found.counts) == 2
    found.add(judge(SENT, NOTHING))
    assert exit_code(found.counts) == 1
