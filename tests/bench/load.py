"""Unit systems that hand in documents as fast as they are answered. `python -m tests.bench.load`

Each line on stdin, `{"port", "key", "clients", "seconds", "run"}`, is one load; the answer says
what was accepted and how long each answer took. Keep-alive connections on bare streams: what the
generator needs of the cores is taken from the gateway.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from itertools import count
from typing import Any

SIZE = 100 * 1024
BOUNDARY = "bench-2f1c6a"
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_RANDOM = os.urandom(SIZE)


def metadata(number: str) -> dict[str, Any]:
    return {
        "from": {"organ_id": "000.00.19.H14", "name": "Đơn vị mẫu"},
        "to": [{"organ_id": "000.00.00.G22", "name": "Nơi nhận mẫu"}],
        "document_id": f"000.00.19.H14,2026/11/20,{number}/UBND-VX",
        "code": {"number": number, "notation": "UBND-VX"},
        "promulgation": {"place": "Cao Bằng", "date": "2026-11-20"},
        "document_type": {"type": 2, "type_detail": 18, "name": "Công văn"},
        "subject": f"Về việc đo tốc độ, văn bản số {number}",
        "signer": {"competence": "TM.", "position": "Chủ tịch", "full_name": "Người ký mẫu"},
        "other": {"priority": 0, "pages": 2},
        "to_places": ["Như trên", "Lưu: VT"],
        "released_at": "2026-11-20T10:00:00+07:00",
    }


def request(number: str, key: str) -> bytes:
    """One submission: metadata and a file that begins like a PDF and is like no other."""
    first = f"%PDF-1.7\n%{number}\n".encode()
    body = b"".join(
        (
            f"--{BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="metadata"\r\n'
            "Content-Type: application/json\r\n\r\n".encode(),
            json.dumps(metadata(number), ensure_ascii=False).encode(),
            f"\r\n--{BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="file"; filename="van-ban.pdf"\r\n'
            "Content-Type: application/pdf\r\n\r\n".encode(),
            first,
            _RANDOM[len(first) :],
            f"\r\n--{BOUNDARY}--\r\n".encode(),
        )
    )
    head = (
        "POST /v1/documents HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Authorization: Bearer {key}\r\n"
        f"Idempotency-Key: bench-{number}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, message: bytes) -> tuple[int, bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(message)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or length is None:
            raise RuntimeError(f"not an answer: {head[:200]!r}")
        return int(status[1]), await self._reader.readexactly(int(length[1]))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


async def load(order: dict[str, Any]) -> dict[str, Any]:
    numbers = count()
    waited: list[float] = []
    refused: list[str] = []
    clock = time.perf_counter
    started = clock()
    end = started + order["seconds"]

    async def one_client() -> None:
        client = Client(order["port"])
        try:
            while clock() < end:
                message = request(f"{order['run']}-{next(numbers)}", order["key"])
                asked = clock()
                status, body = await client.send(message)
                if status == 202:
                    waited.append(clock() - asked)
                else:
                    refused.append(f"{status} {body[:300].decode()}")
        finally:
            client.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(order["clients"]):
            group.create_task(one_client())
    waited.sort()
    return {
        "accepted": len(waited),
        "seconds": clock() - started,
        "refused": len(refused),
        "first_refusal": refused[0] if refused else "",
        "p50_ms": waited[len(waited) // 2] * 1000 if waited else 0.0,
        "p99_ms": waited[len(waited) * 99 // 100] * 1000 if waited else 0.0,
    }


def main() -> None:
    while line := sys.stdin.readline():
        print(json.dumps(asyncio.run(load(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
