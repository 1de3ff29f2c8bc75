"""The ledger under arbitrary input: records, trees, notes, and a ledger with one spoiled row."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Untrusted
from gateway.ledger import merkle, note, records, stamp
from gateway.model.record import Record
from tests.support import rfc9162
from tests.support.ledgers import KEY, MemoryLedger, sample_record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.builds(
    Record,
    id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    event=st.from_regex(r"[a-z][a-z0-9_]{0,8}(\.[a-z][a-z0-9_]{0,8}){1,2}", fullmatch=True),
    at=st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),
    salt=st.binary(min_size=16, max_size=16).map(bytes.hex),
    about=st.dictionaries(TEXT, TEXT, max_size=4),
    facts=st.dictionaries(TEXT, JSON, max_size=4),
)


@given(RECORDS)
def test_what_is_written_is_read_and_is_the_canonical_form(record):
    data = records.record_bytes(record)
    assert records.parse_record(data) == record
    assert rfc8785.dumps(_plain(record)) == data


def _plain(record):
    return {
        "v": 1,
        "id": record.id,
        "event": record.event,
        "at": records.instant_text(record.at),
        "salt": record.salt,
        "about": dict(record.about),
        "facts": dict(record.facts),
    }


@given(RECORDS, st.data())
def test_no_other_bytes_are_the_same_record(record, data):
    raw = bytearray(records.record_bytes(record))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    try:
        other = records.parse_record(bytes(raw))
    except Untrusted:
        return
    assert other != record
    assert records.leaf_hash(bytes(raw)) != records.leaf_hash(records.record_bytes(record))


@given(st.binary(max_size=300))
def test_rubbish_is_refused_and_never_breaks_the_reader(data):
    for read in (
        records.parse_record,
        lambda b: note.verify_note(b.decode("utf-8", "replace"), "n", KEY.public_key()),
        lambda b: stamp.verify_stamp(b, "note\n", ()),
        lambda b: stamp.check_response(b, bytes(32), 1, ()),
    ):
        try:
            read(data)
        except Untrusted:
            continue
        raise AssertionError("rubbish was believed")


@given(st.lists(st.integers(0, 40), max_size=12), st.data())
def test_batches_of_any_sizes_make_the_tree_of_the_rfc(batches, data):
    leaves, nodes = [], {}

    def read(coordinates):
        return {(i, j): leaves[j] if i == 0 else nodes[i, j] for i, j in coordinates}

    for size in batches:
        fresh = [hashlib.sha256(b"%d" % (len(leaves) + i)).digest() for i in range(size)]
        known = merkle.root(len(leaves), read)
        done = merkle.append(fresh, len(leaves), read, known)
        leaves += fresh
        nodes |= {(n.level, n.idx): n.hash for n in done.nodes}
        assert done.size == len(leaves)
        assert done.root == rfc9162.mth(leaves) == merkle.root(len(leaves), read)
    if not leaves:
        return
    seq = data.draw(st.integers(0, len(leaves) - 1))
    size = data.draw(st.integers(seq + 1, len(leaves)))
    proof = merkle.inclusion_proof(seq, size, read)
    root = merkle.root(size, read)
    assert merkle.verify_inclusion(leaves[seq], seq, size, proof, root)
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(old, size, read)
    assert merkle.verify_consistency(old, merkle.root(old, read), size, root, proof)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.data())
def test_one_spoiled_bit_anywhere_is_found_and_never_blamed_on_a_later_entry(batches, data):
    ledger, number = MemoryLedger(), 0
    for size in batches:
        for _ in range(size):
            ledger.accept(sample_record(number))
            number += 1
        ledger.seal()
    assert ledger.report().verified
    kind = data.draw(st.sampled_from(["record", "leaf", "node", "root"]))
    seq = data.draw(st.integers(0, number - 1))
    entry = ledger.entries[seq]
    if kind == "record":
        ledger.records[entry.record_id] = _spoiled(ledger.records[entry.record_id], data)
    elif kind == "leaf":
        ledger.entries[seq] = replace(entry, leaf=_spoiled(entry.leaf, data))
    elif kind == "node" and ledger.nodes:
        place = data.draw(st.sampled_from(sorted(ledger.nodes)))
        ledger.nodes[place] = _spoiled(ledger.nodes[place], data)
        seq = place[1] << place[0]
    else:
        which = data.draw(st.integers(0, len(ledger.checkpoints) - 1))
        made = ledger.checkpoints[which]
        ledger.checkpoints[which] = replace(made, root=_spoiled(made.root, data))
        seq = None
    report = ledger.report()
    assert not report.verified
    assert report.first_bad == (None if seq is None else (1, seq))


def _spoiled(value, data):
    spoiled = bytearray(value)
    spoiled[data.draw(st.integers(0, len(spoiled) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    return bytes(spoiled)
