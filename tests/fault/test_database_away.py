"""PostgreSQL drops our connections, or is away for a while: nothing is lost, no process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import select

from gateway.audit.books import look_for, verify_books
from gateway.c14n import canonical_json
from gateway.errors import Unavailable
from gateway.ledger.receipt import ReceiptVerdict
from gateway.model.arrival import ItemKind
from gateway.store.tables import arrival, inbox_item, pending, transfer
from gateway.wiring.books import open_books
from tests.support.databases import Postgres
from tests.support.houses import House
from tests.support.kills import zygote
from tests.support.troubles import (
    VPCP,
    WORKERS,
    Scene,
    eventually,
    rows,
    trouble,
    with_changes,
)

pytestmark = pytest.mark.postgres
TERMINATE = sql.SQL(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = {}"
)


def play(
    folder: Path,
    server: Postgres,
    plot: Callable[[Scene, Cut], Awaitable[None]],
    **setting: Any,
) -> None:
    async def run(databases: tuple[str, str]) -> None:
        async with trouble(
            folder, databases=databases, stamps=True, dedupe=False, **setting
        ) as scene:
            await plot(scene, Cut(server, databases))

    with server.database(migrated=True) as one, server.database(migrated=True) as two:
        asyncio.run(run((one, two)))


class Cut:
    """What an administrator, or a network, does to the two databases."""

    def __init__(self, server: Postgres, databases: tuple[str, str]) -> None:
        self._server = server
        self.ended = 0  # connections, so far
        self._names = [str(conninfo_to_dict(url)["dbname"]) for url in databases]

    async def connections(self) -> None:
        """Every connection to them ends now, in the middle of whatever it does."""
        for name in self._names:
            self.ended += await asyncio.to_thread(self._terminate, name)

    def _terminate(self, name: str) -> int:
        with psycopg.connect(self._server.admin_url, autocommit=True) as conn:
            (ended,) = conn.execute(TERMINATE.format(sql.Literal(name))).fetchone() or (0,)
            return int(ended)

    async def away(self) -> None:
        await self._permit("false")
        await self.connections()

    async def back(self) -> None:
        await self._permit("true")

    async def _permit(self, word: str) -> None:
        for name in self._names:
            statement = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}").format(
                sql.Identifier(name), sql.SQL(word)
            )
            await asyncio.to_thread(self._server.run, statement)


def verified(house: House, receipts: list[bytes]) -> None:
    settings = house.settings()
    with open_books(settings) as books:
        report = verify_books(
            books.store,
            books.blobs,
            origin=settings.ledger.origin,
            public_key=books.public_key,
            anchors=books.anchors,
        )
        assert (report.verified, report.problems) == (True, ())
        for receipt in receipts:
            found, _ = look_for(
                books.store,
                receipt,
                origin=settings.ledger.origin,
                public_key=books.public_key,
            )
            assert found is ReceiptVerdict.FOUND


async def insisting(ask: Callable[[], Awaitable[Any]]) -> Any:
    """A unit system that asks again after a 503, with the same key."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                return await ask()
            await asyncio.sleep(0)


@pytest.mark.parametrize("many", [4, pytest.param(12, marks=pytest.mark.long)])
def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(
    tmp_path: Path, postgres: Postgres, many: int
) -> None:
    async def plot(scene: Scene, cut: Cut) -> None:
        numbers = [str(n) for n in range(12, 12 + many)]
        there = await scene.there()
        over = asyncio.Event()

        async def cutting() -> None:
            while not over.is_set():
                await cut.connections()
                # as often as somebody gets something done in between
                await scene.here.gateway.store.listener("deliver").wait(0.1)

        vandal = asyncio.create_task(cutting())
        try:
            answers = [await insisting(lambda n=n: scene.submit(n)) for n in numbers]
            who = await insisting(lambda: there.account(VPCP))
            for _ in numbers:
                item = (await insisting(lambda: there.inbox(VPCP)))[0]
                await insisting(lambda i=item: there.gateway.desk.confirm(who, i["id"]))
        finally:
            over.set()
            await vandal
        assert cut.ended > len(numbers), "it went on in spite of many cuts"
        wanted = [("ON_AXIS",)] * len(numbers)
        documents = select(transfer.c.state).where(transfer.c.kind == "document")
        for side in (scene.here, there):
            await eventually(side, select(transfer.c.state), lambda found: found == wanted)
            # the sender's side has got every 01, and every record is sealed
            await eventually(side, select(pending.c.record_id), lambda found: found == [])
        assert await rows(scene.here, documents) == wanted
        await eventually(
            scene.here,
            select(inbox_item.c.kind, inbox_item.c.status_code),
            lambda found: found == [(ItemKind.STATUS.value, "01")] * len(numbers),
        )
        entered = await rows(there, select(inbox_item.c.document_id, inbox_item.c.state))
        assert sorted(entered) == sorted((a["document_id"], "ENTERED") for a in answers)
        states = [s for (s,) in await rows(there, select(arrival.c.state))]
        assert states.count("OPENED") == len(numbers)
        assert set(states) <= {"OPENED", "DUPLICATE"}
        await eventually(scene.here, select(pending.c.record_id), lambda found: found == [])
        receipts = [canonical_json(a["receipt"]) for a in answers]
        await asyncio.to_thread(verified, scene.sender, receipts)
        await asyncio.to_thread(verified, scene.receiver, [])

    play(tmp_path, postgres, plot)


def test_a_database_that_is_away_for_a_while_ends_no_process(
    tmp_path: Path, postgres: Postgres
) -> None:
    async def plot(scene: Scene, cut: Cut) -> None:
        gate = scene.axis.hold("sendEdoc")
        first = await scene.submit("12")
        await gate.reached(1)
        await cut.away()
        with pytest.raises(Unavailable) as refused:
            await scene.submit("13")
        assert refused.value.code == "store.unavailable"
        # the axis answers while there is nowhere to write it down
        gate.release()
        await scene.axis.until(lambda axis: len(axis.received()) == 1)
        with pytest.raises(Unavailable):
            await scene.here.gateway.readiness()
        await cut.back()
        second = await insisting(lambda: scene.submit("13"))
        there = await scene.there()
        for answer in (first, second):
            await scene.until(answer, state="ON_AXIS")
        await eventually(there, select(inbox_item.c.kind), lambda found: len(found) == 2)
        await eventually(scene.here, select(pending.c.record_id), lambda found: found == [])
        receipts = [canonical_json(a["receipt"]) for a in (first, second)]
        await asyncio.to_thread(verified, scene.sender, receipts)

    play(tmp_path, postgres, plot)


def test_what_a_killed_process_was_sending_is_taken_over_by_its_neighbours(
    tmp_path: Path, postgres: Postgres
) -> None:
    """Several processes on one database: nobody may touch the attempt before its lease is over."""
    neighbours = [w for w in WORKERS if w != "deliver"]

    async def plot(scene: Scene, _: Cut) -> None:
        gate = scene.axis.hold("sendEdoc")
        async with zygote() as bearer:
            victim = await bearer.bear(scene.sender, jobs=["deliver"])
            try:
                answer = await scene.submit()
                await gate.reached(1)
                assert (await scene.until(answer, state="SENDING"))["attempts"] == 1
            finally:
                await victim.end()
        await scene.lease_over(answer)
        shown = await scene.until(answer, state="UNCERTAIN")
        assert shown["doubt"]
        gate.release()
        async with scene.town.open(scene.sender, ["deliver"]):
            shown = await scene.until(answer, state="ON_AXIS")
        events = [r["event"] for r in await scene.history(answer)]
        assert events == [
            "submission.accepted",
            "attempt.started",
            "attempt.taken_over",
            "attempt.started",
            "attempt.ended",
        ]
        assert set(scene.sent()) == {shown["package"]["sha256"]}

    changes = with_changes(dispatch={"attempt_deadline": "20s"})
    play(tmp_path, postgres, plot, jobs=neighbours, changes=changes)
