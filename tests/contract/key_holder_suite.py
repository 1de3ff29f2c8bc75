"""What every key holder must do (ports.KeyHolder), whatever the key lies in.

Each check is a function of (holder, certificate as the maker knows it). An adapter is a key holder
when all of them pass; test_key_holders.py runs them over each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway import signing
from gateway.ports import KeyHolder
from gateway.signing.verify import verify
from tests.support import signed_packages as packages

Check = Callable[[KeyHolder, x509.Certificate], None]


def verifies(certificate: x509.Certificate, signature: bytes, message: bytes) -> None:
    """Raises InvalidSignature. Written against the standards, not against the room."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert len(signature) == 64
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


def it_shows_the_certificate_it_signs_for(holder: KeyHolder, maker: x509.Certificate) -> None:
    assert x509.load_der_x509_certificate(holder.certificate) == maker


def it_names_the_algorithm_of_its_key(holder: KeyHolder, maker: x509.Certificate) -> None:
    is_rsa = isinstance(maker.public_key(), rsa.RSAPublicKey)
    assert holder.algorithm == (signing.RSA_SHA256 if is_rsa else signing.ECDSA_SHA256)


def its_signatures_verify_with_its_certificate(holder: KeyHolder, maker: x509.Certificate) -> None:
    for message in (b"", b"short", bytes(100_000)):
        verifies(maker, holder.sign(message), message)


def its_signatures_have_one_length(holder: KeyHolder, maker: x509.Certificate) -> None:
    """r and s keep their leading zeros: about one in 128 has one."""
    count = 300 if holder.algorithm == signing.ECDSA_SHA256 else 3
    assert len({len(holder.sign(str(i).encode())) for i in range(count)}) == 1


def it_signs_from_several_threads(holder: KeyHolder, maker: x509.Certificate) -> None:
    messages = [hashlib.sha256(str(i).encode()).digest() for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        for message, signature in zip(messages, pool.map(holder.sign, messages), strict=True):
            verifies(maker, signature, message)


def it_has_a_key_id_that_says_nothing_secret(holder: KeyHolder, maker: x509.Certificate) -> None:
    assert holder.key_id
    assert holder.key_id.isprintable()
    assert " " not in holder.key_id


def it_never_shows_its_key(holder: KeyHolder, maker: x509.Certificate) -> None:
    shown = f"{holder!r} {holder!s}"
    assert "PRIVATE" not in shown
    assert "rsa" not in shown.lower().replace(holder.algorithm.lower(), "")
    assert "curve" not in shown.lower()
    assert len(shown) < 600


def a_package_signed_by_it_verifies(holder: KeyHolder, maker: x509.Certificate) -> None:
    parts = packages.PARTS
    files = packages.facts()
    digests = [(f.declared_name, f.sha256) for f in files]
    prepared = signing.prepare(
        [(p.content_id, packages.sha256(p.data)) for p in parts],
        packages.header_digest(packages.HEADER, digests),
        holder.algorithm,
    )
    block = signing.finish(prepared, holder.sign(prepared.signed_info), holder.certificate)
    assert verify(packages.block_of(block), packages.HEADER, files).summary() == "valid"


CHECKS: tuple[Check, ...] = (
    it_shows_the_certificate_it_signs_for,
    it_names_the_algorithm_of_its_key,
    its_signatures_verify_with_its_certificate,
    its_signatures_have_one_length,
    it_signs_from_several_threads,
    it_has_a_key_id_that_says_nothing_secret,
    it_never_shows_its_key,
    a_package_signed_by_it_verifies,
)
