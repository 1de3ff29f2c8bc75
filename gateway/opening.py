"""What came in: read -> verify -> judge, over the bytes as they came.

In:     a package (seekable), the limits, the rules and the day, whether it comes from an axis.
Out:    CameIn: what the bytes say, the verdict on the signature, every finding.
Fails:  Unreadable, TooLarge: those of the reader. Rejected for edXML 1.0 that shall go out.
Never:  changes a byte, asks a network, throws a package away for its signature.

A package of a unit system (`desk`) and an arrival (`inbound`) both come here, so that nobody is
told something else about the same bytes. Commands read and verify alike, without a gateway's rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from gateway.errors import Finding, Rejected, Text, errors_in
from gateway.model.package import SignatureVerdict
from gateway.packing import read
from gateway.promise import signature_findings
from gateway.rules import checks
from gateway.safexml import Limits
from gateway.signing import verify


@dataclass(frozen=True, slots=True)
class CameIn:
    """`lawful`: what the rules say; `findings`: those of the reader, the rules, the signature."""

    package: read.ReadPackage
    verdict: SignatureVerdict
    lawful: tuple[Finding, ...]
    findings: tuple[Finding, ...]

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
    sink: read.FileSink | None = None,
) -> CameIn:
    """`arriving`: from an axis, where no rule but secrecy refuses (architecture 3)."""
    package = read.read_package(source, sink=sink, limits=limits)
    if package.version != "qcvn102" and not arriving:
        raise Rejected(
            Text(
                "Gói tin edXML 1.0 chỉ được nhận, không gửi đi; hãy gửi theo QCVN 102:2016/BTTTT",
                "packages of edXML 1.0 are only received; send one of QCVN 102:2016/BTTTT",
            ),
            code="package.version_unsupported",
            findings=package.findings,
        )
    verdict = verify.verify(package.signature, package.header, package.files)
    lawful: tuple[Finding, ...] = ()
    if package.header is not None:
        lawful = checks.check_package(
            package.header, package.files, package.extras, day, rules, arriving=arriving
        )
    findings = (*package.findings, *lawful, *signature_findings(verdict))
    return CameIn(package, verdict, lawful, findings)
