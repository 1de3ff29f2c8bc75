"""A stand-in for a provincial REST v1 axis, with faults on demand.

In:     the calls of any client of `vxp-protocol` 8.3, below the paths of a profile.
Out:    its answers; packages laid out for every receiver inside. What happened can be looked at
        (`sent`, `copies`, `requests`).
Fails:  Misconfigured for a bad fault file at the start.
Never:  takes a body without Content-Length (411), keeps a token longer than the profile says.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import BodyPartReader, web

from adapters.faults import Fault, Scenario, read_fault_file
from adapters.faults.answers import failed
from adapters.faults.bends import BENDS, DAMAGES, STEPS, Dropped, lines_as_told
from adapters.faults.server import FaultyServer, SystemClock, serve_axis
from adapters.lgsp_rest.depot import BAD_ACCOUNT, BAD_FILE, DONE, Copy, Depot, Refusal
from adapters.lgsp_rest.profile import Paths, RestProfile, read_profile
from gateway.model.package import PackageKind
from gateway.ports import Clock

__all__ = ["SAMPLE_SYSTEMS", "RestSimulator", "SimulatorSettings", "run", "start"]

_BLOCK = 192 * 1024  # a multiple of 3
_PREFIX = "/lgsp/"
_VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


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
    faults_file: Path | None = None


class RestSimulator(FaultyServer):
    """One running axis. Made by `start`; everything public may be used from its event loop."""

    def __init__(self, settings: SimulatorSettings, clock: Clock) -> None:
        super().__init__(
            clock,
            host=settings.host,
            port=settings.port,
            most_bytes=2 * 1024**3,
            faults_file=settings.faults_file,
        )
        self.settings = settings
        self.queries: list[str] = []  # every address asked for
        self.depot = Depot(settings.systems, self._clock, settings.dedupe, settings.locked)
        self._tokens: dict[str, tuple[str, datetime]] = {}
        paths = msgspec.structs.asdict(settings.profile.paths)
        self._operations = {f"{_PREFIX}{path}": name for name, path in paths.items()}

    @property
    def url(self) -> str:
        """The endpoint a client is configured with."""
        return f"http://{self.settings.host}:{self._port}{_PREFIX.rstrip('/')}"

    def follow(self, scenario: Scenario) -> None:
        super().follow(scenario)
        if scenario.dedupe is not None:
            self.depot.dedupe = scenario.dedupe

    def forget(self) -> None:
        self._tokens.clear()

    def deposit(self, package: bytes, kind: PackageKind, system_id: str) -> str:
        """Puts a package on the axis as if `system_id` had sent it; its docId."""
        file = self._file()
        file.write_bytes(package)
        return self.depot.take(file, hashlib.sha256(package).hexdigest(), kind, system_id)

    def end_tokens(self) -> None:
        """Every token that was given is worth nothing any more."""
        self._tokens.clear()

    # --- what a faulty server asks -----------------------------------------------------------

    def operation_of(self, request: web.Request) -> str:
        self.queries.append(request.path_qs)
        return self._operations.get(request.path, "")

    def failed(self, fault: Fault) -> web.Response:
        words = "Lỗi mô phỏng / simulated error"
        return failed(
            fault,
            lambda code: _json({"success": False, "message": words, **_coded(code)}),
            lambda: web.Response(body=b'{"success":true,,"doc', content_type="application/json"),
        )

    def state(self) -> dict[str, object]:
        return {
            "received": [
                {"doc_id": s.doc_id, "from": s.sender, "to": s.receivers, "kind": s.kind.value}
                for s in self.depot.sent
            ],
            "copies": [
                {"doc_id": c.doc_id, "of": c.package.doc_id, "system": c.system_id, "is": c.status}
                for c in self.depot.copies
            ],
        }

    async def meet(
        self, request: web.Request, name: str, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None and fault.kind not in BENDS:
            # a fetch is nothing but its answer: there is no work that could be done before it
            nothing_to_do = name == "get" and fault.kind not in DAMAGES
            if nothing_to_do or not fault.carried_out:
                return await self._fail(fault)
        try:
            response = await self._carry_out(name, request, fault)
        except Refusal as refusal:
            response = _json({"success": False, "message": str(refusal), **_coded(refusal.code)})
        return await self._as_met(request, response, fault)

    # --- operations --------------------------------------------------------------------------

    async def _carry_out(
        self, operation: str, request: web.Request, fault: Fault | None
    ) -> web.StreamResponse:
        if not operation:
            return web.Response(status=404, text="no such address")
        kind = fault.kind if fault is not None else ""
        if operation == "login":
            return await self._give_token(request)
        system_id = self._who(request)
        if system_id is None:
            body = {"success": False, "message": "token is missing or has ended"}
            return web.json_response(body, status=401)
        match operation:
            case "send":
                doc_id = await self._send(request, system_id, fault)
                return _json({"success": True, "message": "", "docId": doc_id, **_coded("0")})
            case "list":
                return _json(self._lines(request, system_id, fault))
            case "get":
                return await self._get(request, system_id, fault)
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

    async def _send(self, request: web.Request, system_id: str, fault: Fault | None) -> str:
        if request.content_length is None:
            raise web.HTTPLengthRequired
        kind = fault.kind if fault is not None else ""
        step = _BLOCK
        if kind == "slow":
            step = min(_BLOCK, ceil(max(request.content_length, 1) / STEPS))
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
                        while chunk := await part.read_chunk(step):
                            if fault is not None and kind == "slow":
                                await self._pause_of(fault)()
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

    def _lines(
        self, request: web.Request, system_id: str, fault: Fault | None
    ) -> dict[str, object]:
        words = self.settings.profile.words
        status = request.query.get("messageType", "").lower() == words.status
        sort = PackageKind.STATUS if status else PackageKind.DOCUMENT
        copies = lines_as_told(self.depot.waiting(system_id, sort), fault)
        lines = [_line(copy, request) for copy in copies]
        return {"success": True, "count": len(lines), "data": lines}

    async def _get(
        self, request: web.Request, system_id: str, fault: Fault | None
    ) -> web.StreamResponse:
        """The package inside JSON, written while it is read."""
        kind = fault.kind if fault is not None else ""
        if kind == "lie":
            return _json({"success": True, "data": {}})
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
        left = size * 2 // 3 if kind in DAMAGES else size
        step = _BLOCK
        if kind == "slow":
            step = min(_BLOCK, 3 * ceil(size / STEPS / 3))
        with copy.package.file.open("rb") as source:
            while left and (block := source.read(min(step, left))):
                left -= len(block)
                if fault is not None and kind == "slow":
                    await self._pause_of(fault)()
                await response.write(_in_json(block, as_base64=self.settings.as_base64))
        if kind == "truncated":
            raise Dropped
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
        "createdTime": f"{package.at.astimezone(_VIETNAM):%Y-%m-%d %H:%M:%S}",
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


async def start(settings: SimulatorSettings, clock: Clock | None = None) -> RestSimulator:
    """A listening simulator; `port` 0 takes a free one, see `url`. Close it with `close`."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    simulator = RestSimulator(settings, clock or SystemClock())
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
    operations = frozenset(field.name for field in msgspec.structs.fields(Paths))
    scenario = read_fault_file(faults, operations) if faults else Scenario()
    with tempfile.TemporaryDirectory(prefix="rest-axis-") as folder:
        settings = SimulatorSettings(
            scenario.systems or SAMPLE_SYSTEMS, Path(folder), port=port, faults_file=faults
        )
        asyncio.run(_serve_forever(settings, say))


async def _serve_forever(settings: SimulatorSettings, say: Callable[[str], None]) -> None:
    simulator = RestSimulator(settings, SystemClock())
    await serve_axis(simulator, settings.systems, say)
