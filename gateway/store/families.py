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

A replay comes late and stands where its document stands: behind what is unfinished of those before
it, and before what is unfinished of those after it, which then wait although they did not before.
Documents are locked while a family's turns are written, so that neither a replay and an act that
is accepted at that moment nor two replays miss each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    bindparam,
    case,
    delete,
    insert,
    literal_column,
    or_,
    select,
    union,
    union_all,
    update,
)

from gateway.model.package import PackageKind
from gateway.model.transfer import UNFINISHED
from gateway.store.acts import forms, targets
from gateway.store.session import Tx
from gateway.store.tables import act_target, document, recipient, turn
from gateway.store.tables import transfer as t
from gateway.store.types import Instant

_UNFINISHED = [s.value for s in UNFINISHED]
# in one order, whoever locks them
_NAMED = (
    select(document.c.id)
    .where(
        document.c.sender_key == bindparam("sender"),
        document.c.document_id.in_(bindparam("names", expanding=True)),
    )
    .order_by(document.c.id)
)
# locked: a replay of one of them at this moment is seen, or sees us
_CALLED = _NAMED.with_for_update(read=True).subquery()
_MEMBERS = union(
    select(_CALLED.c.id),
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
_KIN = (
    select(
        document.c.id,
        document.c.kind,
        document.c.sender_key,
        document.c.document_id,
        document.c.accepted_at,
    )
    .where(document.c.id == bindparam("ref"))
    .with_for_update(key_share=True)
)
_LOCK_CALLED = _NAMED.with_for_update(key_share=True)
_ACT = "act"
_RELATIVES = union_all(
    select(document.c.id, document.c.kind, document.c.accepted_at).where(
        document.c.sender_key == bindparam("sender"),
        document.c.document_id.in_(bindparam("names", expanding=True)),
    ),
    select(document.c.id, literal_column(f"'{_ACT}'"), document.c.accepted_at)
    .join(act_target, act_target.c.act_ref == document.c.id)
    .where(
        act_target.c.agency_key == bindparam("sender"),
        act_target.c.document_id.in_(bindparam("names", expanding=True)),
    ),
)
_LATER = (
    select(t.c.id)
    .join(recipient, recipient.c.transfer_id == t.c.id)
    .where(
        t.c.document_ref.in_(bindparam("members", expanding=True)),
        t.c.state.in_(_UNFINISHED),
        recipient.c.agency_key.in_(bindparam("receivers", expanding=True)),
    )
    .with_for_update(key_share=True, of=t)
)
_WAIT_FOR = select(turn.c.transfer_id).where(
    turn.c.after_id.in_(bindparam("before", expanding=True))
)
_ONE_MORE = (
    update(t).where(t.c.id.in_(bindparam("ids", expanding=True))).values(behind=t.c.behind + 1)
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


class Relatives(NamedTuple):
    """Documents of a family, as seen from one of them: those before it, those after it."""

    before: frozenset[str]
    after: frozenset[str]


def relatives(tx: Tx, document_ref: str) -> Relatives:
    """An act comes after what it names, whatever the clocks said; acts among themselves, and
    statuses, in the order in which they were accepted. The documents are locked until the commit.
    """
    ((ref, kind, sender, document_id, accepted_at),) = tx.execute(_KIN, {"ref": document_ref}).all()
    status = kind == PackageKind.STATUS.value
    about = forms(document_id) if status else targets(tx, ref)
    before, after = set[str](), set[str]()
    if about:
        tx.execute(_LOCK_CALLED, {"sender": sender, "names": about})
        for other, other_kind, at in tx.execute(_RELATIVES, {"sender": sender, "names": about}):
            named = other_kind == PackageKind.DOCUMENT.value
            earlier = named or (at, other) < (accepted_at, ref)
            (before if earlier else after).add(str(other))
    if not status:
        asked = {"sender": sender, "names": forms(document_id)}
        # a further submission of the same document is neither before nor after it
        after |= {
            str(other)
            for other, other_kind, _ in tx.execute(_RELATIVES, asked)
            if other_kind != PackageKind.DOCUMENT.value
        }
    before.discard(ref)
    return Relatives(frozenset(before), frozenset(after - before - {ref}))


class Turn(NamedTuple):
    """Whom a replay waits for, and who waits for it: unfinished transfers, locked."""

    before: Sequence[str]
    after: Sequence[str]


def turn_of_replay(tx: Tx, document_ref: str, receivers: Collection[str]) -> Turn:
    """The place of a replay to these receivers (keys). Call it before the replay is written."""
    family = relatives(tx, document_ref)
    keys = sorted(receivers)
    before, after = list[str](), list[str]()
    if family.before:
        asked = {"members": sorted(family.before), "own": document_ref, "receivers": keys}
        before = sorted({str(found) for found, _ in tx.execute(_EARLIER, asked)})
    if family.after:
        asked = {"members": sorted(family.after), "receivers": keys}
        after = sorted({str(found) for found in tx.scalars(_LATER, asked)})
    if before and after:
        # where a clock was set back, one of those before may wait for one of those after already:
        # in a circle nobody would ever leave
        behind, found = set(after), set(after)
        while found:
            found = set(tx.scalars(_WAIT_FOR, {"before": sorted(found)})) - behind
            behind |= found
        before = [one for one in before if one not in behind]
    return Turn(before, after)


def put_behind(tx: Tx, replay: str, after: Sequence[str]) -> None:
    """These, which `turn_of_replay` found and locked, wait for the replay from now on."""
    if after:
        tx.execute(_ONE_MORE, {"ids": list(after)})
        line_up(tx, {one: [replay] for one in after})


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
