"""What a checkpoint says of those before it: extension lines of C2SP tlog-checkpoint.

    previous <size> <base64 SHA-256 of the note before it in this epoch>
    stamp <epoch> <size> <base64 SHA-256 of the token>
    cosignature <epoch> <size> <witness> <base64 SHA-256 of the line>

In: the checkpoint before, what came meanwhile. Out: lines that are signed with the root; and back.
Fails with `Untrusted` (`checkpoint.malformed`). It never looks for what the lines name:
audit/lineage.py does.

`previous` stands in every checkpoint but those made before there were such lines: the first of an
epoch names 0 and the SHA-256 of nothing. So none can go without the next one missing it. Each stamp
and each cosignature is named once, by the first checkpoint that is made after it came.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from gateway.errors import Text, Untrusted
from gateway.ledger.checkpoint import parse_head
from gateway.ledger.note import decode_base64, split_note

PREVIOUS = "previous"
STAMP = "stamp"
COSIGNATURE = "cosignature"
MOST = 100  # lines of a checkpoint about stamps and cosignatures; what is left the next one names
NOTHING = hashlib.sha256().digest()
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Known(NamedTuple):
    """A stamp (`witness` "") or a cosignature, over the checkpoint of `size` entries.

    `digest`: SHA-256 of the token, or of the line as it stands under a note, without its newline.
    """

    kind: str
    epoch: int
    size: int
    witness: str
    digest: bytes

    @property
    def path(self) -> str:
        """As findings name it."""
        last = f"witness/{self.witness}" if self.kind == COSIGNATURE else "stamp"
        return f"epoch/{self.epoch}/checkpoint/{self.size}/{last}"


class Lineage(NamedTuple):
    """`size`, `digest`: of the checkpoint before; 0 and the SHA-256 of nothing: there is none."""

    size: int
    digest: bytes
    known: tuple[Known, ...] = ()


def note_before(size: int, note: str, known: Iterable[Known] = ()) -> Lineage:
    """That of a checkpoint behind this one."""
    return Lineage(size, hashlib.sha256(note.encode()).digest(), tuple(known))


def lines(said: Lineage) -> tuple[str, ...]:
    return (
        f"{PREVIOUS} {said.size} {_text(said.digest)}",
        *(" ".join(_words(one)) for one in said.known),
    )


def read_lineage(note: str) -> Lineage | None:
    """None: it says nothing, as checkpoints did before. Other lines than these are passed over.

    Untrusted: `checkpoint.malformed`, `note.malformed`.
    """
    before, known = None, []
    for line in parse_head(split_note(note)[0]).extensions:
        kind, *rest = line.split(" ")
        match kind, rest:
            case "previous", [size, digest] if before is None:
                before = Lineage(_number(size), _digest(digest))
            case "stamp", [epoch, size, digest]:
                known.append(Known(kind, _number(epoch), _number(size), "", _digest(digest)))
            case "cosignature", [epoch, size, witness, digest]:
                known.append(Known(kind, _number(epoch), _number(size), witness, _digest(digest)))
            case (("previous" | "stamp" | "cosignature"), _):
                raise _malformed()
    if before is None:
        if known:
            raise _malformed()
        return None
    return before._replace(known=tuple(known))


def _words(one: Known) -> list[str]:
    named = [one.witness] if one.kind == COSIGNATURE else []
    return [one.kind, str(one.epoch), str(one.size), *named, _text(one.digest)]


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise _malformed()
    return int(text)


def _digest(text: str) -> bytes:
    digest = decode_base64(text)
    if len(digest) != 32:
        raise _malformed()
    return digest


def _malformed() -> Untrusted:
    return Untrusted(
        Text(
            "Điểm kiểm soát nói về các điểm trước nó không đúng dạng",
            "what the checkpoint says of those before it is malformed",
        ),
        code="checkpoint.malformed",
    )
