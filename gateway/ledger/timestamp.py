"""A timestamp token taken apart: CMS SignedData around a TSTInfo (RFC 3161, RFC 5816, RFC 5652).

In: the token's bytes. Out: `Token`, plain values, and whether its signature holds. Fails with
`Untrusted` (`stamp.unreadable`, `stamp.signature`). asn1crypto reads BER as well as DER: what this
file accepts in *form* is generous, because real authorities send unsorted sets (feasibility 1.3);
what it accepts in *substance* is not. It never decides whom to trust.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import Text, Untrusted

MAX_BYTES = 256 * 1024
# What a lazy parser raises on bytes that are not what they claim: asn1crypto parses on access, so
# any of these may come out of any access. Nothing of ours runs inside the guarded block.
PARSER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    x509.InvalidVersion,
)
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says, not yet believed. `certificates`: all inside it; `signer`: the signer's.

    `bound`: digests (algorithm, value) of the signer's certificate under the signature (RFC 5816).
    """

    digest: bytes
    gen_time: datetime
    policy: str
    serial: int
    nonce: int | None
    content: bytes
    certificates: tuple[x509.Certificate, ...]
    signer: x509.Certificate
    bound: tuple[tuple[str, bytes], ...]
    message_digest: bytes
    digest_algorithm: str
    signature_algorithm: str
    salt_length: int
    signed_attributes: bytes
    signature: bytes


def read_token(data: bytes, known: tuple[x509.Certificate, ...] = ()) -> Token:
    """Take a token apart. `known`: certificates to look among when it carries none.

    Raises Untrusted (`stamp.unreadable`): not a token of one signer over one TSTInfo version 1
    with a SHA-256 imprint, a time in UTC and the signed attributes that RFC 5816 demands.
    """
    if len(data) > MAX_BYTES:
        raise unreadable("too large")
    try:
        return _read(data, known)
    except PARSER_ERRORS as error:
        raise unreadable("not a timestamp token of this form") from error


def check_signature(token: Token) -> None:
    """The signer's key signed these attributes, they cover this content and this certificate.

    RFC 5652 5.4, RFC 5816 2.2.1. Raises Untrusted (`stamp.signature`).
    """
    covered = hashlib.new(token.digest_algorithm, token.content).digest()
    if not hmac.compare_digest(covered, token.message_digest):
        raise _wrong("the signed digest is of another content")
    der = token.signer.public_bytes(Encoding.DER)
    if not token.bound or any(hashlib.new(name, der).digest() != v for name, v in token.bound):
        raise _wrong("the signature is bound to another certificate")
    algorithm = _HASHES[token.digest_algorithm]()
    key = token.signer.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and token.signature_algorithm == "rsassa_pss":
            pss = padding.PSS(padding.MGF1(algorithm), token.salt_length)
            key.verify(token.signature, token.signed_attributes, pss, algorithm)
        elif isinstance(key, rsa.RSAPublicKey) and token.signature_algorithm == "rsassa_pkcs1v15":
            pkcs1 = padding.PKCS1v15()
            key.verify(token.signature, token.signed_attributes, pkcs1, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and token.signature_algorithm == "ecdsa":
            key.verify(token.signature, token.signed_attributes, ec.ECDSA(algorithm))
        else:
            raise _wrong("an algorithm that is not accepted")
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise _wrong("it does not verify") from error


def _read(data: bytes, known: tuple[x509.Certificate, ...]) -> Token:
    outer = cms.ContentInfo.load(data, strict=True)
    signed = outer["content"]
    inner = signed["encap_content_info"]
    (signer,) = signed["signer_infos"]
    # Before anything inside is looked at: asn1crypto writes anew what it has taken apart, 5 ms.
    signed_attributes = signer["signed_attrs"].dump()
    _demand(outer["content_type"].native == "signed_data" and signed["version"].native == "v3")
    _demand(inner["content_type"].native == "tst_info")
    content = bytes(inner["content"])
    info = tsp.TSTInfo.load(content, strict=True)
    imprint = info["message_imprint"]
    _demand(info["version"].native == "v1" and signer["version"].native == "v1")
    _demand(imprint["hash_algorithm"]["algorithm"].native == "sha256")
    _demand(not any(e["critical"].native for e in info["extensions"] or ()))
    gen_time = info["gen_time"].native
    _demand(isinstance(gen_time, datetime) and gen_time.tzinfo is not None)

    digest_algorithm = signer["digest_algorithm"]["algorithm"].native
    _demand(digest_algorithm in _HASHES)
    _demand(digest_algorithm in {a["algorithm"].native for a in signed["digest_algorithms"]})
    attributes = _attributes(signer["signed_attrs"])
    _demand(attributes["content_type"].native == "tst_info")
    certificates = tuple(
        x509.load_der_x509_certificate(choice.chosen.dump())
        for choice in signed["certificates"] or ()
        if choice.name == "certificate"
    )
    name, salt_length = _signature_algorithm(signer["signature_algorithm"], digest_algorithm)
    return Token(
        digest=imprint["hashed_message"].native,
        gen_time=gen_time,
        policy=info["policy"].dotted,
        serial=info["serial_number"].native,
        nonce=info["nonce"].native,
        content=content,
        certificates=certificates,
        signer=_signer(signer["sid"], (*certificates, *known)),
        bound=tuple(_bound(attributes)),
        message_digest=attributes["message_digest"].native,
        digest_algorithm=digest_algorithm,
        signature_algorithm=name,
        salt_length=salt_length,
        # RFC 5652 5.4: signed as a SET OF, stored under the tag [0]
        signed_attributes=b"\x31" + signed_attributes[1:],
        signature=signer["signature"].native,
    )


def _attributes(signed_attrs: Any) -> dict[str, Any]:
    """Each signed attribute once, with exactly one value (RFC 5652 11.1, 11.2)."""
    found: dict[str, Any] = {}
    for attribute in signed_attrs:
        name = attribute["type"].native
        _demand(name not in found)
        (found[name],) = attribute["values"]
    return found


def _bound(attributes: dict[str, Any]) -> list[tuple[str, bytes]]:
    """ESSCertIDv2 and, from older authorities, ESSCertID: the first one names the signer."""
    bound: list[tuple[str, bytes]] = []
    if "signing_certificate_v2" in attributes:
        first = attributes["signing_certificate_v2"]["certs"][0]
        bound.append((first["hash_algorithm"]["algorithm"].native, first["cert_hash"].native))
    if "signing_certificate" in attributes:
        bound.append(("sha1", attributes["signing_certificate"]["certs"][0]["cert_hash"].native))
    _demand(all(name == "sha1" or name in _HASHES for name, _ in bound))
    return bound


def _signer(sid: Any, candidates: tuple[x509.Certificate, ...]) -> x509.Certificate:
    for certificate in candidates:
        if sid.name == "issuer_and_serial_number":
            issuer = certificate.issuer.public_bytes()
            same = sid.chosen["issuer"].dump() == issuer
            if same and sid.chosen["serial_number"].native == certificate.serial_number:
                return certificate
        else:
            extensions = certificate.extensions
            key_id = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
            if sid.chosen.native == key_id:
                return certificate
    raise ValueError("the signer's certificate is not there")


def _signature_algorithm(algorithm: Any, digest_algorithm: str) -> tuple[str, int]:
    """Name, and salt length for PSS; the hash it names must be the digest's."""
    name = algorithm.signature_algo
    if name == "rsassa_pss":
        parameters = algorithm["parameters"]
        mask = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native
        _demand(parameters["hash_algorithm"]["algorithm"].native == digest_algorithm)
        _demand(mask == digest_algorithm)
        return name, parameters["salt_length"].native
    if algorithm["algorithm"].native != "rsassa_pkcs1v15":  # plain RSA names no hash of its own
        _demand(algorithm.hash_algo == digest_algorithm)
    return name, 0


def _demand(holds: bool) -> None:
    if not holds:
        raise ValueError("not as RFC 3161 and RFC 5652 have it")


def unreadable(why: str) -> Untrusted:
    return Untrusted(
        Text("Không đọc được dấu thời gian", f"the timestamp cannot be read: {why}"),
        code="stamp.unreadable",
    )


def _wrong(why: str) -> Untrusted:
    return Untrusted(
        Text("Chữ ký của dấu thời gian không đúng", f"the timestamp's signature is wrong: {why}"),
        code="stamp.signature",
    )
