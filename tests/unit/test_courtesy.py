"""Workers give way to the door, and are never stopped by it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.courtesy import (
    EACH,
    ELSEWHERE,
    FRESH,
    LONGEST,
    NICE,
    PATIENCE,
    REPEATED,
    SLOW,
    SLOWER,
    Courtesy,
    Word,
    behind_the_door,
)
from tests.bench import machine


def test_an_empty_door_costs_nothing_and_a_crowd_is_bounded() -> None:
    courtesy = Courtesy()
    assert courtesy.nap() == 0
    naps = [Courtesy(n).nap() for n in range(1000)]
    assert naps == sorted(naps)
    assert max(naps) == LONGEST
    with courtesy.at_the_door(), courtesy.at_the_door(), courtesy.at_the_door():
        assert courtesy.nap() == 3 * EACH
    assert courtesy.nap() == 0


def test_who_is_refused_leaves_the_door_too() -> None:
    courtesy = Courtesy()
    with pytest.raises(ValueError, match="x"), courtesy.at_the_door():
        raise ValueError("x")
    assert courtesy.inside == 0


def test_workers_nap_one_after_the_other_and_none_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    naps: list[float] = []
    asleep = 0

    async def sleep(seconds: float) -> None:
        nonlocal asleep
        asleep += 1
        assert asleep == 1
        for _ in range(3):
            await turn(0)
        naps.append(seconds)
        asleep -= 1

    async def scene() -> None:
        courtesy = Courtesy()
        with courtesy.at_the_door():
            await asyncio.gather(*(courtesy.give_way() for _ in range(5)))
        await courtesy.give_way()

    turn = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(scene())
    assert naps == [EACH] * 5


@pytest.mark.parametrize(
    ("late", "rests"),
    [(0.0, [EACH]), (PATIENCE / 2, [EACH]), (PATIENCE * 3 / 4, [EACH / 2]), (PATIENCE, [])],
)
def test_who_is_late_with_its_work_rests_less_and_in_the_end_for_nobody(
    late: float, rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    async def scene() -> None:
        courtesy = Courtesy()
        with courtesy.at_the_door():
            await courtesy.give_way(late)
        number = 1
        courtesy = Courtesy(occupied=Word(heard=lambda: number))
        await courtesy.give_way()
        number += 1
        await courtesy.give_way(late)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(scene())
    assert naps == pytest.approx([*rests, *(rest / EACH * ELSEWHERE for rest in rests)])


def test_a_worker_that_is_late_does_not_queue_up_behind_naps_of_others() -> None:
    async def scene() -> None:
        courtesy = Courtesy()
        with courtesy.at_the_door():
            async with courtesy._order:
                await courtesy.give_way(PATIENCE)

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_a_door_tells_others_that_it_is_occupied_and_not_with_each_who_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    told: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    courtesy = Courtesy(occupied=Word(tell=lambda: told.append(now)))
    for moment in (0.0, REPEATED / 2, REPEATED, REPEATED * 1.5, REPEATED * 4):
        now = moment
        with courtesy.at_the_door():
            pass
    assert told == [0.0, REPEATED, REPEATED * 4]
    now = 1000.0
    with pytest.raises(ValueError, match="x"), courtesy.at_the_door():
        raise ValueError("x")
    assert len(told) == 3  # a closed door holds up nobody


def test_workers_rest_while_another_process_says_that_its_door_is_occupied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, number = 0.0, 7
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    courtesy = Courtesy(occupied=Word(heard=lambda: number))

    def turn() -> None:
        rests.clear()
        asyncio.run(courtesy.give_way())

    turn()
    assert rests == []  # whatever was said before this process was there
    number += 1
    turn()
    assert rests == [ELSEWHERE]
    now = FRESH / 2
    turn()
    assert rests == [ELSEWHERE]
    now = FRESH
    turn()
    assert rests == []


def test_a_slow_door_says_so_unless_the_queue_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    told: list[float] = []
    patient = True
    monkeypatch.setattr(time, "monotonic", lambda: now)
    courtesy = Courtesy(slow=Word(tell=lambda: told.append(now)), patient=lambda: patient)
    for began, took, short in ((1, SLOW / 2, True), (2, SLOW * 2, True), (3, SLOW * 2, False)):
        now, patient = began, short
        with courtesy.at_the_door():
            now += took
    assert told == [2 + SLOW * 2]
    patient = True
    with courtesy.at_the_door(small=False):
        now += 10
    assert len(told) == 1  # a large one takes long at an empty door too


def test_workers_rest_longer_for_a_slow_door_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, number = 0.0, 7
    monkeypatch.setattr(time, "monotonic", lambda: now)
    courtesy = Courtesy(slow=Word(heard=lambda: number))
    courtesy.slow.listen(now)
    assert courtesy.nap() == 0
    number += 1
    courtesy.slow.listen(now)
    assert courtesy.nap() == SLOWER
    now = FRESH
    courtesy.slow.listen(now)
    assert courtesy.nap() == 0


def test_a_process_without_a_door_goes_last_also_among_sessions() -> None:
    told = (
        "from gateway.courtesy import behind_the_door; import os, pathlib; behind_the_door();"
        "group = pathlib.Path('/proc/self/autogroup');"
        "print(os.nice(0), *group.read_text().split()[-1:] if group.exists() else '')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, start_new_session=True
    )
    nice, of_session = [*ran.stdout.split(), ""][:2]
    assert int(nice) == NICE
    assert of_session in ("", str(NICE))


def test_where_niceness_is_forbidden_the_process_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(1, "as under SystemCallFilter=~@resources")

    monkeypatch.setattr(os, "nice", refused)
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    monkeypatch.setattr(Path, "write_text", refused)
    behind_the_door()


def test_a_load_goes_first_only_where_that_is_allowed_and_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of init's stands in no group: the file is there and says nothing."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    for told in ("", "/autogroup-7 nice 3\n"):
        group = tmp_path / "autogroup"
        group.write_text(told)
        monkeypatch.setattr(machine, "_AUTOGROUP", group)
        with machine.before_others() as first:
            assert first == (os.getpriority(os.PRIO_PROCESS, 0) == machine.FIRST)
        assert os.getpriority(os.PRIO_PROCESS, 0) == usual
        assert group.read_text() in (told, "3")
