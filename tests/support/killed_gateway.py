"""A whole gateway in a process of its own that kills itself at a chosen commit.

`python -m tests.support.killed_gateway` reads orders from stdin, one JSON object a line, and
forks a child for each (so that imports are paid once). The child runs the real process object with
the jobs ordered; only the sqlite3 connection is one that looks: it gives every commit names by what
was written since BEGIN, and sends SIGKILL to its own process right before, or right after, the
COMMIT that the order names. Or it dies when it opens the blob that the order calls `deadly`, as a
package would make it that is too much for its reader. Production code has no hook for this.

Out, one JSON object a line: `{"pid", "url"}` once it turns, `{"commit": [names]}` after every
commit that wrote something, `{"killing": ..}` just before the end it chose, and from the
parent `{"ended": status}`.

Names: the event of every record; `sealed:EVENT` for a record that got its entry; `stamped`;
`fetch.listed`, `fetch.claimed`, `open.claimed` for turns taken; `start` for what a starting gateway
takes over. A commit that wrote something else is called `other`; a test asserts that there is none.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from adapters.blobs.local import LocalBlobs
from gateway import config
from gateway.telemetry import logs
from gateway.wiring import serving as _serving  # imported before the fork: it is the slowest part
from gateway.wiring.process import open_gateway

_RECORD = re.compile(r"INSERT INTO record \(id, event, [^)]*\) VALUES \('([^']*)', *'([^']*)'")
_ENTRY = re.compile(r"INSERT INTO entry \([^)]*\) VALUES \(\d+, *\d+, *'([^']*)'")
_OTHERS = (
    (re.compile(r"INSERT INTO stamp "), "stamped"),
    (re.compile(r"INSERT INTO fetch "), "fetch.listed"),
    (re.compile(r"UPDATE fetch SET .*\btries="), "fetch.claimed"),
    (re.compile(r"UPDATE arrival SET .*\bopens=\(arrival.opens \+"), "open.claimed"),
    (re.compile(r"DELETE FROM lease"), "start"),
    # what follows stands in one commit with entries or with a record
    (re.compile(r"(INSERT INTO|UPDATE) lease "), ""),
    (re.compile(r"UPDATE (fetch|arrival) SET"), ""),
    # bookkeeping that no promise rests on: who turned last, how an axis stands, a lease prolonged
    (re.compile(r"(INSERT INTO|UPDATE) (worker_turn|breaker|noted) "), ""),
    (re.compile(r"UPDATE transfer SET lease_until="), ""),
)


class Watch:
    """What the commits of this process are called, and where it is to die."""

    def __init__(self, kill: list[str] | None, report: int) -> None:
        self._kill = tuple(kill) if kill else ("", "")
        self._report = report
        self.events: dict[str, str] = {}  # record id -> event

    def say(self, **what: object) -> None:
        os.write(self._report, json.dumps(what).encode() + b"\n")

    def die_if(self, moment: str, names: list[str]) -> None:
        if self._kill[1] == moment and self._kill[0] in names:
            self.say(killing=moment, commit=names)
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # the signal may take effect a moment later; nothing more happens here


def watching(watch: Watch) -> type[sqlite3.Connection]:
    """A connection class that knows what each of its commits wrote."""

    class Watched(sqlite3.Connection):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            self._names: list[str] = []
            self._at_savepoint = 0
            self._statement = ""
            self._changes = 0
            self.set_trace_callback(self._starts)

        def _starts(self, statement: str) -> None:
            """A statement starts, so the one before it has done what it will do."""
            if self.total_changes != self._changes:
                self._names += self._named(self._statement)
            self._changes = self.total_changes
            self._statement = statement

        def _named(self, statement: str) -> list[str]:
            if found := _RECORD.search(statement):
                watch.events[found[1]] = found[2]
                return [found[2]]
            if found := _ENTRY.search(statement):
                return [f"sealed:{watch.events.get(found[1], '?')}"]
            return next(([name] for known, name in _OTHERS if known.search(statement)), ["other"])

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql == "ROLLBACK TO fn":
                self._starts(sql)
                del self._names[self._at_savepoint :]
            if sql != "COMMIT":
                done = super().execute(sql, *parameters)
                if sql == "BEGIN IMMEDIATE":
                    self._names.clear()
                elif sql == "SAVEPOINT fn":
                    self._at_savepoint = len(self._names)
                return done
            self._starts(sql)
            named = {n for n in self._names if n}
            # rows that belong to a fact are not "other": they stand in one commit with its record
            names = sorted(named - {"other"} or named)
            watch.die_if("before", names)
            done = super().execute(sql, *parameters)
            watch.die_if("after", names)
            if names:
                watch.say(commit=names)
            return done

    return Watched


def dying_at(digest: str) -> Callable[[LocalBlobs, str], BinaryIO]:
    opens = LocalBlobs.open

    def open_or_die(blobs: LocalBlobs, sha256: str) -> BinaryIO:
        if sha256 == digest:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()
        return opens(blobs, sha256)

    return open_or_die


async def live(conf: Path, jobs: list[str], watch: Watch) -> None:
    """Until somebody kills this process, or the one that gives orders is gone."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stopping.set)  # nothing is sent: only its end shows
    async with open_gateway(config.load(conf)) as gateway:
        await gateway.run(jobs, stopping, lambda: watch.say(pid=os.getpid(), url=gateway.url))


def main() -> None:
    # what others print goes to stderr: stdout is for the lines above
    report = os.dup(1)
    os.dup2(2, 1)
    assert _serving
    logs.configure("error")
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            watch = Watch(order["kill"], report)
            sqlite3.connect = partial(sqlite3.connect, factory=watching(watch))
            if order["deadly"]:
                LocalBlobs.open = dying_at(order["deadly"])
            asyncio.run(live(Path(order["conf"]), order["jobs"], watch))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(report, json.dumps({"ended": status}).encode() + b"\n")


if __name__ == "__main__":
    main()
