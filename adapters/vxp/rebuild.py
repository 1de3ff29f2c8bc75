"""What the axis does to a package: parse by local name, rebuild in its own form.

In: a package's bytes as a file. Out: who it is from and for, and the rebuilt file: comments and
unknown things gone, empty elements dropped, `Direction`, `SteeringType` and missing types added,
the axis' own TraceHeader appended, the Signature in the edXML namespace with indentation, each
attachment decoded and encoded afresh (edxml-format 4, 9.3, 9.4). What the vendor's parser refuses
raises `PackageRefused` (11). Memory does not grow with attachments. Part of the simulator.
"""

from __future__ import annotations

import base64
import re
import secrets
import shutil
import tempfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import BinaryIO, cast
from xml.parsers import expat
from xml.sax.saxutils import escape

from gateway.model.package import NS_QCVN102, PackageKind

_BLOCK = 192 * 1024  # a multiple of 3: base64 of the pieces is the base64 of the whole
_IN_MEMORY = 1024 * 1024
_MAX_HEADER_TEXT = 16 * 1024 * 1024
_MAX_DEPTH = 64
_MAX_UNPACKED = 2 * 1024**3
_CONTENT = "ContentTransferEncoded"
_NO_BASE64 = bytes(set(range(256)) - set(base64.b64encode(bytes(range(256)))) - set(b"+/-_"))
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_DATE = re.compile(r"\d{1,4}/\d{1,2}/\d{1,2}")
_DATE_TIME = re.compile(r"\d{1,4}/\d{1,2}/\d{1,2} \d{1,2}:\d{1,2}:\d{1,2}")
_RAW_TYPES: Mapping[str, str] = {
    extension: f"application/{extension}" for extension in ("pdf", "doc", "docx", "zip", "xsl")
} | {"xslx": "application/xslx"}  # xsl, xslx: the vendor's misspelt xls, xlsx (edxml-format 4)


class PackageRefused(Exception):
    """The axis would not take this package. `code` is the ErrorCode of the answer."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Node:
    """One element; `content` holds the decoded bytes of a ContentTransferEncoded."""

    name: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: str = ""
    content: BinaryIO | None = None

    def all(self, name: str) -> list[Node]:
        return [child for child in self.children if child.name == name]

    def last(self, name: str) -> Node | None:
        """A repeated single element: the last wins, as in the vendor's parser."""
        found = self.all(name)
        return found[-1] if found else None

    def find(self, *path: str) -> Node | None:
        node: Node | None = self
        for name in path:
            node = node.last(name) if node is not None else None
        return node

    def value(self, *path: str) -> str:
        node = self.find(*path)
        return node.text.strip() if node is not None else ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the axis needs to know of a package. `receivers`: codes as written in it."""

    kind: PackageKind
    sender: str
    receivers: tuple[str, ...]
    document_id: str
    title: str
    notation: str
    root: Node
    files: ExitStack

    def close(self) -> None:
        """Lets go of the decoded attachments."""
        self.files.close()


def read_package(source: BinaryIO, *, attachments: bool) -> Contents:
    """Parses from the start of `source`; attachments are decoded only when wanted."""
    source.seek(0)
    with ExitStack() as files:
        root = _Reader(files if attachments else None).read(source)
        contents = _contents(root)
        contents.files.enter_context(files.pop_all())
        return contents


def _contents(root: Node) -> Contents:
    envelope = root.last("edXMLEnvelope") or root
    header = envelope.find("edXMLHeader", "MessageHeader")
    if header is None:
        raise PackageRefused("22", "no MessageHeader")
    status = header.last("StatusCode") is not None
    if status:
        receivers: tuple[str, ...] = (header.value("ResponseFor", "OrganId"),)
    else:
        receivers = tuple(dict.fromkeys(to.value("OrganId") for to in header.all("To")))
    receivers = tuple(code for code in receivers if code)
    if not receivers:
        raise PackageRefused("22", "no receiver in the package")
    steering = header.last("SteeringType")
    if steering is not None and not re.fullmatch(r"-?\d+", steering.text):
        raise PackageRefused("22", "SteeringType is not a number")
    number = header.value("Code", "CodeNumber")
    notation = header.value("Code", "CodeNotation")
    return Contents(
        kind=PackageKind.STATUS if status else PackageKind.DOCUMENT,
        sender=header.value("From", "OrganId"),
        receivers=receivers,
        document_id=header.value("DocumentId") or header.value("ResponseFor", "DocumentId"),
        title=header.value("Subject"),
        notation="/".join(part for part in (number, notation) if part),
        root=root,
        files=ExitStack(),
    )


class _Reader:
    """Builds the tree without the base64 text, which goes into temporary files while it comes."""

    def __init__(self, files: ExitStack | None) -> None:
        self._files = files
        self._stack: list[Node] = []
        self._root: Node | None = None
        self._budget = _MAX_HEADER_TEXT
        self._rest = b""

    def read(self, source: BinaryIO) -> Node:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = _BLOCK
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.ParseFile(source)
        except expat.ExpatError as error:
            raise PackageRefused("22", f"not well-formed: {error}") from error
        if self._root is None:
            raise PackageRefused("22", "no element")
        return self._root

    def _doctype(self, *_: object) -> None:
        raise PackageRefused("22", "DOCTYPE is not allowed")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._stack) >= _MAX_DEPTH:
            raise PackageRefused("22", "too deep")
        self._budget -= 64
        node = Node(_local(name), {_local(key): value for key, value in attributes.items()})
        if node.name == _CONTENT and self._files is not None:
            node.content = _temporary(self._files)
            self._rest = b""
        if self._stack:
            self._stack[-1].children.append(node)
        else:
            self._root = node
        self._stack.append(node)

    def _end(self, _name: str) -> None:
        node = self._stack.pop()
        if node.content is not None and self._rest:
            node.content.write(_lenient_base64(self._rest))
        if node.name == _CONTENT:
            self._rest = b""

    def _characters(self, text: str) -> None:
        node = self._stack[-1]
        if node.name == _CONTENT:
            if node.content is not None:
                # lenient like the vendor's decoder: noise is skipped, nothing is ever refused
                clean = text.encode("ascii", "replace").translate(_URL_SAFE, _NO_BASE64)
                clean = self._rest + clean.replace(b"=", b"")
                whole = len(clean) & ~3
                node.content.write(base64.b64decode(clean[:whole]))
                self._rest = clean[whole:]
            return
        self._budget -= len(text)
        if self._budget < 0:
            raise PackageRefused("22", "header too large")
        node.text += text


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _lenient_base64(rest: bytes) -> bytes:
    return base64.b64decode(rest + b"=" * (-len(rest) % 4)) if len(rest) > 1 else b""


def _temporary(files: ExitStack) -> BinaryIO:
    spooled = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the stack closes
    files.enter_context(spooled)
    return cast(BinaryIO, spooled)  # it has every method that is used, though it is no subclass


# --- the form the axis writes ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """One element of the grammar (edxml-format 14), in the builder's order."""

    name: str
    parts: tuple[_Part, ...] = ()
    many: bool = False
    default: str = ""
    attribute: str = ""
    keep_empty: bool = False
    form: re.Pattern[str] | None = None


def _leaves(*names: str) -> tuple[_Part, ...]:
    return tuple(_Part(name) for name in names)


def _many(name: str, *parts: _Part) -> _Part:
    return _Part(name, parts, many=True)


_ORGAN = _leaves(
    "OrganId",
    "OrganizationInCharge",
    "OrganName",
    "OrganAdd",
    "Email",
    "Telephone",
    "Fax",
    "Website",
)
_PROMULGATION_DATE = _Part("PromulgationDate", form=_DATE)
_TIMESTAMP = _Part("Timestamp", form=_DATE_TIME)
_STAFF = _leaves("Department", "DepartmentId", "Staff", "StaffId", "Email", "Mobile")
_RESPONSE_FOR = _Part(
    "ResponseFor",
    (*_leaves("OrganId", "Code", "DocumentId"), _PROMULGATION_DATE),
    many=True,
    keep_empty=True,
)
_DOCUMENT = (
    _Part("From", _ORGAN),
    _many("To", *_ORGAN),
    _Part("DocumentId"),
    _Part("Code", _leaves("CodeNumber", "CodeNotation")),
    _Part("PromulgationInfo", (_Part("Place"), _PROMULGATION_DATE)),
    _Part("DocumentType", (_Part("Type"), _Part("TypeDetail", default="0"), _Part("TypeName"))),
    _Part("Subject"),
    _Part("Content"),
    _Part("SignerInfo", _leaves("Competence", "Position", "FullName")),
    _Part("DueDate", form=_DATE),
    _Part(
        "OtherInfo",
        (
            *_leaves("Priority", "SphereOfPromulgation", "TyperNotation"),
            *_leaves("PromulgationAmount", "PageAmount", "ReplyFors"),
            _Part("Direction", default="false"),
            _Part("ReferenceCodes"),
            _Part("Appendixes", (_many("Appendix"),)),
        ),
    ),
    _RESPONSE_FOR,
    _Part("SteeringType", default="0"),
    _Part("ResponseForTask", (_many("TaskCode"),)),
    _Part("ApplicationType"),
    _Part("ToPlaces", (_many("Place"),)),
)
_STATUS = (
    _Part("From", _ORGAN),
    _RESPONSE_FOR,
    _Part("StaffInfo", _STAFF),
    _Part("StatusCode"),
    _Part("Description"),
    _TIMESTAMP,
)
_BUSINESS = _Part(
    "Bussiness",
    (
        *_leaves("DocumentId", "BussinessDocType", "BussinessDocReason", "Paper"),
        _many(
            "BussinessDocumentInfo",
            *_leaves("DocumentInfo", "DocumentReceiver"),
            _many("ReceiverList", _many("Receiver", *_leaves("OrganId", "ReceiverType"))),
        ),
        _many(
            "ReplacementInfoList",
            _many(
                "ReplacementInfo", _Part("DocumentId"), _Part("OrganIdList", (_many("OrganId"),))
            ),
        ),
        _many("StaffInfo", *_STAFF),
    ),
)
# The axis itself writes TraceHeader before Bussiness (edxml-format 2.4)
_TRACES = (_many("TraceHeader", _Part("OrganId"), _TIMESTAMP), _BUSINESS)
_SIGNATURE = (
    _Part(
        "SignedInfo",
        (
            _Part("CanonicalizationMethod", attribute="Algorithm"),
            _Part("SignatureMethod", attribute="Algorithm"),
            _Part(
                "Reference",
                (
                    _Part("Transforms", (_Part("Transform", many=True, attribute="Algorithm"),)),
                    _Part("DigestMethod", attribute="Algorithm"),
                    _Part("DigestValue"),
                ),
                many=True,
                attribute="URI",
            ),
        ),
    ),
    _Part("SignatureValue"),
    _Part("KeyInfo", (_Part("X509Data", _leaves("X509SubjectName", "X509Certificate")),)),
)


def write_rebuilt(
    contents: Contents,
    out: BinaryIO,
    *,
    at: str,
    zip_all: bool = False,
    double_ids: bool = False,
) -> None:
    """Writes the package as the axis hands it on. `at`: its own TraceHeader's Timestamp.

    `zip_all` wraps every attachment, PDF too, as packages of 2025 came back (edxml-format 4).
    `double_ids` puts one more `cid:` in front of each content id, as the vendor's builder does;
    what comes down from the national axis has a single one (edxml-format 5).
    """
    envelope = contents.root.last("edXMLEnvelope") or contents.root
    head = envelope.last("edXMLHeader") or contents.root
    message = head.last("MessageHeader") or contents.root
    writer = _Writer(out)
    writer.line('<?xml version="1.0" encoding="UTF-8"?>')
    writer.opened(f'edXML xmlns="{NS_QCVN102}"')
    writer.opened(f'edXML:edXMLEnvelope xmlns:edXML="{NS_QCVN102}"')
    writer.opened("edXML:edXMLHeader")
    writer.opened("edXML:MessageHeader")
    document = contents.kind is PackageKind.DOCUMENT
    if document and not message.value("DocumentId"):
        message.children.append(Node("DocumentId", {}, text=str(_new_uuid())))
    writer.parts(message, _DOCUMENT if document else _STATUS, "edXML:")
    writer.closed()
    files = [
        _Refitted(node, contents.files, zip_all=zip_all, double_ids=double_ids)
        for node in _attachments(contents.root)
    ]
    if document:
        traces = head.last("TraceHeaderList") or Node("TraceHeaderList", {})
        own = Node("TraceHeader", {}, [Node("Timestamp", {}, text=at)])
        known = [child for child in traces.children if child.name in {"TraceHeader", "Bussiness"}]
        writer.opened("edXML:TraceHeaderList")
        writer.parts(Node("TraceHeaderList", {}, [*known, own]), _TRACES, "edXML:")
        writer.closed()
        if (signature := head.last("Signature") or contents.root.last("Signature")) is not None:
            writer.opened("Signature")
            writer.parts(signature, _SIGNATURE, "")
            writer.closed()
    writer.closed()
    if document:
        _write_manifest(writer, envelope, files, double_ids=double_ids)
    writer.closed()
    if document:
        _write_attachments(writer, files)
    writer.closed()


def _write_manifest(
    writer: _Writer, envelope: Node, files: list[_Refitted], *, double_ids: bool
) -> None:
    body = envelope.last("edXMLBody")
    manifest = (body.last("edXMLManifest") or body.last("Manifest")) if body else None
    types = {file.content_id: file.content_type for file in files}
    writer.opened("edXML:edXMLBody")
    writer.opened('edXML:edXMLManifest version="1.0"')
    for reference in manifest.all("Reference") if manifest else ():
        content_id = _content_id(reference.value("ContentId"), double=double_ids)
        writer.opened("edXML:Reference")
        writer.leaf("edXML:ContentId", content_id)
        fitting = types.get(content_id, "application/zip")
        writer.leaf("edXML:ContentType", reference.value("ContentType") or fitting)
        writer.leaf("edXML:Description", reference.value("Description"))
        writer.leaf("edXML:AttachmentName", reference.value("AttachmentName"))
        writer.closed()
    writer.closed()
    writer.closed()


def _write_attachments(writer: _Writer, files: list[_Refitted]) -> None:
    if not files:
        writer.line("<AttachmentEncoded />")
        return
    writer.opened("AttachmentEncoded")
    for file in files:
        writer.opened("Attachment")
        writer.leaf("ContentId", file.content_id)
        writer.leaf("AttachmentName", file.name)
        for name in ("Description", "FieldName", "MimeType"):
            writer.leaf(name, file.node.value(name))
        writer.leaf("ContentType", file.content_type)
        writer.base64(f'edXML:{_CONTENT} xmlns:edXML="{NS_QCVN102}"', file.bytes())
        writer.closed()
    writer.closed()


def _attachments(root: Node) -> list[Node]:
    encoded = root.last("AttachmentEncoded")
    return encoded.all("Attachment") if encoded else []


class _Refitted:
    """One attachment by the vendor's rules: unwrapped on parsing, wrapped on building (4)."""

    def __init__(self, node: Node, files: ExitStack, *, zip_all: bool, double_ids: bool) -> None:
        content = node.last(_CONTENT)
        if content is None or content.content is None or not node.value("AttachmentName"):
            raise PackageRefused("22", "attachment without name or content")
        self.node = node
        self._files = files
        self.name = node.value("AttachmentName")
        self.content_id = _content_id(node.value("ContentId"), double=double_ids)
        self.extension = self.name.rpartition(".")[2].lower() if "." in self.name else ""
        self._inner = content.content
        self._wrap = zip_all or self.extension not in _RAW_TYPES
        declared = node.value("ContentType")
        if declared == "application/zip" and self.extension != "zip":
            self._inner = _first_entry(self._inner, files)
        fitting = _RAW_TYPES.get(self.extension, "application/zip")
        # the zipped PDFs of 2025 kept their declared type (edxml-format 4)
        self.content_type = (declared or fitting) if zip_all else fitting

    def bytes(self) -> BinaryIO:
        if not self._wrap:
            self._inner.seek(0)
            return self._inner
        wrapped = _temporary(self._files)
        entry = zipfile.ZipInfo(f"{_new_uuid()}.{self.extension or 'unk'}")
        entry.compress_type = zipfile.ZIP_DEFLATED
        self._inner.seek(0, 2)
        large = self._inner.tell() > 2**31
        self._inner.seek(0)
        with (
            zipfile.ZipFile(wrapped, "w", compresslevel=1) as archive,
            archive.open(entry, "w", force_zip64=large) as target,
        ):
            shutil.copyfileobj(self._inner, target, _BLOCK)
        wrapped.seek(0)
        return wrapped


def _first_entry(packed: BinaryIO, files: ExitStack) -> BinaryIO:
    packed.seek(0)
    inner = _temporary(files)
    try:
        with zipfile.ZipFile(packed) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            if not entries or entries[0].file_size > _MAX_UNPACKED:
                raise PackageRefused("21", "the zip of an attachment has no usable entry")
            with archive.open(entries[0]) as source:
                shutil.copyfileobj(source, inner, _BLOCK)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise PackageRefused("21", f"declared application/zip is no zip: {error}") from error
    return inner


def _content_id(content_id: str, *, double: bool) -> str:
    while not double and content_id.startswith("cid:"):
        content_id = content_id[4:]
    return f"cid:{content_id or _new_uuid()}"


def _new_uuid() -> uuid.UUID:
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4)


class _Writer:
    """The vendor's builder's lexical form: CRLF, two blanks of indentation (edxml-format 1)."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._open: list[str] = []

    def line(self, text: str) -> None:
        self._out.write(f"{'  ' * len(self._open)}{text}\r\n".encode())

    def opened(self, tag: str) -> None:
        self.line(f"<{tag}>")
        self._open.append(tag.partition(" ")[0])

    def closed(self) -> None:
        name = self._open.pop()
        self.line(f"</{name}>")

    def leaf(self, tag: str, text: str) -> None:
        """Nothing at all for an empty value: the builder leaves it out."""
        if text:
            self.line(f"<{tag}>{escape(text)}</{tag.partition(' ')[0]}>")

    def base64(self, tag: str, content: BinaryIO) -> None:
        self._out.write(f"{'  ' * len(self._open)}<{tag}>".encode())
        while block := content.read(_BLOCK):
            self._out.write(base64.b64encode(block))
        self._out.write(f"</{tag.partition(' ')[0]}>\r\n".encode())

    def parts(self, node: Node, grammar: tuple[_Part, ...], prefix: str) -> None:
        for part in grammar:
            for found in _chosen(node, part):
                self._part(found, part, prefix)

    def _part(self, node: Node, part: _Part, prefix: str) -> None:
        tag = f"{prefix}{part.name}"
        if part.attribute:
            value = escape(node.attributes.get(part.attribute, ""), {'"': "&quot;"})
            tag += f' {part.attribute}="{value}"'
        if not part.parts:
            text = node.text.strip()
            if part.form is not None and not part.form.fullmatch(text):
                text = ""  # a date the vendor's parser cannot read becomes no date
            if part.attribute and not text:
                self.line(f"<{tag} />")
            else:
                self.leaf(tag, text or part.default)
        elif any(_says_something(node, inner) for inner in part.parts) or part.attribute:
            self.opened(tag)
            self.parts(node, part.parts, prefix)
            self.closed()
        elif part.keep_empty:
            self.line(f"<{tag} />")


def _chosen(node: Node, part: _Part) -> Iterator[Node]:
    if part.many:
        yield from node.all(part.name)
    elif (single := node.last(part.name)) is not None:
        yield single
    elif part.default:
        yield Node(part.name, {}, text=part.default)


def _says_something(node: Node, part: _Part) -> bool:
    return any(
        found.text.strip()
        or found.attributes
        or any(_says_something(found, inner) for inner in part.parts)
        for found in _chosen(node, part)
    )
