"""Reconciliation: signed reports, the pages of a run under way, transfers of an axis by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import ddl
from gateway.store.types import Instant, Json

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("once", sa.Text(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("counts", Json(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
        sa.UniqueConstraint("once", name=op.f("uq_reconciliation_once")),
    )
    op.create_index(
        op.f("ix_reconciliation_axis_day"), "reconciliation", ["axis", "day"], unique=False
    )
    op.create_table(
        "reconciliation_page",
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("after", Json(), nullable=False),
        sa.Column("found", Json(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("axis", "day", "page", name=op.f("pk_reconciliation_page")),
    )
    op.create_index(
        op.f("ix_reconciliation_page_run_id"), "reconciliation_page", ["run_id"], unique=False
    )
    op.create_index(
        op.f("ix_transfer_axis_accepted_at"), "transfer", ["axis", "accepted_at"], unique=False
    )
    ddl.append_only("reconciliation")
