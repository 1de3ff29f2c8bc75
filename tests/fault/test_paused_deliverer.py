"""A deliver process is paused (SIGSTOP), its lease is taken over, and then it wakes up.

The axis does not recognise repeats. Allowed end states: the transfer is as the second process left
it, ON_AXIS; of what the first one did after waking there is one record, that its attempt ended and
was overtaken; the receiver's inbox has one copy.
"""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.store.tables import arrival, attempt, inbox_item, transfer
from tests.support.fleet.process import Parent, Process, parent
from tests.support.houses import House, Running, metadata
from tests.support.troubles import SO19, VPCP, Scene, eventually, rows, trouble, with_changes

pytestmark = pytest.mark.postgres
# no lease runs out by itself: the test says when the first one's has
PATIENT = with_changes(dispatch={"attempt_deadline": "60s"})
FIRST_ENDED = select(attempt.c.id).where(attempt.c.number == 1, attempt.c.ended_at.is_not(None))
STATES = select(arrival.c.state).order_by(arrival.c.state)
SMALL_ENOUGH_TO_HAVE_LEFT = 1000
# larger than any socket's buffers: its last bytes cannot leave while the axis does not read
TOO_LARGE_TO_SLIP_OUT = 24 * 1024 * 1024


def deliverer(bearer: Parent, house: House, number: int) -> Process:
    log = house.folder / f"deliver-{number}.log"
    return Process(bearer, "so19", "deliver", number, house.conf, log)


def pause(process: Process) -> None:
    """Returns when the kernel says that it stands."""
    process.signal(signal.SIGSTOP)
    stat = Path(f"/proc/{process.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "T":
        pass


async def story(folder: Path, url: str, size: int) -> int:
    """Ends when the paused process has said its last word; the copies on the axis."""
    async with (
        trouble(
            folder, changes=PATIENT, jobs=("seal", "sweep"), databases=(url, ""), dedupe=False
        ) as scene,
        parent() as bearer,
    ):
        there = await scene.there()
        first, second = (deliverer(bearer, scene.sender, number) for number in (1, 2))
        gate = scene.axis.hold("sendEdoc")
        content = b"%PDF-1.4\n" + random.Random(size).randbytes(size)
        answer = await scene.here.submit(metadata(SO19, VPCP), ("12.pdf", content))
        try:
            await first.start()
            await gate.reached(1)
            pause(first)
            await scene.lease_over(answer)
            await second.start()
            await gate.reached(2)
            gate.release()
            await scene.until(answer, state="ON_AXIS", attempts=2)
            (item,) = await there.inbox(VPCP)
            assert item["document_id"] == answer["document_id"]
            after = await rows(scene.here, select(transfer))

            first.signal(signal.SIGCONT)
            await eventually(scene.here, FIRST_ENDED, lambda found: len(found) == 1)
            assert await rows(scene.here, select(transfer)) == after, "the sleeper moved it"
            await judge(scene, there, answer)
            return len(scene.sent())
        finally:
            await first.kill()
            await second.kill()


async def judge(scene: Scene, there: Running, answer: dict) -> None:
    ended = [
        r["record"]["facts"] for r in await scene.history(answer) if r["event"] == "attempt.ended"
    ]
    second, first = ended
    assert (second["attempt"], second["state"], "overtaken" in second) == (2, "ON_AXIS", False)
    assert (first["attempt"], first["overtaken"]) == (1, True)
    copies = len(scene.sent())
    opened = [("DUPLICATE",)] * (copies - 1) + [("OPENED",)]
    await eventually(there, STATES, lambda found: found == opened)
    assert len(await rows(there, select(inbox_item.c.id))) == 1


def test_one_that_had_handed_everything_over_changes_nothing_when_it_wakes(
    tmp_path: Path, postgres_url: str
) -> None:
    assert asyncio.run(story(tmp_path, postgres_url, SMALL_ENOUGH_TO_HAVE_LEFT)) == 2


def test_one_in_the_middle_of_its_package_keeps_the_last_bytes_back(
    tmp_path: Path, postgres_url: str
) -> None:
    assert asyncio.run(story(tmp_path, postgres_url, TOO_LARGE_TO_SLIP_OUT)) == 1
