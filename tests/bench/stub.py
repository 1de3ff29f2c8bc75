"""The least an axis can be: takes sendEdoc whole and says yes. `python -m tests.bench.stub`

Prints its port; each line on stdin is answered with how many packages it has taken. Written on
the bare protocol, so that it takes as little as possible of the cores that the gateway needs.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from adapters.vxp import wire

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"
_EMPTY_LIST = wire.render_answer(extra={"data": []})


class Axis(asyncio.Protocol):
    taken = 0

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._sends = False
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        while data:
            if self._left:
                self._left, data = max(0, self._left - len(data)), data[self._left :]
            else:
                self._head += data
                head, end, data = self._head.partition(_END)
                if not end:
                    return
                self._head = b""
                found = _LENGTH.search(head + _END)
                self._sends = b"/sendEdoc " in head[:200]
                size = int(found[1]) if found else 0
                self._left, data = max(0, size - len(data)), data[size:]
            if not self._left:
                self._answer()

    def _answer(self) -> None:
        body = _EMPTY_LIST
        if self._sends:
            Axis.taken += 1
            body = wire.render_answer(doc_id=f"bench-{Axis.taken}")
        if self._transport is not None:
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Axis, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps({"taken": Axis.taken}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
