"""The first schema: documents, transfers, arrivals, inbox, ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import ddl
from gateway.store.types import Instant, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    ddl.functions()
    op.create_table(
        "account",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agencies", Json(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "role IN ('unit', 'ops', 'admin', 'auditor')", name=op.f("ck_account_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
    )
    op.create_table(
        "arrival",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("axis_doc_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("raw_sha256", sa.Text(), nullable=False),
        sa.Column("raw_size", sa.BigInteger(), nullable=False),
        sa.Column("listed_from", sa.Text(), nullable=False),
        sa.Column("listed_to", sa.Text(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("opens", sa.Integer(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("sender", sa.Text(), server_default="", nullable=False),
        sa.Column("document_id", sa.Text(), server_default="", nullable=False),
        sa.Column("identity", sa.Text(), server_default="", nullable=False),
        sa.Column("status_code", sa.Text(), server_default="", nullable=False),
        sa.Column("verdict", Json(), nullable=False),
        sa.Column("findings", Json(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('document', 'status')", name=op.f("ck_arrival_kind")),
        sa.CheckConstraint(
            "state IN ('RECEIVED', 'OPENED', 'DUPLICATE', 'ORPHAN', 'QUARANTINED', 'RETURNED')",
            name=op.f("ck_arrival_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrival")),
        sa.UniqueConstraint("axis", "axis_doc_id", name=op.f("uq_arrival_axis_axis_doc_id")),
    )
    op.create_index(
        op.f("ix_arrival_state_received_at"), "arrival", ["state", "received_at"], unique=False
    )
    op.create_table(
        "attempt",
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("transfer_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", "started_at", name=op.f("pk_attempt")),
        info={"by_month": "started_at"},
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index(op.f("ix_attempt_transfer_id"), "attempt", ["transfer_id"], unique=False)
    op.create_table(
        "blob",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("refs", sa.Integer(), nullable=False),
        sa.Column("touched_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blob")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "size", name=op.f("pk_checkpoint")),
        info={"append_only": True},
    )
    op.create_table(
        "document",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("sender_key", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("business_type", sa.SmallInteger(), nullable=False),
        sa.Column("header", Json(), nullable=False),
        sa.Column("files", Json(), nullable=False),
        sa.Column("accepted_at", Instant(), nullable=False),
        sa.Column("released_at", Instant(), nullable=False),
        sa.Column("released_source", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("about_item", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('document', 'status')", name=op.f("ck_document_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document")),
    )
    op.create_index(
        op.f("ix_document_sender_key_accepted_at"),
        "document",
        ["sender_key", "accepted_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_document_sender_key_document_id"),
        "document",
        ["sender_key", "document_id"],
        unique=False,
    )
    op.create_table(
        "document_key",
        sa.Column("sender_key", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sender_key", "document_id", name=op.f("pk_document_key")),
    )
    op.create_table(
        "entry",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "seq", name=op.f("pk_entry")),
        sa.UniqueConstraint("record_id", name=op.f("uq_entry_record_id")),
        info={"append_only": True},
    )
    op.create_table(
        "fetch",
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("axis_doc_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), server_default="", nullable=False),
        sa.Column("receiver", sa.Text(), server_default="", nullable=False),
        sa.Column("listed_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("equal_failures", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('document', 'status')", name=op.f("ck_fetch_kind")),
        sa.CheckConstraint("state IN ('DUE', 'FETCHED', 'HELD')", name=op.f("ck_fetch_state")),
        sa.PrimaryKeyConstraint("axis", "axis_doc_id", name=op.f("pk_fetch")),
    )
    op.create_index(
        op.f("ix_fetch_axis_state_due_at"), "fetch", ["axis", "state", "due_at"], unique=False
    )
    op.create_table(
        "idempotency",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "node",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "level", "idx", name=op.f("pk_node")),
        info={"append_only": True},
    )
    op.create_table(
        "pending",
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_pending")),
    )
    op.create_table(
        "personal",
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "field", name=op.f("pk_personal")),
    )
    op.create_table(
        "record",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("document_ref", sa.Text(), nullable=True),
        sa.Column("arrival_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_record_arrival_id"), "record", ["arrival_id"], unique=False)
    op.create_index(op.f("ix_record_document_ref"), "record", ["document_ref"], unique=False)
    op.create_table(
        "sent_receiver",
        sa.Column("sender_key", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("receiver_key", sa.Text(), nullable=False),
        sa.Column("document_ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sender_key", "identity", "receiver_key", name=op.f("pk_sent_receiver")
        ),
    )
    op.create_table(
        "stamp",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("gen_time", Instant(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stamp")),
        info={"append_only": True},
    )
    op.create_index(op.f("ix_stamp_epoch_size"), "stamp", ["epoch", "size"], unique=False)
    op.create_table(
        "status_event",
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("document_ref", sa.Text(), nullable=False),
        sa.Column("agency_key", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.Text(), nullable=False),
        sa.Column("arrival_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "received_at", name=op.f("pk_status_event")),
        info={"by_month": "received_at"},
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_index(
        op.f("ix_status_event_document_ref"), "status_event", ["document_ref"], unique=False
    )
    op.create_table(
        "inbox_item",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("arrival_id", sa.Text(), nullable=False),
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
    op.create_index(
        op.f("ix_inbox_item_agency_key_document_id"),
        "inbox_item",
        ["agency_key", "document_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inbox_item_agency_key_state_lane_id"),
        "inbox_item",
        ["agency_key", "state", "lane", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_inbox_item_arrival_id"), "inbox_item", ["arrival_id"], unique=False)
    op.create_table(
        "transfer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("document_ref", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("axis", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("doubt", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("package_sha256", sa.Text(), nullable=False),
        sa.Column("package_size", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.Text(), server_default="", nullable=False),
        sa.Column("last_detail", sa.Text(), server_default="", nullable=False),
        sa.Column("equal_answers", sa.Integer(), nullable=False),
        sa.Column("remote_ref", sa.Text(), server_default="", nullable=False),
        sa.Column("hold_cause", sa.Text(), server_default="", nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("replay_of", sa.Text(), nullable=True),
        sa.Column("reroute_of", sa.Text(), nullable=True),
        sa.Column("moved_at", Instant(), nullable=False),
        sa.CheckConstraint("kind IN ('document', 'status')", name=op.f("ck_transfer_kind")),
        sa.CheckConstraint(
            "state IN ('ACCEPTED', 'SEALED', 'SENDING', 'ON_AXIS', 'DEFERRED', "
            "'REFUSED', 'UNCERTAIN', 'HELD', 'EXPIRED', 'WITHDRAWN', 'REROUTED')",
            name=op.f("ck_transfer_state"),
        ),
        sa.ForeignKeyConstraint(
            ["document_ref"], ["document.id"], name=op.f("fk_transfer_document_ref")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
    )
    op.create_index(
        op.f("ix_transfer_axis_state_lane_due_at"),
        "transfer",
        ["axis", "state", "lane", "due_at"],
        unique=False,
    )
    op.create_index(op.f("ix_transfer_document_ref"), "transfer", ["document_ref"], unique=False)
    op.create_index(op.f("ix_transfer_record_id"), "transfer", ["record_id"], unique=False)
    op.create_table(
        "recipient",
        sa.Column("transfer_id", sa.Text(), nullable=False),
        sa.Column("agency_key", sa.Text(), nullable=False),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("status_code", sa.Text(), server_default="", nullable=False),
        sa.Column("on_axis_at", Instant(), nullable=True),
        sa.Column("entered_at", Instant(), nullable=True),
        sa.Column("entered_source", sa.Text(), server_default="", nullable=False),
        sa.Column("moved_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "state IN ('PENDING', 'ON_AXIS', 'ARRIVED', 'REJECTED', 'ACCEPTED', "
            "'ASSIGNED', 'PROCESSING', 'FINISHED', 'TAKE_BACK_AGREED', "
            "'TAKE_BACK_REFUSED', 'NOT_DELIVERED', 'RECALLED', 'NO_ANSWER')",
            name=op.f("ck_recipient_state"),
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["transfer.id"], name=op.f("fk_recipient_transfer_id")
        ),
        sa.PrimaryKeyConstraint("transfer_id", "agency_key", name=op.f("pk_recipient")),
    )
    ddl.by_month("attempt", "status_event")
    ddl.append_only("checkpoint", "entry", "node", "record", "stamp")
