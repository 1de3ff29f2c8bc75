"""The gateway's end of a token: its process is started, asked, given up and started again.

In:     the module, the token's label, where its PIN is read; what to find, what to sign.
Out:    signatures; what the token says of a key.
Fails:  Trouble (token_wire.py), with a word; pkcs11.py makes errors for people of it.
Never:  tries a PIN again that the token refused: a few wrong ones lock it; keeps the PIN, or puts
        it on a command line, into the environment or a log; lets a call wait without an end.
Next:   pkcs11.py.

A call whose process turns out to be dead or deaf starts a new one and asks once more. When that
fails too, the next start waits: 1 s, 2 s, 4 s, at most a minute; whoever asks meanwhile is told so
at once and does not wait. It is never given up for good: a token that is plugged in again works
again without a person.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.keys import token_wire as wire
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger

SECONDS = 20.0  # for one answer: a token over USB takes up to a second, one in a network a few
OPENING_SECONDS = 60.0  # for the first one: a process starts, a library looks for its tokens
LONGEST_REST = 60.0
Answer = TypeVar("Answer")
_HOME = Path(__file__).resolve().parents[2]
# what our own process was told and what a library of a vendor need not see
_WITHHELD = ("EDOC_GATEWAY_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "PG")


@dataclass(frozen=True, slots=True)
class Found:
    """A private key on the token. `takes`: digest | message; `certificates`: DER."""

    kind: str
    takes: str
    certificates: tuple[bytes, ...]


class _Process:
    """One life of the token's process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.found: dict[str, Found] = {}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "adapters.keys.token_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_HOME,
            env={k: v for k, v in os.environ.items() if not k.startswith(_WITHHELD)},
        )
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        return self._child.pid

    def open(self, module: Path, label: str, pin: str) -> None:
        self._ask(OPENING_SECONDS, do="open", module=str(module), token=label, pin=pin)

    def sign(self, wanted: str, data: str) -> bytes:
        return b64decode(self._ask(self._seconds, do="sign", object=wanted, data=data)["signature"])

    def _ask(self, seconds: float, **asked: Any) -> dict[str, Any]:
        assert self._child.stdin is not None  # noqa: S101 - PIPE was asked for above
        assert self._child.stdout is not None  # noqa: S101
        try:
            wire.send(self._child.stdin.fileno(), {**asked, "seconds": seconds}, seconds)
            answer = wire.receive(self._child.stdout.fileno(), seconds)
        except wire.Trouble as trouble:
            raise wire.Trouble(trouble.word, trouble.detail or self._ending()) from None
        if "trouble" in answer:
            raise wire.Trouble(answer["trouble"], answer["detail"])
        return answer

    def find(self, wanted: str) -> Found:
        if wanted not in self.found:
            told = self._ask(self._seconds, do="find", object=wanted)
            certificates = tuple(b64decode(der) for der in told["certificates"])
            self.found[wanted] = Found(told["kind"], told["takes"], certificates)
        return self.found[wanted]

    def end(self) -> None:
        """Gone when it returns: nothing of it is left, no zombie either."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def _ending(self) -> str:
        status = self._child.poll()
        return "" if status is None else f"status {status}"


class Token:
    """One token, one process. Calls block; those of several threads take turns."""

    def __init__(
        self,
        module: Path,
        label: str,
        pin: Callable[[], str],
        *,
        seconds: float = SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label = label
        self._module = module
        self._pin = pin
        self._seconds = seconds
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._process: _Process | None = None
        self._refused: wire.Trouble | None = None
        self._failures = 0
        self._rests_until = 0.0
        self._last: wire.Trouble | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Token({self.label!r})"

    @property
    def pid(self) -> int | None:
        """Of the process that holds the token now."""
        return None if self._process is None else self._process.pid

    def find(self, wanted: str) -> Found:
        """`wanted`: the label of a private key, or its id in hex."""
        with self._turn:
            return self._patiently(lambda process: process.find(wanted))

    def sign(self, wanted: str, data: bytes) -> bytes:
        """`data`: what `Found.takes` says."""
        asked = b64encode(data).decode()

        def sign(process: _Process) -> bytes:
            process.find(wanted)
            return process.sign(wanted, asked)

        with self._turn:
            return self._patiently(sign)

    def close(self) -> None:
        with self._turn:
            self._closed = True
            self._end()

    def _patiently(self, ask: Callable[[_Process], Answer]) -> Answer:
        while True:
            fresh = self._process is None
            try:
                answer = ask(self._running())
            except wire.Trouble as trouble:
                if trouble.word in wire.FINAL or trouble.word == wire.RESTING:
                    raise
                self._lost(trouble, fresh=fresh)
                if fresh:
                    raise
            except BaseException:
                self._end()  # interrupted between question and answer: they would not fit again
                raise
            else:
                self._failures = 0
                return answer

    def _running(self) -> _Process:
        if self._closed:
            raise wire.Trouble(wire.RESTING, "closed")
        if self._refused is not None:
            raise self._refused
        if self._process is not None:
            return self._process
        if self._failures and self._monotonic() < self._rests_until:
            last = self._last or wire.Trouble("")
            raise wire.Trouble(wire.RESTING, f"{last.word} {last.detail}".strip())
        pin = self._pin()
        self._process = _Process(self._seconds)
        try:
            self._process.open(self._module, self.label, pin)
        except wire.Trouble as trouble:
            if trouble.word in wire.FINAL:
                # another process would only try the same PIN, or load the same module, once more
                self._refused = trouble
                self._end()
            raise
        if self._last is not None:
            self._last = None
            get_logger().info(Event.TOKEN_REOPENED, token=self.label)
        return self._process

    def _lost(self, trouble: wire.Trouble, *, fresh: bool) -> None:
        """A process that had worked before may be replaced at once; a new one that fails, not."""
        self._end()
        self._last = trouble
        if fresh:
            rest = min(LONGEST_REST, 2.0 ** min(self._failures, 10))
            self._rests_until = self._monotonic() + rest
            self._failures += 1
        get_logger().warning(
            Event.TOKEN_LOST, token=self.label, word=trouble.word, detail=trouble.detail
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()
