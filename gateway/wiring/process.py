"""One gateway process: everything built from Settings, and turned until told to stop.

In:     frozen Settings (config).
Out:    a Gateway with its corridors, its desk and its workers.
Fails:  Misconfigured, naming key and file; Unavailable when the database cannot be reached.
Never:  starts on a database of another version, or on one that another process drives.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from uuid import UUID

from adapters.clock.kernel import KernelSync, Unwatched
from adapters.keys.ledger import load_ledger_key
from adapters.loopback.axis import LoopbackAxis
from adapters.revocation.client import HttpRevocation
from adapters.tsa.client import Endpoint, HttpTimestampAuthority
from gateway import watch
from gateway.alarming import Patience
from gateway.braking import MOST as MOST_LET_GO
from gateway.braking import BrakeLimits, BrakePolicy, Braking
from gateway.collecting import Collecting
from gateway.config import Settings
from gateway.courtesy import CHANNEL, SLOW_CHANNEL, Courtesy, Word
from gateway.desk import Desk
from gateway.dispatch import lane_of
from gateway.dispatch.reconcile import Limits
from gateway.enquiring import Ours
from gateway.enquiring import Pace as Asking
from gateway.errors import Finding
from gateway.gating import Gate, Width
from gateway.inbound import Inbound
from gateway.ledger import stamp as stamp_craft
from gateway.outbound import Outbound
from gateway.ports import Axis, BlobStore, SyncSource
from gateway.promise import Outlet
from gateway.reconciling import Reconciling
from gateway.routing.plan import LOOPBACK, RoutingTable
from gateway.scribe import Scribe
from gateway.sealing import Pace, Sealing, Stamping
from gateway.settling import Settling
from gateway.signing import Profile
from gateway.signing.selfcheck import check_libraries
from gateway.signing.trust import Anchors
from gateway.stampbook import Stampbook
from gateway.store import (
    Store,
    Tx,
    arrivals,
    leases,
    open_store,
    sqlite_path,
    transfers,
    watching,
)
from gateway.store.lock import DatabaseLock
from gateway.telemetry.events import Event
from gateway.telemetry.logs import get_logger
from gateway.telemetry.metrics import Metrics
from gateway.trusting import AskPace, Trusting
from gateway.wiring.axes import make_axis
from gateway.wiring.blobs import blob_store
from gateway.wiring.books import anchors, require_schema
from gateway.wiring.exceptions import record_exceptions, unencrypted
from gateway.wiring.keys import AgencyKeys, encryption
from gateway.wiring.trust import anchors_in
from gateway.workers import collect, deliver, loop, seal, stamp, sweep
from gateway.workers import open as open_job

LOOPBACK_HANDS = 4
GAUGE_SECONDS = 2.0
GAUGE_BEHIND = 10.0  # of a process without a door: only a door waits for what is counted
# after a measurement the gauge rests so many times as long as it took, up to GAUGE_LONGEST: a long
# queue is counted less often, and yet soon enough for api.max_backlog to hold
GAUGE_SHARE = 20.0
GAUGE_LONGEST = 30.0
_OF_THIS_PROCESS = ("gauge", "files")  # every process turns these for itself
SLOW_TURN = 3 * 3600.0  # until a worker that may take its time is called silent
PULSE_SECONDS = 15.0  # between two notes of which workers turned, for the other processes
FILES_SECONDS = 5.0
JOBS = ("api", "seal", "stamp", "deliver", "collect", "open", "sweep")


class SystemClock:
    """ports.Clock over the machine's wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is where time comes in


class SystemEntropy:
    """ports.Entropy over the kernel's randomness; ids of one process never sort backwards.

    The kernel is asked for many bytes at once: each question lets go of the interpreter lock, and
    under load it costs a turn of all other threads to get it back. No byte is given out twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = 0
        self._bytes = b""
        self._used = 0

    def new_id(self) -> str:
        """UUID version 7 (RFC 9562 5.7), with the method of 6.2 (3): finer time in rand_a."""
        with self._lock:
            ticks = time.time_ns() * 4096 // 1_000_000  # 1/4096 ms
            ticks = self._latest = max(ticks, self._latest + 1)
        tail = int.from_bytes(self._random(8)) >> 2
        value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | tail
        return str(UUID(int=value))

    def salt(self) -> str:
        return self._random(16).hex()

    def fraction(self) -> float:
        return (int.from_bytes(self._random(8)) >> 11) / (1 << 53)

    def _random(self, size: int) -> bytes:
        with self._lock:
            if self._used + size > len(self._bytes):
                self._bytes, self._used = os.urandom(4096), 0
            start = self._used
            self._used += size
            return self._bytes[start : self._used]


@dataclass(slots=True)
class Gateway:
    """A built process. `run` turns its workers; the desk answers whether they turn or not."""

    settings: Settings
    store: Store
    blobs: BlobStore
    scribe: Scribe
    outbound: Outbound
    inbound: Inbound
    settling: Settling
    sealing: Sealing
    stamping: Stamping
    desk: Desk
    reconciling: Reconciling
    stampbook: Stampbook
    metrics: Metrics
    axes: Mapping[str, Axis]
    files: watch.FileWatch
    sync: SyncSource
    url: str = ""
    figures: str = ""
    courtesy: Courtesy = field(default_factory=Courtesy)
    warnings: tuple[Finding, ...] = ()
    _hands: list[deliver.Hands] = field(default_factory=list)
    _held: int = 0
    _since: datetime | None = None
    _pulsed: float = float("-inf")
    _expecting: bool = False
    _gauge_seconds: float = GAUGE_SECONDS
    _gauging: loop.Worker = field(init=False)

    def __post_init__(self) -> None:
        self._gauging = loop.Worker("gauge", self._gauge, idle=GAUGE_SECONDS)
        self.courtesy.occupied = self._word(CHANNEL)
        self.courtesy.slow = self._word(SLOW_CHANNEL)
        self.courtesy.patient = self.outbound.patient

    def _word(self, channel: str) -> Word:
        return Word(partial(self.store.hint, channel), partial(self.store.generation, channel))

    async def run(
        self,
        jobs: Sequence[str],
        stopping: asyncio.Event,
        started: Callable[[], None] = lambda: None,
        figures: tuple[str, int] | None = None,
    ) -> None:
        """Turn `jobs` until `stopping`. The first Broken worker ends all and is raised.

        `figures`: host and port on which /metrics is served too, for a process without `api`.
        """
        if "all" in jobs:
            jobs = JOBS
        check_libraries()
        await record_exceptions(self.store, self.scribe, unencrypted(self.settings))
        workers = self.workers(jobs)
        if "api" not in jobs:
            self._gauge_seconds = GAUGE_BEHIND
        async with AsyncExitStack() as stack:
            if "api" in jobs:
                from gateway.wiring.serving import serve_api  # only this job needs the door

                self.url = await stack.enter_async_context(serve_api(self))
            if figures is not None:
                from gateway.wiring.serving import serve_figures

                self.figures = await stack.enter_async_context(serve_figures(self, *figures))
            self._since = self.scribe.now()
            log = get_logger()
            log.info(Event.GATEWAY_STARTED, jobs=list(jobs), url=self.url, figures=self.figures)
            started()
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(self._guarded(worker, stopping))
                group.create_task(self._guarded(self._gauging, stopping))
                files = loop.Worker("files", self.files.look, idle=FILES_SECONDS)
                group.create_task(self._guarded(files, stopping))
                await stopping.wait()
            await asyncio.gather(*(h.rest() for h in self._hands))
            log.info(Event.GATEWAY_STOPPED)

    async def _guarded(self, worker: loop.Worker, stopping: asyncio.Event) -> None:
        try:
            await loop.run(worker, self.metrics, stopping, self.courtesy)
        finally:
            # one worker that broke takes the process with it: nothing may look as if it worked
            stopping.set()

    def workers(self, jobs: Sequence[str]) -> list[loop.Worker]:
        conf = self.settings
        idle = conf.dispatch.idle
        made: list[loop.Worker] = []
        if "seal" in jobs:
            made.append(
                seal.worker(
                    self.sealing, self.store, self.metrics, pause=conf.seal.pause, idle=idle
                )
            )
        if "stamp" in jobs:
            made.append(
                stamp.worker(
                    self.stamping,
                    self.metrics,
                    self.store,
                    self._let_go,
                    interval=conf.stamp.interval,
                    urgent_interval=conf.stamp.urgent_interval,
                )
            )
        if "open" in jobs:
            at_once = open_job.AT_ONCE if "api" in jobs else open_job.APART
            made.append(open_job.worker(self.inbound, self.store, idle=idle, at_once=at_once))
            made.append(open_job.orphans(self.inbound, idle=conf.dispatch.sweep))
        if "sweep" in jobs:
            sweeping = sweep.Sweep(store=self.store, settling=self.settling)
            unused = sweep.Unused(store=self.store, scribe=self.scribe, files=self.blobs)
            made.append(sweep.worker(sweeping, interval=conf.dispatch.sweep))
            made.append(sweep.unused(unused))
            made.append(sweep.asker(self.inbound.trusting, self.store))
            made += sweep.daily(self.reconciling, interval=conf.dispatch.sweep)
        for name, axis in self.axes.items():
            if "deliver" in jobs:
                hands = deliver.Hands(self.outbound, self.metrics, self.gate(name))
                self._hands.append(hands)
                made.append(deliver.worker(hands, self.store, idle=idle))
            if "collect" in jobs and axis.capabilities.collects:
                collecting = Collecting(
                    axis=axis,
                    store=self.store,
                    blobs=self.blobs,
                    scribe=self.scribe,
                    intake=self.inbound,
                    policy=self.outbound.outlets[name].policy,
                    list_seconds=conf.collect.list_deadline,
                    fetch_seconds=conf.collect.fetch_deadline,
                    hold_after=conf.collect.hold_after,
                    at_once=conf.collect.at_once,
                    local_keys=[a.code.upper() for a in self.outbound.directory.local_agencies()],
                )
                made.append(
                    collect.worker(
                        collecting,
                        self.metrics,
                        polling=conf.collect.polling(),
                        fraction=self.scribe.entropy.fraction,
                    )
                )
        return made

    async def _let_go(self) -> bool:
        """What the brake held, once it is off; True: there may be more."""
        outlets = self.outbound.outlets
        lifetimes = {a: timedelta(seconds=o.policy.lifetime_seconds) for a, o in outlets.items()}
        return await self.outbound.braking.release(self.store, lifetimes) == MOST_LET_GO

    def gate(self, axis: str) -> Gate:
        policy = self.outbound.outlets[axis].policy
        lease = policy.attempt_deadline_seconds + policy.grace_seconds
        return Gate(
            store=self.store,
            metrics=self.metrics,
            axis=axis,
            width=self.concurrency(axis),
            policy=self.settings.dispatch.breaking(),
            probe_lease=timedelta(seconds=lease),
            fraction=self.scribe.entropy.fraction,
        )

    def concurrency(self, axis: str) -> Width:
        for one in self.settings.axis:
            if one.name == axis:
                most = one.max_connections
                return Width(most, min(one.max_per_receiver or most, most))
        return Width(LOOPBACK_HANDS, LOOPBACK_HANDS)

    async def readiness(self) -> list[Finding]:
        """Why this gateway should not be given work now; () when it should."""
        found = await watch.readiness(
            self.store,
            patience(self.settings, self.axes),
            self.outbound.braking,
            axes=list(self.axes),
            backlog=self.outbound.backlog,
            sync=self.sync.state(),
        )
        return [self.files.finding, *found] if self.files.finding else found

    async def _gauge(self) -> bool:
        """What stands still, for /metrics and for back-pressure."""
        await self._pulse()
        began = time.monotonic()
        agencies = [self.outbound.key_of(code) for code in self.settings.local.agencies]
        expects = patience(self.settings, self.axes)
        self.outbound.backlog, held = await watch.measure(
            self.store,
            self.metrics,
            axes=list(self.axes),
            agencies=agencies,
            braking=self.outbound.braking,
            sync=self.sync.state(),
            workers=list(expects.workers),
            lists=expects.lists,
            reconciled=expects.reconciled,
            reconcile_at=expects.reconcile_at,
            since=self._since,
        )
        self._gauging.idle = resting(time.monotonic() - began, self._gauge_seconds)
        if held > self._held:
            get_logger().warning(Event.TRANSFER_HELD, held=held, advice=Event.TRANSFER_HELD.advice)
        self._held = held
        return False

    async def _pulse(self) -> None:
        """Write down which workers turned here, and which lists could be read: another process
        cannot ask a dead one.
        """
        now = time.monotonic()
        if now - self._pulsed < PULSE_SECONDS:
            return
        since, owner = self._pulsed, self.stamping.owner
        turned = [w for w in self.metrics.turned_since(since) if w not in _OF_THIS_PROCESS]
        turned += [watching.reading(*one) for one in self.metrics.listed_since(since)]
        if not self._expecting:
            lists = [watching.reading(*one) for one in patience(self.settings, self.axes).lists]
            await self.store.write(lambda tx: watching.expected(tx, lists, owner))
            self._expecting = True
        if turned:
            await self.store.write(lambda tx: watching.turned(tx, turned, owner))
            self._pulsed = now


def resting(took: float, least: float = GAUGE_SECONDS) -> float:
    """Seconds until the gauge measures again, after a measurement that took so many."""
    return min(max(least, GAUGE_SHARE * took), GAUGE_LONGEST)


def patience(settings: Settings, axes: Mapping[str, Axis]) -> Patience:
    """When standing still is an alarm, and which workers must turn in some process."""
    conf, minute = settings, 60.0
    sending = conf.dispatch.attempt_deadline + conf.dispatch.grace
    listing = 2 * (conf.collect.list_deadline + conf.collect.fetch_deadline)
    workers = {"seal": 2 * minute, "open": 10 * minute, "sweep": conf.dispatch.sweep + 10 * minute}
    if conf.stamp.authorities:
        asking = conf.stamp.deadline * len(conf.stamp.authorities)
        workers["stamp"] = conf.stamp.interval + asking + 2 * minute
    # what lasts as long as there is much of it, and what waits for strangers
    workers |= dict.fromkeys(
        (open_job.ORPHANS_NAME, sweep.UNUSED_NAME, sweep.ASKER_NAME), SLOW_TURN
    )
    for name, axis in axes.items():
        # a turn may last as long as the attempts that it waits for
        workers[f"deliver:{name}"] = sending + 2 * minute
        if axis.capabilities.collects:
            workers[f"collect:{name}"] = conf.collect.slowest + listing + 2 * minute
        if sweep.can_be_asked(axis):
            workers[sweep.reconciler_name(name)] = SLOW_TURN
    return Patience(
        conf.seal.max_delay,
        conf.trust.max_age if conf.trust.fetch == "on" else 0.0,
        max_backlog=conf.api.max_backlog,
        workers=workers,
        unencrypted=unencrypted(settings),
        max_drift=conf.clock.max_drift,
        lists=[
            (name, kind.value)
            for name, axis in axes.items()
            if axis.capabilities.collects
            for kind in axis.capabilities.kinds
        ],
        reconciled=[name for name, axis in axes.items() if sweep.can_be_asked(axis)],
        reconcile_at=reconcile_pace(conf).at,
        # the longest wait between two looks, and a turn that fetches slowly
        unlisted=max(conf.collect.failing, conf.collect.slowest) + listing,
    )


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Build a process. On SQLite its lock comes first, and what a dead one left is taken over."""
    async with AsyncExitStack() as stack:
        sqlite = sqlite_path(settings.database.url)
        if sqlite is not None:
            stack.enter_context(DatabaseLock(sqlite))
        require_schema(settings)
        store = open_store(settings.database.url)
        stack.push_async_callback(store.close)
        keys = stack.enter_context(AgencyKeys(settings, SystemClock().now()))
        gateway = build(settings, store, keys)
        for axis in gateway.axes.values():
            stack.push_async_callback(axis.close)
        stack.push_async_callback(gateway.reconciling.close)
        stack.push_async_callback(gateway.stampbook.close)
        for authority in gateway.stamping.authorities:
            stack.push_async_callback(authority.close)
        if (source := gateway.inbound.trusting.source) is not None:
            stack.push_async_callback(source.close)
        if sqlite is not None:
            await take_over_the_dead(gateway)
        yield gateway


async def take_over_the_dead(gateway: Gateway) -> None:
    """We hold the lock, so whoever was sealing, sending or opening is dead (architecture 6)."""
    at = gateway.scribe.now()

    def commit(tx: Tx) -> None:
        leases.forget(tx)
        arrivals.forget_leases(tx)
        gateway.settling.take_over(tx, transfers.sending(tx), at)

    await gateway.store.write(commit)


def build(settings: Settings, store: Store, keys: AgencyKeys) -> Gateway:
    """The corridors over one store. Reads the ledger's key and anchors; opens no connection."""
    clock = SystemClock()
    entropy = SystemEntropy()
    scribe = Scribe(
        clock=clock,
        entropy=entropy,
        origin=settings.ledger.origin,
        key=load_ledger_key(settings.ledger.key),
    )
    blobs = blob_store(settings)
    directory = settings.directory
    routing = RoutingTable(directory, settings.routes)
    axes: dict[str, Axis] = {one.name: make_axis(settings, one, clock) for one in settings.axis}
    outlets = {
        one.name: Outlet(
            axes[one.name], settings.dispatch.policy(one.repeat), Profile(one.signature)
        )
        for one in settings.axis
    }
    outbound = Outbound(
        store=store,
        blobs=blobs,
        scribe=scribe,
        rules=settings.rules,
        directory=directory,
        routing=routing,
        keys=keys.holders,
        encryption=encryption(settings, entropy),
        outlets=outlets,
        lane_of=lane_of,
        seal_max_delay=timedelta(seconds=settings.seal.max_delay),
        braking=Braking(scribe, brake_limits(settings)),
        max_backlog=settings.api.max_backlog,
        algorithms=settings.algorithms,
    )
    settling = Settling(scribe=scribe, key_of=outbound.key_of, outlets=outlets)
    own = [holder.certificate for holder in keys.holders.values()]
    trusting = trusting_of(settings, store, blobs, scribe, own)
    inbound = Inbound(
        outbound=outbound,
        settling=settling,
        limits=settings.reading_limits(),
        trusting=trusting,
    )
    axes[LOOPBACK] = LoopbackAxis(inbound)
    outlets[LOOPBACK] = Outlet(axes[LOOPBACK], settings.dispatch.policy())
    metrics = Metrics()
    metrics.expect(list(axes), [one.name for one in settings.stamp.authorities])
    owner = f"{socket.gethostname()}:{os.getpid()}:{entropy.salt()[:8]}"
    stamping = Stamping(
        store=store,
        scribe=scribe,
        authorities=authorities(settings),
        costs={one.name: one.cost for one in settings.stamp.authorities},
        metrics=metrics,
        deadline_seconds=settings.stamp.deadline,
        owner=owner,
    )
    return Gateway(
        settings=settings,
        store=store,
        blobs=blobs,
        scribe=scribe,
        outbound=outbound,
        inbound=inbound,
        settling=settling,
        stampbook=Stampbook(stamping, outbound.braking),
        sealing=Sealing(store=store, scribe=scribe, owner=owner, pace=Pace(settings.seal.batch)),
        stamping=stamping,
        desk=Desk(
            outbound=outbound,
            inbound=inbound,
            limits=settings.reading_limits(),
            item_lease=timedelta(seconds=settings.api.item_lease),
        ),
        reconciling=Reconciling(
            axes=axes,
            store=store,
            scribe=scribe,
            settling=settling,
            ours=Ours(
                key_of=outbound.key_of,
                is_local=directory.is_local,
                local_keys=[outbound.key_of(code) for code in settings.local.agencies],
                lifetime=timedelta(seconds=settings.dispatch.policy().lifetime_seconds),
            ),
            owner=owner,
            limits=reconcile_limits(settings),
            pace=reconcile_pace(settings),
        ),
        metrics=metrics,
        axes=axes,
        files=watch.FileWatch(blobs, metrics),
        sync=KernelSync() if settings.clock.sync == "kernel" else Unwatched(),
        warnings=keys.warnings,
    )


def trusting_of(
    settings: Settings,
    store: Store,
    blobs: BlobStore,
    scribe: Scribe,
    own: Iterable[bytes],
) -> Trusting:
    """The corridor that keeps revocation data; it asks nobody unless conf says so."""
    conf = settings.trust
    source = None
    if conf.fetch == "on":
        source = HttpRevocation(most_bytes=conf.answer_bytes, hosts=conf.hosts)
    return Trusting(
        store=store,
        blobs=blobs,
        scribe=scribe,
        anchors=anchors_in(
            conf.folder, timedelta(seconds=conf.max_age), policy=settings.algorithms
        ),
        source=source,
        pace=AskPace(timedelta(seconds=conf.refresh), conf.deadline),
        countersign_weak=settings.signing.countersign_weak,
        stampers=Anchors(
            roots=tuple(a for one in settings.stamp.authorities for a in anchors(one.ca_file)),
            max_age=timedelta(seconds=conf.max_age),
            policy=settings.algorithms,
        ),
        own=own,
    )


def brake_limits(settings: Settings) -> BrakeLimits:
    asked = settings.stamp
    most = asked.max_delay if asked.authorities else 0.0
    return BrakeLimits(timedelta(seconds=most), asked.alarm_share, BrakePolicy(asked.brake))


def reconcile_limits(settings: Settings) -> Limits:
    asked = settings.reconcile
    return Limits(timedelta(seconds=asked.stuck_after), timedelta(seconds=asked.answer_within))


def reconcile_pace(settings: Settings) -> Asking:
    asked = settings.reconcile
    at = time_of_day.fromisoformat(asked.at) if asked.at else None
    return Asking(at_once=asked.at_once, deadline=asked.deadline, at=at)


def authorities(settings: Settings) -> list[HttpTimestampAuthority]:
    return [
        HttpTimestampAuthority(
            one.name,
            Endpoint(one.url, anchors=anchors(one.ca_file), policy=one.policy or None),
            stamp_craft,
        )
        for one in settings.stamp.authorities
    ]
