"""The signature over the manifest: CAdES, detached, by the key of the ledger.

In:     the manifest's bytes, the ledger's P-256 key, its name, the instant of signing.
Out:    a CMS SignedData (DER); or the verdict on one.
Fails:  Untrusted (`evidence.signature`).
Never:  vouches for who the ledger is: the certificate inside is signed by itself, a cover for the
        key that other tools can read. Whether the key is the ledger's, an anchor says.

EN 319 122-1 (CAdES baseline B-B): content-type, message-digest, signing-time and
ESS signing-certificate-v2 are signed. RFC 5652 5.4; RFC 5035. ECDSA by RFC 6979 and a certificate
with nothing random in it: the same manifest, key and instant give the same bytes.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.errors import Text, Untrusted
from gateway.ledger.keys import spki

_ALGORITHM = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_MOST_BYTES = 64 * 1024
# a cover has no dates of its own: those of the key are in the ledger
_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280 4.1.2.5: no end is known
_PARSER_ERRORS = (ValueError, TypeError, KeyError, IndexError, OverflowError)


def cover(name: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The ledger's key as a certificate signed by itself (DER). `name`: the ledger's origin."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    serial = int.from_bytes(hashlib.sha256(spki(key.public_key())).digest()[:16], "big") | 1
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), serial, _FROM, _UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return made.public_bytes(Encoding.DER)


def sign(manifest: bytes, name: str, key: ec.EllipticCurvePrivateKey, at: datetime) -> bytes:
    """`at`: aware; kept to the second."""
    certificate = asn1_x509.Certificate.load(cover(name, key))
    attributes = _attributes(manifest, certificate, at)
    return _assembled(certificate, attributes, key.sign(attributes.dump(), _ALGORITHM))


def verify(signature: bytes, manifest: bytes, key: ec.EllipticCurvePublicKey) -> datetime:
    """The instant that was signed, once the signature by `key` over `manifest` has verified.

    What is free in it (certificate, instant, value) is taken out, and the whole made again from
    that: a second spelling of one signature is none of ours.
    """
    if len(signature) > _MOST_BYTES:
        raise _wrong("too large")
    try:
        signed = cms.ContentInfo.load(signature, strict=True)["content"]
        (signer,) = signed["signer_infos"]
        (found,) = signed["certificates"]
        times = {a["type"].native: a["values"] for a in signer["signed_attrs"]}["signing_time"]
        at, value, certificate = times[0].native, signer["signature"].native, found.chosen
        attributes = _attributes(manifest, certificate, at)
        again = _assembled(certificate, attributes, value)
    except (*_PARSER_ERRORS, AttributeError) as error:
        raise _wrong("it cannot be read") from error
    try:
        key.verify(value, attributes.dump(), _ALGORITHM)
    except InvalidSignature as error:
        raise _wrong("it was not made over this manifest by the ledger's key") from error
    if again != signature or not isinstance(at, datetime):
        raise _wrong("another form")
    return at


def _assembled(
    certificate: asn1_x509.Certificate, attributes: cms.CMSAttributes, value: bytes
) -> bytes:
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.IssuerAndSerialNumber(
                {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": value,
        }
    )
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
            "encap_content_info": {"content_type": "data"},
            "certificates": [certificate],
            "signer_infos": [signer],
        }
    )
    made: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return made


def _attributes(
    manifest: bytes, certificate: asn1_x509.Certificate, at: datetime
) -> cms.CMSAttributes:
    essential = tsp.SigningCertificateV2(
        {"certs": [{"cert_hash": hashlib.sha256(certificate.dump()).digest()}]}
    )
    when = core.UTCTime(at.astimezone(UTC).replace(microsecond=0))
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["data"]},
            {"type": "signing_time", "values": [cms.Time({"utc_time": when})]},
            {"type": "message_digest", "values": [hashlib.sha256(manifest).digest()]},
            {"type": "signing_certificate_v2", "values": [essential]},
        ]
    )


def _wrong(why: str) -> Untrusted:
    return Untrusted(
        Text(
            f"Chữ ký trên danh mục của tệp bằng chứng không hợp lệ: {why}",
            f"the signature over the manifest does not hold: {why}",
        ),
        code="evidence.signature",
    )
