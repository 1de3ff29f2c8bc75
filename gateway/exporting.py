"""The corridor of evidence for others: one document's records -> a container that proves itself.

In:     a document or an inbox item of this gateway.
Out:    an ASiC-E container in a spool; the same ledger gives the same bytes.
Fails:  Unknown; Unavailable (`evidence.unsealed`) while a record waits for the sealer.
Never:  writes a row; exports a record whose place in the tree it cannot prove.
Next:   evidence/__init__.py says what such a container holds, `evidence.check` judges it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric import ec

from gateway import anew
from gateway.c14n import canonical_json
from gateway.errors import Text, Unavailable, Unknown
from gateway.evidence import build, packages, trusted
from gateway.evidence.case import Carried, Case, Head, Kept, Place, Reproved, Sealed, Step, plan
from gateway.ledger import keys, merkle
from gateway.ledger.records import parse_record
from gateway.ledger.succession import KEY_CHANGED
from gateway.model.record import Record, Stamp
from gateway.ports import BlobStore
from gateway.rules import vietnam_day
from gateway.safexml import Limits
from gateway.signing import DEFAULT_POLICY, Policy
from gateway.store import Store, Tx, evidence, ledger
from gateway.unpacked import FileCache


@dataclass(frozen=True, slots=True)
class Exporting:
    """`key`: the ledger's, which signs the list of parts. `limits`: those of reading packages."""

    store: Store
    blobs: BlobStore
    origin: str
    key: ec.EllipticCurvePrivateKey
    limits: Limits
    policy: Policy = DEFAULT_POLICY

    async def export(self, ref: str) -> BinaryIO:
        """The container for a document of ours, or for an inbox item; rewound. Close it."""
        case = await self.store.read(partial(self.case, ref=ref))
        return await asyncio.to_thread(self.write, case)

    def case(self, tx: Tx, ref: str) -> Case:
        """All that the ledger holds about `ref`, with its proofs; one reading transaction."""
        kind, subject = "document", evidence.of_document(tx, ref)
        if subject is None:
            kind, subject = "item", evidence.of_item(tx, ref)
        if subject is None:
            raise Unknown(
                Text("Không có văn bản hoặc mục này", "no such document or item"),
                code="document.unknown",
            )
        rows = evidence.records(tx, subject)
        sealed = {
            Place(r.epoch, r.seq): r.body for r in rows if r.epoch is not None and r.seq is not None
        }
        if not rows or len(sealed) != len(rows):
            raise Unavailable(
                Text(
                    "Bản ghi của văn bản còn chờ niêm phong; hãy thử lại sau giây lát",
                    "records of this document wait to be sealed; try again in a moment",
                ),
                code="evidence.unsealed",
            )
        again = {Place(a.entry.epoch, a.entry.seq): a for a in anew.proved(tx, sealed)}
        places = [*sealed, *again]
        stamps = {Place(s.epoch, s.size): s for s in evidence.stamps_around(tx, places)}
        newest = [evidence.newest_of(tx, epoch) for epoch in sorted({p.epoch for p in places})]
        changes = handovers(tx)
        wanted = plan(
            places,
            list(stamps),
            [Place(head.epoch, head.size) for head in newest if head],
            [Place(one.place.epoch, one.size) for one in changes],
        )
        notes = evidence.checkpoints(tx, wanted.heads)
        nodes = partial(ledger.read_nodes, tx)

        def proved(place: Place, body: bytes) -> Sealed:
            size = wanted.covers[place]
            proof = merkle.inclusion_proof(place.seq, size, partial(nodes, place.epoch))
            return Sealed(place, body, size, proof)

        return Case(
            origin=self.origin,
            vkey=keys.vkey(self.origin, self.key),
            subject={kind: ref},
            records=tuple(proved(place, body) for place, body in sorted(sealed.items())),
            heads=tuple(
                Head(
                    place.epoch,
                    place.seq,
                    notes[place].note,
                    stamps[place].token if place in stamps else b"",
                    stamps[place].gen_time if place in stamps else None,
                )
                for place in wanted.heads
            ),
            steps=tuple(
                Step(epoch, old, new, merkle.consistency_proof(old, new, partial(nodes, epoch)))
                for epoch, old, new in wanted.steps
            ),
            packages=tuple(_packages(parse_record(r.body) for r in rows)),
            receipts=tuple(_receipts(subject.answers)),
            trust=_trust(tx, [parse_record(r.body) for r in rows], stamps.values()),
            handovers=changes,
            rehashed=tuple(
                Reproved(
                    proved(place, one.entry.body),
                    {Place(one.root.epoch, seq): proof for seq, proof in one.proofs.items()},
                )
                for place, one in sorted(again.items())
            ),
        )

    def write(self, case: Case) -> BinaryIO:
        """Blocks. The packages are read once for what they say, and once more to be copied."""
        spool = self.blobs.spool()
        try:
            day = vietnam_day(case.at)
            seen, signatures = [], []
            for package in case.packages:
                with self.blobs.open(package.digest) as source:
                    one, signature = packages.look(
                        source,
                        package,
                        day,
                        limits=self.limits,
                        policy=self.policy,
                        sink=FileCache(self.blobs),
                    )
                seen.append(one)
                if signature is not None:
                    signatures.append(signature)
            judged = tuple(
                replace(package, judged=one.judged)
                for package, one in zip(case.packages, seen, strict=True)
            )
            trust = self.store.read_sync(partial(_senders, case=case, signatures=signatures))
            case = replace(case, packages=judged, trust=tuple(dict.fromkeys((*case.trust, *trust))))
            build.write(case, seen, signatures, self.blobs.open, self.key, spool)
            spool.seek(0)
        except BaseException:
            spool.close()
            raise
        return spool


def handovers(tx: Tx) -> tuple[Sealed, ...]:
    """Every change of the ledger's key, proved by the first head that holds it: the new key signed
    that one. A change without its head is left out, and whoever verifies is told of the gap.
    """
    found = []
    for one in evidence.of_ledger(tx):
        head = Place(one.epoch, one.seq + 1)
        if one.event == KEY_CHANGED and evidence.checkpoints(tx, [head]):
            read = partial(ledger.read_nodes, tx, one.epoch)
            proof = merkle.inclusion_proof(one.seq, head.seq, read)
            found.append(Sealed(Place(one.epoch, one.seq), one.body, head.seq, proof))
    return tuple(found)


def _packages(records: Iterable[Record]) -> Iterable[Carried]:
    """Each package that a record vouches for, once, under the first role that it has."""
    found: dict[str, str] = {}
    for record in records:
        for digest in trusted.package_blobs(record):
            found.setdefault(digest, _role(record))
    return [Carried(digest, role) for digest, role in found.items()]


def _trust(tx: Tx, records: Iterable[Record], stamps: Iterable[Stamp]) -> tuple[Kept, ...]:
    """What words on certificates rest on: of the packages' signers, of the stamps' authorities."""
    found = [kept for record in records for kept in trusted.named(record)]
    ordered = sorted(stamps, key=lambda s: (s.epoch, s.size))
    found += authority_trust(tx, [(s.gen_time, s.token) for s in ordered])
    return tuple(dict.fromkeys(found))


def authority_trust(tx: Tx, stamps: Iterable[tuple[datetime, bytes]]) -> tuple[Kept, ...]:
    """What was kept of the authorities behind these tokens, each with its time; once each."""
    stampers = ((at, trusted.stamper(token)) for at, token in stamps)
    return _kept(tx, evidence.AUTHORITY, stampers)


def _senders(tx: Tx, case: Case, signatures: Iterable[packages.SignaturePart]) -> tuple[Kept, ...]:
    """What was kept of our agencies that signed these packages, when they handed them in."""
    named_at = trusted.named_at(case)
    signers = (
        (named_at[one.package], hashlib.sha256(one.certificate).hexdigest()) for one in signatures
    )
    return _kept(tx, evidence.SIGNER, signers)


def _kept(tx: Tx, role: str, certificates: Iterable[tuple[datetime, str]]) -> tuple[Kept, ...]:
    """What daily records name about these certificates (SHA-256, hex), each at its time."""
    found: list[Kept] = []
    for at, certificate in certificates:
        body = evidence.judged_around(tx, role, certificate, at)
        if body is not None:
            found += trusted.named(parse_record(body))
    return tuple(dict.fromkeys(found))


def _role(record: Record) -> str:
    if record.event == "submission.accepted":
        return "sent"
    if record.event == "status.accepted" or record.facts.get("kind") == "status":
        return "status"
    return "received"


def _receipts(answers: Iterable[str]) -> Iterable[bytes]:
    for answer in answers:
        receipt = json.loads(answer).get("receipt") if answer else None
        if receipt:
            yield canonical_json(receipt)
