"""The ledger's key as other people need it: PEM, SPKI, the key ID of notes, the C2SP vkey.

In: a P-256 key of `cryptography`. Out: text and bytes. Fails with `Misconfigured`
(`ledger.key_unfit`) for a key of another curve or kind. It never reads or writes a file and never
makes a key: that is adapters/keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from gateway.errors import Misconfigured, Text

_ECDSA = b"\x02"  # C2SP signed-note signature type


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_pem(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> str:
    """The public half as PEM: what an auditor is given."""
    return _public(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def load_public(pem: bytes) -> ec.EllipticCurvePublicKey:
    """A P-256 public key from PEM; Misconfigured (`ledger.key_unfit`) for anything else."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unfit() from error
    return fit(key)


def key_id(key: ec.EllipticCurvePublicKey) -> bytes:
    """The first 4 bytes of SHA-256 over the SPKI DER (feasibility 9 (b))."""
    return hashlib.sha256(spki(key)).digest()[:4]


def vkey(name: str, key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> str:
    """`<name>+<hex key ID>+<base64(0x02 || SPKI)>`, as witnesses and note tools take it."""
    public = _public(key)
    encoded = base64.b64encode(_ECDSA + spki(public)).decode()
    return f"{name}+{key_id(public).hex()}+{encoded}"


def parse_vkey(text: str) -> tuple[str, ec.EllipticCurvePublicKey]:
    """Name and key of a vkey. Misconfigured (`ledger.key_unfit`): another type, a wrong key ID."""
    name, _, rest = text.strip().partition("+")
    hex_id, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
        key = load_der_public_key(data[1:])
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise _unfit() from error
    public = fit(key)
    if data[:1] != _ECDSA or not name or key_id(public).hex() != hex_id:
        raise _unfit()
    return name, public


def fit(key: object) -> ec.EllipticCurvePublicKey:
    """The key, if it is a P-256 public key; Misconfigured (`ledger.key_unfit`) otherwise."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _unfit()
    return key


def _public(
    key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey,
) -> ec.EllipticCurvePublicKey:
    return fit(key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key)


def _unfit() -> Misconfigured:
    return Misconfigured(
        Text("Khóa sổ cái phải là khóa P-256", "the ledger's key must be a P-256 key"),
        code="ledger.key_unfit",
    )
