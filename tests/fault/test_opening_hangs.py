"""A package whose opening never ends, or takes all memory, keeps nobody else's waiting."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.inbound import LONGEST, Inbound
from gateway.store import arrivals
from tests.support.arriving import VPCP, alone, codes, document, receive, row
from tests.support.houses import Running


async def three(here: Running) -> list[str]:
    """The first one is the killer; all three are claimed together."""
    return [await receive(here, document(document_id=f"doc-{n}"), f"d{n}") for n in range(3)]


async def leases_over(here: Running) -> None:
    await here.gateway.store.write(arrivals.forget_leases)


async def poison_at_last(here: Running, killer: str) -> None:
    came = await row(here, killer)
    assert (came.state, codes(came)) == ("QUARANTINED", ["arrival.poison"])
    assert len(await here.inbox(VPCP)) == 2


def test_what_hangs_is_passed_by_and_quarantined_after_the_second_time(tmp_path: Path) -> None:
    never = threading.Event()

    async def story(here: Running) -> None:
        killer, *others = await three(here)
        inbound = here.gateway.inbound
        read = inbound._read
        begun: list[str] = []

        def reading(claim: arrivals.OpenClaim):
            if claim.id == killer and claim.opens <= 2:
                begun.append(claim.id)
                never.wait()
            return read(claim)

        def patience(claim: arrivals.OpenClaim) -> timedelta:
            hangs = claim.id == killer and claim.opens <= 2
            return timedelta(milliseconds=50) if hangs else LONGEST

        # the parser has no such fault that we know of: one is put in its place
        inbound._read = reading  # type: ignore[method-assign]
        inbound.patience = patience  # type: ignore[method-assign]
        assert await inbound.open_next(8) == 3
        assert [(await row(here, one)).state for one in others] == ["OPENED", "OPENED"]
        assert (await row(here, killer)).state == "RECEIVED"
        assert await inbound.open_next(8) == 0, "its lease runs on: it is not tried at once"
        for _ in range(2):
            await leases_over(here)
            assert await inbound.open_next(8) == 1
        assert len(begun) == 2
        await poison_at_last(here, killer)

    try:
        with capture_logs() as said:
            alone(tmp_path, story)
    finally:
        never.set()
    assert [line["opens"] for line in said if line["event"] == "arrival.hung"] == [1, 2]


def test_what_takes_all_memory_is_passed_by_and_quarantined(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        killer, *others = await three(here)
        inbound = here.gateway.inbound
        read = inbound._read

        def reading(claim: arrivals.OpenClaim):
            if claim.id == killer and claim.opens <= 2:
                raise MemoryError
            return read(claim)

        inbound._read = reading  # type: ignore[method-assign]
        with pytest.raises(MemoryError):
            await inbound.open_next(8)  # the worker logs it, backs off and goes on
        assert await inbound.open_next(8) == 2
        assert [(await row(here, one)).state for one in others] == ["OPENED", "OPENED"]
        await leases_over(here)
        with pytest.raises(MemoryError):
            await inbound.open_next(8)
        await leases_over(here)
        assert await inbound.open_next(8) == 1
        await poison_at_last(here, killer)

    alone(tmp_path, story)


def test_a_sound_package_has_time_enough(tmp_path: Path) -> None:
    async def story(here: Running) -> None:
        assert isinstance(here.gateway.inbound, Inbound)
        ids = await three(here)
        claim = await here.gateway.store.read(
            lambda tx: arrivals.claim_again(tx, ids[0], arrivals.ArrivalState.RECEIVED)
        )
        assert claim is not None
        wait = here.gateway.inbound.patience(claim)
        assert timedelta(seconds=60) <= wait <= LONGEST

    alone(tmp_path, story)
