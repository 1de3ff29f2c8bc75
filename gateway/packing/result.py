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
    NS_EDXML1,
    NS_QCVN102,
    DocumentHeader,
    Extra,
    FileFact,
    SignatureBlock,
    StatusReport,
)
from gateway.packing import wrapping
from gateway.packing.elements import RULE, Node, Reading, signature_block
from gateway.safexml import unreadable

CONTAINERS = frozenset({"edxml", "edxmlenvelope", "edxmlheader", "edxmlbody"})
LISTS = frozenset({"edxmlmanifest", "attachmentencoded"})
SIGNATURES = frozenset({"signature", "ds:signature"})
_NS_SOAP = frozenset(
    {"http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"}
)
_READ_ELSEWHERE = frozenset({"messageheader", "traceheaderlist"}) | SIGNATURES
_DOCUMENT_MARKS = frozenset({"to", "documentid", "code", "promulgationinfo", "subject", "content"})


@dataclass(frozen=True, slots=True)
class ReadPackage:
    """What the bytes say. `kind`: document | status | unknown; `version`: qcvn102.

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
    def __init__(self, found: Found, reading: Reading) -> None:
        self._found = found
        self._reading = reading

    def result(self, sha256: str, size: int) -> ReadPackage:
        root, reading = self._found.root, self._reading
        if root is None or not any(c.key == "edxmlenvelope" for c in root.children):
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
        self._tell_extras()
        return ReadPackage(
            kind=kind,
            version="qcvn102",
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
        reading.keep(node.path(), node.text.strip())
        for child in node.children:
            if child.key in CONTAINERS or child.key in LISTS:
                self._leftovers(child)
            elif child.key not in _READ_ELSEWHERE:
                reading.keep_unknown(child)

    def _paired(self, *, tell: bool) -> tuple[FileFact, ...]:
        """Attachments with what the manifest says: by content id, by name, by position."""
        wrapping.tell_doubled_ids(
            (bare_cid(a.fields.get("id", "")) for a in self._found.attachments),
            (bare_cid(r.get("id", "")) for r in self._found.references),
            "/edXML/AttachmentEncoded",
            self._reading,
        )
        waiting = dict(enumerate(self._found.references))
        by_id = {bare_cid(r.get("id", "")): i for i, r in waiting.items() if r.get("id")}
        by_name = {r.get("name", ""): i for i, r in waiting.items() if r.get("name")}
        files = []
        for index, item in enumerate(self._found.attachments):
            fields = item.fields
            for at in (
                by_id.get(bare_cid(fields.get("id", ""))),
                by_name.get(fields.get("name", "")),
                index,
            ):
                if at is not None and at in waiting:
                    reference = waiting.pop(at)
                    break
            else:
                reference = {}
                self._reading.warn(
                    item.where,
                    "manifest.unlisted",
                    "Tệp đính kèm không có trong edXMLManifest",
                    "the attachment is not listed in the edXMLManifest",
                    RULE,
                )
            kind = fields.get("type") or fields.get("mime") or reference.get("type", "")
            description = fields.get("description") or reference.get("description", "")
            files.append(replace(item.fact, declared_type=kind, description=description))
        for reference in waiting.values() if tell else ():
            name = reference.get("name", "") or reference.get("id", "")
            self._reading.warn(
                "/edXML/edXMLEnvelope/edXMLBody/edXMLManifest",
                "manifest.file_missing",
                f"edXMLManifest nêu tệp không có trong gói tin: {name[:100]!r}",
                f"the edXMLManifest names a file that the package does not hold: {name[:100]!r}",
                RULE,
            )
        return tuple(files)

    def _tell_extras(self) -> None:
        extras = self._reading.extras
        if extras:
            names = ", ".join(e.path.rpartition("/")[2] for e in extras[:5])
            self._reading.warn(
                extras[0].path,
                "package.extras",
                f"Có {len(extras)} phần tử hoặc thuộc tính ngoài quy chuẩn: {names}",
                f"{len(extras)} elements or attributes outside the regulation: {names}",
                RULE,
            )


def bare_cid(content_id: str) -> str:
    """Without any leading `cid:` (edxml-format 5: each rebuild by the vendor adds one)."""
    text = content_id.strip()
    while text[:4].lower() == "cid:":
        text = text[4:]
    return text


def one_cid(content_id: str) -> str:
    bare = bare_cid(content_id)
    return f"cid:{bare}" if bare else ""


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
    """edxml-format 12: other namespaces are refused, edXML 1.0 with its own code."""
    if node.uri == NS_EDXML1 or node.uri in _NS_SOAP:
        return unreadable(
            "package.version_unsupported",
            Text(
                "Gói tin theo edXML 1.0 (trước QCVN 102:2016/BTTTT), chưa được hỗ trợ",
                "an edXML 1.0 package (older than QCVN 102:2016/BTTTT), which is not supported",
            ),
            node.where(),
        )
    found = repr(node.uri[:100]) if node.uri else ""
    return unreadable(
        "package.namespace",
        Text(
            f"Không gian tên {found or 'trống'} không phải của QCVN 102:2016/BTTTT ({NS_QCVN102})",
            f"the namespace {found or '(none)'} is not that of QCVN 102:2016/BTTTT ({NS_QCVN102})",
        ),
        node.where(),
    )
