"""What one process tells the others over PostgreSQL arrives, whatever became of its connection."""

from __future__ import annotations

import asyncio
import threading
import time

import psycopg
import pytest

from gateway.store.messenger import Messenger
from gateway.store.wake import Wakes
from tests.support.databases import opened


def no_death(cause):
    pytest.fail(f"the messenger died: {cause!r}")


def test_the_last_word_of_a_process_that_ends_at_once_is_heard(postgres_url):
    with opened(postgres_url) as here:

        async def scenario():
            listener = here.listener("deliver")
            assert await listener.wait(30)  # its messenger is at its place

            def once():
                with opened(postgres_url) as there:
                    there.write_sync(lambda tx: tx.notify("deliver"))

            await asyncio.to_thread(once)
            return await listener.wait(30)

        assert asyncio.run(scenario()) is True


def test_what_could_not_be_said_is_said_over_the_next_connection(postgres_url):
    """A connection that breaks with the first thing it should say, after it listened."""
    made = []

    def connect():
        conn = psycopg.connect(postgres_url)
        made.append(conn.info.backend_pid)
        return conn

    with psycopg.connect(postgres_url, autocommit=True) as ear:
        ear.execute("LISTEN edoc_wake")
        messenger = Messenger(connect, Wakes(), "here", no_death)
        try:
            messenger.tell(["first"])
            assert [n.payload for n in ear.notifies(timeout=30, stop_after=1)] == ["here:first"]
            ear.execute("SELECT pg_terminate_backend(%s, 10000)", [made[0]])
            messenger.tell(["second", "third"])
            told = {n.payload for n in ear.notifies(timeout=30, stop_after=2)}
        finally:
            messenger.close()
    assert told == {"here:second", "here:third"}
    assert len(made) == 2


def test_what_is_told_before_there_is_a_connection_waits_for_it(postgres_url):
    may = threading.Event()

    def connect():
        may.wait(30)
        return psycopg.connect(postgres_url)

    with psycopg.connect(postgres_url, autocommit=True) as ear:
        ear.execute("LISTEN edoc_wake")
        messenger = Messenger(connect, Wakes(), "here", no_death)
        try:
            for number in range(5):
                messenger.tell([f"channel {number}", "deliver"])
            may.set()
            told = [n.payload for n in ear.notifies(timeout=30, stop_after=6)]
        finally:
            messenger.close()
    # one message each, however often a channel was told
    assert told == [*(f"here:channel {number}" for number in range(5)), "here:deliver"]


def test_nobody_is_woken_by_his_own_words(postgres_url):
    wakes = Wakes()
    with psycopg.connect(postgres_url, autocommit=True) as ear:
        ear.execute("LISTEN edoc_wake")
        messenger = Messenger(lambda: psycopg.connect(postgres_url), wakes, "here", no_death)
        try:
            messenger.tell(["deliver"])
            assert [n.payload for n in ear.notifies(timeout=30, stop_after=1)] == ["here:deliver"]
            before = wakes.generation("deliver")
            ear.execute("SELECT pg_notify('edoc_wake', 'there:seal')")
            for _ in range(3000):
                if wakes.generation("seal") > before:
                    break
                time.sleep(0.01)
            # told after its own word, so that one was heard as well
            assert wakes.generation("seal") == before + 1
        finally:
            messenger.close()
    assert wakes.generation("deliver") == before


def test_without_a_server_it_ends_when_told_to():
    def connect():
        raise psycopg.OperationalError

    messenger = Messenger(connect, Wakes(), "here", no_death)
    messenger.tell(["deliver"])
    messenger.close()
    messenger.close()
    assert not messenger._thread.is_alive()


def test_a_hint_is_heard_without_a_commit(postgres_url):
    with opened(postgres_url) as here, opened(postgres_url) as there:

        async def scenario():
            listener = here.listener("door")
            assert await listener.wait(30)  # its messenger is at its place
            there.hint("door")
            return await listener.wait(30)

        assert asyncio.run(scenario()) is True
