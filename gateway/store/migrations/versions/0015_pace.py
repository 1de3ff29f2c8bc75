"""The pace of a period's replays stands with them; what a person holds is found by its DueDate."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

HELD = "state = 'HELD'"


# as if made at 60 a minute, so that a new period begins behind those of an old one
WAITING = """
UPDATE transfer SET pace_ms = 1000
WHERE replay_of IS NOT NULL AND due_at IS NOT NULL AND state IN ('ACCEPTED', 'SEALED')
"""


def upgrade() -> None:
    op.add_column("transfer", sa.Column("pace_ms", sa.Integer(), nullable=True))
    op.execute(WAITING)
    for name, columns, where in (
        ("ix_transfer_paced", ["axis", "due_at"], "pace_ms IS NOT NULL AND due_at IS NOT NULL"),
        ("ix_transfer_held_due", ["due_date"], f"{HELD} AND due_date IS NOT NULL"),
    ):
        op.create_index(
            name,
            "transfer",
            columns,
            unique=False,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
