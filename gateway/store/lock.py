"""One gateway process on one SQLite database (architecture 6), by a lock on a file beside it.

The kernel gives the lock back when its holder ends, however it ends. So holding it proves that
the process before us is dead, and that its SENDING rows are nobody's. Never waits.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway import errors


class DatabaseLock:
    """Held from construction until `release` or the end of the process."""

    def __init__(self, database: Path) -> None:
        """Take the lock.

        Raises Misconfigured: `store.locked` when another process holds it, `store.lock_file` when
        there is no place for it.
        """
        path = database.with_name(database.name + ".lock")
        # never removed: a second process could lock the removed file while a third makes a new one
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise errors.Misconfigured(
                errors.Text(
                    f"Không tạo được tệp khóa {path}: {exc.strerror}",
                    f"cannot make the lock file {path}: {exc.strerror}",
                ),
                code="store.lock_file",
            ) from exc
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise errors.Misconfigured(
                errors.Text(
                    f"Cơ sở dữ liệu {database} đang được tiến trình {holder or '?'} sử dụng",
                    f"{database} is in use by process {holder or '?'}",
                ),
                code="store.locked",
            ) from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())  # for people; only the lock counts

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.release()
