"""A running gateway's REST door, driven from plain synchronous tests over real HTTP.

The process object turns in a thread with an event loop of its own; tests talk to it with
http.client, or with a bare socket where the request itself must be wrong.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import func, select

from gateway.store import tables
from gateway.store.tables import Role
from gateway.wiring.process import Gateway
from tests.support.houses import PDF, House, metadata, town
from tests.support.openapi import conforms

T = TypeVar("T")

SENDER = "000.00.19.H14"
RECEIVER = "000.00.20.H14"
FARAWAY = "000.00.00.G22"
UNCOUNTED = ("lease", "account", "worker_turn")  # what moves by itself, or by making a key
BOUNDARY = "----sample-boundary-7d1f"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem document; the test fails when this is none."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        return str(self.json()["code"])

    def findings(self) -> set[tuple[str, str]]:
        return {(f["path"], f["code"]) for f in self.json()["findings"]}


@dataclass
class Door:
    """`keys`: by role or agency code, as `key()` makes them."""

    url: str
    gateway: Gateway
    loop: asyncio.AbstractEventLoop
    keys: dict[str, str] = field(default_factory=dict)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Something asynchronous, in the gateway's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def key(self, who: str | Role) -> str:
        """A key of this role, or of a unit that speaks for this agency; made at first use."""
        name = who.value if isinstance(who, Role) else who
        if name not in self.keys:
            role = who if isinstance(who, Role) else Role.UNIT
            agencies = [who] if role is Role.UNIT else []
            adding = self.gateway.desk.add_account(
                "test", name=name, role=role, agencies=[str(a) for a in agencies]
            )
            self.keys[name] = self.run(adding)[1]
        return self.keys[name]

    def ask(
        self,
        method: str,
        path: str,
        who: str | Role | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        host = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=60)
        sent = {**(headers or {})}
        if who is not None:
            sent.setdefault("Authorization", f"Bearer {self.key(who)}")
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        conforms(method, urlsplit(path).path, answer.status, answer.headers, answer.body)
        return answer

    def get(self, path: str, who: str | Role | None = None, **headers: str) -> Answer:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return self.ask("GET", path, who, headers=named)

    def post_json(self, path: str, who: str | Role, value: object) -> Answer:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.ask("POST", path, who, body=body, headers={"Content-Type": "application/json"})

    def submit(
        self,
        meta: Mapping[str, Any] | bytes | None = None,
        *files: tuple[str, bytes],
        who: str | Role = SENDER,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A well-formed form; a document of SENDER to RECEIVER where nothing is said."""
        said = letter() if meta is None else meta
        raw = said if isinstance(said, bytes) else json.dumps(said).encode()
        parts = [("metadata", None, raw), *(("file", name, data) for name, data in files)]
        return self.post_form(form(parts), who=who, headers=headers)

    def post_form(
        self, body: bytes, *, who: str | Role = SENDER, headers: Mapping[str, str] | None = None
    ) -> Answer:
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self.ask(
            "POST", "/v1/documents", who, body=body, headers={**kind, **(headers or {})}
        )

    def raw(self, request: bytes, *, half_close: bool = False, until: bytes = b"") -> bytes:
        """Bytes over a bare socket; what comes back until the server closes, or until `until`."""
        host = urlsplit(self.url)
        with socket.create_connection((str(host.hostname), host.port or 80), timeout=60) as wire:
            wire.sendall(request)
            if half_close:
                wire.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := wire.recv(65536):
                received += chunk
                if until and until in received:
                    break
            return received

    def kept(self) -> dict[str, int]:
        """How many rows each table has, how many blobs there are, how many spools are open."""
        counted = [t for t in tables.metadata.sorted_tables if t.name not in UNCOUNTED]

        def look(tx: Any) -> dict[str, int]:
            return {
                t.name: int(tx.execute(select(func.count()).select_from(t)).scalar())
                for t in counted
            }

        found = self.run(self.gateway.store.read(look))  # type: ignore[arg-type]  # a coroutine
        found["blobs"] = len(self.gateway.blobs.digests())
        found["spools"] = open_spools()
        return found


def open_spools() -> int:
    """Unlinked files of this process that lie below a folder of blobs."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        count += "/blobs/" in target and target.endswith("(deleted)")
    return count


def letter(*to: str, number: str = "12", **more: Any) -> dict[str, Any]:
    return metadata(SENDER, *(to or (RECEIVER,)), number=number, **more)


def form(parts: Sequence[tuple[str, str | None, bytes]], *, end: bytes | None = None) -> bytes:
    """Parts (name, file name, content) as multipart/form-data."""
    made = b""
    for name, file_name, content in parts:
        named = f'; filename="{file_name}"' if file_name is not None else ""
        made += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n'.encode()
        made += b"\r\n" + content + b"\r\n"
    return made + (f"--{BOUNDARY}--\r\n".encode() if end is None else end)


@contextmanager
def door(
    folder: Path,
    *,
    jobs: Sequence[str] = ("api",),
    database: str = "",
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Door]:
    """A gateway of two sample agencies; ministries are behind an axis where nobody answers."""
    house = House(
        "door",
        folder / "door",
        (SENDER, RECEIVER),
        {"vxp": ("http://127.0.0.1:9", "SAMPLE.SYSTEM")},
        [{"axis": "vxp", "level1": "G"}],
        database=database,
        changes=changes or {},
    ).build()
    ready = threading.Event()
    made: list[Door] = []
    failed: list[BaseException] = []
    leaving: list[Callable[[], object]] = []

    async def turn() -> None:
        async with town(folder, stamps=False) as made_town, made_town.open(house, jobs) as running:
            loop = asyncio.get_running_loop()
            leave = asyncio.Event()
            leaving.append(lambda: loop.call_soon_threadsafe(leave.set))
            made.append(Door(running.gateway.url, running.gateway, loop))
            ready.set()
            await leave.wait()

    def whole() -> None:
        try:
            asyncio.run(turn())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=whole, name="door")
    thread.start()
    ready.wait(60)
    try:
        if failed:
            raise failed[0]
        yield made[0]
    finally:
        for leave in leaving:
            leave()
        thread.join(60)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


__all__ = ["BOUNDARY", "FARAWAY", "PDF", "RECEIVER", "SENDER", "Answer", "Door", "door", "form"]
