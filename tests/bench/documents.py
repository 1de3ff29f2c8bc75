"""Small documents against the sum of what they cannot do without, and what must not grow.

Each measurement is a fresh process: `python -m tests.bench.documents WHAT FOLDER KEYS SIZE`.
Work and floor take turns in it, many times; each floor does the same arithmetic on the same bytes,
with the same libraries, in one call each.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from xml.parsers import expat

import pybase64
from isal import isal_zlib
from zlib_ng import zlib_ng

from adapters.keys import files as key_files
from adapters.keys.make import make_agency_key
from gateway.model.package import Trust, header_digest
from gateway.model.submission import Attachment
from gateway.packing import read, write
from gateway.signing import sign, verify
from tests.bench import children, machine
from tests.bench.packages import AGENCY, HEADER, MB, make_attachment, now
from tests.bench.report import Line, Table

KB = 1000
MOST_BUILD = {100 * KB: 2.0, 5 * MB: 2.2}
MOST_OPEN = 2.5
MOST_APART = 1.2
MOST_MANY_MB = 32.0
MOST_GROWTH = 1.5
MANY = (1000, 10_000)
NAME = "so-lieu.tif"  # of a kind that the format wants deflated
_TIMES = {100 * KB: 150, 5 * MB: 15}


# -- the measuring process -------------------------------------------------------------------------


class Made:
    """One attachment, its key holder, and the package made of both."""

    def __init__(self, folder: Path, keys: Path, size: int) -> None:
        self.source = folder / "attachment"
        self.target = folder / "package.edxml"
        make_attachment(self.source, size)
        loaded = key_files.load(
            keys / f"{AGENCY}.key.pem", now=now(), certificate=keys / f"{AGENCY}.cert.pem"
        )
        self.holder = loaded.holder

    def build(self) -> None:
        """Inner digest, plan, sign, deflate, base64, package digest, write."""
        data = self.source.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self.write([Attachment(NAME, len(data), digest, lambda: io.BytesIO(data))])

    def write(self, files: list[Attachment], *, signed: bool = True) -> None:
        planned = write.plan_files(files, "bench")
        if not signed:
            with self.target.open("wb") as out:
                write.write_document(out, HEADER, planned)
            return
        covered = [(p.fact.declared_name, p.fact.sha256) for p in planned]
        prepared = sign.prepare(
            [(p.fact.content_id, p.fact.sha256) for p in planned],
            header_digest(HEADER, covered),
            self.holder.algorithm,
        )
        signature = sign.finish(
            prepared, self.holder.sign(prepared.signed_info), self.holder.certificate
        )
        with self.target.open("wb") as out:
            write.write_document(out, HEADER, planned, signature=signature)

    def build_floor(self) -> None:
        data = self.source.read_bytes()
        hashlib.sha256(data).hexdigest()
        packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        text = pybase64.b64encode(packed)
        self.holder.sign(b"<SignedInfo/>")
        with self.target.open("wb") as out:
            out.write(text)

    def open(self) -> None:
        with self.target.open("rb") as source:
            package = read.read_package(source)
        verdict = verify.verify(package.signature, package.header, package.files)
        if (verdict.value, verdict.header, verdict.files) != (Trust.VALID,) * 3:
            raise SystemExit(f"the package does not verify: {verdict}")

    def open_floor(self, text: tuple[int, int]) -> None:
        data = self.target.read_bytes()
        # events of elements and texts, namespaces resolved: no package can be read with less
        parser = expat.ParserCreate("UTF-8", "\x1f")
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler = _nothing
        parser.EndElementHandler = _nothing
        parser.CharacterDataHandler = _nothing
        parser.Parse(data, True)
        packed = pybase64.b64decode(memoryview(data)[slice(*text)])
        inner = zlib_ng.decompressobj(-15).decompress(packed[_LOCAL:])
        if len(inner) != self.source.stat().st_size:
            raise SystemExit("the floor does not do the whole work")
        hashlib.sha256(data).hexdigest()


_LOCAL = 30 + 36 + 1 + 3  # local header and the entry's name: a UUID, a dot, an extension


def _nothing(*_: object) -> None:
    pass


def _content(package: bytes) -> tuple[int, int]:
    """Where the base64 stands."""
    end = package.rindex(b"</edXML:ContentTransferEncoded>")
    return package.rindex(b">", 0, end) + 1, end


def by_turns(work: Callable[[], None], floor: Callable[[], None], times: int) -> dict[str, Any]:
    """Seconds of each by turns: the fastest tenth, which is what strangers disturb least."""
    work()
    floor()
    works, floors = [], []
    for _ in range(times):
        floors.append(_seconds(floor))
        works.append(_seconds(work))
    seconds, least = (sorted(taken)[times // 10] for taken in (works, floors))
    return {"seconds": seconds, "floor": least, "ratio": seconds / least}


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_document(folder: Path, keys: Path, size: int) -> dict[str, Any]:
    made = Made(folder, keys, size)
    built = by_turns(made.build, made.build_floor, _TIMES[size])
    made.build()
    text = _content(made.target.read_bytes())
    opened = by_turns(made.open, lambda: made.open_floor(text), _TIMES[size])
    return {"build": built, "open": opened}


def measure_header(folder: Path, keys: Path, size: int) -> dict[str, Any]:
    """`read_header` of a package of 1 MB and of one of `size`, by turns."""
    packages = []
    for number, bytes_in in enumerate((MB * 3 // 4, size * 3 // 4)):
        place = folder / str(number)
        place.mkdir()
        made = Made(place, keys, bytes_in)
        made.write([Attachment("a.pdf", bytes_in, "00" * 32, lambda m=made: m.source.open("rb"))])
        made.source.unlink()
        packages.append(made.target)

    def route(path: Path) -> None:
        with path.open("rb", buffering=0) as source:
            got = read.read_header(source)
        if got.header is None or not got.header.to:
            raise SystemExit("no header")

    small, large = packages
    return by_turns(lambda: route(large), lambda: route(small), 300)


def measure_many(folder: Path, keys: Path, size: int) -> dict[str, Any]:
    """`size` attachments of 100 bytes, unsigned: written, then read.

    Signed, some 4,900 fill a signature block of 1 MiB, and no reader has to take a longer one.
    """
    made = Made(folder, keys, 100)
    data = made.source.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    files = [
        Attachment(f"{n}.pdf", len(data), digest, lambda: io.BytesIO(data)) for n in range(size)
    ]

    def opened() -> None:
        with made.target.open("rb") as source:
            package = read.read_package(source)
        if len(package.files) != len(files):
            raise SystemExit(f"{len(package.files)} files came out")

    made.write(files[:10])
    made.open()
    idle = machine.resident_mb()
    wrote = [_processor_seconds(lambda: made.write(files, signed=False))]
    written = machine.peak_mb()
    read_in = [_processor_seconds(opened)]
    peak = machine.peak_mb()
    for _ in range(2 * MANY[-1] // size):
        wrote.append(_processor_seconds(lambda: made.write(files, signed=False)))
        read_in.append(_processor_seconds(opened))
    return {
        "write": min(wrote) / size,
        "open": min(read_in) / size,
        "write_mb": written - idle,
        "open_mb": peak - idle,
    }


def _processor_seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


_MEASURES = {"document": measure_document, "header": measure_header, "many": measure_many}


def main(arguments: list[str]) -> None:
    what, folder, keys, size = arguments
    json.dump(_MEASURES[what](Path(folder), Path(keys), int(size)), sys.stdout)


# -- the run ---------------------------------------------------------------------------------------


def run(folder: Path, *, rounds: int, large: bool) -> Iterator[Table]:
    keys = folder / "keys"
    keys.mkdir()
    make_agency_key(keys, AGENCY, now())

    def ask(what: str, size: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            return children.ask("documents", what, place, keys, size)

    yield _documents({size: [ask("document", size) for _ in range(rounds)] for size in MOST_BUILD})
    yield _headers(
        {size: ask("header", size) for size in (50 * MB, *([500 * MB] if large else []))}
    )
    yield _many({size: [ask("many", size) for _ in range(rounds)] for size in MANY})


def _documents(measured: dict[int, list[dict[str, Any]]]) -> Table:
    words = {"build": "build and sign", "open": "read and verify"}
    lines = []
    for size, results in measured.items():
        for what, word in words.items():
            ratio = median(r[what]["ratio"] for r in results)
            most = MOST_BUILD[size] if what == "build" else MOST_OPEN
            lines.append(
                Line(
                    f"{word}, {_size(size)}",
                    {
                        "ms": round(median(r[what]["seconds"] for r in results) * 1000, 2),
                        "floor ms": round(median(r[what]["floor"] for r in results) * 1000, 2),
                        "x floor": round(ratio, 2),
                        "at most": most,
                    },
                    {"x floor": ratio <= most},
                    {"rounds": [r[what] for r in results]},
                )
            )
    aim = (
        "building against SHA-256, base64, isal deflate, RSA sign and write; reading against "
        "expat, base64, inflate and SHA-256"
    )
    return Table("One signed document, of a kind that is zipped inside", aim, lines)


def _headers(measured: dict[int, dict[str, Any]]) -> Table:
    lines = []
    for size, result in measured.items():
        ratio = result["ratio"]
        lines.append(
            Line(
                f"header of {_size(size)}",
                {
                    "ms": round(result["seconds"] * 1000, 2),
                    "ms of 1 MB": round(result["floor"] * 1000, 2),
                    "x 1 MB": round(ratio, 2),
                },
                {"x 1 MB": 1 / MOST_APART <= ratio <= MOST_APART},
                {"rounds": [result]},
            )
        )
    return Table("The header alone", "the same for a package of any size, within 20 %", lines)


def _many(measured: dict[int, list[dict[str, Any]]]) -> Table:
    few = {what: median(r[what] for r in measured[MANY[0]]) for what in ("write", "open")}
    lines = []
    for size, results in measured.items():
        for what in ("write", "open"):
            each = median(r[what] for r in results)
            above = max(r[f"{what}_mb"] for r in results)
            growth = each / few[what]
            lines.append(
                Line(
                    f"{what}, {size:,} attachments",
                    {
                        "CPU us each": round(each * 1e6, 1),
                        "x each of 1,000": round(growth, 2),
                        "MB above idle": round(above, 1),
                    },
                    {
                        "x each of 1,000": growth <= MOST_GROWTH,
                        "MB above idle": above <= MOST_MANY_MB,
                    },
                    {"rounds": results},
                )
            )
    aim = f"at most {MOST_MANY_MB:.0f} MB above the idle process, linear time"
    return Table("Attachments of 100 bytes", aim, lines)


def _size(size: int) -> str:
    return f"{size // MB} MB" if size >= MB else f"{size // KB} KB"


if __name__ == "__main__":
    main(sys.argv[1:])
