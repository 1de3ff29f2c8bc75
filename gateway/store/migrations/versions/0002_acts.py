"""Business acts: which document speaks of which earlier one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "act_target",
        sa.Column("act_ref", sa.Text(), nullable=False),
        sa.Column("agency_key", sa.Text(), nullable=False),
        sa.Column("sender_key", sa.Text(), nullable=False),
        sa.Column("business_type", sa.SmallInteger(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("act_ref", "document_id", name=op.f("pk_act_target")),
    )
    op.create_index(
        op.f("ix_act_target_agency_key_document_id"),
        "act_target",
        ["agency_key", "document_id"],
        unique=False,
    )
