"""The floor of the rates: stores each body with fsync, forwards it, answers.

`python -m tests.bench.bare FOLDER FORWARD_URL`. A bare aiohttp handler without rules, signature,
queue or record: it promises nothing once the connection breaks. Prints its port.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from itertools import count
from pathlib import Path

import aiohttp
from aiohttp import web


def store(path: Path, body: bytes) -> None:
    with path.open("wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())


async def main(folder: Path, forward: str) -> None:
    numbers = count()
    async with aiohttp.ClientSession() as session:

        async def take(request: web.Request) -> web.Response:
            body = await request.read()
            await asyncio.to_thread(store, folder / str(next(numbers)), body)
            async with session.post(forward, data=body) as answer:
                await answer.read()
            return web.Response(status=202, text="{}", content_type="application/json")

        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/documents", take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            pass
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
