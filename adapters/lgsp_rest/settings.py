"""What the operator configures for one provincial REST axis; a wrong value is refused at start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from adapters.lgsp_rest.profile import RestProfile
from adapters.remote import endpoint_mistake
from gateway.errors import Misconfigured, Text

_MIB = 1024 * 1024
_HEADER_SAFE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def header_safe(value: str) -> bool:
    """Printable ASCII without blanks at the ends: what arrives unchanged in a header."""
    return _HEADER_SAFE.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class RestSettings:
    """One account on one REST axis. Times in seconds, sizes in bytes.

    `system_id`, `secret`: the account's headers; `username`, `password`: the login that gives a
    token. `retry_codes`, `never_codes` go before the profile's own table. `repeat`: what follows
    doubt, `again` or `never` (architecture 4).
    """

    name: str
    endpoint: str
    system_id: str
    secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    profile: RestProfile
    connect_timeout: float = 10.0
    max_connections: int = 8
    keepalive: float = 4.0
    retry_codes: tuple[str, ...] = ()
    never_codes: tuple[str, ...] = ()
    repeat: str = "again"
    ca_file: str = ""
    allow_http: bool = False
    max_reply_bytes: int = 16 * _MIB
    max_package_bytes: int = 2048 * _MIB

    def __post_init__(self) -> None:
        for key in ("name", "system_id", "secret", "username", "password"):
            if not getattr(self, key):
                raise self._wrong(key, "không được để trống", "must not be empty")
        for key in ("system_id", "secret"):
            if not header_safe(getattr(self, key)):
                raise self._wrong(key, "phải là ký tự ASCII in được", "must be printable ASCII")
        if self.ca_file and not Path(self.ca_file).is_file():
            raise self._wrong("ca_file", "không tìm thấy tệp", "no such file")
        if mistake := endpoint_mistake(self.endpoint, allow_http=self.allow_http):
            raise self._wrong("endpoint", *mistake)

    def _wrong(self, key: str, vi: str, en: str) -> Misconfigured:
        return Misconfigured(
            Text(f"Trục {self.name!r}, khóa {key}: {vi}", f"axis {self.name!r}, key {key}: {en}"),
            code="conf.axis_invalid",
        )
