"""Claims under PostgreSQL's planner: never more rows than were asked for."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from gateway.dispatch import share
from gateway.model.package import PackageKind
from gateway.store import Store, Tx, arrivals, claims
from tests.support.queues import queued_transfers

SLOW_PLANS = ("enable_hashjoin", "enable_mergejoin", "enable_hashagg", "enable_material")


@pytest.mark.postgres
def test_a_claim_takes_no_more_than_asked_whatever_plan_the_server_chooses(
    postgres_url: str, postgres_store: Store
) -> None:
    """A nested loop runs a sub-select once a row, and rows just taken are skipped as its own."""
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        name = conn.info.dbname
        for switch in SLOW_PLANS:
            conn.execute(f'ALTER DATABASE "{name}" SET {switch} = off')
    postgres_store.write_sync(lambda tx: queued_transfers(tx, 30))

    def claim(tx: Tx) -> int:
        now = tx.now()
        until = now + timedelta(minutes=5)
        look = claims.Look(share)
        got = claims.claim(tx, axis="vxp", most=4, lease_until=until, now=now, look=look)
        return len(got)

    assert [postgres_store.write_sync(claim) for _ in range(8)] == [4] * 7 + [2]


@pytest.mark.postgres
def test_fetches_are_claimed_no_more_than_asked(postgres_url: str, postgres_store: Store) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        name = conn.info.dbname
        for switch in SLOW_PLANS:
            conn.execute(f'ALTER DATABASE "{name}" SET {switch} = off')

    def listed(tx: Tx) -> None:
        now = tx.now()
        rows = [
            {
                "axis": "vxp",
                "axis_doc_id": f"d{n}",
                "kind": "document",
                "sender": "",
                "receiver": "",
                "listed_at": now,
                "due_at": now,
            }
            for n in range(9)
        ]
        arrivals.list_for_fetch(tx, rows)

    postgres_store.write_sync(listed)

    def claim(tx: Tx) -> int:
        now = tx.now()
        until = now + timedelta(minutes=5)
        claims = arrivals.claim_fetches(
            tx,
            axis="vxp",
            kind=PackageKind.DOCUMENT,
            fresh=True,
            most=4,
            now=now,
            until=until,
        )
        return len(claims)

    assert [postgres_store.write_sync(claim) for _ in range(3)] == [4, 4, 1]
