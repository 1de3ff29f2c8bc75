"""Packages far larger than memory, made while they are read, and what reading one costs.

`python -m tests.support.streams NAME...` reads the named packages one after the other in a process
of its own and prints one line of JSON for each. `measured` starts that process.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.errors import Rejected, Untrusted
from gateway.packing.read import read_package
from tests.support.packages import Q, a_header, packed

MB = 1_000_000
TWO_GB = 2000 * MB
_PIECE = 250_000


class Stream(io.RawIOBase):
    """Bytes from pieces that are made when they are asked for; can go back to the start only."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._make = pieces
        self._pieces = pieces()
        self._rest = b""
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        parts, missing = [], size
        while missing:
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            part = self._rest[:missing]
            self._rest = self._rest[len(part) :]
            missing -= len(part)
            parts.append(part)
        data = b"".join(parts)
        self.taken += len(data)
        return data

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset or whence:
            raise io.UnsupportedOperation("only to the start")
        self._pieces, self._rest = self._make(), b""
        return 0


def around(mark: bytes, filler: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    """A good package with `filler` in front of the first `mark`."""
    package = packed(a_header(), [("a.pdf", b"%PDF-1.7 m\xe1\xba\xabu")])
    head, found, tail = package.partition(mark)
    if not found:
        raise ValueError(mark)

    def pieces() -> Iterator[bytes]:
        yield head
        yield from filler()
        yield found + tail

    return pieces


def same(unit: bytes, size: int = TWO_GB) -> Callable[[], Iterator[bytes]]:
    """`unit` again and again, about `size` bytes of it."""
    block = unit * max(1, _PIECE // len(unit))

    def pieces() -> Iterator[bytes]:
        for _ in range(max(1, size // len(block))):
            yield block

    return pieces


def numbered(form: bytes, size: int = TWO_GB) -> Callable[[], Iterator[bytes]]:
    """`form % n` for n = 0, 1, 2, ..."""

    def pieces() -> Iterator[bytes]:
        made, number, step = 0, 0, max(1, _PIECE // len(form))
        while made < size:
            block = b"".join(form.replace(b"%d", b"%d" % n) for n in range(number, number + step))
            number += step
            made += len(block)
            yield block

    return pieces


def once(*parts: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(parts)


def chained(*makers: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        for make in makers:
            yield from make()

    return pieces


def attached(filler: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    """A package whose second attachment begins with `filler`."""
    return around(b"  </AttachmentEncoded>", chained(once(b"<Attachment>"), filler))


def content(size: int) -> Callable[[], Iterator[bytes]]:
    """One attachment of about `size` letters of base64."""
    return around(b"JVBERi0xLjcgbeG6q3U=</edXML:ContentTransferEncoded", same(b"QUJD", size))


def bomb(size: int) -> bytes:
    """The base64 text of a zip whose only entry is `size` bytes of nothing."""
    from gateway.packing.zipfiles import Wrapper

    wrapper = Wrapper("a.bin")
    parts = [wrapper.start()]
    parts += [wrapper.add(bytes(MB)) for _ in range(size // MB)]
    return base64.b64encode(b"".join([*parts, wrapper.finish()]))


def bombs(count: int, size: int) -> Callable[[], Iterator[bytes]]:
    one = b"".join(
        (
            b"<Attachment><AttachmentName>a.bin</AttachmentName><ContentTransferEncoded>",
            bomb(size),
            b"</ContentTransferEncoded></Attachment>",
        )
    )
    return around(b"  </AttachmentEncoded>", same(one, count * len(one)))


def signature(inside: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    return around(
        b"    </edXML:edXMLHeader>",
        chained(once(b"<Signature><SignedInfo>"), inside, once(b"</SignedInfo></Signature>")),
    )


_UNBOUND = b'<edXML:edXML xmlns="' + Q.encode() + b'"/>'
_LONG = b"n" * 900_000

# name -> the package, and what must come of it
PACKAGES: dict[str, tuple[Callable[[], Iterator[bytes]], str]] = {
    "text of a field": (around(b"</edXML:Subject>", same(b"x")), "limit.field_bytes"),
    "text between elements": (around(b"  </AttachmentEncoded>", same(b"x")), "limit.field_bytes"),
    "a million attributes": (
        around(
            b"<edXML:Subject>",
            chained(once(b"<x"), numbered(b" a%d=''", 10 * MB), once(b"/>")),
        ),
        "limit.header_bytes",
    ),
    "depth of a hundred thousand": (
        around(b"<edXML:Subject>", chained(same(b"<x>", 300_000), same(b"</x>", 400_000))),
        "limit.depth",
    ),
    "small elements in the header": (
        around(b"<edXML:Subject>", same(b"<x/>")),
        "limit.header_bytes",
    ),
    "small elements in an attachment": (attached(same(b"<x/>")), "limit.header_bytes"),
    "a new element name each time": (
        around(b"  </AttachmentEncoded>", numbered(b"<n%d/>")),
        "limit.attributes",
    ),
    "a new attribute name each time": (
        around(b"  </AttachmentEncoded>", numbered(b"<n a%d=''/>")),
        "limit.attributes",
    ),
    "a new prefix each time": (
        around(b"  </AttachmentEncoded>", numbered(b"<n xmlns:p%d='urn:x'/>")),
        "limit.attributes",
    ),
    "a new namespace each time": (
        around(b"  </AttachmentEncoded>", numbered(b"<n xmlns='urn:%d'/>")),
        "limit.attributes",
    ),
    "a new instruction each time": (
        around(b"  </AttachmentEncoded>", numbered(b"<?p%d?>")),
        "limit.attributes",
    ),
    "names as long as a header": (
        around(b"  </AttachmentEncoded>", numbered(b"<" + _LONG + b"%d/>")),
        "limit.attributes",
    ),
    "instructions in the header": (
        around(b"<edXML:Subject>", same(b"<?target data?>", 12 * MB)),
        "limit.header_bytes",
    ),
    "comments in the header": (
        around(b"<edXML:Subject>", same(b"<!-- comment -->", 64 * MB)),
        "limit.header_bytes",
    ),
    "a comment without end": (
        around(b"<edXML:Subject>", chained(once(b"<!--"), same(b"x"))),
        "limit.header_bytes",
    ),
    "a DOCTYPE without end": (chained(once(b"<!DOCTYPE "), same(b"x")), "limit.header_bytes"),
    "a comment without end behind the root": (
        chained(around(b"</edXML>", once(b"")), once(b"<!--"), same(b"x")),
        "limit.header_bytes",
    ),
    "comments behind the root": (
        chained(around(b"</edXML>", once(b"")), same(b"<!-- comment -->")),
        "limit.header_bytes",
    ),
    "comments before a root to be repaired": (
        chained(same(b"<!-- comment -->", 64 * MB), once(_UNBOUND)),
        "xml.prefix_unbound",
    ),
    "blanks in SignedInfo": (signature(same(b" \n")), "limit.signature_bytes"),
    "instructions in SignedInfo": (signature(same(b"<?target data?>")), "limit.signature_bytes"),
    "signature after signature": (
        around(
            b"    </edXML:edXMLHeader>",
            same(b"<Signature>" + b"<x/>" * 100_000 + b"</Signature>"),
        ),
        "limit.signature_bytes",
    ),
    "content after content in one attachment": (
        attached(
            same(b"<ContentTransferEncoded>QUJD</ContentTransferEncoded>" + b"<x/>" * 100_000)
        ),
        "limit.header_bytes",
    ),
    "content with elements, again and again": (
        attached(
            same(b"<ContentTransferEncoded>" + b"<x/>" * 50_000 + b"</ContentTransferEncoded>")
        ),
        "limit.header_bytes",
    ),
    "empty lists without end": (
        around(b"</edXML>", same(b"<AttachmentEncoded></AttachmentEncoded>")),
        "limit.header_bytes",
    ),
    "attachments without end": (
        around(b"  </AttachmentEncoded>", same(b"<Attachment></Attachment>")),
        "limit.attachments",
    ),
    "manifest lines without end": (
        around(b"      </edXML:edXMLManifest>", same(b"<edXML:Reference></edXML:Reference>")),
        "limit.attachments",
    ),
    "text of a content": (content(48 * MB), ""),
    "a zip bomb": (
        around(
            b"  </AttachmentEncoded>",
            once(
                b"<Attachment><AttachmentName>a.bin</AttachmentName><ContentTransferEncoded>",
                bomb(64 * MB),
                b"</ContentTransferEncoded></Attachment>",
            ),
        ),
        "",
    ),
    "many small zip bombs": (bombs(40, 15 * MB), ""),
}
LONG_PACKAGES = {"two gigabytes of a content": (content(TWO_GB), "")}


@dataclass(frozen=True, slots=True)
class Cost:
    """What came of one package: the refusal's code or "", findings by code, bytes taken, KiB."""

    name: str
    code: str
    findings: dict[str, int]
    largest: int
    taken: int
    idle_kib: int
    peak_kib: int

    @property
    def above_idle_mib(self) -> float:
        return (self.peak_kib - self.idle_kib) / 1024


def measured(names: list[str]) -> dict[str, Cost]:
    """Read these packages in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.streams", *names],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    costs = [Cost(**json.loads(line)) for line in done.stdout.splitlines()]
    return {cost.name: cost for cost in costs}


def memory_kib(key: str) -> int:
    """`VmRSS` or `VmHWM` (the peak) of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise RuntimeError(f"this system shows no {key}")


def forget_peak() -> None:
    """Linux sets VmHWM back to VmRSS when 5 is written there (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def _cost(name: str) -> Cost:
    pieces, _ = (PACKAGES | LONG_PACKAGES)[name]
    source = Stream(pieces)
    forget_peak()
    idle = memory_kib("VmRSS")
    code, findings, largest = "", {}, 0
    try:
        got = read_package(source)  # type: ignore[arg-type]  # what a reader uses of a BinaryIO
    except (Rejected, Untrusted) as error:
        code = error.code
        found = error.findings
    else:
        found = got.findings
        largest = max(file.size for file in got.files)
    for finding in found:
        findings[finding.code] = findings.get(finding.code, 0) + 1
    return Cost(name, code, findings, largest, source.taken, idle, memory_kib("VmHWM"))


if __name__ == "__main__":
    read_package(io.BytesIO(packed(a_header(), [("a.pdf", b"%PDF")])))
    for asked in sys.argv[1:]:
        print(json.dumps(asdict(_cost(asked))), flush=True)
