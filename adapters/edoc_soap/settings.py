"""What the operator configures for one account on one SOAP axis; mistakes are said at start."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.edoc_soap.profile import Profile
from adapters.remote import endpoint_mistake
from gateway.errors import Misconfigured, Text

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SoapSettings:
    """Times in seconds, sizes in bytes. `organ_id`, `token`: the account.

    `profile`: how this province speaks. `retry_codes`, `never_codes`: go before the profile's own
    table. `key`, `certificate`: PEM, for WS-Security where the profile wants it;
    `answer_certificates`: PEM, those that the axis signs its answers with.
    """

    name: str
    endpoint: str
    organ_id: str
    token: str = field(repr=False)
    profile: Profile = field(default_factory=Profile)
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
    key: bytes = field(default=b"", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    answer_certificates: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        for key in ("name", "organ_id", "token"):
            if not getattr(self, key):
                raise self._wrong(key, "không được để trống", "must not be empty")
        if mistake := endpoint_mistake(self.endpoint, allow_http=self.allow_http):
            raise self._wrong("endpoint", *mistake)
        if self.profile.security == "x509" and not (self.key and self.certificate):
            vi, en = "hồ sơ cần khóa và chứng thư", "the profile wants a key and a certificate"
            raise self._wrong("sign_key", vi, en)
        if self.profile.verify_answers and not self.answer_certificates:
            vi = "hồ sơ cần chứng thư mà trục dùng để ký trả lời"
            en = "the profile wants the certificates that the axis signs its answers with"
            raise self._wrong("answer_certificates", vi, en)

    def _wrong(self, key: str, vi: str, en: str) -> Misconfigured:
        return Misconfigured(
            Text(f"Trục {self.name!r}, khóa {key}: {vi}", f"axis {self.name!r}, key {key}: {en}"),
            code="conf.axis_invalid",
        )
