"""The corridor in: receive -> open -> hand over -> confirm.

In:     complete packages from `workers/collect` or the loopback; calls of unit systems by `desk`.
Out:    inbox items with verdicts; the legal instants *available*, *fetched*, *entered*; status 01.
Fails:  Unavailable (another took it), Conflict (a state forbids the step). An arrival that cannot
        be opened is quarantined with its bytes and findings, never thrown away.
Never:  opens what is not recorded; guesses that a document entered; sends a status twice.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO

from gateway import quarantine, reporting
from gateway.admitting import Admitting, Again, Entered, Objection
from gateway.answering import OPEN_STATES, report_about, state_forbids
from gateway.arriving import Opened, read_arrival
from gateway.errors import (
    Broken,
    Conflict,
    Text,
    Unavailable,
    Unknown,
)
from gateway.model.arrival import ArrivalState, Incoming, ItemKind, ItemState
from gateway.model.package import (
    BusinessType,
    DocumentHeader,
    StatusReport,
)
from gateway.outbound import Outbound
from gateway.packing import describe, metadata, read
from gateway.promise import (
    local_time,
    plain_code,
    plain_id,
)
from gateway.safexml import Limits
from gateway.scribe import Scribe
from gateway.settling import Settling
from gateway.shapes import kept_files, kept_findings, kept_status, kept_verdict
from gateway.store import Store, Tx, acts, arrivals, inbox, ledger, received
from gateway.store import blobs as blob_rows
from gateway.store.patience import write_after_race, write_patiently
from gateway.telemetry.events import Event
from gateway.trusting import Trusting
from gateway.watched import TookTooLong, Watch, time_for

OPEN_LEASE = timedelta(seconds=60)  # renewed while its process lives: how long the dead hold on
LONGEST = timedelta(minutes=5)  # for opening one package, however large
ORPHAN_AGAIN = timedelta(hours=1)  # looked at in vain: another agency reports on that DocumentId


class _Overtaken(Exception):
    """The lease ran out and another process opens this arrival: nothing of ours is kept."""


class Inbound:
    """Implements the port `Intake`. `account` texts below name who asked, for the record."""

    def __init__(
        self, *, outbound: Outbound, settling: Settling, limits: Limits, trusting: Trusting
    ) -> None:
        self.outbound = outbound
        self.settling = settling
        self.trusting = trusting
        self.limits = limits
        self.admitting = Admitting(outbound.directory)
        self._watch = Watch()

    def patience(self, claim: arrivals.OpenClaim) -> timedelta:
        """How long opening may take before the next one is opened."""
        return time_for(claim.raw_size, LONGEST)

    @property
    def store(self) -> Store:
        return self.outbound.store

    @property
    def scribe(self) -> Scribe:
        return self.outbound.scribe

    # -- receive ---------------------------------------------------------------------------------

    async def receive(self, incoming: Incoming) -> str:
        """Step 1: the raw bytes lie durable under their digest; row, record and blob row commit."""
        at = self.scribe.now()
        arrival_id = self.scribe.entropy.new_id()
        made = self.scribe.record(
            Event.ARRIVAL_RECEIVED,
            at,
            {"arrival": arrival_id},
            {
                "axis": incoming.axis,
                "axis_doc_id": incoming.axis_doc_id,
                "kind": incoming.kind.value,
                "raw_blob": incoming.sha256,
                "size": incoming.size,
            },
            arrival_id=arrival_id,
        )
        new = arrivals.NewArrival(
            id=arrival_id,
            axis=incoming.axis,
            axis_doc_id=incoming.axis_doc_id,
            kind=incoming.kind.value,
            raw_sha256=incoming.sha256,
            raw_size=incoming.size,
            listed_from=incoming.listed_from,
            listed_to=incoming.listed_to,
            received_at=at,
            record_id=made.id,
        )

        def commit(tx: Tx) -> str:
            first = arrivals.receive(tx, new)
            if first is not None:
                return first
            blob_rows.refer(tx, [(incoming.sha256, incoming.size)])
            ledger.append(tx, records)
            tx.notify("open")
            return arrival_id

        records = self.scribe.with_clock(made)
        kept = await self.store.write(commit)
        if kept == arrival_id:
            self.scribe.written(records)
        return kept

    # -- open ------------------------------------------------------------------------------------

    async def open_next(self, most: int) -> int:
        """Steps 2 and 3 for up to `most` arrivals; returns how many were taken."""

        def take(tx: Tx) -> list[arrivals.OpenClaim]:
            now = tx.now()
            return arrivals.claim_to_open(tx, most=most, now=now, until=now + OPEN_LEASE)

        claims = await self.store.write(take)
        if not claims:
            return 0
        left = list(claims)
        begun = time.monotonic()
        renewing = asyncio.create_task(self._hold_on(claims))
        try:
            while left and time.monotonic() - begun < OPEN_LEASE.total_seconds():
                claim = left.pop(0)
                reading = partial(self._read, claim)
                try:
                    opened = await self._watch.within(self.patience(claim), reading)
                    enter = partial(self._enter, claim=claim, opened=opened, at=self.scribe.now())
                    with suppress(_Overtaken):
                        state = await write_patiently(self.store, enter)
                        quarantine.alarm(claim.id, claim.axis, state)
                except TookTooLong:
                    # its lease runs on; it is tried again alone, and then counted as poison
                    quarantine.alarm_hung(claim.id, claim.axis, claim.opens)
                except Unavailable:
                    left.insert(0, claim)  # a fault of ours says nothing about the package
                    raise
        finally:
            renewing.cancel()
            if left:  # out of time, or one could not be opened now: that says nothing about these
                await write_patiently(self.store, partial(arrivals.give_back, claims=left))
        return len(claims)

    async def _hold_on(self, claims: Sequence[arrivals.OpenClaim]) -> None:
        """Renews the leases of `claims` until it is cancelled."""

        def renew(tx: Tx) -> None:
            arrivals.hold_on(tx, claims, until=tx.now() + OPEN_LEASE)

        while claims:
            await asyncio.sleep(OPEN_LEASE.total_seconds() / 3)
            with suppress(Unavailable):  # whoever took them over meanwhile is told by the fence
                await self.store.write(renew)

    def _read(self, claim: arrivals.OpenClaim) -> Opened:
        """arriving.py, which walks packing, signing and rules, over the bytes that came."""
        return read_arrival(
            claim,
            self.outbound.blobs,
            limits=self.limits,
            rules=self.outbound.rules,
            policy=self.outbound.algorithms,
            day=self.outbound.today(),
            relied=self.trusting.relied,
        )

    def _enter(
        self,
        tx: Tx,
        claim: arrivals.OpenClaim,
        opened: Opened,
        at: datetime,
        again: Again | None = None,
    ) -> ArrivalState:
        """Arrival state, items, settling and the record with the verdicts: one commit.

        `again`: it was judged before, and a person or a document that became known lets it in.
        """
        came = Entered(opened.state)
        statement, countersigned = self.trusting.countersigned(
            opened.verdict, claim.raw_sha256, claim.id, at
        )
        verdict = {**kept_verdict(opened.verdict), **statement}
        if opened.state is ArrivalState.OPENED and opened.report is not None:
            came = self._enter_status(tx, claim, opened, opened.report, at, again)
        elif opened.state is ArrivalState.OPENED and opened.header is not None:
            came = self._enter_document(tx, claim, opened, opened.header, at, verdict, again)
        if again is not None:
            if came.state is again.old:
                return came.state
            if came.state is ArrivalState.DUPLICATE:
                came = came._replace(state=ArrivalState.OPENED)
        findings = (*opened.findings, *came.findings)
        sender = document_id = code = ""
        if opened.header is not None:
            sender = opened.header.sender.organ_id
            document_id = opened.header.document_id
        elif opened.report is not None:
            sender = opened.report.sender.organ_id
            document_id = opened.report.response_for.document_id
            code = opened.report.code
        if not arrivals.opened(
            tx,
            claim,
            came.state,
            old=again.old if again else ArrivalState.RECEIVED,
            sender=sender,
            document_id=document_id,
            identity=opened.identity,
            status_code=code,
            verdict=verdict,
            findings=kept_findings(findings),
        ):
            raise _Overtaken
        self.trusting.note(
            tx,
            claim.id,
            judged=opened.judged,
            certificates=opened.certificates,
            received_at=claim.received_at,
        )
        trust = opened.verdict.trust if opened.verdict else None
        if came.state is ArrivalState.ORPHAN and opened.report is not None:
            received.wait_for_document(
                tx,
                claim.id,
                agency_key=self.outbound.key_of(opened.report.response_for.organ_id),
                document_id=document_id,
                due_at=tx.now(),
            )
        elif again is not None:
            received.waits_no_more(tx, claim.id)
        record = self.scribe.record(
            Event.ARRIVAL_OPENED,
            at,
            {
                "arrival": claim.id,
                **({"account": again.account_id} if again and again.account_id else {}),
            },
            {
                "axis": claim.axis,
                "axis_doc_id": claim.axis_doc_id,
                "raw_blob": claim.raw_sha256,
                "state": came.state.value,
                "kind": "status" if opened.report else "document" if opened.header else "unknown",
                "from": plain_id(sender.upper()),
                "document_id": plain_id(document_id),
                "identity": opened.identity,
                "status_code": plain_code(code),
                "signature": opened.verdict.summary() if opened.verdict else "none",
                **({"certificate": trust.for_record()} if trust else {}),
                "findings": sorted({f.code for f in findings}),
                **({"doubles": came.doubles} if came.doubles else {}),
                **({"was": again.old.value} if again else {}),
            },
            arrival_id=claim.id,
            personal={"reason": again.reason} if again else None,
        )
        reports = (
            self._tell_of_conflict(tx, claim, opened.header, came.objections, record)
            if opened.header is not None
            else ()
        )
        ledger.append(tx, [record, *countersigned, *came.records, *reports])
        tx.notify("inbox")
        return came.state

    def _enter_document(
        self,
        tx: Tx,
        claim: arrivals.OpenClaim,
        opened: Opened,
        header: DocumentHeader,
        at: datetime,
        verdict: Mapping[str, Any],
        again: Again | None,
    ) -> Entered:
        """One item for each local agency in `To`; without any, the axis' own list decides."""
        local = self.local_receivers(claim, header)
        if not local:
            return Entered(ArrivalState.QUARANTINED, (quarantine.not_ours(),))
        wrong = self.admitting.document(
            tx,
            header,
            identity=opened.identity,
            listed_from=claim.listed_from,
            agencies=local,
            again=again,
        )
        if wrong:
            return Entered.refused(wrong)
        overruled = again.overruled if again else ()
        act = header.business.type != BusinessType.NEW
        content = {
            "header": metadata.header_to_json(header),
            **({"business": describe.business_json(header)} if act else {}),
            "files": kept_files(opened.verdict, opened.files),
            "signature": verdict,
            "findings": kept_findings((*opened.findings, *overruled)),
        }
        doubles = self.admitting.doubled(tx, opened.identity, local)
        made = [
            record
            for code in local
            if (
                record := self._add_item(
                    tx,
                    claim,
                    at,
                    agency=code,
                    kind=ItemKind.DOCUMENT,
                    identity_hex=opened.identity,
                    lane=self.outbound.lane_of(header.other.priority),
                    sender=header.sender.organ_id or claim.listed_from,
                    document_id=header.document_id or claim.axis_doc_id,
                    content=content,
                    business_type=int(header.business.type),
                    about=header.about(),
                )
            )
        ]
        state = ArrivalState.OPENED if made else ArrivalState.DUPLICATE
        return Entered(state, overruled, made, doubles=doubles)

    def local_receivers(
        self, claim: arrivals.OpenClaim | arrivals.ArrivalRow, header: DocumentHeader
    ) -> tuple[str, ...]:
        """The agencies of ours that `To` names; without any, those of the axis' own list."""
        among = self.outbound.directory.local_among
        listed = [c.strip() for c in claim.listed_to.split(",") if c.strip()]
        return among([o.organ_id for o in header.to]) or among(listed)

    def _enter_status(
        self,
        tx: Tx,
        claim: arrivals.OpenClaim,
        opened: Opened,
        report: StatusReport,
        at: datetime,
        again: Again | None,
    ) -> Entered:
        """Settle our document and put the status into the sender's inbox, once."""
        addressee = report.response_for.organ_id
        local = self.outbound.directory.local_among([addressee])
        if not local:
            return Entered(ArrivalState.QUARANTINED, (quarantine.not_ours(),))
        if again is None or not (again.overruled or again.old is ArrivalState.ORPHAN):
            wrong = self.admitting.status(
                tx, report, listed_from=claim.listed_from, agency=addressee
            )
            if wrong:
                return Entered.refused(wrong)
        about = self.settling.find(
            tx, reporter_key=self.outbound.key_of(report.sender.organ_id), report=report
        )
        if about is None and not inbox.holds_document(
            tx,
            agency_key=self.outbound.key_of(addressee),
            document_id=report.response_for.document_id,
        ):
            return Entered(ArrivalState.ORPHAN)
        overruled = again.overruled if again else ()
        doubles = self.admitting.doubled(tx, opened.identity, local)
        record = self._add_item(
            tx,
            claim,
            at,
            agency=local[0],
            kind=ItemKind.STATUS,
            identity_hex=opened.identity,
            lane=0,
            sender=report.sender.organ_id,
            document_id=report.response_for.document_id,
            status_code=report.code,
            about_document=about.carried.document_ref if about else None,
            content={
                "status": kept_status(report),
                "findings": kept_findings((*opened.findings, *overruled)),
            },
        )
        if record is None:
            return Entered(ArrivalState.DUPLICATE, overruled, doubles=doubles)
        if about is not None:
            self.settling.settle(tx, about, report=report, arrival_id=claim.id, at=at)
        return Entered(ArrivalState.OPENED, overruled, [record])

    def _add_item(
        self,
        tx: Tx,
        claim: arrivals.OpenClaim,
        at: datetime,
        *,
        agency: str,
        kind: ItemKind,
        identity_hex: str,
        lane: int,
        sender: str,
        document_id: str,
        content: Mapping[str, Any],
        status_code: str = "",
        about_document: str | None = None,
        business_type: int = 0,
        about: Sequence[str] = (),
    ) -> ledger.NewRecord | None:
        item_id = self.scribe.entropy.new_id()
        added = inbox.add(
            tx,
            inbox.NewItem(
                id=item_id,
                arrival_id=claim.id,
                agency=agency,
                agency_key=self.outbound.key_of(agency),
                kind=kind.value,
                identity=identity_hex,
                lane=lane,
                axis=claim.axis,
                sender=sender,
                document_id=document_id,
                status_code=status_code,
                about_document=about_document,
                content=content,
                available_at=at,
            ),
        )
        if not added:
            return None
        acts.keep(
            tx,
            item_id,
            agency_key=self.outbound.key_of(agency),
            sender_key=self.outbound.key_of(sender),
            business_type=business_type,
            about=about,
        )
        return self.scribe.record(
            Event.ITEM_AVAILABLE,
            at,
            {"arrival": claim.id, "item": item_id},
            {
                "agency": agency.upper(),
                "kind": kind.value,
                "identity": identity_hex,
                "from": plain_id(sender.upper()),
                "document_id": plain_id(document_id),
                "status_code": plain_code(status_code),
            },
            document_ref=about_document,
            arrival_id=claim.id,
        )

    def _tell_of_conflict(
        self,
        tx: Tx,
        claim: arrivals.OpenClaim,
        header: DocumentHeader,
        objections: Sequence[Objection],
        behind: ledger.NewRecord,
    ) -> list[ledger.NewRecord]:
        """Whoever has, or had, the first document; and its sender, where that is one of ours."""
        key_of = self.outbound.key_of
        met = [
            reporting.Met(o.agency, key_of(o.agency), kept_findings([o.finding]), o.first)
            for o in objections
            if o.agency
        ]
        if not met:
            return []
        said = header.sender.organ_id or claim.listed_from
        senders = [(code, key_of(code)) for code in self.outbound.directory.local_among([said])]
        came = reporting.Conflict(claim.id, claim.axis, header.document_id, met, senders)
        return reporting.tell_of_conflict(tx, self.scribe, came, behind)

    # -- again -----------------------------------------------------------------------------------

    async def enter_again(self, arrival_id: str, again: Again) -> ArrivalState:
        """What was judged before, entered after all; the state that the arrival has then.

        Unchanged where it still cannot be: unreadable, secret, not ours, a document not known.
        Raises Conflict when it is in another state than `again.old`.
        """
        claim, opened = await self.read_again(arrival_id, again.old)
        if opened.state is not ArrivalState.OPENED:
            return again.old
        enter = partial(self._enter, claim=claim, opened=opened, at=self.scribe.now(), again=again)
        try:
            return await write_patiently(self.store, enter)
        except _Overtaken:
            raise quarantine.not_waiting(arrival_id) from None

    async def read_again(
        self, arrival_id: str, old: ArrivalState
    ) -> tuple[arrivals.OpenClaim, Opened]:
        """What stands in a state that may be left. Raises Conflict where it left it."""
        claim = await self.store.read(lambda tx: arrivals.claim_again(tx, arrival_id, old))
        if claim is None:
            raise quarantine.not_waiting(arrival_id)
        return claim, await asyncio.to_thread(self._read, claim)

    async def enter_orphans(self, most: int) -> int:
        """Statuses whose document became known since they came; how many were entered."""

        def look(tx: Tx) -> list[str]:
            now = tx.now()
            return [
                one
                for one in received.found(tx, now=now, most=most)
                if received.look_later(tx, one, now=now, due_at=now + ORPHAN_AGAIN)
            ]

        entered = 0
        for arrival_id in await self.store.write(look):
            with suppress(Conflict):  # a person was faster
                state = await self.enter_again(arrival_id, Again(ArrivalState.ORPHAN))
                entered += state is ArrivalState.OPENED
        return entered

    # -- hand over -------------------------------------------------------------------------------

    async def mark_fetched(self, item: inbox.Item, account_id: str) -> None:
        """Step 4: recorded at the first complete serving, before its last byte leaves."""
        at = self.scribe.now()
        made = self.scribe.record(
            Event.ITEM_FETCHED,
            at,
            {"arrival": item.arrival_id, "item": item.id, "account": account_id},
            {"agency": item.agency.upper(), "raw_blob": item.raw_sha256},
            arrival_id=item.arrival_id,
        )

        def commit(tx: Tx) -> None:
            if inbox.mark_fetched(tx, item.id, at):
                ledger.append(tx, [made])

        await self.store.write(commit)

    async def attachment(self, item: inbox.Item, number: int) -> tuple[Mapping[str, Any], BinaryIO]:
        """One inner file of a document; extracted from the package when the cache lost it."""
        files = item.content.get("files", [])
        if item.kind != ItemKind.DOCUMENT.value or not 0 <= number < len(files):
            raise Unknown(
                Text(
                    f"Mục này có {len(files)} tệp (đánh số từ 0), không có tệp {number}",
                    f"this item has {len(files)} files (numbered from 0), none is {number}",
                ),
                code="attachment.unknown",
            )
        fact = files[number]
        if fact["failed"]:
            raise Conflict(
                Text(
                    "Tệp này không giải mã được; hãy xem các phát hiện",
                    "this attachment could not be decoded; see the findings",
                ),
                code="attachment.unreadable",
            )
        opened = await asyncio.to_thread(self._open_or_extract, item, number, fact)
        await self.store.write(lambda tx: blob_rows.touch(tx, fact["sha256"], fact["size"]))
        return fact, opened

    def _open_or_extract(self, item: inbox.Item, number: int, fact: Mapping[str, Any]) -> BinaryIO:
        blobs = self.outbound.blobs
        try:
            return blobs.open(fact["sha256"])
        except Broken as missing:
            if missing.code != "blob.missing":
                raise
        with blobs.open(item.raw_sha256) as source, blobs.spool() as spool:
            again = read.extract_file(
                source, number, spool, unwrap=fact["unwrapped"], limits=self.limits
            )
            if again.sha256 != fact["sha256"]:  # nothing lies under a digest that is not its own
                raise _damaged(item.raw_sha256)
            blobs.keep(spool, fact["sha256"])
        return blobs.open(fact["sha256"])

    # -- confirm ---------------------------------------------------------------------------------

    async def confirm(self, item: inbox.Item, account_id: str) -> str:
        """Step 5: entered into the receiver's System. The answer (JSON) carries a receipt.

        Idempotent: whoever comes second gets the first answer.
        """
        if item.answer:
            return item.answer
        at = self.scribe.now()
        document = item.kind == ItemKind.DOCUMENT.value
        new = ItemState.ENTERED if document else ItemState.SEEN
        event = Event.ITEM_ENTERED if document else Event.ITEM_SEEN
        made = self.scribe.record(
            event,
            at,
            {"item": item.id, "account": account_id},
            {
                "agency": item.agency.upper(),
                "from": plain_id(item.sender.upper()),
                "document_id": plain_id(item.document_id),
                "identity": item.identity,
                **({"raw_blob": item.raw_sha256} if item.raw_sha256 else {}),
            },
            document_ref=item.about_document,
            arrival_id=item.arrival_id or item.content.get("report", {}).get("arrival"),
        )
        answer = json.dumps(
            {
                "id": item.id,
                "state": new.value,
                **({"entered_at": local_time(at)} if document else {}),
                "receipt": json.loads(self.scribe.receipt(made)),
            },
            ensure_ascii=False,
        )
        status = None
        if document:
            report = report_about(self.outbound, item, "01", at, "")
            status = await asyncio.to_thread(self.outbound.make_status, report, item.axis, at)

        def commit(tx: Tx) -> str:
            if not inbox.end(
                tx,
                item.id,
                olds=OPEN_STATES,
                new=new,
                entered_at=at if document else None,
                answer=answer,
            ):
                found = inbox.by_id(tx, item.id)
                if found is None or not found.answer:
                    raise state_forbids(found.state if found else "")
                return found.answer
            ledger.append(tx, records)
            if status is not None:
                self.outbound.add_status(tx, account_id, status, "01", item.id)
            return answer

        records = self.scribe.with_clock(made)
        told = await write_after_race(self.store, commit)
        if told == answer:
            self.scribe.written(records)
        return told


def _damaged(raw_sha256: str) -> Broken:
    return Broken(
        Text(
            f"Gói tin lưu trữ {raw_sha256} không còn nguyên vẹn",
            f"the stored package {raw_sha256} does not give the file that was recorded",
        ),
        code="blob.damaged",
    )
