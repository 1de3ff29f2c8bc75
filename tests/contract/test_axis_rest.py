"""The client of a provincial REST axis against the simulated one, by the contract of the port."""

from __future__ import annotations

import contextlib

from gateway.model.package import PackageKind
from tests.contract.axis_suite import SIMULATED, SUBMIT_OUTCOMES, CollectingAxisSuite
from tests.support.axes import MINISTRY, SYSTEMS
from tests.support.rest_axes import rest_axis, rest_simulator

FAULTS = {
    **SIMULATED,
    "never": {"kind": "error", "code": "22"},
    "later": {"kind": "error", "code": "20"},
}


class RestSubject:
    """The account sends to another one, and gets what that one sends to it."""

    def __init__(self, simulated, axis):
        self.simulated = simulated
        self.axis = axis
        self.secrets = (SYSTEMS["exp.sys.01"][0],)
        self.agencies = ("000.00.19.H14", MINISTRY)

    async def break_remote(self, how):
        if how == "unreachable":
            await self.simulated.refuse_connections()
            return
        for operation in ("send", "list", "get", "status", "agencies"):  # the login is well
            self.simulated.faults.add(operation=operation, **FAULTS[how])

    async def heal(self):
        self.simulated.faults.clear()
        await self.simulated.accept_connections()

    async def stored(self):
        return len(self.simulated.depot.sent)

    async def offer(self, package):
        package = (
            package.replace(b"000.00.19.H14", b"xxx")
            .replace(b"000.00.00.G22", b"000.00.00.H14")
            .replace(b"xxx", b"000.00.00.G22")
        )
        if b"StatusCode" in package:
            package = package.replace(b"000.00.00.H14", b"xxx", 1)
            package = package.replace(b"xxx", b"000.00.00.G22")
        kind = PackageKind.STATUS if b"StatusCode" in package else PackageKind.DOCUMENT
        self.simulated.deposit(package, kind, "exp.sys.02")


class TestRestAxis(CollectingAxisSuite):
    breaks = frozenset(SUBMIT_OUTCOMES) - {"unavailable"}

    @contextlib.asynccontextmanager
    async def world(self, folder):
        async with rest_simulator(folder) as simulated, rest_axis(simulated.url) as axis:
            yield RestSubject(simulated, axis)


class TestRestAxisThatAnswersInBase64(TestRestAxis):
    @contextlib.asynccontextmanager
    async def world(self, folder):
        async with (
            rest_simulator(folder, as_base64=True) as simulated,
            rest_axis(simulated.url) as axis,
        ):
            yield RestSubject(simulated, axis)
