"""The queue: what a claim costs behind a backlog, its first page, an urgent one, a stranger.

    python -m tests.bench queue             both databases, a backlog of 1,000,000
    python -m tests.bench queue --short     a backlog of 50,000

Claims of eight, each committed, as a delivering worker makes them: the store alone, no axis. The
floor is the same behind 1,000 (at the end; 9,000 when it begins), in turns with the long queue.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import TextClause, text

from gateway.dispatch import share
from gateway.model.transfer import TransferState
from gateway.store import Store, Tx, claims, migrations, open_store, transfers
from gateway.store.tables import transfer
from tests.bench.report import Line, Table
from tests.support.databases import running_postgres
from tests.support.queues import claimed, queued_transfers

BATCH = 8
SMALL, LARGE, LARGE_SHORT = 1_000, 1_000_000, 50_000
ROUNDS, CLAIMS = 5, 1_000
URGENT_BEHIND = 10_000
HELD_OPEN = 30_000  # dequeues while a stranger's transaction stands: ten minutes at 50 a second
P99_AIM, RATE_AIM = 1.5, 0.35
PAGE, PAGE_AIM_MS = 50, 200.0
_COLUMNS = ", ".join(c.name for c in transfer.columns if c.name not in ("id", "due_at"))


@dataclass
class Queue:
    store: Store
    look: claims.Look

    def cycle(self) -> float:
        """Seconds of one claim; its attempts end as delivered, outside of the measure."""
        began = time.perf_counter()
        got = self.store.write_sync(partial(claimed, most=BATCH, look=self.look))
        took = time.perf_counter() - began
        self.look.keep()
        if len(got) != BATCH:
            raise SystemExit(f"the queue ran dry: {len(got)}")
        self.store.write_sync(partial(_deliver, got=got))
        return took


def _deliver(tx: Tx, got: list[claims.Claim]) -> None:
    now = tx.now()
    ending = transfers.Ending(TransferState.ON_AXIS, None, False, "ok", "", 1)
    for one in got:
        transfers.end_attempt(tx, one, "delivered", ending, seen=now, now=now)


_COPY = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last)"
    " INSERT INTO transfer (id, due_at, {columns})"
    " SELECT 'x' || s.n, due_at - s.n * 3600000000 / :most, {columns} FROM transfer, s"
    " WHERE id = 't0'",
    "postgresql": "INSERT INTO transfer (id, due_at, {columns})"
    " SELECT 'x' || s.n, due_at - interval '1 hour' * s.n / :most, {columns}"
    " FROM transfer, generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS s(n)"
    " WHERE id = 't0'",
}


def fill(store: Store, count: int) -> None:
    """`count` due transfers as copies of one, due one after the other in the last hour."""
    store.write_sync(partial(queued_transfers, count=1))
    copy = text(_COPY[store.dialect].format(columns=_COLUMNS))
    for first in range(1, count, 50_000):
        asked = {"first": first, "last": min(first + 50_000, count) - 1, "most": count}
        store.write_sync(partial(_run, statement=copy, asked=asked))


def _run(tx: Tx, statement: TextClause, asked: dict[str, int]) -> None:
    tx.execute(statement, asked)


@contextmanager
def _stores(folder: Path, kind: str, names: list[str]) -> Iterator[list[tuple[str, Store]]]:
    with ExitStack() as stack:
        if kind == "sqlite":
            urls = [f"sqlite:///{folder / name}.db" for name in names]
        else:
            server = stack.enter_context(running_postgres())
            urls = [stack.enter_context(server.database(migrated=False)) for _ in names]
        found = []
        for url in urls:
            migrations.migrate(url)
            store = open_store(url)
            stack.callback(store.close_sync)
            found.append((url, store))
        yield found


def _settled(url: str) -> None:
    """What autovacuum would have done by itself after the filling."""
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("VACUUM ANALYZE transfer")


def _p99(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def backlog(folder: Path, kind: str, large: int) -> Line:
    with _stores(folder, kind, ["small", "large"]) as ((_, few), (url, many)):
        fill(few, SMALL + CLAIMS * BATCH)
        fill(many, large)
        _settled(url)
        queues = Queue(few, claims.Look(share)), Queue(many, claims.Look(share))
        for queue in queues:
            for _ in range(10):
                queue.cycle()
        # claim by claim in turns: what the disk does for a moment meets both
        turns = [[queue.cycle() for queue in queues] for _ in range(CLAIMS)]
        times = list(zip(*turns, strict=True))
        small, long = (_p99(kept) for kept in times)
        return Line(
            f"{kind}: {large:,} waiting",
            {
                "p50 ms": round(statistics.median(times[1]) * 1000, 2),
                "p99 ms": round(long * 1000, 2),
                "p99 ms, few": round(small * 1000, 2),
                "x": round(long / small, 2),
            },
            {"x": long / small <= P99_AIM},
        )


def first_page(folder: Path, kind: str, size: int) -> Line:
    """What `queue list` reads first, all states; and a page of one state that hardly occurs."""
    with _stores(folder, kind, ["page"]) as ((url, store),):
        fill(store, size)
        _settled(url)
        open_states = [s.value for s in TransferState if s is not TransferState.ON_AXIS]
        times = {
            name: [_page(store, states) for _ in range(ROUNDS * 4)]
            for name, states in (("every open state", open_states), ("held", ["HELD"]))
        }
        worst = {name: round(max(took) * 1000, 1) for name, took in times.items()}
        return Line(
            f"{kind}: {size:,} in the queue",
            {f"worst ms, {name}": took for name, took in worst.items()},
            {name: took < PAGE_AIM_MS for name, took in worst.items()},
        )


def _page(store: Store, states: list[str]) -> float:
    began = time.perf_counter()
    store.read_sync(partial(transfers.queue, states=states, after=(-1, ""), most=PAGE + 1))
    return time.perf_counter() - began


def urgent(folder: Path, kind: str) -> Line:
    with _stores(folder, kind, ["urgent"]) as ((url, store),):
        fill(store, URGENT_BEHIND)
        _settled(url)
        queue = Queue(store, claims.Look(share))
        for _ in range(random.Random(4).randrange(5, 20)):
            queue.cycle()
        store.write_sync(partial(queued_transfers, count=1, first=77, lane=0))
        cycles, got = 0, ""
        while got != "t77":
            got = store.write_sync(partial(claimed, most=1, look=queue.look))[0].id
            queue.look.keep()
            cycles += 1
        return Line(
            f"{kind}: hỏa tốc behind {URGENT_BEHIND:,}", {"cycles": cycles}, {"cycles": cycles == 1}
        )


def stranger(folder: Path, most: int) -> Line:
    """Dequeues a second behind `most` that a stranger's transaction keeps from being cleaned up.

    Two equal queues on one server in turns: a snapshot holds up the cleaning of its own database.
    """
    with _stores(folder, "postgresql", ["held", "free"]) as stores:
        queues = [Queue(store, claims.Look(share)) for _, store in stores]
        for url, store in stores:
            fill(store, 2 * most)
            _settled(url)
        with psycopg.connect(stores[0][0]) as other:
            other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            other.execute("SELECT count(*) FROM transfer")
            for queue in queues:
                _seconds(queue, most // BATCH)
            _settled(stores[1][0])
            turns = max(1, most // BATCH // 2 // ROUNDS)
            took = [[_seconds(queue, turns) for queue in queues] for _ in range(ROUNDS)]
        rates = [turns * BATCH / statistics.median(times) for times in zip(*took, strict=True)]
        loss = 1 - rates[0] / rates[1]
        return Line(
            f"postgresql: a stranger's transaction over {most:,} dequeues",
            {"a second": round(rates[0]), "free": round(rates[1]), "loss": round(loss, 3)},
            {"loss": loss < RATE_AIM},
        )


def _seconds(queue: Queue, cycles: int) -> float:
    """The whole cycle counts: claiming and ending."""
    began = time.perf_counter()
    for _ in range(cycles):
        queue.cycle()
    return time.perf_counter() - began


def run(folder: Path, *, large: bool = True) -> Iterator[Table]:
    size = LARGE if large else LARGE_SHORT
    yield Table(
        f"claims of {BATCH}",
        f"p99 at most {P99_AIM} x that behind {SMALL:,}",
        [backlog(folder, kind, size) for kind in ("sqlite", "postgresql")],
    )
    yield Table(
        f"the first {PAGE} of the queue",
        f"under {PAGE_AIM_MS:.0f} ms",
        [first_page(folder, kind, size) for kind in ("sqlite", "postgresql")],
    )
    yield Table(
        "an urgent transfer in a long queue",
        "leaves with the next claim",
        [urgent(folder, kind) for kind in ("sqlite", "postgresql")],
    )
    yield Table(
        "a transaction of somebody else",
        f"costs under {RATE_AIM:.0%} of the dequeues",
        [stranger(folder, HELD_OPEN if large else HELD_OPEN // 10)],
    )
