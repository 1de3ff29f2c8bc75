"""All stamps of an epoch, read a few at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.model.record import Stamp
from gateway.store import Store, ledger

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def test_stamps_come_by_size_each_once_though_some_stand_over_the_same_head(
    any_store: Store,
) -> None:
    sizes = [1, 2, 2, 2, 3, 5, 5, 8]
    made = [
        Stamp(1, size, f"token {n}".encode(), "tsa", AT + timedelta(seconds=n), "1.2.3", str(n))
        for n, size in enumerate(sizes)
    ]

    def keep(tx: object) -> None:
        for n, one in reversed(list(enumerate(made))):
            ledger.keep_stamp(tx, f"stamp-{n}", one, AT)  # type: ignore[arg-type]  # a Tx
        other = Stamp(2, 4, b"another token", "tsa", AT, "1.2.3", "other")
        ledger.keep_stamp(tx, "of another epoch", other, AT)  # type: ignore[arg-type]  # a Tx

    any_store.write_sync(keep)
    for most in (1, 2, 3, 8, 500):
        found = any_store.read_sync(lambda tx, m=most: list(ledger.stamps(tx, 1, most=m)))
        assert found == made, most
