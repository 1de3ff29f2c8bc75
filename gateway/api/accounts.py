"""Keys: who may ask what. Only their hashes are stored; a new key is shown once."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from gateway.api.asking import PRINTABLE, json_answer, only, read_json
from gateway.api.deps import Call
from gateway.desk import Role, account_json


class AccountBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`agencies`: codes the key speaks for; role `unit` has some, the others none."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
    role: Role
    agencies: tuple[str, ...] = ()


async def add(call: Call) -> web.Response:
    only(call.request)
    body = await read_json(call, AccountBody)
    made, key = await call.desk.add_account(
        call.who.id, name=body.name, role=body.role, agencies=body.agencies
    )
    return json_answer({**account_json(made), "key": key}, 201)


async def listing(call: Call) -> web.Response:
    only(call.request)
    return json_answer({"accounts": await call.desk.list_accounts()})


async def revoke(call: Call) -> web.Response:
    only(call.request)
    await call.desk.revoke_account(call.who.id, call.request.match_info["id"])
    return web.Response(status=204)
