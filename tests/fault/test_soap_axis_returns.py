"""The simulated SOAP axis dies as a killed process does, and another returns in its place."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

from adapters.edoc_soap.axis import SoapAxis
from adapters.edoc_soap.simulator import Simulator, SimulatorSettings, start
from gateway.model.outcome import Deferred, Delivered
from gateway.model.package import PackageKind
from tests.contract.axis_suite import LONG, PACKAGE
from tests.support.axes import SYSTEMS, FixedClock, document_package, parcel
from tests.support.soap import soap_settings


def test_what_it_took_and_what_waits_there_outlives_it(tmp_path: Path) -> None:
    async def scene() -> None:
        clock = FixedClock()
        first = await start(SimulatorSettings(SYSTEMS, tmp_path), clock)
        settings = SimulatorSettings(SYSTEMS, tmp_path, port=int(first.url.split(":")[2][:-5]))
        axis = SoapAxis(soap_settings(first.url), clock)
        running: list[Simulator] = [first]
        try:
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered)
            theirs = document_package(sender="000.00.00.G22", receivers=("000.00.19.H14",))
            doc_id = await first.deposit(theirs, system_id="exp.sys.02", sender="")

            await first.refuse_connections()  # nothing is closed or said, as by SIGKILL
            gone = await axis.list_waiting(PackageKind.DOCUMENT, LONG)
            assert isinstance(gone.failure, Deferred)

            running.append(await start(settings, clock))
            repeated = await axis.submit(replace(parcel(PACKAGE), again=True), LONG)
            assert isinstance(repeated, Delivered)
            assert len(running[1].received()) == 2
            (item,) = (await axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
            assert item.axis_doc_id == doc_id
            assert (await axis.fetch(item, io.BytesIO(), LONG)).failure is None
            assert isinstance(await axis.acknowledge(doc_id, LONG), Delivered)
            assert running[1].acknowledged() == (doc_id,)
        finally:
            await axis.close()
            for one in running:
                await one.close()

    asyncio.run(scene())
