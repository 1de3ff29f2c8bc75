"""Acts on a document that was handed in: recall, update, replace, asking it back, withdrawing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import web

from gateway.api.asking import (
    PRINTABLE,
    idempotency_key,
    media_type,
    only,
    pieces,
    read_json,
    refuse_encoded,
)
from gateway.api.deps import Call
from gateway.api.documents import promised, stored_answer
from gateway.api.inbox import Description, StaffBody
from gateway.api.problems import WrongMedia
from gateway.api.uploads import FORM, Form, Hold
from gateway.desk import Repeated
from gateway.errors import Text
from gateway.model.package import BusinessType, Staff
from gateway.model.submission import Submission

JSON = "application/json"
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=PRINTABLE)]


class TakeBackBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`to`: only these of the document's receivers; absent: all that may have it."""

    reason: Description
    to: Annotated[tuple[Code, ...], msgspec.Meta(max_length=1000)] = ()
    staff: StaffBody = StaffBody()


class WithdrawDocumentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    reason: Description


def _acting(kind: BusinessType) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    async def act(call: Call) -> web.StreamResponse:
        """A form as for a submission; or JSON alone, when no file goes with it."""
        only(call.request)
        key = idempotency_key(call.request)
        refuse_encoded(call.request)
        if media_type(call.request) not in (FORM, JSON):
            raise WrongMedia(
                Text(f"Chỉ nhận {FORM} hoặc {JSON}", f"the body must be {FORM} or {JSON}")
            )
        asked = await call.acts.about(call.who, call.request.match_info["id"], kind)

        def judge(raw: bytes) -> Submission:
            return call.acts.judge(call.who, asked, raw, key)

        hold = Hold(call.deps.blobs, call.deps.limits.memory_upload_bytes)
        try:
            if media_type(call.request) == FORM:
                submission = await Form(call, hold, judge).read()
            else:
                submission = judge(await _metadata(call))
            acting = call.acts.submit(call.who, asked, submission, key, call.language)
            return stored_answer(await promised(call, acting))
        finally:
            await hold.close()

    return act


recall = _acting(BusinessType.RECALL)
update = _acting(BusinessType.UPDATE)
replace = _acting(BusinessType.REPLACE)


async def _metadata(call: Call) -> bytes:
    data = bytearray()
    async for piece in pieces(call, "metadata_bytes", call.deps.limits.metadata_bytes):
        data += piece
    return bytes(data)


async def take_back(call: Call) -> web.Response:
    """POST /v1/documents/{id}/take-back: status 13 to those who have it."""
    only(call.request)
    body = await read_json(call, TakeBackBody)
    started = time.perf_counter()
    answered = await call.acts.take_back(
        call.who,
        call.request.match_info["id"],
        reason=body.reason,
        staff=Staff(**msgspec.structs.asdict(body.staff)),
        to=body.to,
        idempotency_key=idempotency_key(call.request),
    )
    if not isinstance(answered, Repeated):
        call.deps.metrics.accepted("status", time.perf_counter() - started)
    return stored_answer(answered)


async def withdraw(call: Call) -> web.Response:
    """POST /v1/documents/{id}/withdraw: only what no attempt can have delivered."""
    only(call.request)
    body = await read_json(call, WithdrawDocumentBody)
    return stored_answer(
        await call.acts.withdraw(
            call.who,
            call.request.match_info["id"],
            reason=body.reason,
            idempotency_key=idempotency_key(call.request),
        )
    )
