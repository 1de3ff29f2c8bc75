"""The corridor that hashes a ledger anew: records -> the root of their tree under another function.

In:     an epoch's records, as they are; the name of a hash function.
Out:    a record `ledger.rehashed` with that root, which is sealed and stamped like any other.
Fails:  Rejected (`ledger.no_such_hash`, `ledger.empty`); Untrusted (`ledger.leaf`) when a record
        is not the one that its entry says: nothing is hashed anew that does not hold.
Never:  touches the tree that is there; holds more than a few hundred records.
Next:   ledger/rehash.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from gateway.errors import Rejected, Text, Untrusted
from gateway.ledger.records import leaf_hash
from gateway.ledger.rehash import Hashing
from gateway.scribe import Scribe
from gateway.store import Store, Tx, ledger
from gateway.telemetry.events import Event

_AT_ONCE = 500


class Rehashed(NamedTuple):
    """`size`: entries of the epoch under the new root."""

    algorithm: str
    epoch: int
    size: int
    root: bytes


class Rehashing:
    def __init__(self, store: Store, scribe: Scribe) -> None:
        self.store = store
        self.scribe = scribe

    async def run(self, algorithm: str) -> Rehashed:
        """Everything that is sealed in the present epoch. Takes as long as reading it."""
        hashing = Hashing(algorithm)
        newest = await self.store.read(ledger.newest_checkpoint)
        if newest is None:
            raise Rejected(
                Text("Sổ cái chưa có mục nào", "the ledger has no entry yet"), code="ledger.empty"
            )
        root = await asyncio.to_thread(self._root, hashing, newest.epoch, newest.size)
        made = Rehashed(algorithm, newest.epoch, newest.size, root)
        record = self.scribe.record(
            Event.LEDGER_REHASHED,
            self.scribe.now(),
            {},
            {
                "algorithm": algorithm,
                "epoch": made.epoch,
                "size": made.size,
                "root": root.hex(),
                "sha256_root": newest.root.hex(),
            },
        )
        await self.store.write(partial(ledger.append, records=[record]))
        return made

    def bodies(self, epoch: int, size: int) -> Iterator[bytes]:
        """The records of the first `size` entries, each held against its entry. Blocks."""
        start = 0
        while start < size:
            rows = self.store.read_sync(partial(self._some, epoch=epoch, start=start))
            for row in rows[: size - start]:
                if row.body is None or leaf_hash(row.body) != row.leaf:
                    raise _wrong(epoch, row.seq)
                yield row.body
            if not rows:
                raise _wrong(epoch, start)
            start += len(rows)

    def _root(self, hashing: Hashing, epoch: int, size: int) -> bytes:
        tree = hashing.tree()
        for body in self.bodies(epoch, size):
            tree.push(hashing.leaf(body))
        return tree.root()

    @staticmethod
    def _some(tx: Tx, epoch: int, start: int) -> list[ledger.EntryRow]:
        return ledger.entries_from(tx, epoch, start, _AT_ONCE)


def _wrong(epoch: int, seq: int) -> Untrusted:
    return Untrusted(
        Text(
            f"Mục {epoch}-{seq} của sổ cái không còn nguyên; xem `ledger verify`",
            f"entry {epoch}-{seq} of the ledger does not hold; see `ledger verify`",
        ),
        code="ledger.leaf",
    )
