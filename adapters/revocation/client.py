"""Asks an authority for a certificate list or the status of one certificate, over HTTP.

In:     an address that stands in a certificate of a trusted path, a question or none.
Out:    the bytes of the answer, unjudged: whether they are one, the room `signing` says.
Fails:  Unavailable (`revocation.*`), and with nothing else.
Never:  follows a redirect to another host, sends an account or a cookie, reads beyond the limit,
        asks twice: the next round of the sweep does.

Plain http is what authorities offer and RFC 5280 4.2.1.13 expects: answers carry their own
signatures. The addresses come from certificates of trusted paths, so what is asked is chosen by an
authority that the operator trusts; a host outside `hosts`, where that names any, is not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

import aiohttp

from gateway.errors import Text, Unavailable

QUESTION, ANSWER = "application/ocsp-request", "application/ocsp-response"
_CHUNK = 64 * 1024
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HttpRevocation:
    """One connection pool, opened by the first call and closed by `close`."""

    def __init__(self, *, most_bytes: int, hosts: Sequence[str] = ()) -> None:
        self._most_bytes = most_bytes
        self._hosts = frozenset(h.lower() for h in hosts)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, url: str, question: bytes | None, deadline_seconds: float) -> bytes:
        """`question` None: the list at `url`; else the answer to this OCSPRequest (DER)."""
        if self._hosts and (urlsplit(url).hostname or "") not in self._hosts:
            raise unavailable("host", "máy chủ không có trong trust.hosts", "not in trust.hosts")
        try:
            async with asyncio.timeout(deadline_seconds):
                return await self._follow(url, question)
        except TimeoutError as error:
            raise unavailable("timeout", "không trả lời kịp", "no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = type(error).__name__
            raise unavailable(
                "unreachable", f"không liên lạc được ({what})", f"cannot be reached ({what})"
            ) from error

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _follow(self, url: str, question: bytes | None) -> bytes:
        for _ in range(_MOST_REDIRECTS + 1):
            body, elsewhere = await self._once(url, question)
            if elsewhere is None:
                return body
            target = urljoin(url, elsewhere)
            here, there = urlsplit(url), urlsplit(target)
            if (here.scheme, here.netloc) != (there.scheme, there.netloc):
                raise unavailable(
                    "redirect", "chuyển hướng sang máy chủ khác", "redirected to another host"
                )
            url = target
        raise unavailable("redirect", "chuyển hướng quá nhiều lần", "redirected too often")

    async def _once(self, url: str, question: bytes | None) -> tuple[bytes, str | None]:
        """The body, or where the answer is said to be."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": "edoc-gateway"},
                # the deadline of the call is the only timeout
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        headers = {"Accept-Encoding": "identity"}
        if question is not None:
            headers |= {"Content-Type": QUESTION, "Accept": ANSWER}
        async with self._session.request(
            "GET" if question is None else "POST",
            url,
            data=question,
            headers=headers,
            allow_redirects=False,
        ) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return b"", response.headers["Location"]
            if response.status != 200:
                status = response.status
                raise unavailable(f"http.{status}", f"HTTP {status}", f"HTTP {status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > self._most_bytes:
                    raise unavailable("too_large", "dữ liệu quá lớn", "the answer is too large")
            return bytes(body), None


def unavailable(code: str, vi: str, en: str) -> Unavailable:
    return Unavailable(
        Text(f"Không lấy được dữ liệu thu hồi: {vi}", f"no revocation data: {en}"),
        code=f"revocation.{code}",
    )
