"""Rows as a submission leaves them, for tests of the store alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update

from gateway.dispatch import share
from gateway.model.transfer import TRANSFER_TRANSITIONS, TransferState
from gateway.store import Tx, acts, claims, documents, ledger, operating, transfers
from gateway.store.ledger import NewRecord
from gateway.store.tables import transfer


def queued_transfers(
    tx: Tx,
    count: int,
    *,
    axis: str = "vxp",
    first: int = 0,
    name: str = "",
    lane: int = 3,
    to: Sequence[str] = ("G22",),
    about: Sequence[str] = (),
    kind: str = "document",
    business_type: int = 0,
    sealed: bool = True,
    lifetime: timedelta = timedelta(days=3),
    due_at: datetime | None = None,
) -> list[str]:
    """`count` documents of H14.19, SEALED and due: t0, t1... from `first` on, of doc-0, doc-1...

    `name` stands between letter and number. With a `business_type` they are acts about `about`.
    """
    now = tx.now()
    numbers = [f"{name}{n}" for n in range(first, first + count)]
    for n in numbers:
        ledger.append(tx, [NewRecord(f"r{n}", "submission.accepted", now, b"{}", f"d{n}")])
        documents.add(
            tx,
            documents.NewDocument(
                id=f"d{n}",
                kind=kind,
                account_id="a",
                sender="H14.19",
                sender_key="H14.19",
                document_id=about[0] if kind == "status" else f"doc-{n}",
                identity=f"identity-{n}",
                business_type=business_type,
                header={},
                files=[],
                accepted_at=now,
                released_at=now,
                released_source="assumed",
                answer="{}",
                record_id=f"r{n}",
                about=tuple(about),
            ),
            list(to),
            [
                {
                    "id": f"t{n}",
                    "document_ref": f"d{n}",
                    "kind": kind,
                    "axis": axis,
                    "state": "ACCEPTED",
                    "lane": lane,
                    "due_at": None,
                    "doubt": False,
                    "attempts": 0,
                    "sender": "H14.19",
                    "package_sha256": "0" * 64,
                    "package_size": 1,
                    "accepted_at": now,
                    "expires_at": now + lifetime,
                    "fence": 0,
                    "equal_answers": 0,
                    "record_id": f"r{n}",
                    "moved_at": now,
                }
            ],
            [
                {
                    "transfer_id": f"t{n}",
                    "agency": key,
                    "agency_key": key,
                    "state": "PENDING",
                    "moved_at": now,
                }
                for key in to
            ],
        )
        if business_type:
            acts.keep(
                tx,
                f"d{n}",
                agency_key="H14.19",
                sender_key="H14.19",
                business_type=business_type,
                about=about,
            )
    if sealed:
        transfers.mark_sealed(tx, [f"r{n}" for n in numbers], due_at or now)
    return [f"t{n}" for n in numbers]


def replayed(
    tx: Tx,
    old_id: str,
    new_id: str,
    due_at: datetime | None = None,
    pace_ms: int | None = None,
) -> bool:
    """The replay of a transfer, as `replaying` commits it; False: it has one already."""
    old = operating.standing(tx, old_id)
    assert old is not None
    now = tx.now()
    ledger.append(tx, [NewRecord(f"r-{new_id}", "transfer.replayed", now, b"{}", "d0")])
    return operating.add_replay(
        tx,
        old,
        new_id=new_id,
        record_id=f"r-{new_id}",
        accepted_at=now,
        due_at=due_at,
        expires_at=now + timedelta(days=1),
        now=now,
        recipients=[(r.agency_key, r.agency) for r in transfers.recipients_of(tx, [old_id])],
        pace_ms=pace_ms,
    )


def claimed(
    tx: Tx, most: int, *, axis: str = "vxp", look: claims.Look | None = None
) -> list[claims.Claim]:
    """One claim with a lease of five minutes; its attempts are begun."""
    now = tx.now()
    found = claims.claim(
        tx,
        axis=axis,
        most=most,
        lease_until=now + timedelta(minutes=5),
        now=now,
        look=look or claims.Look(share),
    )
    rows = [
        {
            "id": f"{c.id}/{c.fence}",
            "transfer_id": c.id,
            "number": c.attempts,
            "fence": c.fence,
            "started_at": now,
        }
        for c, _ in found
    ]
    if rows:
        claims.start_attempts(tx, rows)
    return [c for c, _ in found]


def walked(tx: Tx, transfer_id: str, state: str = "", **values: Any) -> None:
    """The transfer brought to a state along the table, step by step; then what a row there says.

    Without `state` it stays where it is.
    """
    found = transfers.by_id(tx, transfer_id)
    assert found is not None, transfer_id
    for step in _way(TransferState(found.state), TransferState(state or found.state)):
        tx.execute(update(transfer).where(transfer.c.id == transfer_id).values(state=step.value))
    told = {"moved_at": tx.now(), **values}
    tx.execute(update(transfer).where(transfer.c.id == transfer_id).values(told))


def _way(old: TransferState, new: TransferState) -> list[TransferState]:
    """The shortest walk of the table from one state to another, without the first."""
    ways: list[list[TransferState]] = [[old]]
    seen = {old}
    for way in ways:
        if way[-1] is new:
            return way[1:]
        for after in sorted(TRANSFER_TRANSITIONS.get(way[-1], ())):
            if after not in seen:
                seen.add(after)
                ways.append([*way, after])
    raise AssertionError(f"no walk from {old} to {new}")
