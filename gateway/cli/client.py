"""The command line as a client of a running gateway: REST over the standard library.

In:     an address and a key (EDOC_GATEWAY_URL, EDOC_GATEWAY_KEY); values and files to send.
Out:    JSON answers; bodies streamed into files whose digest was compared.
Fails:  the family the gateway's problem document stands for, with every finding of it;
        Unavailable when nobody answers.
Never:  holds a file in memory, follows a redirect (the key would go with it), shows the key.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from gateway.errors import (
    Broken,
    Conflict,
    Finding,
    Forbidden,
    GatewayError,
    Misconfigured,
    Rejected,
    Severity,
    Text,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unknown,
)

URL, KEY = "EDOC_GATEWAY_URL", "EDOC_GATEWAY_KEY"
CHUNK = 256 * 1024
_PATIENCE = 120.0  # seconds without a byte; long polls ask for less
_LARGEST_ANSWER = 64 * 1024 * 1024
_LARGEST_TEXT = 256 * 1024
_KINDS: Mapping[int, type[GatewayError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: Unknown,
    409: Conflict,
    413: TooLarge,
    429: Unavailable,
    500: Broken,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


@dataclass(frozen=True, slots=True)
class Client:
    """`url`: the gateway's address without `/v1`. `lang`: of problems, vi or en."""

    url: str
    key: str = field(repr=False)
    lang: str = "vi"

    @classmethod
    def from_environment(cls, lang: str, environ: Mapping[str, str] = os.environ) -> Client:
        """Misconfigured (`client.no_address`, `client.no_key`) names the variable to set."""
        url, key = environ.get(URL, ""), environ.get(KEY, "")
        if not url:
            raise _unset(URL, "client.no_address", "địa chỉ của gateway", "the gateway's address")
        if not key:
            raise _unset(KEY, "client.no_key", "khóa truy cập", "the access key")
        return cls(url, key, lang)

    def get(self, path: str, **query: str | float | None) -> Any:
        asked = {k: str(v) for k, v in query.items() if v not in (None, "")}
        return self._json("GET", f"{path}?{urlencode(asked)}" if asked else path, None, {})

    def text(self, path: str, **query: str | float | None) -> str:
        """What is answered as text/plain."""
        asked = {k: str(v) for k, v in query.items() if v not in (None, "")}
        with self._asked(
            "GET", f"{path}?{urlencode(asked)}" if asked else path, None, {}
        ) as answer:
            return self._read(answer, _LARGEST_TEXT).decode("utf-8", "replace")

    def post(self, path: str, body: Any = None, *, idempotency_key: str | None = None) -> Any:
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        headers["Idempotency-Key"] = idempotency_key or secrets.token_hex(16)
        return self._json("POST", path, data, headers)

    def delete(self, path: str) -> Any:
        return self._json("DELETE", path, None, {})

    def send_document(
        self, metadata: bytes, files: Sequence[tuple[str, Path]], idempotency_key: str
    ) -> Any:
        """POST /v1/documents as multipart: `metadata` first, then the files, streamed."""
        boundary = f"edoc-{secrets.token_hex(16)}"
        parts = [_part(boundary, "metadata", "", "application/json"), metadata, b"\r\n"]
        size = sum(len(p) for p in parts)
        heads = [
            (_part(boundary, "file", name, "application/octet-stream"), path)
            for name, path in files
        ]
        size += sum(len(head) + path.stat().st_size + 2 for head, path in heads)
        end = f"--{boundary}--\r\n".encode()

        def body() -> Iterator[bytes]:
            yield b"".join(parts)
            for head, path in heads:
                yield head
                yield from _pieces(path)
                yield b"\r\n"
            yield end

        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(size + len(end)),
            "Idempotency-Key": idempotency_key,
        }
        return self._json("POST", "/v1/documents", body(), headers)

    def send_package(self, package: Path, idempotency_key: str) -> Any:
        """POST /v1/documents with a package made by the caller, whose bytes are never changed."""
        headers = {
            "Content-Type": "application/edxml+xml",
            "Content-Length": str(package.stat().st_size),
            "Idempotency-Key": idempotency_key,
        }
        return self._json("POST", "/v1/documents", _pieces(package), headers)

    def download(self, path: str, target: Path, sha256: str = "") -> int:
        """Stream a body into a new file; bytes written. The file appears whole or not at all.

        Raises Unavailable (`download.cut`) when the digest is not `sha256` (hex); without one, not
        that which the answer states (Repr-Digest, RFC 9530).
        """
        part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
        digest = hashlib.sha256()
        size = 0
        try:
            with self._asked("GET", path, None, {}) as response, part.open("xb") as out:
                expected = sha256 or _stated_digest(response.headers.get("Repr-Digest", ""))
                while piece := self._read(response, CHUNK):
                    digest.update(piece)
                    size += len(piece)
                    out.write(piece)
            if digest.hexdigest() != expected:
                raise Unavailable(
                    Text(f"{target.name}: tải về không nguyên vẹn", f"{target.name}: cut short"),
                    code="download.cut",
                )
            os.link(part, target)  # fails when the name is taken, unlike a rename
        except FileExistsError:
            raise _taken(target) from None
        except OSError as error:  # told under the name that the caller knows
            raise OSError(error.errno, error.strerror, str(target)) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return size

    def _json(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        with self._asked(method, path, body, headers) as response:
            data = self._read(response, _LARGEST_ANSWER)
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise self._no_gateway("not JSON") from None

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        sent = {
            "Authorization": f"Bearer {self.key}",
            "Accept-Language": self.lang,
            "User-Agent": "edoc-gateway-cli",
            **headers,
        }
        try:
            with self._line():
                try:
                    connection.request(method, self._prefix() + path, body, sent)
                except (BrokenPipeError, ConnectionResetError):
                    # refused while the body was on its way: the answer may be waiting
                    if connection.sock is None:
                        raise
                response = connection.getresponse()
                if response.status >= 300:
                    raise self._problem(response)
            yield response  # what fails in the caller's hands is not the line
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse, most: int) -> bytes:
        with self._line():
            return response.read(most)

    @contextmanager
    def _line(self) -> Iterator[None]:
        """What breaks on the way to the gateway. Errors that name a file are the caller's."""
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "filename", None) is not None:
                raise
            raise self._no_gateway(str(error) or type(error).__name__) from error

    def _connection(self) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self.url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:  # a port that is none, brackets that do not close
            scheme, host, port = "", None, None
        if scheme not in ("http", "https") or not host:
            raise Misconfigured(
                Text(f"{URL}: không phải địa chỉ http(s)", f"{URL}: not an http(s) address"),
                code="client.bad_address",
            )
        if scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
        return http.client.HTTPConnection(host, port, timeout=_PATIENCE)

    def _prefix(self) -> str:
        return urlsplit(self.url).path.rstrip("/")

    def _problem(self, response: http.client.HTTPResponse) -> GatewayError:
        """The problem document as the error it was on the other side."""
        try:
            problem = json.loads(response.read(_LARGEST_ANSWER))
            detail, code = str(problem["detail"]), str(problem["code"])
            findings = tuple(_finding(f) for f in problem.get("findings", ()))
        except (ValueError, KeyError, TypeError):
            return self._no_gateway(f"HTTP {response.status}")
        kind = _KINDS.get(response.status, Rejected if response.status < 500 else Unavailable)
        return kind(Text(detail, detail), code=code, findings=findings)

    def _no_gateway(self, why: str) -> Unavailable:
        at = shown(self.url)
        return Unavailable(
            Text(
                f"Không có gateway nào trả lời tại {at} ({why})",
                f"no gateway answers at {at} ({why})",
            ),
            code="client.no_answer",
        )


def shown(url: str) -> str:
    """An address for people: what may be a password in it, before the @ or behind the ?, is not
    shown. Nothing of either is ever sent.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name = f"{user.partition(':')[0]}:***@" if at and ":" in user else "***@" if at else ""
    query = "***" if parts.query else ""
    return urlunsplit((parts.scheme, name + host, parts.path, query, ""))


def quoted(text: str) -> str:
    """An id as one step of a path."""
    return quote(text, safe="")


def repeatable_key(metadata: bytes, files: Sequence[tuple[str, Path]]) -> str:
    """An Idempotency-Key made of the content: the same command again is the same request."""
    digest = hashlib.sha256(b"edoc-gateway send v1\0" + hashlib.sha256(metadata).digest())
    for name, path in files:
        inner = hashlib.sha256()
        for piece in _pieces(path):
            inner.update(piece)
        digest.update(hashlib.sha256(name.encode()).digest() + inner.digest())
    return f"cli-{base64.urlsafe_b64encode(digest.digest()).rstrip(b'=').decode()}"


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(CHUNK):
            yield piece


def _part(boundary: str, name: str, filename: str, media_type: str) -> bytes:
    named = ""
    if filename:
        escaped = filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        named = f'; filename="{escaped}"'
    return (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{name}"{named}\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    ).encode()


def _finding(value: Mapping[str, str]) -> Finding:
    words = value["message"]
    return Finding(
        value["path"],
        value["code"],
        Severity(value["severity"]),
        Text(words, words),
        value.get("rule", ""),
    )


def _unset(name: str, code: str, vi: str, en: str) -> Misconfigured:
    return Misconfigured(
        Text(f"Biến môi trường {name} chưa đặt: {vi}", f"set {name}: {en}"), code=code
    )


def _stated_digest(header: str) -> str:
    """SHA-256 (hex) of `sha-256=:...:`; "" for anything else, which no content has."""
    found = re.search(r"sha-256=:([A-Za-z0-9+/]{43}=):", header)
    return base64.b64decode(found[1]).hex() if found else ""


def _taken(target: Path) -> Rejected:
    return Rejected(
        Text(f"{target} đã có, không ghi đè", f"{target} exists and is not written over"),
        code="file.exists",
    )
