"""Packages as they come: the answer to GetDocument, streamed into a sink as QCVN 102.

In:     the answer's bytes as they come, in parts (edXML 1.0) or with the package in one element.
Out:    a QCVN 102 package in the sink; or the answer that came instead of one.
Fails:  NotAnAnswer for what is cut, lacks a part, or is no base64; Unreadable and TooLarge for
        MIME and XML that cannot be read.
Never:  holds a file, believes a part's header about its bytes, takes a cut message for whole.

A part may be base64 that says so, base64 text that does not, or binary, whatever was promised:
the only public server answers with text where a reader of MIME would expect bytes.
"""

from __future__ import annotations

from urllib.parse import unquote

import pybase64

from adapters.edoc_soap.contract import GET, Answer, Contract
from adapters.edoc_soap.older import (
    ATTACHMENT_END,
    DOCUMENT_END,
    Named,
    attachment_head,
    document_head,
)
from adapters.edoc_soap.trees import Node, TreeReader, read_tree
from adapters.streams import Base64Stream, NotAnAnswer, Spool
from gateway.errors import Text, TooLarge, Unreadable
from gateway.mime import Headers, Splitter
from gateway.model.package import bare_cid
from gateway.safexml import Limits, too_large, unreadable

_LIMITS = Limits()
_HEAD = 4096  # bytes of a part that decide what it holds
_BLANKS = b" \t\r\n"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_MAGIC = (b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"{\\rtf", b"\x89PNG", b"\xff\xd8\xff",
          b"<?xml", b"II*\0", b"MM\0*", b"GIF8", b"Rar!", b"7z\xbc\xaf")  # fmt: skip
_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})


class SwaArrival:
    """A message in parts. `answer`: what was said in place of a package, None for a package."""

    def __init__(self, contract: Contract, content_type: str, spool: Spool) -> None:
        self.answer: Answer | None = None
        self._contract = contract
        self._spool = spool
        self._envelope = bytearray()
        self._splitter: Splitter | None = None
        if content_type.lower().lstrip().startswith("multipart/"):
            self._splitter = Splitter(self, _LIMITS)
            self._splitter.take(f"Content-Type: {content_type}\r\n\r\n".encode())
        self._names: dict[str, Named] = {}
        self._missing: dict[str, str] = {}
        self._part: _Part | None = None

    def feed(self, data: bytes) -> None:
        if self._splitter is None:
            self._keep(data)
        elif self.answer is None:
            self._splitter.take(data)

    def close(self) -> None:
        if self._splitter is None:
            self._begin()
        elif self.answer is None:
            self._splitter.finish()
        if self.answer is not None:
            return
        if self._missing:
            raise NotAnAnswer("package.part_missing", ", ".join(self._missing.values()))
        self._spool.take(DOCUMENT_END)

    # -- parts -----------------------------------------------------------------------------------

    def begin_part(self, number: int, headers: Headers) -> None:
        kind = headers.value("content-type")
        encoding = headers.value("content-transfer-encoding")
        if kind.startswith("multipart/") or encoding not in {*_AS_IT_IS, "base64"}:
            text = Text(
                f"Phần {number} không đọc được: {kind}, {encoding}",
                f"part {number} cannot be read: {kind}, {encoding}",
            )
            raise unreadable("mime.encoding", text, f"/part[{number}]")
        if number == 1 or self.answer is not None:
            return
        if number > _LIMITS.attachments:
            raise too_large("attachments", _LIMITS.attachments)
        cid = bare_cid(headers.content_id() or headers.fields.get("content-location", ""))
        self._missing.pop(cid, None)
        name = headers.parameter("content-disposition", "filename")
        named = self._names.get(cid) or Named(
            cid, name or headers.parameter("content-type", "name") or f"part-{number - 1}", kind
        )
        self._spool.take(attachment_head(named))
        promised = encoding == "base64" or (
            not encoding and self._contract.profile.answers == "text"
        )
        self._part = _Part(self._spool, promised=promised)

    def part_data(self, piece: bytes) -> None:
        if self._part is not None:
            self._part.take(piece)
        elif self.answer is None:
            self._keep(piece)

    def end_part(self) -> None:
        if self.answer is not None:
            return  # what follows an answer in place of a package is nobody's
        if self._part is None:
            self._begin()
            return
        self._part.finish()
        self._part = None
        self._spool.take(ATTACHMENT_END)

    # -- the envelope ----------------------------------------------------------------------------

    def _keep(self, data: bytes) -> None:
        self._envelope += data
        if len(self._envelope) > _LIMITS.header_bytes:
            raise too_large("header_bytes", _LIMITS.header_bytes, "/Envelope")

    def _begin(self) -> None:
        """A package's header, or an answer in its place."""
        data = bytes(self._envelope)
        body = self._document(data)
        if body is None:
            self.answer = self._contract.read(GET, data)
            if self.answer.verdict is True or not (
                self.answer.problem or self.answer.reported or self.answer.fault
            ):
                raise NotAnAnswer("answer.no_data", "success is said, and no document came")
            return
        if (unsigned := self._contract.unsigned(data)) is not None:
            self.answer = unsigned
            return
        header, manifest = body
        named = [_named(one) for one in manifest.children if one.name.lower() == "reference"]
        self._names = {one.content_id: one for one in named if one.content_id}
        self._missing = {one.content_id: one.name or one.content_id for one in named}
        self._spool.take(document_head(header.children, named))

    def _document(self, data: bytes) -> tuple[Node, Node] | None:
        try:
            root = read_tree(data, _LIMITS)
        except Unreadable as error:
            if error.code == "xml.doctype":
                raise
            return None
        header, body = root.find("Header"), root.find("Body")
        manifest = body.find("Manifest") if body is not None else None
        if header is None or manifest is None or header.find("MessageHeader") is None:
            return None
        return header, manifest


def _named(reference: Node) -> Named:
    href = unquote(reference.attributes.get("href", ""))
    return Named(
        bare_cid(href or reference.value("ContentId")),
        reference.value("AttachmentName"),
        reference.value("ContentType"),
        reference.value("Description"),
    )


class _Part:
    """The bytes of one part become base64 in one line; what they are is seen, not believed."""

    def __init__(self, spool: Spool, *, promised: bool) -> None:
        self._spool = spool
        self._promised = promised
        self._head: bytes | None = b""
        self._stream: Base64Stream | None = None
        self._rest = b""

    def take(self, piece: bytes) -> None:
        if self._head is not None:
            self._head += piece
            if len(self._head) < _HEAD:
                return
            piece, self._head = self._decide(self._head), None
        self._give(piece)

    def finish(self) -> None:
        if self._head is not None:
            piece, self._head = self._decide(self._head), None
            self._give(piece)
        if self._stream is not None:
            self._stream.close()
        self._spool.take(pybase64.b64encode(self._rest))

    def _decide(self, head: bytes) -> bytes:
        packed = head[:_HEAD].translate(None, _BLANKS)
        alphabet = bool(packed) and not packed.translate(None, _ALPHABET)
        if alphabet and (self._promised or _holds_a_file(packed)):
            self._stream = Base64Stream(self._bytes)
        return head

    def _give(self, piece: bytes) -> None:
        if self._stream is not None:
            self._stream.feed(piece)
        else:
            self._bytes(piece)

    def _bytes(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % 3
        self._rest = data[whole:]
        self._spool.take(pybase64.b64encode(data[:whole]))


def _holds_a_file(packed: bytes) -> bool:
    try:
        decoded = pybase64.b64decode(packed[: len(packed) // 4 * 4], validate=True)
    except ValueError:
        return False
    return decoded.startswith(_MAGIC)


class PackageArrival:
    """The whole package as base64 in one element, decoded while it arrives."""

    def __init__(self, contract: Contract, spool: Spool) -> None:
        self.answer: Answer | None = None
        self._contract = contract
        self._spool = spool
        self._stream = Base64Stream(spool.take)
        self._streamed = False
        self._front = bytearray()
        self._reader = TreeReader(
            stream="Package", on_start=self._open, on_text=self._stream.feed, on_end=self._shut
        )
        self._odd: Unreadable | None = None

    def feed(self, data: bytes) -> None:
        if not self._streamed and len(self._front) <= _LIMITS.header_bytes:
            self._front += data
        if self._odd is not None:
            return
        try:
            self._reader.feed(data)
        except TooLarge:
            raise
        except Unreadable as error:
            if self._streamed or error.code == "xml.doctype":
                raise
            self._odd = error

    def close(self) -> None:
        if self._odd is None and self._streamed:
            self._reader.close()
            problem = self._spool.shape.problem()
            if problem:
                raise NotAnAnswer(problem)
            return
        self.answer = self._contract.read(GET, bytes(self._front))
        if self.answer.verdict is not False and not (self.answer.problem or self.answer.fault):
            raise NotAnAnswer("answer.no_data", "success is said, and no document came")

    def _open(self, above: Node) -> None:
        del above
        self._streamed = True
        self._front.clear()

    def _shut(self) -> None:
        self._stream.close()
