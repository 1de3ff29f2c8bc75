"""The corridor of reconciliation: one axis, one day -> asked, compared, settled, signed.

In:     transfers accepted on that day, and older ones whose time ran out on it; what waits for us.
Out:    a signed report and its record; doubt that the axis' own list ended; packages that are
        fetched once more by their id.
Fails:  Unavailable while another process reconciles this axis, or when a patient run finds an
        axis that answers nothing; Rejected for an axis or a day that cannot be.
Never:  sends, repeats or withdraws; calls a document lost because an axis was silent; holds a day
        in memory: it goes page by page, and a run that was broken off goes on where it was.

What each difference means is decided in `dispatch/reconcile.py`, without a clock or a network.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, NamedTuple

from gateway.dispatch import reconcile
from gateway.dispatch.reconcile import Answer, Copy, Limits, Open, Receiver, Sent, Waiting, What
from gateway.dispatch.report import About, Found, report_json
from gateway.errors import Rejected, Text, Unavailable, Unknown
from gateway.ledger.reconciliation import sign_report
from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.package import PackageKind
from gateway.model.transfer import RecipientState, TransferState
from gateway.ports import Axis, FollowUp
from gateway.scribe import Scribe
from gateway.settling import Settling
from gateway.store import Store, Tx, Violation, leases, ledger, reconciliations, transfers
from gateway.telemetry.events import Event

DAILY = "daily"  # who asked, when it was the clock
PAGE = 100
SLICE = 500
MOST_UNFETCHED = 5000
# so many questions in a row without an answer: the rest of the page is not asked
GIVE_UP = 20
RESUME_WITHIN = timedelta(hours=1)
PATIENCE = timedelta(hours=6)
_START = {"step": "sent", "at": "", "id": ""}
_STEPS = {"sent": "due", "due": "waiting", "waiting": "end"}
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pace:
    """`at_once`: questions side by side; `deadline`: seconds for one. `at`: when the daily one
    begins, by Vietnam's clock; None: never."""

    at_once: int = 4
    deadline: float = 30.0
    at: time | None = None

    @property
    def lease(self) -> timedelta:
        """Longer than a page can last, whatever the axis does."""
        return timedelta(seconds=self.deadline * (GIVE_UP + PAGE / self.at_once) + 60)


@dataclass(slots=True)
class Run:
    """One reconciliation under way. `silent`: questions without an answer, in a row."""

    id: str
    axis: Axis
    day: date
    by: str
    owner: str
    begun_at: datetime
    after: dict[str, str]
    page: int
    silent: int = 0

    @property
    def once(self) -> str:
        return once(self.axis.name, self.day) if self.by == DAILY else self.id


class Judgement(NamedTuple):
    """One page before its commit."""

    judged: Sequence[tuple[Sent, reconcile.Judged]] = ()
    differences: Sequence[reconcile.Difference] = ()
    unanswered: Sequence[Open] = ()
    asked: int = 0
    answered: int = 0
    waiting: int = 0


@dataclass(slots=True)
class Reconciling:
    """Every axis of this process. `key_of`, `is_local`: of an agency's code, in either form.

    `lifetime`: how long a transfer may be tried, which bounds how far back it looks.
    """

    axes: Mapping[str, Axis]
    store: Store
    scribe: Scribe
    settling: Settling
    key_of: Callable[[str], str]
    is_local: Callable[[str], bool]
    local_keys: Sequence[str]
    lifetime: timedelta
    owner: str
    limits: Limits
    pace: Pace
    _under_way: set[asyncio.Task[reconciliations.Made]] = field(default_factory=set)

    # -- the whole walk ---------------------------------------------------------------------------

    async def make(self, axis: str, day: date, by: str) -> reconciliations.Made:
        """From the first question to the signed report."""
        return await self.finish(await self.begin(axis, day, by))

    async def begin(self, axis: str, day: date, by: str) -> Run:
        """Take the axis' turn, and go on with what a run before left of this day.

        Unknown `axis.unknown`; Rejected `reconciliation.future`; Unavailable
        `reconciliation.running`: one at a time for each axis.
        """
        found = self.axes.get(axis)
        if found is None:
            raise Unknown(
                Text(f"Không có trục {axis[:60]!r}", f"there is no axis {axis[:60]!r}"),
                code="axis.unknown",
            )
        at = self.scribe.now()
        if reconcile.day_bounds(day)[0] > at:
            raise Rejected(
                Text("Ngày này chưa đến", "that day has not come yet"),
                code="reconciliation.future",
            )
        fresh = self.scribe.entropy.new_id()
        owner = f"{self.owner}/{fresh}"
        started = reconciliations.Page(fresh, 0, _START, {"by": by, "begun_at": at.isoformat()}, at)

        def take(tx: Tx) -> tuple[reconciliations.Page, Mapping[str, Any]] | None:
            now = tx.now()
            if leases.take(tx, _lease(axis), owner, now=now, until=now + self.pace.lease) is None:
                return None
            last = reconciliations.last_page(tx, axis, day.isoformat())
            if last is not None and now - last.at <= RESUME_WITHIN:
                return last, reconciliations.found_on(tx, axis, day.isoformat(), 0)
            reconciliations.drop_pages(tx, axis, day.isoformat())
            reconciliations.add_page(tx, axis, day.isoformat(), started._replace(at=now))
            return started, started.found

        taken = await self.store.write(take)
        if taken is None:
            raise Unavailable(
                Text(
                    f"Trục {axis} đang được đối soát",
                    f"axis {axis} is being reconciled at this moment",
                ),
                code="reconciliation.running",
            )
        last, opening = taken
        return Run(
            id=last.run_id,
            axis=found,
            day=day,
            # whoever takes a run over signs for it as its own: a daily one stays the day's one
            by=by,
            owner=owner,
            begun_at=datetime.fromisoformat(opening["begun_at"]),
            after=dict(last.after),
            page=last.page,
        )

    async def finish(self, run: Run, *, patient: bool = False) -> reconciliations.Made:
        """Page by page to the report. `patient`: an axis that answers nothing puts it off."""
        try:
            while run.after["step"] != "end":
                await self._turn_page(run, patient=patient)
            return await self._sign(run)
        finally:
            # made, broken off or cancelled: whoever goes on need not wait for the lease to end
            name = _lease(run.axis.name)
            await self.store.write(partial(leases.give_back, name=name, owner=run.owner))

    def start(self, run: Run) -> asyncio.Task[reconciliations.Made]:
        """`finish` beside the caller, who may stop waiting; ended with the process."""
        task = asyncio.create_task(self.finish(run))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def close(self) -> None:
        """Break off what is under way; it goes on when it is asked for again."""
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way))

    # -- daily ------------------------------------------------------------------------------------

    async def due(self, axis: str) -> list[date]:
        """Days without their daily report, oldest first."""
        if self.pace.at is None:
            return []

        def look(tx: Tx) -> date | None:
            if newest := reconciliations.newest_daily(tx, axis):
                return date.fromisoformat(newest)
            first = reconciliations.first_sent(tx, axis)
            begun = None if first is None else first.astimezone(reconcile.VIETNAM).date()
            return None if begun is None else begun - timedelta(days=1)

        return reconcile.days_due(self.scribe.now(), self.pace.at, await self.store.read(look))

    async def daily(self, axis: str, day: date) -> reconciliations.Made:
        """The report of a day, once over any number of processes.

        Unavailable `reconciliation.put_off`: the axis answers nothing; after six hours the report
        is made without its answers.
        """
        made = await self.store.read(lambda tx: reconciliations.by_once(tx, once(axis, day)))
        if made is not None:
            return made
        run = await self.begin(axis, day, DAILY)
        at = self.pace.at or time()
        begins = datetime.combine(day + timedelta(days=1), at, reconcile.VIETNAM)
        try:
            return await self.finish(run, patient=self.scribe.now() < begins + PATIENCE)
        except Violation:
            made = await self.store.read(lambda tx: reconciliations.by_once(tx, once(axis, day)))
            if made is None:
                raise
            return made  # another process was faster

    # -- one page ---------------------------------------------------------------------------------

    async def _turn_page(self, run: Run, *, patient: bool) -> None:
        step = run.after["step"]
        if step == "waiting":
            page, after = await self._waiting(run), None
        else:
            page, after = await self._sent(run, only_due=step == "due")
        if patient and page.asked and not page.answered:
            name = run.axis.name
            raise Unavailable(
                Text(
                    f"Trục {name} không trả lời; đối soát sẽ thử lại",
                    f"axis {name} answers nothing; its reconciliation is tried again",
                ),
                code="reconciliation.put_off",
            )
        await self._commit(run, page, after or {"step": _STEPS[step], "at": "", "id": ""})

    async def _commit(self, run: Run, page: Judgement, after: dict[str, str]) -> None:
        """What the page settles, what it fetches again, and how far it came: together."""
        at = self.scribe.now()
        axis, day = run.axis.name, run.day.isoformat()

        def commit(tx: Tx) -> None:
            now = tx.now()
            self._keep_turn(tx, run)
            found = Found()
            found.counts["asked"] += page.asked
            found.counts["waiting"] += page.waiting
            for ours, judged in page.judged:
                if judged.settle and not self.settling.settle_by_list(
                    tx, ours.transfer, remote_ref=judged.settle, asked_by=run.id, at=at
                ):
                    judged = _unsettled(judged)  # noqa: PLW2901 - it moved on by itself meanwhile
                found.add(judged)
                for doc_id in judged.fetch:
                    reconciliations.fetch_by_id(tx, axis, doc_id, ours.kind, now=now)
            found.differ(page.differences)
            found.leave_open(page.unanswered)
            held = [d for d in page.differences if d.what is What.FETCH_HELD]
            ledger.append(tx, [made for one in held for made in self._again(tx, run, one, at)])
            made = reconciliations.Page(run.id, run.page + 1, after, found.as_json(), now)
            reconciliations.add_page(tx, axis, day, made)

        await self.store.write(commit)
        run.after, run.page = after, run.page + 1

    def _again(
        self, tx: Tx, run: Run, held: reconcile.Difference, at: datetime
    ) -> list[ledger.NewRecord]:
        """A held package is fetched once more by its id: the axis may be able to give it now."""
        (doc_id,) = held.axis_ids
        if not reconciliations.fetch_again(tx, run.axis.name, doc_id, now=tx.now()):
            return []
        facts = {"axis": run.axis.name, "axis_doc_id": doc_id}
        return [self.scribe.record(Event.FETCH_RELEASED, at, {"reconciliation": run.id}, facts)]

    def _keep_turn(self, tx: Tx, run: Run) -> None:
        now = tx.now()
        name = _lease(run.axis.name)
        if leases.take(tx, name, run.owner, now=now, until=now + self.pace.lease) is None:
            raise Unavailable(
                Text("Tiến trình khác đã tiếp quản", "another process took it over"),
                code="reconciliation.running",
            )

    # -- what we sent -----------------------------------------------------------------------------

    async def _sent(self, run: Run, *, only_due: bool) -> tuple[Judgement, dict[str, str] | None]:
        """One page of transfers, and where the next begins; None: this was the last."""
        begin, end = reconcile.day_bounds(run.day)
        start = begin
        if only_due:
            begin, start = begin - self.limits.answer_within - self.lifetime, begin
        after = run.after
        place = datetime.fromisoformat(after["at"]) if after["at"] else _FIRST

        def look(tx: Tx) -> tuple[list[reconciliations.SentRow], list[Sent]]:
            rows = reconciliations.sent_page(
                tx,
                run.axis.name,
                begin=begin,
                end=start if only_due else end,
                after=(place, after["id"]),
                most=PAGE,
                only_open=only_due,
            )
            return rows, self._facts(tx, rows)

        rows, ours = await self.store.read(look)
        if only_due:
            ours = [one for one in ours if reconcile.falls_due(one, start, end, self.limits)]
        page = await self._compare(run, ours)
        if len(rows) < PAGE:
            return page, None
        last = rows[-1]
        step = run.after["step"]
        return page, {"step": step, "at": last.accepted_at.isoformat(), "id": last.id}

    def _facts(self, tx: Tx, rows: Sequence[reconciliations.SentRow]) -> list[Sent]:
        """Rows as the comparing room takes them; every id that the axis ever gave included."""
        again = [row.document_ref for row in rows if row.attempts > 1]
        bodies = reconciliations.bodies_of_attempts(tx, again, Event.ATTEMPT_ENDED)
        earlier: dict[str, list[str]] = {}
        for body in bodies:
            record = json.loads(body)
            if ref := record["facts"].get("remote_ref"):
                earlier.setdefault(record["about"].get("transfer", ""), []).append(ref)
        receivers: dict[str, list[Receiver]] = {}
        for one in transfers.recipients_of(tx, [row.id for row in rows]) if rows else []:
            receivers.setdefault(one.transfer_id, []).append(
                Receiver(
                    key=one.agency_key,
                    agency=one.agency,
                    state=RecipientState(one.state),
                    status_code=one.status_code,
                    on_axis_at=one.on_axis_at,
                    local=self.is_local(one.agency),
                )
            )
        return [_ours(row, earlier.get(row.id, ()), receivers.get(row.id, ())) for row in rows]

    async def _compare(self, run: Run, ours: Sequence[Sent]) -> Judgement:
        """Ask about every id, look up what the answers name, compare."""
        asks = run.axis.capabilities.follows_up
        questions = [(ref, one.kind) for one in ours for ref in one.refs] if asks else []
        answers = await self._ask(run, questions)
        copies = [copy for answer in answers.values() for copy in answer.copies]
        other_ids = sorted({copy.ref for copy in copies} - answers.keys())
        copy_ids = sorted({copy.copy_ref for copy in copies if copy.copy_ref})
        name = run.axis.name

        def look(tx: Tx) -> tuple[frozenset[str], frozenset[str]]:
            known: set[str] = set()
            here: set[str] = set()
            for start in range(0, max(len(other_ids), len(copy_ids)), SLICE):
                known |= reconciliations.our_ids(tx, name, other_ids[start : start + SLICE])
                some = copy_ids[start : start + SLICE]
                here |= reconciliations.arrivals(tx, name, some).keys()
                here |= reconciliations.fetches(tx, name, some).keys()
            return frozenset(known), frozenset(here)

        known, here = await self.store.read(look) if copies else (frozenset(), frozenset())
        now = self.scribe.now()
        judged = [
            (
                one,
                reconcile.compare_sent(
                    one,
                    [answers[ref] for ref in one.refs if ref in answers],
                    now=now,
                    limits=self.limits,
                    our_ids=known | answers.keys(),
                    here=here,
                    asks=asks,
                ),
            )
            for one in ours
        ]
        put = [a for a in answers.values() if a.why != reconcile.NOT_ASKED]
        return Judgement(judged=judged, asked=len(put), answered=sum(1 for a in put if not a.why))

    async def _ask(
        self, run: Run, questions: Sequence[tuple[str, PackageKind]]
    ) -> dict[str, Answer]:
        gate = asyncio.Semaphore(self.pace.at_once)
        answers: dict[str, Answer] = {}

        async def one(ref: str, kind: PackageKind) -> None:
            async with gate:
                if run.silent >= GIVE_UP:
                    answers[ref] = Answer(ref, why=reconcile.NOT_ASKED)
                    return
                told = await run.axis.follow_up(ref, kind, self.pace.deadline)
            run.silent = 0 if told.failure is None else run.silent + 1
            answers[ref] = self._answer(ref, told)

        async with asyncio.TaskGroup() as group:
            for ref, kind in dict(questions).items():
                group.create_task(one(ref, kind))
        return answers

    def _answer(self, ref: str, told: FollowUp) -> Answer:
        if told.failure is not None:
            return Answer(ref, why=told.failure.code)
        copies = (
            Copy(
                receiver_key=self.key_of(item.receiver),
                ref=item.remote_ref,
                copy_ref=item.receiver_ref,
                notation=item.notation,
                passed_on=item.passed_on,
                taken=item.taken,
            )
            for item in told.items
        )
        return Answer(ref, tuple(copies))

    # -- what waits for us ------------------------------------------------------------------------

    async def _waiting(self, run: Run) -> Judgement:
        """Both lists and their counts, then what we ought to have and do not."""
        can = run.axis.capabilities
        differences: list[reconcile.Difference] = []
        unanswered: list[Open] = []
        listed: set[str] = set()
        asked = answered = 0
        if not can.follows_up:
            unanswered.append(Open("sent", reconcile.NOT_ABLE))
        if not can.counts:
            unanswered.append(Open("count", reconcile.NOT_ABLE))
        whole = can.collects
        if not can.collects:
            unanswered.append(Open("waiting", reconcile.NOT_ABLE))
        for kind in can.kinds if can.collects else ():
            before = await self._count(run, kind) if can.counts else None
            listing = await run.axis.list_waiting(kind, self.pace.deadline)
            after = await self._count(run, kind) if can.counts else None
            counts = [told for told in (before, after) if told is not None]
            unanswered += [Open("count", t, kind.value) for t in counts if isinstance(t, str)]
            asked += 1
            if listing.failure is not None:
                unanswered.append(Open("waiting", listing.failure.code, kind.value))
                whole = False
                continue
            answered += 1
            ids = [item.axis_doc_id for item in listing.items]
            listed.update(ids)
            differences += await self._listed(run, ids)
            counted = [told for told in counts if isinstance(told, int)]
            if len(counted) > 1 and reconcile.counts_differ(counted[0], len(ids), counted[1]):
                state = f"{kind.value}: {counted[0]} != {len(ids)}"
                differences.append(reconcile.Difference(What.NOT_ALL_LISTED, state=state))
        differences += await self._unlisted(run, listed, whole=whole)
        return Judgement(
            differences=differences,
            unanswered=unanswered,
            asked=asked,
            answered=answered,
            waiting=len(listed),
        )

    async def _count(self, run: Run, kind: PackageKind) -> int | str:
        """How many wait, or the code of why the axis could not say."""
        told = await run.axis.count_waiting(kind, self.pace.deadline)
        return told.waiting if told.failure is None else told.failure.code

    async def _listed(self, run: Run, ids: Sequence[str]) -> list[reconcile.Difference]:
        name = run.axis.name
        found: list[reconcile.Difference] = []
        for start in range(0, len(ids), SLICE):
            some = ids[start : start + SLICE]

            def look(tx: Tx, some: Sequence[str] = some) -> list[Waiting]:
                had = reconciliations.arrivals(tx, name, some)
                due = reconciliations.fetches(tx, name, some)
                return [_waiting(i, due.get(i), had.get(i), listed=True) for i in some]

            waiting = await self.store.read(look)
            found += self._judge(waiting)
        return found

    async def _unlisted(
        self, run: Run, listed: set[str], *, whole: bool
    ) -> list[reconcile.Difference]:
        """What we once heard of and do not have, what lies unopened, what came twice.

        `whole`: every list was read, so what is not on them is gone from the axis.
        """
        name = run.axis.name
        begin, end = reconcile.day_bounds(run.day)
        before = self.scribe.now() - self.limits.stuck_after

        def look(tx: Tx) -> list[Waiting]:
            due = reconciliations.unfetched(tx, name, most=MOST_UNFETCHED)
            lying = reconciliations.unopened(tx, name, before=before, most=MOST_UNFETCHED)
            return [
                *(
                    _waiting(row.axis_doc_id, row, None, listed=False)
                    for row in due
                    if whole or row.state == FetchState.HELD
                ),
                *(_waiting(row.axis_doc_id, None, row, listed=False) for row in lying),
            ]

        waiting = await self.store.read(look)
        found = self._judge([one for one in waiting if one.axis_id not in listed])
        after = ""
        while True:
            twice = await self.store.read(
                partial(
                    reconciliations.doubled,
                    axis=name,
                    begin=begin,
                    end=end,
                    agency_keys=self.local_keys,
                    after=after,
                    most=SLICE,
                )
            )
            found += [
                reconcile.Difference(
                    What.ARRIVED_TWICE,
                    document_id=one.document_id,
                    axis_ids=(*one.of, one.axis_doc_id),
                    state=ArrivalState.DUPLICATE.value,
                    since=one.received_at,
                )
                for one in twice
                # doubled by another road (another axis, this house): no fault of this axis
                if one.of and one.axis_doc_id not in one.of
            ]
            if len(twice) < SLICE:
                return found
            after = twice[-1].axis_doc_id

    def _judge(self, waiting: Sequence[Waiting]) -> list[reconcile.Difference]:
        now = self.scribe.now()
        judged = (reconcile.compare_waiting(w, now=now, limits=self.limits) for w in waiting)
        return [one for one in judged if one is not None]

    # -- the report -------------------------------------------------------------------------------

    async def _sign(self, run: Run) -> reconciliations.Made:
        axis, day = run.axis.name, run.day.isoformat()
        found = Found()
        for number in range(1, run.page + 1):
            page = partial(reconciliations.found_on, axis=axis, day=day, number=number)
            found.merge(await self.store.read(page))
        at = self.scribe.now()
        can = run.axis.capabilities
        about = About(
            id=run.id,
            gateway=self.scribe.origin,
            axis=axis,
            day=run.day,
            by=run.by,
            begun_at=run.begun_at,
            made_at=at,
            limits=self.limits,
            axis_can={"follow_up": can.follows_up, "list": can.collects, "count": can.counts},
        )
        signed = sign_report(report_json(about, found), self.scribe.origin, at, self.scribe.key)
        record = self.scribe.record(
            Event.RECONCILIATION_MADE,
            at,
            {"reconciliation": run.id, "by": run.by},
            {"axis": axis, "day": day, "report_sha256": signed.sha256, "counts": found.counts},
        )
        made = reconciliations.Made(
            id=run.id,
            axis=axis,
            day=day,
            once=run.once,
            made_at=at,
            counts=found.counts,
            report=signed.report,
            note=signed.note,
            record_id=record.id,
        )

        def commit(tx: Tx) -> None:
            self._keep_turn(tx, run)
            reconciliations.keep(tx, made)
            reconciliations.drop_pages(tx, axis, day)
            ledger.append(tx, [record])

        await self.store.write(commit)
        return made


def once(axis: str, day: date) -> str:
    """The key of a daily report: one for each axis and day."""
    return f"{axis}/{day.isoformat()}"


def _lease(axis: str) -> str:
    return f"reconcile:{axis}"


def _unsettled(judged: reconcile.Judged) -> reconcile.Judged:
    kept = tuple(d for d in judged.differences if d.what is not What.KNOWN_TO_AXIS)
    return reconcile.Judged(kept, judged.unanswered, "", judged.fetch)


def _waiting(
    axis_id: str,
    due: reconciliations.FetchRow | None,
    had: reconciliations.ArrivalRow | None,
    *,
    listed: bool,
) -> Waiting:
    return Waiting(
        axis_id,
        listed,
        fetch=FetchState(due.state) if due else None,
        listed_at=due.listed_at if due else None,
        arrival=ArrivalState(had.state) if had else None,
        received_at=had.received_at if had else None,
    )


def _ours(
    row: reconciliations.SentRow, earlier: Sequence[str], receivers: Sequence[Receiver]
) -> Sent:
    refs = dict.fromkeys(ref for ref in (row.remote_ref, *earlier) if ref)
    code = row.header.get("code") or {}
    shown = (str(code.get(part) or "") for part in ("number", "notation"))
    return Sent(
        transfer=row.id,
        document=row.document_ref,
        document_id=row.document_id,
        kind=PackageKind(row.kind),
        state=TransferState(row.state),
        doubt=row.doubt,
        refs=tuple(refs),
        accepted_at=row.accepted_at,
        receivers=tuple(receivers),
        due_date=_day(str(row.header.get("due_date") or "")),
        notation="/".join(part for part in shown if part),
    )


def _day(text: str) -> date | None:
    """A DueDate as units write it; None when it is none."""
    try:
        return date.fromisoformat(text.strip().replace("/", "-"))
    except ValueError:
        return None
