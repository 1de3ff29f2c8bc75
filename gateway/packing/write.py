"""Writing a package: the strict form of edxml-format 1, 2, 3 and 13, in one pass.

In:     a header, the files (their digests were taken when they were uploaded), a ready signature.
Out:    the package in a file, with its digest and size; for a status, its bytes.
Fails:  Rejected with all findings, before a byte is written; Broken `attachment.changed`.
Never:  signs, reads a clock, makes a random id, holds a file, hashes an inner file again.

Equal input gives equal bytes, the deflate stream of wrapped files excepted. Line ends are CRLF and
indentation is two blanks, as the vendor's builder has them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pybase64

from gateway.errors import Broken, Finding, Rejected, Text
from gateway.model.package import (
    NS_QCVN102,
    Business,
    DocumentHeader,
    FileFact,
    Organ,
    OtherInfo,
    PackageKind,
    ReadyPackage,
    ResponseFor,
    Staff,
    StatusReport,
)
from gateway.model.submission import Attachment
from gateway.packing.check import document_findings, file_findings, status_findings
from gateway.packing.names import CARRIED_AS_IS, WRAPPED_TYPE, ZIP_BASED, extension
from gateway.packing.sniff import HEAD, ZIP_MAGIC, Sniffer
from gateway.packing.tally import Tally
from gateway.packing.texts import tidy
from gateway.packing.zipfiles import Unwrapper, Wrapper
from gateway.safexml import Limits, too_large

# a multiple of 3, so that base64 of the pieces is base64 of the whole; encoded, it is 1 MiB
BLOCK = 3 * 256 * 1024
_NAMESPACE = uuid.UUID("6d1e3f0a-5b0c-5e0e-9a51-4c0e6d0d1020")
_SPECIAL = re.compile(r"[&<>\r\n]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;", "\n": "\r\n"}


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file as it will stand in the package.

    `fact` is what a reader will find (edxml-format 4), so that the identity is alike at both ends.
    For a `wrapped` file `fact.carried_*` are 0 and "": its zip is made while writing.
    """

    source: Attachment
    fact: FileFact
    content_type: str
    wrapped: bool
    entry_name: str = ""


def plan_files(files: Sequence[Attachment], seed: str) -> tuple[PackedFile, ...]:
    """Names, content ids and facts for the files. `seed`: any text that is this package's own.

    Reads the first 8 KiB of each file; the whole only where the bytes are a zip that a reader
    would unwrap. Raises Rejected with the findings of all unsafe names at once.
    """
    # as texts are written: the identity must be that of the name read back
    names = [tidy(file.name) for file in files]
    findings = [
        finding
        for index, (file, name) in enumerate(zip(files, names, strict=True))
        for finding in file_findings(index, name, file.size, file.description)
    ]
    _refuse(findings)
    return tuple(
        _plan(file, name, f"{seed}/{index}/{name}")
        for index, (file, name) in enumerate(zip(files, names, strict=True))
    )


def write_document(
    out: BinaryIO,
    header: DocumentHeader,
    files: Sequence[PackedFile],
    *,
    signature: bytes = b"",
) -> ReadyPackage:
    """Write a document package where `out` stands; `out` must write all it is given (buffered).

    `signature`: the bytes of a ready Signature element that declares its own namespaces; it
    becomes the last child of edXMLHeader. Raises TooLarge `limit.signature_bytes` for one that no
    reader has to take (contract 5): some 4,900 attachments fill it.
    """
    longest = Limits().signature_bytes
    if len(signature) > longest:
        raise too_large("signature_bytes", longest)
    head = _document_head(header, files, signature)
    tally = Tally()
    try:
        _put(out, tally, head)
        for file in files:
            _put_file(out, tally, file)
        _put(out, tally, b"  </AttachmentEncoded>\r\n</edXML>\r\n" if files else b"</edXML>\r\n")
        return ReadyPackage(PackageKind.DOCUMENT, tally.hexdigest(), tally.size)
    finally:
        tally.close()


def write_status(report: StatusReport) -> bytes:
    """A status package (edxml-format 3). Raises Rejected with all findings."""
    lines = _Lines()
    lines.open("edXML:MessageHeader", 3)
    _organ(lines, "From", report.sender)
    _response(lines, report.response_for)
    _staff(lines, "StaffInfo", report.staff, 4)
    lines.field("StatusCode", report.code, 4)
    lines.field("Description", report.description, 4)
    lines.field("Timestamp", report.timestamp, 4)
    lines.close("edXML:MessageHeader", 3)
    text = lines.text()
    _refuse(status_findings(report, text))
    return (_TOP + text + _HEADER_END + _ENVELOPE_END + "</edXML>\r\n").encode()


# -- files -----------------------------------------------------------------------------------------


def _plan(file: Attachment, name: str, seed: str) -> PackedFile:
    ident = str(uuid.uuid5(_NAMESPACE, seed))
    ext = extension(name)
    with file.open() as source:
        head = source.read(HEAD)
        kind = Sniffer()
        kind.feed(head)
        # a zip-based name around other bytes would not be unwrapped by any reader: carry it bare
        wrapped = ext not in CARRIED_AS_IS and (ext not in ZIP_BASED or head.startswith(ZIP_MAGIC))
        fact = FileFact(
            name=name,
            size=file.size,
            sha256=file.sha256,
            carried_size=0 if wrapped else file.size,
            carried_sha256="" if wrapped else file.sha256,
            unwrapped=wrapped,
            declared_name=name,
            declared_type=WRAPPED_TYPE if wrapped else CARRIED_AS_IS.get(ext, f"application/{ext}"),
            actual_type=kind.media_type(),
            content_id=f"cid:{ident}",
            description=file.description,
        )
        if not wrapped and head.startswith(ZIP_MAGIC):
            fact = _as_read(fact, source, head)
    entry = f"{uuid.uuid5(_NAMESPACE, seed + '/entry')}.{_entry_extension(ext)}"
    return PackedFile(file, fact, fact.declared_type, wrapped, entry if wrapped else "")


def _entry_extension(ext: str) -> str:
    # the vendor writes "unk" when there is none; an odd one must not become part of a path
    return ext if ext.isascii() and ext.isalnum() else "unk"


def _as_read(fact: FileFact, source: BinaryIO, head: bytes) -> FileFact:
    """The facts of a file that is a zip: a reader may find a wrapper and look inside."""
    unwrapper = Unwrapper(Limits(), fact.name)
    inner, kind = Tally(), Sniffer()
    try:
        piece = head
        while piece and not unwrapper.hopeless:
            for entry in unwrapper.feed(piece):
                inner.update(entry)
                kind.feed(entry)
            piece = source.read(BLOCK)
        if not unwrapper.is_wrapper(fact.name):
            return fact
        return FileFact(
            name=fact.name,
            size=inner.size,
            sha256=inner.hexdigest(),
            carried_size=fact.carried_size,
            carried_sha256=fact.carried_sha256,
            unwrapped=True,
            declared_name=fact.declared_name,
            declared_type=fact.declared_type,
            actual_type=kind.media_type(),
            content_id=fact.content_id,
            description=fact.description,
        )
    finally:
        inner.close()


def _put_file(out: BinaryIO, tally: Tally, file: PackedFile) -> None:
    lines = _Lines("")
    lines.open("Attachment", 2)
    lines.field("ContentId", file.fact.content_id, 3)
    lines.field("AttachmentName", file.fact.declared_name, 3)
    lines.field("Description", file.fact.description, 3)
    lines.field("ContentType", file.content_type, 3)
    start = (
        lines.text() + f'      <edXML:ContentTransferEncoded xmlns:edXML="{NS_QCVN102}">'
    ).encode()
    rest = b""
    for piece in _carried(file):
        data = rest + piece if rest else piece
        cut = len(data) - len(data) % 3
        rest = data[cut:]
        encoded = pybase64.b64encode(data if not rest else memoryview(data)[:cut])
        _put(out, tally, start + encoded if start else encoded)
        start = b""
    end = b"</edXML:ContentTransferEncoded>\r\n    </Attachment>\r\n"
    _put(out, tally, start + pybase64.b64encode(rest) + end)


def _carried(file: PackedFile) -> Iterator[bytes]:
    wrapper = Wrapper(file.entry_name) if file.wrapped else None
    size = 0
    if wrapper is not None:
        yield wrapper.start()
    with file.source.open() as source:
        while piece := source.read(BLOCK):
            size += len(piece)
            yield piece if wrapper is None else wrapper.add(piece)
    if size != file.source.size:
        raise Broken(
            Text(
                f"Tệp đính kèm đã thay đổi sau khi tải lên: {size} byte thay vì {file.source.size}",
                f"an attachment changed after its upload: {size} bytes, not {file.source.size}",
            ),
            code="attachment.changed",
        )
    if wrapper is not None:
        yield wrapper.finish()


def _put(out: BinaryIO, tally: Tally, data: bytes) -> None:
    tally.update(data)
    out.write(data)


# -- text ------------------------------------------------------------------------------------------

_TOP = (
    '<?xml version="1.0" encoding="UTF-8"?>\r\n'
    f'<edXML xmlns="{NS_QCVN102}">\r\n'
    f'  <edXML:edXMLEnvelope xmlns:edXML="{NS_QCVN102}">\r\n'
    "    <edXML:edXMLHeader>\r\n"
)
_HEADER_END = "    </edXML:edXMLHeader>\r\n"
_ENVELOPE_END = "  </edXML:edXMLEnvelope>\r\n"


class _Lines:
    """Elements, one a line. Empty values are left out, texts trimmed and in NFC (1, 13)."""

    __slots__ = ("_parts", "_prefix")

    def __init__(self, prefix: str = "edXML:") -> None:
        self._parts: list[str] = []
        self._prefix = prefix

    def open(self, name: str, depth: int) -> None:
        self._parts.append(f"{_INDENT[depth]}<{name}>\r\n")

    def close(self, name: str, depth: int) -> None:
        self._parts.append(f"{_INDENT[depth]}</{name}>\r\n")

    def field(self, name: str, value: str | int | None, depth: int) -> None:
        if value is None:
            return
        text = tidy(value) if isinstance(value, str) else str(value)
        if not text:
            return
        if _SPECIAL.search(text):
            text = _SPECIAL.sub(lambda found: _ESCAPES[found.group()], text)
        prefix = self._prefix
        self._parts.append(f"{_INDENT[depth]}<{prefix}{name}>{text}</{prefix}{name}>\r\n")

    def group(self, name: str, inner: _Lines, depth: int) -> None:
        """A group with something in it; an empty one is never written."""
        if inner._parts:
            self.open(f"edXML:{name}", depth)
            self._parts.extend(inner._parts)
            self.close(f"edXML:{name}", depth)

    def fields(self, name: str, values: Sequence[tuple[str, str | int | None]], depth: int) -> None:
        inner = _Lines()
        for key, value in values:
            inner.field(key, value, depth + 1)
        self.group(name, inner, depth)

    def text(self) -> str:
        return "".join(self._parts)


_INDENT = tuple("  " * depth for depth in range(12))


def _document_head(header: DocumentHeader, files: Sequence[PackedFile], signature: bytes) -> bytes:
    """Everything in front of the first Attachment."""
    lines = _Lines()
    lines.open("edXML:MessageHeader", 3)
    _message(lines, header)
    lines.close("edXML:MessageHeader", 3)
    _traces(lines, header)
    text = lines.text()
    _refuse(document_findings(header, text))
    manifest = _Lines()
    manifest.open("edXML:edXMLBody", 2)
    if files:
        manifest.open('edXML:edXMLManifest version="1.0"', 3)
        for file in files:
            manifest.fields(
                "Reference",
                (
                    ("ContentId", file.fact.content_id),
                    ("ContentType", file.content_type),
                    ("Description", file.fact.description),
                    ("AttachmentName", file.fact.declared_name),
                ),
                4,
            )
        manifest.close("edXML:edXMLManifest", 3)
    else:
        manifest.open('edXML:edXMLManifest version="1.0" /', 3)
    manifest.close("edXML:edXMLBody", 2)
    signed = b"      " + signature + b"\r\n" if signature else b""
    attachments = "  <AttachmentEncoded>\r\n" if files else "  <AttachmentEncoded />\r\n"
    return (
        (_TOP + text).encode()
        + signed
        + (_HEADER_END + manifest.text() + _ENVELOPE_END + attachments).encode()
    )


def _message(lines: _Lines, header: DocumentHeader) -> None:
    """Builder order, edxml-format 2.1."""
    _organ(lines, "From", header.sender)
    for organ in header.to:
        _organ(lines, "To", organ)
    lines.field("DocumentId", header.document_id, 4)
    code = header.code
    lines.fields("Code", (("CodeNumber", code.number), ("CodeNotation", code.notation)), 4)
    issued = header.promulgation
    lines.fields(
        "PromulgationInfo", (("Place", issued.place), ("PromulgationDate", _day(issued.date))), 4
    )
    kind = header.document_type
    lines.fields(
        "DocumentType",
        (("Type", kind.type), ("TypeDetail", kind.type_detail), ("TypeName", kind.name)),
        4,
    )
    lines.field("Subject", header.subject, 4)
    lines.field("Content", header.content, 4)
    signer = header.signer
    lines.fields(
        "SignerInfo",
        (
            ("Competence", signer.competence),
            ("Position", signer.position),
            ("FullName", signer.full_name),
        ),
        4,
    )
    lines.field("DueDate", _day(header.due_date), 4)
    _other(lines, header.other)
    for response in header.response_for:
        _response(lines, response)
    # the vendor's parser rejects a package whose SteeringType is there without a number; its
    # builder always writes one, 0 by default
    lines.field("SteeringType", header.steering_type or 0, 4)
    lines.fields("ResponseForTask", [("TaskCode", task) for task in header.task_codes], 4)
    lines.field("ApplicationType", header.application_type, 4)
    lines.fields("ToPlaces", [("Place", place) for place in header.to_places], 4)


def _organ(lines: _Lines, name: str, organ: Organ) -> None:
    lines.fields(
        name,
        (
            ("OrganId", organ.organ_id),
            ("OrganizationInCharge", organ.in_charge),
            ("OrganName", organ.name),
            ("OrganAdd", organ.address),
            ("Email", organ.email),
            ("Telephone", organ.telephone),
            ("Fax", organ.fax),
            ("Website", organ.website),
        ),
        4,
    )


def _other(lines: _Lines, other: OtherInfo) -> None:
    inner = _Lines()
    inner.field("Priority", other.priority, 5)
    inner.field("SphereOfPromulgation", other.sphere, 5)
    inner.field("TyperNotation", other.typer_notation, 5)
    inner.field("PromulgationAmount", other.copies, 5)
    inner.field("PageAmount", other.pages, 5)
    inner.field("ReplyFors", other.reply_fors, 5)
    if other.direction is not None:
        inner.field("Direction", "true" if other.direction else "false", 5)
    inner.field("ReferenceCodes", other.reference_codes, 5)
    inner.fields("Appendixes", [("Appendix", item) for item in other.appendixes], 5)
    lines.group("OtherInfo", inner, 4)


def _response(lines: _Lines, response: ResponseFor) -> None:
    lines.fields(
        "ResponseFor",
        (
            ("OrganId", response.organ_id),
            ("Code", response.code),
            ("DocumentId", response.document_id),
            ("PromulgationDate", _day(response.promulgation_date)),
        ),
        4,
    )


def _staff(lines: _Lines, name: str, staff: Staff, depth: int) -> None:
    lines.fields(
        name,
        (
            ("Department", staff.department),
            ("DepartmentId", staff.department_id),
            ("Staff", staff.name),
            ("StaffId", staff.staff_id),
            ("Email", staff.email),
            ("Mobile", staff.mobile),
        ),
        depth,
    )


def _traces(lines: _Lines, header: DocumentHeader) -> None:
    """Current builder's order: Paper, Bussiness, TraceHeader (edxml-format 2.4)."""
    attributes = "".join(
        f' {name}="{_quoted(value)}"'
        for name, value in (("id", header.trace_id), ("version", header.trace_version))
        if value
    )
    lines.open(f"edXML:TraceHeaderList{attributes}", 3)
    lines.field("Paper", header.paper, 4)
    _business(lines, header.business)
    for trace in header.traces:
        lines.fields(
            "TraceHeader", (("OrganId", trace.organ_id), ("Timestamp", trace.timestamp)), 4
        )
    lines.close("edXML:TraceHeaderList", 3)


def _business(lines: _Lines, business: Business) -> None:
    inner = _Lines()
    inner.field("DocumentId", business.document_id, 5)
    inner.field("BussinessDocType", int(business.type), 5)
    inner.field("BussinessDocReason", business.reason, 5)
    inner.field("Paper", business.paper, 5)
    changes = _Lines()
    changes.field("DocumentInfo", business.document_changed, 6)
    changes.field("DocumentReceiver", business.receivers_changed, 6)
    receivers = _Lines()
    for receiver in business.receivers:
        receivers.fields(
            "Receiver", (("OrganId", receiver.organ_id), ("ReceiverType", receiver.change)), 7
        )
    changes.group("ReceiverList", receivers, 6)
    inner.group("BussinessDocumentInfo", changes, 5)
    replaced = _Lines()
    for item in business.replaces:
        one = _Lines()
        one.field("DocumentId", item.document_id, 7)
        one.fields("OrganIdList", [("OrganId", organ) for organ in item.organ_ids], 7)
        replaced.group("ReplacementInfo", one, 6)
    inner.group("ReplacementInfoList", replaced, 5)
    for staff in business.staff:
        _staff(inner, "StaffInfo", staff, 5)
    lines.group("Bussiness", inner, 4)


def _day(iso: str) -> str:
    return iso.replace("-", "/")


def _quoted(value: str) -> str:
    text = tidy(value).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


def _refuse(findings: Sequence[Finding]) -> None:
    if findings:
        raise Rejected(
            Text(
                f"Không thể đóng gói: {findings[0].text.vi}",
                f"this cannot be packed: {findings[0].text.en}",
            ),
            code="package.not_writable",
            findings=tuple(findings),
        )
