"""The SQLite writer: what a group commit keeps, and what it does when its transaction is gone.

The pitfalls are numbered as they were met when the design was tried (feasibility 9 (a)).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.dialects.sqlite.pysqlite import dialect

from gateway import errors
from gateway.store import Violation
from gateway.store import sqlite as sqlite_module
from gateway.store.crew import Crew, Job
from gateway.store.plans import Plans
from gateway.store.sqlite import SqliteStore, _mapping, _Writer, steady_clock
from gateway.store.tx import Driver
from gateway.store.wake import Wakes
from tests.support.executors import Gate, add, busy, ids, make_tables, scratch, thing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "gateway.db"
    make_tables(f"sqlite:///{made}")
    return made


def sql(path: Path, statement: str) -> list:
    with closing(sqlite3.connect(path)) as conn, conn:
        return conn.execute(statement).fetchall()


def names(path: Path) -> list[str]:
    return [name for (name,) in sql(path, "SELECT id FROM thing ORDER BY id")]


class Traced:
    """A writer without its thread, and the statements it sends."""

    def __init__(self, path: Path) -> None:
        driver = Driver("sqlite", Plans(dialect()), sqlite3.Error, _mapping(scratch))
        self.wakes = Wakes()
        self.writer = _Writer(path, driver, steady_clock(), self.wakes)
        self.said: list[str] = []
        self.writer._open().set_trace_callback(self.said.append)

    def serve(self, *fns) -> list[Job]:
        jobs = [Job(fn) for fn in fns]
        self.writer.serve(jobs)
        return jobs

    def count(self, word: str) -> int:
        return sum(said.split()[0] == word for said in self.said)


@pytest.fixture
def traced(path):
    made = Traced(path)
    yield made
    made.writer.close()


@pytest.fixture
def store(path):
    dead = []
    made = SqliteStore(path, on_fatal=dead.append, tables=scratch)
    yield made
    made.close_sync()
    assert dead == []


def test_what_is_queued_is_committed_together(traced, path):
    jobs = traced.serve(*(add(f"t{n}") for n in range(20)))
    assert [job.value for job in jobs] == [f"t{n}" for n in range(20)]
    assert (traced.count("BEGIN"), traced.count("COMMIT")) == (1, 1)
    assert len(names(path)) == 20


def test_one_alone_needs_no_savepoint(traced):
    traced.serve(add("a"))
    assert [said.split()[0] for said in traced.said] == ["BEGIN", "INSERT", "COMMIT"]


def test_a_failing_function_takes_nothing_with_it(traced, path):
    def half(tx):
        add("half")(tx)
        raise LookupError("mine")

    jobs = traced.serve(add("a"), half, add("a"), add("b"))
    assert [type(job.error) for job in jobs] == [type(None), LookupError, Violation, type(None)]
    assert traced.count("COMMIT") == 1
    assert names(path) == ["a", "b"]


def test_a_group_is_bounded(path, monkeypatch):
    sizes = []
    serve = _Writer.serve
    monkeypatch.setattr(
        _Writer, "serve", lambda self, jobs: (sizes.append(len(jobs)), serve(self, jobs))[1]
    )
    store = SqliteStore(path, tables=scratch)

    async def scenario():
        await asyncio.gather(*(store.write(add(f"t{n:03}")) for n in range(600)))

    with busy(store):
        thread = threading.Thread(target=asyncio.run, args=(scenario(),))
        thread.start()
        while len(store._writing._jobs) < 600:
            assert thread.is_alive()
    thread.join()
    store.close_sync()
    assert sizes == [1, 256, 256, 88]
    assert len(names(path)) == 600


def test_pitfall_1_a_commit_that_fails_fails_only_the_function_behind_it(traced, path):
    """A deferred foreign key (which tables.py may not have) breaks only at COMMIT."""
    sql(path, "CREATE TABLE child (p TEXT REFERENCES thing(id) DEFERRABLE INITIALLY DEFERRED)")
    orphan = text("INSERT INTO child VALUES ('none')")
    jobs = traced.serve(add("a"), lambda tx: tx.execute(orphan).count, add("b"))
    assert [job.error and job.error.kind for job in jobs] == [None, "foreign_key", None]
    assert [job.value for job in jobs] == ["a", None, "b"]
    assert names(path) == ["a", "b"]
    assert [job.error for job in traced.serve(add("c"), add("d"))] == [None, None]


def test_pitfall_2_a_destroyed_transaction_fails_only_the_function_that_destroyed_it(traced, path):
    sql(
        path,
        "CREATE TRIGGER bomb BEFORE INSERT ON thing WHEN NEW.id = 'bomb'"
        " BEGIN SELECT RAISE(ROLLBACK, 'append_only: bomb'); END",
    )
    runs = []

    def counted(name):
        def fn(tx):
            runs.append(name)
            return add(name)(tx)

        return fn

    jobs = traced.serve(counted("a"), counted("bomb"), counted("c"))
    assert [job.error and job.error.kind for job in jobs] == [None, "append_only", None]
    assert names(path) == ["a", "c"]
    assert runs == ["a", "bomb", "a", "bomb", "c"]
    assert [job.error for job in traced.serve(add("d"), add("e"))] == [None, None]


def test_a_function_that_goes_on_after_the_transaction_was_destroyed_writes_nothing(traced, path):
    """Without a transaction SQLite would commit each further statement at once."""
    sql(
        path,
        "CREATE TRIGGER bomb BEFORE INSERT ON thing WHEN NEW.id = 'bomb'"
        " BEGIN SELECT RAISE(ROLLBACK, 'append_only: bomb'); END",
    )

    def stubborn(tx):
        for name in ("bomb", "stray"):
            try:
                add(name)(tx)
            except Violation:
                continue

    for neighbours in ([], [add("a")]):
        jobs = traced.serve(stubborn, *neighbours)
        assert isinstance(jobs[0].error, Violation)
    assert names(path) == ["a"]


def test_wake_ups_of_failed_neighbours_are_not_sent(traced):
    def tell(channel, fails):
        def fn(tx):
            tx.notify(channel)
            if fails:
                raise LookupError

        return fn

    listeners = {c: traced.wakes.listener(c) for c in ("kept", "failed", "alone")}

    async def woken():
        return {c for c, listener in listeners.items() if await listener.wait(0)}

    traced.serve(tell("kept", False), tell("failed", True))
    assert asyncio.run(woken()) == {"kept"}
    traced.serve(tell("alone", True))
    assert asyncio.run(woken()) == set()


def test_pitfall_5_the_death_of_the_writer_fails_every_waiter_and_ends_the_process(
    path, monkeypatch
):
    dead: list[BaseException | None] = []
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    store = SqliteStore(path, on_fatal=lambda cause: (dead.append(cause), died.set()))
    gate = Gate()

    def no_more(*_):
        raise RuntimeError("no memory for a group")

    monkeypatch.setattr(_Writer, "_together", no_more)

    async def scenario():
        held = asyncio.ensure_future(store.write(gate))
        await asyncio.to_thread(gate.entered.wait, 30)
        waiting = [asyncio.ensure_future(store.write(add(f"t{n}"))) for n in range(300)]
        await asyncio.sleep(0)
        gate.open()
        await held
        return await asyncio.gather(*waiting, return_exceptions=True)

    results = asyncio.run(scenario())
    assert died.wait(30)
    assert {(type(r), r.code) for r in results} == {(errors.Broken, "store.dead")}
    assert [str(cause) for cause in dead] == ["no memory for a group"]
    with pytest.raises(errors.Unavailable):
        store.write_sync(add("late"))
    assert store.read_sync(lambda tx: tx.scalars(text("SELECT id FROM thing"))) == []
    store.close_sync()


def test_by_default_a_dead_writer_ends_the_process_with_70_and_says_why(path):
    program = textwrap.dedent(
        f"""
        import pathlib
        from gateway.store import sqlite
        def no_more(*_):
            raise RuntimeError("the reason")
        store = sqlite.SqliteStore(pathlib.Path({str(path)!r}))
        sqlite._Writer.serve = no_more
        store.write_sync(lambda tx: None)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 70
    assert "the reason" in done.stderr


def test_pitfall_6_a_fresh_database_can_be_opened_by_everybody_at_once(tmp_path):
    path = tmp_path / "fresh.db"
    sql(path, "CREATE TABLE x (y)")  # with a rollback journal: the store switches it to WAL
    store = SqliteStore(path)
    together = threading.Barrier(4)

    async def scenario():
        def read(tx):
            together.wait(30)  # all four readers are here, each with its connection
            return tx.scalars(text("SELECT y FROM x"))

        def write(tx):
            return tx.execute(text("INSERT INTO x VALUES (1)")).count

        return await asyncio.gather(*(store.read(read) for _ in range(4)), store.write(write))

    assert len(asyncio.run(scenario())) == 5
    store.close_sync()
    assert sql(path, "PRAGMA journal_mode") == [("wal",)]


def test_pitfall_7_a_cancelled_write_that_is_still_queued_is_not_run(store):
    async def scenario():
        gate = Gate()
        held = asyncio.ensure_future(store.write(gate))
        await asyncio.to_thread(gate.entered.wait, 30)
        cancelled = asyncio.ensure_future(store.write(add("cancelled")))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
        gate.open()
        await held

    asyncio.run(scenario())
    assert ids(store) == []


def test_another_process_that_holds_the_database_makes_writes_unavailable(path, monkeypatch):
    monkeypatch.setattr("gateway.store.sqlite.BUSY_MS", 1)
    traced = Traced(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        alone = traced.serve(add("a"))
        group = traced.serve(add("b"), add("c"))
        other.execute("ROLLBACK")
    assert [job.error.code for job in alone + group] == ["store.unavailable"] * 3
    assert [job.error for job in traced.serve(add("d"), add("e"))] == [None, None]
    assert names(path) == ["d", "e"]
    traced.writer.close()


def test_a_full_disk_fails_only_what_finds_no_room(path, monkeypatch):
    connect = sqlite_module._connect

    def small_disk(where, *pragmas):
        return connect(where, *pragmas, "max_page_count=40")

    monkeypatch.setattr(sqlite_module, "_connect", small_disk)
    traced = Traced(path)
    jobs = traced.serve(add("small"), add("huge", data="x" * 1_000_000), add("last"))
    assert [job.error and job.error.code for job in jobs] == [None, "store.unavailable", None]
    assert names(path) == ["last", "small"]
    traced.writer.close()


def test_the_settings_of_the_connections_are_the_measured_ones(traced, path):
    conn = traced.writer._open()

    def told(pragma):
        return conn.execute(f"PRAGMA {pragma}").fetchone()[0]

    assert told("journal_mode") == "wal"
    assert told("synchronous") == 2  # FULL
    assert told("foreign_keys") == 1
    assert told("trusted_schema") == 0
    assert told("recursive_triggers") == 1
    assert told("busy_timeout") == 10_000
    assert conn.isolation_level is None


def test_no_table_of_ours_has_a_constraint_that_waits_for_commit():
    from gateway.store.tables import metadata

    waiting = [
        c
        for t in metadata.sorted_tables
        for c in t.constraints
        if getattr(c, "deferrable", None) or getattr(c, "initially", None)
    ]
    assert waiting == []


@pytest.mark.parametrize("times", range(3))
def test_what_was_acknowledged_survives_the_death_of_the_process(tmp_path, times):
    path = tmp_path / "killed.db"
    make_tables(f"sqlite:///{path}")
    program = textwrap.dedent(
        f"""
        import asyncio, pathlib, sys
        from gateway.store.sqlite import SqliteStore
        from tests.support.executors import add
        async def caller(store, n):
            for m in range(10_000):
                print(await store.write(add(f"{{n}}-{{m}}")), flush=True)
        async def main():
            store = SqliteStore(pathlib.Path({str(path)!r}))
            await asyncio.gather(*(caller(store, n) for n in range(8)))
        asyncio.run(main())
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    acknowledged = [child.stdout.readline().strip() for _ in range(200 + 150 * times)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [line.strip() for line in child.stdout.read().splitlines(True) if "\n" in line]
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    assert set(acknowledged) - {""} <= set(names(path))


def test_the_clock_does_not_step_back_with_the_wall_clock(monkeypatch):
    clock = steady_clock()
    before = clock()
    monkeypatch.setattr("time.time_ns", lambda: 0)
    after = clock()
    assert before <= after < before + timedelta(hours=1)
    assert before.tzinfo is UTC
    assert before > datetime(2026, 1, 1, tzinfo=UTC)


def test_a_reader_whose_connection_failed_opens_another(store):
    with pytest.raises(errors.Broken, match="no such table"):
        store.read_sync(lambda tx: tx.scalars(text("SELECT 1 FROM absent")))
    store.write_sync(add("a"))
    assert [ids(store) for _ in range(8)] == [["a"]] * 8


def test_a_thread_takes_no_job_after_the_crew_was_closed(path):
    served = []

    class Server:
        def serve(self, jobs):
            served.append(len(jobs))

        def close(self):
            served.append("closed")

    crew = Crew("test", [Server(), Server()], batch=4, on_fatal=served.append)
    crew.run_sync(lambda tx: None)
    crew.close()
    assert served == [1, "closed", "closed"]
    with pytest.raises(errors.Unavailable):
        crew.run_sync(lambda tx: None)


def test_the_name_of_a_broken_key_is_that_of_the_tables(store):
    store.write_sync(lambda tx: tx.execute(insert(thing), {"id": "a", "number": 3}))
    with pytest.raises(Violation) as refused:
        store.write_sync(lambda tx: tx.execute(insert(thing), {"id": "b", "number": 3}))
    assert (refused.value.table, refused.value.constraint) == ("thing", "uq_thing_number")
    assert "uq_thing_number" in refused.value.text.vi
