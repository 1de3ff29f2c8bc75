"""Walking through a package: where we are, what counts against which limit, what is gathered.

In:     the events of feed.py.
Out:    nodes of the header, attachments as facts, SignedInfo in canonical form; then ReadPackage.
Fails:  Unreadable (no edXML, wrong namespace), TooLarge; OlderVersion, for edXML 1.0.
Never:  keeps an attachment, a manifest line's element or a blank longer than needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import BinaryIO

from gateway.c14n import Attributes, Canonicalizer, Declared, Name
from gateway.errors import Text
from gateway.model.package import NS_EDXML1, NS_QCVN102, NS_SOAP, FileFact, bare_cid
from gateway.packing import told
from gateway.packing.attachments import Content, FileSink
from gateway.packing.declared import tell_types
from gateway.packing.elements import RULE, Node, Reading, key_of
from gateway.packing.feed import Feed
from gateway.packing.names import extension, safe_name
from gateway.packing.pairing import one_cid
from gateway.packing.result import (
    CONTAINERS,
    LISTS,
    QCVN102,
    SIGNATURES,
    Assembly,
    Found,
    FoundAttachment,
    ReadPackage,
    wrong_namespace,
)
from gateway.packing.sniff import ZIP, contradicts
from gateway.packing.spelling import tell_spelling
from gateway.packing.tally import Tally
from gateway.packing.texts import tidy
from gateway.safexml import Limits, too_large, unreadable

# large: each piece crosses three threads (parsing, raw digest, inner digest)
_BLOCK = 1024 * 1024
_FIRST = 48 * 1024  # for the header alone, which is seldom longer; PEEK of mime.py comes on top
_REGION = 64  # bytes of a list or signature that count as header: about its tags
_USUAL = 256  # characters of a name and its namespace; longer ones are not remembered
_key = lru_cache(maxsize=1024)(key_of)
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
_MOST_STRAYS = 4
_SIGNED_INFO = frozenset({"signedinfo", "ds:signedinfo"})
_REFERENCE = {
    "contentid": "id",
    "contenttype": "type",
    "description": "description",
    "attachmentname": "name",
}
_ATTACHMENT = {**_REFERENCE, "fieldname": "field", "mimetype": "mime"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What one reading shall deliver. `repair`: offset of the root tag that lacks declarations."""

    sink: FileSink | None
    forced: Mapping[int, bool] = field(default_factory=dict)
    only: int | None = None
    header_only: bool = False
    repair: int | None = None


class EnoughRead(Exception):
    """Ends a reading of the header alone."""


class OlderVersion(Exception):
    """The root is that of edXML 1.0: edxml1.py reads it."""


class Collector:
    """One reading of one package: the consumer of the XML events, and what it has gathered."""

    _version = QCVN102

    def __init__(self, limits: Limits, wish: Wish) -> None:
        self.root_at = -1
        self.undelivered = False
        self._limits = limits
        self._wish = wish
        self._reading = Reading()
        self._feed = Feed(self, limits, wish.repair)
        self._node: Node | None = None
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
        self._found = Found()
        self._names_by_id: dict[str, str] = {}
        # manifest, attachments and signature do not count as header
        self._region: Node | None = None
        self._region_at = 0
        self._item_at = 0
        self._uncounted = 0
        self._content_from = 0
        self._signed_size = 0
        self._retained = 0
        self._carried = 0
        self._unwrapped = 0

    def run(self, source: BinaryIO) -> ReadPackage:
        raw = Tally()
        limit = self._limits.package_bytes
        alone = self._wish.header_only
        try:
            while block := source.read(_FIRST if alone else _BLOCK):
                if not alone:  # its digest would be that of a part
                    raw.update(block)
                    if raw.size > limit:
                        raise too_large("package_bytes", limit)
                self._take(block)
            self._finish()
            return self._result(raw.hexdigest(), raw.size)
        except EnoughRead:
            return self._result("", 0)
        finally:
            raw.close()
            for content in (self.content, self._read_content):
                if content is not None:
                    content.spoil()
                    content.close()

    def _take(self, block: bytes) -> None:
        self._feed.take(block)

    def _finish(self) -> None:
        self._feed.finish()

    # -- events ----------------------------------------------------------------------------------

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        self.content_at = -1
        parser = self._feed.parser
        key = self._keys.get(name)
        first = key is None
        if key is None:
            key = self._keys[name] = self._key_of(name[0], name[1])
        parent = self._node
        node = Node(key, name[1], name[0], attributes, parent, parser.line)
        if first:
            tell_spelling(self._reading, node, name[2])
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
        if declared or (attributes and any(a[0][2] == "xml" for a in attributes)):
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
            # its text does not count against the size of its Attachment; elements in it do, and
            # its tags, because it may be repeated
            if not node.children:
                self._item_at += self._feed.parser.offset - self._content_from
            self._read_content, self.content = self.content, None
        elif node is self._region:
            self._leave(node)
        elif parent is self._region and parent is not None and parent.key in LISTS:
            parent.children.pop()
            self._item(parent, node)

    def text(self, data: str) -> None:
        self.content_at = -1
        if self.content is not None:
            self.content.take_text(data)
            return
        if self._canonical:
            self._in_signed_info()
            for canonical in self._canonical:
                canonical.text(data)
        node = self._node
        if node is None or (not node.text and data.isspace()):
            return
        text = node.text = node.text + data if node.text else data
        limit = self._limits.field_bytes
        if len(text) * 4 > limit and len(text.encode()) > limit:
            raise self._feed.parser.too_large("field_bytes")

    def instruction(self, target: str, data: str) -> None:
        self.content_at = -1
        if self._canonical:
            self._in_signed_info()
            for canonical in self._canonical:
                canonical.instruction(target, data)

    # -- where we are ----------------------------------------------------------------------------

    def _key_of(self, uri: str, local: str) -> str:
        known = _key if len(uri) + len(local) <= _USUAL else key_of
        return known(uri, local)

    def _check_root(self, node: Node, declared: Declared) -> Declared:
        self._found.root = node
        if node.uri == NS_EDXML1 or (node.uri in NS_SOAP and node.local.lower() == "envelope"):
            raise OlderVersion
        if node.uri not in {NS_QCVN102, ""} and node.local.lower() in {"edxml", "envelope"}:
            raise wrong_namespace(node)
        if node.uri == NS_QCVN102 and node.key != "edxml":
            # the vendor's parser never looks at the root's name (edxml-format 11)
            self._reading.warn(
                node.where(),
                "package.root_name",
                f"Phần tử gốc tên {node.local[:60]!r}, không phải edXML",
                f"the root element is named {node.local[:60]!r}, not edXML",
                RULE,
            )
            node.key = "edxml"
        if node.key != "edxml":
            raise unreadable(
                "package.not_edxml",
                Text(
                    f"Không phải gói tin edXML: phần tử gốc là {node.local[:60]!r}",
                    f"not an edXML package: its root element is {node.local[:60]!r}",
                ),
                node.where(),
            )
        return [pair for pair in declared if pair[0] not in self._feed.injected]

    def _count(self, parent: Node, offset: int) -> None:
        """Judge sizes by where the elements stand in the package."""
        limits, region = self._limits, self._region
        if self.content is not None:
            self.content.spoil()
        if region is None:
            if offset - self.root_at - self._uncounted > limits.header_bytes:
                raise self._feed.parser.too_large("header_bytes")
        elif region.key not in LISTS:
            self._judge_signature(offset)
        elif parent is region:
            self._item_at = offset
        elif offset - self._item_at > limits.header_bytes:
            raise self._feed.parser.too_large("header_bytes")

    def _judge_signature(self, offset: int) -> None:
        """All signature blocks of the package together: each is kept until the end."""
        if self._signed_size + offset - self._region_at > self._limits.signature_bytes:
            raise self._feed.parser.too_large("signature_bytes")

    def _in_signed_info(self) -> None:
        """Blanks and instructions make no element, but are part of the canonical bytes."""
        self._judge_signature(self._feed.parser.offset)

    def _landmark(self, key: str, node: Node, parent: Node, offset: int) -> None:
        above = parent.key
        if key == "contenttransferencoded":
            if above == "attachment" and parent.parent is self._region and self._region:
                self._open_content(parent, offset)
        elif key == "edxmlenvelope":
            if parent.parent is None and "" == node.uri == parent.uri:
                raise wrong_namespace(node)
        elif self._region is not None:
            if key in _SIGNED_INFO and parent is self._region and above in SIGNATURES:
                self._open_signed_info(node)
            self._stray(key, node)
        elif above not in CONTAINERS:
            self._stray(key, node)
        elif key == "messageheader":
            self._found.messages.append(node)
        elif key == "traceheaderlist":
            self._found.traces.append(node)
        else:
            if key == "attachmentencoded" and self._wish.header_only and self._found.messages:
                raise EnoughRead
            self._region, self._region_at = node, offset
            if key in SIGNATURES:
                self._signed_bytes = ([], [])

    def _stray(self, key: str, node: Node) -> None:
        if key in SIGNATURES and len(self._found.stray_signatures) < _MOST_STRAYS:
            self._found.stray_signatures.append(node.where())

    def _leave(self, node: Node) -> None:
        self._region = None
        size = self._feed.parser.offset - self._region_at
        # not quite all of it: an empty list costs memory too, and may be repeated
        self._uncounted += max(0, size - _REGION)
        if node.key in SIGNATURES:
            self._judge_signature(self._feed.parser.offset)
            self._signed_size += size
            exclusive, inclusive = (b"".join(part) for part in self._signed_bytes)
            self._found.signatures.append((node, exclusive, inclusive))
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
        index = len(self._found.attachments)
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
            (self._unwrapped, self._carried),
        )
        if wish.only not in {None, index}:
            self.content.pass_over()
        self.content_at = self._content_from = offset

    # -- lists -----------------------------------------------------------------------------------

    def _item(self, parent: Node, node: Node) -> None:
        reading = self._reading
        if node.key == "reference" and parent.key == "edxmlmanifest":
            node.number = len(self._found.references) + 1
            fields = reading.texts(node, _REFERENCE, raw=True)
            self._retain(fields)
            self._found.references.append(fields)
            if "id" in fields:
                self._tell_id(fields["id"], node)
                self._names_by_id[bare_cid(fields["id"])] = fields.get("name", "")
            if len(self._found.references) > self._limits.attachments:
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
        index = len(self._found.attachments)
        if index >= self._limits.attachments:
            raise self._feed.parser.too_large("attachments")
        content, self._read_content = self._read_content, None
        reading = self._reading
        node.number = index + 1
        self._leave_content(node)
        fields = reading.texts(node, _ATTACHMENT, raw=True)
        self._retain(fields)
        if "id" in fields:
            self._tell_id(fields["id"], node)
        declared = fields.get("name") or self._manifest_name(fields.get("id", ""), index)
        fact = FileFact(
            name=safe_name(declared, f"tep-dinh-kem-{index + 1}"),
            size=0,
            sha256="",
            carried_size=0,
            carried_sha256="",
            unwrapped=False,
            declared_name=declared,
            content_id=one_cid(fields.get("id", "")),
            failed=True,
        )
        where = node.where()
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
            tell_types(reading, fact, fields.get("type") or fields.get("mime") or "", where)
        if not declared:
            reading.warn(
                where,
                "attachment.name_missing",
                "Tệp đính kèm không có tên",
                "the attachment has no name",
                RULE,
            )
        elif fact.name != tidy(declared):
            reading.warn(
                where,
                "attachment.name_unsafe",
                f"Tên tệp không an toàn, dùng tên {fact.name!r}",
                f"the file name is not safe; {fact.name!r} is used",
            )
        elif fact.name != declared:
            reading.habit(told.NORMAL_FORM, where, fact.name)
        self._found.attachments.append(FoundAttachment(fields, fact, where))

    def _leave_content(self, attachment: Node) -> None:
        """Its text went elsewhere; what else it holds is kept, and then it is no more of a node."""
        contents = [c for c in attachment.children if c.key == "contenttransferencoded"]
        for content in contents:
            self._reading.keep_attributes(content)
            for child in content.children:
                self._reading.keep_unknown(child)
        self._reading.last({"": contents}, "")
        attachment.children = [c for c in attachment.children if c not in contents]

    def _tell_id(self, content_id: str, node: Node) -> None:
        if one_cid(content_id) != content_id:
            self._reading.habit(told.CONTENT_ID, node, content_id)

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
            self._carried += carried.size
            self._unwrapped += content.inner.size if content.unwrapped else 0
            fact = replace(
                fact,
                size=inner.size,
                sha256=inner.hexdigest(),
                carried_size=carried.size,
                carried_sha256=carried.hexdigest(),
                unwrapped=content.unwrapped,
                actual_type=actual,
                encrypted=kind.encrypted(),
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
        if content.entry_is_path():
            reading.warn(
                where,
                "attachment.entry_path",
                "Tên trong tệp zip là một đường dẫn; không dùng đến",
                "the name inside the zip is a path; it is not used",
            )
        if content.unwrapped and actual == ZIP:
            reading.warn(
                where,
                "attachment.zip_nested",
                "Trong tệp zip lại là một tệp zip; chỉ mở một lớp",
                "inside the zip is another zip; only one layer is opened",
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
        elif not fact.encrypted and contradicts(extension(fact.declared_name), actual):
            reading.warn(
                where,
                "attachment.type_differs",
                f"Tên tệp là {fact.name!r} nhưng nội dung thực là {actual}",
                f"the name says {fact.name!r}, the bytes are {actual}",
            )
        return fact

    def _manifest_name(self, content_id: str, index: int) -> str:
        name = self._names_by_id.get(bare_cid(content_id), "")
        references = self._found.references
        if not name and index < len(references):
            return references[index].get("name", "")
        return name

    def _result(self, sha256: str, size: int) -> ReadPackage:
        self._reading.findings[:0] = self._feed.findings
        return Assembly(self._found, self._reading, self._version).result(sha256, size)
