"""What came from an axis, and the inbox items made of it: states and their tables (5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from gateway.model.package import PackageKind
from gateway.model.steps import moves


class FetchState(StrEnum):
    DUE = "DUE"
    FETCHED = "FETCHED"
    HELD = "HELD"


class ArrivalState(StrEnum):
    RECEIVED = "RECEIVED"  # raw bytes durable and recorded, not yet read
    OPENED = "OPENED"
    DUPLICATE = "DUPLICATE"  # opened well, and not one new item came of it
    ORPHAN = "ORPHAN"  # a status for a document we do not know
    QUARANTINED = "QUARANTINED"  # could not be opened; bytes and findings kept for ops
    RETURNED = "RETURNED"


class ItemState(StrEnum):
    WAITING = "WAITING"
    LEASED = "LEASED"
    ENTERED = "ENTERED"  # the document entered the receiver's System: the legal moment
    REFUSED = "REFUSED"
    RECALLED = "RECALLED"
    SEEN = "SEEN"  # statuses and reports end here


class ItemKind(StrEnum):
    DOCUMENT = "document"
    STATUS = "status"
    REPORT = "report"


FETCH_TRANSITIONS: Mapping[FetchState, frozenset[FetchState]] = MappingProxyType(
    {
        FetchState.DUE: frozenset({FetchState.FETCHED, FetchState.HELD}),
        FetchState.HELD: frozenset({FetchState.DUE}),
        FetchState.FETCHED: frozenset(),
    }
)
# a fetch that was held and came whole after all: somebody had begun it before it was held
FETCH_MOVES = moves(FETCH_TRANSITIONS, ((FetchState.HELD, FetchState.DUE, FetchState.FETCHED),))
A = ArrivalState
ARRIVAL_TRANSITIONS: Mapping[ArrivalState, frozenset[ArrivalState]] = MappingProxyType(
    {
        A.RECEIVED: frozenset({A.OPENED, A.DUPLICATE, A.ORPHAN, A.QUARANTINED}),
        A.ORPHAN: frozenset({A.OPENED}),
        A.QUARANTINED: frozenset({A.OPENED, A.RETURNED}),
        A.OPENED: frozenset(),
        A.DUPLICATE: frozenset(),
        A.RETURNED: frozenset(),
    }
)
I = ItemState  # noqa: E741 - the table below reads as a table only with one letter
DOCUMENT_ITEM_TRANSITIONS: Mapping[ItemState, frozenset[ItemState]] = MappingProxyType(
    {
        I.WAITING: frozenset({I.LEASED, I.ENTERED, I.REFUSED, I.RECALLED}),
        I.LEASED: frozenset({I.WAITING, I.ENTERED, I.REFUSED, I.RECALLED}),
        I.ENTERED: frozenset({I.REFUSED, I.RECALLED}),
        I.REFUSED: frozenset(),
        I.RECALLED: frozenset(),
    }
)
NOTICE_ITEM_TRANSITIONS: Mapping[ItemState, frozenset[ItemState]] = MappingProxyType(
    {
        I.WAITING: frozenset({I.LEASED, I.SEEN}),
        I.LEASED: frozenset({I.WAITING, I.SEEN}),
        I.SEEN: frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One complete package handed to `Intake.receive`; its bytes already lie in the blob store.

    `listed_from`, `listed_to`: what the axis' own list says, "" when it says nothing.
    """

    axis: str
    axis_doc_id: str
    kind: PackageKind
    sha256: str
    size: int
    listed_from: str = ""
    listed_to: str = ""
