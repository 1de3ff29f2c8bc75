"""A simulated axis as a server that goes wrong on demand, whatever protocol it speaks.

In:     a plan of faults (`faults`), a fault file, control requests; requests of any client.
Out:    each request handed to `meet` with the fault that it meets; connections refused, held, cut.
Fails:  Misconfigured for a bad fault file at the start.
Never:  knows an operation: what is carried out, and what a failure looks like, say its heirs.

For sandboxes and tests: loopback by default, no limits of a public service.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from aiohttp import web

from adapters.faults.answers import damaged, trickling
from adapters.faults.bends import BENDS, DAMAGES, STEPS, Dropped, SkewedClock, closed
from adapters.faults.gate import Gate
from adapters.faults.plan import COMPANIONS, Fault, Faults
from adapters.faults.scenario import Scenario, read_fault_file, scenario_from
from gateway.errors import Misconfigured
from gateway.ports import Clock

_HEADER_LIMIT = 64 * 1024
_IDLE_SECONDS = 15  # clients leave connections open (vxp-protocol 6)


class SystemClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


class FaultyServer(ABC):
    """One running axis. Everything public may be used from its event loop."""

    def __init__(
        self, clock: Clock, *, host: str, port: int, most_bytes: int, faults_file: Path | None
    ) -> None:
        self.faults = Faults()
        self.requests: Counter[str] = Counter()  # by operation, failed ones too
        self._met: Counter[str] = Counter()  # under the plans before this one
        self._clock = SkewedClock(clock)
        self._host = host
        self._port = port
        self._faults_file = faults_file
        self._gates: list[Gate] = []
        self._moved = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._site: web.SockSite | None = None
        self._listener: socket.socket | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._outage: asyncio.Task[None] | None = None
        self._closed_until = 0.0  # maintenance, by the loop's clock
        app = web.Application(client_max_size=most_bytes)
        app.router.add_get("/_simulator/state", self._show_state)
        app.router.add_route("*", "/_simulator/faults", self._change_faults)
        app.router.add_route("*", "/{prefix:(?:.*/)?}{operation}", self._serve)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_IDLE_SECONDS,
            shutdown_timeout=1.0,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
        )

    # --- what an heir says -------------------------------------------------------------------

    @property
    @abstractmethod
    def url(self) -> str:
        """The endpoint a client is configured with."""

    @abstractmethod
    def operation_of(self, request: web.Request) -> str:
        """What this request asks for, by which faults are planned."""

    @abstractmethod
    async def meet(
        self, request: web.Request, name: str, fault: Fault | None
    ) -> web.StreamResponse:
        """Carry the request out, with the fault that it meets."""

    @abstractmethod
    def failed(self, fault: Fault) -> web.Response:
        """The answer that stands in place of the right one; raises Dropped when there is none."""

    @abstractmethod
    def state(self) -> dict[str, object]:
        """What happened, for processes that cannot ask otherwise; JSON."""

    @abstractmethod
    def forget(self) -> None:
        """Called when the server has closed."""

    # --- for tests and sandboxes -------------------------------------------------------------

    def hold(self, operation: str = "*") -> Gate:
        """From now on requests of this operation wait at the returned gate."""
        gate = Gate(operation)
        self._gates.append(gate)
        return gate

    async def until(self, holds: Callable[[Self], bool]) -> None:
        """Returns as soon as `holds` is true; asked again after every request."""
        async with self._moved:
            await self._moved.wait_for(lambda: holds(self))

    async def refuse_connections(self) -> None:
        """Closes the listener and every open connection: the next connect is refused."""
        if self._site is not None and self._listener is not None:
            site, self._site = self._site, None
            # what is being accepted at this moment must be a connection before the listener ends:
            # asyncio of 3.11 otherwise drops it without closing its socket
            asyncio.get_running_loop().remove_reader(self._listener)
            for _ in range(3):
                await asyncio.sleep(0)
            await site.stop()
        server = self._runner.server
        # sockets are closed in later rounds of the loop, and peers see it then; what was accepted
        # a moment ago is a connection only in the next round
        for _ in range(4):
            for connection in list(server.connections) if server is not None else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0)

    async def accept_connections(self) -> None:
        """Listens again, on the same port."""
        if self._site is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._listener = socket.create_server(
                (self._host, self._port), family=family, backlog=128
            )
            self._site = web.SockSite(self._runner, self._listener)
            await self._site.start()

    async def open(self) -> None:
        """Called by `start`."""
        await self._runner.setup()
        await self.accept_connections()
        address = self._runner.addresses[0]
        self._port = int(address[1])
        if self._faults_file is not None:
            self.follow(read_fault_file(self._faults_file))
            self._watcher = asyncio.create_task(self._watch(self._faults_file))

    async def close(self) -> None:
        self._stopping.set()
        for gate in self._gates:
            gate.release()
        for task in (self._watcher, self._outage):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        await self.refuse_connections()
        await self._runner.cleanup()
        self.forget()

    # --- requests ----------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = self.operation_of(request)
        self.requests[name] += 1
        try:
            for gate in self._gates:
                await gate.pass_through(name)
            return await self._answer(request, name)
        except (Dropped, ConnectionError):  # ours, or the client went away by itself
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        finally:
            async with self._moved:
                self._moved.notify_all()

    async def _answer(self, request: web.Request, name: str) -> web.StreamResponse:
        met = self.faults.take(name)
        fault = next((f for f in met if f.kind not in COMPANIONS), None)
        seconds = sum(f.seconds for f in met if f.kind == "latency")
        if seconds:
            await self._pause(seconds)
        loop = asyncio.get_running_loop()
        if fault is not None and fault.kind == "maintenance":
            self._closed_until = max(self._closed_until, loop.time() + fault.seconds)
        if (left := self._closed_until - loop.time()) > 0:
            return closed(left)
        with self._clock.skewed(sum(f.seconds for f in met if f.kind == "skew")):
            if fault is not None and fault.kind == "maintenance":
                fault = None  # of no seconds: it was over before it began
            return await self.meet(request, name, fault)

    async def _fail(self, fault: Fault) -> web.Response:
        if fault.kind == "die" and self._outage is None:
            self._outage = asyncio.create_task(self._die(fault.seconds))
        if fault.kind in {"hang", "hang_after"}:
            await self._stopping.wait()
        return self.failed(fault)

    async def _as_met(
        self, request: web.Request, response: web.StreamResponse, fault: Fault | None
    ) -> web.StreamResponse:
        """The right answer, after the work: as it is, spoilt, or something else in its place."""
        if fault is None or fault.kind in BENDS - {"slow"}:
            return response
        if fault.kind not in DAMAGES | BENDS:
            return await self._fail(fault)
        if response.prepared or not isinstance(response, web.Response):
            return response  # what is streamed was spoilt on its way
        if fault.kind == "slow":
            return await trickling(request, response, self._pause_of(fault))
        return await damaged(request, response, fault)

    async def _die(self, seconds: float) -> None:
        """Nobody listens for a while; what was accepted stays, as after a crash."""
        await self.refuse_connections()
        await self._pause(seconds)
        self._outage = None
        if not self.faults.refusing:
            await self.accept_connections()

    def _pause_of(self, fault: Fault) -> Callable[[], Awaitable[None]]:
        """The pause before each piece of a body that trickles."""
        return partial(self._pause, fault.seconds / STEPS)

    async def _pause(self, seconds: float) -> None:
        """So many seconds, or until the simulator closes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    # --- control -----------------------------------------------------------------------------

    async def _show_state(self, _: web.Request) -> web.Response:
        """`faults`: met since the plan was last replaced; `met`: since the axis began."""
        told = {
            "requests": dict(self.requests),
            "faults": dict(self.faults.met),
            "met": dict(self._met + self.faults.met),
        }
        return web.json_response({**self.state(), **told})

    async def _change_faults(self, request: web.Request) -> web.Response:
        """POST a JSON list of faults, or a whole scenario, replaces the plan; DELETE clears it."""
        try:
            said = {} if request.method == "DELETE" else await request.json()
            scenario = scenario_from({"fault": said} if isinstance(said, list) else said)
        except (ValueError, TypeError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        if any(fault.kind == "refuse" for fault in scenario.faults):
            return web.json_response({"error": "refuse: nobody could take it back"}, status=400)
        if scenario.systems:
            return web.json_response({"error": "systems are told at the start"}, status=400)
        self.follow(scenario)
        return web.json_response({"faults": len(self.faults.plan), "seed": self.faults.seed})

    def follow(self, scenario: Scenario) -> None:
        """From the next request on: these faults, counted from 1. Accounts stay as they are."""
        self._met.update(self.faults.met)
        self.faults.replace(scenario.faults, seed=scenario.seed)
        self._closed_until = 0.0

    async def _watch(self, path: Path) -> None:
        """Follows the fault file, and closes or opens the listener as its plan says.

        While the file is missing or half written the last plan stays.
        """
        seen = _modified(path)
        while True:
            if self.faults.refusing:
                await self.refuse_connections()
            elif self._outage is None:
                await self.accept_connections()
            await asyncio.sleep(0.2)
            with contextlib.suppress(FileNotFoundError, Misconfigured):
                if (changed := _modified(path)) != seen:
                    seen = changed
                    self.follow(read_fault_file(path))


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns


async def serve_axis(
    server: FaultyServer,
    systems: Mapping[str, tuple[str, tuple[str, ...]]],
    say: Callable[[str], None],
    *,
    words: tuple[str, str] = ("system", "secret"),
) -> None:
    """Until Ctrl-C or SIGTERM. Its address, seed and accounts are said once it listens.

    `systems`: account -> (secret, agency codes); `words`: how the protocol calls the first two.
    """
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await server.open()
    try:
        say(f"endpoint {server.url}")
        if server.faults.plan:
            say(f"seed {server.faults.seed}")
        for account, (secret, codes) in systems.items():
            say(f"{words[0]} {account} {words[1]} {secret} agencies {' '.join(codes)}")
        await ended.wait()
    finally:
        await server.close()
