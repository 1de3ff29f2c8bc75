"""The REST door of one process: the aiohttp application on its address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.api.app import make_app
from gateway.api.deps import ApiDeps, ApiLimits

if TYPE_CHECKING:
    from gateway.wiring.process import Gateway

SHUTDOWN_SECONDS = 10.0


@asynccontextmanager
async def serve_api(gateway: Gateway) -> AsyncIterator[str]:
    """Listens until left; gives the URL. Requests under way get ten seconds to end."""
    conf = gateway.settings.api
    app = make_app(
        ApiDeps(
            desk=gateway.desk,
            blobs=gateway.blobs,
            readiness=gateway.readiness,
            metrics=gateway.metrics,
            reconciling=gateway.reconciling,
            limits=ApiLimits(
                body_bytes=gateway.settings.limits.package_bytes,
                metadata_bytes=conf.metadata_bytes,
                memory_upload_bytes=conf.memory_upload_bytes,
                attachments=gateway.settings.limits.attachments,
                wait_seconds=conf.long_poll,
            ),
        )
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, conf.host, conf.port)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
