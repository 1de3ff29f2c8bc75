"""The end of the corridor out: what recipients' statuses and passing time do to transfers.

In:     a status report being opened (same commit); attempts without an end; lifetimes gone by.
Out:    transfer and recipient states, each move with its record.
Never:  lowers the furthest stage shown; guesses an instant; moves what the tables do not allow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from gateway import reporting
from gateway.dispatch import schedule
from gateway.model.package import BusinessType, StatusReport
from gateway.model.record import Source
from gateway.model.transfer import RecipientState, Told, TransferState, follow
from gateway.ports import BlobStore
from gateway.promise import Outlet, Work, from_vietnam_time, plain_code
from gateway.scribe import Scribe
from gateway.store import Store, Tx, acts, claims, documents, ledger, transfers
from gateway.telemetry.events import Event

AGREED = "15"
# not there, or not yet: no answer to a recall says anything of it
NOTHING_TO_RECALL = (RecipientState.PENDING, RecipientState.NOT_DELIVERED)
CHUNK = 256 * 1024
IN_MEMORY = 1024 * 1024  # packages, and files of a submission together, that are held in memory


class About(NamedTuple):
    """What a status speaks of."""

    carried: transfers.TransferRow
    recipient: transfers.RecipientRow


class Settling:
    """`key_of` gives the canonical code of an agency; `outlets` the policy of each axis."""

    def __init__(
        self, *, scribe: Scribe, key_of: Callable[[str], str], outlets: Mapping[str, Outlet]
    ) -> None:
        self.scribe = scribe
        self.key_of = key_of
        self.outlets = outlets

    # -- timers ---------------------------------------------------------------------------------

    def take_over(self, tx: Tx, gone: Sequence[transfers.Stale], at: datetime) -> int:
        """Attempts without an end: UNCERTAIN, and not again before their deadline plus grace."""
        now = tx.now()
        taken = 0
        for row in gone:
            policy = self.policy_of(row.axis)
            grace = timedelta(seconds=policy.grace_seconds)
            step = schedule.taken_over(deadline_at=row.lease_until - grace, now=now, policy=policy)
            if transfers.move(
                tx,
                row.id,
                fence=row.fence,
                old=TransferState.SENDING,
                new=step.state,
                doubt=step.doubt,
                due_at=step.due_at,
                hold_cause=step.hold_cause,
                now=now,
            ):
                taken += 1
                self._note(
                    tx, Event.ATTEMPT_TAKEN_OVER, row.id, row.document_ref, step, row.axis, at
                )
        return taken

    def lapse(self, tx: Tx, at: datetime) -> int:
        """Transfers past their lifetime: EXPIRED without doubt, HELD for a person with doubt."""
        now = tx.now()
        ended = 0
        for row in transfers.past_lifetime(tx, now):
            policy = self.policy_of(row.axis)
            step = schedule.expire(
                state=TransferState(row.state),
                doubt=row.doubt,
                accepted_at=row.expires_at - timedelta(seconds=policy.lifetime_seconds),
                now=now,
                policy=policy,
            )
            if step is not None and transfers.move(
                tx,
                row.id,
                fence=row.fence,
                old=TransferState(row.state),
                new=step.state,
                doubt=step.doubt,
                hold_cause=step.hold_cause,
                now=now,
            ):
                ended += 1
                held = step.state is TransferState.HELD
                event = Event.TRANSFER_HELD if held else Event.TRANSFER_EXPIRED
                self._note(tx, event, row.id, row.document_ref, step, row.axis, at)
        return ended

    def policy_of(self, axis: str) -> schedule.Policy:
        """The policy of an axis; the defaults for one that left the configuration."""
        outlet = self.outlets.get(axis)
        return outlet.policy if outlet else schedule.Policy()

    def _note(
        self,
        tx: Tx,
        event: Event,
        transfer_id: str,
        document_ref: str,
        step: schedule.Step,
        axis: str,
        at: datetime,
    ) -> None:
        made = self.scribe.record(
            event,
            at,
            {"transfer": transfer_id, "document": document_ref},
            {"axis": axis, "state": step.state.value, "cause": step.hold_cause},
            document_ref=document_ref,
        )
        ledger.append(tx, [made])
        reporting.tell(tx, self.scribe, transfer_id, step.state.value, made)

    # -- settle ---------------------------------------------------------------------------------

    def settle_by_list(
        self, tx: Tx, transfer_id: str, *, remote_ref: str, asked_by: str, at: datetime
    ) -> bool:
        """The axis, asked by an id that it gave us, has the package: that settles doubt.

        False: it moved on meanwhile, or its state allows no such step. `asked_by`: the id of the
        reconciliation that asked.
        """
        if not transfers.settle_on_axis(tx, transfer_id, now=tx.now(), remote_ref=remote_ref):
            return False
        transfers.arrive_on_axis(tx, transfer_id, seen=at, now=tx.now())
        row = transfers.by_id(tx, transfer_id)
        if row is None:
            return False
        made = self.scribe.record(
            Event.TRANSFER_SETTLED,
            at,
            {"transfer": transfer_id, "document": row.document_ref, "reconciliation": asked_by},
            {"axis": row.axis, "state": row.state, "remote_ref": remote_ref},
            document_ref=row.document_ref,
        )
        ledger.append(tx, [made])
        return True

    def find(self, tx: Tx, *, reporter_key: str, report: StatusReport) -> About | None:
        """Our transfer and the recipient that reports; None when none of ours has it.

        Of a transfer and its replays: the last that was tried (their ids sort by time).
        """
        addressee = self.key_of(report.response_for.organ_id)
        rows = documents.by_document_id(tx, addressee, report.response_for.document_id)
        sent = transfers.of_documents(tx, [row.id for row in rows]) if rows else []
        carried = {t.id: t for t in sent}
        found: About | None = None
        for old in transfers.recipients_of(tx, list(carried)) if carried else []:
            one = carried[old.transfer_id]
            if old.agency_key == reporter_key and (
                found is None or (one.replay_of == found.carried.id and one.attempts)
            ):
                found = About(one, old)
        return found

    def settle(
        self, tx: Tx, about: About, *, report: StatusReport, arrival_id: str, at: datetime
    ) -> None:
        """Step 9, inside the commit that opens a status: recipient state and instants.

        A status is the recipient's own word that it has the document, so it settles doubt. 15
        agrees to give a document back: that recipient of it is RECALLED, whether the answer speaks
        of the document or of the act that recalled it.
        """
        reach_axis(tx, about.carried.id, at, tx.now())
        agreed = report.code == AGREED and self._asked_back(tx, about)
        self._move(tx, about, report, arrival_id, at, recalled=agreed)
        for other in self._recalled_by(tx, about) if report.code == AGREED else ():
            self._move(tx, other, report, arrival_id, at, recalled=True)

    def _asked_back(self, tx: Tx, about: About) -> bool:
        """Whether we ever asked this recipient to give the document back."""
        row = documents.by_id(tx, about.carried.document_ref)
        return row is not None and acts.asked_back(
            tx,
            sender_key=row.sender_key,
            document_id=row.document_id,
            receiver_key=about.recipient.agency_key,
        )

    def _recalled_by(self, tx: Tx, about: About) -> list[About]:
        """What the recall that `about` carried took back from this recipient: where it is."""
        act = documents.by_id(tx, about.carried.document_ref)
        if act is None or act.business_type != BusinessType.RECALL:
            return []
        rows = [
            row
            for target in acts.targets(tx, act.id)
            for row in documents.by_document_id(tx, act.sender_key, target)
            if row.id != act.id
        ]
        carried = {t.id: t for t in transfers.of_documents(tx, [row.id for row in rows])}
        return [
            About(carried[old.transfer_id], old)
            for old in transfers.recipients_of(tx, list(carried))
            if old.agency_key == about.recipient.agency_key and old.state not in NOTHING_TO_RECALL
        ]

    def _move(
        self,
        tx: Tx,
        about: About,
        report: StatusReport,
        arrival_id: str,
        at: datetime,
        *,
        recalled: bool,
    ) -> None:
        carried = about.carried
        # the transfer first, then its recipients, kept still: the order of every other writer
        (old,) = (
            r
            for r in transfers.recipients_of(tx, [carried.id], lock=True)
            if r.agency_key == about.recipient.agency_key
        )
        current = RecipientState(old.state)
        if current is RecipientState.PENDING:
            current = RecipientState.ON_AXIS
        reported = from_vietnam_time(report.timestamp)
        told = Told(report.code, reported, recalled)
        state, brought_by = follow(current, told, lambda: self._told_before(tx, about, recalled))
        # at the sender, *entered* is the Timestamp of status 01, reported; never of a later status
        entered, source = old.entered_at, old.entered_source
        if report.code == "01" and entered is None and reported is not None:
            entered, source = reported, Source.REPORTED.value
        transfers.move_recipient(
            tx,
            old,
            state=state,
            code=brought_by or old.status_code or report.code,
            seen=at,
            entered_at=entered,
            entered_source=source,
            now=tx.now(),
        )
        transfers.keep_status(
            tx,
            {
                "id": self.scribe.entropy.new_id(),
                "received_at": at,
                "document_ref": carried.document_ref,
                "agency_key": old.agency_key,
                "code": report.code,
                "timestamp": report.timestamp,
                "arrival_id": arrival_id,
            },
        )
        made = self.scribe.record(
            Event.RECIPIENT_MOVED,
            at,
            {
                "document": carried.document_ref,
                "transfer": carried.id,
                "arrival": arrival_id,
            },
            {
                "recipient": old.agency.upper(),
                "code": plain_code(report.code),
                "reported_at": report.timestamp if reported else "",
                "state": state.value,
            },
            document_ref=carried.document_ref,
        )
        ledger.append(tx, [made])

    def _told_before(self, tx: Tx, about: About, recalled: bool) -> list[Told]:
        """What this recipient said of this transfer, in the order in which it came.

        `recalled`: known to have been asked back; else a 15 among it makes us look.
        """
        carried = about.carried
        said = transfers.said_by(tx, carried.document_ref, about.recipient.agency_key)
        if carried.replay_of:  # what came before its first attempt speaks of the one before it
            since = [a.started_at for a in transfers.attempts_of(tx, carried.id)[:1]]
            said = [s for s in said if since and s.received_at >= since[0]]
        agreed = any(s.code == AGREED for s in said)
        asked = agreed and (recalled or self._asked_back(tx, about))
        return [
            Told(s.code, from_vietnam_time(s.timestamp), asked and s.code == AGREED) for s in said
        ]


class Hold:
    """The lease of one attempt of at most `seconds`: renewed while its bytes flow, and made to
    last as long as the wait for a verdict before the last ones leave.
    """

    def __init__(self, store: Store, work: Work, seconds: float) -> None:
        self._store = store
        self._work = work
        self._deadline = time.monotonic() + seconds
        self._until = work.claimed + work.lease_seconds
        self._lost = False

    async def flowing(self) -> None:
        if self._until - time.monotonic() < self._work.lease_seconds / 2:
            await self._renew(self._work.lease_seconds)

    async def until_verdict(self) -> bool:
        """False: the lease is lost, nothing more may leave."""
        now = time.monotonic()
        if self._until >= self._deadline and self._until - now > self._work.lease_seconds / 2:
            return True
        await self._renew(max(self._work.lease_seconds, self._deadline - now))
        return not self._lost

    async def _renew(self, seconds: float) -> None:
        claim = self._work.claim
        asked = time.monotonic()

        def renew(tx: Tx) -> bool:
            now = tx.now()
            until = now + timedelta(seconds=seconds)
            return transfers.renew(tx, claim.id, claim.fence, now=now, until=until)

        if not self._lost:
            self._lost = not await self._store.write(renew)
            self._until = asked + seconds


async def stored_bytes(blobs: BlobStore, claim: claims.Claim, hold: Hold) -> AsyncIterator[bytes]:
    """The package of an attempt as it was stored, its lease renewed on the way."""
    sha256, size = claim.package_sha256, claim.package_size
    if size <= IN_MEMORY:
        at_hand = blobs.peek(sha256, size)
        yield at_hand if at_hand is not None else await asyncio.to_thread(_whole, blobs, sha256)
        return
    source = await asyncio.to_thread(blobs.open, sha256)
    try:
        while chunk := await asyncio.to_thread(source.read, CHUNK):
            await hold.flowing()
            yield chunk
    finally:
        await asyncio.to_thread(source.close)


def _whole(blobs: BlobStore, sha256: str) -> bytes:
    with blobs.open(sha256) as source:
        return source.read()


def reach_axis(tx: Tx, transfer_id: str, at: datetime, now: datetime, remote_ref: str = "") -> bool:
    """The package did get there: settle a transfer under way, in doubt, held, refused or lapsed.

    True: it stands on the axis now, whoever put it there.
    """
    if not transfers.settle_on_axis(tx, transfer_id, now=now, remote_ref=remote_ref):
        row = transfers.by_id(tx, transfer_id)
        if row is None or row.state != TransferState.ON_AXIS:
            return False
    transfers.arrive_on_axis(tx, transfer_id, seen=at, now=now)
    return True
