"""`ledger verify`: the whole ledger of this gateway, streamed from the store and the blob store.

In:     the store, the blobs, the ledger's public key, the anchors of timestamp authorities.
Out:    a LedgerReport; or, for a receipt, whether what was promised is still there.
Never:  writes; holds more than a batch in memory; trusts a row (ledger/verify.py recomputes the
        records, shown.py holds every other row against them).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.audit import lineage, personals, rehashed, witnessed
from gateway.audit.against import said
from gateway.audit.shown import shown_otherwise
from gateway.c14n import canonical_json
from gateway.errors import Broken, Finding, Severity, Text, Untrusted
from gateway.ledger import merkle, receipt, succession, verify, witness
from gateway.ledger.cosignature import Witness
from gateway.model.record import Checkpoint, Entry
from gateway.ports import BlobStore
from gateway.store import Store, Tx, audit, ledger

BATCH = 2048
CHUNK = 1024 * 1024


def verify_books(
    store: Store,
    blobs: BlobStore,
    *,
    origin: str,
    public_key: ec.EllipticCurvePublicKey,
    anchors: Sequence[x509.Certificate],
    stamp_max_delay: timedelta | None = None,
    witnesses: Sequence[Witness] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> verify.LedgerReport:
    """Check every record, entry, node, checkpoint, stamp and blob, then every row that is shown.

    `progress`: entries so far. `stamp_max_delay`: warn of entries that wait longer for a stamp;
    None where no timestamp authority is configured. `witnesses`: whose cosignatures are judged.
    All of it inside one reading transaction: the gateway may go on writing meanwhile, and what
    is looked at is one moment. Only the blobs are outside it, and those are never rewritten.
    """

    def look(tx: Tx) -> verify.LedgerReport:
        report = of_records(tx)
        late = () if stamp_max_delay is None else _unstamped(tx, report, stamp_max_delay)
        signed = chain(lineage.unbroken(tx), witnessed.judged(tx, witnesses))
        beside = chain(rehashed.recomputed(tx), personals.unchanged(tx))
        wrong = chain(signed, beside, shown_otherwise(tx))
        return _with(report, wrong, late)

    def of_records(tx: Tx) -> verify.LedgerReport:
        rows = verify.LedgerRows(
            origin=origin,
            epochs=_epochs(tx, progress),
            unsealed=_unsealed(tx),
            record_count=ledger.record_count(tx),
        )
        keys = keys_of(tx, origin, public_key)
        return verify.verify_ledger(rows, keys, anchors, partial(_blob_sha256, blobs))

    return store.read_sync(look)


def look_for(
    store: Store,
    receipt_bytes: bytes,
    *,
    origin: str,
    public_key: ec.EllipticCurvePublicKey,
) -> tuple[receipt.ReceiptVerdict, receipt.Receipt]:
    """Found in the tree, promised but missing, or not yet sealed. Untrusted: not our receipt.

    Missing also when only the record's own row is gone or changed: its leaf still proves that it
    was sealed, yet what it says can be read from the receipt alone.
    """
    keys = store.read_sync(lambda tx: keys_of(tx, origin, public_key))
    promised = receipt.verify_receipt(_as_signed(receipt_bytes), keys)

    def look(tx: Tx) -> receipt.ReceiptVerdict:
        entry = ledger.entry_of(tx, promised.record.id)
        newest = None if entry is None else ledger.newest_of(tx, entry.epoch)
        proof: tuple[bytes, ...] = ()
        if entry is not None and newest is not None:
            witness.read_head(newest.note, origin, keys)
            read = partial(ledger.read_nodes, tx, entry.epoch)
            proof = merkle.inclusion_proof(entry.seq, newest.size, read)
        verdict = receipt.find_receipt(
            promised,
            entry=entry,
            checkpoint=newest,
            proof=proof,
            waiting=ledger.waiting_body(tx, promised.record.id),
        )
        kept = audit.body_of(tx, promised.record.id) == promised.record_bytes
        return verdict if kept else receipt.ReceiptVerdict.MISSING

    return store.read_sync(look), promised


def keys_of(
    tx: Tx, origin: str, trusted: ec.EllipticCurvePublicKey
) -> tuple[ec.EllipticCurvePublicKey, ...]:
    """All keys that this ledger ever had, as far as handovers connect them with the trusted one."""
    handovers = []
    for body in audit.bodies_of_event(tx, succession.KEY_CHANGED):
        record = said(body)
        if record is not None:
            with suppress(Untrusted):  # `verify_ledger` names the entry
                handovers.append(succession.read_handover(record.facts, origin))
    return succession.hang_together(trusted, handovers)


def _with(
    report: verify.LedgerReport, shown: Iterable[Finding], late: Iterable[Finding]
) -> verify.LedgerReport:
    """The report with more findings: what is shown otherwise is an error, a late stamp is not."""
    problems, left_out = [*report.problems, *late], report.left_out
    wrong = False
    for finding in shown:
        wrong = wrong or finding.severity is Severity.ERROR
        if len(problems) < verify.MAX_FINDINGS:
            problems.append(finding)
        else:
            left_out += 1
    return replace(
        report,
        verified=report.verified and not wrong,
        problems=tuple(problems),
        left_out=left_out,
    )


def _unstamped(tx: Tx, report: verify.LedgerReport, patience: timedelta) -> Iterator[Finding]:
    """Entries that no stamp covers, when there is none at all or the oldest waits too long."""
    newest, waiting = report.checkpoint, report.unstamped
    if newest is None or not waiting:
        return
    rows = ledger.entries_from(tx, newest.epoch, newest.size - waiting, 1)
    record = said(rows[0].body) if rows and rows[0].body is not None else None
    if waiting < newest.size and record is not None and tx.now() - record.at <= patience:
        return
    yield Finding(
        f"epoch/{newest.epoch}/stamp",
        "ledger.unstamped",
        Severity.WARNING,
        Text(
            f"{waiting} mục chưa có dấu thời gian: thời điểm của chúng mới do chính gateway ghi",
            f"{waiting} entries are not stamped: their time is the gateway's own word so far",
        ),
    )


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
    for epoch in ledger.all_epochs(tx):
        yield verify.EpochRows(
            epoch=epoch,
            entries=_entries(tx, epoch, progress),
            read_nodes=partial(ledger.read_runs, tx, epoch),
            node_count=ledger.node_count(tx, epoch),
            checkpoints=_checkpoints(tx, epoch),
            stamps=ledger.stamps(tx, epoch),
        )


def _entries(tx: Tx, epoch: int, progress: Callable[[int], None]) -> Iterator[verify.SealedRow]:
    start = 0
    while rows := ledger.entries_from(tx, epoch, start, BATCH):
        for row in rows:
            yield verify.SealedRow(Entry(epoch, *row[:3]), row.body)
        start = rows[-1].seq + 1
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
