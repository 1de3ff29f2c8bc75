"""One call, two executors: what corridors may rely on, on both databases (architecture 6)."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from sqlalchemy import bindparam, delete, select, text, tuple_, update

from gateway import errors
from gateway.store import Store, Violation, open_store
from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SqliteStore
from tests.support.databases import opened
from tests.support.executors import (
    ADD,
    IDS,
    Gate,
    add,
    ids,
    ids_seen_by_a_stranger,
    make_tables,
    scratch,
    thing,
)

AT = datetime(2026, 11, 20, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def url(empty_url):
    make_tables(empty_url)
    return empty_url


@pytest.fixture
def store(url):
    dead = []
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        made: Store = SqliteStore(path, on_fatal=dead.append, tables=scratch)
    else:
        made = PostgresStore(url, on_fatal=dead.append)
    yield made
    made.close_sync()
    assert dead == []


def change(url: str, *statements: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
            for statement in statements:
                conn.execute(statement)
            conn.commit()
    else:
        with psycopg.connect(url) as conn:
            for statement in statements:
                conn.execute(statement)


# -- results ---------------------------------------------------------------------------------------


def test_a_result_is_visible_to_strangers_when_it_is_handed_out(store, url):
    async def many():
        for n in range(20):
            name = await store.write(add(f"t{n:02}"))
            assert name in await asyncio.to_thread(ids_seen_by_a_stranger, url)

    asyncio.run(many())


def test_values_come_back_as_they_went_in(store):
    row = {
        "id": "văn bản",
        "number": 7,
        "at": AT.astimezone(timezone(timedelta(hours=7))),
        "data": {"tên": "Công văn", "list": [1, None, True], "deep": {"x": 1.5}},
    }
    store.write_sync(lambda tx: tx.execute(ADD, row))
    (found,) = store.read_sync(lambda tx: tx.execute(select(thing)).all())
    assert found == ("văn bản", 7, AT, row["data"], None)
    assert found[2].tzinfo is UTC


def test_an_absent_value_stays_absent(store):
    store.write_sync(lambda tx: tx.execute(ADD, {"id": "a", "at": None}))
    assert store.read_sync(lambda tx: tx.execute(select(thing.c.at, thing.c.number)).first()) == (
        None,
        None,
    )


def test_instants_compare_in_the_database(store):
    for n in range(3):
        store.write_sync(add(f"t{n}", at=AT + timedelta(microseconds=n)))
    due = select(thing.c.id).where(thing.c.at <= bindparam("now")).order_by(thing.c.id)
    found = store.read_sync(
        lambda tx: tx.scalars(due, {"now": AT + timedelta(microseconds=1)}),
    )
    assert found == ["t0", "t1"]


def test_an_instant_without_a_zone_is_refused(store):
    with pytest.raises(errors.Broken) as refused:
        store.write_sync(add("a", at=datetime(2026, 11, 20)))
    assert refused.value.code == "store.naive_instant"


def test_many_rows_in_one_execute(store):
    rows = [{"id": f"t{n}", "number": n} for n in range(300)]
    assert store.write_sync(lambda tx: tx.execute(ADD, rows).count) == 300
    assert store.write_sync(lambda tx: tx.execute(ADD, []).count) == 0
    assert len(ids(store)) == 300


def test_returned_rows_and_touched_rows_are_counted(store):
    store.write_sync(lambda tx: tx.execute(ADD, [{"id": f"t{n}", "number": n} for n in range(5)]))
    up = update(thing).where(thing.c.number >= bindparam("least")).values(data=[1])
    assert store.write_sync(lambda tx: tx.execute(up, {"least": 2}).count) == 3
    gone = delete(thing).where(thing.c.number < 2).returning(thing.c.id, thing.c.data)
    result = store.write_sync(lambda tx: tx.execute(gone))
    assert (result.count, sorted(result.all())) == (2, [("t0", None), ("t1", None)])


def test_a_returned_row_that_nobody_reads_blocks_nothing(store):
    """Pitfall 4: an unread RETURNING result kept SQLite's savepoint from being released."""
    returning = ADD.returning(thing.c.id)

    def fn(tx):
        tx.execute(returning, {"id": "a"})
        tx.execute(returning, {"id": "b"})
        return "done"

    assert store.write_sync(fn) == "done"
    assert store.write_sync(add("c")) == "c"
    assert ids(store) == ["a", "b", "c"]


def test_in_lists_of_any_length_can_be_asked(store):
    store.write_sync(lambda tx: tx.execute(ADD, [{"id": f"t{n}", "number": n} for n in range(9)]))
    among = (
        select(thing.c.number)
        .where(thing.c.id.in_(bindparam("ids", expanding=True)), thing.c.number < bindparam("most"))
        .order_by(thing.c.number)
    )

    def ask(names, most=99):
        return store.read_sync(lambda tx: tx.scalars(among, {"ids": names, "most": most}))

    assert ask(["t1", "t3"]) == [1, 3]
    assert ask([]) == []
    assert ask([f"t{n}" for n in range(9)], most=4) == [0, 1, 2, 3]
    assert ask(["t8", "t2"]) == [2, 8]
    assert ask(["none"]) == []


def test_in_lists_of_pairs_can_be_asked(store):
    rows = [{"id": f"t{n}", "number": n, "at": AT + timedelta(n)} for n in range(4)]
    store.write_sync(lambda tx: tx.execute(ADD, rows))
    among = (
        select(thing.c.id)
        .where(tuple_(thing.c.number, thing.c.at).in_(bindparam("pairs", expanding=True)))
        .order_by(thing.c.id)
    )
    for pairs, found in (
        ([(0, AT), (2, AT + timedelta(2)), (3, AT)], ["t0", "t2"]),
        ([(1, AT + timedelta(1))], ["t1"]),
        ([], []),
    ):
        assert store.read_sync(lambda tx, p=pairs: tx.scalars(among, {"pairs": p})) == found


def test_in_lists_of_constants_can_be_asked(store):
    store.write_sync(lambda tx: tx.execute(ADD, [{"id": f"t{n}", "number": n} for n in range(4)]))
    among = select(thing.c.id).where(thing.c.number.in_([1, 2])).order_by(thing.c.id)
    assert store.read_sync(lambda tx: tx.scalars(among)) == ["t1", "t2"]


def test_a_claim_with_skip_locked_and_returning_works_on_both(store):
    store.write_sync(lambda tx: tx.execute(ADD, [{"id": f"t{n}", "number": n} for n in range(5)]))
    due = (
        select(thing.c.id)
        .where(thing.c.at.is_(None))
        .order_by(thing.c.number)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )
    claim = (
        update(thing)
        .where(thing.c.id.in_(due.scalar_subquery()))
        .values(at=bindparam("now"))
        .returning(thing.c.id)
    )
    taken = [
        sorted(store.write_sync(lambda tx: tx.scalars(claim, {"most": 2, "now": AT})))
        for _ in range(4)
    ]
    assert taken == [["t0", "t1"], ["t2", "t3"], ["t4"], []]


def test_the_only_row_is_demanded(store):
    store.write_sync(lambda tx: tx.execute(ADD, [{"id": "a"}, {"id": "b"}]))
    with pytest.raises(errors.Broken) as refused:
        store.read_sync(lambda tx: tx.execute(IDS).one_or_none())
    assert refused.value.code == "store.not_one"
    nobody = select(thing.c.id).where(thing.c.id == "none")
    assert store.read_sync(lambda tx: tx.execute(nobody).scalar()) is None


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "kind", "constraint"),
    [
        ({"id": "a"}, "unique", {"pk_thing", "thing_pkey", "None"}),
        ({"id": "b", "number": 1}, "unique", {"uq_thing_number"}),
        ({"id": "b", "number": -1}, "check", {"ck_thing_number"}),
        ({"id": "b", "parent": "none"}, "foreign_key", {"fk_thing_parent", ""}),
        ({"id": None}, "not_null", {""}),
    ],
)
def test_a_broken_constraint_is_named(store, row, kind, constraint):
    store.write_sync(add("a", number=1))
    with pytest.raises(Violation) as refused:
        store.write_sync(lambda tx: tx.execute(ADD, row))
    assert refused.value.kind == kind
    assert refused.value.constraint in constraint
    assert ids(store) == ["a"]


def test_a_function_that_fails_leaves_nothing_and_its_error_reaches_its_caller(store):
    def fn(tx):
        add("half")(tx)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        store.write_sync(fn)
    assert ids(store) == []


def test_after_a_failed_statement_the_function_is_over_even_if_it_swallows_the_error(store):
    store.write_sync(add("a"))

    def fn(tx):
        add("b")(tx)
        try:
            add("a")(tx)
        except Violation:
            with pytest.raises(Violation):
                add("c")(tx)
        return "as if nothing had happened"

    with pytest.raises(Violation):
        store.write_sync(fn)
    assert ids(store) == ["a"]


def test_a_transaction_cannot_be_used_after_its_function(store):
    kept = []
    store.write_sync(kept.append)
    with pytest.raises(errors.Broken) as refused:
        add("a")(kept[0])
    assert refused.value.code == "store.tx_over"
    with pytest.raises(errors.Broken):
        kept[0].now()


@pytest.mark.parametrize("statement", ["COMMIT", "rollback", " BEGIN", "DROP TABLE thing", "", ";"])
def test_a_function_can_neither_commit_nor_change_the_schema(store, statement):
    """Pitfall 3: such a function would commit strangers' work or break the group."""

    def fn(tx):
        add("a")(tx)
        tx.execute(text(statement))

    with pytest.raises(errors.Broken) as refused:
        store.write_sync(fn)
    assert refused.value.code == "store.statement"
    assert ids(store) == []


def test_a_read_cannot_write(store):
    with pytest.raises(errors.GatewayError, match=r"(?i)read.?only"):
        store.read_sync(add("a"))
    assert ids(store) == []
    assert store.write_sync(add("b")) == "b"


def test_a_read_sees_one_snapshot_from_its_first_query_on(store):
    store.write_sync(add("a"))
    seen_once, go_on = threading.Event(), threading.Event()
    seen = []

    def fn(tx):
        first = tx.scalars(IDS)
        seen_once.set()
        assert go_on.wait(30)
        seen.append((first, tx.scalars(IDS)))

    reader = threading.Thread(target=store.read_sync, args=(fn,))
    reader.start()
    assert seen_once.wait(30)
    store.write_sync(add("b"))
    go_on.set()
    reader.join()
    assert seen == [(["a"], ["a"])]
    assert ids(store) == ["a", "b"]


def test_a_missing_value_is_named(store):
    with pytest.raises(errors.Broken, match="ck"):
        store.write_sync(
            lambda tx: tx.execute(select(thing).where(thing.c.id == bindparam("ck", required=True)))
        )


def test_a_store_that_is_closed_says_so(store):
    store.close_sync()
    store.close_sync()
    with pytest.raises(errors.Unavailable) as refused:
        store.write_sync(add("a"))
    assert refused.value.code == "store.closed"


def test_what_is_queued_at_closing_is_finished(url):
    with opened(url) as store:

        async def scenario():
            first = [asyncio.ensure_future(store.write(add(f"t{n:02}"))) for n in range(40)]
            await asyncio.sleep(0)  # each has put its job
            await store.close()
            return await asyncio.gather(*first)

        assert len(asyncio.run(scenario())) == 40
    assert len(ids_seen_by_a_stranger(url)) == 40


def test_a_function_that_calls_the_store_fails_instead_of_waiting_for_itself(store):
    with pytest.raises(errors.Broken) as refused:
        store.write_sync(lambda tx: store.write_sync(add("a")))
    assert refused.value.code == "store.nested"
    assert store.write_sync(add("b")) == "b"


# -- many callers ----------------------------------------------------------------------------------


def test_callers_at_once_get_each_their_own_answer(store):
    def fn(n):
        def fail(tx):
            add(f"t{n:03}", number=n // 2)(tx)  # of every two one breaks the unique key
            if n % 10 == 9:
                raise ValueError(n)
            return n

        return fail

    async def scenario():
        return await asyncio.gather(
            *(store.write(fn(n)) for n in range(100)), return_exceptions=True
        )

    results = asyncio.run(scenario())
    kept = set(ids(store))
    for n, result in enumerate(results):
        if isinstance(result, int):
            assert result == n
            assert f"t{n:03}" in kept
        else:
            assert isinstance(result, ValueError | Violation)
            assert f"t{n:03}" not in kept
    assert len(kept) == sum(isinstance(r, int) for r in results)
    numbers = {int(name[1:]) // 2 for name in kept}
    assert len(numbers) == len(kept)


def test_a_caller_of_one_event_loop_and_one_of_another_both_get_answers(store):
    found = []

    def loop_of_its_own(name):
        found.append(asyncio.run(store.write(add(name))))

    threads = [threading.Thread(target=loop_of_its_own, args=(f"t{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ids(store) == [f"t{n}" for n in range(5)]


def test_a_cancelled_write_does_not_disturb_the_others(store):
    gate = Gate()

    async def scenario():
        held = asyncio.ensure_future(store.write(gate))
        await asyncio.to_thread(gate.entered.wait, 30)
        cancelled = asyncio.ensure_future(store.write(add("cancelled")))
        other = asyncio.ensure_future(store.write(add("other")))
        await asyncio.sleep(0)
        cancelled.cancel()
        held.cancel()  # running: it goes on, nobody waits for it
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        gate.open()
        return await other

    assert asyncio.run(scenario()) == "other"
    # unknown to its caller: it may have been skipped or committed
    assert set(ids(store)) in ({"other"}, {"other", "cancelled"})
    assert store.write_sync(add("later")) == "later"


def test_an_answer_for_a_loop_that_is_gone_kills_nothing(store):
    gate = Gate()

    async def leave():
        task = asyncio.ensure_future(store.write(gate))
        await asyncio.to_thread(gate.entered.wait, 30)
        task.cancel()

    asyncio.run(leave())
    gate.open()
    assert store.write_sync(add("a")) == "a"


def test_a_function_that_raises_stop_iteration_is_answered(store):
    async def scenario():
        await store.write(lambda tx: next(iter(())))

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(scenario())


# -- clock and wake-ups ----------------------------------------------------------------------------


def test_now_is_one_instant_in_a_function_and_never_goes_back(store):
    def fn(tx):
        return tx.now(), tx.now()

    seen = [store.write_sync(fn) for _ in range(5)] + [store.read_sync(fn)]
    assert all(a == b and a.tzinfo is UTC for a, b in seen)
    assert [a for a, _ in seen] == sorted(a for a, _ in seen)


def test_a_given_clock_replaces_that_of_the_database(any_url):
    with opened(any_url, clock=lambda: AT) as store:
        assert store.write_sync(lambda tx: tx.now()) == AT
        assert store.read_sync(lambda tx: tx.now()) == AT


def test_a_listener_is_woken_by_a_commit(store):
    async def scenario():
        listener = store.listener("seal")
        while await listener.wait(0):
            pass  # a new connection to PostgreSQL wakes everybody once
        waiting = asyncio.ensure_future(listener.wait(30))
        await asyncio.sleep(0)
        await store.write(lambda tx: tx.notify("seal"))
        return await waiting

    assert asyncio.run(scenario()) is True


def test_what_was_notified_between_two_waits_is_not_lost(store):
    async def scenario():
        listener = store.listener("seal")
        await store.write(lambda tx: tx.notify("seal"))
        return await listener.wait(0)

    assert asyncio.run(scenario()) is True


def test_a_generation_says_at_once_that_this_process_changed_something(store):
    before = store.generation("accounts")
    store.write_sync(lambda tx: tx.notify("accounts"))
    assert store.generation("accounts") > before


def test_another_channel_leaves_a_generation_as_it_is(sqlite_url):
    with opened(sqlite_url) as store:
        before = store.generation("accounts")
        store.write_sync(lambda tx: tx.notify("seal"))
        assert store.generation("accounts") == before


def test_a_function_that_failed_wakes_nobody(sqlite_url):
    def fn(tx):
        tx.notify("seal")
        raise LookupError

    async def scenario(store):
        listener = store.listener("seal")
        with pytest.raises(LookupError):
            await store.write(fn)
        return await listener.wait(0)

    with opened(sqlite_url) as store:
        assert asyncio.run(scenario(store)) is False


def test_another_process_is_heard_on_postgresql(postgres_url):
    with opened(postgres_url) as here, opened(postgres_url) as there:

        async def scenario():
            listener = here.listener("deliver")
            assert await listener.wait(30)  # the ear is on its place
            await there.write(lambda tx: tx.notify("other channel"))
            await there.write(lambda tx: tx.notify("deliver"))
            return await listener.wait(30)

        assert asyncio.run(scenario()) is True


def test_an_ear_that_lost_its_connection_wakes_everybody_when_it_hears_again(postgres_url):
    with opened(postgres_url) as store:

        async def scenario():
            listener = store.listener("deliver")
            assert await listener.wait(30)
            await asyncio.to_thread(
                change,
                postgres_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'",
            )
            return await listener.wait(30)

        assert asyncio.run(scenario()) is True


# -- PostgreSQL alone ------------------------------------------------------------------------------


@pytest.fixture
def pg_url(postgres):
    with postgres.database(migrated=False) as url:
        make_tables(url)
        yield url


def test_a_deadlock_runs_the_function_again(pg_url):
    with opened(pg_url) as store:
        store.write_sync(lambda tx: tx.execute(ADD, [{"id": "a"}, {"id": "b"}]))
        both_hold_one = threading.Barrier(2)
        runs = []

        def fn(first, second):
            touch = update(thing).where(thing.c.id == bindparam("x")).values(data=["touched"])

            def run(tx):
                runs.append(first)
                tx.execute(touch, {"x": first})
                if runs.count(first) == 1:
                    both_hold_one.wait(30)
                tx.execute(touch, {"x": second})
                return first

            return run

        async def scenario():
            return await asyncio.gather(store.write(fn("a", "b")), store.write(fn("b", "a")))

        assert asyncio.run(scenario()) == ["a", "b"]
        assert len(runs) >= 3  # once more for each deadlock: on a busy machine there may be two


def test_a_lost_connection_before_commit_runs_the_function_again(pg_url):
    with opened(pg_url) as store:
        me = text("SELECT pg_backend_pid()")
        runs = []

        def fn(tx):
            runs.append(tx.execute(me).scalar())
            if len(runs) == 1:
                change(pg_url, f"SELECT pg_terminate_backend({runs[0]}, 5000)")
            add("b")(tx)
            return "kept"

        assert store.write_sync(fn) == "kept"
        assert len(runs) == 2
        assert "b" in ids(store)


def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    with opened(f"postgresql:///none?host={tmp_path}") as store:
        with pytest.raises(errors.Unavailable) as refused:
            store.write_sync(add("a"))
        assert refused.value.code == "store.unavailable"
        with pytest.raises(errors.Unavailable):
            store.read_sync(lambda tx: tx.scalars(IDS))


def test_a_statement_that_takes_too_long_is_stopped(pg_url):
    store = PostgresStore(pg_url, statement_seconds=1)
    try:
        with pytest.raises(errors.Unavailable, match="57014"):
            store.write_sync(lambda tx: tx.execute(text("SELECT pg_sleep(60)")))
        assert store.write_sync(add("a")) == "a"
    finally:
        store.close_sync()


def test_a_transaction_that_takes_too_long_is_ended_and_a_look_is_not(pg_url):
    """Each of its statements is short. From PostgreSQL 17 on, which is what is tested here."""

    def slowly(tx):
        for _ in range(10):
            tx.execute(text("SELECT pg_sleep(0.5)"))
        return "done"

    store = PostgresStore(pg_url, statement_seconds=1)
    try:

        async def both():
            return await asyncio.gather(
                store.write(slowly), store.read(slowly), return_exceptions=True
            )

        ended, looked = asyncio.run(both())
        assert isinstance(ended, errors.Unavailable)
        assert "25P04" in ended.text.en
        assert looked == "done"
        assert store.write_sync(add("a")) == "a"
    finally:
        store.close_sync()


def stop_in_a_pipeline(conn, url):
    """What the server sees of it: statements that came, and nothing that ends their pipeline."""
    with conn.pipeline():
        conn.execute("BEGIN")
        conn.execute("UPDATE thing SET id = 'c' WHERE id = 'b'")
        conn.pgconn.send_flush_request()
        conn.pgconn.flush()
        with psycopg.connect(url) as other:
            other.execute("UPDATE thing SET id = 'd' WHERE id = 'b'")


def test_a_process_that_is_stopped_in_the_middle_of_many_rows_lets_others_by(pg_url):
    store = PostgresStore(pg_url, statement_seconds=1)
    stopped = store._connect()
    try:
        assert store.write_sync(add("b")) == "b"
        with pytest.raises(psycopg.OperationalError):
            stop_in_a_pipeline(stopped, pg_url)
        assert store.read_sync(lambda tx: tx.scalars(IDS)) == ["d"]
    finally:
        stopped.close()
        store.close_sync()


def test_our_connections_have_limits_and_a_name(pg_url):
    query = text(
        "SELECT current_setting('statement_timeout'),"
        " current_setting('idle_in_transaction_session_timeout'),"
        " current_setting('transaction_timeout'),"
        " current_setting('TimeZone'), current_setting('application_name'),"
        " current_setting('transaction_isolation')"
    )
    with opened(pg_url) as store:
        assert store.write_sync(lambda tx: tx.execute(query).first()) == (
            "30s",
            "1min",
            "2min",
            "UTC",
            "edoc-gateway",
            "read committed",
        )


def test_functions_run_at_the_same_time_on_postgresql(pg_url):
    with opened(pg_url) as store:
        together = threading.Barrier(4)

        async def scenario():
            return await asyncio.gather(
                *(store.write(lambda tx: together.wait(30)) for _ in range(4))
            )

        assert sorted(asyncio.run(scenario())) == [0, 1, 2, 3]


def test_a_url_of_another_kind_is_a_mistake_of_the_operator():
    with pytest.raises(errors.Misconfigured):
        open_store("mysql://localhost/edoc")
