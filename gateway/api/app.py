"""The table of routes, and what happens around every request.

In:     `ApiDeps` from the wiring. Out: an aiohttp application, not yet listening.
Fails:  at start only, when its own description cannot be read.
Never:  answers without a key outside the routes marked public; shows the detail of a fault.

The server itself is made by the wiring, without an access log (there is one structured line a
request here) and without `handler_cancellation`: the outcome of a cancelled commit is unknown.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.api import (
    accounts,
    acts,
    agencies,
    documents,
    forecast,
    health,
    inbox,
    ledger,
    manual,
    problems,
    quarantine,
    queue,
    reconciliations,
)
from gateway.api.auth import authenticate
from gateway.api.deps import DEPS, ApiDeps, Call, Handler
from gateway.desk import Role
from gateway.errors import Broken, GatewayError, Misconfigured, Unavailable
from gateway.telemetry.events import Event
from gateway.telemetry.logs import bound, get_logger

PublicHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SERVER = "edoc-gateway"
POLICY = "default-src 'none'; frame-ancestors 'none'"
GONE = 499  # in the log only: the client went away before its answer
EVERYBODY = tuple(Role)
CHECKING = (Role.OPS, Role.ADMIN, Role.AUDITOR)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = web.RequestKey("request_id", str)
_LANGUAGE = web.RequestKey("language", str)
_ACCOUNT = web.RequestKey("account", str)


class Route(NamedTuple):
    """`roles`: whose keys may ask at all; `desk` decides about which agencies they may."""

    method: str
    path: str
    handler: Handler
    roles: tuple[Role, ...] = (Role.UNIT,)


ID = "{id:[0-9A-Za-z-]{1,64}}"
CODE = "{code:[0-9A-Za-z.]{1,60}}"
ROUTES = (
    Route("POST", "/v1/documents", documents.submit),
    Route("GET", "/v1/documents", documents.listing),
    Route("GET", f"/v1/documents/{ID}", documents.one, (Role.UNIT,)),
    Route("GET", f"/v1/documents/{ID}/package", documents.package),
    Route("GET", f"/v1/documents/{ID}/evidence", documents.evidence),
    Route("GET", f"/v1/documents/{ID}/history", documents.history, (Role.UNIT, Role.AUDITOR)),
    Route("POST", f"/v1/documents/{ID}/recall", acts.recall),
    Route("POST", f"/v1/documents/{ID}/update", acts.update),
    Route("POST", f"/v1/documents/{ID}/replace", acts.replace),
    Route("POST", f"/v1/documents/{ID}/take-back", acts.take_back),
    Route("POST", f"/v1/documents/{ID}/withdraw", acts.withdraw),
    Route("GET", "/v1/inbox", inbox.listing),
    Route("GET", f"/v1/inbox/{ID}", inbox.one),
    Route("POST", f"/v1/inbox/{ID}/lease", inbox.lease),
    Route("GET", f"/v1/inbox/{ID}/package", inbox.package),
    Route("GET", f"/v1/inbox/{ID}/evidence", inbox.evidence),
    Route("GET", f"/v1/inbox/{ID}/attachments/{{number:[0-9]{{1,5}}}}", inbox.attachment),
    Route("POST", f"/v1/inbox/{ID}/confirm", inbox.confirm),
    Route("POST", f"/v1/inbox/{ID}/status", inbox.report),
    Route("GET", "/v1/agencies", agencies.listing, EVERYBODY),
    Route("GET", f"/v1/agencies/{CODE}", agencies.one, EVERYBODY),
    Route("GET", f"/v1/agencies/{CODE}/route", agencies.route, EVERYBODY),
    Route("POST", "/v1/accounts", accounts.add, (Role.OPS, Role.ADMIN)),
    Route("GET", "/v1/accounts", accounts.listing, (Role.OPS, Role.ADMIN)),
    Route("DELETE", f"/v1/accounts/{ID}", accounts.revoke, (Role.OPS, Role.ADMIN)),
    Route("GET", "/v1/queue", queue.listing, (Role.OPS, Role.ADMIN, Role.AUDITOR)),
    # above /v1/queue/{id}, which would take their word for an id
    Route("GET", "/v1/queue/forecast", forecast.forecast, (Role.OPS, Role.ADMIN, Role.AUDITOR)),
    Route("GET", "/v1/queue/dead", queue.dead, (Role.OPS, Role.ADMIN)),
    Route("POST", "/v1/queue/replay", queue.replay_period, (Role.OPS, Role.ADMIN)),
    Route("GET", f"/v1/queue/{ID}", queue.one, (Role.OPS, Role.ADMIN, Role.AUDITOR)),
    Route("POST", f"/v1/queue/{ID}/hold", queue.hold, (Role.OPS, Role.ADMIN)),
    Route("POST", f"/v1/queue/{ID}/release", queue.release, (Role.OPS, Role.ADMIN)),
    Route("POST", f"/v1/queue/{ID}/retry", queue.retry, (Role.OPS, Role.ADMIN)),
    Route("POST", f"/v1/queue/{ID}/withdraw", queue.withdraw, (Role.OPS, Role.ADMIN)),
    Route("POST", f"/v1/queue/{ID}/replay", queue.replay, (Role.OPS, Role.ADMIN)),
    Route("GET", "/v1/quarantine", quarantine.listing, (Role.OPS, Role.ADMIN)),
    Route("POST", "/v1/quarantine/fetches/release", queue.release_fetch, (Role.OPS, Role.ADMIN)),
    Route("GET", f"/v1/quarantine/{ID}", quarantine.one, (Role.OPS, Role.ADMIN)),
    Route("POST", f"/v1/quarantine/{ID}/open", quarantine.let_in, (Role.OPS, Role.ADMIN)),
    Route("POST", f"/v1/quarantine/{ID}/return", quarantine.send_back, (Role.OPS, Role.ADMIN)),
    Route("POST", "/v1/reconciliations", reconciliations.make, CHECKING),
    Route("GET", "/v1/reconciliations", reconciliations.listing, CHECKING),
    Route("GET", f"/v1/reconciliations/{ID}", reconciliations.one, CHECKING),
    Route("GET", "/v1/ledger/checkpoint", ledger.checkpoint, EVERYBODY),
    Route("GET", "/v1/ledger/entries", ledger.entries, (Role.AUDITOR,)),
    Route("GET", "/v1/ledger/proof", ledger.proof, (Role.UNIT, Role.AUDITOR)),
    Route("GET", "/v1/ledger/consistency", ledger.consistency, EVERYBODY),
    Route("POST", "/v1/ledger/cosignatures", ledger.cosign, (Role.AUDITOR,)),
    Route("GET", "/v1/ledger/stamps", ledger.stamps, CHECKING),
    Route("POST", "/v1/ledger/stamps", ledger.stamp, CHECKING),
)
PUBLIC: tuple[tuple[str, PublicHandler], ...] = (
    ("/healthz", health.healthz),
    ("/readyz", health.readyz),
    ("/metrics", health.metrics),
    ("/v1/openapi.json", manual.description),
    ("/docs", manual.readable),
)


def make_app(deps: ApiDeps) -> web.Application:
    """Everything but the listening socket."""
    app = web.Application(middlewares=[_around])
    app[DEPS] = deps
    app[inbox.STOPPING] = asyncio.Event()
    app[inbox.SERVINGS] = inbox.Servings()
    app[manual.MANUAL] = manual.load()
    app.on_response_prepare.append(_finish)
    app.on_shutdown.append(_stop_polls)
    for route in ROUTES:
        resource = app.router.add_resource(route.path)
        handler = _guarded(route)
        resource.add_route(route.method, handler, expect_handler=_body_later)
        if route.method == "GET":
            resource.add_route("HEAD", handler)
    for path, public in PUBLIC:
        app.router.add_get(path, public)
    return app


def _guarded(route: Route) -> PublicHandler:
    async def serve(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Expect", "100-continue").lower() != "100-continue":
            raise web.HTTPExpectationFailed
        deps = request.app[DEPS]
        who = await authenticate(deps.desk, request)
        request[_ACCOUNT] = who.id
        deps.desk.require(who, *route.roles)
        return await route.handler(Call(request, deps, who, request[_LANGUAGE]))

    return serve


async def _body_later(request: web.Request) -> None:
    """100 Continue is sent by whoever reads the body, after key and headers were judged."""
    del request


@web.middleware
async def _around(request: web.Request, handler: PublicHandler) -> web.StreamResponse:
    """Every request: an id, a language, errors as problems, one line, one figure.

    What no family foresees goes on to the server, which answers 500 and logs it; `_finish` takes
    its words away.
    """
    started = time.perf_counter()
    request[_REQUEST_ID] = request_id = secrets.token_hex(8)
    request[_LANGUAGE] = language = problems.language_of(request.headers.get("Accept-Language", ""))
    trace = request.headers.get("traceparent", "")
    traced = {"traceparent": trace} if _TRACEPARENT.fullmatch(trace) else {}
    metrics = request.app[DEPS].metrics
    status, code = 500, ""
    facts: dict[str, Any] = {}
    with bound(request_id=request_id, **traced):
        try:
            response = await handler(request)
            status = response.status
        except GatewayError as problem:
            if isinstance(problem, Broken | Misconfigured):
                facts["detail"] = problem.text.en
            response = problems.answer(problem, language)
            status, code = response.status, problem.code
        except web.HTTPException as refused:
            response = problems.foreign(refused, language)
            status, code = response.status, "request.http"
        except HttpProcessingError:
            response = problems.unreadable(language)
            status, code = response.status, problems.Malformed.default_code
        except TimeoutError:
            response = problems.answer(problems.late(), language)
            status, code = response.status, Unavailable.default_code
        except ConnectionError:
            status = GONE
            response = problems.unreadable(language)  # for nobody: the client is gone
        except asyncio.CancelledError:
            status = GONE
            raise
        finally:
            seconds = time.perf_counter() - started
            route = _route_name(request)
            metrics.requested(route, status, seconds)
            if code:
                metrics.refused(code)
                facts["code"] = code
            surprise = sys.exception()
            if surprise is not None and status == 500:
                facts["exc_info"] = surprise
            log = get_logger()
            (log.error if status == 500 else log.info)(
                Event.REQUEST_SERVED.value,
                method=request.method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                account=request.get(_ACCOUNT, ""),
                **facts,
            )
    if (code or status == GONE) and request.writer.output_size and request.transport is not None:
        # Part of an answer has left. Breaking off is all that is left to say: what follows would
        # be taken for the rest of it.
        raise ConnectionResetError
    return response


def _route_name(request: web.Request) -> str:
    """The pattern, never the path: `/v1/documents/{id}`."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


async def _finish(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    if response.status == 500 and response.content_type != problems.MEDIA_TYPE:
        _replace(response, problems.fault(request.get(_LANGUAGE, problems.LANGUAGES[0])))
    headers["Server"] = SERVER
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Request-Id"] = request.get(_REQUEST_ID, "")
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Content-Security-Policy", POLICY)


def _replace(response: web.StreamResponse, fault: web.Response) -> None:
    """The server's own words for an unknown fault become a problem document without detail."""
    body = fault.body
    if isinstance(response, web.Response) and isinstance(body, bytes):
        response.body = body
        for name in ("Content-Type", "Content-Language", "Vary"):
            response.headers[name] = fault.headers[name]
        response.headers["Content-Length"] = str(len(body))


async def _stop_polls(app: web.Application) -> None:
    app[inbox.STOPPING].set()
