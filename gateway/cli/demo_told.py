"""What the demo tells of a document, as contract 5 has it.

In:     the answers of a sender's gateway, and of each receiver's.
Out:    JSON: who, what, when, every state and every record; for each receiver what it did itself.
Never:  shows a record's content beyond outcomes, states and codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
_KEPT = ("outcome", "code", "attempt", "state", "recipient", "status_code", "axis")


def entry_of(row: Mapping[str, Any]) -> Json:
    """A record's place and time; never its content."""
    kept = ("seq", "event", "at", "sealed", "stamped_at", "stamped_by")
    return {name: row[name] for name in kept}


def outcome_of(record: Mapping[str, Any]) -> str:
    return str(record["record"].get("facts", {}).get("outcome", ""))


def told_of(
    answer: Json,
    document: Json,
    records: Sequence[Json],
    received: Sequence[tuple[Json, Sequence[Json]]],
    names: Mapping[str, str],
) -> Json:
    """`received`: the item and the records of each receiver. `names`: by code.

    `received` and `received_records` of the whole are those of the first receiver.
    """
    codes = {  # item -> the status that it brought: what was fetched or seen later is that one
        row["record"]["about"].get("item"): row["record"]["facts"].get("status_code")
        for row in records
        if row["event"] == "item.available"
    }
    axes = {t["transfer_id"]: t["axis"] for t in document["transfers"]}
    shown = []
    for row in records:
        facts, about = row["record"].get("facts", {}), row["record"]["about"]
        code = codes.get(about.get("item"))
        named = {name: facts[name] for name in _KEPT if name in facts}
        if axis := axes.get(about.get("transfer")):
            named["axis"] = axis
        shown.append({**entry_of(row), **({"status_code": code} if code else {}), **named})
    theirs = {item["agency"]: (item["instants"], own) for item, own in received}
    recipients = [
        {
            "agency": r["agency"],
            "axis": t["axis"],
            "states": _states(shown, r["agency"], t["axis"]),
            "status_code": r["status_code"],
            "on_axis_at": r["on_axis_at"],
            "entered_at": r["entered_at"],
            "sources": r["sources"],
            "received": theirs[r["agency"]][0],
            "received_records": theirs[r["agency"]][1],
        }
        for t in document["transfers"]
        for r in t["recipients"]
    ]
    return {
        "id": document["id"],
        "document_id": document["document_id"],
        "subject": document["subject"],
        "from": document["from"],
        "from_name": names[document["from"]],
        "to": [r["agency"] for r in recipients],
        "to_names": [names[r["agency"]] for r in recipients],
        "axis": [t["axis"] for t in document["transfers"]],
        "attachments": document["files"],
        "recipients": recipients,
        "instants": document["instants"],
        "received": recipients[0]["received"],
        "received_records": recipients[0]["received_records"],
        "accepted_at": answer["accepted_at"],
        "records": shown,
        "evidence": None,
    }


def _states(records: Sequence[Mapping[str, Any]], agency: str, axis: str) -> list[str]:
    """Every state the recipient was in, in order, as the ledger has them."""
    states = ["PENDING"]
    for record in records:
        moved = record["event"] == "recipient.moved" and record.get("recipient") == agency.upper()
        on_axis = record["event"] == "attempt.ended" and record.get("state") == "ON_AXIS"
        on_axis = on_axis and record.get("axis") == axis
        state = record.get("state", "") if moved else "ON_AXIS" if on_axis else ""
        if state and state != states[-1]:
            states.append(state)
    return states
