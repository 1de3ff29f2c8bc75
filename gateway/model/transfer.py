"""Transfers and recipients: the only file that may say which state follows which.

A transfer is one package on one axis (architecture 5). CHECK constraints, diagrams and tests are
made from the tables below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from gateway.errors import Broken, Text
from gateway.model.steps import moves


class TransferState(StrEnum):
    ACCEPTED = "ACCEPTED"  # promised to the unit; its record waits for the sealer
    SEALED = "SEALED"  # its record has an entry; due for delivery
    SENDING = "SENDING"  # an attempt is recorded; bytes may be leaving
    ON_AXIS = "ON_AXIS"  # the axis has it
    DEFERRED = "DEFERRED"  # not now; a next attempt is due
    REFUSED = "REFUSED"  # the axis said never
    UNCERTAIN = "UNCERTAIN"  # no verdict; the same bytes again after `uncertain.wait`
    HELD = "HELD"  # a person must decide; `hold_cause` says why
    EXPIRED = "EXPIRED"  # its lifetime ended without doubt
    WITHDRAWN = "WITHDRAWN"  # taken back before any attempt can have delivered
    REROUTED = "REROUTED"  # replaced by a transfer on another axis


T = TransferState
TRANSFER_TRANSITIONS: Mapping[TransferState, frozenset[TransferState]] = MappingProxyType(
    {
        T.ACCEPTED: frozenset({T.SEALED, T.HELD, T.WITHDRAWN}),
        T.SEALED: frozenset({T.SENDING, T.HELD, T.EXPIRED, T.WITHDRAWN, T.REROUTED}),
        T.SENDING: frozenset({T.ON_AXIS, T.DEFERRED, T.REFUSED, T.UNCERTAIN}),
        T.DEFERRED: frozenset({T.SENDING, T.ON_AXIS, T.HELD, T.EXPIRED, T.WITHDRAWN, T.REROUTED}),
        T.UNCERTAIN: frozenset({T.ON_AXIS, T.SENDING, T.HELD}),
        T.HELD: frozenset({T.ACCEPTED, T.SEALED, T.ON_AXIS, T.EXPIRED, T.WITHDRAWN, T.REROUTED}),
        T.EXPIRED: frozenset({T.ON_AXIS}),
        T.REFUSED: frozenset({T.ON_AXIS}),
        T.ON_AXIS: frozenset(),
        T.WITHDRAWN: frozenset(),
        T.REROUTED: frozenset(),
    }
)
# what one commit walks at once (dispatch.schedule), and so what one UPDATE may do to a row
TRANSFER_WALKS = (
    (T.SENDING, T.UNCERTAIN, T.HELD),  # refused in doubt, too old in doubt, never to be repeated
    (T.SENDING, T.DEFERRED, T.HELD),  # too many equal answers; too old in doubt
    (T.SENDING, T.DEFERRED, T.EXPIRED),  # too old without doubt
)
TRANSFER_MOVES = moves(TRANSFER_TRANSITIONS, TRANSFER_WALKS)
UNFINISHED = (T.ACCEPTED, T.SEALED, T.SENDING, T.DEFERRED, T.UNCERTAIN, T.HELD)
CLAIMABLE = (T.SEALED, T.DEFERRED, T.UNCERTAIN)
LANE_COUNT = 4  # 0 hỏa tốc, 1 thượng khẩn, 2 khẩn, 3 thường
# What a person may do to a transfer where it stands. While bytes may be leaving: nothing.
PERSON_MAY: Mapping[TransferState, tuple[str, ...]] = MappingProxyType(
    {
        T.ACCEPTED: ("hold", "withdraw"),
        T.SEALED: ("hold", "withdraw"),
        T.SENDING: (),
        T.DEFERRED: ("retry", "hold", "withdraw"),
        T.UNCERTAIN: ("retry", "hold"),
        T.HELD: ("release", "withdraw"),
        T.EXPIRED: ("replay",),
        T.REFUSED: ("replay",),
        T.ON_AXIS: ("replay",),  # only when told that receivers may get it again
        T.WITHDRAWN: ("replay",),
        T.REROUTED: (),
    }
)


def person_may(state: TransferState, *, doubt: bool) -> tuple[str, ...]:
    """The acts open to a person. With doubt nothing is withdrawn: it may have been delivered."""
    return tuple(act for act in PERSON_MAY[state] if not (doubt and act == "withdraw"))


def step(old: TransferState, new: TransferState) -> TransferState:
    """The new state, or Broken when the table does not allow it."""
    if new not in TRANSFER_TRANSITIONS[old]:
        raise Broken(
            Text(f"Chuyển trạng thái không hợp lệ: {old} → {new}", f"illegal step: {old} -> {new}"),
            code="transfer.illegal_step",
        )
    return new


def move(old: TransferState, new: TransferState) -> TransferState:
    """`step` for one UPDATE: the new state, or Broken when no edge and no walk leads there."""
    return new if new in TRANSFER_MOVES[old] else step(old, new)


class RecipientState(StrEnum):
    PENDING = "PENDING"
    ON_AXIS = "ON_AXIS"
    ARRIVED = "ARRIVED"  # 01
    REJECTED = "REJECTED"  # 02
    ACCEPTED = "ACCEPTED"  # 03
    ASSIGNED = "ASSIGNED"  # 04
    PROCESSING = "PROCESSING"  # 05
    FINISHED = "FINISHED"  # 06
    TAKE_BACK_AGREED = "TAKE_BACK_AGREED"  # 15
    TAKE_BACK_REFUSED = "TAKE_BACK_REFUSED"  # 16
    NOT_DELIVERED = "NOT_DELIVERED"
    RECALLED = "RECALLED"
    NO_ANSWER = "NO_ANSWER"


R = RecipientState
STATE_OF_CODE: Mapping[str, RecipientState] = MappingProxyType(
    {
        "01": R.ARRIVED,
        "02": R.REJECTED,
        "03": R.ACCEPTED,
        "04": R.ASSIGNED,
        "05": R.PROCESSING,
        "06": R.FINISHED,
        "15": R.TAKE_BACK_AGREED,
        "16": R.TAKE_BACK_REFUSED,
    }
)
# How far along the road a state is: statuses are kept in (timestamp, arrival) order and never
# lower the furthest stage shown. The recall conversation and ends stand outside the ladder.
STAGE: Mapping[RecipientState, int] = MappingProxyType(
    {
        R.PENDING: 0,
        R.NOT_DELIVERED: 1,
        R.NO_ANSWER: 1,
        R.ON_AXIS: 2,
        R.ARRIVED: 3,
        R.ACCEPTED: 4,
        R.ASSIGNED: 5,
        R.PROCESSING: 6,
        R.TAKE_BACK_REFUSED: 6,
        R.TAKE_BACK_AGREED: 7,
        R.FINISHED: 8,
        R.REJECTED: 8,
        R.RECALLED: 9,
    }
)


# each is the last word of a recipient; which of several is, their order decides
ENDS = frozenset({R.FINISHED, R.REJECTED, R.RECALLED})


def furthest(old: RecipientState, code: str) -> RecipientState:
    """The state shown after a status `code` said last; an unknown code never moves it."""
    new = STATE_OF_CODE.get(code)
    if new is None or STAGE[new] < STAGE[old]:
        return old
    return new


class Told(NamedTuple):
    """One status of a recipient. `at`: its own Timestamp, None where that cannot be read.

    `recalls`: a 15 about a document that was asked back.
    """

    code: str
    at: datetime | None
    recalls: bool = False


def follow(
    old: RecipientState, new: Told, before: Callable[[], Iterable[Told]]
) -> tuple[RecipientState, str]:
    """The state shown once `new` came, and the code that it stands on; "" when nothing moved.

    Whatever order they come in, the end is that of the order in which they were said: by their
    Timestamp, then by arrival; one that does not say when counts as said before the others. On the
    ladder the furthest is the furthest in any order, so `before`, all that came before `new` in
    order of arrival, is asked for only where two states stand on one stage or are both an end.
    """
    reached = R.RECALLED if new.recalls else STATE_OF_CODE.get(new.code)
    ends = old in ENDS and reached in ENDS
    tied = reached is not None and reached is not old and STAGE[reached] == STAGE[old]
    if ends or tied:
        return _in_order([*before(), new])
    return _next(old, "", new)


def _in_order(told: Iterable[Told]) -> tuple[RecipientState, str]:
    state, code = R.ON_AXIS, ""
    for one in sorted(told, key=lambda t: float("-inf") if t.at is None else t.at.timestamp()):
        state, code = _next(state, code, one)
    return state, code


def _next(old: RecipientState, code: str, said: Told) -> tuple[RecipientState, str]:
    """A step in the order in which it was said. Returned stays returned, recalled recalled."""
    if said.recalls and old not in (R.REJECTED, R.NOT_DELIVERED):
        return (old, code) if old is R.RECALLED else (R.RECALLED, said.code)
    state = furthest(old, said.code)
    return (old, code) if state is old else (state, said.code)
