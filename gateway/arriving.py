"""One arrival, read: what came out of its bytes before anything of it is written down.

In:     a claimed arrival, the blobs, the limits, the rules and the day, whom to trust.
Out:    Opened: the state it would be given, header or status, files, verdicts, findings.
Fails:  never for what a package holds: that becomes QUARANTINED with its reason.
Never:  writes a row, asks a network (opening.py). The evidence of a verdict is laid into the blob
        store; the commit that names it (inbound.py) makes it count.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from gateway import quarantine
from gateway.errors import Finding, Rejected, Untrusted
from gateway.model.arrival import ArrivalState
from gateway.model.package import (
    DocumentHeader,
    FileFact,
    SignatureVerdict,
    StatusReport,
    identity,
    status_identity,
)
from gateway.opening import open_package
from gateway.ports import BlobStore
from gateway.rules import checks
from gateway.safexml import Limits
from gateway.signing import Policy
from gateway.signing.trust import Judged, Relied, block_ders
from gateway.store import arrivals

POISON_AFTER = 2  # a package that killed its process twice is not opened a third time


@dataclass(frozen=True, slots=True)
class Opened:
    """What came out of one package, before anything of it is written.

    `judged`: what stands behind the word on the signer's certificate, whose evidence lies in the
    blob store; `certificates`: those of the signature, DER, where it may be judged again.
    """

    state: ArrivalState
    findings: tuple[Finding, ...]
    header: DocumentHeader | None = None
    report: StatusReport | None = None
    files: tuple[FileFact, ...] = ()
    verdict: SignatureVerdict | None = None
    identity: str = ""
    judged: Judged | None = None
    certificates: tuple[bytes, ...] = ()


def read_arrival(
    claim: arrivals.OpenClaim,
    blobs: BlobStore,
    *,
    limits: Limits,
    rules: checks.RuleSet,
    policy: Policy,
    day: date,
    relied: Relied,
) -> Opened:
    """Blocks for as long as the package is large: call it in a thread.

    A certificate is judged at the instant of receiving, however late the arrival is opened.
    """
    if claim.opens > POISON_AFTER:
        return Opened(ArrivalState.QUARANTINED, (quarantine.poison(claim.opens - 1),))
    try:
        with blobs.open(claim.raw_sha256) as source:
            came = open_package(
                source,
                limits=limits,
                rules=rules,
                policy=policy,
                day=day,
                arriving=True,
                relied=relied,
                at=claim.received_at,
            )
    except (Untrusted, Rejected) as problem:
        return Opened(
            ArrivalState.QUARANTINED, problem.findings or (quarantine.as_finding(problem),)
        )
    package = came.package
    if package.status is not None:
        return Opened(
            ArrivalState.OPENED,
            package.findings,
            report=package.status,
            identity=status_identity(package.status),
        )
    header = package.header
    if header is None:
        return Opened(ArrivalState.QUARANTINED, (*package.findings, quarantine.neither()))
    certificates: tuple[bytes, ...] = ()
    if package.signature is not None and came.judged is not None and came.judged.wanted:
        certificates = block_ders(package.signature.certificates)
    for data in came.judged.kept if came.judged else ():
        blobs.keep_bytes(data, hashlib.sha256(data).hexdigest())
    return Opened(
        ArrivalState.QUARANTINED if came.secret else ArrivalState.OPENED,
        came.findings,
        header=header,
        files=package.files,
        verdict=came.verdict,
        identity=identity(header, [(f.declared_name, f.sha256) for f in package.files]),
        judged=came.judged,
        certificates=certificates,
    )
