"""The certificate path of a timestamp: from the authority's certificate to an anchor we hold.

In: certificates and the instant at which the path must have been valid (the token's own time: a
token stays good after its certificate ends). Out: the path, or `Untrusted` (`stamp.certificate`,
`stamp.chain`) with the reason. It knows no network: revocation data are kept as evidence, and
judged where they are kept. RFC 5280 section 6, without name constraints and policy mapping: a
certificate that makes one of these critical is refused rather than half understood.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from gateway.errors import Text, Untrusted

MAX_DEPTH = 8
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
_WEAK = (hashes.MD5, hashes.SHA1)


def check_stamping_certificate(certificate: x509.Certificate) -> None:
    """RFC 3161 2.3: extended key usage critical, timeStamping and nothing else; may sign at all.

    Raises Untrusted (`stamp.certificate`).
    """
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, TypeError, ValueError) as error:
        raise _unfit("no extended key usage") from error
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise _unfit("its extended key usage is not time stamping alone, and critical")
    bits = _key_usage(certificate)
    if bits is not None and not (bits.digital_signature or bits.content_commitment):
        raise _unfit("its key usage does not allow signatures")


def find_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
) -> tuple[x509.Certificate, ...]:
    """The path from `leaf` to the first anchor that it reaches, both included.

    An anchor may be a root, an issuing authority or the leaf itself. Raises Untrusted
    (`stamp.chain`): no path, or none whose certificates were all valid at `at`.
    """
    for path in _paths((leaf,), others, anchors):
        if all(c.not_valid_before_utc <= at <= c.not_valid_after_utc for c in path):
            return path
    raise Untrusted(
        Text(
            "Chứng thư của cơ quan cấp dấu thời gian không dẫn tới gốc tin cậy nào",
            "the timestamp authority's certificate leads to no trust anchor valid at that time",
        ),
        code="stamp.chain",
    )


def _paths(
    path: tuple[x509.Certificate, ...],
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
) -> Iterator[tuple[x509.Certificate, ...]]:
    last = path[-1]
    if not _critical_understood(last):
        return
    if last in anchors:
        yield path
        return
    if len(path) >= MAX_DEPTH:
        return
    for issuer in (*anchors, *others):
        if issuer not in path and _issued(last, issuer, below=len(path) - 1):
            yield from _paths((*path, issuer), others, anchors)


def _issued(subject: x509.Certificate, issuer: x509.Certificate, below: int) -> bool:
    """`issuer` signed `subject` and was allowed to; `below`: authorities under it."""
    try:
        named = subject.issuer == issuer.subject
    except (TypeError, ValueError):  # a name that cannot be read is nobody's
        return False
    if not named or not _may_issue(issuer, below):
        return False
    if isinstance(subject.signature_hash_algorithm, _WEAK):
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def _may_issue(certificate: x509.Certificate, below: int) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, TypeError, ValueError):
        return False
    if not basic.ca or (basic.path_length is not None and below > basic.path_length):
        return False
    bits = _key_usage(certificate)
    return bits is None or bits.key_cert_sign


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _critical_understood(certificate: x509.Certificate) -> bool:
    try:
        return all(e.oid in _UNDERSTOOD for e in certificate.extensions if e.critical)
    except (TypeError, ValueError):  # extensions that cannot be read at all
        return False


def _unfit(why: str) -> Untrusted:
    return Untrusted(
        Text(
            "Chứng thư này không được dùng để cấp dấu thời gian",
            f"the certificate may not issue timestamps: {why}",
        ),
        code="stamp.certificate",
    )
