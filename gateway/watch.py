"""What stands still, and what that puts at risk: for /readyz and for /metrics.

In:     the store; the blob store; limits from the configuration.
Out:    alarms, worded in `alarming`; gauges.
Never:  writes (but a spool file that is gone at once); costs more as history grows (it counts what
        waits, not what is done).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import NamedTuple

from gateway import drifting
from gateway.alarming import Alarm, Patience, Reported, Seen, age_of, alarms_of
from gateway.braking import Braking, Gap, Level
from gateway.braking import look as look_at_stamps
from gateway.dispatch.reconcile import MOST_MADE_UP, VIETNAM, due_since
from gateway.dispatch.report import WANTING
from gateway.errors import Broken, Finding, Severity, Text, Unavailable
from gateway.model.arrival import ArrivalState
from gateway.model.breaker import BreakerState
from gateway.model.transfer import CLAIMABLE, TransferState
from gateway.ports import BlobStore, SyncState
from gateway.reconciling import reported_until
from gateway.store import (
    Store,
    Tx,
    breakers,
    inbox,
    ledger,
    reconciliations,
    revocations,
    watching,
)
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics

UNKNOWN = SyncState(None)
TOLD_FOR = timedelta(days=1)  # what a daily report misses rings for so long
NOBODY = "0" * 64  # the digest of nothing that anybody has found
TRIAL = bytes(64 * 1024)
_WAITING = frozenset(s.value for s in CLAIMABLE)


async def readiness(
    store: Store,
    patience: Patience,
    braking: Braking,
    *,
    axes: Sequence[str] = (),
    backlog: int = 0,
    sync: SyncState = UNKNOWN,
) -> list[Finding]:
    """Why this gateway should not be given work now; warnings come long before errors.

    `backlog`: waiting transfers, as `measure` counted them last. `sync`: of the system's clock.
    """

    def look(tx: Tx) -> Seen:
        now = tx.now()
        asked = revocations.asked_longest_ago(tx) if patience.revocation_max_age else None
        return Seen(
            now,
            age_of(now, ledger.oldest_pending(tx)),
            look_at_stamps(tx),
            age_of(now, asked),
            {a: _ages(now, watching.oldest_due(tx, a)) for a in axes},
            {a: breakers.seen(tx, a) for a in axes},
            watching.turns(tx),
            watching.oldest_snapshot(tx),
            drifting.last(tx),
            _reported(tx, patience.reconciled, patience.reconcile_at, now),
        )

    seen = await store.read(look)
    return list(alarms_of(seen, patience, braking, backlog=backlog, sync=sync))


class Measured(NamedTuple):
    """`backlog`: transfers that wait for an attempt; `held`: those that wait for a person."""

    backlog: int
    held: int


async def measure(
    store: Store,
    metrics: Metrics,
    *,
    axes: Sequence[str],
    agencies: Sequence[str],
    braking: Braking,
    sync: SyncState = UNKNOWN,
    workers: Sequence[str] = (),
    lists: Sequence[tuple[str, str]] = (),
    reconciled: Sequence[str] = (),
    reconcile_at: time | None = None,
    since: datetime | None = None,
) -> Measured:
    """Set the gauges.

    `braking` is told what no stamp covers. `workers`: which must turn somewhere; one that nobody
    ever turned counts from `since`. `lists`: (axis, kind) of what must be read somewhere.
    """

    def look(tx: Tx) -> _Figures:
        now = tx.now()
        return _Figures(
            unsealed=age_of(now, ledger.oldest_pending(tx)),
            gap=look_at_stamps(tx),
            quarantined=watching.arrivals_in(tx, ArrivalState.QUARANTINED),
            unopened=age_of(now, watching.oldest_unopened(tx)),
            orphans=watching.arrivals_in(tx, ArrivalState.ORPHAN),
            inbox=inbox.count_waiting(tx, agencies),
            axes={axis: _of_axis(tx, axis, now) for axis in axes},
            snapshot=watching.oldest_snapshot(tx),
            drift=drifting.last(tx),
            turns={w: age_of(now, t.at) for w, t in watching.turns(tx).items()},
            since=age_of(now, since),
            now=now,
            reported=_reported(tx, reconciled, reconcile_at, now),
        )

    seen = await store.read(look)
    level, waited = braking.seen(seen.gap), braking.age(seen.gap)
    left = (braking.limits.max_delay - waited).total_seconds()
    metrics.clock(seen.drift, unsynchronised=sync.synchronised is False)
    metrics.stamp_level(list(Level).index(level), left)
    backlog = 0
    for axis, one in seen.axes.items():
        for lane in watching.LANES:
            waiting = sum(w.number for w in one.waiting if w.lane == lane and w.state in _WAITING)
            backlog += waiting
            metrics.lane_waits(
                axis, lane, backlog=waiting, oldest_due_seconds=one.due.get(lane, 0.0)
            )
        for state, count in one.dead.items():
            metrics.dead(axis, state, count)
        metrics.breaker(axis, one.standing.value.lower())
    held = sum(one.held for one in seen.axes.values())
    metrics.waits(
        oldest_unsealed_seconds=seen.unsealed,
        oldest_unopened_seconds=seen.unopened,
        oldest_unstamped_seconds=waited.total_seconds(),
        held=held + sum(one.held_fetches for one in seen.axes.values()),
        quarantined=seen.quarantined,
        orphans=seen.orphans,
        inbox=seen.inbox,
    )
    if seen.snapshot is not None:
        metrics.snapshot(store.dialect, seen.snapshot)
    for worker in workers:
        metrics.silent(worker, seen.turns.get(worker, seen.since))
    for axis, kind in lists:
        metrics.unlisted(axis, kind, seen.turns.get(watching.reading(axis, kind), seen.since))
    for axis, reported in seen.reported.items():
        metrics.reconciled(
            axis,
            age_of(seen.now, reported.missing_since),
            {
                kind.value: sum(counts.get(kind.value, 0) for counts in reported.days.values())
                for kind in WANTING
            },
        )
    return Measured(backlog, held)


class _OfAxis(NamedTuple):
    waiting: Sequence[watching.Waiting]
    due: Mapping[int, float]
    dead: Mapping[str, int]
    held_fetches: int
    standing: BreakerState

    @property
    def held(self) -> int:
        return sum(w.number for w in self.waiting if w.state == TransferState.HELD.value)


class _Figures(NamedTuple):
    unsealed: float
    gap: Gap
    quarantined: int
    unopened: float
    orphans: int
    inbox: int
    axes: Mapping[str, _OfAxis]
    snapshot: float | None
    drift: float
    turns: Mapping[str, float]
    since: float
    now: datetime
    reported: Mapping[str, Reported]


def _of_axis(tx: Tx, axis: str, now: datetime) -> _OfAxis:
    return _OfAxis(
        watching.waiting(tx, axis),
        _ages(now, watching.oldest_due(tx, axis)),
        watching.dead(tx, axis),
        watching.held_fetches(tx, axis),
        breakers.seen(tx, axis).state,
    )


def _reported(tx: Tx, axes: Sequence[str], at: time | None, now: datetime) -> dict[str, Reported]:
    """Of each axis that is reconciled by the clock, what its reports say.

    An axis that only receives is late only once it has had a report: when it began is known by
    reading all that came, which no look that is repeated every few seconds may do.
    """
    found: dict[str, Reported] = {}
    if at is None:
        return found
    for axis in axes:
        until = reported_until(tx, axis, reconciliations.first_sent)
        since = now - TOLD_FOR
        # the earliest day whose daily report can have been made after that
        made_up = since.astimezone(VIETNAM).date() - timedelta(days=MOST_MADE_UP + 1)
        first = min(made_up, until or made_up).isoformat()
        last = reconciliations.told_since(tx, axis, since, first)
        days = {one.day: one.counts for one in last}
        found[axis] = Reported(due_since(now, at, until), days)
    return found


def _ages(now: datetime, by_lane: Mapping[int, datetime]) -> dict[int, float]:
    return {lane: age_of(now, at) for lane, at in by_lane.items()}


class FileWatch:
    """Whether packages can be kept and found. Looked at every few seconds, by every process.

    A look may take as long as a request to an object store may; who asks for readiness is told
    what the last look found, at once.
    """

    def __init__(self, blobs: BlobStore, metrics: Metrics) -> None:
        self._blobs = blobs
        self._metrics = metrics
        self.finding: Finding | None = None

    async def look(self) -> bool:
        """One turn of a worker: there is never more to do at once."""
        before = self.finding
        try:
            await asyncio.to_thread(_try_out, self._blobs)
            self.finding = None
        except Unavailable as away:
            self.finding = Alarm(
                path="blobs",
                code=away.code,
                severity=Severity.ERROR,
                text=away.text,
                at_risk=Text(
                    "không nhận được văn bản mới; việc gửi và lấy tạm dừng, không mất gì",
                    "nothing is accepted; sending and fetching pause, nothing is lost",
                ),
                until=Text(
                    "kho tệp trả lời lại; mọi việc tự tiếp tục",
                    "the store of packages answers again; everything goes on by itself",
                ),
                do=Text(
                    "xem ổ đĩa còn chỗ không, kho đối tượng có trả lời không",
                    "look whether the disk has room and the object store answers",
                ),
            )
        self._metrics.files_away(self.finding is not None)
        if (before is None) != (self.finding is None):
            log = get_logger(worker="files")
            if self.finding is None:
                log.info(Event.BLOBS_BACK)
            else:
                advice = Event.BLOBS_AWAY.advice
                log.warning(Event.BLOBS_AWAY, detail=self.finding.text.en, advice=advice)
        return False


def _try_out(blobs: BlobStore) -> None:
    """Room for a file under way, and an answer to a question. Raises Unavailable."""
    with blobs.spool() as spooled:
        spooled.write(TRIAL)
        spooled.flush()
    try:
        blobs.open(NOBODY).close()
    except Broken:
        return
