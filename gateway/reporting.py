"""A document did not get there, or waits: the sender is told, in the commit in which it happened.

In:     a transfer that ended REFUSED or EXPIRED, was withdrawn, or is held for a person; the
        record that says so.
Out:    an inbox item of kind `report` for the sender's agency, and its own record.
Fails:  never by itself; whatever the store raises takes the whole commit back.
Never:  reports on a status or a report; tells the same record twice (its id is the identity).

Nothing vanishes after the last try: whoever handed the document in reads here what became of it,
whose fault it is and what comes next, in both languages. The unit settles it by confirming (SEEN).
"""

from __future__ import annotations

from typing import Any

from gateway.dispatch import causes
from gateway.errors import Text
from gateway.model.arrival import ItemKind
from gateway.model.package import PackageKind
from gateway.model.transfer import TransferState
from gateway.promise import plain_id
from gateway.scribe import Scribe
from gateway.store import Tx, documents, inbox, ledger, transfers
from gateway.store.ledger import NewRecord
from gateway.telemetry.events import Event

_WHAT: dict[str, Text] = {
    TransferState.REFUSED: Text(
        "Văn bản không được chuyển đi: trục đã từ chối",
        "the document was not delivered: the axis refused it",
    ),
    TransferState.EXPIRED: Text(
        "Văn bản không được chuyển đi: đã hết thời hạn gửi mà chưa lần nào tới trục",
        "the document was not delivered: its lifetime ended and no attempt reached the axis",
    ),
    TransferState.HELD: Text(
        "Văn bản bị chậm: đang được giữ lại, chờ người vận hành quyết định",
        "the document is delayed: it is held until those who run the gateway decide",
    ),
    TransferState.WITHDRAWN: Text(
        "Văn bản không được chuyển đi: người vận hành đã rút lại",
        "the document was not delivered: those who run the gateway withdrew it",
    ),
}
URGENT = 0  # the lane of statuses and reports


def tell(tx: Tx, scribe: Scribe, transfer_id: str, state: str, behind: NewRecord) -> None:
    """Report that the transfer came to `state`, as the record `behind` says. Other states: nothing.

    Identity of a report: the id of the record behind it (architecture 4).
    """
    what = _WHAT.get(state)
    row = transfers.by_id(tx, transfer_id) if what else None
    if what is None or row is None or row.kind != PackageKind.DOCUMENT.value:
        return
    document = documents.by_id(tx, row.document_ref)
    if document is None:
        return
    cause = causes.of_transfer(state, hold_cause=row.hold_cause, code=row.last_code)
    receivers = [r.agency for r in transfers.recipients_of(tx, [row.id])]
    item_id = scribe.entropy.new_id()
    told: dict[str, Any] = {
        "document": document.id,
        "transfer_id": row.id,
        "axis": row.axis,
        "state": state,
        "final": state != TransferState.HELD,
        "receivers": receivers,
        "cause": cause.whose.value,
        "code": row.last_code,
        "hold_cause": row.hold_cause,
        "doubt": row.doubt,
        "what": what._asdict(),
        "reason": cause.reason._asdict(),
        "next_step": cause.next_step._asdict(),
    }
    added = inbox.add(
        tx,
        inbox.NewItem(
            id=item_id,
            arrival_id=None,
            agency=document.sender,
            agency_key=document.sender_key,
            kind=ItemKind.REPORT.value,
            identity=behind.id,
            lane=URGENT,
            axis=row.axis,
            sender="",
            document_id=document.document_id,
            status_code="",
            about_document=document.id,
            content={"report": told, "findings": []},
            available_at=behind.at,
        ),
    )
    if not added:
        return
    made = scribe.record(
        Event.REPORT_AVAILABLE,
        behind.at,
        {"document": document.id, "transfer": row.id, "item": item_id},
        {
            "agency": document.sender.upper(),
            "kind": ItemKind.REPORT.value,
            "identity": behind.id,
            "from": "",
            "document_id": plain_id(document.document_id),
            "status_code": "",
            "of_state": state,
            "cause": cause.whose.value,
        },
        document_ref=document.id,
    )
    ledger.append(tx, [made])
    tx.notify("inbox")
