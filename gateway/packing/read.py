"""Reading a package: liberal in what the axis hands us, exact about what it really is.

In:     the bytes of one package (seekable), the limits, a sink for the files or none.
Out:    ReadPackage: header or status, files with their digests, signature values, findings.
Fails:  Unreadable (no package at all, cut off, DTD, wrong namespace), TooLarge (a limit).
Never:  verifies a signature, follows a reference, holds a file in memory, repairs in silence.

One pass: raw digest, parsing, base64, unwrapping and inner digests together. A second pass over
the same bytes happens in two rare cases only: an undeclared `edXML` or `xlink` prefix (it is
declared, then all is read again), and a zip that began like a wrapper and was none.

The text of ContentTransferEncoded does not go through expat, which is four times slower than
SHA-256. `_Feed` proves by byte position that the start tag just matched is the one whose event has
just fired, so what follows up to the next `<` is that element's text and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from gateway.c14n import Attributes, Canonicalizer, Declared, Name
from gateway.errors import Finding, Severity, Text, Unreadable
from gateway.model.package import (
    NS_EDXML1,
    NS_QCVN102,
    DocumentHeader,
    Extra,
    FileFact,
    SignatureBlock,
    StatusReport,
)
from gateway.packing.attachments import Content, FileSink
from gateway.packing.elements import RULE, Node, Reading, key_of, signature_block
from gateway.packing.names import extension, safe_name
from gateway.packing.sniff import contradicts
from gateway.packing.tally import Tally
from gateway.safexml import (
    BLOCK,
    Limits,
    Parser,
    ToUtf8,
    UnboundPrefix,
    too_large,
    unreadable,
)

__all__ = ["FileSink", "Limits", "ReadPackage", "read_header", "read_package"]

_JUNK = 1024
_NS_SOAP = frozenset(
    {"http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"}
)
_BEGINNING = re.compile(rb"<\?xml[ \t\r\n]|<(?:[A-Za-z_][\w.\-]*:)?edxml[ \t\r\n/>]", re.IGNORECASE)
# no "<" and no ">" inside: if the parser has consumed such a tag, it ends exactly where we think
_CONTENT_TAG = re.compile(rb"<(?:[^\s<>/:]+:)?contenttransferencoded(?:\s[^<>]*)?>", re.IGNORECASE)
_ROOT_TAG = re.compile(rb"<[^\s<>/]+")
_TRAILING = b" \t\r\n\0"
_REPAIRS = {"edXML": NS_QCVN102, "xlink": "http://www.w3.org/1999/xlink"}


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


def read_package(
    source: BinaryIO, *, limits: Limits | None = None, sink: FileSink | None = None
) -> ReadPackage:
    """Read from where `source` stands to its end. Constant memory; see the module's card.

    What concerns one attachment only (bad base64, a zip bomb) is an error finding and a FileFact
    with `failed`; everything else that is beyond repair raises.
    """
    done = _run(source, limits or Limits(), _Wish(sink))
    if done.undelivered:
        verdicts = {index: fact.unwrapped for index, fact in enumerate(done.package.files)}
        source.seek(done.start)
        done = _run(source, limits or Limits(), _Wish(sink, forced=verdicts))
    return done.package


def read_header(source: BinaryIO, *, limits: Limits | None = None) -> ReadPackage:
    """The header alone: stops where the attachments begin, without reading them.

    Whether the package is complete is not known then; `sha256` is "" and `files` empty.
    """
    return _run(source, limits or Limits(), _Wish(None, header_only=True)).package


def extract_file(
    source: BinaryIO, index: int, out: BinaryIO, *, unwrap: bool, limits: Limits | None = None
) -> FileFact:
    """Write attachment `index` (from 0) to `out`, which stays open; the others are passed over.

    `unwrap`: `FileFact.unwrapped` for the inner file; False for the carried bytes, where a
    signature covers those (contract 4). Raises Unreadable `attachment.missing` when there is none
    or it cannot be read.
    """
    wish = _Wish(_OneFile(out), forced={index: unwrap}, only=index)
    facts = _run(source, limits or Limits(), wish).package.files
    if index >= len(facts) or facts[index].failed:
        raise unreadable(
            "attachment.missing",
            Text(
                f"Gói tin không có tệp đính kèm số {index + 1} đọc được",
                f"the package has no readable attachment number {index + 1}",
            ),
        )
    return facts[index]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one reading shall deliver. `repair`: offset of the root tag that lacks declarations."""

    sink: FileSink | None
    forced: Mapping[int, bool] = field(default_factory=dict)
    only: int | None = None
    header_only: bool = False
    repair: int | None = None


@dataclass(frozen=True, slots=True)
class _Done:
    package: ReadPackage
    undelivered: bool
    start: int


class _OneFile:
    """A sink for one file that its owner closes."""

    def __init__(self, out: BinaryIO) -> None:
        self.write = out.write
        self.seek = out.seek
        self.truncate = out.truncate

    def open(self, index: int, name: str) -> _OneFile:
        del index, name
        return self

    def close(self) -> None:
        """The owner's business."""


def _run(source: BinaryIO, limits: Limits, wish: _Wish) -> _Done:
    start = source.tell() if source.seekable() else -1
    attempt = _Pass(limits, wish)
    try:
        package = attempt.run(source)
    except UnboundPrefix as unbound:
        if start < 0:
            raise
        root = unbound.offset if attempt.root_at < 0 else attempt.root_at
        source.seek(start)
        attempt = _Pass(limits, replace(wish, repair=root))
        package = attempt.run(source)
    return _Done(package, attempt.undelivered and start >= 0, start)


class _EnoughRead(Exception):
    """Ends a reading of the header alone."""


@dataclass(frozen=True, slots=True)
class _Attachment:
    fields: Mapping[str, str]
    fact: FileFact
    where: str


class _Pass:
    """One reading of one package: the consumer of the XML events, and what it has gathered."""

    def __init__(self, limits: Limits, wish: _Wish) -> None:
        self.root_at = -1
        self.undelivered = False
        self._limits = limits
        self._wish = wish
        self._reading = Reading()
        self._feed = _Feed(self, limits, wish.repair)
        self._node: Node | None = None
        self._root: Node | None = None
        self._keys: dict[Name, str] = {}
        # the content being read; `content_at`: its start tag's offset while nothing followed it
        self.content: Content | None = None
        self.content_at = -1
        self._read_content: Content | None = None
        # namespaces and xml:* attributes in scope, for SignedInfo
        self._scope: dict[str, str] = {}
        self._xml_attributes: dict[str, str] = {}
        self._scopes: list[tuple[Node, dict[str, str], dict[str, str]]] = []
        self._canonical: tuple[Canonicalizer, ...] = ()
        self._signed_info: Node | None = None
        self._signed_bytes: tuple[list[bytes], list[bytes]] = ([], [])
        # what was found
        self._messages: list[Node] = []
        self._traces: list[Node] = []
        self._signatures: list[tuple[Node, bytes, bytes]] = []
        self._references: list[dict[str, str]] = []
        self._attachments: list[_Attachment] = []
        # manifest, attachments and signature do not count as header
        self._region: Node | None = None
        self._region_at = 0
        self._item_at = 0
        self._uncounted = 0
        self._retained = 0

    def run(self, source: BinaryIO) -> ReadPackage:
        raw = Tally()
        limit = self._limits.package_bytes
        try:
            while block := source.read(BLOCK):
                raw.update(block)
                if raw.size > limit:
                    raise too_large("package_bytes", limit)
                self._feed.take(block)
            self._feed.finish()
            return self._result(raw.hexdigest(), raw.size)
        except _EnoughRead:
            return self._result("", 0)
        finally:
            raw.close()
            for content in (self.content, self._read_content):
                if content is not None:
                    content.spoil()
                    content.close()

    # -- events ----------------------------------------------------------------------------------

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        self.content_at = -1
        parser = self._feed.parser
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = key_of(name[0], name[1])
        parent = self._node
        node = Node(key, name[1], name[0], attributes, parent, parser.line)
        offset = parser.offset
        if parent is None:
            self.root_at = offset
            declared = self._check_root(node, declared)
        else:
            self._count(parent, offset)
            parent.children.append(node)
        self._node = node
        if self._canonical:
            for canonical in self._canonical:
                canonical.start(name, attributes, declared)
        elif parent is not None and key in _LANDMARKS:
            self._landmark(key, node, parent, offset)
        if declared or any(attribute[0][2] == "xml" for attribute in attributes):
            self._scopes.append((node, self._scope, self._xml_attributes))
            self._scope = {**self._scope, **dict(declared)}
            own = {a[1]: value for a, value in attributes if a[2] == "xml"}
            self._xml_attributes = {**self._xml_attributes, **own}
        if node is self._signed_info:
            for canonical in self._canonical:
                canonical.start(name, attributes, declared)

    def end(self, name: Name) -> None:
        self.content_at = -1
        node = self._node
        if node is None:
            return
        self._node = parent = node.parent
        if self._canonical:
            for canonical in self._canonical:
                canonical.end(name)
            if node is self._signed_info:
                self._canonical = ()
        if self._scopes and self._scopes[-1][0] is node:
            _, self._scope, self._xml_attributes = self._scopes.pop()
        if self.content is not None and node.key == "contenttransferencoded":
            # the tag's text does not count against the size of its Attachment
            self._item_at = self._feed.parser.offset
            self._read_content, self.content = self.content, None
        elif node is self._region:
            self._leave(node)
        elif parent is self._region and parent is not None and parent.key in _LISTS:
            parent.children.pop()
            self._item(parent, node)

    def text(self, data: str) -> None:
        self.content_at = -1
        if self.content is not None:
            self.content.take_text(data)
            return
        for canonical in self._canonical:
            canonical.text(data)
        node = self._node
        if node is None or (not node.text and data.isspace()):
            return
        node.text += data
        limit = self._limits.field_bytes
        if len(node.text) * 4 > limit and len(node.text.encode()) > limit:
            raise self._feed.parser.too_large("field_bytes")

    def instruction(self, target: str, data: str) -> None:
        self.content_at = -1
        for canonical in self._canonical:
            canonical.instruction(target, data)

    # -- where we are ----------------------------------------------------------------------------

    def _check_root(self, node: Node, declared: Declared) -> Declared:
        self._root = node
        if node.uri == NS_EDXML1 or node.uri in _NS_SOAP:
            raise _old_version(node.where())
        if node.local.lower() != "edxml":
            raise unreadable(
                "package.not_edxml",
                Text(
                    f"Không phải gói tin edXML: phần tử gốc là {node.local[:60]!r}",
                    f"not an edXML package: its root element is {node.local[:60]!r}",
                ),
                node.where(),
            )
        if node.uri not in {NS_QCVN102, ""}:
            raise _wrong_namespace(node)
        return [pair for pair in declared if pair[0] not in self._feed.injected]

    def _count(self, parent: Node, offset: int) -> None:
        """Judge sizes by where the elements stand in the package."""
        limits, region = self._limits, self._region
        if self.content is not None:
            self.content.spoil()
        if region is None:
            if offset - self.root_at - self._uncounted > limits.header_bytes:
                raise self._feed.parser.too_large("header_bytes")
        elif region.key not in _LISTS:
            if offset - self._region_at > limits.signature_bytes:
                raise self._feed.parser.too_large("signature_bytes")
        elif parent is region:
            self._item_at = offset
        elif offset - self._item_at > limits.header_bytes:
            raise self._feed.parser.too_large("header_bytes")

    def _landmark(self, key: str, node: Node, parent: Node, offset: int) -> None:
        above = parent.key
        if key == "contenttransferencoded":
            if above == "attachment" and parent.parent is self._region and self._region:
                self._open_content(parent, offset)
        elif key == "edxmlenvelope":
            if parent.parent is None and "" == node.uri == parent.uri:
                raise _wrong_namespace(node)
        elif self._region is not None:
            if key in _SIGNED_INFO and parent is self._region and above in _SIGNATURES:
                self._open_signed_info(node)
        elif above not in _CONTAINERS:
            return
        elif key == "messageheader":
            self._messages.append(node)
        elif key == "traceheaderlist":
            self._traces.append(node)
        else:
            if key == "attachmentencoded" and self._wish.header_only and self._messages:
                raise _EnoughRead
            self._region, self._region_at = node, offset
            if key in _SIGNATURES:
                self._signed_bytes = ([], [])

    def _leave(self, node: Node) -> None:
        self._region = None
        self._uncounted += self._feed.parser.offset - self._region_at
        if node.key in _SIGNATURES:
            exclusive, inclusive = (b"".join(part) for part in self._signed_bytes)
            self._signatures.append((node, exclusive, inclusive))
            self._signed_info = None

    def _open_signed_info(self, node: Node) -> None:
        if self._signed_info is not None:
            return  # a second SignedInfo is no part of any signature
        self._signed_info = node
        exclusive, inclusive = self._signed_bytes
        self._canonical = (
            Canonicalizer(exclusive.append, exclusive=True, scope=self._scope),
            Canonicalizer(inclusive.append, scope=self._scope, xml_attributes=self._xml_attributes),
        )

    def _open_content(self, attachment: Node, offset: int) -> None:
        index = len(self._attachments)
        if self._read_content is not None:  # repeated: the last one wins
            self._read_content.close()
        wish, sink = self._wish, self._wish.sink
        fields = {c.key: c.text.strip() for c in attachment.children}
        name = fields.get("attachmentname")
        shown = safe_name(name or self._manifest_name(fields.get("contentid", ""), index))
        self.content = Content(
            self._limits,
            name,
            (lambda: sink.open(index, shown)) if sink is not None else None,
            wish.forced.get(index),
        )
        if wish.only not in {None, index}:
            self.content.pass_over()
        self.content_at = offset

    # -- lists -----------------------------------------------------------------------------------

    def _item(self, parent: Node, node: Node) -> None:
        reading = self._reading
        if node.key == "reference" and parent.key == "edxmlmanifest":
            fields = reading.texts(node, _REFERENCE)
            self._retain(fields)
            self._references.append(fields)
            if len(self._references) > self._limits.attachments:
                raise self._feed.parser.too_large("attachments")
        elif node.key == "attachment" and parent.key == "attachmentencoded":
            self._attachment(node)
        else:
            reading.keep_unknown(node)

    def _retain(self, fields: Mapping[str, str]) -> None:
        self._retained += sum(map(len, fields.values()))
        allowed = self._limits.attachments * 1024
        if self._retained > allowed:
            raise too_large("header_bytes", allowed, self._feed.parser.where())

    def _attachment(self, node: Node) -> None:
        index = len(self._attachments)
        if index >= self._limits.attachments:
            raise self._feed.parser.too_large("attachments")
        content, self._read_content = self._read_content, None
        fields = self._reading.texts(node, _ATTACHMENT)
        fields.pop("content", None)
        self._retain(fields)
        declared = fields.get("name") or self._manifest_name(fields.get("id", ""), index)
        fact = FileFact(
            name=safe_name(declared, f"tep-dinh-kem-{index + 1}"),
            size=0,
            sha256="",
            carried_size=0,
            carried_sha256="",
            unwrapped=False,
            declared_name=declared,
            content_id=_one_cid(fields.get("id", "")),
            failed=True,
        )
        where = f"{node.where()} [{index + 1}]"
        reading = self._reading
        if content is None:
            reading.error(
                where,
                "attachment.content_missing",
                "Tệp đính kèm không có ContentTransferEncoded",
                "the attachment has no ContentTransferEncoded",
                RULE,
            )
        else:
            fact = self._read_fact(content, fact, where)
        if not declared:
            reading.warn(
                where,
                "attachment.name_missing",
                "Tệp đính kèm không có tên",
                "the attachment has no name",
                RULE,
            )
        elif fact.name != declared:
            reading.warn(
                where,
                "attachment.name_unsafe",
                f"Tên tệp không an toàn, dùng tên {fact.name!r}",
                f"the file name is not safe; {fact.name!r} is used",
            )
        self._attachments.append(_Attachment(fields, fact, where))

    def _read_fact(self, content: Content, fact: FileFact, where: str) -> FileFact:
        content.finish(fact.declared_name)
        reading = self._reading
        try:
            if content.failure is not None:
                text = content.failure.text
                reading.error(where, content.failure.code, text.vi, text.en)
                return fact
            if not content.delivered():
                self.undelivered = True
            kind = content.kind()
            actual = kind.media_type()
            carried = content.carried
            inner = content.inner if content.unwrapped else carried
            fact = replace(
                fact,
                size=inner.size,
                sha256=inner.hexdigest(),
                carried_size=carried.size,
                carried_sha256=carried.hexdigest(),
                unwrapped=content.unwrapped,
                actual_type=actual,
                failed=False,
            )
        finally:
            content.close()
        if content.padding_missing:
            reading.warn(
                where,
                "attachment.padding",
                "Base64 thiếu ký tự đệm '='",
                "the base64 lacks its padding",
                RULE,
            )
        if not inner.size:
            reading.warn(where, "attachment.empty", "Tệp đính kèm rỗng", "the attachment is empty")
        elif kind.ruined_by_text_conversion():
            reading.error(
                where,
                "attachment.ruined",
                "Tệp PDF đã hỏng do bị chuyển đổi như văn bản (U+FFFD)",
                "the PDF was ruined by a text conversion (U+FFFD)",
            )
        elif contradicts(extension(fact.declared_name), actual):
            reading.warn(
                where,
                "attachment.type_differs",
                f"Tên tệp là {fact.name!r} nhưng nội dung thực là {actual}",
                f"the name says {fact.name!r}, the bytes are {actual}",
            )
        return fact

    def _manifest_name(self, content_id: str, index: int) -> str:
        wanted = _bare_cid(content_id)
        for reference in self._references if wanted else ():
            if _bare_cid(reference.get("id", "")) == wanted:
                return reference.get("name", "")
        if index < len(self._references):
            return self._references[index].get("name", "")
        return ""

    # -- the result ------------------------------------------------------------------------------

    def _result(self, sha256: str, size: int) -> ReadPackage:
        root, reading = self._root, self._reading
        if root is None or not any(c.key == "edxmlenvelope" for c in root.children):
            raise unreadable(
                "package.no_envelope",
                Text("Gói tin không có edXMLEnvelope", "the package has no edXMLEnvelope"),
                root.where() if root is not None else "/",
            )
        reading.findings[:0] = self._feed.findings
        self._leftovers(root)
        message = self._last(self._messages)
        traces = self._last(self._traces)
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
        if self._signatures:
            node, exclusive, inclusive = self._signatures[-1]
            self._last([item[0] for item in self._signatures])
            signature = signature_block(node, exclusive, inclusive)
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
        if keys & _DOCUMENT_MARKS or self._attachments or self._references:
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
        if status is not None and self._attachments:
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
            if child.key in _CONTAINERS or child.key in _LISTS:
                self._leftovers(child)
            elif child.key not in _READ_ELSEWHERE:
                reading.keep_unknown(child)

    def _paired(self, *, tell: bool) -> tuple[FileFact, ...]:
        """Attachments with what the manifest says: by content id, by name, by position."""
        waiting = dict(enumerate(self._references))
        by_id = {_bare_cid(r.get("id", "")): i for i, r in waiting.items() if r.get("id")}
        by_name = {r.get("name", ""): i for i, r in waiting.items() if r.get("name")}
        files = []
        for index, item in enumerate(self._attachments):
            fields = item.fields
            for at in (
                by_id.get(_bare_cid(fields.get("id", ""))),
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


class _Feed:
    """Bytes -> parser: encoding, junk in front, repair of the root tag, the fast path, the end."""

    def __init__(self, owner: _Pass, limits: Limits, repair: int | None) -> None:
        self.findings: list[Finding] = []
        self.injected: frozenset[str] = frozenset()
        self.parser = Parser(owner, limits)
        self._owner = owner
        self._limits = limits
        self._repair = repair
        self._decoder = ToUtf8()
        self._started = False
        self._held = b""
        self._inside = False
        self._ended = False

    def take(self, raw: bytes) -> None:
        data = self._held + self._decoder.decode(raw) if self._held else self._decoder.decode(raw)
        self._held = b""
        if not self._started:
            if len(data) < 2 * _JUNK + (self._repair or 0) + 8192:
                self._held = data
                return
            data = self._begin(data)
        self._give(data, final=False)

    def finish(self) -> None:
        data = self._held + self._decoder.decode(b"", final=True)
        self._held = b""
        if not self._started:
            data = self._begin(data)
        self._give(data, final=True)
        if not self._ended:
            self.parser.close()

    def _begin(self, data: bytes) -> bytes:
        self._started = True
        if self._decoder.family == "utf-16":
            self.parser = Parser(self._owner, self._limits, family="utf-16")
        data = self._without_junk(data)
        return data if self._repair is None else self._repaired(data, self._repair)

    def _without_junk(self, data: bytes) -> bytes:
        match = _BEGINNING.search(data, 0, _JUNK + 256)
        at = match.start() if match else 0
        if match is None and not data.lstrip(_TRAILING).startswith(b"<"):
            if not data:
                return data  # the parser says that nothing is there
            raise unreadable(
                "package.not_xml",
                Text(
                    "Dữ liệu không phải gói tin edXML (không thấy XML)",
                    "these bytes are no edXML package (no XML found)",
                ),
            )
        junk = data[:at]
        # markup in front is a matter for the parser: a DOCTYPE must never pass as junk
        if not junk or b"<" in junk or at > _JUNK:
            return data
        self._warn(
            "package.junk_before",
            f"Có {at} byte thừa trước phần đầu XML",
            f"{at} bytes of junk before the XML begins",
        )
        return data[at:]

    def _repaired(self, data: bytes, root: int) -> bytes:
        match = _ROOT_TAG.match(data, root)
        if match is None:
            return data
        tag = data[root : data.find(b">", root)]
        missing = {
            prefix: uri
            for prefix, uri in _REPAIRS.items()
            if not re.search(rf"\sxmlns:{prefix}\s*=".encode(), tag)
        }
        self.injected = frozenset(missing)
        declarations = "".join(f' xmlns:{p}="{u}"' for p, u in missing.items()).encode()
        self._warn(
            "xml.prefix_repaired",
            "Tiền tố edXML hoặc xlink chưa khai báo; đã bổ sung khi đọc",
            "the prefix edXML or xlink is not declared; it was declared for this reading",
        )
        return data[: match.end()] + declarations + data[match.end() :]

    def _give(self, data: bytes, *, final: bool) -> None:
        position, end = 0, len(data)
        parser, owner = self.parser, self._owner
        while position < end:
            if self._inside and owner.content is not None:
                stop = data.find(b"<", position)
                text = data[position:] if stop < 0 else data[position:stop]
                if owner.content.take(text):
                    parser.skip(text)
                    if stop < 0:
                        return
                    position = stop
            self._inside = False
            if parser.closed:
                self._after(data[position:])
                return
            match = _CONTENT_TAG.search(data, position)
            if match is not None:
                stop = match.end()
            else:
                stop = end
                last = data.rfind(b"<", position)
                if not final and last >= 0 and end - last < 4096 and data.find(b">", last) < 0:
                    stop, self._held = last, data[last:]  # a tag cut in two: see it whole
            if stop > position:
                before = parser.fed
                self._parse(data[position:stop])
                if match is not None:
                    self._inside = owner.content_at == before + match.start() - position
            position = stop
            if self._held:
                return

    def _parse(self, piece: bytes) -> None:
        parser = self.parser
        before = parser.fed
        try:
            parser.feed(piece)
        except Unreadable:
            if not parser.closed:
                raise
            # only blanks and NUL behind the root are forgiven (edxml-format 13)
            tail = piece[piece.find(b">", parser.root_end - before) + 1 :]
            if tail.strip(_TRAILING):
                raise
            self._ended = True

    def _after(self, data: bytes) -> None:
        if self._ended and data.strip(_TRAILING):
            raise unreadable(
                "package.trailing",
                Text("Có dữ liệu sau phần tử gốc", "there are data behind the root element"),
            )
        if data.strip(_TRAILING):
            self._parse(data)

    def _warn(self, code: str, vi: str, en: str) -> None:
        self.findings.append(Finding("/", code, Severity.WARNING, Text(vi, en), RULE))


_LANDMARKS = frozenset(
    {
        "edxmlenvelope",
        "messageheader",
        "traceheaderlist",
        "signature",
        "ds:signature",
        "signedinfo",
        "ds:signedinfo",
        "edxmlmanifest",
        "attachmentencoded",
        "contenttransferencoded",
    }
)
_CONTAINERS = frozenset({"edxml", "edxmlenvelope", "edxmlheader", "edxmlbody"})
_LISTS = frozenset({"edxmlmanifest", "attachmentencoded"})
_SIGNATURES = frozenset({"signature", "ds:signature"})
_SIGNED_INFO = frozenset({"signedinfo", "ds:signedinfo"})
_READ_ELSEWHERE = frozenset({"messageheader", "traceheaderlist"}) | _SIGNATURES
_DOCUMENT_MARKS = frozenset({"to", "documentid", "code", "promulgationinfo", "subject", "content"})
_REFERENCE = {
    "contentid": "id",
    "contenttype": "type",
    "description": "description",
    "attachmentname": "name",
}
_ATTACHMENT = {
    **_REFERENCE,
    "fieldname": "field",
    "mimetype": "mime",
    "contenttransferencoded": "content",
}


def _bare_cid(content_id: str) -> str:
    """Without any leading `cid:` (edxml-format 5: each rebuild by the vendor adds one)."""
    text = content_id.strip()
    while text[:4].lower() == "cid:":
        text = text[4:]
    return text


def _one_cid(content_id: str) -> str:
    bare = _bare_cid(content_id)
    return f"cid:{bare}" if bare else ""


def _old_version(where: str) -> Unreadable:
    return unreadable(
        "package.version_unsupported",
        Text(
            "Gói tin theo edXML 1.0 (trước QCVN 102:2016/BTTTT), chưa được hỗ trợ",
            "an edXML 1.0 package (older than QCVN 102:2016/BTTTT), which is not supported",
        ),
        where,
    )


def _wrong_namespace(node: Node) -> Unreadable:
    return unreadable(
        "package.namespace",
        Text(
            f"Không gian tên không phải của QCVN 102:2016/BTTTT: {node.uri[:100]!r}",
            f"the namespace is not that of QCVN 102:2016/BTTTT: {node.uri[:100]!r}",
        ),
        node.where(),
    )
