"""One attachment as it arrives: base64 text in, carried bytes and inner file out, as a stream.

In:     the text of ContentTransferEncoded in pieces, as raw bytes or as characters.
Out:    sizes, digests, the media type, the inner file in the sink.
Fails:  never: a bad attachment is marked and told in a finding, the rest of the package goes on.
Never:  holds the file, guesses at broken base64, writes outside the sink it was given.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pybase64

from gateway.errors import Text
from gateway.packing.names import names_a_path
from gateway.packing.sniff import ZIP_MAGIC, Sniffer
from gateway.packing.tally import Tally
from gateway.packing.zipfiles import Unwrapper
from gateway.safexml import Limits

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_BLANKS = b" \t\r\n"
_HELD = 8  # pieces


class Place(Protocol):
    """Where one file goes: what the reader needs of a buffered `BinaryIO` opened for writing."""

    def write(self, data: bytes, /) -> int: ...

    def seek(self, offset: int, /) -> int: ...

    def truncate(self) -> int: ...

    def close(self) -> None: ...


class FileSink(Protocol):
    def open(self, index: int, name: str) -> Place:
        """A place for attachment `index` (from 0); the reader closes it.

        May be asked for the same index again: the earlier content is void. `name` is the best name
        known so far; the final one is in the FileFact. A failed attachment leaves an empty file or
        none.
        """


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    text: Text


class Content:
    """Consumes one ContentTransferEncoded. `name`: None while AttachmentName was not read yet.

    `forced`: True = deliver the entry of the zip, False = the carried bytes, None = find out.
    `before`: bytes unwrapped from the package's earlier attachments, and bytes carried by them.
    """

    def __init__(
        self,
        limits: Limits,
        name: str | None,
        open_sink: Callable[[], Place] | None,
        forced: bool | None = None,
        before: tuple[int, int] = (0, 0),
    ) -> None:
        self.failure: Failure | None = None
        self.padding_missing = False
        self.unwrapped = False
        self.carried = Tally()
        self.inner = Tally()
        self._limits = limits
        self._name = name
        self._open_sink = open_sink
        self._forced = forced
        self._before = before
        self._out: Place | None = None
        self._carry = b""
        self._ended = False
        self._kind = Sniffer()
        self._inner_kind = Sniffer()
        self._unwrapper: Unwrapper | None = None
        self._first = b""
        self._begun = False
        # what the sink got so far: nothing yet ("held": pieces wait for the zip to show itself),
        # the entry of the zip, or the carried bytes
        self._wrote = "held"
        self._held: list[bytes] = []

    def take(self, text: bytes | memoryview) -> bool:
        """Text that stood in the package without markup. False: it holds other than base64.

        Then nothing was consumed, and the XML parser must judge the bytes.
        """
        if self.failure is None and self._decode(text):
            return True
        raw = bytes(text)
        if self.failure is not None:
            return not raw.translate(None, _ALPHABET + _BLANKS)
        if raw.translate(None, _ALPHABET + _BLANKS):
            return False
        packed = raw.translate(None, _BLANKS)
        if packed and not self._decode(packed):
            self._fail_base64()
        return True

    def take_text(self, data: str) -> None:
        """Text as the XML parser gave it (references and CDATA resolved)."""
        if self.failure is not None:
            return
        try:
            raw = data.encode("ascii").translate(None, _BLANKS)
        except UnicodeEncodeError:
            self._fail_base64()
            return
        if raw and not self._decode(raw):
            self._fail_base64()

    def take_bytes(self, data: bytes) -> None:
        """Bytes as they are, of a MIME part that is not base64."""
        if self.failure is None and data:
            self._carried(data)

    def refuse(self, code: str, text: Text) -> None:
        """It cannot be read for a reason that the caller knows."""
        if self.failure is None:
            self._fail(code, text)

    def spoil(self) -> None:
        """Something stood in the content that is no text."""
        if self.failure is None:
            self._fail_base64()

    def pass_over(self) -> None:
        """Not wanted by this reading: consume without decoding."""
        self._fail("attachment.not_read", Text("Không đọc tệp này", "this file is not read"))

    def finish(self, name: str) -> None:
        """The element has ended, and the attachment's name is known."""
        if self.failure is None and self._carry:
            self._finish_padding()
        if self.failure is None and not self._begun:
            self._begin()
        unwrapper = self._unwrapper
        if self.failure is None and unwrapper is not None:
            if unwrapper.blames(name):
                self._fail_limit(unwrapper.violated)
            else:
                self.unwrapped = unwrapper.is_wrapper(name)
        if not self.unwrapped and self._wrote == "held":
            self._write_held()

    def delivered(self) -> bool:
        """Whether the sink holds what the verdict says; if not, the package is read once more."""
        if self._open_sink is None or self._forced is not None or self.failure is not None:
            return True
        return self.unwrapped == (self._wrote != "carried")

    def entry_is_path(self) -> bool:
        """Whether the zip's entry would be written elsewhere by who takes its name for a path."""
        return self._unwrapper is not None and names_a_path(self._unwrapper.entry)

    def kind(self) -> Sniffer:
        return self._inner_kind if self.unwrapped else self._kind

    def close(self) -> None:
        """Ends threads and closes the sink's file; after a failure the file is emptied."""
        self.carried.close()
        self.inner.close()
        if self._out is not None:
            if self.failure is not None:
                self._out.seek(0)
                self._out.truncate()
            self._out.close()
            self._out = None

    def _decode(self, data: bytes | memoryview) -> bool:
        """Strict base64, any number of characters; a rest of up to three waits for more."""
        if self._ended:
            return not data
        carry = self._carry
        start = 0
        head = b""
        if carry:
            start = min(4 - len(carry), len(data))
            head = carry + bytes(data[:start])
            if len(head) < 4:
                return self._keep(head)
        cut = start + (len(data) - start) // 4 * 4
        try:
            first = pybase64.b64decode(head, validate=True) if head else b""
            body = pybase64.b64decode(memoryview(data)[start:cut], validate=True)
        except (binascii.Error, ValueError):
            return False
        ended = len(body) < (cut - start) // 4 * 3
        if len(first) < len(head) // 4 * 3:  # padded: nothing may follow
            if len(data) > start:
                return False
            ended = True
        rest = bytes(data[cut:])
        if rest and ended:
            return False
        if not self._keep(rest):
            return False
        self._ended = ended
        for piece in (first, body):  # joining them would copy the block
            if piece and self.failure is None:
                self._carried(piece)
        return True

    def _keep(self, rest: bytes) -> bool:
        if rest and rest.translate(None, _ALPHABET):
            return False
        self._carry = rest
        return True

    def _finish_padding(self) -> None:
        carry = self._carry
        bare = carry.rstrip(b"=")
        if len(bare) < 2:
            self._fail_base64()
            return
        try:
            decoded = pybase64.b64decode(bare + b"=" * (4 - len(bare)), validate=True)
        except (binascii.Error, ValueError):
            self._fail_base64()
            return
        self.padding_missing = True
        self._carried(decoded)

    def _carried(self, piece: bytes) -> None:
        if self.carried.size + len(piece) > self._limits.attachment_bytes:
            self._fail_limit("attachment_bytes")
            return
        self.carried.update(piece)
        if self._begun:
            self._deliver(piece)
            return
        self._first += piece
        if len(self._first) >= len(ZIP_MAGIC):
            self._begin()

    def _begin(self) -> None:
        """The first four bytes say whether this may be a wrapper."""
        self._begun = True
        piece, self._first = self._first, b""
        if self._open_sink is not None:
            self._out = self._open_sink()
        if piece.startswith(ZIP_MAGIC) and self._forced is not False:
            self._unwrapper = Unwrapper(self._limits, self._name, self._before)
        else:
            self._wrote = "carried"
        self._deliver(piece)

    def _deliver(self, piece: bytes) -> None:
        unwrapper = self._unwrapper
        # what a wrapper is itself nobody asks; if it is none after all, its ends must do
        if unwrapper is None:
            self._kind.feed(piece)
        else:
            self._kind.feed_ends(piece)
        if unwrapper is None:
            if self._wrote == "carried" and self._out is not None:
                self._out.write(piece)
            return
        if self._wrote == "held":
            self._held.append(piece)
            if len(self._held) > _HELD:  # a zip that says nothing for long: assume a wrapper
                self._wrote = "inner"
                self._held.clear()
        for entry in unwrapper.feed(piece):
            self.inner.update(entry)
            self._inner_kind.feed(entry)
            self._wrote = "inner"
            self._held.clear()
            if self._out is not None:
                self._out.write(entry)
        if unwrapper.hopeless and not unwrapper.violated:
            self._unwrapper = None
            if self._wrote == "held":
                self._write_held()

    def _write_held(self) -> None:
        """It is no wrapper, and nothing of it was written: the carried bytes it is."""
        self._wrote = "carried"
        if self._out is not None:
            for piece in self._held:
                self._out.write(piece)
        self._held.clear()

    def _fail_base64(self) -> None:
        self._fail(
            "attachment.base64",
            Text(
                "Nội dung tệp đính kèm không phải base64 hợp lệ",
                "the attachment's content is not valid base64",
            ),
        )

    def _fail_limit(self, limit: str) -> None:
        allowed = getattr(self._limits, limit)
        self._fail(
            f"limit.{limit}",
            Text(
                f"Tệp đính kèm vượt giới hạn {limit} = {allowed}",
                f"the attachment is over the limit {limit} = {allowed}",
            ),
        )

    def _fail(self, code: str, text: Text) -> None:
        self.failure = Failure(code, text)
        self._held.clear()
