"""Reports in the inbox, which no arrival brought; replays, each of one transfer; what is dead."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.types import Instant, Json

revision = "0004"
down_revision = "0003"

_DEAD = "state IN ('REFUSED', 'HELD', 'EXPIRED')"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _inbox_item_anew()
    else:
        op.alter_column("inbox_item", "arrival_id", existing_type=sa.Text(), nullable=True)
    op.create_index(op.f("ix_transfer_replay_of"), "transfer", ["replay_of"], unique=True)
    op.create_index(
        op.f("ix_transfer_dead"),
        "transfer",
        ["moved_at", "id"],
        unique=False,
        sqlite_where=sa.text(_DEAD),
        postgresql_where=sa.text(_DEAD),
    )


def _inbox_item_anew() -> None:
    """SQLite changes a column by making the table anew. (Alembic's batch mode does the same, but
    in an order of constraints that changes from run to run, which nobody could compare.)
    """
    op.create_table(
        "inbox_item_anew",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("arrival_id", sa.Text(), nullable=True),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("agency_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("status_code", sa.Text(), server_default="", nullable=False),
        sa.Column("about_document", sa.Text(), nullable=True),
        sa.Column("content", Json(), nullable=False),
        sa.Column("available_at", Instant(), nullable=False),
        sa.Column("fetched_at", Instant(), nullable=True),
        sa.Column("entered_at", Instant(), nullable=True),
        sa.Column("lease_token", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "kind IN ('document', 'status', 'report')", name=op.f("ck_inbox_item_kind")
        ),
        sa.CheckConstraint(
            "state IN ('WAITING', 'LEASED', 'ENTERED', 'REFUSED', 'RECALLED', 'SEEN')",
            name=op.f("ck_inbox_item_state"),
        ),
        sa.ForeignKeyConstraint(
            ["arrival_id"], ["arrival.id"], name=op.f("fk_inbox_item_arrival_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_item")),
        sa.UniqueConstraint(
            "agency_key", "identity", name=op.f("uq_inbox_item_agency_key_identity")
        ),
    )
    op.execute("INSERT INTO inbox_item_anew SELECT * FROM inbox_item")
    op.drop_table("inbox_item")
    op.rename_table("inbox_item_anew", "inbox_item")
    for columns in (
        ["agency_key", "state", "lane", "id"],
        ["agency_key", "document_id"],
        ["arrival_id"],
    ):
        op.create_index(op.f(f"ix_inbox_item_{'_'.join(columns)}"), "inbox_item", columns)
