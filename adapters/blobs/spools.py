"""Spool files, and what every blob store here shares: the shape of a digest, one map of errors.

Comes in: a folder. Goes out: private files without a name, gone with the process. Fails:
Unavailable (disk full, I/O), also from a write into a spool; Broken (`blob.digest`). Never: keeps
anything; a spool becomes durable by `keep` of its store.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gateway import errors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

DIGEST = re.compile(r"[0-9a-f]{64}")
PIECE = 1024 * 1024
PAUSE = 0.005  # seconds
_LEFT_SECONDS = 86_400
_NO_TMPFILE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})


@contextmanager
def mapped() -> Iterator[None]:
    """What the operating system says about a disk, as Unavailable."""
    try:
        yield
    except OSError as exc:
        what = f"{errno.errorcode.get(exc.errno or 0, '?')}: {exc.strerror}"
        raise errors.Unavailable(
            errors.Text(f"Không ghi hoặc đọc được kho tệp: {what}", f"blob store: {what}"),
            code="blob.unavailable",
        ) from exc


def require_digest(sha256: str) -> None:
    """Broken for all but lower-case hex: no digest can lead out of the store's folder."""
    if not DIGEST.fullmatch(sha256):
        raise errors.Broken(
            errors.Text(
                f"Không phải mã băm SHA-256: {sha256[:80]!r}",
                f"not a SHA-256 in lower-case hex: {sha256[:80]!r}",
            ),
            code="blob.digest",
        )


def missing(sha256: str) -> errors.Broken:
    return errors.Broken(
        errors.Text(f"Mất tệp đã lưu {sha256}", f"a stored file is missing: {sha256}"),
        code="blob.missing",
    )


class _Spooled(io.FileIO):
    """A spool that says Unavailable when the disk is full, whoever writes into it.

    A large one goes to the disk while it is being written, and lets others pass after each piece:
    synced in one go at its end, ten mebibytes stand for a tenth of a second in front of every
    commit of the database. Never in the main thread, which is the event loop's.
    """

    _fresh = 0

    def write(self, data: ReadableBuffer, /) -> int:
        with mapped():
            written = super().write(data)
            self._fresh += written
            if self._fresh >= PIECE:
                self._set_out()
        return written

    def _set_out(self) -> None:
        """Begin to write what is fresh; nothing waits for it here, and the pages stay readable."""
        fresh, self._fresh = self._fresh, 0
        with suppress(OSError):  # it is advice: a file system may not want it
            os.posix_fadvise(self.fileno(), self.tell() - fresh, fresh, os.POSIX_FADV_DONTNEED)
        if threading.current_thread() is not threading.main_thread():
            time.sleep(PAUSE)


class Spools:
    """Spool files in one folder, which must be there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def spool(self) -> BinaryIO:
        """A private file without a name: gone with the process."""
        with mapped():
            return io.BufferedRandom(_Spooled(self.unnamed(), "r+b"))

    def unnamed(self) -> int:
        """A descriptor of a new file without a name. Raises OSError."""
        try:
            return os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            if exc.errno not in _NO_TMPFILE:
                raise
        fd, name = self.named()
        name.unlink(missing_ok=True)
        return fd

    def named(self) -> tuple[int, Path]:
        """A new file under a name for moments only. Raises OSError."""
        name = self._folder / secrets.token_hex(16)
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), name

    def clear(self) -> None:
        """Remove what a crash left: spool files have a name for moments only. Raises OSError."""
        for left in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                    left.unlink()
