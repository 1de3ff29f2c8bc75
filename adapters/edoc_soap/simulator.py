"""A stand-in for a provincial axis over SOAP: the operations of Bkav eDoc, faults on demand.

In:     SOAP 1.1 or 1.2, an envelope or a message in parts, SOAPAction quoted or not.
Out:    Reports (never SOAP faults), lists, documents as messages in parts whose files are base64
        *text*, as the only public server has them; an unknown SOAPAction gets an empty envelope.
Fails:  Misconfigured for a bad fault file at the start.
Never:  holds a file; shows a token to a receiver.
Source: vxp-protocol 8.1, edxml-format 12. For sandboxes and tests: loopback only by default.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from adapters.edoc_soap import contract as soap
from adapters.edoc_soap.contract import SOAP_11, SOAP_12, Contract
from adapters.edoc_soap.forms import PackageForm, StatusForm, SwaForm
from adapters.edoc_soap.profile import Profile
from adapters.edoc_soap.simulator_depot import Depot, Refusal
from adapters.edoc_soap.simulator_request import Incoming
from adapters.edoc_soap.simulator_store import Received, SimulatorStore, Stored
from adapters.edoc_soap.trees import Node, read_tree
from adapters.faults import Fault, Gate, Scenario, read_fault_file
from adapters.faults.answers import failed
from adapters.faults.bends import BENDS, DAMAGES, STEPS, Dropped, lines_as_told
from adapters.faults.server import FaultyServer, SystemClock, serve_axis
from adapters.streams import NotAnAnswer
from gateway.errors import Rejected, Untrusted
from gateway.model.package import NS_EDXML1
from gateway.ports import Clock

__all__ = ["SAMPLE_SYSTEMS", "Gate", "Simulator", "SimulatorSettings", "run", "start"]

_BLOCK = 57 * 3 * 1024


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """`systems`: OrganId of an account -> (token, agency codes that it stands for).

    `dedupe`: a repeated SendDocument is refused with M.Exist; `says_known_id`: with the first id.
    `answers`: how a part of GetDocument holds its file: text, base64 or binary. Everything is kept
    in `folder` and found there by the next start.
    """

    systems: Mapping[str, tuple[str, tuple[str, ...]]]
    folder: Path
    port: int = 0
    host: str = "127.0.0.1"
    profile: Profile = field(default_factory=Profile)
    dedupe: bool = True
    says_known_id: bool = True
    answers: str = "text"
    max_package_bytes: int = 2 * 1024**3
    faults_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that was read, and the account it came from."""

    account: str
    incoming: Incoming
    fault: Fault | None

    @property
    def copies(self) -> int:
        return {"lie": 0, "duplicate": 2}.get(self.fault.kind if self.fault else "", 1)


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
        self.seen_actions: list[str] = []  # SOAPAction as it came, the last hundred
        self._store = SimulatorStore(settings.folder)
        self._depot = Depot(
            settings.systems,
            settings.folder / "files",
            self._clock,
            self._store,
            settings.dedupe,
            settings.says_known_id,
        )

    # --- for tests and sandboxes -------------------------------------------------------------

    @property
    def url(self) -> str:
        """The endpoint a client is configured with."""
        return f"http://{self.settings.host}:{self._port}/edoc"

    def received(self) -> tuple[Received, ...]:
        """Every document and status taken, in order; a refused repeat is not a new one."""
        return self._store.received()

    def acknowledged(self) -> tuple[str, ...]:
        """Ids that their receivers confirmed."""
        return tuple(self._store.confirmed())

    def pending(self, account: str) -> tuple[str, ...]:
        return tuple(self._store.waiting(account))

    async def deposit(self, data: bytes, *, system_id: str, sender: str) -> str:
        """Puts a QCVN 102 package on the axis as if `system_id` had sent it; its id."""
        del sender  # stands in the package
        profile = self.settings.profile
        contract = Contract(profile, system_id, self.settings.systems[system_id][0])
        await asyncio.to_thread(contract.load)
        status = read_tree(data).anywhere("StatusCode") is not None
        form: StatusForm | PackageForm | SwaForm
        if status:
            form = StatusForm(contract)
        else:
            swa = profile.payload == "swa"
            form = SwaForm(contract, "0" * 64) if swa else PackageForm(contract)
        incoming = Incoming(form.content_type(), self._depot.file, self.settings.profile)
        incoming.feed(form.take(data) + form.finish())
        incoming.close()
        asked = _Asked(system_id, incoming, None)
        if status:
            self._depot.update(system_id, incoming.body("Status"))
            return ""
        return self._send(asked)

    # --- what a faulty server asks -------------------------------------------------------------

    def operation_of(self, request: web.Request) -> str:
        said = request.headers.get("SOAPAction", "")
        if not said:
            _, _, said = request.headers.get("Content-Type", "").partition("action=")
            said = said.partition(";")[0]
        self.seen_actions = [*self.seen_actions[-99:], said]
        action = said.strip().strip('"')
        front, _, behind = self.settings.profile.action.partition("{operation}")
        return action.removeprefix(front).removesuffix(behind)

    def failed(self, fault: Fault) -> web.Response:
        def error(code: str) -> web.Response:
            del code  # a Report, and `meet` gives it where the operation has one
            raise Dropped

        def garbage() -> web.Response:
            return web.Response(body=b"<S:Envelope><S:Body><E:Rep", content_type="text/xml")

        return failed(fault, error, garbage)

    def state(self) -> dict[str, object]:
        return {
            "received": [
                {
                    "doc_id": r.doc_id,
                    "from": r.sender,
                    "to": r.receivers,
                    "document_id": r.document_id,
                    "kind": r.kind.value,
                    "code": r.code,
                }
                for r in self.received()
            ],
            "entries": [
                {
                    "doc_id": one.doc_id,
                    "package": one.doc_id,
                    "document_id": one.document_id,
                    "system": one.account,
                    "to": [
                        code for code in one.receivers if self._depot.owner(code) == one.account
                    ],
                    "status": "done" if one.confirmed else "initial",
                }
                for one in self._store.entries()
            ],
            "waiting": {account: self._store.waiting(account) for account in self.settings.systems},
            "acknowledged": list(self.acknowledged()),
        }

    def forget(self) -> None:
        self._store.close()

    def follow(self, scenario: Scenario) -> None:
        super().follow(scenario)
        if scenario.dedupe is not None:
            self._depot.dedupe = scenario.dedupe

    async def meet(
        self, request: web.Request, name: str, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None and fault.kind == "error":
            await request.read()
            answer = _report(name, ((fault.code, "Lỗi mô phỏng / simulated error"),))
            return await self._say(request, [answer], None)
        only_answer = name == soap.GET  # there is no work that could be done before it
        if fault is not None and fault.kind not in BENDS:
            nothing_to_do = only_answer and fault.kind not in DAMAGES
            if nothing_to_do or not fault.carried_out:
                return await self._fail(fault)
        try:
            asked = await self._read(request, name, fault)
            if name == soap.GET:
                return await self._get(request, asked)
            inner = self._carry_out(name, asked)
        except Refusal as refusal:
            known = f"<E:DocumentId>{refusal.known}</E:DocumentId>" if refusal.known else ""
            inner = _report(name, refusal.errors, known)
        except (NotAnAnswer, Untrusted, Rejected) as error:
            inner = _report(name, (("T.Message", str(error)),))
        if fault is not None and fault.kind not in DAMAGES | BENDS:
            return await self._fail(fault)
        return await self._say(request, [inner], fault)

    # --- operations ----------------------------------------------------------------------------

    async def _read(self, request: web.Request, name: str, fault: Fault | None) -> _Asked:
        kind = request.headers.get("Content-Type", "")
        incoming = Incoming(kind, self._depot.file, self.settings.profile)
        slow = fault is not None and fault.kind == "slow"
        async for piece in request.content.iter_any():
            if slow and fault is not None:
                await self._pause(fault.seconds / STEPS)
            if incoming.large:
                await asyncio.to_thread(incoming.feed, piece)
            else:
                incoming.feed(piece)
        incoming.close()
        if name not in soap.OPERATIONS:
            return _Asked("", incoming, fault)
        return _Asked(self._depot.account(*incoming.credentials()), incoming, fault)

    def _carry_out(self, name: str, asked: _Asked) -> str:
        depot, body = self._depot, asked.incoming.body
        match name:
            case soap.SEND:
                return _report(name, (), f"<E:DocumentId>{self._send(asked)}</E:DocumentId>")
            case soap.LIST:
                ids = lines_as_told(self._store.waiting(asked.account), asked.fault)
                lines = "".join(f"<E:DocumentId>{one}</E:DocumentId>" for one in ids)
                return _answer(name, f"<E:DocumentIds>{lines}</E:DocumentIds>")
            case soap.CONFIRM:
                found = asked.incoming.root.anywhere("documentId")
                if asked.copies:
                    depot.confirm(asked.account, found.text if found is not None else "")
                return _report(name, ())
            case soap.UPDATE:
                depot.update(asked.account, body("Status"), copies=asked.copies)
                return _report(name, ())
            case soap.TRACES:
                since = asked.incoming.root.anywhere("TimeStamp")
                found_ones = depot.statuses(asked.account, since.text if since else "")
                lines = "".join(_xml(s) for s in lines_as_told(found_ones, asked.fault))
                return _answer(name, f"<E:Traces>{lines}</E:Traces>")
            case soap.ORGANIZATIONS:
                lines = "".join(_xml(one) for one in depot.organizations())
                return _answer(name, f"<E:Organizations>{lines}</E:Organizations>")
            case soap.CHECK:
                return _report(name, ())
        return ""  # an unknown SOAPAction: nothing at all

    def _send(self, asked: _Asked) -> str:
        incoming = asked.incoming
        if incoming.package is not None:
            tree = incoming.package_header()
            return self._depot.accept(
                asked.account, tree, (), package=incoming.package, copies=asked.copies
            )
        header = incoming.root.find("Header")
        blocks = header.children if header is not None else []
        return self._depot.accept(asked.account, blocks, incoming.files(), copies=asked.copies)

    async def _get(self, request: web.Request, asked: _Asked) -> web.StreamResponse:
        found = asked.incoming.root.anywhere("documentId")
        stored = self._depot.document(asked.account, found.text if found is not None else "")
        if asked.fault is not None and asked.fault.kind == "lie":
            return await self._say(request, [_report(soap.GET, ())], None)
        if stored.package is not None:
            pieces = _package_pieces(stored.package)
            return await self._say(request, pieces, asked.fault, stored.package.stat().st_size)
        size = sum(path.stat().st_size for _, path in stored.files)
        boundary = f"MIMEBoundary_{stored.received.doc_id}"
        kind = f'multipart/related; type="text/xml"; boundary="{boundary}"; start="<root@edoc>"'
        pieces = self._swa_pieces(request, stored, boundary)
        return await self._say(request, pieces, asked.fault, size, kind)

    def _swa_pieces(
        self, request: web.Request, stored: Stored, boundary: str
    ) -> Iterator[str | bytes]:
        header = "".join(_xml(block) for block in stored.blocks)
        names = "".join(
            f"<E:Reference xlink:href={quoteattr('cid:' + quote(named.content_id, safe='@+'))}>"
            f"<E:AttachmentName>{escape(named.name)}</E:AttachmentName>"
            f"<E:ContentType>{escape(named.content_type)}</E:ContentType></E:Reference>"
            for named, _ in stored.files
        )
        manifest = f'<E:Manifest xmlns:xlink="http://www.w3.org/1999/xlink">{names}</E:Manifest>'
        yield f"--{boundary}\r\nContent-Type: text/xml; charset=UTF-8\r\n"
        yield "Content-ID: <root@edoc>\r\n\r\n"
        yield self._envelope(request, manifest, header)
        how = self.settings.answers
        for named, path in stored.files:
            yield f"\r\n--{boundary}\r\nContent-Type: {named.content_type or 'text/plain'}\r\n"
            if how != "text":
                yield f"Content-Transfer-Encoding: {how}\r\n"
            yield f"Content-ID: <{named.content_id}>\r\n\r\n"
            with path.open("rb") as source:
                while block := source.read(_BLOCK):
                    yield block if how == "binary" else base64.b64encode(block)
        yield f"\r\n--{boundary}--\r\n"

    # --- answers ---------------------------------------------------------------------------------

    @staticmethod
    def _envelope(request: web.Request, inner: str, header: str = "") -> str:
        """In the version in which it was asked."""
        older = "application/soap+xml" not in request.headers.get("Content-Type", "").lower()
        space = SOAP_11 if older else SOAP_12
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><S:Envelope xmlns:S="{space}" '
            f'xmlns:E="{NS_EDXML1}"><S:Header>{header}</S:Header><S:Body>{inner}</S:Body>'
            "</S:Envelope>"
        )

    async def _say(
        self,
        request: web.Request,
        pieces: Iterable[str | bytes],
        fault: Fault | None,
        size: int = 0,
        kind: str = "",
    ) -> web.StreamResponse:
        """An answer, whole or spoilt as the fault says. `size`: of its files, roughly."""
        if not kind:
            pieces = self._in_envelope(request, pieces)
        older = SOAP_11 in self._envelope(request, "")
        media = "text/xml" if older else "application/soap+xml"
        response = web.StreamResponse(headers={"Content-Type": kind or f"{media}; charset=utf-8"})
        how = fault.kind if fault is not None else ""
        if how == "cut" and not kind and not size:
            return web.Response(body=b"<S:Envelope>", content_type="text/xml")
        await response.prepare(request)
        written = 0
        for piece in pieces:
            data = piece.encode() if isinstance(piece, str) else piece
            if how == "slow" and fault is not None:
                await self._pause(fault.seconds / STEPS)
            if how in DAMAGES:
                data = data[: ceil(len(data) * 2 / 3)]
            await response.write(data)
            written += len(data)
            if how in DAMAGES and written > size // 2:
                if how == "truncated":
                    raise Dropped
                break
        await response.write_eof()
        return response

    def _in_envelope(
        self, request: web.Request, pieces: Iterable[str | bytes]
    ) -> Iterator[str | bytes]:
        head, tail = self._envelope(request, "\0").split("\0")
        whole: list[str | bytes] = [head]
        for piece in pieces:
            whole.append(piece)
            if sum(len(w) for w in whole) > _BLOCK:
                yield b"".join(w.encode() if isinstance(w, str) else w for w in whole)
                whole.clear()
        whole.append(tail)
        yield b"".join(w.encode() if isinstance(w, str) else w for w in whole)


def _package_pieces(path: Path) -> Iterator[str | bytes]:
    yield f"<E:{soap.GET}Response><E:Package>"
    with path.open("rb") as source:
        while block := source.read(_BLOCK):
            yield base64.b64encode(block)
    yield f"</E:Package></E:{soap.GET}Response>"


def _xml(found: Node) -> str:
    """A node in the namespace of edXML 1.0, as the axis writes everything of its own."""
    attributes = "".join(f" {n}={quoteattr(v)}" for n, v in found.attributes.items() if n != "href")
    inner = "".join(_xml(child) for child in found.children)
    return f"<E:{found.name}{attributes}>{escape(found.text)}{inner}</E:{found.name}>"


def _answer(name: str, inner: str) -> str:
    return f"<E:{name}Response>{inner}</E:{name}Response>"


def _report(name: str, errors: Iterable[tuple[str, str]], more: str = "") -> str:
    listed = "".join(
        f"<E:Error><E:Code>{escape(code)}</E:Code>"
        f"<E:Description>{escape(words)}</E:Description></E:Error>"
        for code, words in errors
    )
    good = "false" if listed else "true"
    report = (
        f"<E:Report><E:IsSuccess>{good}</E:IsSuccess><E:ErrorList>{listed}</E:ErrorList></E:Report>"
    )
    return _answer(name, report + more)


async def start(settings: SimulatorSettings, clock: Clock | None = None) -> Simulator:
    """A listening simulator; `port` 0 takes a free one, see `url`. Close it with `close`."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    simulator = Simulator(settings, clock or SystemClock())
    await simulator.open()
    return simulator


SAMPLE_SYSTEMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "000.00.19.H14": ("sandbox-token-h14", ("000.00.19.H14", "000.00.00.H14")),
    "000.00.20.H14": ("sandbox-token-h14-20", ("000.00.20.H14",)),
}


def run(
    port: int,
    faults: Path | None = None,
    *,
    folder: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serves until Ctrl-C or SIGTERM: `edoc-gateway simulate edoc-soap --port N --faults FILE`.

    Accounts are those of the fault file, else the sample ones; both are said aloud. Everything is
    kept in `folder`; without one it is forgotten at the end. Raises Misconfigured for a bad
    fault file.
    """
    with contextlib.ExitStack() as stack:
        kept = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soap-axis-")))
        scenario = read_fault_file(faults, frozenset(soap.OPERATIONS)) if faults else Scenario()
        settings = SimulatorSettings(
            scenario.systems or SAMPLE_SYSTEMS, kept, port=port, faults_file=faults
        )
        asyncio.run(_serve_forever(settings, say))


async def _serve_forever(settings: SimulatorSettings, say: Callable[[str], None]) -> None:
    settings.folder.mkdir(parents=True, exist_ok=True)
    simulator = Simulator(settings, SystemClock())
    await serve_axis(simulator, settings.systems, say, words=("organ", "token"))
