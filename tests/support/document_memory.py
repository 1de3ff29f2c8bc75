"""What writing, reading and routing cost in memory, measured in a process of its own.

`python -m tests.support.document_memory FOLDER` prints one line of JSON for each of WORK.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.packing.read import read_header, read_package
from gateway.packing.write import plan_files, write_document
from tests.support.packages import Folder, a_header, an_attachment, pack_file, unpack_file
from tests.support.streams import forget_peak, memory_kib

MANY = 10_000
LARGE = 64_000_000


def write_many(folder: Path) -> None:
    """10,000 attachments of 100 bytes."""
    data = b"%PDF-1.7\n".ljust(100, b"x")
    files = [an_attachment(f"{number}.pdf", data) for number in range(MANY)]
    with (folder / "many.edxml").open("wb") as out:
        write_document(out, a_header(), plan_files(files, "seed"))


def read_many(folder: Path) -> None:
    with (folder / "many.edxml").open("rb") as source:
        got = read_package(source)
    if [file.size for file in got.files] != [100] * MANY or got.findings:
        raise SystemExit("what came out is not what went in")


def write_large(folder: Path) -> None:
    """64 MB that are deflated on the way."""
    with (folder / "large.tif").open("wb") as out:
        for number in range(LARGE // 64_000):
            out.write(hashlib.sha512(b"%d" % number).digest() * 1000)
    pack_file(folder / "large.tif", folder / "large.edxml")


def read_large(folder: Path) -> None:
    got = unpack_file(folder / "large.edxml", folder)
    if (folder / "0").stat().st_size != LARGE or not got.files[0].unwrapped:
        raise SystemExit("what came out is not what went in")


def route_large(folder: Path) -> None:
    with (folder / "large.edxml").open("rb") as source:
        read_header(source)


WORK: dict[str, Callable[[Path], None]] = {
    # the smaller bounds first: what has been used once is no longer above idle
    "write large": write_large,
    "route large": route_large,
    "read large": read_large,
    "write many": write_many,
    "read many": read_many,
}


def measured(folder: Path) -> dict[str, float]:
    """MiB above idle at the peak of each, in this order."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.document_memory", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return dict(json.loads(line) for line in done.stdout.splitlines())


def main(folder: Path) -> None:
    out = io.BytesIO()
    write_document(out, a_header(), plan_files([an_attachment("a.txt", b"x")], "seed"))
    read_package(io.BytesIO(out.getvalue()), sink=Folder(folder))
    for name, work in WORK.items():
        forget_peak()
        idle = memory_kib("VmRSS")
        work(folder)
        print(json.dumps([name, (memory_kib("VmHWM") - idle) / 1024]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
