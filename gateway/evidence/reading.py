"""A container's parts as a Case again. Nothing of it is believed yet: `check` judges.

In:     a container.
Out:    the case that its parts describe.
Fails:  Untrusted; and, for JSON of another shape, one of MALFORMED.
Never:  judges a signature, a proof or a stamp.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gateway.errors import Text, Untrusted
from gateway.evidence import build, layout, rehashed, zipped
from gateway.evidence.case import Carried, Case, Head, Judged, Kept, Place, Reproved, Sealed, Step
from gateway.evidence.packages import SignaturePart
from gateway.ledger import tlog

MALFORMED = (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError)


class Stated(NamedTuple):
    """`words`: which ones minutes and instructions are in (build.WORDS); `signatures`: those that
    were taken out for other tools."""

    case: Case
    words: int
    signatures: tuple[SignaturePart, ...]


def read(container: zipped.Container) -> Stated:
    told = json.loads(container.read(layout.CASE))
    if told["v"] != build.VERSION:
        raise ValueError("version")
    return Stated(_case(container, told), int(told["words"]), _signatures(container, told))


def _signatures(container: zipped.Container, told: Mapping[str, Any]) -> tuple[SignaturePart, ...]:
    return tuple(
        SignaturePart(
            package=(package := str(one["package"])),
            signed_info=container.read(layout.signed_info(package)),
            value=container.read(layout.signature_value(package)),
            certificate=container.read(layout.certificate(package)),
            inner=tuple(str(digest) for digest in one["files"]),
            options=str(one["options"]),
        )
        for one in told["signatures"]
    )


def _case(container: zipped.Container, told: Mapping[str, Any]) -> Case:
    heads = tuple(
        Head(
            int(epoch),
            int(size),
            container.read(layout.note(Place(epoch, size))).decode(),
            container.read(layout.stamp(Place(epoch, size))) if stamped else b"",
        )
        for epoch, size, stamped in told["heads"]
    )
    notes = {h.place: h.note for h in heads}

    def proof(name: str, number: int, note: str, *, consistency: bool) -> tuple[bytes, ...]:
        read = tlog.read_proof(container.read(name).decode(), consistency=consistency)
        if read.number != number or read.note != note:
            raise Untrusted(_other(), code="evidence.proof")
        return read.hashes

    def sealed(stated: Iterable[tuple[int, int, int]]) -> Iterator[Sealed]:
        for epoch, seq, size in stated:
            place = Place(int(epoch), int(seq))
            note = notes[Place(place.epoch, int(size))]
            hashes = proof(layout.proof(place), place.seq, note, consistency=False)
            yield Sealed(place, container.read(layout.record(place)), int(size), hashes)

    def again(stated: Iterable[tuple[int, int, int, list[Any]]]) -> Iterator[Reproved]:
        for *entry, places in stated:
            (one,) = sealed([(entry[0], entry[1], entry[2])])
            algorithm = rehashed.told(Reproved(one, {})).algorithm
            proofs = {}
            for place in (Place(int(epoch), int(seq)) for epoch, seq in places):
                text = container.read(layout.reproof(one.place, place)).decode()
                proofs[place] = rehashed.read_text(text, algorithm, place.seq)
            yield Reproved(one, proofs)

    steps = []
    for epoch, old, new in told["steps"]:
        name = layout.step(int(epoch), int(old), int(new))
        hashes = proof(name, int(old), notes[Place(int(epoch), int(new))], consistency=True)
        steps.append(Step(int(epoch), int(old), int(new), hashes))
    return Case(
        origin=str(told["origin"]),
        vkey=container.read(layout.VKEY).decode().strip(),
        subject={str(k): str(v) for k, v in told["subject"].items()},
        records=tuple(sealed(told["records"])),
        heads=heads,
        steps=tuple(steps),
        packages=tuple(
            Carried(
                str(p["digest"]),
                str(p["role"]),
                Judged(*(str(word) for word in p["signature"])) if p["signature"] else None,
            )
            for p in told["packages"]
        ),
        receipts=tuple(
            container.read(layout.receipt(number)) for number in range(int(told["receipts"]))
        ),
        # containers of earlier versions carried none
        trust=tuple(Kept(str(kind), str(digest)) for kind, digest in told.get("trust", ())),
        handovers=tuple(sealed(told.get("handovers", ()))),
        rehashed=tuple(again(told.get("rehashed", ()))),
    )


def _other() -> Text:
    return Text(
        "chứng minh không dẫn tới điểm kiểm soát mà bằng chứng nêu",
        "the proof does not lead to the checkpoint that the evidence names",
    )
