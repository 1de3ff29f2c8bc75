"""An object store that speaks S3, from a wheel (moto), as a server in a process of its own.

`python -m tests.support.buckets [PORT]` serves until its stdin ends, and prints its port first.
"""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ACCESS_KEY, SECRET = "sample-access", "sample-secret-of-a-bucket"


class Buckets:
    """A server that is there, can be gone, and comes back to the same address.

    What it held while it was gone is kept: nothing is stopped but its answering.
    """

    def __init__(self) -> None:
        self._names = (f"bucket-{n}" for n in itertools.count())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.buckets"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bucket(self) -> str:
        """A new, empty one."""
        name = next(self._names)
        asked = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        with urllib.request.urlopen(asked) as answer:
            assert answer.status == 200
        return name

    def gone(self) -> None:
        """From now on nobody listens at its address."""
        self._say("gone")

    def back(self) -> None:
        self._say("back")

    def close(self) -> None:
        self._process.communicate()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"{word}\n"


@pytest.fixture(scope="session")
def buckets() -> Iterator[Buckets]:
    made = Buckets()
    yield made
    made.close()


def in_bucket(buckets: Buckets, bucket: str, name: str, folder: Path) -> dict[str, Any]:
    """The table [blobs] of a gateway; its secret lies in `folder`."""
    secret = folder / f"{name}.bucket-secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    return {
        "url": f"s3://{bucket}/{name}",
        "endpoint": buckets.endpoint,
        "access_key": ACCESS_KEY,
        "secret_file": str(secret),
    }


def serve() -> None:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    def started(port: int) -> ThreadedMotoServer:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        return server

    server = started(0)
    _, port = server.get_host_and_port()
    print(port, flush=True)
    for line in sys.stdin:
        if line.strip() == "gone":
            server.stop()
        else:
            server = started(port)
        print(line.strip(), flush=True)


if __name__ == "__main__":
    serve()
