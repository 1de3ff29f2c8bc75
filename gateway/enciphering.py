"""The files of one package, encrypted for its receivers: where a route of conf says so.

In:     routes, the submission; certificates and keys from the wiring.
Out:    findings before anything is kept; files in place of files, the same on each reading.
Fails:  Broken, when xmlsec does what it promised not to.
Never:  lets a file go plain on a route that encrypts; encrypts two files at a time (xmlsec works in
        memory, `[encryption] max_bytes` bounds one of them).
Next:   ciphering/__init__.py says how such a file stands in a package.
"""

from __future__ import annotations

import hashlib
import io
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import BinaryIO

from cryptography import x509

from gateway.ciphering import form, receivers
from gateway.ciphering.decrypt import too_large
from gateway.ciphering.encrypt import encrypt
from gateway.errors import Finding, Severity, Text
from gateway.model.submission import Attachment, AxisRoute, Submission
from gateway.packing.sniff import HEAD, sniff

IN_MEMORY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Encryption:
    """`certificates`: by the agency's key in the directory. `new_key`: 32 random bytes, afresh."""

    certificates: Mapping[str, x509.Certificate]
    max_bytes: int
    key_of: Callable[[str], str]
    new_key: Callable[[], bytes] = field(repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def findings(
        self, submission: Submission, routes: Sequence[AxisRoute], at: datetime
    ) -> tuple[Finding, ...]:
        """Every receiver that cannot be encrypted for, every file that is too large or empty."""
        asked = {code for route in routes if route.encrypt for code in route.receivers}
        if not asked:
            return ()
        found: list[Finding] = []
        for number, organ in enumerate(submission.header.to):
            if organ.organ_id in asked:
                known = self.certificates.get(self.key_of(organ.organ_id))
                path = f"to[{number}].organ_id"
                found += receivers.judge(organ.organ_id, known, at, path)
        return (*found, *size_findings(submission.files, self.max_bytes))

    @contextmanager
    def files(
        self, submission: Submission, route: AxisRoute, spool: Callable[[], BinaryIO]
    ) -> Iterator[tuple[Attachment, ...]]:
        """The files as this route carries them; what is encrypted is gone after the block."""
        if not route.encrypt:
            yield submission.files
            return
        them = [
            receivers.Receiver(code, self.certificates[self.key_of(code)])
            for code in route.receivers
        ]
        with ExitStack() as stack:
            made = []
            for file in submission.files:
                with self._turn:
                    data = encrypted(file, them, self.new_key())
                made.append(_kept(file, data, spool, stack))
                del data
            yield tuple(made)


def size_findings(files: Sequence[Attachment], max_bytes: int) -> tuple[Finding, ...]:
    found = []
    for number, file in enumerate(files):
        if file.size > max_bytes:
            found.append(too_large(f"files[{number}]", file.size, max_bytes))
        if not file.size:
            text = Text("Tệp rỗng không mã hóa được", "an empty file cannot be encrypted")
            path = f"files[{number}]"
            found.append(Finding(path, "encryption.empty", Severity.ERROR, text))
    return tuple(found)


def encrypted(file: Attachment, them: Sequence[receivers.Receiver], key: bytes) -> bytes:
    """One file as EncryptedData, in memory."""
    with file.open() as source:
        data = source.read()
    name = unicodedata.normalize("NFC", file.name).strip()
    kind = sniff(data[:HEAD])
    return encrypt(data, name=name, media_type=kind, receivers=them, key=key)


def carried(file: Attachment, data: bytes, opener: Callable[[], BinaryIO]) -> Attachment:
    """The attachment that stands in the package in place of `file`."""
    return replace(
        file,
        name=unicodedata.normalize("NFC", file.name).strip() + form.EXTENSION,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        open=opener,
    )


def _kept(
    file: Attachment, data: bytes, spool: Callable[[], BinaryIO], stack: ExitStack
) -> Attachment:
    if len(data) <= IN_MEMORY:
        return carried(file, data, partial(io.BytesIO, data))
    kept = stack.enter_context(spool())
    kept.write(data)
    return carried(file, data, partial(_reader, kept))


def _reader(kept: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Again(kept))


class _Again(io.RawIOBase):
    """The whole of a spool once more; closing it leaves the spool open. One reader at a time."""

    def __init__(self, kept: BinaryIO) -> None:
        super().__init__()
        self._kept = kept
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed names its own Buffer
        self._kept.seek(self._position)
        data = self._kept.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
