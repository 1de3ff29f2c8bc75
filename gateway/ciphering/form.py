"""Names and algorithms of XML Encryption 1.1, and how a certificate is named in it.

In:     a certificate.
Out:    names.
Fails:  never.
Never:  encrypts.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
DSIG_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
OURS = "urn:edoc-gateway:encrypted-attachment"

AES256_GCM = f"{XENC11}aes256-gcm"
GCM_KEYS = {f"{XENC11}aes128-gcm": 16, f"{XENC11}aes192-gcm": 24, AES256_GCM: 32}
OAEP = f"{XENC11}rsa-oaep"
OAEP_MGF1P = f"{XENC}rsa-oaep-mgf1p"
SHA256 = f"{XENC}sha256"
MGF1_SHA256 = f"{XENC11}mgf1sha256"
# URI -> name of the hash, as hashlib writes it
DIGESTS = {
    f"{DSIG}sha1": "sha1",
    SHA256: "sha256",
    f"{DSIG_MORE}sha384": "sha384",
    f"{XENC}sha512": "sha512",
}
MASKS = {
    f"{XENC11}mgf1sha1": "sha1",
    MGF1_SHA256: "sha256",
    f"{XENC11}mgf1sha384": "sha384",
    f"{XENC11}mgf1sha512": "sha512",
}
EXTENSION = ".xenc"
MEDIA_TYPE = "application/xenc+xml"


def key_name(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, hex: which of several keys an EncryptedKey is for."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def key_identifier(certificate: x509.Certificate) -> bytes:
    """SubjectKeyIdentifier; b"" where the certificate has none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return b""
    return found.value.digest
