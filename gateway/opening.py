"""What came in: read -> verify -> judge, over the bytes as they came.

In:     a package (seekable), the limits, the rules and the day, whether it comes from an axis;
        whom to trust, and the instant at which a certificate must have been good (its receiving).
Out:    CameIn: what the bytes say, the verdict on the signature, every finding.
Fails:  Unreadable, TooLarge: those of the reader.
Never:  changes a byte, throws a package away for its signature, asks a network: revocation data
        come out of a cache that `workers/sweep` keeps fresh (trusting.py).

A package of a unit system (`desk`), an arrival (`inbound`) and the command `inspect` all come here,
so that nobody is told something else about the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO

from gateway.errors import Finding, errors_in
from gateway.model.package import SignatureVerdict
from gateway.packing import read
from gateway.promise import signature_findings
from gateway.rules import checks
from gateway.safexml import Limits
from gateway.signing import verify
from gateway.signing.trust import Judged, Relied, with_trust


@dataclass(frozen=True, slots=True)
class CameIn:
    """`lawful`: what the rules say; `findings`: those of the reader, the rules, the signature.

    `judged`: what stands behind the word on the signer's certificate.
    """

    package: read.ReadPackage
    verdict: SignatureVerdict
    lawful: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    judged: Judged | None = None

    @property
    def secret(self) -> bool:
        """Marked as a state secret: such a package goes no further (QĐ 28/2018 article 1)."""
        return any(f.code == "secrecy.marked" for f in errors_in(self.lawful))


def open_package(
    source: BinaryIO,
    *,
    limits: Limits,
    rules: checks.RuleSet,
    day: date,
    arriving: bool,
    relied: Relied,
    at: datetime,
    sink: read.FileSink | None = None,
) -> CameIn:
    """`arriving`: from an axis, where no rule but secrecy refuses (architecture 3).

    `relied`: whom to trust, with a look into the cache; `at`: when we received the package.
    """
    package = read.read_package(source, sink=sink, limits=limits)
    verdict = verify.verify(package.signature, package.header, package.files)
    verdict, judged = with_trust(verdict, package.signature, relied, at)
    trusted = verdict.trust.findings if verdict.trust else ()
    lawful: tuple[Finding, ...] = ()
    if package.header is not None:
        lawful = checks.check_package(
            package.header, package.files, package.extras, day, rules, arriving=arriving
        )
    findings = (*package.findings, *lawful, *signature_findings(verdict), *trusted)
    return CameIn(package, verdict, lawful, findings, judged)
