"""The corridor that renews evidence: a container that exists -> the same one with newer proof.

In:     a container that this ledger exported, however long ago.
Out:    its parts in their bytes, and behind them the newest stamped checkpoint, the proof that it
        continues the old one, what is known of the authorities since, and a stamp over all of it.
Fails:  Untrusted (`evidence.invalid`) for a container that does not hold; Rejected
        (`evidence.other_ledger`); Unavailable when no authority answers.
Never:  changes what was in it, writes a row.
Next:   evidence/renewal.py says what such a block holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from gateway.errors import GatewayError, Misconfigured, Rejected, Text, Untrusted
from gateway.evidence import check, reading, renewal, trusted, zipped
from gateway.evidence.case import Case, Head, Kept, Place, Sealed, Step
from gateway.exporting import Exporting, authority_trust, handovers
from gateway.ledger import merkle
from gateway.ledger.records import parse_record
from gateway.ledger.stamp import unanswered
from gateway.ledger.succession import read_handover
from gateway.ports import TimestampAuthority
from gateway.store import Tx, evidence, ledger


@dataclass(frozen=True, slots=True)
class Refreshing:
    """`deadline`: seconds that one authority has for its answer; they are asked in their order."""

    exporting: Exporting
    authorities: Sequence[TimestampAuthority]
    deadline: float

    async def refresh(self, source: BinaryIO, to: BinaryIO) -> renewal.Fresh:
        """The renewed container into `to`, which can seek; what was added."""
        if not self.authorities:
            raise Misconfigured(
                Text("Chưa khai báo stamp.authorities", "stamp.authorities names nobody"),
                code="stamp.no_authority",
            )
        store = self.exporting.store
        changes = await store.read(handovers)
        case, older, kept = await asyncio.to_thread(self._read, source, changes)
        fresh = await store.read(
            partial(self._fresh, case=case, older=older, kept=kept, changes=changes)
        )
        loop = asyncio.get_running_loop()

        def stamped(digest: bytes) -> bytes:
            return asyncio.run_coroutine_threadsafe(self._ask(digest), loop).result()

        def write() -> None:
            with zipped.read(source) as container:
                renewal.write(container, fresh, self.exporting.blobs.open, stamped, to)

        await asyncio.to_thread(write)
        return fresh

    def _read(
        self, source: BinaryIO, changes: Sequence[Sealed]
    ) -> tuple[Case, tuple[Head, ...], frozenset[Kept]]:
        """What it holds already, once it was judged by the keys that this ledger has and had."""
        origin = self.exporting.origin
        past = [read_handover(parse_record(c.body).facts, origin).old for c in changes]
        own = check.Anchors({origin: (self.exporting.key.public_key(), *past)})
        if check.verify(source, own, self.exporting.limits).verdict == "invalid":
            raise Untrusted(
                Text(
                    "Tệp bằng chứng không hợp lệ nên không gia hạn; xem `evidence verify`",
                    "the container does not hold, so it is not renewed; see `evidence verify`",
                ),
                code="evidence.invalid",
            )
        with zipped.read(source) as container:
            case = reading.read(container).case
            if case.origin != self.exporting.origin:
                raise Rejected(
                    Text("Tệp của một sổ cái khác", "the container is of another ledger"),
                    code="evidence.other_ledger",
                )
            heads: list[Head] = []
            kept = set(case.trust)
            for block in renewal.split(container.names)[1]:
                found = renewal.read(container, block, case, heads)
                heads += found.heads
                kept |= set(found.trust)
            return case, tuple(heads), frozenset(kept)

    def _fresh(
        self,
        tx: Tx,
        case: Case,
        older: Sequence[Head],
        kept: frozenset[Kept],
        changes: Sequence[Sealed],
    ) -> renewal.Fresh:
        """For each epoch of the container its newest stamped head, where that is newer, and the
        changes of key before it that the container lacks.
        """
        held = (*case.heads, *older)
        heads: list[Head] = []
        steps: list[Step] = []
        lacked: list[Sealed] = []
        for epoch in sorted({h.epoch for h in held}):
            last = max(h.size for h in held if h.epoch == epoch)
            found = list(ledger.stamps(tx, epoch, max(last, ledger.stamped_size(tx, epoch) - 1)))
            if not found:
                continue
            stamp = found[-1]
            new = [c for c in changes if c.place.epoch == epoch and last < c.size <= stamp.size]
            lacked += new
            nodes = partial(ledger.read_nodes, tx, epoch)
            for size in sorted({*(c.size for c in new), stamp.size}):
                place = Place(epoch, size)
                note = evidence.checkpoints(tx, [place])[place].note
                bare = Head(epoch, size, note)
                token, at = stamp.token, stamp.gen_time
                stamped = replace(bare, token=token, stamped_at=at)
                heads.append(stamped if size == stamp.size else bare)
                proof = merkle.consistency_proof(last, size, nodes)
                steps.append(Step(epoch, last, size, proof))
                last = size
        stamps = [(trusted.stamped_at(h.token), h.token) for h in (*held, *heads) if h.token]
        trust = [one for one in authority_trust(tx, stamps) if one not in kept]
        return renewal.Fresh(tuple(heads), tuple(steps), tuple(trust), tuple(lacked))

    async def _ask(self, digest: bytes) -> bytes:
        failures: list[str] = []
        for authority in self.authorities:
            try:
                return (await authority.stamp(digest, self.deadline)).token
            except GatewayError as problem:
                failures.append(f"{authority.name}: {problem.code}")
        raise unanswered(failures)
