"""`edoc-gateway ledger verify` after somebody changed what is shown, and nothing that is sealed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.audit.books import verify_books
from gateway.cli import cli
from gateway.ledger.verify import LedgerReport
from gateway.model.arrival import ArrivalState, Incoming, ItemKind
from gateway.model.package import PackageKind
from gateway.store import Tx, arrivals
from gateway.store.tables import Role
from gateway.wiring.books import open_books
from tests.integration.test_life_of_a_document import SO19, SO20, VPCP, a_status, two_houses
from tests.support.databases import Postgres
from tests.support.houses import PDF, House, Running, Town, metadata, town

UNKNOWN = f"{SO19},2026/01/01,99/CHUA-GUI"
PATIENT = timedelta(hours=1)


async def business(here: Running, there: Running, made: Town) -> dict[str, Any]:
    """Documents both ways and next door, statuses, a broken package, an orphan, an account."""
    answer = await here.submit(metadata(SO19, VPCP, SO20), ("12.pdf", PDF), key="one")
    await there.submit(metadata(VPCP, SO19, number="7"), ("7.pdf", PDF), key="two")
    for side, code, more in ((there, VPCP, ("03", "06")), (here, SO20, ("02",)), (here, SO19, ())):
        (item,) = await side.inbox(code)
        who, desk = await side.account(code), side.gateway.desk
        await desk.fetched(who, await desk.item(who, item["id"]))
        await desk.confirm(who, item["id"])
        for status in more:
            await desk.report_status(who, item["id"], code=status, description="Lý do mẫu")
    said = await here.inbox(SO19, ItemKind.STATUS)
    await here.gateway.desk.confirm(await here.account(SO19), said[0]["id"])
    orphan = a_status("06", UNKNOWN, "2026/11/22 11:00:00")
    await made.axes["vxp"].deposit(orphan, system_id="sys.g22", sender=VPCP)
    await _broken(here)
    passing, _ = await here.gateway.desk.add_account(
        "test", name="kiểm tra", role=Role.AUDITOR, agencies=()
    )
    await here.gateway.desk.revoke_account("test", passing.id)
    await here.until(SO19, answer["id"], _both_answered)
    await _opened(here, {"OPENED", "ORPHAN", "QUARANTINED"})
    await here.stamped(SO19, answer["id"])
    return answer


async def _broken(here: Running) -> None:
    data = b"<edXML>"
    digest = hashlib.sha256(data).hexdigest()
    here.gateway.blobs.keep_bytes(data, digest)
    came = Incoming("vxp", "broken-1", PackageKind.DOCUMENT, digest, len(data))
    await here.gateway.desk.inbound.receive(came)


def _both_answered(shown: dict[str, Any]) -> bool:
    codes = [r["status_code"] for t in shown["transfers"] for r in t["recipients"]]
    return sorted(codes) == ["02", "06"]


async def _opened(here: Running, states: set[str]) -> None:
    """Every arrival is opened, and all of these states are among them."""

    def look(tx: Tx) -> set[str]:
        return {row.state for row in arrivals.in_states(tx, list(ArrivalState), 100)}

    listener = here.gateway.store.listener("inbox")
    async with asyncio.timeout(30):
        while await here.gateway.store.read(look) != states:
            await listener.wait(0.05)


def live(folder: Path, urls: Iterator[str]) -> tuple[list[House], dict[str, Any]]:
    async def run() -> tuple[list[House], dict[str, Any]]:
        async with town(folder) as made:
            both = await two_houses(made, lambda: next(urls, ""))
            async with made.open(both[0]) as here, made.open(both[1]) as there:
                return list(both), await business(here, there, made)

    return asyncio.run(run())


def report_of(house: House, patience: timedelta | None = PATIENT) -> LedgerReport:
    settings = house.settings()
    with open_books(settings) as books:
        return verify_books(
            books.store,
            books.blobs,
            origin=settings.ledger.origin,
            public_key=books.public_key,
            anchors=books.anchors,
            stamp_max_delay=patience,
        )


def holds(house: House) -> None:
    report = report_of(house)
    assert (report.verified, report.problems) == (True, ())
    assert report.entries > 10, "there was something to hold against"


@dataclass
class Lived:
    """Two stopped gateways; `copy` gives the first one's folder to be spoiled."""

    houses: list[House]
    answer: dict[str, Any]

    def copy(self, to: Path) -> Spoiled:
        folder = self.houses[0].folder
        shutil.copytree(folder, to)
        conf = to / "conf" / "gateway.toml"
        conf.write_text(conf.read_text().replace(str(folder), str(to)))
        return Spoiled(to, conf, self.answer)


@dataclass
class Spoiled:
    folder: Path
    conf: Path
    answer: dict[str, Any]

    def change(self, statement: str, rows: int = 1) -> None:
        """By hand, around the triggers, as somebody with the file in his hands can."""
        with closing(sqlite3.connect(self.folder / "data" / "gateway.sqlite")) as db, db:
            for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                db.execute(f"DROP TRIGGER {name}")
            assert db.execute(statement).rowcount == rows, statement

    def run(self, *asked: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["ledger", "verify", *asked, "--conf", str(self.conf)])
        return result.exit_code, result.stdout

    def verify(self, *asked: str) -> tuple[int, dict[str, Any]]:
        code, out = self.run("--json", *asked)
        return code, json.loads(out)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return Lived(*live(tmp_path_factory.mktemp("shown"), iter(())))


def test_what_is_shown_is_what_was_recorded(lived: Lived) -> None:
    for house in lived.houses:
        holds(house)


@pytest.mark.postgres
def test_what_is_shown_is_what_was_recorded_on_postgresql(
    tmp_path: Path, postgres: Postgres
) -> None:
    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        houses, _ = live(tmp_path, iter([one, two]))
        for house in houses:
            holds(house)


DAY = 86_400_000_000  # microseconds, as SQLite keeps instants
_DOCUMENT = "kind = 'document'"
_NEAR = "transfer_id = (SELECT id FROM transfer WHERE axis = 'loopback' AND kind = 'document')"
_FAR = "transfer_id = (SELECT id FROM transfer WHERE axis = 'vxp' AND kind = 'document')"
_FIRST_STATUS = "rowid = (SELECT min(rowid) FROM status_event)"
_CONFIRMED = "kind = 'document' AND state = 'ENTERED'"
_PROMISE = "event = 'submission.accepted'"

# what, table, assignment, which row, the code that must be found
BY_HAND = [
    ("record", "at = at - {day}", _PROMISE, "record"),
    ("record", "event = 'submission.refused'", _PROMISE, "record"),
    ("record", "document_ref = NULL", "event = 'attempt.ended'", "record"),
    ("record", "document_ref = 'another'", "event = 'recipient.moved'", "record"),
    ("record", "arrival_id = NULL", "event = 'item.entered'", "record"),
    ("document", "accepted_at = accepted_at - {day}", _DOCUMENT, "document"),
    ("document", "released_at = released_at - {day}", _DOCUMENT, "document"),
    ("document", "released_source = 'stated'", _DOCUMENT, "document"),
    ("document", "accepted_at = accepted_at + 1", "kind = 'status'", "document"),
    ("document", "document_id = 'another'", _DOCUMENT, "document"),
    ("document", "identity = 'another'", _DOCUMENT, "document"),
    ("document", "sender = 'H14.20'", _DOCUMENT, "document"),
    ("document", "record_id = 'another'", _DOCUMENT, "document"),
    ("transfer", "package_sha256 = 'another'", _DOCUMENT, "transfer"),
    ("transfer", "state = 'REFUSED'", _DOCUMENT, "transfer"),
    ("transfer", "state = 'SEALED'", _DOCUMENT, "transfer"),
    ("transfer", "attempts = attempts + 1", _DOCUMENT, "transfer"),
    ("transfer", "accepted_at = accepted_at - {day}", _DOCUMENT, "transfer"),
    ("transfer", "document_ref = (SELECT id FROM document WHERE kind = 'status')", _DOCUMENT, ""),
    ("recipient", "entered_at = entered_at - {day}", _FAR, "recipient"),
    ("recipient", "entered_at = NULL", _FAR, "recipient"),
    ("recipient", "entered_source = 'observed'", _FAR, "recipient"),
    ("recipient", "on_axis_at = on_axis_at - 1", _FAR, "recipient"),
    ("recipient", "on_axis_at = NULL", _FAR, "recipient"),
    ("recipient", "state = 'ARRIVED', status_code = '01'", _NEAR, "recipient"),
    ("recipient", "agency = 'H14.19'", _NEAR, "transfer"),
    ("status_event", "timestamp = '2026/11/01 08:00:00'", _FIRST_STATUS, "status"),
    ("status_event", "code = '15'", _FIRST_STATUS, "status"),
    ("status_event", "arrival_id = 'another'", _FIRST_STATUS, "status"),
    ("attempt", "started_at = started_at - {day}", "number = 1", "attempt"),
    ("attempt", "ended_at = ended_at + {day}", "number = 1", "attempt"),
    ("attempt", "outcome = 'deferred'", "number = 1", "attempt"),
    ("arrival", "raw_sha256 = 'another'", "state = 'QUARANTINED'", "arrival"),
    ("arrival", "received_at = received_at - {day}", "state = 'QUARANTINED'", "arrival"),
    ("arrival", "state = 'DUPLICATE'", "state = 'ORPHAN'", "arrival"),
    ("arrival", "document_id = 'another'", "state = 'ORPHAN'", "arrival"),
    ("inbox_item", "available_at = available_at + {day}", _CONFIRMED, "item"),
    ("inbox_item", "fetched_at = fetched_at + {day}", _CONFIRMED, "item"),
    ("inbox_item", "entered_at = entered_at + {day}", _CONFIRMED, "item"),
    ("inbox_item", "entered_at = NULL, state = 'WAITING'", _CONFIRMED, "item"),
    ("inbox_item", "sender = 'H14.20'", _CONFIRMED, "item"),
    ("inbox_item", "state = 'ENTERED'", "state = 'REFUSED'", "item"),
    ("inbox_item", "about_document = NULL", "kind = 'status'", "item"),
    ("account", "revoked_at = NULL", "revoked_at IS NOT NULL", "account"),
    ("account", "role = 'admin'", "role = 'auditor'", "account"),
    ("account", "agencies = '[\"G22\"]'", "role = 'unit'", "account"),
]


@pytest.mark.parametrize(
    ("table", "assigned", "where", "kind"), BY_HAND, ids=[f"{t}: {a}" for t, a, *_ in BY_HAND]
)
def test_what_is_shown_otherwise_is_found(
    lived: Lived, tmp_path: Path, table: str, assigned: str, where: str, kind: str
) -> None:
    spoiled = lived.copy(tmp_path / "copy")
    one = f"rowid = (SELECT min(rowid) FROM {table} WHERE {where})"
    spoiled.change(f"UPDATE {table} SET {assigned.format(day=DAY)} WHERE {one}")
    code, report = spoiled.verify()
    assert (code, report["verified"]) == (65, False)
    found = {f["code"] for f in report["findings"]}
    assert f"ledger.shown_{kind or 'document'}" in found
    assert all(f["severity"] == "error" for f in report["findings"])


@pytest.mark.parametrize("table", ["inbox_item", "status_event", "recipient"])
def test_what_is_no_longer_shown_is_found(lived: Lived, tmp_path: Path, table: str) -> None:
    spoiled = lived.copy(tmp_path / "copy")
    spoiled.change(f"DELETE FROM {table} WHERE rowid = (SELECT min(rowid) FROM {table})")
    assert spoiled.verify()[0] == 65


def test_a_finding_says_what_is_shown_and_what_is_recorded(lived: Lived, tmp_path: Path) -> None:
    spoiled = lived.copy(tmp_path / "copy")
    ref = lived.answer["id"]
    spoiled.change(f"UPDATE document SET accepted_at = 1767225600000000 WHERE id = '{ref}'")
    _, report = spoiled.verify("--lang", "en")
    (finding,) = report["findings"]
    assert finding["path"] == f"document/{ref}"
    assert "accepted_at is shown as 2026-01-01T07:00:00.000000+07:00" in finding["message"]
    assert f"recorded: {lived.answer['accepted_at']}" in finding["message"]
    code, page = spoiled.run("--lang", "vi")
    assert code == 65
    assert "Sổ cái KHÔNG toàn vẹn" in page
    assert "accepted_at hiển thị 2026-01-01" in page


def test_findings_beyond_the_limit_are_counted(lived: Lived, tmp_path: Path) -> None:
    spoiled = lived.copy(tmp_path / "copy")
    with closing(sqlite3.connect(spoiled.folder / "data" / "gateway.sqlite")) as db:
        (records,) = db.execute("SELECT count(*) FROM record").fetchone()
    spoiled.change("UPDATE record SET at = at + 1, event = event || '.x'", rows=records)
    code, report = spoiled.verify()
    assert code == 65
    assert len(report["findings"]) == 100
    assert len(report["findings"]) + report["left_out"] == 2 * records


def test_entries_without_a_stamp_are_a_warning(lived: Lived, tmp_path: Path) -> None:
    spoiled = lived.copy(tmp_path / "copy")
    with closing(sqlite3.connect(spoiled.folder / "data" / "gateway.sqlite")) as db:
        (stamps,) = db.execute("SELECT count(*) FROM stamp").fetchone()
    spoiled.change("DELETE FROM stamp", rows=stamps)
    code, report = spoiled.verify()
    assert (code, report["verified"]) == (65, False), "checkpoints name each stamp"
    assert report["unstamped"] == report["entries"]
    assert Counter((f["code"], f["severity"]) for f in report["findings"]) == {
        ("ledger.stamp_lost", "error"): stamps,
        ("ledger.unstamped", "warning"): 1,
    }
    assert f"{report['entries']:,} entries are not stamped yet" in spoiled.run("--lang", "en")[1]


def test_a_stamp_far_behind_is_a_warning_and_one_just_behind_is_none(
    lived: Lived, tmp_path: Path
) -> None:
    spoiled = lived.copy(tmp_path / "copy")
    with closing(sqlite3.connect(spoiled.folder / "data" / "gateway.sqlite")) as db:
        sizes = [s for (s,) in db.execute("SELECT DISTINCT size FROM stamp ORDER BY size")]
        (later,) = db.execute("SELECT count(*) FROM stamp WHERE size > ?", sizes[:1]).fetchone()
    spoiled.change(f"DELETE FROM stamp WHERE size > {sizes[0]}", rows=later)
    house = House("so19", spoiled.folder, (), {}, ())
    behind = report_of(house, timedelta(0))
    lost = ["ledger.stamp_lost"] * later
    assert [p.code for p in behind.problems] == ["ledger.unstamped", *lost]
    assert behind.unstamped == behind.entries - sizes[0]
    assert [p.code for p in report_of(house, timedelta(days=36500)).problems] == lost
    assert [p.code for p in report_of(house, None).problems] == lost, "nobody was asked for stamps"


def test_a_receipt_whose_record_is_gone_is_missing_and_tells_what_was_promised(
    lived: Lived, tmp_path: Path
) -> None:
    """The entry alone proves that something was sealed, and no longer says what."""
    spoiled = lived.copy(tmp_path / "copy")
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(lived.answer["receipt"]))
    record = json.loads(lived.answer["receipt"]["record"])
    code, found = spoiled.verify("--receipt", str(receipt))
    assert (code, found["verdict"]) == (0, "found")
    spoiled.change(f"DELETE FROM record WHERE id = '{record['id']}'")
    code, found = spoiled.verify("--receipt", str(receipt))
    assert (code, found["verdict"]) == (1, "missing")
    assert found["event"] == "submission.accepted"
    assert found["at"] == lived.answer["accepted_at"]
    assert found["about"]["document"] == lived.answer["id"]
    assert found["facts"]["document_id"] == lived.answer["document_id"]
    code, page = spoiled.run("--receipt", str(receipt), "--lang", "vi")
    assert code == 1
    assert lived.answer["document_id"] in page
    assert lived.answer["accepted_at"] in page
