"""`edoc-gateway ledger verify` as an auditor runs it, after somebody changed the past by hand."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway import config
from gateway.cli import cli
from tests.support.houses import PDF, House, metadata, town

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"


@dataclass
class Sealed:
    """A stopped gateway whose ledger holds one document's life, and the receipt of it."""

    folder: Path
    conf: Path
    receipt: Path
    record_id: str

    def copy(self, to: Path) -> Sealed:
        shutil.copytree(self.folder, to)
        conf = to / "conf" / "gateway.toml"
        conf.write_text(conf.read_text().replace(str(self.folder), str(to)))
        return Sealed(to, conf, self.receipt, self.record_id)

    @property
    def database(self) -> Path:
        return self.folder / "data" / "gateway.sqlite"

    def blobs(self) -> list[Path]:
        root = config.load(self.conf).blobs.folder
        return sorted(p for p in root.glob("??/*") if p.is_file())

    def change(self, *statements: str) -> None:
        """By hand, around the triggers, as somebody with the file in his hands can."""
        with sqlite3.connect(self.database) as db:
            names = [
                r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='trigger'")
            ]
            for name in names:
                db.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                assert db.execute(statement).rowcount == 1, statement
        db.close()

    def verify(self, *more: str) -> tuple[int, dict[str, Any]]:
        asked = ["ledger", "verify", "--json", "--conf", str(self.conf), *more]
        result = CliRunner().invoke(cli, asked)
        return result.exit_code, json.loads(result.stdout)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    folder = tmp_path_factory.mktemp("ledger")

    async def live() -> tuple[House, dict[str, Any]]:
        async with town(folder) as made:
            house = made.house("so19", ("H14.19", "H14.20"), {}, [])
            async with made.open(house) as here:
                answer = await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="one")
                (item,) = await here.inbox(SO20)
                await here.gateway.desk.confirm(await here.account(SO20), item["id"])
                await here.until(
                    SO19,
                    answer["id"],
                    lambda d: d["transfers"][0]["recipients"][0]["status_code"] == "01",
                )
                await here.stamped(SO19, answer["id"])
            return house, answer

    house, answer = asyncio.run(live())
    receipt = folder / "receipt.json"
    receipt.write_text(json.dumps(answer["receipt"]))
    record = json.loads(answer["receipt"]["record"])
    return Sealed(house.folder, house.conf, receipt, record["id"])


def test_an_untouched_ledger_holds_and_its_receipt_is_found(original: Sealed) -> None:
    code, report = original.verify()
    assert (code, report["verified"], report["findings"]) == (0, True, [])
    assert report["entries"] > 5
    assert report["stamped_size"] > 0
    code, found = original.verify("--receipt", str(original.receipt))
    assert (code, found["verdict"]) == (0, "found")


FLIPPED = (
    "UPDATE {table} SET {column} = "
    "CAST(substr({column}, 1, 20) || x'00' || substr({column}, 22) AS BLOB) WHERE {where}"
)
BY_HAND = [
    ("record", FLIPPED.format(table="record", column="body", where="id = '{id}'")),
    ("leaf", FLIPPED.format(table="entry", column="leaf", where="seq = 2")),
    ("node", FLIPPED.format(table="node", column="hash", where="level = 1 AND idx = 1")),
    (
        "root",
        "UPDATE checkpoint SET root = zeroblob(32) WHERE size = (SELECT min(size) FROM checkpoint)",
    ),
    (
        "note",
        "UPDATE checkpoint SET note = note || ' ' WHERE size = (SELECT max(size) FROM checkpoint)",
    ),
    ("token", FLIPPED.format(table="stamp", column="token", where="rowid = 1")),
    ("gone", "DELETE FROM record WHERE id = '{id}'"),
    ("tail", "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)"),
    ("order", "UPDATE entry SET record_id = 'x' || record_id WHERE seq = 1"),
]


@pytest.mark.parametrize(("what", "statement"), BY_HAND, ids=[w for w, _ in BY_HAND])
def test_one_change_by_hand_is_found(
    original: Sealed, tmp_path: Path, what: str, statement: str
) -> None:
    changed = original.copy(tmp_path / "copy")
    changed.change(statement.format(id=original.record_id))
    code, report = changed.verify()
    assert code == 65, what
    assert not report["verified"]
    assert report["findings"], "the answer says what is wrong and where"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [flip, Path.unlink], ids=["changed", "removed"])
def test_a_blob_that_is_not_what_was_recorded_is_found(
    original: Sealed, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    changed = original.copy(tmp_path / "copy")
    for blob in changed.blobs():
        harm(blob)
    code, report = changed.verify()
    assert code == 65
    assert report["first_bad"] is not None
    assert {f["code"] for f in report["findings"]} <= {
        "ledger.blob_changed",
        "ledger.blob_missing",
    }


def test_a_receipt_shows_what_was_promised_after_the_rows_were_removed(
    original: Sealed, tmp_path: Path
) -> None:
    """Even with the entry, its record and everything built on them taken out."""
    changed = original.copy(tmp_path / "copy")
    changed.change(
        f"DELETE FROM entry WHERE record_id = '{original.record_id}'",
        f"DELETE FROM record WHERE id = '{original.record_id}'",
    )
    code, report = changed.verify("--receipt", str(original.receipt))
    assert (code, report["verdict"]) == (1, "missing")
