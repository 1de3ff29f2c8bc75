"""The signature in words: what it covers, side by side, with which algorithm and whose certificate.

In:     the verdict on the package's signature, the facts of the files it may name.
Out:    lines; `troubles`, what of it needs attention.
Fails:  never: a word that is not known here is shown as it is.
Never:  calls a signature good without saying over what; hides a reference that is not valid.

Words for a new verdict or for a new state of a certificate go into the tables below, by their
values; nothing else has to change.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from gateway.cli.page.amounts import vietnam_date
from gateway.cli.page.evidence import evidence_lines
from gateway.cli.page.lines import Sheet
from gateway.cli.page.names import person
from gateway.errors import Text
from gateway.model.package import FileFact, ReferenceVerdict, SignatureVerdict, bare_cid
from gateway.signing.signed_info import HEADER_ID, is_cid

# what each summary of a verdict means for somebody who must decide (contract 4)
VERDICTS: Mapping[str, Text] = MappingProxyType(
    {
        "valid": Text(
            "ĐÚNG: bao gồm phần đầu văn bản và mọi tệp đính kèm",
            "HOLDS: over the header and every attachment",
        ),
        "files_only": Text(
            "CHỈ CÁC TỆP: đúng với các tệp đính kèm; KHÔNG chứng minh nơi gửi, nơi nhận, trích yếu",
            "FILES ONLY: holds over the attachments; proves NOTHING about sender, receivers, "
            "subject",
        ),
        "header_only": Text(
            "CHỈ PHẦN ĐẦU: đúng với phần đầu văn bản; KHÔNG chứng minh các tệp đính kèm",
            "HEADER ONLY: holds over the header; proves NOTHING about the attachments",
        ),
        "false": Text(
            "SAI: nội dung đã bị thay đổi, hoặc chữ ký không thuộc gói tin này",
            "FALSE: something was changed, or the signature is not of this package",
        ),
        "weak": Text(
            "YẾU: thuật toán hoặc khóa không còn chứng minh được gì",
            "WEAK: the algorithm or the key no longer proves anything",
        ),
        "not_verifiable": Text(
            "KHÔNG KIỂM CHỨNG ĐƯỢC sau khi qua trục: gói tin đã được ghi lại, phần đã ký không còn "
            "nguyên; không có nghĩa là chữ ký sai, cũng KHÔNG chứng minh được gì",
            "NOT VERIFIABLE after relay: the package was written anew and what was signed is gone; "
            "this does not make the signature false, and it proves NOTHING",
        ),
        "not_checked": Text(
            "CHƯA KIỂM TRA được: dạng chữ ký này không xét được ở đây",
            "NOT CHECKED: this form of signature cannot be judged here",
        ),
        "none": Text("KHÔNG có", "NONE, the package is not signed"),
    }
)
_FINE = frozenset({"valid", "none"})  # many senders do not sign: said, and no cause for alarm
SIDES: Mapping[str, Text] = MappingProxyType(
    {
        "valid": Text("đúng", "holds"),
        "false": Text("SAI", "FALSE"),
        "weak": Text("yếu, không chứng minh được gì", "weak, proves nothing"),
        "not_verifiable": Text(
            "không kiểm chứng được sau khi qua trục", "not verifiable after relay"
        ),
        "not_checked": Text("chưa kiểm tra được", "not checked"),
        "none": Text("không được ký", "not signed"),
    }
)
PROFILES: Mapping[str, Text] = MappingProxyType(
    {
        "relay": Text(
            "ký từng phần, giữ nguyên khi qua trục (relay)",
            "over each part, survives an axis (relay)",
        ),
        "enveloped": Text(
            "ký toàn gói tin, không giữ được khi qua trục (enveloped)",
            "over the whole package, does not survive an axis (enveloped)",
        ),
        "other": Text("dạng khác", "another form"),
    }
)
# the verdict on the certificate, at the instant it was judged for
TRUST: Mapping[str, Text] = MappingProxyType(
    {
        "trusted": Text(
            "TIN CẬY: dẫn tới gốc đã khai báo, còn hạn và chưa bị thu hồi",
            "TRUSTED: it leads to a configured root, was valid and not revoked",
        ),
        "untrusted": Text(
            "KHÔNG tin cậy: không dẫn tới gốc nào đã khai báo",
            "NOT trusted: it leads to none of the configured roots",
        ),
        "expired": Text("HẾT HẠN", "EXPIRED"),
        "not_yet_valid": Text("CHƯA có hiệu lực", "NOT YET valid"),
        "revoked": Text("ĐÃ BỊ THU HỒI", "REVOKED"),
        "unknown_revocation": Text(
            "CHƯA RÕ có bị thu hồi hay không", "NOT KNOWN whether it was revoked"
        ),
        "not_configured": Text(
            "chưa khai báo chứng thư gốc nào: chuỗi, thời hạn và thu hồi chưa được xét",
            "no roots are configured: its path, dates and revocation are not judged",
        ),
        "not_checked": Text(
            "chưa xét: chuỗi chứng thư số, thời hạn và thu hồi không được xét ở đây",
            "not judged: its path, dates and revocation are not looked at here",
        ),
    }
)
_TRUST_FINE = frozenset({"", "trusted", "not_configured", "not_checked"})
_ALGORITHM = re.compile(
    r"http://www\.w3\.org/\d{4}/\d{2}/xmldsig(?:-more)?#"
    r"(?:(rsa|ecdsa)-(sha\d+|md5)|(sha\d+)-(rsa)-MGF1)"
)
_OLD_DIGESTS = frozenset({"sha1", "md5"})


def troubles(verdict: SignatureVerdict, codes: Collection[str]) -> list[Text]:
    """What needs attention and stands in no finding yet. `codes`: those of all findings."""
    summary = verdict.summary()
    found = []
    if summary not in _FINE and f"signature.{summary}" not in codes:
        words = VERDICTS.get(summary, Text(summary, summary))
        found.append(Text(f"Chữ ký số {words.vi}", f"Signature {words.en}"))
    trust = trust_word(verdict)
    if trust not in _TRUST_FINE and not any(c.startswith("certificate.") for c in codes):
        words = TRUST.get(trust, Text(trust, trust))
        found.append(Text(f"Chứng thư số {words.vi}", f"Certificate {words.en}"))
    return found


def signature_lines(
    verdict: SignatureVerdict, files: Sequence[FileFact], sheet: Sheet
) -> Iterator[str]:
    summary = verdict.summary()
    words = sheet.word(VERDICTS.get(summary, Text(summary, summary)))
    heading = sheet.word(Text("Chữ ký số", "Signature"))
    if verdict.profile == "none":
        yield from sheet.heading(f"{heading}: {words}")
        return
    yield from sheet.heading(f"{heading} {words}")
    for label, side in (
        (Text("Phần đầu văn bản", "Header"), verdict.header),
        (Text("Các tệp đính kèm", "Attachments"), verdict.files),
        (Text("Giá trị chữ ký", "Signature value"), verdict.value),
    ):
        yield from sheet.row(label, _side(side.value, sheet))
    profile = PROFILES.get(verdict.profile, Text(verdict.profile, verdict.profile))
    yield from sheet.row(Text("Dạng", "Form"), sheet.word(profile))
    yield from sheet.row(Text("Thuật toán", "Algorithm"), sheet.word(algorithm(verdict.algorithm)))
    yield from _certificate(verdict.certificate, sheet)
    trust = trust_word(verdict)
    yield from sheet.row(Text("Tin cậy", "Trust"), sheet.word(TRUST.get(trust, Text(trust, trust))))
    yield from evidence_lines(verdict.trust, sheet)
    yield from _references(verdict.references, files, sheet)


def trust_word(verdict: SignatureVerdict) -> str:
    """What is known of the certificate: its own judgement where there is one, else its facts."""
    judged = verdict.trust
    return judged.word.value if judged else verdict.certificate.get("trust", "")


def algorithm(uri: str) -> Text:
    """`RSA với SHA-256` for the URIs of RFC 9231; another URI as it is."""
    found = _ALGORITHM.fullmatch(uri)
    if found is None:
        return Text(uri, uri)
    family = (found[1] or found[4]).upper()
    digest = found[2] or found[3]
    scheme = f"{family}-PSS" if found[4] else family
    name = digest.upper().replace("SHA", "SHA-")
    old = digest in _OLD_DIGESTS
    return Text(
        f"{scheme} với {name}{' (cũ, không còn được tin cậy)' if old else ''}",
        f"{scheme} with {name}{' (old, no longer trusted)' if old else ''}",
    )


def _side(value: str, sheet: Sheet) -> str:
    return sheet.word(SIDES.get(value, Text(value, value)))


def _certificate(facts: Mapping[str, str], sheet: Sheet) -> Iterator[str]:
    vi = sheet.lang == "vi"
    yield from sheet.row(
        Text("Chứng thư số của", "Certificate of"), person(facts.get("subject", ""))
    )
    yield from sheet.row(Text("Nơi cấp", "Issued by"), person(facts.get("issuer", "")))
    bounds = [vietnam_date(facts.get(name, "")) for name in ("not_before", "not_after")]
    if all(bounds):
        since, until = bounds
        dates = f"từ {since} đến {until}" if vi else f"{since} to {until}"
        yield from sheet.row(Text("Hiệu lực", "Valid"), dates)
    yield from sheet.row(Text("Số hiệu", "Serial number"), facts.get("serial", ""))
    yield from sheet.row(Text("Khóa", "Key"), facts.get("key", ""))


def _references(
    references: Sequence[ReferenceVerdict], files: Sequence[FileFact], sheet: Sheet
) -> Iterator[str]:
    """Part by part where not all hold; those that do not come first, the list may be cut short."""
    if all(r.verdict.value == "valid" for r in references):
        return
    names: dict[str, str] = {}
    for number, fact in enumerate(files, start=1):
        names.setdefault(bare_cid(fact.content_id), f"{number}. {fact.name}")
    ordered = sorted(references, key=lambda r: r.verdict.value == "valid")
    values = [f"{_part(r.uri, names, sheet)}: {_side(r.verdict.value, sheet)}" for r in ordered]
    yield from sheet.rows(Text("Từng phần", "Part by part"), values, Text("phần", "parts"))


def _part(uri: str, names: Mapping[str, str], sheet: Sheet) -> str:
    if not uri:
        return sheet.word(Text("toàn gói tin", "the whole package"))
    name = bare_cid(uri) if is_cid(uri) else ""
    if name == HEADER_ID:
        return sheet.word(Text("phần đầu văn bản", "header"))
    file = sheet.word(Text("tệp", "file"))
    return f"{file} {names[name]}" if name in names else uri
