"""Cosignatures that are kept, against what was cosigned and who may have done it.

In:     one reading transaction; the witnesses that are known.
Out:    findings: a line that does not hold, a row that says something else than its line, one over
        a checkpoint that is not there: its tail was cut off, and a witness holds what it was.
Never:  writes; holds more than a batch of rows in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.audit.against import BATCH, Against
from gateway.errors import Finding, Untrusted
from gateway.ledger import cosignature
from gateway.model.record import Checkpoint
from gateway.store import Tx, cosignatures, ledger


def judged(tx: Tx, witnesses: Sequence[cosignature.Witness]) -> Iterator[Finding]:
    """Of witnesses that are not known any more only the row is compared, not the signature."""
    after = (0, -1, "")
    while rows := cosignatures.after(tx, *after, most=BATCH):
        for row in rows:
            found = ledger.checkpoints(tx, row.epoch, row.size - 1, most=1)
            over = found[0] if found and found[0].size == row.size else None
            yield from _one(row, over, tuple(w for w in witnesses if w.name == row.witness))
        after = (rows[-1].epoch, rows[-1].size, rows[-1].witness)


def _one(
    row: cosignatures.CosignatureRow,
    over: Checkpoint | None,
    known: tuple[cosignature.Witness, ...],
) -> Iterator[Finding]:
    path = f"epoch/{row.epoch}/checkpoint/{row.size}/witness/{row.witness}"
    if over is None:
        yield Against(
            path,
            "ledger.witnessed_gone",
            "Nhân chứng đã ký một điểm kiểm soát nay không còn",
            "a witness cosigned a checkpoint that is gone",
        ).finding("size", row.size, ())
        return
    shown = Against(
        path,
        "ledger.cosignature_changed",
        "Chữ ký của nhân chứng không còn đúng",
        "the cosignature of a witness does not hold",
    )
    try:
        whole = cosignature.cosigned(over.note, (row.line,))
        told = cosignature.told_in(whole)[-1]
        yield from shown.says("witness", row.witness, told.witness)
        yield from shown.says("signed_at", row.signed_at.timestamp(), float(told.time))
        if known and not cosignature.cosignatures_in(whole, known):
            yield shown.finding("line", row.line, [w.name for w in known])
    except Untrusted as wrong:
        yield shown.finding("line", row.line, [wrong.text.en])
