"""The ledger over REST: a stranger rebuilds the tree from what the door answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gateway.ledger import merkle, tlog
from gateway.ledger.checkpoint import Head, parse_head
from gateway.ledger.note import verify_note
from gateway.ledger.records import leaf_hash
from gateway.store.tables import Role
from tests.support.api import RECEIVER, SENDER, Answer, Door, door, letter
from tests.support.houses import PDF


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("ledger")) as opened:
        for number in range(1, 6):
            assert opened.submit(letter(number=str(number)), ("12.pdf", PDF)).status == 202
            opened.run(opened.gateway.sealing.seal())
        yield opened


def head(at: Door, note: str) -> Head:
    scribe = at.gateway.scribe
    return parse_head(verify_note(note, scribe.origin, scribe.key.public_key()))


def newest(at: Door) -> Head:
    return head(at, at.get("/v1/ledger/checkpoint", Role.AUDITOR).body.decode())


def everything(at: Door, limit: int) -> list[dict[str, object]]:
    listed, cursor = [], ""
    while True:
        page = at.get(f"/v1/ledger/entries?limit={limit}&cursor={cursor}", Role.AUDITOR).json()
        listed += page["entries"]
        cursor = page["cursor"]
        if not cursor:
            return listed


def test_pages_of_entries_rebuild_the_tree_that_was_signed(at: Door) -> None:
    rows = everything(at, 3)
    tree = merkle.CompactRange()
    for number, row in enumerate(rows):
        leaf = leaf_hash(str(row["body"]).encode())
        assert (row["epoch"], row["seq"], row["leaf"]) == (1, number, leaf.hex())
        tree.push(leaf)
    said = newest(at)
    assert (tree.size, tree.root()) == (said.size, said.root)
    later = at.get("/v1/ledger/entries?start=2&limit=2", Role.AUDITOR).json()
    assert later == {"entries": rows[2:4], "cursor": "1-4"}


def test_every_entry_is_proved_to_be_in_the_checkpoint(at: Door) -> None:
    for row in everything(at, 50):
        seq = int(str(row["seq"]))
        asked = {"seq": seq, "record": row["record_id"]}
        for name, value in asked.items():
            answer = at.get(f"/v1/ledger/proof?{name}={value}", Role.AUDITOR)
            proof = tlog.read_proof(answer.body.decode())
            said = head(at, proof.note)
            leaf = bytes.fromhex(str(row["leaf"]))
            assert proof.number == seq
            assert merkle.verify_inclusion(leaf, seq, said.size, proof.hashes, said.root)


def test_every_tree_begins_with_the_one_before(at: Door) -> None:
    rows = everything(at, 50)
    leaves = [bytes.fromhex(str(row["leaf"])) for row in rows]
    for old in range(len(leaves) + 1):
        earlier = merkle.CompactRange()
        for leaf in leaves[:old]:
            earlier.push(leaf)
        answer = at.get(f"/v1/ledger/consistency?old={old}", SENDER)
        proof = tlog.read_proof(answer.body.decode(), consistency=True)
        said = head(at, proof.note)
        assert merkle.verify_consistency(old, earlier.root(), said.size, said.root, proof.hashes)


def test_a_unit_proves_its_own_records_and_learns_nothing_of_others(at: Door) -> None:
    receipt = at.submit(letter(number="77"), ("12.pdf", PDF)).json()["receipt"]
    record = json.loads(receipt["record"])["id"]
    waits = at.get(f"/v1/ledger/proof?record={record}", SENDER)
    assert (waits.status, waits.code) == (409, "ledger.not_sealed")
    at.run(at.gateway.sealing.seal())
    proof = tlog.read_proof(at.get(f"/v1/ledger/proof?record={record}", SENDER).body.decode())
    said = head(at, proof.note)
    leaf = leaf_hash(receipt["record"].encode())
    assert merkle.verify_inclusion(leaf, proof.number, said.size, proof.hashes, said.root)
    assert at.get(f"/v1/ledger/proof?seq={proof.number}", SENDER).status == 200
    for path in (f"record={record}", f"seq={proof.number}", "seq=0", "record=nothing"):
        hidden = at.get(f"/v1/ledger/proof?{path}", RECEIVER)
        assert (hidden.status, hidden.code) == (404, "ledger.entry_unknown")


def test_entries_are_for_auditors(at: Door) -> None:
    for who in (SENDER, Role.OPS, Role.ADMIN):
        refused = at.get("/v1/ledger/entries", who)
        assert (refused.status, refused.code) == (403, "account.role")
    assert at.get("/v1/ledger/entries").status == 401


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("entries?epoch=7", 404, "ledger.epoch_unknown"),
        ("entries?start=-1", 400, "parameter.invalid"),
        ("entries?cursor=x", 400, "cursor.invalid"),
        ("entries?from=1", 400, "parameter.unknown"),
        ("proof", 400, "parameter.invalid"),
        ("proof?seq=1&record=x", 400, "parameter.invalid"),
        ("proof?record=a/b", 400, "parameter.invalid"),
        ("proof?seq=99999", 404, "ledger.entry_unknown"),
        ("proof?epoch=7&seq=0", 404, "ledger.epoch_unknown"),
        ("consistency", 400, "parameter.invalid"),
        ("consistency?old=3&new=1", 400, "parameter.invalid"),
        ("consistency?old=99999", 404, "ledger.size_unknown"),
        ("consistency?old=0&new=99999", 404, "ledger.size_unknown"),
        ("consistency?old=0&epoch=7", 404, "ledger.epoch_unknown"),
    ],
)
def test_what_cannot_be_proved_is_said(at: Door, path: str, status: int, code: str) -> None:
    answer: Answer = at.get(f"/v1/ledger/{path}", Role.AUDITOR)
    assert (answer.status, answer.code) == (status, code)


def test_a_page_behind_the_last_entry_is_empty(at: Door) -> None:
    page = at.get("/v1/ledger/entries?start=99999", Role.AUDITOR)
    assert page.json() == {"entries": [], "cursor": ""}
