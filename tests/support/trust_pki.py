"""Authorities in several layers, with everything that can be wrong about them, for tests of trust.

The cast of pki.py has one root above its leaves. Here a root makes issuing authorities, they make
signers, lists and answers, and each step can be told to do it badly. Validity runs around `AT`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tests.support.pki import AT, YEAR, Leaf, PrivateKey, ec_key, key_usage, name

_DER = serialization.Encoding.DER
_PEM = serialization.Encoding.PEM
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Layer:
    """An authority of any height; `key` may be of any kind."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(_PEM)

    def below(self, common_name: str, index: int, **more: Any) -> Layer:
        """An authority under this one. `more`: that of `certificate`."""
        key = more.pop("key", None) or ec_key(index)
        made = certificate(common_name, key, self, authority=True, **more)
        return Layer(made, key)

    def leaf(self, common_name: str, key: PrivateKey, **more: Any) -> Leaf:
        made = certificate(common_name, key, self, authority=False, **more)
        return Leaf(made, key, self.certificate)

    def crl(
        self,
        revoked: dict[int, datetime] | None = None,
        *,
        at: datetime = AT - HOUR,
        until: datetime | None = None,
        reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise,
        invalid_since: datetime | None = None,
        extension: x509.ExtensionType | None = None,
        signed_by: PrivateKey | None = None,
        number: int = 1,
    ) -> bytes:
        """`extension`: one more, critical. `signed_by`: a key that is not this authority's."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(at)
            .next_update(until or at + 7 * DAY)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=True)
        for serial, since in (revoked or {}).items():
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(since)
                .add_extension(x509.CRLReason(reason), critical=False)
            )
            if invalid_since is not None:
                entry = entry.add_extension(x509.InvalidityDate(invalid_since), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(signed_by or self.key, hashes.SHA256()).public_bytes(_DER)

    def ocsp(
        self,
        leaf: Leaf | Layer,
        *,
        at: datetime = AT - HOUR,
        until: datetime | None = None,
        revoked_since: datetime | None = None,
        unknown: bool = False,
        responder: Leaf | None = None,
        signed_by: PrivateKey | None = None,
        algorithm: hashes.HashAlgorithm | None = None,
        issuer: x509.Certificate | None = None,
    ) -> bytes:
        """By the authority, or by a `responder` whose certificate goes with the answer."""
        status = ocsp.OCSPCertStatus.GOOD
        if revoked_since is not None:
            status = ocsp.OCSPCertStatus.REVOKED
        elif unknown:
            status = ocsp.OCSPCertStatus.UNKNOWN
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf.certificate,
                issuer=issuer or self.certificate,
                algorithm=algorithm or hashes.SHA1(),
                cert_status=status,
                this_update=at,
                next_update=until or at + DAY,
                revocation_time=revoked_since,
                revocation_reason=(
                    x509.ReasonFlags.key_compromise if revoked_since is not None else None
                ),
            )
            .responder_id(
                ocsp.OCSPResponderEncoding.HASH,
                # a forger's answer names himself, so that it can be made at all
                root("forger", 0, key=signed_by).certificate
                if signed_by is not None
                else responder.certificate
                if responder
                else self.certificate,
            )
        )
        if responder is not None:
            builder = builder.certificates([responder.certificate])
        key = signed_by or (responder.key if responder else self.key)
        return builder.sign(key, hashes.SHA256()).public_bytes(_DER)


def root(common_name: str, index: int, *, path_length: int | None = None, **more: Any) -> Layer:
    key = more.pop("key", None) or ec_key(index)
    made = certificate(common_name, key, None, authority=True, path_length=path_length, **more)
    return Layer(made, key)


def certificate(
    common_name: str,
    key: PrivateKey,
    issuer: Layer | None,
    *,
    authority: bool,
    path_length: int | None = None,
    not_before: datetime = AT - YEAR,
    not_after: datetime = AT + YEAR,
    usage: x509.KeyUsage | None = None,
    basic: bool = True,
    lists: Sequence[str] = (),
    answers: Sequence[str] = (),
    purpose: x509.ObjectIdentifier | None = None,
    extension: x509.ExtensionType | None = None,
    signed_by: PrivateKey | None = None,
) -> x509.Certificate:
    """`lists`, `answers`: where to ask. `extension`: one more, critical."""
    above = issuer or Layer(None, key)  # type: ignore[arg-type]  # a root: only its key is asked
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(issuer.certificate.subject if issuer else name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(usage or key_usage(signing=not authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if basic:
        constraints = x509.BasicConstraints(ca=authority, path_length=path_length)
        builder = builder.add_extension(constraints, critical=True)
    if lists:
        points = [
            x509.DistributionPoint([x509.UniformResourceIdentifier(u)], None, None, None)
            for u in lists
        ]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    if answers:
        places = [
            x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(u)
            )
            for u in answers
        ]
        builder = builder.add_extension(x509.AuthorityInformationAccess(places), critical=False)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(signed_by or above.key, hashes.SHA256())


def with_sha1(made: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate signed with RSA and SHA-1, which `cryptography` does no more."""
    parts = asn1.Certificate.load(made.public_bytes(_DER))
    parts["tbs_certificate"]["signature"] = {"algorithm": "sha1_rsa"}
    parts["signature_algorithm"] = {"algorithm": "sha1_rsa"}
    parts["signature_value"] = _rsa_sha1(parts["tbs_certificate"].dump(force=True), key)
    return x509.load_der_x509_certificate(parts.dump(force=True))


def _rsa_sha1(message: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """RSASSA-PKCS1-v1_5 (RFC 8017 8.2), by hand."""
    digest = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(message).digest()
    size = key.key_size // 8
    padded = b"\x00\x01" + b"\xff" * (size - 3 - len(digest)) + b"\x00" + digest
    numbers = key.private_numbers()
    value = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n)
    return value.to_bytes(size)


def responder(issuer: Layer, index: int = 180, **more: Any) -> Leaf:
    """A delegated OCSP responder (RFC 6960 4.2.2.2), unless `more` says otherwise."""
    more.setdefault("purpose", ExtendedKeyUsageOID.OCSP_SIGNING)
    return issuer.leaf("OCSP (test)", ec_key(index), **more)


def usage(*allowed: str) -> x509.KeyUsage:
    """A key usage with these bits and no others."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{n: n in allowed for n in names})
