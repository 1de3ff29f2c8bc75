"""`ledger verify` beside a gateway that works: what is new meanwhile is no damage."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.audit import books
from tests.integration.test_review_process import SO19, house
from tests.support.houses import PDF, metadata, town


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "pending"])
def test_what_is_recorded_while_the_books_are_read_is_no_damage(
    tmp_path: Path, sealed: bool
) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            built = await house(made)
            async with made.open(built, ()) as here:
                gateway = here.gateway
                await here.submit(metadata(SO19, SO19, number="1"), ("12.pdf", PDF), key="a")
                await gateway.sealing.seal()
                loop = asyncio.get_running_loop()
                numbers = iter(range(2, 4))

                def meanwhile(_: int) -> None:
                    async def work() -> None:
                        number = next(numbers, None)
                        if number is not None:
                            await here.submit(
                                metadata(SO19, SO19, number=str(number)),
                                ("12.pdf", PDF),
                                key=str(number),
                            )
                            if sealed:
                                await gateway.sealing.seal()

                    asyncio.run_coroutine_threadsafe(work(), loop).result(20)

                report = await asyncio.to_thread(
                    books.verify_books,
                    gateway.store,
                    gateway.blobs,
                    origin=gateway.scribe.origin,
                    public_key=gateway.scribe.key.public_key(),
                    anchors=(),
                    progress=meanwhile,
                )
                assert [p.code for p in report.problems if p.severity == "error"] == []
                assert report.entries >= 2

    asyncio.run(run())
