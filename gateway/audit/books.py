"""`ledger verify`: the whole ledger of this gateway, streamed from the store and the blob store.

In:     the store, the blobs, the ledger's public key, the anchors of timestamp authorities.
Out:    a LedgerReport; or, for a receipt, whether what was promised is still there.
Never:  writes; holds more than a batch in memory; trusts a row (ledger/verify.py recomputes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.c14n import canonical_json
from gateway.errors import Broken
from gateway.ledger import checkpoint, merkle, receipt, verify
from gateway.model.record import Checkpoint, Entry
from gateway.ports import BlobStore
from gateway.store import Store, Tx, ledger

BATCH = 2000
CHUNK = 1024 * 1024


def verify_books(
    store: Store,
    blobs: BlobStore,
    *,
    origin: str,
    public_key: ec.EllipticCurvePublicKey,
    anchors: Sequence[x509.Certificate],
    progress: Callable[[int], None] = lambda _: None,
) -> verify.LedgerReport:
    """Check every record, entry, node, checkpoint, stamp and blob. `progress`: entries so far.

    All of it inside one reading transaction: the gateway may go on writing meanwhile, and what
    is looked at is one moment. Only the blobs are outside it, and those are never rewritten.
    """

    def look(tx: Tx) -> verify.LedgerReport:
        rows = verify.LedgerRows(
            origin=origin,
            epochs=_epochs(tx, progress),
            unsealed=_unsealed(tx),
            record_count=ledger.record_count(tx),
        )
        return verify.verify_ledger(rows, [public_key], anchors, partial(_blob_sha256, blobs))

    return store.read_sync(look)


def look_for(
    store: Store,
    receipt_bytes: bytes,
    *,
    origin: str,
    public_key: ec.EllipticCurvePublicKey,
) -> tuple[receipt.ReceiptVerdict, receipt.Receipt]:
    """Found in the tree, promised but missing, or not yet sealed. Untrusted: not our receipt."""
    promised = receipt.verify_receipt(_as_signed(receipt_bytes), [public_key])

    def look(tx: Tx) -> receipt.ReceiptVerdict:
        entry = ledger.entry_of(tx, promised.record.id)
        newest = ledger.newest_checkpoint(tx)
        proof: tuple[bytes, ...] = ()
        if entry is not None and newest is not None and entry.epoch == newest.epoch:
            checkpoint.parse_checkpoint(newest.note, origin, public_key, newest.at)
            read = partial(ledger.read_nodes, tx, entry.epoch)
            proof = merkle.inclusion_proof(entry.seq, newest.size, read)
        return receipt.find_receipt(
            promised,
            entry=entry,
            checkpoint=newest,
            proof=proof,
            waiting=ledger.waiting_body(tx, promised.record.id),
        )

    return store.read_sync(look), promised


def _as_signed(kept: bytes) -> bytes:
    """The canonical form: units keep a receipt as their JSON tool wrote it, or within an answer."""
    try:
        value = json.loads(kept)
        if isinstance(value, dict) and "receipt" in value:
            value = value["receipt"]
        return canonical_json(value)
    except (ValueError, TypeError, RecursionError):
        return kept  # no JSON at all: the receipt's own reader says so


def _epochs(tx: Tx, progress: Callable[[int], None]) -> Iterator[verify.EpochRows]:
    for epoch in ledger.epochs(tx):
        yield verify.EpochRows(
            epoch=epoch,
            entries=_entries(tx, epoch, progress),
            read_nodes=partial(ledger.read_nodes, tx, epoch),
            node_count=ledger.node_count(tx, epoch),
            checkpoints=_checkpoints(tx, epoch),
            stamps=ledger.stamps(tx, epoch),
        )


def _entries(tx: Tx, epoch: int, progress: Callable[[int], None]) -> Iterator[verify.SealedRow]:
    start = 0
    while rows := ledger.entries_from(tx, epoch, start, BATCH):
        for row in rows:
            entry = Entry(epoch, int(row.seq), row.record_id, bytes(row.leaf))
            yield verify.SealedRow(entry, None if row.body is None else bytes(row.body))
        start = int(rows[-1].seq) + 1
        progress(start)


def _checkpoints(tx: Tx, epoch: int) -> Iterator[Checkpoint]:
    after = -1
    while found := ledger.checkpoints(tx, epoch, after):
        yield from found
        after = found[-1].size


def _unsealed(tx: Tx) -> Iterator[verify.UnsealedRow]:
    after = ""
    while rows := ledger.unsealed(tx, after, BATCH):
        for row in rows:
            yield verify.UnsealedRow(row.record_id, row.body, pending=row.pending)
        after = rows[-1].record_id
    for row in ledger.odd_pending(tx):
        yield verify.UnsealedRow(row.record_id, row.body, pending=True, sealed=row.sealed)


def _blob_sha256(blobs: BlobStore, sha256: str) -> str | None:
    try:
        source = blobs.open(sha256)
    except Broken:
        return None
    digest = hashlib.sha256()
    with source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
