"""What processes tell one another over PostgreSQL: wake-ups, behind the commits they speak of.

Comes in: channels, from the executor's threads after COMMIT; what others told on the channels that
somebody here asked for. Goes out: NOTIFY, wake-ups of this process. Never: carries data, or the
only hint that there is something to do; wakes for a channel that nobody here listens to.

Not inside the transaction that has something to tell: the server lets such transactions commit one
at a time, each with the disk's wait, and would hold up everybody for the sake of a hint. Told
afterwards, many commits share a NOTIFY. Who dies in between has told nobody: then the slow poll of
the workers finds the rows, as it does where a connection was lost.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from gateway.store.crew import OnFatal
from gateway.store.wake import Wakes

GATHER = 0.02  # seconds between two of our messages: what is committed meanwhile shares the next
LONGEST = 60.0  # seconds without a look at whether the connection lives
_PREFIX = "edoc."  # a database may have channels of others
_LISTEN = SQL("LISTEN {}")
_NOTIFY = "SELECT pg_notify(told, %s) FROM unnest(%s::text[]) AS told"
_LAZY = "SET synchronous_commit = off"  # nothing of ours on this connection is worth the disk


class Messenger:
    """One thread, one connection. Thread-safe; closing tells what is still to be told."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        wakes: Wakes,
        name: str,
        on_fatal: OnFatal,
    ) -> None:
        """`name`: of this process, so that it does not wake itself by its own words."""
        self._connect = connect
        self._wakes = wakes
        self._own = name
        self._on_fatal = on_fatal
        self._gate = threading.Lock()
        self._news: set[str] = set()
        self._wanted: set[str] = set()
        self._stopping = threading.Event()
        self._bell, self._rung = socket.socketpair()
        self._rung.setblocking(False)
        self._thread = threading.Thread(target=self._work, name="store-messenger", daemon=True)
        self._thread.start()

    def tell(self, channels: Iterable[str]) -> None:
        """Other processes, soon; this one's listeners are woken by whoever committed."""
        with self._gate:
            first = not self._news
            self._news.update(channels)
            if first and self._news:
                self._bell.send(b"x")

    def hear(self, channel: str) -> None:
        """From now on, as far as there is a connection; whoever listens is woken once it is so."""
        with self._gate:
            if channel not in self._wanted:
                self._wanted.add(channel)
                self._bell.send(b"x")

    def close(self) -> None:
        """Blocks until the last word is said; repeating is harmless."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._bell.send(b"x")
            self._thread.join()
            self._bell.close()
            self._rung.close()

    def _work(self) -> None:
        finished = False
        try:
            while not finished:
                try:
                    self._attend()
                    finished = True
                except psycopg.Error:
                    # the slow poll of the workers covers the time without a connection
                    finished = self._stopping.wait(1.0)
        finally:
            if not finished:
                self._on_fatal(sys.exc_info()[1])

    def _attend(self) -> None:
        """Until told to stop."""
        with self._connect() as conn, selectors.DefaultSelector() as ready:
            conn.autocommit = True
            conn.execute(_LAZY)
            heard: set[str] = set()
            ready.register(conn.fileno(), selectors.EVENT_READ)
            ready.register(self._rung, selectors.EVENT_READ)
            said = -GATHER
            while True:
                stopping = self._stopping.is_set()  # before the last word, not after it
                self._listen(conn, heard)
                rest = said + GATHER - time.monotonic()
                if self._news and (stopping or rest <= 0):
                    self._say(conn)
                    said = time.monotonic()
                # also what came beside an answer, which nobody would be told of again
                self._wakes.notify(
                    {
                        n.channel.removeprefix(_PREFIX)
                        for n in conn.notifies(timeout=0)
                        if n.payload != self._own
                    }
                )
                if stopping:
                    return
                self._wait(ready, rest if self._news and rest > 0 else LONGEST)

    def _listen(self, conn: psycopg.Connection[Any], heard: set[str]) -> None:
        """To all that is wanted; what was told before anybody heard it is looked for."""
        with self._gate:
            fresh = self._wanted - heard
        for channel in fresh:
            conn.execute(_LISTEN.format(Identifier(_PREFIX + channel)))
        heard |= fresh
        self._wakes.notify(fresh)

    def _say(self, conn: psycopg.Connection[Any]) -> None:
        """What cannot be said is kept for the next connection."""
        with self._gate:
            news, self._news = self._news, set()
        try:
            conn.execute(_NOTIFY, [self._own, [_PREFIX + channel for channel in sorted(news)]])
        except psycopg.Error:
            with self._gate:
                self._news |= news
            raise

    def _wait(self, ready: selectors.BaseSelector, seconds: float) -> None:
        """Until the server said something, or somebody rang."""
        ready.select(seconds)
        try:
            self._rung.recv(4096)
        except BlockingIOError:
            return
