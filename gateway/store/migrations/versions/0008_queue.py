"""The queue: what may leave stands at the front of an index; who waits for whom; breakers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.types import Instant

revision = "0008"
down_revision = "0007"

DUE = sa.text("behind = 0 AND due_at IS NOT NULL")
OPEN = sa.text("state IN ('ACCEPTED', 'DEFERRED', 'HELD', 'SEALED', 'SENDING', 'UNCERTAIN')")
WAITING = sa.text("due_at IS NOT NULL")
LEASED = sa.text("lease_until IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "turn",
        sa.Column("transfer_id", sa.Text(), nullable=False),
        sa.Column("after_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("after_id", "transfer_id", name=op.f("pk_turn")),
    )
    op.create_table(
        "breaker",
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("trips", sa.Integer(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "state IN ('CLOSED', 'OPEN', 'HALF_OPEN')", name=op.f("ck_breaker_state")
        ),
        sa.PrimaryKeyConstraint("axis", name=op.f("pk_breaker")),
    )
    op.add_column("transfer", sa.Column("behind", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "transfer", sa.Column("destination", sa.Text(), server_default="", nullable=False)
    )
    # an attempt under way has no due time any more: only what may be claimed has one
    op.execute(
        "UPDATE transfer SET due_at = NULL"
        " WHERE due_at IS NOT NULL AND state NOT IN ('SEALED', 'DEFERRED', 'UNCERTAIN')"
    )
    op.execute(
        "UPDATE transfer SET destination = (SELECT min(agency_key) FROM recipient"
        " WHERE transfer_id = transfer.id) WHERE due_at IS NOT NULL AND"
        " (SELECT count(*) FROM recipient WHERE transfer_id = transfer.id) = 1"
    )
    op.drop_index(op.f("ix_transfer_axis_state_lane_due_at"), "transfer")
    op.create_index(
        op.f("ix_transfer_axis_state_lane"), "transfer", ["axis", "state", "lane"], unique=False
    )
    for name, columns, where in (
        ("open", ["lane", "id"], OPEN),
        ("due", ["axis", "lane", "due_at", "id"], DUE),
        ("lapsing", ["expires_at"], WAITING),
        ("leased", ["lease_until"], LEASED),
    ):
        op.create_index(
            op.f(f"ix_transfer_{name}"),
            "transfer",
            columns,
            unique=False,
            sqlite_where=where,
            postgresql_where=where,
        )
