"""In which order what an axis holds for us is fetched, and how soon it is asked again."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import select, update

from gateway import collecting as corridor
from gateway.collecting import Collecting
from gateway.dispatch import Policy
from gateway.dispatch.polling import Polling
from gateway.dispatch.retry import parse
from gateway.model.outcome import Deferred, Delivered, Outcome
from gateway.model.package import PackageKind
from gateway.ports import AxisCapabilities, Fetched, FollowUp, Listing, Parcel, WaitingItem
from gateway.store import Tx
from gateway.store.tables import arrival, fetch
from gateway.telemetry.metrics import Metrics
from gateway.wiring.process import SystemEntropy
from gateway.workers import collect
from tests.support.arriving import SO19, VPCP, alone, document, open_all, status
from tests.support.databases import Postgres
from tests.support.houses import Running
from tests.support.troubles import rows

DOCUMENT, STATUS = PackageKind.DOCUMENT, PackageKind.STATUS


class Shelf:
    """An axis that lists and hands over what a test puts on it, and notes what it was asked."""

    def __init__(self) -> None:
        self.name = "vxp"
        self.capabilities = AxisCapabilities()
        self.waiting: dict[str, tuple[PackageKind, bytes]] = {}
        self.hidden: set[str] = set()  # handed over by docId, and listed no more
        self.broken: set[str] = set()
        self.unreadable: set[PackageKind] = set()
        self.asked: list[str] = []

    async def list_waiting(self, kind: PackageKind, deadline_seconds: float) -> Listing:
        self.asked.append(f"list {kind.value}")
        if kind in self.unreadable:
            return Listing(failure=Deferred("list.unreadable"))
        items = [
            WaitingItem(doc_id, of_kind, SO19, VPCP)
            for doc_id, (of_kind, _) in self.waiting.items()
            if of_kind is kind and doc_id not in self.hidden
        ]
        return Listing(tuple(items))

    async def fetch(self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float) -> Fetched:
        self.asked.append(item.axis_doc_id)
        if item.axis_doc_id in self.broken:
            return Fetched(failure=Deferred("fetch.cut"))
        data = self.waiting[item.axis_doc_id][1]
        sink.write(data)
        return Fetched(len(data))

    async def acknowledge(self, axis_doc_id: str, deadline_seconds: float) -> Outcome:
        self.waiting.pop(axis_doc_id, None)
        return Delivered(axis_doc_id)

    async def submit(self, parcel: Parcel, deadline_seconds: float) -> Outcome:
        return Deferred("shelf.closed")

    async def follow_up(
        self, remote_ref: str, kind: PackageKind, deadline_seconds: float
    ) -> FollowUp:
        return FollowUp()

    async def close(self) -> None:
        pass

    def put(self, doc_id: str, kind: PackageKind) -> None:
        data = document(document_id=doc_id) if kind is DOCUMENT else status("13", doc_id)
        self.waiting[doc_id] = (kind, data)

    def fetched(self) -> list[str]:
        return [a for a in self.asked if not a.startswith("list ")]


class Steady(SystemEntropy):
    """No luck: what failed is due again after half of the longest wait."""

    def fraction(self) -> float:
        return 0.5


def collector(here: Running, axis: Shelf, at_once: int = 1) -> Collecting:
    gateway = here.gateway
    gateway.scribe.entropy = Steady()
    return Collecting(
        axis=axis,
        store=gateway.store,
        blobs=gateway.blobs,
        scribe=gateway.scribe,
        intake=gateway.inbound,
        policy=Policy(retry=parse("10m for 3d")),
        list_seconds=5,
        fetch_seconds=5,
        hold_after=5,
        at_once=at_once,
    )


async def all_due(here: Running) -> None:
    def now_due(tx: Tx) -> None:
        tx.execute(update(fetch).values(due_at=tx.now()))

    await here.gateway.store.write(now_due)


async def ordered(here: Running) -> None:
    axis = Shelf()
    for n in range(3):
        axis.put(f"s{n}", STATUS)
        axis.put(f"d{n}", DOCUMENT)
    axis.broken = {"d0"}
    turn = collect.worker(
        collector(here, axis), Metrics(), polling=Polling(), fraction=lambda: 0.5
    ).turn
    assert await turn() is False
    assert axis.asked == ["list document", "d0", "d1", "d2", "list status", "s0", "s1", "s2"]
    # what failed comes last, after what was never tried, however old it is
    axis.put("d9", DOCUMENT)
    axis.asked.clear()
    await all_due(here)
    axis.broken = set()
    await turn()
    assert axis.fetched() == ["d9", "d0"]
    assert axis.waiting == {}, "everything was acknowledged"


async def noted_before_fetched(here: Running) -> None:
    """What the metrics knew of the list while its packages were still being fetched."""
    metrics = Metrics()
    known: list[list[tuple[str, str]]] = []

    class Watched(Shelf):
        async def fetch(
            self, item: WaitingItem, sink: BinaryIO, deadline_seconds: float
        ) -> Fetched:
            known.append(sorted(metrics.listed_since(0.0)))
            return await super().fetch(item, sink, deadline_seconds)

    axis = Watched()
    axis.put("d0", DOCUMENT)
    axis.put("s0", STATUS)
    turn = collect.worker(
        collector(here, axis), metrics, polling=Polling(), fraction=lambda: 0.5
    ).turn
    await turn()
    assert known == [
        [(axis.name, "document")],
        [(axis.name, "document"), (axis.name, "status")],
    ]


def test_a_list_counts_as_read_while_what_it_named_is_still_fetched(tmp_path: Path) -> None:
    alone(tmp_path, noted_before_fetched)


def test_documents_come_before_statuses_and_earlier_failures_last(tmp_path: Path) -> None:
    alone(tmp_path, ordered)


@pytest.mark.postgres
def test_the_same_order_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        alone(tmp_path, ordered, database=url)


def test_what_the_list_names_no_more_is_fetched_by_its_doc_id(tmp_path: Path) -> None:
    """An axis that lists the last days only, as some do, loses nothing that was seen once."""

    async def story(here: Running) -> None:
        axis = Shelf()
        axis.put("old", DOCUMENT)
        axis.broken = {"old"}
        made = collector(here, axis)
        assert (await made.collect(DOCUMENT)).failed == 1
        axis.broken, axis.hidden = set(), {"old"}
        await all_due(here)
        done = await made.collect(DOCUMENT)
        assert (done.listed, done.fetched) == (0, 1)
        assert await rows(here, select(arrival.c.axis_doc_id)) == [("old",)]
        assert axis.waiting == {}
        await open_all(here)
        assert len(await here.inbox(VPCP)) == 1

    alone(tmp_path, story)


def test_a_flood_of_documents_does_not_keep_the_statuses_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corridor, "SHARE", 4)

    async def story(here: Running) -> None:
        axis = Shelf()
        for n in range(10):
            axis.put(f"d{n}", DOCUMENT)
        axis.put("s0", STATUS)
        made = collector(here, axis, at_once=2)
        turn = collect.worker(made, Metrics(), polling=Polling(), fraction=lambda: 0.5).turn
        assert await turn() is True, "there is more: the next turn comes at once"
        assert sorted(axis.fetched()) == ["d0", "d1", "d2", "d3", "s0"]
        assert await turn() is True
        assert await turn() is False
        assert len(axis.fetched()) == 11

    alone(tmp_path, story)


def test_the_worker_asks_at_the_pace_of_what_comes(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        axis = Shelf()
        polling = Polling(fastest=1, usual=10, slowest=40, failing=80)
        worker = collect.worker(
            collector(here, axis), Metrics(), polling=polling, fraction=lambda: 0.5
        )
        waits = []

        async def turn() -> None:
            await worker.turn()
            waits.append(worker.idle)

        await turn()
        axis.put("d0", DOCUMENT)
        await turn()
        await turn()
        axis.unreadable = {STATUS}
        axis.put("d1", DOCUMENT)
        await turn()
        await turn()
        axis.unreadable = set()
        await turn()
        assert waits == [pytest.approx(w) for w in (11, 1, 1.5, 10, 20, 10)]
        assert axis.waiting == {}, "what could be read was fetched all the same"

    alone(tmp_path, story)


def test_bytes_that_are_fetched_are_those_that_lie_there(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        axis = Shelf()
        axis.put("d0", DOCUMENT)
        whole = axis.waiting["d0"][1]
        await collector(here, axis).collect(DOCUMENT)
        ((digest,),) = await rows(here, select(arrival.c.raw_sha256))
        with here.gateway.blobs.open(digest) as source:
            assert BytesIO(source.read()).getvalue() == whole

    alone(tmp_path, story)
