"""A stand-in for a provincial REST v1 axis, with faults on demand.

In:     the calls of any client of `vxp-protocol` 8.3, below the paths of a profile.
Out:    its answers; packages laid out for every receiver inside. What happened can be looked at
        (`sent`, `copies`, `requests`).
Fails:  Misconfigured for a scenario with a fault that it does not know.
Never:  takes a body without Content-Length (411), keeps a token longer than the profile says.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import signal
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from pathlib import Path
from types import MappingProxyType

import msgspec
from aiohttp import BodyPartReader, web

from adapters.faults import Fault, Faults, Scenario, read_fault_file
from adapters.lgsp_rest.depot import BAD_ACCOUNT, BAD_FILE, DONE, Copy, Depot, Refusal
from adapters.lgsp_rest.profile import RestProfile, read_profile
from gateway.errors import Misconfigured, Text
from gateway.model.package import PackageKind
from gateway.ports import Clock

__all__ = ["SAMPLE_SYSTEMS", "RestSimulator", "SimulatorSettings", "run", "start"]

KNOWN = frozenset(
    {
        "http",
        "error",
        "hang",
        "hang_after",
        "drop_before",
        "drop_after",
        "garbage",
        "html",
        "truncated",
        "cut",
        "latency",
        "duplicate",
        "reorder",
        "lie",
        "maintenance",
    }
)
_STANDING = frozenset({"duplicate", "reorder", "lie"})  # whole answers, and not as they should be
_DAMAGES = frozenset({"cut", "truncated"})
_BLOCK = 192 * 1024  # a multiple of 3
_PAGE = b"<html><head><title>502</title></head><body>Bad gateway</body></html>"


class _SystemClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """`systems`: account -> (secret, agency codes). User name and password of the login are the
    account and its secret. `as_base64`: how `edxml` is answered. `dedupe`, `locked`: see `Depot`.
    """

    systems: Mapping[str, tuple[str, tuple[str, ...]]]
    folder: Path
    port: int = 0
    host: str = "127.0.0.1"
    dedupe: bool = True
    locked: tuple[str, ...] = ()
    as_base64: bool = False
    files_apart: bool = False
    profile: RestProfile = field(default_factory=read_profile)


class _Dropped(Exception):
    """The connection is to die without an answer."""


class RestSimulator:
    """One running axis. Made by `start`; everything public may be used from its event loop."""

    def __init__(self, settings: SimulatorSettings, clock: Clock) -> None:
        self.settings = settings
        self.faults = Faults()
        self.requests: Counter[str] = Counter()  # by operation, failed ones too
        self.queries: list[str] = []  # every address asked for
        self.depot = Depot(settings.systems, settings.dedupe, settings.locked)
        self._clock = clock
        self._tokens: dict[str, tuple[str, datetime]] = {}
        self._stopping = asyncio.Event()
        self._closed_until = 0.0
        self._port = settings.port
        self._site: web.SockSite | None = None
        app = web.Application(client_max_size=2 * 1024**3)
        for operation, path in msgspec.structs.asdict(settings.profile.paths).items():
            app.router.add_route("*", f"/lgsp/{path}", partial(self._serve, operation))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)

    @property
    def url(self) -> str:
        """The endpoint a client is configured with."""
        return f"http://{self.settings.host}:{self._port}/lgsp"

    async def open(self) -> None:
        """Called by `start`."""
        await self._runner.setup()
        await self.accept_connections()

    async def accept_connections(self) -> None:
        """Listens, always on the same port."""
        if self._site is None:
            listener = socket.create_server((self.settings.host, self._port), backlog=128)
            self._port = int(listener.getsockname()[1])
            self._site = web.SockSite(self._runner, listener)
            await self._site.start()

    async def refuse_connections(self) -> None:
        """Closes the listener and every open connection: the next connect is refused."""
        if self._site is not None:
            site, self._site = self._site, None
            await site.stop()
        server = self._runner.server
        for _ in range(4):  # what was accepted a moment ago is a connection in the next round only
            for connection in list(server.connections) if server is not None else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0)

    async def close(self) -> None:
        self._stopping.set()
        await self.refuse_connections()
        await self._runner.cleanup()

    def follow(self, scenario: Scenario) -> None:
        """From the next request on: these faults. Raises Misconfigured for one it does not know."""
        if unknown := sorted({f.kind for f in scenario.faults} - KNOWN):
            kinds = ", ".join(unknown)
            raise Misconfigured(
                Text(f"Trục REST mô phỏng không có lỗi: {kinds}", f"not a fault here: {kinds}"),
                code="simulator.faults_invalid",
            )
        self.faults.replace(scenario.faults, seed=scenario.seed)
        if scenario.dedupe is not None:
            self.depot.dedupe = scenario.dedupe

    def deposit(self, package: bytes, kind: PackageKind, system_id: str) -> str:
        """Puts a package on the axis as if `system_id` had sent it; its docId."""
        file = self._file()
        file.write_bytes(package)
        return self.depot.take(file, hashlib.sha256(package).hexdigest(), kind, system_id)

    def end_tokens(self) -> None:
        """Every token that was given is worth nothing any more."""
        self._tokens.clear()

    # --- requests ----------------------------------------------------------------------------

    async def _serve(self, operation: str, request: web.Request) -> web.StreamResponse:
        self.requests[operation] += 1
        self.queries.append(request.path_qs)
        try:
            return await self._answer(operation, request)
        except (_Dropped, ConnectionError):  # ours, or the client went away by itself
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    async def _answer(self, operation: str, request: web.Request) -> web.StreamResponse:
        met = self.faults.take(operation)
        if seconds := sum(fault.seconds for fault in met if fault.kind == "latency"):
            await self._pause(seconds)
        fault = next((f for f in met if f.kind != "latency"), None)
        loop = asyncio.get_running_loop()
        if fault is not None and fault.kind == "maintenance":
            self._closed_until = max(self._closed_until, loop.time() + fault.seconds)
        if (left := self._closed_until - loop.time()) > 0:
            wait = {"Retry-After": str(ceil(left))}
            return web.Response(status=503, body=_PAGE, content_type="text/html", headers=wait)
        stands = fault is None or fault.kind in _STANDING | _DAMAGES | {"maintenance"}
        # a fetch is nothing but its answer: there is no work that could be done before it
        first = fault is not None and (operation == "get" or not fault.carried_out)
        if not stands and fault is not None and first:
            return await self._fail(fault)
        try:
            response = await self._carry_out(operation, request, fault)
        except Refusal as refusal:
            response = _json({"success": False, "message": str(refusal), **_coded(refusal.code)})
        if not stands and fault is not None:
            return await self._fail(fault)
        if fault is not None and fault.kind in _DAMAGES and isinstance(response, web.Response):
            return await _damaged(request, response, fault)
        return response

    async def _fail(self, fault: Fault) -> web.Response:
        match fault.kind:
            case "hang" | "hang_after":
                await self._stopping.wait()
            case "http":
                moved = {"Location": "/elsewhere"} if 300 <= fault.status < 400 else None
                body = b"" if fault.status < 300 else b"<html>refused by a proxy</html>"
                return web.Response(
                    status=fault.status, body=body, content_type="text/html", headers=moved
                )
            case "error":
                words = "Lỗi mô phỏng / simulated error"
                return _json({"success": False, "message": words, **_coded(fault.code)})
            case "garbage":
                return web.Response(body=b'{"success":true,,"doc', content_type="application/json")
            case "html":
                return web.Response(body=_PAGE, content_type="text/html")
        raise _Dropped

    async def _pause(self, seconds: float) -> None:
        """So many seconds, or until the simulator closes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _carry_out(
        self, operation: str, request: web.Request, fault: Fault | None
    ) -> web.StreamResponse:
        kind = fault.kind if fault is not None else ""
        if operation == "login":
            return await self._give_token(request)
        system_id = self._who(request)
        if system_id is None:
            body = {"success": False, "message": "token is missing or has ended"}
            return web.json_response(body, status=401)
        match operation:
            case "send":
                doc_id = await self._send(request, system_id, kind)
                return _json({"success": True, "message": "", "docId": doc_id, **_coded("0")})
            case "list":
                return _json(self._lines(request, system_id, kind))
            case "get":
                return await self._get(request, system_id, kind)
            case "status":
                await self._mark(request, system_id, kind)
                return _json({"success": True, **_coded("0")})
        agencies = [
            {"code": code, "name": code}
            for _, codes in self.settings.systems.values()
            for code in codes
        ]
        return _json({"success": True, "data": [] if kind == "lie" else agencies})

    async def _give_token(self, request: web.Request) -> web.Response:
        try:
            said = json.loads(await request.read())
            name, password = str(said["username"]), str(said["password"])
        except (ValueError, KeyError, TypeError):
            return web.json_response(
                {"code": 400, "message": "bad login", "data": None}, status=400
            )
        if self.settings.systems.get(name, ("", ()))[0] != password or not password:
            return web.json_response({"code": 401, "message": "no", "data": None}, status=401)
        token = secrets.token_urlsafe(24)
        lifetime = timedelta(seconds=self.settings.profile.login.lifetime)
        self._tokens[token] = (name, self._clock.now() + lifetime)
        return _json({"code": 200, "message": "ok", "data": {"token": token}})

    def _who(self, request: web.Request) -> str | None:
        """The account of a token that lives. Raises Refusal for headers of another account."""
        words = self.settings.profile.words
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        name, ends = self._tokens.get(token, ("", self._clock.now()))
        if self._clock.now() >= ends:
            return None
        given = request.headers.get(words.system_header), request.headers.get(words.secret_header)
        if given != (name, self.settings.systems[name][0]):
            raise Refusal(BAD_ACCOUNT, "wrong system id or key")
        return name

    async def _send(self, request: web.Request, system_id: str, kind: str) -> str:
        if request.content_length is None:
            raise web.HTTPLengthRequired
        message_type, file, digest = "", None, hashlib.sha256()
        words = self.settings.profile.words
        try:
            form = await request.multipart()
            while (part := await form.next()) is not None:
                if not isinstance(part, BodyPartReader):
                    raise Refusal(BAD_FILE, "a form within a form")
                if part.name == "messageType":
                    message_type = (await part.text()).strip().lower()
                elif part.name == words.file_field:
                    file = self._file()
                    with file.open("wb") as kept:
                        while chunk := await part.read_chunk(_BLOCK):
                            digest.update(chunk)
                            kept.write(chunk)
        except (ValueError, AssertionError) as error:
            raise Refusal(BAD_FILE, "no multipart form") from error
        if file is None or message_type not in {words.document, words.status}:
            raise Refusal(BAD_FILE, "file or messageType is missing")
        if kind == "lie":
            return "rest-00000000"
        sort = PackageKind.STATUS if message_type == words.status else PackageKind.DOCUMENT
        copies = 2 if kind == "duplicate" else 1
        return self.depot.take(file, digest.hexdigest(), sort, system_id, copies=copies)

    def _lines(self, request: web.Request, system_id: str, kind: str) -> dict[str, object]:
        words = self.settings.profile.words
        status = request.query.get("messageType", "").lower() == words.status
        sort = PackageKind.STATUS if status else PackageKind.DOCUMENT
        lines = [_line(copy, request) for copy in self.depot.waiting(system_id, sort)]
        if kind == "lie":
            lines = []
        elif kind == "duplicate":
            lines = [line for line in lines for _ in range(2)]
        elif kind == "reorder":
            lines.reverse()
        return {"success": True, "count": len(lines), "data": lines}

    async def _get(self, request: web.Request, system_id: str, kind: str) -> web.StreamResponse:
        """The package inside JSON, written while it is read."""
        copy = self.depot.copy(request.query.get("docId", ""), system_id)
        apart = [{"fileName": "a.pdf", "fileContent": "JVBERi0="}]
        files = apart if self.settings.files_apart else []
        head = json.dumps(
            {"success": True, "data": {"docId": copy.doc_id, "from": copy.package.sender}}
        ).removesuffix("}}")
        tail = json.dumps({"attachments": files}).removeprefix("{") + "}"
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(f'{head},"edxml":"'.encode())
        size = copy.package.file.stat().st_size
        left = size * 2 // 3 if kind in _DAMAGES else size
        with copy.package.file.open("rb") as source:
            while left and (block := source.read(min(_BLOCK, left))):
                left -= len(block)
                await response.write(_in_json(block, as_base64=self.settings.as_base64))
        if kind == "truncated":
            raise _Dropped
        await response.write(f'",{tail}'.encode())
        await response.write_eof()
        return response

    async def _mark(self, request: web.Request, system_id: str, kind: str) -> None:
        try:
            said = json.loads(await request.read())
            doc_id, status = str(said["docId"]), str(said["status"])
        except (ValueError, KeyError, TypeError):
            raise Refusal(BAD_FILE, "docId or status is missing") from None
        copy = self.depot.copy(doc_id, system_id)
        if kind != "lie":
            copy.status = status

    def _file(self) -> Path:
        return self.settings.folder / f"{secrets.token_hex(12)}.edxml"


def _line(copy: Copy, request: web.Request) -> dict[str, str]:
    package = copy.package
    return {
        "docId": copy.doc_id,
        "messageType": request.query.get("messageType", ""),
        "serviceType": "eDoc",
        "from": package.sender,
        "to": ",".join(package.receivers),
        "status": copy.status,
        "statusDesc": "taken" if copy.status == DONE else "",
    }


def _in_json(block: bytes, *, as_base64: bool) -> bytes:
    if as_base64:
        return base64.b64encode(block)
    # bytes, not text: a block may end inside a character
    return (
        block.replace(b"\\", b"\\\\")
        .replace(b'"', b'\\"')
        .replace(b"\n", b"\\n")
        .replace(b"\r", b"\\r")
        .replace(b"\t", b"\\t")
    )


def _coded(code: str) -> dict[str, str]:
    return {"errorCode": code, "errorDesc": ""}


def _json(fields: Mapping[str, object]) -> web.Response:
    return web.json_response(fields)


async def _damaged(
    request: web.Request, response: web.Response, fault: Fault
) -> web.StreamResponse:
    """A small answer cut in the middle: by the transport, or within a good one."""
    body = response.body if isinstance(response.body, bytes) else b""
    half = body[: len(body) // 2]
    if fault.kind == "cut":
        return web.Response(body=half, content_type="application/json")
    cut = web.StreamResponse(headers={"Content-Type": "application/json"})
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(half)
    raise _Dropped


async def start(settings: SimulatorSettings, clock: Clock | None = None) -> RestSimulator:
    """A listening simulator; `port` 0 takes a free one, see `url`. Close it with `close`."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    simulator = RestSimulator(settings, clock or _SystemClock())
    await simulator.open()
    return simulator


SAMPLE_SYSTEMS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sandbox.h14": ("sandbox-secret-h14", ("000.00.19.H14", "000.00.00.H14")),
        "sandbox.h14.20": ("sandbox-secret-h14-20", ("000.00.20.H14",)),
    }
)


def run(port: int, faults: Path | None = None, *, say: Callable[[str], None] = print) -> None:
    """Serves until Ctrl-C or SIGTERM: `edoc-gateway simulate rest --port N --faults FILE`.

    Accounts are those of the fault file, else the sample ones; both are said aloud. Everything is
    forgotten at the end. Raises Misconfigured for a bad fault file.
    """
    scenario = read_fault_file(faults) if faults else Scenario()
    with tempfile.TemporaryDirectory(prefix="rest-axis-") as folder:
        settings = SimulatorSettings(scenario.systems or SAMPLE_SYSTEMS, Path(folder), port=port)
        asyncio.run(_serve_forever(settings, scenario, say))


async def _serve_forever(
    settings: SimulatorSettings, scenario: Scenario, say: Callable[[str], None]
) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    simulator = await start(settings)
    try:
        simulator.follow(scenario)
        say(f"endpoint {simulator.url}")
        if simulator.faults.plan:
            say(f"seed {simulator.faults.seed}")
        for system_id, (secret, codes) in settings.systems.items():
            say(f"system {system_id} secret {secret} agencies {' '.join(codes)}")
        await ended.wait()
    finally:
        await simulator.close()
