"""Minutes and instructions are promised words: other words need another number (build.WORDS)."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.evidence import build, check, instructions, minutes
from gateway.evidence.case import Carried, Case, Head, Judged, Place, Sealed, Step, plan
from gateway.ledger import keys, merkle
from gateway.ledger.checkpoint import make_checkpoint
from gateway.ledger.records import leaf_hash, record_bytes
from gateway.model.package import (
    DocumentCode,
    DocumentHeader,
    FileFact,
    Organ,
    Promulgation,
    SignatureVerdict,
    Trust,
)
from gateway.model.record import Record

GOLDEN = Path(__file__).parents[2] / "golden" / "evidence"
KEY = ec.derive_private_key(11, ec.SECP256R1())
ORIGIN = "ledger.example/sample"
AT = datetime(2026, 11, 20, 3, 4, 5, 678901, tzinfo=UTC)
DIGEST = hashlib.sha256(b"package").hexdigest()
SAID = (
    (
        "submission.accepted",
        {
            "document_id": "000.00.19.H14,2026/11/20,12/UBND-VX",
            "from": "000.00.19.H14",
            "released_at": "2026-11-20T03:00:00.000000+00:00",
            "released_source": "stated",
            "transfers": [{"transfer": "t1", "axis": "vxp", "package_blob": DIGEST}],
        },
    ),
    ("attempt.started", {"axis": "vxp", "attempt": 1}),
    ("attempt.ended", {"axis": "vxp", "attempt": 1, "outcome": "uncertain", "code": "silence"}),
    ("attempt.started", {"axis": "vxp", "attempt": 2}),
    ("attempt.ended", {"axis": "vxp", "attempt": 2, "outcome": "delivered", "code": "ok"}),
    (
        "recipient.moved",
        {"recipient": "000.00.00.G22", "code": "01", "reported_at": "2026/11/20 10:30:00"},
    ),
)


def a_case() -> Case:
    """Six records about one document among ten entries; stamped heads at 3 and 6 (times only)."""
    bodies: dict[int, bytes] = {}
    for number in range(10):
        event, facts = SAID[number - 2] if 2 <= number < 8 else ("account.added", {})
        record = Record(
            id=f"r{number}",
            event=event,
            at=AT + timedelta(seconds=number),
            salt=f"{number:032x}",
            about={"document": "d1", "transfer": "t1"} if 2 <= number < 8 else {},
            facts=facts,
        )
        bodies[number] = record_bytes(record)
    nodes: dict[tuple[int, int], bytes] = {}
    heads: dict[int, Head] = {}
    tree = merkle.CompactRange()
    for number, body in bodies.items():
        nodes[0, number] = leaf_hash(body)
        nodes.update({(n.level, n.idx): n.hash for n in tree.push(nodes[0, number])})
        made = make_checkpoint(ORIGIN, 1, number + 1, tree.root(), AT, KEY)
        stamped = AT + timedelta(seconds=number, milliseconds=500) if number in (2, 5) else None
        heads[number + 1] = Head(1, number + 1, made.note, stamped_at=stamped)
    places = {Place(1, n): body for n, body in bodies.items() if 2 <= n < 8}
    wanted = plan(places, [Place(1, 3), Place(1, 6)], [Place(1, 10)])

    def read(coordinates: object) -> dict[tuple[int, int], bytes]:
        del coordinates
        return nodes

    return Case(
        origin=ORIGIN,
        vkey=keys.vkey(ORIGIN, KEY),
        subject={"document": "d1"},
        records=tuple(
            Sealed(p, b, wanted.covers[p], merkle.inclusion_proof(p.seq, wanted.covers[p], read))
            for p, b in places.items()
        ),
        heads=tuple(heads[place.seq] for place in wanted.heads),
        steps=tuple(
            Step(epoch, old, new, merkle.consistency_proof(old, new, read))
            for epoch, old, new in wanted.steps
        ),
        packages=(Carried(DIGEST, "sent", Judged("valid", "valid", "not_checked")),),
    )


def a_package() -> minutes.Seen:
    header = DocumentHeader(
        sender=Organ(organ_id="000.00.19.H14", name="Đơn vị mẫu"),
        to=(Organ(organ_id="000.00.00.G22", name="Bên nhận mẫu"),),
        document_id="000.00.19.H14,2026/11/20,12/UBND-VX",
        code=DocumentCode("12", "UBND-VX"),
        promulgation=Promulgation("Cao Bằng", "2026-11-20"),
        subject="Về việc\x1b[31m thử\nnghiệm",
    )
    fact = FileFact(
        name="12.pdf",
        declared_name="12.pdf",
        size=7,
        sha256="ab" * 32,
        carried_size=7,
        carried_sha256="ab" * 32,
        unwrapped=False,
    )
    none = SignatureVerdict("none", Trust.NONE, Trust.NONE, Trust.NONE)
    return minutes.Seen(DIGEST, "sent", 7, header, (fact,), none)


def golden(name: str, text: str) -> None:
    """To promise other words: another build.WORDS, and a file more beside the old one."""
    assert text == (GOLDEN / f"{build.WORDS}-{name}").read_text("utf-8")


def test_the_minutes_keep_their_words() -> None:
    golden("bien-ban.txt", minutes.write(a_case(), [a_package()]))


def test_the_instructions_keep_their_words() -> None:
    signed = [instructions.Signed(DIGEST, ("ab" * 32,), "-sha256")]
    golden("CHECK.txt", instructions.write(a_case(), {"records/1-2.json": b"\1" * 32}, signed))


def test_between_which_stamps_a_record_came_into_being() -> None:
    case = a_case()
    assert [told.place.seq for told in case.told] == [2, 3, 4, 5, 6, 7]
    first, last = case.told[0], case.told[-1]
    assert (first.not_before, first.not_after) == (None, AT + timedelta(seconds=2.5))
    assert (last.not_before, last.not_after) == (AT + timedelta(seconds=5.5), None)


def test_an_entry_that_no_stamp_covers_is_proved_into_the_newest_head() -> None:
    wanted = plan([Place(1, 1), Place(1, 9)], [Place(1, 4)], [Place(1, 12)])
    assert wanted.covers == {Place(1, 1): 4, Place(1, 9): 12}
    assert wanted.heads == (Place(1, 4), Place(1, 12))
    assert wanted.steps == ((1, 4, 12),)


def test_epochs_are_never_tied_together() -> None:
    wanted = plan([Place(1, 1), Place(2, 1)], [Place(1, 4), Place(2, 2)], [])
    assert wanted.steps == ()
    assert wanted.heads == (Place(1, 4), Place(2, 2))


def test_a_container_of_what_is_no_package_says_so() -> None:
    """Frame, list, heads and records hold; the package is rubbish, whoever signed it."""
    out = io.BytesIO()
    build.write(a_case(), [a_package()], [], lambda _: io.BytesIO(b"package"), KEY, out)
    anchors = check.Anchors({ORIGIN: KEY.public_key()})
    found = check.verify(io.BytesIO(out.getvalue()), anchors)
    bad = [c.what for c in found.checks if c.result is check.Result.BAD]
    assert bad == [f"packages/{DIGEST}.edxml"]
