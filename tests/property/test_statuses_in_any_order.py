"""Whatever order statuses come in, a recipient ends as if they had come as they were said."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model.transfer import STAGE, STATE_OF_CODE, RecipientState, Told, follow

R = RecipientState
NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)
BEGIN = st.sampled_from([R.ON_AXIS, R.NO_ANSWER])
# few seconds, so that many are equal; None: it does not say when
TIMES = st.sampled_from([None, *(NOON + timedelta(seconds=n) for n in range(4))])
STATUSES = st.builds(
    lambda code, at, recalls: Told(code, at, recalls and code == "15"),
    st.sampled_from([*STATE_OF_CODE, "13", "99", ""]),
    TIMES,
    st.booleans(),
)


def at(second: int | None, code: str, *, recalls: bool = False) -> Told:
    return Told(code, None if second is None else NOON + timedelta(seconds=second), recalls)


def came(begin: RecipientState, order: Sequence[Told]) -> tuple[RecipientState, str]:
    """As the corridor does it: one after another, what came before is there to be asked."""
    state, code = begin, ""
    for n, one in enumerate(order):
        state, brought = follow(state, one, lambda n=n: order[:n])  # type: ignore[misc]
        code = brought or code
    return state, code


def as_said(begin: RecipientState, order: Sequence[Told]) -> tuple[RecipientState, str]:
    """The same statuses one after another as they were said, with nothing to look back at."""
    early = NOON - timedelta(days=1)
    state, code = begin, ""
    for said in sorted(order, key=lambda t: t.at or early):
        new = R.RECALLED if said.recalls and state is not R.REJECTED else None
        new = new or STATE_OF_CODE.get(said.code, state)
        if STAGE[new] >= STAGE[state] and new is not state:
            state, code = new, said.code
    return state, code


@given(st.data(), st.lists(STATUSES, max_size=8), BEGIN)
def test_every_order_of_arrival_ends_as_the_statuses_were_said(
    data: st.DataObject, told: list[Told], begin: RecipientState
) -> None:
    for order in (told, data.draw(st.permutations(told))):
        assert came(begin, order) == as_said(begin, order)


@given(st.lists(STATUSES, max_size=5, unique_by=lambda t: t.at), BEGIN)
@example([at(1, "02"), at(2, "06")], R.ON_AXIS)
@example([at(2, "02"), at(1, "06")], R.ON_AXIS)
@example([at(1, "05"), at(2, "16")], R.ON_AXIS)
@example([at(2, "05"), at(1, "16"), at(None, "05")], R.ON_AXIS)
@example([at(1, "02"), at(2, "15", recalls=True)], R.ON_AXIS)
@example([at(1, "02"), at(2, "06"), at(3, "15", recalls=True)], R.ON_AXIS)
def test_statuses_of_different_instants_end_in_one_state_in_every_permutation(
    told: list[Told], begin: RecipientState
) -> None:
    ends = {came(begin, order) for order in itertools.permutations(told)}
    assert len(ends) == 1, ends


def test_of_one_instant_or_of_none_the_one_that_came_last_counts() -> None:
    for second in (1, None):
        for one, other in (("02", "06"), ("05", "16")):
            for order in itertools.permutations([at(second, one), at(second, other)]):
                assert came(R.ON_AXIS, order)[1] == order[-1].code
        # agreed to a recall and returned: whatever was said first ended it
        for order in itertools.permutations([at(second, "02"), at(second, "15", recalls=True)]):
            assert came(R.ON_AXIS, order)[1] == order[0].code


@given(st.lists(STATUSES, max_size=8), BEGIN)
def test_no_status_lowers_the_stage_but_for_a_return_before_a_recall(
    told: list[Told], begin: RecipientState
) -> None:
    state = begin
    for n, one in enumerate(told):
        after, _ = follow(state, one, lambda n=n: told[:n])  # type: ignore[misc]
        if state is not R.RECALLED:
            assert STAGE[after] >= STAGE[state]
        elif after is not state:
            assert any(t.code == "02" for t in told[: n + 1])
        state = after


def test_the_ladder_is_climbed_without_looking_back() -> None:
    def never() -> list[Told]:
        raise AssertionError("it was asked for what came before")

    state = R.ON_AXIS
    for n, code in enumerate(("01", "03", "01", "04", "05", "05", "15", "06", "03")):
        state, _ = follow(state, at(n, code), never)
    assert state is R.FINISHED
