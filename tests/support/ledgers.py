"""A ledger held in dictionaries: what the store keeps in rows, for tests that spoil it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.tsa.authority import LocalAuthority
from adapters.tsa.make import make_authority
from gateway.ledger import checkpoint, merkle, records, stamp, verify
from gateway.model.record import Checkpoint, Entry, Record, Stamp

ORIGIN = "ledger.sample.example/a"
START = datetime(2026, 11, 22, 5, 16, 22, 123456, tzinfo=UTC)
KEY = ec.derive_private_key(
    int.from_bytes(hashlib.sha256(b"ledger tests").digest()), ec.SECP256R1()
)


def sample_record(number: int, blob: str | None = None) -> Record:
    facts = {"number": number} if blob is None else {"number": number, "package_blob": blob}
    return Record(
        id=f"record-{number:06d}",
        event="attempt.ended",
        at=START + timedelta(milliseconds=number),
        salt=hashlib.sha256(f"salt {number}".encode()).hexdigest()[:32],
        about={"transfer": f"transfer-{number}"},
        facts=facts,
    )


@cache
def sample_authority() -> LocalAuthority:
    with TemporaryDirectory() as folder:
        return make_authority(Path(folder), START)


def anchors() -> tuple[x509.Certificate, ...]:
    return (sample_authority().chain[-1],)


@dataclass
class MemoryLedger:
    """One epoch. Every field may be spoiled by a test before `rows()` is read."""

    records: dict[str, bytes] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)
    epoch: int = 1

    def read_nodes(self, coordinates: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        self.reads.append(len(coordinates))
        found = {}
        for level, index in coordinates:
            if level == 0 and index < len(self.entries):
                found[level, index] = self.entries[index].leaf
            elif (level, index) in self.nodes:
                found[level, index] = self.nodes[level, index]
        return found

    def accept(self, record: Record) -> None:
        self.records[record.id] = records.record_bytes(record)
        self.pending.append(record.id)

    def seal(self) -> Checkpoint:
        """What the sealer does in one commit."""
        waiting, self.pending = self.pending, []
        leaves = [records.leaf_hash(self.records[r]) for r in waiting]
        size = len(self.entries)
        done = merkle.append(leaves, size, self.read_nodes)
        self.entries += [
            Entry(self.epoch, size + i, r, leaf)
            for i, (r, leaf) in enumerate(zip(waiting, leaves, strict=True))
        ]
        self.nodes |= {(n.level, n.idx): n.hash for n in done.nodes}
        made = checkpoint.make_checkpoint(ORIGIN, self.epoch, done.size, done.root, START, KEY)
        self.checkpoints.append(made)
        return made

    def stamp(self, at: datetime = START) -> Stamp:
        newest = self.checkpoints[-1]
        token = sample_authority().token(stamp.stamp_digest(newest), None, at, newest.size + 1)
        facts = stamp.verify_stamp(token, newest.note, anchors())
        made = Stamp(
            epoch=self.epoch,
            size=newest.size,
            token=token,
            authority=facts.authority,
            gen_time=facts.gen_time,
            policy=facts.policy,
            serial=facts.serial,
        )
        self.stamps.append(made)
        return made

    def blob_sha256(self, digest: str) -> str | None:
        data = self.blobs.get(digest)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def rows(self) -> verify.LedgerRows:
        sealed = {e.record_id for e in self.entries}
        epoch = verify.EpochRows(
            epoch=self.epoch,
            entries=(verify.SealedRow(e, self.records.get(e.record_id)) for e in self.entries),
            read_nodes=lambda cs: {c: self.nodes[c] for c in cs if c in self.nodes},
            node_count=len(self.nodes),
            checkpoints=iter(self.checkpoints),
            stamps=iter(self.stamps),
        )
        return verify.LedgerRows(ORIGIN, [epoch], self._unsealed(sealed), len(self.records))

    def _unsealed(self, sealed: set[str]) -> Iterator[verify.UnsealedRow]:
        for record_id in sorted((self.records.keys() - sealed) | set(self.pending)):
            yield verify.UnsealedRow(
                record_id,
                self.records.get(record_id),
                pending=record_id in self.pending,
                sealed=record_id in sealed,
            )

    def report(self, *, with_anchors: bool = True) -> verify.LedgerReport:
        return verify.verify_ledger(
            self.rows(),
            [KEY.public_key()],
            anchors() if with_anchors else (),
            self.blob_sha256,
        )


def sample_ledger(sizes: Sequence[int] = (3, 1, 7, 2, 10), waiting: int = 2) -> MemoryLedger:
    """Batches of these sizes, a checkpoint each, a stamp on the third and the last, two blobs."""
    ledger, number = MemoryLedger(), 0
    for batch, size in enumerate(sizes):
        for _ in range(size):
            blob = None
            if number in {5, 9}:
                data = b"package %d" % number
                blob = hashlib.sha256(data).hexdigest()
                ledger.blobs[blob] = data
            ledger.accept(sample_record(number, blob))
            number += 1
        ledger.seal()
        if batch in {2, len(sizes) - 1}:
            ledger.stamp(START + timedelta(seconds=batch))
    for _ in range(waiting):
        ledger.accept(sample_record(number))
        number += 1
    return ledger
