"""One package of a case as evidence: what it says, and its signature for other tools.

In:     a package's bytes, the digest and role by which the case knows it.
Out:    Seen; and the bytes, value and certificate by which its signature holds.
Fails:  Untrusted or Rejected as reading does; Untrusted (`evidence.package`) for other bytes.
Never:  asks whether a certificate was trusted: that is in the records, with what it rested on.
"""

from __future__ import annotations

from datetime import date
from typing import BinaryIO, NamedTuple

from gateway.errors import Text, Untrusted
from gateway.evidence.case import Carried
from gateway.evidence.minutes import Seen
from gateway.model.package import FileFact, SignatureVerdict, Trust, bare_cid
from gateway.opening import judge, signing_day
from gateway.packing import read
from gateway.safexml import Limits
from gateway.signing import DEFAULT_POLICY, Policy, verify
from gateway.signing.policy import Family


class SignaturePart(NamedTuple):
    """What a package's signature is over, and the value, for openssl (layout.py).

    `inner`: digests of the files it names as they are inside; `options`: of `openssl dgst`.
    """

    package: str
    signed_info: bytes
    value: bytes
    certificate: bytes
    inner: tuple[str, ...]
    options: str


def look(
    source: BinaryIO,
    carried: Carried,
    day: date,
    *,
    limits: Limits | None,
    policy: Policy = DEFAULT_POLICY,
    sink: read.FileSink | None = None,
) -> tuple[Seen, SignaturePart | None]:
    """`day`: of the evidence, in Vietnam. `sink`: takes the files out on the way."""
    package = read.read_package(source, limits=limits, sink=sink)
    if package.sha256 != carried.digest:
        raise Untrusted(
            Text("không phải gói tin mà tên tệp nêu", "not the package that its name says"),
            code="evidence.package",
        )
    verdict = judge(source, 0, package, limits=limits, policy=policy, day=day)
    header = package.header if package.status is None else None
    seen = Seen(carried.digest, carried.role, package.size, header, package.files, verdict)
    block = package.signature
    held = None
    if block is not None:
        held = verify.held(block, policy=policy, at=signing_day(package.header, day))
    if held is None:
        return seen, None
    return seen, SignaturePart(
        package=carried.digest,
        signed_info=held.message,
        value=held.value,
        certificate=held.certificate,
        inner=_inner(verdict, package.files),
        options=f"-{held.method.digest}"
        + (" -sigopt rsa_padding_mode:pss" if held.method.family is Family.RSA_PSS else ""),
    )


def _inner(verdict: SignatureVerdict, files: tuple[FileFact, ...]) -> tuple[str, ...]:
    """Digests of files that valid references name as they are inside, in the package's order.

    A reference over a wrapped file (edxml-format 4) names bytes that no part of the container is.
    """
    matched = {bare_cid(r.uri): r.matched for r in verdict.references if r.verdict is Trust.VALID}
    named = ((f, matched.get(bare_cid(f.content_id))) for f in files)
    found = (
        f.sha256
        for f, how in named
        if how == verify.INNER or (how == verify.CARRIED and f.carried_sha256 == f.sha256)
    )
    return tuple(dict.fromkeys(found))
