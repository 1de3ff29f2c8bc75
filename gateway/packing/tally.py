"""SHA-256 and size of a stream, taken beside the caller once the stream is long.

In:     pieces of bytes, never changed afterwards.
Out:    lower-case hex digest and size.
Fails:  never.
Never:  starts a thread for a small document.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from queue import SimpleQueue

_ALONE = 1024 * 1024  # below this a thread costs more than it saves
_AHEAD = 4  # pieces in flight: bounds memory
_SMALL = 16 * 1024  # smaller pieces travel together: each journey costs as much as hashing this


class Tally:
    def __init__(self) -> None:
        self.size = 0
        self._sha = hashlib.sha256()
        self._beside: _Beside | None = None
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    def update(self, data: bytes) -> None:
        self.size += len(data)
        if self._beside is None:
            if self.size <= _ALONE:
                self._sha.update(data)
                return
            self._beside = _Beside(self._sha.update)
        if len(data) >= _SMALL:
            self._flush(self._beside)
            self._beside.give(data)
            return
        self._waiting.append(data)
        self._waiting_size += len(data)
        if self._waiting_size >= _SMALL:
            self._flush(self._beside)

    def hexdigest(self) -> str:
        if self._beside is not None:
            self._flush(self._beside)
        self.close()
        return self._sha.hexdigest()

    def _flush(self, beside: _Beside) -> None:
        if self._waiting:
            beside.give(b"".join(self._waiting))
            self._waiting.clear()
            self._waiting_size = 0

    def close(self) -> None:
        """Ends the worker; call it on the way out of a failure too."""
        if self._beside is not None:
            self._beside.close()
            self._beside = None


class _Beside:
    """One thread that takes pieces in order; hashlib lets go of the interpreter lock meanwhile.

    Two plain queues cost a tenth of an executor's futures.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._todo: SimpleQueue[bytes | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._given = 0
        self._thread = threading.Thread(target=self._work, name="tally", daemon=True)
        self._thread.start()

    def give(self, data: bytes) -> None:
        if self._given < _AHEAD:
            self._given += 1
        else:
            self._done.get()
        self._todo.put(data)

    def close(self) -> None:
        self._todo.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (data := self._todo.get()) is not None:
            self._take(data)
            self._done.put(None)
