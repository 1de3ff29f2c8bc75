"""Roots under other hash functions that the ledger recorded, against the records they are over.

In:     one reading transaction.
Out:    findings: an entry `ledger.rehashed` whose root, or whose SHA-256 root, is not that of the
        entries it names.
Never:  writes; holds more than a batch of records: each epoch with such entries is read once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from gateway.audit.against import said
from gateway.errors import Finding, Severity, Text, Untrusted
from gateway.ledger import merkle
from gateway.ledger.rehash import REHASHED, Hashing, Rehashed, read_rehashed
from gateway.store import Tx, evidence, ledger

BATCH = 2000
_RULE = "RFC 4998, 5.3"


def recomputed(tx: Tx) -> Iterator[Finding]:
    """Entries are held against each other by epoch, so that its records are read once for all."""
    told: list[tuple[str, Rehashed]] = []
    for one in evidence.of_ledger(tx):
        record = said(one.body) if one.event == REHASHED else None
        if record is None:
            continue  # another event; or no record at all, which `ledger.verify` names
        path = f"epoch/{one.epoch}/entry/{one.seq}"
        try:
            told.append((path, read_rehashed(record.facts)))
        except Untrusted as wrong:
            yield _finding(path, wrong.text.vi, wrong.text.en)
    told.sort(key=lambda one: (one[1].epoch, one[1].size))
    for epoch, group in groupby(told, key=lambda one: one[1].epoch):
        yield from _epoch(tx, epoch, list(group))


def _epoch(tx: Tx, epoch: int, told: list[tuple[str, Rehashed]]) -> Iterator[Finding]:
    """`told` by size."""
    hashings = {name: Hashing(name) for name in dict.fromkeys(one.algorithm for _, one in told)}
    trees = {name: hashing.tree() for name, hashing in hashings.items()}
    sha256 = merkle.CompactRange()
    waiting = list(told)
    for row in _entries(tx, epoch):
        if not waiting:
            return
        sha256.push(row.leaf)
        for name, hashing in hashings.items():
            trees[name].push(hashing.leaf(row.body or b""))
        while waiting and waiting[0][1].size == sha256.size:
            path, one = waiting.pop(0)
            if one.root != trees[one.algorithm].root():
                yield _finding(
                    path,
                    f"gốc {one.algorithm} của {one.size} mục đầu khác với gốc tính lại",
                    f"the {one.algorithm} root of the first {one.size} entries is not theirs",
                )
            if one.sha256_root != sha256.root():
                yield _finding(
                    path,
                    f"gốc SHA-256 của {one.size} mục đầu khác với gốc tính lại",
                    f"the SHA-256 root of the first {one.size} entries is not theirs",
                )
    for path, one in waiting:
        yield _finding(
            path,
            f"sổ cái không có {one.size} mục trong kỷ nguyên {epoch}",
            f"there are no {one.size} entries in epoch {epoch}",
        )


def _entries(tx: Tx, epoch: int) -> Iterator[ledger.EntryRow]:
    start = 0
    while rows := ledger.entries_from(tx, epoch, start, BATCH):
        yield from rows
        start = int(rows[-1].seq) + 1


def _finding(path: str, vi: str, en: str) -> Finding:
    return Finding(path, "ledger.rehash_changed", Severity.ERROR, Text(vi, en), _RULE)
