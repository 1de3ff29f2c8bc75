"""What the corridor out carries: who asks, what was packed, what will be promised together.

Values and pure pieces only: the order of things is in `outbound.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from gateway.dispatch import schedule
from gateway.errors import Conflict, Finding, Rejected, Severity, Text, Unavailable, errors_in
from gateway.model.package import (
    BusinessType,
    DocumentHeader,
    Organ,
    PackageKind,
    ReadyPackage,
    ResponseFor,
    StatusReport,
    status_identity,
)
from gateway.model.record import Source
from gateway.model.submission import AxisRoute
from gateway.model.transfer import RecipientState, TransferState
from gateway.packing import metadata
from gateway.ports import Axis
from gateway.signing import Profile
from gateway.store import Tx, claims, documents

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
FIRST_YEAR, LAST_YEAR = 1990, 2200  # of instants that others may state or report
LONGEST_CODE = 8
_ACTS = UUID("6f1d3a0e-6a55-5b0e-9d4b-6b8a3c0f5d21")  # ours: the ids made for acts


@dataclass(frozen=True, slots=True)
class Outlet:
    """One axis as this corridor uses it: the adapter, its retry policy, how we sign for it."""

    axis: Axis
    policy: schedule.Policy
    profile: Profile = Profile.RELAY


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks, and what makes a repetition the same request (contract 3, Idempotency-Key).

    `content`: hex digest over canonical metadata and file digests, never over raw body bytes.
    """

    account_id: str
    content: str
    idempotency_key: str | None = None
    language: str = "vi"

    @property
    def seed(self) -> str:
        """What a repetition of this request, and no other request, has again."""
        return f"{self.account_id}\n{self.idempotency_key or self.content}"


@dataclass(frozen=True, slots=True)
class Packed:
    """One package for one axis, durable under its digest."""

    route: AxisRoute
    package: ReadyPackage
    transfer_id: str


class Prepared(NamedTuple):
    """What stands before a commit. `had`: receivers (keys) that this identity reached before;
    `bound`: its DocumentId was sent before. Or nothing is left to promise: this request was
    answered (`repeated`), or every receiver was served (`spoken_of`: the document that says so).
    """

    packed: tuple[Packed, ...] = ()
    had: frozenset[str] = frozenset()
    bound: bool = False
    repeated: documents.Answered | None = None
    spoken_of: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """Everything a submission will commit together."""

    document_ref: str
    header: DocumentHeader
    identity: str
    kind: PackageKind
    files: tuple[Mapping[str, Any], ...]
    packed: tuple[Packed, ...]
    at: datetime
    released_at: datetime
    released_source: Source
    lane: int
    findings: tuple[Finding, ...]
    legal_value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """A claim with what one attempt needs. `claimed`: monotonic seconds when it was taken."""

    claim: claims.Claim
    receivers: tuple[str, ...]
    claimed: float
    lease_seconds: float


def vietnam_time(at: datetime) -> str:
    """`yyyy/MM/dd HH:mm:ss` in Vietnam's zone (edxml-format 8)."""
    return at.astimezone(VIETNAM).strftime("%Y/%m/%d %H:%M:%S")


def from_vietnam_time(text: str) -> datetime | None:
    """An instant from a report in any form of edxml-format 8, read as +07:00.

    None when it cannot be read, or lies where no report can: a peer's nonsense is kept as the text
    it is, and never as an instant that no database or calendar holds. A day alone is no instant.
    """
    plain = text.strip().replace("-", "/")
    for form in ("%Y/%m/%d %H:%M:%S", "%d/%m/%Y %H:%M:%S"):
        try:
            read = datetime.strptime(f"{plain} +0700", f"{form} %z")
        except ValueError:
            continue
        return read if FIRST_YEAR <= read.year < LAST_YEAR else None
    return None


def plain_id(text: str) -> str:
    """A peer's id as records hold it: as it is up to 255 characters, by its digest beyond."""
    return text if len(text) <= 255 else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def plain_code(code: str) -> str:
    """A status code as a record may hold it: a peer can write anything, records hold no text."""
    return code if len(code) <= LONGEST_CODE and code.isascii() and code.isalnum() else ""


def document_id_for(header: DocumentHeader, seed: str) -> str:
    """`OrganId,yyyy/MM/dd,number/notation` with real values (edxml-format 7, 13).

    An act repeats number and date of the document that it is about, so its own id is a UUID, made
    of `seed`: equal for the same request, another for every other one (architecture 4).
    """
    if header.business.type != BusinessType.NEW:
        return str(uuid5(_ACTS, f"{header.sender.organ_id.upper()}\n{seed}"))
    day = header.promulgation.date.replace("-", "/")
    return f"{header.sender.organ_id},{day},{header.code.number}/{header.code.notation}"


def status_about(
    *,
    sender: Organ,
    header: Mapping[str, Any],
    addressee: str,
    document_id: str,
    code: str,
    at: datetime,
    description: str = "",
) -> StatusReport:
    """A report about a document we received, addressed to its sender (edxml-format 3).

    `header`: the document's header in submission field names, as the inbox item keeps it.
    """
    numbered = header.get("code", {})
    number = "/".join(p for p in (numbered.get("number"), numbered.get("notation")) if p)
    return StatusReport(
        sender=sender,
        response_for=ResponseFor(
            organ_id=addressee,
            code=number,
            document_id=document_id,
            promulgation_date=header.get("promulgation", {}).get("date", ""),
        ),
        code=code,
        timestamp=vietnam_time(at),
        description=description,
    )


def routes_left(
    routes: Sequence[AxisRoute], had: frozenset[str], key_of: Callable[[str], str]
) -> tuple[AxisRoute, ...]:
    """The routes without receivers that this identity already reached."""
    left = []
    for route in routes:
        receivers = tuple(c for c in route.receivers if key_of(c) not in had)
        if receivers:
            left.append(replace(route, receivers=receivers))
    return tuple(left)


def sent_before(
    header: DocumentHeader, had: frozenset[str], key_of: Callable[[str], str]
) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            path=f"to[{n}].organ_id",
            code="document.already_sent",
            severity=Severity.NOTE,
            text=Text(
                f"Văn bản này đã được nhận để gửi {organ.organ_id} từ trước, nay không gửi lại",
                f"this document was accepted for {organ.organ_id} before, and is not sent again",
            ),
        )
        for n, organ in enumerate(header.to)
        if key_of(organ.organ_id) in had
    )


def already_sent(
    header: DocumentHeader, had: frozenset[str], key_of: Callable[[str], str]
) -> Rejected:
    findings = tuple(replace(f, severity=Severity.ERROR) for f in sent_before(header, had, key_of))
    return Rejected(
        Text(
            "Gói tin có sẵn không được tách: một số nơi nhận đã có văn bản này",
            "a ready-made package is never split, and some receivers already have this document",
        ),
        code="route.split_required",
        findings=findings,
    )


def document_conflict(document_id: str) -> Conflict:
    return Conflict(
        Text(
            f"Mã định danh văn bản {document_id} đã dùng cho một văn bản khác",
            f"document id {document_id} was used for another document",
        ),
        code="document.conflict",
    )


def impossible_release(released_at: datetime | None) -> tuple[Finding, ...]:
    """A stated instant so long ago that nobody means it, and that no database would give back."""
    if released_at is None or released_at.year >= FIRST_YEAR:
        return ()
    text = Text(
        f"Thời điểm phát hành (released_at) trước năm {FIRST_YEAR}",
        f"the instant of release (released_at) lies before {FIRST_YEAR}",
    )
    return (Finding("released_at", "content.released_past", Severity.ERROR, text),)


def untold(judged: Sequence[Finding], shape: Sequence[Finding]) -> list[Finding]:
    """What was judged, without what a wrong shape or a secrecy mark says already."""
    told = [f.path for f in shape]
    return [
        f
        for f in judged
        if f.code != "secrecy.marked"
        and not any(f.path == p or f.path.startswith((f"{p}.", f"{p}[")) for p in told)
    ]


def other_agency() -> Finding:
    """A key that does not speak for the sender."""
    text = Text(
        "Mã cơ quan gửi không thuộc khóa truy cập này",
        "the sender's code is not bound to this key",
    )
    rule = "QĐ 08/2021/QĐ-UBND 5, 11.2"
    return Finding("from.organ_id", "account.other_agency", Severity.ERROR, text, rule)


def keyless() -> Finding:
    """Without an id of its own and without a key a repetition could not be known."""
    text = Text(
        "Thiếu document_id thì bắt buộc phải có Idempotency-Key",
        "metadata without document_id needs an Idempotency-Key",
    )
    return Finding("document_id", "idempotency.missing", Severity.ERROR, text)


def key_mismatch() -> Conflict:
    return Conflict(
        Text(
            "Idempotency-Key này đã dùng cho một yêu cầu có nội dung khác",
            "this Idempotency-Key was used for a request with other content",
        ),
        code="idempotency.mismatch",
    )


def same_request(found: documents.Answered | None, order: Order) -> documents.Answered | None:
    """What was answered under the key of this request. Raises Conflict: it was another request."""
    if found is not None and found.content != order.content:
        raise key_mismatch()
    return found


def ledger_unsealed() -> Unavailable:
    return Unavailable(
        Text(
            "Sổ cái chưa niêm phong kịp, tạm thời không nhận văn bản",
            "the ledger is not being sealed in time; nothing is accepted for now",
        ),
        code="ledger.unsealed",
    )


def queue_full(backlog: int) -> Unavailable:
    return Unavailable(
        Text(
            f"Đang có {backlog} lượt chuyển chờ gửi; hãy gửi lại sau",
            f"{backlog} transfers wait to be delivered; send again later",
        ),
        code="queue.full",
    )


def no_axis(name: str) -> Text:
    """`axis.unknown`, wherever somebody names one."""
    return Text(f"Không có trục {name[:60]!r}", f"there is no axis {name[:60]!r}")


def not_served(code: str, path: str) -> Finding:
    """A gateway speaks only for the agencies it serves (`[local] agencies`): one office each."""
    return Finding(
        path,
        "agency.not_served",
        Severity.ERROR,
        Text(
            f"Cơ quan {code[:60]} không do gateway này phục vụ",
            f"agency {code[:60]} is not served by this gateway",
        ),
        "QĐ 08/2021/QĐ-UBND 5",
    )


def unsigned(code: str) -> Finding:
    """A package made here is signed, or not made: unsigned, it proves nothing to its receiver."""
    return Finding(
        "from.organ_id",
        "signing.no_key",
        Severity.ERROR,
        Text(
            f"Gateway chưa có khóa ký của cơ quan {code[:60]}; báo người vận hành đặt [[key]]",
            f"this gateway has no signing key of {code[:60]}; ask the operator for a [[key]]",
        ),
        "QĐ 28/2018/QĐ-TTg 4",
    )


def not_acceptable() -> Text:
    return Text(
        "Văn bản chưa đạt yêu cầu; xem từng lỗi bên dưới",
        "the submission cannot be accepted; see each finding",
    )


def first_code(findings: Sequence[Finding]) -> str:
    wrong = errors_in(findings)
    return wrong[0].code if wrong else "submission.invalid"


def document_row(
    promise: Promise,
    key_of: Callable[[str], str],
    account_id: str,
    record_id: str,
    answer: str,
    about_item: str | None,
) -> documents.NewDocument:
    header = promise.header
    return documents.NewDocument(
        id=promise.document_ref,
        kind=promise.kind.value,
        account_id=account_id,
        sender=header.sender.organ_id,
        sender_key=key_of(header.sender.organ_id),
        document_id=header.document_id,
        identity=promise.identity,
        business_type=int(header.business.type),
        header=metadata.header_to_json(header),
        files=promise.files,
        accepted_at=promise.at,
        released_at=promise.released_at,
        released_source=promise.released_source.value,
        answer=answer,
        record_id=record_id,
        about_item=about_item,
        # a status speaks of the document whose id it carries
        about=(header.document_id,) if promise.kind is PackageKind.STATUS else header.about(),
    )


def transfer_rows(
    promise: Promise, record_id: str, expires: Mapping[str, datetime], now: datetime
) -> list[dict[str, Any]]:
    """`expires`: the end of the lifetime, by axis, on the database's clock."""
    return [
        {
            "id": p.transfer_id,
            "document_ref": promise.document_ref,
            "kind": promise.kind.value,
            "axis": p.route.axis,
            "state": TransferState.ACCEPTED.value,
            "lane": promise.lane,
            "due_at": None,
            "doubt": False,
            "attempts": 0,
            "sender": promise.header.sender.organ_id,
            "package_sha256": p.package.sha256,
            "package_size": p.package.size,
            "accepted_at": promise.at,
            "expires_at": expires[p.route.axis],
            "fence": 0,
            "equal_answers": 0,
            "record_id": record_id,
            "moved_at": now,
            "due_date": due_day(promise.header.due_date),
        }
        for p in promise.packed
    ]


def due_day(written: str) -> str | None:
    """A DueDate as the queue keeps it, yyyy-MM-dd; None where there is none that is a day."""
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        return None


def recipient_rows(
    promise: Promise, key_of: Callable[[str], str], now: datetime
) -> list[dict[str, Any]]:
    return [
        {
            "transfer_id": p.transfer_id,
            "agency": code,
            "agency_key": key_of(code),
            "state": RecipientState.PENDING.value,
            "moved_at": now,
        }
        for p in promise.packed
        for code in p.route.receivers
    ]


def answer_json(promise: Promise, receipt: bytes, language: str) -> str:
    """The 202 body of contract 3; kept, so that a repetition gets the same bytes."""
    return json.dumps(
        {
            "id": promise.document_ref,
            "document_id": promise.header.document_id,
            "transfers": [
                {
                    "transfer_id": p.transfer_id,
                    "axis": p.route.axis,
                    "state": TransferState.ACCEPTED.value,
                    "recipients": list(p.route.receivers),
                }
                for p in promise.packed
            ],
            "legal_value": dict(promise.legal_value),
            "accepted_at": local_time(promise.at),
            "receipt": json.loads(receipt),
            "findings": [f.as_json(language) for f in promise.findings],
        },
        ensure_ascii=False,
    )


def local_time(at: datetime) -> str:
    """RFC 3339 with +07:00, microseconds (contract 3)."""
    return at.astimezone(VIETNAM).isoformat(timespec="microseconds")


def status_promise(
    report: StatusReport, axis: str, package: ReadyPackage, at: datetime, new_id: Callable[[], str]
) -> Promise:
    """What is promised with a status: one package, one receiver, no lane, no legal class."""
    addressee = report.response_for.organ_id
    return Promise(
        document_ref=new_id(),
        header=DocumentHeader(
            sender=report.sender,
            to=(Organ(organ_id=addressee),),
            document_id=report.response_for.document_id,
        ),
        identity=status_identity(report),
        kind=PackageKind.STATUS,
        files=(),
        packed=(Packed(AxisRoute(axis, (addressee,)), package, new_id()),),
        at=at,
        released_at=at,
        released_source=Source.OBSERVED,
        lane=0,
        findings=(),
        legal_value={},
    )


def keep_answer(tx: Tx, order: Order, answered: documents.Answered) -> None:
    """Under the key of the request, in the commit of what it did; without a key, nowhere."""
    if order.idempotency_key is not None:
        documents.keep_answer(
            tx,
            account_id=order.account_id,
            key=order.idempotency_key,
            answered=answered,
            created_at=tx.now(),
        )
