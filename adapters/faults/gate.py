"""A gate at which requests wait until a test lets them go.

In: the name of an operation, or "*". Out: how many stand there. Never closes again once released.
"""

from __future__ import annotations

import asyncio


class Gate:
    """Holds requests open, before anything is done with them, until it is released."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._open = asyncio.Event()
        self._moved = asyncio.Condition()
        self.holding = 0

    async def reached(self, count: int) -> None:
        """Returns once so many requests stand at the gate at the same time."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.holding >= count)

    def release(self) -> None:
        """Lets everybody through, now and later."""
        self._open.set()

    async def pass_through(self, operation: str) -> None:
        if self._open.is_set() or self._operation not in {"*", operation}:
            return
        async with self._moved:
            self.holding += 1
            self._moved.notify_all()
        try:
            await self._open.wait()
        finally:
            self.holding -= 1
