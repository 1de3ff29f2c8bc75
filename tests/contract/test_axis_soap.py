"""The SOAP client against the simulated provincial axis, by the contract of the port Axis."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import io
from datetime import timedelta

from adapters.edoc_soap.axis import SoapAxis
from gateway.model.outcome import Delivered, Refused
from gateway.model.package import PackageKind
from gateway.ports import WaitingItem
from tests.contract.axis_suite import LONG, PACKAGE, SIMULATED, SUBMIT_OUTCOMES, CollectingAxisSuite
from tests.support.axes import SYSTEMS, FixedClock, document_package, parcel, status_package
from tests.support.soap import SWA, soap_settings, soap_simulator

FAULTS = {
    **SIMULATED,
    "never": {"kind": "error", "code": "N.MessageHeader.Subject"},
    "later": {"kind": "error", "code": "20"},
}


class SoapWorld:
    """The account under test sends for Cao Bằng and collects what is sent to it."""

    def __init__(self, simulated, axis):
        self.simulated = simulated
        self.axis = Again(axis)
        self.agencies = tuple(code for _, codes in SYSTEMS.values() for code in codes)
        self.secrets = tuple(token for token, _ in SYSTEMS.values())

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
        # what the account sends to the ministry, the ministry sends to the account
        ours, theirs = b"000.00.00.H14", b"000.00.00.G22"
        package = package.replace(b"000.00.19.H14", ours)
        package = package.replace(theirs, b"@").replace(ours, theirs).replace(b"@", ours)
        await self.simulated.deposit(package, system_id="exp.sys.02", sender="000.00.00.G22")


class Again:
    """The suite sends parcels more than once, as the dispatcher does: not as first attempts."""

    def __init__(self, axis):
        self._axis = axis

    def __getattr__(self, name):
        return getattr(self._axis, name)

    async def submit(self, cargo, seconds):
        return await self._axis.submit(dataclasses.replace(cargo, again=True), seconds)


class TestSoapAxis(CollectingAxisSuite):
    profile = SWA
    breaks = frozenset(SUBMIT_OUTCOMES) - {"unavailable"}
    test_following_up_never_raises = None  # this axis cannot be asked, and says so
    test_an_unknown_id_is_told_from_a_question_that_was_not_answered = None
    test_what_waits_can_be_counted_and_a_broken_count_is_not_zero = None

    @contextlib.asynccontextmanager
    async def world(self, folder):
        async with soap_simulator(folder, profile=self.profile) as simulated:
            settings = soap_settings(simulated.url, profile=self.profile, retry_codes=("20",))
            axis = SoapAxis(settings, FixedClock())
            try:
                await axis.prepare()  # reading the contract is not what a short deadline is about
                yield SoapWorld(simulated, axis)
            finally:
                await axis.close()

    def test_what_is_there_already_is_good_after_a_retry_and_a_refusal_before(self, tmp_path):
        async def scene():
            async with self.world(tmp_path) as world:
                first = await world.axis.submit(parcel(PACKAGE), LONG)
                assert isinstance(first, Delivered)
                again = await world.axis._axis.submit(parcel(PACKAGE), LONG)
                assert isinstance(again, Refused)
                assert again.code == "edoc.M.Exist"

        asyncio.run(scene())

    def test_a_file_of_no_known_kind_comes_back_as_it_went(self, tmp_path):
        """The simulated axis answers with base64 text that nobody declares, as the real one."""
        odd = document_package(files=(("la.bin", "application/octet-stream", b"\0\1" * 9000),))

        async def scene():
            async with self.world(tmp_path) as world:
                await world.offer(odd)
                (item,) = (await world.axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
                sink = io.BytesIO()
                assert (await world.axis.fetch(item, sink, LONG)).failure is None
                assert base64.b64encode(b"\0\1" * 9000) in sink.getvalue()

        asyncio.run(scene())


class TestSoapAxisWithPackages(TestSoapAxis):
    """An axis that takes the whole QCVN 102 package in one element."""

    profile = dataclasses.replace(SWA, payload="package")


class TestSoapAxisOfAnotherProvince(TestSoapAxis):
    """SOAP 1.2, another action, a namespace for wrappers, the token in a header, binary parts."""

    profile = dataclasses.replace(
        SWA,
        soap="1.2",
        action="urn:edoc#{operation}",
        wrapper_namespace="http://www.e-doc.vn/Schema/",
        credentials="signature",
        parts="binary",
        framing="length",
    )


def test_an_axis_that_wants_the_token_in_a_header_gets_every_verb(tmp_path):
    """What we send there is a guess; that it is whole, our own simulated axis says."""
    profile = dataclasses.replace(SWA, credentials="header")
    # nothing but a document's sender says whose token it is
    systems = {code: (f"ma-{code}", (code,)) for code in ("000.00.19.H14", "000.00.00.G22")}

    def client(url, code):
        settings = soap_settings(url, profile=profile, token=systems[code][0])
        return SoapAxis(dataclasses.replace(settings, organ_id=code), FixedClock())

    async def scene():
        async with soap_simulator(tmp_path, profile=profile, systems=systems) as simulated:
            ours, theirs = (client(simulated.url, code) for code in systems)
            try:
                assert isinstance(await ours.submit(parcel(PACKAGE), LONG), Delivered)
                (item,) = (await theirs.list_waiting(PackageKind.DOCUMENT, LONG)).items
                sink = io.BytesIO()
                assert (await theirs.fetch(item, sink, LONG)).failure is None
                assert isinstance(await theirs.acknowledge(item.axis_doc_id, LONG), Delivered)
                told = parcel(status_package(), kind=PackageKind.STATUS, sender="000.00.00.G22")
                assert isinstance(await theirs.submit(told, LONG), Delivered)
                heard = (await ours.list_waiting(PackageKind.STATUS, LONG)).items
                assert [one.listed_status for one in heard] == ["01", "03"]
                assert await ours.read_directory(lambda _: None, LONG) is None
                assert isinstance(await ours.check_permission(LONG), Delivered)
            finally:
                await ours.close()
                await theirs.close()

    asyncio.run(scene())


def test_statuses_are_asked_for_with_an_overlap_and_once_an_hour_days_back(tmp_path):
    """A list that was given may not have been committed: nothing is asked for just once."""
    profile = dataclasses.replace(SWA, traces_overlap=60)

    async def scene():
        clock = FixedClock()
        began = clock.at
        async with soap_simulator(tmp_path) as simulated:
            axis = SoapAxis(soap_settings(simulated.url, profile=profile), clock)
            try:
                told = status_package(sender="000.00.00.G22", to="000.00.19.H14")
                await simulated.deposit(told, system_id="exp.sys.02", sender="")
                seen = []
                for minutes in (0, 1, 10, 59, 60, 61, 80, 121, 60 * 24 * 8):
                    clock.at = began + timedelta(minutes=minutes)
                    listing = await axis.list_waiting(PackageKind.STATUS, LONG)
                    assert listing.failure is None
                    seen.append(len(listing.items))
                assert seen == [1, 1, 1, 0, 1, 0, 0, 1, 0]
                unknown = WaitingItem("trace-none", PackageKind.STATUS)
                got = await axis.fetch(unknown, io.BytesIO(), LONG)
                assert got.failure is not None
                assert got.failure.code == "trace.gone"
            finally:
                await axis.close()

    asyncio.run(scene())
