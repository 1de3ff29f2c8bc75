"""Stamps and cosignatures that no checkpoint names yet, as records wait in `pending`."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, union

from gateway.store.session import Tx
from gateway.store.tables import cosignature, stamp, unsaid

STAMP = "stamp"
COSIGNATURE = "cosignature"


class Unsaid(NamedTuple):
    """`digest`: SHA-256 of the token or of the line; `witness`: "" for a stamp."""

    digest: bytes
    kind: str
    epoch: int
    size: int
    witness: str


_COLUMNS = (unsaid.c.digest, unsaid.c.kind, unsaid.c.epoch, unsaid.c.size, unsaid.c.witness)
_INSERT = insert(unsaid)
_OLDEST = (
    select(*_COLUMNS)
    .order_by(unsaid.c.epoch, unsaid.c.size, unsaid.c.kind.desc(), unsaid.c.digest)
    .limit(bindparam("most"))
)
_AFTER = (
    select(*_COLUMNS)
    .where(unsaid.c.digest > bindparam("after"))
    .order_by(unsaid.c.digest)
    .limit(bindparam("most"))
)
_SAID = delete(unsaid).where(unsaid.c.digest.in_(bindparam("digests", expanding=True)))
_TOKENS = select(stamp.c.token).where(
    stamp.c.epoch == bindparam("epoch"), stamp.c.size == bindparam("size")
)
_LINES = select(cosignature.c.witness, cosignature.c.line).where(
    cosignature.c.epoch == bindparam("epoch"), cosignature.c.size == bindparam("size")
)
_COUNTS = [
    select(func.count()).where(
        table.c.epoch == bindparam("epoch"), table.c.size >= bindparam("size")
    )
    for table in (stamp, cosignature)
]
_SIZES = union(
    *(
        select(table.c.size).where(
            table.c.epoch == bindparam("epoch"), table.c.size >= bindparam("size")
        )
        for table in (stamp, cosignature)
    )
)


def add(tx: Tx, row: Unsaid) -> None:
    """In the commit of the stamp or of the cosignature."""
    tx.execute(_INSERT, row._asdict())


def oldest(tx: Tx, most: int) -> list[Unsaid]:
    """Those over the fewest entries first."""
    return [_row(row) for row in tx.execute(_OLDEST, {"most": most}).all()]


def after(tx: Tx, digest: bytes, most: int) -> list[Unsaid]:
    """All of them, page by page; the first behind b""."""
    return [_row(row) for row in tx.execute(_AFTER, {"after": digest, "most": most}).all()]


def said(tx: Tx, rows: list[Unsaid]) -> None:
    """In the commit of the checkpoint that names them."""
    if rows:
        tx.execute(_SAID, {"digests": [row.digest for row in rows]})


def contents(tx: Tx, epoch: int, size: int) -> list[tuple[str, str, bytes]]:
    """(kind, witness, token or line) of all that stands over this checkpoint."""
    place = {"epoch": epoch, "size": size}
    stamps = [(STAMP, "", bytes(token)) for token in tx.scalars(_TOKENS, place)]
    lines = tx.execute(_LINES, place).all()
    return stamps + [(COSIGNATURE, str(name), str(line).encode()) for name, line in lines]


def count_from(tx: Tx, epoch: int, size: int) -> int:
    """Stamps and cosignatures over checkpoints of `size` entries and more."""
    place = {"epoch": epoch, "size": size}
    return sum(int(tx.execute(count, place).scalar() or 0) for count in _COUNTS)


def sizes_from(tx: Tx, epoch: int, size: int) -> list[int]:
    """Of the checkpoints that they stand over."""
    return sorted(int(n) for n in tx.scalars(_SIZES, {"epoch": epoch, "size": size}))


def _row(row: tuple[object, ...]) -> Unsaid:
    made = Unsaid._make(row)
    return made._replace(digest=bytes(made.digest))
