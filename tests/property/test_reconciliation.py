"""Reconciliation over everything that an axis may answer, and reports with any byte changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.reconcile import (
    Answer,
    Copy,
    Kind,
    Limits,
    Receiver,
    Sent,
    What,
    compare_sent,
    day_bounds,
    falls_due,
)
from gateway.dispatch.report import COUNTED, WANTING, About, Found, report_json
from gateway.errors import Untrusted
from gateway.ledger.reconciliation import sign_report, verify_report
from gateway.model.package import PackageKind
from gateway.model.transfer import TRANSFER_TRANSITIONS, RecipientState, TransferState

DAY = date(2026, 11, 20)
BEGIN, END = day_bounds(DAY)
LIMITS = Limits(timedelta(hours=24), timedelta(days=5))
KEY = ec.derive_private_key(20261120, ec.SECP256R1())

agencies = st.sampled_from(["G22", "G09", "H14"])
ids = st.sampled_from(["A", "B", "X", "Y"])
copies = st.builds(
    Copy,
    receiver_key=agencies,
    ref=ids,
    copy_ref=st.sampled_from(["", "1", "2"]),
    notation=st.sampled_from(["", "12/UBND", "13/UBND"]),
    passed_on=st.sampled_from([True, False, None]),
    taken=st.sampled_from([True, False, None]),
)
accepted = st.integers(0, 86_399).map(lambda n: BEGIN + timedelta(seconds=n))
receivers = st.builds(
    Receiver,
    key=agencies,
    agency=st.just("000.00.00.G22"),
    state=st.sampled_from(RecipientState),
    status_code=st.sampled_from(["", "", "01", "03"]),
    on_axis_at=st.none() | accepted,
    local=st.booleans(),
)


@st.composite
def transfers(draw):
    told = draw(st.lists(receivers, min_size=1, max_size=3, unique_by=lambda r: r.key))
    return Sent(
        transfer="t",
        document="d",
        document_id="id",
        kind=draw(st.sampled_from(PackageKind)),
        state=draw(st.sampled_from(TransferState)),
        doubt=draw(st.booleans()),
        refs=draw(st.sampled_from([(), ("A",), ("A", "B")])),
        accepted_at=draw(accepted),
        receivers=tuple(replace(r, agency=f"000.00.00.{r.key}") for r in told),
        due_date=draw(st.none() | st.dates(DAY, DAY + timedelta(days=20))),
        notation="12/UBND",
    )


@st.composite
def judged(draw):
    ours = draw(transfers())
    answers = [
        draw(
            st.one_of(
                st.just(Answer(ref, why="answer.silence")),
                st.builds(Answer, st.just(ref), st.lists(copies, max_size=4).map(tuple)),
            )
        )
        for ref in ours.refs
    ]
    now = draw(accepted) + timedelta(days=draw(st.integers(0, 9)))
    found = compare_sent(
        ours,
        answers,
        now=now,
        limits=LIMITS,
        our_ids=frozenset(draw(st.sets(ids))),
        here=frozenset(draw(st.sets(st.sampled_from(["1", "2"])))),
    )
    return ours, answers, found


@given(judged())
def test_no_document_is_called_lost_doubled_or_settled_without_a_word_of_the_axis(case):
    _, answers, found = case
    if all(answer.why for answer in answers):
        told = {d.kind for d in found.differences}
        assert told <= {Kind.STUCK, Kind.NEVER_ANSWERED}
        assert found.settle == ""
        assert found.fetch == ()
    assert len([o for o in found.unanswered if o.why == "answer.silence"]) == len(
        [a for a in answers if a.why]
    )


@given(judged())
def test_only_what_the_axis_names_by_our_own_id_is_settled_and_only_where_the_table_allows(case):
    ours, answers, found = case
    settled = [d for d in found.differences if d.what is What.KNOWN_TO_AXIS]
    assert bool(settled) == bool(found.settle)
    if found.settle:
        assert TransferState.ON_AXIS in TRANSFER_TRANSITIONS[ours.state]
        assert ours.state is not TransferState.SENDING
        assert found.settle in ours.refs
        assert any(
            copy.ref == answer.ref == found.settle and copy.passed_on is not False
            for answer in answers
            for copy in answer.copies
        )


@given(judged())
def test_a_receiver_that_answered_is_neither_missing_nor_late(case):
    ours, _, found = case
    silent = {r.agency for r in ours.receivers if r.silent}
    late = {Kind.STUCK, Kind.NEVER_ANSWERED, Kind.MISSING}
    for one in found.differences:
        if one.kind in late and one.receiver and one.what is not What.NEVER_CAME:
            assert one.receiver in silent


@given(st.lists(judged(), max_size=8), st.integers(0, 8))
def test_pages_add_up_to_what_one_walk_would_have_found(cases, cut):
    whole, first, second, merged = Found(), Found(), Found(), Found()
    for n, (_, _, found) in enumerate(cases):
        whole.add(found)
        (first if n < cut else second).add(found)
    merged.merge(first.as_json())
    merged.merge(second.as_json())
    assert merged.as_json() == whole.as_json()
    assert whole.counts["transfers"] == len(cases)
    assert whole.counts["wanting"] == sum(whole.counts[kind.value] for kind in WANTING)
    assert set(whole.counts) == set(COUNTED)


@given(transfers())
def test_an_open_matter_comes_up_on_few_days_and_on_the_day_its_time_runs_out(ours):
    days = [
        DAY + timedelta(days=n)
        for n in range(-1, 40)
        if falls_due(ours, *day_bounds(DAY + timedelta(days=n)), LIMITS)
    ]
    # for each receiver at most: stuck, never answered, past its due date
    assert len(days) <= 3 * len(ours.receivers)
    late = compare_sent(ours, (), now=END + timedelta(days=40), limits=LIMITS)
    if any(d.receiver for d in late.differences):
        assert days


def report():
    found = Found()
    found.counts["transfers"] = 2
    about = About(
        id="0198c0de-0000-7000-8000-000000000001",
        gateway="a.test",
        axis="vxp",
        day=DAY,
        by="daily",
        begun_at=END + timedelta(hours=3),
        made_at=END + timedelta(hours=3, minutes=1),
        limits=LIMITS,
        axis_can={"follow_up": True, "list": True, "count": True},
    )
    return report_json(about, found)


SIGNED = sign_report(report(), "a.test", END, KEY)
FILE = SIGNED.file()


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_signed_report_is_found(place, change):
    changed = bytearray(FILE)
    changed[place] ^= change
    if bytes(changed).strip(b" \t\r\n") != FILE:
        with pytest.raises(Untrusted):
            verify_report(bytes(changed), KEY.public_key())


@given(st.integers(0, len(FILE)), st.sampled_from([b" ", b"0", b"{", b"\n", b'"']))
def test_nothing_can_be_put_in_between(place, added):
    changed = FILE[:place] + added + FILE[place:]
    if changed.strip(b" \t\r\n") != FILE:
        with pytest.raises(Untrusted):
            verify_report(changed, KEY.public_key())


def test_a_whole_report_is_vouched_for_by_the_ledger_s_key_and_no_other():
    vouched = verify_report(b"\n" + FILE + b"\n", [KEY.public_key()])
    assert vouched.report == report()
    assert (vouched.origin, vouched.at) == ("a.test", END)
    assert vouched.sha256 == SIGNED.sha256
    other = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    with pytest.raises(Untrusted) as refused:
        verify_report(FILE, other)
    assert refused.value.code == "note.unsigned"


def test_a_note_over_another_report_does_not_vouch_for_this_one():
    changed = report() | {"axis": "other"}
    other = sign_report(changed, "a.test", END, KEY)
    mixed = type(SIGNED)(SIGNED.report, other.note).file()
    with pytest.raises(Untrusted) as refused:
        verify_report(mixed, KEY.public_key())
    assert refused.value.code == "reconciliation.mismatch"


@pytest.mark.parametrize(
    "file", [b"", b"[]", b"{", b'{"v":1}', b'{"note":1,"report":"{}","v":1}', FILE[:-1], b"\xff"]
)
def test_what_is_no_report_is_refused_as_such(file):
    with pytest.raises(Untrusted) as refused:
        verify_report(file, KEY.public_key())
    assert refused.value.code == "reconciliation.malformed"


def test_the_same_day_gives_the_same_file():
    assert sign_report(report(), "a.test", END, KEY).file() == FILE
