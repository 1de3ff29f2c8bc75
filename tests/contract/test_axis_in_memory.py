"""The axis in memory, by the contract of the port Axis: the suite itself is checked with it."""

from __future__ import annotations

import contextlib

from gateway.model.package import PackageKind
from tests.contract.axis_suite import SUBMIT_OUTCOMES, CollectingAxisSuite
from tests.support.axes import CAO_BANG, MINISTRY
from tests.support.axis_in_memory import SECRET, FarSide, Laid, MemoryAxis


class MemorySubject:
    def __init__(self, make=MemoryAxis):
        self.far = FarSide((CAO_BANG, MINISTRY))
        self.axis = make(self.far)
        self.secrets = (SECRET,)
        self.agencies = self.far.agencies

    async def break_remote(self, how):
        self.far.broken = how

    async def heal(self):
        self.far.broken = ""

    async def stored(self):
        return len(self.far.sent)

    async def offer(self, package):
        kind = PackageKind.STATUS if b"StatusCode" in package else PackageKind.DOCUMENT
        self.far.laid[f"laid-{len(self.far.laid)}"] = Laid(kind, package)


class TestMemoryAxis(CollectingAxisSuite):
    breaks = frozenset(SUBMIT_OUTCOMES) - {"unavailable"}

    @contextlib.asynccontextmanager
    async def world(self, folder):
        yield MemorySubject()
