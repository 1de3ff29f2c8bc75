"""The corridor of reconciliation: one axis, one day -> asked, compared, settled, signed.

In:     transfers accepted on that day, and older ones whose time ran out on it; what waits for us.
Out:    a signed report and its record; doubt that the axis' own list ended; packages that are
        fetched once more by their id.
Fails:  Unavailable while another process reconciles this axis, or when a patient run finds an
        axis that answers nothing; Rejected for an axis or a day that cannot be.
Never:  sends, repeats or withdraws; calls a document lost because an axis was silent; holds a day
        in memory: it goes page by page, and a run that was broken off goes on where it was.

`enquiring` asks; what each answer means is decided in `dispatch/reconcile.py`, without a network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from gateway.dispatch import reconcile
from gateway.dispatch.reconcile import Limits, What
from gateway.dispatch.report import About, Found, report_json
from gateway.enquiring import Enquiry, Judgement, Ours, Pace, Place
from gateway.errors import Rejected, Text, Unavailable, Unknown
from gateway.ledger.reconciliation import sign_report
from gateway.ports import Axis
from gateway.promise import no_axis
from gateway.scribe import Scribe
from gateway.settling import Settling
from gateway.shapes import listed_json, reconciliation_json
from gateway.store import Store, Tx, Violation, leases, ledger, reconciliations
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger

DAILY = "daily"  # who asked, when it was the clock
RESUME_WITHIN = timedelta(hours=1)
PATIENCE = timedelta(hours=6)
_START = {"step": "sent", "at": "", "id": ""}
_STEPS = {"sent": "due", "due": "waiting", "waiting": "end"}


@dataclass(slots=True)
class Run:
    """One reconciliation under way."""

    id: str
    enquiry: Enquiry
    by: str
    owner: str
    begun_at: datetime
    after: dict[str, str]
    page: int

    @property
    def axis(self) -> Axis:
        return self.enquiry.axis

    @property
    def day(self) -> date:
        return self.enquiry.day

    @property
    def once(self) -> str:
        return once(self.axis.name, self.day) if self.by == DAILY else self.id


@dataclass(slots=True)
class Reconciling:
    """Every axis of this process; `owner` is this process."""

    axes: Mapping[str, Axis]
    store: Store
    scribe: Scribe
    settling: Settling
    ours: Ours
    owner: str
    limits: Limits
    pace: Pace
    _before_first: dict[str, date] = field(default_factory=dict)  # a beginning stays what it is
    _under_way: set[asyncio.Task[reconciliations.Made]] = field(default_factory=set)

    # -- the whole walk ---------------------------------------------------------------------------

    async def make(self, axis: str, day: date, by: str) -> reconciliations.Made:
        """From the first question to the signed report."""
        return await self.finish(await self.begin(axis, day, by))

    async def begin(self, axis: str, day: date, by: str) -> Run:
        """Take the axis' turn, and go on with what a run before left of this day.

        Unknown `axis.unknown`; Rejected `reconciliation.future`, `reconciliation.before`;
        Unavailable `reconciliation.running`: one at a time for each axis.
        """
        found = self.axes.get(axis)
        if found is None:
            raise Unknown(no_axis(axis), code="axis.unknown")
        at = self.scribe.now()
        # days are compared, not their instants: the first and the last of the calendar have none
        if day > at.astimezone(reconcile.VIETNAM).date():
            raise Rejected(
                Text(f"Ngày {day} chưa đến", f"the day {day} has not come yet"),
                code="reconciliation.future",
            )
        if day < reconcile.FIRST_DAY:
            raise Rejected(
                Text(
                    f"Ngày {day} có trước gateway này; hãy xem lại năm",
                    f"the day {day} is before this gateway; look at the year again",
                ),
                code="reconciliation.before",
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
            enquiry=Enquiry(
                axis=found,
                day=day,
                store=self.store,
                ours=self.ours,
                now=self.scribe.now,
                limits=self.limits,
                pace=self.pace,
            ),
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
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[reconciliations.Made]) -> None:
        self._under_way.discard(task)
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            code = getattr(problem, "code", type(problem).__name__)
            get_logger(worker="reconcile").warning(Event.RECONCILIATION_PUT_OFF, code=code)

    async def close(self) -> None:
        """Break off what is under way; it goes on when it is asked for again."""
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way))

    # -- what is shown ----------------------------------------------------------------------------

    async def one(self, run_id: str) -> dict[str, Any]:
        """A report, or how far its run is. Unknown `reconciliation.unknown`."""

        def look(tx: Tx) -> dict[str, Any]:
            made = reconciliations.by_id(tx, run_id)
            if made is not None:
                return reconciliation_json(made)
            run = reconciliations.run_of(tx, run_id)
            if run is None:
                raise Unknown(
                    Text("Không có lần đối soát này", "there is no such reconciliation"),
                    code="reconciliation.unknown",
                )
            axis, day = run
            under_way = leases.is_held(tx, _lease(axis), tx.now())
            state = "running" if under_way else "broken_off"
            return {"id": run_id, "state": state, "axis": axis, "day": day}

        return await self.store.read(look)

    async def page(
        self, *, axis: str, day: str, cursor: str, limit: int
    ) -> tuple[list[dict[str, Any]], str]:
        """Reports, the newest first, without what they say; `cursor`: the last id of before."""

        def look(tx: Tx) -> list[reconciliations.Listed]:
            return reconciliations.page(tx, axis=axis, day=day, before=cursor, most=limit + 1)

        rows = await self.store.read(look)
        more, rows = len(rows) > limit, rows[:limit]
        return [listed_json(row) for row in rows], rows[-1].id if more else ""

    # -- daily ------------------------------------------------------------------------------------

    async def due(self, axis: str) -> list[date]:
        """Days without their daily report, oldest first."""
        if self.pace.at is None:
            return []
        return reconcile.days_due(self.scribe.now(), self.pace.at, await self._newest(axis))

    async def _newest(self, axis: str) -> date | None:
        """As `reported_until`, which looks for the beginning of an axis only once."""
        if axis in self._before_first:
            newest = await self.store.read(lambda tx: reconciliations.newest_daily(tx, axis))
            return date.fromisoformat(newest) if newest else self._before_first[axis]
        until = await self.store.read(partial(reported_until, axis=axis))
        if until is not None:
            self._before_first[axis] = until
        return until

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
            page, after = await run.enquiry.waiting(), None
        else:
            place = Place(run.after["at"], run.after["id"])
            page, after = await run.enquiry.sent(place, only_due=step == "due")
        if patient and page.asked and not page.answered:
            name = run.axis.name
            raise Unavailable(
                Text(
                    f"Trục {name} không trả lời; đối soát sẽ thử lại",
                    f"axis {name} answers nothing; its reconciliation is tried again",
                ),
                code="reconciliation.put_off",
            )
        following = Place() if after is None else after
        step = _STEPS[step] if after is None else step
        await self._commit(run, page, {"step": step, **following._asdict()})

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

    # -- the report -------------------------------------------------------------------------------

    async def _sign(self, run: Run) -> reconciliations.Made:
        axis, day = run.axis.name, run.day.isoformat()
        found = Found()
        for number in range(1, run.page + 1):
            page = partial(reconciliations.found_on, axis=axis, day=day, number=number)
            found.merge(await self.store.read(page))
        skipped = None
        if run.by == DAILY:
            skipped = reconcile.days_skipped(await self._newest(axis), run.day)
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
            skipped=skipped,
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
        if skipped is not None:
            get_logger(worker="reconcile").warning(
                Event.RECONCILIATION_SKIPPED,
                axis=axis,
                first=skipped[0].isoformat(),
                last=skipped[1].isoformat(),
                advice=Event.RECONCILIATION_SKIPPED.advice,
            )
        return made


def reported_until(
    tx: Tx,
    axis: str,
    began: Callable[[Tx, str], datetime | None] = reconciliations.first_known,
) -> date | None:
    """The last day that has its daily report, or of which there is nothing to report; None: there
    never was anything. `began`: when an axis began; asked while there is no daily report.
    """
    if newest := reconciliations.newest_daily(tx, axis):
        return date.fromisoformat(newest)
    first = began(tx, axis)
    return first.astimezone(reconcile.VIETNAM).date() - timedelta(days=1) if first else None


def once(axis: str, day: date) -> str:
    """`reconciliations.daily_key` of a date."""
    return reconciliations.daily_key(axis, day.isoformat())


def _lease(axis: str) -> str:
    return f"reconcile:{axis}"


def _unsettled(judged: reconcile.Judged) -> reconcile.Judged:
    kept = tuple(d for d in judged.differences if d.what is not What.KNOWN_TO_AXIS)
    return reconcile.Judged(kept, judged.unanswered, "", judged.fetch)
