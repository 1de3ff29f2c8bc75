"""What anybody may hold the ledger to: its head, entries, proofs that it only grew; its stamps."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import msgspec
from aiohttp import web

from gateway.api.asking import cursor_of, json_answer, limit_of, only, read_json
from gateway.api.deps import Call
from gateway.api.problems import Malformed
from gateway.errors import Text

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_RECORD = re.compile(r"[0-9A-Za-z-]{1,64}")

WAIT_SECONDS = 20.0  # then the answer is 202, and the authority is still being asked


class StampBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`record`: the id that a history shows."""

    record: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]*$")]


async def checkpoint(call: Call) -> web.Response:
    """The note exactly as it was signed (C2SP tlog-checkpoint), cosignatures under it."""
    only(call.request, "witnessed")
    witnessed = call.request.query.get("witnessed", "false")
    if witnessed not in ("true", "false"):
        raise _invalid("witnessed")
    return _text(await call.proving.checkpoint(witnessed=witnessed == "true"))


class CosignatureBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`note`: a checkpoint of this ledger with the witness' line under it."""

    note: Annotated[str, msgspec.Meta(min_length=1, max_length=60_000)]


async def cosign(call: Call) -> web.Response:
    """From a witness; the same one again changes nothing."""
    only(call.request)
    body = await read_json(call, CosignatureBody)
    return json_answer(await call.proving.cosign(body.note))


async def entries(call: Call) -> web.Response:
    """One page in the order of the tree. The cursor is where the next page starts."""
    only(call.request, "epoch", "start", "cursor", "limit")
    epoch, start = _whole(call, "epoch"), _whole(call, "start") or 0
    if cursor := cursor_of(call):
        place = re.fullmatch(r"([0-9]{1,9})-([0-9]{1,18})", cursor)
        if place is None:
            raise Malformed(
                Text("Con trỏ trang không hợp lệ", "the cursor is not one of ours"),
                code="cursor.invalid",
            )
        epoch, start = int(place[1]), int(place[2])
    rows, of, after = await call.proving.entries(epoch=epoch, start=start, most=limit_of(call))
    return json_answer({"entries": rows, "cursor": "" if after is None else f"{of}-{after}"})


async def proof(call: Call) -> web.Response:
    """Of an entry (`seq`, auditors) or of a record (`record`, its sender's unit too)."""
    only(call.request, "epoch", "seq", "record")
    record, seq = call.request.query.get("record"), _whole(call, "seq")
    if (record is None) == (seq is None):
        raise Malformed(
            Text("Cần đúng một trong hai: seq, record", "give one of the two: seq, record"),
            code="parameter.invalid",
        )
    if record is not None:
        if not _RECORD.fullmatch(record):
            raise _invalid("record")
        return _text(await call.proving.of_record(call.who, record))
    return _text(await call.proving.of_entry(call.who, seq or 0, epoch=_whole(call, "epoch")))


async def consistency(call: Call) -> web.Response:
    """For witnesses: hashes only, so that any key may ask."""
    only(call.request, "epoch", "old", "new")
    old, new = _whole(call, "old"), _whole(call, "new")
    if old is None or (new is not None and new < old):
        raise _invalid("old, new")
    return _text(await call.proving.consistency(old=old, new=new, epoch=_whole(call, "epoch")))


def _whole(call: Call, name: str) -> int | None:
    text = call.request.query.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text):
        raise _invalid(name)
    return int(text)


def _invalid(name: str) -> Malformed:
    return Malformed(
        Text(f"{name} không hợp lệ", f"{name} is not what this address takes"),
        code="parameter.invalid",
    )


def _text(note: str) -> web.Response:
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
