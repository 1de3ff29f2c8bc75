"""An agency's inbox is shown page by page from one index, however much lies in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

OPEN = sa.text("state IN ('LEASED', 'WAITING')")


def upgrade() -> None:
    op.create_index(
        "ix_inbox_item_open",
        "inbox_item",
        ["agency_key", "kind", "lane", "id"],
        unique=False,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.drop_index(op.f("ix_inbox_item_agency_key_state_lane_id"), "inbox_item")
