"""The cache of revocation data on both databases: wanted, asked once, kept while it is better."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from gateway.store import Store, revocations
from gateway.store.revocations import Answer, Place, Waiting
from gateway.store.tables import arrival

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIST = Place("crl", "http://crl.example.vn/a.crl", "issuer", b"leaf", b"issuer")
STATUS = Place("ocsp", "http://ocsp.example.vn/", "leaf", b"leaf", b"issuer")
ANSWER = Answer(b"answer", "ab" * 32, NOW - HOUR, NOW + HOUR)


def want(store: Store, *places: Place, at: datetime = NOW) -> None:
    store.write_sync(lambda tx: revocations.want(tx, places, at))


def claim(store: Store, at: datetime, most: int = 10) -> list[revocations.Due]:
    return store.write_sync(lambda tx: revocations.claim(tx, most=most, now=at, until=at + HOUR))


def test_a_place_that_is_wanted_is_due_once_and_nobody_asks_it_twice(any_store: Store) -> None:
    want(any_store, LIST, STATUS)
    want(any_store, LIST)
    assert sorted(d.kind for d in claim(any_store, NOW)) == ["crl", "ocsp"]
    assert claim(any_store, NOW) == []
    assert len(claim(any_store, NOW + HOUR, most=1)) == 1


def test_one_address_under_two_issuers_is_two_places(any_store: Store) -> None:
    want(any_store, LIST, LIST._replace(about="another issuer"))
    assert len(claim(any_store, NOW)) == 2


def test_an_answer_is_given_back_byte_for_byte(any_store: Store) -> None:
    want(any_store, LIST)
    any_store.write_sync(
        lambda tx: revocations.answered(tx, LIST.id, ANSWER, at=NOW, again=NOW + HOUR)
    )
    held = any_store.read_sync(lambda tx: revocations.held(tx, [LIST.id, STATUS.id]))
    assert list(held) == [LIST.id]
    assert (held[LIST.id].sha256, held[LIST.id].fetched_at) == (ANSWER.sha256, NOW)
    data = any_store.read_sync(lambda tx: revocations.data(tx, LIST.id, ANSWER.sha256))
    assert data == b"answer"
    assert any_store.read_sync(lambda tx: revocations.data(tx, LIST.id, "0" * 64)) is None
    (due,) = claim(any_store, NOW + HOUR)
    assert due.this_update == NOW - HOUR


def test_a_failure_leaves_what_is_held_and_is_counted_until_the_next_answer(any_store) -> None:
    want(any_store, LIST)
    any_store.write_sync(lambda tx: revocations.answered(tx, LIST.id, ANSWER, at=NOW, again=NOW))
    for _ in range(2):
        any_store.write_sync(lambda tx: revocations.failed(tx, LIST.id, code="x.y", again=NOW))
    (due,) = claim(any_store, NOW)
    assert due.failures == 2
    held = any_store.read_sync(lambda tx: revocations.held(tx, [LIST.id]))
    assert held[LIST.id].sha256 == ANSWER.sha256
    any_store.write_sync(lambda tx: revocations.answered(tx, LIST.id, ANSWER, at=NOW, again=NOW))
    assert claim(any_store, NOW)[0].failures == 0


def test_places_that_no_path_names_any_more_are_forgotten(any_store: Store) -> None:
    want(any_store, LIST, STATUS)
    want(any_store, STATUS, at=NOW + HOUR)
    assert any_store.write_sync(lambda tx: revocations.forget(tx, NOW + HOUR)) == 1
    assert [d.kind for d in claim(any_store, NOW + HOUR)] == ["ocsp"]


def test_who_was_silent_longest_is_told_by_its_last_answer_or_its_first_wanting(any_store) -> None:
    assert any_store.read_sync(revocations.asked_longest_ago) is None
    want(any_store, LIST)
    want(any_store, STATUS, at=NOW + HOUR)
    assert any_store.read_sync(revocations.asked_longest_ago) == NOW
    later = NOW + 5 * HOUR
    any_store.write_sync(
        lambda tx: revocations.answered(tx, LIST.id, ANSWER, at=later, again=later)
    )
    assert any_store.read_sync(revocations.asked_longest_ago) == NOW + HOUR


ARRIVAL = {
    "id": "a1",
    "axis": "vxp",
    "axis_doc_id": "d1",
    "kind": "document",
    "state": "OPENED",
    "raw_sha256": "ab" * 32,
    "raw_size": 1,
    "listed_from": "",
    "listed_to": "",
    "received_at": NOW,
    "opens": 1,
    "fence": 1,
    "verdict": {"certificate": {}},
    "findings": [],
    "record_id": "r1",
}


def test_an_arrival_waits_until_it_is_woken_and_is_done_once(any_store: Store) -> None:
    waits = Waiting("a1", b"leaf", ["b3RoZXI="], NOW)
    any_store.write_sync(lambda tx: tx.execute(insert(arrival), ARRIVAL))
    any_store.write_sync(lambda tx: revocations.wait(tx, waits, NOW))
    any_store.write_sync(lambda tx: revocations.wait(tx, waits, NOW))

    def due(at: datetime) -> list[Waiting]:
        return any_store.read_sync(lambda tx: revocations.waiting(tx, most=10, now=at))

    assert due(NOW) == [waits]
    any_store.write_sync(lambda tx: revocations.later(tx, "a1", NOW + HOUR))
    assert due(NOW) == []
    any_store.write_sync(lambda tx: revocations.wake(tx, NOW))
    assert due(NOW) == [waits]
    assert any_store.write_sync(lambda tx: revocations.done(tx, "a1")) is True
    assert any_store.write_sync(lambda tx: revocations.done(tx, "a1")) is False
    assert due(NOW) == []
