"""The REST door of one process, or its figures alone: an aiohttp application on its address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.api.app import make_app
from gateway.api.deps import ApiDeps, ApiLimits
from gateway.api.health import make_health_app
from gateway.ledger.cosignature import parse_witness_vkey

if TYPE_CHECKING:
    from gateway.wiring.process import Gateway

SHUTDOWN_SECONDS = 10.0


@asynccontextmanager
async def serve_api(gateway: Gateway) -> AsyncIterator[str]:
    """Listens until left; gives the URL. Requests under way get ten seconds to end."""
    conf = gateway.settings.api
    async with _listening(make_app(_deps(gateway)), conf.host, conf.port) as url:
        yield url


@asynccontextmanager
async def serve_figures(gateway: Gateway, host: str, port: int) -> AsyncIterator[str]:
    """/healthz, /readyz and /metrics of a process without the door for unit systems."""
    async with _listening(make_health_app(_deps(gateway)), host, port) as url:
        yield url


def _deps(gateway: Gateway) -> ApiDeps:
    conf = gateway.settings.api
    return ApiDeps(
        desk=gateway.desk,
        blobs=gateway.blobs,
        readiness=gateway.readiness,
        metrics=gateway.metrics,
        reconciling=gateway.reconciling,
        courtesy=gateway.courtesy,
        witnesses=tuple(map(parse_witness_vkey, gateway.settings.ledger.witnesses)),
        stampbook=gateway.stampbook,
        limits=ApiLimits(
            body_bytes=gateway.settings.limits.package_bytes,
            metadata_bytes=conf.metadata_bytes,
            memory_upload_bytes=conf.memory_upload_bytes,
            attachments=gateway.settings.limits.attachments,
            wait_seconds=conf.long_poll,
        ),
    )


@asynccontextmanager
async def _listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound, taken = runner.addresses[0][:2]
        yield f"http://{bound}:{taken}"
    finally:
        await runner.cleanup()
