"""The sink of one try to fetch: rewound, bounded, watched.

In: pieces of a package. Out: a `Fetched`. A sink that cannot be written raises `Unavailable`,
so that a full disk is never taken for the remote's fault.
"""

from __future__ import annotations

from typing import BinaryIO

from adapters.vxp.scan import PackageShape
from gateway.errors import Text, Unavailable
from gateway.model.outcome import Deferred
from gateway.ports import Fetched


class Spool:
    """One inner try: rewound, bounded, its own failures kept apart from the remote's."""

    def __init__(self, sink: BinaryIO, limit: int) -> None:
        self._sink = sink
        self._limit = limit
        self.shape = PackageShape()
        self.too_large = False
        try:
            sink.seek(0)
            sink.truncate()
        except OSError as error:
            raise _no_space(error) from error

    def write(self, data: bytes) -> bool:
        """False when the package is longer than allowed; nothing more is written then."""
        if self.too_large or self.shape.size + len(data) > self._limit:
            self.too_large = True
            return False
        self.shape.feed(data)
        try:
            self._sink.write(data)
        except OSError as error:
            raise _no_space(error) from error
        return True

    def take(self, data: bytes) -> None:
        self.write(data)

    def result(self) -> Fetched:
        if self.too_large:
            limit = f"longer than {self._limit} bytes"
            return Fetched(failure=Deferred("package.too_large", limit, alarm=True))
        return Fetched(self.shape.size)


def _no_space(error: OSError) -> Unavailable:
    return Unavailable(
        Text(
            f"Không ghi được tệp tạm: {error.strerror}",
            f"the spool file cannot be written: {error.strerror}",
        ),
        code="spool.unwritable",
    )
