"""A stand-in for the national axis: a faithful VXP server with faults on demand.

In: the calls of any VXP client. Out: the answers vxp-protocol 4.3 asks of a server, packages
delivered to every `To` inside, rebuilt as the axis does (edxml-format 9.3). Header signatures are
checked over the received bytes. What goes wrong is scripted (`faults`); what happened can be
looked at (`received`, `deliveries`, `acknowledged`). For sandboxes and tests: loopback only by
default, no limits of a public service.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import MappingProxyType

from aiohttp import web

from adapters.faults import Fault, Gate, Scenario, read_fault_file
from adapters.faults.answers import failed
from adapters.faults.bends import (
    BENDS,
    DAMAGES,
    STEPS,
    Dropped,
    Slowly,
    lines_as_told,
)
from adapters.faults.server import FaultyServer, SystemClock, serve_axis
from adapters.vxp import wire
from adapters.vxp.simulator_depot import (
    BAD_ACCOUNT,
    OTHER,
    Body,
    Depot,
    Refusal,
    SimulatorSettings,
    received_item,
    sent_item,
)
from adapters.vxp.simulator_directory import Directory, agency_key
from adapters.vxp.simulator_store import (
    DONE,
    STATUSES,
    Entry,
    ReceivedPackage,
    SimulatorStore,
)
from adapters.vxp.wire import Operation
from gateway.errors import Rejected
from gateway.model.package import PackageKind
from gateway.ports import Clock

__all__ = ["SAMPLE_SYSTEMS", "Gate", "Simulator", "SimulatorSettings", "run", "start"]

_BLOCK = 192 * 1024  # a multiple of 3


@dataclass(frozen=True, slots=True)
class _Call:
    request: web.Request
    received: wire.Received
    system_id: str
    fault: Fault | None

    def meets(self, kind: str) -> bool:
        return self.fault is not None and self.fault.kind == kind


class Simulator(FaultyServer):
    """One running axis. Made by `start`; everything public may be used from its event loop."""

    def __init__(self, settings: SimulatorSettings, clock: Clock) -> None:
        super().__init__(
            clock,
            host=settings.host,
            port=settings.port,
            most_bytes=settings.max_package_bytes,
            faults_file=settings.faults_file,
        )
        self.settings = settings
        self._store = SimulatorStore(settings.folder)
        self._directory = Directory(settings.systems, self._store)
        self._depot = Depot(settings, self._store, self._directory, self._clock)
        self._answers: Mapping[Operation, Callable[[_Call], dict[str, object]]] = {
            Operation.RECEIVED_LIST: self._received_list,
            Operation.SENT_LIST: self._sent_list,
            Operation.UPDATE_STATUS: self._update_status,
            Operation.COUNT_DOCUMENTS: lambda call: self._count(call, PackageKind.DOCUMENT),
            Operation.COUNT_STATUSES: lambda call: self._count(call, PackageKind.STATUS),
            Operation.AGENCIES: lambda _: {"data": self._directory.agencies()},
            Operation.AGENCIES_QD20: lambda _: {"data": self._directory.agencies_qd20()},
            Operation.UNITS: lambda _: {"data": self._directory.units()},
            Operation.DELETE_AGENCY: self._delete_agency,
        }

    # --- for tests and sandboxes -------------------------------------------------------------

    @property
    def url(self) -> str:
        """The endpoint a client is configured with."""
        return f"http://{self.settings.host}:{self._port}/vxp"

    def received(self) -> tuple[ReceivedPackage, ...]:
        """Every package taken, in order; a deduplicated repeat is not a new one."""
        return self._store.packages()

    def deliveries(self, agency: str) -> tuple[Entry, ...]:
        """The copies made for the system of this agency that name it as a receiver."""
        key = agency_key(agency)
        return tuple(
            entry
            for entry in self._store.entries()
            if key in {agency_key(code) for code in entry.receivers}
        )

    def acknowledged(self) -> tuple[str, ...]:
        """docIds marked done by their receivers."""
        return tuple(entry.doc_id for entry in self._store.entries() if entry.status == DONE)

    def sent_bytes(self, doc_id: str) -> bytes:
        """A package as its sender gave it, by the sender's DocId."""
        return self._depot.sent_file(doc_id).read_bytes()

    def delivered_bytes(self, entry: Entry) -> bytes:
        """A package as its receiver gets it."""
        return self._depot.outgoing_file(entry.package).read_bytes()

    async def deposit(self, data: bytes, *, system_id: str, sender: str) -> str:
        """Puts a package on the axis as if `system_id` had sent it; the sender's DocId."""
        return await self._depot.deposit(data, system_id, sender)

    def lose(self, doc_id: str) -> None:
        """Forgets a package and every copy of it, as if it had never been sent."""
        self._store.forget(doc_id)

    def double(self, doc_id: str) -> None:
        """Lays every copy of a package out once more, under new docIds."""
        self._depot.lay_out_again(doc_id)

    # --- requests ----------------------------------------------------------------------------

    def operation_of(self, request: web.Request) -> str:
        return request.match_info["operation"]

    def failed(self, fault: Fault) -> web.Response:
        return failed(
            fault,
            lambda code: _json(wire.render_answer(code, "Lỗi mô phỏng / simulated error")),
            lambda: _json(b'{"status":"OK","ErrorCode":"0",,"Err'),
        )

    def forget(self) -> None:
        self._store.close()

    def follow(self, scenario: Scenario) -> None:
        super().follow(scenario)
        if scenario.dedupe is not None:
            self._depot.dedupe = scenario.dedupe

    async def meet(
        self, request: web.Request, name: str, fault: Fault | None
    ) -> web.StreamResponse:
        # a download is nothing but its answer: there is no work that could be done before it
        only_answer = name in {Operation.GET, Operation.DOWNLOAD}
        if fault is not None and fault.kind not in BENDS:
            nothing_to_do = only_answer and fault.kind not in DAMAGES
            if nothing_to_do or not fault.carried_out:
                return await self._fail(fault)
        try:
            response = await self._carry_out(request, name, fault)
        except Refusal as refusal:
            response = _json(wire.render_answer(refusal.code, str(refusal)))
        except Rejected as refused:
            code = BAD_ACCOUNT if refused.code == "vxp.signature" else OTHER
            response = _json(wire.render_answer(code, refused.text.en))
        return await self._as_met(request, response, fault)

    async def _carry_out(
        self, request: web.Request, name: str, fault: Fault | None
    ) -> web.StreamResponse:
        try:
            operation = Operation(name)
        except ValueError:
            return web.Response(status=404, text="no such operation")
        if operation is Operation.DOWNLOAD and not self.settings.download:
            return web.Response(status=404, text="no such operation")
        received = wire.received(request.raw_headers)
        system_id = received.get("systemid")
        account = self.settings.systems.get(system_id)
        if account is None:
            raise Refusal(BAD_ACCOUNT, "unknown system")
        wire.check_request(received, operation, account[0])
        call = _Call(request, received, system_id, fault)
        if operation is Operation.SEND:
            return _json(wire.render_answer(doc_id=await self._send(call)))
        if operation is Operation.GET:
            return await self._get(call)
        if operation is Operation.DOWNLOAD:
            return await self._download(call)
        if operation is Operation.REGISTER_AGENCY:
            if not call.meets("lie") and not self._directory.register(
                call.system_id, await request.read()
            ):
                raise Refusal(OTHER, "no JSON, no code, or the code of another system")
            return _json(wire.render_answer())
        response = _json(wire.render_answer(extra=self._answers[operation](call)))
        response.enable_compression()  # only what the client asks for, never on sendEdoc (4.3)
        return response

    # --- sendEdoc ----------------------------------------------------------------------------

    async def _send(self, call: _Call) -> str:
        message_type = wire.kind_of(call.received.get("messagetype"))
        if message_type is None or call.received.get("servicetype").lower() != "edoc":
            raise Refusal(OTHER, "messagetype or servicetype is wrong")
        content: Body = call.request.content
        if call.fault is not None and call.fault.kind == "slow":
            size = call.request.content_length
            content = Slowly(call.request.content, size, self._pause_of(call.fault))
        return await self._depot.receive(
            content,
            claimed_hash=call.received.get("hash-file"),
            system_id=call.system_id,
            sender=call.received.get("from"),
            message_type=message_type,
            copies={"lie": 0, "duplicate": 2}.get(call.fault.kind if call.fault else "", 1),
        )

    # --- receiving ---------------------------------------------------------------------------

    def _received_list(self, call: _Call) -> dict[str, object]:
        kind = self._kind(call)
        entries = self._store.waiting(call.system_id, kind, failed_too=self.settings.relist_failed)
        return {"data": lines_as_told([received_item(e) for e in entries], call.fault)}

    def _sent_list(self, call: _Call) -> dict[str, object]:
        package = self._store.package(call.received.get("docId"))
        if package is None or package.system_id != call.system_id:
            if not self.settings.says_unknown:
                return {"data": []}
            raise Refusal(OTHER, "unknown DocId")
        lines: list[dict[str, str]] = []
        entries = self._store.entries_of(package.doc_id)
        for code in package.receivers:
            copies = [entry for entry in entries if code in entry.receivers]
            lines += [sent_item(package, code, copy) for copy in copies or (None,)]
        return {"data": lines_as_told(lines, call.fault)}

    async def _get(self, call: _Call) -> web.StreamResponse:
        """The package as base64 in JSON, written while it is read."""
        entry = self._entry(call)
        if call.meets("lie"):
            return _json(wire.render_answer(extra={"data": ""}))
        path = self._depot.outgoing_file(entry.package)
        size = path.stat().st_size
        head, tail = wire.render_answer(extra={"data": "\n"}).split(b"\\n")
        encoded = (size + 2) // 3 * 4
        cut = call.meets("cut")
        # a cut that leaves a broken group of four, inside JSON that closes
        kept = max(encoded // 3 * 2, 2) | 1 if cut else encoded
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(head) + kept + len(tail)
        await response.prepare(call.request)
        await response.write(head)
        left = kept
        with path.open("rb") as source:
            while left and (block := source.read(self._block(call, size))):
                await self._trickle(call)
                text = base64.b64encode(block)[:left]
                left -= len(text)
                await response.write(text)
                self._cut_transport(call, kept - left, encoded)
        await response.write(tail)
        await response.write_eof()
        return response

    async def _download(self, call: _Call) -> web.StreamResponse:
        """The bare bytes; an empty body is the only way to say no (4.3)."""
        entry = self._store.entry(call.received.get("docId"), call.system_id)
        if entry is None or call.meets("lie"):
            return web.Response(content_type=wire.FILE_TYPE)
        path = self._depot.outgoing_file(entry.package)
        size = path.stat().st_size
        cut = call.meets("cut")
        kept = size * 2 // 3 if cut else size
        response = web.StreamResponse(headers={"Content-Type": wire.FILE_TYPE})
        response.content_length = kept
        await response.prepare(call.request)
        left = kept
        with path.open("rb") as source:
            while left and (block := source.read(min(left, self._block(call, size)))):
                await self._trickle(call)
                left -= len(block)
                half = block[: len(block) // 2] if call.meets("truncated") else block
                await response.write(half)
                self._cut_transport(call, kept - left, size)
        await response.write_eof()
        return response

    @staticmethod
    def _block(call: _Call, size: int) -> int:
        """How much of a file is written at once: a multiple of 3."""
        return min(_BLOCK, 3 * ceil(max(size, 1) / STEPS / 3)) if call.meets("slow") else _BLOCK

    async def _trickle(self, call: _Call) -> None:
        if call.fault is not None and call.fault.kind == "slow":
            await self._pause(call.fault.seconds / STEPS)

    @staticmethod
    def _cut_transport(call: _Call, written: int, size: int) -> None:
        if call.meets("truncated") and written * 2 >= size:
            raise Dropped

    def _update_status(self, call: _Call) -> dict[str, object]:
        entry = self._entry(call)
        status = call.received.get("status").lower()
        if status not in STATUSES:
            raise Refusal(OTHER, "unknown status")
        description = call.received.get("description")
        if call.meets("lie"):
            return {}
        self._store.set_status(entry.doc_id, status, description, self._depot.now_text())
        return {}

    def _delete_agency(self, call: _Call) -> dict[str, object]:
        if not call.meets("lie") and not self._directory.delete(
            call.system_id, call.received.get("AgencyCode")
        ):
            raise Refusal(OTHER, "no such agency of this system")
        return {}

    def _count(self, call: _Call, kind: PackageKind) -> dict[str, object]:
        if call.meets("lie"):
            return {"count": 0}
        failed_too = self.settings.relist_failed
        return {"count": len(self._store.waiting(call.system_id, kind, failed_too=failed_too))}

    def _entry(self, call: _Call) -> Entry:
        entry = self._store.entry(call.received.get("docId"), call.system_id)
        if entry is None:
            raise Refusal(OTHER, "unknown docId")
        return entry

    @staticmethod
    def _kind(call: _Call) -> PackageKind:
        kind = wire.kind_of(call.received.get("messagetype"))
        if kind is None:
            raise Refusal(OTHER, "messagetype is wrong")
        return kind

    # --- control -----------------------------------------------------------------------------

    def state(self) -> dict[str, object]:
        return {
            "received": [
                {
                    "doc_id": p.doc_id,
                    "from": p.sender,
                    "to": p.receivers,
                    "document_id": p.document_id,
                    "kind": p.kind.value,
                    "sha256": p.sha256,
                }
                for p in self.received()
            ],
            "entries": [
                {
                    "doc_id": e.doc_id,
                    "package": e.package,
                    "system": e.system_id,
                    "to": e.receivers,
                    "status": e.status,
                    "kind": e.kind.value,
                }
                for e in self._store.entries()
            ],
        }


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=wire.JSON_TYPE, charset="utf-8")


async def start(settings: SimulatorSettings, clock: Clock | None = None) -> Simulator:
    """A listening simulator; `port` 0 takes a free one, see `url`. Close it with `close`."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    simulator = Simulator(settings, clock or SystemClock())
    await simulator.open()
    return simulator


SAMPLE_SYSTEMS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sandbox.h14": ("sandbox-secret-h14", ("000.00.19.H14", "000.00.00.H14")),
        "sandbox.g22": ("sandbox-secret-g22", ("000.00.00.G22",)),
    }
)


def run(
    port: int,
    faults: Path | None = None,
    *,
    folder: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serves until Ctrl-C or SIGTERM: `edoc-gateway simulate vxp --port N --faults FILE`.

    Accounts are those of the fault file, else the sample ones; both are said aloud. Without
    `folder` everything is forgotten at the end. Raises Misconfigured for a bad fault file.
    """
    with contextlib.ExitStack() as stack:
        kept = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vxp-axis-")))
        scenario = read_fault_file(faults, frozenset(Operation)) if faults else Scenario()
        settings = SimulatorSettings(
            scenario.systems or SAMPLE_SYSTEMS, kept, port=port, faults_file=faults
        )
        asyncio.run(_serve_forever(settings, say))


async def _serve_forever(settings: SimulatorSettings, say: Callable[[str], None]) -> None:
    settings.folder.mkdir(parents=True, exist_ok=True)
    simulator = Simulator(settings, SystemClock())
    await serve_axis(simulator, settings.systems, say)
