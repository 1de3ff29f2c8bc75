"""Renewal of a container: newer proof is put behind what is there, and none of that is touched.

In:     a container; what the ledger can add today (`Fresh`); a stamp over a digest.
Out:    the same parts in the same bytes, and a block behind them; or the blocks of a container.
Fails:  Untrusted, and MALFORMED of reading, for a block in another form.
Never:  changes, drops or moves a part that was there: the old list and its signature stay.

A block `n` (001, 002, ...) is, in this order: `renewals/n.json`, a newer checkpoint with its stamp
and the proof that its tree continues the last one, certificates and revocation data that the
container lacks; then META-INF/ASiCArchiveManifest`n`.xml, a list of *every* part before it, older
tokens and lists included, and META-INF/archive`n`.tst, an RFC 3161 token over that list
(EN 319 162-1 A.7). So an older token is proved to have existed while it could be relied on: if its
key or its hash function is broken later, the newer stamp speaks for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from gateway.c14n import JsonValue, canonical_json
from gateway.errors import Text, Untrusted
from gateway.evidence import layout, manifest, zipped
from gateway.evidence.case import Case, Head, Kept, Place, Sealed, Step
from gateway.ledger import tlog

VERSION = 1
MOST = 999
Open = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Fresh:
    """`heads`: with their stamps, those that prove a change of key perhaps without; `steps`: from
    the last head of a container to these; `handovers`: changes of key that it lacks.
    """

    heads: tuple[Head, ...] = ()
    steps: tuple[Step, ...] = ()
    trust: tuple[Kept, ...] = ()
    handovers: tuple[Sealed, ...] = ()


def handovers(case: Case, fresh: Sequence[Fresh]) -> Iterator[tuple[Sealed, tuple[Head, ...]]]:
    """Each change of key that renewals added, with the heads that may prove it."""
    heads = case.heads
    for one in fresh:
        heads = (*heads, *one.heads)
        for sealed in one.handovers:
            yield sealed, heads


@dataclass(frozen=True, slots=True)
class Block:
    """`names`: its parts before the list, in their order; `before`: all that stand before them."""

    number: int
    before: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def archive(self) -> str:
        return f"META-INF/ASiCArchiveManifest{self.number:03}.xml"

    @property
    def token(self) -> str:
        return f"META-INF/archive{self.number:03}.tst"

    @property
    def told(self) -> str:
        return f"renewals/{self.number:03}.json"


def split(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[Block, ...]]:
    """The parts of the first container, and the blocks behind them.

    What stands behind them and is no whole block is left among the first: no list has it.
    """
    if manifest.SIGNATURE not in names:
        return tuple(names), ()
    end = names.index(manifest.SIGNATURE) + 1
    first = list(names[:end])
    blocks: list[Block] = []
    while end < len(names):
        made = Block(len(blocks) + 1, tuple(names[:end]), ())
        rest = list(names[end:])
        if made.archive not in rest or made.token not in rest:
            first += rest
            break
        last = rest.index(made.archive)
        if rest[last + 1 : last + 2] != [made.token] or rest[:1] != [made.told]:
            first += rest
            break
        blocks.append(Block(made.number, made.before, tuple(rest[:last])))
        end += last + 2
    return tuple(first), tuple(blocks)


def listed(container: zipped.Container, block: Block) -> dict[str, bytes]:
    """Digests that the list of a block states. Untrusted (`evidence.manifest`): of other parts."""
    found = manifest.read(container.read(block.archive), block.token)
    if [p.name for p in found] != [*block.before, *block.names]:
        raise Untrusted(
            Text(
                "danh mục của lần gia hạn không nêu đúng các phần đứng trước nó",
                "the list of the renewal does not name the parts before it",
            ),
            code="evidence.manifest",
        )
    return {p.name: p.sha256 for p in found}


def read(container: zipped.Container, block: Block, case: Case, older: Sequence[Head]) -> Fresh:
    """What a block adds; nothing of it is believed yet. `older`: heads of the blocks before."""
    told = json.loads(container.read(block.told))
    if told["v"] != VERSION:
        raise ValueError("version")
    heads = tuple(
        Head(
            place.epoch,
            place.seq,
            container.read(layout.note(place)).decode(),
            container.read(layout.stamp(place)) if stamped else b"",
        )
        for place, stamped in (
            (Place(int(epoch), int(size)), not bare) for epoch, size, *bare in told["heads"]
        )
    )
    notes = {h.place: h.note for h in (*case.heads, *older, *heads)}
    steps = []
    for epoch, old, new in told["steps"]:
        name = layout.step(int(epoch), int(old), int(new))
        found = tlog.read_proof(container.read(name).decode(), consistency=True)
        if found.number != int(old) or found.note != notes[Place(int(epoch), int(new))]:
            raise ValueError("proof")
        steps.append(Step(int(epoch), int(old), int(new), found.hashes))
    trust = tuple(Kept(str(kind), str(digest)) for kind, digest in told["trust"])
    changes = []
    for epoch, seq, size in told.get("handovers", ()):
        place, note = Place(int(epoch), int(seq)), notes[Place(int(epoch), int(size))]
        proof = tlog.read_proof(container.read(layout.proof(place)).decode())
        if proof.number != place.seq or proof.note != note:
            raise ValueError("proof")
        body = container.read(layout.record(place))
        changes.append(Sealed(place, body, int(size), proof.hashes))
    fresh = Fresh(heads, tuple(steps), trust, tuple(changes))
    if {Place(s.epoch, s.new) for s in steps} != {h.place for h in heads}:
        raise ValueError("a checkpoint that nothing ties to the others")
    if [name for name, _ in _parts(block, fresh, None)] != list(block.names):
        raise ValueError("parts")
    return fresh


def write(
    container: zipped.Container,
    fresh: Fresh,
    opener: Open,
    stamp: Callable[[bytes], bytes],
    to: BinaryIO,
) -> None:
    """`stamp`: a token over a SHA-256 digest; called once, when the list is made. Blocks."""
    first, blocks = split(container.names)
    if len(blocks) >= MOST or len(first) + sum(len(b.names) + 2 for b in blocks) != len(
        container.names
    ):
        raise ValueError("this container takes no renewal")
    block = Block(len(blocks) + 1, container.names, ())
    seen: list[manifest.Listed] = []

    def counted(name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
        seen.append(manifest.Listed(name, layout.media(name), digest.digest()))

    def parts() -> Iterator[zipped.Part]:
        for name in container.names:
            yield zipped.Part(name, counted(name, container.chunks(name)), container.size(name))
        for name, chunks in _parts(block, fresh, opener):
            yield zipped.Part(name, counted(name, chunks))
        archive = manifest.write(seen, block.token)
        yield zipped.Part(block.archive, [archive])
        yield zipped.Part(block.token, [stamp(hashlib.sha256(archive).digest())])

    zipped.write(parts(), to)


def _parts(
    block: Block, fresh: Fresh, opener: Open | None
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """`opener` None: only their names are wanted."""
    told: dict[str, JsonValue] = {
        "v": VERSION,
        "heads": [[*h.place, *(() if h.token else ("bare",))] for h in fresh.heads],
        "steps": [[s.epoch, s.old, s.new] for s in fresh.steps],
        "trust": [list(kept) for kept in fresh.trust],
    }
    if fresh.handovers:
        told["handovers"] = [[*h.place, h.size] for h in fresh.handovers]
    yield block.told, [canonical_json(told)]
    for head in fresh.heads:
        yield layout.note(head), [head.note.encode()]
        if head.token:
            yield layout.stamp(head), [head.token]
    for one in fresh.handovers:
        note = next((h.note for h in fresh.heads if h.place == (one.place.epoch, one.size)), "")
        yield layout.record(one.place), [one.body]
        yield layout.proof(one.place), [tlog.proof_text(one.place.seq, one.proof, note).encode()]
    for step in fresh.steps:
        note = next((h.note for h in fresh.heads if h.place == (step.epoch, step.new)), "")
        proof = tlog.proof_text(step.old, step.proof, note, consistency=True)
        yield layout.step(step.epoch, step.old, step.new), [proof.encode()]
    for kept in fresh.trust:
        yield layout.trust(kept), _chunks(opener, kept.digest) if opener else ()


def _chunks(opener: Open, digest: str) -> Iterator[bytes]:
    with opener(digest) as source:
        while chunk := source.read(zipped.CHUNK):
            yield chunk
