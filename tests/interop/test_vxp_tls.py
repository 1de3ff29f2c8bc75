"""An axis whose certificate cannot be trusted gets no byte, leaves no doubt, and rings."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.vxp.settings import VxpSettings
from gateway.config import AxisSection
from gateway.model.outcome import Deferred
from gateway.model.package import PackageKind
from gateway.ports import WaitingItem
from tests.support.axes import document_package, parcel, raw_server, self_signed, vxp_axis
from tests.support.houses import PDF, metadata, town

LONG = 60.0
SO19, FARAWAY = "000.00.19.H14", "000.00.00.G22"
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def served(folder: Path, fault: str) -> tuple[ssl.SSLContext, str]:
    """A server's certificate with one fault, and the ca_file of a client that it does not pass."""
    match fault:
        case "unknown":
            context, _ = self_signed(folder)
            return context, ""
        case "expired":
            context, pem = self_signed(folder, begin=LONG_AGO, lasts=timedelta(days=365))
        case "not yet valid":
            context, pem = self_signed(folder, begin=datetime(2200, 1, 1, tzinfo=UTC))
        case _:
            context, pem = self_signed(folder, name="another-axis.example")
    return context, str(pem)


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del reader, writer


FAULTS = ("unknown", "expired", "not yet valid", "wrong name")


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_sent_or_asked_under_a_certificate_that_cannot_be_trusted(
    tmp_path: Path, fault: str
) -> None:
    context, ca_file = served(tmp_path, fault)

    async def scene() -> tuple[list[object], list[bytes]]:
        async with raw_server(silence, context) as (url, heads):
            local = url.replace("127.0.0.1", "localhost")
            async with vxp_axis(local, ca_file=ca_file, inner_tries=1) as axis:
                sent = await axis.submit(parcel(document_package()), LONG)
                listed = await axis.list_waiting(PackageKind.DOCUMENT, LONG)
                item = WaitingItem("doc-1", PackageKind.DOCUMENT)
                got = await axis.fetch(item, io.BytesIO(), LONG)
            return [sent, listed.failure, got.failure], heads

    outcomes, heads = asyncio.run(scene())
    assert heads == []
    for outcome in outcomes:
        assert isinstance(outcome, Deferred), outcome
        assert (outcome.code, outcome.alarm) == ("connect.certificate", True)


def test_a_gateway_keeps_its_document_and_counts_the_alarm(tmp_path: Path) -> None:
    context, _ = served(tmp_path, "unknown")

    async def run() -> None:
        async with raw_server(silence, context) as (url, heads), town(tmp_path, stamps=False) as at:
            house = at.house("so19", ("H14.19",), {}, [])
            settings = house.settings()
            secret = tmp_path / "so19/keys/vxp.secret"
            secret.write_text("made-up-secret\n")
            secret.chmod(0o600)
            local = url.replace("127.0.0.1", "localhost")
            house.conf.write_text(
                house.conf.read_text("utf-8")
                + f'[[axis]]\nname = "vxp"\nendpoint = "{local}"\nsystem_id = "exp.sys.01"\n'
                + f'secret_file = "{secret}"\n[[route]]\naxis = "vxp"\neveryone = true\n',
                "utf-8",
            )
            assert settings.axis == ()
            async with at.open(house, ("seal", "deliver")) as here:
                made = await here.submit(metadata(SO19, FARAWAY), ("12.pdf", PDF), key="a")
                shown = await here.until(
                    SO19, made["id"], lambda d: d["transfers"][0]["last_outcome"] != ""
                )
                (transfer,) = shown["transfers"]
                assert transfer["last_outcome"] == "connect.certificate"
                assert (transfer["doubt"], transfer["hold_cause"]) == (False, "")
                counted = here.gateway.metrics.registry.get_sample_value
                labels = {"axis": "vxp", "cause": "certificate"}
            # it is counted after the commit that shows it, and before the worker rests
            assert counted("edoc_axis_alarms_total", labels) >= 1
            assert heads == []

    asyncio.run(run())


def test_no_key_and_no_setting_turns_the_check_off() -> None:
    names = {f.name for shape in (VxpSettings, AxisSection) for f in dataclasses.fields(shape)}
    assert {n for n in names if "verify" in n or "insecure" in n or "check" in n} == set()
