"""The command line for tests: in this process, or as the process people start."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main

ROOT = Path(__file__).parents[2]
PATIENCE = 180
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Ran:
    """How a command ended. `out`, `err`: what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def call(capsys: pytest.CaptureFixture[str], *args: object) -> Ran:
    """`edoc-gateway ARGS` in this process; its exit code is what it gave to `sys.exit`."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in args])
    said = capsys.readouterr()
    code = end.value.code
    return Ran(code if isinstance(code, int) else 0, said.out, said.err)


def spawn(*args: object, env: Mapping[str, str] | None = None, **more: Any) -> subprocess.Popen:
    """`python -m gateway ARGS` as a process, with nothing of the caller's gateways around it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EDOC_GATEWAY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", *(str(a) for a in args)],
        cwd=ROOT,
        env={**kept, "PYTHONUNBUFFERED": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def run(*args: object, env: Mapping[str, str] | None = None) -> Ran:
    process = spawn(*args, env=env)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return Ran(process.returncode, out, err)


@contextmanager
def gateway_running(
    conf: Path, job: str = "all", *more: str
) -> Iterator[tuple[subprocess.Popen, str]]:
    """`run JOB`, once it says READY=1: the process, and its address where the job has one."""
    name = f"edoc-test-{os.getpid()}-{next(_NUMBERS)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(PATIENCE)
        process = spawn("run", job, *more, "--conf", conf, env={"NOTIFY_SOCKET": f"@{name}"})
        try:
            said = dict(line.split("=", 1) for line in receiver.recv(4096).decode().splitlines())
            assert said["READY"] == "1"
            yield process, said["STATUS"]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)


def processes_naming(text: str) -> list[str]:
    """Command lines of living processes in which `text` stands."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if text in line:
                found.append(line)
    return found
