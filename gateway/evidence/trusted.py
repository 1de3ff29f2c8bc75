"""Certificates and revocation data as they were: which ones belong to a case, and what they say.

In:     records, stamps, the bytes that lie under `trust/` in a container, roots of the reader.
Out:    what has to be carried; a word on each certificate, made anew from these bytes alone.
Fails:  never: what cannot be read says nothing.
Never:  asks a network; believes a record's word where the bytes beside it say another.

The signer of a package was judged when the package came, and the record of that names the path and
the lists and answers that were used (model/trust.py `for_record`). The authority of a stamp is
judged by lists and answers that were kept for it (`authority.judged`), at the stamp's own time; an
agency of ours that signed, by those of its own (`signer.judged`), when its package was handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from cryptography import x509

from gateway.errors import Text
from gateway.evidence.case import Case, Kept, Told
from gateway.ledger import chain
from gateway.ledger.records import named_blobs
from gateway.ledger.timestamp import read_token
from gateway.model.record import Record
from gateway.model.trust import RevocationFact, RevocationWord, TrustWord
from gateway.signing.certificates import parse_certificate
from gateway.signing.chains import fingerprint
from gateway.signing.policy import DEFAULT_POLICY
from gateway.signing.revocation import Evidence, Kind, judge_one
from gateway.signing.trust import Anchors, judge

CERTIFICATE = "der"
_CONTRADICTED = frozenset({TrustWord.REVOKED, TrustWord.EXPIRED, TrustWord.NOT_YET_VALID})


def named(record: Record) -> tuple[Kept, ...]:
    """What the word on a certificate in this record rests on: the path first, from the signer."""
    facts = record.facts.get("certificate")
    return from_facts(facts) if isinstance(facts, Mapping) else ()


def from_facts(facts: Mapping[str, Any]) -> tuple[Kept, ...]:
    """The inverse of `CertificateTrust.for_record`, as far as it names bytes."""
    path, evidence = facts.get("path"), facts.get("evidence")
    steps = [(CERTIFICATE, step) for step in path] if isinstance(path, list) else []
    used = [(e.get("kind"), e) for e in evidence] if isinstance(evidence, list) else []
    found = ((kind, one.get("blob")) for kind, one in (*steps, *used) if isinstance(one, Mapping))
    return tuple(
        Kept(str(kind), digest)
        for kind, digest in found
        if kind in (CERTIFICATE, *Kind) and isinstance(digest, str)
    )


def package_blobs(record: Record) -> tuple[str, ...]:
    """The packages that a record vouches for: its blobs without those behind a certificate."""
    behind = {kept.digest for kept in named(record)}
    return tuple(digest for digest in named_blobs(record) if digest not in behind)


def stamper(token: bytes) -> str:
    """SHA-256 (hex) of the certificate that signed a stamp. Untrusted as `read_token`."""
    return fingerprint(read_token(token).signer)


def stamped_at(token: bytes) -> datetime:
    """The time in a stamp, believed or not. Untrusted as `read_token`."""
    return read_token(token).gen_time


class Word(NamedTuple):
    """`holds` None: neither shown nor contradicted; the text says what is missing."""

    holds: bool | None
    text: Text


@dataclass(frozen=True, slots=True)
class Carried:
    """What a container carries under `trust/`, by digest, taken apart."""

    certificates: Mapping[str, x509.Certificate]
    evidence: Mapping[str, Evidence]

    @staticmethod
    def of(parts: Iterable[tuple[Kept, bytes]]) -> Carried:
        certificates: dict[str, x509.Certificate] = {}
        evidence: dict[str, Evidence] = {}
        for kept, data in parts:
            if kept.kind == CERTIFICATE:
                if (found := parse_certificate(data)) is not None:
                    certificates[kept.digest] = found.parsed
            else:
                evidence[kept.digest] = Evidence(Kind(kept.kind), data)
        return Carried(certificates, evidence)

    def signer(self, told: Told, roots: Sequence[x509.Certificate], at: datetime) -> Word | None:
        """The word of a record on a package's signer, made again. None: it claims nothing.

        `at`: when the package came. A word that says less than the bytes would allow is no
        contradiction: what is too old for a gateway is its operator's choice.
        """
        facts = told.record.facts.get("certificate")
        if not isinstance(facts, Mapping) or facts.get("trust") not in (
            TrustWord.TRUSTED,
            TrustWord.REVOKED,
        ):
            return None
        kept = from_facts(facts)
        path = [self.certificates.get(k.digest) for k in kept if k.kind == CERTIFICATE]
        used = [self.evidence[k.digest] for k in kept if k.digest in self.evidence]
        steps = [step for step in path if step is not None]
        if not steps or len(steps) != len(path):
            return Word(False, Text("chứng thư không đọc được", "a certificate is unreadable"))
        leaf, root = steps[0], steps[-1]
        anchors = Anchors((root,), tuple(steps[1:-1]), tuple(used), timedelta.max)
        made = _judged(leaf, anchors, at)
        claimed = TrustWord(str(facts["trust"]))
        if made != claimed and (made in _CONTRADICTED or claimed is TrustWord.REVOKED):
            return Word(
                False,
                Text(
                    f"bản ghi nói chứng thư của người ký là {claimed}, dữ liệu kèm theo cho {made}",
                    f"the record says {claimed} of the signer, the data beside it say {made}",
                ),
            )
        if made != claimed:
            return Word(
                None,
                Text(
                    f"dữ liệu kèm theo không đủ để kết luận {claimed} ({made})",
                    f"the data beside it do not suffice for {claimed} ({made})",
                ),
            )
        if root not in roots:
            name = root.subject.rfc4514_string()
            return Word(
                None,
                Text(
                    f"chứng thư gốc của người ký không có trong các neo tin cậy: {name}",
                    f"the root above the signer is not among the anchors: {name}",
                ),
            )
        return Word(True, _of_signer(claimed, at))

    def sender(
        self, certificate: bytes, roots: Sequence[x509.Certificate], at: datetime
    ) -> Word | None:
        """Was the certificate (DER) of a package that no record judges good at `at`? None: nothing
        here decides it, neither for nor against.
        """
        leaf = parse_certificate(certificate)
        if leaf is None or not roots:
            return None
        between = tuple(self.certificates.values())
        used = tuple(self.evidence.values())
        made = _judged(leaf.parsed, Anchors(tuple(roots), between, used, timedelta.max), at)
        if made is not TrustWord.TRUSTED and made not in _CONTRADICTED:
            return None
        return Word(made is TrustWord.TRUSTED, _of_signer(made, at))

    def authority(
        self,
        token: bytes,
        roots: Sequence[x509.Certificate],
        at: datetime,
        known: datetime | None = None,
    ) -> Word | None:
        """Was the authority of a stamp revoked at the stamp's time? None: nothing speaks of it.

        `known`: by when a newer stamp shows that this token existed. Whoever got hold of the key
        afterwards did not make it.
        """
        read = read_token(token)
        others = (*read.certificates, *self.certificates.values())
        path = chain.find_path(read.signer, others, roots, at)
        facts = list(self._revocation(path, at))
        for fact in facts:
            if fact.status is RevocationWord.REVOKED:
                text = Text(
                    f"chứng thư của bên cấp dấu đã bị thu hồi từ {fact.revoked_at:%Y-%m-%d}",
                    f"the authority's certificate was revoked on {fact.revoked_at:%Y-%m-%d}",
                )
                return Word(False, text)
        for fact in facts:
            late = fact.revoked_at is not None and (known is None or fact.revoked_at <= known)
            if late and fact.reason == "keyCompromise":
                text = Text(
                    f"khóa của bên cấp dấu bị lộ, thu hồi từ {fact.revoked_at:%Y-%m-%d}",
                    f"the authority's key was compromised; revoked on {fact.revoked_at:%Y-%m-%d}",
                )
                return Word(None, text)
        if not facts or any(fact.status is RevocationWord.UNKNOWN for fact in facts):
            return None
        return Word(
            True,
            Text("chưa bị thu hồi lúc đóng dấu", "not revoked at the time of the stamp"),
        )

    def _revocation(
        self, path: Sequence[x509.Certificate], at: datetime
    ) -> Iterator[RevocationFact]:
        for certificate, issuer in pairwise(path):
            yield judge_one(
                certificate,
                issuer,
                tuple(self.evidence.values()),
                at=at,
                max_age=timedelta.max,
                policy=DEFAULT_POLICY,
            )


def received_at(case: Case, told: Told) -> datetime:
    """The instant for which the certificate behind an arrival was judged: that of receiving."""
    arrival = told.record.about.get("arrival")
    return next(
        (
            t.record.at
            for t in case.told
            if t.record.event == "arrival.received" and t.record.about.get("arrival") == arrival
        ),
        told.record.at,
    )


def named_at(case: Case) -> dict[str, datetime]:
    """When a record first named each package (SHA-256, hex): ours, when it was handed in."""
    found: dict[str, datetime] = {}
    for told in case.told:
        for digest in package_blobs(told.record):
            found.setdefault(digest, told.record.at)
    return found


def _of_signer(word: TrustWord, at: datetime) -> Text:
    return Text(
        f"chứng thư của người ký lúc {at:%Y-%m-%dT%H:%M:%SZ}: {word}",
        f"the signer's certificate at {at:%Y-%m-%dT%H:%M:%SZ}: {word}",
    )


def _judged(leaf: x509.Certificate, anchors: Anchors, at: datetime) -> TrustWord:
    def by_hand(wanted: Sequence[Any]) -> list[tuple[Any, Evidence]]:
        # answers speak of one certificate; lists are found by their issuer's name
        answers = [e for e in anchors.lists if e.kind is Kind.OCSP]
        return [(w, e) for w in wanted for e in answers if w.kind is Kind.OCSP]

    lists = tuple(e for e in anchors.lists if e.kind is Kind.CRL)
    held = Anchors(anchors.roots, anchors.intermediates, lists, anchors.max_age)
    return judge(leaf, (), held, by_hand, at).trust.word
