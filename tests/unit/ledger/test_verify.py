"""The whole ledger: an honest one verifies; every spoiled row is found and the first one named."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Misconfigured, Severity
from gateway.ledger import checkpoint, merkle, records, verify
from gateway.model.record import Entry
from tests.support.ledgers import (
    KEY,
    ORIGIN,
    START,
    MemoryLedger,
    anchors,
    sample_ledger,
    sample_record,
)

STRANGER = ec.derive_private_key(7, ec.SECP256R1())


def codes(report):
    return [f.code for f in report.problems]


def only(report, code, path, first_bad=None):
    """Exactly this finding, and nothing of its consequences."""
    assert [(f.code, f.path) for f in report.problems] == [(code, path)]
    assert report.first_bad == first_bad
    assert not report.verified


def test_an_honest_ledger_verifies_and_says_what_it_covers():
    ledger = sample_ledger()
    report = ledger.report()
    assert report.problems == ()
    assert report.verified
    assert (report.entries, report.pending) == (23, 2)
    assert report.checkpoint == ledger.checkpoints[-1]
    assert report.stamped_until == START + timedelta(seconds=4)
    assert report.stamped_size == 23
    assert report.first_bad is None


def test_an_empty_ledger_verifies():
    report = MemoryLedger().report()
    assert report.verified
    assert (report.entries, report.checkpoint, report.stamped_until) == (0, None, None)


def test_a_ledger_whose_records_all_wait_verifies():
    ledger = sample_ledger(sizes=(), waiting=3)
    assert ledger.report().verified
    assert ledger.report().pending == 3


def test_without_anchors_it_verifies_with_a_warning_and_nothing_counts_as_stamped():
    report = sample_ledger().report(with_anchors=False)
    assert [(f.code, f.severity) for f in report.problems] == [
        ("ledger.stamp_unjudged", Severity.WARNING)
    ]
    assert report.verified
    assert report.stamped_until is None


def test_without_a_key_nothing_can_be_said():
    with pytest.raises(Misconfigured):
        verify.verify_ledger(sample_ledger().rows(), [], anchors())


@pytest.mark.parametrize("seq", [0, 4, 22])
def test_every_changed_byte_of_a_record_is_found_and_its_entry_named(seq):
    ledger = sample_ledger()
    ledger.stamps.clear()  # they take most of the time and have tests of their own
    record_id = ledger.entries[seq].record_id
    genuine = ledger.records[record_id]
    for position in range(len(genuine)):
        spoiled = bytearray(genuine)
        spoiled[position] ^= 0x01
        ledger.records[record_id] = bytes(spoiled)
        report = ledger.report()
        assert report.first_bad == (1, seq)
        assert codes(report)[0] == "ledger.leaf_changed"
        assert not report.verified


def test_a_changed_record_gives_one_finding():
    ledger = sample_ledger()
    ledger.records[ledger.entries[7].record_id] = records.record_bytes(
        replace(sample_record(7), event="attempt.invented")
    )
    only(ledger.report(), "ledger.leaf_changed", "epoch/1/entry/7", (1, 7))


@pytest.mark.parametrize("seq", [0, 4, 10, 22])
def test_a_changed_leaf_is_found_and_its_entry_named(seq):
    ledger = sample_ledger()
    for byte in (0, 31):
        leaf = bytearray(sample_ledger().entries[seq].leaf)
        leaf[byte] ^= 0x80
        ledger.entries[seq] = replace(ledger.entries[seq], leaf=bytes(leaf))
        report = ledger.report()
        assert report.first_bad == (1, seq)
        assert codes(report) == ["ledger.leaf_changed", "ledger.root_changed"]


def test_an_entry_that_names_another_record_is_found():
    ledger = sample_ledger()
    ledger.entries[3] = replace(ledger.entries[3], record_id=ledger.entries[4].record_id)
    report = ledger.report()
    assert report.first_bad == (1, 3)
    assert "ledger.leaf_changed" in codes(report)
    assert "ledger.record_lost" in codes(report)


def test_two_entries_for_one_record_are_found():
    ledger = sample_ledger(waiting=0)
    again = ledger.entries[4].record_id
    ledger.pending.append(again)
    ledger.seal()
    report = ledger.report()
    assert codes(report) == ["ledger.count"]
    assert not report.verified


def test_a_removed_record_is_found_and_its_entry_named():
    ledger = sample_ledger()
    del ledger.records[ledger.entries[6].record_id]
    only(ledger.report(), "ledger.record_missing", "epoch/1/entry/6", (1, 6))


@pytest.mark.parametrize("seq", [0, 5, 12])
def test_a_removed_entry_is_a_gap_and_its_record_is_lost(seq):
    ledger = sample_ledger()
    del ledger.entries[seq]
    report = ledger.report()
    assert codes(report) == ["ledger.gap", "ledger.record_lost"]
    assert report.first_bad == (1, seq)


def test_two_entries_that_changed_places_are_found():
    ledger = sample_ledger()
    ledger.entries[5], ledger.entries[6] = ledger.entries[6], ledger.entries[5]
    assert ledger.report().first_bad == (1, 5)
    a, b = ledger.entries[6], ledger.entries[5]
    ledger.entries[5], ledger.entries[6] = replace(a, seq=6), replace(b, seq=5)
    ledger.entries[5:7] = [
        Entry(1, 5, b.record_id, b.leaf),
        Entry(1, 6, a.record_id, a.leaf),
    ]
    report = ledger.report()
    assert not report.verified
    assert report.first_bad is not None
    assert report.first_bad <= (1, 6)


def test_entries_cut_off_at_the_end_are_missed_because_a_checkpoint_was_signed_for_them():
    ledger = sample_ledger(waiting=0)
    gone = ledger.entries[13:]
    del ledger.entries[13:]
    for entry in gone:
        del ledger.records[entry.record_id]
    ledger.nodes = {(i, j): h for (i, j), h in ledger.nodes.items() if (j + 1) << i <= 13}
    only(ledger.report(), "ledger.entry_missing", "epoch/1/entry/13", (1, 13))


def test_the_end_cut_off_with_its_checkpoints_needs_a_receipt_or_a_witness_to_be_missed():
    """The limit of what rows alone can show; why receipts and witnesses exist."""
    ledger = sample_ledger(waiting=0)
    for entry in ledger.entries[13:]:
        del ledger.records[entry.record_id]
    del ledger.entries[13:], ledger.checkpoints[4:], ledger.stamps[1:]
    ledger.nodes = {(i, j): h for (i, j), h in ledger.nodes.items() if (j + 1) << i <= 13}
    assert ledger.report().verified


def test_entries_beyond_the_last_checkpoint_are_found():
    ledger = sample_ledger()
    del ledger.checkpoints[-1], ledger.stamps[-1]
    only(ledger.report(), "ledger.unsigned", "epoch/1/entry/13", (1, 13))


def test_every_changed_node_is_found_and_named():
    ledger = sample_ledger()
    for (level, index), genuine in sorted(ledger.nodes.items()):
        for byte in (0, 31):
            spoiled = bytearray(genuine)
            spoiled[byte] ^= 0x01
            ledger.nodes[level, index] = bytes(spoiled)
            only(
                ledger.report(),
                "ledger.node_changed",
                f"epoch/1/node/{level}/{index}",
                (1, index << level),
            )
        ledger.nodes[level, index] = genuine


def test_a_missing_node_and_a_node_too_many_are_found():
    ledger = sample_ledger()
    genuine = ledger.nodes.pop((2, 1))
    report = ledger.report()
    assert codes(report) == ["ledger.node_missing", "ledger.node_count"]
    assert report.first_bad == (1, 4)
    ledger.nodes |= {(2, 1): genuine, (9, 9): bytes(32)}
    only(ledger.report(), "ledger.node_count", "epoch/1/node")


@pytest.mark.parametrize("which", [0, 2, 4])
def test_every_changed_byte_of_a_checkpoints_note_is_found(which):
    ledger = sample_ledger(sizes=(1, 1, 1, 1, 1))
    ledger.stamps.clear()
    genuine = ledger.checkpoints[which]
    data = genuine.note.encode()
    for position in range(len(data)):
        spoiled = bytearray(data)
        spoiled[position] ^= 0x01
        try:
            note = spoiled.decode()
        except UnicodeDecodeError:
            continue  # the database keeps text
        ledger.checkpoints[which] = replace(genuine, note=note)
        report = ledger.report()
        assert codes(report)[0] == "ledger.checkpoint_forged"
        assert report.problems[0].path == f"epoch/1/checkpoint/{genuine.size}"
        assert report.first_bad is None


@pytest.mark.parametrize("change", [{"root": bytes(32)}, {"epoch": 2}])
def test_a_checkpoint_row_that_differs_from_its_note_is_found(change):
    ledger = sample_ledger()
    ledger.checkpoints[1] = replace(ledger.checkpoints[1], **change)
    only(ledger.report(), "ledger.checkpoint_changed", "epoch/1/checkpoint/4")


@pytest.mark.parametrize("size", [3, 5, 99])
def test_a_checkpoint_row_of_another_size_is_found(size):
    ledger = sample_ledger()
    ledger.checkpoints[1] = replace(ledger.checkpoints[1], size=size)
    ledger.checkpoints.sort(key=lambda c: c.size)
    assert "ledger.checkpoint_changed" in codes(ledger.report())


def test_a_checkpoint_by_a_strangers_key_is_found():
    ledger = sample_ledger()
    made = ledger.checkpoints[3]
    ledger.checkpoints[3] = checkpoint.make_checkpoint(
        ORIGIN, 1, made.size, made.root, made.at, STRANGER
    )
    only(ledger.report(), "ledger.checkpoint_forged", "epoch/1/checkpoint/13")


def test_checkpoints_by_an_older_key_of_the_ledger_still_hold():
    ledger = sample_ledger()
    made = ledger.checkpoints[1]
    ledger.checkpoints[1] = checkpoint.make_checkpoint(
        ORIGIN, 1, made.size, made.root, made.at, STRANGER
    )
    for keys in ([STRANGER, KEY], [KEY, STRANGER]):
        public = [k.public_key() for k in keys]
        assert verify.verify_ledger(ledger.rows(), public, anchors()).verified


def rewritten():
    """Entry 5 replaced and everything above it recomputed, by someone without the key."""
    ledger = sample_ledger()
    record = replace(sample_record(5), event="attempt.invented")
    ledger.records[record.id] = records.record_bytes(record)
    leaf = records.leaf_hash(ledger.records[record.id])
    ledger.entries[5] = replace(ledger.entries[5], leaf=leaf)
    done = merkle.append([e.leaf for e in ledger.entries], 0, ledger.read_nodes)
    ledger.nodes = {(n.level, n.idx): n.hash for n in done.nodes}
    return ledger


def test_a_history_rewritten_in_full_is_found_between_two_checkpoints():
    only(rewritten().report(), "ledger.root_changed", "epoch/1/checkpoint/11", (1, 4))


def test_a_history_rewritten_with_the_key_is_found_by_its_stamps():
    ledger = rewritten()
    for i, made in enumerate(ledger.checkpoints):
        root = merkle.root(made.size, ledger.read_nodes)
        ledger.checkpoints[i] = checkpoint.make_checkpoint(ORIGIN, 1, made.size, root, START, KEY)
    report = ledger.report()
    assert codes(report) == ["ledger.stamp_forged", "ledger.stamp_forged"]
    assert report.stamped_until is None


@pytest.mark.parametrize(
    "change",
    [
        {"gen_time": START},
        {"policy": "1.2.3"},
        {"serial": "1"},
        {"authority": "CN=someone else"},
        {"epoch": 2},
    ],
)
def test_a_stamp_row_that_differs_from_its_token_is_found(change):
    ledger = sample_ledger()
    ledger.stamps[1] = replace(ledger.stamps[1], **change)
    only(ledger.report(), "ledger.stamp_changed", "epoch/1/checkpoint/23/stamp")


def test_a_changed_token_is_found():
    ledger = sample_ledger()
    token = bytearray(ledger.stamps[0].token)
    token[300] ^= 0x01
    ledger.stamps[0] = replace(ledger.stamps[0], token=bytes(token))
    only(ledger.report(), "ledger.stamp_forged", "epoch/1/checkpoint/11/stamp")


@pytest.mark.parametrize("size", [2, 12, 99])
def test_a_stamp_over_no_checkpoint_is_found(size):
    ledger = sample_ledger()
    ledger.stamps.append(replace(ledger.stamps[0], size=size))
    ledger.stamps.sort(key=lambda s: s.size)
    only(ledger.report(), "ledger.stamp_orphan", f"epoch/1/checkpoint/{size}/stamp")


def test_a_changed_and_a_missing_blob_are_found_at_the_first_entry_that_names_them():
    ledger = sample_ledger()
    changed, missing = sorted(ledger.blobs, key=lambda d: ledger.blobs[d])[::-1]
    assert (ledger.blobs[changed], ledger.blobs[missing]) == (b"package 9", b"package 5")
    ledger.blobs[changed] = b"package 8"
    del ledger.blobs[missing]
    report = ledger.report()
    assert [(f.code, f.path) for f in report.problems] == [
        ("ledger.blob_missing", "epoch/1/entry/5"),
        ("ledger.blob_changed", "epoch/1/entry/9"),
    ]
    assert report.first_bad == (1, 5)
    unread = verify.verify_ledger(ledger.rows(), [KEY.public_key()], anchors())
    assert unread.verified


def test_a_record_that_waits_is_judged_too():
    ledger = sample_ledger()
    waiting = ledger.pending[0]
    genuine = ledger.records[waiting]
    ledger.records[waiting] = genuine.replace(b"attempt.ended", b"attempt ended")
    only(ledger.report(), "ledger.record_changed", f"record/{waiting}")
    ledger.records[waiting] = ledger.records[ledger.pending[1]]
    only(ledger.report(), "ledger.record_changed", f"record/{waiting}")
    ledger.records[waiting] = records.record_bytes(
        replace(sample_record(23), facts={"blob": "ab" * 32})
    )
    only(ledger.report(), "ledger.blob_missing", f"record/{waiting}")


def test_a_record_neither_sealed_nor_waiting_is_found():
    ledger = sample_ledger()
    lost = ledger.pending.pop()
    only(ledger.report(), "ledger.record_lost", f"record/{lost}")


def test_a_sealed_record_that_still_waits_is_found():
    ledger = sample_ledger()
    twice = ledger.entries[2].record_id
    ledger.pending.append(twice)
    only(ledger.report(), "ledger.sealed_twice", f"record/{twice}")


def test_a_place_in_the_queue_without_a_record_is_found():
    ledger = sample_ledger()
    ledger.pending.append("record-nowhere")
    only(ledger.report(), "ledger.record_missing", "record/record-nowhere")


@pytest.mark.parametrize(
    "change",
    [{"event": "attempt.ended"}, {"facts": {"epoch": 3}}, {"facts": {"epoch": 2, "heads": []}}],
)
def test_an_epoch_that_does_not_name_the_head_before_it_is_found(change):
    first, second = sample_ledger(waiting=0), MemoryLedger(epoch=2)
    heads = {"epoch": 2, "heads": [first.checkpoints[-1].note]}
    begun = replace(sample_record(99), event="ledger.epoch_begun", facts=heads)
    second.accept(replace(begun, **change))
    second.seal()
    one, two = first.rows(), second.rows()
    count = one.record_count + two.record_count
    rows = verify.LedgerRows(ORIGIN, [*one.epochs, *two.epochs], (), count)
    report = verify.verify_ledger(rows, [KEY.public_key()], anchors())
    only(report, "ledger.epoch_unexplained", "epoch/2/entry/0", (2, 0))


def test_epochs_are_trees_of_their_own_and_none_may_be_missing():
    first, second = sample_ledger(waiting=0), MemoryLedger(epoch=2)
    heads = {"epoch": 2, "heads": [first.checkpoints[-1].note]}
    second.accept(replace(sample_record(99), event="ledger.epoch_begun", facts=heads))
    for number in range(100, 104):
        second.accept(sample_record(number))
    second.seal()
    second.stamp(START + timedelta(seconds=9))
    one, two = first.rows(), second.rows()
    count = one.record_count + two.record_count

    def judged(*epochs):
        rows = verify.LedgerRows(ORIGIN, epochs, (), count)
        return verify.verify_ledger(rows, [KEY.public_key()], anchors())

    report = judged(*one.epochs, *two.epochs)
    assert report.verified
    assert (report.entries, report.checkpoint) == (28, second.checkpoints[-1])
    assert report.stamped_until == START + timedelta(seconds=9)
    assert "ledger.epoch" in codes(judged(*second.rows().epochs))


def test_findings_are_limited_and_the_rest_is_counted():
    ledger = sample_ledger(sizes=(verify.MAX_FINDINGS + 50,), waiting=0)
    for record_id in list(ledger.records):
        ledger.records[record_id] = b"{}"
    report = ledger.report()
    assert len(report.problems) == verify.MAX_FINDINGS
    assert report.left_out == 50
    assert report.first_bad == (1, 0)


def test_every_finding_speaks_vietnamese_and_english_and_names_its_place():
    ledger = rewritten()
    ledger.pending.append("record-nowhere")
    for finding in ledger.report().problems:
        assert finding.text.vi != finding.text.en
        assert finding.path
        assert finding.code.startswith("ledger.")


def test_memory_does_not_grow_with_the_ledger():
    """Rows are made on the fly; nothing of the ledger is held but the peaks of its tree."""

    def peak(size):
        def rows():
            for seq in range(size):
                record = sample_record(seq)
                raw = records.record_bytes(record)
                yield verify.SealedRow(Entry(1, seq, record.id, records.leaf_hash(raw)), raw)

        growing, wanted = merkle.CompactRange(), {}
        for row in rows():
            wanted |= {(n.level, n.idx): n.hash for n in growing.push(row.entry.leaf)}
        head = checkpoint.make_checkpoint(ORIGIN, 1, size, growing.root(), START, KEY)
        epoch = verify.EpochRows(
            1, rows(), lambda cs: {c: wanted[c] for c in cs}, len(wanted), [head], ()
        )
        tracemalloc.start()
        report = verify.verify_ledger(
            verify.LedgerRows(ORIGIN, [epoch], (), size), [KEY.public_key()], anchors()
        )
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert report.verified
        return used

    assert peak(3_000) < 1.3 * peak(1_000)
