"""The desk's window for business acts: recall, update, replacement, take-back, and their links.

In:     an account, the id of a document that its agency sent, the metadata of the act.
Out:    stored answers; an inbox item with the acts about it, or with what it is about.
Fails:  as the desk does; Conflict for a document that no act can be about.
Never:  acts for an agency that the account does not speak for; changes the earlier document.

What an act says of the earlier document is filled in from what is stored here: ids, number, date,
receivers (edxml-format 6). A recall and an update repeat the earlier header where the caller says
nothing else, and its files when none are sent. A replacement is a document of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gateway.acting import Acting, Receiver
from gateway.c14n import JsonValue, canonical_json
from gateway.desk import Desk
from gateway.errors import Conflict, Finding, Rejected, Severity, Text, Unknown
from gateway.model.arrival import ItemKind
from gateway.model.package import BusinessType, DocumentHeader, PackageKind, Staff, normal_text
from gateway.model.submission import Submission
from gateway.operating import Operating
from gateway.packing import metadata
from gateway.promise import Order, not_acceptable
from gateway.shapes import item_json
from gateway.store import Tx, acts
from gateway.store.accounts import Account
from gateway.store.acts import TAKE_BACK
from gateway.store.documents import Answered, DocumentRow
from gateway.store.inbox import Item

REPEATS = (BusinessType.RECALL, BusinessType.UPDATE)  # these carry the earlier document again
# what an act says of itself, and never takes over: the group Bussiness, and what it is about
_OF_ITS_OWN = ("document_id", "business", "response_for", "paper", "staff")


@dataclass(slots=True)
class Act:
    """One act being asked for. `content`: what was said, for the key of the request."""

    kind: BusinessType
    original: DocumentRow
    receivers: Sequence[Receiver]
    content: dict[str, JsonValue] = field(default_factory=dict)


class Acts:
    """Beside the desk: the same rights, the same corridors."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.acting = Acting(desk.outbound, desk.limits)
        self.operating = Operating(desk.outbound, desk.inbound.settling)

    # -- recall, update, replacement -------------------------------------------------------------

    async def about(self, who: Account, document_ref: str, kind: BusinessType) -> Act:
        """What an act of this kind would be about. Unknown, or Conflict `document.is_recall`."""

        def look(tx: Tx) -> Act:
            row = self._document(tx, who, document_ref)
            if row.business_type == BusinessType.RECALL:
                raise Conflict(
                    Text(
                        "Đây là văn bản thu hồi; hãy nêu văn bản bị thu hồi",
                        "this is a recall itself; name the document that it recalls",
                    ),
                    code="document.is_recall",
                )
            return Act(kind, row, self.acting.receivers(tx, row))

        return await self.desk.store.read(look)

    def judge(self, who: Account, act: Act, raw: bytes, idempotency_key: str | None) -> Submission:
        """The act's metadata with what the earlier document fills in, judged like any other."""
        given, shape = metadata.read_metadata(raw)
        if given is None or shape:
            raise metadata.misshapen(shape, readable=given is not None)
        said = metadata.header_to_json(given.header)
        act.content = {
            "act": int(act.kind),
            "about": act.original.id,
            "metadata": said,
            "secrecy": given.secrecy,
            "released_at": given.released_at.isoformat() if given.released_at else "",
        }
        wrong = tuple(self._contradictions(act, given.header))
        if wrong:
            raise Rejected(not_acceptable(), code="submission.invalid", findings=wrong)
        whole = {**_taken_over(act), **said, **_own_words(act, given.header, said)}
        whole["secrecy"] = given.secrecy
        whole["released_at"] = act.content["released_at"]
        return self.desk.judge_metadata(who, canonical_json(whole), idempotency_key)

    async def submit(
        self,
        who: Account,
        act: Act,
        submission: Submission,
        idempotency_key: str | None,
        language: str,
    ) -> Answered:
        """The act as a document of its own; without files a recall or update sends them again."""
        content = {**act.content, "files": [[f.name, f.sha256] for f in submission.files]}
        digest = hashlib.sha256(canonical_json(content)).hexdigest()
        order = Order(who.id, digest, idempotency_key, language)
        if not submission.files and act.kind in REPEATS:
            told = await self.desk.store.read(lambda tx: self.desk.outbound.answered(tx, order))
            if told is not None:
                return told
            again = await self.acting.files_again(act.original)
            submission = replace(submission, files=again)
        return await self.desk.outbound.accept(order, submission)

    def _contradictions(self, act: Act, given: DocumentHeader) -> list[Finding]:
        """What the caller says against the address that he calls."""
        said, original = given.business, act.original
        found = []
        if said.type not in (BusinessType.NEW, act.kind):
            found.append("business.type")
        if said.document_id and normal_text(said.document_id) != normal_text(original.document_id):
            found.append("business.about")
        sender = given.sender.organ_id
        if sender and self.desk.outbound.key_of(sender) != original.sender_key:
            found.append("from.organ_id")
        return [_contradicts(path, act) for path in found]

    # -- take-back -------------------------------------------------------------------------------

    async def take_back(
        self,
        who: Account,
        document_ref: str,
        *,
        reason: str,
        staff: Staff,
        to: Sequence[str],
        idempotency_key: str | None,
    ) -> Answered:
        """Status 13 to the recipients of a document, or to those in `to`. A reason is a must."""
        if not reason.strip():
            rule = "QĐ 28/2018/QĐ-TTg 8.2"
            text = Text("Thiếu lý do lấy lại văn bản", "the reason of the take-back is missing")
            finding = Finding("reason", "status.reason_missing", Severity.ERROR, text, rule)
            raise Rejected(text, code="status.reason_missing", findings=(finding,))

        def look(tx: Tx) -> tuple[DocumentRow, set[str]]:
            row = self._document(tx, who, document_ref)
            return row, {r.row.agency_key for r in self.acting.receivers(tx, row)}

        row, receivers = await self.desk.store.read(look)
        keys = [self.desk.outbound.key_of(code) for code in to]
        strangers = tuple(
            _no_receiver(f"to[{n}]", code)
            for n, (code, key) in enumerate(zip(to, keys, strict=True))
            if key not in receivers
        )
        if strangers:
            raise Rejected(strangers[0].text, code="document.no_receiver", findings=strangers)
        content = canonical_json([TAKE_BACK, row.id, reason, asdict(staff), sorted(keys)])
        order = Order(who.id, hashlib.sha256(content).hexdigest(), idempotency_key)
        return await self.acting.take_back(
            order, row, reason=reason, staff=staff, only=frozenset(keys)
        )

    # -- withdrawing -----------------------------------------------------------------------------

    async def withdraw(
        self, who: Account, document_ref: str, *, reason: str, idempotency_key: str | None
    ) -> Answered:
        """The document is not sent after all; Conflict when an attempt can have delivered it."""
        row = await self.desk.store.read(lambda tx: self._document(tx, who, document_ref))
        content = canonical_json(["withdraw", row.id, reason])
        order = Order(who.id, hashlib.sha256(content).hexdigest(), idempotency_key)
        return await self.operating.withdraw_document(order, row.id, reason=reason)

    def _document(self, tx: Tx, who: Account, document_ref: str) -> DocumentRow:
        """A document, not a status, of an agency that this account speaks for."""
        row = self.desk.mine(tx, who, document_ref)
        if row.kind != PackageKind.DOCUMENT.value:
            raise Unknown(
                Text("Không có văn bản này", "there is no such document"), code="document.unknown"
            )
        return row

    # -- the receiver's side ---------------------------------------------------------------------

    async def item(self, who: Account, item_id: str, language: str) -> dict[str, Any]:
        """An inbox item, with the items that it speaks of and those that speak of it."""
        item = await self.desk.item(who, item_id)

        def look(tx: Tx) -> dict[str, Any]:
            return {**item_json(item, language), **self._links(tx, item)}

        return await self.desk.store.read(look)

    def _links(self, tx: Tx, item: Item) -> dict[str, Any]:
        """Only between items of one agency and one sender: nobody recalls what others sent."""
        linked = self.desk.answering.linked
        if item.kind == ItemKind.STATUS.value:
            about = [item.document_id] if item.status_code == TAKE_BACK else []
        else:
            about = acts.targets(tx, item.id)
        earlier = [o for o in linked(tx, item, about) if o.kind == ItemKind.DOCUMENT.value]
        speaking: list[dict[str, Any]] = []
        if item.kind == ItemKind.DOCUMENT.value:
            sender_key = self.desk.outbound.key_of(item.sender)
            speaking = [
                {"id": one.id, "type": kind, "document_id": one.document_id, "state": one.state}
                for one, kind, sent_by in acts.received(
                    tx, agency_key=item.agency_key, document_id=item.document_id
                )
                if sent_by == sender_key and one.id != item.id
            ]
            speaking += [
                {"id": one.id, "code": one.status_code, "state": one.state}
                for one in linked(tx, item, [item.document_id])
                if one.kind == ItemKind.STATUS.value
            ]
        shown = [
            {"id": one.id, "document_id": one.document_id, "state": one.state}
            for one in earlier
            if one.id != item.id
        ]
        return {
            **({"about_items": shown} if shown else {}),
            **({"acts": speaking} if speaking else {}),
        }


def _taken_over(act: Act) -> dict[str, JsonValue]:
    """What the earlier document fills in where the caller says nothing."""
    header: Mapping[str, Any] = act.original.header
    base = {k: v for k, v in header.items() if k not in _OF_ITS_OWN}
    if act.kind not in REPEATS:
        base = {"from": header.get("from")}
    named = {o["organ_id"]: o for o in header.get("to", ()) if o.get("organ_id")}
    base["to"] = [named.get(code, {"organ_id": code}) for code in _codes(act)]
    return base


def _own_words(act: Act, given: DocumentHeader, said: Mapping[str, Any]) -> dict[str, JsonValue]:
    """The places where this kind of act names the earlier document, and says what it does."""
    original = act.original
    business: dict[str, Any] = {**said.get("business", {}), "type": int(act.kind)}
    business.pop("about", None)  # the same, or it was refused
    if act.kind is BusinessType.UPDATE:
        business["about"] = original.document_id
        if given.business.receivers:
            business.setdefault("receivers_changed", 1)
        return {"business": business, **_with_added(act, given, said)}
    if act.kind is BusinessType.REPLACE:
        listed = business.get("replaces", [])
        others = [one for one in listed if not _same(one.get("document_id", ""), original)]
        mine: Mapping[str, Any] = next((one for one in listed if one not in others), {})
        whole = {"organ_ids": _codes(act), **mine, "document_id": original.document_id}
        business["replaces"] = [whole, *others]
        return {"business": business}
    answers = said.get("response_for", [])
    others = [one for one in answers if not _same(one.get("document_id", ""), original)]
    named: Mapping[str, Any] = next((one for one in answers if one not in others), {})
    return {"business": business, "response_for": [{**_reference(original), **named}, *others]}


def _with_added(act: Act, given: DocumentHeader, said: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Receivers that an update adds get the document too, unless the caller names them himself."""
    if "to" in said:
        return {}
    to = list(_taken_over(act)["to"] or ())  # type: ignore[arg-type]  # a list, made there
    there = {code.upper() for code in _codes(act)}
    added = [r.organ_id for r in given.business.receivers if r.change == 1]
    return {"to": [*to, *({"organ_id": c} for c in added if c.upper() not in there)]}


def _codes(act: Act) -> list[str]:
    return list(dict.fromkeys(r.row.agency for r in act.receivers))


def _reference(row: DocumentRow) -> dict[str, str]:
    """The earlier document as ResponseFor names it (edxml-format 3)."""
    code: Mapping[str, str] = row.header.get("code", {})
    number = "/".join(part for part in (code.get("number"), code.get("notation")) if part)
    return {
        "organ_id": row.sender,
        "code": number,
        "document_id": row.document_id,
        "promulgation_date": row.header.get("promulgation", {}).get("date", ""),
    }


def _same(document_id: str, row: DocumentRow) -> bool:
    return normal_text(document_id) == normal_text(row.document_id)


def _contradicts(path: str, act: Act) -> Finding:
    return Finding(
        path,
        "business.contradicts",
        Severity.ERROR,
        Text(
            f"{path} khác với địa chỉ đã gọi (loại {int(act.kind)}, văn bản {act.original.id})",
            f"{path} contradicts the address called (type {int(act.kind)}, {act.original.id})",
        ),
    )


def _no_receiver(path: str, code: str) -> Finding:
    text = Text(
        f"Văn bản này không gửi cho cơ quan {code[:60]}",
        f"this document was not sent to agency {code[:60]}",
    )
    return Finding(path, "document.no_receiver", Severity.ERROR, text)
