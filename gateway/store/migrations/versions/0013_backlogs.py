"""What a claim needs to find its rows behind any backlog: three narrow indexes."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for table, columns in (
        ("fetch", ["axis", "state", "kind", "tries", "due_at"]),
        ("arrival", ["state", "opens", "received_at"]),
        ("pending", ["at", "record_id"]),
    ):
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, unique=False)
