"""What a witness decides: does the tree it is shown hold every tree that it ever saw?

In: the checkpoint it saw last, the one it is shown, a consistency proof, and for a new epoch the
first entry with its proof; all as texts from the log. Out: the head to remember and to cosign.
Fails with `Untrusted`: `witness.rollback` (smaller than before), `witness.fork` (another history),
`witness.epoch` (a new tree that does not say what became of the old one), `checkpoint.*`, `note.*`,
`proof.malformed`. Two notes that contradict each other convict the log: whoever runs this keeps
both. It never opens a file or a socket, and cosigns nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Text, Untrusted
from gateway.ledger import merkle, tlog
from gateway.ledger.checkpoint import parse_checkpoint
from gateway.ledger.cosignature import cosigned
from gateway.ledger.keys import key_id
from gateway.ledger.note import split_note
from gateway.ledger.records import leaf_hash, parse_record
from gateway.ledger.succession import EPOCH_BEGUN
from gateway.model.record import Checkpoint

NO_TIME = datetime.fromtimestamp(0, UTC)  # a note says none


def read_head(note: str, origin: str, keys: Sequence[ec.EllipticCurvePublicKey]) -> Checkpoint:
    """A checkpoint of this ledger by one of its keys (the last where it names none).

    Its note keeps the ledger's own line alone. Untrusted: `note.*`, `checkpoint.*`.
    """
    text, lines = split_note(note)
    ids = {blob[:4] for _, blob in lines}
    key = next((k for k in keys if key_id(k) in ids), keys[-1])
    said = parse_checkpoint(note, origin, key, NO_TIME)
    own = next(
        f"— {name} {base64.b64encode(blob).decode()}"
        for name, blob in lines
        if name == text.partition("\n")[0] and blob[:4] == key_id(key)
    )
    return replace(said, note=cosigned(f"{text}\n", (own,)))


def same_tree(
    last: Checkpoint,
    shown: Checkpoint,
    proof: str | None,
) -> None:
    """`shown` holds `last`: both of one epoch. `proof`: needed when `shown` is larger.

    Untrusted: `witness.rollback`, `witness.fork`, `proof.malformed`.
    """
    if shown.size < last.size:
        raise Untrusted(
            Text(
                f"SỔ CÁI BỊ LÙI LẠI: đã thấy {last.size} mục có chữ ký, nay chỉ còn {shown.size}",
                f"ROLLBACK: {last.size} entries were signed before, now there are {shown.size}",
            ),
            code="witness.rollback",
        )
    if shown.size == last.size:
        if shown.root != last.root:
            raise _forked(last, shown)
        return
    given = tlog.read_proof(proof or "", consistency=True)
    signed = split_note(given.note)[0] == split_note(shown.note)[0]
    if given.number != last.size or not signed:
        raise Untrusted(
            Text("Chứng minh nói về cây khác", "the proof speaks of other trees"),
            code="proof.mismatch",
        )
    if not merkle.verify_consistency(last.size, last.root, shown.size, shown.root, given.hashes):
        raise _forked(last, shown)


def heads_named(
    shown: Checkpoint,
    body: bytes,
    proof: str,
    origin: str,
    keys: Sequence[ec.EllipticCurvePublicKey],
) -> tuple[Checkpoint, ...]:
    """The heads of earlier trees that the first entry of this epoch names, each signed.

    `body`: the bytes of its record; `proof`: its inclusion (tlog-proof) in the tree of `shown`.
    Untrusted (`witness.epoch`): the entry is another one, or not in that tree.
    """
    given = tlog.read_proof(proof)
    in_tree = given.number == 0 and merkle.verify_inclusion(
        leaf_hash(body), 0, shown.size, given.hashes, shown.root
    )
    record = parse_record(body)
    if not in_tree or record.event != EPOCH_BEGUN or record.facts.get("epoch") != shown.epoch:
        raise unexplained(shown.epoch)
    told = record.facts.get("heads")
    notes = told if isinstance(told, list | tuple) else ()
    return tuple(read_head(str(note), origin, keys) for note in notes)


def note_of(proof: str, *, consistency: bool = False) -> str:
    """The checkpoint that a proof leads to. Untrusted (`proof.malformed`)."""
    return tlog.read_proof(proof, consistency=consistency).note


def unexplained(epoch: int) -> Untrusted:
    return Untrusted(
        Text(
            f"Kỷ nguyên {epoch} của sổ cái không nêu điểm kiểm soát mà nhân chứng này đã thấy sau "
            "cùng: các mục đã niêm phong có thể đã bị bỏ",
            f"epoch {epoch} does not name the checkpoint that this witness saw last: entries that "
            "were sealed may have been dropped",
        ),
        code="witness.epoch",
    )


def _forked(last: Checkpoint, shown: Checkpoint) -> Untrusted:
    return Untrusted(
        Text(
            f"SỔ CÁI BỊ RẼ NHÁNH: cây {shown.size} mục không bắt đầu bằng cây {last.size} mục đã "
            "thấy; cả hai đều có chữ ký",
            f"FORK: the tree of {shown.size} entries does not begin with that of {last.size} "
            "entries that was seen; both are signed",
        ),
        code="witness.fork",
    )
