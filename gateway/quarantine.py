"""Why an arrival goes to quarantine, in words for the person who must look at it.

In: what the corridor in met. Out: findings, what a person may do about them, and the alarm for
whoever watches the gateway.
Never: decides anything; shows what is in a package.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import Conflict, Finding, Rejected, Severity, Text, Untrusted
from gateway.model.arrival import ArrivalState
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger

# what a person may overrule; everything else is no matter of opinion
OPINIONS = ("arrival.conflict", "arrival.sender_differs", "act.not_the_sender")
# after these a status 02 would mean another document, or go to another sender
AMBIGUOUS = ("arrival.conflict", "arrival.sender_differs")
# why it was not let in; other errors are the package's own and stay with a document that was
_STOPPED_BY = (*OPINIONS, "arrival.not_ours", "arrival.poison", "secrecy.marked")


def stopped_by(wrong: Sequence[str]) -> str:
    """Of the codes of its errors the one that brought it here; "" for none."""
    return next((code for code in wrong if code in _STOPPED_BY), next(iter(wrong), ""))


def person_may(wrong: Sequence[str]) -> tuple[str, ...]:
    """The acts open to a person, by the codes of its errors. What can be overruled was read well;
    anything else would not open, so it can only be closed.
    """
    return ("open", "return") if any(code in OPINIONS for code in wrong) else ("return",)


def alarm(arrival_id: str, axis: str, state: ArrivalState) -> None:
    """What waits for a person from now on is said aloud."""
    if state is ArrivalState.QUARANTINED:
        get_logger(worker="open").warning(
            Event.ARRIVAL_OPENED,
            arrival=arrival_id,
            axis=axis,
            state=state.value,
            advice=Event.ARRIVAL_OPENED.advice,
        )


def alarm_hung(arrival_id: str, axis: str, opens: int) -> None:
    """Its opening did not end: the others go on, the thread stays behind."""
    get_logger(worker="open").error(
        Event.ARRIVAL_HUNG,
        arrival=arrival_id,
        axis=axis,
        opens=opens,
        advice=Event.ARRIVAL_HUNG.advice,
    )


def as_finding(problem: Untrusted | Rejected) -> Finding:
    return Finding("", problem.code, Severity.ERROR, problem.text)


def poison(opens: int) -> Finding:
    return Finding(
        "",
        "arrival.poison",
        Severity.ERROR,
        Text(
            f"Gói tin đã làm hỏng hoặc làm treo tiến trình {opens} lần; cần người kiểm tra",
            f"the package killed or blocked its process {opens} times; a person must look at it",
        ),
    )


def neither() -> Finding:
    return Finding(
        "edXML/edXMLEnvelope/edXMLHeader/MessageHeader",
        "package.unknown_kind",
        Severity.ERROR,
        Text(
            "Không phải văn bản cũng không phải gói tin trạng thái",
            "neither a document nor a status package",
        ),
        "QCVN 102:2016/BTTTT",
    )


def not_ours() -> Finding:
    return Finding(
        "to",
        "arrival.not_ours",
        Severity.ERROR,
        Text(
            "Không có nơi nhận nào thuộc gateway này",
            "none of the receivers is served by this gateway",
        ),
    )


def sender_differs(listed: str, said: str) -> Finding:
    """The axis names another sender than the package does: one of the two is not true."""
    return Finding(
        "from",
        "arrival.sender_differs",
        Severity.ERROR,
        Text(
            f"Trục ghi bên gửi là {listed[:60]}, gói tin ghi là {said[:60]}",
            f"the axis lists the sender {listed[:60]}, the package says {said[:60]}",
        ),
        "QCVN 102:2016/BTTTT",
    )


def conflict(document_id: str, item_id: str) -> Finding:
    """Another document of this sender stands under this DocumentId; `item_id`: the first one's."""
    return Finding(
        "document_id",
        "arrival.conflict",
        Severity.ERROR,
        Text(
            f"Bên gửi đã gửi một văn bản khác với cùng mã định danh {document_id[:100]}"
            f" (mục {item_id})",
            f"this sender sent another document under the same DocumentId {document_id[:100]}"
            f" before (item {item_id})",
        ),
        "QCVN 102:2016/BTTTT",
    )


def not_the_sender(document_id: str) -> Finding:
    """Only who sent a document recalls, updates or replaces it (standards 9.1)."""
    return Finding(
        "business.about",
        "act.not_the_sender",
        Severity.ERROR,
        Text(
            f"Văn bản {document_id[:100]} do cơ quan khác gửi; chỉ bên gửi được thu hồi,"
            " cập nhật, thay thế hoặc lấy lại",
            f"document {document_id[:100]} was sent by another agency; only its sender recalls,"
            " updates, replaces or takes it back",
        ),
        "QĐ 28/2018/QĐ-TTg 8.2",
    )


def not_waiting(arrival_id: str) -> Conflict:
    return Conflict(
        Text(
            f"Gói tin đến {arrival_id} không còn chờ quyết định",
            f"arrival {arrival_id} does not wait for a decision any more",
        ),
        code="arrival.not_waiting",
    )
