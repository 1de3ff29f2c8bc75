"""Handovers of the ledger's key: both sign, and nothing else connects two keys."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Untrusted
from gateway.ledger import checkpoint, merkle, records, succession, verify
from gateway.ledger.keys import spki, vkey
from tests.support.ledgers import KEY, ORIGIN, START, MemoryLedger, anchors, sample_record

KEYS = [
    KEY,
    *(
        ec.derive_private_key(int.from_bytes(hashlib.sha256(b"key %d" % n).digest()), KEY.curve)
        for n in range(3)
    ),
]


def facts(old: int, new: int):
    return succession.hand_over(ORIGIN, KEYS[old], KEYS[new], START)


def raw(keys) -> list[bytes]:
    return [spki(k) for k in keys]


def test_a_handover_is_read_back() -> None:
    change = succession.read_handover(facts(0, 1), ORIGIN)
    assert raw((change.old, change.new)) == raw(k.public_key() for k in KEYS[:2])
    assert change.at == START


def test_any_other_handover_is_refused() -> None:
    good, other = facts(0, 1), facts(0, 2)
    text, lines = good["note"].split("\n\n")
    old_line, new_line = lines.splitlines()
    cases = [
        {**good, "new": other["new"]},
        {**good, "old": other["new"]},
        {**good, "note": other["note"]},
        {**good, "note": f"{text}\n\n{old_line}\n"},
        {**good, "note": f"{text}\n\n{new_line}\n"},
        {**good, "old": vkey("other.example", KEYS[0])},
        {**good, "new": "x"},
        {**good, "note": "x"},
        succession.hand_over(ORIGIN, KEYS[0], KEYS[0], START),
        succession.hand_over("other.example", KEYS[0], KEYS[1], START),
        {},
    ]
    for case in cases:
        with pytest.raises(Untrusted):
            succession.read_handover(case, ORIGIN)


def test_keys_hang_together_in_any_order_and_from_any_of_them() -> None:
    chain = [succession.read_handover(facts(n, n + 1), ORIGIN) for n in range(2)]
    for trusted in range(3):
        for order in permutations(chain):
            found = succession.hang_together(KEYS[trusted].public_key(), order)
            assert raw(found)[0] == spki(KEYS[trusted].public_key())
            assert set(raw(found)) == set(raw(k.public_key() for k in KEYS[:3]))
    alone = succession.hang_together(KEYS[3].public_key(), chain)
    assert raw(alone) == raw([KEYS[3].public_key()])


def judged(change, signer: int, trusted: int = 0):
    """Three entries by the first key, the change, two entries by `signer`."""
    ledger = MemoryLedger()
    for number in range(3):
        ledger.accept(sample_record(number))
    ledger.seal()
    changed = replace(sample_record(3), event=succession.KEY_CHANGED, facts=change)
    for record in (changed, sample_record(4)):
        leaf = records.leaf_hash(records.record_bytes(record))
        size = len(ledger.entries)
        grown = merkle.append([leaf], size, ledger.read_nodes)
        ledger.accept(record)
        ledger.seal()
        ledger.checkpoints[-1] = checkpoint.make_checkpoint(
            ORIGIN, 1, size + 1, grown.root, START, KEYS[signer]
        )
    keys = [KEYS[trusted].public_key(), KEYS[0].public_key(), KEYS[1].public_key()]
    report = verify.verify_ledger(ledger.rows(), keys, anchors())
    return {(p.path, p.code) for p in report.problems}


def test_from_its_entry_on_only_the_new_key_counts() -> None:
    assert judged(facts(0, 1), signer=1) == set()
    assert judged(facts(0, 1), signer=1, trusted=1) == set()
    assert judged(facts(0, 1), signer=0) == {
        ("epoch/1/checkpoint/4", "ledger.checkpoint_forged"),
        ("epoch/1/checkpoint/5", "ledger.checkpoint_forged"),
    }


def test_a_change_that_the_key_in_force_did_not_sign_is_found_at_its_entry() -> None:
    where = ("epoch/1/entry/3", "ledger.key_change")
    assert where in judged(facts(2, 3), signer=3)
    assert where in judged({"old": "x", "new": "y", "note": "z"}, signer=1)
