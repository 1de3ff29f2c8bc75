"""What acts are about, on both databases: from the act, and from the earlier document."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from gateway.store import Store, Tx, acts
from gateway.store.tables import arrival, document, inbox_item, recipient, transfer

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
OLD = "H14.19,2026/11/02,9/ĐỀ-ÁN"


def a_document(tx: Tx, ref: str, document_id: str, **more: Any) -> None:
    tx.execute(
        insert(document),
        {
            "id": ref,
            "kind": "document",
            "account_id": "a",
            "sender": "H14.19",
            "sender_key": "S",
            "document_id": document_id,
            "identity": f"identity of {ref}",
            "business_type": 0,
            "header": {},
            "files": [],
            "accepted_at": AT,
            "released_at": AT,
            "released_source": "assumed",
            "answer": "",
            "record_id": "r",
            "about_item": None,
            **more,
        },
    )
    tx.execute(
        insert(transfer),
        {
            "id": f"t-{ref}",
            "document_ref": ref,
            "kind": "document",
            "axis": "vxp",
            "state": "ON_AXIS",
            "lane": 3,
            "doubt": False,
            "attempts": 1,
            "sender": "H14.19",
            "package_sha256": "00",
            "package_size": 1,
            "accepted_at": AT,
            "expires_at": AT,
            "fence": 1,
            "equal_answers": 0,
            "record_id": "r",
            "moved_at": AT,
        },
    )
    tx.execute(
        insert(recipient),
        {
            "transfer_id": f"t-{ref}",
            "agency_key": "R",
            "agency": "G22",
            "state": "ON_AXIS",
            "moved_at": AT,
        },
    )


def an_item(tx: Tx, ref: str, document_id: str, **more: Any) -> None:
    tx.execute(
        insert(arrival),
        {
            "id": f"a-{ref}",
            "axis": "vxp",
            "axis_doc_id": ref,
            "kind": "document",
            "state": "OPENED",
            "raw_sha256": "00",
            "raw_size": 1,
            "listed_from": "",
            "listed_to": "",
            "received_at": AT,
            "opens": 1,
            "fence": 1,
            "verdict": {},
            "findings": [],
            "record_id": "r",
        },
    )
    tx.execute(
        insert(inbox_item),
        {
            "id": ref,
            "arrival_id": f"a-{ref}",
            "agency": "G22",
            "agency_key": "R",
            "kind": "document",
            "identity": f"identity of {ref}",
            "state": "WAITING",
            "lane": 3,
            "axis": "vxp",
            "sender": "H14.19",
            "document_id": document_id,
            "status_code": "",
            "content": {},
            "available_at": AT,
            **more,
        },
    )


def keep(tx: Tx, ref: str, kind: int, *about: str, agency: str = "S") -> None:
    acts.keep(tx, ref, agency_key=agency, sender_key="S", business_type=kind, about=about)


def test_what_was_sent_about_a_document_is_found_from_it(any_store: Store) -> None:
    def fill(tx: Tx) -> None:
        a_document(tx, "d1", OLD)
        a_document(tx, "d2", "update", business_type=2)
        a_document(tx, "d3", "other", business_type=1)
        keep(tx, "d2", 2, OLD, "x")
        keep(tx, "d3", 1, "y")
        keep(tx, "d1", 0)

    any_store.write_sync(fill)

    def asked(document_id: str, receiver: str = "R") -> bool:
        return any_store.read_sync(
            lambda tx: acts.asked_back(
                tx, sender_key="S", document_id=document_id, receiver_key=receiver
            )
        )

    found = any_store.read_sync(lambda tx: acts.sent(tx, sender_key="S", document_id=OLD))
    assert [(a.id, a.business_type, a.document_id) for a in found] == [("d2", 2, "update")]
    assert any_store.read_sync(lambda tx: acts.sent(tx, sender_key="R", document_id=OLD)) == []
    assert any_store.read_sync(lambda tx: acts.targets(tx, "d2")) == [OLD, "x"]
    assert any_store.read_sync(lambda tx: acts.targets(tx, "d1")) == []
    assert not asked(OLD), "an update asks nothing back"
    assert asked("y")
    assert not asked("y", "another receiver")


def test_a_take_back_is_a_status_about_a_document_of_our_own(any_store: Store) -> None:
    def fill(tx: Tx) -> None:
        a_document(tx, "d1", OLD)
        a_document(tx, "s1", OLD, kind="status", about_item="an item of another's document")

    any_store.write_sync(fill)

    def told(tx: Tx) -> tuple[list[str], bool]:
        asked = acts.asked_back(tx, sender_key="S", document_id=OLD, receiver_key="R")
        return [a.id for a in acts.take_backs(tx, sender_key="S", document_id=OLD)], asked

    assert any_store.read_sync(told) == ([], False)
    any_store.write_sync(lambda tx: a_document(tx, "s2", OLD, kind="status"))
    assert any_store.read_sync(told) == (["s2"], True)


def test_received_acts_and_documents_find_each_other_whichever_came_first(
    any_store: Store,
) -> None:
    """Ids are compared after NFC (edxml-format 7)."""
    decomposed = unicodedata.normalize("NFD", OLD)

    def fill(tx: Tx) -> None:
        an_item(tx, "i1", "recall")
        keep(tx, "i1", 1, decomposed, agency="R")
        an_item(tx, "i2", OLD)
        an_item(tx, "i3", OLD, kind="status", status_code="13")
        an_item(tx, "i4", OLD, kind="status", status_code="06")
        an_item(tx, "i5", OLD, agency_key="another agency")

    any_store.write_sync(fill)

    def look(tx: Tx) -> tuple[list[tuple[str, int, str]], list[str]]:
        received = acts.received(tx, agency_key="R", document_id=OLD)
        names = acts.targets(tx, "i1")
        named = acts.named(tx, agency_key="R", document_ids=names)
        return [(r.item.id, r.business_type, r.sender_key) for r in received], [n.id for n in named]

    assert any_store.read_sync(look) == ([("i1", 1, "S")], ["i2", "i3"])
    assert any_store.read_sync(lambda tx: acts.named(tx, agency_key="R", document_ids=[])) == []


def test_a_document_submitted_anew_is_not_undone_by_what_undid_the_first(any_store: Store) -> None:
    """Sent, recalled, and sent once more under the same DocumentId: the recall was of the first."""

    def plot(tx: Tx) -> tuple[set[str], set[str]]:
        a_document(tx, "first", OLD)
        a_document(tx, "recall", "recall", business_type=1, accepted_at=AT + timedelta(minutes=1))
        acts.keep(tx, "recall", agency_key="S", sender_key="S", business_type=1, about=[OLD])
        a_document(tx, "anew", OLD, accepted_at=AT + timedelta(minutes=2))
        before = acts.undone(tx, ["t-first", "t-anew"])
        back = {"kind": "status", "accepted_at": AT + timedelta(minutes=3)}
        a_document(tx, "back", OLD, **back)
        return before, acts.undone(tx, ["t-first", "t-anew"])

    assert any_store.write_sync(plot) == ({"t-first"}, {"t-first", "t-anew"})


def test_an_act_on_the_only_document_undoes_it_whatever_the_clock_said(any_store: Store) -> None:
    def plot(tx: Tx) -> set[str]:
        a_document(tx, "first", OLD)
        a_document(tx, "recall", "recall", business_type=1, accepted_at=AT - timedelta(minutes=1))
        acts.keep(tx, "recall", agency_key="S", sender_key="S", business_type=1, about=[OLD])
        return acts.undone(tx, ["t-first"])

    assert any_store.write_sync(plot) == {"t-first"}
