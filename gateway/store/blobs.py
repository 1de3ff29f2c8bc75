"""Rows beside the content-addressed bytes: who counts on them, and since when nobody asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select

from gateway.store.session import Tx
from gateway.store.statements import insert_or_update
from gateway.store.tables import blob
from gateway.store.types import Instant

_REFER = insert_or_update(
    blob, ["sha256"], {"refs": blob.c.refs + 1, "touched_at": bindparam("again", type_=Instant())}
)
_TOUCH = insert_or_update(blob, ["sha256"], {"touched_at": bindparam("again", type_=Instant())})
_UNUSED = (
    select(blob.c.sha256)
    .where(blob.c.refs <= 0, blob.c.touched_at < bindparam("before"))
    .limit(1000)
    .with_for_update(skip_locked=True)
)
_DROP = delete(blob).where(
    blob.c.sha256 == bindparam("digest"),
    blob.c.refs <= 0,
    blob.c.touched_at < bindparam("before"),
)
_KNOWN = select(blob.c.sha256).where(blob.c.sha256.in_(bindparam("digests", expanding=True)))


def refer(tx: Tx, digests: Sequence[tuple[str, int]]) -> None:
    """One more legal fact rests on each (sha256, size)."""
    now = tx.now()
    for digest, size in digests:
        tx.put(
            _REFER.on(tx),
            {"sha256": digest, "size": size, "refs": 1, "touched_at": now, "again": now},
        )


def touch(tx: Tx, digest: str, size: int) -> None:
    """A cache entry: kept while used, swept a day after."""
    now = tx.now()
    tx.put(
        _TOUCH.on(tx),
        {"sha256": digest, "size": size, "refs": 0, "touched_at": now, "again": now},
    )


def drop_unused(tx: Tx, before: datetime) -> list[str]:
    """Rows nobody refers to and nobody touched since: their files may go after this commit."""
    unused = tx.scalars(_UNUSED, {"before": before})
    return [
        str(digest)
        for digest in unused
        if tx.execute(_DROP, {"digest": digest, "before": before}).count == 1
    ]


def known(tx: Tx, digests: Sequence[str]) -> set[str]:
    return {str(v) for v in tx.scalars(_KNOWN, {"digests": list(digests)})} if digests else set()
