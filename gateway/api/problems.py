"""Errors as RFC 9457 problem documents, in Vietnamese or English.

In:     a family of `gateway.errors`, or what aiohttp says of a malformed request.
Out:    application/problem+json {type, title, status, detail, code, findings[]}.
Never:  shows the detail of a fault of our own; knows anything about the route.

HTTP status codes of errors stand here and nowhere else: by code where contract 3 names one, else
by family (architecture 9). `type` leads to the code in our own /docs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from aiohttp import web

from gateway.errors import (
    Broken,
    Conflict,
    Finding,
    Forbidden,
    GatewayError,
    Misconfigured,
    Rejected,
    Text,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unknown,
    Untrusted,
)

MEDIA_TYPE = "application/problem+json"
LANGUAGES = ("vi", "en")
RETRY_SECONDS = "5"


class Malformed(Rejected):
    """The request itself cannot be understood; nothing of it was looked at further."""

    default_code = "request.malformed"


class WrongMedia(Rejected):
    """The body is of a kind that this address does not take."""

    default_code = "request.media_type"


class Stalled(Rejected):
    """The body stopped coming before its end."""

    default_code = "request.stalled"


@dataclass(eq=False)
class OutOfRange(Rejected):
    """No byte of the range asked for exists. `size`: how many bytes there are."""

    size: int = 0

    default_code = "range.unsatisfiable"


class Kind(NamedTuple):
    status: int
    title: Text


BAD_REQUEST = Kind(400, Text("Yêu cầu không đúng dạng", "The request is malformed"))
NOT_ALLOWED = Kind(405, Text("Phương thức không được hỗ trợ", "This method is not supported"))
NOT_FOUND = Kind(404, Text("Không tìm thấy", "Not found"))
BROKEN = Kind(500, Text("Lỗi của gateway", "A fault of the gateway"))

FAMILIES: Mapping[type[GatewayError], Kind] = MappingProxyType(
    {
        Malformed: BAD_REQUEST,
        Unauthenticated: Kind(401, Text("Chưa xác thực", "Not authenticated")),
        Forbidden: Kind(403, Text("Không có quyền", "Not allowed")),
        Unknown: NOT_FOUND,
        Stalled: Kind(408, Text("Hết thời gian chờ dữ liệu", "The body did not come in time")),
        Conflict: Kind(409, Text("Mâu thuẫn với điều đã ghi", "It contradicts what is recorded")),
        TooLarge: Kind(413, Text("Quá lớn", "Too large")),
        WrongMedia: Kind(415, Text("Kiểu dữ liệu không được nhận", "This kind of body is refused")),
        OutOfRange: Kind(416, Text("Ngoài phạm vi", "Out of range")),
        Rejected: Kind(422, Text("Yêu cầu chưa đạt", "The request cannot be accepted")),
        Untrusted: Kind(422, Text("Dữ liệu không tin được", "The bytes cannot be trusted")),
        Unavailable: Kind(503, Text("Tạm thời không phục vụ", "Not available for now")),
        Misconfigured: BROKEN,
        Broken: BROKEN,
        GatewayError: BROKEN,
    }
)
# Rooms and corridors that cannot know of HTTP say by their code that the request was malformed.
MALFORMED_CODES = frozenset(
    {"idempotency.missing", "cursor.invalid", "metadata.not_json", "metadata.type"}
)


def kind_of(problem: GatewayError) -> Kind:
    if problem.code in MALFORMED_CODES:
        return BAD_REQUEST
    return next(FAMILIES[c] for c in type(problem).__mro__ if c in FAMILIES)


def answer(problem: GatewayError, language: str) -> web.Response:
    """A problem document; what went wrong inside the gateway keeps its detail to itself."""
    kind = kind_of(problem)
    headers: dict[str, str] = {}
    if kind.status == 401:
        wrong = ', error="invalid_token"' if problem.code == Unauthenticated.default_code else ""
        headers["WWW-Authenticate"] = f'Bearer realm="edoc-gateway"{wrong}'
    if isinstance(problem, OutOfRange):
        headers["Content-Range"] = f"bytes */{problem.size}"
    if kind.status == 503:
        headers["Retry-After"] = RETRY_SECONDS
    if kind is BROKEN:
        return fault(language)
    return _document(
        kind,
        language,
        code=problem.code,
        detail=problem.text,
        findings=problem.findings,
        headers=headers,
    )


def fault(language: str) -> web.Response:
    """500, for everything that is our own fault: no detail, the request id leads to the log."""
    return _document(
        BROKEN,
        language,
        code=Broken.default_code,
        detail=Text(
            "Gateway gặp lỗi; hãy báo mã X-Request-Id cho người vận hành",
            "the gateway failed; tell its operator the X-Request-Id",
        ),
    )


def foreign(problem: web.HTTPException, language: str) -> web.Response:
    """What the HTTP library refused by itself: no such address, no such method."""
    status = problem.status
    if status == 404:
        text = Text("Không có địa chỉ này", "there is no such address")
        return _document(NOT_FOUND, language, code="request.no_such_address", detail=text)
    if status == 405:
        allowed = problem.headers.get("Allow", "")
        text = Text(f"Địa chỉ này chỉ nhận {allowed}", f"this address takes {allowed}")
        return _document(
            NOT_ALLOWED,
            language,
            code="request.method",
            detail=text,
            headers={"Allow": allowed},
        )
    if status == 417:
        text = Text("Expect chỉ có thể là 100-continue", "Expect can only be 100-continue")
        return _document(BAD_REQUEST, language, code="request.malformed", detail=text)
    return unreadable(language)


def late() -> Unavailable:
    """Something behind the door did not answer in time."""
    return Unavailable(
        Text("Gateway chưa trả lời kịp; hãy thử lại", "the gateway was too slow; ask again")
    )


def unreadable(language: str) -> web.Response:
    text = Text("Yêu cầu HTTP không đọc được", "the HTTP request cannot be read")
    return _document(BAD_REQUEST, language, code="request.malformed", detail=text)


def _document(
    kind: Kind,
    language: str,
    *,
    code: str,
    detail: Text,
    findings: Sequence[Finding] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    vietnamese = language == "vi"
    body = {
        "type": f"/docs#{code}",
        "title": kind.title.vi if vietnamese else kind.title.en,
        "status": kind.status,
        "detail": detail.vi if vietnamese else detail.en,
        "code": code,
        "findings": [f.as_json(language) for f in findings],
    }
    return web.Response(
        status=kind.status,
        body=msgspec.json.encode(body),
        content_type=MEDIA_TYPE,
        headers={**(headers or {}), "Content-Language": language, "Vary": "Accept-Language"},
    )


def language_of(accepted: str) -> str:
    """vi or en by Accept-Language (RFC 9110, 12.5.4); vi when nothing fits or nothing is said."""
    if not accepted:
        return LANGUAGES[0]
    best, best_weight = LANGUAGES[0], 0.0
    for item in accepted[:200].split(","):
        tag, _, weight_text = item.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        weight = _weight(weight_text)
        if primary in LANGUAGES and weight > best_weight:
            best, best_weight = primary, weight
    return best


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
