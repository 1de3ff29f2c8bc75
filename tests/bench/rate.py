"""Documents a second: accepted, sealed, delivered. One SQLite gateway, everything on two cores.

Three kinds of processes beside the gateway (`run all`, its own defaults, `synchronous=FULL`): the
load, a stub axis, and the floor, which takes its turns in the same rounds. What counts is ON_AXIS
in the database at the moment the load ends; what was accepted and is not yet there is the backlog.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gateway.dispatch import retry
from gateway.wiring.founding import Wish, found
from tests.bench import machine
from tests.bench.children import ROOT, Child, running
from tests.bench.report import Line, Table

CLIENTS = (1, 4, 16)
AIMS = {1: 60, 4: 120, 16: 150}
MOST_CPU_MS = 5.0
CONNECTIONS = 16  # what the stub axis permits
AGENCY = "000.00.19.H14"
READY_SECONDS = 60.0
DRAIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class House:
    """A gateway under load."""

    port: int
    key: str
    pid: int
    database: Path


@contextmanager
def gateway(folder: Path, axis_port: int) -> Iterator[House]:
    """A newly founded gateway with RSA-2048 agency key and the defaults of conf/gateway.toml."""
    port = _free_port()
    secret = folder / "axis.secret"
    secret.touch(mode=0o600)
    secret.write_text("made-up-secret\n")
    made = found(
        Wish(
            directory=folder / "gateway",
            profile="sandbox",
            agencies=(AGENCY,),
            units=(("bench", (AGENCY,)),),
            conf={
                "api": {"port": port},
                "axis": [
                    {
                        "name": "vxp",
                        "endpoint": f"http://127.0.0.1:{axis_port}/vxp",
                        "system_id": "bench",
                        "secret_file": str(secret),
                        "max_connections": CONNECTIONS,
                    }
                ],
                "route": [{"axis": "vxp", "everyone": True}],
                **_service_pace(),
            },
        ),
        ROOT / "conf",
    )
    log = (folder / "gateway.log").open("wb")
    command = [sys.executable, "-m", "gateway", "run", "all", "--conf", str(made.conf)]
    with log, subprocess.Popen(command, cwd=ROOT, stdout=log) as process:
        try:
            _wait_until_ready(port, process)
            database = made.directory / "data" / "gateway.sqlite"
            yield House(port, made.unit_keys[0], process.pid, database)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _service_pace() -> dict[str, dict[str, str]]:
    """The waits of service instead of those of a sandbox."""
    return {
        "seal": {"max_delay": "10m"},
        "stamp": {"interval": "60s", "urgent_interval": "5s", "deadline": "180s"},
        "dispatch": {
            "retry": retry.DEFAULT,
            "uncertain_wait": "10m",
            "attempt_deadline": "5m",
            "grace": "60s",
            "idle": "1s",
            "sweep": "1s",
            "probe_first": "10s",
            "probe_longest": "5m",
        },
        "collect": {"interval": "15s", "list_deadline": "60s", "fetch_deadline": "5m"},
    }


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the gateway ended with {process.returncode}")
        try:
            with closing(socket.create_connection(("127.0.0.1", port), 1)) as probe:
                probe.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                if b" 200 " in probe.recv(64):
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the gateway did not become ready")


def delivered(database: Path) -> int:
    """Transfers ON_AXIS, as committed."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as conn:
        row = conn.execute("SELECT count(*) FROM transfer WHERE state = 'ON_AXIS'").fetchone()
        return int(row[0])


def journal_mode(database: Path) -> str:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as conn:
        return str(conn.execute("PRAGMA journal_mode").fetchone()[0])


class Rates:
    """The rounds of one run."""

    def __init__(self, house: House, floor: Child, load: Child, stub: Child) -> None:
        self._house = house
        self._floor = floor
        self._floor_port = floor.hear()["port"]
        self._load = load
        self._pids = (house.pid, load.pid, stub.pid)
        self._runs = 0

    def _order(self, port: int, clients: int, seconds: float) -> dict[str, Any]:
        self._runs += 1
        return {
            "port": port,
            "key": self._house.key,
            "clients": clients,
            "seconds": seconds,
            "run": self._runs,
        }

    def floor(self, clients: int, seconds: float) -> dict[str, Any]:
        cpu = machine.cpu_seconds(self._floor.pid)
        done = self._load.ask(self._order(self._floor_port, clients, seconds))
        _all_accepted(done)
        used = machine.cpu_seconds(self._floor.pid) - cpu
        return {
            **done,
            "rate": done["accepted"] / done["seconds"],
            "cpu_ms": used / done["accepted"] * 1000,
        }

    def gateway(self, clients: int, seconds: float) -> dict[str, Any]:
        house = self._house
        before, cpu = delivered(house.database), machine.cpu_seconds(house.pid)
        busy, began = machine.Load.now(), time.monotonic()
        own_before = self._own()
        done = self._load.ask(self._order(house.port, clients, seconds))
        there = delivered(house.database) - before
        _all_accepted(done)
        accepted = done["accepted"]
        self._drain(before + accepted)
        drained = time.monotonic() - began
        used = machine.cpu_seconds(house.pid) - cpu
        return {
            **done,
            "rate": there / done["seconds"],
            "accepted_rate": accepted / done["seconds"],
            "backlog": accepted - there,
            "drained_rate": accepted / drained,
            "cpu_ms": used / accepted * 1000,
            "strangers": busy.strangers(drained, self._own() - own_before),
        }

    def _own(self) -> float:
        return sum(machine.cpu_seconds(pid) for pid in self._pids)

    def _drain(self, expected: int) -> None:
        end = time.monotonic() + DRAIN_SECONDS
        while delivered(self._house.database) < expected:
            if time.monotonic() > end:
                raise RuntimeError("what was accepted is not being delivered")
            time.sleep(0.02)


def _all_accepted(done: dict[str, Any]) -> None:
    if done["refused"] or not done["accepted"]:
        raise RuntimeError(f"refused under load: {done['first_refusal']}")


def run(folder: Path, *, rounds: int, seconds: float) -> Iterator[Table]:
    """Floor and gateway by turns, 1, 4 and 16 clients in each round."""
    with ExitStack() as stack:
        stub = stack.enter_context(running("stub"))
        axis_port = stub.hear()["port"]
        stored = folder / "floor"
        stored.mkdir()
        forward = f"http://127.0.0.1:{axis_port}/vxp/sendEdoc"
        bare = stack.enter_context(running("bare", stored, forward))
        load = stack.enter_context(running("load"))
        house = stack.enter_context(gateway(folder, axis_port))
        rates = Rates(house, bare, load, stub)
        rates.floor(4, 1.0)
        rates.gateway(4, 1.0)
        floors: dict[int, list[dict[str, Any]]] = {n: [] for n in CLIENTS}
        ours: dict[int, list[dict[str, Any]]] = {n: [] for n in CLIENTS}
        for _ in range(rounds):
            for clients in CLIENTS:
                floors[clients].append(rates.floor(clients, seconds))
                for file in stored.iterdir():
                    file.unlink()
                ours[clients].append(rates.gateway(clients, seconds))
        memory = machine.peak_mb(house.pid)
        mode = journal_mode(house.database)
    yield _table(floors, ours, memory, mode)


def _table(
    floors: dict[int, list[dict[str, Any]]],
    ours: dict[int, list[dict[str, Any]]],
    memory: float,
    mode: str,
) -> Table:
    lines = []
    for clients in CLIENTS:
        runs = ours[clients]
        rate = median(r["rate"] for r in runs)
        cpu = median(r["cpu_ms"] for r in runs)
        floor = median(r["rate"] for r in floors[clients])
        lines.append(
            Line(
                f"{clients} client{'s' if clients > 1 else ''}",
                {
                    "delivered/s": round(rate, 1),
                    "aim": AIMS[clients],
                    "floor/s": round(floor, 1),
                    "share of floor": f"{rate / floor:.0%}",
                    "accepted/s": round(median(r["accepted_rate"] for r in runs), 1),
                    "backlog": round(median(r["backlog"] for r in runs)),
                    "CPU ms": round(cpu, 2),
                    "floor CPU": round(median(r["cpu_ms"] for r in floors[clients]), 2),
                    "p50 ms": round(median(r["p50_ms"] for r in runs), 1),
                    "p99 ms": round(median(r["p99_ms"] for r in runs), 1),
                    "strangers": f"{median(r['strangers'] for r in runs):.0%}",
                },
                {"delivered/s": rate >= AIMS[clients], "CPU ms": cpu <= MOST_CPU_MS},
                {"rounds": runs, "floor_rounds": floors[clients]},
            )
        )
    aim = (
        "60, 120, 150 delivered/s or better, at most 5 ms of gateway CPU a document; journal "
        f"{mode}, synchronous=FULL; gateway peak {memory:.0f} MB; strangers = share of the cores "
        "used by processes that are none of ours"
    )
    return Table("100 KB documents: accepted, sealed, delivered", aim, lines)


def main() -> None:
    """For work on the hot path: `python -m tests.bench.rate [ROUNDS [SECONDS]]`, rates only."""
    import tempfile

    given = [float(a) for a in sys.argv[1:]]
    machine.pin()
    with tempfile.TemporaryDirectory() as folder:
        for table in run(
            Path(folder),
            rounds=int(given[0]) if given else 1,
            seconds=given[1] if len(given) > 1 else 3.0,
        ):
            print(table.as_text())
            print(json.dumps([line.raw["rounds"][-1] for line in table.lines]))


if __name__ == "__main__":
    main()
