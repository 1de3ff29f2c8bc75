"""Was a certificate revoked at an instant? By lists (CRL) and answers (OCSP) that we hold.

In:     a certificate and its issuer, evidence as bytes with the instant it was fetched, an instant.
Out:    `RevocationFact`: good, revoked since when and why, or unknown with the reason; and what
        would have to be asked (`wanted`), with the bytes of the question.
Fails:  never for what an authority or a stranger sent: evidence that cannot be used says why.
Never:  asks anybody: evidence is what lies in the cache or was laid down by hand.
Next:   trust.py.

What counts (RFC 5280 6.3, RFC 6960 3.2):
 (1) it is signed by the issuer itself with an algorithm of the policy; an OCSP answer also by a
     responder that the issuer made for it (id-kp-OCSPSigning), valid when it answered;
 (2) it speaks of this certificate: issuer, scope of the list, CertID;
 (3) delta and indirect lists, and lists of some reasons only, are not understood: unknown;
 (4) it covers the instant: this_update <= at <= next_update, or it is younger than the instant,
     which proves even more, unless the certificate had ended by then and may have left the list;
 (5) the cache is not older than `max_age`.
A revocation counts from the earlier of its date and its invalidity date, needs (1) to (3) only,
and stays, except that a certificate on hold may be let go: there the youngest evidence decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from gateway.model.trust import RevocationFact, RevocationWord
from gateway.signing.chains import (
    PARSER_ERRORS,
    fingerprint,
    issued,
    key_usage,
    subject,
    too_weak,
    weak_signature,
)
from gateway.signing.policy import Policy

LONGEST_URL = 500
_MOST_URLS = 3  # of one kind in one certificate
_MOST_RESPONDERS = 4
_MOST_ANSWERS = 64
CLOCKS = timedelta(minutes=10)  # by so much an authority's clock may be ahead of ours
_HOLD = x509.ReasonFlags.certificate_hold
_PSS_OID = "1.2.840.113549.1.1.10"
# Which reason is the most telling where no evidence can be used; the first one is told.
_TELLING = (
    "too_old",
    "stale",
    "after_expiry",
    "from_the_future",
    "unsupported",
    "signature",
    "weak_algorithm",
    "weak_key",
    "other_issuer",
    "other_scope",
    "not_known",
    "refused",
    "unreadable",
    "not_fetched",
)


class Kind(StrEnum):
    CRL = "crl"
    OCSP = "ocsp"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where evidence on `certificate` can be had. `about`: its SHA-256 for OCSP, "" for a list.

    (kind, url, about) is the key under which the answer is kept: a list speaks of many.
    """

    kind: Kind
    url: str
    about: str
    certificate: x509.Certificate
    issuer: x509.Certificate


@dataclass(frozen=True)
class Evidence:
    """`fetched_at` None: laid down by hand. Parsed once, its signature checked once an issuer."""

    kind: Kind
    data: bytes
    fetched_at: datetime | None = None
    signed: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def crl(self) -> x509.CertificateRevocationList | None:
        """DER, or PEM as some authorities serve it; None: it is no list."""
        try:
            if self.data.lstrip().startswith(b"-----BEGIN"):
                return x509.load_pem_x509_crl(self.data)
            return x509.load_der_x509_crl(self.data)
        except PARSER_ERRORS:
            return None

    @cached_property
    def answer(self) -> ocsp.OCSPResponse | None:
        try:
            return ocsp.load_der_ocsp_response(self.data)
        except PARSER_ERRORS:
            return None


def wanted(certificate: x509.Certificate, issuer: x509.Certificate) -> tuple[Wanted, ...]:
    """Lists by CRL distribution point, answers by authority information access (RFC 5280 4.2).

    http and https only, without accounts or fragments; ldap is not spoken.
    """
    about = fingerprint(certificate)
    asked = [Wanted(Kind.OCSP, url, about, certificate, issuer) for url in _ocsp_urls(certificate)]
    lists = [Wanted(Kind.CRL, url, "", certificate, issuer) for url in _crl_urls(certificate)]
    return (*asked, *lists)


def question(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """OCSPRequest, DER. The CertID is under SHA-1, which every responder knows (RFC 5019 2.1.1).

    It only names the certificate: nothing is proved by it. Without a nonce, because answers are
    kept; what bounds a replay is their own next_update.
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(Encoding.DER)


def judge_one(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    evidence: Sequence[Evidence],
    *,
    at: datetime,
    max_age: timedelta,
    policy: Policy,
) -> RevocationFact:
    """Points (1) to (5) above, over everything that is held about this certificate."""
    name = fingerprint(certificate)
    facts = [_one(certificate, issuer, e, at, max_age, policy, name) for e in evidence]
    bad = [f for f in facts if f.status is RevocationWord.REVOKED]
    good = [f for f in facts if f.status is RevocationWord.GOOD]
    final = [f for f in bad if f.reason != _HOLD.value]
    if final:
        return min(final, key=lambda f: f.revoked_at or at)
    if bad or good:
        return max((*bad, *good), key=_updated)
    if facts:
        return min(facts, key=lambda f: _TELLING.index(f.why))
    why = "not_fetched" if wanted(certificate, issuer) else "no_source"
    return RevocationFact(name, RevocationWord.UNKNOWN, why)


def usable(ask: Wanted, evidence: Evidence, *, now: datetime, policy: Policy) -> RevocationFact:
    """Is this an answer to that question? Asked before it takes the place of an older one."""
    forever = timedelta.max
    name = fingerprint(ask.certificate)
    return _one(ask.certificate, ask.issuer, evidence, now, forever, policy, name)


def _one(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    evidence: Evidence,
    at: datetime,
    max_age: timedelta,
    policy: Policy,
    name: str,
) -> RevocationFact:
    bare = RevocationFact(
        name,
        RevocationWord.UNKNOWN,
        "unreadable",
        kind=evidence.kind.value,
        sha256=evidence.sha256,
        fetched_at=evidence.fetched_at,
    )
    try:
        said = _by_list if evidence.kind is Kind.CRL else _by_answer
        fact = said(certificate, issuer, evidence, at, policy, bare)
        ends = certificate.not_valid_after_utc
    except PARSER_ERRORS:
        return bare
    if fact.status is not RevocationWord.GOOD:
        return fact
    why = _untimely(fact, at, max_age, ends)
    return replace(fact, status=RevocationWord.UNKNOWN, why=why) if why else fact


def _untimely(fact: RevocationFact, at: datetime, max_age: timedelta, ends: datetime) -> str:
    """(4) and (5): why what it says does not hold at that instant; "" when it does."""
    updated = _updated(fact)
    if fact.fetched_at is not None and updated > fact.fetched_at + CLOCKS:
        return "from_the_future"
    if updated > ends:
        return "after_expiry"
    if updated >= at:
        return ""
    if fact.next_update is not None and fact.next_update < at:
        return "stale"
    asked = fact.fetched_at or updated
    return "too_old" if at - asked > max_age else ""


def _updated(fact: RevocationFact) -> datetime:
    return fact.this_update or datetime.min.replace(tzinfo=UTC)


def _aged(fact: RevocationFact, at: datetime) -> RevocationFact:
    asked = fact.fetched_at or _updated(fact)
    return replace(fact, age=max(0, int((at - asked).total_seconds())))


# -- lists


def _by_list(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    evidence: Evidence,
    at: datetime,
    policy: Policy,
    bare: RevocationFact,
) -> RevocationFact:
    crl = evidence.crl
    if crl is None:
        return bare
    said = _aged(
        replace(
            bare,
            issuer=crl.issuer.rfc4514_string(),
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
        ),
        at,
    )
    if why := (
        _list_signed(crl, issuer, evidence, policy, bare) or _list_scope(crl, certificate, issuer)
    ):
        return replace(said, why=why)
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return replace(said, status=RevocationWord.GOOD, why="")
    since, reason = entry.revocation_date_utc, x509.ReasonFlags.unspecified
    for extension in entry.extensions:
        value = extension.value
        if isinstance(value, x509.CRLReason):
            reason = value.reason
        elif isinstance(value, x509.InvalidityDate):
            since = min(since, value.invalidity_date_utc)
        elif extension.critical:
            return replace(said, why="unsupported")
    if reason is x509.ReasonFlags.remove_from_crl:
        return replace(said, why="unsupported")  # a word of delta lists
    return _revoked(said, since, reason, at)


def _list_signed(
    crl: x509.CertificateRevocationList,
    issuer: x509.Certificate,
    evidence: Evidence,
    policy: Policy,
    bare: RevocationFact,
) -> str:
    """(1): whose list it is. The answer is remembered: a list is large and asked often."""
    if crl.issuer != issuer.subject:
        return "other_issuer"
    holder = fingerprint(issuer)
    if holder not in evidence.signed:
        evidence.signed[holder] = _list_signature(crl, issuer, policy, bare)
    return evidence.signed[holder]


def _list_signature(
    crl: x509.CertificateRevocationList,
    issuer: x509.Certificate,
    policy: Policy,
    bare: RevocationFact,
) -> str:
    bits = key_usage(issuer)
    if bits is not None and not bits.crl_sign:
        return "signature"
    day = (bare.fetched_at or crl.last_update_utc).date()
    if weak := too_weak(crl, issuer, policy, day):
        return weak
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return "weak_algorithm"
    return "" if crl.is_signature_valid(key) else "signature"


def _list_scope(
    crl: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate
) -> str:
    """(2), (3): RFC 5280 6.3.3 (b). What is critical and not understood makes it unusable."""
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            if why := _out_of_scope(value, certificate):
                return why
        elif extension.critical or isinstance(value, x509.DeltaCRLIndicator):
            return "unsupported"
    return "" if certificate.issuer == issuer.subject else "other_issuer"


def _out_of_scope(scope: x509.IssuingDistributionPoint, certificate: x509.Certificate) -> str:
    if (
        scope.indirect_crl
        or scope.only_some_reasons
        or scope.only_contains_attribute_certs
        or scope.relative_name
    ):
        return "unsupported"
    authority = _is_authority(certificate)
    if (scope.only_contains_user_certs and authority) or (
        scope.only_contains_ca_certs and not authority
    ):
        return "other_scope"
    if scope.full_name and not set(scope.full_name) & set(_full_names(certificate)):
        return "other_scope"
    return ""


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


# -- answers


def _by_answer(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    evidence: Evidence,
    at: datetime,
    policy: Policy,
    bare: RevocationFact,
) -> RevocationFact:
    answer = evidence.answer
    if answer is None:
        return bare
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return replace(bare, why="refused")
    single = _about(answer, certificate, issuer)
    if single is None:
        return replace(bare, why="other_issuer")
    holder = fingerprint(issuer)
    if holder not in evidence.signed:
        evidence.signed[holder] = _answer_signed(answer, issuer, policy)
    said = _aged(
        replace(
            bare,
            issuer=subject(issuer),
            this_update=single.this_update_utc,
            next_update=single.next_update_utc,
            produced_at=answer.produced_at_utc,
        ),
        at,
    )
    if why := evidence.signed[holder]:
        return replace(said, why=why)
    if any(e.critical for e in answer.extensions):
        return replace(said, why="unsupported")
    if single.certificate_status is ocsp.OCSPCertStatus.GOOD:
        return replace(said, status=RevocationWord.GOOD, why="")
    since = single.revocation_time_utc
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN or since is None:
        return replace(said, why="not_known")
    return _revoked(said, since, single.revocation_reason or x509.ReasonFlags.unspecified, at)


def _about(
    answer: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> ocsp.OCSPSingleResponse | None:
    """(2): the part whose CertID names this certificate of this issuer (RFC 6960 4.1.1)."""
    for count, single in enumerate(answer.responses):
        if count >= _MOST_ANSWERS:
            break
        if single.serial_number != certificate.serial_number:
            continue
        named = (
            ocsp.OCSPRequestBuilder()
            .add_certificate(certificate, issuer, single.hash_algorithm)
            .build()
        )
        if (single.issuer_name_hash, single.issuer_key_hash) == (
            named.issuer_name_hash,
            named.issuer_key_hash,
        ):
            return single
    return None


def _answer_signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate, policy: Policy) -> str:
    """(1): by the issuer's key, or by a responder it made for nothing but this (RFC 6960 4.2.2.2).

    Whether such a responder was itself revoked is not asked, id-pkix-ocsp-nocheck or not: the
    RFC leaves it to local policy, and asking would begin the same question anew.
    """
    why = "signature"
    responders = [issuer, *answer.certificates[:_MOST_RESPONDERS]]
    for responder in responders:
        if responder is not issuer and not _delegated(responder, issuer, answer, policy):
            continue
        weak = _answer_by(answer, responder, policy)
        if not weak:
            return ""
        why = weak if weak != "signature" else why
    return why


def _answer_by(answer: ocsp.OCSPResponse, responder: x509.Certificate, policy: Policy) -> str:
    algorithm = answer.signature_hash_algorithm
    key, day = responder.public_key(), answer.produced_at_utc.date()
    pss = answer.signature_algorithm_oid.dotted_string == _PSS_OID
    if algorithm is None:
        return "weak_algorithm"
    if weak := weak_signature(key, algorithm.name, policy, day, pss=pss):
        return weak
    try:
        if isinstance(key, rsa.RSAPublicKey):
            mode: padding.AsymmetricPadding = padding.PKCS1v15()
            if pss:  # RFC 4055: MGF1 with the same hash, in practice always
                mode = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
            key.verify(answer.signature, answer.tbs_response_bytes, mode, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
    except (InvalidSignature, UnsupportedAlgorithm):
        return "signature"
    return ""


def _delegated(
    responder: x509.Certificate,
    issuer: x509.Certificate,
    answer: ocsp.OCSPResponse,
    policy: Policy,
) -> bool:
    try:
        purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        bits = key_usage(responder)
        produced = answer.produced_at_utc
        valid = responder.not_valid_before_utc <= produced <= responder.not_valid_after_utc
    except (x509.ExtensionNotFound, *PARSER_ERRORS):
        return False
    return (
        valid
        and ExtendedKeyUsageOID.OCSP_SIGNING in purposes
        and (bits is None or bits.digital_signature)
        and responder.issuer == issuer.subject
        and not too_weak(responder, issuer, policy, produced.date())
        and issued(responder, issuer)
    )


# -- both


def _revoked(
    said: RevocationFact, since: datetime, reason: x509.ReasonFlags, at: datetime
) -> RevocationFact:
    """Revoked when `since` is not after the instant; a later revocation is told, and is no bar."""
    if since <= at:
        return replace(
            said,
            status=RevocationWord.REVOKED,
            why="",
            reason=reason.value,
            revoked_at=since,
        )
    return replace(said, status=RevocationWord.GOOD, why="", reason=reason.value, revoked_at=since)


def _crl_urls(certificate: x509.Certificate) -> list[str]:
    return _web([n.value for n in _full_names(certificate) if isinstance(n, _URI)])


_URI = x509.UniformResourceIdentifier


def _full_names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    """Names of the distribution points that hold whole lists of this issuer."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, *PARSER_ERRORS):
        return
    for point in points:
        if not point.reasons and not point.crl_issuer:
            yield from point.full_name or ()


def _ocsp_urls(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, *PARSER_ERRORS):
        return []
    return _web(
        [
            d.access_location.value
            for d in access.value
            if d.access_method == AuthorityInformationAccessOID.OCSP
            and isinstance(d.access_location, _URI)
        ]
    )


def _web(addresses: Sequence[str]) -> list[str]:
    return [a for a in dict.fromkeys(addresses) if web_address(a)][:_MOST_URLS]


def web_address(url: str) -> bool:
    """An address that may be asked at all: http(s), a host, printable ASCII, no account in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return (
        len(url) <= LONGEST_URL
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and "@" not in parts.netloc
    )
