"""What a receiver says about an item after it came: statuses 02 to 06, and 15 and 16 to a recall.

In:     an inbox item and a code, by `desk`; what is said goes back the road that the item came by.
Out:    one status as a transfer; the item REFUSED by 02; documents RECALLED by 15.
Fails:  Rejected (a code, a missing reason), Conflict (a state forbids it), Unknown.
Never:  says a status twice; calls a document recalled that nobody asked back.

Whoever recalls asks (a recall is a document of type 1, a take-back is status 13), the receiver
agrees with 15 or refuses with 16 and its reason (edxml-format 3, 6). 15 cancels the document at
the receiver (QĐ 28/2018 article 9.2); 16 changes nothing but the conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gateway.errors import Conflict, Finding, Rejected, Severity, Text, Unknown
from gateway.model.arrival import ItemKind, ItemState
from gateway.model.package import BusinessType, Organ, Staff, StatusReport
from gateway.outbound import Outbound
from gateway.promise import Order, keep_answer, plain_id, same_request, status_about
from gateway.store import Tx, acts, documents, inbox, ledger
from gateway.store.acts import TAKE_BACK
from gateway.store.patience import write_after_race
from gateway.telemetry.events import Event

OPEN_STATES = (ItemState.WAITING, ItemState.LEASED)
HELD_STATES = (*OPEN_STATES, ItemState.ENTERED)  # the document has not ended yet
AGREED, DECLINED = "15", "16"
REASON_NEEDED = ("02", DECLINED)
NOBODY = Staff()
NEEDS_ENTERED = ("03", "04", "05", "06")
REPORTABLE = ("02", *NEEDS_ENTERED, AGREED, DECLINED)  # 01 is said by confirm, 13 by the sender


class Answering:
    """The part of the corridor in that speaks to the sender again."""

    def __init__(self, outbound: Outbound) -> None:
        self.outbound = outbound

    async def report_status(
        self,
        item: inbox.Item,
        account_id: str,
        *,
        code: str,
        description: str,
        staff: Staff = NOBODY,
        order: Order | None = None,
    ) -> str:
        """A status 02 to 06, 15 or 16 goes back to the sender. Returns the transfer's id.

        The same status of the same second is one; under the key of `order` it is one for ever.
        A take-back that came (status 13) is answered like a document, by 15 or 16 alone.
        """
        asked = item.kind == ItemKind.STATUS.value and item.status_code == TAKE_BACK
        if item.kind != ItemKind.DOCUMENT.value and not (asked and code in (AGREED, DECLINED)):
            raise not_there()
        _refuse_unsaid(code, description)
        if code in NEEDS_ENTERED and item.entered_at is None:
            raise Conflict(
                Text(
                    "Phải xác nhận văn bản đã vào Hệ thống trước khi báo trạng thái này",
                    "confirm that the document entered the System before reporting this status",
                ),
                code="item.not_entered",
            )
        scribe = self.outbound.scribe
        at = scribe.now()
        report = replace(report_about(self.outbound, item, code, at, description), staff=staff)
        status = await asyncio.to_thread(self.outbound.make_status, report, item.axis, at)
        transfer_id = status.packed[0].transfer_id

        def commit(tx: Tx) -> str:
            if order is not None and order.idempotency_key is not None:
                told = same_request(
                    documents.answered(tx, account_id, order.idempotency_key), order
                )
                if told is not None:
                    return told.answer
            if code == "02":
                if not _end(tx, item.id, ItemState.REFUSED):
                    raise state_forbids(item.state)
                ended: list[tuple[Event, inbox.Item | acts.Named]] = [(Event.ITEM_REFUSED, item)]
            else:
                now = inbox.by_id(tx, item.id)
                if now is not None and _last_word(ItemState(now.state), code):
                    raise state_forbids(now.state)
                ended = [
                    (Event.ITEM_RECALLED, one)
                    for one in (self._agreed(tx, item) if code == AGREED else ())
                    if _end(tx, one.id, ItemState.RECALLED)
                ]
            ledger.append(
                tx,
                [
                    scribe.record(
                        event,
                        at,
                        {"arrival": one.arrival_id, "item": one.id, "account": account_id},
                        {
                            "agency": one.agency.upper(),
                            "from": plain_id(one.sender.upper()),
                            "document_id": plain_id(one.document_id),
                            "identity": one.identity,
                            "transfer": transfer_id,
                        },
                        arrival_id=one.arrival_id,
                    )
                    for event, one in ended
                ],
            )
            sent = self.outbound.add_status(tx, account_id, status, code, item.id)
            if order is not None:
                keep_answer(tx, order, documents.Answered(order.content, 202, sent, ""))
            return sent

        return await write_after_race(self.outbound.store, commit)

    def _agreed(self, tx: Tx, item: inbox.Item) -> list[acts.Named]:
        """The documents that 15 about `item` gives back: of the same sender, to the same agency."""
        recall = _type_of(item) == BusinessType.RECALL
        if recall:
            wanted = acts.targets(tx, item.id)
        elif item.kind == ItemKind.STATUS.value or self.asked_back(tx, item):
            wanted = [item.document_id]
        else:
            return []
        back = [o for o in self.linked(tx, item, wanted) if o.kind == ItemKind.DOCUMENT.value]
        if item.kind == ItemKind.STATUS.value:
            return back
        return [o for o in back if (o.id != item.id if recall else o.id == item.id)]

    def asked_back(self, tx: Tx, item: inbox.Item) -> bool:
        """Whether the sender of this document recalled it, or asked for it with a status 13."""
        if any(
            one.kind == ItemKind.STATUS.value for one in self.linked(tx, item, [item.document_id])
        ):
            return True
        sender_key = self.outbound.key_of(item.sender)
        return any(
            act.business_type == BusinessType.RECALL and act.sender_key == sender_key
            for act in acts.received(tx, agency_key=item.agency_key, document_id=item.document_id)
        )

    def linked(self, tx: Tx, item: inbox.Item, document_ids: Sequence[str]) -> list[acts.Named]:
        """Documents and take-backs with these ids: for the same agency, from the same sender."""
        sender_key = self.outbound.key_of(item.sender)
        found = acts.named(tx, agency_key=item.agency_key, document_ids=document_ids)
        return [one for one in found if self.outbound.key_of(one.sender) == sender_key]


def report_about(
    outbound: Outbound, item: inbox.Item, code: str, at: datetime, description: str
) -> StatusReport:
    """What `item`'s agency says to its sender; about a take-back: to whoever asked, of the same."""
    agency = outbound.directory.find(item.agency)
    about = item.content.get("status", {}).get("response_for", {})
    asked_of = {
        "code": {"number": about.get("code", "")},
        "promulgation": {"date": about.get("promulgation_date", "")},
    }
    return status_about(
        sender=Organ(organ_id=item.agency, name=agency.name if agency else ""),
        header=item.content.get("header", asked_of),
        addressee=item.sender,
        document_id=item.document_id,
        code=code,
        at=at,
        description=description,
    )


def _refuse_unsaid(code: str, description: str) -> None:
    if code not in REPORTABLE:
        raise Rejected(
            Text(
                f"Đơn vị không báo được trạng thái {code[:8]!r} ở đây",
                f"status {code[:8]!r} is not one that a unit reports here",
            ),
            code="status.code",
        )
    if code in REASON_NEEDED and not description.strip():
        raise Rejected(
            Text("Trạng thái này bắt buộc phải có lý do", "this status needs a reason"),
            code="status.reason_missing",
            findings=(
                Finding(
                    "description",
                    "status.reason_missing",
                    Severity.ERROR,
                    Text("Thiếu lý do từ chối", "the reason of the refusal is missing"),
                    "QĐ 28/2018/QĐ-TTg 5.4",
                ),
            ),
        )


def _last_word(state: ItemState, code: str) -> bool:
    """02 was the last word about a document; 15 is, but it may be said again."""
    return state is ItemState.REFUSED or (state is ItemState.RECALLED and code != AGREED)


def _end(tx: Tx, item_id: str, new: ItemState) -> bool:
    return inbox.end(tx, item_id, olds=HELD_STATES, new=new, entered_at=None, answer="")


def _type_of(item: inbox.Item) -> int:
    business = item.content.get("header", {}).get("business", {})
    return int(business.get("type", BusinessType.NEW))


def not_there() -> Unknown:
    return Unknown(
        Text("Không có mục này", "there is no such item"),
        code="item.unknown",
    )


def with_package(item: inbox.Item) -> inbox.Item:
    """The item, if a package brought it; a report is all in what the item shows."""
    if not item.raw_sha256:
        raise Unknown(
            Text(
                "Báo cáo của gateway không có gói tin; nội dung nằm trong chính mục này",
                "a report of the gateway has no package; the item itself says everything",
            ),
            code="item.no_package",
        )
    return item


def state_forbids(state: str) -> Conflict:
    return Conflict(
        Text(
            f"Mục đang ở trạng thái {state}, không thể làm bước này",
            f"the item is {state}; this step is not possible",
        ),
        code="item.state_forbids",
    )
