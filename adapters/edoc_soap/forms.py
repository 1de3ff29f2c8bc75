"""Packages as they leave: a message in parts, one element, a status. Forms of a Cargo.

In:     the pieces of a stored QCVN 102 package.
Out:    the bytes of the request, as they become possible; memory does not grow with the files.
Fails:  Unreadable or TooLarge for a package that cannot be converted; nothing of it is whole then.
Never:  holds a file, reads a clock, makes a random boundary: equal packages give equal requests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pybase64

from adapters.cargo import damaged
from adapters.edoc_soap.contract import SEND, UPDATE, Contract
from adapters.edoc_soap.older import Converted, Filling, status_to_older, to_older
from adapters.edoc_soap.trees import LIMITS, Node, TreeReader, read_tree
from adapters.streams import Base64Stream, NotAnAnswer
from gateway.errors import Rejected, Text, Untrusted
from gateway.model.package import NS_QCVN102, PackageKind, bare_cid
from gateway.ports import Parcel
from gateway.safexml import unreadable

_PLAIN_ID = re.compile(r"[A-Za-z0-9._@+-]{1,200}")
_LINE = 57 * 1024  # bytes: whole lines of 76, and a multiple of 3
_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")
_BINARY = "application/octet-stream"


class SwaForm:
    """edXML 1.0: the envelope as the first part, then one part for each file."""

    def __init__(self, contract: Contract, sha256: str) -> None:
        self._contract = contract
        self._boundary = f"edoc-{sha256[:40]}"
        self._id = sha256[:16]
        self.converted = Converted()
        self._out: list[bytes] = []
        self._names: list[dict[str, str]] = []
        self._begun = False
        self._number = 0
        self._rest = b""
        self._base64: Base64Stream | None = None
        self._reader = TreeReader(
            stream="ContentTransferEncoded",
            on_start=self._open,
            on_text=self._text,
            on_end=self._shut,
            drop=("Attachment",),
        )

    def content_type(self) -> str:
        kind = self._contract.envelope_type
        # SOAP 1.2 has its action in the content type, and here that of the message is all there is
        _, action, name = self._contract.content_type(SEND).partition("; action=")
        return (
            f'multipart/related; type="{kind}"; start="<root@{self._id}>"; '
            f'boundary="{self._boundary}"{action}{name}'
        )

    def take(self, chunk: bytes) -> bytes:
        self._reader.feed(chunk)
        return self._flush()

    def finish(self) -> bytes:
        self._reader.close()
        self._begin()
        self._out.append(f"\r\n--{self._boundary}--\r\n".encode())
        return self._flush()

    def _flush(self) -> bytes:
        whole = b"".join(self._out)
        self._out.clear()
        return whole

    def _begin(self) -> None:
        """The envelope, once: the header is complete when the first file begins."""
        if self._begun:
            return
        self._begun = True
        root = self._reader.root
        header = root.find("edXMLEnvelope", "edXMLHeader") if root is not None else None
        if root is None or root.uri != NS_QCVN102 or header is None:
            raise _unfit("no header of QCVN 102 in front of the files")
        filling = self._contract.profile
        self.converted = to_older(header, Filling(filling.document_type, filling.priority))
        manifest = root.find("edXMLEnvelope", "edXMLBody", "edXMLManifest")
        for number, one in enumerate(manifest.children if manifest is not None else (), start=1):
            self._names.append(
                {
                    "href": self._part_id(one.value("ContentId"), number),
                    "name": one.value("AttachmentName"),
                    "type": one.value("ContentType"),
                    "description": one.value("Description"),
                }
            )
        references: list[dict[str, Any]] = [
            {
                "href": "cid:" + quote(one["href"], safe="@+"),
                "AttachmentName": one["name"],
                "ContentType": one["type"] or None,
                "Description": one["description"] or None,
            }
            for one in self._names
        ]
        envelope = self._contract.document(self.converted.blocks, references)
        head = (
            f"--{self._boundary}\r\nContent-Type: {self._contract.content_type(SEND)}\r\n"
            f"Content-Transfer-Encoding: 8bit\r\nContent-ID: <root@{self._id}>\r\n\r\n"
        )
        self._out += [head.encode(), envelope]

    def _part_id(self, content_id: str, number: int) -> str:
        bare = bare_cid(content_id)
        return bare if _PLAIN_ID.fullmatch(bare) else f"part{number}@{self._id}"

    def _open(self, attachment: Node) -> None:
        self._begin()
        self._number += 1
        listed = self._names[self._number - 1] if self._number <= len(self._names) else {}
        said = attachment.value("ContentId")
        part_id = self._part_id(said, self._number) if said else listed.get("href", "")
        kind = attachment.value("ContentType") or listed.get("type", "")
        name = attachment.value("AttachmentName") or listed.get("name", "")
        encoding = {"base64": "base64", "binary": "binary"}.get(self._contract.profile.parts)
        lines = [
            f"\r\n--{self._boundary}",
            f"Content-Type: {kind if _TYPE.fullmatch(kind) else _BINARY}",
            *([f"Content-Transfer-Encoding: {encoding}"] if encoding else []),
            f"Content-ID: <{part_id or f'part{self._number}@{self._id}'}>",
            f"Content-Disposition: attachment; filename*=UTF-8''{quote(name, safe='')}",
        ]
        self._out.append("\r\n".join(lines).encode() + b"\r\n\r\n")
        self._base64 = Base64Stream(self._bytes)

    def _text(self, piece: bytes) -> None:
        if self._base64 is not None:
            _decoding(lambda: self._base64.feed(piece))  # type: ignore[union-attr]  # asked above

    def _bytes(self, data: bytes) -> None:
        if self._contract.profile.parts == "binary":
            self._out.append(data)
            return
        data = self._rest + data
        whole = len(data) - len(data) % _LINE
        self._rest = data[whole:]
        if whole:
            self._out.append(self._lines(data[:whole]))

    def _shut(self) -> None:
        stream, self._base64 = self._base64, None
        if stream is not None:
            _decoding(stream.close)
        rest, self._rest = self._rest, b""
        if rest:
            self._out.append(self._lines(rest))

    def _lines(self, data: bytes) -> bytes:
        if self._contract.profile.parts == "text":
            return pybase64.b64encode(data)
        return pybase64.encodebytes(data).replace(b"\n", b"\r\n")


class PackageForm:
    """The package as it is, in base64 inside one element."""

    def __init__(self, contract: Contract) -> None:
        self._head, self._tail = contract.around_package()
        self._rest = b""
        self._type = contract.content_type(SEND)
        self.converted = Converted()

    def content_type(self) -> str:
        return self._type

    def take(self, chunk: bytes) -> bytes:
        data = self._rest + chunk
        whole = len(data) - len(data) % 3
        self._rest = data[whole:]
        head, self._head = self._head, b""
        return head + pybase64.b64encode(data[:whole])

    def finish(self) -> bytes:
        return self._head + pybase64.b64encode(self._rest) + self._tail


class StatusForm:
    """UpdateTraces: a status package of QCVN 102 as the axis' `Status`."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._reader = TreeReader()
        self.converted = Converted()

    def content_type(self) -> str:
        return self._contract.content_type(UPDATE)

    def take(self, chunk: bytes) -> bytes:
        self._reader.feed(chunk)
        return b""

    def finish(self) -> bytes:
        root = self._reader.close()
        header = root.find("edXMLEnvelope", "edXMLHeader")
        if root.uri != NS_QCVN102 or header is None or header.find("MessageHeader") is None:
            raise _unfit("no status of QCVN 102")
        return self._contract.request(UPDATE, _values(status_to_older(header)))


AnyForm = SwaForm | PackageForm | StatusForm


def form_of(contract: Contract, parcel: Parcel) -> AnyForm:
    """A fresh form for one attempt."""
    if parcel.kind is PackageKind.STATUS:
        return StatusForm(contract)
    if contract.profile.payload == "package":
        return PackageForm(contract)
    return SwaForm(contract, parcel.sha256)


async def status_code(parcel: Parcel) -> str:
    """The code of a status package. Raises Broken `blob.damaged`; "" for what is no status."""
    data = bytearray()
    async for chunk in parcel.chunks():
        data += chunk
        if len(data) > LIMITS.header_bytes:
            return ""
    if hashlib.sha256(data).hexdigest() != parcel.sha256:
        raise damaged(parcel)
    try:
        found = read_tree(bytes(data)).find("edXMLEnvelope", "edXMLHeader", "MessageHeader")
    except (Untrusted, Rejected):
        return ""
    return found.value("StatusCode") if found is not None else ""


ARRIVED = "01"
_STATUS_SHAPE = {
    "From": ("OrganId", "OrganizationInCharge", "OrganName", "OrganAdd", "Email", "Telephone",
             "Fax", "Website"),
    "ResponseFor": ("OrganId", "Code", "DocumentId", "PromulgationDate"),
    "StaffInfo": ("Department", "DepartmentId", "Staff", "StaffId", "Email", "Mobile"),
}  # fmt: skip


def _values(status: Node) -> dict[str, Any]:
    """A status as zeep's values; what the contract does not know is left out."""
    values: dict[str, Any] = {}
    for name, inside in _STATUS_SHAPE.items():
        if (found := status.find(name)) is not None:
            values[name] = {one: found.value(one) or None for one in inside}
    for name in ("StatusCode", "Description", "Timestamp"):
        values[name] = status.value(name) or None
    return values


def _decoding(step: Callable[[], None]) -> None:
    try:
        step()
    except NotAnAnswer:
        raise _unfit("an attachment is no base64") from None


def _unfit(why: str) -> Exception:
    return unreadable(
        "package.not_convertible",
        Text(f"Không chuyển được gói tin sang edXML 1.0: {why}", f"not convertible: {why}"),
    )
