"""Reading a package: liberal in what the axis hands us, exact about what it really is.

In:     the bytes of one package (seekable), the limits, a sink for the files or none.
Out:    ReadPackage: header or status, files with their digests, signature values, findings.
Fails:  Unreadable (no package at all, cut off, DTD, wrong namespace), TooLarge (a limit).
        OSError of the source or the sink passes through.
Never:  verifies a signature, follows a reference, holds a file in memory, repairs in silence.

One pass: raw digest, parsing, base64, unwrapping and inner digests together (feed.py, collect.py,
result.py). A second pass over the same bytes happens in three rare cases only: an undeclared
`edXML` or `xlink` prefix (it is declared, then all is read again), a zip that began like a wrapper,
was none, and had been delivered as one, and edXML 1.0, which only its root tells (edxml1.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from gateway.errors import Text
from gateway.mime import PEEK, looks_like_mime
from gateway.model.package import FileFact
from gateway.packing.attachments import FileSink
from gateway.packing.collect import Collector, OlderVersion, Wish
from gateway.packing.edxml1 import OlderCollector
from gateway.packing.result import ReadPackage
from gateway.safexml import Limits, UnboundPrefix, unreadable

__all__ = ["FileSink", "Limits", "ReadPackage", "extract_file", "read_header", "read_package"]


def read_package(
    source: BinaryIO, *, limits: Limits | None = None, sink: FileSink | None = None
) -> ReadPackage:
    """Read from where `source` stands to its end. Constant memory; see the module's card.

    What concerns one attachment only (bad base64, a zip bomb) is an error finding and a FileFact
    with `failed`; everything else that is beyond repair raises.
    """
    start = source.tell()
    package, delivered = _read(source, limits, Wish(sink))
    if not delivered:
        verdicts = {index: fact.unwrapped for index, fact in enumerate(package.files)}
        source.seek(start)
        package, _ = _read(source, limits, Wish(sink, forced=verdicts))
    return package


def read_header(source: BinaryIO, limits: Limits | None = None) -> ReadPackage:
    """The header alone: stops where the attachments begin, without reading them.

    Whether the package is complete is not known then; `sha256` is "" and `files` empty.
    """
    package, _ = _read(source, limits, Wish(None, header_only=True))
    return package


def extract_file(
    source: BinaryIO, index: int, out: BinaryIO, *, unwrap: bool, limits: Limits | None = None
) -> FileFact:
    """Write attachment `index` (from 0) to `out`, which stays open; the others are passed over.

    `unwrap`: `FileFact.unwrapped` for the inner file; False for the carried bytes, where a
    signature covers those (contract 4). Raises Unreadable `attachment.missing` when there is none
    or it cannot be read.
    """
    wish = Wish(_OneFile(out), forced={index: unwrap}, only=index)
    package, _ = _read(source, limits, wish)
    facts = package.files
    if index >= len(facts) or facts[index].failed:
        raise unreadable(
            "attachment.missing",
            Text(
                f"Gói tin không có tệp đính kèm số {index + 1} đọc được",
                f"the package has no readable attachment number {index + 1}",
            ),
        )
    return facts[index]


def _read(source: BinaryIO, limits: Limits | None, wish: Wish) -> tuple[ReadPackage, bool]:
    """The package, and whether the sink holds what it says."""
    within = limits or Limits()
    start = source.tell()
    as_mime = looks_like_mime(source.read(PEEK))
    older = as_mime
    while True:
        source.seek(start)
        collector = (
            OlderCollector(within, wish, as_mime=as_mime) if older else Collector(within, wish)
        )
        try:
            package = collector.run(source)
        except OlderVersion:
            older = True
        except UnboundPrefix as unbound:
            if wish.repair is not None:
                raise
            root = unbound.offset if collector.root_at < 0 else collector.root_at
            if root > within.header_bytes:
                raise  # all that stands in front of the root tag is held for its repair
            wish = replace(wish, repair=root)
        else:
            return package, not collector.undelivered


class _OneFile:
    """A sink for one file that its owner closes."""

    def __init__(self, out: BinaryIO) -> None:
        self._begin = out.tell()
        self.write = out.write
        self.seek = out.seek
        self.truncate = out.truncate

    def open(self, index: int, name: str) -> _OneFile:
        """Asked for once more when a reading begins anew: what was written before is void."""
        del index, name
        self.seek(self._begin)
        self.truncate()
        return self

    def close(self) -> None:
        """The owner's business."""
