"""What the simulated axis does wrong, on demand: a plan that tests and files can change.

In: faults from a test, a TOML or JSON file, or a control request. Out: the fault that the next
request of an operation meets. A file that cannot be read raises `Misconfigured`.
"""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import Misconfigured, Text

# kind -> whether the operation is carried out (stored, marked) before the fault shows
KINDS: Mapping[str, bool] = {
    "http": False,  # an HTTP status without protocol JSON: `status`
    "error": False,  # a protocol answer with another ErrorCode: `code`
    "hang": False,  # silence until the simulator closes
    "hang_after": True,
    "drop_before": False,  # the connection dies before the body is read
    "drop_after": True,  # ... after everything was done, without an answer
    "garbage": True,  # 200, JSON that does not parse
    "html": False,  # 200, a page of somebody's proxy
    "truncated": True,  # an answer that stops in the middle; a package cut by the transport
    "cut": True,  # a package cut inside a well-formed transport: short body, short base64
    "latency": True,  # `seconds`, then as if nothing had happened
    "refuse": False,  # the listener is closed while this stands in the fault file (files only)
}
_ALIASES: Mapping[str, tuple[str, int]] = {
    str(status): ("http", status) for status in (202, 302, 400, 401, 403, 404, 429, 500, 502, 503)
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`operation` "*" is every one; `times` None lasts until cleared.

    `after` overrides whether the operation is carried out first.
    """

    kind: str
    operation: str = "*"
    times: int | None = None
    status: int = 500
    code: str = "-1"
    seconds: float = 0.0
    after: bool | None = None

    def __post_init__(self) -> None:
        if self.kind in _ALIASES:
            kind, status = _ALIASES[self.kind]
            object.__setattr__(self, "kind", kind)
            object.__setattr__(self, "status", status)
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {self.kind}")

    @property
    def carried_out(self) -> bool:
        """Whether the axis has done its work although the client cannot know."""
        # HTTP 202 is what a queue in front of the axis says: it has the package
        usual = self.status == 202 if self.kind == "http" else KINDS[self.kind]
        return usual if self.after is None else self.after

    def concerns(self, operation: str) -> bool:
        return self.operation in {"*", operation}


@dataclass(slots=True)
class Faults:
    """The plan. First in, first out among the faults that concern an operation."""

    _plan: list[Fault] = field(default_factory=list)

    def add(
        self,
        kind: str,
        operation: str = "*",
        *,
        times: int | None = None,
        status: int = 500,
        code: str = "-1",
        seconds: float = 0.0,
        after: bool | None = None,
    ) -> None:
        self._plan.append(Fault(kind, operation, times, status, code, seconds, after))

    def replace(self, faults: Iterable[Fault]) -> None:
        self._plan[:] = faults

    def clear(self, operation: str = "*") -> None:
        """Forget the faults of one operation, or all."""
        if operation == "*":
            self._plan.clear()
        else:
            self._plan[:] = [f for f in self._plan if f.operation != operation]

    @property
    def plan(self) -> tuple[Fault, ...]:
        return tuple(self._plan)

    @property
    def refusing(self) -> bool:
        return any(fault.kind == "refuse" for fault in self._plan)

    def take(self, operation: str) -> list[Fault]:
        """What this request meets: latencies first, then at most one other fault."""
        met: list[Fault] = []
        for index, fault in enumerate(list(self._plan)):
            if fault.kind == "refuse" or not fault.concerns(operation):
                continue
            met.append(fault)
            if fault.times is not None:
                left = Fault(
                    fault.kind,
                    fault.operation,
                    fault.times - 1,
                    fault.status,
                    fault.code,
                    fault.seconds,
                    fault.after,
                )
                self._plan[index] = left
            if fault.kind != "latency":
                break
        self._plan[:] = [f for f in self._plan if f.times is None or f.times > 0]
        return met


def faults_from(entries: object) -> tuple[Fault, ...]:
    """A list of objects with the fields of `Fault`. Raises ValueError or TypeError."""
    if not isinstance(entries, list):
        raise TypeError("faults are a list")
    return tuple(Fault(**entry) for entry in entries)


@dataclass(frozen=True, slots=True)
class FaultFile:
    """`fault`: the plan. `systems`: accounts to serve instead of the default ones, may be empty."""

    faults: tuple[Fault, ...]
    systems: Mapping[str, tuple[str, tuple[str, ...]]]


def read_fault_file(path: Path) -> FaultFile:
    """TOML (`[[fault]]`, `[systems."id"]` with `secret` and `codes`) or the same as JSON."""
    try:
        text = path.read_text("utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        systems = {
            system_id: (str(system["secret"]), tuple(str(c) for c in system["codes"]))
            for system_id, system in content.get("systems", {}).items()
        }
        return FaultFile(faults_from(content.get("fault", [])), systems)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Misconfigured(
            Text(f"Tệp lỗi mô phỏng {path}: {error}", f"fault file {path}: {error}"),
            code="simulator.faults_invalid",
        ) from error


class Gate:
    """Holds requests open, before anything is done with them, until it is released."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._open = asyncio.Event()
        self._moved = asyncio.Condition()
        self.holding = 0

    async def reached(self, count: int) -> None:
        """Returns once so many requests stand at the gate at the same time."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.holding >= count)

    def release(self) -> None:
        """Lets everybody through, now and later."""
        self._open.set()

    async def pass_through(self, operation: str) -> None:
        if self._open.is_set() or self._operation not in {"*", operation}:
            return
        async with self._moved:
            self.holding += 1
            self._moved.notify_all()
        try:
            await self._open.wait()
        finally:
            self.holding -= 1
