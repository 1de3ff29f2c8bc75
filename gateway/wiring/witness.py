"""What a witness keeps on its own disk: its key, and of each ledger the largest tree it saw.

In:     a folder; heads to remember.
Out:    the head that was remembered last, on disk before this returns.
Fails:  Misconfigured: another run holds the folder, a file cannot be read; OSError of the disk.
Never:  forgets: a head is replaced by one that was checked against it, in one rename; two notes
        that contradict each other are kept beside it and never written over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from adapters.keys.private import read_private, read_public, refused, write_private, write_public
from gateway.c14n import JsonValue
from gateway.errors import Misconfigured, Text
from gateway.ledger import keys as ledger_keys
from gateway.ledger import succession
from gateway.ledger.cosignature import witness_vkey

KEY, VKEY = "witness.key", "witness.vkey"


@dataclass(frozen=True, slots=True)
class Memory:
    """`key` cosigns; `vkey` is what ledgers are given (`ledger.witnesses`)."""

    folder: Path
    name: str
    key: ed25519.Ed25519PrivateKey
    vkey: str

    def last(self, origin: str) -> str | None:
        """The note remembered of this ledger; None: it was never seen."""
        file = self._file(origin)
        return read_public(file).decode("utf-8", "replace") if file.exists() else None

    def remember(self, origin: str, note: str) -> None:
        """Durable when it returns: nothing is cosigned that could be forgotten."""
        self._put(self._file(origin), note)

    def successors(self, origin: str) -> tuple[ec.EllipticCurvePublicKey, ...]:
        """Keys of this ledger that a key known before handed over to."""
        file = self._file(origin).with_suffix(".vkeys")
        return trusted_keys(file)[1] if file.exists() else ()

    def succeed(
        self,
        origin: str,
        known: tuple[ec.EllipticCurvePublicKey, ...],
        facts: Sequence[Mapping[str, JsonValue]],
    ) -> None:
        """Remember the keys that these changes lead to from a known one. Untrusted: one is forged.

        Only forward: a key that handed over before is not believed again.
        """
        file = self._file(origin).with_suffix(".vkeys")
        lines = read_public(file).decode() if file.exists() else ""
        last = known[-1]
        for one in facts:
            change = succession.read_handover(one, origin)
            if change.old == last:
                last = change.new
                lines += f"{ledger_keys.vkey(origin, last)}\n"
        if lines:
            self._put(file, lines)

    def _put(self, file: Path, text: str) -> None:
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)  # of a run that was cut short
        write_public(part, text.encode())
        part.replace(file)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def convict(self, origin: str, notes: Sequence[str]) -> Path:
        """Keep what contradicts itself: the notes and proofs, one after the other. Its file."""
        text = "\n".join(notes)
        mark = hashlib.sha256(text.encode()).hexdigest()[:16]
        file = self._file(origin).with_suffix(f".{mark}.conviction")
        if not file.exists():
            write_public(file, text.encode())
        return file

    def _file(self, origin: str) -> Path:
        return self.folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.note"


@contextmanager
def open_memory(folder: Path, name: str) -> Iterator[Memory]:
    """One run at a time. The first makes the key, and `witness.vkey` beside it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misconfigured(
                Text(
                    f"{folder}: một lần chạy khác của nhân chứng đang giữ thư mục này",
                    f"{folder}: another run of the witness holds this folder",
                ),
                code="witness.busy",
            ) from None
        key = _key(folder / KEY)
        vkey = witness_vkey(name, key.public_key())
        if not (folder / VKEY).exists():
            write_public(folder / VKEY, f"{vkey}\n".encode())
        yield Memory(folder, name, key, vkey)
    finally:
        os.close(lock)


def trusted_keys(file: Path) -> tuple[str, tuple[ec.EllipticCurvePublicKey, ...]]:
    """Origin and keys of a ledger from its vkey file: one line for each key it ever had."""
    lines = read_public(file).decode("utf-8", "replace").split("\n")
    read = [ledger_keys.parse_vkey(line) for line in lines if line.strip()]
    if not read or len({name for name, _ in read}) != 1:
        raise refused(
            file,
            "ledger.other_key",
            "không phải khóa của đúng một sổ cái",
            "does not hold keys of exactly one ledger",
        )
    return read[0][0], tuple(key for _, key in read)


def seconds() -> int:
    """This machine's clock: what a cosignature says."""
    return int(time.time())


def _key(file: Path) -> ed25519.Ed25519PrivateKey:
    if not file.exists():
        made = ed25519.Ed25519PrivateKey.generate()
        write_private(
            file,
            made.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        return made
    try:
        key = serialization.load_pem_private_key(read_private(file), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # the library's words are about the content of a secret file
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise refused(
            file,
            "witness.key_unfit",
            "không phải khóa Ed25519 của nhân chứng",
            "is not the witness' Ed25519 key",
        )
    return key
