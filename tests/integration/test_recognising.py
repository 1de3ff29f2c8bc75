"""A key is recognised without asking each time, and a revoked one is refused all the same."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

import pytest

from gateway.errors import Unauthenticated
from gateway.recognising import Recognising
from gateway.store import Store, accounts
from gateway.store.tables import Role
from tests.support.databases import opened

AT = datetime(2026, 11, 20, 3, 4, 5, tzinfo=UTC)
SECRET = "made-up-secret"
KEY = f"edoc_ky_{SECRET}"
ACCOUNT = accounts.Account(
    "ky",
    "test",
    Role.UNIT,
    ("000.00.19.H14",),
    hashlib.sha256(SECRET.encode()).hexdigest(),
    AT,
    None,
)


async def revoke(store: Store) -> None:
    assert await store.write(lambda tx: accounts.revoke(tx, "ky", AT))


async def refused(recognising: Recognising) -> bool:
    try:
        await recognising.authenticate(KEY)
    except Unauthenticated:
        return True
    return False


class Asked:
    """A store that counts how often it was read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    def generation(self, channel: str) -> int:
        return self._store.generation(channel)

    async def read(self, fn):
        self.reads += 1
        return await self._store.read(fn)


def test_a_key_is_looked_up_once_for_many_requests(sqlite_url):
    async def scenario(store):
        await store.write(lambda tx: accounts.add(tx, ACCOUNT))
        asked = Asked(store)
        recognising = Recognising(asked, relied_on=3600)
        for _ in range(5):
            assert (await recognising.authenticate(KEY)).id == "ky"
        return asked.reads

    with opened(sqlite_url) as store:
        assert asyncio.run(scenario(store)) == 1


def test_a_key_revoked_here_is_refused_at_once(any_store):
    async def scenario():
        await any_store.write(lambda tx: accounts.add(tx, ACCOUNT))
        recognising = Recognising(any_store, relied_on=3600)
        before = await refused(recognising)
        await revoke(any_store)
        return before, await refused(recognising)

    assert asyncio.run(scenario()) == (False, True)


def test_a_key_revoked_by_another_process_is_refused_as_soon_as_that_is_heard(postgres_url):
    async def scenario(here, there):
        await here.write(lambda tx: accounts.add(tx, ACCOUNT))
        listener = here.listener(accounts.CHANNEL)
        assert await listener.wait(30)  # the ear is on its place
        recognising = Recognising(here, relied_on=3600)
        before = await refused(recognising)
        await revoke(there)
        assert await listener.wait(30)
        return before, await refused(recognising)

    with opened(postgres_url) as here, opened(postgres_url) as there:
        assert asyncio.run(scenario(here, there)) == (False, True)


def test_what_is_not_heard_is_not_relied_on_for_longer_than_said(postgres_url):
    async def scenario(here, there):
        await here.write(lambda tx: accounts.add(tx, ACCOUNT))
        recognising = Recognising(here, relied_on=0)
        before = await refused(recognising)
        await revoke(there)
        return before, await refused(recognising)

    with opened(postgres_url) as here, opened(postgres_url) as there:
        assert asyncio.run(scenario(here, there)) == (False, True)


@pytest.mark.parametrize(
    "key", ["", "edoc", "edoc_ky", "edoc_ky_wrong", "edoc_nobody_x", "other_ky_x"]
)
def test_any_other_key_is_refused(any_store, key):
    async def scenario():
        await any_store.write(lambda tx: accounts.add(tx, ACCOUNT))
        with pytest.raises(Unauthenticated):
            await Recognising(any_store).authenticate(key)

    asyncio.run(scenario())
