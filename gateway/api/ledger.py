"""The newest signed checkpoint, for anybody who wants to hold us to it; stamps, for auditors."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from aiohttp import web

from gateway.api.asking import json_answer, only, read_json
from gateway.api.deps import Call

WAIT_SECONDS = 20.0  # then the answer is 202, and the authority is still being asked


class StampBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`record`: the id that a history shows."""

    record: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]*$")]


async def checkpoint(call: Call) -> web.Response:
    """The note exactly as it was signed (C2SP tlog-checkpoint)."""
    only(call.request)
    note = await call.desk.checkpoint()
    return web.Response(body=note.encode(), content_type="text/plain", charset="utf-8")


async def stamps(call: Call) -> web.Response:
    """GET /v1/ledger/stamps: the level, the open gap, the authorities with counts and costs."""
    only(call.request)
    return json_answer(await call.deps.stampbook.shown())


async def stamp(call: Call) -> web.Response:
    """POST /v1/ledger/stamps: 200 with the stamp that covers the record, 202 while it is asked."""
    only(call.request)
    body = await read_json(call, StampBody)
    under_way = call.deps.stampbook.start(call.who.id, body.record)
    done, _ = await asyncio.wait({under_way}, timeout=WAIT_SECONDS)
    if done:
        return json_answer(under_way.result())
    return json_answer({"record": body.record, "state": "asked"}, 202)
