"""A person at the queue: hold, release, retry, withdraw. Each act is one commit and one record.

In:     an order (who asks), a transfer, a reason; from the doors for operators, and from `acts`
        for a unit that withdraws its own document.
Out:    stored answers that say where the transfer stands now and what can be done next.
Fails:  Unknown; Conflict, when the state forbids it (it says which state, and what it allows), when
        the bytes may go a second time, or too early; Rejected for a missing reason.
Never:  steps beside the table of states; touches an attempt under way; withdraws what may have
        been delivered. A reason is free text: the record holds its salted digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway import reporting
from gateway.dispatch import HoldCause
from gateway.errors import Conflict, Finding, Rejected, Severity, Text, Unknown
from gateway.model.arrival import FetchState
from gateway.model.transfer import TransferState, person_may, step
from gateway.outbound import MINIMUM_RATE, Outbound
from gateway.promise import Order, keep_answer, local_time, no_axis
from gateway.settling import Settling
from gateway.store import Tx, documents, transfers
from gateway.store import ledger as ledger_rows
from gateway.store import operating as rows
from gateway.store.ledger import NewRecord
from gateway.store.operating import Standing
from gateway.store.patience import write_after_race
from gateway.telemetry.events import Event

S = TransferState
# an attempt under way may deliver; on the axis it is; replaced, the other transfer may have
_MAY_BE_THERE = (S.SENDING, S.ON_AXIS, S.UNCERTAIN, S.REROUTED)


class Operating:
    """`order.account_id` is who acts: an account, or `console`. Answers are kept under its key."""

    def __init__(self, outbound: Outbound, settling: Settling) -> None:
        self.outbound = outbound
        self.settling = settling
        self.scribe = outbound.scribe

    async def hold(self, order: Order, transfer_id: str, *, reason: str) -> documents.Answered:
        """Nothing more is sent until a person releases it. The sender reads that it is delayed."""

        def act(tx: Tx, row: Standing, at: datetime) -> None:
            must_allow(row, "hold")
            self.move(tx, row, S.HELD, hold_cause=HoldCause.PERSON)
            facts = {"state": S.HELD.value, "cause": HoldCause.PERSON.value}
            made = self.record(tx, Event.TRANSFER_HELD, row, order, at, facts, reason)
            reporting.tell(tx, self.scribe, row.id, S.HELD, made)

        return await self.act(order, transfer_id, act)

    async def release(
        self, order: Order, transfer_id: str, *, again: bool, reason: str
    ) -> documents.Answered:
        """HELD goes on, and its lifetime counts from here. In doubt only with `again`: the same
        bytes go a second time, and a receiver that does not know doubles gets two.
        """

        def act(tx: Tx, row: Standing, at: datetime) -> None:
            must_allow(row, "release")
            if row.doubt and not again:
                raise _same_bytes_again()
            waits = rows.waits_for_seal(tx, row.record_id)
            state = step(S.HELD, S.ACCEPTED if waits else S.SEALED)
            now = tx.now()
            lifetime = timedelta(seconds=self.settling.policy_of(row.axis).lifetime_seconds)
            due_at = None if waits else now
            if not rows.release(
                tx, row, state=state, due_at=due_at, expires_at=now + lifetime, now=now
            ):
                raise forbids(row, "release")
            facts = {"state": state.value, "cause": row.hold_cause, "again": row.doubt}
            self.record(tx, Event.TRANSFER_RELEASED, row, order, at, facts, reason)
            tx.notify("deliver")

        return await self.act(order, transfer_id, act)

    async def retry(
        self, order: Order, transfer_id: str, *, force: bool, reason: str
    ) -> documents.Answered:
        """The next attempt is due now. After an uncertain one not before its deadline and a grace
        have passed: its bytes may still be on their way. `force` with a reason goes before.
        """
        if force:
            must_say_why(reason)

        def act(tx: Tx, row: Standing, at: datetime) -> None:
            must_allow(row, "retry")
            early = self._too_early(tx, row, at)
            if early is not None and not force:
                raise _too_early(early)
            if not rows.due_now(tx, row, tx.now()):
                raise forbids(row, "retry")
            facts = {"state": row.state, "forced": early is not None}
            self.record(tx, Event.TRANSFER_RETRIED, row, order, at, facts, reason)
            tx.notify("deliver")

        return await self.act(order, transfer_id, act)

    def _too_early(self, tx: Tx, row: Standing, at: datetime) -> datetime | None:
        """Until when the bytes of an uncertain attempt may still be on their way."""
        if row.state != S.UNCERTAIN or row.due_at is None or row.due_at <= tx.now():
            return None
        policy = self.settling.policy_of(row.axis)
        seconds = policy.attempt_deadline_seconds + policy.grace_seconds
        wait = timedelta(seconds=seconds + row.package_size / MINIMUM_RATE)
        started = rows.last_started(tx, row.id)
        over = min(row.due_at, started + wait) if started else row.due_at
        return over if at < over else None

    async def withdraw(self, order: Order, transfer_id: str, *, reason: str) -> documents.Answered:
        """Taken back before any attempt can have delivered it; the sender is told."""
        must_say_why(reason)

        def act(tx: Tx, row: Standing, at: datetime) -> None:
            must_allow(row, "withdraw")
            made = self._withdraw(tx, row, order, at, reason)
            reporting.tell(tx, self.scribe, row.id, S.WITHDRAWN, made)

        return await self.act(order, transfer_id, act)

    async def withdraw_document(
        self, order: Order, document_ref: str, *, reason: str
    ) -> documents.Answered:
        """All transfers of a document or none: those that are over without delivery stay as they
        are. The sender asks itself, so nothing is reported to it. Asked again: answered again.
        """
        must_say_why(reason)
        at = self.scribe.now()

        def commit(tx: Tx) -> documents.Answered:
            told = self.outbound.answered(tx, order)
            if told is not None:
                return told
            found = rows.of_document(tx, document_ref)
            there = [r for r in found if r.doubt or r.state in _MAY_BE_THERE]
            if there:
                raise _may_be_delivered(there)
            left = [r for r in found if "withdraw" in person_may(S(r.state), doubt=False)]
            if not left and not any(r.state == S.WITHDRAWN for r in found):
                raise _nothing_to_withdraw(found)
            for row in left:
                self._withdraw(tx, row, order, at, reason)
            now = transfers.of_documents(tx, [document_ref])
            states = [{"transfer_id": t.id, "axis": t.axis, "state": t.state} for t in now]
            return self.keep(tx, order, {"id": document_ref, "transfers": states})

        return await write_after_race(self.outbound.store, commit)

    def _withdraw(
        self, tx: Tx, row: Standing, order: Order, at: datetime, reason: str
    ) -> NewRecord:
        self.move(tx, row, S.WITHDRAWN)
        facts = {"state": S.WITHDRAWN.value}
        return self.record(tx, Event.TRANSFER_WITHDRAWN, row, order, at, facts, reason)

    async def release_fetch(
        self, order: Order, axis: str, axis_doc_id: str, *, reason: str
    ) -> documents.Answered:
        """A package that could not be fetched is tried again at once; the axis still has it."""
        if axis not in self.outbound.outlets:
            raise Unknown(no_axis(axis), code="axis.unknown")
        at = self.scribe.now()
        facts = {"axis": axis, "axis_doc_id": axis_doc_id, "state": FetchState.DUE.value}
        about = {"account": order.account_id}
        why = {"reason": reason.strip()}
        made = self.scribe.record(Event.FETCH_RELEASED, at, about, facts, personal=why)

        def commit(tx: Tx) -> documents.Answered:
            told = self.outbound.answered(tx, order)
            if told is not None:
                return told
            if not rows.release_fetch(tx, axis, axis_doc_id, tx.now()):
                raise _not_held(rows.fetch_state(tx, axis, axis_doc_id))
            ledger_rows.append(tx, [made])
            return self.keep(tx, order, facts)

        return await write_after_race(self.outbound.store, commit)

    # -- what every act shares ---------------------------------------------------------------------

    async def act(
        self,
        order: Order,
        transfer_id: str,
        act: Callable[[Tx, Standing, datetime], dict[str, Any] | None],
    ) -> documents.Answered:
        """Read under its lock, act, answer; the answer is kept. Where the act gives none: where
        the transfer stands now.
        """
        at = self.scribe.now()

        def commit(tx: Tx) -> documents.Answered:
            told = self.outbound.answered(tx, order)
            if told is not None:
                return told
            row = rows.standing(tx, transfer_id)
            if row is None:
                raise no_transfer()
            answer = act(tx, row, at)
            now = rows.standing(tx, transfer_id) or row
            return self.keep(tx, order, answer or standing_json(now))

        return await write_after_race(self.outbound.store, commit)

    def keep(self, tx: Tx, order: Order, value: dict[str, Any]) -> documents.Answered:
        answered = documents.Answered(order.content, 200, json.dumps(value, ensure_ascii=False), "")
        keep_answer(tx, order, answered)
        return answered

    def move(self, tx: Tx, row: Standing, new: TransferState, *, hold_cause: str = "") -> None:
        if not transfers.move(
            tx,
            row.id,
            fence=row.fence,
            old=S(row.state),
            new=step(S(row.state), new),
            doubt=row.doubt,
            now=tx.now(),
            hold_cause=hold_cause,
        ):
            raise forbids(row, new.value.lower())

    def record(
        self,
        tx: Tx,
        event: Event,
        row: Standing,
        order: Order,
        at: datetime,
        facts: dict[str, Any],
        reason: str,
    ) -> NewRecord:
        made = self.scribe.record(
            event,
            at,
            {"transfer": row.id, "account": order.account_id},
            {"axis": row.axis, "was": row.state, **facts},
            document_ref=row.document_ref,
            personal={"reason": reason.strip()},
        )
        ledger_rows.append(tx, [made])
        return made


def standing_json(row: Standing) -> dict[str, Any]:
    """Where a transfer stands, and what a person may do next."""
    return {
        "transfer_id": row.id,
        "state": row.state,
        "due_at": local_time(row.due_at) if row.due_at else None,
        "doubt": row.doubt,
        "hold_cause": row.hold_cause,
        "can": list(person_may(S(row.state), doubt=row.doubt)),
    }


# -- refusals --------------------------------------------------------------------------------------


def must_allow(row: Standing, act: str) -> None:
    if act in person_may(S(row.state), doubt=row.doubt):
        return
    if act == "withdraw" and act in person_may(S(row.state), doubt=False):
        raise Conflict(
            Text(
                "Một lần gửi có thể đã tới trục nên không rút lại được; đơn vị gửi có thể đề nghị "
                "lấy lại hoặc thu hồi văn bản",
                "an attempt may have delivered it, so it cannot be withdrawn; its sender can ask "
                "for it back or recall it",
            ),
            code="transfer.in_doubt",
        )
    raise forbids(row, act)


def forbids(row: Standing, act: str) -> Conflict:
    can = ", ".join(person_may(S(row.state), doubt=row.doubt))
    if row.state == S.SENDING:
        text = Text(
            f"Lượt chuyển đang được gửi (SENDING), chưa {act} được: chờ lần gửi này kết thúc rồi "
            "xem lại (queue show) khi đó làm được gì",
            f"the transfer is SENDING, which allows no {act}: wait for this attempt to end, then "
            "look again at what can be done (`queue show`)",
        )
    else:
        text = Text(
            f"Lượt chuyển đang ở trạng thái {row.state}, không {act} được; làm được: {can or '-'}",
            f"the transfer is {row.state}, which allows no {act}; it allows: {can or 'nothing'}",
        )
    finding = Finding("state", "transfer.state_forbids", Severity.ERROR, text)
    return Conflict(text, code="transfer.state_forbids", findings=(finding,))


def must_say_why(reason: str) -> None:
    if reason.strip():
        return
    text = Text("Việc này bắt buộc phải nêu lý do", "this needs a reason")
    finding = Finding("reason", "transfer.reason_missing", Severity.ERROR, text)
    raise Rejected(text, code="transfer.reason_missing", findings=(finding,))


def no_transfer() -> Unknown:
    return Unknown(
        Text("Không có lượt chuyển này", "there is no such transfer"), code="transfer.unknown"
    )


def _not_held(state: str | None) -> Conflict | Unknown:
    if state is None:
        return Unknown(
            Text("Trục chưa từng báo gói tin này", "no axis of ours ever listed this docId"),
            code="fetch.unknown",
        )
    return Conflict(
        Text(
            f"Gói tin này không bị giữ (đang {state}), không cần release",
            f"this fetch is {state}, not HELD: there is nothing to release",
        ),
        code="fetch.state_forbids",
    )


def _same_bytes_again() -> Conflict:
    return Conflict(
        Text(
            "Trục có thể đã có gói tin này: release sẽ gửi lại đúng các byte đó lần nữa. Hãy hỏi "
            "trục hoặc nơi nhận trước; nếu vẫn gửi: again = true (--yes-again)",
            "the axis may have this package already: releasing it sends the same bytes again. Ask "
            "the axis or the receiver first; to send all the same: again = true (--yes-again)",
        ),
        code="transfer.again",
    )


def _too_early(over: datetime) -> Conflict:
    shown = local_time(over)[11:19]
    return Conflict(
        Text(
            f"Byte của lần gửi trước có thể vẫn đang trên đường đến {shown}; chờ đến lúc đó, hoặc "
            "force kèm lý do",
            f"the bytes of the attempt before may be on their way until {shown}; wait until then, "
            "or use force with a reason",
        ),
        code="transfer.too_early",
    )


def _may_be_delivered(there: Sequence[Standing]) -> Conflict:
    findings = tuple(
        Finding(
            f"transfers[{row.id}]",
            "document.may_be_delivered",
            Severity.ERROR,
            Text(
                f"Trục {row.axis}: {row.state}, có thể đã tới nơi nhận",
                f"axis {row.axis}: {row.state}, it may have been delivered",
            ),
        )
        for row in there
    )
    return Conflict(
        Text(
            "Văn bản có thể đã tới nơi nhận nên không rút lại được: hãy thu hồi hoặc đề nghị lấy "
            "lại",
            "the document may have been delivered and cannot be withdrawn: recall it or ask for "
            "it back",
        ),
        code="document.may_be_delivered",
        findings=findings,
    )


def _nothing_to_withdraw(found: Sequence[Standing]) -> Conflict:
    states = ", ".join(sorted({row.state for row in found}))
    return Conflict(
        Text(
            f"Không còn gì để rút lại: các lượt chuyển đã kết thúc ({states})",
            f"nothing is left to withdraw: its transfers have ended ({states})",
        ),
        code="document.nothing_to_withdraw",
    )
