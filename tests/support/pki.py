"""A small PKI for tests: authorities, leaves of every kind, revocation lists, OCSP answers.

Made with `cryptography` alone (feasibility 9 (e)); every subject says that it is a test. P-256
except where RSA is the subject; RSA keys are made once a process. Nothing here knows the time:
validity runs around `AT`, and every answer takes its instant as a parameter.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_DER = serialization.Encoding.DER
_PEM = serialization.Encoding.PEM


@functools.cache
def rsa_key(index: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same key for the same arguments: making one costs a tenth of a second or more."""
    return rsa.generate_private_key(65537, bits)


@functools.cache
def ec_key(index: int = 0, curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    curves = {c.name: c for c in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.SECP256K1)}
    return ec.generate_private_key(curves[curve]())


def name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TEST - không có giá trị"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True)
class Leaf:
    """One certificate with its key; signs as a `KeyHolder` would."""

    certificate: x509.Certificate
    key: PrivateKey
    issuer: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(_DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(_PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password)
        return self.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)

    def public_pem(self) -> bytes:
        return self.certificate.public_key().public_bytes(
            _PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        """RSA PKCS#1 v1.5 over SHA-256, or r||s of half the curve's length each."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        size = (self.key.key_size + 7) // 8
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(size) + s.to_bytes(size)


@dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(_PEM)

    def leaf(
        self,
        common_name: str,
        key: PrivateKey,
        *,
        not_before: datetime = AT - YEAR,
        not_after: datetime = AT + YEAR,
        extended: ObjectIdentifier | None = None,
        signing: bool = True,
    ) -> Leaf:
        """`extended`: one extended key usage, critical (a timestamp authority needs that)."""
        builder = (
            _builder(name(common_name), self.certificate.subject, key, not_before, not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signing=signing), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if extended is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([extended]), critical=True)
        return Leaf(builder.sign(self.key, hashes.SHA256()), key, self.certificate)

    def crl(self, revoked: dict[int, datetime], at: datetime) -> x509.CertificateRevocationList:
        """`revoked`: serial number -> when. Valid for a week from `at`."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(at)
            .next_update(at + timedelta(days=7))
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for serial, since in revoked.items():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(since)
                .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
                .build()
            )
        return builder.sign(self.key, hashes.SHA256())

    def ocsp(
        self, leaf: Leaf, at: datetime, revoked_since: datetime | None = None
    ) -> ocsp.OCSPResponse:
        """An answer by the authority itself: good, or revoked since."""
        good = revoked_since is None
        return (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf.certificate,
                issuer=self.certificate,
                algorithm=hashes.SHA256(),
                cert_status=ocsp.OCSPCertStatus.GOOD if good else ocsp.OCSPCertStatus.REVOKED,
                this_update=at,
                next_update=at + timedelta(days=1),
                revocation_time=revoked_since,
                revocation_reason=None if good else x509.ReasonFlags.key_compromise,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
            .sign(self.key, hashes.SHA256())
        )


def authority(common_name: str, key: ec.EllipticCurvePrivateKey) -> Authority:
    subject = name(common_name)
    certificate = (
        _builder(subject, subject, key, AT - 5 * YEAR, AT + 15 * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(key_usage(signing=False), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


@dataclass(frozen=True)
class TestPki:
    """The cast. `stranger` is of an authority that nobody here trusts.

    `revoked` was revoked at `revoked_since`; `expired` ended half a year before `AT`.
    """

    __test__ = False

    root: Authority
    foreign_root: Authority
    agency_rsa: Leaf
    agency_ec: Leaf
    other_agency: Leaf
    expired: Leaf
    revoked: Leaf
    revoked_since: datetime
    stranger: Leaf
    weak: Leaf
    timestamping: Leaf


@functools.cache
def cast() -> TestPki:
    """The same PKI for the whole process."""
    root = authority("Test root", ec_key(100))
    foreign = authority("Test root of strangers", ec_key(101))
    return TestPki(
        root=root,
        foreign_root=foreign,
        agency_rsa=root.leaf("000.00.19.H14 (test)", rsa_key()),
        agency_ec=root.leaf("000.00.00.G22 (test)", ec_key()),
        other_agency=root.leaf("000.00.00.H14 (test)", ec_key(1)),
        expired=root.leaf(
            "expired (test)", ec_key(2), not_before=AT - 2 * YEAR, not_after=AT - YEAR / 2
        ),
        revoked=root.leaf("revoked (test)", ec_key(3)),
        revoked_since=AT - timedelta(days=30),
        stranger=foreign.leaf("stranger (test)", ec_key(4)),
        weak=root.leaf("weak (test)", rsa_key(bits=1024)),
        timestamping=root.leaf(
            "timestamps (test)", ec_key(5), extended=ExtendedKeyUsageOID.TIME_STAMPING
        ),
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def key_usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signing,
        content_commitment=signing,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signing,
        crl_sign=not signing,
        encipher_only=False,
        decipher_only=False,
    )
