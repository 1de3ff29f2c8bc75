"""Alive, ready, counted. No key is asked for, so nothing here names a document or an agency."""

from __future__ import annotations

from aiohttp import web

from gateway.api.asking import json_answer
from gateway.api.deps import DEPS, ApiDeps
from gateway.api.problems import language_of
from gateway.errors import errors_in
from gateway.telemetry.metrics import CONTENT_TYPE


async def healthz(_request: web.Request) -> web.Response:
    """200 while the event loop turns."""
    return json_answer({"live": True})


async def readyz(request: web.Request) -> web.Response:
    """200 when documents can be accepted; 503 with the reasons when not. Warnings never stop."""
    language = language_of(request.headers.get("Accept-Language", ""))
    reasons = await request.app[DEPS].readiness()
    ready = not errors_in(tuple(reasons))
    return json_answer(
        {"ready": ready, "reasons": [r.as_json(language) for r in reasons]},
        200 if ready else 503,
        **{"Content-Language": language, "Vary": "Accept-Language"},
    )


async def metrics(request: web.Request) -> web.Response:
    body = request.app[DEPS].metrics.expose()
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


def make_health_app(deps: ApiDeps) -> web.Application:
    """These three alone, for a process that serves no documents."""
    app = web.Application()
    app[DEPS] = deps
    for path, handler in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        app.router.add_get(path, handler)
    return app
