"""Families of documents: who waits for whom, so that a recall never overtakes its document.

A family is what one agency sends one receiver about one document: the document, every act about it
(recall, update, replacement), every status about it. Whoever comes later waits for those before it
that could still go out, on whatever axis they travel: `turn` names them, `transfer.behind` counts
them, and a transfer that is behind somebody is not in the index that claims read.

Everything that ends a transfer calls `let_go` in the same commit. An end that delivered nothing
(REFUSED, EXPIRED, WITHDRAWN) lets go as well: the act was accepted and promised by itself, another
receiver or an earlier submission may have the document, and a receiver without it answers so. HELD
is no end: a person may still send it on, and the act would have overtaken it. An act that waits too
long ends by its own lifetime, so nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import bindparam, case, delete, insert, or_, select, union, update

from gateway.model.transfer import UNFINISHED
from gateway.store.acts import forms
from gateway.store.session import Tx
from gateway.store.tables import act_target, document, recipient, turn
from gateway.store.tables import transfer as t
from gateway.store.types import Instant

_UNFINISHED = [s.value for s in UNFINISHED]
_MEMBERS = union(
    select(document.c.id).where(
        document.c.sender_key == bindparam("sender"),
        document.c.document_id.in_(bindparam("names", expanding=True)),
    ),
    select(act_target.c.act_ref).where(
        act_target.c.agency_key == bindparam("sender"),
        act_target.c.document_id.in_(bindparam("names", expanding=True)),
    ),
)
# locked until the commit: one that ends at this moment either is seen as ended, or ends after us
# and finds our row in `turn`
_EARLIER = (
    select(t.c.id, recipient.c.agency_key)
    .join(recipient, recipient.c.transfer_id == t.c.id)
    .where(
        t.c.document_ref.in_(bindparam("members", expanding=True)),
        t.c.document_ref != bindparam("own"),
        t.c.state.in_(_UNFINISHED),
        recipient.c.agency_key.in_(bindparam("receivers", expanding=True)),
    )
    .with_for_update(read=True, of=t)
)
_INSERT = insert(turn)
_LET_GO = delete(turn).where(turn.c.after_id == bindparam("ended")).returning(turn.c.transfer_id)
_NOW = bindparam("now", type_=Instant())
_FREE = (
    update(t)
    .where(t.c.id.in_(bindparam("ids", expanding=True)))
    # due from now: whoever looked at the front of the queue before looks there again
    .values(behind=t.c.behind - 1, due_at=case((t.c.due_at < _NOW, _NOW), else_=t.c.due_at))
    .returning(t.c.behind)
)
_FORGOTTEN = (
    select(turn.c.after_id)
    .outerjoin(t, t.c.id == turn.c.after_id)
    .where(or_(t.c.id.is_(None), t.c.state.not_in(_UNFINISHED)))
    .distinct()
    .limit(500)
)


def waits_for(
    tx: Tx,
    document_ref: str,
    *,
    sender_key: str,
    about: Iterable[str],
    receivers: Mapping[str, Collection[str]],
) -> dict[str, list[str]]:
    """Whom each new transfer of this document must let go first.

    `about`: ids of the documents that it speaks of; none: it waits for nobody. `receivers`: the
    keys of each transfer's receivers. Call it before the transfers are written.
    """
    names = sorted({form for named in about for form in forms(named)})
    if not names:
        return {}
    members = tx.scalars(_MEMBERS, {"sender": sender_key, "names": names})
    everybody = sorted({key for keys in receivers.values() for key in keys})
    if not members or not everybody:
        return {}
    earlier = tx.execute(
        _EARLIER, {"members": members, "own": document_ref, "receivers": everybody}
    ).all()
    return {
        transfer_id: sorted({str(before) for before, key in earlier if key in keys})
        for transfer_id, keys in receivers.items()
    }


def line_up(tx: Tx, waiting: Mapping[str, Iterable[str]]) -> None:
    """Write down what `waits_for` found; `behind` of each transfer is the length of its list."""
    rows = [
        {"transfer_id": transfer_id, "after_id": before}
        for transfer_id, earlier in waiting.items()
        for before in earlier
    ]
    if rows:
        tx.put(_INSERT, rows)


def let_go(tx: Tx, ended: str, now: datetime) -> None:
    """A transfer has ended: those behind it move up, and may leave once nobody is before them."""
    behind = tx.scalars(_LET_GO, {"ended": ended})
    if behind and 0 in tx.scalars(_FREE, {"ids": behind, "now": now}):
        tx.notify("deliver")


def let_go_forgotten(tx: Tx, now: datetime) -> int:
    """Those who wait for one that has ended all the same: repaired by hand, restored, removed."""
    forgotten = tx.scalars(_FORGOTTEN)
    for ended in forgotten:
        let_go(tx, str(ended), now)
    return len(forgotten)
