"""SIGKILL at a chosen commit: two gateways on one axis, one of them in a process that dies.

`Lane` is an axis with a sender's and a receiver's house. `Lane.run(Kill(...))` sends one document
from unit system to unit system over REST while the sender's (or the receiver's) gateway runs in
`killed_gateway.py` and dies at the commit named; then the same house is started again, in this
process and without any wrapper, and everybody goes on until nothing is left to do. The unit
systems behave as real ones: whoever got no answer asks again, with the same Idempotency-Key.

What became of it is read from the databases and the axis with plain SQL, and given back as a
`Story`; the test says which stories are allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from adapters.vxp.simulator import Simulator
from gateway.audit.books import look_for, verify_books
from gateway.c14n import canonical_json
from gateway.ledger.receipt import ReceiptVerdict
from gateway.ledger.verify import LedgerReport
from gateway.store.tables import Role
from gateway.wiring.books import open_books
from gateway.wiring.process import open_gateway
from tests.support.houses import PDF, House, Town, metadata, town

SENDER, RECEIVER = "sender", "receiver"
CODES = {SENDER: "000.00.19.H14", RECEIVER: "000.00.00.G22"}
ROOT = Path(__file__).parents[2]
LOOK_AGAIN = 0.05
HASTE: Mapping[str, Mapping[str, Any]] = {
    "dispatch": {
        "attempt_deadline": "800ms",
        "grace": "100ms",
        "uncertain_wait": "100ms",
        "idle": "20ms",
        "sweep": "50ms",
        "probe_first": "20ms",
        "probe_longest": "100ms",
    },
    "collect": {"interval": "20ms", "list_deadline": "3s", "fetch_deadline": "3s"},
    "stamp": {"interval": "50ms", "deadline": "5s"},
}


@dataclass(frozen=True, slots=True)
class Kill:
    """`commit`: a name of `killed_gateway`; `moment`: before or after that COMMIT."""

    victim: str
    commit: str
    moment: str
    then: Kill | None = None  # the same house, started again, dies again

    def __str__(self) -> str:
        told = f"{self.victim}'s gateway killed {self.moment} {self.commit}"
        return f"{told}, then {self.then}" if self.then else told

    @property
    def deaths(self) -> list[Kill]:
        return [self, *(self.then.deaths if self.then else ())]


@dataclass(slots=True)
class Story:
    """What a run left behind. Rows as tuples, in the order of the queries in `_facts`."""

    kill: Kill | None
    reached: list[bool] = field(default_factory=list)  # for each death: whether it came to that
    commits: list[list[str]] = field(default_factory=list)
    seconds: float = 0.0
    copies: dict[str, int] = field(default_factory=dict)  # on the axis, by kind
    unacknowledged: int = 0
    transfers: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    arrivals: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    items: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    events: dict[str, Counter[str]] = field(default_factory=dict)
    ledgers: dict[str, LedgerReport] = field(default_factory=dict)
    receipts: list[ReceiptVerdict] = field(default_factory=list)


class Zygote:
    """The parent of victims: one process that imported everything, forking one at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def bear(
        self,
        house: House,
        kill: Kill | None = None,
        *,
        deadly: str = "",
        jobs: Sequence[str] = ("all",),
    ) -> Victim:
        """`deadly`: the digest of a blob whose opening kills the process."""
        order = {
            "conf": str(house.conf),
            "jobs": list(jobs),
            "kill": kill and [kill.commit, kill.moment],
            "deadly": deadly,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        born = await self.line()
        victim = Victim(self, born.get("pid", 0), born.get("url", ""))
        victim.hear(born)
        while not victim.pid and not victim.dead:
            victim.hear(await self.line())
        return victim

    async def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        said = await self._process.stdout.readline()
        if not said:
            raise EOFError("the victim's parent died")
        spoken: dict[str, Any] = json.loads(said)
        return spoken


@dataclass(slots=True)
class Victim:
    zygote: Zygote
    pid: int
    url: str
    commits: list[list[str]] = field(default_factory=list)
    killed_itself: bool = False
    dead: bool = False

    def hear(self, said: Mapping[str, Any]) -> None:
        if "url" in said:
            self.pid, self.url = said["pid"], said["url"]
        if "commit" in said:
            self.commits.append(said["commit"])
        if "killing" in said:
            self.killed_itself = True
        if "ended" in said:
            assert said["ended"] == signal.SIGKILL, "it died of something else"
            self.dead = True

    async def until(self, enough: Callable[[], bool]) -> None:
        """Listen until it is dead, or `enough`: asked after every line, and when there is none."""
        while not self.dead and not enough():
            with contextlib.suppress(TimeoutError):
                # a line is never lost to the timeout: a cancelled readline leaves it in the buffer
                async with asyncio.timeout(LOOK_AGAIN):
                    self.hear(await self.zygote.line())

    async def death(self) -> None:
        await self.until(lambda: False)

    async def end(self) -> None:
        if not self.dead:
            os.kill(self.pid, signal.SIGKILL)
        await self.death()


@asynccontextmanager
async def zygote() -> AsyncIterator[Zygote]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.killed_gateway",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Zygote(process)
    finally:
        process.stdin.close()  # child and parent both end when their orders do
        await process.stdout.read()
        await process.wait()


class Door:
    """Where a gateway can be reached at the moment."""

    def __init__(self) -> None:
        self._url = ""
        self._moved = asyncio.Condition()

    async def opens(self, url: str) -> None:
        async with self._moved:
            self._url = url
            self._moved.notify_all()

    async def other_than(self, url: str) -> str:
        async with self._moved:
            await self._moved.wait_for(lambda: self._url != url)
            return self._url


class Unit:
    """A unit's document-management system: it repeats what got no answer, unchanged."""

    def __init__(self, session: aiohttp.ClientSession, door: Door, code: str, key: str) -> None:
        self._session = session
        self._door = door
        self._headers = {"Authorization": f"Bearer {key}"}
        self._code = code
        self.receipts: list[bytes] = []

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        form: Callable[[], aiohttp.FormData] | None = None,
        **headers: str,
    ) -> bytes:
        failed = ""
        while True:
            url = await self._door.other_than(failed)
            try:
                async with self._session.request(
                    method,
                    url + path,
                    data=form() if form else None,
                    headers={**self._headers, **headers},
                ) as answer:
                    body = await answer.read()
                    assert answer.status in {200, 202}, body
                    return body
            except aiohttp.ClientError:
                failed = url

    async def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self._ask(method, path, **more))
        if "receipt" in answer:
            self.receipts.append(canonical_json(answer["receipt"]))
        return answer

    async def _waiting(self, kind: str, document_id: str) -> dict[str, Any]:
        while True:
            path = f"/v1/inbox?agency={self._code}&kind={kind}&wait=10"
            for item in (await self._json("GET", path))["items"]:
                if item["document_id"] == document_id:
                    found: dict[str, Any] = item
                    return found

    async def send(self, number: str) -> str:
        """Hand a document in; its DocumentId."""
        meta = metadata(CODES[SENDER], CODES[RECEIVER], number=number)

        def form() -> aiohttp.FormData:
            made = aiohttp.FormData(default_to_multipart=True)
            made.add_field("metadata", json.dumps(meta), content_type="application/json")
            made.add_field("file", PDF, filename="12.pdf", content_type="application/pdf")
            return made

        answer = await self._json(
            "POST", "/v1/documents", form=form, **{"Idempotency-Key": f"document-{number}"}
        )
        document_id: str = answer["document_id"]
        return document_id

    async def hear_of(self, document_id: str) -> None:
        """Status 01 comes back and is taken."""
        item = await self._waiting("status", document_id)
        assert item["status"]["code"] == "01"
        await self._json("POST", f"/v1/inbox/{item['id']}/confirm")

    async def take(self, document_id: str) -> None:
        """Pull a document and confirm that it entered our System."""
        item = await self._waiting("document", document_id)
        package = await self._ask("GET", f"/v1/inbox/{item['id']}/package")
        assert len(package) == item["package"]["size"]
        await self._json("POST", f"/v1/inbox/{item['id']}/confirm")


class Lane:
    """One axis, two houses and their units; runs follow one another."""

    def __init__(
        self, town: Town, axis: Simulator, bearer: Zygote, session: aiohttp.ClientSession
    ) -> None:
        self._town = town
        self._axis = axis
        self._zygote = bearer
        self._session = session
        self._houses: dict[str, House] = {}
        self._keys: dict[str, str] = {}
        self._numbers = 0

    async def build(self) -> None:
        everyone = [{"axis": "vxp", "everyone": True}]
        for role, code in CODES.items():
            house = self._town.house(
                f"{role}-{self._town.folder.name}",
                (code,),
                {"vxp": f"sys.{role}"},
                everyone,
                changes=HASTE,
            )
            async with open_gateway(house.settings()) as gateway:
                _, self._keys[role] = await gateway.desk.add_account(
                    "test", name=code, role=Role.UNIT, agencies=[code]
                )
                await gateway.sealing.seal()
                await gateway.stamping.stamp()
            shutil.copytree(house.folder / "data", house.folder / "pristine")
            self._houses[role] = house

    @asynccontextmanager
    async def victims(self, role: str) -> AsyncIterator[Callable[[Kill | None], Awaitable[Story]]]:
        """Runs in which `role`'s gateway dies; the other one lives through all of them.

        Without a Kill the gateway dies when everything is done, so nothing of the path is cut.
        """
        other = RECEIVER if role == SENDER else SENDER
        self._restore(self._houses[other])
        async with self._town.open(self._houses[other]) as living:
            door = Door()
            await door.opens(living.gateway.url)

            async def run(kill: Kill | None) -> Story:
                return await self._run(role, kill, {other: door, role: Door()})

            yield run

    async def _run(self, role: str, kill: Kill | None, doors: Mapping[str, Door]) -> Story:
        started = time.monotonic()
        house = self._houses[role]
        self._restore(house)
        self._numbers += 1
        number = str(self._numbers)
        units = {
            r: Unit(self._session, doors[r], CODES[r], self._keys[r]) for r in (SENDER, RECEIVER)
        }
        story = Story(kill)
        business = asyncio.create_task(_business(units, number))
        try:
            async with asyncio.timeout(60):
                for death in kill.deaths if kill else [None]:
                    victim = await self._zygote.bear(house, death)
                    await doors[role].opens(victim.url)
                    try:
                        await victim.until(lambda: business.done() and self._at_rest(business))
                    finally:
                        await victim.end()
                    story.commits += victim.commits
                    story.reached.append(victim.killed_itself)
                async with self._town.open(house) as risen:
                    await doors[role].opens(risen.gateway.url)
                    document_id = await business
                    listener = risen.gateway.store.listener("test")
                    while not self._at_rest(business):
                        await listener.wait(LOOK_AGAIN)
                    story.seconds = time.monotonic() - started
                    await asyncio.to_thread(self._tell, story, document_id, units)
        finally:
            business.cancel()
            await asyncio.gather(business, return_exceptions=True)
        copies = [p for p in self._axis.received() if p.document_id == document_id]
        story.copies = dict(Counter(p.kind.value for p in copies))
        story.unacknowledged = len(self._waiting())
        return story

    def _at_rest(self, business: asyncio.Task[str]) -> bool:
        """The units have what they wanted, and neither gateway nor axis has anything left to do."""
        business.result()
        return not self._waiting() and all(_idle(h) for h in self._houses.values())

    def _waiting(self) -> list[str]:
        done = set(self._axis.acknowledged())
        entries = (e for code in CODES.values() for e in self._axis.deliveries(code))
        return [e.doc_id for e in entries if e.doc_id not in done]

    def _tell(self, story: Story, document_id: str, units: Mapping[str, Unit]) -> None:
        for role, house in self._houses.items():
            with closing(_database(house)) as db:
                story.transfers[role] = db.execute(_TRANSFERS, (document_id,)).fetchall()
                story.arrivals[role] = db.execute(_ARRIVALS, (document_id,)).fetchall()
                story.items[role] = db.execute(_ITEMS, (document_id,)).fetchall()
                story.events[role] = Counter(
                    event for (event,) in db.execute(_EVENTS, {"document": document_id})
                )
            settings = house.settings()
            with open_books(settings) as books:
                origin = settings.ledger.origin
                story.ledgers[role] = verify_books(
                    books.store,
                    books.blobs,
                    origin=origin,
                    public_key=books.public_key,
                    anchors=books.anchors,
                )
                for receipt in units[role].receipts:
                    found, promised = look_for(
                        books.store, receipt, origin=origin, public_key=books.public_key
                    )
                    assert promised.origin == origin
                    story.receipts.append(found)

    @staticmethod
    def _restore(house: House) -> None:
        """The house as it was built; what other runs left in it is gone."""
        data = house.folder / "data"
        shutil.rmtree(data)
        shutil.copytree(house.folder / "pristine", data)


async def _business(units: Mapping[str, Unit], number: str) -> str:
    document_id = await units[SENDER].send(number)
    async with asyncio.TaskGroup() as group:
        group.create_task(units[SENDER].hear_of(document_id))
        group.create_task(units[RECEIVER].take(document_id))
    return document_id


def _database(house: House) -> sqlite3.Connection:
    path = house.folder / "data" / "gateway.sqlite"
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


# kind, state, recipient's state and code, doubt, attempts
_TRANSFERS = """
SELECT t.kind, t.state, r.state, r.status_code, t.doubt, t.attempts
FROM document d JOIN transfer t ON t.document_ref = d.id JOIN recipient r ON r.transfer_id = t.id
WHERE d.document_id = ? ORDER BY t.id"""
_ARRIVALS = "SELECT kind, state FROM arrival WHERE document_id = ? ORDER BY id"
_ITEMS = "SELECT kind, state, status_code FROM inbox_item WHERE document_id = ? ORDER BY id"
_EVENTS = """
SELECT event FROM record WHERE
document_ref IN (SELECT id FROM document WHERE document_id = :document)
OR arrival_id IN (SELECT id FROM arrival WHERE document_id = :document)"""
_BUSY = """
SELECT count(*) FROM pending UNION ALL
SELECT count(*) FROM transfer WHERE state <> 'ON_AXIS' UNION ALL
SELECT count(*) FROM arrival WHERE state = 'RECEIVED' UNION ALL
SELECT count(*) FROM fetch WHERE state = 'DUE' UNION ALL
SELECT (SELECT max(size) FROM checkpoint) > (SELECT coalesce(max(size), 0) FROM stamp)"""


def _idle(house: House) -> bool:
    """Everything was sent, opened, sealed and stamped."""
    with closing(_database(house)) as db:
        return not any(n for (n,) in db.execute(_BUSY))


@asynccontextmanager
async def lane(folder: Path, *, dedupe: bool) -> AsyncIterator[Lane]:
    """A lane with its axis, its timestamp authority and its parent of victims."""
    async with town(folder) as made, zygote() as bearer, _session() as session:
        axis = await made.axis(
            "vxp", {f"sys.{role}": (code,) for role, code in CODES.items()}, dedupe=dedupe
        )
        built = Lane(made, axis, bearer, session)
        await built.build()
        yield built


def _session() -> aiohttp.ClientSession:
    # a connection of its own for each request: a dead gateway leaves nothing to be reused
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=30),
    )
