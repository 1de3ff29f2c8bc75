"""What one process tells the others over PostgreSQL arrives, whatever became of its connection."""

from __future__ import annotations

import asyncio
import threading
import time

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from gateway.store.messenger import Messenger
from gateway.store.wake import Wakes
from tests.support.databases import opened


def no_death(cause):
    pytest.fail(f"the messenger died: {cause!r}")


def listen(ear, *channels):
    for channel in channels:
        ear.execute(SQL("LISTEN {}").format(Identifier(f"edoc.{channel}")))


def said(ear, count):
    heard = list(ear.notifies(timeout=30, stop_after=count))
    return [(n.channel.removeprefix("edoc."), n.payload) for n in heard]


def counted(url):
    """Server processes of the connections made, and what makes one."""
    made = []

    def connect():
        conn = psycopg.connect(url)
        made.append(conn.info.backend_pid)
        return conn

    return made, connect


def until(so):
    for _ in range(3000):
        if so():
            return
        time.sleep(0.01)
    pytest.fail("it did not become so in 30 s")


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
    made, connect = counted(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as ear:
        listen(ear, "first", "second", "third")
        messenger = Messenger(connect, Wakes(), "here", no_death)
        try:
            messenger.tell(["first"])
            assert said(ear, 1) == [("first", "here")]
            ear.execute("SELECT pg_terminate_backend(%s, 10000)", [made[0]])
            messenger.tell(["second", "third"])
            told = said(ear, 2)
        finally:
            messenger.close()
    assert told == [("second", "here"), ("third", "here")]
    assert len(made) == 2


def test_what_is_told_before_there_is_a_connection_waits_for_it(postgres_url):
    may = threading.Event()

    def connect():
        may.wait(30)
        return psycopg.connect(postgres_url)

    with psycopg.connect(postgres_url, autocommit=True) as ear:
        channels = [f"channel {number}" for number in range(5)]
        listen(ear, "deliver", *channels)
        messenger = Messenger(connect, Wakes(), "here", no_death)
        try:
            for channel in channels:
                messenger.tell([channel, "deliver"])
            may.set()
            told = said(ear, 6)
        finally:
            messenger.close()
    # one message each, however often a channel was told
    assert told == [(channel, "here") for channel in (*channels, "deliver")]


def test_nobody_is_woken_by_his_own_words(postgres_url):
    wakes = Wakes()
    with psycopg.connect(postgres_url, autocommit=True) as ear:
        listen(ear, "deliver")
        messenger = Messenger(lambda: psycopg.connect(postgres_url), wakes, "here", no_death)
        try:
            for channel in ("deliver", "seal"):
                messenger.hear(channel)
                until(lambda channel=channel: wakes.generation(channel) == 1)  # it is heard now
            messenger.tell(["deliver"])
            assert said(ear, 1) == [("deliver", "here")]
            ear.execute("SELECT pg_notify('edoc.seal', 'there')")
            # told after its own word, so that one was heard as well
            until(lambda: wakes.generation("seal") == 2)
        finally:
            messenger.close()
    assert wakes.generation("deliver") == 1


def test_nobody_is_woken_by_what_he_does_not_listen_to(postgres_url):
    wakes = Wakes()
    with psycopg.connect(postgres_url, autocommit=True) as ear:
        messenger = Messenger(lambda: psycopg.connect(postgres_url), wakes, "here", no_death)
        try:
            messenger.hear("seal")
            until(lambda: wakes.generation("seal") == 1)
            for channel in ("edoc.door", "edoc_wake", "seal", "edoc.seal"):
                ear.execute("SELECT pg_notify(%s, 'there')", [channel])
            until(lambda: wakes.generation("seal") == 2)
        finally:
            messenger.close()
    assert wakes.generation("door") == 0


def test_after_a_lost_connection_everybody_looks(postgres_url):
    made, connect = counted(postgres_url)
    wakes = Wakes()
    with psycopg.connect(postgres_url, autocommit=True) as ear:
        messenger = Messenger(connect, wakes, "here", no_death)
        try:
            messenger.hear("seal")
            messenger.hear("deliver")
            until(lambda: wakes.generation("deliver") == 1 == wakes.generation("seal"))
            ear.execute("SELECT pg_terminate_backend(%s, 10000)", [made[0]])
            until(lambda: wakes.generation("deliver") == 2 == wakes.generation("seal"))
        finally:
            messenger.close()


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
