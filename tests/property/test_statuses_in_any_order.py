"""Whatever comes in whatever order: the stage shown is the furthest that was ever reported."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.transfer import STAGE, STATE_OF_CODE, RecipientState, furthest

CODES = st.lists(st.sampled_from([*STATE_OF_CODE, "13", "99", ""]), max_size=12)
BEGIN = st.sampled_from([RecipientState.PENDING, RecipientState.ON_AXIS])


@given(st.data(), CODES, BEGIN)
def test_no_order_of_statuses_lowers_the_stage_and_every_order_ends_at_the_same(
    data: st.DataObject, codes: list[str], begin: RecipientState
) -> None:
    ends = set()
    for order in (codes, data.draw(st.permutations(codes))):
        state = begin
        for code in order:
            after = furthest(state, code)
            assert STAGE[after] >= STAGE[state]
            state = after
        ends.add(STAGE[state])
    reported = [STAGE[STATE_OF_CODE[c]] for c in codes if c in STATE_OF_CODE]
    assert ends == {max([STAGE[begin], *reported])}
