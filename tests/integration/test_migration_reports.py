"""The step that lets reports into the inbox: what stands there before stands there after."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text

from gateway.store import migrations

ARRIVAL = (
    "INSERT INTO arrival (id, axis, axis_doc_id, kind, state, raw_sha256, raw_size, listed_from,"
    " listed_to, received_at, opens, fence, verdict, findings, record_id) VALUES ('a', 'vxp', '1',"
    " 'document', 'OPENED', '00', 1, '', '', {at}, 1, 1, '{{}}', '[]', 'r')"
)
ITEM = (
    "INSERT INTO inbox_item (id, arrival_id, agency, agency_key, kind, identity, state, lane, axis,"
    " sender, document_id, content, available_at, answer) VALUES ('i', 'a', 'G22', 'G22',"
    " 'document', 'x', 'WAITING', 3, 'vxp', 'H14', 'd', '{{}}', {at}, 'kept')"
)


def test_items_survive_and_a_report_needs_no_arrival(empty_url: str) -> None:
    config = migrations._config()
    at = "1" if empty_url.startswith("sqlite") else "now()"
    with migrations.connected(empty_url) as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0002")
        conn.execute(text(ARRIVAL.format(at=at)))
        conn.execute(text(ITEM.format(at=at)))
        conn.commit()
    migrations.migrate(empty_url)
    report = ITEM.format(at=at).replace("'i', 'a'", "'j', NULL").replace("'x'", "'y'")
    with migrations.connected(empty_url) as conn, conn.begin():
        conn.execute(text(report.replace("'document', 'y'", "'report', 'y'")))
        found = conn.execute(
            text("SELECT id, arrival_id, kind, lane, answer, status_code FROM inbox_item")
        ).fetchall()
    assert sorted(tuple(row) for row in found) == [
        ("i", "a", "document", 3, "kept", ""),
        ("j", None, "report", 3, "kept", ""),
    ]
