"""Is the certificate behind a signature one to rely on? A word, its path, its evidence.

In:     the signer's certificate, the others of the block, what the operator trusts, a look into the
        cache of revocation data, the instant.
Out:    `Judged`: a `CertificateTrust`, and where fresher revocation data could be asked for.
Fails:  ValueError, from `read_certificates` alone: what the operator laid down is none.
Never:  asks a network, reads a clock, throws a package away.

The instant is that of receiving (edxml-format 9.4: "at the time of signing, not now"). The time a
package claims for itself proves nothing: whoever steals a key after its revocation writes an
earlier one. The instant of receiving is the first at which we ourselves know that the signature
existed, and our ledger proves it; so a certificate that was good then was good when it signed, and
one that ends or is revoked afterwards takes nothing away. A certificate revoked before we saw the
signature counts as revoked, even where it may have signed while it was good: the sender can sign
anew, and a proof of an earlier time (a timestamp over the signature) is not part of edXML.

The order of words: no path to a root is `untrusted`; a path that was not valid at that instant is
`expired` or `not_yet_valid`; then `revoked`, if any certificate below the root was; then
`unknown_revocation`, if of any it is not known; else `trusted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import Finding, Severity, Text
from gateway.model.package import SignatureBlock, SignatureVerdict
from gateway.model.trust import (
    CertificateTrust,
    PathStep,
    RevocationFact,
    RevocationWord,
    TrustWord,
)
from gateway.signing.certificates import certificate_from_text, parse_certificate
from gateway.signing.chains import PARSER_ERRORS, Path, find_path, fingerprint, subject
from gateway.signing.policy import DEFAULT_POLICY, Policy
from gateway.signing.revocation import Evidence, Kind, Wanted, judge_one, wanted

PLACE = "signature"  # the path of every finding here
RULE = "NĐ 23/2025/NĐ-CP 16; TT 15/2025/TT-BKHCN 5, 6"
MAX_AGE = timedelta(days=3)
LookUp = Callable[[Sequence[Wanted]], Sequence[tuple[Wanted, Evidence]]]
_MOST_CERTIFICATES = 8  # of a block: as many as verify.py looks at


@dataclass(frozen=True, slots=True)
class Anchors:
    """What the operator trusts (conf/trust). Without `roots` nothing is claimed.

    `intermediates`: authorities that peers leave out of their packages; they prove nothing by
    being here. `lists`: CRLs laid down by hand. `max_age`: how old the cache may be.
    """

    roots: tuple[x509.Certificate, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()
    lists: tuple[Evidence, ...] = ()
    max_age: timedelta = MAX_AGE
    policy: Policy = field(default=DEFAULT_POLICY, repr=False)


@dataclass(frozen=True, slots=True)
class Judged:
    """`wanted`: what could be asked about the path's certificates; () unless it reaches a root,

    so that no stranger's certificate ever makes us call an address of his choice. `kept`: the bytes
    whose digests the record of this word names: the path's certificates, the evidence used.
    """

    trust: CertificateTrust
    wanted: tuple[Wanted, ...] = ()
    kept: tuple[bytes, ...] = ()


def nothing_kept(_: Sequence[Wanted]) -> Sequence[tuple[Wanted, Evidence]]:
    """The look-up of those who have no cache (`inspect`)."""
    return ()


@dataclass(frozen=True, slots=True)
class Relied:
    """Whom to trust, and where what is known of revocations lies."""

    anchors: Anchors = field(default_factory=Anchors)
    look_up: LookUp = nothing_kept


def with_trust(
    verdict: SignatureVerdict, block: SignatureBlock | None, relied: Relied, at: datetime
) -> tuple[SignatureVerdict, Judged | None]:
    """The verdict with the word on its certificate, and what stands behind that word.

    Unchanged without a certificate: a trust that is None claims nothing.
    """
    digest = verdict.certificate.get("sha256", "")
    if block is None or not digest:
        return verdict, None
    judged: Judged | None
    if not relied.anchors.roots:  # what every gateway starts as: nothing is parsed a second time
        judged = Judged(_unconfigured(at))
    else:
        judged = judge_block(block.certificates, digest, relied, at)
    return (verdict if judged is None else replace(verdict, trust=judged.trust)), judged


def judge_block(texts: Sequence[str], sha256: str, relied: Relied, at: datetime) -> Judged | None:
    """Judge the certificate with this SHA-256 among the `X509Certificate` texts of a block.

    None: it is not there (no certificate of the block could be read).
    """
    found = [c for t in texts[:_MOST_CERTIFICATES] if (c := certificate_from_text(t)) is not None]
    leaf = next((c.parsed for c in found if fingerprint(c.parsed) == sha256), None)
    if leaf is None:
        return None
    others = [c.parsed for c in found if c.parsed != leaf]
    return judge(leaf, others, relied.anchors, relied.look_up, at)


def block_ders(texts: Sequence[str]) -> tuple[bytes, ...]:
    """The certificates of a block as DER, those that can be read, in their order."""
    found = (certificate_from_text(t) for t in texts[:_MOST_CERTIFICATES])
    return tuple(c.der for c in found if c is not None)


def judge_der(leaf: bytes, others: Sequence[bytes], relied: Relied, at: datetime) -> Judged | None:
    """The same for certificates that were kept as DER; None: the first is no certificate."""
    first = parse_certificate(leaf)
    rest = [c.parsed for der in others if (c := parse_certificate(der)) is not None]
    if first is None:
        return None
    return judge(first.parsed, rest, relied.anchors, relied.look_up, at)


def judge(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Anchors,
    look_up: LookUp,
    at: datetime,
) -> Judged:
    """Path, dates, revocation, in this order. `at`: see above; `look_up`: the cache, no network."""
    if not anchors.roots:
        return Judged(_unconfigured(at))
    path = find_path(leaf, (*anchors.intermediates, *others), anchors.roots, anchors.policy, at)
    steps = tuple(_step(c) for c in path.certificates)
    if not path.anchored:
        told = (_untrusted(path.why),)
        trust = CertificateTrust(TrustWord.UNTRUSTED, at, path.why, steps, (), told)
        return Judged(trust, kept=_ders(path))
    pairs = tuple(zip(path.certificates, path.certificates[1:], strict=False))
    asked = tuple(w for pair in pairs for w in wanted(*pair))
    facts, used = _revocation(pairs, asked, anchors, look_up, at)
    word, why, finding = _word(path, facts, at)
    findings = (finding,) if finding else ()
    trust = CertificateTrust(word, at, why, steps, facts, findings)
    return Judged(trust, asked, (*_ders(path), *used))


def _unconfigured(at: datetime) -> CertificateTrust:
    return CertificateTrust(TrustWord.NOT_CONFIGURED, at, why="no_roots")


def read_certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate of a PEM file, or the one of a DER file. ValueError: there is none."""
    if b"-----BEGIN CERTIFICATE-----" in data:
        return tuple(x509.load_pem_x509_certificates(data))
    return (x509.load_der_x509_certificate(data),)


def read_list(data: bytes) -> Evidence:
    """A CRL that was laid down by hand, PEM or DER. ValueError: it is none."""
    made = Evidence(Kind.CRL, data)
    if made.crl is None:
        raise ValueError("not a certificate revocation list")
    return made


def _revocation(
    pairs: Sequence[tuple[x509.Certificate, x509.Certificate]],
    asked: Sequence[Wanted],
    anchors: Anchors,
    look_up: LookUp,
    at: datetime,
) -> tuple[tuple[RevocationFact, ...], tuple[bytes, ...]]:
    """A fact for each certificate below the root, and the bytes of the evidence behind them."""
    kept = look_up(asked) if asked else ()
    facts: list[RevocationFact] = []
    used: dict[str, bytes] = {}
    for certificate, issuer in pairs:
        ours = [e for w, e in kept if w.certificate == certificate and w.issuer == issuer]
        evidence = (*ours, *(e for e in anchors.lists if _is_of(e, issuer)))
        fact = judge_one(
            certificate,
            issuer,
            evidence,
            at=at,
            max_age=anchors.max_age,
            policy=anchors.policy,
        )
        facts.append(fact)
        used |= {e.sha256: e.data for e in evidence if e.sha256 == fact.sha256}
    return tuple(facts), tuple(used.values())


def _ders(path: Path) -> tuple[bytes, ...]:
    return tuple(c.public_bytes(Encoding.DER) for c in path.certificates)


def _is_of(evidence: Evidence, issuer: x509.Certificate) -> bool:
    """An empty list is false by itself, so it is asked by name (`crl` counts its entries)."""
    try:
        return evidence.crl is not None and evidence.crl.issuer == issuer.subject
    except PARSER_ERRORS:
        return False


def _word(
    path: Path, facts: Sequence[RevocationFact], at: datetime
) -> tuple[TrustWord, str, Finding | None]:
    if path.why:
        word = TrustWord(path.why)
        return word, path.why, _dated(word, path.certificates, at)
    for place, fact in enumerate(facts):
        if fact.status is RevocationWord.REVOKED:
            return TrustWord.REVOKED, fact.reason, _revoked(place, fact)
    for place, fact in enumerate(facts):
        if fact.status is RevocationWord.UNKNOWN:
            said = _unknown(place, fact)
            return TrustWord.UNKNOWN_REVOCATION, fact.why, said
    return TrustWord.TRUSTED, "", None


def _step(certificate: x509.Certificate) -> PathStep:
    return PathStep(
        subject(certificate),
        fingerprint(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


# -- findings

_WHY = {
    "no_path": Text(
        "không dẫn tới chứng thư gốc nào đã khai báo", "it leads to none of the configured roots"
    ),
    "signature": Text(
        "chữ ký của nơi cấp trên chứng thư không đúng",
        "the issuer's signature on a certificate is false",
    ),
    "weak_algorithm": Text(
        "một chứng thư trên chuỗi dùng thuật toán không còn được chấp nhận",
        "a certificate of the path uses an algorithm that is not accepted",
    ),
    "weak_key": Text(
        "khóa của một chứng thư trên chuỗi quá ngắn", "a key of the path is too short, or too long"
    ),
    "not_an_authority": Text(
        "chứng thư cấp trên không phải của cơ quan chứng thực",
        "a certificate above it is not that of an authority",
    ),
    "key_usage": Text(
        "khóa không được cấp cho mục đích này", "a key may not be used for what it was used for"
    ),
    "path_length": Text("chuỗi chứng thư quá dài", "the path is longer than it may be"),
    "critical_extension": Text(
        "chứng thư đòi hỏi điều mà gateway không hiểu",
        "a certificate demands what is not understood here (critical extension)",
    ),
    "unreadable": Text("không đọc được chứng thư", "a certificate cannot be read"),
    "too_much_work": Text(
        "tập chứng thư quá rối để xét", "the certificates are too many to look through"
    ),
}
_UNKNOWN = {
    "no_source": Text(
        "chứng thư không cho biết hỏi thu hồi ở đâu", "the certificate does not say where to ask"
    ),
    "not_fetched": Text("chưa tải được dữ liệu thu hồi", "no revocation data was fetched yet"),
    "stale": Text("dữ liệu thu hồi đã hết hạn", "the revocation data have run out"),
    "too_old": Text(
        "dữ liệu thu hồi cũ hơn trust.max_age", "the revocation data are older than trust.max_age"
    ),
    "after_expiry": Text(
        "dữ liệu thu hồi làm sau khi chứng thư hết hạn",
        "the revocation data were made after the certificate had ended",
    ),
    "from_the_future": Text(
        "dữ liệu thu hồi mang thời gian ở tương lai", "the revocation data are dated in the future"
    ),
    "unsupported": Text(
        "dạng danh sách thu hồi này (delta, gián tiếp) không được hỗ trợ",
        "this form of list (delta, indirect, some reasons) is not supported",
    ),
    "signature": Text(
        "chữ ký trên dữ liệu thu hồi không đúng", "the signature on the revocation data is false"
    ),
    "weak_algorithm": Text(
        "dữ liệu thu hồi ký bằng thuật toán yếu",
        "the revocation data are signed with a weak algorithm",
    ),
    "weak_key": Text(
        "dữ liệu thu hồi ký bằng khóa quá ngắn", "the revocation data are signed with a short key"
    ),
    "other_issuer": Text(
        "dữ liệu thu hồi của nơi cấp khác", "the revocation data are of another issuer"
    ),
    "other_scope": Text(
        "danh sách thu hồi không nói về loại chứng thư này",
        "the list does not speak of this kind of certificate",
    ),
    "not_known": Text("nơi cấp không biết chứng thư này", "the authority does not know it"),
    "refused": Text("nơi cấp từ chối trả lời", "the authority refused to answer"),
    "unreadable": Text("không đọc được dữ liệu thu hồi", "the revocation data cannot be read"),
}


def _untrusted(why: str) -> Finding:
    told = _WHY[why]
    return Finding(
        PLACE,
        "certificate.untrusted",
        Severity.WARNING,
        Text(
            f"Chứng thư của chữ ký không được tin cậy: {told.vi}",
            f"the certificate behind the signature is not trusted: {told.en}",
        ),
        RULE,
    )


def _dated(word: TrustWord, certificates: Sequence[x509.Certificate], at: datetime) -> Finding:
    """When the path began or ended, beside the instant it is held against."""
    when = f"{at:%Y-%m-%d %H:%M}Z"
    if word is TrustWord.EXPIRED:
        end = min(c.not_valid_after_utc for c in certificates)
        return Finding(
            PLACE,
            "certificate.expired",
            Severity.WARNING,
            Text(
                f"Chứng thư (hoặc nơi cấp nó) hết hạn {end:%Y-%m-%d}, trước khi nhận ({when})",
                f"the certificate or an issuer of it ended {end:%Y-%m-%d}, before this came "
                f"({when})",
            ),
            RULE,
        )
    start = max(c.not_valid_before_utc for c in certificates)
    return Finding(
        PLACE,
        "certificate.not_yet_valid",
        Severity.WARNING,
        Text(
            f"Chứng thư (hoặc nơi cấp nó) có hiệu lực từ {start:%Y-%m-%d}, sau khi nhận ({when})",
            f"the certificate or an issuer of it begins {start:%Y-%m-%d}, after this came ({when})",
        ),
        RULE,
    )


def _revoked(place: int, fact: RevocationFact) -> Finding:
    since = f"{fact.revoked_at:%Y-%m-%d %H:%M}Z" if fact.revoked_at else ""
    whose = _whose(place)
    return Finding(
        PLACE,
        "certificate.revoked",
        Severity.WARNING,
        Text(
            f"Đã bị thu hồi từ {since} (lý do: {fact.reason}): {whose.vi}",
            f"{whose.en} was revoked on {since} (reason: {fact.reason})",
        ),
        RULE,
    )


def _unknown(place: int, fact: RevocationFact) -> Finding:
    told, whose = _UNKNOWN[fact.why], _whose(place)
    vi = en = ""
    if fact.age is not None:
        hours = fact.age // 3600
        vi, en = f" (tuổi {hours} giờ)", f" ({hours} hours old)"
    return Finding(
        PLACE,
        "certificate.revocation_unknown",
        Severity.WARNING,
        Text(
            f"Chưa rõ có bị thu hồi hay không, {whose.vi}: {told.vi}{vi}",
            f"it is not known whether {whose.en} was revoked: {told.en}{en}",
        ),
        RULE,
    )


def _whose(place: int) -> Text:
    if place == 0:
        return Text("chứng thư của chữ ký", "the certificate behind the signature")
    return Text("chứng thư của nơi cấp", "the certificate of its issuer")
