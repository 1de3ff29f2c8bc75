"""Writing again: because the database is away for a moment, or because somebody else was faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from gateway.errors import Unavailable
from gateway.store.session import Store, Tx, Violation

T = TypeVar("T")
PAUSES = (0.1, 0.5, 2.0, 5.0)  # seconds between tries


async def write_patiently(store: Store, fn: Callable[[Tx], T]) -> T:
    """`store.write`, tried again while the store is Unavailable, for about eight seconds.

    For what happened already: an outcome, bytes that came. `fn` may meet its own earlier commit,
    when only the answer to it was lost, and must then change nothing.
    """
    for pause in PAUSES:
        with suppress(Unavailable):
            return await store.write(fn)
        await asyncio.sleep(pause)
    return await store.write(fn)


async def write_after_race(store: Store, fn: Callable[[Tx], T]) -> T:
    """`store.write`, once more when another wrote the same key at this moment.

    Where two requests say the same at once, the second finds what the first committed: `fn` looks
    for it before it writes.
    """
    try:
        return await store.write(fn)
    except Violation as race:
        if race.kind != "unique":
            raise
        return await store.write(fn)
