"""What a witness puts under a checkpoint: C2SP tlog-cosignature, cosignature/v1 (Ed25519).

    cosignature/v1                 what is signed
    time <seconds since 1970>
    <the checkpoint's text>

In: a checkpoint's text, a witness' name and key, seconds. Out: one line for the note, and back. It
says: of all trees of this origin that I ever saw, this is the largest, and it holds the others.
Key ID = first 4 bytes of SHA-256(name, newline, 0x04, public key); the blob of the line is key ID,
eight bytes of time (big-endian), 64 of signature. Fails with `Untrusted` (`cosignature.*`,
`note.malformed`), `Misconfigured` (`witness.key_unfit`) for a vkey that is none. It never decides
whether a tree may be cosigned: witness.py does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import Misconfigured, Text, Untrusted
from gateway.ledger.note import split_note

_TYPE = b"\x04"
_DASH = "— "
_NAME = re.compile(r"[^\s+]{1,200}")


class Witness(NamedTuple):
    """Whose cosignatures are believed."""

    name: str
    key: ed25519.Ed25519PublicKey


class Cosignature(NamedTuple):
    """`line`: as it stands in the note, without its newline. `time`: seconds since 1970, UTC."""

    witness: str
    time: int
    line: str


def witness_vkey(name: str, key: ed25519.Ed25519PublicKey) -> str:
    """`<name>+<hex key ID>+<base64(0x04 || key)>`. Misconfigured: the name holds blank or plus."""
    if not _NAME.fullmatch(name):
        raise _unfit()
    data = _TYPE + _raw(key)
    return f"{name}+{_key_id(name, key).hex()}+{base64.b64encode(data).decode()}"


def parse_witness_vkey(text: str) -> Witness:
    """The inverse. Misconfigured (`witness.key_unfit`): another type, a wrong key ID."""
    name, _, rest = text.strip().partition("+")
    hex_id, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
        key = ed25519.Ed25519PublicKey.from_public_bytes(data[1:])
    except (binascii.Error, ValueError) as error:
        raise _unfit() from error
    if data[:1] != _TYPE or not _NAME.fullmatch(name) or _key_id(name, key).hex() != hex_id:
        raise _unfit()
    return Witness(name, key)


def cosign(text: str, name: str, key: ed25519.Ed25519PrivateKey, time: int) -> Cosignature:
    """The same inputs give the same line."""
    public = key.public_key()
    blob = _key_id(name, public) + time.to_bytes(8, "big") + key.sign(_signed(text, time))
    line = f"{_DASH}{name} {base64.b64encode(blob).decode()}"
    return Cosignature(name, time, line)


def cosignatures_in(note: str, witnesses: tuple[Witness, ...]) -> tuple[Cosignature, ...]:
    """Those under `note` by these witnesses, in its order; other lines are passed over.

    Untrusted: `note.malformed`; `cosignature.forged`: one by a known name and key does not verify.
    """
    text, lines = split_note(note)
    known = {(w.name, _key_id(w.name, w.key)): w.key for w in witnesses}
    found = []
    for name, blob in lines:
        key = known.get((name, blob[:4]))
        if key is None:
            continue
        time = int.from_bytes(blob[4:12], "big")
        try:  # a blob of another length has no signature of 64 bytes at its end
            key.verify(blob[12:], _signed(text, time))
        except InvalidSignature as error:
            raise Untrusted(
                Text(
                    f"Chữ ký của nhân chứng {name} không đúng",
                    f"the cosignature of witness {name} is wrong",
                ),
                code="cosignature.forged",
            ) from error
        found.append(Cosignature(name, time, f"{_DASH}{name} {base64.b64encode(blob).decode()}"))
    return tuple(found)


def told_in(note: str) -> tuple[Cosignature, ...]:
    """What every line under `note` says of itself; nothing is verified, the ledger's own is there.

    Untrusted: `note.malformed`.
    """
    return tuple(
        Cosignature(
            name,
            int.from_bytes(blob[4:12], "big"),
            f"{_DASH}{name} {base64.b64encode(blob).decode()}",
        )
        for name, blob in split_note(note)[1]
    )


def cosigned(note: str, lines: tuple[str, ...]) -> str:
    """The note with these lines under it."""
    return note + "".join(f"{line}\n" for line in lines)


def _signed(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _key_id(name: str, key: ed25519.Ed25519PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _TYPE + _raw(key)).digest()[:4]


def _raw(key: ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _unfit() -> Misconfigured:
    return Misconfigured(
        Text(
            "Khóa của nhân chứng phải có dạng <tên>+<mã>+<khóa Ed25519>",
            "a witness' key is <name>+<key ID>+<Ed25519 key>",
        ),
        code="witness.key_unfit",
    )
