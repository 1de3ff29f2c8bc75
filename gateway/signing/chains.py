"""The path from a signer's certificate to a root we hold: RFC 5280 section 6, small and bounded.

In:     certificates, whatever a stranger put beside his own among them; roots; an instant.
Out:    `Path`: the certificates, and why it does not lead to a root valid at that instant.
Fails:  never.
Never:  asks for revocation; reads a clock; does more public-key operations than `MOST_CHECKS`.
Next:   revocation.py, trust.py.

Name constraints and policy mapping are not understood: a certificate that makes an extension
critical which is not listed here leads nowhere, rather than being half understood. A root counts by
being held, so its own signature is not asked; its key and what it may issue are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from gateway.signing.policy import Family, Policy, Standing

MAX_DEPTH = 6
# Real paths need three. A set of certificates made to cross-sign each other ends here.
MOST_CHECKS = 24
_MOST_STEPS = 256
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
# What a certificate's parser raises on access: names, dates and extensions are read late.
PARSER_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
NO_PATH = "no_path"
_SHA256 = hashes.SHA256()


@dataclass(frozen=True, slots=True)
class Path:
    """`certificates`: the signer's first. `anchored`: the last one is a root that we hold.

    `why` when not anchored: `no_path`, `signature`, `weak_algorithm`, `weak_key`, `key_usage`,
    `not_an_authority`, `path_length`, `critical_extension`, `unreadable`, `too_much_work`. When
    anchored and not all valid at that instant: `expired`, `not_yet_valid`; else "".
    """

    certificates: tuple[x509.Certificate, ...]
    anchored: bool
    why: str = ""


def find_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    policy: Policy,
    at: datetime,
) -> Path:
    """The first path whose certificates were all valid at `at`; else the first that is anchored.

    `others`: intermediates, ours first. A path that leads nowhere is the signer's alone, with the
    reason that came nearest.
    """
    if refused := _unfit_leaf(leaf, policy, at.date()):
        return Path((leaf,), anchored=False, why=refused)
    search = _Search(_unique(others), _unique(roots), policy, at.date())
    late: Path | None = None
    for found in search.paths((leaf,)):
        word = _at(found, at)
        if not word:
            return Path(found, anchored=True)
        late = late or Path(found, anchored=True, why=word)
    return late or Path((leaf,), anchored=False, why=search.why or NO_PATH)


@dataclass(slots=True)
class _Search:
    """One walk; it remembers which signatures hold, so that no pair is asked about twice."""

    others: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    policy: Policy
    day: date
    why: str = ""
    steps: int = 0
    checked: dict[tuple[bytes, bytes], bool] = field(default_factory=dict)

    def paths(self, path: tuple[x509.Certificate, ...]) -> Iterator[tuple[x509.Certificate, ...]]:
        last = path[-1]
        if last in self.roots:
            yield path
            return
        if len(path) >= MAX_DEPTH:
            self.why = self.why or "path_length"
            return
        for issuer in (*self.roots, *self.others):
            self.steps += 1
            if self.steps > _MOST_STEPS or len(self.checked) > MOST_CHECKS:
                self.why = "too_much_work"
                return
            if issuer in path or not _names(issuer, last):
                continue
            refused = self._refused(path, issuer)
            if refused:
                self.why = self.why or refused
            else:
                yield from self.paths((*path, issuer))

    def _refused(self, path: Sequence[x509.Certificate], issuer: x509.Certificate) -> str:
        """Why `issuer` may not stand above this path; "" when it may."""
        if refused := _may_not_issue(issuer, path, held=issuer in self.roots):
            return refused
        last = path[-1]
        if refused := too_weak(last, issuer, self.policy, self.day):
            return refused
        pair = (last.fingerprint(_SHA256), issuer.fingerprint(_SHA256))
        if pair not in self.checked:
            self.checked[pair] = issued(last, issuer)
        return "" if self.checked[pair] else "signature"


def issued(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    """The issuer's name stands in `subject`, and its key signed it."""
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, *PARSER_ERRORS):
        return False
    return True


def too_weak(
    subject: x509.Certificate | x509.CertificateRevocationList,
    issuer: x509.Certificate,
    policy: Policy,
    day: date,
) -> str:
    """Is the signature on `subject` below the floor of the policy? `weak_algorithm`, `weak_key`."""
    try:
        digest = subject.signature_hash_algorithm
        pss = isinstance(subject.signature_algorithm_parameters, padding.PSS)
        key = issuer.public_key()
    except PARSER_ERRORS:
        return "weak_algorithm"
    return weak_signature(key, digest.name if digest else "", policy, day, pss=pss)


def weak_signature(key: object, digest: str, policy: Policy, day: date, *, pss: bool) -> str:
    """The same for any signature of `key` over `digest` ("sha256")."""
    family = _family(key, pss=pss)
    rows = [
        row
        for row in policy.signatures
        if row.family is family
        and row.digest == digest
        and row.standing is Standing.TRUSTED
        and policy.signature(row.uri, day) is row
    ]
    if not rows or not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return "weak_algorithm"
    if not min(r.minimum_bits for r in rows) <= key.key_size <= policy.maximum_bits:
        return "weak_key"
    return ""


def key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    """None: every use (RFC 5280 4.2.1.3). Raises what the parser raises."""
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def subject(certificate: x509.Certificate) -> str:
    """RFC 4514; "" for a name that cannot be read."""
    try:
        return certificate.subject.rfc4514_string()
    except PARSER_ERRORS:
        return ""


def _unfit_leaf(leaf: x509.Certificate, policy: Policy, day: date) -> str:
    """Its own key is strong enough, it may sign documents, and we understand what it demands."""
    try:
        key = leaf.public_key()
        bits = key_usage(leaf)
        unknown = any(e.critical and e.oid not in _UNDERSTOOD for e in leaf.extensions)
        _ = (leaf.subject, leaf.issuer, leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    except PARSER_ERRORS:
        return "unreadable"
    if unknown:
        return "critical_extension"
    # RFC 5280 4.2.1.3: documents are signed with digitalSignature or contentCommitment
    if bits is not None and not (bits.digital_signature or bits.content_commitment):
        return "key_usage"
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return "weak_key" if weak_signature(key, "sha256", policy, day, pss=False) else ""
    return "weak_algorithm"


def _may_not_issue(
    issuer: x509.Certificate, path: Sequence[x509.Certificate], *, held: bool
) -> str:
    """RFC 5280 6.1.4 (k) to (n): an authority, long enough a path, a key that may sign others."""
    try:
        bits = key_usage(issuer)
        if any(e.critical and e.oid not in _UNDERSTOOD for e in issuer.extensions):
            return "critical_extension"
        # those that were issued to themselves do not count: a change of key (RFC 5280 6.1)
        below = sum(1 for c in path[1:] if c.subject != c.issuer)
        _ = (issuer.not_valid_before_utc, issuer.not_valid_after_utc)
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        # a root of X.509 version 1 cannot say that it is an authority; it counts by being held
        return "" if held and issuer.version is x509.Version.v1 else "not_an_authority"
    except PARSER_ERRORS:
        return "unreadable"
    if not basic.ca:
        return "not_an_authority"
    if basic.path_length is not None and below > basic.path_length:
        return "path_length"
    return "" if bits is None or bits.key_cert_sign else "key_usage"


def _names(issuer: x509.Certificate, subject_of: x509.Certificate) -> bool:
    try:
        return issuer.subject == subject_of.issuer
    except PARSER_ERRORS:  # a name that cannot be read is nobody's
        return False


def _at(path: Sequence[x509.Certificate], at: datetime) -> str:
    """The shell model: every certificate of the path was valid at `at`."""
    if any(c.not_valid_after_utc < at for c in path):
        return "expired"
    return "not_yet_valid" if any(at < c.not_valid_before_utc for c in path) else ""


def _family(key: object, *, pss: bool) -> Family | None:
    if isinstance(key, rsa.RSAPublicKey):
        return Family.RSA_PSS if pss else Family.RSA_PKCS1
    return Family.ECDSA if isinstance(key, ec.EllipticCurvePublicKey) else None


def _unique(certificates: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    return tuple(dict.fromkeys(certificates))
