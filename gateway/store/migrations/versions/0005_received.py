"""What was received under which DocumentId, and statuses that wait for their document."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.types import Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "received_key",
        sa.Column("agency_key", sa.Text(), nullable=False),
        sa.Column("sender_key", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "agency_key", "sender_key", "document_id", name=op.f("pk_received_key")
        ),
    )
    op.create_table(
        "orphan",
        sa.Column("arrival_id", sa.Text(), nullable=False),
        sa.Column("agency_key", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("arrival_id", name=op.f("pk_orphan")),
    )
    op.create_index(op.f("ix_orphan_due_at"), "orphan", ["due_at"], unique=False)
