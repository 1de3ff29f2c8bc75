"""The scenarios of each simulated axis: VXP, SOAP with files as parts, REST."""

from __future__ import annotations

import contextlib

from adapters.edoc_soap.axis import SoapAxis
from gateway.model.outcome import Delivered
from gateway.model.package import PackageKind
from tests.interop.scenario_suite import LONG, ScenarioSuite, one, package
from tests.support.axes import MINISTRY, FixedClock, parcel, simulator, status_package, vxp_axis
from tests.support.rest_axes import rest_axis, rest_simulator
from tests.support.soap import soap_settings, soap_simulator

STATUS = PackageKind.STATUS


def number_in(document_id: str) -> str:
    return document_id.split(",")[2].split("/", maxsplit=1)[0]


class TestVxp(ScenarioSuite):
    send, list, done = "sendEdoc", "getReceivedEdocList", "updateStatus"

    @contextlib.asynccontextmanager
    async def world(self, folder, **changes):
        async with (
            simulator(folder, **changes) as sim,
            vxp_axis(sim.url) as ours,
            vxp_axis(sim.url, "exp.sys.02") as theirs,
        ):
            yield ours, theirs, sim

    def taken(self, sim):
        return [(number_in(p.document_id), p.at) for p in sim.received()]


class TestRest(ScenarioSuite):
    send, list, done = "send", "list", "status"

    @contextlib.asynccontextmanager
    async def world(self, folder, **changes):
        async with (
            rest_simulator(folder, **changes) as sim,
            rest_axis(sim.url) as ours,
            rest_axis(sim.url, "exp.sys.02") as theirs,
        ):
            yield ours, theirs, sim

    def taken(self, sim):
        found = []
        for sent in sim.depot.sent:
            text = sent.file.read_text("utf-8")
            document_id = text.split("DocumentId>")[1].removesuffix("</edXML:")
            found.append((number_in(document_id), sent.at))
        return found

    def test_a_login_that_the_axis_clock_ended_early_is_made_again(self, tmp_path):
        """A token given by a clock that is hours late is worth nothing when it is used."""

        async def play(ours, theirs, sim):
            assert isinstance(await ours.submit(parcel(package(1)), LONG), Delivered)
            assert sim.requests["login"] == 2

        self.scene(play, tmp_path, one("skew", "login", seconds=-7200, last=1))


class TestSoap(ScenarioSuite):
    send, list, done = "SendDocument", "GetPendingDocumentIds", "ConfirmReceived"

    @contextlib.asynccontextmanager
    async def world(self, folder, **changes):
        async with soap_simulator(folder, **changes) as sim:
            axes = [
                SoapAxis(soap_settings(sim.url, account), FixedClock())
                for account in ("exp.sys.01", "exp.sys.02")
            ]
            try:
                for axis in axes:
                    await axis.prepare()
                yield (*axes, sim)
            finally:
                for axis in axes:
                    await axis.close()

    def taken(self, sim):
        return [(number_in(p.document_id), "") for p in sim.received()]

    def test_skew_puts_the_axis_clock_wrong_for_the_requests_it_meets(self, tmp_path):
        """Its clock says when a status came: one of two hours ago is behind what is asked for."""

        def told(code):
            return parcel(status_package(code=code), kind=STATUS, sender=MINISTRY)

        async def play(ours, theirs, sim):
            assert (await ours.list_waiting(STATUS, LONG)).items == ()
            for code in ("03", "04"):
                assert isinstance(await theirs.submit(told(code), LONG), Delivered)
            heard = (await ours.list_waiting(STATUS, LONG)).items
            assert [item.listed_status for item in heard] == ["04"]

        self.scene(play, tmp_path, one("skew", "UpdateTraces", seconds=-7200, last=1))
