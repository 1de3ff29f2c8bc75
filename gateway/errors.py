"""What can go wrong, sorted by who must act.

Three things are kept apart. A *finding* is a value: one thing wrong with a submission or a
package; all of them are reported at once. An *outcome* (`model/outcome.py`) is a value: what the
other side said. An *exception* means that the step could not be done, and belongs to one of the
five families below. No error knows an HTTP status or an exit code: the doors map families.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Text(NamedTuple):
    """One sentence for people, in Vietnamese and English. Codes never change; texts may."""

    vi: str
    en: str


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong: where (`path`), which rule (`code`, `rule` = the article behind it)."""

    path: str
    code: str
    severity: Severity
    text: Text
    rule: str = ""

    def as_json(self, lang: str = "en") -> dict[str, str]:
        message = self.text.vi if lang == "vi" else self.text.en
        return {
            "path": self.path,
            "code": self.code,
            "severity": self.severity.value,
            "message": message,
            "rule": self.rule,
        }


def errors_in(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(f for f in findings if f.severity is Severity.ERROR)


@dataclass(eq=False)
class GatewayError(Exception):
    """Root of the five families. `code` is stable; `text` is for people; never a secret in it."""

    text: Text
    code: str = ""
    findings: tuple[Finding, ...] = field(default=())

    default_code: ClassVar[str] = "gateway.error"

    def __post_init__(self) -> None:
        if not self.code:
            self.code = self.default_code
        super().__init__(self.text.en)

    def __str__(self) -> str:
        return f"{self.code}: {self.text.en}"


class Rejected(GatewayError):
    """The caller must change the request. Nothing of it was kept."""

    default_code = "request.rejected"


class Conflict(Rejected):
    """The request contradicts something already recorded (another document, another key use)."""

    default_code = "request.conflict"


class Unknown(Rejected):
    """The thing named does not exist, or the caller may not know that it does."""

    default_code = "request.unknown"


class Forbidden(Rejected):
    """The caller's key does not speak for this agency, or has no such role."""

    default_code = "account.forbidden"


class Unauthenticated(Rejected):
    """No key, a wrong key, or a revoked one."""

    default_code = "account.unauthenticated"


class TooLarge(Rejected):
    """A limit of conf/gateway.toml was passed; the finding names it."""

    default_code = "limit.exceeded"


class Untrusted(GatewayError):
    """Bytes from a peer cannot be what they claim. Keep them, quarantine, tell the auditor."""

    default_code = "peer.untrusted"


class Unreadable(Untrusted):
    """The bytes are not a package that can be read at all. The findings say where and why."""

    default_code = "package.unreadable"


class Unavailable(GatewayError):
    """Time will mend it: try again later. Nothing was promised."""

    default_code = "service.unavailable"


class Misconfigured(GatewayError):
    """The operator must mend the configuration; the text names key and file."""

    default_code = "conf.invalid"


class Broken(GatewayError):
    """Our own fault, or a ledger that does not add up. Stop; do not restart into it."""

    default_code = "gateway.broken"
