"""The figures of one process, in Prometheus text.

In:     calls of doors and workers: what happened, how long it took, how much waits.
Out:    `expose()`: the text that `/metrics` serves.
Fails:  never.
Never:  takes a label from a document or a request: axes, workers, outcomes, routes of our own API.

Few, and each says what to do when it rises. One object a process, made by the wiring: no globals,
so that two gateways in one test do not share figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SHORT = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BREAKER = ("closed", "half_open", "open")
STAMPED = ("strict", "tolerant", "untrusted", "unavailable")
OUTCOMES = ("delivered", "deferred", "refused", "uncertain")
_ALARMED_CODES = ("secrecy.marked", "account.unauthenticated")
_CAUSES = {
    "connect.certificate": "certificate",
    "http.401": "account",
    "http.403": "account",
    "collect.unconfirmed": "unconfirmed",
}
_LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


class Metrics:
    """`monotonic` gives seconds; tests put a clock of their own there."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._monotonic = monotonic
        self._turned: dict[str, float] = {}
        self._listed: dict[tuple[str, str], float] = {}
        self._attempts: dict[tuple[str, str], Counter] = {}
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

        self._accepted = self._counter(
            "edoc_accepted",
            "Submissions and statuses promised. If this falls to nothing in office hours, ask "
            "whether unit systems can reach the gateway.",
            "kind",
        )
        self._refused = self._counter(
            "edoc_refused",
            "Requests refused, by error code. If this rises, a unit system changed or a key is "
            "being tried.",
            "code",
        )
        self._accept_seconds = Histogram(
            "edoc_accept_seconds",
            "From the last byte of a submission to the commit of its promise. If this rises, the "
            "disk is slow or the writer is crowded.",
            buckets=_SHORT,
            registry=self.registry,
        )
        self._attempt_count = self._counter(
            "edoc_attempts",
            "Attempts by axis and outcome. If `deferred` or `uncertain` rises, the axis is in "
            "trouble; if `refused` rises, ask what its operator changed.",
            "axis",
            "outcome",
        )
        self._attempt_seconds = Histogram(
            "edoc_attempt_seconds",
            "Duration of one attempt. If this rises, the axis or the line to it is slow.",
            ("axis",),
            buckets=_LONG,
            registry=self.registry,
        )
        self._delivery_seconds = Histogram(
            "edoc_delivery_seconds",
            "From the promise to the axis. If this rises while attempts are quick, more hands for "
            "the axis are needed (axis.max_connections).",
            ("axis",),
            buckets=(*_LONG, 900.0, 3600.0),
            registry=self.registry,
        )
        self._sealed = self._counter(
            "edoc_records_sealed", "Ledger records that got their entry. If this stops, see `seal`."
        )
        self._oldest_unsealed = self._gauge(
            "edoc_oldest_unsealed_seconds",
            "Age of the oldest record without an entry. If this rises above a few seconds, the "
            "worker `seal` stands still; at seal.max_delay accepting answers 503.",
        )
        self._oldest_unopened = self._gauge(
            "edoc_oldest_unopened_seconds",
            "Age of the oldest package that came and is not opened yet. If this rises to minutes, "
            "the worker `open` stands still, fails, or is slower than packages come.",
        )
        self._last_stamp = self._gauge(
            "edoc_last_stamp_timestamp_seconds",
            "Time in the newest timestamp token (Unix). If time() minus this rises while records "
            "are sealed, the authority does not answer.",
        )
        self._oldest_due = self._gauge(
            "edoc_oldest_due_seconds",
            "How long the oldest due transfer has been waiting, by axis and lane (0 hỏa tốc to 3 "
            "thường). If this rises, the axis is slower than the documents come, or `deliver` "
            "stands still.",
            "axis",
            "lane",
        )
        self._backlog = self._gauge(
            "edoc_backlog",
            "Transfers that wait for their next attempt, by axis and lane. If this rises for long, "
            "compare edoc_attempts: no attempts = worker, deferred attempts = axis.",
            "axis",
            "lane",
        )
        self._held = self._gauge(
            "edoc_held", "Transfers and fetches that wait for a person. If this is not 0: decide."
        )
        self._quarantined = self._gauge(
            "edoc_quarantined",
            "Arrivals that could not be opened, at most 10000. If this rises: read findings.",
        )
        self._orphans = self._gauge(
            "edoc_orphans",
            "Statuses for documents that we do not know, at most 10000. If this rises without a "
            "restore before it, ask the axis whose they are.",
        )
        self._dead = self._gauge(
            "edoc_dead",
            "Transfers that ended undelivered (REFUSED, EXPIRED) and were not replayed, by axis, "
            "at most 10000. If this rises, a document did not arrive: tell its unit.",
            "axis",
            "state",
        )
        self._breaker = self._gauge(
            "edoc_breaker_state",
            "The axis' breaker: 0 closed, 1 half open (a probe), 2 open. If this stays "
            "above 0, the axis does not answer, and probes alone are sent to it.",
            "axis",
        )
        self._unstamped = self._gauge(
            "edoc_oldest_unstamped_seconds",
            "Age of the oldest checkpoint that no timestamp covers; 0 without an authority. "
            "If this rises to hours, no authority answers; at stamp.max_delay comes the brake.",
        )
        self._drift = self._gauge(
            "edoc_clock_drift_seconds",
            "How far our clock is surely off, as the newest stamp shows: above 0 ahead, below 0 "
            "behind. If this is not 0 for long, repair the time synchronisation.",
        )
        self._synchronised = self._gauge(
            "edoc_clock_unsynchronised",
            "1 while the system says that its clock is not synchronised. If this is 1, repair "
            "the time synchronisation (chrony, systemd-timesyncd).",
        )
        self._stamps = self._counter(
            "edoc_stamps",
            "Answers of timestamp authorities, in the words of STAMPED. If `unavailable` rises, "
            "one does not answer; if `untrusted` rises, its answers are wrong: ask it.",
            "authority",
            "result",
        )
        self._stamp_cost = self._counter(
            "edoc_stamps_cost",
            "What stamps cost, in the unit of stamp.authorities.cost. If this rises faster than "
            "planned, see which authority answers (edoc_stamps).",
            "authority",
        )
        self._stamp_seconds = Histogram(
            "edoc_stamp_seconds",
            "Time that an authority took to answer, or not. If this rises, it is slow; sending "
            "does not wait for it.",
            ("authority",),
            buckets=_LONG,
            registry=self.registry,
        )
        self._stamp_level = self._gauge(
            "edoc_stamp_level",
            "0 normal, 1 provisional (our own time, until a stamp covers it), 2 brake (new "
            "documents are held or refused). If this is not 0, ask the timestamp authorities.",
        )
        self._brake_in = self._gauge(
            "edoc_stamp_brake_in_seconds",
            "Seconds until the brake (stamp.max_delay when nothing waits for a stamp; 0: it is "
            "on). If this falls, ask the timestamp authorities.",
        )
        self._snapshot = self._gauge(
            "edoc_database_snapshot_seconds",
            "Age of the oldest open transaction of the database, as far as our role may see; "
            "absent on SQLite. If this rises to minutes, dead rows pile up and claims get slow.",
            "database",
        )
        self._alarms = self._counter(
            "edoc_axis_alarms",
            "Answers of an axis that no repetition mends, by cause: certificate, account, other. "
            "If this rises, look at the axis' settings now.",
            "axis",
            "cause",
        )
        self._files_away = self._gauge(
            "edoc_blobs_away",
            "1 while packages cannot be kept or read. If this is not 0: the disk is full, or the "
            "object store does not answer.",
        )
        self._waiting_items = self._gauge(
            "edoc_inbox_waiting",
            "Inbox items not yet confirmed. If this rises, a unit's system does not fetch.",
        )
        self._fetched = self._counter(
            "edoc_fetched",
            "Packages fetched from an axis, by result. If `failed` rises, downloads are cut.",
            "axis",
            "result",
        )
        self._since_turn = self._gauge(
            "edoc_worker_idle_seconds",
            "Seconds since a turn of a worker of this process succeeded. If this rises above its "
            "interval, the worker hangs, fails or is gone.",
            "worker",
        )
        self._silent = self._gauge(
            "edoc_worker_silent_seconds",
            "Seconds since a turn of this worker succeeded in any process, as written down in the "
            "database every 15 s. If this rises to minutes, no process does this work any more.",
            "worker",
        )
        self._failures = self._counter(
            "edoc_worker_failures",
            "Turns of a worker of this process that ended in an error. If this rises, read "
            "worker.unavailable and worker.surprised in its log.",
            "worker",
        )
        self._unlisted = self._gauge(
            "edoc_unlisted_seconds",
            "Seconds since any process could read what an axis lists for us, by kind of package. "
            "If this rises to minutes, documents may lie on the axis, and nobody here knows them.",
            "axis",
            "kind",
        )
        self._wanting = self._gauge(
            "edoc_reconciliation_wanting",
            "Differences that want a person, in the last reports of the newest day that has its "
            "daily reconciliation and of the days reported in the last 24 hours. If missing or "
            "doubled is not 0, ask the axis' operator.",
            "axis",
            "kind",
        )
        self._unreported = self._gauge(
            "edoc_reconciliation_overdue_seconds",
            "Seconds since the oldest daily reconciliation that is not made was due; 0: none is "
            "missing. If this rises to hours, the axis answers nothing or `sweep` stands still.",
            "axis",
        )
        self._turn_seconds = Histogram(
            "edoc_worker_turn_seconds",
            "Duration of a worker's turn. If this rises, the store or the other side is slow.",
            ("worker",),
            buckets=_LONG,
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "edoc_request_seconds",
            "HTTP requests by route and status class. If this rises, look at the store first.",
            ("route", "status"),
            buckets=_SHORT,
            registry=self.registry,
        )

    def expect(self, axes: Sequence[str], authorities: Sequence[str] = ()) -> None:
        """Let what is alarmed on begin at 0: of a figure that first appears at 1, Prometheus does
        not see that it rose.
        """
        for axis in axes:
            for outcome in OUTCOMES:
                self._attempt_count.labels(axis, outcome)
            for cause in sorted({*_CAUSES.values(), "other"}):
                self._alarms.labels(axis, cause)
            self.collected(axis, 0, 0)
        for code in _ALARMED_CODES:
            self._refused.labels(code)
        for authority in authorities:
            for result in STAMPED:
                self._stamps.labels(authority, result)

    def accepted(self, kind: str, seconds: float | None = None) -> None:
        """A promise was committed; `kind`: document | status."""
        self._accepted.labels(kind).inc()
        if seconds is not None:
            self._accept_seconds.observe(seconds)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def attempted(self, axis: str, outcome: str, seconds: float | None = None) -> None:
        """An attempt ended; `outcome`: delivered | deferred | refused | uncertain."""
        child = self._attempts.get((axis, outcome))
        if child is None:
            child = self._attempts[axis, outcome] = self._attempt_count.labels(axis, outcome)
        child.inc()
        if seconds is not None:
            self._attempt_seconds.labels(axis).observe(seconds)

    def delivered(self, axis: str, seconds: float) -> None:
        """A transfer is on the axis, so long after its promise."""
        self._delivery_seconds.labels(axis).observe(max(seconds, 0.0))

    def sealed(self, records: int) -> None:
        self._sealed.inc(records)

    def stamped(self, gen_time: datetime) -> None:
        self._last_stamp.set(gen_time.timestamp())

    def clock(self, drift_seconds: float, *, unsynchronised: bool) -> None:
        """Above 0: ahead."""
        self._drift.set(drift_seconds)
        self._synchronised.set(float(unsynchronised))

    def asked_for_stamp(self, authority: str, result: str, seconds: float, cost: int = 0) -> None:
        """`result`: a word of STAMPED."""
        self._stamps.labels(authority, result).inc()
        self._stamp_cost.labels(authority).inc(cost)
        self._stamp_seconds.labels(authority).observe(seconds)

    def stamp_level(self, level: int, brake_in_seconds: float) -> None:
        """`level`: 0 normal, 1 provisional, 2 brake."""
        self._stamp_level.set(level)
        self._brake_in.set(max(brake_in_seconds, 0.0))

    def collected(self, axis: str, fetched: int, failed: int) -> None:
        self._fetched.labels(axis, "fetched").inc(fetched)
        self._fetched.labels(axis, "failed").inc(failed)

    def worker_turned(self, worker: str, seconds: float) -> None:
        """A turn succeeded now; the age counts up by itself until the next one that does."""
        if worker not in self._turned:
            self._since_turn.labels(worker).set_function(
                lambda: self._monotonic() - self._turned[worker]
            )
        self._turned[worker] = self._monotonic()
        self._turn_seconds.labels(worker).observe(seconds)

    def worker_begins(self, worker: str) -> None:
        """Its failures begin at 0: of a figure that first appears at 1 no rise is seen."""
        self._failures.labels(worker)

    def worker_failed(self, worker: str) -> None:
        """A turn ended in an error. It is no sign of life: nothing was done."""
        self._failures.labels(worker).inc()

    def turned_since(self, mark: float) -> list[str]:
        """Workers with a turn that succeeded at or after `mark`, a value of `monotonic`."""
        return [worker for worker, at in self._turned.items() if at >= mark]

    def listed(self, axis: str, kind: str) -> None:
        """The axis' list of this kind could be read now."""
        self._listed[axis, kind] = self._monotonic()

    def listed_since(self, mark: float) -> list[tuple[str, str]]:
        """(axis, kind) of lists that could be read at or after `mark`, a value of `monotonic`."""
        return [one for one, at in self._listed.items() if at >= mark]

    def unlisted(self, axis: str, kind: str, seconds: float) -> None:
        """How long no process could read this list."""
        self._unlisted.labels(axis, kind).set(max(seconds, 0.0))

    def reconciled(self, axis: str, overdue_seconds: float, wanting: Mapping[str, int]) -> None:
        """`wanting`: what the newest reports found, by kind of difference."""
        self._unreported.labels(axis).set(overdue_seconds)
        for kind, count in wanting.items():
            self._wanting.labels(axis, kind).set(count)

    def snapshot(self, database: str, seconds: float) -> None:
        """Age of the oldest open transaction; `database`: the kind that could be asked."""
        self._snapshot.labels(database).set(seconds)

    def silent(self, worker: str, seconds: float) -> None:
        """How long no process has turned this worker."""
        self._silent.labels(worker).set(max(seconds, 0.0))

    def breaker(self, axis: str, state: str) -> None:
        """`state`: a word of BREAKER."""
        self._breaker.labels(axis).set(BREAKER.index(state))

    def alarmed(self, axis: str, code: str) -> None:
        """An outcome with `alarm`. Its cause becomes a label, never an axis' own words."""
        self._alarms.labels(axis, _CAUSES.get(code, "other")).inc()

    def requested(self, route: str, status: int, seconds: float) -> None:
        """`route`: the pattern (`/v1/documents/{id}`), never the path that was asked for."""
        self._request_seconds.labels(route, f"{status // 100}xx").observe(seconds)

    def files_away(self, away: bool) -> None:
        self._files_away.set(float(away))

    def waits(
        self,
        *,
        oldest_unsealed_seconds: float | None = None,
        oldest_unopened_seconds: float | None = None,
        held: int | None = None,
        quarantined: int | None = None,
        orphans: int | None = None,
        inbox: int | None = None,
        oldest_unstamped_seconds: float | None = None,
    ) -> None:
        """What stands still at this moment; None leaves a figure as it was."""
        for gauge, value in (
            (self._oldest_unsealed, oldest_unsealed_seconds),
            (self._oldest_unopened, oldest_unopened_seconds),
            (self._held, held),
            (self._quarantined, quarantined),
            (self._orphans, orphans),
            (self._waiting_items, inbox),
            (self._unstamped, oldest_unstamped_seconds),
        ):
            if value is not None:
                gauge.set(value)

    def lane_waits(self, axis: str, lane: int, *, backlog: int, oldest_due_seconds: float) -> None:
        """`oldest_due_seconds`: 0 when nothing of the lane is due."""
        self._backlog.labels(axis, str(lane)).set(backlog)
        self._oldest_due.labels(axis, str(lane)).set(max(oldest_due_seconds, 0.0))

    def dead(self, axis: str, state: str, count: int) -> None:
        """Transfers that ended undelivered; `state`: REFUSED | EXPIRED."""
        self._dead.labels(axis, state).set(count)

    def expose(self) -> bytes:
        """Prometheus text format, UTF-8; its content type is CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
