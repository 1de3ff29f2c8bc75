"""The VXP client against the simulated axis, by the contract of the port Axis."""

from __future__ import annotations

import asyncio
import contextlib
import io

from adapters.vxp.axis import VxpAxis
from gateway.model.package import PackageKind
from tests.contract.axis_suite import SIMULATED, SUBMIT_OUTCOMES, CollectingAxisSuite
from tests.support.axes import SYSTEMS, FixedClock, document_package, simulator, vxp_settings

FAULTS = {
    **SIMULATED,
    "never": {"kind": "error", "code": "22"},
    "later": {"kind": "error", "code": "20"},
}


class VxpSubject:
    """The account sends and receives: what it sends to its own agencies comes back to it."""

    def __init__(self, simulated, axis):
        self.simulated = simulated
        self.axis = axis
        self.secrets = tuple(secret for secret, _ in SYSTEMS.values())
        self.agencies = ("H14.19", "H14", "G22")

    async def break_remote(self, how):
        if how == "unreachable":
            await self.simulated.refuse_connections()
        else:
            self.simulated.faults.add(**FAULTS[how])

    async def heal(self):
        self.simulated.faults.clear()
        await self.simulated.accept_connections()

    async def stored(self):
        return len(self.simulated.received())

    async def offer(self, package):
        # what is meant for the ministry goes to the account under test
        package = package.replace(b"000.00.00.G22", b"000.00.00.H14")
        await self.simulated.deposit(package, system_id="exp.sys.02", sender="000.00.00.G22")


class TestVxpAxis(CollectingAxisSuite):
    breaks = frozenset(SUBMIT_OUTCOMES) - {"unavailable"}

    @contextlib.asynccontextmanager
    async def world(self, folder):
        async with simulator(folder) as simulated:
            settings = vxp_settings(
                simulated.url, never_codes=("22",), retry_codes=("20",), unknown_codes=("-1",)
            )
            axis = VxpAxis(settings, FixedClock())
            try:
                yield VxpSubject(simulated, axis)
            finally:
                await axis.close()


class TestVxpAxisWithoutDownload(TestVxpAxis):
    """An older axis: no downloadEdoc, packages only as base64 in JSON."""

    @contextlib.asynccontextmanager
    async def world(self, folder):
        async with simulator(
            folder, download=False, rebuild=False, says_unknown=False
        ) as simulated:
            settings = vxp_settings(simulated.url, never_codes=("22",), hash_form="padded")
            axis = VxpAxis(settings, FixedClock())
            try:
                yield VxpSubject(simulated, axis)
            finally:
                await axis.close()


def test_an_axis_without_downloads_is_remembered_as_such(tmp_path):
    async def scene():
        async with TestVxpAxisWithoutDownload().world(tmp_path) as world:
            await world.offer(document_package("first"))
            await world.offer(document_package("second"))
            listing = await world.axis.list_waiting(PackageKind.DOCUMENT, 60)
            for item in listing.items:
                assert (await world.axis.fetch(item, io.BytesIO(), 60)).failure is None
            assert world.simulated.requests["downloadEdoc"] == 1
            assert world.simulated.requests["getEdoc"] == 2

    asyncio.run(scene())
