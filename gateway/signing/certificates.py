"""Certificates as facts, and one question to a public key: does this signature hold?

In:     DER or the text of an `X509Certificate` element; a row of the policy; bytes.
Out:    `Certificate`; True or False.
Fails:  never for what a peer sent: a stub or a broken certificate is None.
Never:  builds a path, asks for revocation, knows the time: `trust` says `not_checked` aloud.
Next:   verify.py.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property, lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.signing.policy import Family, SignatureMethod, Standing
from gateway.signing.signed_info import squeeze

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})


@dataclass(frozen=True)
class Certificate:
    """`key` None: a kind of key, or a curve, that no row of the policy speaks of."""

    parsed: x509.Certificate
    der: bytes
    key: PublicKey | None

    @property
    def subject(self) -> str:
        return self.parsed.subject.rfc4514_string()

    @property
    def key_name(self) -> str:
        if isinstance(self.key, rsa.RSAPublicKey):
            return f"RSA {self.key.key_size}"
        return f"EC {self.key.curve.name}" if self.key else "other"

    def facts(self) -> dict[str, str]:
        """What `inspect` and the records show. Names RFC 4514, serial hex, times RFC 3339 UTC.

        {} when a name or a date inside cannot be read: they are only parsed when asked for.
        """
        return dict(self._facts)

    @cached_property
    def _facts(self) -> dict[str, str]:
        try:
            return {
                "subject": self.subject,
                "issuer": self.parsed.issuer.rfc4514_string(),
                "serial": f"{self.parsed.serial_number:x}",
                "not_before": f"{self.parsed.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
                "not_after": f"{self.parsed.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                "sha256": hashlib.sha256(self.der).hexdigest(),
                "key": self.key_name,
                "trust": "not_checked",
            }
        except (ValueError, TypeError):
            # the library raises TypeError for a name whose value has an impossible ASN.1 type
            return {}


def parse_certificate(der: bytes) -> Certificate | None:
    """None for anything that is not one X.509 certificate with a readable public key."""
    try:
        parsed = x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, x509.InvalidVersion):
        return None
    try:
        key = parsed.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return Certificate(parsed, der, None)
    if isinstance(key, rsa.RSAPublicKey):
        return Certificate(parsed, der, key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return Certificate(parsed, der, key)
    return Certificate(parsed, der, None)


def certificate_from_text(text: str) -> Certificate | None:
    """The text of `X509Certificate`: base64, line breaks allowed; some put a PEM block there."""
    # correspondents are few and write often: parsing costs more than all else in a small package
    return _remembered(text) if len(text) <= _REMEMBERED else _certificate_from_text(text)


def _certificate_from_text(text: str) -> Certificate | None:
    body = text
    if "-----BEGIN CERTIFICATE-----" in text:
        body = text.split("-----BEGIN CERTIFICATE-----", 1)[1].split("-----END", 1)[0]
    try:
        der = base64.b64decode(squeeze(body), validate=True)
    except (binascii.Error, ValueError):
        return None
    return parse_certificate(der)


_REMEMBERED = 8192  # characters: longer ones would fill memory on purpose
_remembered = lru_cache(maxsize=256)(_certificate_from_text)


class Answer(Enum):
    HOLDS = auto()
    FAILS = auto()
    WEAK = auto()
    CANNOT_TELL = auto()


def fit(key: PublicKey | None, method: SignatureMethod, maximum_bits: int) -> Answer:
    """May this key answer for this method at all? HOLDS = it may.

    A key of another family CANNOT_TELL; one below the row's `minimum_bits` is WEAK.
    """
    if isinstance(key, rsa.RSAPublicKey):
        same_family = method.family in {Family.RSA_PKCS1, Family.RSA_PSS}
    else:
        same_family = key is not None and method.family is Family.ECDSA
    if key is None or not same_family or key.key_size > maximum_bits:
        return Answer.CANNOT_TELL
    if method.standing is Standing.WEAK or key.key_size < method.minimum_bits:
        return Answer.WEAK
    return Answer.HOLDS if method.digest in _DIGESTS else Answer.CANNOT_TELL


def signature_length(key: PublicKey) -> int:
    """Bytes of a signature as XML-DSig carries it: RSA as long as the key, ECDSA r||s."""
    length = (key.key_size + 7) // 8
    return length if isinstance(key, rsa.RSAPublicKey) else 2 * length


def holds(key: PublicKey, method: SignatureMethod, signature: bytes, message: bytes) -> bool:
    """Does `signature` hold over `message`? Ask `fit` first. ECDSA comes as r||s (RFC 9231)."""
    digest = _DIGESTS[method.digest]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if method.family is Family.RSA_PSS:
                mode = padding.PSS(padding.MGF1(digest), digest.digest_size)
                key.verify(signature, message, mode, digest)
            else:
                key.verify(signature, message, padding.PKCS1v15(), digest)
        else:
            if len(signature) != signature_length(key):
                return False
            key.verify(der_value(signature), message, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def der_value(signature: bytes) -> bytes:
    """An ECDSA value r||s (RFC 9231 2.3.6) as other tools take it: DER (RFC 3279 2.2.3)."""
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
