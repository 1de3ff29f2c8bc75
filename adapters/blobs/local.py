"""Blobs as files of a local folder: `root/ab/<sha256 hex>`, read-only.

Comes in: bytes and their digest. Goes out: a file that is durable when `keep` returns: the bytes
are synced before the name exists, and the folders that lead to the name are synced after it. So
a name never stands for half a file, whenever the power fails. Fails: Unavailable (disk full, I/O),
Broken (`blob.missing`, `blob.digest`). Never: computes a digest on the way in; the caller did,
while the bytes streamed; `verify` does it again for the doctor and the auditor.

All calls but `peek` block. Concurrent syncs from several threads share the journal's commits by
themselves.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from adapters.blobs.spools import DIGEST, Spools, mapped, missing, require_digest

_MODE = 0o440
_CHUNK = 1 << 18
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# no /proc, a filesystem without links, or a file that lost its last name
_NO_LINK = frozenset({errno.ENOENT, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL})


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, _FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class LocalBlobs:
    """`ports.BlobStore` on one folder, which must lie on one file system. Thread-safe."""

    def __init__(self, root: Path) -> None:
        """Make the folder when it is not there. Raises Unavailable."""
        self._root = root
        spool = root / "spool"
        self._spools = Spools(spool)
        with mapped():
            root.mkdir(parents=True, exist_ok=True, mode=0o750)
            spool.mkdir(exist_ok=True, mode=0o700)
            # one level, made at once: a new blob syncs one folder. Ten million blobs are forty
            # thousand names in each, which the hashed folders of today's file systems carry
            for number in range(256):
                (root / f"{number:02x}").mkdir(exist_ok=True, mode=0o750)
            _sync_folder(root.parent)
            _sync_folder(root)
            self._spools.clear()

    def spool(self) -> BinaryIO:
        """A private file without a name on the same disk: gone with the process."""
        return self._spools.spool()

    def keep(self, spooled: BinaryIO, sha256: str) -> None:
        """Make a spooled file durable under its digest; keeping it twice is harmless.

        The file may still be read afterwards, never written.
        """
        path = self._path(sha256)
        with mapped():
            spooled.flush()
            if self._already_there(path):
                return
            fd = spooled.fileno()
            os.fchmod(fd, _MODE)
            os.fsync(fd)
            self._give_name(path, fd)

    def keep_bytes(self, data: bytes, sha256: str) -> None:
        """`keep` for what already lies in memory."""
        path = self._path(sha256)
        with mapped():
            if self._already_there(path):
                return
            fd = self._spools.unnamed()
            try:
                _write_all(fd, data)
                os.fchmod(fd, _MODE)
                os.fsync(fd)
                self._give_name(path, fd)
            finally:
                os.close(fd)

    def open(self, sha256: str) -> BinaryIO:
        """The bytes, from their beginning. Raises Broken (`blob.missing`)."""
        path = self._path(sha256)
        with mapped():
            try:
                return path.open("rb")
            except FileNotFoundError:
                raise missing(sha256) from None

    def peek(self, sha256: str, size: int) -> bytes | None:
        """The bytes, when the page cache has all of them: Linux tells without reading the disk."""
        try:
            fd = os.open(self._path(sha256), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None  # `open` says what is wrong
        try:
            data = bytearray(size + 1)  # one more: a file that grew is not the blob
            got = os.preadv(fd, [data], 0, os.RWF_NOWAIT)
        except OSError:
            return None
        finally:
            os.close(fd)
        del data[got:]
        return bytes(data) if got == size else None

    def delete(self, sha256: str) -> None:
        """Remove a blob for good; removing one that is not there is harmless."""
        path = self._path(sha256)
        with mapped():
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync_folder(path.parent)

    def delete_older(self, sha256: str, seconds: float) -> bool:
        """Remove a blob unless it was kept (again) within `seconds`; True when it is gone.

        What a sweep decided a moment ago may be wrong by now: another request, or another process
        on this folder, keeps the same bytes and counts on them. Both sides hold the file's own
        lock while they look and act, so either the keeper makes the file young first, or it finds
        it gone and writes it anew. A kill at any point leaves it whole or gone.
        """
        path = self._path(sha256)
        with mapped():
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return True
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                found = os.fstat(fd)
                if not found.st_nlink:
                    return True  # by another sweep; what has the name now is a new file
                if time.time() - found.st_mtime <= seconds:
                    return False
                path.unlink()
            finally:
                os.close(fd)
            _sync_folder(path.parent)
        return True

    def digests(self) -> list[tuple[str, float]]:
        """Every stored digest with the age of its file in seconds (for the sweep)."""
        now = time.time()
        found: list[tuple[str, float]] = []
        with mapped():
            for folder in self._root.glob("[0-9a-f][0-9a-f]"):
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if DIGEST.fullmatch(entry.name):
                            with suppress(FileNotFoundError):  # removed under our eyes
                                found.append((entry.name, now - entry.stat().st_mtime))
        return found

    def verify(self, sha256: str) -> bool:
        """Hash the stored bytes again. Raises Broken (`blob.missing`)."""
        digest = hashlib.sha256()
        with self.open(sha256) as stored, mapped():
            while chunk := stored.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest() == sha256

    def _path(self, sha256: str) -> Path:
        require_digest(sha256)
        return self._root / sha256[:2] / sha256

    def _already_there(self, path: Path) -> bool:
        """True: there, and durable now. Its writer may have been killed before its last sync."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)  # see `delete_older`
            if not os.fstat(fd).st_nlink:
                return False  # removed while we came: written anew
            os.utime(fd)  # young again: the sweep leaves young files alone that have no row yet
            os.fsync(fd)
        finally:
            os.close(fd)
        _sync_folder(path.parent)
        return True

    def _give_name(self, path: Path, fd: int) -> None:
        """Link an unnamed, synced file to its place; durable when this returns."""
        folder = os.open(path.parent, _FOLDER)
        try:
            self._link(path, fd, folder)
            os.fsync(folder)
        finally:
            os.close(folder)

    def _link(self, path: Path, fd: int, folder: int) -> None:
        try:
            # only with a dir_fd does Python use linkat(), and only that follows the /proc link
            os.link(f"/proc/self/fd/{fd}", path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError:
            pass  # another thread kept the same bytes meanwhile
        except OSError as exc:
            if exc.errno not in _NO_LINK:
                raise
            self._copy_into_place(path, fd)

    def _copy_into_place(self, path: Path, fd: int) -> None:
        """Where a file without a name cannot get one: a named copy, synced, then renamed."""
        copy, name = self._spools.named()
        try:
            offset = 0
            while chunk := os.pread(fd, _CHUNK, offset):
                _write_all(copy, chunk)
                offset += len(chunk)
            os.fchmod(copy, _MODE)
            os.fsync(copy)
            name.replace(path)
        except OSError:
            name.unlink(missing_ok=True)
            raise
        finally:
            os.close(copy)


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]
