"""What every client of a stranger over HTTP needs: a session, TLS, names for what went wrong.

In:     exceptions of a request; words of a remote; an endpoint that the operator wrote.
Out:    stable codes, words fit for a log, a session that follows nothing and keeps nothing.
Fails:  Misconfigured for certificates that cannot be read.
Never:  turns the check of a certificate off, reads a proxy from the environment, keeps a cookie.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from gateway.errors import Misconfigured, Text
from gateway.model.outcome import Deferred, Outcome, Uncertain

SMALL_REPLY = 1024 * 1024  # bytes of an answer that carries no package
# Everything a remote or the network can make aiohttp raise; TimeoutError is an OSError.
REMOTE_FAULTS = (aiohttp.ClientError, HttpProcessingError, OSError)

_LONGEST = 300
_DIGEST = re.compile(r"[0-9A-Fa-f]{48,}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def plain_words(text: str, secret: str = "") -> str:
    """A remote's words fit for a log: no secret, no digest, no controls, 300 characters."""
    if secret:
        text = text.replace(secret, "***")
    text = _DIGEST.sub("[hex]", text)
    return _CONTROLS.sub(" ", text).strip()[:_LONGEST]


def connect_code(error: BaseException) -> str:
    """A code when there never was a usable connection, else ""."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "connect.certificate"
        case aiohttp.ClientConnectorSSLError():
            return "connect.tls"
        case aiohttp.ClientConnectorDNSError():
            return "connect.dns"
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            if isinstance(cause, ConnectionRefusedError):
                return "connect.refused"
            return "connect.tls" if isinstance(cause, ssl.SSLError) else "connect.failed"
        case aiohttp.ConnectionTimeoutError():
            return "connect.timeout"
        case aiohttp.ServerFingerprintMismatch():
            return "connect.certificate"
        case _:
            return ""


def broken_code(error: BaseException) -> str:
    """A code for a connection that was there, and gave no whole answer."""
    match error:
        case TimeoutError():
            return "answer.silence"
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return "answer.garbled"
        case aiohttp.ClientPayloadError():
            return "answer.cut"
        case _:
            return "answer.reset"


def _words(error: BaseException) -> str:
    """With its kind, where it has words at all: the code says what became of the rest."""
    said = str(error)
    return f"{type(error).__name__}: {said}" if said else ""


def not_submitted(
    error: BaseException, clean: Callable[[str], str], *, handed_over: bool
) -> Outcome:
    """No answer at all. Doubt begins with the last byte handed to the connection.

    `clean`: makes a remote's words fit for a log.
    """
    words = clean(_words(error))
    if connect := connect_code(error):
        return Deferred(connect, words, alarm=connect == "connect.certificate")
    if not handed_over:
        late = isinstance(error, TimeoutError)
        return Deferred("send.timeout" if late else "send.interrupted", words)
    return Uncertain(broken_code(error), words)


def unanswered(error: BaseException, clean: Callable[[str], str]) -> Deferred:
    """`not_submitted` for a question: there is nothing to doubt about."""
    code = connect_code(error) or broken_code(error)
    words = clean(_words(error))
    return Deferred(code, words, alarm=code == "connect.certificate")


def endpoint_mistake(endpoint: str, *, allow_http: bool) -> tuple[str, str] | None:
    """What is wrong with an axis' URL, in Vietnamese and English; None when nothing is."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "không phải URL", "is not a URL"
    if parts.scheme not in {"http", "https"} or not host:
        return "phải là URL http(s)", "must be an http(s) URL"
    if parts.query or parts.fragment or parts.username is not None:
        return (
            "không được có tham số, mảnh hay tài khoản",
            "must have no query, fragment or user",
        )
    if parts.scheme == "http" and not (allow_http or _is_loopback(host)):
        return (
            "http không mã hóa chỉ dùng trong máy (hoặc đặt allow_http)",
            "plain http is for this machine only (or set allow_http)",
        )
    return None


def tls_context(name: str, ca_file: str) -> ssl.SSLContext:
    """Chain and name are always checked; nothing turns that off, `ca_file` names another root."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (ssl.SSLError, OSError) as error:
        raise Misconfigured(
            Text(
                f"Trục {name!r}, khóa ca_file: không đọc được chứng thư",
                f"axis {name!r}, key ca_file: no certificates can be read from it",
            ),
            code="conf.axis_invalid",
        ) from error


class Connecting(Protocol):
    """What every axis' settings say of its connections. Seconds; `max_connections` at once."""

    @property
    def max_connections(self) -> int: ...

    @property
    def keepalive(self) -> float: ...

    @property
    def connect_timeout(self) -> float: ...


class SessionHolder:
    """The HTTP session of one axis: made by the first call that needs it, gone after `close`."""

    def __init__(self, tls: ssl.SSLContext | None, settings: Connecting) -> None:
        self._tls = tls
        self._settings = settings
        self._made: aiohttp.ClientSession | None = None

    def get(self) -> aiohttp.ClientSession:
        """Needs a running loop. The deadline of each call bounds everything but connecting."""
        if self._made is None:
            self._made = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._settings.max_connections,
                    keepalive_timeout=self._settings.keepalive,
                    ssl=self._tls if self._tls is not None else True,
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._settings.connect_timeout
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding",),
                trust_env=False,
            )
        return self._made

    async def close(self) -> None:
        """Twice is harmless; a call after it makes a new session."""
        if self._made is not None:
            session, self._made = self._made, None
            await session.close()


async def small_body(response: aiohttp.ClientResponse, limit: int = SMALL_REPLY) -> bytes | None:
    """The whole small body; None when it is longer than `limit` or does not end well."""
    body = bytearray()
    try:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > limit:
                return None
    except TimeoutError:
        raise
    except REMOTE_FAULTS:
        return None
    return bytes(body)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
