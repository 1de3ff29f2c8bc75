"""The ledger's own key: P-256 in a file that only its owner may read.

In:     a path.
Out:    the private key; the same path, when it was just made (`init`).
Fails:  Misconfigured: not there, readable by others, locked, another kind of key; already there.
Never:  makes a key where one is missing but expected: a new key would be another ledger.
Next:   gateway/ledger signs checkpoints and receipts with it.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.keys.private import read_private, refused, write_private


def make_ledger_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A new key, PEM (PKCS#8), mode 0600; one that exists is never written over."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return key


def load_ledger_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in `path`; a systemd credential may be named by its path too."""
    try:
        key = serialization.load_pem_private_key(read_private(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # the library's own words are left out: they are about the content of a secret file
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise refused(
            path,
            "key.ledger",
            "không phải là khóa P-256 của sổ cái (PEM, không mật khẩu)",
            "is not the ledger's P-256 key (PEM, without a password)",
        )
    return key
