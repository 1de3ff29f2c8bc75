"""What the people who run the gateway see: transfers on their way, and what had to be held."""

from __future__ import annotations

from aiohttp import web

from gateway.api.asking import cursor_of, json_answer, limit_of, only
from gateway.api.deps import Call
from gateway.api.problems import Malformed
from gateway.errors import Text
from gateway.model.transfer import TransferState


async def listing(call: Call) -> web.Response:
    only(call.request, "state", "cursor", "limit")
    rows, cursor = await call.desk.queue(
        states=_states(call.request), cursor=cursor_of(call), limit=limit_of(call)
    )
    return json_answer({"transfers": rows, "cursor": cursor})


def _states(request: web.Request) -> tuple[str, ...]:
    """Without `state`: everything that has not come to its end."""
    asked = [s for text in request.query.getall("state", []) for s in text.upper().split(",")]
    known = [s.value for s in TransferState]
    if any(s not in known for s in asked):
        raise Malformed(
            Text(f"state là một trong {', '.join(known)}", f"state is one of {', '.join(known)}"),
            code="parameter.invalid",
        )
    ends = (TransferState.ON_AXIS, TransferState.WITHDRAWN, TransferState.REROUTED)
    return tuple(asked) or tuple(s.value for s in TransferState if s not in ends)


async def one(call: Call) -> web.Response:
    only(call.request)
    return json_answer(await call.desk.queued(call.request.match_info["id"]))
