"""The simulated SOAP axis' hall: documents and statuses, who waits for what, its checks.

In:     header trees and files of SendDocument, statuses of UpdateTraces.
Out:    ids, lists, what a document is made of. Everything is kept in a folder, rows in memory.
Fails:  `Refusal` with the codes of a Report.
Never:  keeps a token, answers with a SOAP fault: errors are data there (vxp-protocol 8.1).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from adapters.edoc_soap.older import Named
from adapters.edoc_soap.trees import Node, node
from gateway.model.package import NS_EDXML1, PackageKind
from gateway.ports import Clock

_VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
_DAY = re.compile(r"\d{4}/\d{2}/\d{2}", re.ASCII)
_ORGAN = ("OrganId", "OrganName", "OrganAdd", "Email", "Telephone", "Fax", "Website")
# edxml-format 12: every element must be present, if need be empty
_PRESENT = (
    *(f"From/{name}" for name in (*_ORGAN, "OrganizationInCharge")),
    *(f"To/{name}" for name in _ORGAN),
    "Code/CodeNumber", "Code/CodeNotation", "PromulgationInfo/Place",
    "PromulgationInfo/PromulgationDate", "DocumentType/Type", "DocumentType/TypeName", "Subject",
    "Content", "SignerInfo/Competence", "SignerInfo/Position", "SignerInfo/FullName", "DueDate",
    "ToPlaces", "OtherInfo/Priority", "OtherInfo/SphereOfPromulgation", "OtherInfo/TyperNotation",
    "OtherInfo/PromulgationAmount", "OtherInfo/PageAmount", "OtherInfo/Appendixes",
)  # fmt: skip


class Refusal(Exception):
    """A Report without success. `errors`: (code, description)."""

    def __init__(self, *errors: tuple[str, str], known: str = "") -> None:
        super().__init__(str(errors))
        self.errors = errors
        self.known = known


@dataclass(frozen=True, slots=True)
class Received:
    """A document or status as its sender gave it."""

    doc_id: str
    kind: PackageKind
    account: str
    sender: str
    receivers: tuple[str, ...]
    document_id: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document: header blocks without credentials, its files on disk, decoded."""

    received: Received
    blocks: tuple[Node, ...]
    files: tuple[tuple[Named, Path], ...]
    package: Path | None = None  # payload mode package: as it came


@dataclass(slots=True)
class _Trace:
    status: Node
    account: str
    at: datetime
    fetched: bool = False


@dataclass(slots=True)
class Depot:
    """`accounts`: OrganId of an account -> (token, agency codes that it stands for)."""

    accounts: Mapping[str, tuple[str, tuple[str, ...]]]
    folder: Path
    clock: Clock
    dedupe: bool = True
    says_known_id: bool = True
    documents: dict[str, Stored] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    waiting: dict[str, dict[str, None]] = field(default_factory=dict)  # account -> doc ids
    confirmed: list[str] = field(default_factory=list)
    traces: list[_Trace] = field(default_factory=list)
    _known: dict[tuple[str, ...], str] = field(default_factory=dict)
    _next: int = 0

    def account(self, organ_id: str, token: str) -> str:
        """The account of these credentials. Raises Refusal."""
        found = self.accounts.get(organ_id)
        if found is None or not token or found[0] != token:
            raise Refusal(("CheckPermission.Token", "Sai mã cơ quan hoặc token"))
        return organ_id

    def owner(self, code: str) -> str:
        """The account that stands for an agency, "" when nobody does."""
        wanted = code.strip().upper()
        for organ_id, (_, codes) in self.accounts.items():
            if wanted in {one.upper() for one in codes}:
                return organ_id
        return ""

    # -- documents -------------------------------------------------------------------------------

    def accept(
        self,
        account: str,
        blocks: Sequence[Node],
        files: Sequence[tuple[Named, Path]],
        *,
        package: Path | None = None,
        copies: int = 1,
    ) -> str:
        """One SendDocument; its id. `copies` 0: an id is given and nothing is kept."""
        header = next((b for b in blocks if b.name == "MessageHeader"), None)
        if header is None:
            raise Refusal(("N.MessageHeader", "Thiếu MessageHeader"))
        if package is None and (errors := self._mistakes(header, blocks)):
            raise Refusal(*errors)
        sender = header.value("From", "OrganId")
        if self.owner(sender) != account:
            raise Refusal(("Permission.From", "Cơ quan gửi không thuộc tài khoản"))
        receivers = tuple(to.value("OrganId") for to in header.all("To"))
        targets = {owner for code in receivers if (owner := self.owner(code))}
        if not targets:
            raise Refusal(("M.To.OrganId", "Không có cơ quan nhận nào trên trục"))
        key = (
            account,
            sender,
            header.value("DocumentId"),
            header.value("Code", "CodeNumber"),
            header.value("Code", "CodeNotation"),
            header.value("PromulgationInfo", "PromulgationDate"),
        )
        if self.dedupe and key in self._known:
            known = self._known[key] if self.says_known_id else ""
            raise Refusal(("M.Exist", "Văn bản đã tồn tại"), known=known)
        first = ""
        for number in range(max(copies, 1)):
            self._next += 1
            doc_id = str(1_000_000 + self._next)
            first = first or doc_id
            if not copies:
                return first
            received = Received(
                doc_id,
                PackageKind.DOCUMENT,
                account,
                sender,
                receivers,
                header.value("DocumentId"),
            )
            kept = tuple(b for b in blocks if b.name not in {"Signature", "Token", "Security"})
            self.documents[doc_id] = Stored(received, kept, tuple(files), package)
            for owner in targets:
                self.waiting.setdefault(owner, {})[doc_id] = None
            if not number:
                self.received.append(received)
        self._known[key] = first
        return first

    def _mistakes(self, header: Node, blocks: Sequence[Node]) -> list[tuple[str, str]]:
        wrong = [
            (f"N.MessageHeader.{path.replace('/', '.')}", f"Thiếu {path}")
            for path in _PRESENT
            if header.find(*path.split("/")) is None
        ]
        traces = next((b for b in blocks if b.name == "TraceHeaderList"), None)
        if traces is None or traces.find("TraceHeader") is None:
            wrong.append(("N.TraceHeaderList.TraceHeader", "Thiếu TraceHeader"))
        if not any(b.name == "ErrorList" for b in blocks):
            wrong.append(("N.ErrorList", "Thiếu ErrorList"))
        for path, allowed in (("DocumentType/Type", "12"), ("OtherInfo/Priority", "01234")):
            text = header.value(*path.split("/"))
            if not text.isdecimal():
                wrong.append((f"T.{path.replace('/', '.')}", f"{path} không phải số"))
            elif text not in allowed:
                wrong.append((f"R.{path.replace('/', '.')}", f"{path} ngoài khoảng"))
        day = header.value("PromulgationInfo", "PromulgationDate")
        if day and not _DAY.fullmatch(day):
            wrong.append(("T.PromulgationInfo.PromulgationDate", "Không phải yyyy/MM/dd"))
        elif day and day > self.clock.now().astimezone(_VIETNAM).strftime("%Y/%m/%d"):
            wrong.append(("R.PromulgationInfo.PromulgationDate", "Ngày ở tương lai"))
        codes = [to.value("OrganId") for to in header.all("To")]
        if len(set(codes)) != len(codes):
            wrong.append(("M.To.OrganId", "Cơ quan nhận bị trùng"))
        if any(code.count(".") > 3 for code in (*codes, header.value("From", "OrganId"))):
            wrong.append(("R.OrganId", "Mã cơ quan quá bốn nhóm"))
        return wrong

    def document(self, account: str, doc_id: str) -> Stored:
        stored = self.documents.get(doc_id)
        if stored is None or account not in {self.owner(r) for r in stored.received.receivers}:
            raise Refusal(("M.documentId", "Không có văn bản này"))
        return stored

    def confirm(self, account: str, doc_id: str) -> None:
        """Takes the entry out, and tells the sender (01), once."""
        stored = self.document(account, doc_id)
        if self.waiting.get(account, {}).pop(doc_id, "gone") == "gone":
            return
        self.confirmed.append(doc_id)
        got = stored.received
        header = next(b for b in stored.blocks if b.name == "MessageHeader")
        number = header.value("Code", "CodeNumber")
        status = node(
            "",
            "Status",
            node("", "From", ("OrganId", self._receiver(account, got))),
            node(
                "",
                "ResponseFor",
                ("OrganId", got.sender),
                ("Code", f"{number}/{header.value('Code', 'CodeNotation')}"),
                ("DocumentId", got.document_id),
                ("PromulgationDate", header.value("PromulgationInfo", "PromulgationDate")),
            ),
            ("StatusCode", "01"),
            ("Timestamp", self.now_text()),
        )
        self._lay_out(status, got.account)

    def _receiver(self, account: str, got: Received) -> str:
        return next((code for code in got.receivers if self.owner(code) == account), account)

    # -- statuses --------------------------------------------------------------------------------

    def update(self, account: str, status: Node, *, copies: int = 1) -> None:
        """One UpdateTraces. A repeated status is refused, but for code 05."""
        sender = status.value("From", "OrganId")
        about = status.find("ResponseFor")
        if about is None or not status.value("StatusCode"):
            raise Refusal(("N.Status", "Thiếu ResponseFor hoặc StatusCode"))
        if self.owner(sender) != account:
            raise Refusal(("Permission.From", "Cơ quan gửi không thuộc tài khoản"))
        to = self.owner(about.value("OrganId"))
        if not to:
            raise Refusal(("M.ResponseFor.OrganId", "Không có cơ quan này"))
        code = status.value("StatusCode")
        document = about.value("DocumentId") or about.value("Code")
        key = ("status", sender, document, code, status.value("Timestamp"))
        if key in self._known and code != "05":
            raise Refusal(("M.Exist", "Trạng thái đã tồn tại"))
        if not copies:
            return
        self._known[key] = code
        received = Received(
            "", PackageKind.STATUS, account, sender, (about.value("OrganId"),), document, code
        )
        self.received.append(received)
        for _ in range(copies):
            self._lay_out(status, to)

    def _lay_out(self, status: Node, account: str) -> None:
        self.traces.append(_Trace(status, account, self.clock.now()))

    def statuses(self, account: str, since: str) -> list[Node]:
        """With `since` nothing is marked; without it what is returned counts as fetched."""
        found = []
        for trace in self.traces:
            at = trace.at.astimezone(_VIETNAM).strftime("%Y/%m/%d %H:%M:%S")
            if trace.account != account or (since and at < since):
                continue
            if not since:
                if trace.fetched:
                    continue
                trace.fetched = True
            found.append(trace.status)
        return found

    # -- rest ------------------------------------------------------------------------------------

    def organizations(self) -> list[Node]:
        return [
            node(NS_EDXML1, "Organization", ("OrganId", code), ("OrganName", f"Cơ quan {code}"))
            for _, codes in self.accounts.values()
            for code in codes
        ]

    def now_text(self) -> str:
        return self.clock.now().astimezone(_VIETNAM).strftime("%Y/%m/%d %H:%M:%S")

    def file(self) -> Path:
        """A place for one more file."""
        self._next += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"file-{self._next}"

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
