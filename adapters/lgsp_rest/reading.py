"""A small body, read whole or not at all."""

from __future__ import annotations

import aiohttp

from adapters.remote import REMOTE_FAULTS

SMALL = 1024 * 1024


async def read_small(response: aiohttp.ClientResponse, limit: int = SMALL) -> bytes | None:
    """None when it is longer than `limit` or does not end well; TimeoutError passes."""
    body = bytearray()
    try:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > limit:
                return None
    except TimeoutError:
        raise
    except REMOTE_FAULTS:
        return None
    return bytes(body)
