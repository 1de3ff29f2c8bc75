"""Checkpoints, stamps and cosignatures that are gone: what later checkpoints say was there.

In:     one reading transaction.
Out:    findings: a checkpoint, a stamp or a cosignature that a later checkpoint names (or that
        waits to be named) and that is not there; one that is there and that nothing names.
Never:  writes; judges a signature (ledger/verify.py does); holds more than a batch while all is
        well: only to say which one nothing names it holds the digests of all.

Checkpoints made before they said anything of those before are taken as they are, up to the first of
the epoch that does, and so is what was stamped or cosigned over them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.audit.against import BATCH
from gateway.errors import Finding, Severity, Text, Untrusted
from gateway.ledger import lineage
from gateway.ledger.lineage import Known, Lineage
from gateway.model.record import Checkpoint
from gateway.store import Tx, ledger, unsaid

_RULE = "C2SP tlog-checkpoint"


def unbroken(tx: Tx) -> Iterator[Finding]:
    """Each checkpoint against the one before it, then what they name against what is there."""
    audit = _Audit(tx)
    for epoch in ledger.epochs(tx):
        yield from audit.checkpoints(epoch)
    yield from audit.waiting()
    yield from audit.unnamed()


@dataclass(slots=True)
class _Audit:
    tx: Tx
    began: dict[int, int] = field(default_factory=dict)  # epoch -> first size that says something
    named: int = 0  # of what stands over checkpoints from there on
    found: bool = False

    def add(self, path: str, code: str, vi: str, en: str) -> Finding:
        self.found = True
        return Finding(path, code, Severity.ERROR, Text(vi, en), _RULE)

    def checkpoints(self, epoch: int) -> Iterator[Finding]:
        before: Checkpoint | None = None
        for checkpoint in _checkpoints(self.tx, epoch):
            path = f"epoch/{epoch}/checkpoint/{checkpoint.size}"
            try:
                said = lineage.read_lineage(checkpoint.note)
            except Untrusted as wrong:
                yield self.add(path, "ledger.lineage", wrong.text.vi, wrong.text.en)
                before = checkpoint
                continue
            if said is not None:
                self.began.setdefault(epoch, checkpoint.size)
                yield from self._before(checkpoint, before, said)
                for one in said.known:
                    yield from self._there(one, checkpoint.epoch, checkpoint.size)
            elif epoch in self.began:
                yield self.add(
                    path,
                    "ledger.lineage",
                    "điểm kiểm soát không nêu điểm trước nó",
                    "the checkpoint does not name the one before it",
                )
            before = checkpoint

    def _before(
        self, checkpoint: Checkpoint, before: Checkpoint | None, said: Lineage
    ) -> Iterator[Finding]:
        size, note = (before.size, before.note) if before else (0, "")
        if said.size > size:
            yield self.add(
                f"epoch/{checkpoint.epoch}/checkpoint/{said.size}",
                "ledger.checkpoint_lost",
                f"điểm kiểm soát cho {said.size} mục đã mất; điểm cho {checkpoint.size} mục nêu nó",
                f"the checkpoint of {said.size} entries is gone; that of {checkpoint.size} "
                "entries names it",
            )
        elif (said.size, said.digest) != lineage.note_before(size, note)[:2]:
            yield self.add(
                f"epoch/{checkpoint.epoch}/checkpoint/{checkpoint.size}",
                "ledger.lineage",
                f"điểm kiểm soát nêu một điểm trước nó khác với điểm cho {size} mục đang có",
                f"before it the checkpoint names another one than that of {size} entries",
            )

    def waiting(self) -> Iterator[Finding]:
        after = b""
        while rows := unsaid.after(self.tx, after, BATCH):
            for row in rows:
                one = Known(row.kind, row.epoch, row.size, row.witness, row.digest)
                yield from self._there(one, 0, 0)
            after = rows[-1].digest

    def _there(self, one: Known, epoch: int, size: int) -> Iterator[Finding]:
        """`epoch`, `size`: of the checkpoint that names it; 0: it waits for one."""
        if self._counts(one.epoch, one.size):
            self.named += 1
        if one.digest in _digests(self.tx, one):
            return
        by = Text("nó chờ được nêu", "it waits to be named")
        if size:
            by = Text(
                f"điểm kiểm soát {epoch}-{size} nêu nó",
                f"checkpoint {epoch}-{size} names it",
            )
        digest = one.digest.hex()
        if one.kind == lineage.COSIGNATURE:
            yield self.add(
                one.path,
                "ledger.cosignature_lost",
                f"chữ ký của nhân chứng {one.witness} (SHA-256 {digest}) đã mất; {by.vi}",
                f"the cosignature of {one.witness} (SHA-256 {digest}) is gone; {by.en}",
            )
        else:
            yield self.add(
                one.path,
                "ledger.stamp_lost",
                f"dấu thời gian (SHA-256 {digest}) đã mất; {by.vi}",
                f"the stamp (SHA-256 {digest}) is gone; {by.en}",
            )

    def _counts(self, epoch: int, size: int) -> bool:
        return epoch in self.began and size >= self.began[epoch]

    def unnamed(self) -> Iterator[Finding]:
        """As many are there as are named, or something is there that nothing names."""
        there = sum(unsaid.count_from(self.tx, e, size) for e, size in self.began.items())
        if self.found or there == self.named:
            return
        said = {row.digest for row in _all_waiting(self.tx)}
        for epoch in self.began:
            for checkpoint in _checkpoints(self.tx, epoch):
                told = lineage.read_lineage(checkpoint.note)
                said |= {one.digest for one in (told.known if told else ())}
        for one in self._rows():
            if one.digest not in said:
                yield self.add(
                    one.path,
                    "ledger.unnamed",
                    "không điểm kiểm soát nào nêu nó, và nó cũng không chờ được nêu",
                    "no checkpoint names it, and it does not wait to be named",
                )
        if not self.found:
            yield self.add(
                "checkpoint",
                "ledger.unnamed",
                f"các điểm kiểm soát nêu {self.named} dấu và chữ ký nhân chứng, thực có {there}",
                f"checkpoints name {self.named} stamps and cosignatures, {there} are there",
            )

    def _rows(self) -> Iterator[Known]:
        for epoch, size in self.began.items():
            for place in unsaid.sizes_from(self.tx, epoch, size):
                for kind, witness, content in unsaid.contents(self.tx, epoch, place):
                    yield Known(kind, epoch, place, witness, hashlib.sha256(content).digest())


def _checkpoints(tx: Tx, epoch: int) -> Iterator[Checkpoint]:
    after = -1
    while found := ledger.checkpoints(tx, epoch, after):
        yield from found
        after = found[-1].size


def _all_waiting(tx: Tx) -> Iterator[unsaid.Unsaid]:
    after = b""
    while rows := unsaid.after(tx, after, BATCH):
        yield from rows
        after = rows[-1].digest


def _digests(tx: Tx, one: Known) -> set[bytes]:
    """Of what stands over that checkpoint, of this kind and by this witness."""
    return {
        hashlib.sha256(content).digest()
        for kind, witness, content in unsaid.contents(tx, one.epoch, one.size)
        if (kind, witness) == (one.kind, one.witness)
    }
