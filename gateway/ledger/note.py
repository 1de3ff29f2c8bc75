"""C2SP signed notes: a text that people can read, and under it who signed it.

    <text, lines ending in a newline>
    <empty line>
    — <key name> <base64(key ID || signature)>

In: text, a key name, a P-256 key. Out: the note; or the text that a given key vouches for. The
signature is ECDSA P-256 with SHA-256 over the text with its last newline, DER, C2SP type 0x02, key
ID = first 4 bytes of SHA-256 over the SPKI DER (feasibility 9 (b), contract 4). Fails with
`Untrusted` (`note.*`) on reading and with `Broken` (`note.invalid`) when we ourselves try to sign
what no reader would accept. It never decides what a text means: checkpoint.py and receipt.py do,
and their texts cannot be taken for one another (receipt.py says why).
"""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Broken, Text, Untrusted
from gateway.ledger.keys import key_id

MAX_BYTES = 64 * 1024  # ours have about 300; a limit keeps a stranger's note from costing us
MAX_SIGNATURES = 100
_DASH = "— "
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
# RFC 6979: the same text gets the same signature, so repeating a promise never makes a second one.
_ALGORITHM = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def sign_note(text: str, key_name: str, private_key: ec.EllipticCurvePrivateKey) -> str:
    """The note over `text`, which must end in a newline. About 40 microseconds.

    Raises Broken (`note.invalid`): text without a final newline, with an empty last line, a
    control character or a lone surrogate; a key name that is empty or holds white space or a plus.
    """
    if not _is_text(text) or not _NAME.fullmatch(key_name):
        raise Broken(
            Text("Không thể ký văn bản này", "this text cannot be signed as a note"),
            code="note.invalid",
        )
    signature = private_key.sign(text.encode(), _ALGORITHM)
    blob = base64.b64encode(key_id(private_key.public_key()) + signature).decode()
    return f"{text}\n{_DASH}{key_name} {blob}\n"


def verify_note(note: str, key_name: str, public_key: ec.EllipticCurvePublicKey) -> str:
    """The text of `note`, once a signature by this name and this key over it has verified.

    Lines of other signers (witnesses) are ignored, as C2SP demands. Raises Untrusted:
    `note.malformed`, `note.unsigned` (no line by this name and key), `note.forged` (a line by this
    name and key that does not verify).
    """
    text, lines = split_note(note)
    wanted = key_id(public_key)
    found = False
    for name, blob in lines:
        if name != key_name or blob[:4] != wanted:
            continue
        found = True
        try:
            public_key.verify(blob[4:], text.encode(), _ALGORITHM)
        except InvalidSignature as error:
            raise _untrusted("forged", "chữ ký không đúng", "a signature is wrong") from error
    if not found:
        raise _untrusted(
            "unsigned", f"không có chữ ký của {key_name}", f"not signed by {key_name} with this key"
        )
    return text


def split_note(note: str) -> tuple[str, tuple[tuple[str, bytes], ...]]:
    """Text and signature lines (name, key ID || signature); nothing is verified.

    Raises Untrusted (`note.malformed`). Base64 must be canonical: no two spellings of one note.
    """
    body, gap, tail = note.rpartition("\n\n")
    text = body + "\n"
    lines = tail.split("\n")
    if (
        not gap
        or lines.pop() != ""
        or not 0 < len(lines) <= MAX_SIGNATURES
        or len(note) > MAX_BYTES
        or not _is_text(text)
    ):
        raise _malformed()
    return text, tuple(_signature(line) for line in lines)


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _NAME.fullmatch(name):
        raise _malformed()
    blob = decode_base64(encoded)
    if len(blob) < 5:
        raise _malformed()
    return name, blob


def decode_base64(encoded: str) -> bytes:
    """Canonical standard base64 only; Untrusted (`note.malformed`) for any other spelling."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed() from error
    if base64.b64encode(data).decode() != encoded:
        raise _malformed()
    return data


def _is_text(text: str) -> bool:
    """C2SP: UTF-8, no control characters but the newline, which also ends it; no empty end."""
    if not text.endswith("\n") or text.endswith("\n\n") or text == "\n":
        return False
    if _CONTROL.search(text):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _malformed() -> Untrusted:
    return _untrusted("malformed", "không đúng dạng ghi chú có ký", "this is not a signed note")


def _untrusted(what: str, vi: str, en: str) -> Untrusted:
    return Untrusted(Text(f"Ghi chú có ký: {vi}", f"signed note: {en}"), code=f"note.{what}")
