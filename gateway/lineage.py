"""The head of a tree that grew: signed, with what is known of the checkpoints before it.

In:     one writing transaction; the checkpoint before, the root that came of the new entries.
Out:    the checkpoint to be kept in this same commit; what it names waits no longer.
Fails:  as the store does.
Never:  keeps the checkpoint itself: who adds the entries does.
Next:   ledger/lineage.py says what the lines are, audit/lineage.py holds them against the rows.

A stamp or a cosignature asks for no checkpoint of its own: the next one, which new records ask
for, names what came since the last. So a gateway that stands idle makes nothing, and neither a
stamp of a stamp.
"""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.ledger import checkpoint, lineage, merkle
from gateway.model.record import Checkpoint
from gateway.store import Tx, unsaid


def sign_head(
    tx: Tx,
    origin: str,
    epoch: int,
    grown: merkle.Appended,
    before: Checkpoint | None,
    at: datetime,
    key: ec.EllipticCurvePrivateKey,
) -> Checkpoint:
    """`before`: the newest of this epoch; None: the epoch begins here."""
    waiting = unsaid.oldest(tx, lineage.MOST)
    known = [lineage.Known(w.kind, w.epoch, w.size, w.witness, w.digest) for w in waiting]
    size, note = (before.size, before.note) if before else (0, "")
    said = lineage.note_before(size, note, known)
    made = checkpoint.make_checkpoint(
        origin, epoch, grown.size, grown.root, at, key, lineage.lines(said)
    )
    unsaid.said(tx, waiting)
    return made
