"""What came in: read -> verify -> judge, over the bytes as they came.

In:     a package (seekable), the limits, the rules and the day, whether it comes from an axis;
        whom to trust, and the instant at which a certificate must have been good (its receiving).
Out:    CameIn: what the bytes say, the verdict on the signature, every finding.
Fails:  Unreadable, TooLarge: those of the reader. Rejected for edXML 1.0 that shall go out.
Never:  changes a byte, throws a package away for its signature, asks a network: revocation data
        come out of a cache that `workers/sweep` keeps fresh (trusting.py).

The bytes are read a second time only for a signature whose value holds and which says that it is
over the whole document (`URI=""`).

A package of a unit system (`desk`), an arrival (`inbound`) and the command `inspect` all come here,
so that nobody is told something else about the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO

from gateway.errors import Finding, Rejected, Text, errors_in
from gateway.model.package import DocumentHeader, SignatureVerdict, iso_date
from gateway.packing import read
from gateway.rules import checks
from gateway.safexml import Limits
from gateway.signing import DEFAULT_POLICY, Policy, enveloped, verify
from gateway.signing.findings import signature_findings
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
    policy: Policy = DEFAULT_POLICY,
) -> CameIn:
    """`arriving`: from an axis, where no rule but secrecy refuses (architecture 3).

    `day`: today in Vietnam. `policy`: which algorithms count, by the day of signing.
    `relied`: whom to trust, with a look into the cache; `at`: when we received the package.
    """
    start = source.tell()
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
    verdict = judge(source, start, package, limits=limits, policy=policy, day=day)
    verdict, judged = with_trust(verdict, package.signature, relied, at)
    trusted = verdict.trust.findings if verdict.trust else ()
    lawful: tuple[Finding, ...] = ()
    if package.header is not None:
        lawful = checks.check_package(
            package.header, package.files, package.extras, day, rules, arriving=arriving
        )
    findings = (*package.findings, *lawful, *signature_findings(verdict), *trusted)
    return CameIn(package, verdict, lawful, findings, judged)


def judge(
    source: BinaryIO,
    start: int,
    package: read.ReadPackage,
    *,
    limits: Limits | None = None,
    policy: Policy = DEFAULT_POLICY,
    day: date,
) -> SignatureVerdict:
    """The verdict on the signature of `package`, which stands in `source` from `start` on."""

    def look(forms: Collection[enveloped.Form]) -> enveloped.Whole | None:
        source.seek(start)
        return enveloped.look(source, forms, limits)

    return verify.verify(
        package.signature,
        package.header,
        package.files,
        policy=policy,
        at=signing_day(package.header, day),
        look=look,
    )


def signing_day(header: DocumentHeader | None, day: date) -> date:
    """When it was signed, as the package says: its first hop, else its promulgation; never later
    than `day`, and `day` where it says nothing.

    A claim and no proof: it chooses the rows of a dated policy, and a row that has ended can be
    claimed back. What must not count any more on any day is `weak` in all periods.
    """
    if header is None:
        return day
    hops = [t.timestamp for t in header.traces]
    for text in (*hops[:1], header.promulgation.date):
        with suppress(ValueError):
            return min(date.fromisoformat(iso_date(text)), day)
    return day
