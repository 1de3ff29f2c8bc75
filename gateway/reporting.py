"""A document did not get there, or waits: the sender is told, in the commit in which it happened.

In:     a transfer that ended REFUSED or EXPIRED, was withdrawn, or is held for a person; a document
        that came under the DocumentId of another; the record that says so.
Out:    an inbox item of kind `report` for the sender's agency, of a conflict also for those who
        have the first document; for each a record of its own.
Fails:  never by itself; whatever the store raises takes the whole commit back.
Never:  reports on a status or a report; tells the same record twice (its id is the identity);
        calls undelivered what an earlier transfer, of which this is a replay, took to the axis.

Nothing vanishes after the last try: whoever handed the document in reads here what became of it,
whose fault it is and what comes next, in both languages. The unit settles it by confirming (SEEN).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.dispatch import causes
from gateway.errors import Text
from gateway.model.arrival import ArrivalState, ItemKind
from gateway.model.package import PackageKind, normal_text
from gateway.model.transfer import TransferState
from gateway.promise import plain_id
from gateway.scribe import Scribe
from gateway.store import Tx, documents, inbox, ledger, transfers
from gateway.store.ledger import NewRecord
from gateway.store.received import Holding
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
# what became of a replay of something that an axis took before, or may have taken: nobody may read
# here that it was not delivered
_WHAT_AGAIN: dict[str, Text] = {
    TransferState.REFUSED: Text(
        "Lần gửi lại bị trục từ chối; lần gửi trước đã tới, hoặc có thể đã tới trục: văn bản có "
        "thể đã tới nơi nhận",
        "the axis refused to take it again; it took an earlier transfer of this document, or may "
        "have: the document may have been delivered",
    ),
    TransferState.EXPIRED: Text(
        "Lần gửi lại đã hết thời hạn mà không tới trục; lần gửi trước đã tới, hoặc có thể đã tới "
        "trục: văn bản có thể đã tới nơi nhận",
        "the lifetime of the replay ended and none of its attempts reached the axis; an earlier "
        "transfer of this document did, or may have: the document may have been delivered",
    ),
    TransferState.HELD: Text(
        "Lần gửi lại đang được giữ, chờ người vận hành quyết định; lần gửi trước đã tới, hoặc có "
        "thể đã tới trục",
        "the replay is held until those who run the gateway decide; the axis took an earlier "
        "transfer of this document, or may have",
    ),
    TransferState.WITHDRAWN: Text(
        "Người vận hành đã rút lần gửi lại; lần gửi trước đã tới, hoặc có thể đã tới trục: văn "
        "bản có thể đã tới nơi nhận",
        "those who run the gateway withdrew the replay; the axis took an earlier transfer of this "
        "document, or may have: the document may have been delivered",
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
    there = _there_before(tx, row)
    if there:
        what = _WHAT_AGAIN[state]
    doubt = row.doubt or there
    cause = causes.of_transfer(state, hold_cause=row.hold_cause, code=row.last_code, doubt=doubt)
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
        "doubt": doubt,
        "what": what._asdict(),
        "reason": cause.reason._asdict(),
        "next_step": causes.for_sender(state, cause, doubt=doubt)._asdict(),
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


def _there_before(tx: Tx, row: transfers.TransferRow) -> bool:
    """Whether the axis has, or may have, what this one replays, or what that one replayed."""
    while row.replay_of is not None:
        earlier = transfers.by_id(tx, row.replay_of)
        if earlier is None:
            return False
        if earlier.state == TransferState.ON_AXIS or earlier.doubt:
            return True
        row = earlier
    return False


# -- a conflict ------------------------------------------------------------------------------------

CONFLICT = "arrival.conflict"
_TWO_DOCUMENTS = Text(
    "Một văn bản khác đến với cùng mã định danh (DocumentId) của văn bản trước đó",
    "another document came under the DocumentId of an earlier one",
)
_IT_WAITS = Text(
    "Gói tin đến sau được giữ nguyên, chờ người vận hành gateway quyết định; "
    "văn bản trước không đổi",
    "the later package is kept until those who run the gateway decide; the earlier document stands",
)
_ASK_SENDER = Text(
    "Hỏi cơ quan gửi văn bản nào đúng, rồi báo người vận hành gateway",
    "ask the sending agency which of the two stands, and tell those who run the gateway",
)
_SEND_ANEW = Text(
    "Nếu văn bản sau đúng là của đơn vị: gửi lại với mã định danh khác. Nếu không: báo ngay người "
    "vận hành gateway, vì có bên khác dùng tên đơn vị",
    "if the later one is yours, send it again under a DocumentId of its own; if it is not, tell "
    "those who run the gateway at once: somebody else uses your name",
)
_YOURS = Text(
    "Nơi nhận đã có một văn bản khác của đơn vị với cùng mã định danh; văn bản gửi sau không vào "
    "hộp đến nào",
    "a receiver has another document of yours under the same DocumentId; the later one entered no "
    "inbox",
)


class Met(NamedTuple):
    """An agency of ours that was sent the first document. `first`: its item, while it is there."""

    agency: str
    key: str
    findings: Sequence[Mapping[str, str]]
    first: Holding | None


class Conflict(NamedTuple):
    """`arrival`: what waits for a person now; `senders`: its From as (code, key), if it is ours."""

    arrival: str
    axis: str
    document_id: str
    met: Sequence[Met]
    senders: Sequence[tuple[str, str]]


def tell_of_conflict(tx: Tx, scribe: Scribe, came: Conflict, behind: NewRecord) -> list[NewRecord]:
    """A report for each of `met` and of `senders`; returns their records, for the same commit.

    It hangs on the first arrival, on the sender's own document, or on nothing: what waits for a
    person is never served through it.
    """
    made: list[NewRecord | None] = []
    for one in came.met:
        told = _told(came, causes.Whose.PEER, _TWO_DOCUMENTS, _ASK_SENDER, one.findings)
        made.append(_put(tx, scribe, came, behind, (one.agency, one.key), told, first=one.first))
    for code, key in came.senders:
        sent = documents.by_document_id(tx, key, normal_text(came.document_id))
        told = _told(came, causes.Whose.UNIT, _YOURS, _SEND_ANEW, came.met[0].findings)
        ours = sent[0].id if sent else None
        made.append(_put(tx, scribe, came, behind, (code, key), told, document=ours))
    return [one for one in made if one is not None]


def _told(
    came: Conflict,
    whose: causes.Whose,
    what: Text,
    next_step: Text,
    findings: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    report = {
        "arrival": came.arrival,
        "axis": came.axis,
        "state": ArrivalState.QUARANTINED.value,
        "final": False,
        "cause": whose.value,
        "code": CONFLICT,
        "what": what._asdict(),
        "reason": _IT_WAITS._asdict(),
        "next_step": next_step._asdict(),
    }
    return {"report": report, "findings": list(findings)}


def _put(
    tx: Tx,
    scribe: Scribe,
    came: Conflict,
    behind: NewRecord,
    reader: tuple[str, str],
    told: Mapping[str, Any],
    *,
    first: Holding | None = None,
    document: str | None = None,
) -> NewRecord | None:
    item_id = scribe.entropy.new_id()
    document_id = first.document_id if first is not None else came.document_id
    added = inbox.add(
        tx,
        inbox.NewItem(
            id=item_id,
            arrival_id=first.arrival_id if first is not None else None,
            agency=first.agency if first is not None else reader[0],
            agency_key=reader[1],
            kind=ItemKind.REPORT.value,
            identity=behind.id,
            lane=URGENT,
            axis=came.axis,
            sender="",
            document_id=document_id,
            status_code="",
            about_document=document,
            content=told,
            available_at=behind.at,
        ),
    )
    if not added:  # sender and receiver are one agency: told already
        return None
    arrival = first.arrival_id if first is not None else came.arrival
    return scribe.record(
        Event.ITEM_AVAILABLE if first is not None else Event.REPORT_AVAILABLE,
        behind.at,
        {"arrival": arrival, "item": item_id, **({"document": document} if document else {})},
        {
            "agency": (first.agency if first is not None else reader[0]).upper(),
            "kind": ItemKind.REPORT.value,
            "identity": behind.id,
            "from": "",
            "document_id": plain_id(document_id),
            "status_code": "",
        },
        document_ref=document,
        arrival_id=arrival,
    )
