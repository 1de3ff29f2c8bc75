"""The directory of agencies and where documents for them go."""

from __future__ import annotations

from aiohttp import web

from gateway.api.asking import cursor_of, json_answer, limit_of, only
from gateway.api.deps import Call


async def listing(call: Call) -> web.Response:
    only(call.request, "q", "cursor", "limit")
    rows, cursor = call.desk.guide.agencies(
        q=call.request.query.get("q", ""), cursor=cursor_of(call), limit=limit_of(call)
    )
    return json_answer({"agencies": rows, "cursor": cursor})


async def one(call: Call) -> web.Response:
    only(call.request)
    return json_answer(call.desk.guide.agency(call.request.match_info["code"]))


async def route(call: Call) -> web.Response:
    only(call.request)
    return json_answer(call.desk.guide.route(call.request.match_info["code"], call.language))
