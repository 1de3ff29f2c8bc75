"""The corridor of new beginnings: another key for the same tree, another tree after a restore.

In:     the key that comes; the heads of the old tree that others still hold.
Out:    one record, sealed alone, with the first checkpoint by the new key or of the new epoch, in
        one commit: there is no tree that says nothing of it.
Fails:  Conflict (`ledger.not_drained`) while records wait that the old key promised;
        Unknown (`ledger.empty`) where there is no tree yet; Untrusted for a head that is not ours.
Never:  continues the tree of a backup; writes a key to disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec

from gateway import lineage
from gateway.c14n import JsonValue
from gateway.errors import Conflict, Text, Unknown
from gateway.ledger import merkle, records, succession, witness
from gateway.model.record import Checkpoint
from gateway.scribe import Scribe
from gateway.store import Store, Tx, ledger
from gateway.store.ledger import NewRecord
from gateway.telemetry.events import Event


@dataclass(frozen=True, slots=True)
class Renewing:
    """`scribe` holds the key that signs until now."""

    store: Store
    scribe: Scribe

    async def change_key(self, new: ec.EllipticCurvePrivateKey) -> Checkpoint:
        """From the entry of this record on the new key signs; it signs the first checkpoint here.

        Nobody else may seal meanwhile: the caller holds the database, or the other processes stand.
        """
        at = self.scribe.now()
        facts = succession.hand_over(self.scribe.origin, self.scribe.key, new, at)
        made = self.scribe.record(Event.LEDGER_KEY_CHANGED, at, {}, facts)

        def commit(tx: Tx) -> Checkpoint:
            newest = ledger.newest_checkpoint(tx)
            if newest is None:
                raise _empty()
            if ledger.oldest_pending(tx) is not None:
                raise Conflict(
                    Text(
                        "Còn bản ghi chưa niêm phong bằng khóa cũ",
                        "records still wait to be sealed with the old key",
                    ),
                    code="ledger.not_drained",
                )
            return self._seal_alone(tx, made, newest.epoch, newest, new)

        return await self.store.write(commit)

    async def begin_epoch(self, heads: Sequence[str]) -> Checkpoint:
        """A new tree, whose first entry names the last head of the old one as it was restored, and
        `heads`: checkpoints (notes) of trees that others saw and that the backup has not.
        """
        origin, key = self.scribe.origin, self.scribe.key
        for note in heads:
            witness.read_head(note, origin, (key.public_key(),))
        at = self.scribe.now()

        def commit(tx: Tx) -> Checkpoint:
            newest = ledger.newest_checkpoint(tx)
            if newest is None:
                raise _empty()
            epoch = newest.epoch + 1
            named: list[JsonValue] = list(dict.fromkeys([newest.note, *heads]))
            facts: dict[str, JsonValue] = {"epoch": epoch, "heads": named}
            made = self.scribe.record(Event.LEDGER_EPOCH_BEGUN, at, {}, facts)
            return self._seal_alone(tx, made, epoch, None, key)

        return await self.store.write(commit)

    def _seal_alone(
        self,
        tx: Tx,
        made: NewRecord,
        epoch: int,
        newest: Checkpoint | None,
        key: ec.EllipticCurvePrivateKey,
    ) -> Checkpoint:
        size, root = (newest.size, newest.root) if newest else (0, None)
        ledger.append(tx, [made])
        leaf = records.leaf_hash(made.body)
        read = partial(ledger.read_nodes, tx, epoch)
        grown = merkle.append([leaf], size, read, expected_root=root)
        origin = self.scribe.origin
        signed = lineage.sign_head(tx, origin, epoch, grown, newest, made.at, key)
        nodes = [(n.level, n.idx, n.hash) for n in grown.nodes]
        ledger.extend(tx, entries=[(size, made.id, leaf)], nodes=nodes, made=signed)
        return signed


def _empty() -> Unknown:
    return Unknown(
        Text("Sổ cái chưa có điểm kiểm soát", "the ledger has no checkpoint yet"),
        code="ledger.empty",
    )
