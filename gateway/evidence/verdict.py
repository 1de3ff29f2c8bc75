"""What judging a container gives: checks with their rules, and the word that follows from them.

In:     checks, the case that was read, the anchors that the reader brought.
Out:    valid, invalid or undecided; the JSON of contract 5.
Fails:  never.
Never:  judges: check.py does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cryptography import x509

from gateway.errors import Text
from gateway.evidence import keyring, minutes
from gateway.evidence.case import Case
from gateway.evidence.gaps import stretches


class Result(StrEnum):
    OK = "ok"
    BAD = "bad"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Check:
    """`what`: the part or the claim; `rule`: the norm relied on."""

    what: str
    result: Result
    rule: str
    detail: Text

    def as_json(self, language: str) -> dict[str, str]:
        detail = self.detail.vi if language == "vi" else self.detail.en
        return {"what": self.what, "result": self.result, "rule": self.rule, "detail": detail}


@dataclass(frozen=True, slots=True)
class Anchors:
    """What the reader brings. `ledgers`: public keys by the ledger's origin, one or several that it
    had one after the other; may be empty.

    `authorities`: roots of timestamp authorities; `signers`: of those who sign packages.
    """

    ledgers: dict[str, keyring.Key | tuple[keyring.Key, ...]] = field(default_factory=dict)
    authorities: tuple[x509.Certificate, ...] = ()
    signers: tuple[x509.Certificate, ...] = ()

    def of(self, origin: str) -> tuple[keyring.Key, ...]:
        found = self.ledgers.get(origin, ())
        return found if isinstance(found, tuple) else (found,)


@dataclass(frozen=True, slots=True)
class Verdict:
    checks: tuple[Check, ...]
    case: Case | None = None
    packages: tuple[minutes.Seen, ...] = ()

    @property
    def verdict(self) -> str:
        results = {check.result for check in self.checks}
        if Result.BAD in results:
            return "invalid"
        return "undecided" if Result.OPEN in results or not self.checks else "valid"

    def as_json(self, language: str) -> dict[str, Any]:
        """The shape of contract 5."""
        documents = [s for s in self.packages if s.header is not None]
        header = documents[0].header if documents else None
        found = minutes.instants(self.case) if self.case and self.verdict != "invalid" else ()
        return {
            "verdict": self.verdict,
            "checks": [check.as_json(language) for check in self.checks],
            "document": {
                "ledger": self.case.origin,
                **dict(self.case.subject),
                "document_id": header.document_id if header else "",
                "from": header.sender.organ_id if header else "",
                "subject": header.subject if header else "",
            }
            if self.case
            else {},
            "instants": {
                f"{i.name}_at" + (f" {i.who}" if i.who else ""): {"at": i.at, "source": i.source}
                for i in found
            },
            "gaps": [
                one.as_json()
                for one in (stretches(self.case) if self.case and self.verdict != "invalid" else ())
            ],
        }
