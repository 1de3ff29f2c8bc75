"""What is counted for the gauges: on both databases, through indexes, and no further than asked."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from datetime import time, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway import watch
from gateway.alarming import Alarm, Patience
from gateway.braking import BrakeLimits, Braking
from gateway.errors import Finding
from gateway.model.arrival import ArrivalState
from gateway.model.breaker import Breaker, BreakerState
from gateway.promise import VIETNAM
from gateway.scribe import Scribe
from gateway.store import Store, Tx, breakers, operating, reconciliations, watching
from gateway.store.tables import arrival, fetch, pending, transfer
from gateway.telemetry.metrics import Metrics
from gateway.wiring.process import SystemEntropy
from tests.support.databases import opened
from tests.support.houses import WallClock
from tests.support.ledgers import KEY, ORIGIN
from tests.support.queues import queued_transfers, walked

HOUR = timedelta(hours=1)
WORKERS = {"seal": 120.0, "collect:vxp": 300.0}


def changed(tx: Tx, transfer_id: str, **values: object) -> None:
    walked(tx, transfer_id, **values)  # type: ignore[arg-type]  # as given


def no_stamps() -> Braking:
    """No authority is configured: nothing is late."""
    scribe = Scribe(clock=WallClock(), entropy=SystemEntropy(), origin=ORIGIN, key=KEY)
    return Braking(scribe, BrakeLimits(timedelta(0)))


def crowd(tx: Tx) -> None:
    """Nine transfers: lanes 0 and 3 due for long, one HELD, one REFUSED, one SENDING."""
    queued_transfers(tx, 9)
    now = tx.now()
    changed(tx, "t0", lane=0, due_at=now - HOUR)
    changed(tx, "t1", lane=0, due_at=now + HOUR, state="DEFERRED")
    changed(tx, "t2", due_at=now - 2 * HOUR, state="UNCERTAIN")
    changed(tx, "t3", state="HELD", due_at=None)
    changed(tx, "t4", state="REFUSED", due_at=None)
    changed(tx, "t5", state="SENDING", due_at=None)
    changed(tx, "t6", state="ON_AXIS", due_at=None)
    changed(tx, "t7", lane=1, due_at=now + HOUR, state="DEFERRED")


def test_the_oldest_due_is_known_by_lane_and_what_is_over_does_not_count(any_store: Store) -> None:
    any_store.write_sync(crowd)

    def look(tx: Tx) -> dict[int, int]:
        due = watching.oldest_due(tx, "vxp")
        return {lane: round((tx.now() - at).total_seconds() / 3600) for lane, at in due.items()}

    assert any_store.read_sync(look) == {0: 1, 1: -1, 3: 2}
    assert any_store.read_sync(lambda tx: watching.oldest_due(tx, "other")) == {}
    assert any_store.read_sync(lambda tx: watching.dead(tx, "vxp")) == {"REFUSED": 1, "EXPIRED": 0}
    counted = any_store.read_sync(lambda tx: watching.waiting(tx, "vxp"))
    assert sorted(counted) == [
        ("DEFERRED", 0, 1),
        ("DEFERRED", 1, 1),
        ("HELD", 3, 1),
        ("SEALED", 0, 1),
        ("SEALED", 3, 1),
        ("SENDING", 3, 1),
        ("UNCERTAIN", 3, 1),
    ]


def test_every_gauge_of_what_waits_is_set(any_store: Store) -> None:
    any_store.write_sync(crowd)
    any_store.write_sync(lambda tx: watching.turned(tx, ["seal"], "host:1"))
    metrics = Metrics()
    measured = asyncio.run(
        watch.measure(
            any_store,
            metrics,
            axes=["vxp"],
            agencies=["H14.19"],
            braking=no_stamps(),
            workers=list(WORKERS),
            since=any_store.read_sync(lambda tx: tx.now()) - HOUR,
        )
    )
    assert measured == (5, 1)

    def sample(name: str, **labels: str) -> float:
        value = metrics.registry.get_sample_value(name, labels)
        assert value is not None, (name, labels)
        return value

    assert [sample("edoc_backlog", axis="vxp", lane=n) for n in "0123"] == [2, 1, 0, 2]
    late = [sample("edoc_oldest_due_seconds", axis="vxp", lane=n) for n in "0123"]
    assert [round(s / 3600) for s in late] == [1, 0, 0, 2]
    assert sample("edoc_held") == 1
    assert sample("edoc_dead", axis="vxp", state="REFUSED") == 1
    assert sample("edoc_worker_silent_seconds", worker="seal") < 1800
    assert sample("edoc_worker_silent_seconds", worker="collect:vxp") > 1800
    shown = b"edoc_database_snapshot_seconds{" in metrics.expose()
    assert shown == (any_store.dialect == "postgresql")


def test_a_worker_is_known_by_its_last_turn_in_whatever_process(any_store: Store) -> None:
    any_store.write_sync(lambda tx: watching.turned(tx, ["seal", "open"], "one:1"))
    any_store.write_sync(lambda tx: watching.turned(tx, ["seal"], "two:2"))
    turns = any_store.read_sync(watching.turns)
    assert {w: last.owner for w, last in turns.items()} == {"seal": "two:2", "open": "one:1"}


def test_counts_stop_where_they_would_only_grow(any_store: Store) -> None:
    def make(tx: Tx) -> None:
        for transfer_id in queued_transfers(tx, 5):
            changed(tx, transfer_id, state="EXPIRED")

    any_store.write_sync(make)
    assert any_store.read_sync(lambda tx: watching.dead(tx, "vxp"))["EXPIRED"] == 5
    assert any_store.read_sync(lambda tx: watching.dead(tx, "vxp", 3))["EXPIRED"] == 3
    assert any_store.read_sync(lambda tx: watching.arrivals_in(tx, ArrivalState.ORPHAN)) == 0
    assert any_store.read_sync(lambda tx: watching.held_fetches(tx, "vxp")) == 0


def test_what_was_replayed_is_dead_no_more(any_store: Store) -> None:
    def make(tx: Tx) -> None:
        for transfer_id in queued_transfers(tx, 3):
            changed(tx, transfer_id, state="REFUSED", due_at=None)

    any_store.write_sync(make)
    assert any_store.read_sync(lambda tx: watching.dead(tx, "vxp"))["REFUSED"] == 3

    def listed(tx: Tx) -> list[operating.Dead]:
        return operating.dead(tx, before=(tx.now() + HOUR, ""), most=9)

    def replay(tx: Tx) -> None:
        now = tx.now()
        assert operating.add_replay(
            tx,
            listed(tx)[0].transfer,
            new_id="again",
            record_id="r0",
            accepted_at=now,
            due_at=None,
            expires_at=now + HOUR,
            now=now,
            recipients=[("G22", "G22")],
        )

    any_store.write_sync(replay)
    assert any_store.read_sync(lambda tx: watching.dead(tx, "vxp"))["REFUSED"] == 2
    assert len(any_store.read_sync(listed)) == 2


def test_what_came_and_is_not_opened_has_an_age(any_store: Store) -> None:
    def come(tx: Tx) -> None:
        for number, state in enumerate(("RECEIVED", "RECEIVED", "QUARANTINED")):
            row = {
                "id": f"a{number}",
                "axis": "vxp",
                "axis_doc_id": str(number),
                "kind": "document",
                "state": "RECEIVED",
                "raw_sha256": "0" * 64,
                "raw_size": 1,
                "listed_from": "",
                "listed_to": "",
                "received_at": tx.now() - (number + 1) * HOUR,
                "fence": 0,
                "opens": 0,
                "verdict": {},
                "findings": [],
                "record_id": "r",
            }
            tx.execute(insert(arrival), row)
            if state != "RECEIVED":
                tx.execute(update(arrival).where(arrival.c.id == row["id"]).values(state=state))

    def age(tx: Tx) -> float | None:
        oldest = watching.oldest_unopened(tx)
        return None if oldest is None else (tx.now() - oldest) / HOUR

    assert any_store.read_sync(age) is None
    any_store.write_sync(come)
    found = any_store.read_sync(age)
    assert found is not None
    assert round(found) == 2


# -- the plans: nothing reads what is done ---------------------------------------------------------

LOOKS = {
    "waiting": (watching._WAITING, {"on_axis": "vxp"}),
    "oldest_due": (watching._OLDEST_DUE, {"on_axis": "vxp"}),
    "dead": (watching._DEAD, {"on_axis": "vxp", "dead_state": "EXPIRED", "most": 9}),
    "arrivals": (watching._ARRIVALS, {"in_state": "ORPHAN", "most": 9}),
    "oldest_unopened": (watching._OLDEST_UNOPENED, {}),
    "first_sent": (reconciliations._FIRST_SENT, {"on_axis": "vxp"}),
    "held_fetches": (watching._HELD_FETCHES, {"on_axis": "vxp", "most": 9}),
}


def written(statement: object, params: dict[str, object], dialect: object) -> str:
    bound = statement.params(**params)  # type: ignore[attr-defined]  # any Core statement
    return str(bound.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


@pytest.mark.parametrize("name", list(LOOKS))
def test_sqlite_takes_each_look_from_an_index(sqlite_url: str, name: str) -> None:
    text = written(*LOOKS[name], sqlite.dialect())
    with sqlite3.connect(Path(sqlite_url.removeprefix("sqlite:///"))) as conn:
        steps = [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {text}")]
    conn.close()
    looks = [s for s in steps if "transfer" in s or "arrival" in s or "fetch" in s]
    assert looks
    assert [s for s in looks if "SEARCH" not in s or "INDEX" not in s] == []


@pytest.mark.postgres
@pytest.mark.parametrize("name", list(LOOKS))
def test_postgresql_takes_each_look_from_an_index(postgres_url: str, name: str) -> None:
    text = written(*LOOKS[name], postgresql.dialect())
    with psycopg.connect(postgres_url) as conn:
        # on empty tables a sequence is cheaper whatever the indexes: forbid it where it can be
        conn.execute("SET enable_seqscan = off")
        steps = [str(row[0]) for row in conn.execute(f"EXPLAIN {text}")]
    assert [s for s in steps if "Seq Scan" in s] == []
    assert any("Index" in s for s in steps)


# -- other people's transactions -------------------------------------------------------------------


@pytest.mark.postgres
def test_a_transaction_left_open_is_seen_and_said(postgres_url: str) -> None:
    with opened(postgres_url) as store, psycopg.connect(postgres_url) as other:
        assert store.read_sync(watching.oldest_snapshot) == 0
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM transfer")
        first = store.read_sync(watching.oldest_snapshot)
        again = store.read_sync(watching.oldest_snapshot)
        assert first is not None
        assert again is not None
        assert 0 < first < again


def test_sqlite_cannot_be_asked_for_its_readers(sqlite_store: Store) -> None:
    assert sqlite_store.read_sync(watching.oldest_snapshot) is None


# -- what /readyz says -----------------------------------------------------------------------------


def alarms(store: Store, **more: object) -> list[Alarm]:
    patience = Patience(600.0, max_backlog=10, workers=WORKERS)
    found = asyncio.run(watch.readiness(store, patience, no_stamps(), axes=["vxp"], **more))  # type: ignore[arg-type]  # forwarded as given
    assert all(isinstance(one, Alarm) for one in found)
    return found  # type: ignore[return-value]  # asserted above


def test_nothing_is_said_while_nothing_stands_still(any_store: Store) -> None:
    any_store.write_sync(lambda tx: watching.turned(tx, list(WORKERS), "host:1"))
    assert alarms(any_store) == []


def test_every_alarm_says_what_is_at_risk_until_when_and_what_to_do(any_store: Store) -> None:
    def neglect(tx: Tx) -> None:
        crowd(tx)
        now = tx.now()
        tx.execute(update(pending).values(at=now - timedelta(seconds=400)))
        watching.turned(tx, list(WORKERS), "host:1")
        tx.execute(update(watching.worker_turn).values(at=now - HOUR))

    any_store.write_sync(neglect)
    found = alarms(any_store, backlog=9)
    assert [f.code for f in found] == [
        "ledger.unsealed",
        "queue.filling",
        "dispatch.late",
        "worker.silent",
        "worker.silent",
    ]
    for lang, heads in (("vi", ("Rủi ro: ", "Đến khi: ", "Việc cần làm: ")), ("en", ("Do: ",))):
        for one in found:
            told = one.as_json(lang)
            assert all(told[part] for part in ("at_risk", "until", "do"))
            assert all(head in told["message"] for head in heads)
    assert found[2].path == "dispatch.vxp"
    assert "lane 0" in found[2].text.en


def test_a_paused_axis_says_when_it_is_tried_and_by_what(any_store: Store) -> None:
    def stand(state: BreakerState, ahead: timedelta) -> str:
        def move(tx: Tx) -> None:
            watching.turned(tx, list(WORKERS), "host:1")
            old = breakers.seen(tx, "vxp")
            assert breakers.swap(tx, "vxp", old, Breaker(state, 5, 2, tx.now() + ahead, 0))

        any_store.write_sync(move)
        (found,) = alarms(any_store)
        assert found.code == "dispatch.paused"
        return found.until.en

    assert "the next try is at" in stand(BreakerState.OPEN, HOUR)
    assert "none came yet" in stand(BreakerState.OPEN, -HOUR)
    assert "one is trying now" in stand(BreakerState.HALF_OPEN, HOUR)


def test_a_list_that_no_process_can_read_is_said_once_for_its_axis(any_store: Store) -> None:
    lists = [("vxp", "document"), ("vxp", "status"), ("lgsp", "document")]
    patience = Patience(600.0, lists=lists, unlisted=900.0)

    def said() -> list[Alarm]:
        found = asyncio.run(watch.readiness(any_store, patience, no_stamps()))
        return [one for one in found if isinstance(one, Alarm)]

    def read(*names: str) -> None:
        any_store.write_sync(lambda tx: watching.turned(tx, names, "host:1"))

    every = [watching.reading(*one) for one in lists]
    any_store.write_sync(lambda tx: watching.expected(tx, every, "host:1"))
    assert said() == []
    aged = update(watching.worker_turn)
    any_store.write_sync(lambda tx: tx.execute(aged.values(at=tx.now() - HOUR)))
    # another process that begins later does not make it look new
    any_store.write_sync(lambda tx: watching.expected(tx, every, "host:2"))
    assert [(a.code, a.path) for a in said()] == [
        ("collect.unlisted", "collect.vxp"),
        ("collect.unlisted", "collect.lgsp"),
    ]
    read("list:lgsp:document", "list:vxp:document")
    (left,) = said()
    assert left.path == "collect.vxp"
    assert "(status)" in left.text.en
    read("list:vxp:status")
    assert said() == []


# -- the daily reconciliation ----------------------------------------------------------------------

MIDNIGHT = time(0, 0)


def said_of_reports(store: Store) -> list[Finding]:
    patience = Patience(1e9, reconciled=["vxp"], reconcile_at=MIDNIGHT)
    return asyncio.run(watch.readiness(store, patience, no_stamps()))


def told(store: Store) -> tuple[list[str], Metrics]:
    """What is said of the axis' reports, and the figures."""
    found = said_of_reports(store)
    metrics = Metrics()
    asyncio.run(
        watch.measure(
            store,
            metrics,
            axes=[],
            agencies=[],
            braking=no_stamps(),
            reconciled=["vxp"],
            reconcile_at=MIDNIGHT,
        )
    )
    return [f.code for f in found], metrics


def days_told(store: Store) -> list[str]:
    """The days of whose reports something is said."""
    found = said_of_reports(store)
    assert {f.code for f in found} == {"reconciliation.wanting"}
    return [day for f in found for day in re.findall(r"reconciliation of (\S+)", f.text.en)]


def figure(metrics: Metrics, name: str, **labels: str) -> float:
    value = metrics.registry.get_sample_value(f"edoc_reconciliation_{name}", labels)
    assert value is not None
    return value


def reported(
    store: Store,
    number: int,
    days_ago: int,
    *,
    daily: bool = True,
    ago: timedelta = timedelta(),
    **counts: int,
) -> str:
    """A report of a day, Vietnam's, made so long ago; the day."""
    now = store.read_sync(lambda tx: tx.now())
    day = (now.astimezone(VIETNAM).date() - timedelta(days=days_ago)).isoformat()
    once = f"vxp/{day}" if daily else f"m{number}"
    made = reconciliations.Made(
        f"m{number}", "vxp", day, once, now - ago, counts, b"{}", "note", f"r{number}"
    )
    store.write_sync(lambda tx: reconciliations.keep(tx, made))
    return day


def test_a_daily_report_that_is_not_made_is_told(any_store: Store) -> None:
    assert told(any_store)[0] == []  # nothing was ever sent
    reported(any_store, 1, 4)
    codes, metrics = told(any_store)
    assert codes == ["reconciliation.late"]
    # the day three days ago was due two midnights ago
    assert 2 <= figure(metrics, "overdue_seconds", axis="vxp") / 86400 < 4
    reported(any_store, 2, 0)
    codes, metrics = told(any_store)
    assert codes == []
    assert figure(metrics, "overdue_seconds", axis="vxp") == 0


def test_an_axis_on_which_was_sent_and_that_never_had_a_report_is_told(any_store: Store) -> None:
    def send(tx: Tx) -> None:
        queued_transfers(tx, 1)
        tx.execute(update(transfer).values(accepted_at=tx.now() - 3 * 24 * HOUR))

    any_store.write_sync(send)
    assert told(any_store)[0] == ["reconciliation.late"]


def test_an_axis_that_only_receives_is_late_once_it_has_had_a_report(any_store: Store) -> None:
    def list_one(tx: Tx) -> None:
        at = tx.now() - 5 * 24 * HOUR
        row = {
            "axis": "vxp",
            "axis_doc_id": "1",
            "kind": "document",
            "sender": "",
            "receiver": "",
            "state": "DUE",
            "listed_at": at,
            "due_at": at,
            "fence": 0,
            "tries": 0,
            "equal_failures": 0,
        }
        tx.execute(insert(fetch), row)

    any_store.write_sync(list_one)
    assert told(any_store)[0] == [], "its beginning is not looked for among all that came"
    reported(any_store, 1, 4)
    assert told(any_store)[0] == ["reconciliation.late"]


def test_what_a_reconciliation_misses_is_told_until_the_day_is_clean(any_store: Store) -> None:
    reported(any_store, 1, 1, ago=25 * HOUR, missing=9, wanting=9)
    day = reported(any_store, 2, 0, missing=2, stuck=5, wanting=7)
    codes, metrics = told(any_store)
    assert codes == ["reconciliation.wanting"]
    assert figure(metrics, "wanting", axis="vxp", kind="missing") == 2
    assert figure(metrics, "wanting", axis="vxp", kind="stuck") == 5
    # a person asks again for the same day, once the axis' operator has found them
    assert reported(any_store, 3, 0, daily=False, stuck=5, wanting=5) == day
    codes, metrics = told(any_store)
    assert codes == []
    assert figure(metrics, "wanting", axis="vxp", kind="missing") == 0


def test_days_that_are_made_up_at_once_are_all_told_for_a_day(any_store: Store) -> None:
    days = [
        reported(any_store, 1, 3, missing=1, wanting=1),
        reported(any_store, 2, 2, foreign=2, missing=2, wanting=4),
        reported(any_store, 3, 1, stuck=4, wanting=4),
        reported(any_store, 4, 0),
    ]
    reported(any_store, 5, 20, daily=False, missing=9)  # a person asks for a day of long ago
    assert days_told(any_store) == days[:2]
    _, metrics = told(any_store)
    wanting = [figure(metrics, "wanting", axis="vxp", kind=k) for k in ("missing", "foreign")]
    assert wanting == [3, 2]
    reported(any_store, 6, 2, daily=False)  # the axis' operator has found what was missing
    assert days_told(any_store) == days[:1]


def test_the_newest_day_is_told_for_as_long_as_it_is_the_newest(any_store: Store) -> None:
    reported(any_store, 1, 30, ago=29 * 24 * HOUR, missing=1, wanting=1)
    assert told(any_store)[0] == ["reconciliation.late", "reconciliation.wanting"]
    reported(any_store, 2, 0)
    assert told(any_store)[0] == []


def test_a_full_queue_and_a_ledger_that_stands_are_errors(any_store: Store) -> None:
    def neglect(tx: Tx) -> None:
        queued_transfers(tx, 1)
        tx.execute(update(pending).values(at=tx.now() - HOUR))

    any_store.write_sync(neglect)
    found = alarms(any_store, backlog=10)
    assert {(f.code, f.severity.value) for f in found} >= {
        ("ledger.unsealed", "error"),
        ("queue.filling", "error"),
    }
