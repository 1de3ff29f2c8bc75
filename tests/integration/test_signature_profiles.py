"""An axis with `signature = "enveloped"` gets packages signed as a whole; others `relay`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.opening import open_package
from gateway.safexml import Limits
from gateway.settling import IN_MEMORY
from tests.support.houses import PDF, metadata, town

SO19, VPCP = "000.00.19.H14", "000.00.00.G22"
LARGE = PDF + bytes(range(256)) * (2 * IN_MEMORY // 256)


@pytest.mark.parametrize("profile", ["relay", "enveloped"])
@pytest.mark.parametrize("data", [PDF, LARGE], ids=["small", "large"])
def test_the_package_for_an_axis_is_signed_as_its_table_says(
    tmp_path: Path, profile: str, data: bytes
) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
            house = made.house(
                "so19",
                ("H14.19",),
                {"vxp": "sys.h14"},
                [{"axis": "vxp", "everyone": True}],
                profile={"signature": profile},
            )
            async with made.open(house, ()) as here:
                await here.submit(metadata(SO19, VPCP), ("12.pdf", data), key="a")
                while await here.gateway.sealing.seal():
                    pass
                outbound = here.gateway.outbound
                (work,) = await outbound.claim("vxp", 1)
                with outbound.blobs.open(work.claim.package_sha256) as source:
                    came = open_package(
                        source,
                        limits=Limits(),
                        rules=outbound.rules,
                        policy=outbound.algorithms,
                        day=outbound.today(),
                        arriving=True,
                        relied=here.gateway.inbound.trusting.relied,
                        at=outbound.scribe.now(),
                    )
                assert came.package.sha256 == work.claim.package_sha256
                assert (came.verdict.profile, came.verdict.summary()) == (profile, "valid")
                assert came.findings == ()

    asyncio.run(run())
