"""The rows of reconciliation on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from gateway.model.package import PackageKind
from gateway.store import Store, Violation, leases, reconciliations
from gateway.store.tables import arrival, document, fetch, inbox_item, recipient, record, transfer

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HELD = {
    "axis": "vxp",
    "kind": "document",
    "sender": "",
    "receiver": "",
    "listed_at": AT,
    "due_at": AT,
    "fence": 1,
    "tries": 5,
    "equal_failures": 5,
}


def sent(tx, number, *, state="ON_AXIS", status_code="", kind="document", ref="", attempts=1):
    ids = f"d{number}", f"t{number}"
    at = AT + timedelta(minutes=number)
    tx.execute(
        insert(document),
        {
            "id": ids[0],
            "kind": kind,
            "account_id": "a",
            "sender": "H14",
            "sender_key": "H14",
            "document_id": f"doc {number}",
            "identity": f"i{number}",
            "business_type": 0,
            "header": {"due_date": "2026-12-01"},
            "files": [],
            "accepted_at": at,
            "released_at": at,
            "released_source": "stated",
            "answer": "",
            "record_id": "r",
        },
    )
    tx.execute(
        insert(transfer),
        {
            "id": ids[1],
            "document_ref": ids[0],
            "kind": kind,
            "axis": "vxp",
            "state": state,
            "lane": 3,
            "doubt": False,
            "attempts": attempts,
            "sender": "H14",
            "package_sha256": "",
            "package_size": 1,
            "accepted_at": at,
            "expires_at": at,
            "fence": 0,
            "equal_answers": 0,
            "remote_ref": ref,
            "record_id": "r",
            "moved_at": at,
        },
    )
    tx.execute(
        insert(recipient),
        {
            "transfer_id": ids[1],
            "agency_key": "G22",
            "agency": "G22",
            "state": "ON_AXIS" if state == "ON_AXIS" else "PENDING",
            "status_code": status_code,
            "moved_at": at,
        },
    )


def page(store, *, only_open, after=(AT - DAY, ""), most=10, begin=AT, end=AT + DAY):
    found = store.read_sync(
        lambda tx: reconciliations.sent_page(
            tx, "vxp", begin=begin, end=end, after=after, most=most, only_open=only_open
        )
    )
    return [row.id for row in found], found


def test_a_day_s_transfers_come_page_by_page_and_open_ones_alone(any_store: Store):
    def fill(tx):
        sent(tx, 1, ref="A")
        sent(tx, 2, status_code="01")
        sent(tx, 3, state="REFUSED")
        sent(tx, 4, state="DEFERRED")
        sent(tx, 5, kind="status")

    any_store.write_sync(fill)
    ids, rows = page(any_store, only_open=False)
    assert ids == ["t1", "t2", "t3", "t4", "t5"]
    assert rows[0].header == {"due_date": "2026-12-01"}
    last = rows[1]
    rest, _ = page(any_store, only_open=False, after=(last.accepted_at, last.id), most=2)
    assert rest == ["t3", "t4"]
    assert page(any_store, only_open=True)[0] == ["t1", "t4"]
    assert page(any_store, only_open=False, begin=AT + DAY, end=AT + 2 * DAY)[0] == []
    assert any_store.read_sync(lambda tx: reconciliations.our_ids(tx, "vxp", ["A", "B"])) == {"A"}
    first = any_store.read_sync(lambda tx: reconciliations.first_known(tx, "vxp"))
    assert first == AT + timedelta(minutes=1)


def test_an_axis_begins_with_whatever_came_first(any_store: Store):
    def first():
        return any_store.read_sync(lambda tx: reconciliations.first_known(tx, "vxp"))

    assert first() is None
    came = {
        "axis": "vxp", "kind": "document", "state": "OPENED", "raw_sha256": "", "raw_size": 1,
        "listed_from": "", "listed_to": "", "opens": 0, "fence": 0, "verdict": {},
        "findings": [], "record_id": "r",
    }  # fmt: skip
    any_store.write_sync(
        lambda tx: tx.execute(
            insert(arrival), {**came, "id": "a1", "axis_doc_id": "1", "received_at": AT + 3 * DAY}
        )
    )
    assert first() == AT + 3 * DAY, "received, and nothing else known"
    any_store.write_sync(
        lambda tx: tx.execute(
            insert(fetch),
            {**HELD, "axis_doc_id": "2", "state": "HELD", "listed_at": AT + 2 * DAY},
        )
    )
    assert first() == AT + 2 * DAY, "listed, and never fetched"
    any_store.write_sync(lambda tx: sent(tx, 1))
    assert first() == AT + timedelta(minutes=1)
    assert any_store.read_sync(lambda tx: reconciliations.first_known(tx, "lgsp")) is None


def test_every_id_an_axis_ever_gave_is_found_in_the_records(any_store: Store):
    rows = [
        {"id": f"r{n}", "event": event, "at": AT, "body": b"{}", "document_ref": ref}
        for n, (event, ref) in enumerate(
            [("attempt.ended", "d1"), ("attempt.started", "d1"), ("attempt.ended", "d2")]
        )
    ]
    any_store.write_sync(lambda tx: tx.execute(insert(record), rows))
    found = any_store.read_sync(
        lambda tx: reconciliations.bodies_of_attempts(tx, ["d1"], "attempt.ended")
    )
    assert found == [b"{}"]


def test_what_waits_and_what_is_fetched_again(any_store: Store):
    def fill(tx):
        tx.execute(insert(fetch), {**HELD, "axis_doc_id": "h", "state": "HELD"})
        tx.execute(insert(fetch), {**HELD, "axis_doc_id": "f", "state": "FETCHED"})
        new = reconciliations.fetch_by_id(tx, "vxp", "n", PackageKind.DOCUMENT, now=AT)
        known = reconciliations.fetch_by_id(tx, "vxp", "h", PackageKind.DOCUMENT, now=AT)
        return new, known

    assert any_store.write_sync(fill) == (True, False)

    def states():
        rows = any_store.read_sync(lambda tx: reconciliations.unfetched(tx, "vxp", most=9))
        return {row.axis_doc_id: row.state for row in rows}

    assert states() == {"h": "HELD", "n": "DUE"}
    again = [
        any_store.write_sync(lambda tx, i=i: reconciliations.fetch_again(tx, "vxp", i, now=AT))
        for i in ("h", "h", "f")
    ]
    assert again == [True, False, False]
    assert states() == {"h": "DUE", "n": "DUE"}
    found = any_store.read_sync(lambda tx: reconciliations.fetches(tx, "vxp", ["f", "x"]))
    assert {i: row.state for i, row in found.items()} == {"f": "FETCHED"}


def test_what_came_twice_is_told_with_what_it_doubled(any_store: Store):
    def came(tx, doc_id, state, identity="i"):
        tx.execute(
            insert(arrival),
            {
                "id": f"a-{doc_id}",
                "axis": "vxp",
                "axis_doc_id": doc_id,
                "kind": "document",
                "state": state,
                "raw_sha256": "",
                "raw_size": 1,
                "listed_from": "",
                "listed_to": "",
                "received_at": AT,
                "opens": 1,
                "fence": 1,
                "document_id": "doc 1",
                "identity": identity,
                "verdict": {},
                "findings": [],
                "record_id": "r",
            },
        )

    def fill(tx):
        came(tx, "1", "OPENED")
        came(tx, "2", "DUPLICATE")
        came(tx, "3", "RECEIVED", "")
        tx.execute(
            insert(inbox_item),
            {
                "id": "i1",
                "arrival_id": "a-1",
                "agency": "G22",
                "agency_key": "G22",
                "kind": "document",
                "identity": "i",
                "state": "WAITING",
                "lane": 3,
                "axis": "vxp",
                "sender": "H14",
                "document_id": "doc 1",
                "content": {},
                "available_at": AT,
            },
        )

    any_store.write_sync(fill)
    twice = any_store.read_sync(
        lambda tx: reconciliations.doubled(
            tx, "vxp", begin=AT, end=AT + DAY, agency_keys=["G22"], after="", most=9
        )
    )
    assert [(one.axis_doc_id, one.document_id, one.of) for one in twice] == [("2", "doc 1", ("1",))]
    lying = any_store.read_sync(lambda tx: reconciliations.unopened(tx, "vxp", before=AT, most=9))
    assert [row.axis_doc_id for row in lying] == ["3"]
    known = any_store.read_sync(lambda tx: reconciliations.arrivals(tx, "vxp", ["1", "9"]))
    assert list(known) == ["1"]


def made(number, once):
    return reconciliations.Made(
        f"m{number}", "vxp", "2026-11-20", once, AT, {"transfers": 1}, b"{}", "note", "r"
    )


def test_a_day_has_one_daily_report_and_any_number_that_were_asked_for(any_store: Store):
    def keep(one):
        any_store.write_sync(lambda tx: reconciliations.keep(tx, one))

    keep(made(1, "vxp/2026-11-20"))
    keep(made(2, "m2"))
    with pytest.raises(Violation) as refused:
        keep(made(3, "vxp/2026-11-20"))
    assert refused.value.kind == "unique"
    newest = any_store.read_sync(lambda tx: reconciliations.newest_daily(tx, "vxp"))
    assert newest == "2026-11-20"
    assert any_store.read_sync(lambda tx: reconciliations.newest_daily(tx, "other")) == ""
    found = any_store.read_sync(lambda tx: reconciliations.by_once(tx, "vxp/2026-11-20"))
    assert found == made(1, "vxp/2026-11-20")
    assert any_store.read_sync(lambda tx: reconciliations.by_id(tx, "m2")) == made(2, "m2")
    all_of_it = any_store.read_sync(lambda tx: reconciliations.all_made(tx, "", 9))
    assert [one.id for one in all_of_it] == ["m1", "m2"]
    for axis, day, before, ids in (
        ("", "", "", ["m2", "m1"]),
        ("vxp", "2026-11-20", "m2", ["m1"]),
        ("other", "", "", []),
        ("", "2026-11-21", "", []),
    ):
        rows = any_store.read_sync(
            lambda tx, a=axis, d=day, b=before: reconciliations.page(
                tx, axis=a, day=d, before=b, most=9
            )
        )
        assert [one.id for one in rows] == ids


def test_a_run_is_found_by_its_last_page_until_its_pages_go(any_store: Store):
    day = "2026-11-20"

    def add(number):
        one = reconciliations.Page("run", number, {"step": "sent"}, {"n": number}, AT)
        any_store.write_sync(lambda tx: reconciliations.add_page(tx, "vxp", day, one))

    add(0)
    add(1)
    with pytest.raises(Violation):
        add(1)
    last = any_store.read_sync(lambda tx: reconciliations.last_page(tx, "vxp", day))
    assert last is not None
    assert (last.page, last.found, last.at) == (1, {"n": 1}, AT)
    first = any_store.read_sync(lambda tx: reconciliations.found_on(tx, "vxp", day, 0))
    assert first == {"n": 0}
    assert any_store.read_sync(lambda tx: reconciliations.run_of(tx, "run")) == ("vxp", day)
    any_store.write_sync(lambda tx: reconciliations.drop_pages(tx, "vxp", day))
    assert any_store.read_sync(lambda tx: reconciliations.last_page(tx, "vxp", day)) is None
    assert any_store.read_sync(lambda tx: reconciliations.run_of(tx, "run")) is None


def test_a_lease_is_held_until_it_ends(any_store: Store):
    any_store.write_sync(lambda tx: leases.take(tx, "n", "me", now=AT, until=AT + DAY))
    held = [
        any_store.read_sync(lambda tx, at=at: leases.is_held(tx, "n", at)) for at in (AT, AT + DAY)
    ]
    assert held == [True, False]
