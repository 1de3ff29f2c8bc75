"""A large sealed ledger, filled by the database's own bulk load instead of commit by commit.

Everything in it is genuine: records by the scribe, leaves, nodes, and for every batch of the
sealer a signed checkpoint that names the one before it, so `ledger verify` has all of its work.
What is left out is `pending`. A million entries take about a minute and a half of processor
time, most of it for the records.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql

from gateway.ledger import checkpoint, lineage, merkle, records
from gateway.scribe import Scribe
from gateway.store import Store, ledger, sqlite_path
from gateway.store.types import to_microseconds
from gateway.telemetry.events import Event

LOAD = 50_000
_COLUMNS = {
    "record": ("id", "event", "at", "body"),
    "entry": ("epoch", "seq", "record_id", "leaf"),
    "node": ("epoch", "level", "idx", "hash"),
    "checkpoint": ("epoch", "size", "root", "note", "at"),
}


def grow(store: Store, url: str, scribe: Scribe, size: int, batch: int) -> None:
    """From what is sealed now (nothing may wait) to `size` entries of epoch 1."""
    tree = _tree(store)
    newest = store.read_sync(ledger.newest_checkpoint)
    before = (newest.size, newest.note) if newest else (0, "")
    while tree.size < size:
        rows = _rows(tree, scribe, min(LOAD, size - tree.size), batch, before)
        _load(url, rows)
        before = rows["checkpoint"][-1][1], rows["checkpoint"][-1][3]


def _tree(store: Store) -> merkle.CompactRange:
    """The tree as it stands, from its leaves."""
    tree = merkle.CompactRange()
    while rows := store.read_sync(lambda tx: ledger.entries_from(tx, 1, tree.size, 5_000)):
        for row in rows:
            tree.push(bytes(row.leaf))
    return tree


def _rows(
    tree: merkle.CompactRange, scribe: Scribe, count: int, batch: int, before: tuple[int, str]
) -> dict[str, list[tuple[Any, ...]]]:
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
    at, last = scribe.now(), tree.size + count
    while tree.size < last:
        made = scribe.record(Event.CLOCK_STEPPED, at, {}, {"from": at.isoformat(), "n": tree.size})
        leaf = records.leaf_hash(made.body)
        rows["record"].append((made.id, made.event, made.at, made.body))
        rows["entry"].append((1, tree.size, made.id, leaf))
        rows["node"].extend((1, *node) for node in tree.push(leaf))
        if tree.size % batch == 0 or tree.size == last:
            said = lineage.lines(lineage.note_before(*before, []))
            signed = checkpoint.make_checkpoint(
                scribe.origin, 1, tree.size, tree.root(), at, scribe.key, said
            )
            before = signed.size, signed.note
            rows["checkpoint"].append((1, signed.size, signed.root, signed.note, signed.at))
    return rows


def _load(url: str, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    path = sqlite_path(url)
    if path is None:
        with psycopg.connect(url) as server, server.cursor() as cursor:
            for table, columns in _COLUMNS.items():
                names = sql.SQL(", ").join(map(sql.Identifier, columns))
                order = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
                with cursor.copy(order) as into:
                    for row in rows[table]:
                        into.write_row(row)
        return
    with closing(sqlite3.connect(path)) as file, file:
        for table, columns in _COLUMNS.items():
            at = columns.index("at") if "at" in columns else None
            marks = ", ".join("?" * len(columns))
            file.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
                rows[table] if at is None else (_in_microseconds(r, at) for r in rows[table]),
            )


def _in_microseconds(row: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    return (*row[:at], to_microseconds(row[at]), *row[at + 1 :])
