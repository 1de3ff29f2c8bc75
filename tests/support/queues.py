"""Rows as a submission leaves them, for tests of the store alone."""

from __future__ import annotations

from datetime import timedelta

from gateway.store import Tx, documents, ledger, transfers
from gateway.store.ledger import NewRecord


def queued_transfers(
    tx: Tx, count: int, *, axis: str = "vxp", name: str = "", sealed: bool = True
) -> list[str]:
    """`count` documents of one recipient each, SEALED and due (or still ACCEPTED).

    Ids: t0, t1..., with `name` between letter and number; their records: r0, r1...
    """
    now = tx.now()
    for n in [f"{name}{n}" for n in range(count)]:
        ledger.append(tx, [NewRecord(f"r{n}", "submission.accepted", now, b"{}", f"d{n}")])
        documents.add(
            tx,
            documents.NewDocument(
                id=f"d{n}",
                kind="document",
                account_id="a",
                sender="H14.19",
                sender_key="H14.19",
                document_id=f"doc-{n}",
                identity=f"identity-{n}",
                business_type=0,
                header={},
                files=[],
                accepted_at=now,
                released_at=now,
                released_source="assumed",
                answer="{}",
                record_id=f"r{n}",
            ),
            ["G22"],
            [
                {
                    "id": f"t{n}",
                    "document_ref": f"d{n}",
                    "kind": "document",
                    "axis": axis,
                    "state": "ACCEPTED",
                    "lane": 3,
                    "due_at": None,
                    "doubt": False,
                    "attempts": 0,
                    "sender": "H14.19",
                    "package_sha256": "0" * 64,
                    "package_size": 1,
                    "accepted_at": now,
                    "expires_at": now + timedelta(days=3),
                    "fence": 0,
                    "equal_answers": 0,
                    "record_id": f"r{n}",
                    "moved_at": now,
                }
            ],
            [
                {
                    "transfer_id": f"t{n}",
                    "agency": "G22",
                    "agency_key": "G22",
                    "state": "PENDING",
                    "moved_at": now,
                }
            ],
        )
    if sealed:
        transfers.mark_sealed(tx, [f"r{name}{n}" for n in range(count)], now)
    return [f"t{name}{n}" for n in range(count)]
