"""The ledger's word to those who do not trust it: its head, its entries, and proofs of both.

In:     who asks; an entry, a record, sizes of trees; a checkpoint that a witness cosigned.
Out:    signed checkpoints with their cosignatures, entries with the very bytes that were sealed,
        C2SP tlog-proof texts.
Fails:  Unknown (`ledger.empty`, `ledger.entry_unknown`, `ledger.size_unknown`), Conflict
        (`ledger.not_sealed`) for a record that waits; Broken when the tree contradicts itself.
Never:  writes anything but cosignatures of known witnesses; shows a record to a unit that does
        not speak for its sender; proves anything but against a checkpoint that was committed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from gateway.desk import Account, Desk
from gateway.errors import Conflict, Rejected, Text, Unknown
from gateway.ledger import cosignature, merkle, tlog
from gateway.ledger.checkpoint import epoch_origin, parse_head
from gateway.ledger.note import split_note
from gateway.model.record import Checkpoint, Entry
from gateway.promise import local_time
from gateway.store import Store, Tx, audit, ledger
from gateway.store import cosignatures as rows
from gateway.store.tables import Role

A_DAY = 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Proving:
    """`witnesses`: whose cosignatures are kept."""

    desk: Desk
    witnesses: tuple[cosignature.Witness, ...] = ()

    @property
    def store(self) -> Store:
        return self.desk.store

    async def checkpoint(self, *, witnessed: bool = False) -> str:
        """The newest checkpoint as it was signed (C2SP tlog-checkpoint), its witnesses under it.

        `witnessed`: the newest that a witness cosigned; Unknown (`ledger.unwitnessed`) if none did.
        """

        def look(tx: Tx) -> str:
            shown = rows.newest_witnessed(tx) if witnessed else _newest(tx)
            if shown is None:
                raise Unknown(
                    Text(
                        "Chưa nhân chứng nào ký điểm kiểm soát của sổ cái này",
                        "no witness has cosigned a checkpoint of this ledger yet",
                    ),
                    code="ledger.unwitnessed",
                )
            kept = rows.of(tx, shown.epoch, shown.size)
            return cosignature.cosigned(shown.note, tuple(row.line for row in kept))

        return await self.store.read(look)

    async def cosign(self, note: str) -> dict[str, Any]:
        """Keep what known witnesses put under one of our checkpoints.

        Untrusted: `note.malformed`, `cosignature.forged`. Rejected: `cosignature.stranger` (nobody
        under it is known here), `cosignature.time`, `cosignature.other_checkpoint`.
        """
        found = cosignature.cosignatures_in(note, self.witnesses)
        if not found:
            raise Rejected(
                Text(
                    "Không có chữ ký của nhân chứng nào mà gateway này biết (ledger.witnesses)",
                    "no cosignature of a witness that this gateway knows (ledger.witnesses)",
                ),
                code="cosignature.stranger",
            )
        text = split_note(note)[0]
        at = self.desk.outbound.scribe.now()
        if any(abs(one.time - at.timestamp()) > A_DAY for one in found):
            raise Rejected(
                Text(
                    "Đồng hồ của nhân chứng lệch hơn một ngày",
                    "the clock of the witness is off by more than a day",
                ),
                code="cosignature.time",
            )

        def commit(tx: Tx) -> Checkpoint:
            ours = _ours(tx, text, self.desk.outbound.scribe.origin)
            rows.keep(
                tx,
                [
                    rows.CosignatureRow(
                        epoch=ours.epoch,
                        size=ours.size,
                        witness=one.witness,
                        line=one.line,
                        signed_at=datetime.fromtimestamp(one.time, UTC),
                    )
                    for one in found
                ],
                at,
            )
            return ours

        ours = await self.store.write(commit)
        names = sorted({one.witness for one in found})
        return {"epoch": ours.epoch, "size": ours.size, "witnesses": names}

    async def entries(
        self, *, epoch: int | None, start: int, most: int
    ) -> tuple[list[dict[str, Any]], int, int | None]:
        """Entries from `start` on, the epoch they are of, and where to go on (None: the end).

        `epoch` None: the newest. `body` is the text whose leaf hash is in the tree, byte for byte;
        null: the row is gone, and the leaf alone still proves that there was one.
        """

        def look(tx: Tx) -> tuple[list[dict[str, Any]], int, int | None]:
            of = _newest(tx).epoch if epoch is None else epoch
            found = ledger.entries_from(tx, of, start, most + 1)
            if not found and of not in ledger.epochs(tx):
                raise _no_epoch(of)
            listed = [_entry_json(tx, of, row) for row in found[:most]]
            return listed, of, int(found[most].seq) if len(found) > most else None

        return await self.store.read(look)

    async def of_entry(self, who: Account, seq: int, *, epoch: int | None) -> str:
        """Inclusion of entry `seq` in the newest checkpoint of its epoch (C2SP tlog-proof v1)."""

        def look(tx: Tx) -> str:
            of = _newest(tx).epoch if epoch is None else epoch
            if who.role is not Role.AUDITOR:
                found = ledger.entries_from(tx, of, seq, 1)
                if not found or found[0].seq != seq:
                    raise _no_entry()
                self._may_see(tx, who, found[0].record_id)
            return _inclusion(tx, of, seq)

        return await self.store.read(look)

    async def of_record(self, who: Account, record_id: str) -> str:
        """The same for a record. A unit may ask about records of documents that it sent."""

        def look(tx: Tx) -> str:
            self._may_see(tx, who, record_id)
            entry = ledger.entry_of(tx, record_id)
            if entry is None and ledger.waiting_body(tx, record_id) is None:
                raise _no_entry()
            if entry is None:
                raise Conflict(
                    Text(
                        "Bản ghi này chưa được niêm phong; hãy hỏi lại sau",
                        "this record is not sealed yet; ask again later",
                    ),
                    code="ledger.not_sealed",
                )
            return _inclusion(tx, entry.epoch, entry.seq)

        return await self.store.read(look)

    async def consistency(self, *, old: int, new: int | None, epoch: int | None) -> str:
        """That the tree of the checkpoint at `new` begins with the first `old` entries.

        `new` None: the newest checkpoint of the epoch. Text as in ledger/tlog.py.
        """

        def look(tx: Tx) -> str:
            of = _newest(tx).epoch if epoch is None else epoch
            head = _head(tx, of, new)
            if old > head.size:
                raise _no_size(old)
            read = partial(ledger.read_nodes, tx, of)
            hashes = merkle.consistency_proof(old, head.size, read)
            return tlog.proof_text(old, hashes, head.note, consistency=True)

        return await self.store.read(look)

    def _may_see(self, tx: Tx, who: Account, record_id: str) -> None:
        if who.role is Role.AUDITOR:
            return
        body = audit.body_of(tx, record_id)
        document = None if body is None else json.loads(body)["about"].get("document")
        if document is None:
            raise _no_entry()
        try:
            self.desk.mine(tx, who, str(document))
        except Unknown:
            raise _no_entry() from None  # nor is it told that there is one


def _newest(tx: Tx) -> Checkpoint:
    newest = ledger.newest_checkpoint(tx)
    if newest is None:
        raise Unknown(
            Text("Sổ cái chưa có điểm kiểm nào", "the ledger has no checkpoint yet"),
            code="ledger.empty",
        )
    return newest


def _ours(tx: Tx, text: str, origin: str) -> Checkpoint:
    """The checkpoint whose signed text this is."""
    said = parse_head(text)
    for epoch in ledger.epochs(tx):
        if epoch_origin(origin, epoch) == said.origin:
            found = ledger.checkpoints(tx, epoch, said.size - 1, most=1)
            if found and split_note(found[0].note)[0] == text:
                return found[0]
    raise Rejected(
        Text(
            "Đây không phải là điểm kiểm soát của sổ cái này",
            "this is no checkpoint of this ledger",
        ),
        code="cosignature.other_checkpoint",
    )


def _head(tx: Tx, epoch: int, size: int | None) -> Checkpoint:
    """The checkpoint of exactly this size; None: the newest of the epoch."""
    if size is None:
        newest = ledger.newest_of(tx, epoch)
        if newest is None:
            raise _no_epoch(epoch)
        return newest
    found = ledger.checkpoints(tx, epoch, size - 1, most=1)
    if not found or found[0].size != size:
        raise _no_size(size)
    return found[0]


def _inclusion(tx: Tx, epoch: int, seq: int) -> str:
    head = _head(tx, epoch, None)
    if seq >= head.size:
        raise _no_entry()
    hashes = merkle.inclusion_proof(seq, head.size, partial(ledger.read_nodes, tx, epoch))
    return tlog.proof_text(seq, hashes, head.note)


def _entry_json(tx: Tx, epoch: int, row: ledger.EntryRow) -> dict[str, Any]:
    entry = Entry(epoch, int(row.seq), row.record_id, bytes(row.leaf))
    covering = ledger.stamp_covering(tx, epoch, entry.seq)
    return {
        "epoch": entry.epoch,
        "seq": entry.seq,
        "record_id": entry.record_id,
        "leaf": entry.leaf.hex(),
        "body": None if row.body is None else bytes(row.body).decode("utf-8", "replace"),
        "stamped_at": local_time(covering[0]) if covering else None,
        "stamped_by": covering[1] if covering else None,
    }


def _no_entry() -> Unknown:
    return Unknown(
        Text("Sổ cái không có mục hay bản ghi này", "the ledger has no such entry or record"),
        code="ledger.entry_unknown",
    )


def _no_epoch(epoch: int) -> Unknown:
    return Unknown(
        Text(f"Sổ cái không có kỷ nguyên {epoch}", f"the ledger has no epoch {epoch}"),
        code="ledger.epoch_unknown",
    )


def _no_size(size: int) -> Unknown:
    return Unknown(
        Text(
            f"Sổ cái không có điểm kiểm soát cho {size} mục",
            f"the ledger has no checkpoint for {size} entries",
        ),
        code="ledger.size_unknown",
    )
