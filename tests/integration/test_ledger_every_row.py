"""Every field of a sample of rows, every row, two swapped, the tail: whatever is done is found.

One ledger is made; each deed is done to a copy of its database, by hand and around the triggers.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway import config
from gateway.audit.books import verify_books
from gateway.cli import cli
from gateway.config import Settings
from gateway.errors import Severity
from gateway.ledger.cosignature import cosign, witness_vkey
from gateway.ledger.note import split_note
from gateway.ledger.verify import LedgerReport
from gateway.wiring.books import open_books
from tests.integration.test_ledger_tampering import Sealed, original
from tests.integration.test_succession import Made, made
from tests.support.commands import call
from tests.unit.ledger.test_cosignature import NAME, SECRET, TIME

__all__ = ["made", "original"]  # fixtures

TABLES = (
    "record",
    "entry",
    "node",
    "checkpoint",
    "stamp",
    "cosignature",
    "pending",
    "unsaid",
    "personal",
)
# what nothing signs and no answer shows as an instant: when a row was written, by which id
CONVENIENCES = {
    ("checkpoint", "at"),
    ("stamp", "id"),
    ("stamp", "received_at"),
    ("cosignature", "received_at"),
    ("pending", "at"),
}
# of each table the columns that hold what it says, to be exchanged between two rows
PAYLOADS = {
    "record": ("body",),
    "entry": ("leaf",),
    "node": ("hash",),
    "checkpoint": ("root", "note"),
    "stamp": ("token", "gen_time", "serial"),
}
WAITING = "019ab000-0000-7000-8000-00000000ffff"


@dataclass
class Books:
    """A stopped gateway's ledger; `again` puts the database back as it was."""

    settings: Settings
    database: Path
    kept: Path

    def again(self) -> None:
        for name in ("-wal", "-shm"):
            self.database.with_name(self.database.name + name).unlink(missing_ok=True)
        shutil.copyfile(self.kept, self.database)

    def rows(self, table: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.kept)) as db:
            db.row_factory = sqlite3.Row
            return [dict(r) for r in db.execute(f"SELECT rowid AS n, * FROM {table} ORDER BY n")]

    def do(self, *deeds: tuple[str, tuple[object, ...]]) -> None:
        self.again()
        with sqlite3.connect(self.database) as db:
            for statement, values in deeds:
                assert db.execute(statement, values).rowcount == 1, statement
        db.close()

    def report(self) -> LedgerReport:
        with open_books(self.settings) as books:
            return verify_books(
                books.store,
                books.blobs,
                origin=self.settings.ledger.origin,
                public_key=books.public_key,
                anchors=books.anchors,
                witnesses=books.witnesses,
            )

    def found(self, what: object) -> LedgerReport:
        report = self.report()
        assert not report.verified, f"not found: {what}"
        assert report.problems, what
        return report


@pytest.fixture(scope="module")
def books(original: Sealed, tmp_path_factory: pytest.TempPathFactory) -> Books:
    """The ledger of the other tests, cosigned once and with one record that waits."""
    copy = original.copy(tmp_path_factory.mktemp("rows") / "copy")
    text = copy.conf.read_text()
    witness = json.dumps([witness_vkey(NAME, SECRET.public_key())])
    assert "[ledger]" in text
    copy.conf.write_text(text.replace("[ledger]", f"[ledger]\nwitnesses = {witness}", 1))
    with sqlite3.connect(copy.database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
        named = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in named:
            db.execute(f"DROP TRIGGER {name}")
        epoch, size, note = db.execute(
            "SELECT epoch, size, note FROM checkpoint ORDER BY size LIMIT 1"
        ).fetchone()
        line = cosign(split_note(note)[0], NAME, SECRET, TIME).line
        row = (epoch, size, NAME, line, TIME * 1_000_000, TIME * 1_000_000)
        db.execute("INSERT INTO cosignature VALUES (?, ?, ?, ?, ?, ?)", row)
        digest = hashlib.sha256(line.encode()).digest()
        known = (digest, "cosignature", epoch, size, NAME)
        db.execute("INSERT INTO unsaid VALUES (?, ?, ?, ?, ?)", known)
        event, at, body = db.execute("SELECT event, at, body FROM record LIMIT 1").fetchone()
        waits = json.loads(body)
        old = waits["id"]
        body = body.replace(old.encode(), WAITING.encode(), 1)
        refs = (waits["about"].get("document"), waits["about"].get("arrival"))
        db.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", (WAITING, event, at, body, *refs)
        )
        db.execute("INSERT INTO pending VALUES (?, ?)", (WAITING, at))
    db.close()
    kept = copy.folder / "kept.sqlite"
    shutil.copyfile(copy.database, kept)
    made_books = Books(config.load(copy.conf), copy.database, kept)
    report = made_books.report()
    assert (report.verified, report.problems, report.pending) == (True, (), 1)
    assert all(made_books.rows(table) for table in TABLES)
    return made_books


def other(value: object) -> object:
    """As little as can be changed."""
    match value:
        case None:
            return "x"
        case int():
            return value + 100_000
        case str():
            middle = len(value) // 2
            return (
                value[:middle]
                + ("0" if value[middle : middle + 1] != "0" else "1")
                + value[middle + 1 :]
            )
        case bytes():
            middle = len(value) // 2
            return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    raise AssertionError(value)


def sample(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rows[n] for n in sorted({0, len(rows) // 2, len(rows) - 1})]


def first_of(table: str, row: dict[str, Any], seqs: dict[str, int]) -> int | None:
    """The first entry that a row of the tree is about."""
    match table:
        case "entry":
            return int(row["seq"])
        case "record":
            return seqs.get(row["id"])
        case "node":
            return int(row["idx"]) << int(row["level"])
    return None


@pytest.fixture
def seqs(books: Books) -> dict[str, int]:
    return {row["record_id"]: row["seq"] for row in books.rows("entry")}


def changes(books: Books, table: str) -> Iterator[tuple[dict[str, Any], str]]:
    for row in sample(books.rows(table)):
        yield from ((row, column) for column in row if column != "n")


@pytest.mark.parametrize("table", TABLES)
def test_every_field_of_a_sample_of_rows(books: Books, seqs: dict[str, int], table: str) -> None:
    for row, column in changes(books, table):
        deed = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
        books.do((deed, (other(row[column]), row["n"])))
        if (table, column) in CONVENIENCES:
            assert books.report().verified, "it is not a convenience any more: take it off the list"
            continue
        report = books.found((table, column, row))
        if (table, column) in {("record", "body"), ("entry", "leaf"), ("node", "hash")}:
            seq = first_of(table, row, seqs)
            assert seq is None or report.first_bad == (1, seq), (table, column, row)


@pytest.mark.parametrize("table", TABLES)
def test_every_row_removed(books: Books, seqs: dict[str, int], table: str) -> None:
    rows = books.rows(table)
    for row in rows:
        books.do((f"DELETE FROM {table} WHERE rowid = ?", (row["n"],)))
        if table == "personal":  # the one thing that may be erased: it is said, and all holds
            erased = books.report()
            told = [(p.code, p.severity) for p in erased.problems]
            assert (erased.verified, told) == (True, [("ledger.personal_erased", Severity.NOTE)])
            continue
        report = books.found((table, row))
        if table in {"record", "entry", "node"} and row.get("id") != WAITING:
            assert report.first_bad == (1, first_of(table, row, seqs)), (table, row)


@pytest.mark.parametrize("table", list(PAYLOADS))
def test_two_rows_swapped(books: Books, seqs: dict[str, int], table: str) -> None:
    rows = books.rows(table)
    for one, two in pairwise(rows):
        columns = PAYLOADS[table]
        if all(one[c] == two[c] for c in columns):
            continue
        sets = ", ".join(f"{c} = ?" for c in columns)
        deed = f"UPDATE {table} SET {sets} WHERE rowid = ?"
        books.do(
            (deed, (*(two[c] for c in columns), one["n"])),
            (deed, (*(one[c] for c in columns), two["n"])),
        )
        report = books.found((table, one, two))
        if table in {"record", "entry"}:
            bad = [first_of(table, r, seqs) for r in (one, two)]
            assert report.first_bad == (1, min(n for n in bad if n is not None))


def test_the_tail_cut_off_without_its_checkpoints(books: Books) -> None:
    sizes = [row["size"] for row in books.rows("checkpoint")]
    for size in range(sizes[-1]):
        books.again()
        with sqlite3.connect(books.database) as db:
            gone = "SELECT record_id FROM entry WHERE seq >= ?"
            db.execute(f"DELETE FROM record WHERE id IN ({gone})", (size,))
            db.execute("DELETE FROM entry WHERE seq >= ?", (size,))
            db.execute("DELETE FROM node WHERE ((idx + 1) << level) > ?", (size,))
        db.close()
        assert books.found(size).first_bad == (1, size)


def test_an_older_backup_is_whole_and_receipts_and_witnesses_tell(made: Made, capsys) -> None:
    """The rows of a backup are in order; what was promised after it is not there."""
    older = made.first.with_name("older.sqlite")
    with closing(sqlite3.connect(made.database)) as db, closing(sqlite3.connect(older)) as copy:
        db.backup(copy)
    later = made.first.with_name("later.json")
    later.write_text(json.dumps(made.send("2")["receipt"]))
    asked = ("ledger", "verify", "--receipt", later, "--conf", made.conf)
    assert call(capsys, *asked).code == 0
    for name in ("-wal", "-shm"):
        made.database.with_name(made.database.name + name).unlink(missing_ok=True)
    shutil.copyfile(older, made.database)
    assert call(capsys, "ledger", "verify", "--conf", made.conf).code == 0
    assert call(capsys, *asked).code == 1
    assert (
        call(capsys, "ledger", "verify", "--receipt", made.receipt, "--conf", made.conf).code == 0
    )


def test_a_record_deleted_before_it_was_sealed_is_told_by_the_receipt(made: Made, capsys) -> None:
    later = made.first.with_name("later.json")
    answer = made.send("2", sealed=False)
    later.write_text(json.dumps(answer["receipt"]))
    asked = ("ledger", "verify", "--receipt", later, "--conf", made.conf)
    assert call(capsys, *asked).code == 2
    record = json.loads(answer["receipt"]["record"])["id"]
    with sqlite3.connect(made.database) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DELETE FROM pending WHERE record_id = ?", (record,))
        db.execute("DELETE FROM record WHERE id = ?", (record,))
    db.close()
    assert call(capsys, *asked).code == 1


@pytest.mark.parametrize("part", ["v", "record", "note"])
def test_a_receipt_that_was_changed_is_none(original: Sealed, tmp_path: Path, part: str) -> None:
    receipt = json.loads(original.receipt.read_text())
    text = str(receipt[part])
    for place in range(0, len(text), max(1, len(text) // 12)):
        mark = "0" if text[place] != "0" else "1"
        wrong = text[:place] + mark + text[place + 1 :]
        file = tmp_path / "receipt.json"
        file.write_text(json.dumps({**receipt, part: int(wrong) if part == "v" else wrong}))
        asked = ["ledger", "verify", "--receipt", str(file), "--conf", str(original.conf)]
        assert CliRunner().invoke(cli, asked).exit_code == 65, (part, place)
