"""The rows of the ledger: records wait in `pending`, entries and nodes are only ever added."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, delete, func, insert, or_, select, union

from gateway.model.record import Checkpoint, Entry, Stamp
from gateway.store import unsaid
from gateway.store.session import Tx
from gateway.store.tables import (
    checkpoint,
    entry,
    node,
    pending,
    personal,
    record,
    stamp,
)

SEAL_CHANNEL = "seal"
CHECKPOINT_CHANNEL = "stamp"


class NewRecord(NamedTuple):
    """A record as it goes in: `body` are its canonical bytes (ledger.records.record_bytes)."""

    id: str
    event: str
    at: datetime
    body: bytes
    document_ref: str | None = None
    arrival_id: str | None = None
    personal: tuple[tuple[str, str, str], ...] = ()  # field, salt, value


class RecordRow(NamedTuple):
    """`seq` None: not sealed yet."""

    id: str
    event: str
    at: datetime
    body: bytes
    seq: int | None
    epoch: int | None = None


class EntryRow(NamedTuple):
    seq: int
    record_id: str
    leaf: bytes
    body: bytes | None


_INSERT_RECORD = insert(record)
_INSERT_PENDING = insert(pending)
_INSERT_PERSONAL = insert(personal)
_BATCH = (
    select(pending.c.record_id, record.c.body)
    .join(record, record.c.id == pending.c.record_id)
    .order_by(pending.c.at, pending.c.record_id)
    .limit(bindparam("most"))
)
_LEAVES = select(entry.c.seq, entry.c.leaf).where(
    entry.c.epoch == bindparam("epoch"), entry.c.seq.in_(bindparam("seqs", expanding=True))
)
_NODES_AT_ONCE = 32
_NODE_COLUMNS = select(node.c.level, node.c.idx, node.c.hash)
_RUN = (
    select(node.c.idx, node.c.hash)
    .where(node.c.epoch == bindparam("epoch"), node.c.level == bindparam("level"))
    .where(node.c.idx.between(bindparam("first"), bindparam("last")))
)
_INSERT_ENTRY = insert(entry)
_INSERT_NODE = insert(node)
_INSERT_CHECKPOINT = insert(checkpoint)
_TAKEN = delete(pending).where(pending.c.record_id.in_(bindparam("ids", expanding=True)))
# in the order of the fields of `Checkpoint` and of `Stamp`
CHECKPOINT = (
    checkpoint.c.epoch,
    checkpoint.c.size,
    checkpoint.c.root,
    checkpoint.c.note,
    checkpoint.c.at,
)
STAMP = (
    stamp.c.epoch,
    stamp.c.size,
    stamp.c.token,
    stamp.c.authority,
    stamp.c.gen_time,
    stamp.c.policy,
    stamp.c.serial,
)
_NEWEST = select(*CHECKPOINT).order_by(checkpoint.c.epoch.desc(), checkpoint.c.size.desc()).limit(1)
_NEWEST_OF = (
    select(*CHECKPOINT)
    .where(checkpoint.c.epoch == bindparam("epoch"))
    .order_by(checkpoint.c.size.desc())
    .limit(1)
)
_CHECKPOINTS = (
    select(*CHECKPOINT)
    .where(checkpoint.c.epoch == bindparam("epoch"), checkpoint.c.size > bindparam("after"))
    .order_by(checkpoint.c.size)
    .limit(bindparam("most"))
)
_STAMPED_SIZE = select(func.coalesce(func.max(stamp.c.size), 0)).where(
    stamp.c.epoch == bindparam("epoch")
)
_NEWEST_STAMP = (
    select(*STAMP)
    .where(stamp.c.epoch == bindparam("epoch"))
    .order_by(stamp.c.size.desc(), stamp.c.gen_time.desc())
    .limit(1)
)
_INSERT_STAMP = insert(stamp)
_STAMPS = (
    select(*STAMP, stamp.c.id)
    .where(
        stamp.c.epoch == bindparam("epoch"),
        or_(
            stamp.c.size > bindparam("after"),
            and_(stamp.c.size == bindparam("after"), stamp.c.id > bindparam("after_id")),
        ),
    )
    .order_by(stamp.c.size, stamp.c.id)
    .limit(bindparam("most"))
)
_ENTRIES = (
    select(entry.c.seq, entry.c.record_id, entry.c.leaf, record.c.body)
    .outerjoin(record, record.c.id == entry.c.record_id)
    .where(entry.c.epoch == bindparam("epoch"), entry.c.seq >= bindparam("start"))
    .order_by(entry.c.seq)
    .limit(bindparam("most"))
)
_OF_DOCUMENT = (
    select(record.c.id, record.c.event, record.c.at, record.c.body, entry.c.seq, entry.c.epoch)
    .outerjoin(entry, entry.c.record_id == record.c.id)
    .where(record.c.document_ref == bindparam("ref"))
    .order_by(record.c.at, record.c.id)
)
_OF_ARRIVAL = (
    select(record.c.id, record.c.event, record.c.at, record.c.body, entry.c.seq, entry.c.epoch)
    .outerjoin(entry, entry.c.record_id == record.c.id)
    .where(record.c.arrival_id == bindparam("ref"))
    .order_by(record.c.at, record.c.id)
)
_OLDEST_PENDING = select(func.min(pending.c.at))
_UNSEALED = (
    select(record.c.id, record.c.body, pending.c.record_id)
    .outerjoin(entry, entry.c.record_id == record.c.id)
    .outerjoin(pending, pending.c.record_id == record.c.id)
    .where(entry.c.seq.is_(None), record.c.id > bindparam("after"))
    .order_by(record.c.id)
    .limit(bindparam("most"))
)
_ODD_PENDING = (
    select(pending.c.record_id, record.c.body, entry.c.seq)
    .outerjoin(record, record.c.id == pending.c.record_id)
    .outerjoin(entry, entry.c.record_id == pending.c.record_id)
    .where(or_(record.c.id.is_(None), entry.c.seq.is_not(None)))
    .limit(1000)
)
_RECORD_COUNT = select(func.count()).select_from(record)
_NODE_COUNT = select(func.count()).where(node.c.epoch == bindparam("epoch"))
_EPOCHS = select(checkpoint.c.epoch).distinct().order_by(checkpoint.c.epoch)
_ALL_EPOCHS = union(
    *(select(table.c.epoch).distinct() for table in (checkpoint, entry, node, stamp))
)
_ENTRY_OF = select(entry.c.epoch, entry.c.seq, entry.c.record_id, entry.c.leaf).where(
    entry.c.record_id == bindparam("id")
)
_WAITING_BODY = (
    select(record.c.body)
    .join(pending, pending.c.record_id == record.c.id)
    .where(record.c.id == bindparam("id"))
)
_STAMP_COVERING = (
    select(stamp.c.gen_time, stamp.c.authority)
    .where(stamp.c.epoch == bindparam("epoch"), stamp.c.size > bindparam("seq"))
    .order_by(stamp.c.size)
    .limit(1)
)


def append(tx: Tx, records: Sequence[NewRecord]) -> None:
    """Legal facts, in the commit that makes them true; the sealer is woken after it."""
    now = tx.now()
    tx.put(
        _INSERT_RECORD,
        [
            {
                "id": r.id,
                "event": r.event,
                "at": r.at,
                "body": r.body,
                "document_ref": r.document_ref,
                "arrival_id": r.arrival_id,
            }
            for r in records
        ],
    )
    tx.put(_INSERT_PENDING, [{"record_id": r.id, "at": now} for r in records])
    values = [
        {"record_id": r.id, "field": name, "salt": salt, "value": value}
        for r in records
        for name, salt, value in r.personal
    ]
    if values:
        tx.put(_INSERT_PERSONAL, values)
    tx.notify(SEAL_CHANNEL)


def pending_batch(tx: Tx, most: int) -> list[tuple[str, bytes]]:
    """(record id, canonical bytes), oldest first."""
    return [(str(r[0]), bytes(r[1])) for r in tx.execute(_BATCH, {"most": most}).all()]


def read_nodes(
    tx: Tx, epoch: int, coords: Sequence[tuple[int, int]]
) -> Mapping[tuple[int, int], bytes]:
    """Hashes by (level, index); level 0 are the leaves of the entries."""
    found: dict[tuple[int, int], bytes] = {}
    leaves = [idx for level, idx in coords if level == 0]
    inner = [(level, idx) for level, idx in coords if level > 0]
    if leaves:
        rows = tx.execute(_LEAVES, {"epoch": epoch, "seqs": leaves}).all()
        found.update({(0, int(seq)): bytes(leaf) for seq, leaf in rows})
    for start in range(0, len(inner), _NODES_AT_ONCE):
        some = inner[start : start + _NODES_AT_ONCE]
        places = [*some, *[some[-1]] * (_asked_for(len(some)) - len(some))]
        params: dict[str, int] = {"epoch": epoch}
        for number, (level, idx) in enumerate(places):
            params[f"level_{number}"], params[f"idx_{number}"] = level, idx
        rows = tx.execute(_nodes(len(places)), params).all()
        found.update({(int(level), int(idx)): bytes(h) for level, idx, h in rows})
    return found


def _asked_for(count: int) -> int:
    """How many places a statement has for so many: powers of two, so that there are few of them."""
    return 1 << (count - 1).bit_length()


@cache
def _nodes(count: int) -> Select[Any]:
    """Each place by the whole key: a list of pairs makes SQLite read the epoch from end to end."""
    return _NODE_COLUMNS.where(
        or_(
            *(
                and_(
                    node.c.epoch == bindparam("epoch"),
                    node.c.level == bindparam(f"level_{number}"),
                    node.c.idx == bindparam(f"idx_{number}"),
                )
                for number in range(count)
            )
        )
    )


def read_runs(
    tx: Tx, epoch: int, coords: Sequence[tuple[int, int]]
) -> Mapping[tuple[int, int], bytes]:
    """As `read_nodes`, for inner nodes that stand side by side: one range a level.

    It gives whatever stands between the first and the last that was asked for.
    """
    found: dict[tuple[int, int], bytes] = {}
    runs: dict[int, tuple[int, int]] = {}
    for level, idx in coords:
        first, last = runs.get(level, (idx, idx))
        runs[level] = (min(first, idx), max(last, idx))
    for level, (first, last) in runs.items():
        run = {"epoch": epoch, "level": level, "first": first, "last": last}
        found.update({(level, idx): value for idx, value in tx.execute(_RUN, run).all()})
    return found


def extend(
    tx: Tx,
    *,
    entries: Sequence[tuple[int, str, bytes]],
    nodes: Sequence[tuple[int, int, bytes]],
    made: Checkpoint,
) -> None:
    """Entries (seq, record id, leaf), inner nodes and the checkpoint over them, in one commit."""
    tx.put(
        _INSERT_ENTRY,
        [
            {"epoch": made.epoch, "seq": seq, "record_id": record_id, "leaf": leaf}
            for seq, record_id, leaf in entries
        ],
    )
    if nodes:
        tx.put(
            _INSERT_NODE,
            [
                {"epoch": made.epoch, "level": level, "idx": idx, "hash": value}
                for level, idx, value in nodes
            ],
        )
    tx.put(
        _INSERT_CHECKPOINT,
        {
            "epoch": made.epoch,
            "size": made.size,
            "root": made.root,
            "note": made.note,
            "at": made.at,
        },
    )
    tx.execute(_TAKEN, {"ids": [record_id for _, record_id, _ in entries]})
    tx.notify(CHECKPOINT_CHANNEL)


def newest_checkpoint(tx: Tx) -> Checkpoint | None:
    row = tx.execute(_NEWEST).one_or_none()
    return None if row is None else Checkpoint(*row)


def newest_of(tx: Tx, epoch: int) -> Checkpoint | None:
    row = tx.execute(_NEWEST_OF, {"epoch": epoch}).one_or_none()
    return None if row is None else Checkpoint(*row)


def checkpoints(tx: Tx, epoch: int, after: int, most: int = 1000) -> list[Checkpoint]:
    rows = tx.execute(_CHECKPOINTS, {"epoch": epoch, "after": after, "most": most}).all()
    return [Checkpoint(*row) for row in rows]


def oldest_unstamped(tx: Tx) -> datetime | None:
    """When the oldest checkpoint was made that no stamp covers; None when all are covered."""
    newest = newest_checkpoint(tx)
    if newest is None:
        return None
    waiting = checkpoints(tx, newest.epoch, stamped_size(tx, newest.epoch), most=1)
    return waiting[0].at if waiting else None


def stamped_size(tx: Tx, epoch: int) -> int:
    return int(tx.execute(_STAMPED_SIZE, {"epoch": epoch}).scalar() or 0)


def newest_stamp(tx: Tx, epoch: int) -> Stamp | None:
    row = tx.execute(_NEWEST_STAMP, {"epoch": epoch}).one_or_none()
    return None if row is None else Stamp(*row)


def keep_stamp(tx: Tx, stamp_id: str, made: Stamp, received_at: datetime) -> None:
    tx.put(
        _INSERT_STAMP,
        {
            "id": stamp_id,
            "epoch": made.epoch,
            "size": made.size,
            "authority": made.authority,
            "token": made.token,
            "gen_time": made.gen_time,
            "policy": made.policy,
            "serial": made.serial,
            "received_at": received_at,
        },
    )
    digest = hashlib.sha256(made.token).digest()
    unsaid.add(tx, unsaid.Unsaid(digest, unsaid.STAMP, made.epoch, made.size, ""))


def stamps(tx: Tx, epoch: int, after: int = -1, most: int = 500) -> Iterator[Stamp]:
    """Those over more than `after` entries, by size, `most` at a time in memory.

    A stamp a minute for years is gigabytes of tokens.
    """
    after_id = "~"  # above every id: none of that size
    while True:
        params = {"epoch": epoch, "after": after, "after_id": after_id, "most": most}
        rows = tx.execute(_STAMPS, params).all()
        for row in rows:
            yield Stamp(*row[:-1])
        if len(rows) < most:
            return
        after, after_id = int(rows[-1][1]), str(rows[-1][-1])


def entries_from(tx: Tx, epoch: int, start: int, most: int) -> list[EntryRow]:
    """Entries with the bytes of their records (None: the record is gone)."""
    rows = tx.execute(_ENTRIES, {"epoch": epoch, "start": start, "most": most}).all()
    return list(map(EntryRow._make, rows))


def of_document(tx: Tx, document_ref: str) -> list[RecordRow]:
    rows = tx.execute(_OF_DOCUMENT, {"ref": document_ref}).all()
    return [RecordRow._make(row) for row in rows]


def of_arrival(tx: Tx, arrival_id: str) -> list[RecordRow]:
    rows = tx.execute(_OF_ARRIVAL, {"ref": arrival_id}).all()
    return [RecordRow._make(row) for row in rows]


def oldest_pending(tx: Tx) -> datetime | None:
    value = tx.execute(_OLDEST_PENDING).scalar()
    return value if isinstance(value, datetime) else None


class Unsealed(NamedTuple):
    """A record without an entry, or an odd row of `pending` (its record gone, or sealed)."""

    record_id: str
    body: bytes | None
    pending: bool
    sealed: bool


def unsealed(tx: Tx, after: str, most: int) -> list[Unsealed]:
    """Records without an entry, by id; those not in `pending` were tampered with."""
    rows = tx.execute(_UNSEALED, {"after": after, "most": most}).all()
    return [Unsealed(str(r[0]), bytes(r[1]), pending=r[2] is not None, sealed=False) for r in rows]


def odd_pending(tx: Tx) -> list[Unsealed]:
    rows = tx.execute(_ODD_PENDING).all()
    return [
        Unsealed(
            str(r[0]),
            None if r[1] is None else bytes(r[1]),
            pending=True,
            sealed=r[2] is not None,
        )
        for r in rows
    ]


def record_count(tx: Tx) -> int:
    return int(tx.execute(_RECORD_COUNT).scalar() or 0)


def node_count(tx: Tx, epoch: int) -> int:
    return int(tx.execute(_NODE_COUNT, {"epoch": epoch}).scalar() or 0)


def epochs(tx: Tx) -> list[int]:
    return [int(v) for v in tx.scalars(_EPOCHS)]


def all_epochs(tx: Tx) -> list[int]:
    """Those of any row of a tree, for `ledger verify`; `epochs` are those that were signed."""
    return sorted(int(v) for v in tx.scalars(_ALL_EPOCHS))


def entry_of(tx: Tx, record_id: str) -> Entry | None:
    row = tx.execute(_ENTRY_OF, {"id": record_id}).one_or_none()
    return None if row is None else Entry(int(row[0]), int(row[1]), str(row[2]), bytes(row[3]))


def waiting_body(tx: Tx, record_id: str) -> bytes | None:
    """The bytes of a record that waits for the sealer."""
    value = tx.execute(_WAITING_BODY, {"id": record_id}).scalar()
    return None if value is None else bytes(value)


def stamp_covering(tx: Tx, epoch: int, seq: int) -> tuple[datetime, str] | None:
    """(time, authority) of the first stamp over a checkpoint that contains this entry."""
    row = tx.execute(_STAMP_COVERING, {"epoch": epoch, "seq": seq}).one_or_none()
    return None if row is None else (row[0], str(row[1]))
