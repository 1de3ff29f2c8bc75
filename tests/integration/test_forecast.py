"""The forecast over REST and by command, over both databases, through indexes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.dispatch.forecast import end_of_day
from gateway.forecasting import Forecasting
from gateway.model.breaker import Breaker, BreakerState
from gateway.promise import VIETNAM, due_day, local_time
from gateway.store import Tx, breakers, forecasts
from gateway.store.tables import Role
from gateway.store.tables import transfer as t
from tests.support.api import FARAWAY, PDF, Door, door, letter
from tests.support.commands import call
from tests.support.databases import Postgres
from tests.support.queues import queued_transfers, walked

HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    if request.param == "sqlite":
        with door(tmp_path) as opened:
            yield opened
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database(migrated=True) as url, door(tmp_path, database=url) as opened:
        yield opened


def fill(at: Door, waiting: int, delivered: int, *, age: timedelta = timedelta(0)) -> datetime:
    """Transfers of the axis vxp: the first `delivered` on it since `age`, the others wait."""

    def make(tx: Tx) -> datetime:
        ids = queued_transfers(tx, waiting + delivered)
        now = tx.now()
        for n, transfer_id in enumerate(ids):
            values: dict[str, Any] = {"due_at": now - HOUR}
            if n < delivered:
                values = {"state": "ON_AXIS", "due_at": None, "moved_at": now - age}
            walked(tx, transfer_id, **values)
        return now

    return at.run(at.gateway.store.write(make))  # type: ignore[arg-type]  # a coroutine


def change(at: Door, transfer_id: str, **values: Any) -> None:
    def make(tx: Tx) -> None:
        tx.execute(update(t).where(t.c.id == transfer_id).values(**values))

    at.run(at.gateway.store.write(make))  # type: ignore[arg-type]  # a coroutine


def asked(at: Door, axis: str = "vxp", **headers: str) -> dict[str, Any]:
    answer = at.get("/v1/queue/forecast", Role.OPS, **headers)
    assert answer.status == 200
    (one,) = (a for a in answer.json()["axes"] if a["axis"] == axis)
    return dict(one)


def test_a_paused_axis_promises_no_hour_whatever_left_it_before(at: Door) -> None:
    until = fill(at, waiting=10, delivered=60) + HOUR
    assert asked(at)["outlook"] == "moving"

    def pause(tx: Tx) -> None:
        old = breakers.seen(tx, "vxp")
        assert breakers.swap(tx, "vxp", old, Breaker(BreakerState.OPEN, 5, 1, until, 0))

    at.run(at.gateway.store.write(pause))  # type: ignore[arg-type]  # a coroutine
    said = asked(at, **{"Accept-Language": "en"})
    assert (said["outlook"], said["empty_at"]) == ("stands", None)
    assert said["passing"]["total"] > 0, "what lapses while nothing leaves"
    clock = until.astimezone(VIETNAM).strftime("%H:%M")
    assert "sending is paused, and 10 transfers wait; the next one tries at" in said["message"]
    assert clock in said["message"]


def test_a_queue_that_moves_says_when_it_is_empty_and_what_is_too_late(at: Door) -> None:
    now = fill(at, waiting=30, delivered=20)
    soon = now + timedelta(seconds=30)
    change(at, "t20", expires_at=soon)
    change(at, "t21", state="HELD", due_at=None, expires_at=soon)  # held: it never lapses
    change(at, "t22", lane=0, expires_at=soon)
    change(at, "t23", due_date="2001-01-01")
    one = asked(at, Accept_Language="en")
    assert one["outlook"] == "moving"
    assert (one["waiting"], one["held"], one["past_due"]) == (29, 1, 1)
    assert one["rate"] == {
        "per_minute": 20.0, "delivered": 20, "window_seconds": 60, "rough": False,
    }  # fmt: skip
    assert [lane["lane"] for lane in one["lanes"]] == [0, 3]
    assert now + timedelta(seconds=80) < datetime.fromisoformat(one["empty_at"])
    assert one["passing"] == {
        "total": 1,
        "more": False,
        "first": [
            {
                "transfer_id": "t20", "document_id": "doc-20", "lane": 3, "passes": "lifetime",
                "at": local_time(soon), "due_date": None, "expires_at": local_time(soon),
            }
        ],
    }  # fmt: skip
    for words in ("At the present rate (20.0 a minute", "1 transfers pass", "1 are HELD"):
        assert words in one["message"]


def test_a_queue_that_stands_says_never_and_names_what_waits(at: Door) -> None:
    now = fill(at, waiting=25, delivered=1, age=HOUR)
    tomorrow = (now.astimezone(VIETNAM) + timedelta(days=1)).date().isoformat()
    change(at, "t7", due_date=tomorrow)
    one = asked(at)
    assert (one["outlook"], one["empty_at"]) == ("stands", None)
    assert one["message"].startswith("Không bao giờ")
    assert (one["passing"]["total"], len(one["passing"]["first"])) == (25, 20)
    first = one["passing"]["first"][0]
    assert (first["transfer_id"], first["passes"]) == ("t7", "due_date")
    assert first["at"] == local_time(end_of_day(tomorrow))


def test_an_empty_queue_and_one_that_only_began_say_so(at: Door) -> None:
    assert asked(at, Accept_Language="en")["message"] == "Nothing waits."
    fill(at, waiting=3, delivered=0)
    for name in ("t0", "t1", "t2"):
        change(at, name, due_at=datetime(2100, 1, 1, tzinfo=UTC))
    one = asked(at)
    assert (one["outlook"], one["passing"]["total"]) == ("unknown", 0)
    assert one["message"].startswith("Chưa biết")


def test_what_is_held_is_named_where_it_passes_a_deadline_meanwhile(at: Door) -> None:
    now = fill(at, waiting=5, delivered=0)
    tomorrow = (now.astimezone(VIETNAM) + timedelta(days=1)).date().isoformat()
    held = {"state": "HELD", "due_at": None}
    change(at, "t0", **held, due_date=tomorrow)
    change(at, "t1", **held, expires_at=now + timedelta(minutes=5))  # held: it never lapses
    change(at, "t2", **held, due_date="2001-01-01")
    change(at, "t3", **held, expires_at=now + timedelta(minutes=5), due_date=tomorrow)
    change(at, "t4", **held, due_date=tomorrow, axis="other")
    one = asked(at, Accept_Language="en")
    assert (one["outlook"], one["held"], one["passing"]["total"]) == ("empty", 4, 0)
    assert one["held_past_due"] == 1
    late = one["held_passing"]
    assert (late["total"], late["more"]) == (2, False)
    assert [(x["transfer_id"], x["passes"], x["at"]) for x in late["first"]] == [
        ("t0", "due_date", local_time(end_of_day(tomorrow))),
        ("t3", "due_date", local_time(end_of_day(tomorrow))),
    ]
    assert "Nothing waits." in one["message"]
    assert "If nobody decides, 2 of the HELD pass their due date, the first at" in one["message"]
    assert "lifetime" not in one["message"]


def test_an_act_behind_a_held_document_is_not_counted_as_moving(at: Door) -> None:
    def make(tx: Tx) -> None:
        queued_transfers(tx, 1)
        queued_transfers(tx, 2, first=1, about=["doc-0"], business_type=2)
        walked(tx, "t0", "HELD", due_at=None)

    at.run(at.gateway.store.write(make))  # type: ignore[arg-type]  # a coroutine
    one = asked(at, Accept_Language="en")
    assert (one["outlook"], one["waiting"], one["behind_held"]) == ("empty", 0, 2)
    assert "2 wait behind those that are HELD" in one["message"]


def test_beyond_what_is_looked_at_the_total_is_a_lower_bound(at: Door) -> None:
    fill(at, waiting=9, delivered=0)
    looked = at.run(Forecasting(at.gateway.desk, candidates=4).forecast("en"))
    (one,) = (a for a in looked["axes"] if a["axis"] == "vxp")
    assert (one["passing"]["total"], one["passing"]["more"]) == (4, True)
    assert "at least 4" in one["message"]


def test_the_due_date_of_a_document_is_kept_where_it_is_a_day(at: Door) -> None:
    made = at.submit(letter(FARAWAY, due_date="2100-01-31"), ("12.pdf", PDF)).json()
    assert [x["axis"] for x in made["transfers"]] == ["vxp"]

    def look(tx: Tx) -> list[Any]:
        return tx.scalars(t.select().with_only_columns(t.c.due_date))

    assert at.run(at.gateway.store.read(look)) == ["2100-01-31"]  # type: ignore[arg-type]
    assert due_day("31/01/2100") is None
    assert due_day("") is None


def test_the_command_says_the_same_and_names_what_is_too_late(
    at: Door, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = fill(at, waiting=2, delivered=0)
    monkeypatch.delenv("EDOC_GATEWAY_CONF", raising=False)
    monkeypatch.setenv("EDOC_GATEWAY_URL", at.url)
    monkeypatch.setenv("EDOC_GATEWAY_KEY", at.key(Role.OPS))
    ran = call(capsys, "queue", "forecast", "--lang", "en")
    assert ran.code == 0
    assert "vxp: Never, if it stays like this" in ran.out
    assert "doc-0" in ran.out
    tomorrow = (now.astimezone(VIETNAM) + timedelta(days=1)).date().isoformat()
    change(at, "t1", state="HELD", due_at=None, due_date=tomorrow)
    assert "due date (HELD)" in call(capsys, "queue", "forecast", "--lang", "en").out
    ran = call(capsys, "queue", "forecast", "--json")
    shown = json.loads("{" + ran.out.partition("{\n")[2])  # the gateway logs here too
    assert {a["axis"] for a in shown["axes"]} == set(at.gateway.axes)


# -- the plans -------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LOOKS = {
    "ix_transfer_axis_moved_at": (
        forecasts._DELIVERED, {"on_axis": "vxp", "since": NOW, "most": 9},
    ),
    "ix_transfer_expires_at": (forecasts._LAPSING, {"until": NOW, "most": 9}),
    "ix_transfer_due_date": (
        forecasts._FALLING_DUE, {"from_day": "2026-01-01", "to_day": "2026-01-02", "most": 9},
    ),
    "ix_transfer_held_due": (
        forecasts._HELD_FALLING_DUE,
        {"from_day": "2026-01-01", "to_day": "2026-01-02", "most": 9},
    ),
}  # fmt: skip


def test_sqlite_takes_each_look_from_its_index(sqlite_url: str) -> None:
    from gateway.store.plans import Plans

    plans = Plans(sqlite.dialect(paramstyle="qmark"))
    with sqlite3.connect(Path(sqlite_url.removeprefix("sqlite:///"))) as conn:
        for index, (statement, params) in LOOKS.items():
            _, text, values = plans.one(statement, params)
            (step,) = [r[3] for r in conn.execute(f"EXPLAIN QUERY PLAN {text}", values)]
            assert f"SEARCH transfer USING INDEX {index} " in step.replace("COVERING ", "")
    conn.close()


@pytest.mark.postgres
def test_postgresql_takes_each_look_from_its_index(postgres_url: str) -> None:
    from gateway.store.plans import Plans

    plans = Plans(postgresql.psycopg.dialect(paramstyle="format"))
    with psycopg.connect(postgres_url) as conn:
        conn.execute("SET enable_seqscan = off")
        for index, (statement, params) in LOOKS.items():
            _, text, values = plans.one(statement, params)
            steps = " ".join(str(r[0]) for r in conn.execute(f"EXPLAIN {text}", values))
            assert f"{index} on transfer" in steps
            assert "Sort" not in steps
