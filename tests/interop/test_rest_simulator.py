"""The REST client and the simulated axis: what the contract of the port does not ask."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta

import aiohttp
import pytest

from adapters.lgsp_rest.profile import read_profile
from gateway.model.outcome import Deferred, Delivered, Refused
from gateway.model.package import PackageKind
from tests.support.axes import FixedClock, document_package, parcel
from tests.support.rest_axes import rest_axis, rest_settings, rest_simulator

LONG = 60.0
PACKAGE = document_package()


def test_one_token_serves_many_and_is_renewed_before_it_ends(tmp_path):
    async def scene():
        clock = FixedClock()
        asking = read_profile().login
        async with rest_simulator(tmp_path, clock) as sim, rest_axis(sim.url, clock=clock) as axis:
            kinds = [PackageKind.DOCUMENT, PackageKind.STATUS] * 4
            listed = await asyncio.gather(*(axis.list_waiting(kind, LONG) for kind in kinds))
            assert all(one.failure is None for one in listed)
            assert sim.requests["login"] == 1
            clock.at += timedelta(seconds=asking.lifetime - asking.renew_before - 1)
            assert (await axis.list_waiting(PackageKind.STATUS, LONG)).failure is None
            assert sim.requests["login"] == 1
            clock.at += timedelta(seconds=1)
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered)
            assert sim.requests == {"login": 2, "list": 9, "send": 1}

    asyncio.run(scene())


def test_a_token_that_ended_too_early_is_replaced_and_the_call_made_again(tmp_path):
    async def scene():
        async with rest_simulator(tmp_path) as sim, rest_axis(sim.url) as axis:
            assert (await axis.list_waiting(PackageKind.STATUS, LONG)).failure is None
            sim.end_tokens()
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered)
            sim.end_tokens()
            assert (await axis.list_waiting(PackageKind.STATUS, LONG)).failure is None
            assert len(sim.depot.sent) == 1
            assert sim.requests["login"] == 3

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("fault", "code", "alarm"),
    [
        ({"kind": "403"}, "login.refused", True),
        ({"kind": "500"}, "login.http.500", False),
        ({"kind": "garbage"}, "login.unreadable", False),
        ({"kind": "drop_after"}, "answer.reset", False),
        ({"kind": "cut"}, "login.unreadable", False),
    ],
)
def test_a_login_that_fails_is_never_a_doubt_about_the_package(tmp_path, fault, code, alarm):
    async def scene():
        async with rest_simulator(tmp_path) as sim, rest_axis(sim.url) as axis:
            sim.faults.add(operation="login", **fault)
            outcome = await axis.submit(parcel(PACKAGE), LONG)
            assert isinstance(outcome, Deferred)
            assert (outcome.code, outcome.alarm) == (code, alarm)
            assert sim.requests["send"] == 0
            sim.faults.clear()
            assert isinstance(await axis.submit(parcel(PACKAGE), LONG), Delivered)

    asyncio.run(scene())


def test_a_login_that_is_silent_ends_with_the_callers_deadline(tmp_path):
    async def scene():
        async with rest_simulator(tmp_path) as sim, rest_axis(sim.url) as axis:
            sim.faults.add(operation="login", kind="hang")
            assert (await axis.submit(parcel(PACKAGE), 0.2)).code == "send.timeout"
            listed = await axis.list_waiting(PackageKind.STATUS, 0.2)
            assert listed.failure == Deferred("answer.silence", "")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("changes", "code"), [({"password": "wrong"}, "login.refused"), ({"secret": "x"}, "rest.15")]
)
def test_a_wrong_account_alarms(tmp_path, changes, code):
    async def scene():
        async with rest_simulator(tmp_path) as sim, rest_axis(sim.url, **changes) as axis:
            outcome = await axis.submit(parcel(PACKAGE), LONG)
            assert isinstance(outcome, Deferred)
            assert (outcome.code, outcome.alarm) == (code, True)
            told = (await axis.list_waiting(PackageKind.STATUS, LONG)).failure
            assert (told.code, told.alarm) == (code, True)

    asyncio.run(scene())


def test_no_secret_stands_in_an_address(tmp_path):
    async def scene():
        async with rest_simulator(tmp_path) as sim, rest_axis(sim.url) as axis:
            sim.deposit(
                document_package(receivers=("000.00.19.H14",)).replace(
                    b"<edXML:From><edXML:OrganId>000.00.19.H14",
                    b"<edXML:From><edXML:OrganId>000.00.00.G22",
                ),
                PackageKind.DOCUMENT,
                "exp.sys.02",
            )
            await axis.submit(parcel(PACKAGE), LONG)
            (item,) = (await axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
            assert (await axis.fetch(item, io.BytesIO(), LONG)).failure is None
            await axis.acknowledge(item.axis_doc_id, LONG)
            await axis.read_directory(lambda _: None, LONG)
            settings = rest_settings(sim.url)
            tokens = tuple(sim._tokens)
            assert len(set(sim.queries)) == 6
            for address in sim.queries:
                for secret in (settings.secret, settings.password, settings.system_id, *tokens):
                    assert secret not in address
            assert settings.secret not in repr(settings)

    asyncio.run(scene())


def test_a_body_without_its_length_is_refused_and_ours_has_one(tmp_path):
    async def scene():
        async with rest_simulator(tmp_path) as sim, rest_axis(sim.url) as axis:
            cargo = parcel(PACKAGE, chunk=100)
            assert isinstance(await axis.submit(cargo, LONG), Delivered)
            assert sim.depot.sent[0].file.read_bytes() == PACKAGE
            (token,) = sim._tokens
            settings = rest_settings(sim.url)
            headers = {
                "Authorization": f"Bearer {token}",
                "X-SystemId": settings.system_id,
                "X-SecretKey": settings.secret,
                "Content-Type": "multipart/form-data; boundary=b",
            }

            async def pieces():
                yield b"--b\r\n"

            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{sim.url}/v1/sendEdoc", data=pieces(), headers=headers) as said,
            ):
                assert said.status == 411

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("package", "kind", "code"),
    [
        (PACKAGE.replace(b"QCVN_102_2016", b"other"), Refused, "rest.22"),
        (document_package(receivers=("000.00.99.H99",)), Refused, "rest.18"),
        (document_package(sender="000.00.00.G22"), Deferred, "rest.19"),
        (document_package(receivers=("000.00.00.H14",)), Deferred, "rest.23"),
    ],
)
def test_what_the_axis_does_not_take_it_says_by_its_codes(tmp_path, package, kind, code):
    async def scene():
        locked = ("000.00.00.H14",)
        async with rest_simulator(tmp_path, locked=locked) as sim, rest_axis(sim.url) as axis:
            outcome = await axis.submit(parcel(package), LONG)
            assert isinstance(outcome, kind)
            assert outcome.code == code
            assert sim.depot.sent == []

    asyncio.run(scene())


def test_files_that_lie_beside_the_package_are_not_lost_in_silence(tmp_path):
    async def scene():
        async with rest_simulator(tmp_path, files_apart=True) as sim, rest_axis(sim.url) as axis:
            bare = document_package(sender="000.00.00.G22", receivers=("000.00.19.H14",), files=())
            sim.deposit(bare, PackageKind.DOCUMENT, "exp.sys.02")
            whole = document_package(sender="000.00.00.G22", receivers=("000.00.19.H14",))
            sim.deposit(whole, PackageKind.DOCUMENT, "exp.sys.02")
            first, second = (await axis.list_waiting(PackageKind.DOCUMENT, LONG)).items
            got = await axis.fetch(first, io.BytesIO(), LONG)
            assert got.failure == Deferred("package.files_apart", alarm=True)
            sink = io.BytesIO()
            assert (await axis.fetch(second, sink, LONG)).failure is None
            assert sink.getvalue() == whole

    asyncio.run(scene())
