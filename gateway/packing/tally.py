"""SHA-256 and size of a stream, taken beside the caller once the stream is long.

In:     pieces of bytes, never changed afterwards.
Out:    lower-case hex digest and size.
Fails:  never.
Never:  starts a thread for a small document.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

_ALONE = 1024 * 1024  # below this a thread costs more than it saves
_AHEAD = 4  # pieces in flight: bounds memory


class Tally:
    def __init__(self) -> None:
        self.size = 0
        self._sha = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[None]] = deque()

    def update(self, data: bytes) -> None:
        self.size += len(data)
        if self._pool is None:
            if self.size <= _ALONE:
                self._sha.update(data)
                return
            # one worker: the pieces stay in order; hashlib lets go of the interpreter lock
            self._pool = ThreadPoolExecutor(max_workers=1)
        if len(self._pending) >= _AHEAD:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._sha.update, data))

    def hexdigest(self) -> str:
        self.close()
        return self._sha.hexdigest()

    def close(self) -> None:
        """Ends the worker; call it on the way out of a failure too."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
            self._pending.clear()
