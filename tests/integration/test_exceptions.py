"""Plain http to an axis: a reason, a record of it once for each change, a note while it lasts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.store import Store, noted
from gateway.store.tables import record
from tests.support.commands import call
from tests.support.houses import House, town

RECORDS = select(record.c.body).where(record.c.event == "conf.exception").order_by(record.c.at)


def test_of_processes_that_start_together_one_is_told_of_the_change(any_store: Store) -> None:
    async def start(value: str) -> list[bool]:
        def note(tx: Any) -> bool:
            return noted.changed(tx, "conf", value, first="[]")

        return list(await asyncio.gather(*(any_store.write(note) for _ in range(7))))

    async def scene() -> list[int]:
        return [sum(await start(value)) for value in ("[]", "[1]", "[1]", "[2]", "[]", "[]")]

    assert asyncio.run(scene()) == [0, 1, 0, 1, 1, 0]


def with_axis(house: House, endpoint: str, reason: str) -> None:
    """The house's conf with one axis, in place of what the test wrote before."""
    written = house.conf.read_text("utf-8").partition("\n[[axis]]")[0]
    secret = house.folder / "keys/vxp.secret"
    secret.write_text("made-up-secret\n")
    secret.chmod(0o600)
    house.conf.write_text(
        f'{written}\n[[axis]]\nname = "vxp"\nendpoint = "{endpoint}"\nsystem_id = "s"\n'
        f'secret_file = "{secret}"\nallow_http = "{reason}"\n',
        "utf-8",
    )


def test_the_reason_is_recorded_once_and_said_as_long_as_it_lasts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = "đường truyền riêng cấp I", "đường truyền riêng, đã mã hóa lớp dưới"
    told: list[list[dict[str, Any]]] = []

    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            house = made.house("so19", ("H14.19",), {}, [])
            for endpoint, reason in (
                ("http://192.0.2.1/vxp", first),
                ("http://192.0.2.1/vxp", first),
                ("http://192.0.2.1/vxp", other),
                ("https://192.0.2.1/vxp", ""),
            ):
                with_axis(house, endpoint, reason)
                async with made.open(house, ("seal",)) as here:
                    bodies = await here.gateway.store.read(lambda tx: tx.scalars(RECORDS))
                    told.append([json.loads(b) for b in bodies])
                    said = await here.gateway.readiness()
                    notes = [f for f in said if f.code == "conf.exception"]
                    assert len(notes) == (1 if reason else 0)
                    for note in notes:
                        assert (note.path, note.severity.value) == ("axis.vxp", "note")
                        assert reason in note.text.vi

    asyncio.run(run())
    assert [len(bodies) for bodies in told] == [1, 1, 2, 3]
    reasons = [[e["reason"] for e in body["facts"]["exceptions"]] for body in told[-1]]
    assert reasons == [[first], [other], []]
    conf = tmp_path / "so19/conf/gateway.toml"
    assert call(capsys, "ledger", "verify", "--conf", conf).code == 0


def test_conf_check_refuses_without_a_reason_and_shows_it_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def make() -> House:
        async with town(tmp_path, stamps=False) as made:
            return made.house("so19", ("H14.19",), {}, [])

    house = asyncio.run(make())
    with_axis(house, "http://192.0.2.1/vxp", "")
    refused = call(capsys, "conf", "check", "--conf", house.conf, "--lang", "en")
    assert (refused.code, "allow_http" in refused.out) == (78, True)
    with_axis(house, "http://192.0.2.1/vxp", "đường truyền riêng cấp I")
    allowed = call(capsys, "conf", "check", "--conf", house.conf)
    assert allowed.code == 0
    assert "đường truyền riêng cấp I" in allowed.out
