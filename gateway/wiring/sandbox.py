"""Two agencies, one axis, one timestamp authority, on this machine: for demos and for learning.

In:     an empty folder.
Out:    `Sandbox`: two gateways in processes of their own, each with its own conf, keys, database,
        lock and ledger; the simulated national axis and the authority in this process.
Fails:  Rejected (the folder is not empty); Unavailable when a gateway does not come up, with the
        end of its log.
Never:  leaves a process behind, however it ends; listens beyond this machine; makes a key that
        could pass for an agency's.

    FOLDER/so-mau-19/   a department of Cao Bằng (sample), H14.19 = 000.00.19.H14
    FOLDER/vpcp/        the Government Office, G22 = 000.00.00.G22
    FOLDER/anchors/     what somebody who trusts neither needs to check both
    FOLDER/axis/        what the simulated axis keeps
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import gateway
from adapters.tsa import make as tsa_make
from adapters.tsa import server as tsa_server
from adapters.vxp import simulator as vxp_simulator
from gateway.errors import Text, Unavailable
from gateway.wiring.founding import Founded, Wish, found, not_empty
from gateway.wiring.process import SystemClock

HOST = "127.0.0.1"
AXIS = "vxp"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
_LOG_END = 2000


@dataclass(frozen=True, slots=True)
class Side:
    """An agency of the sandbox. `code` and `code102`: the two written forms of its code."""

    folder: str
    code: str
    code102: str
    system_id: str


DEPARTMENT = Side("so-mau-19", "H14.19", "000.00.19.H14", "sandbox.h14")
MINISTRY = Side("vpcp", "G22", "000.00.00.G22", "sandbox.g22")


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
    """`axis` and `authority` may be used from this event loop: faults, what was received."""

    folder: Path
    axis: vxp_simulator.Simulator
    authority: tsa_server.Running
    department: Member
    ministry: Member

    @property
    def members(self) -> tuple[Member, Member]:
        return self.department, self.ministry

    @property
    def anchors(self) -> Path:
        return self.folder / "anchors"


@asynccontextmanager
async def open_sandbox(
    folder: Path, packaged: Path, *, dedupe: bool = True
) -> AsyncIterator[Sandbox]:
    """Everything up and answering; everything gone when left, also by an error or Ctrl-C.

    `packaged`: the program's own conf/. `dedupe`: whether the axis recognises a repeated package.
    """
    folder = await asyncio.to_thread(_made, folder)
    secrets_of = {s.system_id: secrets.token_urlsafe(24) for s in (DEPARTMENT, MINISTRY)}
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        tsa = await asyncio.to_thread(tsa_make.make_authority, folder / "tsa", clock.now())
        authority = await stack.enter_async_context(tsa_server.serve(HOST, 0, tsa, clock))
        axis = await vxp_simulator.start(
            vxp_simulator.SimulatorSettings(
                systems=MappingProxyType(
                    {
                        s.system_id: (secrets_of[s.system_id], (s.code102,))
                        for s in (DEPARTMENT, MINISTRY)
                    }
                ),
                folder=folder / "axis",
                host=HOST,
                dedupe=dedupe,
            ),
            clock,
        )
        stack.push_async_callback(axis.close)
        # one after the other: making private files sets the umask of the whole process
        members = []
        for side in (DEPARTMENT, MINISTRY):
            wish = _wish(side, folder, axis.url, secrets_of[side.system_id], authority.url)
            members.append(Member(side, await asyncio.to_thread(found, wish, packaged)))
        department, ministry = members
        _lay_out_anchors(folder, members)
        urls = await asyncio.gather(
            *(stack.enter_async_context(_running(member)) for member in members)
        )
        for member, url in zip(members, urls, strict=True):
            member.url = url
        yield Sandbox(folder, axis, authority, department, ministry)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise not_empty(folder)
    return folder.absolute()


def _wish(side: Side, folder: Path, axis_url: str, secret: str, tsa_url: str) -> Wish:
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
            "axis": [{"name": AXIS, "endpoint": axis_url, "system_id": side.system_id}],
            "route": [{"axis": AXIS, "everyone": True}],
        },
        sealed={f"axis/{AXIS}": secret},
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
