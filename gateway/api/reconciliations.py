"""Reconciliation: asked for, looked up. The report is the signed one, whoever asks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any

import msgspec
from aiohttp import web

from gateway.api.asking import PRINTABLE, cursor_of, json_answer, limit_of, only, read_json
from gateway.api.deps import Call
from gateway.api.problems import Malformed
from gateway.errors import Finding, Severity, Text
from gateway.promise import no_axis
from gateway.shapes import reconciliation_json

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
WAIT_SECONDS = 20.0  # then the answer is 202, and the run goes on


class ReconciliationBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`day`: yyyy-mm-dd, a day of Vietnam that has begun."""

    axis: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
    day: date


async def make(call: Call) -> web.Response:
    """201 with the report, or 202 while the axis is still being asked."""
    only(call.request)
    reconciling = call.deps.reconciling

    def also(said: Mapping[str, Any]) -> Iterator[Finding]:
        axis = said.get("axis")
        if isinstance(axis, str) and axis not in reconciling.axes:
            yield Finding("axis", "axis.unknown", Severity.ERROR, no_axis(axis))

    body = await read_json(call, ReconciliationBody, also)
    run = await reconciling.begin(body.axis, body.day, call.who.id)
    address = {"Location": f"/v1/reconciliations/{run.id}"}
    under_way = reconciling.start(run)
    done, _ = await asyncio.wait({under_way}, timeout=WAIT_SECONDS)
    if done:
        return json_answer(reconciliation_json(under_way.result()), 201, **address)
    told = {"id": run.id, "state": "running", "axis": body.axis, "day": body.day.isoformat()}
    return json_answer(told, 202, **address)


async def listing(call: Call) -> web.Response:
    only(call.request, "axis", "day", "cursor", "limit")
    query = call.request.query
    day = query.get("day", "")
    rows, cursor = await call.deps.reconciling.page(
        axis=query.get("axis", ""),
        day=_day(day).isoformat() if day else "",
        cursor=cursor_of(call),
        limit=limit_of(call),
    )
    return json_answer({"reconciliations": rows, "cursor": cursor})


async def one(call: Call) -> web.Response:
    only(call.request)
    return json_answer(await call.deps.reconciling.one(call.request.match_info["id"]))


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):  # the other forms of ISO 8601 are not taken
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Malformed(
        Text("day phải có dạng yyyy-mm-dd", "day is written yyyy-mm-dd"), code="parameter.invalid"
    )
