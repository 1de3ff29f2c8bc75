"""What is asked again and again finds its rows by a key, however many others wait or lie there.

SQLite says how it will read. It keeps no statistics, so what it says for an empty database holds
for a full one; PostgreSQL's plans follow its statistics, and `make bench` holds its claims.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects.sqlite import dialect

from gateway.store import arrivals, audit, documents, inbox, ledger
from gateway.store.plans import Plans

NOW = datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)
FETCH: Mapping[str, Any] = {
    "on_axis": "vxp",
    "of_kind": "status",
    "now": NOW,
    "until": NOW,
    "most": 8,
}
OPEN: Mapping[str, Any] = {"now": NOW, "until": NOW, "most": 8}
NODES: Mapping[str, Any] = {
    "epoch": 1,
    **{f"level_{n}": 1 for n in range(4)},
    **{f"idx_{n}": n for n in range(4)},
}
BY_KEY = {
    "packages to fetch for the first time": (
        arrivals._CLAIM_FRESH,
        FETCH,
        {
            "SEARCH fetch USING COVERING INDEX sqlite_autoindex_fetch_1 (axis=? AND axis_doc_id=?)",
            (
                "SEARCH fetch USING INDEX ix_fetch_axis_state_kind_tries_due_at"
                " (axis=? AND state=? AND kind=? AND tries=? AND due_at<?)"
            ),
        },
    ),
    "packages whose fetching failed": (
        arrivals._CLAIM_TRIED,
        FETCH,
        {
            "SEARCH fetch USING COVERING INDEX sqlite_autoindex_fetch_1 (axis=? AND axis_doc_id=?)",
            (
                "SEARCH fetch USING INDEX ix_fetch_axis_state_kind_tries_due_at"
                " (axis=? AND state=? AND kind=? AND tries>?)"
            ),
        },
    ),
    "arrivals to open": (
        arrivals._CLAIM_OPEN,
        OPEN,
        {
            "SEARCH arrival USING COVERING INDEX sqlite_autoindex_arrival_1 (id=?)",
            "SEARCH arrival USING INDEX ix_arrival_state_opens_received_at (state=? AND opens=?)",
        },
    ),
    "arrivals whose opening did not end": (
        arrivals._CLAIM_SUSPECT,
        OPEN,
        {
            "SEARCH arrival USING COVERING INDEX sqlite_autoindex_arrival_1 (id=?)",
            "SEARCH arrival USING INDEX ix_arrival_state_opens_received_at (state=? AND opens>?)",
        },
    ),
    "the document that a status speaks of": (
        documents._BY_DOCUMENT_ID,
        {"sender_key": "H14.19", "document_id": "1"},
        {
            (
                "SEARCH document USING INDEX ix_document_sender_key_document_id"
                " (sender_key=? AND document_id=?)"
            )
        },
    ),
    "a page of an inbox, of two agencies": (
        inbox._waiting(2),
        {
            "now": NOW,
            "after_lane": 1,
            "after_id": "01",
            "most": 51,
            "agency_0": "H14.19",
            "kind_0": "document",
            "agency_1": "H14.20",
            "kind_1": "document",
        },
        {
            (
                "SEARCH inbox_item USING INDEX ix_inbox_item_open"
                " (agency_key=? AND kind=? AND (lane,id)>(?,?))"
            ),
            "SEARCH inbox_item USING INDEX sqlite_autoindex_inbox_item_1 (id=?)",
            "SEARCH arrival USING INDEX sqlite_autoindex_arrival_1 (id=?)",
        },
    ),
    "records to seal": (
        ledger._BATCH,
        {"most": 250},
        {"SEARCH record USING INDEX sqlite_autoindex_record_1 (id=?)"},
    ),
    "the edge of the tree": (
        ledger._nodes(4),
        NODES,
        {"SEARCH node USING INDEX sqlite_autoindex_node_1 (epoch=? AND level=? AND idx=?)"},
    ),
}
# of no more rows than asked for: the front of an index in its own order, what a CTE gave
FRONT = {"SCAN pending USING COVERING INDEX ix_pending_at_record_id", "SCAN due", "SCAN waiting"}


@pytest.mark.parametrize("asked", BY_KEY)
def test_rows_are_found_by_their_key(asked: str, sqlite_url: str) -> None:
    statement, params, wanted = BY_KEY[asked]
    said = plan_of(sqlite_url, statement, params)
    assert {line for line in said if line.startswith("SEARCH")} == wanted
    assert {line for line in said if line.startswith("SCAN") and "anon_" not in line} <= FRONT


def test_changes_of_the_key_are_found_without_reading_what_everybody_did(sqlite_url: str) -> None:
    """Asked for each receipt that is looked up."""
    (line,) = plan_of(sqlite_url, audit._OF_EVENT, {"event": "ledger.key_changed"})
    assert line == "SEARCH record USING INDEX ix_record_of_ledger (event=?)"


def test_the_oldest_record_that_waits_is_the_first_of_an_index(sqlite_url: str) -> None:
    """Asked before each promise."""
    (line,) = plan_of(sqlite_url, ledger._OLDEST_PENDING, {})
    assert line == "SEARCH pending USING COVERING INDEX ix_pending_at_record_id"


def plan_of(url: str, statement: Executable, params: Mapping[str, Any]) -> list[str]:
    _, sql, values = Plans(dialect(paramstyle="qmark")).one(statement, params)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
        rows = conn.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
    # older and newer ones say the same with " TABLE " and " LEFT-JOIN"
    return [str(row[3]).replace(" TABLE ", " ").removesuffix(" LEFT-JOIN") for row in rows]
