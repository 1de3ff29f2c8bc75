"""A parcel as a request body that knows how much of it was handed to the connection.

In:     a `Parcel`, and how its bytes look on the wire: as they are, or wrapped by a `Form`.
Out:    bytes on an aiohttp connection.
Fails:  what our own side raises is kept in `fault`, so that it is never the remote's.
Never:  hands over the last piece before size and digest of the whole are right and the lease is
        still ours: nothing but the recorded bytes can ever be complete at an axis.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol

from aiohttp import Payload
from aiohttp.abc import AbstractStreamWriter

from gateway.errors import Broken, Text, Unavailable
from gateway.model.outcome import Deferred
from gateway.ports import Parcel


class Form(Protocol):
    """How a package looks on the wire. Made anew for each attempt."""

    def take(self, chunk: bytes) -> bytes:
        """What these bytes of the package become; b"" while nothing can be said yet."""

    def finish(self) -> bytes:
        """The rest. Never b"": it is the piece without which nothing is whole."""


class _Stopped(Exception):
    """Ends the writing task before its last chunk."""


class Cargo(Payload):
    """A parcel as a request body, which knows how much of it was handed to the connection.

    The last chunk is kept back until size and digest of the whole are right and the lease is
    still ours; `handed_over` is set the moment before it goes. Without `size` the body is chunked.
    """

    def __init__(
        self, parcel: Parcel, content_type: str, form: Form | None = None, size: int | None = None
    ) -> None:
        super().__init__(parcel, content_type=content_type)
        self._size = parcel.size if form is None else size
        self._parcel = parcel
        self._form = form
        self._read = 0
        self._task: asyncio.Task[object] | None = None
        self._transport: asyncio.BaseTransport | None = None
        self.handed_over = False
        self.settled = False  # set by the caller: an answer was read to its end
        self.lease_lost = False
        self.fault: BaseException | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError(f"a package is bytes, not text ({encoding}, {errors})")

    def withheld(self) -> Deferred | None:
        """Why it never left whole, where that is for us to mend; None: it is the axis' to answer.

        Raises what our own side raised otherwise.
        """
        if isinstance(self.fault, Unavailable):
            # our own store could not give the bytes: the last ones never left, so there is no doubt
            return Deferred(self.fault.code, self.fault.text.en)
        if self.fault is not None:
            raise self.fault
        if self.lease_lost:
            return Deferred("lease.lost", "the attempt's lease went to another worker")
        return None

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        del content_length  # always the parcel's size
        self._task = asyncio.current_task()
        self._transport = getattr(writer, "transport", None)
        digest = hashlib.sha256()
        source = self._parcel.chunks()
        try:
            kept = b""
            while (chunk := await self._next(source)) is not None:
                digest.update(chunk)
                self._read += len(chunk)
                piece = self._formed(chunk)
                if not piece:
                    continue
                if kept:
                    await self._hand(writer, kept)
                kept = piece
            await self._before_last(digest.hexdigest())
            if self._form is not None:
                kept += self._rest()
            if self._transport is not None and self._transport.is_closing():
                raise ConnectionResetError("closed before the last chunk")
            self.handed_over = True
            await writer.write(kept)
        finally:
            if aclose := getattr(source, "aclose", None):
                await aclose()
            self._task = None

    async def _next(self, source: AsyncIterator[bytes]) -> bytes | None:
        with _Ours(self):
            return await anext(source, None)

    def _formed(self, chunk: bytes) -> bytes:
        if self._form is None:
            return chunk
        with _Ours(self):
            return self._form.take(chunk)

    def _rest(self) -> bytes:
        with _Ours(self):
            return self._form.finish() if self._form is not None else b""

    async def _hand(self, writer: AbstractStreamWriter, piece: bytes) -> None:
        if self._read > self._parcel.size:
            with _Ours(self):
                raise damaged(self._parcel)
        await writer.write(piece)

    async def _before_last(self, sha256: str) -> None:
        with _Ours(self):
            if self._read != self._parcel.size or sha256 != self._parcel.sha256:
                raise damaged(self._parcel)
            if await self._parcel.still_mine():
                return
        self.lease_lost = True
        raise _Stopped

    async def stop(self) -> None:
        """Ends the attempt: after this, nothing of an unsettled one is still on its way.

        Bytes in the connection's buffer would otherwise be flushed after the deadline, when the
        lease is no longer ours.
        """
        if not self.settled and isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


def damaged(parcel: Parcel) -> Broken:
    """What is stored is not what was recorded."""
    return Broken(
        Text(
            f"Gói tin lưu trữ của {parcel.transfer_id} không còn nguyên vẹn",
            f"the stored package of {parcel.transfer_id} is not what was recorded",
        ),
        code="blob.damaged",
    )


class _Ours:
    """Marks an exception as our own side's, so that it is never taken for the remote's fault."""

    def __init__(self, cargo: Cargo) -> None:
        self._cargo = cargo

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._cargo.fault = error
