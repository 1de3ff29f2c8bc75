"""Reading and making files that hold a secret.

In:     a path and what it is meant to be.
Out:    its bytes; or a new file of mode 0600, durable when the call returns.
Fails:  Misconfigured, naming the file and the reason.
Never:  puts a byte of the content into an error; follows a name twice (checks what it opened).
Next:   files.py, vault.py, make.py.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import Misconfigured, Text

CREDENTIALS = "CREDENTIALS_DIRECTORY"
_LARGEST = 1 << 20


def refused(path: Path, code: str, vi: str, en: str) -> Misconfigured:
    """`vi`, `en`: the reason; the file's name is put in front."""
    return Misconfigured(Text(f"{path}: {vi}", f"{path}: {en}"), code=code)


def read_private(path: Path, environ: Mapping[str, str] = os.environ) -> bytes:
    """The content of a file that only its owner may read (mode & 0o077 == 0), at most 1 MiB.

    One exception: what systemd put into $CREDENTIALS_DIRECTORY. There a service that is not root
    reads through an ACL, whose mask shows as the group's bit in the mode, while the folder itself
    is closed to everybody else (systemd.exec(5), LoadCredential=).
    """
    return _read(path, environ)


def read_public(path: Path) -> bytes:
    """A certificate file: anybody may read it; at most 1 MiB."""
    return _read(path, None)


def write_private(path: Path, data: bytes) -> None:
    """A new file of mode 0600 under any umask; an existing one is never written over."""
    _write_new(path, data, 0o600)


def write_public(path: Path, data: bytes) -> None:
    """A new file of mode 0644; an existing one is never written over."""
    _write_new(path, data, 0o644)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise refused(
            path, "key.exists", "đã có, không ghi đè", "exists already and is not written over"
        ) from error
    except OSError as error:
        raise refused(
            path,
            "key.unwritable",
            f"không ghi được ({error.strerror})",
            f"cannot be written ({error.strerror})",
        ) from error


def _read(path: Path, private_under: Mapping[str, str] | None) -> bytes:
    # O_NONBLOCK: a pipe in place of a file must be refused, not waited for
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise refused(path, "key.not_a_file", "không phải là tệp", "is not a regular file")
            if private_under is not None:
                _owner_only(path, facts, private_under)
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise refused(
            path,
            "key.unreadable",
            f"không đọc được ({error.strerror})",
            f"cannot be read ({error.strerror})",
        ) from error
    if len(data) > _LARGEST:
        raise refused(path, "key.too_large", "lớn hơn 1 MiB", "is larger than 1 MiB")
    return data


def _owner_only(path: Path, facts: os.stat_result, environ: Mapping[str, str]) -> None:
    credentials = environ.get(CREDENTIALS, "")
    forbidden = 0o077
    if credentials and path.parent.resolve() == Path(credentials).resolve():
        forbidden = 0o037
    if facts.st_mode & forbidden:
        raise refused(
            path,
            "key.readable_by_others",
            f"người dùng khác đọc được (quyền {facts.st_mode & 0o777:04o}); chạy: chmod 600",
            f"others can read it (mode {facts.st_mode & 0o777:04o}); run: chmod 600",
        )
