"""One table owns each set of states: constraints and reachability are held to it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import pytest
from sqlalchemy import CheckConstraint

from gateway.errors import Broken
from gateway.model.arrival import (
    ARRIVAL_TRANSITIONS,
    DOCUMENT_ITEM_TRANSITIONS,
    FETCH_TRANSITIONS,
    NOTICE_ITEM_TRANSITIONS,
    ArrivalState,
    FetchState,
    ItemState,
)
from gateway.model.breaker import BreakerState
from gateway.model.transfer import (
    CLAIMABLE,
    STAGE,
    STATE_OF_CODE,
    TRANSFER_TRANSITIONS,
    RecipientState,
    TransferState,
    furthest,
    step,
)
from gateway.store.tables import metadata

CHECKED = {
    ("transfer", "state"): TransferState,
    ("recipient", "state"): RecipientState,
    ("fetch", "state"): FetchState,
    ("arrival", "state"): ArrivalState,
    ("inbox_item", "state"): ItemState,
    ("breaker", "state"): BreakerState,
}
# where a life begins, and where it may end (architecture 5)
LIVES: list[tuple[Mapping[StrEnum, frozenset[StrEnum]], str, set[str]]] = [
    (TRANSFER_TRANSITIONS, "ACCEPTED", {"ON_AXIS", "WITHDRAWN", "REROUTED"}),
    (FETCH_TRANSITIONS, "DUE", {"FETCHED"}),
    (ARRIVAL_TRANSITIONS, "RECEIVED", {"OPENED", "DUPLICATE", "RETURNED"}),
    (DOCUMENT_ITEM_TRANSITIONS, "WAITING", {"REFUSED", "RECALLED"}),
    (NOTICE_ITEM_TRANSITIONS, "WAITING", {"SEEN"}),
]


@pytest.mark.parametrize(("place", "states"), CHECKED.items(), ids=str)
def test_the_database_allows_exactly_the_states_of_the_enum(
    place: tuple[str, str], states: type[StrEnum]
) -> None:
    table, column = place
    (check,) = [
        c
        for c in metadata.tables[table].constraints
        if isinstance(c, CheckConstraint) and str(c.sqltext).startswith(f"{column} IN")
    ]
    allowed = {part.strip(" '") for part in str(check.sqltext).split("(")[1].rstrip(")").split(",")}
    assert allowed == {s.value for s in states}


@pytest.mark.parametrize(("table", "start", "ends"), LIVES, ids=[str(s) for _, s, _ in LIVES])
def test_every_state_is_reached_and_every_life_ends(
    table: Mapping[StrEnum, frozenset[StrEnum]], start: str, ends: set[str]
) -> None:
    by_name = {s.value: s for s in table}
    seen = {by_name[start]}
    front = [by_name[start]]
    while front:
        for following in table[front.pop()] - seen:
            seen.add(following)
            front.append(following)
    assert seen == set(table)
    assert {s.value for s, following in table.items() if not following} == ends


def test_a_step_that_the_table_does_not_know_is_broken() -> None:
    for old in TransferState:
        for new in TransferState:
            if new in TRANSFER_TRANSITIONS[old]:
                assert step(old, new) is new
            else:
                with pytest.raises(Broken):
                    step(old, new)


def test_what_may_be_sent_was_sealed_first() -> None:
    """SENDING is entered only from states that lie behind SEALED."""
    before = {s for s in TransferState if TransferState.SENDING in TRANSFER_TRANSITIONS[s]}
    assert before == set(CLAIMABLE)
    assert TransferState.ACCEPTED not in before


def test_a_status_never_lowers_the_furthest_stage() -> None:
    for old in RecipientState:
        for code in (*STATE_OF_CODE, "13", "99", ""):
            assert STAGE[furthest(old, code)] >= STAGE[old]
    assert furthest(RecipientState.FINISHED, "03") is RecipientState.FINISHED
    assert furthest(RecipientState.NO_ANSWER, "01") is RecipientState.ARRIVED
