"""State diagrams as Mermaid, from the tables that own the states."""

from collections.abc import Mapping
from enum import StrEnum

from gateway.model.arrival import (
    ARRIVAL_TRANSITIONS,
    DOCUMENT_ITEM_TRANSITIONS,
    FETCH_TRANSITIONS,
    NOTICE_ITEM_TRANSITIONS,
    ArrivalState,
    FetchState,
    ItemState,
)
from gateway.model.transfer import TRANSFER_TRANSITIONS, TransferState


def diagram(first: StrEnum, table: Mapping[StrEnum, frozenset[StrEnum]]) -> str:
    """Edges in the order in which the states are declared; ends lead out."""
    order = list(type(first))
    lines = ["stateDiagram-v2", f"    [*] --> {first.value}"]
    for old in order:
        if old not in table and not any(old in after for after in table.values()):
            continue
        after = table.get(old, frozenset())
        lines += [f"    {old.value} --> {new.value}" for new in order if new in after]
        if not after:
            lines.append(f"    {old.value} --> [*]")
    return "\n".join(lines)


DIAGRAMS = {
    "Transfer, one package on one axis": diagram(TransferState.ACCEPTED, TRANSFER_TRANSITIONS),
    "Fetch, one package that an axis holds for us": diagram(FetchState.DUE, FETCH_TRANSITIONS),
    "Arrival": diagram(ArrivalState.RECEIVED, ARRIVAL_TRANSITIONS),
    "Inbox item, a document": diagram(ItemState.WAITING, DOCUMENT_ITEM_TRANSITIONS),
    "Inbox item, a status or a report": diagram(ItemState.WAITING, NOTICE_ITEM_TRANSITIONS),
}
