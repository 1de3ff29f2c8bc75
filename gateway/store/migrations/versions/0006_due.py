"""What watching needs: due days, who turned when, what was last said, and three narrow indexes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.types import Instant

revision = "0006"
down_revision = "0005"

WAITING = "state IN ('SEALED', 'DEFERRED', 'UNCERTAIN')"


def upgrade() -> None:
    op.add_column("transfer", sa.Column("due_date", sa.Text(), nullable=True))
    for columns, where in (
        (["expires_at"], WAITING),
        (["due_date"], f"{WAITING} AND due_date IS NOT NULL"),
        (["axis", "moved_at"], "state = 'ON_AXIS'"),
    ):
        op.create_index(
            op.f(f"ix_transfer_{'_'.join(columns)}"),
            "transfer",
            columns,
            unique=False,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.create_table(
        "worker_turn",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_worker_turn")),
    )
    op.create_table(
        "noted",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_noted")),
    )
