"""Handing documents in, and asking what became of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from aiohttp import web

from gateway.api.asking import (
    cursor_of,
    idempotency_key,
    json_answer,
    limit_of,
    media_type,
    only,
    refuse_encoded,
)
from gateway.api.deps import Call
from gateway.api.problems import WrongMedia
from gateway.api.serving import serve
from gateway.api.uploads import FORM, PACKAGE, Form, Hold, spooled_package
from gateway.desk import Answered, Repeated
from gateway.errors import Text
from gateway.model.submission import Submission


async def submit(call: Call) -> web.Response:
    """POST /v1/documents: a form, or a ready-made package. The bytes of the answer are kept."""
    request = call.request
    only(request)
    key = idempotency_key(request)
    refuse_encoded(request)
    if media_type(request) == FORM:
        answered = await _submit_form(call, key)
    elif media_type(request) == PACKAGE:
        answered = await _submit_package(call, key)
    else:
        raise WrongMedia(
            Text(
                f"Chỉ nhận {FORM} hoặc {PACKAGE}",
                f"the body must be {FORM} or {PACKAGE}",
            )
        )
    return stored_answer(answered)


def stored_answer(answered: Answered) -> web.Response:
    """The bytes that were kept at the first time."""
    return web.Response(
        status=answered.status,
        body=answered.answer.encode(),
        content_type="application/json",
        headers={"Location": answered.location} if answered.location else {},
    )


async def _submit_form(call: Call, key: str | None) -> Answered:
    def judge(raw: bytes) -> Submission:
        return call.desk.judge_metadata(call.who, raw, key)

    hold = Hold(call.deps.blobs, call.deps.limits.memory_upload_bytes)
    try:
        submission = await Form(call, hold, judge).read()
        small = hold.size <= call.deps.limits.memory_upload_bytes
        promising = call.desk.submit(call.who, submission, key, call.language)
        return await promised(call, promising, small=small)
    finally:
        await hold.close()


async def _submit_package(call: Call, key: str | None) -> Answered:
    async with spooled_package(call) as spool:
        promising = call.desk.submit_package(call.who, spool, key, call.language)
        return await promised(call, promising, small=False)


async def promised(call: Call, promising: Awaitable[Answered], *, small: bool = True) -> Answered:
    """From the last byte of the request to the commit; refusals are counted for every route."""
    started = time.perf_counter()
    with call.deps.courtesy.at_the_door(small=small):
        answered = await promising
    if not isinstance(answered, Repeated):
        call.deps.metrics.accepted("document", time.perf_counter() - started)
    return answered


async def listing(call: Call) -> web.Response:
    only(call.request, "cursor", "limit")
    rows, cursor = await call.desk.documents(call.who, cursor=cursor_of(call), limit=limit_of(call))
    return json_answer({"documents": rows, "cursor": cursor})


async def one(call: Call) -> web.Response:
    only(call.request)
    return json_answer(await call.desk.document(call.who, call.request.match_info["id"]))


async def package(call: Call) -> web.StreamResponse:
    only(call.request, "axis")
    axis = call.request.query.get("axis", "")
    stored = await call.desk.package(call.who, call.request.match_info["id"], axis)
    return await serve(call.request, stored)


async def evidence(call: Call) -> web.StreamResponse:
    """GET /v1/documents/{id}/evidence: everything that proves what became of it (contract 4)."""
    only(call.request)
    stored = await call.desk.evidence(call.who, call.request.match_info["id"])
    return await serve(call.request, stored)


async def history(call: Call) -> web.Response:
    only(call.request)
    rows = await call.desk.history(call.who, call.request.match_info["id"])
    return json_answer({"records": rows})
