"""Keys and certificates for a sandbox. Every subject says so; nothing here is for real use.

In:     a folder, an agency code, the time.
Out:    files: `<code>.key.pem` (mode 0600) and `<code>.cert.pem`, signed by the sandbox's own CA.
Fails:  Misconfigured: the folder cannot be written, a file exists, the code is no file name.
Never:  writes over a key; makes one that could pass for an agency's.
Next:   files.py loads what this makes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from adapters.keys.private import read_private, read_public, refused, write_private, write_public

_ORGANISATION = "SANDBOX - chỉ để thử nghiệm, không có giá trị pháp lý"
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.]{0,49}")  # organ id (edxml-format 7)
_CA_YEARS = timedelta(days=3650)
_LEAF_YEARS = timedelta(days=1825)  # at most five years (decree 68/2024, article 29)
_EARLIER = timedelta(hours=1)  # a peer's clock may be behind ours

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class SandboxCa:
    """`certificate`: what a peer in the same sandbox trusts."""

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    def issue(self, code: str, key: PrivateKey, now: datetime) -> x509.Certificate:
        """A certificate for signing packages, for `code` "(sandbox)"."""
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            _builder(_name(f"{code} (sandbox)"), self.certificate.subject, key, now, _LEAF_YEARS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signing=True), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )


@dataclass(frozen=True, slots=True)
class MadeKey:
    """Where the two files are."""

    key: Path
    certificate: Path


def make_sandbox_ca(directory: Path, now: datetime) -> SandboxCa:
    """The CA of this folder: made on the first call (`sandbox-ca.*.pem`), read on later ones."""
    key_path, certificate_path = _paths(directory, "sandbox-ca")
    if key_path.exists() and certificate_path.exists():
        return _read_ca(key_path, certificate_path)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("edoc-gateway sandbox CA")
    certificate = (
        _builder(name, name, key, now, _CA_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signing=False), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(key_path, certificate_path, key, certificate)
    return SandboxCa(certificate, key)


def make_agency_key(
    directory: Path,
    agency_code: str,
    now: datetime,
    *,
    issuer: SandboxCa | None = None,
    rsa_key: bool = True,
) -> MadeKey:
    """Key and certificate for one agency of a sandbox.

    `issuer` None: the CA of the same folder. `rsa_key` False: EC P-256, which is made a hundred
    times faster; RSA-2048 is what agencies' peers are sure to understand.
    """
    if not _CODE.fullmatch(agency_code):
        raise refused(
            directory,
            "key.agency_code",
            f"mã cơ quan không hợp lệ: {agency_code!r}",
            f"not an agency code: {agency_code!r}",
        )
    ca = issuer or make_sandbox_ca(directory, now)
    key: PrivateKey
    if rsa_key:
        key = rsa.generate_private_key(65537, 2048)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    made = MadeKey(*_paths(directory, agency_code))
    _write(made.key, made.certificate, key, ca.issue(agency_code, key, now))
    return made


def _paths(directory: Path, stem: str) -> tuple[Path, Path]:
    return directory / f"{stem}.key.pem", directory / f"{stem}.cert.pem"


def _write(
    key_path: Path, certificate_path: Path, key: PrivateKey, certificate: x509.Certificate
) -> None:
    write_private(
        key_path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    write_public(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))


def _read_ca(key_path: Path, certificate_path: Path) -> SandboxCa:
    try:
        key = serialization.load_pem_private_key(read_private(key_path), None)
        certificate = x509.load_pem_x509_certificate(read_public(certificate_path))
    except (ValueError, TypeError):
        key, certificate = None, None
    if certificate is None or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise refused(
            key_path, "key.sandbox_ca", "không phải CA của sandbox", "is not the sandbox's CA"
        )
    return SandboxCa(certificate, key)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signing: bool) -> x509.KeyUsage:
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
