"""A document signed by a key on a token, from one agency's system to another's."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from gateway import config
from gateway.errors import Misconfigured, Unavailable
from gateway.wiring.process import open_gateway
from tests.support import pki, tokens
from tests.support.houses import NOW, PDF, House, metadata, town

SO19, VPCP = "000.00.19.H14", "000.00.00.G22"
EVERYONE = [{"axis": "vxp", "everyone": True}]


@pytest.fixture
def soft(tmp_path, monkeypatch):
    made = tokens.SoftToken(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.conf))
    leaf = pki.cast().root.leaf(
        "000.00.19.H14 (test)",
        pki.rsa_key(),
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=300),
    )
    made.put(leaf, "văn thư", "a1")
    return made


def on_token(house: House, soft: tokens.SoftToken, **changes: str) -> None:
    """The first [[key]] of the house lies on the token from now on."""
    values = {
        "token": tokens.LABEL,
        "object": "văn thư",
        "module": str(tokens.MODULE),
        "pin_file": str(soft.pin_file),
        **changes,
    }
    lines = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    text, count = re.subn(
        r'path = "[^"]*"\ncertificate = "[^"]*"\n', lines, house.conf.read_text("utf-8"), count=1
    )
    assert count == 1
    house.conf.write_text(text, "utf-8")


def test_a_document_signed_on_a_token_arrives_with_a_valid_signature(tmp_path: Path, soft) -> None:
    async def run() -> None:
        async with town(tmp_path, stamps=False) as made:
            await made.axis("vxp", {"sys.h14": (SO19,), "sys.g22": (VPCP,)})
            here_house = made.house("so19", ("H14.19",), {"vxp": "sys.h14"}, EVERYONE)
            there_house = made.house("vpcp", ("G22",), {"vxp": "sys.g22"}, EVERYONE)
            on_token(here_house, soft)
            async with made.open(here_house) as here, made.open(there_house) as there:
                token = here.gateway.outbound.keys["H14.19"]._token
                first = token.pid
                await here.submit(metadata(SO19, VPCP), ("12.pdf", PDF))
                os.kill(first, signal.SIGKILL)
                await here.submit(metadata(SO19, VPCP, number="13"), ("13.pdf", PDF))
                items = await there.inbox(VPCP)
                while len(items) < 2:
                    items = await there.inbox(VPCP)
                assert [i["signature"]["verdict"] for i in items] == ["valid", "valid"]
                soft.store.rename(soft.folder / "pocket")
                with pytest.raises(Unavailable) as away:
                    await here.submit(metadata(SO19, VPCP, number="14"), ("14.pdf", PDF))
                assert away.value.code.startswith("key.token_")
                (soft.folder / "pocket").rename(soft.store)
                token._rests_until = 0.0  # as if its rest were over
                await here.submit(metadata(SO19, VPCP, number="14"), ("14.pdf", PDF))
                last = token.pid
            assert tokens.gone(first)
            assert tokens.gone(last)

    asyncio.run(run())


def refused(house: House) -> Misconfigured:
    async def start() -> None:
        async with open_gateway(house.settings()):
            raise AssertionError("it must not start")

    with pytest.raises(Misconfigured) as wrong:
        asyncio.run(start())
    return wrong.value


def test_a_gateway_does_not_start_with_a_key_it_cannot_use(tmp_path: Path, soft) -> None:
    house = House("so19", tmp_path / "so19", ("H14.19",), {}, []).build()
    on_token(house, soft, object="không có")
    assert refused(house).code == "key.token_object"


def test_what_conf_must_say_of_a_token_is_said_at_once(tmp_path: Path, soft) -> None:
    house = House("so19", tmp_path / "so19", ("H14.19",), {}, []).build()
    on_token(house, soft)
    assert config.check(house.conf) == ()
    text = house.conf.read_text("utf-8")
    key = text[text.index("[[key]]") :]

    def mistakes(changed: str) -> set[str]:
        house.conf.write_text(text.replace(key, changed), "utf-8")
        return {f"{f.path.rpartition(':')[2]} {f.code}" for f in config.check(house.conf)}

    assert mistakes(key.replace('object = "văn thư"\n', "")) == {"key[0].object conf.value"}
    assert mistakes(key.replace('token = "Token thử"\n', "")) == {
        f"key[0].{name} conf.value" for name in ("path", "object", "module", "pin_file")
    }
    assert mistakes(key + f'path = "{soft.pin_file}"\n') == {"key[0].path conf.value"}
    assert mistakes(key + f'password_file = "{soft.pin_file}"\n') == {
        "key[0].password_file conf.value"
    }
    assert mistakes(key.replace(str(tokens.MODULE), "none.so")) == {"key[0].module conf.file"}
    soft.pin_file.chmod(0o644)
    assert mistakes(key) == {"key[0].pin_file conf.file"}
    soft.pin_file.chmod(0o600)
    other = tmp_path / "pin2"
    other.touch(0o600)
    second = key.replace("H14.19", "H14.20").replace(str(soft.pin_file), str(other))
    assert mistakes(key + second) == {"key[1].pin_file conf.value"}
