"""What witnesses put under our checkpoints: rows that are only ever added."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select, tuple_

from gateway.model.record import Checkpoint
from gateway.store import unsaid
from gateway.store.ledger import CHECKPOINT
from gateway.store.session import Tx
from gateway.store.statements import insert_or_ignore
from gateway.store.tables import checkpoint, cosignature


class CosignatureRow(NamedTuple):
    """`line`: as it stands under the note. `signed_at`: the witness' own clock."""

    epoch: int
    size: int
    witness: str
    line: str
    signed_at: datetime


_KEEP = insert_or_ignore(cosignature)
_OF = (
    select(
        cosignature.c.epoch,
        cosignature.c.size,
        cosignature.c.witness,
        cosignature.c.line,
        cosignature.c.signed_at,
    )
    .where(cosignature.c.epoch == bindparam("epoch"), cosignature.c.size == bindparam("size"))
    .order_by(cosignature.c.witness)
)
_NEWEST = (
    select(*CHECKPOINT)
    .join(
        cosignature,
        (cosignature.c.epoch == checkpoint.c.epoch) & (cosignature.c.size == checkpoint.c.size),
    )
    .order_by(checkpoint.c.epoch.desc(), checkpoint.c.size.desc())
    .limit(1)
)
_PLACE = tuple_(cosignature.c.epoch, cosignature.c.size, cosignature.c.witness)
_AFTER = (
    select(
        cosignature.c.epoch,
        cosignature.c.size,
        cosignature.c.witness,
        cosignature.c.line,
        cosignature.c.signed_at,
    )
    .where(tuple_(bindparam("epoch"), bindparam("size"), bindparam("witness")) < _PLACE)
    .order_by(cosignature.c.epoch, cosignature.c.size, cosignature.c.witness)
    .limit(bindparam("most"))
)


def keep(tx: Tx, rows: list[CosignatureRow], received_at: datetime) -> None:
    """One for a witness and a checkpoint: the first stays, a later one says nothing new."""
    for row in rows:
        if tx.execute(_KEEP.on(tx), {**row._asdict(), "received_at": received_at}).count:
            digest = hashlib.sha256(row.line.encode()).digest()
            kind = unsaid.COSIGNATURE
            unsaid.add(tx, unsaid.Unsaid(digest, kind, row.epoch, row.size, row.witness))


def of(tx: Tx, epoch: int, size: int) -> list[CosignatureRow]:
    rows = tx.execute(_OF, {"epoch": epoch, "size": size}).all()
    return [CosignatureRow._make(row) for row in rows]


def after(tx: Tx, epoch: int, size: int, witness: str, most: int) -> list[CosignatureRow]:
    """Those behind this place, in the order of the trees."""
    place = {"epoch": epoch, "size": size, "witness": witness, "most": most}
    return [CosignatureRow._make(row) for row in tx.execute(_AFTER, place).all()]


def newest_witnessed(tx: Tx) -> Checkpoint | None:
    row = tx.execute(_NEWEST).one_or_none()
    return None if row is None else Checkpoint(*row)
