"""Acts about a document that was sent: its files again, its receivers, and asking it back.

In:     a document of ours, by `acts`; a reason.
Out:    the files of the stored package, to travel again; one status 13 for each recipient, by the
        axis that carried the document there, with their answer kept under the key of the request.
Fails:  Conflict when nobody has it; Broken when a stored package does not give its files.
Never:  changes the document or its transfers: recalled is what a recipient says it is.

A recall, update or replacement is a document of its own and walks `outbound.accept`; this corridor
stands beside it for what such an act needs of the earlier one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO, NamedTuple

from gateway.errors import Broken, Conflict, Text
from gateway.model.package import Organ, SignatureVerdict, Staff
from gateway.model.submission import Attachment
from gateway.model.transfer import RecipientState, TransferState
from gateway.outbound import Outbound
from gateway.packing import read
from gateway.promise import Order, Promise, keep_answer, status_about
from gateway.safexml import Limits
from gateway.signing import verify
from gateway.store import Tx, documents, transfers
from gateway.store.acts import TAKE_BACK
from gateway.store.patience import write_after_race
from gateway.unpacked import FileCache

# it came back already, or never got there
_HAS_IT_NOT = (RecipientState.REJECTED, RecipientState.NOT_DELIVERED, RecipientState.RECALLED)


class Receiver(NamedTuple):
    """One receiver of a document, and the transfer that took it there."""

    row: transfers.RecipientRow
    transfer: transfers.TransferRow

    @property
    def may_have_it(self) -> bool:
        """On the axis, or bytes may have left. Asked before, 13 would overtake the document."""
        sent = self.transfer.state in (TransferState.ON_AXIS, TransferState.SENDING)
        return (sent or self.transfer.doubt) and self.row.state not in _HAS_IT_NOT


class Acting:
    """`limits`: those of reading, for packages that a unit made itself."""

    def __init__(self, outbound: Outbound, limits: Limits) -> None:
        self.outbound = outbound
        self.limits = limits

    def receivers(self, tx: Tx, row: documents.DocumentRow) -> list[Receiver]:
        """Every receiver of this document, in the order of To; later submissions served others."""
        rows = documents.by_document_id(tx, row.sender_key, row.document_id)
        same = [r for r in rows if r.identity == row.identity]
        carried = {t.id: t for t in transfers.of_documents(tx, [r.id for r in same])}
        named = [o.get("organ_id", "") for r in same for o in r.header.get("to", ())]
        order = {key: n for n, key in enumerate(dict.fromkeys(map(self.outbound.key_of, named)))}
        return [
            Receiver(one, carried[one.transfer_id])
            for one in sorted(
                transfers.recipients_of(tx, list(carried)),
                key=lambda r: (order.get(r.agency_key, len(order)), r.transfer_id),
            )
        ]

    async def files_again(self, row: documents.DocumentRow) -> tuple[Attachment, ...]:
        """The files of a document as its package carried them, for an act that sends them again.

        Where one axis got them encrypted and another plain, the plain ones: what was encrypted to
        the receivers of then cannot be read by those of the act. Raises Conflict
        `attachment.encrypted` when all went encrypted.
        """
        sent = await self.outbound.store.read(lambda tx: transfers.of_documents(tx, [row.id]))
        for package in dict.fromkeys(t.package_sha256 for t in sent):
            files = await asyncio.to_thread(self._take_out, package)
            if files is not None:
                return files
        raise Conflict(
            Text(
                "Các tệp đã gửi ở dạng mã hóa cho nơi nhận: hãy gửi kèm các tệp",
                "the files went encrypted to their receivers: send the files with the act",
            ),
            code="attachment.encrypted",
        )

    def _take_out(self, package_sha256: str) -> tuple[Attachment, ...] | None:
        """None: a file stands encrypted in this package."""
        blobs = self.outbound.blobs
        with blobs.open(package_sha256) as source:
            package = read.read_package(source, limits=self.limits, sink=FileCache(blobs))
            verdict = verify.verify(package.signature, package.header, package.files)
            chosen = self._as_signed(source, package, verdict)
        if package.sha256 != package_sha256:
            raise Broken(
                Text(
                    f"Gói tin lưu trữ {package_sha256} không còn nguyên vẹn",
                    f"the stored package {package_sha256} is not what was kept",
                ),
                code="blob.damaged",
            )
        if any(fact.failed for fact in package.files):
            raise Conflict(
                Text(
                    "Gói tin đã gửi có tệp không giải mã được: hãy gửi kèm các tệp",
                    "a file of the package sent cannot be decoded: send the files with the act",
                ),
                code="attachment.unreadable",
            )
        if any(fact.encrypted == "xmlenc" for fact in package.files):
            return None
        return tuple(
            Attachment(
                name=fact.declared_name or fact.name,
                size=fact.size if digest == fact.sha256 else fact.carried_size,
                sha256=digest,
                open=partial(blobs.open, digest),
                description=fact.description,
            )
            for fact, digest in zip(package.files, chosen, strict=True)
        )

    def _as_signed(
        self, source: BinaryIO, package: read.ReadPackage, verdict: SignatureVerdict
    ) -> tuple[str, ...]:
        """The digests of the files that count; carried bytes are taken out where those do."""
        chosen = verify.inner_choice(verdict, package.files)
        cache = FileCache(self.outbound.blobs)
        for index, (fact, digest) in enumerate(zip(package.files, chosen, strict=True)):
            if not fact.failed and digest != fact.sha256:
                source.seek(0)
                with self.outbound.blobs.spool() as spool:
                    read.extract_file(source, index, spool, unwrap=False, limits=self.limits)
                    cache.keep(spool)
        return chosen

    async def take_back(
        self,
        order: Order,
        row: documents.DocumentRow,
        *,
        reason: str,
        staff: Staff,
        only: Collection[str],
    ) -> documents.Answered:
        """Status 13 to every recipient that may have the document, of those in `only` (keys).

        Recorded and promised in one commit, like any status; the same request again gets the first
        answer. Raises Conflict `document.nobody_has_it`.
        """

        def look(tx: Tx) -> tuple[documents.Answered | None, list[Receiver]]:
            return self.outbound.answered(tx, order), self.receivers(tx, row)

        first, everyone = await self.outbound.store.read(look)
        if first is not None:
            return first
        asked = [r for r in everyone if r.may_have_it and (not only or r.row.agency_key in only)]
        if not asked:
            raise Conflict(
                Text(
                    "Chưa có hoặc không còn nơi nhận nào giữ văn bản này để lấy lại",
                    "no receiver has this document yet, or any more: nobody can give it back",
                ),
                code="document.nobody_has_it",
            )
        at = self.outbound.scribe.now()
        sender = Organ(organ_id=row.sender, name=row.header.get("from", {}).get("name", ""))
        reports = [
            (
                replace(
                    status_about(
                        sender=sender,
                        header=row.header,
                        addressee=receiver.row.agency,
                        document_id=row.document_id,
                        code=TAKE_BACK,
                        at=at,
                        description=reason,
                    ),
                    staff=staff,
                ),
                receiver.transfer.axis,
            )
            for receiver in asked
        ]

        def make() -> list[Promise]:
            return [self.outbound.make_status(report, axis, at) for report, axis in reports]

        promises = await asyncio.to_thread(make)

        def commit(tx: Tx) -> documents.Answered:
            repeated = self.outbound.answered(tx, order)
            if repeated is not None:
                return repeated
            ids = [
                self.outbound.add_status(tx, order.account_id, promise, TAKE_BACK, None)
                for promise in promises
            ]
            told = _answer(tx, row, ids, [r for r in everyone if r not in asked])
            answered = documents.Answered(order.content, 202, told, f"/v1/documents/{row.id}")
            keep_answer(tx, order, answered)
            return answered

        return await write_after_race(self.outbound.store, commit)


def _answer(
    tx: Tx, row: documents.DocumentRow, transfer_ids: Sequence[str], others: Sequence[Receiver]
) -> str:
    """What the door answers with: who is asked, and who is not, in the state that says why."""
    recipients = transfers.recipients_of(tx, transfer_ids)
    carried = [found for one in transfer_ids if (found := transfers.by_id(tx, one)) is not None]
    return json.dumps(
        {
            "id": row.id,
            "code": TAKE_BACK,
            "transfers": [
                {
                    "transfer_id": one.id,
                    "axis": one.axis,
                    "state": one.state,
                    "recipients": [r.agency for r in recipients if r.transfer_id == one.id],
                }
                for one in carried
            ],
            "not_asked": [
                {
                    "agency": one.row.agency,
                    "state": one.row.state,
                    "transfer_state": one.transfer.state,
                }
                for one in others
            ],
        },
        ensure_ascii=False,
    )
