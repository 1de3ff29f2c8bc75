"""Revocation data: what authorities answered, and the arrivals that wait for an answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.types import Instant, Json

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "revocation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("issuer", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.Text(), server_default="", nullable=False),
        sa.Column("this_update", Instant(), nullable=True),
        sa.Column("next_update", Instant(), nullable=True),
        sa.Column("fetched_at", Instant(), nullable=True),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("wanted_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('crl', 'ocsp')", name=op.f("ck_revocation_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocation")),
    )
    op.create_index(op.f("ix_revocation_due_at"), "revocation", ["due_at"], unique=False)
    op.create_table(
        "unjudged",
        sa.Column("arrival_id", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("others", Json(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["arrival_id"], ["arrival.id"], name=op.f("fk_unjudged_arrival_id")
        ),
        sa.PrimaryKeyConstraint("arrival_id", name=op.f("pk_unjudged")),
    )
    op.create_index(op.f("ix_unjudged_due_at"), "unjudged", ["due_at"], unique=False)
