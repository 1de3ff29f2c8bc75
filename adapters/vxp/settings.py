"""What the operator configures for one VXP axis; a wrong value is refused at start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from adapters.remote import endpoint_mistake
from adapters.vxp import wire
from gateway.errors import Misconfigured, Text

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class VxpSettings:
    """One account (system) on one VXP axis. Times in seconds, sizes in bytes.

    `endpoint`: URL without the operation; plain http only to this machine unless `allow_http`.
    `hash_form`: `unpadded` as the SDK writes it (vxp-protocol 2.5), or `padded`.
    `retry_codes`, `never_codes`: ErrorCodes that mean "later" and "never" for a package; any
    other code means "later" as well, and the corridor holds after three equal ones.
    `unknown_codes`: those by which getSentEdocList says that it knows no such DocId.
    `repeat`: what follows doubt, `again` or `never` (architecture 4).
    `keepalive`: an idle connection is not used after so long; below the shortest idle limit of
    common servers, so that a package is seldom sent into a connection that is being closed.
    """

    name: str
    endpoint: str
    system_id: str
    secret: str = field(repr=False)
    service_type: str = "eDoc"
    connect_timeout: float = 10.0
    max_connections: int = 8
    keepalive: float = 4.0
    hash_form: str = "unpadded"
    retry_codes: tuple[str, ...] = ()
    never_codes: tuple[str, ...] = ()
    unknown_codes: tuple[str, ...] = ()
    repeat: str = "again"
    ca_file: str = ""
    allow_http: bool = False
    max_reply_bytes: int = 64 * _MIB
    max_package_bytes: int = 2048 * _MIB
    inner_tries: int = 3
    inner_wait: float = 0.2
    user_agent: str = wire.USER_AGENT

    def __post_init__(self) -> None:
        for key in ("name", "system_id", "secret"):
            if not getattr(self, key):
                raise self._wrong(key, "không được để trống", "must not be empty")
        for key in ("system_id", "service_type", "user_agent"):
            if not wire.header_safe(getattr(self, key)):
                raise self._wrong(key, "phải là ký tự ASCII in được", "must be printable ASCII")
        if self.hash_form not in {"unpadded", "padded"}:
            raise self._wrong("hash_form", "unpadded hoặc padded", "is unpadded or padded")
        if self.repeat not in {"again", "never"}:
            raise self._wrong("repeat", "again hoặc never", "is again or never")
        for key in ("connect_timeout", "max_connections", "inner_tries", "max_reply_bytes"):
            if getattr(self, key) <= 0:
                raise self._wrong(key, "phải lớn hơn 0", "must be above 0")
        if both := set(self.retry_codes) & set(self.never_codes):
            code = min(both)
            raise self._wrong(
                "retry_codes", f"mã {code} cũng có trong never_codes", f"{code} is in never_codes"
            )
        if self.ca_file and not Path(self.ca_file).is_file():
            raise self._wrong("ca_file", "không tìm thấy tệp", "no such file")
        self._check_endpoint()

    def _check_endpoint(self) -> None:
        if mistake := endpoint_mistake(self.endpoint, allow_http=self.allow_http):
            raise self._wrong("endpoint", *mistake)

    def _wrong(self, key: str, vi: str, en: str) -> Misconfigured:
        return Misconfigured(
            Text(f"Trục {self.name!r}, khóa {key}: {vi}", f"axis {self.name!r}, key {key}: {en}"),
            code="conf.axis_invalid",
        )
