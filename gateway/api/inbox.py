"""What waits for a unit system: looking, leasing, fetching, confirming, reporting."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from gateway.api.asking import (
    PRINTABLE,
    cursor_of,
    idempotency_key,
    json_answer,
    limit_of,
    number,
    only,
    read_json,
)
from gateway.api.deps import Call
from gateway.api.problems import Malformed
from gateway.api.serving import serve
from gateway.desk import Item
from gateway.errors import Text
from gateway.model.arrival import ItemKind
from gateway.model.package import Staff

T = TypeVar("T")
STOPPING = web.AppKey("stopping", asyncio.Event)


Short = Annotated[str, msgspec.Meta(max_length=300, pattern=PRINTABLE)]
Description = Annotated[
    str, msgspec.Meta(max_length=1000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$")
]


class StaffBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    department: Short = ""
    name: Short = ""
    mobile: Short = ""
    email: Short = ""


class StatusBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`code`: 02 to 06, 15, 16 (edxml-format 3); 01 is said by confirm alone."""

    code: Literal["02", "03", "04", "05", "06", "15", "16"]
    description: Description = ""
    staff: StaffBody = StaffBody()


class LeaseBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`lease`: the one given before, to hold the item longer."""

    lease: Annotated[str, msgspec.Meta(max_length=100, pattern=PRINTABLE)] = ""


class Servings:
    """Which attachments of a document were served whole, until all of them were.

    Kept in this process only, for the newest thousand documents: forgetting means that *fetched*
    is recorded later, or only by the package or a confirm. It is never recorded too early.
    """

    MOST = 1000

    def __init__(self) -> None:
        self._served: OrderedDict[tuple[str, str], set[int]] = OrderedDict()

    def complete(self, account_id: str, item: Item, number: int) -> bool:
        """True when, `number` included, everything that can be served was."""
        files = item.content.get("files", [])
        wanted = {n for n, fact in enumerate(files) if not fact["failed"]}
        served = self._served.setdefault((account_id, item.id), set())
        served.add(number)
        self._served.move_to_end((account_id, item.id))
        if len(self._served) > self.MOST:
            self._served.popitem(last=False)
        return served >= wanted


SERVINGS = web.AppKey("servings", Servings)


async def listing(call: Call) -> web.Response:
    """GET /v1/inbox: waiting items; with `wait` a long poll that ends when the gateway stops."""
    request, desk = call.request, call.desk
    only(request, "agency", "kind", "wait", "cursor", "limit")
    rows, cursor = await _unless_stopping(
        request.app[STOPPING],
        desk.inbox(
            call.who,
            agency=request.query.get("agency", ""),
            kinds=_kinds(request),
            cursor=cursor_of(call),
            limit=limit_of(call),
            wait=number(request, "wait", 0, call.deps.limits.wait_seconds),
            language=call.language,
        ),
        ([], ""),
    )
    return json_answer({"items": rows, "cursor": cursor})


def _kinds(request: web.Request) -> tuple[ItemKind, ...]:
    asked = [k for text in request.query.getall("kind", []) for k in text.split(",")]
    known = {k.value: k for k in ItemKind}
    if any(k not in known for k in asked):
        raise Malformed(
            Text("kind là document, status hoặc report", "kind is document, status or report"),
            code="parameter.invalid",
        )
    return tuple(dict.fromkeys(known[k] for k in asked)) or tuple(ItemKind)


async def _unless_stopping(stopping: asyncio.Event, poll: Coroutine[Any, Any, T], else_: T) -> T:
    """The poll's answer; `else_` when the process wants to stop. The poll only reads."""
    polling = asyncio.ensure_future(poll)
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({polling, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return polling.result() if polling.done() else else_
    finally:
        polling.cancel()
        stopped.cancel()


async def one(call: Call) -> web.Response:
    only(call.request)
    return json_answer(await call.acts.item(call.who, _id(call), call.language))


async def lease(call: Call) -> web.Response:
    """POST /v1/inbox/{id}/lease: a body is needed only to keep a lease that was given before."""
    only(call.request)
    held = (await read_json(call, LeaseBody)).lease if call.request.body_exists else ""
    return json_answer(await call.desk.lease(call.who, _id(call), held))


async def package(call: Call) -> web.StreamResponse:
    only(call.request)
    item, stored = await call.desk.item_package(call.who, _id(call))
    return await serve(call.request, stored, lambda: call.desk.fetched(call.who, item))


async def evidence(call: Call) -> web.StreamResponse:
    """What proves that it came, what it was, and what was answered (contract 4)."""
    only(call.request)
    return await serve(call.request, await call.desk.evidence(call.who, _id(call), item=True))


async def attachment(call: Call) -> web.StreamResponse:
    only(call.request)
    number = int(call.request.match_info["number"])
    item, stored = await call.desk.item_attachment(call.who, _id(call), number)
    return await serve(call.request, stored, _after_the_others(call, item, number))


def _after_the_others(call: Call, item: Item, number: int) -> Callable[[], Awaitable[None]]:
    async def before_last() -> None:
        if call.request.app[SERVINGS].complete(call.who.id, item, number):
            await call.desk.fetched(call.who, item)

    return before_last


async def confirm(call: Call) -> web.Response:
    """The answer with its receipt was kept at the first confirm; these are its bytes."""
    only(call.request)
    answer = await call.desk.confirm(call.who, _id(call))
    return web.Response(body=answer.encode(), content_type="application/json")


async def report(call: Call) -> web.Response:
    only(call.request)
    body = await read_json(call, StatusBody)
    started = time.perf_counter()
    staff = Staff(**msgspec.structs.asdict(body.staff))
    made = await call.desk.report_status(
        call.who,
        _id(call),
        code=body.code,
        description=body.description,
        staff=staff,
        idempotency_key=idempotency_key(call.request),
    )
    call.deps.metrics.accepted("status", time.perf_counter() - started)
    return json_answer(made, 202)


def _id(call: Call) -> str:
    return call.request.match_info["id"]
