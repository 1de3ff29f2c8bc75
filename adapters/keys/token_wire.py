"""What passes between the gateway and the process that holds a token: frames, and words of trouble.

In:     a file descriptor, a JSON object (or the bytes of one).
Out:    the other one.
Fails:  Trouble `silent` (no whole frame in time), `died` (the pipe ended).
Never:  waits longer than it was told; is used between machines.

A frame is its length in four bytes, big-endian, and so many bytes of UTF-8 JSON. Bytes in it stand
as base64. The gateway asks, the token's process answers, one at a time; each question says in
`seconds` how long it waits:

    open   module, token, pin                -> {}
    find   object (a label, or an id in hex) -> kind ("rsa" | "ec"), takes ("digest" | "message"),
                                                certificates
    sign   object, data                      -> signature

or {"trouble": WORD, "detail": what the token's library calls it}.
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

LARGEST = 64 * 1024 * 1024
_PIECE = 64 * 1024

# Words. The first group is for the operator: trying again would change nothing, or lock the token.
PIN = "pin"
OBJECT = "object"
AMBIGUOUS = "ambiguous"
MODULE = "module"
MECHANISM = "mechanism"
FINAL = frozenset({PIN, OBJECT, AMBIGUOUS, MODULE, MECHANISM})
# The second is for time: a new process may find the token again.
ABSENT = "absent"
LOCKED = "locked"
LOST = "lost"
DIED = "died"
SILENT = "silent"
RESTING = "resting"


class Trouble(Exception):
    """Why the token did not do it. `word` is one of those above; `detail` holds no secret."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(word)
        self.word = word
        self.detail = detail


def send(descriptor: int, message: dict[str, Any], seconds: float) -> None:
    """Write one frame to a pipe that does not block."""
    body = json.dumps(message).encode()
    left = memoryview(len(body).to_bytes(4) + body)
    ends = time.monotonic() + seconds
    while left:
        _wait(descriptor, select.POLLOUT, ends)
        try:
            left = left[os.write(descriptor, left[:_PIECE]) :]
        except BlockingIOError:
            continue
        except BrokenPipeError:
            raise Trouble(DIED) from None


def receive(descriptor: int, seconds: float) -> dict[str, Any]:
    """Read one frame from a pipe that does not block."""
    ends = time.monotonic() + seconds
    size = int.from_bytes(_exactly(descriptor, 4, ends))
    if size > LARGEST:
        raise Trouble(DIED, "no frame")
    try:
        message = json.loads(_exactly(descriptor, size, ends))
    except ValueError:
        raise Trouble(DIED, "no frame") from None
    return message if isinstance(message, dict) else {}


def _exactly(descriptor: int, size: int, ends: float) -> bytes:
    found = b""
    while len(found) < size:
        _wait(descriptor, select.POLLIN, ends)
        try:
            piece = os.read(descriptor, size - len(found))
        except BlockingIOError:
            continue
        if not piece:
            raise Trouble(DIED)
        found += piece
    return found


def _wait(descriptor: int, what: int, ends: float) -> None:
    poll = select.poll()
    poll.register(descriptor, what)
    left = ends - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise Trouble(SILENT)
