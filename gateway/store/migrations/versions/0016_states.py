"""The queue is shown from one index, page by page, whatever states are asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

LISTED = sa.text("lane >= 0")


def upgrade() -> None:
    op.create_index(
        "ix_transfer_listed",
        "transfer",
        ["state", "lane", "id"],
        unique=False,
        sqlite_where=LISTED,
        postgresql_where=LISTED,
    )
    op.drop_index("ix_transfer_open", "transfer")
