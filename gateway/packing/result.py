"""What was gathered from a package, put together into one ReadPackage.

In:     nodes of the header, attachments with their facts, the manifest's lines, signatures.
Out:    ReadPackage, findings in the order of reading.
Fails:  Unreadable `package.no_envelope`.
Never:  reads a byte of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.errors import Finding, Text, Unreadable
from gateway.model.package import (
    NS_QCVN102,
    DocumentHeader,
    Extra,
    FileFact,
    SignatureBlock,
    StatusReport,
    bare_cid,
)
from gateway.packing import told, wrapping
from gateway.packing.declared import is_false_of
from gateway.packing.elements import RULE, Node, Reading, signature_block
from gateway.packing.pairing import paired
from gateway.packing.texts import tidy
from gateway.safexml import unreadable

CONTAINERS = frozenset({"edxml", "edxmlenvelope", "edxmlheader", "edxmlbody"})
LISTS = frozenset({"edxmlmanifest", "attachmentencoded"})
SIGNATURES = frozenset({"signature", "ds:signature"})
QCVN102, EDXML1 = "qcvn102", "edxml1"
_READ_ELSEWHERE = frozenset({"messageheader", "traceheaderlist"}) | SIGNATURES
_DOCUMENT_MARKS = frozenset({"to", "documentid", "code", "promulgationinfo", "subject", "content"})


@dataclass(frozen=True, slots=True)
class ReadPackage:
    """What the bytes say. `kind`: document | status | unknown; `version`: qcvn102 | edxml1.

    `sha256`, `size`: of the raw bytes as they came ("" and 0 from `read_header`, which reads no
    further than the header). A missing DocumentId is "" here; the caller fills in the axis' id.
    """

    kind: str
    version: str
    header: DocumentHeader | None
    status: StatusReport | None
    files: tuple[FileFact, ...]
    signature: SignatureBlock | None
    extras: tuple[Extra, ...]
    findings: tuple[Finding, ...]
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class FoundAttachment:
    """`fields`: id, name, type, mime, description, as far as the element had them."""

    fields: Mapping[str, str]
    fact: FileFact
    where: str


@dataclass(slots=True)
class Found:
    """Grows while the package is read. Signatures: the node, SignedInfo exclusive, inclusive."""

    root: Node | None = None
    messages: list[Node] = field(default_factory=list)
    traces: list[Node] = field(default_factory=list)
    signatures: list[tuple[Node, bytes, bytes]] = field(default_factory=list)
    stray_signatures: list[str] = field(default_factory=list)  # where, at most a few
    references: list[dict[str, str]] = field(default_factory=list)
    attachments: list[FoundAttachment] = field(default_factory=list)


class Assembly:
    def __init__(self, found: Found, reading: Reading, version: str = QCVN102) -> None:
        self._found = found
        self._reading = reading
        self._version = version

    def result(self, sha256: str, size: int) -> ReadPackage:
        root, reading = self._found.root, self._reading
        enveloped = root is not None and any(c.key == "edxmlenvelope" for c in root.children)
        if root is None or not (enveloped or self._version == EDXML1):
            raise _no_envelope(root)
        self._leftovers(root)
        message = self._last(self._found.messages)
        traces = self._last(self._found.traces)
        kind = self._kind(message)
        header: DocumentHeader | None = None
        status: StatusReport | None = None
        if kind == "status" and message is not None:
            status = reading.status(message)
            if traces is not None:
                reading.keep_unknown(traces)
        elif kind == "document":
            header = reading.document(message, traces)
        self._missing(header, status, root if message is None else message)
        signature = None
        if self._found.signatures:
            node, exclusive, inclusive = self._found.signatures[-1]
            signature = signature_block(node, exclusive, inclusive)
            wrapping.tell_block(node, reading)
        signatures = [item[0] for item in self._found.signatures]
        wrapping.tell_places(signatures, self._found.stray_signatures, reading)
        files = self._paired(tell=bool(sha256))
        reading.finish()
        return ReadPackage(
            kind=kind,
            version=self._version,
            header=header,
            status=status,
            files=files,
            signature=signature,
            extras=tuple(reading.extras),
            findings=tuple(reading.findings),
            sha256=sha256,
            size=size,
        )

    def _last(self, nodes: list[Node]) -> Node | None:
        if not nodes:
            return None
        return self._reading.last({"": nodes}, "")

    def _kind(self, message: Node | None) -> str:
        if message is None:
            return "unknown"
        keys = {c.key for c in message.children}
        if any(
            c.key == "statuscode" and c.text.strip() not in {"", "null"} for c in message.children
        ):
            return "status"
        if keys & _DOCUMENT_MARKS or self._found.attachments or self._found.references:
            return "document"
        return "unknown"

    def _missing(
        self, header: DocumentHeader | None, status: StatusReport | None, node: Node
    ) -> None:
        reading, where = self._reading, node.where()
        if header is None and status is None:
            reading.error(
                where,
                "package.kind_unknown",
                "Không nhận ra đây là gói tin văn bản hay gói tin trạng thái",
                "neither a document nor a status package",
                RULE,
            )
            return
        sender = header.sender if header is not None else status.sender if status else None
        if sender is not None and not sender.organ_id:
            reading.error(
                where,
                "header.from_missing",
                "Thiếu mã định danh bên gửi (From/OrganId)",
                "the sender's code (From/OrganId) is missing",
                RULE,
            )
        if header is not None and not header.to:
            reading.warn(
                where,
                "header.to_missing",
                "Không có bên nhận (To); bên nhận do trục quyết định",
                "there is no To; the axis' own field decides who receives",
                RULE,
            )
        if header is not None and not header.document_id:
            reading.warn(
                where,
                "header.document_id_missing",
                "Thiếu DocumentId; dùng mã của trục liên thông",
                "DocumentId is missing; the axis' id stands in",
                RULE,
            )
        if status is not None and not status.response_for.organ_id:
            reading.warn(
                where,
                "status.addressee_missing",
                "Gói tin trạng thái không nói gửi cho ai (ResponseFor/OrganId)",
                "the status does not say whom it is for (ResponseFor/OrganId)",
                RULE,
            )
        if status is not None and self._found.attachments:
            reading.warn(
                where,
                "status.with_files",
                "Gói tin trạng thái có tệp đính kèm",
                "a status package that carries attachments",
                RULE,
            )

    def _leftovers(self, node: Node) -> None:
        """Unknown elements and attributes between the parts we know."""
        reading = self._reading
        reading.keep_attributes(node, ("version",) if node.key == "edxmlmanifest" else ())
        reading.keep_text(node)
        for child in node.children:
            if child.key in CONTAINERS or child.key in LISTS:
                self._leftovers(child)
            elif child.key not in _READ_ELSEWHERE:
                reading.keep_unknown(child)

    def _paired(self, *, tell: bool) -> tuple[FileFact, ...]:
        """Attachments with what the manifest says of them."""
        reading, found = self._reading, self._found
        references = found.references
        wrapping.tell_doubled_ids(
            (bare_cid(a.fields.get("id", "")) for a in found.attachments),
            (bare_cid(r.get("id", "")) for r in references),
            "/edXML/AttachmentEncoded",
            reading,
        )
        pairs = paired(references, [item.fields for item in found.attachments])
        files = []
        for index, (item, line) in enumerate(zip(found.attachments, pairs.lines, strict=True)):
            reference = references[line] if line is not None else {}
            if line is None:
                reading.warn(
                    item.where,
                    "manifest.unlisted",
                    "Tệp đính kèm không có trong edXMLManifest",
                    "the attachment is not listed in the edXMLManifest",
                    RULE,
                )
            elif index in pairs.guessed:
                reading.habit(told.PAIRED, item.where, item.fact.name)
            fact = item.fact
            own, listed = item.fields.get("type", ""), reference.get("type", "")
            if listed != own and is_false_of(listed, fact):
                reading.habit(told.MANIFEST_TYPE, item.where, f"{fact.name} ({listed[:60]})")
            declared = own or item.fields.get("mime") or listed
            description = item.fields.get("description") or reference.get("description", "")
            files.append(replace(fact, declared_type=declared, description=tidy(description)))
        for at in pairs.waiting if tell else ():
            name = references[at].get("name", "") or references[at].get("id", "")
            reading.warn(
                "/edXML/edXMLEnvelope/edXMLBody/edXMLManifest",
                "manifest.file_missing",
                f"edXMLManifest nêu tệp không có trong gói tin: {name[:100]!r}",
                f"the edXMLManifest names a file that the package does not hold: {name[:100]!r}",
                RULE,
            )
        return tuple(files)


def _no_envelope(root: Node | None) -> Unreadable:
    for child in root.children if root is not None else ():
        if child.local.lower() == "edxmlenvelope":
            return wrong_namespace(child)
    return unreadable(
        "package.no_envelope",
        Text("Gói tin không có edXMLEnvelope", "the package has no edXMLEnvelope"),
        root.where() if root is not None else "/",
    )


def wrong_namespace(node: Node) -> Unreadable:
    """edxml-format 12: other namespaces than those of QCVN 102 and edXML 1.0 are refused."""
    found = repr(node.uri[:100]) if node.uri else ""
    return unreadable(
        "package.namespace",
        Text(
            f"Không gian tên {found or 'trống'} không phải của QCVN 102:2016/BTTTT ({NS_QCVN102})",
            f"the namespace {found or '(none)'} is not that of QCVN 102:2016/BTTTT ({NS_QCVN102})",
        ),
        node.where(),
    )
