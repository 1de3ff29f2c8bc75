"""What the word on a certificate rests on: the instant, the path, who was asked about revocation.

In:     the judgement on the certificate behind a signature, or None.
Out:    rows under it; nothing where nothing was judged.
Fails:  never.
Never:  gives the age of evidence as of now: it is that at the instant judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gateway.cli.page.amounts import duration, vietnam_moment
from gateway.cli.page.lines import Sheet
from gateway.cli.page.names import person
from gateway.errors import Text
from gateway.model.trust import CertificateTrust, RevocationFact, RevocationWord

_KINDS: Mapping[str, str] = MappingProxyType({"crl": "CRL", "ocsp": "OCSP"})
_WORDS: Mapping[RevocationWord, Text] = MappingProxyType(
    {
        RevocationWord.GOOD: Text("chưa bị thu hồi", "not revoked"),
        RevocationWord.REVOKED: Text("ĐÃ BỊ THU HỒI", "REVOKED"),
        RevocationWord.UNKNOWN: Text("chưa rõ", "not known"),
    }
)
_LATER = Text("chưa bị thu hồi lúc đó, về sau bị thu hồi", "not revoked then, revoked later")


def evidence_lines(trust: CertificateTrust | None, sheet: Sheet) -> Iterator[str]:
    """`trust` None: no certificate, or nobody judged it. Without a path only the instant."""
    if trust is None:
        return
    yield from sheet.row(Text("Xét tại thời điểm", "Judged as of"), vietnam_moment(trust.at))
    path = [person(step.subject) for step in trust.path[1:]]
    yield from sheet.rows(Text("Chuỗi chứng thư", "Path"), path, Text("chứng thư", "certificates"))
    whose = {step.sha256: person(step.subject) for step in trust.path[1:]}
    if trust.path:
        whose[trust.path[0].sha256] = sheet.word(Text("chứng thư này", "this certificate"))
    said = [f"{whose.get(f.certificate, '')}: {_said(f, sheet)}" for f in trust.revocation]
    yield from sheet.rows(Text("Thu hồi", "Revocation"), said, Text("chứng thư", "certificates"))


def _said(fact: RevocationFact, sheet: Sheet) -> str:
    later = fact.status is RevocationWord.GOOD and fact.revoked_at is not None
    words = [sheet.word(_LATER if later else _WORDS[fact.status])]
    if fact.revoked_at is not None:
        since = vietnam_moment(fact.revoked_at)
        words.append(sheet.word(Text(f"từ {since}", f"on {since}")))
    if fact.reason and fact.revoked_at is not None:
        words.append(f"({fact.reason})")
    source = _KINDS.get(fact.kind, fact.kind)
    if source and fact.age is not None:
        vi, en = duration(fact.age, "vi"), duration(fact.age, "en")
        words.append(sheet.word(Text(f"theo {source} {vi} tuổi", f"by {source}, {en} old")))
    return " ".join(words)
