"""What arrived and waits for a person, and what that person decides about it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from gateway.api.asking import PRINTABLE, json_answer, limit_of, only, read_json
from gateway.api.deps import Call
from gateway.api.inbox import Description
from gateway.releasing import Releasing

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300, pattern=PRINTABLE)]


class OpenBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`reason`: why, against the findings; kept apart from the record, and erasable."""

    reason: Description


class ReturnBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`tell_sender`: with status 02, in the name of the receivers here; they must have said so."""

    reason: Description
    tell_sender: bool = False


async def listing(call: Call) -> web.Response:
    """Arrivals that wait for a person, and fetches that were given up for now; no content."""
    only(call.request, "limit")
    return json_answer(await call.desk.quarantine(limit_of(call), call.language))


async def one(call: Call) -> web.Response:
    only(call.request)
    return json_answer(await _window(call).one(_id(call), call.language))


async def let_in(call: Call) -> web.Response:
    only(call.request)
    body = await read_json(call, OpenBody)
    return json_answer(
        await _window(call).let_in(
            call.who.id, _id(call), reason=body.reason, language=call.language
        )
    )


async def send_back(call: Call) -> web.Response:
    only(call.request)
    body = await read_json(call, ReturnBody)
    return json_answer(
        await _window(call).send_back(
            call.who.id,
            _id(call),
            reason=body.reason,
            tell_sender=body.tell_sender,
            language=call.language,
        )
    )


def _window(call: Call) -> Releasing:
    return Releasing(call.desk)


def _id(call: Call) -> str:
    return call.request.match_info["id"]
