"""The corridor out: accept -> deliver. Then `settling.py`; sealing and stamping: `sealing.py`.

In:     a submission, or a package made by the unit, from `desk`; claims from `workers/deliver`.
Out:    an answer with a signed receipt; transfers that move only along model/transfer.py.
Fails:  Rejected with every finding; Unavailable while the ledger cannot be sealed.
Never:  sends what is not recorded; sends other bytes on a second try; answers before the commit.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from gateway import reporting
from gateway.braking import Braking, must_be_sealed
from gateway.dispatch import schedule, share
from gateway.enciphering import Encryption
from gateway.errors import Finding, Rejected, Text, Unavailable, errors_in
from gateway.making import Manner, make_package
from gateway.model.outcome import Delivered, Outcome, outcome_word
from gateway.model.package import (
    DocumentHeader,
    PackageKind,
    ReadyPackage,
    StatusReport,
    TraceHeader,
    identity,
    normal_text,
)
from gateway.model.record import Source
from gateway.model.submission import AxisRoute, CheckedSubmission, Submission
from gateway.model.transfer import TransferState
from gateway.packing import write
from gateway.parcels import parcel_of
from gateway.ports import BlobStore, KeyHolder
from gateway.promise import (
    VIETNAM,
    Order,
    Outlet,
    Packed,
    Prepared,
    Promise,
    Work,
    already_sent,
    answer_json,
    document_conflict,
    document_id_for,
    document_row,
    first_code,
    impossible_release,
    keep_answer,
    not_acceptable,
    not_served,
    queue_full,
    recipient_rows,
    routes_left,
    same_request,
    sent_before,
    status_promise,
    transfer_rows,
    unsigned,
    vietnam_time,
)
from gateway.routing.directory import Directory
from gateway.routing.plan import RoutingTable
from gateway.rules import checks
from gateway.scribe import Scribe
from gateway.settling import IN_MEMORY, Hold, reach_axis
from gateway.signing import DEFAULT_POLICY, Policy
from gateway.store import Store, Tx, Violation, acts, claims, documents, ledger, transfers
from gateway.store import blobs as blob_rows
from gateway.store.patience import write_patiently
from gateway.telemetry.events import Event

MINIMUM_RATE = 64 * 1024  # bytes a second a long upload must reach before its deadline ends it

AT_ONCE = 8  # small submissions on their way to a commit; more would leave delivering no turns

PackRoutes = Callable[[Sequence[AxisRoute], str], tuple[Packed, ...]]


async def to_its_end(
    walk: Callable[[], documents.Answered], hands: Executor | None = None
) -> documents.Answered:
    """In a thread, with the context of the request.

    Who is cancelled waits until the thread has ended: it reads what the request holds, and it
    commits whatever becomes of the request.
    """
    loop = asyncio.get_running_loop()
    walking = loop.run_in_executor(hands, partial(copy_context().run, walk))
    try:
        return await asyncio.shield(walking)
    except asyncio.CancelledError:
        await asyncio.wait({walking})
        if not walking.cancelled():
            walking.exception()  # asked for, so that nobody is told of it as of one forgotten
        raise


class Outbound:
    """The rooms, the ports and the memory this corridor walks through, given by the wiring."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: BlobStore,
        scribe: Scribe,
        rules: checks.RuleSet,
        directory: Directory,
        routing: RoutingTable,
        keys: Mapping[str, KeyHolder],
        encryption: Encryption,
        outlets: Mapping[str, Outlet],
        lane_of: Callable[[int | None], int],
        seal_max_delay: timedelta,
        braking: Braking,
        max_backlog: int,
        algorithms: Policy = DEFAULT_POLICY,
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.scribe = scribe
        self.rules = rules
        self.directory = directory
        self.routing = routing
        self.keys = keys
        self.encryption = encryption
        self.outlets = outlets
        self.lane_of = lane_of
        self.seal_max_delay = seal_max_delay
        self.braking = braking
        self.max_backlog = max_backlog
        self.algorithms = algorithms
        self.backlog = 0  # due transfers, as last counted: accepting waits for delivering
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._hands = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="promise")

    def key_of(self, code: str) -> str:
        """The canonical code: both written forms, and any padding, meet here."""
        return self.directory.key_of(code)

    def today(self) -> date:
        """The day in Vietnam, which chooses the rules in force."""
        return self.scribe.now().astimezone(VIETNAM).date()

    def patient(self) -> bool:
        """Whether the queue is far enough from closing the door to rest for it."""
        return self.backlog * 4 < self.max_backlog * 3

    # -- accept: a submission ------------------------------------------------------------------

    def check(self, submission: Submission) -> CheckedSubmission:
        """Every rule and every route at once. Raises Rejected with all findings."""
        at = self.scribe.now()
        findings = checks.check_submission(submission, at, self.rules)
        plan = self.routing.plan([o.organ_id for o in submission.header.to], self.today())
        every = (
            *findings,
            *impossible_release(submission.released_at),
            *self._sender(submission.header.sender.organ_id),
            *plan.findings,
            *self.encryption.findings(submission, plan.routes, at),
        )
        if errors_in(every):
            raise Rejected(not_acceptable(), code="submission.invalid", findings=every)
        return CheckedSubmission(submission, plan.routes, findings=every)

    def _sender(self, code: str) -> tuple[Finding, ...]:
        if not code:
            return ()  # the rules have said so
        if not self.directory.is_local(code):
            return (not_served(code, "from.organ_id"),)
        return () if self.key_of(code) in self.keys else (unsigned(code),)

    async def accept(self, order: Order, submission: Submission) -> documents.Answered:
        """Steps 2 to 4 of architecture 3. Returns after the commit, with the receipt in it.

        One walk in one thread: going back to the loop on the way costs more than a commit when
        many are at the door. Small ones have their threads to themselves.
        """
        walk = partial(self._accept, order, submission)
        if sum(f.size for f in submission.files) > IN_MEMORY:
            return await to_its_end(walk)
        async with self._turns:
            return await to_its_end(walk, self._hands)

    def _accept(self, order: Order, submission: Submission) -> documents.Answered:
        document_id = submission.header.document_id or document_id_for(
            submission.header, order.seed
        )
        header = replace(submission.header, document_id=document_id)
        try:
            checked = self.check(submission)
            planned = write.plan_files(submission.files, document_id)
        except Rejected as refused:
            return self._unless_answered(order, refused)
        facts = [p.fact for p in planned]
        made_identity = identity(header, [(f.declared_name, f.sha256) for f in facts])
        at = self.scribe.now()

        def pack(routes: Sequence[AxisRoute], seed: str) -> tuple[Packed, ...]:
            return tuple(self._pack(header, route, submission, at, seed) for route in routes)

        return self._promise(
            order,
            header=header,
            made_identity=made_identity,
            routes=checked.routes,
            findings=checked.findings,
            files=tuple({"name": f.name, "size": f.size, "sha256": f.sha256} for f in facts),
            at=at,
            released_at=submission.released_at,
            pack=pack,
            split=True,
        )

    async def accept_package(
        self,
        order: Order,
        *,
        header: DocumentHeader,
        files: Sequence[tuple[str, int, str, str]],
        package: ReadyPackage,
        keep: Callable[[], None],
        findings: Sequence[Finding],
    ) -> documents.Answered:
        """A package made by the unit system, whose bytes never change.

        `files`: (name, size, inner SHA-256, declared name). `keep` makes the bytes durable; it
        blocks, and is called only once nothing can refuse them any more. Never split:
        architecture 4.
        """
        at = self.scribe.now()
        receivers = [o.organ_id for o in header.to]
        whole = self.routing.whole_package_axis(receivers, self.today())
        every = (*findings, *whole.findings)
        if errors_in(every) or len(whole.routes) != 1:
            refused = Rejected(not_acceptable(), code=first_code(every), findings=every)
            return await asyncio.to_thread(self._unless_answered, order, refused)
        made_identity = identity(header, [(declared, sha) for _, _, sha, declared in files])

        def pack(routes: Sequence[AxisRoute], _: str) -> tuple[Packed, ...]:
            keep()
            return tuple(Packed(r, package, self.scribe.entropy.new_id()) for r in routes)

        walk = partial(
            self._promise,
            order,
            header=header,
            made_identity=made_identity,
            routes=whole.routes,
            findings=every,
            files=tuple({"name": n, "size": s, "sha256": d} for n, s, d, _ in files),
            at=at,
            released_at=None,
            pack=pack,
            split=False,
        )
        return await to_its_end(walk)

    def _unless_answered(self, order: Order, refused: Rejected) -> documents.Answered:
        """A repetition gets its first answer, even where rules or routes have changed since."""
        repeated = self.store.read_sync(lambda tx: self.answered(tx, order))
        if repeated is None:
            raise refused
        return repeated

    def answered(self, tx: Tx, order: Order) -> documents.Answered | None:
        if order.idempotency_key is None:
            return None
        return same_request(documents.answered(tx, order.account_id, order.idempotency_key), order)

    def _pack(
        self,
        header: DocumentHeader,
        route: AxisRoute,
        submission: Submission,
        at: datetime,
        seed: str,
    ) -> Packed:
        """making.py walks packing and signing: one package for one axis, durable by digest."""
        transfer_id = self.scribe.entropy.new_id()
        keys = {self.key_of(code) for code in route.receivers}
        mine = replace(
            header,
            to=tuple(o for o in header.to if self.key_of(o.organ_id) in keys),
            traces=(TraceHeader(header.sender.organ_id, vietnam_time(at)),),
        )
        own = f"{seed}/{route.axis}/encrypted" if route.encrypt else f"{seed}/{route.axis}"
        holder = self.keys.get(self.key_of(header.sender.organ_id))
        manner = Manner(self.outlets[route.axis].profile, self.algorithms, self.today())
        make = partial(make_package, seed=own, holder=holder, manner=manner)
        with self.encryption.files(submission, route, self.blobs.spool) as files:
            if sum(f.size for f in files) <= IN_MEMORY:
                buffer = io.BytesIO()
                package = make(buffer, mine, files)
                self.blobs.keep_bytes(buffer.getvalue(), package.sha256)
            else:
                with self.blobs.spool() as spool:
                    package = make(spool, mine, files)
                    self.blobs.keep(spool, package.sha256)
        return Packed(route, package, transfer_id)

    def _promise(
        self,
        order: Order,
        *,
        header: DocumentHeader,
        made_identity: str,
        routes: Sequence[AxisRoute],
        findings: Sequence[Finding],
        files: tuple[Mapping[str, Any], ...],
        at: datetime,
        released_at: datetime | None,
        pack: PackRoutes,
        split: bool,
    ) -> documents.Answered:
        """Identity, conflict and already-served receivers decided by keys, then one commit.

        A race with another request shows as a Violation: everything is read again and decided
        again. What was packed in vain stays an unreferenced blob, which the sweep removes.
        """
        sender_key = self.key_of(header.sender.organ_id)
        look = partial(
            documents.before,
            account_id=order.account_id,
            key=order.idempotency_key,
            sender_key=sender_key,
            document_id=normal_text(header.document_id),
            identity=made_identity,
        )

        def prepare(ref: str) -> Prepared:
            """One look and the packing after it."""
            found, bound, served = self.store.read_sync(look)
            repeated = same_request(found, order)
            if repeated is not None:
                return Prepared(repeated=repeated)
            self._refuse_when_full()
            self.braking.refuse()
            if header.business.type == 0 and bound is not None and bound != made_identity:
                raise document_conflict(header.document_id)
            asked = {self.key_of(code) for route in routes for code in route.receivers}
            before = [s for s in served if s.receiver_key in asked]
            had = frozenset(s.receiver_key for s in before)
            left = routes_left(routes, had, self.key_of)
            if not left:
                # ids sort by time: the answer that spoke of the last of these receivers
                return Prepared(spoken_of=max(s.document_ref for s in before))
            if had and not split:
                # a package of the unit's own is never split, so its receivers cannot be thinned
                raise already_sent(header, had, self.key_of)
            return Prepared(pack(left, ref), had, bound is not None)

        for _ in range(5):
            ref = self.scribe.entropy.new_id()
            packed, had, bound, repeated, spoken_of = prepare(ref)
            if repeated is not None:
                return repeated
            if spoken_of:
                return self._first_answer(order, spoken_of)
            told = (*findings, *sent_before(header, had, self.key_of), *self.braking.findings())
            promise = Promise(
                document_ref=ref,
                header=header,
                identity=made_identity,
                kind=PackageKind.DOCUMENT,
                files=files,
                packed=packed,
                at=at,
                released_at=released_at or at,
                released_source=Source.STATED if released_at else Source.ASSUMED,
                lane=self.lane_of(header.other.priority),
                findings=told,
                legal_value=checks.legal_value(self.today(), self.rules).as_json(),
            )
            try:
                return self._commit(order, promise, bind=not bound)
            except Violation as race:
                if race.kind != "unique":
                    raise
        raise Unavailable(
            Text("Có quá nhiều yêu cầu trùng nhau cùng lúc", "too many equal requests at once"),
            code="submission.contended",
        )

    def _first_answer(self, order: Order, document_ref: str) -> documents.Answered:
        """The same identity with no new receiver: what was answered the first time."""

        def commit(tx: Tx) -> documents.Answered | None:
            row = documents.by_id(tx, document_ref)
            if row is None:
                return None
            first = documents.Repeated(order.content, 202, row.answer, f"/v1/documents/{row.id}")
            if order.idempotency_key is not None:
                documents.keep_answer_again(
                    tx,
                    account_id=order.account_id,
                    key=order.idempotency_key,
                    answered=first,
                    created_at=tx.now(),
                )
                same_request(documents.answered(tx, order.account_id, order.idempotency_key), order)
            return first

        answered = self.store.write_sync(commit, first=True)
        if answered is None:
            raise Unavailable(Text("Hãy thử lại", "try again"), code="store.moved")
        return answered

    def _commit(self, order: Order, promise: Promise, *, bind: bool) -> documents.Answered:
        """Record, receipt, answer and queue rows in one commit: before it, nothing is promised."""
        made = self.scribe.record(
            Event.SUBMISSION_ACCEPTED,
            promise.at,
            {"document": promise.document_ref, "account": order.account_id},
            {
                "from": promise.header.sender.organ_id.upper(),
                "document_id": promise.header.document_id,
                "identity": promise.identity,
                "business_type": int(promise.header.business.type),
                "lane": promise.lane,
                "files": len(promise.files),
                "released_at": promise.released_at.isoformat(timespec="microseconds"),
                "released_source": promise.released_source.value,
                "transfers": [
                    {
                        "transfer": p.transfer_id,
                        "axis": p.route.axis,
                        "package_blob": p.package.sha256,
                        "size": p.package.size,
                        "to": [c.upper() for c in p.route.receivers],
                        **({"encrypted": True} if p.route.encrypt else {}),
                    }
                    for p in promise.packed
                ],
            },
            document_ref=promise.document_ref,
            personal={"subject": promise.header.subject},
        )
        answer = answer_json(promise, self.scribe.receipt(made), order.language)
        location = f"/v1/documents/{promise.document_ref}"
        sender_key = self.key_of(promise.header.sender.organ_id)
        answered = documents.Answered(order.content, 202, answer, location)
        records = self.scribe.with_clock(made)

        def commit(tx: Tx) -> None:
            must_be_sealed(tx, tx.now(), self.seal_max_delay)
            self._insert(tx, order.account_id, promise, made, answer)
            keep_answer(tx, order, answered)
            if bind and promise.header.business.type == 0:
                documents.claim_document_id(
                    tx,
                    sender_key=sender_key,
                    document_id=normal_text(promise.header.document_id),
                    identity=promise.identity,
                )
            acts.keep(
                tx,
                promise.document_ref,
                agency_key=sender_key,
                sender_key=sender_key,
                business_type=int(promise.header.business.type),
                about=promise.header.about(),
            )
            blob_rows.refer(tx, [(p.package.sha256, p.package.size) for p in promise.packed])
            ledger.append(tx, records)
            self.braking.hold(tx, promise, made)

        self.store.write_sync(commit, first=True)
        self.scribe.written(records)
        return answered

    def _insert(
        self,
        tx: Tx,
        account_id: str,
        promise: Promise,
        made: ledger.NewRecord,
        answer: str,
        about_item: str | None = None,
    ) -> None:
        now = tx.now()
        expires = {
            p.route.axis: now
            + timedelta(seconds=self.outlets[p.route.axis].policy.lifetime_seconds)
            for p in promise.packed
        }
        receivers = recipient_rows(promise, self.key_of, now)
        documents.add(
            tx,
            document_row(promise, self.key_of, account_id, made.id, answer, about_item),
            [str(r["agency_key"]) for r in receivers],
            transfer_rows(promise, made.id, expires, now),
            receivers,
        )

    def _refuse_when_full(self) -> None:
        if self.backlog > self.max_backlog:
            raise queue_full(self.backlog)

    # -- accept: a status report made by the gateway or asked for by a unit ----------------------

    def make_status(self, report: StatusReport, axis: str, at: datetime) -> Promise:
        """The package of a status report, durable by digest. Its commit belongs to the caller."""
        data = write.write_status(report)
        package = ReadyPackage(PackageKind.STATUS, hashlib.sha256(data).hexdigest(), len(data))
        self.blobs.keep_bytes(data, package.sha256)
        return status_promise(report, axis, package, at, self.scribe.entropy.new_id)

    def add_status(
        self, tx: Tx, account_id: str, promise: Promise, code: str, item_id: str | None
    ) -> str:
        """Queue a status report inside the caller's commit; its transfer's id. `item_id`: what it
        reports on; None: a document of our own is asked back (13).

        What was said before (the same words, the same second) is not said again: the transfer that
        carries it. Violation: somebody says it at this moment; asked again, this finds it.
        """
        packed = promise.packed[0]
        said = documents.served(tx, self.key_of(promise.header.sender.organ_id), promise.identity)
        if said:
            return transfers.of_documents(tx, [said[0].document_ref])[0].id
        made = self.scribe.record(
            Event.STATUS_ACCEPTED,
            promise.at,
            {
                "document": promise.document_ref,
                **({"item": item_id} if item_id else {}),
                "account": account_id,
            },
            {
                "from": promise.header.sender.organ_id.upper(),
                "to": packed.route.receivers[0].upper(),
                "document_id": promise.header.document_id,
                "code": code,
                "identity": promise.identity,
                "transfer": packed.transfer_id,
                "axis": packed.route.axis,
                "package_blob": packed.package.sha256,
            },
            document_ref=promise.document_ref,
        )
        self._insert(tx, account_id, promise, made, "", about_item=item_id)
        blob_rows.refer(tx, [(packed.package.sha256, packed.package.size)])
        ledger.append(tx, [made])
        return packed.transfer_id

    # -- deliver -----------------------------------------------------------------------------------

    async def claim(self, axis: str, most: int, look: claims.Look | None = None) -> list[Work]:
        """Step 7: SENDING, the attempt and its record are committed before a byte leaves."""
        policy = self.outlets[axis].policy
        lease = timedelta(seconds=policy.attempt_deadline_seconds + policy.grace_seconds)
        at = self.scribe.now()
        started = time.monotonic()

        def take(tx: Tx) -> list[Work]:
            now, seen = tx.now(), look or claims.Look(share)
            until = now + lease
            taken = claims.claim(tx, axis=axis, most=most, lease_until=until, now=now, look=seen)
            if not taken:
                return []
            claims.start_attempts(
                tx,
                [
                    {
                        "id": self.scribe.entropy.new_id(),
                        "transfer_id": claim.id,
                        "number": claim.attempts,
                        "fence": claim.fence,
                        "started_at": at,
                    }
                    for claim, _ in taken
                ],
            )
            ledger.append(
                tx,
                [
                    self.scribe.record(
                        Event.ATTEMPT_STARTED,
                        at,
                        {"transfer": claim.id, "document": claim.document_ref},
                        {
                            "axis": axis,
                            "attempt": claim.attempts,
                            "package": claim.package_sha256,
                        },
                        document_ref=claim.document_ref,
                    )
                    for claim, _ in taken
                ],
            )
            return [Work(c, receivers, started, lease.total_seconds()) for c, receivers in taken]

        return await self.store.write(take)

    async def deliver(self, work: Work) -> Outcome:
        """Step 8: one attempt, its outcome, its record and the next step."""
        claim = work.claim
        outlet = self.outlets[claim.axis]
        policy = outlet.policy
        seconds = policy.attempt_deadline_seconds + claim.package_size / MINIMUM_RATE
        hold = Hold(self.store, work, seconds)
        outcome = await outlet.axis.submit(
            await parcel_of(outlet.axis, self.store, self.blobs, work, hold), seconds
        )
        at = self.scribe.now()
        fraction = self.scribe.entropy.fraction()
        # an outcome lost with a database that is away for a moment would send the bytes again
        end = partial(self._end, work, outcome, at, fraction, policy)
        await write_patiently(self.store, end)
        return outcome

    def _end(
        self,
        work: Work,
        outcome: Outcome,
        at: datetime,
        fraction: float,
        policy: schedule.Policy,
        tx: Tx,
    ) -> None:
        claim = work.claim
        now = tx.now()
        step = schedule.next_step(
            outcome=outcome,
            doubt=claim.doubt,
            attempts=claim.attempts,
            accepted_at=claim.expires_at - timedelta(seconds=policy.lifetime_seconds),
            now=now,
            fraction=fraction,
            policy=policy,
            recent_codes=[claim.last_code] * claim.equal_answers,
        )
        remote = outcome.remote_ref if isinstance(outcome, Delivered) else ""
        equal = claim.equal_answers + 1 if outcome.code == claim.last_code else 1
        ending = transfers.Ending(
            state=step.state,
            due_at=step.due_at,
            doubt=step.doubt,
            code=outcome.code,
            detail=outcome.detail[:300],
            equal_answers=equal,
            remote_ref=remote,
            hold_cause=step.hold_cause,
        )
        said = outcome_word(outcome)
        moved = transfers.end_attempt(tx, claim, said, ending, seen=at, now=now)
        if moved is None:
            return
        state = step.state.value if moved else ""
        if state == TransferState.ON_AXIS:
            transfers.arrive_on_axis(tx, claim.id, seen=at, now=now)
        elif isinstance(outcome, Delivered) and reach_axis(tx, claim.id, at, now, remote):
            # somebody took the attempt over, yet the axis has it: that settles the doubt
            state = TransferState.ON_AXIS.value
        facts: dict[str, Any] = {
            "axis": claim.axis,
            "attempt": claim.attempts,
            "outcome": said,
            "code": outcome.code,
            "remote_ref": remote,
            "state": state,
        }
        if not moved:
            facts["overtaken"] = True  # by another attempt, or by a status that settled it
        if step.hold_cause and moved:
            facts["hold_cause"] = step.hold_cause
        about = {"transfer": claim.id}
        ref = claim.document_ref
        made = self.scribe.record(Event.ATTEMPT_ENDED, at, about, facts, document_ref=ref)
        ledger.append(tx, [made])
        reporting.tell(tx, self.scribe, claim.id, state, made)
