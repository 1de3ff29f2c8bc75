"""Proofs into the tree of another hash function, for those who carry them to somebody else.

In:     one reading transaction; entries of an epoch; the roots that the ledger recorded.
Out:    the newest root of each function, with proofs of these entries into it.
Fails:  as the store does.
Never:  writes; checks what it reads: who verifies the proofs does.

Each root asks for reading every record under it once, some ten seconds for a million.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from gateway.errors import Untrusted
from gateway.ledger.records import parse_record
from gateway.ledger.rehash import REHASHED, Hashing, Rehashed, read_rehashed
from gateway.store import Tx, evidence, ledger

_AT_ONCE = 500


class Anew(NamedTuple):
    """`entry`: of the record that states `root`; `proofs` by the number of an entry."""

    entry: evidence.OfLedger
    root: Rehashed
    proofs: dict[int, tuple[bytes, ...]]


def proved(tx: Tx, places: Iterable[tuple[int, int]]) -> list[Anew]:
    """For (epoch, seq), where a root covers any of them."""
    newest: dict[tuple[int, str], tuple[evidence.OfLedger, Rehashed]] = {}
    for one in evidence.of_ledger(tx):
        if one.event == REHASHED:
            try:
                root = read_rehashed(parse_record(one.body).facts)
            except Untrusted:
                continue  # `ledger verify` names the entry
            newest[root.epoch, root.algorithm] = (one, root)
    found = []
    asked = sorted(places)
    for entry, root in newest.values():
        seqs = [seq for epoch, seq in asked if epoch == root.epoch and seq < root.size]
        if seqs:
            bodies = partial(_bodies, tx, root.epoch)
            proofs = Hashing(root.algorithm).inclusions(bodies, seqs, root.size)
            found.append(Anew(entry, root, proofs))
    return found


def _bodies(tx: Tx, epoch: int) -> Iterator[bytes]:
    start = 0
    while rows := ledger.entries_from(tx, epoch, start, _AT_ONCE):
        yield from (row.body or b"" for row in rows)
        start = int(rows[-1].seq) + 1
