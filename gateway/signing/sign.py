"""Making the block: prepare -> (a key holder signs) -> finish. Phases are types.

In:     content ids with the SHA-256 of the inner files, the header's digest, an algorithm;
        later the signature value and the certificate.
Out:    `PreparedSignature` (the exact bytes to sign), then the bytes of `Signature`.
Fails:  Misconfigured, when the algorithm is not one we produce, the key is too weak or the
        certificate does not belong to it; Broken, when our own caller hands in nonsense.
Never:  holds a key; produces SHA-1; lets a block go that does not verify.
Next:   verify.py reads what this writes.

Profile `relay` (contract 4): no reference touches the XML around it, so the block survives an
axis that rebuilds the package. One reference for each inner file, and one for the header's values.
Profile `enveloped`: one reference `URI=""` over the whole document without the block, which any
XML-DSig software verifies and no relay survives. The block stands in the document that it signs, so
its place is kept by `blank`, which is exactly as long.
Signing may stop between the phases and go on elsewhere: that is what a token or a remote signing
service needs, and a `PreparedSignature` is nothing but bytes and the name of an algorithm.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

from gateway.errors import Broken, Misconfigured, Text
from gateway.model.package import NS_DSIG, NS_QCVN102, SignatureReference, bare_cid
from gateway.signing.certificates import (
    Answer,
    Certificate,
    PublicKey,
    fit,
    holds,
    parse_certificate,
    signature_length,
)
from gateway.signing.enveloped import ENVELOPED_SIGNATURE, Form
from gateway.signing.policy import DEFAULT_POLICY, SHA256, Policy, SignatureMethod
from gateway.signing.signed_info import (
    EXCLUSIVE_C14N,
    HEADER_ID,
    HEADER_URI,
    SignedInfo,
    escape_text,
    normal_form,
)

_OPENING = f'<SignedInfo xmlns="{NS_DSIG}">'.encode()
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# exclusive: the form does not change when the document is put into another one, as archives do
WHOLE = Form(exclusive=True, digest="sha256")


class Profile(StrEnum):
    """What the block of a package of ours covers, and how (contract 4)."""

    RELAY = "relay"
    ENVELOPED = "enveloped"


@dataclass(frozen=True, slots=True)
class PreparedSignature:
    """`signed_info`: the canonical bytes, exactly what the key holder signs."""

    algorithm: str
    signed_info: bytes


def prepare(
    files: Sequence[tuple[str, str]],
    header_digest: bytes,
    algorithm: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    at: date | None = None,
) -> PreparedSignature:
    """The bytes to sign for one package, profile `relay`.

    `files`: (content id, SHA-256 of the inner file as hex) in the order of the package; `cid:` in
    front is optional. `header_digest`: the 32 bytes of `model.package.header_digest` over the
    same files. `algorithm`: RSA_SHA256 or ECDSA_SHA256, as the key holder says. `at`: today.
    """
    _produced(algorithm, policy, at)
    seen = {HEADER_ID}
    references = []
    for content_id, sha256 in files:
        name = bare_cid(content_id)
        if not name or name in seen or _NOT_XML.search(name):
            raise Broken(
                Text(
                    f"Mã nội dung của tệp đính kèm rỗng, trùng hoặc không hợp lệ: {name!r}",
                    f"content id of an attachment is empty, used twice or not text: {name!r}",
                ),
                code="signing.content_id",
            )
        seen.add(name)
        references.append(_reference(f"cid:{name}", _digest(sha256)))
    if len(header_digest) != hashlib.sha256().digest_size:
        raise _no_digest(header_digest.hex())
    references.append(_reference(HEADER_URI, header_digest))
    info = SignedInfo(EXCLUSIVE_C14N, algorithm, tuple(references))
    return PreparedSignature(algorithm, normal_form(info))


def prepare_whole(
    digest: bytes,
    algorithm: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    at: date | None = None,
) -> PreparedSignature:
    """The bytes to sign for one package, profile `enveloped`.

    `digest`: that of the form WHOLE of the document without its Signature (enveloped.look).
    """
    _produced(algorithm, policy, at)
    if len(digest) != hashlib.sha256().digest_size:
        raise _no_digest(digest.hex())
    reference = SignatureReference(
        "", SHA256, base64.b64encode(digest).decode(), (ENVELOPED_SIGNATURE, EXCLUSIVE_C14N)
    )
    return PreparedSignature(
        algorithm, normal_form(SignedInfo(EXCLUSIVE_C14N, algorithm, (reference,)))
    )


def blank(
    prepared: PreparedSignature,
    certificate_der: bytes,
    *,
    policy: Policy = DEFAULT_POLICY,
    at: date | None = None,
) -> bytes:
    """A `Signature` without a value, as long as the finished one: it keeps the place."""
    method = _produced(prepared.algorithm, policy, at)
    signer = _signer(certificate_der, method, policy)
    nothing = bytes(signature_length(signer.key))
    return _element(prepared.signed_info, nothing, signer.key_info, NS_DSIG)


def finish(
    prepared: PreparedSignature,
    signature_value: bytes,
    certificate_der: bytes,
    *,
    namespace: str = NS_DSIG,
    policy: Policy = DEFAULT_POLICY,
    at: date | None = None,
) -> bytes:
    """The `Signature` element, UTF-8, without white space; verified before it is returned.

    `signature_value`: as `KeyHolder.sign` gives it. `namespace`: NS_DSIG, or NS_QCVN102 for peers
    that only know the vendor's parser; the value is over the XML-DSig form either way, which is
    what a verifier finds after relay (edxml-format 9.4).
    """
    method = _produced(prepared.algorithm, policy, at)
    signer = _signer(certificate_der, method, policy)
    if not holds(signer.key, method, signature_value, prepared.signed_info):
        raise Misconfigured(
            Text(
                f"Chữ ký không khớp với chứng thư số {signer.subject}: "
                "khóa và chứng thư số không cùng một cặp",
                f"the signature does not verify with certificate {signer.subject}: "
                "key and certificate are no pair",
            ),
            code="signing.key_mismatch",
        )
    return _element(prepared.signed_info, signature_value, signer.key_info, namespace)


@dataclass(frozen=True, slots=True)
class _Signer:
    """What a certificate of ours gives to every signature made with its key."""

    subject: str
    key: PublicKey
    key_info: bytes


@lru_cache(maxsize=64)  # our own agencies: parsing a certificate costs as much as all else here
def _signer(certificate_der: bytes, method: SignatureMethod, policy: Policy) -> _Signer:
    certificate = parse_certificate(certificate_der)
    if certificate is None:
        raise Misconfigured(
            Text(
                "Chứng thư số của khóa ký không đọc được",
                "the certificate of the signing key cannot be read",
            ),
            code="signing.certificate",
        )
    answer = fit(certificate.key, method, policy.maximum_bits)
    if answer is not Answer.HOLDS or certificate.key is None:
        raise Misconfigured(
            Text(
                f"Khóa {certificate.key_name} của chứng thư số {certificate.subject} không dùng "
                f"được với {method.uri}",
                f"the key {certificate.key_name} of certificate {certificate.subject} may not "
                f"sign with {method.uri}",
            ),
            code="signing.weak_key" if answer is Answer.WEAK else "signing.key_kind",
        )
    return _Signer(certificate.subject, certificate.key, _key_info(certificate))


def _element(signed_info: bytes, signature_value: bytes, key_info: bytes, namespace: str) -> bytes:
    if namespace not in {NS_DSIG, NS_QCVN102} or not signed_info.startswith(_OPENING):
        raise Broken(
            Text("Không gian tên của khối chữ ký sai", f"no signature in {namespace!r}"),
            code="signing.namespace",
        )
    return b"".join(
        (
            b'<Signature xmlns="',
            namespace.encode(),
            b'"><SignedInfo>',
            # inside `Signature` the declaration is inherited; C14N puts it back
            signed_info[len(_OPENING) :],
            b"<SignatureValue>",
            base64.b64encode(signature_value),
            b"</SignatureValue>",
            key_info,
            b"</Signature>",
        )
    )


def _key_info(certificate: Certificate) -> bytes:
    subject = certificate.subject
    named = b""
    if subject and not _NOT_XML.search(subject):
        named = f"<X509SubjectName>{escape_text(subject)}</X509SubjectName>".encode()
    return b"".join(
        (
            b"<KeyInfo><X509Data>",
            named,
            b"<X509Certificate>",
            base64.b64encode(certificate.der),
            b"</X509Certificate></X509Data></KeyInfo>",
        )
    )


def _produced(algorithm: str, policy: Policy, at: date | None) -> SignatureMethod:
    method = policy.signature(algorithm, at)
    if method is None or not method.produced:
        raise Misconfigured(
            Text(
                f"Không ký bằng thuật toán {algorithm}",
                f"nothing is signed with the algorithm {algorithm}",
            ),
            code="signing.algorithm",
        )
    return method


def _reference(uri: str, digest: bytes) -> SignatureReference:
    return SignatureReference(uri, SHA256, base64.b64encode(digest).decode())


def _digest(sha256_hex: str) -> bytes:
    try:
        digest = bytes.fromhex(sha256_hex)
    except ValueError:
        raise _no_digest(sha256_hex) from None
    if len(digest) != hashlib.sha256().digest_size:
        raise _no_digest(sha256_hex)
    return digest


def _no_digest(value: str) -> Broken:
    return Broken(
        Text("Giá trị băm SHA-256 không hợp lệ", f"not a SHA-256 digest: {value[:80]!r}"),
        code="signing.digest",
    )
