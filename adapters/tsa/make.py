"""A stamping key and its certificates for a sandbox: nothing here has legal value.

In: a folder and the time. Out: `tsa.key` (PEM, mode 0600), `tsa.pem` (the stamping certificate,
then its issuer) and `ca.pem` (the anchor to give to verifiers). Fails with `Misconfigured`
(`tsa.unusable`) when the folder cannot be written or holds files that do not belong together. It
never overwrites: an authority that exists is loaded.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapters.tsa.authority import LocalAuthority
from gateway.errors import Misconfigured, Text

KEY, CERTIFICATES, ANCHOR = "tsa.key", "tsa.pem", "ca.pem"
_YEARS = 10
_SIGNS = {"digital_signature": True}
_ISSUES = {"key_cert_sign": True, "crl_sign": True}
_NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


def make_authority(directory: Path, at: datetime) -> LocalAuthority:
    """Make the three files in `directory` (which may not exist yet) and load them.

    Valid from the day before `at` for ten years: a sandbox's clock may be a little off.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    anchor_name = _name("EDOC SANDBOX timestamp root (no legal value)")
    anchor = (
        _certificate(anchor_name, anchor_name, authority_key.public_key(), at)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USAGE, **_ISSUES}), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    stamping = (
        _certificate(
            _name("EDOC SANDBOX timestamp authority (no legal value)"),
            anchor_name,
            key.public_key(),
            at,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**_NO_USAGE, **_SIGNS}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(issuer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(directory / KEY, secret, 0o600)
        _write(directory / CERTIFICATES, _pem(stamping) + _pem(anchor), 0o644)
        _write(directory / ANCHOR, _pem(anchor), 0o644)
    except OSError as error:
        raise _unusable(directory) from error
    return LocalAuthority(key, (stamping, anchor))


def load_authority(directory: Path) -> LocalAuthority:
    """The authority that `make_authority` left in `directory`."""
    try:
        key = load_pem_private_key((directory / KEY).read_bytes(), None)
        chain = tuple(x509.load_pem_x509_certificates((directory / CERTIFICATES).read_bytes()))
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(directory) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise _unusable(directory)
    if key.public_key() != chain[0].public_key():
        raise _unusable(directory)
    return LocalAuthority(key, chain)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Create with its mode from the first byte on; an existing file is an error."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _unusable(directory: Path) -> Misconfigured:
    return Misconfigured(
        Text(
            f"Không dùng được thư mục cơ quan cấp dấu thời gian thử nghiệm: {directory}",
            f"the folder of the sandbox timestamp authority cannot be used: {directory}",
        ),
        code="tsa.unusable",
    )
