"""Arrivals and inbox items as they are shown, against what was recorded of them.

In:     rows of arrivals and of the items made from them; the records about them.
Out:    findings: an instant, a state, an identity or a digest that no record says.
Never:  judges what no record holds: the content that waits for a unit, leases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from gateway.audit.against import Against, Said, about, batches, by, said
from gateway.errors import Finding
from gateway.model.arrival import ArrivalState, ItemState
from gateway.promise import plain_code, plain_id
from gateway.store import Tx, audit
from gateway.telemetry.events import Event

# what each step leaves an item in, the later before the earlier
_STEPS = (
    (Event.ITEM_RECALLED, ItemState.RECALLED),
    (Event.ITEM_REFUSED, ItemState.REFUSED),
    (Event.ITEM_SEEN, ItemState.SEEN),
    (Event.ITEM_ENTERED, ItemState.ENTERED),
)
_JUDGED = (Event.ARRIVAL_OPENED, Event.ARRIVAL_REJUDGED)
UNJUDGED = "not_checked"  # what stands there where no certificate was judged
AVAILABLE = (Event.ITEM_AVAILABLE, Event.REPORT_AVAILABLE)
_OPEN = (ItemState.WAITING.value, ItemState.LEASED.value)


def arrivals(tx: Tx) -> Iterator[Finding]:
    """Every arrival of this gateway and every item made of it."""
    for rows in batches(partial(audit.arrivals, tx)):
        ids = [row.id for row in rows]
        records = about(audit.bodies_about_arrivals(tx, ids), "arrival")
        items = by(audit.items_of(tx, ids), lambda i: i.arrival_id or "")
        for row in rows:
            told = records.get(row.id, [])
            yield from _arrival(row, told)
            yield from _items(items.get(row.id, []), told)
            yield from _told_of(tx, told)


def reports(tx: Tx) -> Iterator[Finding]:
    """Every report that this gateway itself put into an inbox."""
    for rows in batches(partial(audit.reports, tx)):
        refs = sorted({row.about_document or "" for row in rows})
        records = about(audit.bodies_about_documents(tx, refs), "item")
        for row in rows:
            told = records.get(row.id, []) if row.about_document else _behind(tx, row)
            yield from _item(row, told)


def _behind(tx: Tx, row: audit.Item) -> Sequence[Said]:
    """What was recorded of a report about an arrival: its identity is the record behind it."""
    body = audit.body_of(tx, row.identity)
    record = said(body) if body is not None else None
    arrival = record.about.get("arrival") if record is not None else None
    if arrival is None:
        return ()
    return about(audit.bodies_about_arrivals(tx, [arrival]), "item").get(row.id, ())


def _told_of(tx: Tx, told: Sequence[Said]) -> Iterator[Finding]:
    """Each report about an arrival is still there; one about a document is asked for with that."""
    made = [
        s.about.get("item", "")
        for s in told
        if s.event == Event.REPORT_AVAILABLE and "document" not in s.about
    ]
    for item_id in sorted(set(made) - audit.items_there(tx, made)) if made else ():
        yield gone(item_id, Event.REPORT_AVAILABLE)


def _arrival(row: audit.Arrival, told: Sequence[Said]) -> Iterator[Finding]:
    shown = Against(
        f"arrival/{row.id}",
        "ledger.shown_arrival",
        "Gói tin đến đang hiển thị khác với bản ghi trong sổ cái",
        "what is shown of the arrival is not what its records say",
    )
    received = next((s for s in told if s.event == Event.ARRIVAL_RECEIVED), None)
    if received is None:
        yield shown.finding("received_at", row.received_at, ())
        return
    facts = received.facts
    yield from shown.says("record_id", row.record_id, received.id)
    yield from shown.says("received_at", row.received_at, received.at)
    yield from shown.says("axis", row.axis, facts.get("axis"))
    yield from shown.says("axis_doc_id", row.axis_doc_id, facts.get("axis_doc_id"))
    yield from shown.says("kind", row.kind, facts.get("kind"))
    yield from shown.says("raw", row.raw_sha256, facts.get("raw_blob"))
    yield from shown.says("size", row.raw_size, facts.get("size"))
    opened = [s for s in told if s.event == Event.ARRIVAL_OPENED]
    if not opened:
        yield from shown.says("state", row.state, ArrivalState.RECEIVED.value)
        return
    # one that was entered after all says so: that is its last word, whatever the clock did
    final = [s for s in opened if "was" in s.facts] or opened
    states = [str(s.facts.get("state")) for s in final]
    if any(s.event == Event.ARRIVAL_RETURNED for s in told):
        states = [ArrivalState.RETURNED.value]
    yield from shown.says("state", row.state, *states)
    last = opened[-1].facts
    yield from shown.says("from", plain_id(row.sender.upper()), last.get("from"))
    yield from shown.says("document_id", plain_id(row.document_id), last.get("document_id"))
    yield from shown.says("identity", row.identity, last.get("identity"))
    yield from shown.says("status_code", plain_code(row.status_code), last.get("status_code"))
    # the word on the signer's certificate may change once more was known, never without a record
    judged = [s.facts for s in told if s.event in _JUDGED and "certificate" in s.facts]
    words = [facts["certificate"].get("trust") for facts in judged]
    word = row.verdict.get("certificate", {}).get("trust", UNJUDGED)
    yield from shown.says("certificate", word, words[-1] if words else UNJUDGED)


def _items(items: Sequence[audit.Item], told: Sequence[Said]) -> Iterator[Finding]:
    """Each item of an arrival has its records, and each item made available is still there."""
    records = by(told, lambda s: s.about.get("item", ""))
    for row in items:
        yield from _item(row, records.pop(row.id, []))
    for item_id, rest in records.items():
        if any(s.event == Event.ITEM_AVAILABLE for s in rest):
            yield gone(item_id, Event.ITEM_AVAILABLE)


def _item(row: audit.Item, told: Sequence[Said]) -> Iterator[Finding]:
    shown = _shown_item(row.id)
    available = next((s for s in told if s.event in AVAILABLE), None)
    if available is None:
        yield shown.finding("available_at", row.available_at, ())
        return
    facts = available.facts
    yield from shown.says("available_at", row.available_at, available.at)
    yield from shown.says("agency", row.agency.upper(), facts.get("agency"))
    yield from shown.says("kind", row.kind, facts.get("kind"))
    yield from shown.says("identity", row.identity, facts.get("identity"))
    yield from shown.says("from", plain_id(row.sender.upper()), facts.get("from"))
    yield from shown.says("document_id", plain_id(row.document_id), facts.get("document_id"))
    yield from shown.says("status_code", plain_code(row.status_code), facts.get("status_code"))
    yield from shown.says("about", row.about_document, available.about.get("document"))
    for name, at, event in (
        ("fetched_at", row.fetched_at, Event.ITEM_FETCHED),
        ("entered_at", row.entered_at, Event.ITEM_ENTERED),
    ):
        recorded = [s.at for s in told if s.event == event]
        yield from shown.says(name, at, *(recorded or (None,)))
    events = {s.event for s in told}
    state = next((state.value for event, state in _STEPS if event in events), None)
    yield from shown.says("state", row.state, *([state] if state else _OPEN))


def gone(item_id: str, event: Event) -> Finding:
    """An item that was made available and is no longer there."""
    return _shown_item(item_id).finding("state", None, [event.value])


def _shown_item(item_id: str) -> Against:
    return Against(
        f"inbox/{item_id}",
        "ledger.shown_item",
        "Mục trong hộp đến đang hiển thị khác với bản ghi trong sổ cái",
        "what is shown of the inbox item is not what its records say",
    )
