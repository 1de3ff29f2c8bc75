"""The object store is gone and comes back; a name does not resolve; a certificate has expired; the
clock is an hour behind; the disk is full. Each is said aloud, and nothing is lost or doubled.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from gateway.c14n import canonical_json
from gateway.errors import Severity, Unavailable
from gateway.store.tables import arrival, inbox_item, pending, record, worker_turn
from gateway.telemetry import logs
from gateway.wiring.process import Gateway
from tests.fault.test_database_away import verified
from tests.fault.test_our_own import HandClock, no_file_longer_than
from tests.support.buckets import Buckets, in_bucket
from tests.support.databases import Postgres
from tests.support.fronts import front
from tests.support.houses import Running, town
from tests.support.troubles import (
    EVERYONE,
    IMPATIENT,
    SO19,
    VPCP,
    WORKERS,
    Scene,
    eventually,
    rows,
    trouble,
    with_changes,
)

ITEMS = select(inbox_item.c.document_id)


Said = Callable[[], set[tuple[str, str, str]]]


@pytest.fixture
def said() -> Iterator[Said]:
    """(event, level, code) of every log line since the test began."""
    assert sys.__stderr__ is not None
    lines = io.BytesIO()
    logs.configure("info", lines)

    def told() -> set[tuple[str, str, str]]:
        read = [json.loads(line) for line in lines.getvalue().splitlines()]
        return {(x["event"], x["level"], x.get("code", "")) for x in read}

    yield told
    logs.configure("error", sys.__stderr__.buffer)


AWAY = ("blobs.away", "warning", "")


async def alarm(gateway: Gateway) -> list[tuple[str, Severity]]:
    """What /readyz says after the next look at the files."""
    await gateway.files.look()
    return [(f.code, f.severity) for f in await gateway.readiness()]


def away_metric(gateway: Gateway) -> bool:
    return b"\nedoc_blobs_away 1.0\n" in gateway.metrics.expose()


UNLISTED = ("collect.unlisted", Severity.WARNING)
HOUR = timedelta(hours=1)


async def unlisted_for_an_hour(gateway: Gateway) -> None:
    """As if that had gone by since anybody noted that a list was read, or began to expect it."""
    assert UNLISTED not in await alarm(gateway)
    aged = update(worker_turn).where(worker_turn.c.worker.startswith("list:"))
    before = gateway.scribe.now() - HOUR
    await gateway._gauge()
    await gateway.store.write(lambda tx: tx.execute(aged.values(at=before)))


async def axis_cannot_be_listed(gateway: Gateway) -> None:
    """The collecting side is told, with what is at risk, and so is who scrapes."""
    assert UNLISTED in await alarm(gateway)
    await gateway._gauge()
    for kind in ("document", "status"):
        assert unlisted_seconds(gateway, kind) > 3000
    (found,) = [f for f in await gateway.readiness() if f.code == "collect.unlisted"]
    told = found.as_json("en")
    assert found.path == "collect.vxp"
    assert all(told[part] for part in ("at_risk", "until", "do"))


async def axis_is_listed_again(side: Running) -> None:
    """As soon as a list was read: nothing of it is left in /readyz or in the figures."""
    gateway = side.gateway
    both = {("vxp", "document"), ("vxp", "status")}
    ever = float("-inf")
    await eventually(
        side, select(record.c.id), lambda _: set(gateway.metrics.listed_since(ever)) == both
    )
    gateway._pulsed = ever
    await gateway._gauge()
    assert UNLISTED not in await alarm(gateway)
    assert unlisted_seconds(gateway, "document") < 1000


def unlisted_seconds(gateway: Gateway, kind: str) -> float:
    labels = {"axis": "vxp", "kind": kind}
    value = gateway.metrics.registry.get_sample_value("edoc_unlisted_seconds", labels)
    assert value is not None
    return value


async def arrived_once(scene: Scene, there: Running, answers: list[dict[str, Any]]) -> None:
    """Each document is there once, the axis heard so, and both ledgers add up."""
    wanted = sorted(a["document_id"] for a in answers)
    await eventually(there, ITEMS, lambda found: sorted(d for (d,) in found) == wanted)
    for answer in answers:
        await scene.until(answer, state="ON_AXIS")
    await scene.axis.until(lambda axis: len(axis.acknowledged()) >= len(answers))
    for side in (scene.here, there):
        await eventually(side, select(pending.c.record_id), lambda found: found == [])
    states = {s for (s,) in await rows(there, select(arrival.c.state))}
    assert states <= {"OPENED", "DUPLICATE"}
    receipts = [canonical_json(a["receipt"]) for a in answers]
    await asyncio.to_thread(verified, scene.sender, receipts)
    await asyncio.to_thread(verified, scene.receiver, [])


@pytest.mark.postgres
def test_an_object_store_that_is_gone_and_comes_back_loses_and_doubles_nothing(
    tmp_path: Path, postgres: Postgres, buckets: Buckets, said: Said
) -> None:
    async def plot(scene: Scene) -> None:
        gateway = scene.here.gateway
        assert await alarm(gateway) == []
        first = await scene.submit("12")
        await scene.until(first, state="SEALED")
        buckets.gone()
        try:
            assert await alarm(gateway) == [("blob.unavailable", Severity.ERROR)]
            assert AWAY in said()
            assert away_metric(gateway)
            with pytest.raises(Unavailable) as refused:
                await scene.submit("13")
            assert refused.value.code == "blob.unavailable"
            # what was promised is tried, and stays: its bytes cannot be read now
            delivering = await scene.stack.enter_async_context(
                scene.town.open(scene.sender, ["deliver"])
            )
            assert delivering.gateway.store is not gateway.store
            await eventually(
                scene.here,
                select(record.c.id).where(record.c.event == "attempt.ended"),
                lambda found: len(found) >= 1,
            )
            assert scene.sent() == []
        finally:
            buckets.back()
        assert await alarm(gateway) == []
        assert not away_metric(gateway)
        second = await scene.submit("13")
        for answer in (first, second):
            await scene.until(answer, state="ON_AXIS")
        assert len(scene.sent()) == len(set(scene.sent())) == 2
        # the same at the receiver: what cannot be kept is not acknowledged
        buckets.gone()
        try:
            there = await scene.there()
            await scene.axis.until(lambda axis: axis.requests["downloadEdoc"] >= 2)
            assert await rows(there, select(arrival.c.id)) == []
            assert scene.axis.acknowledged() == ()
        finally:
            buckets.back()
        await arrived_once(scene, there, [first, second])

    async def run(databases: tuple[str, str], bucket: str) -> None:
        changes = with_changes(
            blobs=in_bucket(buckets, bucket, "both", tmp_path),
            collect={**IMPATIENT["collect"], "fetch_deadline": "1s"},
        )
        async with trouble(
            tmp_path,
            databases=databases,
            changes=changes,
            stamps=True,
            jobs=[w for w in WORKERS if w != "deliver"],
        ) as scene:
            await plot(scene)

    with postgres.database(migrated=True) as one, postgres.database(migrated=True) as two:
        asyncio.run(run((one, two), buckets.bucket()))


@asynccontextmanager
async def scene_at(
    folder: Path, profile: Mapping[str, Any], jobs: tuple[str, ...] = WORKERS
) -> AsyncIterator[Scene]:
    """As `trouble` has it, but `profile` is the sender's way to the axis alone."""
    async with town(folder) as made:
        axis = await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
        given = profile(axis.url) if callable(profile) else profile
        sender = made.house(
            "so19", (SO19,), {"vxp": "sys.h14"}, EVERYONE, changes=IMPATIENT, profile=given
        )
        receiver = made.house("vpcp", (VPCP,), {"vxp": "sys.g22"}, EVERYONE, changes=IMPATIENT)
        async with made.open(sender, jobs) as here:
            yield Scene(made, axis, sender, receiver, here, made.stack)


def test_a_name_that_does_not_resolve_is_told_and_holds_up_nothing_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """`axis.invalid` is never found (RFC 6761, 6.4); later the resolver knows it."""
    known = False
    real = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if known and host == "axis.invalid" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def profile(url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        named = parts._replace(netloc=f"axis.invalid:{parts.port}").geturl()
        return {"endpoint": named, "allow_http": "a test on this machine"}

    async def run() -> None:
        nonlocal known
        async with scene_at(tmp_path, profile) as scene:
            answer = await scene.submit()
            await scene.until_recorded(answer, "attempt.ended")
            assert {code for _, code in await scene.attempts(answer)} == {"connect.dns"}
            shown = await scene.until(answer, doubt=False)
            assert shown["state"] in {"DEFERRED", "SENDING"}
            exposed = scene.here.gateway.metrics.expose().decode()
            assert 'edoc_attempts_total{axis="vxp",outcome="deferred"}' in exposed
            await eventually(
                scene.here,
                select(record.c.id),
                lambda _: ("collect.list_failed", "warning", "connect.dns") in said(),
            )
            await unlisted_for_an_hour(scene.here.gateway)
            await axis_cannot_be_listed(scene.here.gateway)
            known = True
            there = await scene.there()
            await arrived_once(scene, there, [answer])
            assert len(scene.sent()) == 1
            await axis_is_listed_again(scene.here)

    asyncio.run(run())


def test_an_expired_certificate_of_the_axis_alarms_and_nothing_leaves_until_it_is_renewed(
    tmp_path: Path, said: Said
) -> None:
    async def run() -> None:
        async with town(tmp_path) as made:
            axis = await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
            parts = urlsplit(axis.url)
            assert parts.port is not None
            before = await made.stack.enter_async_context(front(tmp_path, parts.port, days=-1))
            sender = made.house(
                "so19",
                (SO19,),
                {"vxp": "sys.h14"},
                EVERYONE,
                changes=IMPATIENT,
                profile={"endpoint": before.url + parts.path, "ca_file": str(before.anchor)},
            )
            receiver = made.house("vpcp", (VPCP,), {"vxp": "sys.g22"}, EVERYONE, changes=IMPATIENT)
            async with made.open(sender, WORKERS) as here:
                scene = Scene(made, axis, sender, receiver, here, made.stack)
                answer = await scene.submit()
                await scene.until_recorded(answer, "attempt.ended")
                codes = {code for _, code in await scene.attempts(answer)}
                assert codes == {"connect.certificate"}
                assert not (await scene.until(answer, doubt=False))["doubt"]
                assert axis.received() == ()
                await eventually(
                    here,
                    select(record.c.id),
                    lambda _: ("collect.list_failed", "warning", "connect.certificate") in said(),
                )
                await unlisted_for_an_hour(here.gateway)
                await axis_cannot_be_listed(here.gateway)
                before.certify(days=90)
                there = await scene.there()
                await arrived_once(scene, there, [answer])
                assert len(scene.sent()) == 1
                await axis_is_listed_again(here)
            assert ("attempt.alarmed", "warning", "connect.certificate") in said()
            assert ("collect.list_failed", "warning", "connect.certificate") in said()

    asyncio.run(run())


def test_a_clock_an_hour_back_is_recorded_and_holds_up_nothing(tmp_path: Path) -> None:
    """At both ends, between two documents: leases and due times go by the database's clock."""

    async def run() -> None:
        async with trouble(tmp_path, stamps=True) as scene:
            there = await scene.there()
            clocks = []
            for side in (scene.here, there):
                clock = HandClock(side.gateway.scribe.now())
                side.gateway.scribe.clock = clock
                clocks.append(clock)
            first = await scene.submit("12")
            await eventually(there, ITEMS, lambda found: len(found) == 1)
            for clock in clocks:
                clock.at -= timedelta(hours=1)
            second = await scene.submit("13")
            await arrived_once(scene, there, [first, second])
            stepped = select(record.c.event).where(record.c.event == "clock.stepped")
            for side in (scene.here, there):
                assert await rows(side, stepped) == [("clock.stepped",)]
            assert len(scene.sent()) == 2

    asyncio.run(run())


def test_a_full_disk_is_told_by_readiness_before_a_document_comes(
    tmp_path: Path, said: Said
) -> None:
    async def run() -> None:
        async with trouble(tmp_path, jobs=["seal", "deliver"]) as scene:
            gateway = scene.here.gateway
            await scene.here.account(SO19)
            assert await alarm(gateway) == []
            with no_file_longer_than(4096):
                assert await alarm(gateway) == [("blob.unavailable", Severity.ERROR)]
                assert away_metric(gateway)
                with pytest.raises(Unavailable):
                    await scene.submit("12")
            assert AWAY in said()
            assert await alarm(gateway) == []
            answer = await scene.submit("12")
            await scene.until(answer, state="ON_AXIS")
            assert len(scene.sent()) == 1

    asyncio.run(run())
