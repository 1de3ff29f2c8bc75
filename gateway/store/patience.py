"""Writing down what must not be lost because the database is away for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from gateway.errors import Unavailable
from gateway.store.session import Store, Tx

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
