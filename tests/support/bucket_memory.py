"""How much memory a process needs to put N MiB into a bucket and to read them back.

`python -m tests.support.bucket_memory ENDPOINT BUCKET FOLDER MIB` prints the most it held above
idle, in MiB, while writing and while reading.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from adapters.blobs.s3 import S3Blobs, S3Settings

MIB = 1024 * 1024


def held(word: str) -> int:
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(word)]
    return int(line.split()[1])


def main() -> None:
    endpoint, bucket, folder, size = sys.argv[1:]
    blobs = S3Blobs(
        S3Settings(
            bucket=bucket,
            prefix="",
            folder=Path(folder),
            access_key="sample",
            secret="sample",
            endpoint=endpoint,
            allow_http=True,
        )
    )
    blobs.keep_bytes(b"", hashlib.sha256(b"").hexdigest())  # the client has all its threads now
    idle = held("VmRSS")
    digest = hashlib.sha256()
    with blobs.spool() as spooled:
        for _ in range(int(size)):
            piece = os.urandom(MIB)
            digest.update(piece)
            spooled.write(piece)
        blobs.keep(spooled, digest.hexdigest())
    wrote = held("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")
    again = hashlib.sha256()
    with blobs.open(digest.hexdigest()) as stored:
        while piece := stored.read(256 * 1024):
            again.update(piece)
    assert again.digest() == digest.digest()
    print(json.dumps([(wrote - idle) // 1024, (held("VmHWM") - idle) // 1024]))


if __name__ == "__main__":
    main()
