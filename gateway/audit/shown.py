"""What the gateway shows, against what its ledger says: nobody may change the one by hand.

In:     one reading transaction.
Out:    findings, as a stream: rows, or columns kept beside a record, that say something else than
        the records do. Their bytes are judged elsewhere (`ledger.verify`): both together hold.
Never:  writes; holds more than a batch of rows, and the accounts, in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from gateway.audit import received, reconciled, sent
from gateway.audit.against import Against, Headed, Said, batches, by, headed, said
from gateway.errors import Finding
from gateway.store import Tx, accounts, audit
from gateway.telemetry.events import Event

_ABOUT_ACCOUNTS = frozenset({Event.ACCOUNT_ADDED, Event.ACCOUNT_REVOKED})
_MANY = 2000  # records at a time


def shown_otherwise(tx: Tx) -> Iterator[Finding]:
    """Everything that is shown and that some record speaks of, in the order of the tables."""
    people: list[Said] = []
    yield from _columns(tx, people)
    yield from sent.documents(tx)
    yield from received.arrivals(tx)
    yield from received.reports(tx)
    yield from reconciled.reports(tx)
    told = by(people, lambda s: s.about.get("account", ""))
    for row in accounts.everyone(tx):
        yield from _account(row, told.get(row.id, []))


def _columns(tx: Tx, people: list[Said]) -> Iterator[Finding]:
    """The copies beside each body, by which records are found. Keeps those about accounts."""
    for rows in batches(partial(audit.records, tx), _MANY):
        for row in rows:
            record = headed(row.body)
            if record is None:
                continue
            if record.event in _ABOUT_ACCOUNTS and (whole := said(row.body)) is not None:
                people.append(whole)
            about = record.about
            if row[1:5] != (record.event, record.at, about.get("document"), about.get("arrival")):
                yield from _record(row, record)


def _record(row: audit.RecordColumns, record: Headed) -> Iterator[Finding]:
    shown = Against(
        f"record/{row.id}",
        "ledger.shown_record",
        "Các cột bên cạnh bản ghi khác với chính bản ghi",
        "the columns beside the record are not what the record says",
    )
    yield from shown.says("event", row.event, record.event)
    yield from shown.says("at", row.at, record.at)
    yield from shown.says("document_ref", row.document_ref, record.about.get("document"))
    yield from shown.says("arrival_id", row.arrival_id, record.about.get("arrival"))


def _account(row: accounts.Account, told: Sequence[Said]) -> Iterator[Finding]:
    shown = Against(
        f"account/{row.id}",
        "ledger.shown_account",
        "Khóa truy cập đang hiển thị khác với bản ghi trong sổ cái",
        "what is shown of the account is not what its records say",
    )
    added = next((s for s in told if s.event == Event.ACCOUNT_ADDED), None)
    if added is None:
        yield shown.finding("created_at", row.created_at, ())
        return
    revoked = [s.at for s in told if s.event == Event.ACCOUNT_REVOKED]
    yield from shown.says("created_at", row.created_at, added.at)
    yield from shown.says("revoked_at", row.revoked_at, *(revoked or (None,)))
    yield from shown.says("role", row.role.value, added.facts.get("role"))
    agencies = [code.upper() for code in row.agencies]
    yield from shown.says("agencies", agencies, added.facts.get("agencies"))
