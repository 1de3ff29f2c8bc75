"""What a store function is given, and what a corridor calls: the whole face of the store.

A store function takes a `Tx`, does its work and returns plain values. It knows no thread, commits
nothing, has no effect outside the database, and may be run again from its beginning: the executor
reruns it when its neighbours' commit failed (SQLite) or on a serialisation failure (PostgreSQL).

After a statement failed (`Violation` or any other error) the function is over: nothing more can
be executed, and swallowing the error does not help, the executor raises it to the caller. That is
the same on both databases. Where a conflict is expected, `ON CONFLICT DO NOTHING` and `.count`
decide, or the caller catches `Violation` around `store.write`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable

from gateway import errors

T = TypeVar("T")
Row = tuple[Any, ...]
Params = Mapping[str, Any]


class Violation(errors.Broken):
    """A constraint said no: often the answer to a race, so callers catch it and read again.

    `kind`: unique | check | foreign_key | not_null | append_only | transition. `table` and
    `constraint` are the names in `tables.py`, "" where the database did not tell.
    """

    default_code = "store.violation"

    def __init__(self, kind: str, table: str = "", constraint: str = "", detail: str = "") -> None:
        self.kind = kind
        self.table = table
        self.constraint = constraint
        where = constraint or table or detail
        super().__init__(
            errors.Text(f"Vi phạm ràng buộc dữ liệu ({kind}): {where}", f"{kind} violated: {where}")
        )


class Rows:
    """A result that has been read to its end. Rows are plain tuples in the order of the columns."""

    __slots__ = ("_rows", "count")

    def __init__(self, rows: list[Row], count: int) -> None:
        self._rows = rows
        self.count = count
        """Rows returned, or for a statement that returns none the rows it touched."""

    def all(self) -> list[Row]:
        return self._rows

    def first(self) -> Row | None:
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Row | None:
        """Raises Broken when there are two: the statement was meant to ask by a key."""
        if len(self._rows) > 1:
            raise errors.Broken(
                errors.Text(
                    "Truy vấn theo khóa trả về nhiều dòng", "a query by key gave several rows"
                ),
                code="store.not_one",
            )
        return self._rows[0] if self._rows else None

    def scalar(self) -> Any:
        """First column of the only row, None without a row."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalars(self) -> list[Any]:
        return [row[0] for row in self._rows]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class Tx(Protocol):
    """One transaction as its function sees it."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    def execute(self, stmt: Executable, params: Params | Sequence[Params] | None = None) -> Rows:
        """Run one statement; a list of params runs it once for each (then it returns no rows).

        Statements made once at module level, with bindparam(), are compiled once; a statement
        made inside a function pays for its making on every call (about 0.1 ms).
        Raises Violation, Unavailable (busy, full, gone), Broken (anything else).
        """

    def put(self, stmt: Executable, params: Params | Sequence[Params]) -> None:
        """Insert rows whose outcome nobody asks for: now, or with others before the next statement.

        On PostgreSQL all that was put goes in one round trip, so what a function reads comes
        first. A Violation is then raised by that statement, or when the function has returned.
        Nothing put together may rest on another's row but by a foreign key.
        """

    def scalars(self, stmt: Executable, params: Params | None = None) -> list[Any]:
        """First column of every row."""

    def now(self) -> datetime:
        """The database's clock, for leases and due times; one instant for the whole function."""

    def notify(self, channel: str) -> None:
        """Wake the listeners of `channel` once this transaction is committed, never before."""


class Listener(Protocol):
    """One waiter on one channel. Nothing that was notified since its last return is lost."""

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - the slow poll is the point
        """True: notified since the last return (at once, when already so). False: time is up."""


class Store(Protocol):
    """The two executors behind one call (architecture 6)."""

    @property
    def dialect(self) -> str: ...

    async def write(self, fn: Callable[[Tx], T], *, first: bool = False) -> T:
        """Run `fn` and return its value after COMMIT.

        `first`: somebody at the door waits for it, so it goes before what workers have queued.
        Raises what `fn` raised (nothing of it is kept), Unavailable when the database could not.
        A cancelled caller knows nothing: a queued function may be skipped, a running one commits.
        """

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` over one consistent snapshot; writing in it fails."""

    def write_sync(self, fn: Callable[[Tx], T], *, first: bool = False) -> T:
        """`write` for threads and for programs without an event loop; never call it inside one."""

    def read_sync(self, fn: Callable[[Tx], T]) -> T: ...

    def listener(self, channel: str) -> Listener:
        """A new listener; it has seen everything notified until now."""

    def generation(self, channel: str) -> int:
        """Grows with every notification of `channel`, before the commit behind it is answered.

        What was read after asking holds while this stays the same, as far as this process changes
        it. What another process changes (PostgreSQL) is heard of a moment later, and not at all
        while the connection that hears is lost: so nobody relies on it for more than a second.
        """

    def hint(self, channel: str) -> None:
        """Other processes hear of `channel`, without a commit and perhaps not at all."""

    async def close(self) -> None:
        """Finish what is queued, then release threads and connections. Repeating is harmless."""

    def close_sync(self) -> None: ...
