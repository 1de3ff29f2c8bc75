"""What an axis is asked of one day, and what its answers come to: the questions, no commit.

In:     an axis; our rows of the day, page by page; `now`.
Out:    Judgement: a page as the comparing room sees it (`dispatch/reconcile.py`).
Fails:  Unavailable when the store does; whatever the axis does is an answer, or an open question.
Never:  writes; asks more than `at_once` questions side by side; goes on asking an axis that left
        many of them unanswered.
Next:   `gateway/reconciling.py` owns the order and the commits.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import NamedTuple

from gateway.dispatch import reconcile
from gateway.dispatch.reconcile import Answer, Copy, Limits, Open, Receiver, Sent, Waiting, What
from gateway.model.arrival import ArrivalState, FetchState
from gateway.model.package import PackageKind
from gateway.model.transfer import RecipientState, TransferState
from gateway.ports import Axis, FollowUp
from gateway.store import Store, Tx, reconciliations, transfers
from gateway.telemetry.events import Event

PAGE = 100
SLICE = 500
MOST_UNFETCHED = 5000
# so many questions in a row without an answer: the rest of the page is not asked
GIVE_UP = 20
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

    @property
    def silence(self) -> timedelta:
        """How long an axis that answers nothing is asked: until it is given up, and both lists
        with their counts.
        """
        rounds = math.ceil(GIVE_UP / self.at_once) + 1
        return timedelta(seconds=self.deadline * (rounds + 2 * 3))


class Judgement(NamedTuple):
    """One page before its commit."""

    judged: Sequence[tuple[Sent, reconcile.Judged]] = ()
    differences: Sequence[reconcile.Difference] = ()
    unanswered: Sequence[Open] = ()
    asked: int = 0
    answered: int = 0
    waiting: int = 0


class Place(NamedTuple):
    """Where a page of transfers begins: behind this one, in the order of acceptance."""

    at: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Ours:
    """What this house knows of itself. `key_of`, `is_local`: of a code, in either form.

    `lifetime`: how long a transfer may be tried, which bounds how far back is looked.
    """

    key_of: Callable[[str], str]
    is_local: Callable[[str], bool]
    local_keys: Sequence[str]
    lifetime: timedelta


@dataclass(slots=True)
class Enquiry:
    """One axis and one day. `silent`: questions without an answer, in a row."""

    axis: Axis
    day: date
    store: Store
    ours: Ours
    now: Callable[[], datetime]
    limits: Limits
    pace: Pace
    silent: int = 0

    # -- what we sent -----------------------------------------------------------------------------

    async def sent(self, after: Place, *, only_due: bool) -> tuple[Judgement, Place | None]:
        """One page of transfers, and where the next begins; None: this was the last."""
        begin, end = reconcile.day_bounds(self.day)
        start = begin
        if only_due:
            begin, start = begin - self.limits.answer_within - self.ours.lifetime, begin
        begun = datetime.fromisoformat(after.at) if after.at else _FIRST

        def look(tx: Tx) -> tuple[list[reconciliations.SentRow], list[Sent]]:
            rows = reconciliations.sent_page(
                tx,
                self.axis.name,
                begin=begin,
                end=start if only_due else end,
                after=(begun, after.id),
                most=PAGE,
                only_open=only_due,
            )
            return rows, self._facts(tx, rows)

        rows, ours = await self.store.read(look)
        if only_due:
            ours = [one for one in ours if reconcile.falls_due(one, start, end, self.limits)]
        page = await self._compare(ours)
        if len(rows) < PAGE:
            return page, None
        last = rows[-1]
        return page, Place(last.accepted_at.isoformat(), last.id)

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
                    local=self.ours.is_local(one.agency),
                )
            )
        return [_ours(row, earlier.get(row.id, ()), receivers.get(row.id, ())) for row in rows]

    async def _compare(self, ours: Sequence[Sent]) -> Judgement:
        """Ask about every id, look up what the answers name, compare."""
        asks = self.axis.capabilities.follows_up
        questions = [(ref, one.kind) for one in ours for ref in one.refs] if asks else []
        answers = await self._ask(questions)
        copies = [copy for answer in answers.values() for copy in answer.copies]
        other_ids = sorted({copy.ref for copy in copies} - answers.keys())
        copy_ids = sorted({copy.copy_ref for copy in copies if copy.copy_ref})
        name = self.axis.name

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
        now = self.now()
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

    async def _ask(self, questions: Sequence[tuple[str, PackageKind]]) -> dict[str, Answer]:
        gate = asyncio.Semaphore(self.pace.at_once)
        answers: dict[str, Answer] = {}

        async def one(ref: str, kind: PackageKind) -> None:
            async with gate:
                if self.silent >= GIVE_UP:
                    answers[ref] = Answer(ref, why=reconcile.NOT_ASKED)
                    return
                told = await self.axis.follow_up(ref, kind, self.pace.deadline)
            self.silent = 0 if told.failure is None else self.silent + 1
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
                receiver_key=self.ours.key_of(item.receiver),
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

    async def waiting(self) -> Judgement:
        """Both lists and their counts, then what we ought to have and do not."""
        can = self.axis.capabilities
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
            before = await self._count(kind) if can.counts else None
            listing = await self.axis.list_waiting(kind, self.pace.deadline)
            after = await self._count(kind) if can.counts else None
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
            differences += await self._listed(ids)
            counted = [told for told in counts if isinstance(told, int)]
            if len(counted) > 1 and reconcile.counts_differ(counted[0], len(ids), counted[1]):
                state = f"{kind.value}: {counted[0]} != {len(ids)}"
                differences.append(reconcile.Difference(What.NOT_ALL_LISTED, state=state))
        differences += await self._unlisted(listed, whole=whole)
        return Judgement(
            differences=differences,
            unanswered=unanswered,
            asked=asked,
            answered=answered,
            waiting=len(listed),
        )

    async def _count(self, kind: PackageKind) -> int | str:
        """How many wait, or the code of why the axis could not say."""
        told = await self.axis.count_waiting(kind, self.pace.deadline)
        return told.waiting if told.failure is None else told.failure.code

    async def _listed(self, ids: Sequence[str]) -> list[reconcile.Difference]:
        name = self.axis.name
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

    async def _unlisted(self, listed: set[str], *, whole: bool) -> list[reconcile.Difference]:
        """What we once heard of and do not have, what lies unopened, what came twice.

        `whole`: every list was read, so what is not on them is gone from the axis.
        """
        name = self.axis.name
        begin, end = reconcile.day_bounds(self.day)
        before = self.now() - self.limits.stuck_after

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
                    agency_keys=self.ours.local_keys,
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
        now = self.now()
        judged = (reconcile.compare_waiting(w, now=now, limits=self.limits) for w in waiting)
        return [one for one in judged if one is not None]


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
