"""Three agencies, two axes, one timestamp authority, on this machine: for demos and for learning.

In:     an empty folder.
Out:    `Sandbox`: three gateways in processes of their own, each with its own conf, keys, database,
        lock and ledger; the simulated national and provincial axis and the authority in this
        process.
Fails:  Rejected (the folder is not empty); Unavailable when a gateway does not come up, with the
        end of its log.
Never:  leaves a process behind, however it ends; listens beyond this machine; makes a key that
        could pass for an agency's.

    FOLDER/so-mau-19/   a department of Cao Bằng (sample), H14.19 = 000.00.19.H14
    FOLDER/vpcp/        the Government Office, G22 = 000.00.00.G22
    FOLDER/so-mau-20/   another department of Cao Bằng (sample), H14.20 = 000.00.20.H14
    FOLDER/anchors/     what somebody who trusts none of them needs to check all
    FOLDER/axis/        what the simulated national axis (VXP) keeps
    FOLDER/province/    what the simulated provincial axis (SOAP) keeps

The two departments reach each other over the provincial axis, everybody else over the national one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import gateway
from adapters.edoc_soap import simulator as soap_simulator
from adapters.tsa import make as tsa_make
from adapters.tsa import server as tsa_server
from adapters.vxp import simulator as vxp_simulator
from gateway.errors import Text, Unavailable
from gateway.wiring.founding import Founded, Wish, found, not_empty
from gateway.wiring.process import SystemClock

HOST = "127.0.0.1"
AXIS, PROVINCE = "vxp", "lgsp"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
_LOG_END = 2000


@dataclass(frozen=True, slots=True)
class Side:
    """An agency of the sandbox. `code` and `code102`: the two written forms of its code.

    `system_id`: its account on the national axis, "" for none. On the provincial axis an account
    is an OrganId (vxp-protocol 8.1): `code102`.
    """

    folder: str
    code: str
    code102: str
    system_id: str
    provincial: bool


DEPARTMENT = Side("so-mau-19", "H14.19", "000.00.19.H14", "sandbox.h14", provincial=True)
MINISTRY = Side("vpcp", "G22", "000.00.00.G22", "sandbox.g22", provincial=False)
NEIGHBOUR = Side("so-mau-20", "H14.20", "000.00.20.H14", "", provincial=True)
SIDES = (DEPARTMENT, MINISTRY, NEIGHBOUR)


@dataclass(slots=True)
class Member:
    """One running gateway. `unit_key` speaks for its agency; `ops_key` sees its queue."""

    side: Side
    founded: Founded = field(repr=False)
    url: str = ""

    @property
    def conf(self) -> Path:
        return self.founded.conf

    @property
    def unit_key(self) -> str:
        return self.founded.unit_keys[0]

    @property
    def ops_key(self) -> str:
        return self.founded.ops_key


@dataclass(slots=True)
class Sandbox:
    """`axis`, `province` and `authority` may be used from this event loop: faults, what came."""

    folder: Path
    axis: vxp_simulator.Simulator
    province: soap_simulator.Simulator
    authority: tsa_server.Running
    department: Member
    ministry: Member
    neighbour: Member

    @property
    def members(self) -> tuple[Member, Member, Member]:
        return self.department, self.ministry, self.neighbour

    @property
    def anchors(self) -> Path:
        return self.folder / "anchors"


@asynccontextmanager
async def open_sandbox(
    folder: Path, packaged: Path, *, dedupe: bool = True
) -> AsyncIterator[Sandbox]:
    """Everything up and answering; everything gone when left, also by an error or Ctrl-C.

    `packaged`: the program's own conf/. `dedupe`: whether the axes recognise a repeated package.
    """
    folder = await asyncio.to_thread(_made, folder)
    secret_of = {s.code: secrets.token_urlsafe(24) for s in SIDES}
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        tsa = await asyncio.to_thread(tsa_make.make_authority, folder / "tsa", clock.now())
        authority = await stack.enter_async_context(tsa_server.serve(HOST, 0, tsa, clock))
        axis = await vxp_simulator.start(
            vxp_simulator.SimulatorSettings(
                systems=MappingProxyType(
                    {s.system_id: (secret_of[s.code], (s.code102,)) for s in SIDES if s.system_id}
                ),
                folder=folder / "axis",
                host=HOST,
                dedupe=dedupe,
            ),
            clock,
        )
        stack.push_async_callback(axis.close)
        province = await soap_simulator.start(
            soap_simulator.SimulatorSettings(
                systems=MappingProxyType(
                    {s.code102: (secret_of[s.code], (s.code102,)) for s in SIDES if s.provincial}
                ),
                folder=folder / "province",
                host=HOST,
                dedupe=dedupe,
            ),
            clock,
        )
        stack.push_async_callback(province.close)
        # one after the other: making private files sets the umask of the whole process
        members = []
        endpoints = {AXIS: axis.url, PROVINCE: province.url}
        for side in SIDES:
            wish = _wish(side, folder, endpoints, secret_of[side.code], authority.url)
            members.append(Member(side, await asyncio.to_thread(found, wish, packaged)))
        department, ministry, neighbour = members
        _lay_out_anchors(folder, members)
        urls = await asyncio.gather(
            *(stack.enter_async_context(_running(member)) for member in members)
        )
        for member, url in zip(members, urls, strict=True):
            member.url = url
        yield Sandbox(folder, axis, province, authority, department, ministry, neighbour)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise not_empty(folder)
    return folder.absolute()


def _wish(
    side: Side, folder: Path, endpoints: Mapping[str, str], secret: str, tsa_url: str
) -> Wish:
    """Its axes, and the roads: within the province by the provincial one, where it is on it."""
    axes: list[dict[str, object]] = []
    routes: list[dict[str, object]] = []
    if side.provincial:
        account = {"kind": "edoc_soap", "system_id": side.code102}
        axes.append({"name": PROVINCE, "endpoint": endpoints[PROVINCE], **account})
        routes.append({"axis": PROVINCE, "level1": side.code.partition(".")[0]})
    if side.system_id:
        axes.append({"name": AXIS, "endpoint": endpoints[AXIS], "system_id": side.system_id})
        routes.append({"axis": AXIS, "everyone": True})
    return Wish(
        directory=folder / side.folder,
        profile="sandbox",
        name=f"sandbox.{side.folder}",
        agencies=(side.code,),
        conf={
            "api": {"host": HOST, "port": 0},
            "stamp": {
                "authorities": [
                    {"name": "sandbox-tsa", "url": tsa_url, "ca_file": "../../tsa/ca.pem"}
                ]
            },
            "axis": axes,
            "route": routes,
        },
        sealed={f"axis/{axis['name']}": secret for axis in axes},
        units=((f"{side.folder}-qlvb", (side.code,)),),
    )


def _lay_out_anchors(folder: Path, members: list[Member]) -> None:
    """Public halves only: the authority's root, each ledger's key, each agency's CA."""
    anchors = folder / "anchors"
    anchors.mkdir(mode=0o700)
    shutil.copyfile(folder / "tsa" / tsa_make.ANCHOR, anchors / "tsa-ca.pem")
    for member in members:
        keys = member.founded.directory / "keys"
        shutil.copyfile(keys / "ledger.vkey", anchors / f"{member.side.folder}.vkey")
        shutil.copyfile(keys / "sandbox-ca.cert.pem", anchors / f"{member.side.folder}-ca.pem")


# -- a gateway in a process of its own -------------------------------------------------------------


@asynccontextmanager
async def _running(member: Member) -> AsyncIterator[str]:
    """The gateway's address once it says READY=1; SIGTERM and its end when left."""
    log = member.founded.directory / "gateway.log"
    with _readiness() as (receiver, address), log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *_dying_with_us(),
            sys.executable,
            "-m",
            "gateway",
            "run",
            "all",
            "--conf",
            str(member.conf),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment(NOTIFY_SOCKET=address),
            start_new_session=True,  # Ctrl-C is ours to pass on, once
        )
        try:
            url = await _ready(process, receiver, log)
            _keep_port(member.conf, url)
            yield url
        finally:
            await asyncio.shield(_stopped(process))


def _keep_port(conf: Path, url: str) -> None:
    """The port it got, in its own conf: commands with `--conf` find the gateway there."""
    text = conf.read_text("utf-8")
    conf.write_text(text.replace("port = 0\n", f"port = {urlsplit(url).port}\n", 1), "utf-8")


@contextmanager
def _readiness() -> Iterator[tuple[socket.socket, str]]:
    """A socket for sd_notify; abstract, because paths of sockets must be short."""
    address = f"@edoc-sandbox-{secrets.token_hex(12)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as receiver:
        receiver.bind("\0" + address[1:])
        receiver.setblocking(False)
        yield receiver, address


async def _ready(process: asyncio.subprocess.Process, receiver: socket.socket, log: Path) -> str:
    ended = asyncio.ensure_future(process.wait())
    said = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(receiver, 4096))
    try:
        await asyncio.wait(
            {ended, said}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if not said.done():
            raise _not_up(log)
        lines = dict(line.partition("=")[::2] for line in said.result().decode().splitlines())
        if lines.get("READY") != "1":
            raise _not_up(log)
        return lines["STATUS"]
    finally:
        for waiting in (ended, said):
            waiting.cancel()


async def _stopped(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def environment(**more: str) -> dict[str, str]:
    """Ours, with the program findable from any folder, and nothing that names another gateway."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EDOC_GATEWAY_")}
    home = str(Path(gateway.__file__).parent.parent)
    path = os.pathsep.join(p for p in (home, kept.get("PYTHONPATH", "")) if p)
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


def _dying_with_us() -> tuple[str, ...]:
    """util-linux' setpriv, where it is: then even a SIGKILL of this process leaves nothing."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM") if setpriv else ()


def _not_up(log: Path) -> Unavailable:
    end = log.read_bytes()[-_LOG_END:].decode("utf-8", "replace").strip()
    return Unavailable(
        Text(f"Gateway không khởi động được: {end}", f"a gateway did not come up: {end}"),
        code="sandbox.not_started",
    )
