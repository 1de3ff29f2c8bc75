"""Key holders over files: PEM (PKCS#8, traditional) and PKCS#12.

In:     paths: the key, its certificate, the file with its password; the time of loading.
Out:    a `KeyHolder` (ports.py) and the warnings about it.
Fails:  Misconfigured, naming the file and the reason: readable by others, wrong password, key and
        certificate no pair, RSA below 2048 bits, a curve other than P-256, any other kind of key.
Never:  refuses an expired certificate (a warning: the operator may be about to renew it, and what
        is signed still verifies); keeps a password; shows a key.
Next:   gateway/signing/sign.py takes what `sign` gives; wiring.py maps agency -> holder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs12

from adapters.keys.certificates import certificates_in, no_certificate, warnings_about
from adapters.keys.private import read_private, refused
from gateway.errors import Finding

# RFC 9231, 2.3.2 and 2.3.6. The room `signing` has the same two; adapters import no room, and the
# contract suite of the port compares them.
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_SMALLEST_RSA = 2048  # circular 15/2025/TT-BTTTT (standards 5.4)
# of OAEP; SHA-1 in it is no weakness (RFC 8017, 7.1 needs no collision resistance of it)
_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_HALF = 32  # bytes of r and of s on P-256


@dataclass(frozen=True, slots=True)
class _FileKeyHolder:
    """One private key in memory. Signing is thread-safe: the key is never changed."""

    key_id: str
    algorithm: str
    certificate: bytes = field(repr=False)
    _key: PrivateKey = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """RSA: PKCS#1 v1.5 over SHA-256. ECDSA P-256: r||s, 32 bytes each."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)

    def unwrap(self, wrapped: bytes, digest: str, mask: str) -> bytes | None:
        """RSA-OAEP: `digest`, `mask`: sha1 | sha256 | sha384 | sha512; None: it does not open."""
        if not isinstance(self._key, rsa.RSAPrivateKey):
            return None
        oaep = padding.OAEP(padding.MGF1(_HASHES[mask]()), _HASHES[digest](), None)
        try:
            return self._key.decrypt(wrapped, oaep)
        except ValueError:
            return None


class PemKeyHolder(_FileKeyHolder):
    """A key that stood in a PEM file."""

    __slots__ = ()


class Pkcs12KeyHolder(_FileKeyHolder):
    """A key that stood in a PKCS#12 file (.p12, .pfx)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """`warnings`: what the operator should know and what stops nothing."""

    holder: PemKeyHolder | Pkcs12KeyHolder
    warnings: tuple[Finding, ...] = ()


def load(
    path: Path,
    *,
    now: datetime,
    password_file: Path | None = None,
    certificate: Path | None = None,
    key_id: str = "",
) -> LoadedKey:
    """The key holder in `path`; the content tells PEM from PKCS#12, not the name.

    `certificate`: PEM or DER, where the key's own file has none. Of several certificates the one
    that belongs to the key is taken. `password_file`: its first line, mode as strict as the key's.
    `key_id` empty: `sha256:` and the first 16 hex digits over the public key (SPKI DER), which
    stay the same when a certificate is renewed for the same key. `now`: aware.
    """
    data = read_private(path)
    password = _password(password_file)
    pem = b"-----BEGIN" in data
    if pem:
        key, found = _from_pem(path, data, password)
    else:
        key, found = _from_pkcs12(path, data, password)
    where = path
    if certificate is not None:
        where, found = certificate, certificates_in(certificate)
    usable, algorithm = _usable(path, key)
    spki = usable.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    own = _own(where, found, spki)
    kind = PemKeyHolder if pem else Pkcs12KeyHolder
    holder = kind(
        key_id=key_id or f"sha256:{hashlib.sha256(spki).hexdigest()[:16]}",
        algorithm=algorithm,
        certificate=own.public_bytes(serialization.Encoding.DER),
        _key=usable,
    )
    return LoadedKey(holder, warnings_about(str(where), own, now))


def _password(password_file: Path | None) -> bytes | None:
    if password_file is None:
        return None
    lines = read_private(password_file).splitlines()
    if not lines or not lines[0]:
        raise refused(password_file, "key.password", "không có mật khẩu", "holds no password")
    return lines[0]


def _from_pem(
    path: Path, data: bytes, password: bytes | None
) -> tuple[object, Sequence[x509.Certificate]]:
    try:
        key = serialization.load_pem_private_key(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # the library's own words are left out: they are about the content of a secret file
        raise _no_key(path, password) from None
    if b"-----BEGIN CERTIFICATE-----" not in data:
        return key, ()
    try:
        return key, x509.load_pem_x509_certificates(data)
    except ValueError:
        raise no_certificate(path) from None


def _from_pkcs12(
    path: Path, data: bytes, password: bytes | None
) -> tuple[object, Sequence[x509.Certificate]]:
    try:
        bundle = pkcs12.load_pkcs12(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _no_key(path, password) from None
    if bundle.key is None:
        raise _no_key(path, password)
    inside = (bundle.cert, *bundle.additional_certs)
    return bundle.key, [c.certificate for c in inside if c is not None]


def _no_key(path: Path, password: bytes | None) -> Exception:
    if password is None:
        return refused(
            path,
            "key.undecodable",
            "không có khóa bí mật PEM hay PKCS#12 đọc được, hoặc khóa cần mật khẩu",
            "holds no readable private key in PEM or PKCS#12, or needs a password",
        )
    return refused(
        path,
        "key.undecodable",
        "mật khẩu sai, hoặc tệp không có khóa bí mật PEM hay PKCS#12 đọc được",
        "wrong password, or no readable private key in PEM or PKCS#12",
    )


def _usable(path: Path, key: object) -> tuple[PrivateKey, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _SMALLEST_RSA:
            raise refused(
                path,
                "key.weak",
                f"khóa RSA {key.key_size} bit, cần ít nhất {_SMALLEST_RSA}",
                f"RSA key of {key.key_size} bits, at least {_SMALLEST_RSA} are needed",
            )
        return key, RSA_SHA256
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key, ECDSA_SHA256
    raise refused(
        path,
        "key.kind",
        "loại khóa không dùng được: cần RSA từ 2048 bit hoặc EC P-256",
        "this kind of key cannot be used: RSA from 2048 bits or EC P-256",
    )


def _own(path: Path, found: Sequence[x509.Certificate], spki: bytes) -> x509.Certificate:
    if not found:
        raise refused(
            path,
            "key.certificate",
            "không có chứng thư số: ghi đường dẫn chứng thư số trong cấu hình",
            "no certificate: name its file in the configuration",
        )
    for certificate in found:
        try:
            public = certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            # parsed only when asked for: a broken name or date shows here, not while signing
            _ = certificate.subject, certificate.issuer
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        except (ValueError, UnsupportedAlgorithm):
            continue
        if public == spki:
            return certificate
    raise refused(
        path,
        "key.mismatch",
        "chứng thư số không thuộc về khóa bí mật này",
        "no certificate in it belongs to this private key",
    )
