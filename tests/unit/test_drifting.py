"""Our clock against stamps and the kernel: what is sure is told, what is not is not."""

from __future__ import annotations

import asyncio
import ctypes
from datetime import UTC, datetime, timedelta

import pytest

from adapters.clock.kernel import STA_UNSYNC, TIME_ERROR, KernelSync
from gateway import drifting, watch
from gateway.alarming import Patience
from gateway.braking import BrakeLimits, Braking
from gateway.ports import SyncState
from gateway.scribe import Scribe
from gateway.store import Store
from gateway.telemetry.metrics import Metrics
from gateway.wiring.process import SystemEntropy
from tests.support.houses import WallClock
from tests.support.ledgers import KEY, ORIGIN

ASKED = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
ANSWERED = ASKED + timedelta(seconds=131)


@pytest.mark.parametrize(
    ("seconds", "drift"),
    [(-61, 60), (-1, 0), (-0.5, 0), (0, 0), (70, 0), (131, 0), (141, -10)],
)
def test_a_token_between_asking_and_answering_shows_nothing(seconds: float, drift: float) -> None:
    said = ASKED + timedelta(seconds=seconds)
    assert drifting.of_stamp(ASKED, said, ANSWERED) == drift


@pytest.mark.parametrize(
    ("returned", "status", "synchronised"),
    [(0, 0x2001, True), (TIME_ERROR, STA_UNSYNC, False), (0, STA_UNSYNC, False), (-1, 0, None)],
)
def test_what_the_kernel_says(returned: int, status: int, synchronised: bool | None) -> None:
    def call(buffer: ctypes.Array[ctypes.c_long]) -> int:
        assert not any(buffer), "modes 0 only reads"
        buffer[3], buffer[5] = 1_500_000, status
        return returned

    assert KernelSync(call).state().synchronised is synchronised
    if synchronised is not None:
        assert KernelSync(call).state().error_seconds == 1.5


def test_the_kernel_of_this_machine_can_be_asked_and_one_without_the_call_is_not_known() -> None:
    def missing(_: object) -> int:
        raise AttributeError("adjtimex")

    assert KernelSync().state().synchronised in {True, False, None}
    assert KernelSync(missing).state() == SyncState(None)


@pytest.mark.parametrize(
    ("drift", "sync", "codes"),
    [
        (0.0, SyncState(True), []),
        (4.9, SyncState(None), []),
        (5.1, SyncState(True), ["clock.drift"]),
        (-5.1, SyncState(False), ["clock.drift", "clock.unsynchronised"]),
    ],
)
def test_it_is_an_alarm_for_every_process(
    sqlite_store: Store, drift: float, sync: SyncState, codes: list[str]
) -> None:
    scribe = Scribe(clock=WallClock(), entropy=SystemEntropy(), origin=ORIGIN, key=KEY)
    braking = Braking(scribe, BrakeLimits(timedelta(0)))
    sqlite_store.write_sync(lambda tx: drifting.note(tx, drift))
    patience = Patience(600.0)
    found = asyncio.run(watch.readiness(sqlite_store, patience, braking, sync=sync))
    assert [f.code for f in found] == codes
    if drift > 5:
        assert "ahead" in found[0].text.en
    elif drift < -5:
        assert "behind" in found[0].text.en
    metrics = Metrics()
    asyncio.run(
        watch.measure(sqlite_store, metrics, axes=[], agencies=[], braking=braking, sync=sync)
    )
    figure = metrics.registry.get_sample_value
    assert figure("edoc_clock_drift_seconds") == drift
    assert figure("edoc_clock_unsynchronised") == (sync.synchronised is False)
