"""Fresh processes for one measurement each, and servers that live for a whole run.

A child is a module of this folder run with `-m`; it answers with one line of JSON on stdout.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def ask(module: str, *arguments: object) -> dict[str, Any]:
    """Run a child to its end; its JSON. Its stderr is ours, and its failure ends the run."""
    done = subprocess.run(
        _command(module, arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class Child:
    """A running child that is told lines of JSON and answers each with one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def hear(self) -> dict[str, Any]:
        out = self._process.stdout
        line = out.readline() if out is not None else ""
        if not line:
            raise RuntimeError(f"a helper process ended early: {self._process.args!r}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, order: dict[str, Any]) -> None:
        into = self._process.stdin
        if into is None:
            raise RuntimeError("a helper process without an ear")
        into.write(json.dumps(order) + "\n")
        into.flush()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self.tell(order)
        return self.hear()


@contextlib.contextmanager
def running(module: str, *arguments: object) -> Iterator[Child]:
    """A child for as long as the block lasts; ended when its stdin closes."""
    with subprocess.Popen(
        _command(module, arguments),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Child(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.terminate()


def _command(module: str, arguments: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)]
