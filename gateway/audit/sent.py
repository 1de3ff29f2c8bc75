"""Documents and statuses that were sent, as they are shown, against what was recorded of them.

In:     rows of documents, transfers, recipients, attempts and statuses; the records about them.
Out:    findings: an instant, a state, an identity or a digest that no record says.
Never:  judges what no record holds: personal texts, names of files, what is due next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from gateway.audit import received
from gateway.audit.against import Against, Said, about, batches, by
from gateway.errors import Finding
from gateway.model.package import PackageKind
from gateway.model.record import Source
from gateway.model.transfer import ENDS, STAGE, RecipientState, TransferState
from gateway.promise import from_vietnam_time, plain_code
from gateway.store import Tx, audit
from gateway.telemetry.events import Event

_PROMISE = {
    PackageKind.DOCUMENT.value: Event.SUBMISSION_ACCEPTED,
    PackageKind.STATUS.value: Event.STATUS_ACCEPTED,
}
_PROMISED_AGAIN = (Event.TRANSFER_REPLAYED,)
# promised, and sealed: the record and its entry say so themselves
_WITHOUT_RECORD = (TransferState.ACCEPTED.value, TransferState.SEALED.value)
# an attempt's verdict, or the axis' own list later on
_ON_AXIS_BY = (Event.ATTEMPT_ENDED, Event.TRANSFER_SETTLED)
_UNTOLD = (RecipientState.PENDING.value, RecipientState.ON_AXIS.value)
_RECIPIENT_STATES = frozenset(s.value for s in RecipientState)
_RETURNED = RecipientState.REJECTED.value
_ENDS = frozenset(s.value for s in ENDS)


def documents(tx: Tx) -> Iterator[Finding]:
    """Every document, status report, transfer, recipient, attempt and status of this gateway."""
    for rows in batches(partial(audit.documents, tx)):
        refs = [row.id for row in rows]
        records = about(audit.bodies_about_documents(tx, refs), "document")
        transfers = audit.transfers_of(tx, refs)
        ids = [row.id for row in transfers]
        recipients = by(audit.recipients_of(tx, ids), lambda r: r.transfer_id)
        attempts = by(audit.attempts_of(tx, ids), lambda a: a.transfer_id)
        sent = by(transfers, lambda t: t.document_ref)
        statuses = by(audit.statuses_of(tx, refs), lambda s: s.document_ref)
        for row in rows:
            told = records.get(row.id, [])
            mine = sent.get(row.id, [])
            yield from _document(row, told, mine, recipients)
            for one in mine:
                of_it = [s for s in told if s.about.get("transfer") == one.id]
                yield from _transfer(one, of_it, recipients.get(one.id, []))
                yield from _attempts(one, of_it, attempts.get(one.id, []))
            yield from _reports(tx, told)
            agencies = [r for one in mine for r in recipients.get(one.id, [])]
            yield from _statuses(row.id, told, statuses.get(row.id, []), agencies)


def _document(
    row: audit.Document,
    told: Sequence[Said],
    sent: Sequence[audit.Transfer],
    recipients: Mapping[str, Sequence[audit.Recipient]],
) -> Iterator[Finding]:
    shown = Against(
        f"document/{row.id}",
        "ledger.shown_document",
        "Văn bản đang hiển thị khác với bản ghi trong sổ cái",
        "what is shown of the document is not what its record says",
    )
    promise = next((s for s in told if s.event == _PROMISE.get(row.kind)), None)
    if promise is None:
        yield shown.finding("kind", row.kind, ())
        return
    facts = promise.facts
    status = row.kind == PackageKind.STATUS.value
    yield from shown.says("record_id", row.record_id, promise.id)
    yield from shown.says("accepted_at", row.accepted_at, promise.at)
    yield from shown.says("from", row.sender.upper(), facts.get("from"))
    yield from shown.says("document_id", row.document_id, facts.get("document_id"))
    yield from shown.says("identity", row.identity, facts.get("identity"))
    yield from shown.says("account", row.account_id, promise.about.get("account"))
    released: datetime | None
    source: object
    if status:
        released, source = promise.at, Source.OBSERVED.value
        yield from shown.says("about_item", row.about_item, promise.about.get("item"))
    else:
        released, source = _instant(facts.get("released_at")), facts.get("released_source")
        yield from shown.says("business_type", row.business_type, facts.get("business_type"))
        yield from shown.says("files", len(row.files), facts.get("files"))
    yield from shown.says("released_at", row.released_at, released)
    yield from shown.says("released_source", row.released_source, source)
    promised = {
        **{key: (promise, value) for key, value in _promised(facts, status=status).items()},
        **{s.about.get("transfer", ""): (s, s.facts) for s in told if s.event in _PROMISED_AGAIN},
    }
    yield from shown.says("transfers", sorted(t.id for t in sent), sorted(promised))
    for one in sent:
        if one.id in promised:
            by_record, what = promised[one.id]
            yield from _package(one, what, by_record, recipients.get(one.id, []))


def _promised(facts: Mapping[str, Any], *, status: bool) -> dict[str, Mapping[str, Any]]:
    """Transfer id -> axis, package, receivers, as promised."""
    if status:
        return {str(facts.get("transfer")): {**facts, "to": [facts.get("to")]}}
    listed = facts.get("transfers")
    return {str(t["transfer"]): t for t in listed} if isinstance(listed, list) else {}


def _package(
    row: audit.Transfer,
    promised: Mapping[str, Any],
    promise: Said,
    recipients: Sequence[audit.Recipient],
) -> Iterator[Finding]:
    shown = _shown_transfer(row.id)
    yield from shown.says("record_id", row.record_id, promise.id)
    yield from shown.says("accepted_at", row.accepted_at, promise.at)
    yield from shown.says("from", row.sender.upper(), promise.facts.get("from"))
    yield from shown.says("axis", row.axis, promised.get("axis"))
    yield from shown.says("package", row.package_sha256, promised.get("package_blob"))
    if "size" in promised:  # of a status only the digest is recorded, which is of so many bytes
        yield from shown.says("size", row.package_size, promised["size"])
    agencies = sorted(r.agency.upper() for r in recipients)
    yield from shown.says("recipients", agencies, sorted(promised.get("to", ())))


def _shown_transfer(transfer_id: str) -> Against:
    return Against(
        f"transfer/{transfer_id}",
        "ledger.shown_transfer",
        "Lượt chuyển đang hiển thị khác với bản ghi trong sổ cái",
        "what is shown of the transfer is not what its records say",
    )


def _transfer(
    row: audit.Transfer, told: Sequence[Said], recipients: Sequence[audit.Recipient]
) -> Iterator[Finding]:
    """Its state, and what became of each recipient."""
    on_axis = TransferState.ON_AXIS.value
    started = [s for s in told if s.event == Event.ATTEMPT_STARTED]
    delivered = [s.at for s in told if s.event in _ON_AXIS_BY and _state(s) == on_axis]
    moved = [s for s in told if s.event == Event.RECIPIENT_MOVED]
    shown = _shown_transfer(row.id)
    yield from shown.says("attempts", row.attempts, len(started))
    states = {_state(s) for s in told if s.event != Event.RECIPIENT_MOVED}
    if delivered:
        states = {on_axis}  # nothing follows it
    elif moved:
        states.add(on_axis)  # a recipient's own word that it is there
    if started and not delivered:
        states.add(TransferState.SENDING.value)
    if row.state not in _WITHOUT_RECORD or delivered:
        yield from shown.says("state", row.state, *sorted(s for s in states if s))
    for one in recipients:
        mine = [s for s in moved if s.facts.get("recipient") == one.agency.upper()]
        yield from _recipient(one, mine, delivered, [s.at for s in moved])


def _recipient(
    row: audit.Recipient,
    mine: Sequence[Said],
    delivered: Sequence[datetime],
    moved: Sequence[datetime],
) -> Iterator[Finding]:
    """`delivered`, `moved`: when the axis, or any recipient, said that the package is there."""
    shown = Against(
        f"transfer/{row.transfer_id}/recipient/{row.agency}",
        "ledger.shown_recipient",
        "Tình trạng nơi nhận đang hiển thị khác với bản ghi trong sổ cái",
        "what is shown of the recipient is not what its records say",
    )
    # a recipient's word puts the transfer on the axis for all of them, unless its state forbids
    must = bool(delivered or mine)
    seen: list[datetime | None] = [*delivered, *moved]
    yield from shown.says("on_axis_at", row.on_axis_at, *(seen if must else [*seen, None]))
    entered = [at for s in mine if s.facts.get("code") == "01" and (at := _reported(s))]
    yield from shown.says("entered_at", row.entered_at, *(entered or (None,)))
    source = Source.REPORTED.value if entered else ""
    yield from shown.says("entered_source", row.entered_source, source)
    codes = {str(s.facts.get("code")) for s in mine}
    yield from shown.says("status_code", plain_code(row.status_code), *(sorted(codes) or [""]))
    yield from shown.says("state", row.state, *_furthest(mine, delivered, moved))


def _furthest(
    mine: Sequence[Said], delivered: Sequence[datetime], moved: Sequence[datetime]
) -> list[str]:
    """The states that may be shown: a status never lowers the furthest stage.

    Which of several ends is shown, their Timestamps decided.
    """
    stages = {s: STAGE[RecipientState(s)] for s in map(_state, mine) if s in _RECIPIENT_STATES}
    if stages:
        top = max(stages.values())
        ends = _ENDS if _RETURNED in stages else ()  # one returned before it was recalled stays so
        return sorted(s for s, stage in stages.items() if stage == top or s in ends)
    pending, on_axis = _UNTOLD
    if delivered:
        return [on_axis]
    return [pending, on_axis] if moved else [pending]


def _attempts(
    row: audit.Transfer, told: Sequence[Said], attempts: Sequence[audit.Attempt]
) -> Iterator[Finding]:
    started = {s.facts.get("attempt"): s for s in told if s.event == Event.ATTEMPT_STARTED}
    ended = {s.facts.get("attempt"): s for s in told if s.event == Event.ATTEMPT_ENDED}
    for one in attempts:
        shown = Against(
            f"transfer/{row.id}/attempt/{one.number}",
            "ledger.shown_attempt",
            "Lần gửi đang hiển thị khác với bản ghi trong sổ cái",
            "what is shown of the attempt is not what its records say",
        )
        first, last = started.get(one.number), ended.get(one.number)
        yield from shown.says("started_at", one.started_at, *([first.at] if first else ()))
        yield from shown.says("ended_at", one.ended_at, last.at if last else None)
        if last is not None:
            yield from shown.says("outcome", one.outcome, last.facts.get("outcome"))
            yield from shown.says("code", one.code, last.facts.get("code"))


def _reports(tx: Tx, told: Sequence[Said]) -> Iterator[Finding]:
    """Each report that was recorded is still in the inbox; what it says is judged there."""
    made = [s.about.get("item", "") for s in told if s.event == Event.REPORT_AVAILABLE]
    for item_id in sorted(set(made) - audit.items_there(tx, made)) if made else ():
        yield received.gone(item_id, Event.REPORT_AVAILABLE)


def _statuses(
    document_ref: str,
    told: Sequence[Said],
    statuses: Sequence[audit.Status],
    recipients: Sequence[audit.Recipient],
) -> Iterator[Finding]:
    """Each status shown has its record, and each record its status."""
    moved = {s.about.get("arrival", ""): s for s in told if s.event == Event.RECIPIENT_MOVED}
    for one in statuses:
        shown = _shown_status(document_ref, one.arrival_id)
        record = moved.pop(one.arrival_id, None)
        if record is None:
            yield shown.finding("code", one.code, ())
            continue
        names = {r.agency.upper() for r in recipients if r.agency_key == one.agency_key}
        facts = record.facts
        yield from shown.says("agency", facts.get("recipient"), *sorted(names))
        yield from shown.says("code", plain_code(one.code), facts.get("code"))
        yield from shown.says("received_at", one.received_at, record.at)
        if facts.get("reported_at") or from_vietnam_time(one.timestamp):
            yield from shown.says("timestamp", one.timestamp, facts.get("reported_at"))
    for arrival_id, record in moved.items():
        shown = _shown_status(document_ref, arrival_id)
        yield shown.finding("code", None, [record.facts.get("code")])


def _shown_status(document_ref: str, arrival_id: str) -> Against:
    return Against(
        f"document/{document_ref}/status/{arrival_id}",
        "ledger.shown_status",
        "Trạng thái đang hiển thị khác với bản ghi trong sổ cái",
        "a status that is shown is not what its record says",
    )


def _state(record: Said) -> str:
    return str(record.facts.get("state") or "")


def _reported(record: Said) -> datetime | None:
    return from_vietnam_time(str(record.facts.get("reported_at") or ""))


def _instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
