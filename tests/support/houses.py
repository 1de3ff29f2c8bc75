"""Whole gateways for tests: real conf, keys, database and blobs in a folder, simulated axes.

`Town` holds the simulated axes and a timestamp authority; `House` is one gateway's folder. A test
says `async with town.open(house) as gateway` and gets the real process object with its workers
turning; nothing of ours is replaced.
"""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from adapters.keys.ledger import make_ledger_key
from adapters.keys.make import make_agency_key, make_sandbox_ca
from adapters.keys.private import write_private
from adapters.keys.vault import SecretVault
from adapters.tsa import server as tsa_server
from adapters.tsa.make import make_authority
from adapters.vxp import simulator
from gateway import config
from gateway.model.arrival import ItemKind
from gateway.model.submission import Attachment
from gateway.store.accounts import Account
from gateway.store.migrations import migrate
from gateway.store.tables import Role
from gateway.wiring.process import Gateway, open_gateway

CONF = Path(__file__).parents[2] / "conf"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
QUIET = {"fastest": "20ms", "slowest": "50ms", "failing": "100ms"}  # how axes are asked in tests
QUICK = {
    "dispatch": {
        "retry": "50ms, 100ms, 200ms then every 400ms for 5m, jitter full",
        "uncertain_wait": "300ms",
        "attempt_deadline": "5s",
        "grace": "500ms",
        "idle": "50ms",
        "sweep": "100ms",
        "probe_first": "50ms",
        "probe_longest": "400ms",
    },
    "collect": {**QUIET, "interval": "50ms", "list_deadline": "5s", "fetch_deadline": "10s"},
    "stamp": {"interval": "200ms", "deadline": "5s"},
    "seal": {"pause": "5ms"},
    "clock": {"sync": "off"},  # whether this machine is synchronised is nobody's matter here
}


@dataclass
class House:
    """One gateway: `local` agency codes, and how it knows each axis: name -> (url, system id)."""

    name: str
    folder: Path
    local: tuple[str, ...]
    axes: dict[str, tuple[str, str]]
    routes: Sequence[Mapping[str, Any]]
    tsa: tuple[str, Path] | None = None
    database: str = ""
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)  # what else each [[axis]] says
    kinds: Mapping[str, str] = field(default_factory=dict)  # of axes that do not speak VXP

    @property
    def conf(self) -> Path:
        return self.folder / "conf" / "gateway.toml"

    def build(self) -> House:
        """conf, keys and an empty database, once."""
        keys = self.folder / "keys"
        for made in (self.conf.parent, keys, self.folder / "data"):
            made.mkdir(parents=True, mode=0o700)
        for tables_of in ("rules", "agencies", "profile"):
            shutil.copytree(CONF / tables_of, self.conf.parent / tables_of)
        shutil.copyfile(CONF / "algorithms.toml", self.conf.parent / "algorithms.toml")
        make_ledger_key(keys / "ledger.pem")
        SecretVault.create(keys / "master.key")
        ca = make_sandbox_ca(keys, NOW)
        tables: dict[str, Any] = {
            "gateway": {"name": self.name, "data": "../data"},
            "local": {"agencies": list(self.local)},
            "api": {"port": 0},
            "ledger": {"origin": f"{self.name}.test"},
            **{k: dict(v) for k, v in QUICK.items()},
        }
        if self.database:
            tables["database"] = {"url": self.database}
        if self.tsa is not None:
            url, anchor = self.tsa
            tables["stamp"]["authorities"] = [{"name": "test", "url": url, "ca_file": str(anchor)}]
        tables["key"] = []
        for code in self.local:
            made_key = make_agency_key(keys, code, NOW, issuer=ca, rsa_key=False)
            tables["key"].append(
                {
                    "agency": code,
                    "path": str(made_key.key),
                    "certificate": str(made_key.certificate),
                }
            )
        tables["axis"] = []
        for axis, (url, system_id) in self.axes.items():
            secret = keys / f"{axis}.secret"
            write_private(secret, b"made-up-secret\n")
            tables["axis"].append(
                {
                    "name": axis,
                    "endpoint": url,
                    "system_id": system_id,
                    "secret_file": str(secret),
                    "max_connections": 4,
                    **self.profile,
                    **({"kind": self.kinds[axis]} if axis in self.kinds else {}),
                }
            )
        tables["route"] = [dict(r) for r in self.routes]
        for section, values in self.changes.items():
            tables[section] = {**tables.get(section, {}), **values}
        self.conf.write_text(toml(tables), encoding="utf-8")
        if self.database:
            migrate(self.database)
        else:
            file = self.folder / "data/gateway.sqlite"
            file.touch(mode=0o600)
            file.write_bytes(_migrated_sqlite())
        return self

    def settings(self) -> config.Settings:
        return config.load(self.conf)


@dataclass
class Running:
    """A gateway with its workers turning, and accounts to speak with."""

    gateway: Gateway
    stopping: asyncio.Event
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    async def account(self, code: str) -> Account:
        """A unit's account for this agency, made at first use."""
        if code not in self.accounts:
            made, key = await self.gateway.desk.add_account(
                "test", name=code, role=Role.UNIT, agencies=[code]
            )
            self.accounts[code], self.keys[code] = made, key
        return self.accounts[code]

    async def submit(
        self, meta: Mapping[str, Any], *files: tuple[str, bytes], key: str | None = None
    ) -> dict[str, Any]:
        desk = self.gateway.desk
        who = await self.account(meta["from"]["organ_id"])
        submission = desk.judge_metadata(who, json.dumps(meta).encode(), key)
        submission = replace(submission, files=tuple(attachment(n, d) for n, d in files))
        answered = await desk.submit(who, submission, key, "en")
        return json.loads(answered.answer)

    async def inbox(
        self, code: str, kind: ItemKind = ItemKind.DOCUMENT, wait: float = 20.0
    ) -> list[dict[str, Any]]:
        who = await self.account(code)
        items, _ = await self.gateway.desk.inbox(
            who, agency=code, kinds=[kind], cursor="", limit=100, wait=wait
        )
        return items

    async def document(self, code: str, document_ref: str) -> dict[str, Any]:
        return await self.gateway.desk.document(await self.account(code), document_ref)

    async def until(
        self, code: str, document_ref: str, good: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """The document once `good` holds for it: bounded by a limit of its own."""
        listener = self.gateway.store.listener("test")
        async with asyncio.timeout(30):
            while True:
                shown = await self.document(code, document_ref)
                if good(shown):
                    return shown
                await listener.wait(0.05)

    async def stamped(self, code: str, document_ref: str) -> list[dict[str, Any]]:
        """The records of a document once each of them is sealed and stamped."""
        listener = self.gateway.store.listener("test")
        who = await self.account(code)
        async with asyncio.timeout(30):
            while True:
                history = await self.gateway.desk.history(who, document_ref)
                if all(r["sealed"] and r["stamped_at"] for r in history):
                    return history
                await listener.wait(0.05)


class WallClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


NOW = WallClock().now()


@functools.cache
def _migrated_sqlite() -> bytes:
    """A migrated, empty SQLite database, made once a process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "migrated.db")
        migrate(f"sqlite:///{path}")
        return path.read_bytes()


def toml(tables: Mapping[str, Any]) -> str:
    """Tables and arrays of tables, one level deep: all that gateway.toml has."""
    lines: list[str] = []
    for section, value in tables.items():
        if isinstance(value, Mapping):
            lines.append(f"[{section}]")
            for key, item in value.items():
                if isinstance(item, list) and item and isinstance(item[0], Mapping):
                    inner = ", ".join(
                        "{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in one.items()) + "}"
                        for one in item
                    )
                    lines.append(f"{key} = [{inner}]")
                else:
                    lines.append(f"{key} = {json.dumps(item, ensure_ascii=False)}")
        else:
            for one in value:
                lines.append(f"[[{section}]]")
                lines.extend(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in one.items())
    return "\n".join(lines) + "\n"


def attachment(name: str, data: bytes) -> Attachment:
    return Attachment(name, len(data), sha256(data).hexdigest(), lambda: BytesIO(data))


def metadata(
    sender: str, *to: str, number: str = "12", subject: str = "Về việc thử nghiệm", **more: Any
) -> dict[str, Any]:
    return {
        "from": {"organ_id": sender, "name": "Đơn vị mẫu"},
        "to": [{"organ_id": code} for code in to],
        "code": {"number": number, "notation": "UBND-VX"},
        "promulgation": {"place": "Cao Bằng", "date": "2026-11-20"},
        "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
        "subject": subject,
        "signer": {"position": "Chủ tịch", "full_name": "Người ký mẫu"},
        "document_id": f"{sender},2026/11/20,{number}/UBND-VX",
        **more,
    }


@dataclass
class Town:
    """Axes and a timestamp authority shared by the houses of one test."""

    folder: Path
    stack: AsyncExitStack
    axes: dict[str, simulator.Simulator] = field(default_factory=dict)
    tsa: tuple[str, Path] | None = None

    async def axis(
        self, name: str, systems: Mapping[str, tuple[str, ...]], **switches: Any
    ) -> simulator.Simulator:
        made = await simulator.start(
            simulator.SimulatorSettings(
                systems={k: ("made-up-secret", v) for k, v in systems.items()},
                folder=self.folder / f"axis-{name}",
                **switches,
            )
        )
        self.stack.push_async_callback(made.close)
        self.axes[name] = made
        return made

    def house(
        self,
        name: str,
        local: tuple[str, ...],
        axes: Mapping[str, str],
        routes: Sequence[Mapping[str, Any]],
        **more: Any,
    ) -> House:
        return House(
            name,
            self.folder / name,
            local,
            {axis: (self.axes[axis].url, system) for axis, system in axes.items()},
            routes,
            tsa=self.tsa,
            **more,
        ).build()

    @asynccontextmanager
    async def open(self, house: House, jobs: Sequence[str] = ("all",)) -> AsyncIterator[Running]:
        """The process object with `jobs` turning; stopped in order when the block ends."""
        async with open_gateway(house.settings()) as gateway:
            stopping = asyncio.Event()
            started = asyncio.Event()
            turning = asyncio.create_task(gateway.run(jobs, stopping, started.set))
            waiting = asyncio.create_task(started.wait())
            await asyncio.wait({turning, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            try:
                yield Running(gateway, stopping)
            finally:
                stopping.set()
                await turning


@asynccontextmanager
async def town(folder: Path, *, stamps: bool = True) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        made = Town(folder, stack)
        if stamps:
            authority = make_authority(folder / "tsa", NOW)
            running = await stack.enter_async_context(
                tsa_server.serve("127.0.0.1", 0, authority, WallClock())
            )
            made.tsa = (running.url, folder / "tsa" / "ca.pem")
        yield made
