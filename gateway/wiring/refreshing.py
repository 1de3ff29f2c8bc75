"""`evidence refresh`: the ledger opened for reading, and the authorities that stamp.

In: Settings, a container. Out: the renewed one. Fails: as `open_exporting` and `Refreshing` do.
Never: takes the database's lock or writes to it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import BinaryIO

from gateway.config import Settings
from gateway.evidence.renewal import Fresh
from gateway.refreshing import Refreshing
from gateway.wiring.books import open_exporting
from gateway.wiring.process import authorities


async def renewed(settings: Settings, source: BinaryIO, to: BinaryIO) -> Fresh:
    with open_exporting(settings) as exporting:
        async with AsyncExitStack() as stack:
            asked = authorities(settings)
            for authority in asked:
                stack.push_async_callback(authority.close)
            return await Refreshing(exporting, asked, settings.stamp.deadline).refresh(source, to)
