"""Who asks: `Authorization: Bearer KEY` (RFC 6750), looked up by `desk`.

Nothing is cached: a revoked key is refused from the commit that revokes it. The secret is compared
in constant time, by its hash, in `gateway/recognising.py`. A key never reaches a log.
"""

from __future__ import annotations

import re

from aiohttp import web

from gateway.desk import Account, Desk
from gateway.errors import Text, Unauthenticated

_CREDENTIALS = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]{1,200}) *")


async def authenticate(desk: Desk, request: web.Request) -> Account:
    """Raises Unauthenticated: `account.key_missing`, or `account.unauthenticated` (wrong key)."""
    header = request.headers.get("Authorization")
    if header is None:
        raise Unauthenticated(
            Text(
                "Thiếu khóa truy cập: Authorization: Bearer KHÓA",
                "the key is missing: Authorization: Bearer KEY",
            ),
            code="account.key_missing",
        )
    match = _CREDENTIALS.fullmatch(header)
    if match is None:
        raise Unauthenticated(
            Text(
                "Authorization phải có dạng: Bearer KHÓA",
                "Authorization must read: Bearer KEY",
            )
        )
    return await desk.authenticate(match[1])
