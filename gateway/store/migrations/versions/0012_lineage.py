"""Stamps and cosignatures that no checkpoint names yet; records of the ledger about itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

OF_LEDGER = sa.text("event IN ('ledger.key_changed', 'ledger.rehashed')")


def upgrade() -> None:
    op.create_table(
        "unsaid",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_unsaid")),
    )
    op.create_index(
        "ix_record_of_ledger",
        "record",
        ["event"],
        sqlite_where=OF_LEDGER,
        postgresql_where=OF_LEDGER,
    )
