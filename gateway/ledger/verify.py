"""The whole ledger, checked as a stranger would: from the records' bytes up, trusting no row.

In: the rows of a ledger, streamed in order (`LedgerRows`); the ledger's public keys; anchors; a
function that hashes a stored blob. Out: a `LedgerReport` in which the first bad entry has a name.
A broken ledger is a *finding*, never an exception: everything wrong is listed, up to a limit; only
a call without any key fails (`Misconfigured`, `ledger.no_key`). Memory is flat: the peaks of the
tree, one batch of entries, bounded findings. It never repairs anything and knows no database: the
store, a backup or an evidence file may feed it.

What is checked, in this order for each entry, then for each checkpoint reached:
 (1) entries are numbered 0, 1, 2, ... without a gap                             ledger.gap
 (2) each has its record, canonical, under the id the entry names                ledger.record_*
 (3) the record's bytes hash to the entry's leaf                                 ledger.leaf_changed
 (4) blobs that the record names are there and hash to their names               ledger.blob_*
 (5) every stored node equals the recomputed one; none missing, none too many    ledger.node_*
 (6) each checkpoint is signed by our key and says what its row says             ledger.checkpoint_*
 (7) each checkpoint's root is the recomputed root at its size (so all are consistent with the
     final tree and with one another), and the last covers every entry           ledger.root_changed
 (8) each stamp verifies over a checkpoint, and says what its row says           ledger.stamp_*
 (9) every record has exactly one entry, or waits in `pending`                   ledger.record_lost,
                                                              ledger.sealed_twice, ledger.count
 (10) a change of key is signed by the key in force and by the new one; from the checkpoint that
     holds it on, only the new one counts                                       ledger.key_change
 (11) an epoch begins with an entry that names the last head of the one before
                                                                       ledger.epoch_unexplained
Consequences are not reported again: nodes above a bad leaf, roots after the first wrong one. A
changed leaf with a wrong root above it means that the entry was changed; without one, the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import Finding, Misconfigured, Severity, Text, Untrusted
from gateway.ledger.checkpoint import parse_checkpoint
from gateway.ledger.exact import Exact, read_exact
from gateway.ledger.keys import key_id
from gateway.ledger.merkle import CompactRange, Coordinate, Node, ReadNodes
from gateway.ledger.note import split_note
from gateway.ledger.records import leaf_hash, named_blobs, parse_record
from gateway.ledger.stamp import verify_stamp
from gateway.ledger.succession import EPOCH_BEGUN, KEY_CHANGED, read_handover
from gateway.model.record import Checkpoint, Entry, Record, Stamp

MAX_FINDINGS = 100
_BATCH = 512  # entries whose nodes are read and compared together
_MAX_BAD = 100_000  # beyond that, what is a consequence no longer matters
# the public document that says what must hold; what only this ledger promises cites none
_RULES: Mapping[str, str] = MappingProxyType(
    {
        "ledger.leaf_changed": "RFC 9162, 2.1.1",
        "ledger.node_changed": "RFC 9162, 2.1.1",
        "ledger.root_changed": "RFC 9162, 2.1.1",
        "ledger.checkpoint_forged": "C2SP tlog-checkpoint",
        "ledger.checkpoint_changed": "C2SP tlog-checkpoint",
        "ledger.stamp_forged": "RFC 3161",
        "ledger.stamp_changed": "RFC 3161",
    }
)
BlobSha256 = Callable[[str], str | None]


class SealedRow(NamedTuple):
    """An entry with the bytes of its record; None: the record's row is gone."""

    entry: Entry
    record: bytes | None


@dataclass(frozen=True, slots=True)
class UnsealedRow:
    """A record without an entry, or any row of `pending`.

    `record` None: `pending` names a record that is not there. `pending` False: it does not wait
    either. `sealed` True: it waits although it has an entry, and would be sealed twice.
    """

    record_id: str
    record: bytes | None
    pending: bool
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class EpochRows:
    """One tree. `entries` by seq, `checkpoints` by size, `stamps` by size.

    `read_nodes` is asked for stored nodes (level >= 1) in batches and may leave out what it has
    not; `node_count`: how many rows it has in all, so that surplus ones are found.
    """

    epoch: int
    entries: Iterable[SealedRow]
    read_nodes: ReadNodes
    node_count: int
    checkpoints: Iterable[Checkpoint]
    stamps: Iterable[Stamp]


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """A ledger as stored. `origin`: its own, without an epoch; `record_count`: all record rows."""

    origin: str
    epochs: Iterable[EpochRows]
    unsealed: Iterable[UnsealedRow]
    record_count: int


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """`verified`: no finding of severity error. `first_bad`: (epoch, seq) of the first bad entry.

    `checkpoint`: the newest that holds. `stamped_until`: time of the newest trusted stamp, which
    covers the first `stamped_size` entries of `stamped_epoch`. `left_out`: findings beyond the
    limit.
    """

    entries: int
    pending: int
    checkpoint: Checkpoint | None
    verified: bool
    problems: tuple[Finding, ...]
    left_out: int = 0
    first_bad: tuple[int, int] | None = None
    stamped_until: datetime | None = None
    stamped_size: int = 0
    stamped_epoch: int = 0

    @property
    def unstamped(self) -> int:
        """Entries of the newest epoch that no trusted stamp covers."""
        if self.checkpoint is None:
            return 0
        covered = self.stamped_size if self.stamped_epoch == self.checkpoint.epoch else 0
        return max(self.checkpoint.size - covered, 0)


def verify_ledger(
    rows: LedgerRows,
    public_keys: Sequence[ec.EllipticCurvePublicKey],
    anchors: Sequence[x509.Certificate] = (),
    blob_sha256: BlobSha256 | None = None,
) -> LedgerReport:
    """Stream the whole ledger once. `blob_sha256` gives the SHA-256 (hex) of the bytes stored under
    a digest, None when there are none; without it blobs are not looked at. Without `anchors` stamps
    are checked but nobody vouches for the authority: a warning, and nothing counts as stamped.
    """
    if not public_keys:
        raise Misconfigured(
            Text("Không có khóa công khai của sổ cái", "no public key of the ledger was given"),
            code="ledger.no_key",
        )
    audit = _Audit(rows.origin, public_keys, anchors, blob_sha256)
    for number, epoch in enumerate(rows.epochs, start=1):
        if epoch.epoch != number:
            audit.add(
                f"epoch/{epoch.epoch}",
                "ledger.epoch",
                f"kỷ nguyên {number} bị thiếu",
                f"epoch {number} is missing",
            )
        _Epoch(audit, epoch).run()
    pending = audit.check_unsealed(rows.unsealed)
    audit.check_count(rows.record_count)
    return audit.report(pending)


@dataclass(slots=True)
class _Audit:
    """What is known so far. One for a run of `verify_ledger`."""

    origin: str
    keys: Sequence[ec.EllipticCurvePublicKey]
    anchors: Sequence[x509.Certificate]
    blob_sha256: BlobSha256 | None
    entries: int = 0
    records: int = 0  # record rows seen, sealed or not
    problems: list[Finding] = field(default_factory=list)
    left_out: int = 0
    errors: int = 0
    first_bad: tuple[int, int] | None = None
    checkpoint: Checkpoint | None = None
    stamped_until: datetime | None = None
    stamped_size: int = 0
    stamped_epoch: int = 0
    warned_of_anchors: bool = False
    reigning: ec.EllipticCurvePublicKey | None = None  # since the last handover that held
    last_head: str = ""  # note of the last checkpoint of the epoch before

    def __post_init__(self) -> None:
        if self.blob_sha256 is not None:
            # records about one document name one package: it is read once
            self.blob_sha256 = lru_cache(maxsize=4096)(self.blob_sha256)

    def add(
        self, path: str, code: str, vi: str, en: str, severity: Severity = Severity.ERROR
    ) -> None:
        self.errors += severity is Severity.ERROR
        if len(self.problems) < MAX_FINDINGS:
            self.problems.append(Finding(path, code, severity, Text(vi, en), _RULES.get(code, "")))
        else:
            self.left_out += 1

    def doubt(self, epoch: int, seq: int) -> None:
        if self.first_bad is None or (epoch, seq) < self.first_bad:
            self.first_bad = (epoch, seq)

    def add_entry(self, epoch: int, seq: int, code: str, vi: str, en: str) -> None:
        self.doubt(epoch, seq)
        self.add(f"epoch/{epoch}/entry/{seq}", code, f"mục {seq}: {vi}", f"entry {seq}: {en}")

    def check_blobs(self, record: Record | Exact) -> Iterator[tuple[str, str, str]]:
        """(code, vi, en) for each blob of a record that is not what its name says."""
        if self.blob_sha256 is None:
            return
        for digest in named_blobs(record):
            actual = self.blob_sha256(digest)
            if actual is None:
                yield "ledger.blob_missing", f"thiếu tệp {digest}", f"blob {digest} is missing"
            elif actual != digest:
                yield "ledger.blob_changed", f"tệp {digest} bị đổi", f"blob {digest} was changed"

    def check_unsealed(self, unsealed: Iterable[UnsealedRow]) -> int:
        """(9), for what has no entry. The number of rows that wait."""
        pending = 0
        for row in unsealed:
            pending += row.pending
            path = f"record/{row.record_id}"
            if row.sealed:
                self.add(
                    path,
                    "ledger.sealed_twice",
                    "bản ghi đã có mục nhưng vẫn nằm trong hàng chờ",
                    "the record has an entry and still waits to be sealed",
                )
                continue  # its bytes were judged with its entry
            if not row.pending:
                self.add(
                    path,
                    "ledger.record_lost",
                    "bản ghi không có mục và cũng không nằm trong hàng chờ",
                    "the record has no entry and does not wait for one",
                )
            if row.record is None:
                self.add(
                    path,
                    "ledger.record_missing",
                    "hàng chờ nêu một bản ghi không tồn tại",
                    "pending names a record that is not there",
                )
                continue
            self.records += 1
            try:
                record = parse_record(row.record)
            except Untrusted as error:
                self.add(path, "ledger.record_changed", error.text.vi, error.text.en)
                continue
            if record.id != row.record_id:
                self.add(
                    path,
                    "ledger.record_changed",
                    f"các byte là của bản ghi {record.id}",
                    f"the bytes are those of record {record.id}",
                )
            for code, vi, en in self.check_blobs(record):
                self.add(path, code, vi, en)
        return pending

    def check_count(self, record_count: int) -> None:
        """(9): records seen through entries and `unsealed` are all records, each seen once."""
        if self.records != record_count:
            self.add(
                "record",
                "ledger.count",
                f"có {record_count} bản ghi nhưng các mục và hàng chờ chứa {self.records}",
                f"{record_count} records stand in the table, {self.records} in entries and pending",
            )

    def report(self, pending: int) -> LedgerReport:
        return LedgerReport(
            entries=self.entries,
            pending=pending,
            checkpoint=self.checkpoint,
            verified=self.errors == 0,
            problems=tuple(self.problems),
            left_out=self.left_out,
            first_bad=self.first_bad,
            stamped_until=self.stamped_until,
            stamped_size=self.stamped_size,
            stamped_epoch=self.stamped_epoch,
        )


class _Epoch:
    """One tree, one pass."""

    def __init__(self, audit: _Audit, rows: EpochRows) -> None:
        self._audit = audit
        self._rows = rows
        self._epoch = rows.epoch
        self._range = CompactRange()
        self._leaves: list[bytes] = []  # that follow those of `_range`, not pushed yet
        self._room = -1  # how many of them lead to the next checkpoint
        self._whole = True  # no gap so far: roots and nodes can still be recomputed
        self._seen = 0
        self._bad: set[Coordinate] = set()  # nodes above bad leaves: their being wrong is no news
        self._signed = 0  # size of the newest checkpoint seen
        self._root_wrong = False
        self._head = ""
        self._newest_bad = -1  # the highest seq of a bad leaf
        self._checkpoints = iter(rows.checkpoints)
        self._checkpoint = next(self._checkpoints, None)
        self._stamps = iter(rows.stamps)
        self._stamp = next(self._stamps, None)

    def run(self) -> None:
        self._reach(0)
        entries = iter(self._rows.entries)
        while batch := list(islice(entries, _BATCH)):
            nodes: list[Node] = []
            for row in batch:
                self._entry(row)
                if len(self._leaves) == self._room:
                    nodes += self._grow()
            nodes += self._grow()
            self._nodes(nodes)
        self._rest()

    def _grow(self) -> Sequence[Node]:
        """The nodes that the leaves since the last call complete, and what was signed of them."""
        if not self._leaves:
            return ()
        nodes = self._range.extend(self._leaves)
        self._leaves.clear()
        self._reach(self._range.size)
        return nodes

    def _entry(self, row: SealedRow) -> None:
        """(1) to (4)."""
        entry, expected = row.entry, self._seen
        audit = self._audit
        audit.entries += 1
        self._seen += 1
        if self._whole and (entry.seq != expected or entry.epoch != self._epoch):
            self._whole = False
            audit.add_entry(
                self._epoch,
                expected,
                "ledger.gap",
                f"không có mục này; mục tiếp theo là {entry.seq}",
                f"it is not there; the next is {entry.seq}",
            )
        self._record(row)
        if self._whole:
            self._leaves.append(entry.leaf)

    def _record(self, row: SealedRow) -> None:
        """(2) to (4)."""
        seq = row.entry.seq
        if row.record is None:
            self._bad_leaf(
                seq,
                "ledger.record_missing",
                f"bản ghi {row.entry.record_id} đã mất",
                f"its record {row.entry.record_id} is gone",
            )
            return
        self._audit.records += 1
        if leaf_hash(row.record) != row.entry.leaf:
            self._bad_leaf(
                seq,
                "ledger.leaf_changed",
                "các byte của bản ghi không cho ra lá đã ghi",
                "its record's bytes do not hash to its leaf",
            )
        record: Record | Exact | None = read_exact(row.record)
        if record is None:
            try:
                record = parse_record(row.record)
            except Untrusted as error:
                self._bad_leaf(seq, "ledger.record_changed", error.text.vi, error.text.en)
                return
        if record.id != row.entry.record_id:
            self._bad_leaf(
                seq,
                "ledger.record_changed",
                f"các byte là của bản ghi {record.id}",
                f"its bytes are those of record {record.id}",
            )
        if b'blob":' in row.record:  # else no fact has such a name: the bytes are canonical
            for code, vi, en in self._audit.check_blobs(record):
                self._audit.add_entry(self._epoch, seq, code, vi, en)
        if record.event == KEY_CHANGED:
            self._hand_over(seq, record)
        if seq == 0 and self._epoch > 1:
            self._begin(record)

    def _hand_over(self, seq: int, record: Record | Exact) -> None:
        """(10). From the checkpoint that holds this entry on only the new key counts."""
        audit = self._audit
        try:
            change = read_handover(record.facts, audit.origin)
        except Untrusted as error:
            audit.add_entry(self._epoch, seq, "ledger.key_change", error.text.vi, error.text.en)
            return
        before = audit.keys if audit.reigning is None else (audit.reigning,)
        if change.old not in before:
            audit.add_entry(
                self._epoch,
                seq,
                "ledger.key_change",
                "khóa đã bàn giao không phải là khóa đang dùng",
                "the key that was handed over was not the one in force",
            )
            return
        audit.reigning = change.new

    def _begin(self, record: Record | Exact) -> None:
        """(11)."""
        heads = record.facts.get("heads")
        named = heads if isinstance(heads, list | tuple) else ()
        right = record.event == EPOCH_BEGUN and record.facts.get("epoch") == self._epoch
        if not right or self._audit.last_head not in named:
            self._audit.add_entry(
                self._epoch,
                0,
                "ledger.epoch_unexplained",
                "mục đầu của kỷ nguyên không nêu điểm kiểm soát cuối của kỷ nguyên trước",
                "the first entry of the epoch does not name the last checkpoint of the one before",
            )

    def _bad_leaf(self, seq: int, code: str, vi: str, en: str) -> None:
        if (0, seq) in self._bad:
            return  # one finding an entry: the first says it
        if len(self._bad) < _MAX_BAD:
            self._bad.add((0, seq))
            self._spoil(seq)
        self._newest_bad = seq
        self._audit.add_entry(self._epoch, seq, code, vi, en)

    def _spoil(self, seq: int) -> None:
        """Remember the ancestors of a bad leaf; a parent known already knows its own."""
        level = 1
        while level < 64 and (level, seq >> level) not in self._bad:
            self._bad.add((level, seq >> level))
            level += 1

    def _nodes(self, nodes: Sequence[Node]) -> None:
        """(5), one read for a batch."""
        if not nodes:
            return
        stored = self._rows.read_nodes([(n.level, n.idx) for n in nodes])
        if all(stored.get((level, idx)) == digest for level, idx, digest in nodes):
            return
        for level, index, digest in nodes:
            found = stored.get((level, index))
            if found == digest or (found is not None and (level, index) in self._bad):
                continue
            first = index << level
            covers = f"{first}..{first + (1 << level) - 1}"
            self._audit.doubt(self._epoch, first)
            self._audit.add(
                f"epoch/{self._epoch}/node/{level}/{index}",
                "ledger.node_missing" if found is None else "ledger.node_changed",
                f"nút của các mục {covers} {'bị thiếu' if found is None else 'bị đổi'}",
                f"the node of entries {covers} {'is missing' if found is None else 'was changed'}",
            )

    def _reach(self, size: int) -> None:
        """(6) to (8), for every checkpoint of this size or, out of order, of a smaller one."""
        while self._checkpoint is not None and self._checkpoint.size <= size:
            self._judge(self._checkpoint, in_tree=self._checkpoint.size == size)
            self._checkpoint = next(self._checkpoints, None)
        self._room = -1 if self._checkpoint is None else self._checkpoint.size - size

    def _judge(self, checkpoint: Checkpoint, *, in_tree: bool) -> None:
        path = f"epoch/{self._epoch}/checkpoint/{checkpoint.size}"
        if self._signature(checkpoint, path) and in_tree and self._whole:
            self._root(checkpoint, path)
        self._signed = max(self._signed, checkpoint.size)
        self._head = checkpoint.note
        self._stamps_of(checkpoint, path)

    def _root(self, checkpoint: Checkpoint, path: str) -> None:
        """(7). Once the tree is wrong every later root is: only the first is news."""
        if checkpoint.root == self._range.root():
            self._root_wrong = False
            self._audit.checkpoint = checkpoint
        elif not self._root_wrong:
            self._root_wrong = True
            last = max(checkpoint.size - 1, 0)
            first = min(self._signed, last)
            if self._newest_bad < first:  # else that leaf, already named, explains the root
                self._audit.doubt(self._epoch, first)
            self._audit.add(
                path,
                "ledger.root_changed",
                f"gốc đã ký khác với cây tính lại; các mục {first}..{last} có thể đã bị sửa",
                f"the signed root is not that of the tree; entries {first}..{last} are in doubt",
            )

    def _signature(self, checkpoint: Checkpoint, path: str) -> bool:
        """(6)."""
        try:
            said = parse_checkpoint(
                checkpoint.note, self._audit.origin, self._key_of(checkpoint.note), checkpoint.at
            )
        except Untrusted as error:
            self._audit.add(path, "ledger.checkpoint_forged", error.text.vi, error.text.en)
            return False
        if said != checkpoint or checkpoint.epoch != self._epoch:
            self._audit.add(
                path,
                "ledger.checkpoint_changed",
                "dòng dữ liệu khác với nội dung đã ký",
                "the row is not what its signed note says",
            )
            return False
        return True

    def _key_of(self, note: str) -> ec.EllipticCurvePublicKey:
        """The key in force; before the first handover the one that the note names, or the last."""
        if self._audit.reigning is not None:
            return self._audit.reigning
        ids = {blob[:4] for _, blob in split_note(note)[1]}
        return next((k for k in self._audit.keys if key_id(k) in ids), self._audit.keys[-1])

    def _stamps_of(self, checkpoint: Checkpoint, path: str) -> None:
        """(8), for the stamps over this checkpoint; stamps are in the order of sizes too."""
        while self._stamp is not None and self._stamp.size <= checkpoint.size:
            stamp, self._stamp = self._stamp, next(self._stamps, None)
            if stamp.size < checkpoint.size:
                self._orphan(stamp)
            else:
                self._check_stamp(stamp, checkpoint, path)

    def _check_stamp(self, stamp: Stamp, checkpoint: Checkpoint, path: str) -> None:
        audit = self._audit
        try:
            facts = verify_stamp(stamp.token, checkpoint.note, audit.anchors)
        except Untrusted as error:
            audit.add(f"{path}/stamp", "ledger.stamp_forged", error.text.vi, error.text.en)
            return
        said = (facts.gen_time, facts.policy, facts.serial, facts.authority, self._epoch)
        if said != (stamp.gen_time, stamp.policy, stamp.serial, stamp.authority, stamp.epoch):
            audit.add(
                f"{path}/stamp",
                "ledger.stamp_changed",
                "dòng dữ liệu khác với nội dung dấu thời gian",
                "the row is not what its token says",
            )
            return
        if not audit.anchors:
            if not audit.warned_of_anchors:
                audit.warned_of_anchors = True
                audit.add(
                    f"{path}/stamp",
                    "ledger.stamp_unjudged",
                    "không có gốc tin cậy nào để kiểm tra cơ quan cấp dấu thời gian",
                    "no trust anchors were given to judge the timestamp authority by",
                    Severity.WARNING,
                )
            return
        if audit.stamped_until is None or facts.gen_time >= audit.stamped_until:
            audit.stamped_until, audit.stamped_size = facts.gen_time, stamp.size
            audit.stamped_epoch = self._epoch

    def _orphan(self, stamp: Stamp) -> None:
        self._audit.add(
            f"epoch/{self._epoch}/checkpoint/{stamp.size}/stamp",
            "ledger.stamp_orphan",
            "dấu thời gian không ứng với điểm kiểm soát nào",
            "the stamp belongs to no checkpoint",
        )

    def _rest(self) -> None:
        """What remains when the entries are over: (5) surplus, (7) coverage, (8) orphans."""
        audit, size = self._audit, self._range.size
        if self._whole and self._rows.node_count != size - size.bit_count():
            audit.add(
                f"epoch/{self._epoch}/node",
                "ledger.node_count",
                f"cây {size} mục phải có {size - size.bit_count()} nút, thực có "
                f"{self._rows.node_count}",
                f"a tree of {size} entries has {size - size.bit_count()} nodes, "
                f"{self._rows.node_count} are stored",
            )
        if self._whole and self._signed < size and self._checkpoint is None:
            audit.add_entry(
                self._epoch,
                self._signed,
                "ledger.unsigned",
                "không điểm kiểm soát nào bao gồm mục này",
                "no checkpoint covers it",
            )
        while self._checkpoint is not None:  # signed for more entries than there are
            if self._whole:
                audit.add_entry(
                    self._epoch,
                    self._seen,
                    "ledger.entry_missing",
                    f"điểm kiểm soát đã ký cho {self._checkpoint.size} mục",
                    f"it is gone: a checkpoint was signed for {self._checkpoint.size} entries",
                )
                self._whole = False
            self._judge(self._checkpoint, in_tree=False)
            self._checkpoint = next(self._checkpoints, None)
        while self._stamp is not None:
            self._orphan(self._stamp)
            self._stamp = next(self._stamps, None)
        audit.last_head = self._head
