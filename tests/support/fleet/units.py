"""The unit systems at both ends: they hand in, take, confirm, and ask again when nobody answers.

Whoever got no answer asks again, unchanged, until there is one: a submission with the same
Idempotency-Key until its 202, a confirmation until its receipt. What they were told is kept: it is
what the gateways are held to afterwards. What a run sends beside plain documents says its mix
(`mix.py`); the people who run the gateways are in `operators.py`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from io import BytesIO
from typing import Any

import aiohttp

from gateway.c14n import canonical_json
from tests.support.fleet.mix import PLAIN, Letter, Mix, PlannedAct
from tests.support.fleet.world import FROM, RECEIVER, SENDER, TO, World
from tests.support.houses import metadata

AGAIN = 0.05
WAIT = 2  # seconds of a long poll
WORTH_REPEATING = frozenset({408, 429, 500, 502, 503, 504})

Body = Callable[[], aiohttp.FormData | bytes]
JSON = {"Content-Type": "application/json"}


@dataclass(slots=True)
class Sent:
    """A document that was accepted. `asked`: requests until the 202; `seconds`: of the last one.

    `earlier`: of an act, the ids of its document and of the acts about it that were promised before
    this one was handed in, in that order. `priority`: None where the document says none.
    """

    number: int
    document_id: str
    to: tuple[str, ...]
    sha256: str
    size: int
    asked: int
    seconds: float
    answer: dict[str, Any]
    earlier: tuple[str, ...] = ()
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What a person did to a transfer and was told 200 for."""

    side: str
    act: str
    transfer_id: str


@dataclass(slots=True)
class Told:
    """What the units have in hand. `wrong`: answers and contents that must never come."""

    sent: dict[str, Sent] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    taken: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # -> ids of items
    heard: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)  # ids of reports to the sender
    moved: list[Moved] = field(default_factory=list)
    forbidden: Counter[str] = field(default_factory=Counter)  # acts of persons that came too late
    receipts: dict[str, list[bytes]] = field(default_factory=lambda: {SENDER: [], RECEIVER: []})
    wrong: list[str] = field(default_factory=list)

    @property
    def expected(self) -> set[tuple[str, str]]:
        """(receiver, DocumentId) of everything accepted."""
        return {(code, one.document_id) for one in self.sent.values() for code in one.to}


@dataclass(slots=True)
class Unit:
    """One account of one unit system."""

    session: aiohttp.ClientSession
    doors: Callable[[], list[str]]
    key: str
    told: Told
    side: str
    rng: random.Random

    async def ask(
        self, method: str, path: str, *, form: Body | None = None, **headers: str
    ) -> tuple[int, int, bytes, float]:
        """Status, how often it was asked, body, seconds; again until somebody answers for good."""
        asked = 0
        while True:
            doors = self.doors()
            if not doors:
                await asyncio.sleep(AGAIN)
                continue
            asked += 1
            began = time.perf_counter()
            try:
                async with self.session.request(
                    method,
                    self.rng.choice(doors) + path,
                    data=form() if form else None,
                    headers={"Authorization": f"Bearer {self.key}", **headers},
                ) as answer:
                    body = await answer.read()
                    if answer.status not in WORTH_REPEATING:
                        return answer.status, asked, body, time.perf_counter() - began
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(AGAIN)

    async def json(self, method: str, path: str) -> dict[str, Any]:
        status, _, body, _ = await self.ask(method, path)
        if status != 200:
            self.told.wrong.append(f"{method} {path}: {status} {body[:300]!r}")
            return {}
        said: dict[str, Any] = json.loads(body)
        self._keep_receipt(said)
        return said

    def _keep_receipt(self, said: Mapping[str, Any]) -> None:
        if "receipt" in said:
            self.told.receipts[self.side].append(canonical_json(said["receipt"]))

    # -- the sender's system ----------------------------------------------------------------------

    async def submit(
        self, number: int, to: tuple[str, ...], size: int, letter: Letter = PLAIN
    ) -> None:
        """A document, and what follows from it."""
        meta = metadata(FROM, *to, number=str(number), subject=f"Về việc thử số {number}")
        content = contents(number, size)
        digest = (await asyncio.to_thread(sha256, content)).hexdigest()
        promised = await self._hand_in(
            "/v1/documents",
            meta["document_id"],
            _form({**meta, **_other(letter.priority)}, content),
            f"fleet-{number}",
            Sent(number, "", to, digest, size, 0, 0.0, {}, priority=letter.priority),
        )
        for act in letter.acts if promised else ():
            await asyncio.sleep(act.after)
            assert promised is not None
            promised = await self._act(promised, act) or promised

    async def _act(self, earlier: Sent, act: PlannedAct) -> Sent | None:
        """An act about the document with which the chain of `earlier` began. Its DocumentId is the
        gateway's, so that an act that is asked for twice and made twice is two.
        """
        chain = (*earlier.earlier, earlier.document_id)
        document = self.told.sent[chain[0]]
        key = f"fleet-{earlier.number}-{act.word}"
        # a recall and an update repeat the document's header where they say nothing else
        unsaid = None if act.word == "replace" else document.priority
        priority = unsaid if act.priority is None else act.priority
        next_one = replace(document, earlier=chain, priority=priority)
        headers: Mapping[str, str] = JSON
        if act.word == "replace":
            number = f"{earlier.number}-TT"
            meta = metadata(FROM, number=number, subject=f"Về việc thử số {number}")
            del meta["to"], meta["document_id"]
            content = contents(-earlier.number, document.size)
            digest = (await asyncio.to_thread(sha256, content)).hexdigest()
            next_one = replace(next_one, sha256=digest)
            body, headers = _form({**meta, **_other(act.priority)}, content), {}
        else:
            said = {"business": act.says, **_other(act.priority)}
            body = json.dumps(said).encode
        path = f"/v1/documents/{document.answer['id']}/{act.word}"
        return await self._hand_in(path, key, body, key, next_one, **headers)

    async def _hand_in(
        self, path: str, name: str, form: Body, key: str, one: Sent, **headers: str
    ) -> Sent | None:
        """What was promised, kept under the DocumentId of the answer; None: refused, and noted."""
        self.told.under_way.add(name)
        status, asked, body, seconds = await self.ask(
            "POST", path, form=form, **{"Idempotency-Key": key, **headers}
        )
        self.told.under_way.discard(name)
        if status != 202:
            self.told.wrong.append(f"{key} to {path}: {status} {body[:300]!r}")
            return None
        answer = json.loads(body)
        self._keep_receipt(answer)
        document_id = answer["document_id"]
        made = replace(one, document_id=document_id, asked=asked, seconds=seconds, answer=answer)
        self.told.sent[document_id] = made
        return made

    # -- inboxes ----------------------------------------------------------------------------------

    async def empty_inbox(self, code: str, kind: str) -> None:
        """Take and confirm whatever comes, until cancelled."""
        path = f"/v1/inbox?agency={code}&kind={kind}&wait={WAIT}&limit=50"
        while True:
            items = (await self.json("GET", path)).get("items", [])
            await asyncio.gather(*(self._take(code, kind, item) for item in items))

    async def _take(self, code: str, kind: str, item: Mapping[str, Any]) -> None:
        if kind == "report":
            self.told.reported.add(item["id"])
            if item["report"]["state"] != "HELD":  # the end states of `judge`
                self.told.wrong.append(f"report about {item['document_id']}: {item['report']}")
            await self.json("POST", f"/v1/inbox/{item['id']}/confirm")
            return
        kept = self.told.taken if kind == "document" else self.told.heard
        who = code if kind == "document" else item["from"]
        ids = kept.setdefault((who, item["document_id"]), [])
        if item["id"] not in ids:
            ids.append(item["id"])
        if kind == "document":
            status, _, package, _ = await self.ask("GET", f"/v1/inbox/{item['id']}/package")
            if status != 200 or sha256(package).hexdigest() != item["package"]["sha256"]:
                self.told.wrong.append(f"package of {item['document_id']}: {status}")
            one = self.told.sent.get(item["document_id"])
            files = [file["sha256"] for file in item["attachments"]]
            if one is not None and files != [one.sha256]:
                self.told.wrong.append(f"{item['document_id']} came with other files: {files}")
        elif item["status"]["code"] != "01":
            self.told.wrong.append(f"status {item['status']} of {item['document_id']}")
        await self.json("POST", f"/v1/inbox/{item['id']}/confirm")


def _other(priority: int | None) -> dict[str, Any]:
    return {} if priority is None else {"other": {"priority": priority}}


def _form(meta: Mapping[str, Any], content: bytes) -> Body:
    """Metadata and one file, made anew for each request."""

    def form() -> aiohttp.FormData:
        made = aiohttp.FormData(default_to_multipart=True)
        made.add_field("metadata", json.dumps(meta), content_type="application/json")
        file = BytesIO(content)
        made.add_field("file", file, filename="vb.pdf", content_type="application/pdf")
        return made

    return form


def contents(number: int, size: int) -> bytes:
    """A file of `size` bytes that is like no other.

    Only its head is its own: making ten megabytes of noise takes longer than what a load measures,
    and everybody else's answer would wait for it.
    """
    head = f"%PDF-1.4\n%{number}\n".encode()
    rest = max(0, size - len(head))
    return b"".join((head, memoryview(_noise(1 << rest.bit_length()))[:rest]))


@functools.cache
def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


class Traffic:
    """Everybody at work: senders at a rate, receivers at once."""

    def __init__(self, world: World, told: Told, seed: int) -> None:
        self._world = world
        self.told = told
        self._rng = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0

    def unit(self, side: str, code: str) -> Unit:
        one = self._world.sides[side]
        return Unit(
            self._world.session,
            one.doors,
            one.keys[code],
            self.told,
            side,
            random.Random(self._rng.random()),
        )

    def receive(self) -> None:
        """Inboxes are emptied from now on."""
        for code in TO.values() if RECEIVER in self._world.sides else ():
            self._begin(self.unit(RECEIVER, code).empty_inbox(code, "document"))
        if SENDER in self._world.sides:
            unit = self.unit(SENDER, FROM)
            self._begin(unit.empty_inbox(FROM, "status"))
            self._begin(unit.empty_inbox(FROM, "report"))

    async def send(
        self,
        *,
        rate: float,
        sizes: Sequence[tuple[float, int]],
        until: Callable[[], bool],
        both: bool = True,
        mix: Mix | None = None,
    ) -> None:
        """`rate` documents a second, to one receiver or (`both`) two; `sizes`: (weight, bytes).
        `mix`: how urgent they are and what is said about them later; None: plain documents.

        A rate, not a queue: who is not answered in time does not hold up those who come after.
        Returns when every submission begun before `until` has its answer.
        """
        unit = self.unit(SENDER, FROM)
        north, south = TO.values()
        for _, size in sizes:
            contents(0, size)  # its noise is made before the first one is sent
        begun: set[asyncio.Task[None]] = set()
        start, due = time.monotonic(), 0.0
        while not until():
            due += 1 / rate
            await asyncio.sleep(max(0.0, start + due - time.monotonic()))
            self._numbers += 1
            to = self._rng.choice(((north,), (south,), (north, south))[: 3 if both else 2])
            weights, lengths = zip(*sizes, strict=True)
            (size,) = self._rng.choices(lengths, weights)
            letter = mix.letter(self._numbers) if mix is not None else PLAIN
            task = asyncio.create_task(unit.submit(self._numbers, to, size, letter))
            begun.add(task)
            task.add_done_callback(partial(self._handed_in, begun))
        await asyncio.gather(*begun, return_exceptions=True)

    def _handed_in(self, begun: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        begun.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.told.wrong.append(f"the sender's system failed: {str(error)[:300]!r}")

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError) and ended is not None:
                raise ended
