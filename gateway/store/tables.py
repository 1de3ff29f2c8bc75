"""Every table, once, for both databases (architecture 6).

Tables flagged `append_only` refuse UPDATE, DELETE and TRUNCATE by trigger: they hold legal facts.
CHECK constraints on states are made from the enums of `gateway.model`, never written by hand.
`*_key` columns hold the canonical code of an agency, so that both written forms meet.
Tables flagged `moves` refuse, by trigger, an UPDATE of `state` that their table of transitions does
not allow; `{kind: {old: news}}`, with the kind "" where all kinds share one.
Tables flagged `by_month` are partitioned by their first `Instant` column on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.model.arrival import (
    ARRIVAL_TRANSITIONS,
    DOCUMENT_ITEM_TRANSITIONS,
    FETCH_MOVES,
    NOTICE_ITEM_TRANSITIONS,
    ArrivalState,
    FetchState,
    ItemKind,
    ItemState,
)
from gateway.model.breaker import BreakerState
from gateway.model.package import PackageKind
from gateway.model.transfer import (
    CLAIMABLE,
    TRANSFER_MOVES,
    RecipientState,
    TransferState,
)
from gateway.store.types import Instant, Json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, states: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{s.value}'" for s in states)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _partly(where: str, *columns: str, name: str | None = None) -> Index:
    """An index over the few rows that `where` names. Statements must spell it out the same way:
    values that come as parameters cannot be recognised in it.
    """
    named = text(where)
    return Index(name, *columns, sqlite_where=named, postgresql_where=named)


def _any_of(states: Iterable[StrEnum]) -> str:
    """Written into an index, and word for word into the statements that it is to serve."""
    return f"state IN ({', '.join(repr(s.value) for s in states)})"


LISTED_TRANSFERS = "lane >= 0"
OPEN_ITEMS = _any_of((ItemState.LEASED, ItemState.WAITING))
_WAITING = _any_of(CLAIMABLE)
_HELD = f"state = '{TransferState.HELD.value}'"


class Role(StrEnum):
    UNIT = "unit"  # a unit's document-management system; speaks for the agencies bound to it
    OPS = "ops"  # sees and moves queues, never content
    ADMIN = "admin"  # manages accounts
    AUDITOR = "auditor"  # reads records and proofs


account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("agencies", Json, nullable=False),
    Column("key_hash", Text, nullable=False),  # SHA-256 hex of the secret half of the key
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    _one_of("role", Role),
)

# -- what was promised once: small tables whose keys decide, never partitioned -----------------

idempotency = Table(
    "idempotency",
    metadata,
    Column("account_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("content", Text, nullable=False),  # digest of canonical metadata and file digests
    Column("status", SmallInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Column("location", Text, nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("account_id", "key"),
)

document_key = Table(
    "document_key",
    metadata,
    Column("sender_key", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("identity", Text, nullable=False),
    PrimaryKeyConstraint("sender_key", "document_id"),
)

sent_receiver = Table(
    "sent_receiver",
    metadata,
    Column("sender_key", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("receiver_key", Text, nullable=False),
    Column("document_ref", Text, nullable=False),
    PrimaryKeyConstraint("sender_key", "identity", "receiver_key"),
)

received_key = Table(
    "received_key",
    metadata,
    Column("agency_key", Text, nullable=False),
    Column("sender_key", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("identity", Text, nullable=False),
    PrimaryKeyConstraint("agency_key", "sender_key", "document_id"),
)

# -- outbound ------------------------------------------------------------------------------------

document = Table(
    "document",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("sender_key", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("business_type", SmallInteger, nullable=False),
    Column("header", Json, nullable=False),  # personal and free text lives here, erasable
    Column("files", Json, nullable=False),
    Column("accepted_at", Instant, nullable=False),
    Column("released_at", Instant, nullable=False),
    Column("released_source", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("about_item", Text),  # statuses: the inbox item they report on
    _one_of("kind", PackageKind),
    Index(None, "sender_key", "document_id"),
    Index(None, "sender_key", "accepted_at"),
)

# written out in the index and in the questions that it answers: a planner compares the words
DEAD_TRANSFERS = _any_of((TransferState.REFUSED, TransferState.HELD, TransferState.EXPIRED))

transfer = Table(
    "transfer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document_ref", Text, ForeignKey("document.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("axis", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False),  # 0 hỏa tốc, 1 thượng khẩn, 2 khẩn, 3 thường
    Column("due_at", Instant),
    Column("doubt", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sender", Text, nullable=False),
    Column("package_sha256", Text, nullable=False),
    Column("package_size", BigInteger, nullable=False),
    Column("accepted_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("fence", Integer, nullable=False),
    Column("last_code", Text, nullable=False, server_default=""),
    Column("last_detail", Text, nullable=False, server_default=""),
    Column("equal_answers", Integer, nullable=False),
    Column("remote_ref", Text, nullable=False, server_default=""),
    Column("hold_cause", Text, nullable=False, server_default=""),
    Column("record_id", Text, nullable=False),
    Column("replay_of", Text),
    Column("reroute_of", Text),
    Column("moved_at", Instant, nullable=False),
    Column("due_date", Text),  # the document's DueDate, yyyy-MM-dd, where it states a valid one
    # how many earlier transfers of its family must end before it may leave (`turn`)
    Column("behind", Integer, nullable=False, server_default="0"),
    # the receiver's canonical code where there is just one; "": several
    Column("destination", Text, nullable=False, server_default=""),
    # how long after the one before it a replay of a period leaves at the earliest (`pacing`)
    Column("pace_ms", Integer),
    _one_of("kind", PackageKind),
    _one_of("state", TransferState),
    # what may be claimed has a due time, nothing else has: a claim reads the front of this, however
    # long the rest is
    _partly(
        "behind = 0 AND due_at IS NOT NULL",
        "axis",
        "lane",
        "due_at",
        "id",
        name="ix_transfer_due",
    ),
    _partly("due_at IS NOT NULL", "expires_at", name="ix_transfer_lapsing"),
    _partly("lease_until IS NOT NULL", "lease_until", name="ix_transfer_leased"),
    Index(None, "axis", "state", "lane"),
    # the queue as it is shown, page by page, however much lies behind it; all rows, but only who
    # says so reads it: SQLite would take it for a claim
    _partly(LISTED_TRANSFERS, "state", "lane", "id", name="ix_transfer_listed"),
    Index(None, "axis", "accepted_at"),
    Index(None, "document_ref"),
    Index(None, "record_id"),
    # whoever replays a transfer a second time, or at the same moment as another, meets this key
    Index("ix_transfer_replay_of", "replay_of", unique=True),
    # what waits for a person is few among millions that do not
    Index(
        "ix_transfer_dead",
        "moved_at",
        "id",
        sqlite_where=text(DEAD_TRANSFERS),
        postgresql_where=text(DEAD_TRANSFERS),
    ),
    _partly(_WAITING, "expires_at"),
    _partly(f"{_WAITING} AND due_date IS NOT NULL", "due_date"),
    _partly(f"state = '{TransferState.ON_AXIS.value}'", "axis", "moved_at"),
    _partly(f"{_HELD} AND due_date IS NOT NULL", "due_date", name="ix_transfer_held_due"),
    _partly(
        "pace_ms IS NOT NULL AND due_at IS NOT NULL", "axis", "due_at", name="ix_transfer_paced"
    ),
    info={"moves": {"": TRANSFER_MOVES}},
)

# who must let whom go first: a recall never overtakes its document
turn = Table(
    "turn",
    metadata,
    Column("transfer_id", Text, nullable=False),
    Column("after_id", Text, nullable=False),  # a transfer that has not ended yet
    PrimaryKeyConstraint("after_id", "transfer_id"),
)

recipient = Table(
    "recipient",
    metadata,
    Column("transfer_id", Text, ForeignKey("transfer.id"), nullable=False),
    Column("agency_key", Text, nullable=False),
    Column("agency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("status_code", Text, nullable=False, server_default=""),
    Column("on_axis_at", Instant),
    Column("entered_at", Instant),
    Column("entered_source", Text, nullable=False, server_default=""),
    Column("moved_at", Instant, nullable=False),
    PrimaryKeyConstraint("transfer_id", "agency_key"),
    _one_of("state", RecipientState),
)

attempt = Table(
    "attempt",
    metadata,
    Column("started_at", Instant, nullable=False),
    Column("id", Text, nullable=False),
    Column("transfer_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", Text, nullable=False, server_default=""),
    Column("code", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("id", "started_at"),
    Index(None, "transfer_id"),
    info={"by_month": "started_at"},
)

status_event = Table(
    "status_event",
    metadata,
    Column("received_at", Instant, nullable=False),
    Column("id", Text, nullable=False),
    Column("document_ref", Text, nullable=False),
    Column("agency_key", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("timestamp", Text, nullable=False),  # as the report says it, Vietnam time, no zone
    Column("arrival_id", Text, nullable=False),
    PrimaryKeyConstraint("id", "received_at"),
    Index(None, "document_ref"),
    info={"by_month": "received_at"},
)

# whether an axis is being sent to, for all processes together
breaker = Table(
    "breaker",
    metadata,
    Column("axis", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("trips", Integer, nullable=False),
    Column("until", Instant),
    Column("fence", Integer, nullable=False),
    Column("changed_at", Instant, nullable=False),
    _one_of("state", BreakerState),
)

# how often each timestamp authority was asked, by day: for the bill, no evidence
stamp_use = Table(
    "stamp_use",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("granted", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
)

# -- inbound -------------------------------------------------------------------------------------

fetch = Table(
    "fetch",
    metadata,
    Column("axis", Text, nullable=False),
    Column("axis_doc_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("sender", Text, nullable=False, server_default=""),
    Column("receiver", Text, nullable=False, server_default=""),
    Column("listed_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("fence", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("equal_failures", Integer, nullable=False),
    Column("last_code", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("axis", "axis_doc_id"),
    _one_of("kind", PackageKind),
    _one_of("state", FetchState),
    Index(None, "axis", "state", "due_at"),
    Index(None, "axis", "state", "kind", "tries", "due_at"),
    info={"moves": {"": FETCH_MOVES}},
)

arrival = Table(
    "arrival",
    metadata,
    Column("id", Text, primary_key=True),
    Column("axis", Text, nullable=False),
    Column("axis_doc_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("raw_sha256", Text, nullable=False),
    Column("raw_size", BigInteger, nullable=False),
    Column("listed_from", Text, nullable=False),
    Column("listed_to", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("opens", Integer, nullable=False),
    Column("lease_until", Instant),
    Column("fence", Integer, nullable=False),
    Column("sender", Text, nullable=False, server_default=""),
    Column("document_id", Text, nullable=False, server_default=""),
    Column("identity", Text, nullable=False, server_default=""),
    Column("status_code", Text, nullable=False, server_default=""),
    Column("verdict", Json, nullable=False),
    Column("findings", Json, nullable=False),
    Column("record_id", Text, nullable=False),
    UniqueConstraint("axis", "axis_doc_id"),
    _one_of("kind", PackageKind),
    _one_of("state", ArrivalState),
    Index(None, "state", "received_at"),
    Index(None, "state", "opens", "received_at"),
    info={"moves": {"": ARRIVAL_TRANSITIONS}},
)

orphan = Table(
    "orphan",
    metadata,
    Column("arrival_id", Text, primary_key=True),
    Column("agency_key", Text, nullable=False),  # whose document the status speaks of
    Column("document_id", Text, nullable=False),
    Column("due_at", Instant, nullable=False),  # when it may be looked at again
    Column("tries", Integer, nullable=False),
    Index(None, "due_at"),
)

inbox_item = Table(
    "inbox_item",
    metadata,
    Column("id", Text, primary_key=True),
    Column("arrival_id", Text, ForeignKey("arrival.id")),  # none: a report of our own
    Column("agency", Text, nullable=False),
    Column("agency_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("axis", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("status_code", Text, nullable=False, server_default=""),
    Column("about_document", Text),  # statuses: our document they report on
    Column("content", Json, nullable=False),  # header or status, files, verdict, findings; erasable
    Column("available_at", Instant, nullable=False),
    Column("fetched_at", Instant),
    Column("entered_at", Instant),
    Column("lease_token", Text, nullable=False, server_default=""),
    Column("lease_until", Instant),
    Column("answer", Text, nullable=False, server_default=""),  # of confirm, given again
    UniqueConstraint("agency_key", "identity"),
    _one_of("kind", ItemKind),
    _one_of("state", ItemState),
    # an agency's inbox as it is shown, page by page, however much lies in it
    _partly(OPEN_ITEMS, "agency_key", "kind", "lane", "id", name="ix_inbox_item_open"),
    Index(None, "agency_key", "document_id"),
    Index(None, "arrival_id"),
    info={
        "moves": {
            ItemKind.DOCUMENT: DOCUMENT_ITEM_TRANSITIONS,
            ItemKind.STATUS: NOTICE_ITEM_TRANSITIONS,
            ItemKind.REPORT: NOTICE_ITEM_TRANSITIONS,
        }
    },
)

# -- business acts: which document speaks of which earlier one, found from either end -----------

act_target = Table(
    "act_target",
    metadata,
    Column("act_ref", Text, nullable=False),  # our document that is an act, or the item of one
    Column("agency_key", Text, nullable=False),  # who sent it, or who has the item
    Column("sender_key", Text, nullable=False),
    Column("business_type", SmallInteger, nullable=False),
    Column("document_id", Text, nullable=False),  # of the earlier document, as the act names it
    PrimaryKeyConstraint("act_ref", "document_id"),
    Index(None, "agency_key", "document_id"),
)

# -- the ledger ----------------------------------------------------------------------------------

# the few records by which the ledger says that it goes on otherwise; found without reading all
OF_LEDGER = "event IN ('ledger.key_changed', 'ledger.rehashed')"

record = Table(
    "record",
    metadata,
    Column("id", Text, primary_key=True),
    Column("event", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),  # RFC 8785 bytes; the leaf is over these
    Column("document_ref", Text),
    Column("arrival_id", Text),
    Index(None, "document_ref"),
    Index(None, "arrival_id"),
    Index(
        "ix_record_of_ledger",
        "event",
        sqlite_where=text(OF_LEDGER),
        postgresql_where=text(OF_LEDGER),
    ),
    info={"append_only": True},
)

personal = Table(
    "personal",
    metadata,
    Column("record_id", Text, nullable=False),
    Column("field", Text, nullable=False),
    # of its own: the record's salt would let whoever holds the record guess a short value
    Column("salt", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("record_id", "field"),
)

pending = Table(
    "pending",
    metadata,
    Column("record_id", Text, primary_key=True),
    Column("at", Instant, nullable=False),  # the database's clock
    Index(None, "at", "record_id"),
)

entry = Table(
    "entry",
    metadata,
    Column("epoch", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    PrimaryKeyConstraint("epoch", "seq"),
    UniqueConstraint("record_id"),
    info={"append_only": True},
)

node = Table(
    "node",
    metadata,
    Column("epoch", Integer, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("epoch", "level", "idx"),
    info={"append_only": True},
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("epoch", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("epoch", "size"),
    info={"append_only": True},
)

stamp = Table(
    "stamp",
    metadata,
    Column("id", Text, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("authority", Text, nullable=False),
    Column("token", LargeBinary, nullable=False),
    Column("gen_time", Instant, nullable=False),
    Column("policy", Text, nullable=False),
    Column("serial", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Index(None, "epoch", "size"),
    info={"append_only": True},
)

cosignature = Table(
    "cosignature",
    metadata,
    Column("epoch", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("witness", Text, nullable=False),
    Column("line", Text, nullable=False),  # as it stands under the note (C2SP tlog-cosignature)
    Column("signed_at", Instant, nullable=False),  # by the witness' clock; it is in the line
    Column("received_at", Instant, nullable=False),
    PrimaryKeyConstraint("epoch", "size", "witness"),
    info={"append_only": True},
)

# stamps and cosignatures that no checkpoint names yet: the next one does, and takes them away
unsaid = Table(
    "unsaid",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the token, or of the line
    Column("kind", Text, nullable=False),  # stamp | cosignature
    Column("epoch", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("witness", Text, nullable=False),  # "" for a stamp
)

# -- reconciliation: what an axis said of a day, and how far a run that goes on has come ----------

reconciliation = Table(
    "reconciliation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("axis", Text, nullable=False),
    Column("day", Text, nullable=False),  # yyyy-mm-dd of Vietnam
    Column("once", Text, nullable=False),  # daily: one for an axis and a day; asked for: its id
    Column("made_at", Instant, nullable=False),
    Column("counts", Json, nullable=False),
    Column("report", LargeBinary, nullable=False),  # RFC 8785 bytes; the note is over these
    Column("note", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    UniqueConstraint("once"),
    Index(None, "axis", "day"),
    info={"append_only": True},
)

reconciliation_page = Table(
    "reconciliation_page",
    metadata,
    Column("axis", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("page", Integer, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("after", Json, nullable=False),  # where the next page begins
    Column("found", Json, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("axis", "day", "page"),
    Index(None, "run_id"),
)

# -- bytes and turns -------------------------------------------------------------------------------

blob = Table(
    "blob",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("refs", Integer, nullable=False),
    Column("touched_at", Instant, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("until", Instant, nullable=False),
)

# -- revocation data: a cache, and what waits for it ----------------------------------------------

revocation = Table(
    "revocation",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 hex of kind, url and whom it is about
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("certificate", LargeBinary, nullable=False),  # DER: what the question is about
    Column("issuer", LargeBinary, nullable=False),  # DER: whose signature must be on the answer
    Column("data", LargeBinary),  # the last good answer, as it came
    Column("sha256", Text, nullable=False, server_default=""),
    Column("this_update", Instant),
    Column("next_update", Instant),
    Column("fetched_at", Instant),
    Column("since", Instant, nullable=False),
    Column("wanted_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_code", Text, nullable=False, server_default=""),
    CheckConstraint("kind IN ('crl', 'ocsp')", name="kind"),
    Index(None, "due_at"),
)

unjudged = Table(
    "unjudged",
    metadata,
    Column("arrival_id", Text, ForeignKey("arrival.id"), primary_key=True),
    Column("certificate", LargeBinary, nullable=False),  # DER
    Column("others", Json, nullable=False),  # DER in base64: what the block held beside it
    Column("received_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Index(None, "due_at"),
)

# -- who turned last, over all processes ----------------------------------------------------------

worker_turn = Table(
    "worker_turn",
    metadata,
    # as in the logs: seal, deliver:<axis>; list:<axis>:<kind>: when that list could be read
    Column("worker", Text, primary_key=True),
    Column("owner", Text, nullable=False),  # host:pid of the process that turned it last
    Column("at", Instant, nullable=False),
)

# what is recorded once for each change of it: the last value that was
noted = Table(
    "noted",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
