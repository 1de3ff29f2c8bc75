"""Bodies coming in: multipart forms and ready-made packages, streamed, hashed, kept nowhere yet.

In:     a POST whose body is multipart/form-data (RFC 7578) or application/edxml+xml.
Out:    a Submission whose attachments can be opened again and again; or a spooled package.
Fails:  Malformed, WrongMedia, TooLarge, Stalled; whatever the judge of the metadata raises.
Never:  reads a file byte before the metadata was judged; leaves anything behind: memory and an
        unlinked spool go with the request, however it ends.

Small uploads stay in memory (`memory_upload_bytes`, all files of the request together). Beyond,
everything moves to one private spool, written in blocks by a thread, one window for each file.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import BinaryIO

from multipart import (  # type: ignore[import-untyped]  # one file, annotated, without py.typed
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from gateway.api.asking import pieces, too_large
from gateway.api.deps import Call
from gateway.api.filenames import file_name
from gateway.api.problems import Malformed, WrongMedia
from gateway.errors import Finding, Rejected, Severity, Text, Unavailable
from gateway.model.submission import Attachment, Submission
from gateway.ports import BlobStore

FORM = "multipart/form-data"
PACKAGE = "application/edxml+xml"
BLOCK = 1024 * 1024
READ_AHEAD = 256 * 1024
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046, 5.1.1
_UNCODED = ("", "7bit", "8bit", "binary")  # RFC 7578, 4.7: no transfer encoding in forms
_METADATA_TYPES = (None, "application/json", "text/plain")

Judge = Callable[[bytes], Submission]


class Window(io.RawIOBase):
    """One stretch of a spool with a descriptor and a position of its own (pread)."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__()
        self._descriptor = os.dup(descriptor)
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed names its own Buffer
        left = max(0, self._size - self._position)
        view = memoryview(buffer)[:left]
        got = os.preadv(self._descriptor, [view], self._start + self._position) if left else 0
        self._position += got
        return got

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class Hold:
    """Where the bytes of one request lie until it is answered. `close` lets go of them."""

    def __init__(self, blobs: BlobStore, in_memory: int) -> None:
        self.size = 0
        self._blobs = blobs
        self._in_memory = in_memory
        self._fresh: list[bytes] = []  # everything, or with a spool what is not yet in it
        self._fresh_size = 0
        self._spool: BinaryIO | None = None

    async def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._fresh.append(piece)
        self._fresh_size += len(piece)
        if self._spool is None and self.size > self._in_memory:
            self._spool = await asyncio.to_thread(self._blobs.spool)
        if self._spool is not None and self._fresh_size >= BLOCK:
            await self._write(self._spool)

    async def settle(self) -> None:
        """Everything added can be read from now on."""
        if self._spool is not None:
            await self._write(self._spool)

    def opener(self, start: int, size: int) -> Callable[[], BinaryIO]:
        """Readers over one stretch, as many as wanted, until `close`. After `settle` only."""
        if self._spool is None:
            whole = self._fresh[0] if len(self._fresh) == 1 else b"".join(self._fresh)
            self._fresh = [whole]
            content = whole if size == len(whole) else whole[start : start + size]
            return lambda: io.BytesIO(content)
        spool = self._spool  # asked for its number each time: a closed one has none any more
        return lambda: io.BufferedReader(Window(spool.fileno(), start, size), READ_AHEAD)

    async def _write(self, spool: BinaryIO) -> None:
        fresh, self._fresh, self._fresh_size = self._fresh, [], 0
        await asyncio.to_thread(_write_all, spool, fresh)

    async def close(self) -> None:
        self._fresh = []
        if self._spool is not None:
            await asyncio.to_thread(self._spool.close)


def _write_all(spool: BinaryIO, fresh: list[bytes]) -> None:
    try:
        spool.writelines(fresh)
        spool.flush()
    except OSError as error:
        raise Unavailable(
            Text(
                f"Không ghi được dữ liệu tạm: {error.strerror}",
                f"the upload cannot be spooled: {error.strerror}",
            ),
            code="spool.unavailable",
        ) from error


class _Part:
    """The part that is being read."""

    def __init__(self, name: str, start: int, file_name: str = "") -> None:
        self.name = name
        self.start = start
        self.file_name = file_name
        self.size = 0
        self.hash = hashlib.sha256()


class Form:
    """Reads one multipart form: `metadata` first and once, then any number of parts `file`."""

    def __init__(self, call: Call, hold: Hold, judge: Judge) -> None:
        self._call = call
        self._limits = call.deps.limits
        self._hold = hold
        self._judge = judge
        self._metadata = bytearray()
        self._submission: Submission | None = None
        self._files: list[tuple[str, int, int, str]] = []
        self._nameless: list[Finding] = []
        self._part: _Part | None = None

    async def read(self) -> Submission:
        parser = PushMultipartParser(_boundary(self._call), max_header_size=8192)
        try:
            async for piece in pieces(self._call, "body_bytes", self._limits.body_bytes):
                for event in parser.parse(piece):
                    if isinstance(event, MultipartSegment):
                        self._part = self._begin(event)
                    elif event is None:
                        self._end()
                    else:
                        await self._take(event)
        except MultipartError as error:
            raise _unparsed(error) from None
        try:
            parser.close()
        except MultipartError:
            raise _malformed(
                "multipart.malformed",
                "Dữ liệu multipart kết thúc trước ranh giới cuối cùng",
                "the multipart body ends before its last boundary",
            ) from None
        if self._submission is None:
            raise _malformed(
                "multipart.no_metadata", "Thiếu phần metadata", "the part `metadata` is missing"
            )
        if self._nameless:
            raise Malformed(
                Text("Có tệp không có tên", "a file has no name"),
                code="multipart.no_file_name",
                findings=tuple(self._nameless),
            )
        await self._hold.settle()
        return replace(
            self._submission,
            files=tuple(
                Attachment(name, size, digest, self._hold.opener(start, size))
                for name, start, size, digest in self._files
            ),
        )

    def _begin(self, segment: MultipartSegment) -> _Part:
        name = segment.name or ""
        _check_coding(segment)
        if self._submission is None and name != "metadata":
            raise _malformed(
                "multipart.metadata_first",
                "Phần metadata phải đứng đầu, trước mọi tệp",
                "the part `metadata` must come first, before any file",
            )
        if self._submission is None:
            _check_metadata_type(segment)
            return _Part(name, 0)
        if name == "metadata":
            raise _malformed(
                "multipart.metadata_twice",
                "Phần metadata chỉ được xuất hiện một lần",
                "the part `metadata` may come only once",
            )
        if name != "file":
            shown = name[:60]
            raise _malformed(
                "multipart.unknown_part",
                f"Không có phần nào tên {shown!r}: chỉ nhận metadata và file",
                f"there is no part {shown!r}: only `metadata` and `file` are taken",
            )
        index = len(self._files)
        if index >= self._limits.attachments:
            raise too_large("attachments", self._limits.attachments)
        called = file_name(str(segment.header("Content-Disposition", "")), segment.filename)
        if not called:
            self._nameless.append(
                Finding(
                    f"files[{index}].name",
                    "multipart.no_file_name",
                    Severity.ERROR,
                    Text(
                        "Tệp này không có tên: thiếu filename hoặc filename* đọc được",
                        "this file has no name: no filename, or filename* that can be read",
                    ),
                )
            )
        return _Part(name, self._hold.size, called)

    async def _take(self, data: bytes) -> None:
        part = self._part
        if part is None or part.name == "metadata":
            self._metadata += data
            if len(self._metadata) > self._limits.metadata_bytes:
                raise too_large("metadata_bytes", self._limits.metadata_bytes)
            return
        part.hash.update(data)
        part.size += len(data)
        await self._hold.add(data)

    def _end(self) -> None:
        part = self._part
        if part is None or part.name == "metadata":
            self._submission = self._judge(bytes(self._metadata))
            return
        self._files.append((part.file_name, part.start, part.size, part.hash.hexdigest()))


@asynccontextmanager
async def spooled_package(call: Call) -> AsyncIterator[BinaryIO]:
    """The raw body in a private spool, which is gone when the block ends, however it ends."""
    spool = await asyncio.to_thread(call.deps.blobs.spool)
    fresh: list[bytes] = []
    fresh_size = 0
    try:
        async for piece in pieces(call, "body_bytes", call.deps.limits.body_bytes):
            fresh.append(piece)
            fresh_size += len(piece)
            if fresh_size >= BLOCK:
                await asyncio.to_thread(_write_all, spool, fresh)
                fresh, fresh_size = [], 0
        await asyncio.to_thread(_write_all, spool, fresh)
        yield spool
    finally:
        await asyncio.to_thread(spool.close)


def _boundary(call: Call) -> str:
    _, options = parse_options_header(call.request.headers.get("Content-Type", ""))
    boundary = str(options.get("boundary", ""))
    if not _BOUNDARY.fullmatch(boundary):
        raise _malformed(
            "multipart.no_boundary",
            "Content-Type thiếu boundary hoặc boundary không hợp lệ",
            "Content-Type has no boundary, or one that is not allowed",
        )
    return boundary


def _check_coding(segment: MultipartSegment) -> None:
    coding = str(segment.header("Content-Transfer-Encoding", "")).strip().lower()
    if coding not in _UNCODED:
        raise WrongMedia(
            Text(
                "Không nhận Content-Transfer-Encoding trong biểu mẫu",
                "no Content-Transfer-Encoding is taken in a form (RFC 7578, 4.7)",
            ),
            code="multipart.encoding",
        )


def _check_metadata_type(segment: MultipartSegment) -> None:
    charset = (segment.charset or "utf-8").lower()
    if segment.content_type not in _METADATA_TYPES or charset not in ("utf-8", "utf8", "us-ascii"):
        raise WrongMedia(
            Text(
                "metadata phải là application/json, mã UTF-8",
                "`metadata` must be application/json in UTF-8",
            ),
            code="multipart.metadata_type",
        )


def _unparsed(error: MultipartError) -> Rejected:
    """In our own words: those of the parser speak of its inside."""
    if isinstance(error, ParserLimitReached):
        return _malformed(
            "multipart.malformed",
            "Tiêu đề của một phần trong biểu mẫu quá dài",
            "the headers of a part of the form are too long",
        )
    if any(isinstance(cause, UnicodeDecodeError) for cause in error.args):
        return _malformed(
            "multipart.malformed",
            "Tên tệp hoặc tiêu đề của một phần không phải UTF-8",
            "a file name or another header of a part is not UTF-8",
        )
    return _malformed(
        "multipart.malformed",
        "Dữ liệu multipart không đúng dạng (RFC 7578): ranh giới hoặc tiêu đề của một phần sai",
        "the multipart body is malformed (RFC 7578): a boundary or a part's header is wrong",
    )


def _malformed(code: str, vi: str, en: str) -> Rejected:
    return Malformed(Text(vi, en), code=code)
