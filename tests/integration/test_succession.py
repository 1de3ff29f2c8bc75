"""A ledger goes on with another key, or as another tree: verified across both, and witnessed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.keys.ledger import load_ledger_key, make_ledger_key
from gateway.errors import Misconfigured
from gateway.ledger.checkpoint import make_checkpoint, parse_head
from gateway.ledger.keys import vkey
from gateway.ledger.note import split_note
from gateway.renewing import Renewing
from gateway.store import sqlite_path
from gateway.store.tables import Role
from gateway.wiring.process import open_gateway
from tests.support.commands import call
from tests.support.houses import PDF, House, metadata, town

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"


@dataclass
class Made:
    """A gateway that stands still, the vkey it began with, and a receipt by the first key."""

    house: House
    first: Path
    receipt: Path

    @property
    def conf(self) -> Path:
        return self.house.conf

    @property
    def database(self) -> Path:
        found = sqlite_path(self.house.settings().database.url)
        assert found is not None
        return found

    def send(self, number: str, *, sealed: bool = True) -> dict[str, Any]:
        """One document, accepted, and sealed unless it shall wait."""

        async def one() -> dict[str, Any]:
            async with (
                town(self.house.folder.parent, stamps=False) as made,
                made.open(self.house, ("api",)) as here,
            ):
                meta = metadata(SO19, SO20, number=number)
                answer = await here.submit(meta, ("12.pdf", PDF), key=number)
                while sealed and await here.gateway.sealing.seal():
                    pass
                return answer

        return asyncio.run(one())

    def newest(self) -> str:
        with closing(sqlite3.connect(self.database)) as db:
            of = "SELECT note FROM checkpoint ORDER BY epoch DESC, size DESC LIMIT 1"
            return str(db.execute(of).fetchone()[0])


@pytest.fixture
def made(tmp_path: Path) -> Made:
    house = House("so19", tmp_path / "so19", (SO19, SO20), {}, []).build()
    first = tmp_path / "first.vkey"
    here = Made(house, first, tmp_path / "receipt.json")
    settings = house.settings()
    first.write_text(vkey(settings.ledger.origin, load_ledger_key(settings.ledger.key)) + "\n")
    here.receipt.write_text(json.dumps(here.send("1")["receipt"]))
    return here


def test_the_old_key_vouches_for_the_new_and_each_counts_in_its_time(made: Made, capsys) -> None:
    before = made.house.settings().ledger.key.read_bytes()
    line = call(capsys, "key", "rotate", "--json", "--conf", made.conf).json()["vkey"]
    assert made.house.settings().ledger.key.read_bytes() != before
    assert line in call(capsys, "key", "list", "--json", "--conf", made.conf).json()["keys"]
    second = made.send("2")["receipt"]
    assert call(capsys, "key", "rotate", "--conf", made.conf).code == 0
    made.send("3")
    newest = made.first.with_name("second.vkey")
    newest.write_text(line + "\n")
    later = made.first.with_name("later.json")
    later.write_text(json.dumps(second))
    for more in ([], ["--vkey", made.first], ["--vkey", newest]):
        ran = call(capsys, "ledger", "verify", "--json", "--conf", made.conf, *more)
        assert (ran.code, ran.json()["findings"]) == (0, []), more
        for receipt in (made.receipt, later):
            asked = ("ledger", "verify", "--receipt", receipt, "--conf", made.conf, *more)
            assert call(capsys, *asked).code == 0


def test_a_rotation_that_was_cut_short_goes_on(made: Made, capsys) -> None:
    """After the commit and before the new key took its place: the old one signs nothing more."""
    settings = made.house.settings()
    coming = settings.ledger.key.with_name("ledger.pem.next")
    new = make_ledger_key(coming)

    async def change() -> None:
        async with open_gateway(settings) as gateway:
            await Renewing(gateway.store, gateway.scribe).change_key(new)

    async def old_key() -> str:
        async with open_gateway(settings) as gateway:
            await gateway.desk.add_account("t", name="x", role=Role.OPS, agencies=())
            with pytest.raises(Misconfigured) as refused:
                await gateway.sealing.seal()
            return refused.value.code

    asyncio.run(change())
    assert asyncio.run(old_key()) == "ledger.key_retired"
    assert call(capsys, "key", "rotate", "--conf", made.conf).code == 0
    assert not coming.exists()
    made.send("2")
    ran = call(capsys, "ledger", "verify", "--json", "--vkey", made.first, "--conf", made.conf)
    assert (ran.code, ran.json()["findings"]) == (0, [])


def test_the_old_key_signs_nothing_after_it_handed_over(made: Made, capsys) -> None:
    """Whoever kept the old private key and the database: his checkpoint is no checkpoint."""
    old = load_ledger_key(made.house.settings().ledger.key)
    assert call(capsys, "key", "rotate", "--conf", made.conf).code == 0
    head = parse_head(split_note(made.newest())[0])
    at = datetime(2026, 11, 29, tzinfo=UTC)
    forged = make_checkpoint(head.origin, 1, head.size, head.root, at, old)
    change(made, "UPDATE checkpoint SET note = ? WHERE size = ?", (forged.note, head.size))
    ran = call(capsys, "ledger", "verify", "--json", "--vkey", made.first, "--conf", made.conf)
    assert ran.code == 65
    found = {f["code"] for f in ran.json()["findings"]}
    assert found == {"ledger.checkpoint_forged", "ledger.lineage"}


def test_a_new_tree_names_the_last_head_of_the_one_before(made: Made, capsys) -> None:
    before = made.newest()
    begun = call(capsys, "ledger", "begin-epoch", "--json", "--conf", made.conf).json()
    assert (begun["epoch"], begun["size"]) == (2, 1)
    made.send("2")
    ran = call(capsys, "ledger", "verify", "--json", "--conf", made.conf)
    assert (ran.code, ran.json()["findings"]) == (0, [])
    receipt = ("ledger", "verify", "--receipt", made.receipt, "--conf", made.conf)
    assert call(capsys, *receipt).code == 0, "the old tree still holds what it promised"
    with closing(sqlite3.connect(made.database)) as db:
        of = "SELECT r.body FROM entry e JOIN record r ON r.id = e.record_id WHERE epoch = 2"
        first = json.loads(db.execute(of + " AND seq = 0").fetchone()[0])
    assert first["facts"] == {"epoch": 2, "heads": [before]}
    change(made, "DELETE FROM checkpoint WHERE epoch = 1 AND note = ?", (before,))
    ran = call(capsys, "ledger", "verify", "--json", "--conf", made.conf)
    assert ran.code == 65
    assert "ledger.epoch_unexplained" in {f["code"] for f in ran.json()["findings"]}


def test_a_foreign_head_is_not_named(made: Made, capsys) -> None:
    foreign = made.first.with_name("head.txt")
    foreign.write_text(made.newest().replace("\n", "-x\n", 1))
    asked = ("ledger", "begin-epoch", "--head", foreign, "--json", "--conf", made.conf)
    assert call(capsys, *asked).code == 65
    assert "/epoch/" not in made.newest()


def change(made: Made, statement: str, values: Sequence[object]) -> None:
    with sqlite3.connect(made.database) as db:
        of = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'checkpoint'"
        for (name,) in db.execute(of).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        assert db.execute(statement, values).rowcount == 1
    db.close()
