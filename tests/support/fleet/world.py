"""Two gateways and two simulated axes, all in processes of their own, on either database.

An axis speaks VXP, or SOAP where the world is told so.

The sender's gateway reaches one agency over the axis `north` and another over `south`; the
receiver's gateway speaks for both. Axes and timestamp authority live through everything that
happens to the gateways.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from adapters.tsa import server as tsa_server
from adapters.tsa.make import make_authority
from gateway.store.tables import Role
from gateway.wiring.process import open_gateway
from tests.support.databases import running_postgres
from tests.support.fleet.process import ROOT, Parent, Process, parent
from tests.support.houses import NOW, House, WallClock

SENDER, RECEIVER = "sender", "receiver"
FROM = "000.00.19.H14"
OPERATOR = "operator"  # the name of the account of those who run a gateway
TO = {"north": "000.00.00.G22", "south": "000.00.00.G12"}
JOBS = ("seal", "stamp", "deliver", "collect", "open", "sweep")
SOAP = ("-m", "gateway", "simulate", "edoc-soap", "--faults")
CONNECTIONS = 900  # of PostgreSQL: each process may have nine
PACE: Mapping[str, Mapping[str, Any]] = {
    "dispatch": {
        "retry": "100ms, 200ms, 400ms then every 1s for 1h, jitter full",
        "probe_first": "100ms",
        "probe_longest": "1s",
        "attempt_deadline": "3s",
        "grace": "500ms",
        "uncertain_wait": "300ms",
        "idle": "200ms",
        "sweep": "300ms",
    },
    # a held fetch waits for a person; here nobody would come
    "collect": {
        "interval": "250ms",
        "list_deadline": "3s",
        "fetch_deadline": "3s",
        "hold_after": 1_000_000,
    },
    "stamp": {"interval": "500ms", "deadline": "5s"},
    "log": {"level": "warning"},
}


@dataclass(slots=True)
class Axis:
    """A simulated axis in a process of its own."""

    name: str
    url: str
    pid: int
    session: aiohttp.ClientSession

    @property
    def control(self) -> str:
        return self.url.rpartition("/")[0] + "/_simulator"

    async def follow(self, scenario: Mapping[str, Any]) -> None:
        """Another scenario; it may be down for the moment, so this is asked until answered."""
        await self._ask("POST", "faults", dict(scenario))

    async def state(self) -> dict[str, Any]:
        return await self._ask("GET", "state", None)

    async def _ask(self, method: str, path: str, content: object) -> dict[str, Any]:
        while True:
            try:
                async with self.session.request(
                    method, f"{self.control}/{path}", json=content
                ) as answer:
                    said: dict[str, Any] = await answer.json()
                    assert answer.status == 200, said
                    return said
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)


@dataclass(slots=True)
class Side:
    """One gateway: its folder, its processes, the keys of its unit systems and of its operator."""

    name: str
    house: House
    processes: list[Process]
    keys: dict[str, str]

    def doors(self) -> list[str]:
        return [p.url for p in self.processes if p.url]


@dataclass(slots=True)
class World:
    folder: Path
    session: aiohttp.ClientSession
    axes: dict[str, Axis] = field(default_factory=dict)
    sides: dict[str, Side] = field(default_factory=dict)
    over_soap: Sequence[str] = ()

    @property
    def processes(self) -> list[Process]:
        return [p for side in self.sides.values() for p in side.processes]

    async def start(self) -> None:
        for process in self.processes:
            await process.start()
        for process in self.processes:
            await process.ready()

    async def stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.processes))


@asynccontextmanager
async def world(
    folder: Path,
    *,
    database: str,
    workers: int = 1,
    scenarios: Mapping[str, Mapping[str, Any]],
    changes: Mapping[str, Mapping[str, Any]] = PACE,
    sides: Sequence[str] = (SENDER, RECEIVER),
    axis: Sequence[str] = ("-m", "gateway", "simulate", "vxp", "--faults"),
    over_soap: Sequence[str] = (),
    keep_alive: bool = False,
    durable: bool = False,
) -> AsyncIterator[World]:
    """`workers`: of each job, and as many doors; on SQLite there is the one process.

    `axis`: what python runs as an axis, followed by the file of its scenario. `over_soap`: names of
    axes that are provincial ones and speak SOAP instead. `keep_alive`: unit
    systems keep their connections, as they do in service; without it a connection for each request,
    so that a dead gateway leaves nothing to be reused. `durable`: PostgreSQL as in service, set up
    as conf/postgresql.conf says.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=not keep_alive, limit=0),
                timeout=aiohttp.ClientTimeout(total=60),
            )
        )
        made = World(folder, session, over_soap=over_soap)
        for name, scenario in scenarios.items():
            command = SOAP if name in over_soap else axis
            url, pid = await stack.enter_async_context(_axis(folder, name, scenario, command))
            made.axes[name] = Axis(name, url, pid, session)
        authority = make_authority(folder / "tsa", NOW)
        tsa = await stack.enter_async_context(
            tsa_server.serve("127.0.0.1", 0, authority, WallClock())
        )
        bearer = await stack.enter_async_context(parent())
        server = None
        if database == "postgresql":
            server = stack.enter_context(running_postgres(connections=CONNECTIONS, durable=durable))
        for name in sides:
            url = ""
            if server is not None:
                url = stack.enter_context(server.database(migrated=False))
            house = _house(folder, name, made, (tsa.url, folder / "tsa" / "ca.pem"), url, changes)
            house.kinds = dict.fromkeys(over_soap, "edoc_soap")
            house.build()
            jobs = [("all", 1)] if server is None else _jobs(workers)
            processes = _processes(bearer, name, house, jobs)
            made.sides[name] = Side(name, house, processes, await _keys(house))
        stack.push_async_callback(made.stop)
        yield made


def _jobs(workers: int) -> list[tuple[str, int]]:
    return [(job, number) for job in ("api", *JOBS) for number in range(1, workers + 1)]


def _processes(
    bearer: Parent, side: str, house: House, jobs: Sequence[tuple[str, int]]
) -> list[Process]:
    logs = house.folder / "logs"
    logs.mkdir()
    return [
        Process(bearer, side, job, number, house.conf, logs / f"{job}-{number}.log")
        for job, number in jobs
    ]


def _house(
    folder: Path,
    name: str,
    made: World,
    tsa: tuple[str, Path],
    database: str,
    changes: Mapping[str, Mapping[str, Any]],
) -> House:
    routes = [{"axis": axis, "agency": code} for axis, code in TO.items()]
    return House(
        name,
        folder / name,
        (FROM,) if name == SENDER else tuple(TO.values()),
        {axis: (one.url, f"sys.{name}") for axis, one in made.axes.items()},
        routes if name == SENDER else [{"axis": "north", "everyone": True}],
        tsa=tsa,
        database=database,
        changes=changes,
    )


async def _keys(house: House) -> dict[str, str]:
    made = {}
    async with open_gateway(house.settings()) as gateway:
        for code in house.local:
            _, made[code] = await gateway.desk.add_account(
                "test", name=code, role=Role.UNIT, agencies=[code]
            )
        _, made[OPERATOR] = await gateway.desk.add_account(
            "test", name=OPERATOR, role=Role.OPS, agencies=[]
        )
    return made


@asynccontextmanager
async def _axis(
    folder: Path, name: str, scenario: Mapping[str, Any], command: Sequence[str]
) -> AsyncIterator[tuple[str, int]]:
    """An axis as a process: its address and its id."""
    file = folder / f"{name}.json"
    systems = {
        f"sys.{SENDER}": {"secret": "made-up-secret", "codes": [FROM]},
        f"sys.{RECEIVER}": {"secret": "made-up-secret", "codes": [TO[name]]},
    }
    file.write_text(json.dumps({**scenario, "systems": systems}), "utf-8")
    setpriv = shutil.which("setpriv")
    process = await asyncio.create_subprocess_exec(
        *((setpriv, "--pdeathsig", "TERM") if setpriv else ()),
        sys.executable,
        *command,
        str(file),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        said = (await process.stdout.readline()).decode().split()
        assert said[:1] == ["endpoint"], said
        yield said[1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.stdout.read()
        await process.wait()
