"""Making the container: a case and the bytes it speaks of -> parts, their list, its signature.

In:     a Case, packages as they were read, openers for bytes, the ledger's key.
Out:    the container, written once from front to back; the same input gives the same bytes.
Fails:  what the openers fail with; nothing of a container that failed is of use.
Never:  holds a package or a file in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.c14n import canonical_json
from gateway.evidence import (
    cades,
    instructions,
    layout,
    manifest,
    minutes,
    printed,
    rehashed,
    zipped,
)
from gateway.evidence.case import Case, Sealed, Step
from gateway.evidence.packages import SignaturePart
from gateway.ledger.keys import parse_vkey, public_pem
from gateway.ledger.tlog import proof_text

Open = Callable[[str], BinaryIO]
VERSION = 1
# of minutes and instructions; another number for other words, and older ones stay as they are
WORDS = 3


def write(
    case: Case,
    packages: Sequence[minutes.Seen],
    signatures: Sequence[SignaturePart],
    opener: Open,
    key: ec.EllipticCurvePrivateKey,
    to: BinaryIO,
) -> None:
    """The whole container into `to`, which can seek. `opener`: bytes by their SHA-256 (hex)."""
    listed: list[manifest.Listed] = []

    def counted(name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
        listed.append(manifest.Listed(name, layout.media(name), digest.digest()))

    sizes = {layout.package(p.digest): p.size for p in packages}
    sizes |= {layout.file(f.sha256): f.size for p in packages for f in p.files}

    def parts() -> Iterator[zipped.Part]:
        for name, chunks in _content(case, packages, signatures, opener):
            yield zipped.Part(name, counted(name, chunks), sizes.get(name, 0))
        check = instructions.write(case, {p.name: p.sha256 for p in listed}, signed_of(signatures))
        yield zipped.Part(layout.CHECK, counted(layout.CHECK, [check.encode()]))
        listing = manifest.write(listed)
        yield zipped.Part(manifest.MANIFEST, [listing])
        signature = cades.sign(listing, case.origin, key, case.at)
        yield zipped.Part(manifest.SIGNATURE, [signature])

    zipped.write(parts(), to)


def signed_of(signatures: Sequence[SignaturePart]) -> list[instructions.Signed]:
    return [instructions.Signed(s.package, s.inner, s.options) for s in signatures]


def case_json(case: Case, signatures: Sequence[SignaturePart]) -> bytes:
    """`evidence.json`: what a program needs to find its way; all of it is checked elsewhere."""
    return canonical_json(
        {
            "v": VERSION,
            "words": WORDS,
            "origin": case.origin,
            "subject": dict(case.subject),
            "records": [[*r.place, r.size] for r in case.records],
            "heads": [[*h.place, bool(h.token)] for h in case.heads],
            "steps": [[s.epoch, s.old, s.new] for s in case.steps],
            "packages": [
                {"digest": p.digest, "role": p.role, "signature": list(p.judged or ())}
                for p in case.packages
            ],
            "receipts": len(case.receipts),
            "trust": [list(kept) for kept in case.trust],
            "handovers": [[*h.place, h.size] for h in case.handovers],
            "rehashed": [
                [*one.sealed.place, one.sealed.size, [list(place) for place in sorted(one.proofs)]]
                for one in case.rehashed
            ],
            "signatures": [
                {"package": s.package, "files": list(s.inner), "options": s.options}
                for s in signatures
            ],
        }
    )


def proof_part(case: Case, proved: Sealed | Step) -> bytes:
    """An inclusion proof as C2SP tlog-proof, or a consistency proof in the same spirit."""
    if isinstance(proved, Sealed):
        note = next(h.note for h in case.heads if h.place == (proved.place.epoch, proved.size))
        return proof_text(proved.place.seq, proved.proof, note).encode()
    note = next(h.note for h in case.heads if h.place == (proved.epoch, proved.new))
    return proof_text(proved.old, proved.proof, note, consistency=True).encode()


def _content(
    case: Case,
    packages: Sequence[minutes.Seen],
    signatures: Sequence[SignaturePart],
    opener: Open,
) -> Iterator[tuple[str, Iterable[bytes]]]:
    yield layout.MINUTES, [minutes.write(case, packages).encode()]
    yield layout.PRINT, [printed.write(case, packages)]
    yield layout.CASE, [case_json(case, signatures)]
    yield layout.VKEY, [case.vkey.encode() + b"\n"]
    yield layout.KEY, [public_pem(parse_vkey(case.vkey)[1]).encode()]
    for head in case.heads:
        yield layout.note(head), [head.note.encode()]
        if head.token:
            yield layout.stamp(head), [head.token]
    for record in case.entries:
        yield layout.record(record.place), [record.body]
        yield layout.proof(record.place), [proof_part(case, record)]
    for one in case.rehashed:
        algorithm = rehashed.told(one).algorithm
        for place, proof in sorted(one.proofs.items()):
            text = rehashed.proof_text(algorithm, place.seq, proof)
            yield layout.reproof(one.sealed.place, place), [text.encode()]
    for step in case.steps:
        yield layout.step(step.epoch, step.old, step.new), [proof_part(case, step)]
    for number, receipt in enumerate(case.receipts):
        yield layout.receipt(number), [receipt]
    for package in case.packages:
        yield layout.package(package.digest), _stored(opener, package.digest)
    files = dict.fromkeys(digest for s in signatures for digest in s.inner)
    for part in signatures:
        yield layout.signed_info(part.package), [part.signed_info]
        yield layout.signature_value(part.package), [part.value]
        yield layout.certificate(part.package), [part.certificate]
    for digest in files:
        yield layout.file(digest), _stored(opener, digest)
    for kept in case.trust:
        yield layout.trust(kept), _stored(opener, kept.digest)


def _stored(opener: Open, digest: str) -> Iterator[bytes]:
    with opener(digest) as source:
        while chunk := source.read(zipped.CHUNK):
            yield chunk
