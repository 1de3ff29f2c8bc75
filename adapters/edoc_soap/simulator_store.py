"""What the simulated SOAP axis remembers: documents, who waits for them, statuses, what it knows.

In: header trees and paths of accepted documents, statuses. Out: rows as frozen values. One SQLite
file in the simulator's folder; it survives a kill and a restart of the simulator, not a power cut.
Synchronous, and of one thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from adapters.edoc_soap.older import Named
from adapters.edoc_soap.trees import Node
from gateway.model.package import PackageKind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
  number INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, sender TEXT NOT NULL,
  receivers TEXT NOT NULL, document_id TEXT NOT NULL, blocks TEXT NOT NULL, files TEXT NOT NULL,
  package TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
  seq INTEGER PRIMARY KEY, account TEXT NOT NULL, number INTEGER NOT NULL REFERENCES
  document (number), confirmed INTEGER, UNIQUE (account, number));
CREATE INDEX IF NOT EXISTS entry_waiting ON entry (account) WHERE confirmed IS NULL;
CREATE TABLE IF NOT EXISTS received (
  seq INTEGER PRIMARY KEY, doc_id TEXT NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL,
  sender TEXT NOT NULL, receivers TEXT NOT NULL, document_id TEXT NOT NULL, code TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trace (
  seq INTEGER PRIMARY KEY, account TEXT NOT NULL, at TEXT NOT NULL, status TEXT NOT NULL,
  fetched INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS trace_of ON trace (account);
CREATE TABLE IF NOT EXISTS known (what TEXT PRIMARY KEY, doc_id TEXT NOT NULL);
"""
_FIRST = 1_000_000  # ids are 64-bit integers there (vxp-protocol 8.1)


@dataclass(frozen=True, slots=True)
class Received:
    """A document or status as its sender gave it."""

    doc_id: str
    kind: PackageKind
    account: str
    sender: str
    receivers: tuple[str, ...]
    document_id: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document: header blocks without credentials, its files on disk, decoded."""

    received: Received
    blocks: tuple[Node, ...]
    files: tuple[tuple[Named, Path], ...]
    package: Path | None = None  # payload mode package: as it came


@dataclass(frozen=True, slots=True)
class Entry:
    """A receiving account's copy of a document."""

    doc_id: str
    document_id: str
    account: str
    receivers: tuple[str, ...]
    confirmed: bool


class SimulatorStore:
    """Opens or makes the database in `folder`. Paths are kept relative to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._db = sqlite3.connect(folder / "axis.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What is written inside is kept together: a kill in the middle leaves nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- what is known ---------------------------------------------------------------------------

    def known(self, what: Sequence[str]) -> str | None:
        """The id that was first given for this; None: it never came."""
        row = self._one("SELECT doc_id FROM known WHERE what = ?", json.dumps(what))
        return str(row[0]) if row else None

    def know(self, what: Sequence[str], doc_id: str) -> None:
        sql = "INSERT OR REPLACE INTO known (what, doc_id) VALUES (?, ?)"
        self._db.execute(sql, (json.dumps(what), doc_id))

    # -- documents -------------------------------------------------------------------------------

    def new_document(self, stored: Stored, accounts: Iterable[str]) -> str:
        """One document with an entry for each receiving account; its id."""
        got = stored.received
        files = [
            [named.content_id, named.name, named.content_type, self._kept(path)]
            for named, path in stored.files
        ]
        made = self._db.execute(
            "INSERT INTO document (account, sender, receivers, document_id, blocks, files, package)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                got.account,
                got.sender,
                json.dumps(got.receivers),
                got.document_id,
                json.dumps([_packed(block) for block in stored.blocks]),
                json.dumps(files),
                self._kept(stored.package) if stored.package else "",
            ),
        )
        number = made.lastrowid or 0
        self._db.executemany(
            "INSERT INTO entry (account, number) VALUES (?, ?)",
            [(account, number) for account in accounts],
        )
        return str(_FIRST + number)

    def document(self, doc_id: str) -> Stored | None:
        row = self._one(
            "SELECT account, sender, receivers, document_id, blocks, files, package"
            " FROM document WHERE number = ?",
            _number(doc_id),
        )
        if row is None:
            return None
        account, sender, receivers, document_id, blocks, files, package = row
        return Stored(
            Received(
                doc_id,
                PackageKind.DOCUMENT,
                account,
                sender,
                tuple(json.loads(receivers)),
                document_id,
            ),
            tuple(_unpacked(block) for block in json.loads(blocks)),
            tuple(
                (Named(cid, name, kind), self._folder / path)
                for cid, name, kind, path in json.loads(files)
            ),
            self._folder / package if package else None,
        )

    def waiting(self, account: str) -> list[str]:
        rows = self._db.execute(
            "SELECT number FROM entry WHERE account = ? AND confirmed IS NULL ORDER BY seq",
            (account,),
        )
        return [str(_FIRST + number) for (number,) in rows]

    def confirm(self, account: str, doc_id: str) -> bool:
        """Takes the entry out of what waits; False: it did not wait any more."""
        done = self._db.execute(
            "UPDATE entry SET confirmed = (SELECT count(confirmed) + 1 FROM entry)"
            " WHERE account = ? AND number = ? AND confirmed IS NULL",
            (account, _number(doc_id)),
        )
        return done.rowcount == 1

    def confirmed(self) -> list[str]:
        """Ids in the order in which their receivers confirmed."""
        rows = self._db.execute(
            "SELECT number FROM entry WHERE confirmed IS NOT NULL ORDER BY confirmed"
        )
        return [str(_FIRST + number) for (number,) in rows]

    def entries(self) -> list[Entry]:
        rows = self._db.execute(
            "SELECT e.number, d.document_id, e.account, d.receivers, e.confirmed IS NOT NULL"
            " FROM entry e JOIN document d ON d.number = e.number ORDER BY e.seq"
        )
        return [
            Entry(str(_FIRST + number), about, account, tuple(json.loads(receivers)), bool(done))
            for number, about, account, receivers, done in rows
        ]

    # -- what came -------------------------------------------------------------------------------

    def note(self, got: Received) -> None:
        self._db.execute(
            "INSERT INTO received (doc_id, kind, account, sender, receivers, document_id, code)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                got.doc_id,
                got.kind.value,
                got.account,
                got.sender,
                json.dumps(got.receivers),
                got.document_id,
                got.code,
            ),
        )

    def received(self) -> tuple[Received, ...]:
        rows = self._db.execute(
            "SELECT doc_id, kind, account, sender, receivers, document_id, code"
            " FROM received ORDER BY seq"
        )
        return tuple(
            Received(doc_id, PackageKind(kind), account, sender, tuple(json.loads(to)), about, code)
            for doc_id, kind, account, sender, to, about, code in rows
        )

    # -- statuses --------------------------------------------------------------------------------

    def lay_out(self, status: Node, account: str, at: datetime) -> None:
        self._db.execute(
            "INSERT INTO trace (account, at, status) VALUES (?, ?, ?)",
            (account, at.isoformat(), json.dumps(_packed(status))),
        )

    def traces(self, account: str) -> list[tuple[int, datetime, bool, Node]]:
        """Number, when it came, whether it was fetched, the status."""
        rows = self._db.execute(
            "SELECT seq, at, fetched, status FROM trace WHERE account = ? ORDER BY seq", (account,)
        )
        return [
            (seq, datetime.fromisoformat(at), bool(fetched), _unpacked(json.loads(status)))
            for seq, at, fetched, status in rows
        ]

    def fetched(self, seqs: Iterable[int]) -> None:
        self._db.executemany("UPDATE trace SET fetched = 1 WHERE seq = ?", [(seq,) for seq in seqs])

    # -- rest ------------------------------------------------------------------------------------

    def _one(self, sql: str, value: str | int) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, (value,)).fetchone()
        return row

    def _kept(self, path: Path) -> str:
        return str(path.relative_to(self._folder))


def _number(doc_id: str) -> int:
    """-1 for what is no id of ours."""
    text = doc_id.strip()
    return int(text) - _FIRST if text.isdecimal() and text.isascii() and len(text) < 19 else -1


def _packed(found: Node) -> list[Any]:
    children = [_packed(child) for child in found.children]
    return [found.uri, found.name, found.text, children, found.attributes]


def _unpacked(kept: Sequence[Any]) -> Node:
    uri, name, text, children, attributes = kept
    return Node(uri, name, text, [_unpacked(child) for child in children], attributes)
