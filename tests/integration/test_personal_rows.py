"""Personal values beside records: changed ones are found, erased ones are lawful and said so."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, insert, update

from gateway.audit.personals import unchanged
from gateway.errors import Finding, Severity
from gateway.ledger.records import record_bytes, salted
from gateway.model.record import Record
from gateway.store import Store, Tx, ledger
from gateway.store.ledger import NewRecord
from gateway.store.tables import personal

AT = datetime(2026, 11, 29, tzinfo=UTC)
SALT = "00112233445566778899aabbccddeeff"
NAME = "Nguyễn Thị Ánh Nguyệt"


def record(number: int, values: dict[str, str]) -> NewRecord:
    digests = {field: salted(SALT, field, value) for field, value in values.items()}
    made = Record(
        id=f"r{number}",
        event="operator.released",
        at=AT,
        salt=f"{number:032x}",
        about={},
        facts={"personal": digests} if digests else {"n": number},
    )
    hidden = tuple((field, SALT, value) for field, value in values.items())
    return NewRecord(made.id, made.event, AT, record_bytes(made), personal=hidden)


def told(store: Store) -> list[tuple[str, str]]:
    def look(tx: Tx) -> list[Finding]:
        return list(unchanged(tx))

    found = store.read_sync(look)
    assert all(NAME not in f.text.vi + f.text.en for f in found)
    return [(f.path, f.code) for f in found if f.severity is Severity.ERROR] + [
        (f.path, f.text.en.partition(" ")[0]) for f in found if f.severity is Severity.NOTE
    ]


def test_each_value_is_the_one_that_was_recorded(any_store: Store) -> None:
    rows = [record(1, {"reason": NAME}), record(2, {}), record(3, {"reason": "x", "subject": NAME})]
    any_store.write_sync(lambda tx: ledger.append(tx, rows))
    assert told(any_store) == []
    columns = personal.c
    for changes, found in (
        ({"value": NAME + " "}, ["reason"]),
        ({"value": NAME, "salt": SALT[::-1]}, ["reason"]),
        ({"salt": "no salt"}, ["reason"]),
        ({"salt": SALT}, []),
    ):
        of = update(personal).where(columns.record_id == "r1").values(**changes)
        any_store.write_sync(lambda tx, of=of: tx.execute(of).count)
        expected = [(f"record/r1/personal/{f}", "ledger.personal_changed") for f in found]
        assert told(any_store) == expected


def test_what_no_record_states_is_found(any_store: Store) -> None:
    any_store.write_sync(lambda tx: ledger.append(tx, [record(1, {"reason": NAME}), record(2, {})]))
    more = [("r1", "subject"), ("r2", "reason"), ("r9", "reason")]
    rows = [{"record_id": r, "field": f, "salt": SALT, "value": NAME} for r, f in more]
    any_store.write_sync(lambda tx: tx.execute(insert(personal), rows).count)
    expected = [(f"record/{r}/personal/{f}", "ledger.personal_changed") for r, f in more]
    assert told(any_store) == expected


def test_erased_values_are_counted_and_nothing_is_wrong(any_store: Store) -> None:
    rows = [record(n, {"reason": NAME, "subject": "x"}) for n in range(3)]
    any_store.write_sync(lambda tx: ledger.append(tx, rows))
    of = delete(personal).where(personal.c.field == "reason")
    any_store.write_sync(lambda tx: tx.execute(of).count)
    assert told(any_store) == [("personal", "3")]
