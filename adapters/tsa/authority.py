"""A local RFC 3161 authority: real tokens, for sandboxes and tests, from a key of its own.

In: a request's bytes, the time, a serial number. Out: a reply's bytes, always: a request that
cannot be granted gets a rejection with its reason. Written as plain DER, because that is 24 times
faster than building the same CMS with asn1crypto (feasibility 9 (e)), and independent of what the
client is checked with. It has no legal value, never claims any (the certificates say "sandbox"),
and knows no network, no clock and no randomness.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

POLICY = "1.3.6.1.4.1.99999.1"  # under an arc nobody owns: it says "no policy you can rely on"
_GRANTED, _REJECTED = 0, 2
# PKIFailureInfo bits (RFC 3161 2.4.2)
BAD_ALGORITHM, BAD_FORMAT, BAD_POLICY, BAD_EXTENSION = 0, 5, 15, 16
_PARSER_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class LocalAuthority:
    """`chain`: the stamping certificate first, then its issuers; all but the root are sent."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    chain: Sequence[x509.Certificate]
    policy: str = POLICY

    def reply(self, request: bytes, at: datetime, serial: int) -> bytes:
        """TimeStampResp for a TimeStampReq. `at`: aware; `serial`: never used before."""
        try:
            wanted = tsp.TimeStampReq.load(request, strict=True)
            imprint = wanted["message_imprint"]
            algorithm = imprint["hash_algorithm"]["algorithm"].native
            digest: bytes = imprint["hashed_message"].native
            nonce: int | None = wanted["nonce"].native
            policy = wanted["req_policy"]
            asked = policy.dotted if policy.native is not None else self.policy
            extensions = wanted["extensions"].native
            with_certificates = bool(wanted["cert_req"].native)
        except _PARSER_ERRORS:
            return rejection(BAD_FORMAT)
        if algorithm != "sha256":
            return rejection(BAD_ALGORITHM)
        if len(digest) != 32:
            return rejection(BAD_FORMAT)
        if asked != self.policy:
            return rejection(BAD_POLICY)
        if extensions:
            return rejection(BAD_EXTENSION)
        token = self.token(digest, nonce, at, serial, with_certificates=with_certificates)
        return _seq(_seq(_integer(_GRANTED)), token)

    def token(
        self,
        digest: bytes,
        nonce: int | None,
        at: datetime,
        serial: int,
        *,
        with_certificates: bool = True,
    ) -> bytes:
        """ContentInfo > SignedData > TSTInfo (RFC 3161 2.4.2), ESSCertIDv2 (RFC 5816)."""
        certificate = self.chain[0]
        der = certificate.public_bytes(Encoding.DER)
        content = _seq(
            _integer(1),
            _oid(self.policy),
            _seq(_SHA256, _octets(digest)),
            _integer(serial),
            _tlv(0x18, _time(at)),
            _seq(_integer(1)),  # accuracy: one second
            b"" if nonce is None else _integer(nonce),
        )
        attributes = _set(
            _seq(_oid(_CONTENT_TYPE), _set(_oid(_TST_INFO))),
            _seq(_oid(_MESSAGE_DIGEST), _set(_octets(hashlib.sha256(content).digest()))),
            # hashAlgorithm is left out: SHA-256 is its default, and DER does not write defaults
            _seq(_oid(_CERTIFICATE_V2), _set(_seq(_seq(_seq(_octets(_sha256(der))))))),
        )
        signature, algorithm = self._sign(attributes)
        signer = _seq(
            _integer(1),
            _seq(certificate.issuer.public_bytes(), _integer(certificate.serial_number)),
            _SHA256,
            b"\xa0" + attributes[1:],  # the SET OF that was signed, under its implicit tag
            algorithm,
            _octets(signature),
        )
        # A root proves nothing by being sent, and its bytes would stand under no signature.
        sent = [c for c in self.chain if c is certificate or c.issuer != c.subject]
        certificates = [c.public_bytes(Encoding.DER) for c in sent]
        signed = _seq(
            _integer(3),
            _set(_SHA256),
            _seq(_oid(_TST_INFO), _tlv(0xA0, _octets(content))),
            b"\xa0" + _set(*certificates)[1:] if with_certificates else b"",
            _set(signer),
        )
        return _seq(_oid(_SIGNED_DATA), _tlv(0xA0, signed))

    def _sign(self, message: bytes) -> tuple[bytes, bytes]:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(hashes.SHA256())), _seq(_oid(_ECDSA_SHA256))
        signature = self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return signature, _seq(_oid(_RSA), b"\x05\x00")


def rejection(failure: int, words: str = "") -> bytes:
    """TimeStampResp with status `rejection` and one failure bit."""
    bits = bytearray(failure // 8 + 1)
    bits[-1] = 0x80 >> failure % 8
    text = _seq(_tlv(0x0C, words.encode())) if words else b""
    return _seq(_seq(_integer(_REJECTED), text, _tlv(0x03, bytes([7 - failure % 8]) + bits)))


def granted_without_token() -> bytes:
    """What `openssl ts` answers when parallel requests trip over its serial file."""
    return _seq(_seq(_integer(_GRANTED)))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _seq(*parts: bytes) -> bytes:
    return _tlv(0x30, *parts)


def _set(*parts: bytes) -> bytes:
    return _tlv(0x31, *sorted(parts))  # X.690 11.6: DER sorts a SET OF by its encodings


def _octets(data: bytes) -> bytes:
    return _tlv(0x04, data)


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = bytearray()
    for arc in (40 * first + second, *rest):
        group = [arc & 0x7F]
        while arc := arc >> 7:
            group.insert(0, arc & 0x7F | 0x80)
        body += bytes(group)
    return _tlv(0x06, bytes(body))


def _time(at: datetime) -> bytes:
    """GeneralizedTime, UTC; X.690 11.7: a fraction without trailing zeros, or none."""
    utc = at.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y%m%d%H%M%S}{fraction}Z".encode()


_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_RSA = "1.2.840.113549.1.1.1"
_SHA256 = _seq(_oid("2.16.840.1.101.3.4.2.1"))
