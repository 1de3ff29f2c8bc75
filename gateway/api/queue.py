"""What the people who run the gateway see and do: transfers on their way, held, dead, replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from gateway import deadletters
from gateway.api.asking import (
    PRINTABLE,
    Also,
    S,
    cursor_of,
    idempotency_key,
    json_answer,
    limit_of,
    only,
    read_json,
)
from gateway.api.deps import Call
from gateway.api.documents import stored_answer
from gateway.api.inbox import Description
from gateway.api.problems import Malformed
from gateway.c14n import canonical_json
from gateway.dispatch.causes import Whose
from gateway.errors import Finding, Rejected, Text
from gateway.model.transfer import TransferState
from gateway.promise import Order
from gateway.replaying import MOST_RATE, USUAL_RATE, Period, period_of

Word = Annotated[str, msgspec.Meta(max_length=60, pattern=PRINTABLE)]


class HoldBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    reason: Description = ""


class ReleaseBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`again`: send the same bytes although the axis may have them."""

    again: bool = False
    reason: Description = ""


class RetryBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`force`: also while the bytes of an uncertain attempt may be on their way; with a reason."""

    force: bool = False
    reason: Description = ""


class FetchBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    axis: Word
    axis_doc_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=PRINTABLE)]
    reason: Description = ""


class WithdrawBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    reason: Description


class ReplayBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`again`: also a transfer that is on the axis, or whose document was recalled since."""

    reason: Description
    again: bool = False


class PeriodBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"start": "from"}):
    """What ended in [from, to), without an offset Vietnam's time. `rate`: replays a minute. A
    preview needs no `to`, no `reason`.
    """

    start: Word
    to: Word = ""
    cause: Literal["", "unit", "peer", "ours"] = ""
    axis: Word = ""
    rate: Annotated[int, msgspec.Meta(ge=1, le=MOST_RATE)] = USUAL_RATE
    preview: bool = False
    reason: Description = ""


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


async def dead(call: Call) -> web.Response:
    """GET /v1/queue/dead: everything that waits for a person, by whose fault it is."""
    only(call.request, "cause", "cursor", "limit")
    asked = call.request.query.get("cause", "")
    if asked and asked not in list(Whose):
        raise Malformed(
            Text("cause là unit, peer hoặc ours", "cause is unit, peer or ours"),
            code="parameter.invalid",
        )
    letters, cursor = await deadletters.page(
        call.desk.store,
        whose=Whose(asked) if asked else None,
        cursor=cursor_of(call),
        limit=limit_of(call),
        language=call.language,
    )
    return json_answer({"dead": letters, "cursor": cursor})


# -- what a person does ----------------------------------------------------------------------------


async def hold(call: Call) -> web.Response:
    body = await _body(call, HoldBody)
    order, ref = _order(call, "hold", body), _id(call)
    return stored_answer(await call.operating.hold(order, ref, reason=body.reason))


async def release(call: Call) -> web.Response:
    body = await _body(call, ReleaseBody)
    order, ref = _order(call, "release", body), _id(call)
    return stored_answer(
        await call.operating.release(order, ref, again=body.again, reason=body.reason)
    )


async def release_fetch(call: Call) -> web.Response:
    """POST /v1/quarantine/fetches/release: what could not be fetched is fetched again."""
    body = await _body(call, FetchBody)
    order = _order(call, "release fetch", body)
    return stored_answer(
        await call.operating.release_fetch(order, body.axis, body.axis_doc_id, reason=body.reason)
    )


async def retry(call: Call) -> web.Response:
    body = await _body(call, RetryBody)
    order, ref = _order(call, "retry", body), _id(call)
    return stored_answer(
        await call.operating.retry(order, ref, force=body.force, reason=body.reason)
    )


async def withdraw(call: Call) -> web.Response:
    body = await _body(call, WithdrawBody)
    order, ref = _order(call, "withdraw", body), _id(call)
    return stored_answer(await call.operating.withdraw(order, ref, reason=body.reason))


async def replay(call: Call) -> web.Response:
    body = await _body(call, ReplayBody)
    order, ref = _order(call, "replay", body), _id(call)
    return stored_answer(await call.replaying.one(order, ref, again=body.again, reason=body.reason))


async def replay_period(call: Call) -> web.Response:
    """POST /v1/queue/replay: with `preview` nothing is written."""
    judge = partial(_period, now=await call.replaying.now(), axes=call.replaying.axes)
    body = await _body(call, PeriodBody, partial(_period_faults, judge))
    period = judge(msgspec.to_builtins(body))
    if body.preview:
        return json_answer(await call.replaying.preview(period))
    order = _order(call, "replay", body)
    return stored_answer(await call.replaying.run(order, period, reason=body.reason))


def _period(said: Mapping[str, Any], *, now: datetime, axes: Container[str]) -> Period:
    """Of members as they were given; those of another type count as absent."""

    def text(name: str) -> str:
        return value if isinstance(value := said.get(name), str) else ""

    rate = said.get("rate")
    return period_of(
        text("from"),
        text("to"),
        now=now,
        axes=axes,
        whose=text("cause"),
        axis=text("axis"),
        rate=rate if isinstance(rate, int) else USUAL_RATE,
        preview=bool(said.get("preview")),
        reason=text("reason"),
    )


def _period_faults(
    judge: Callable[[Mapping[str, Any]], Period], said: Mapping[str, Any]
) -> Sequence[Finding]:
    try:
        judge(said)
    except Rejected as wrong:
        return wrong.findings
    return ()


async def _body(call: Call, shape: type[S], also: Also | None = None) -> S:
    """A JSON object; where every member may be absent, so may the object."""
    only(call.request)
    idle = not any(f.required for f in msgspec.structs.fields(shape))
    if idle and not call.request.body_exists:
        return shape()
    return await read_json(call, shape, also)


def _order(call: Call, act: str, body: msgspec.Struct) -> Order:
    """Under one key the same act on the same transfer with the same body is one request."""
    said = [act, call.request.match_info.get("id", ""), msgspec.to_builtins(body)]
    digest = hashlib.sha256(canonical_json(said)).hexdigest()
    return Order(call.who.id, digest, idempotency_key(call.request), call.language)


def _id(call: Call) -> str:
    return call.request.match_info["id"]
