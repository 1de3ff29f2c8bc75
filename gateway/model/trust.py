"""What is known of the certificate behind a signature, at one instant, and by which evidence.

In:     nothing: `gateway.signing.trust` fills these in.
Out:    `CertificateTrust`: a word, the path, the revocation evidence that was used, the findings.
Fails:  never.
Never:  says anything about the signature's own arithmetic: that is `SignatureVerdict`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from gateway.c14n import JsonValue
from gateway.errors import Finding


class TrustWord(StrEnum):
    """The verdict on a certificate. `not_configured`: no roots were given, nothing is claimed."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    REVOKED = "revoked"
    UNKNOWN_REVOCATION = "unknown_revocation"
    NOT_CONFIGURED = "not_configured"


class RevocationWord(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PathStep:
    """One certificate of a path. `subject`: RFC 4514; `sha256`: over its DER, hex."""

    subject: str
    sha256: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class RevocationFact:
    """What one piece of evidence says of one certificate (`certificate`: its SHA-256, hex).

    `why`: the reason of `unknown`; "" otherwise.
    `kind`: crl | ocsp, "" without any evidence; `sha256`: digest of the evidence's bytes.
    `age`: whole seconds from asking the authority (else from `this_update`) to the instant judged.
    `reason`: RFC 5280 5.3.1, such as `keyCompromise`; `revoked_at`: when it took effect, which
    for `good` is after the instant judged.
    """

    certificate: str
    status: RevocationWord
    why: str = ""
    kind: str = ""
    issuer: str = ""
    sha256: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    produced_at: datetime | None = None
    fetched_at: datetime | None = None
    age: int | None = None
    reason: str = ""
    revoked_at: datetime | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Without the members that say nothing. Times RFC 3339 UTC."""
        times = ("this_update", "next_update", "produced_at", "fetched_at", "revoked_at")
        shown: dict[str, JsonValue] = {
            "certificate": self.certificate,
            "status": self.status.value,
        }
        for name in ("why", "kind", "issuer", "sha256", "reason"):
            if value := getattr(self, name):
                shown[name] = value
        for name in times:
            if (at := getattr(self, name)) is not None:
                shown[name] = instant(at)
        if self.age is not None:
            shown["age_seconds"] = self.age
        return shown


@dataclass(frozen=True, slots=True)
class CertificateTrust:
    """`at`: the instant judged; `why`: the reason of a word that is not `trusted`.

    `path`: from the signer's certificate to the root, as far as one was found. `revocation`: one
    fact for each certificate of the path but the root.
    """

    word: TrustWord
    at: datetime
    why: str = ""
    path: tuple[PathStep, ...] = ()
    revocation: tuple[RevocationFact, ...] = ()
    findings: tuple[Finding, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """The members that stand beside the facts of a certificate (contract 5)."""
        return {
            "trust": self.word.value,
            "trust_at": instant(self.at),
            "trust_why": self.why,
            "path": [
                {
                    "subject": step.subject,
                    "sha256": step.sha256,
                    "not_before": instant(step.not_before),
                    "not_after": instant(step.not_after),
                }
                for step in self.path
            ],
            "revocation": [fact.as_json() for fact in self.revocation],
        }

    def for_record(self) -> dict[str, JsonValue]:
        """For the ledger: words and digests. A subject names a person, so none is in it.

        What stands under `blob` is kept in the blob store (NĐ 23/2025 17.2: the evidence is stored
        with the message): the path's certificates, the lists and answers that were used.
        """
        return {
            "trust": self.word.value,
            "why": self.why,
            "path": [{"blob": step.sha256} for step in self.path],
            "evidence": [
                {"kind": fact.kind, "blob": fact.sha256} for fact in self.revocation if fact.sha256
            ],
        }


def instant(at: datetime) -> str:
    """RFC 3339 UTC, whole seconds, as the other facts of a certificate are shown."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
