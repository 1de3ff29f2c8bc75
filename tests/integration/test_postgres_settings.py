"""conf/postgresql.conf is taken by a server, and gives up nothing that receipts rest on."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.databases import running_postgres, shipped_settings


@pytest.mark.postgres
@pytest.mark.usefixtures("postgres")  # skipped, with the reason, where no server can be started
def test_the_shipped_settings_are_taken_and_lose_nothing_with_the_power():
    shipped = shipped_settings()
    with running_postgres(durable=True) as server, psycopg.connect(server.admin_url) as conn:
        asked = "SELECT name, source FROM pg_settings WHERE name = ANY(%s)"
        told = dict(conn.execute(asked, [list(shipped)]).fetchall())
        kept = {
            name: conn.execute("SELECT current_setting(%s)", [name]).fetchall()[0][0]
            for name in ("fsync", "full_page_writes", "synchronous_commit", "checkpoint_timeout")
        }
    assert told == dict.fromkeys(shipped, "configuration file")
    assert kept == {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "checkpoint_timeout": "30min",
    }
