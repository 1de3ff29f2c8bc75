"""Stamps as people ask for them: in the order of the file, counted, paid for; one on request."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from adapters.tsa import server as tsa_server
from adapters.tsa.make import make_authority
from gateway.errors import Unavailable, Unknown
from gateway.store import ledger
from gateway.store.tables import Role, checkpoint, lease, record, stamp
from tests.support.commands import call
from tests.support.houses import NOW, PDF, House, Running, WallClock, metadata, town

SO19, SO20 = "000.00.19.H14", "000.00.20.H14"
Plot = Callable[[Running, list[tsa_server.Running]], Awaitable[None]]


def play(folder: Path, plot: Plot, *names: str, database: str = "") -> House:
    """A gateway whose stamp worker does not turn, and authorities of these names, in this order."""

    async def run() -> House:
        authority = make_authority(folder / "tsa", NOW)
        anchor = str(folder / "tsa" / "ca.pem")
        async with town(folder, stamps=False) as made:
            running = [
                await made.stack.enter_async_context(
                    tsa_server.serve("127.0.0.1", 0, authority, WallClock())
                )
                for _ in names
            ]
            named = [
                {"name": name, "url": one.url, "ca_file": anchor, "cost": 100 * (n + 1)}
                for n, (name, one) in enumerate(zip(names, running, strict=True))
            ]
            changes = {"stamp": {"authorities": named, "deadline": "5s"}}
            here = ("H14.19", "H14.20")
            house = made.house("so19", here, {}, [], database=database, changes=changes)
            async with made.open(house, ("api", "seal")) as inside:
                await plot(inside, running)
            return house

    return asyncio.run(run())


async def sealed_record(here: Running) -> str:
    answer = await here.submit(metadata(SO19, SO20), ("12.pdf", PDF), key="a")
    listener = here.gateway.store.listener("test")
    async with asyncio.timeout(30):
        while True:
            (found,) = await here.gateway.store.read(
                lambda tx: [
                    r for r in ledger.of_document(tx, answer["id"]) if r.event[:11] == "submission."
                ]
            )
            if found.seq is not None:
                return found.id
            await listener.wait(0.02)


async def many(here: Running, statement: Any) -> list[tuple[Any, ...]]:
    return await here.gateway.store.read(lambda tx: tx.execute(statement).all())


ORDERS = select(record.c.body).where(record.c.event == "stamp.ordered")


def test_the_next_authority_is_asked_when_one_fails_and_each_is_counted(
    tmp_path: Path, any_url: str
) -> None:
    async def plot(here: Running, tsa: list[tsa_server.Running]) -> None:
        tsa[0].faults.append(tsa_server.Fault.WRONG_NONCE)
        wanted = await sealed_record(here)
        made = await here.gateway.stampbook.order("console", wanted)
        assert made["ordered"]
        assert [one.received for one in tsa] == [1, 1]
        shown = await here.gateway.stampbook.shown()
        told = [tuple(one.values()) for one in shown["authorities"]]
        assert told == [("dear", True, 100, 0, 1, 0), ("spare", True, 200, 1, 0, 200)]
        assert shown["level"] == "normal"
        figures = here.gateway.metrics.registry.get_sample_value
        for labels, count in (
            ({"authority": "dear", "result": "untrusted"}, 1),
            ({"authority": "spare", "result": "strict"}, 1),
            ({"authority": "spare", "result": "unavailable"}, 0),
        ):
            assert figures("edoc_stamps_total", labels) == count
        assert figures("edoc_stamps_cost_total", {"authority": "spare"}) == 200

    play(tmp_path, plot, "dear", "spare", database=any_url if "postgres" in any_url else "")


def test_one_record_is_stamped_on_request_once_and_the_order_is_recorded(tmp_path: Path) -> None:
    async def plot(here: Running, tsa: list[tsa_server.Running]) -> None:
        wanted = await sealed_record(here)
        book = here.gateway.stampbook
        first = await book.order("console", wanted)
        again = await book.order("console", wanted)
        assert (first["ordered"], again["ordered"]) == (True, False)
        assert {**first, "ordered": False} == again
        assert tsa[0].received == 1, "what is covered is not paid for twice"
        ((body,),) = await many(here, ORDERS)
        said = json.loads(body)
        assert said["about"] == {"account": "console", "record": wanted}
        assert said["facts"]["seq"] == first["seq"]
        with pytest.raises(Unknown):
            await book.order("console", "01939c1e")
        # openssl says the same of the token as it is stored
        ((token, size),) = await many(here, select(stamp.c.token, stamp.c.size))
        ((note,),) = await many(here, select(checkpoint.c.note).where(checkpoint.c.size == size))
        (tmp_path / "token.der").write_bytes(token)
        (tmp_path / "note").write_bytes(note.encode())

    play(tmp_path, plot, "one")
    judged = subprocess.run(
        [
            *("openssl", "ts", "-verify", "-token_in", "-in", tmp_path / "token.der"),
            *("-data", tmp_path / "note", "-CAfile", tmp_path / "tsa" / "ca.pem"),
        ],
        capture_output=True,
    )
    assert judged.returncode == 0, judged.stderr


def test_an_order_waits_for_nobody_and_nobody_for_it(tmp_path: Path) -> None:
    async def plot(here: Running, tsa: list[tsa_server.Running]) -> None:
        tsa[0].faults.append(tsa_server.Fault.HANG)
        wanted = await sealed_record(here)
        book = here.gateway.stampbook
        under_way = book.start("console", wanted)
        async with asyncio.timeout(30):
            await tsa[0].hanging.wait()
        assert book.start("other", wanted) is under_way, "joined"
        with pytest.raises(Unavailable) as busy:
            await book.order("console", wanted)
        assert busy.value.code == "stamp.under_way"
        assert await here.gateway.stamping.stamp() is None, "the worker has no turn either"
        await here.submit(metadata(SO19, SO20, number="13"), ("12.pdf", PDF), key="b")
        await book.close()
        assert under_way.cancelled()
        ((until, fence),) = await many(
            here, select(lease.c.owner, lease.c.fence).where(lease.c.name == "stamper")
        )
        assert (until, fence) == ("", 1), "the turn is given back"
        assert (await book.order("console", wanted))["ordered"]

    play(tmp_path, plot, "one")


def test_without_an_authority_there_is_nobody_to_ask(tmp_path: Path) -> None:
    async def plot(here: Running, _: list[tsa_server.Running]) -> None:
        wanted = await sealed_record(here)
        with pytest.raises(Unavailable) as nobody:
            await here.gateway.stampbook.order("console", wanted)
        assert nobody.value.code == "stamp.no_authority"

    play(tmp_path, plot)


def test_rest_and_the_command_line_order_and_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ""

    async def plot(here: Running, _: list[tsa_server.Running]) -> None:
        nonlocal wanted
        wanted = await sealed_record(here)
        keys = {}
        for role in (Role.AUDITOR, Role.UNIT):
            agencies = ["H14.19"] if role is Role.UNIT else []
            _, keys[role] = await here.gateway.desk.add_account(
                "test", name=role.value, role=role, agencies=agencies
            )
        url = f"{here.gateway.url}/v1/ledger/stamps"
        async with aiohttp.ClientSession() as session:
            for role, status in ((Role.UNIT, 403), (Role.AUDITOR, 200)):
                headers = {"Authorization": f"Bearer {keys[role]}"}
                async with session.post(url, json={"record": wanted}, headers=headers) as made:
                    assert made.status == status
                async with session.get(url, headers=headers) as shown:
                    assert shown.status == status
                    body = await shown.json()
            assert body["authorities"][0]["granted"] == 1

    house = play(tmp_path, plot, "one")
    told = call(capsys, "ledger", "stamp", wanted, "--conf", house.conf.parent, "--json")
    assert told.json()["ordered"] is False
    told = call(capsys, "ledger", "stamps", "--conf", house.conf.parent, "--lang", "en")
    assert "Newest stamp" in told.out
    assert "one" in told.out
