"""What the simulated axis remembers: packages, one entry for each receiving system, agencies.

In: facts of accepted packages and status updates. Out: rows as frozen values. One SQLite file in
the simulator's folder; it survives a restart of the simulator, not a power cut. Synchronous.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.model.package import PackageKind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS package (
  seq INTEGER PRIMARY KEY, doc_id TEXT UNIQUE NOT NULL, dedupe TEXT UNIQUE, system_id TEXT NOT NULL,
  kind TEXT NOT NULL, sender TEXT NOT NULL, document_id TEXT NOT NULL, title TEXT NOT NULL,
  notation TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, receivers TEXT NOT NULL,
  at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
  seq INTEGER PRIMARY KEY, doc_id TEXT UNIQUE NOT NULL, package TEXT NOT NULL REFERENCES
  package (doc_id), system_id TEXT NOT NULL, receivers TEXT NOT NULL, status TEXT NOT NULL,
  status_desc TEXT NOT NULL DEFAULT '', created TEXT NOT NULL, updated TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entry_waiting ON entry (system_id, status);
CREATE INDEX IF NOT EXISTS entry_package ON entry (package);
CREATE TABLE IF NOT EXISTS agency (
  code TEXT PRIMARY KEY, system_id TEXT NOT NULL, id TEXT NOT NULL, pcode TEXT NOT NULL,
  name TEXT NOT NULL, mail TEXT NOT NULL);
"""
INITIAL, PROCESSING, DONE, FAIL = "initial", "processing", "done", "fail"
STATUSES = (INITIAL, PROCESSING, DONE, FAIL)
_WAITING = (INITIAL, PROCESSING)


@dataclass(frozen=True, slots=True)
class ReceivedPackage:
    """A package as its sender gave it. `doc_id`: the 24 hex digits the sender was told."""

    doc_id: str
    system_id: str
    kind: PackageKind
    sender: str
    document_id: str
    title: str
    notation: str
    sha256: str
    size: int
    receivers: tuple[str, ...]
    at: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A receiving system's copy. `doc_id`: the UUID it sees; `receivers`: its agencies in it."""

    doc_id: str
    package: str
    system_id: str
    receivers: tuple[str, ...]
    status: str
    status_desc: str
    created: str
    updated: str
    kind: PackageKind
    sender: str
    all_receivers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegisteredAgency:
    code: str
    system_id: str
    id: str
    pcode: str
    name: str
    mail: str


_PACKAGE = (
    "SELECT doc_id, system_id, kind, sender, document_id, title, notation, sha256, size, "
    "receivers, at FROM package "
)
_ENTRY = (
    "SELECT e.doc_id, e.package, e.system_id, e.receivers, e.status, e.status_desc, e.created, "
    "e.updated, p.kind, p.sender, p.receivers AS all_receivers "
    "FROM entry e JOIN package p ON p.doc_id = e.package "
)


class SimulatorStore:
    """Opens or makes the database in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "axis.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def known(self, dedupe: str) -> str:
        """The DocId first given for this key, or ""."""
        row = self._db.execute("SELECT doc_id FROM package WHERE dedupe = ?", (dedupe,)).fetchone()
        return str(row["doc_id"]) if row else ""

    def accept(
        self,
        package: ReceivedPackage,
        dedupe: str | None,
        deliveries: Mapping[str, tuple[str, Sequence[str]]],
    ) -> bool:
        """Stores a package with its entries (doc_id -> system, its receivers), all or nothing.

        False when `dedupe` is already there: somebody was faster.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                "INSERT INTO package (doc_id, dedupe, system_id, kind, sender, document_id, title,"
                " notation, sha256, size, receivers, at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    package.doc_id,
                    dedupe,
                    package.system_id,
                    package.kind.value,
                    package.sender,
                    package.document_id,
                    package.title,
                    package.notation,
                    package.sha256,
                    package.size,
                    json.dumps(package.receivers),
                    package.at,
                ),
            )
            self._db.executemany(
                "INSERT INTO entry (doc_id, package, system_id, receivers, status, created,"
                " updated) VALUES (?,?,?,?,?,?,?)",
                [
                    (doc_id, package.doc_id, system, json.dumps(codes), INITIAL) + (package.at,) * 2
                    for doc_id, (system, codes) in deliveries.items()
                ],
            )
        except sqlite3.IntegrityError:
            self._db.execute("ROLLBACK")
            return False
        self._db.execute("COMMIT")
        return True

    def add_entry(
        self, doc_id: str, package: str, system: str, codes: Sequence[str], at: str
    ) -> None:
        """One more copy of a package that is there."""
        self._db.execute(
            "INSERT INTO entry (doc_id, package, system_id, receivers, status, created, updated)"
            " VALUES (?,?,?,?,?,?,?)",
            (doc_id, package, system, json.dumps(codes), INITIAL, at, at),
        )

    def forget(self, package: str) -> None:
        """A package and its copies, as if they had never been."""
        self._db.execute("DELETE FROM entry WHERE package = ?", (package,))
        self._db.execute("DELETE FROM package WHERE doc_id = ?", (package,))

    def waiting(self, system_id: str, kind: PackageKind, *, failed_too: bool) -> tuple[Entry, ...]:
        words = (*_WAITING, FAIL) if failed_too else _WAITING
        marks = ",".join("?" * len(words))
        return self._entries(
            f"WHERE e.system_id = ? AND p.kind = ? AND e.status IN ({marks}) ORDER BY e.seq",
            (system_id, kind.value, *words),
        )

    def entry(self, doc_id: str, system_id: str) -> Entry | None:
        found = self._entries("WHERE e.doc_id = ? AND e.system_id = ?", (doc_id, system_id))
        return found[0] if found else None

    def set_status(self, doc_id: str, status: str, description: str, at: str) -> None:
        self._db.execute(
            "UPDATE entry SET status = ?, status_desc = ?, updated = ? WHERE doc_id = ?",
            (status, description, at, doc_id),
        )

    def package(self, doc_id: str) -> ReceivedPackage | None:
        found = self._packages("WHERE doc_id = ?", (doc_id,))
        return found[0] if found else None

    def packages(self) -> tuple[ReceivedPackage, ...]:
        return self._packages("ORDER BY seq", ())

    def entries(self) -> tuple[Entry, ...]:
        return self._entries("ORDER BY e.seq", ())

    def entries_of(self, package: str) -> tuple[Entry, ...]:
        return self._entries("WHERE e.package = ? ORDER BY e.seq", (package,))

    def register(self, agency: RegisteredAgency) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO agency (code, system_id, id, pcode, name, mail)"
            " VALUES (?,?,?,?,?,?)",
            (agency.code, agency.system_id, agency.id, agency.pcode, agency.name, agency.mail),
        )

    def unregister(self, code: str, system_id: str) -> bool:
        done = self._db.execute(
            "DELETE FROM agency WHERE code = ? AND system_id = ?", (code, system_id)
        )
        return done.rowcount > 0

    def agencies(self) -> tuple[RegisteredAgency, ...]:
        rows = self._db.execute(
            "SELECT code, system_id, id, pcode, name, mail FROM agency ORDER BY code"
        )
        return tuple(RegisteredAgency(*row) for row in rows)

    def _packages(self, where: str, values: Sequence[object]) -> tuple[ReceivedPackage, ...]:
        rows = self._db.execute(
            _PACKAGE + where,
            values,
        )
        return tuple(
            ReceivedPackage(
                **{**dict(row), "kind": PackageKind(row["kind"]), "receivers": _codes(row, "")}
            )
            for row in rows
        )

    def _entries(self, where: str, values: Sequence[object]) -> tuple[Entry, ...]:
        rows = self._db.execute(_ENTRY + where, values)
        return tuple(
            Entry(
                **{
                    **dict(row),
                    "kind": PackageKind(row["kind"]),
                    "receivers": _codes(row, ""),
                    "all_receivers": _codes(row, "all_"),
                }
            )
            for row in rows
        )


def _codes(row: sqlite3.Row, which: str) -> tuple[str, ...]:
    return tuple(json.loads(row[f"{which}receivers"]))
