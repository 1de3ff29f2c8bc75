"""The queue is shown from one index, page by page, whatever states are asked for."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_index(
        op.f("ix_transfer_state_lane_id"), "transfer", ["state", "lane", "id"], unique=False
    )
    op.drop_index("ix_transfer_open", "transfer")
