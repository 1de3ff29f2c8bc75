"""A request to the simulated axis, read while it arrives: envelope, files, package.

In:     the request's content type and its bytes in any pieces.
Out:    the envelope's tree, the files decoded on disk, credentials wherever they stand.
Fails:  NotAnAnswer, Unreadable, TooLarge for what no server could read.
Never:  holds a file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from adapters.edoc_soap.older import Named
from adapters.edoc_soap.profile import Profile
from adapters.edoc_soap.trees import Node, TreeReader
from adapters.streams import Base64Stream, NotAnAnswer
from gateway.mime import Headers, Splitter
from gateway.model.package import bare_cid
from gateway.safexml import Limits

_LARGE = 1024 * 1024


class Incoming:
    """One request. `large`: so much came that reading it belongs into a thread."""

    def __init__(self, content_type: str, place: Callable[[], Path], profile: Profile) -> None:
        self.root = Node("", "Envelope")
        self.package: Path | None = None
        self._place = place
        self._text_parts = profile.parts == "text"
        self._size = 0
        self._named: dict[str, Named] = {}
        self._files: list[tuple[Named, Path]] = []
        self._sink: BinaryIO | None = None
        self._stream: Base64Stream | None = None
        self._reader = TreeReader(
            stream="Package", on_start=self._open, on_text=self._text, on_end=self._shut
        )
        self._splitter: Splitter | None = None
        if content_type.lower().startswith("multipart/"):
            self._splitter = Splitter(self, Limits())
            self._splitter.take(f"Content-Type: {content_type}\r\n\r\n".encode())

    @property
    def large(self) -> bool:
        return self._size > _LARGE

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._splitter is None:
            self._reader.feed(data)
        else:
            self._splitter.take(data)

    def close(self) -> None:
        if self._splitter is None:
            self._envelope()
        else:
            self._splitter.finish()

    # -- what stands in it -----------------------------------------------------------------------

    def body(self, name: str) -> Node:
        """The body's child of this name. Raises NotAnAnswer."""
        found = self.root.find("Body", name)
        if found is None:
            raise NotAnAnswer("request.no_body", name)
        return found

    def credentials(self) -> tuple[str, str]:
        """OrganId and token: in the header's Signature or Token, else anywhere beside a Token."""
        for one in self.root.walk():
            token, organ = one.find("Token"), one.find("OrganId")
            if token is not None and organ is not None:
                return organ.text, token.text
        token, organ = self.root.anywhere("Token"), self.root.anywhere("OrganId")
        sender = self.root.find("Header", "MessageHeader", "From", "OrganId")
        organ = (self.root.find("Body") and organ) or sender  # the header Token names no organ
        return (organ.text if organ else "", token.text if token else "")

    def files(self) -> list[tuple[Named, Path]]:
        """The files, in the order in which they came. Raises NotAnAnswer for one that did not."""
        came = {named.content_id for named, _ in self._files}
        if missing := [one.name for cid, one in self._named.items() if cid not in came]:
            raise NotAnAnswer("request.part_missing", ", ".join(missing))
        return self._files

    def package_header(self) -> list[Node]:
        """The header blocks of a package that came as one element."""
        reader = TreeReader(stream="AttachmentEncoded")
        if self.package is None:
            return []
        with self.package.open("rb") as source:
            while block := source.read(64 * 1024):
                reader.feed(block)
        header = reader.close().find("edXMLEnvelope", "edXMLHeader")
        return header.children if header is not None else []

    # -- parts -----------------------------------------------------------------------------------

    def begin_part(self, number: int, headers: Headers) -> None:
        if number == 1:
            return
        cid = bare_cid(headers.content_id())
        name = headers.parameter("content-disposition", "filename")
        kind = headers.value("content-type")
        named = self._named.get(cid) or Named(cid, name or cid, kind)
        path = self._place()
        self._sink = path.open("wb")
        self._files.append((named, path))
        declared = headers.value("content-transfer-encoding") == "base64"
        if declared or self._text_parts:
            self._stream = Base64Stream(self._write)

    def part_data(self, piece: bytes) -> None:
        if self._sink is None:
            self._reader.feed(piece)
        elif self._stream is not None:
            self._stream.feed(piece)
        else:
            self._sink.write(piece)

    def end_part(self) -> None:
        if self._sink is None:
            self._envelope()
        else:
            self._shut()

    def _envelope(self) -> None:
        self.root = self._reader.close()
        manifest = self.root.find("Body", "Manifest")
        for one in manifest.children if manifest is not None else ():
            cid = bare_cid(unquote(one.attributes.get("href", "")))
            kind = one.value("ContentType")
            self._named[cid] = Named(cid, one.value("AttachmentName"), kind)

    # -- the package as one element ----------------------------------------------------------------

    def _open(self, above: Node) -> None:
        del above
        self.package = self._place()
        self._sink = self.package.open("wb")
        self._stream = Base64Stream(self._write)

    def _text(self, piece: bytes) -> None:
        if self._stream is not None:
            self._stream.feed(piece)

    def _write(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.write(data)

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        sink, self._sink = self._sink, None
        try:
            if stream is not None:
                stream.close()
        finally:
            if sink is not None:
                sink.close()
