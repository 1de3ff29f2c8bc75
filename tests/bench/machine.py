"""What a benchmark says of the machine and of processes: facts, memory, processor time.

Linux only: everything is read from /proc. Memory is VmHWM, because `ru_maxrss` of a child is
inherited from its parent.
"""

from __future__ import annotations

import math
import os
import platform
import re
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

CORES = 2
FIRST = -10  # niceness of a load
_AUTOGROUP = Path("/proc/self/autogroup")
_TICKS = os.sysconf("SC_CLK_TCK")
_LIBRARIES = ("aiohttp", "cryptography", "isal", "pybase64", "sqlalchemy", "zlib-ng")


def pin() -> list[int]:
    """Keep this process and what it starts on two cores, however many there are."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    return cores


@contextmanager
def before_others(*pids: int) -> Iterator[bool]:
    """This process and these go before what is measured: they stand for machines of their own.

    A load that waits for its turn measures its own waiting. False: the system did not allow it.
    Both the niceness and that of the session, which counts where there is autogroup.
    """
    usual = {pid: os.getpriority(os.PRIO_PROCESS, pid) for pid in (os.getpid(), *pids)}
    session = _niceness_of_session()
    try:
        yield _set(dict.fromkeys(usual, FIRST), session and str(FIRST))
    finally:
        _set(usual, session)


def as_its_unit(pid: int, unit: Path) -> bool:
    """The share of the processor that `CPUWeight` in systemd/ gives this session leader.

    A step of niceness is a quarter of a share. False: the system did not allow it.
    """
    found = re.search(r"^CPUWeight=(\d+)$", unit.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(unit)
    niceness = -round(math.log(int(found[1]) / 100, 1.25))
    session = Path(f"/proc/{pid}/autogroup")
    try:
        if session.exists():
            session.write_text(str(niceness), "ascii")
        else:
            os.setpriority(os.PRIO_PGRP, pid, niceness)
    except OSError:
        return False
    return True


def stolen() -> tuple[int, int]:
    """Ticks of all processors since the start: those a host kept for its other guests, and all."""
    ticks = [
        int(word) for word in Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:9]
    ]
    return ticks[7], sum(ticks)


def _set(nice: dict[int, int], session: str) -> bool:
    try:
        for pid, niceness in nice.items():
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
        if session:
            _AUTOGROUP.write_text(session, "ascii")
    except OSError:
        return False
    return True


def _niceness_of_session() -> str:
    """Empty: this system has no autogroup, or the session stands in none, as one of init's does."""
    if not _AUTOGROUP.exists():
        return ""
    return next(reversed(_AUTOGROUP.read_text("ascii").split()), "")


def facts() -> dict[str, Any]:
    """What somebody needs to judge the figures by; no name of a machine or a folder."""
    return {
        "processor": _value(Path("/proc/cpuinfo"), "model name"),
        "cores_used": len(os.sched_getaffinity(0)),
        "memory_mb": int(_value(Path("/proc/meminfo"), "MemTotal").split()[0]) // 1024,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "revision": _revision(),
    }


def _value(file: Path, key: str) -> str:
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "0"


def _revision() -> str:
    """The commit that was measured; a `+` when the tree has changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "gateway", "adapters"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def resident_mb(pid: int | str = "self") -> float:
    return int(_value(Path(f"/proc/{pid}/status"), "VmRSS").split()[0]) / 1024


def peak_mb(pid: int | str = "self") -> float:
    return int(_value(Path(f"/proc/{pid}/status"), "VmHWM").split()[0]) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of one process with its threads, ended children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the used cores were, in seconds, for telling whether strangers disturbed a run."""

    busy: float

    @classmethod
    def now(cls) -> Load:
        used = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        busy = 0
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name in used:
                values = [int(t) for t in ticks[:8]]
                busy += sum(values) - values[3] - values[4]  # all but idle and iowait
        return cls(busy / _TICKS)

    def strangers(self, seconds: float, own: float) -> float:
        """The share of the cores that others had since then; `own`: our processor seconds."""
        others = Load.now().busy - self.busy - own
        return max(0.0, others / seconds / len(os.sched_getaffinity(0)))
