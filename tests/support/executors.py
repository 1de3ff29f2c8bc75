"""Two small tables of the executors' own tests, and ways to meet inside a store function."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
)

from gateway.store import Store, Tx, migrations
from gateway.store.types import Instant, Json

scratch = MetaData()
thing = Table(
    "thing",
    scratch,
    Column("id", Text, primary_key=True),
    Column("number", Integer),
    Column("at", Instant),
    Column("data", Json),
    Column("parent", Text, ForeignKey("thing.id", name="fk_thing_parent")),
    CheckConstraint("number >= 0", name="ck_thing_number"),
    UniqueConstraint("number", name="uq_thing_number"),
)
ADD = insert(thing)
IDS = select(thing.c.id).order_by(thing.c.id)


def make_tables(url: str) -> None:
    with migrations.connected(url) as conn, conn.begin():
        scratch.create_all(conn)


def add(name: str, **more: object):
    """A store function that inserts one thing and returns its name."""

    def fn(tx: Tx) -> str:
        tx.execute(ADD, {"id": name, **more})
        return name

    return fn


def ids(store: Store) -> list[str]:
    return store.read_sync(lambda tx: tx.scalars(IDS))


def ids_seen_by_a_stranger(url: str) -> list[str]:
    """What another connection sees at this moment."""
    query = "SELECT id FROM thing ORDER BY id"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as conn:
            return [row[0] for row in conn.execute(query)]
    with psycopg.connect(url) as conn:
        return [row[0] for row in conn.execute(query)]


class Gate:
    """Holds a store function until the test lets it go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, _: Tx) -> None:
        self.entered.set()
        assert self._open.wait(30)

    def open(self) -> None:
        self._open.set()


@contextmanager
def busy(store: Store) -> Iterator[None]:
    """Inside, the (one) writer is held; what is queued meanwhile becomes one group."""
    gate = Gate()
    thread = threading.Thread(target=store.write_sync, args=(gate,))
    thread.start()
    assert gate.entered.wait(30)
    try:
        yield
    finally:
        gate.open()
        thread.join()
