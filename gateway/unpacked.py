"""Files taken out of a package into the blob store, while the package is read.

In:     a reader's sink calls. Out: blobs, each under its own digest. Fails: as the blob store does.
Never:  writes a row: what lies there is a cache, which the sweep empties after a day.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from gateway.ports import BlobStore

CHUNK = 256 * 1024


class FileCache:
    """The sink that a reader writes to."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def open(self, index: int, name: str) -> _Kept:
        del index, name
        return _Kept(self, self._blobs.spool())

    def keep(self, spool: BinaryIO) -> None:
        spool.seek(0)
        digest = hashlib.sha256()
        while piece := spool.read(CHUNK):
            digest.update(piece)
        self._blobs.keep(spool, digest.hexdigest())


class _Kept:
    """One file on its way into the cache. It is measured once it is whole: it may begin anew."""

    def __init__(self, cache: FileCache, spool: BinaryIO) -> None:
        self._cache = cache
        self._spool = spool

    def write(self, data: bytes, /) -> int:
        return self._spool.write(data)

    def seek(self, offset: int, /) -> int:
        return self._spool.seek(offset)

    def truncate(self) -> int:
        return self._spool.truncate()

    def close(self) -> None:
        if not self._spool.closed:
            with self._spool:
                self._cache.keep(self._spool)
