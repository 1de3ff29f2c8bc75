"""The simulated SOAP axis' hall: documents and statuses, who waits for what, its checks.

In:     header trees and files of SendDocument, statuses of UpdateTraces.
Out:    ids, lists, what a document is made of. Files lie in a folder, rows in the store.
Fails:  `Refusal` with the codes of a Report.
Never:  keeps a token, answers with a SOAP fault: errors are data there (vxp-protocol 8.1).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from adapters.edoc_soap.older import Named
from adapters.edoc_soap.simulator_store import Received, SimulatorStore, Stored
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


@dataclass(slots=True)
class Depot:
    """`accounts`: OrganId of an account -> (token, agency codes that it stands for)."""

    accounts: Mapping[str, tuple[str, tuple[str, ...]]]
    folder: Path
    clock: Clock
    store: SimulatorStore
    dedupe: bool = True
    says_known_id: bool = True

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
        if self.dedupe and (known := self.store.known(key)) is not None:
            raise Refusal(
                ("M.Exist", "Văn bản đã tồn tại"), known=known if self.says_known_id else ""
            )
        document_id = header.value("DocumentId")
        received = Received("", PackageKind.DOCUMENT, account, sender, receivers, document_id)
        kept = tuple(b for b in blocks if b.name not in {"Signature", "Token", "Security"})
        stored = Stored(received, kept, tuple(files), package)
        if not copies:
            return str(10**15 + secrets.randbelow(10**15))  # of nothing
        with self.store.all_or_nothing():
            given = [self.store.new_document(stored, sorted(targets)) for _ in range(copies)]
            self.store.note(replace(received, doc_id=given[0]))
            self.store.know(key, given[0])
        return given[0]

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
        stored = self.store.document(doc_id)
        if stored is None or account not in {self.owner(r) for r in stored.received.receivers}:
            raise Refusal(("M.documentId", "Không có văn bản này"))
        return stored

    def confirm(self, account: str, doc_id: str) -> None:
        """Takes the entry out, and tells the sender (01), once."""
        stored = self.document(account, doc_id)
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
        with self.store.all_or_nothing():
            if self.store.confirm(account, got.doc_id):
                self.store.lay_out(status, got.account, self.clock.now())

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
        if self.store.known(key) is not None and code != "05":
            raise Refusal(("M.Exist", "Trạng thái đã tồn tại"))
        if not copies:
            return
        with self.store.all_or_nothing():
            self.store.know(key, "")
            self.store.note(
                Received(
                    *("", PackageKind.STATUS, account, sender, (about.value("OrganId"),)),
                    *(document, code),
                )
            )
            for _ in range(copies):
                self.store.lay_out(status, to, self.clock.now())

    def statuses(self, account: str, since: str) -> list[Node]:
        """With `since` nothing is marked; without it what is returned counts as fetched."""
        traces = self.store.traces(account)
        if since:
            return [status for _, at, _, status in traces if _local(at) >= since]
        fresh = [(number, status) for number, _, fetched, status in traces if not fetched]
        self.store.fetched(number for number, _ in fresh)
        return [status for _, status in fresh]

    # -- rest ------------------------------------------------------------------------------------

    def organizations(self) -> list[Node]:
        return [
            node(NS_EDXML1, "Organization", ("OrganId", code), ("OrganName", f"Cơ quan {code}"))
            for _, codes in self.accounts.values()
            for code in codes
        ]

    def now_text(self) -> str:
        return _local(self.clock.now())

    def file(self) -> Path:
        """A place for one more file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"file-{secrets.token_hex(12)}"


def _local(at: datetime) -> str:
    return at.astimezone(_VIETNAM).strftime("%Y/%m/%d %H:%M:%S")
