"""Stamps: an RFC 3161 authority vouches for the time by which a checkpoint existed.

In: a checkpoint, a nonce, an authority's reply or token, trust anchors. Out: the request's bytes;
`StampFacts`. Fails with `Untrusted` (`stamp.*`: the answer cannot be what it claims) or
`Unavailable` (`tsa.*`: the authority said no, or yes without a token; try later). It never speaks
to an authority (adapters/tsa does, and is handed the two functions below by the wiring), and never
lets a stamp pass "best effort": a stamp that may be wrong is decoration.

What is stamped: SHA-256 over the UTF-8 bytes of the checkpoint's signed note, signatures included.

What must hold before a token is believed (`verify_stamp`, `check_response`):
 (1) it is a SignedData of one signer over one TSTInfo v1 with a SHA-256 imprint (timestamp.py)
 (2) the imprint is our digest; nonce and policy are the ones asked for
 (3) the signature holds, covers the content, and is bound to that certificate (timestamp.py)
 (4) the certificate may issue timestamps and nothing else (chain.py)
 (5) at the token's own time a path led from it to one of our anchors (chain.py)
 (6) rfc3161-client, which is strict about DER, agrees, where it can read the token and the path
     ends in a self-signed anchor, as its OpenSSL demands. What it cannot *read* is left to (1) to
     (5), which read BER as well; what it reads and *rejects* is rejected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import rfc3161_client
from asn1crypto import cms, core, tsp
from cryptography import x509
from rfc3161_client.errors import VerificationError

from gateway.errors import Text, Unavailable, Untrusted
from gateway.ledger import chain
from gateway.ledger.timestamp import (
    MAX_BYTES,
    PARSER_ERRORS,
    Token,
    check_signature,
    read_token,
    unreadable,
)
from gateway.model.record import Checkpoint

MAX_REPLY_BYTES = MAX_BYTES
_GRANTED = ("granted", "granted_with_mods")


class ChainVerdict(StrEnum):
    TRUSTED = "trusted"  # a path to an anchor, valid at the token's time
    NOT_CHECKED = "not_checked"  # no anchors were given: the signature holds, the signer is unknown


class Reading(StrEnum):
    STRICT = "strict"  # rfc3161-client read and confirmed it too
    TOLERANT = "tolerant"  # BER, an unsorted set, or an anchor that is not a root


@dataclass(frozen=True, slots=True)
class StampFacts:
    """A token that was checked. `serial` is decimal; `authority` the subject, RFC 4514."""

    token: bytes
    gen_time: datetime
    policy: str
    serial: str
    authority: str
    chain: ChainVerdict
    reading: Reading


class _Reply(core.Sequence):  # type: ignore[misc]  # asn1crypto carries no types
    """TimeStampResp with its token optional, as RFC 3161 2.4.2 has it and asn1crypto has not."""

    _fields = [  # noqa: RUF012 - the declaration style that asn1crypto reads
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def unanswered(failures: Sequence[str]) -> Unavailable:
    """`stamp.unavailable`: every authority was asked. `failures`: each one's name and why."""
    shown = "; ".join(failures)
    return Unavailable(
        Text(
            f"Không dịch vụ dấu thời gian nào trả lời được ({shown})",
            f"no timestamp authority answered ({shown})",
        ),
        code="stamp.unavailable",
    )


def stamp_digest(checkpoint: Checkpoint) -> bytes:
    """What an authority is asked to stamp for a checkpoint."""
    return note_digest(checkpoint.note)


def note_digest(note: str) -> bytes:
    """SHA-256 over the signed note's bytes."""
    return hashlib.sha256(note.encode()).digest()


def build_request(digest: bytes, nonce: int, policy: str | None = None) -> bytes:
    """TimeStampReq (RFC 3161 2.4.1), DER: SHA-256, certificate wanted."""
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}
    request: dict[str, Any] = {
        "version": "v1",
        "message_imprint": imprint,
        "nonce": nonce,
        "cert_req": True,
    }
    if policy is not None:
        request["req_policy"] = policy
    encoded: bytes = tsp.TimeStampReq(request).dump()
    return encoded


def check_response(
    reply: bytes,
    digest: bytes,
    nonce: int,
    anchors: Sequence[x509.Certificate],
    policy: str | None = None,
) -> StampFacts:
    """The token inside an authority's reply, checked against the request.

    Raises Unavailable: `tsa.rejected` (its reason in the text), `tsa.no_token` (granted without a
    token: `openssl ts` under load, feasibility 5). Raises Untrusted: `stamp.unreadable`,
    `stamp.other_digest`, `stamp.other_nonce`, `stamp.other_policy`, `stamp.signature`,
    `stamp.certificate`, `stamp.chain`, `stamp.strict`.
    """
    if len(reply) > MAX_REPLY_BYTES:
        raise unreadable("too large")
    try:
        parsed = _Reply.load(reply, strict=True)
        status: str = parsed["status"]["status"].native
        reason = " ".join(_reasons(parsed["status"]))
        token: bytes = parsed["time_stamp_token"].dump()
    except PARSER_ERRORS as error:
        raise unreadable("not a reply of a timestamp authority") from error
    if status not in _GRANTED:
        raise Unavailable(
            Text(
                f"Cơ quan cấp dấu thời gian từ chối: {status} {reason}".strip(),
                f"the timestamp authority refused: {status} {reason}".strip(),
            ),
            code="tsa.rejected",
        )
    if not token:
        raise Unavailable(
            Text(
                "Cơ quan cấp dấu thời gian chấp nhận nhưng không gửi dấu",
                "the timestamp authority granted the request but sent no token",
            ),
            code="tsa.no_token",
        )
    return _check(token, digest, anchors, nonce=nonce, policy=policy)


def verify_stamp(token: bytes, note: str, anchors: Sequence[x509.Certificate]) -> StampFacts:
    """A stored token against the signed note of its checkpoint, offline.

    Without anchors everything but the path is checked and `chain` says `not_checked`; with
    anchors a token that reaches none of them is Untrusted (`stamp.chain`). Other errors: those of
    `check_response`, of which nonce and policy do not apply.
    """
    return _check(token, note_digest(note), anchors, nonce=None, policy=None)


def _check(
    data: bytes,
    digest: bytes,
    anchors: Sequence[x509.Certificate],
    nonce: int | None,
    policy: str | None,
) -> StampFacts:
    token = read_token(data, tuple(anchors))  # (1)
    if token.digest != digest:  # (2)
        raise _other("digest", "một giá trị băm khác", "another digest")
    if nonce is not None and token.nonce != nonce:
        raise _other("nonce", "một yêu cầu khác", "another request (nonce)")
    if policy is not None and token.policy != policy:
        raise _other("policy", "một chính sách khác", "another policy")
    check_signature(token)  # (3)
    chain.check_stamping_certificate(token.signer)  # (4)
    verdict, reading = ChainVerdict.NOT_CHECKED, Reading.TOLERANT
    if anchors:
        path = chain.find_path(token.signer, token.certificates, anchors, token.gen_time)  # (5)
        verdict = ChainVerdict.TRUSTED
        reading = _strict(data, token, path[-1])  # (6)
    return StampFacts(
        token=data,
        gen_time=token.gen_time,
        policy=token.policy,
        serial=str(token.serial),
        authority=token.signer.subject.rfc4514_string(),
        chain=verdict,
        reading=reading,
    )


def _strict(data: bytes, token: Token, anchor: x509.Certificate) -> Reading:
    """The second opinion of rfc3161-client, over the token wrapped in a granting reply."""
    if anchor.issuer != anchor.subject or not token.certificates:
        return Reading.TOLERANT
    try:
        response = rfc3161_client.decode_timestamp_response(_granted(data))
    except ValueError:
        return Reading.TOLERANT
    # The builder's add_* methods change their parent (codebases 2): everything is given at once.
    verifier = rfc3161_client.VerifierBuilder(roots=[anchor]).build()
    try:
        verifier.verify(response, token.digest)
    except (VerificationError, ValueError) as error:
        raise Untrusted(
            Text(
                "Dấu thời gian không qua được phép kiểm tra chặt",
                f"the strict check refuses the timestamp: {error}",
            ),
            code="stamp.strict",
        ) from error
    return Reading.STRICT


def _granted(token: bytes) -> bytes:
    """The token in a TimeStampResp of status 0: SEQUENCE { SEQUENCE { INTEGER 0 }, token }."""
    body = b"\x30\x03\x02\x01\x00" + token
    size = len(body).to_bytes(4, "big").lstrip(b"\x00")
    head = size if len(body) < 0x80 else bytes((0x80 | len(size),)) + size
    return b"\x30" + head + body


def _reasons(status: Any) -> list[str]:
    """Failure bits and words of a refusal, shortened: they come from a stranger."""
    bits = sorted(status["fail_info"].native or ())
    words = [str(w) for w in status["status_string"].native or ()]
    return [w[:200] for w in (*bits, *words)][:5]


def _other(what: str, vi: str, en: str) -> Untrusted:
    return Untrusted(
        Text(f"Dấu thời gian dành cho {vi}", f"the timestamp is for {en}"),
        code=f"stamp.other_{what}",
    )
