"""Judging a container without us: no database, no network, no configuration but the anchors.

In:     a container; the ledger's public key and the timestamp authorities' roots, from elsewhere.
Out:    a Verdict: every check with its result and the rule relied on.
Fails:  never for what a container holds: whatever is wrong with it becomes a check.
Never:  believes a part because another part of the same container says so; opens a socket.

valid      every claim holds, by keys that the reader brought himself
invalid    a claim is contradicted: something was changed, removed or exchanged
undecided  nothing is contradicted, but an anchor is missing, or no stamp covers a record yet

The order is that of trust: the frame; the list and who signed it; each part; the ledger's heads and
their stamps; the records in the tree; the packages that records name; what the records say of
them. What is derived (minutes, instructions) is made again and must be the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO

from gateway.errors import Misconfigured, Rejected, Text, Untrusted
from gateway.evidence import (
    build,
    cades,
    instructions,
    keyring,
    layout,
    manifest,
    minutes,
    printed,
    rehashed,
    renewal,
    trusted,
    zipped,
)
from gateway.evidence.case import Case, Head, Judged, Kept, Place, Step
from gateway.evidence.packages import SignaturePart, look
from gateway.evidence.reading import MALFORMED, read
from gateway.evidence.verdict import Anchors, Check, Result, Verdict
from gateway.ledger import keys, merkle
from gateway.ledger.checkpoint import parse_checkpoint, parse_head
from gateway.ledger.note import split_note
from gateway.ledger.receipt import verify_receipt
from gateway.ledger.records import leaf_hash, parse_record
from gateway.ledger.stamp import verify_stamp
from gateway.ledger.timestamp import read_token
from gateway.model.package import Trust, identity
from gateway.model.record import Record
from gateway.rules import vietnam_day
from gateway.safexml import Limits

__all__ = ["Anchors", "Check", "Result", "Verdict", "verify"]

_NO_TIME = datetime.fromtimestamp(0, UTC)  # a note says none
CONTAINER = "EN 319 162-1 6.2"
LIST = "EN 319 162-1 A.4, EN 319 122-1"
TREE = "RFC 9162 2.1.3"
STEP = "RFC 9162 2.1.4"
NOTE = "C2SP tlog-checkpoint"
STAMP = "RFC 3161, EN 319 422"
PROMISE = "docs/ledger-format.md"
REHASHED = "RFC 4998 5.3, RFC 9162 2.1.3"
HANDOVER = "docs/ledger-format.md 11"
PACKAGE = "QCVN 102:2016/BTTTT"
ARCHIVE = "EN 319 162-1 A.7, RFC 3161"
PATH = "RFC 5280 6, RFC 6960; TT 15/2025/TT-BKHCN 5, 6"


def verify(source: BinaryIO, anchors: Anchors, limits: Limits | None = None) -> Verdict:
    """`source` can seek. `limits`: those of reading packages."""
    judge = _Judge(anchors, limits)
    with judge.checking("container", CONTAINER), zipped.read(source) as container:
        judge.run(container)
    return Verdict(tuple(judge.checks), judge.case, tuple(judge.packages))


class _Judge:
    def __init__(self, anchors: Anchors, limits: Limits | None) -> None:
        self.anchors = anchors
        self.limits = limits
        self.checks: list[Check] = []
        self.case: Case | None = None
        self.packages: list[minutes.Seen] = []
        self.words = build.WORDS
        self.signatures: tuple[SignaturePart, ...] = ()
        self.carried = trusted.Carried({}, {})
        self.blocks: tuple[renewal.Block, ...] = ()
        self.renewed_at: datetime | None = None  # by when a renewal shows all that was there

    def ok(self, what: str, rule: str, vi: str, en: str) -> None:
        self.checks.append(Check(what, Result.OK, rule, Text(vi, en)))

    def bad(self, what: str, rule: str, text: Text) -> None:
        self.checks.append(Check(what, Result.BAD, rule, text))

    def open(self, what: str, rule: str, vi: str, en: str) -> None:
        self.checks.append(Check(what, Result.OPEN, rule, Text(vi, en)))

    def checking(self, what: str, rule: str) -> _Checking:
        """A block whose failure is a BAD check on `what`; it goes on behind the block."""
        return _Checking(self, what, rule)

    def run(self, container: zipped.Container) -> None:
        listed = self._listed(container)
        if listed is None:
            return
        with self.checking(layout.CASE, PROMISE):
            self.case, self.words, self.signatures = read(container)
        if self.case is None:
            return
        fresh = self._renewals(container, self.case)
        ring = self._ledger(container, self.case, fresh)
        self._signature(container, ring)
        with self.checking("trust", PATH):
            all_kept = (*self.case.trust, *(one for f in fresh for one in f.trust))
            kept = ((one, container.read(layout.trust(one))) for one in all_kept)
            self.carried = trusted.Carried.of(self._bytes_of(one, data) for one, data in kept)
        self._heads(self.case, ring)
        self._newer(container, self.case, fresh, ring)
        self._records(self.case)
        self._rehashed(self.case)
        self._receipts(self.case, ring)
        self._packages(container, self.case)
        self._signers(self.case)
        self._derived(container, self.case, listed)

    def _listed(self, container: zipped.Container) -> dict[str, bytes] | None:
        """Each part is what the list says, nothing is missing, nothing was added."""
        with self.checking(manifest.MANIFEST, LIST):
            listed = manifest.read(container.read(manifest.MANIFEST))
            expected = [*(p.name for p in listed), manifest.MANIFEST, manifest.SIGNATURE]
            before = len(self.checks)
            names, self.blocks = renewal.split(container.names)
            for name in sorted(set(expected) ^ set(names)):
                missing = name in expected
                text = (
                    Text("phần này bị thiếu", "this part is missing")
                    if missing
                    else Text("phần này không có trong danh mục", "this part is not on the list")
                )
                self.bad(name, LIST, text)
            for part in listed:
                if part.name in container and _digest(container, part.name) != part.sha256:
                    self.bad(
                        part.name,
                        LIST,
                        Text("nội dung đã bị thay đổi", "its content was changed"),
                    )
            if len(self.checks) > before:
                return None
            if list(names) != expected:
                text = Text("thứ tự các phần bị đổi", "the parts stand in another order")
                self.bad("container", CONTAINER, text)
                return None
            self.ok(
                "container",
                LIST,
                f"{len(listed)} phần còn nguyên vẹn",
                f"{len(listed)} parts are what the list says",
            )
            return {p.name: p.sha256 for p in listed}
        return None

    def _ledger(
        self, container: zipped.Container, case: Case, fresh: Sequence[renewal.Fresh]
    ) -> keyring.Ring | None:
        """The keys that count: those of a chain that holds the reader's own. What the container
        says of its key only says who to ask.
        """
        with self.checking(layout.VKEY, NOTE):
            name, stated = keys.parse_vkey(case.vkey)
            pem = keys.public_pem(stated).encode()
            if name != case.origin or container.read(layout.KEY) != pem:
                text = Text("khóa không thuộc sổ cái này", "the key is not of this ledger")
                self.bad(layout.KEY, NOTE, text)
                return None
            ring = keyring.read(case, stated, renewal.handovers(case, fresh))
            own = self.anchors.of(case.origin)
            if not own:
                self.open(
                    "ledger",
                    NOTE,
                    f"không có khóa công khai của sổ cái {case.origin} trong các neo tin cậy",
                    f"no public key of the ledger {case.origin} among the anchors",
                )
                return ring
            if not any(key in ring.keys for key in own):
                text = Text(
                    "sổ cái ký bằng một khóa khác với neo tin cậy, và không lần đổi khóa nào trong "
                    "tệp nối hai khóa đó",
                    "the ledger's key is not the one among the anchors, and no change of key in "
                    "the file leads from one to the other",
                )
                self.bad("ledger", NOTE, text)
                return None
            self.ok("ledger", NOTE, "đúng khóa của sổ cái", "the key is the ledger's")
            if ring.links:
                self.ok(
                    "handovers",
                    HANDOVER,
                    f"{len(ring.links)} lần đổi khóa nối liền nhau, khóa cũ và khóa mới đều ký",
                    f"{len(ring.links)} changes of key follow one another, signed by both keys",
                )
            return ring
        return None

    def _signature(self, container: zipped.Container, ring: keyring.Ring | None) -> None:
        if ring is None:
            return
        with self.checking(manifest.SIGNATURE, LIST):
            listing = container.read(manifest.MANIFEST)
            at = cades.verify(container.read(manifest.SIGNATURE), listing, ring.signer)
            self.ok(
                manifest.SIGNATURE,
                LIST,
                f"sổ cái đã ký danh mục, tính đến {at:%Y-%m-%dT%H:%M:%SZ}",
                f"the ledger signed the list, as of {at:%Y-%m-%dT%H:%M:%SZ}",
            )

    def _heads(self, case: Case, ring: keyring.Ring | None) -> None:
        """Checkpoints, their stamps, and that each tree continues the one before it."""
        stamped: list[Head] = []
        for head in case.heads:
            self._head(case, head, ring)
            stamped.append(self._stamp(head))
        self.case = replace(case, heads=tuple(stamped))
        self._steps(case.heads, case.steps)
        self.ok(
            "checkpoints",
            f"{NOTE}; {STEP}",
            f"{len(case.heads)} điểm kiểm soát, {len(case.steps)} bước nối tiếp",
            f"{len(case.heads)} checkpoints, {len(case.steps)} steps between them",
        )

    def _head(self, case: Case, head: Head, ring: keyring.Ring | None) -> None:
        """Signed by the key that was in force at that size: a retired one counts no more."""
        if ring is None:
            return
        with self.checking(layout.note(head), NOTE):
            said = parse_checkpoint(head.note, case.origin, ring.at(head.place), _NO_TIME)
            if (said.epoch, said.size) != head.place:
                raise Untrusted(_other_head(), code="evidence.head")

    def _steps(self, heads: Sequence[Head], steps: Sequence[Step]) -> None:
        roots = {h.place: parse_head(split_note(h.note)[0]).root for h in heads}
        for step in steps:
            old, new = roots[Place(step.epoch, step.old)], roots[Place(step.epoch, step.new)]
            if not merkle.verify_consistency(step.old, old, step.new, new, step.proof):
                self.bad(
                    layout.step(step.epoch, step.old, step.new),
                    STEP,
                    Text(
                        "cây sau không nối tiếp cây trước: lịch sử đã bị viết lại",
                        "the later tree does not continue the earlier one: history was rewritten",
                    ),
                )

    def _renewals(self, container: zipped.Container, case: Case) -> list[renewal.Fresh]:
        """What was put behind the first list later, and that each list names all before it."""
        found: list[renewal.Fresh] = []
        digests: dict[str, bytes] = {}
        for block in self.blocks:
            with self.checking(block.archive, ARCHIVE):
                for name, digest in renewal.listed(container, block).items():
                    if name not in digests:
                        digests[name] = _digest(container, name)
                    if digests[name] != digest:
                        text = Text("nội dung đã bị thay đổi", "its content was changed")
                        self.bad(name, ARCHIVE, text)
                older = [head for fresh in found for head in fresh.heads]
                found.append(renewal.read(container, block, case, older))
                archive = container.read(block.archive).decode()
                token = container.read(block.token)
                facts = verify_stamp(token, archive, self.anchors.authorities)
                if self.anchors.authorities:
                    self.renewed_at = self.renewed_at or facts.gen_time
                    self.ok(
                        block.archive,
                        ARCHIVE,
                        f"mọi phần trước đó đã có lúc {facts.gen_time:%Y-%m-%dT%H:%M:%SZ}",
                        f"all parts before it existed by {facts.gen_time:%Y-%m-%dT%H:%M:%SZ}",
                    )
                else:
                    self.open(
                        block.token,
                        STAMP,
                        "không có chứng thư gốc nào trong các neo tin cậy để xét dấu này",
                        "no authority's root among the anchors to judge this stamp by",
                    )
        return found

    def _newer(
        self,
        container: zipped.Container,
        case: Case,
        fresh: Sequence[renewal.Fresh],
        ring: keyring.Ring | None,
    ) -> None:
        """Newer checkpoints continue the tree of the records, and newer stamps cover them."""
        heads = list(case.heads)
        known, self.renewed_at = self.renewed_at, None  # no renewal speaks for its own stamps
        for one in fresh:
            for head in one.heads:
                self._head(case, head, ring)
                self._stamp(head)
            heads += one.heads
            with self.checking("renewals", STEP):
                self._steps(heads, one.steps)
        self.renewed_at = known
        for block in self.blocks if self.anchors.authorities else ():
            with self.checking(block.token, PATH):
                token = container.read(block.token)
                at = read_token(token).gen_time
                self._say(block.token, self.carried.authority(token, self.anchors.authorities, at))

    def _stamp(self, head: Head) -> Head:
        """The head with the time that its token states, once that was checked."""
        name = layout.stamp(head)
        if not head.token:
            return head
        with self.checking(name, STAMP):
            facts = verify_stamp(head.token, head.note, self.anchors.authorities)
            if self.anchors.authorities:
                self.ok(
                    name,
                    STAMP,
                    f"{facts.gen_time:%Y-%m-%dT%H:%M:%S.%fZ}, {facts.authority}",
                    f"{facts.gen_time:%Y-%m-%dT%H:%M:%S.%fZ}, {facts.authority}",
                )
            else:
                self.open(
                    name,
                    STAMP,
                    "không có chứng thư gốc nào trong các neo tin cậy để xét dấu này",
                    "no authority's root among the anchors to judge this stamp by",
                )
            if self.anchors.authorities:
                roots, known = self.anchors.authorities, self.renewed_at
                self._say(name, self.carried.authority(head.token, roots, facts.gen_time, known))
            return replace(head, stamped_at=facts.gen_time)
        return head

    def _bytes_of(self, kept: Kept, data: bytes) -> tuple[Kept, bytes]:
        if hashlib.sha256(data).hexdigest() != kept.digest:
            self.bad(layout.trust(kept), PATH, _other_bytes())
        return kept, data

    def _say(self, name: str, word: trusted.Word | None) -> None:
        if word is not None:
            result = {True: Result.OK, False: Result.BAD, None: Result.OPEN}[word.holds]
            self.checks.append(Check(name, result, PATH, word.text))

    def _signers(self, case: Case) -> None:
        """What records say of certificates behind packages follows from what lies beside them."""
        case = self.case or case
        there, used = set(case.trust), {s.certificate for s in self.signatures}
        for told in case.told:
            name = layout.record(told.place)
            kept = trusted.named(told.record)
            for one in kept:
                if one not in there:
                    text = Text("bản ghi nêu dữ liệu này nhưng nó bị thiếu", "a record names it")
                    self.bad(layout.trust(one), PATH, Text(text.vi, f"{text.en}: missing"))
            if not kept or not set(kept) <= there:
                continue
            if used and kept[0].digest not in {hashlib.sha256(c).hexdigest() for c in used}:
                self.bad(name, PATH, _other_signer())
                continue
            with self.checking(name, PATH):
                at = trusted.received_at(case, told)
                self._say(name, self.carried.signer(told, self.anchors.signers, at))

        judged = {kept.digest for told in case.told for kept in trusted.named(told.record)}
        named_at = trusted.named_at(case)
        for stated in self.signatures:
            if hashlib.sha256(stated.certificate).hexdigest() in judged:
                continue
            name = layout.certificate(stated.package)
            with self.checking(name, PATH):
                at = named_at.get(stated.package, case.at)
                word = self.carried.sender(stated.certificate, self.anchors.signers, at)
                self._say(name, word or _left_to_the_receiver())

    def _records(self, case: Case) -> None:
        case = self.case or case
        roots = {h.place: parse_head(split_note(h.note)[0]).root for h in case.heads}
        held = 0
        own = {sealed.place for sealed in case.records}
        for sealed in (*(one.sealed for one in case.rehashed), *case.records):
            name = layout.record(sealed.place)
            with self.checking(name, TREE):
                parse_record(sealed.body)
                root = roots[Place(sealed.place.epoch, sealed.size)]
                leaf = leaf_hash(sealed.body)
                if not merkle.verify_inclusion(
                    leaf, sealed.place.seq, sealed.size, sealed.proof, root
                ):
                    self.bad(
                        name,
                        TREE,
                        Text("bản ghi không nằm trong cây", "the record is not in the tree"),
                    )
                    continue
                held += sealed.place in own
            if case.bounds(sealed.place)[1] is None:
                self.open(
                    name,
                    STAMP,
                    "chưa có dấu thời gian nào sau bản ghi này",
                    "no stamp covers this record yet",
                )
        self.ok(
            "records",
            TREE,
            f"{held} bản ghi nằm trong cây của sổ cái",
            f"{held} records are in the ledger's tree",
        )

    def _rehashed(self, case: Case) -> None:
        """Under another hash function too, where the ledger recorded a root of it."""
        with self.checking("rehashed", REHASHED):
            for one, root in rehashed.judge(case):
                self.ok(
                    layout.record(one.sealed.place),
                    REHASHED,
                    f"{len(one.proofs)} bản ghi cũng nằm trong cây {root.algorithm}",
                    f"{len(one.proofs)} records are in the {root.algorithm} tree too",
                )

    def _receipts(self, case: Case, ring: keyring.Ring | None) -> None:
        if ring is None:
            return
        bodies = {sealed.body for sealed in case.records}
        for number, receipt in enumerate(case.receipts):
            with self.checking(layout.receipt(number), PROMISE):
                promised = verify_receipt(receipt, ring.keys)
                if promised.origin != case.origin or promised.record_bytes not in bodies:
                    raise Untrusted(_other_receipt(), code="evidence.receipt")
        if case.receipts:
            self.ok(
                "receipts",
                PROMISE,
                f"{len(case.receipts)} biên nhận đúng với bản ghi",
                f"{len(case.receipts)} receipts speak of these records",
            )

    def _packages(self, container: zipped.Container, case: Case) -> None:
        """The packages are those that records name, and say what the records say of them."""
        records = [told.record for told in (self.case or case).told]
        named = {digest for record in records for digest in trusted.package_blobs(record)}
        there = {p.digest for p in case.packages}
        for digest in sorted(named - there):
            text = Text("bản ghi nêu gói tin này nhưng nó bị thiếu", "a record names it: missing")
            self.bad(layout.package(digest), PACKAGE, text)
        day = vietnam_day(case.at)
        stated = {s.package: s for s in self.signatures}
        for package in case.packages:
            name = layout.package(package.digest)
            if package.digest not in named:
                text = Text("không bản ghi nào nêu gói tin này", "no record names this package")
                self.bad(name, PACKAGE, text)
                continue
            with self.checking(name, PACKAGE), container.open(name) as source:
                seen, own = look(source, package, day, limits=self.limits)
                self.packages.append(seen)
                self._content(name, seen, records)
                self._judged(name, seen, package.judged)
                if package.digest in stated:
                    self._signature_parts(container, stated[package.digest], own)

    def _content(self, name: str, seen: minutes.Seen, records: Sequence[Record]) -> None:
        """A document is the one that the records identify; a status is known by its digest."""
        header = seen.header
        if header is not None:
            made = identity(header, [(f.declared_name, f.sha256) for f in seen.files])
            told = {str(r.facts.get("identity", "")) for r in records if not _encrypted(r, seen)}
            if made not in told and told:
                text = Text(
                    "gói tin không phải văn bản mà bản ghi nêu (định danh văn bản)",
                    "the package is not the document that the records identify",
                )
                self.bad(name, PACKAGE, text)
                return
        document = header.document_id if header else "status"
        self.ok(
            name,
            PACKAGE,
            f"{document}, chữ ký trong gói tin: {seen.verdict.summary()}",
            f"{document}, signature inside: {seen.verdict.summary()}",
        )

    def _judged(self, name: str, seen: minutes.Seen, stated: Judged | None) -> None:
        """The gateway's verdict on the signature inside against our own, of today."""
        if stated is None or stated == seen.judged:
            return
        if Trust.FALSE in (seen.verdict.value, seen.verdict.header, seen.verdict.files):
            text = Text(
                "chữ ký trong gói tin SAI, gateway lại ghi khác",
                "the signature inside is FALSE, and the gateway said something else",
            )
            self.bad(name, PACKAGE, text)
        else:
            self.open(
                name,
                PACKAGE,
                "kết luận về chữ ký trong gói tin nay khác khi xuất bằng chứng: chính sách đã đổi",
                "the verdict on the signature inside is not that of the export: policy has changed",
            )

    def _signature_parts(
        self, container: zipped.Container, stated: SignaturePart, own: SignaturePart | None
    ) -> None:
        """The parts for openssl are those of this very package."""
        name = layout.signed_info(stated.package)
        if own is not None and stated != own:
            self.bad(name, PACKAGE, _other_words())
        for digest in stated.inner:
            name = layout.file(digest)
            with self.checking(name, PACKAGE):
                if _digest(container, name).hex() != digest:
                    raise Untrusted(_other_words(), code="evidence.file")

    def _derived(self, container: zipped.Container, case: Case, listed: dict[str, bytes]) -> None:
        """Minutes and instructions are what this evidence gives, word for word.

        Those of another version are in other words; that the ledger signed them is what counts.
        """
        if any(check.result is Result.BAD for check in self.checks):
            return
        if self.words != build.WORDS:
            self.ok(
                layout.MINUTES,
                LIST,
                "biên bản do phiên bản khác viết; sổ cái đã ký",
                "the minutes were written by another version; the ledger signed them",
            )
            return
        case = self.case or case
        with self.checking(layout.MINUTES, PROMISE):
            if container.read(layout.MINUTES) != minutes.write(case, self.packages).encode():
                raise Untrusted(_other_words(), code="evidence.minutes")
            self.ok(layout.MINUTES, PROMISE, "biên bản đúng với bằng chứng", "as the evidence says")
        if layout.PRINT in container:  # containers of earlier versions have none
            with self.checking(layout.PRINT, PROMISE):
                if printed.names(container.read(layout.PRINT)) != listed[layout.MINUTES].hex():
                    raise Untrusted(_other_minutes(), code="evidence.minutes")
        with self.checking(layout.CHECK, PROMISE):
            others = {n: d for n, d in listed.items() if n != layout.CHECK}
            again = instructions.write(case, others, build.signed_of(self.signatures))
            if container.read(layout.CHECK) != again.encode():
                raise Untrusted(_other_words(), code="evidence.instructions")


@dataclass(frozen=True, slots=True)
class _Checking:
    judge: _Judge
    what: str
    rule: str

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        if isinstance(error, Untrusted | Rejected | Misconfigured):
            self.judge.bad(self.what, self.rule, error.text)
            return True
        if isinstance(error, MALFORMED):
            detail = type(error).__name__
            text = Text(f"không đọc được ({detail})", f"unreadable ({detail})")
            self.judge.bad(self.what, self.rule, text)
            return True
        return False


def _encrypted(record: Record, seen: minutes.Seen) -> bool:
    """Does this record identify the plain files of a package that carries them encrypted?"""
    transfers = record.facts.get("transfers")
    if not isinstance(transfers, list):
        return False
    return any(
        isinstance(t, Mapping) and t.get("package_blob") == seen.digest and t.get("encrypted")
        for t in transfers
    )


def _digest(container: zipped.Container, name: str) -> bytes:
    digest = hashlib.sha256()
    for chunk in container.chunks(name):
        digest.update(chunk)
    return digest.digest()


def _other_head() -> Text:
    return Text(
        "điểm kiểm soát không phải là điểm mà bằng chứng nêu",
        "the checkpoint is not the one that the evidence names",
    )


def _other_receipt() -> Text:
    return Text(
        "biên nhận không nói về các bản ghi này", "the receipt does not speak of these records"
    )


def _other_minutes() -> Text:
    return Text("bản in của một biên bản khác", "it is printed from other minutes")


def _other_bytes() -> Text:
    return Text(
        "chứng thư hoặc dữ liệu thu hồi không phải là thứ mà tên tệp nêu",
        "not the certificate or the revocation data that its name says",
    )


def _left_to_the_receiver() -> trusted.Word:
    return trusted.Word(
        True,
        Text(
            "dữ liệu ở đây và các neo tin cậy không đủ để xét chứng thư này: nơi nhận xét",
            "the data here and the anchors do not decide about this certificate: "
            "its receiver judges it",
        ),
    )


def _other_signer() -> Text:
    return Text(
        "bản ghi nói về một chứng thư khác với chứng thư trong gói tin",
        "the record speaks of another certificate than that in the package",
    )


def _other_words() -> Text:
    return Text(
        "nội dung khác với những gì bằng chứng cho ra",
        "its words are not those that this evidence gives",
    )
