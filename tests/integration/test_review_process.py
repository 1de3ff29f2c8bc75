"""A process that meets a database away, a hanging axis, a second process, a clock set back."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
import pytest
from sqlalchemy import update

from gateway.collecting import Collecting
from gateway.dispatch import parse_retry
from gateway.dispatch.polling import Polling
from gateway.errors import Rejected, Text, Unavailable
from gateway.model.outcome import Deferred, Delivered, Outcome
from gateway.model.package import PackageKind
from gateway.ports import AxisCapabilities, Entropy, Fetched, Listing, StampReply, WaitingItem
from gateway.sealing import STAMPER
from gateway.store import Store, Tx, arrivals, leases, ledger
from gateway.store.tables import arrival, lease
from gateway.wiring.process import open_gateway
from gateway.workers import collect
from gateway.workers.sweep import Sweep, Unused
from tests.integration.test_review_inbound import Still
from tests.support.databases import opened
from tests.support.houses import PDF, House, Running, Town, metadata, town

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"


async def house(made: Town, **changes: dict[str, Any]) -> House:
    await made.axis("vxp", {"sys.h14": (SO19, SO20)})
    return made.house(
        "so19",
        ("H14.19", "H14.20"),
        {"vxp": "sys.h14"},
        [{"axis": "vxp", "everyone": True}],
        changes=changes,
    )


class AwayOnce:
    """A store that cannot be read the first time; `read_again`: it was, later."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0
        self.read_again = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read(self, fn: Callable[[Tx], Any]) -> Any:
        self.reads += 1
        if self.reads == 1:
            raise Unavailable(Text("Mất kết nối", "connection lost"))
        found = await self._store.read(fn)
        self.read_again.set()
        return found


def test_a_database_away_for_a_moment_does_not_end_the_process(tmp_path: Path) -> None:
    """Not even where it is only counted for /metrics."""

    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            built = await house(made)
            async with open_gateway(built.settings()) as gateway:
                away = AwayOnce(gateway.store)
                gateway.store = away  # type: ignore[assignment]  # a network between us and it
                stopping = asyncio.Event()
                turning = asyncio.create_task(gateway.run((), stopping))
                again = asyncio.create_task(away.read_again.wait())
                async with asyncio.timeout(20):
                    await asyncio.wait({turning, again}, return_when=asyncio.FIRST_COMPLETED)
                assert not turning.done()
                stopping.set()
                await turning

    asyncio.run(run())


def test_an_urgent_document_is_stamped_long_before_the_next_ordinary_stamp(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path) as made:
            built = await house(
                made, stamp={"interval": "1h", "urgent_interval": "100ms", "deadline": "5s"}
            )
            async with made.open(built, ("seal", "stamp")) as here:
                answer = await here.submit(
                    metadata(SO19, SO20, other={"priority": 3}), ("12.pdf", PDF), key="a"
                )
                listener = here.gateway.store.listener("test")
                who = await here.account(SO19)
                async with asyncio.timeout(20):
                    while True:
                        (record,) = await here.gateway.desk.history(who, answer["id"])
                        if record["stamped_at"]:
                            return
                        await listener.wait(0.05)

    asyncio.run(run())


def test_one_process_stamps_at_a_time(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path) as made:
            built = await house(made)
            async with made.open(built, ()) as here:
                await here.account(SO19)
                await here.gateway.sealing.seal()
                stamping = here.gateway.stamping

                def other(tx: Tx) -> None:
                    now = tx.now()
                    until = now + timedelta(minutes=5)
                    assert leases.take(tx, STAMPER, "another process", now=now, until=until)

                await here.gateway.store.write(other)
                assert await stamping.stamp() is None
                await here.gateway.store.write(
                    lambda tx: leases.give_back(tx, STAMPER, "another process")
                )
                assert await stamping.stamp() is not None
                await here.account(SO20)
                await here.gateway.sealing.seal()
                assert await stamping.stamp() is not None, "the turn was given back"

    asyncio.run(run())


def test_a_stamper_that_slept_through_its_turn_keeps_nothing(tmp_path: Path) -> None:
    """Its authority answered late; meanwhile another process took the turn and gave it back."""

    async def run() -> None:
        async with town(tmp_path) as made:
            built = await house(made)
            async with made.open(built, ()) as here:
                await here.account(SO19)
                await here.gateway.sealing.seal()
                stamping = here.gateway.stamping
                (authority,) = stamping.authorities
                asked = authority.stamp

                async def late(digest: bytes, deadline_seconds: float) -> StampReply:
                    reply = await asked(digest, deadline_seconds)
                    await here.gateway.store.write(taken_over)
                    return reply

                def taken_over(tx: Tx) -> None:
                    later = tx.now() + timedelta(hours=1)
                    assert leases.take(tx, STAMPER, "b", now=later, until=later) == 2
                    leases.give_back(tx, STAMPER, "b")

                with pytest.MonkeyPatch.context() as patched:
                    patched.setattr(authority, "stamp", late)
                    assert await stamping.stamp() is None
                stamps = await here.gateway.store.read(lambda tx: list(ledger.stamps(tx, 1)))
                assert stamps == []
                assert await stamping.stamp() is not None, "the next turn is nobody's yet"

    asyncio.run(run())


def test_a_fence_never_goes_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path) as made:
            built = await house(made)
            async with made.open(built, ()) as here:

                def turns(tx: Tx) -> None:
                    now = tx.now()
                    until = now + timedelta(minutes=5)
                    first = leases.take(tx, "t", "a", now=now, until=until)
                    assert first == 1
                    assert leases.take(tx, "t", "b", now=now, until=until) is None
                    leases.give_back(tx, "t", "b")
                    assert leases.holds(tx, "t", "a", 1), "only its holder gives it back"
                    leases.give_back(tx, "t", "a")
                    assert not leases.holds(tx, "t", "a", 1)
                    assert leases.take(tx, "t", "a", now=until, until=until) == 2
                    assert not leases.holds(tx, "t", "a", 1), "an older taking of its own"

                await here.gateway.store.write(turns)

    asyncio.run(run())


def test_unused_files_are_looked_for_by_one_process_in_an_hour(tmp_path: Path) -> None:
    async def run() -> None:
        async with town(tmp_path) as made:
            built = await house(made)
            async with made.open(built, ()) as here:
                gateway = here.gateway
                old = hashlib.sha256(PDF).hexdigest()

                def sweeps() -> list[Unused]:
                    """Two processes that have just started."""
                    given = {"store": gateway.store, "scribe": gateway.scribe}
                    return [Unused(**given, files=gateway.blobs) for _ in range(2)]

                def put_old() -> None:
                    gateway.blobs.keep_bytes(PDF, old)
                    for file in built.settings().blobs.folder.rglob(old):
                        os.utime(file, (1, 1))

                put_old()
                for one in sweeps():
                    await one.turn()
                assert gateway.blobs.digests() == []
                put_old()
                for one in sweeps():
                    await one.turn()
                assert len(gateway.blobs.digests()) == 1, "it was done within the hour"

                def hour_over(tx: Tx) -> None:
                    tx.execute(update(lease).values(until=tx.now()))

                await gateway.store.write(hour_over)
                for one in sweeps():
                    await one.turn()
                assert gateway.blobs.digests() == []

    asyncio.run(run())


class Lister:
    """An axis that lists `items`; it remembers what it was told, and can hang when told."""

    name = "vxp"

    def __init__(self, items: list[WaitingItem], **capabilities: Any) -> None:
        self.capabilities = AxisCapabilities(**capabilities)
        self.items = items
        self.told: list[str] = []
        self.order: list[str] = []

    async def list_waiting(self, kind: PackageKind, deadline_seconds: float) -> Listing:
        assert deadline_seconds > 0
        return Listing(tuple(i for i in self.items if i.kind is kind))

    async def fetch(self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float) -> Fetched:
        assert deadline_seconds > 0
        self.order.append(f"fetch {item.axis_doc_id}")
        sink.write(b"<edXML/>")
        if item.axis_doc_id.startswith("bad"):
            return Fetched(failure=Deferred("package.cut"))
        return Fetched(8)

    async def acknowledge(self, axis_doc_id: str, deadline_seconds: float) -> Outcome:
        assert deadline_seconds > 0
        self.told.append(axis_doc_id)
        self.order.append(f"have {axis_doc_id}")
        return Delivered()


def collecting(here: Running, axis: Lister) -> Collecting:
    gateway = here.gateway
    return Collecting(
        axis=axis,  # type: ignore[arg-type]  # sends nothing
        store=gateway.store,
        blobs=gateway.blobs,
        scribe=gateway.scribe,
        intake=gateway.inbound,
        policy=gateway.outbound.outlets["vxp"].policy,
        list_seconds=5,
        fetch_seconds=5,
        hold_after=3,
        at_once=4,
    )


def items(*ids: str) -> list[WaitingItem]:
    return [WaitingItem(i, PackageKind.STATUS) for i in ids]


def alone(folder: Path, story: Callable[[Running], Any]) -> None:
    async def run() -> None:
        async with town(folder, stamps=False) as made:
            built = await house(made)
            async with made.open(built, ()) as here:
                await story(here)

    asyncio.run(run())


def test_where_having_it_tells_the_sender_only_a_confirm_may_say_so(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        axis = Lister(items("a", "b"), acknowledge_reports_arrival=True)
        one = collecting(here, axis)
        assert (await one.collect(PackageKind.STATUS)).fetched == 2
        await one.collect(PackageKind.STATUS)
        assert axis.told == []

    alone(tmp_path, story)


def test_what_nobody_confirms_for_a_month_is_an_alarm(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        gateway = here.gateway
        listed = [WaitingItem(i, PackageKind.DOCUMENT) for i in ("a", "b")]
        axis = Lister(listed, acknowledge_reports_arrival=True)
        one = collecting(here, axis)

        async def late() -> tuple[int, float]:
            worker = collect.worker(
                one, gateway.metrics, polling=Polling(1, 1, 1, 1), fraction=lambda: 0.5
            )
            await worker.turn()
            labels = {"axis": "vxp", "cause": "unconfirmed"}
            counted = gateway.metrics.registry.get_sample_value("edoc_axis_alarms_total", labels)
            return (await one.collect(PackageKind.DOCUMENT)).unconfirmed, counted or 0.0

        assert await late() == (0, 0.0)

        def month_over(tx: Tx) -> None:
            long_ago = tx.now() - timedelta(days=31)
            tx.execute(
                update(arrival).where(arrival.c.axis_doc_id == "a").values(received_at=long_ago)
            )

        await gateway.store.write(month_over)
        assert await late() == (1, 1.0)
        assert axis.told == []

    alone(tmp_path, story)


def test_what_is_new_is_fetched_before_the_axis_is_reminded_of_the_old(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        axis = Lister(items("a"))
        one = collecting(here, axis)
        await one.collect(PackageKind.STATUS)
        axis.items = items("a", "b")
        axis.order.clear()
        await one.collect(PackageKind.STATUS)
        assert axis.order == ["fetch b", "have b", "have a"]

    alone(tmp_path, story)


def test_a_list_longer_than_any_statement_is_received_in_its_order(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        ids = [f"bad{n:04d}" for n in range(1234)]
        axis = Lister(items(*ids))
        one = replace_at_once(collecting(here, axis), 400)
        # full jitter makes "an hour at most" a moment now and then: the first try comes back early
        here.gateway.scribe.entropy = NeverEarly(here.gateway.scribe.entropy)
        more = True
        while more:
            done = await one.collect(PackageKind.STATUS)
            assert (done.listed, done.fetched) == (1234, 0)
            more = done.more
        first = [f.removeprefix("fetch ") for f in axis.order[:1234]]
        assert sorted(first) == ids
        batches = [sorted(first[n : n + 400]) for n in range(0, 1234, 400)]
        assert [i for batch in batches for i in batch] == ids

    alone(tmp_path, story)


class NeverEarly:
    """Ids and salts of another source; what waits, waits for all of its time."""

    def __init__(self, other: Entropy) -> None:
        self.new_id = other.new_id
        self.salt = other.salt

    def fraction(self) -> float:
        return 0.999


def replace_at_once(one: Collecting, at_once: int) -> Collecting:
    one.at_once = at_once
    one.policy = replace(one.policy, retry=parse_retry("1h for 3d"))
    return one


def test_a_clock_set_back_is_told_even_when_the_first_who_noticed_failed(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        await here.submit(metadata(SO19, SO20, number="1"), ("12.pdf", PDF), key="a")
        scribe = here.gateway.scribe
        scribe.clock = Still(scribe.now() - timedelta(minutes=5))
        outbound = here.gateway.outbound
        delay, outbound.seal_max_delay = outbound.seal_max_delay, timedelta(0)
        with pytest.raises((Unavailable, Rejected)):
            await here.submit(metadata(SO19, SO20, number="2"), ("12.pdf", PDF), key="b")
        outbound.seal_max_delay = delay
        for key in ("c", "d"):
            await here.submit(metadata(SO19, SO20, number=key), ("12.pdf", PDF), key=key)
        events = [
            row.body
            for row in await here.gateway.store.read(lambda tx: ledger.unsealed(tx, "", 1000))
        ]
        assert sum(b'"event":"clock.stepped"' in (body or b"") for body in events) == 1

    alone(tmp_path, story)


@pytest.mark.postgres
def test_the_sweep_makes_the_partitions_of_coming_months(tmp_path: Path, postgres_url: str) -> None:
    def months() -> int:
        with psycopg.connect(postgres_url) as conn:
            found = conn.execute("SELECT count(*) FROM pg_inherits").fetchone()
        assert found is not None
        return int(found[0])

    async def story(here: Running) -> None:
        before = months()
        late = here.gateway.scribe.now() + timedelta(days=100)
        with opened(postgres_url, clock=lambda: late) as store:
            sweep = Sweep(store=store, settling=here.gateway.settling)
            await sweep.turn()
            assert months() > before
            after = months()
            await sweep.turn()
            assert months() == after

    alone(tmp_path, story)


def test_two_collectors_on_one_list_make_one_arrival_of_each(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        axis = Lister(items("a", "b", "c"))
        one, two = collecting(here, axis), collecting(here, axis)
        await asyncio.gather(one.collect(PackageKind.STATUS), two.collect(PackageKind.STATUS))
        rows = await here.gateway.store.read(
            lambda tx: arrivals.held_already(tx, "vxp", ["a", "b", "c"])
        )
        assert rows == {"a", "b", "c"}

    alone(tmp_path, story)
