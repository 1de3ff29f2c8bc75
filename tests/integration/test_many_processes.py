"""A province's way: any number of each worker on PostgreSQL, packages in a bucket they share.

What several machines are to a gateway is several processes that share nothing but the database and
the bucket; each process here has a folder of spool files like the others, and nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, select, update

from gateway.model.arrival import ItemKind
from gateway.store import Tx
from gateway.store.tables import arrival, checkpoint, fetch, inbox_item, lease, pending, transfer
from gateway.wiring.process import JOBS
from tests.fault.test_database_away import verified
from tests.support.buckets import Buckets, in_bucket
from tests.support.crowd import Crowd, crowd
from tests.support.databases import Postgres
from tests.support.houses import PDF, House, Running, Town, metadata, town
from tests.support.troubles import EVERYONE, SO19, VPCP, eventually, rows, with_changes

pytestmark = pytest.mark.postgres
EACH = 3
# twenty-one processes that look fifty times a second would be busy with looking
PACE = {
    "dispatch": {"idle": "1s", "sweep": "1s"},
    "collect": {"interval": "500ms"},
}
DOCUMENTS = 6


class Province:
    """Two gateways on one axis, each with its database; their packages in one bucket."""

    def __init__(self, town: Town, sender: House, receiver: House, stack: AsyncExitStack) -> None:
        self.town = town
        self.sender = sender
        self.receiver = receiver
        self._stack = stack

    async def open(self, house: House, *jobs: str) -> Running:
        return await self._stack.enter_async_context(self.town.open(house, jobs))


def play(
    folder: Path,
    postgres: Postgres,
    buckets: Buckets,
    plot: Callable[[Province, Crowd], Awaitable[None]],
) -> None:
    async def run(databases: tuple[str, str]) -> None:
        bucket = buckets.bucket()
        async with town(folder) as made, AsyncExitStack() as stack:
            await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
            houses = [
                made.house(
                    name,
                    (code,),
                    {"vxp": system},
                    EVERYONE,
                    database=database,
                    changes=with_changes(blobs=in_bucket(buckets, bucket, name, folder), **PACE),
                )
                for name, code, system, database in (
                    ("so19", SO19, "sys.h14", databases[0]),
                    ("vpcp", VPCP, "sys.g22", databases[1]),
                )
            ]
            many = await stack.enter_async_context(crowd())
            await plot(Province(made, houses[0], houses[1], stack), many)

    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        asyncio.run(run((one, two)))


async def hand_in(url: str, key: str, number: str) -> dict[str, Any]:
    """As a unit's system does over REST."""
    form = aiohttp.FormData(default_to_multipart=True)
    meta = json.dumps(metadata(SO19, VPCP, number=number))
    form.add_field("metadata", meta, content_type="application/json")
    form.add_field("file", PDF, filename="12.pdf", content_type="application/pdf")
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"document-{number}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/documents", data=form, headers=headers) as answer,
    ):
        assert answer.status == 202, await answer.text()
        handed: dict[str, Any] = await answer.json()
        return handed


async def take_all(side: Running, code: str, wanted: int) -> None:
    """The unit fetches and confirms until so many documents have entered."""
    who = await side.account(code)
    async with asyncio.timeout(60):
        for _ in range(wanted):
            item = (await side.inbox(code))[0]
            await side.gateway.desk.confirm(who, item["id"])


def leases_over(tx: Tx) -> None:
    """As if every lease had run out: those of the dead are free, the living find theirs taken."""
    now = tx.now()
    for table in (transfer, arrival, fetch):
        held = table.c.lease_until.is_not(None)
        tx.execute(update(table).where(held).values(lease_until=now))
    tx.execute(update(lease).values(until=now))


async def settled(side: Running, there: Mapping[str, int]) -> None:
    """All that this side sent is on the axis, every 01 came back, and every record is sealed."""
    await eventually(side, select(transfer.c.state), lambda f: {s for (s,) in f} == {"ON_AXIS"})
    kinds = select(inbox_item.c.kind)
    await eventually(side, kinds, lambda f: Counter(k for (k,) in f) == Counter(there))
    await eventually(side, select(pending.c.record_id), lambda found: found == [])


@pytest.mark.timeout(300)
def test_three_of_each_worker_carry_documents_both_ways_and_outlive_one_of_each(
    tmp_path: Path, postgres: Postgres, buckets: Buckets
) -> None:
    async def plot(province: Province, many: Crowd) -> None:
        here = await province.open(province.sender)  # a desk without workers, to look and ask
        there = await province.open(province.receiver, "all")
        await here.account(SO19)
        members = await many.join(province.sender.conf, *[(job,) for job in JOBS * EACH])
        doors = itertools.cycle([one.url for one in members if one.url])
        key = here.keys[SO19]
        handed = []
        for number in range(DOCUMENTS):
            handed.append(await hand_in(next(doors), key, f"1{number}"))
            await there.submit(metadata(VPCP, SO19, number=f"2{number}"), ("a.pdf", PDF))
        # one of each job is killed, whatever it is doing
        killed = [next(one for one in members if one.jobs == (job,)) for job in JOBS]
        for one in killed:
            one.signal(signal.SIGKILL)
        left = [one for one in members if one.url and one not in killed]
        assert len(left) == EACH - 1
        await here.gateway.store.write(leases_over)
        doors = itertools.cycle([one.url for one in left])
        handed += [
            await hand_in(next(doors), key, f"1{number}")
            for number in range(DOCUMENTS, 2 * DOCUMENTS)
        ]
        await take_all(there, VPCP, 2 * DOCUMENTS)
        await take_all(here, SO19, DOCUMENTS)
        status = ItemKind.STATUS.value
        document = ItemKind.DOCUMENT.value
        await settled(here, {document: DOCUMENTS, status: 2 * DOCUMENTS})
        await settled(there, {document: 2 * DOCUMENTS, status: DOCUMENTS})
        for side, wanted in ((here, DOCUMENTS), (there, 2 * DOCUMENTS)):
            once = select(inbox_item.c.document_id).where(inbox_item.c.kind == document)
            found = [d for (d,) in await rows(side, once)]
            assert len(set(found)) == len(found) == wanted
            states = {s for (s,) in await rows(side, select(arrival.c.state))}
            assert states <= {"OPENED", "DUPLICATE"}
        for answer in handed:
            shown = await here.document(SO19, answer["id"])
            assert shown["transfers"][0]["recipients"][0]["state"] == "ARRIVED"
        receipts = [json.dumps(a["receipt"], ensure_ascii=False).encode() for a in handed]
        await asyncio.to_thread(verified, province.sender, receipts)
        await asyncio.to_thread(verified, province.receiver, [])

    play(tmp_path, postgres, buckets, plot)


def test_a_sealer_that_is_stopped_in_its_commit_and_wakes_after_a_takeover_commits_nothing(
    tmp_path: Path, postgres: Postgres, buckets: Buckets
) -> None:
    async def plot(province: Province, many: Crowd) -> None:
        here = await province.open(province.sender)
        database = str(conninfo_to_dict(province.sender.database)["dbname"])
        waiting = "wait_event_type = 'Lock'"
        idle = "state = 'idle in transaction'"

        async def session(of: str) -> int:
            """The server's process for the session that is so, as soon as there is one."""
            asked = f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND {of}"
            listener = here.gateway.store.listener("test")
            async with asyncio.timeout(30):
                while True:
                    if found := await asyncio.to_thread(ask, asked):
                        return found
                    await listener.wait(0.02)

        def ask(asked: str) -> int:
            with psycopg.connect(postgres.admin_url, autocommit=True) as conn:
                row = conn.execute(asked.encode()).fetchone()
                return int(row[0]) if row else 0

        async def sealed(number: str) -> int:
            await here.submit(metadata(SO19, VPCP, number=number), ("12.pdf", PDF))
            await eventually(here, select(pending.c.record_id), lambda found: found == [])
            return await checkpoints()

        async def checkpoints() -> int:
            ((count,),) = await rows(here, select(func.count()).select_from(checkpoint))
            return int(count)

        await here.account(SO19)
        (sleeper,) = await many.join(province.sender.conf, ("seal",))
        before = await sealed("1")
        with psycopg.connect(province.sender.database) as door:
            door.execute("LOCK TABLE checkpoint IN SHARE MODE")
            await here.submit(metadata(SO19, VPCP, number="2"), ("12.pdf", PDF))
            await session(waiting)  # it has the lease, and stands before its checkpoint
            sleeper.signal(signal.SIGSTOP)
            door.rollback()
        stopped = await session(idle)
        (heir,) = await many.join(province.sender.conf, ("seal",))
        await session(waiting)  # the lease is locked until the server gives the sleeper up
        assert await checkpoints() == before
        # idle_in_transaction_session_timeout does this after a minute
        await asyncio.to_thread(ask, f"SELECT pg_terminate_backend({stopped})::int")
        await here.gateway.store.write(leases_over)
        await eventually(here, select(pending.c.record_id), lambda found: found == [])
        assert await checkpoints() == before + 1
        sleeper.signal(signal.SIGCONT)
        # it is awake and of use: alone, it seals what comes next
        heir.signal(signal.SIGKILL)
        await here.gateway.store.write(leases_over)
        assert await sealed("3") == before + 2
        await asyncio.to_thread(verified, province.sender, [])

    play(tmp_path, postgres, buckets, plot)
