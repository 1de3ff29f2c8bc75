"""RFC 3161 over HTTP POST: `ports.TimestampAuthority` for any authority in the world.

In: a SHA-256 digest. Out: `StampReply`, a token checked against the request. Fails with
`Unavailable` (`tsa.*`: no answer, not an answer of an authority, a refusal) or `Untrusted`
(`stamp.*`, `tsa.reply_too_large`: an answer that cannot be right), and with nothing else. The craft
of requests and replies comes in as `craft`: the wiring gives it the module `gateway.ledger.stamp`,
which an adapter may not import. It keeps nothing and decides nothing about trust: anchors come in.

Two clocks of retry (architecture 8): a connection that breaks is tried again within the same call
(asking for a stamp twice harms nobody), by seconds; anything slower is the stamp worker's.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ssl import SSLContext
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from gateway.errors import Misconfigured, Text, Unavailable, Untrusted
from gateway.ports import StampReply

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
_REPLY_TYPES = frozenset({REPLY, "application/timestamp-response"})  # the second: seen in the wild
_BROKEN_CONNECTION = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)
_CHUNK = 16 * 1024
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


class CheckedToken(Protocol):
    """What the craft says about a token it has checked."""

    @property
    def token(self) -> bytes: ...
    @property
    def gen_time(self) -> datetime: ...
    @property
    def policy(self) -> str: ...
    @property
    def serial(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def reading(self) -> str: ...


class StampCraft(Protocol):
    """The two functions of `gateway.ledger.stamp` that a client needs."""

    @property
    def build_request(self) -> Callable[[bytes, int, str | None], bytes]: ...
    @property
    def check_response(
        self,
    ) -> Callable[[bytes, bytes, int, Sequence[x509.Certificate], str | None], CheckedToken]: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an authority listens and what we hold about it.

    `anchors`: trusted certificates; without any, a reply's signature is checked but not whose it
    is. `policy`: dotted OID to ask for. `headers`: for authorities that want a key; secrets stay
    out of every error. `max_reply`: bytes; a real reply has 1 to 10 KiB. `attempts`: connections
    tried within one call.
    """

    url: str
    anchors: tuple[x509.Certificate, ...] = ()
    policy: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: SSLContext | None = None
    max_reply: int = 64 * 1024
    attempts: int = 3

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if self.policy is not None and not _OID.fullmatch(self.policy):
            raise Misconfigured(
                Text(
                    f"Chính sách dấu thời gian không phải là OID: {self.policy}",
                    f"the timestamp policy is not an OID: {self.policy}",
                ),
                code="tsa.policy",
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Misconfigured(
                Text(
                    f"Địa chỉ cơ quan cấp dấu thời gian không hợp lệ: {self.url}",
                    f"not an address of a timestamp authority: {self.url}",
                ),
                code="tsa.url",
            )


class HttpTimestampAuthority:
    """One authority. One connection pool, opened by the first call and closed by `close`."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        craft: StampCraft,
        nonce: Callable[[], int] = lambda: secrets.randbits(64),
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._craft = craft
        self._nonce = nonce
        self._session: aiohttp.ClientSession | None = None

    async def stamp(self, digest: bytes, deadline_seconds: float) -> StampReply:
        """Stamp a SHA-256 digest; returns or raises within `deadline_seconds`."""
        nonce, policy = self._nonce(), self._endpoint.policy
        request = self._craft.build_request(digest, nonce, policy)
        try:
            async with asyncio.timeout(deadline_seconds):
                reply = await self._ask(request)
        except TimeoutError as error:
            raise self._unavailable("timeout", "không trả lời kịp", "no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = type(error).__name__  # its words may hold the address with a key in it
            raise self._unavailable(
                "unreachable", f"không liên lạc được ({what})", f"cannot be reached ({what})"
            ) from error
        facts = self._craft.check_response(reply, digest, nonce, self._endpoint.anchors, policy)
        return StampReply(
            token=facts.token,
            gen_time=facts.gen_time,
            policy=facts.policy,
            serial=facts.serial,
            authority=facts.authority,
            reading=str(facts.reading),
        )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, request: bytes) -> bytes:
        """The body of the first whole answer; broken connections are tried again."""
        again = AsyncRetrying(
            retry=retry_if_exception_type(_BROKEN_CONNECTION),
            stop=stop_after_attempt(self._endpoint.attempts),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            reraise=True,
        )
        return await again(self._post, request)

    async def _post(self, request: bytes) -> bytes:
        endpoint = self._endpoint
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": "edoc-gateway", **endpoint.headers},
                # the deadline of the call is the only timeout
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            )
        async with self._session.post(
            endpoint.url,
            data=request,
            headers={"Content-Type": QUERY, "Accept": REPLY},
            ssl=endpoint.tls or True,
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                status = response.status
                raise self._unavailable(f"http.{status}", f"HTTP {status}", f"HTTP {status}")
            if response.content_type not in _REPLY_TYPES:
                raise self._unavailable(
                    "not_a_reply", "nội dung trả về không phải dấu thời gian", "not a stamp reply"
                )
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > endpoint.max_reply:
                    raise Untrusted(
                        Text(
                            f"{self.name}: trả lời vượt quá {endpoint.max_reply} byte",
                            f"{self.name}: the reply passes {endpoint.max_reply} bytes",
                        ),
                        code="tsa.reply_too_large",
                    )
            return bytes(body)

    def _unavailable(self, what: str, vi: str, en: str) -> Unavailable:
        return Unavailable(
            Text(f"Cơ quan cấp dấu thời gian {self.name}: {vi}", f"{self.name}: {en}"),
            code=f"tsa.{what}",
        )
