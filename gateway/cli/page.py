"""What `inspect` says to a person about a package, in Vietnamese or English.

In:     a ReadPackage and the verdict on its signature.
Out:    lines of text.
Fails:  never.
Never:  calls a signature good without saying over what; hides a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from gateway.cli.answers import finding_line, told
from gateway.errors import Text
from gateway.model.package import (
    DocumentHeader,
    FileFact,
    Organ,
    SignatureVerdict,
    StatusReport,
)
from gateway.model.trust import CertificateTrust, TrustWord, instant
from gateway.packing.read import ReadPackage

Row = Callable[[str, str, str], Iterator[str]]  # label in Vietnamese, in English, value

_KINDS: Mapping[str, Text] = MappingProxyType(
    {
        "document": Text("Văn bản", "Document"),
        "status": Text("Gói tin trạng thái", "Status report"),
        "unknown": Text("Không rõ loại", "Of unknown kind"),
    }
)
_ACTS: Mapping[int, Text] = MappingProxyType(
    {
        0: Text("văn bản mới", "new document"),
        1: Text("thu hồi", "recall"),
        2: Text("cập nhật", "update"),
        3: Text("thay thế", "replacement"),
    }
)
_STATUSES: Mapping[str, Text] = MappingProxyType(
    {
        "01": Text("đã đến", "arrived"),
        "02": Text("từ chối nhận", "refused"),
        "03": Text("đã tiếp nhận", "accepted"),
        "04": Text("phân công xử lý", "assigned"),
        "05": Text("đang xử lý", "being processed"),
        "06": Text("hoàn thành", "finished"),
        "13": Text("lấy lại", "take back"),
        "15": Text("đồng ý lấy lại", "take back agreed"),
        "16": Text("từ chối lấy lại", "take back refused"),
    }
)
# what each summary of a verdict means for somebody who must decide (contract 4)
_VERDICTS: Mapping[str, Text] = MappingProxyType(
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
        "not_checked": Text(
            "CHƯA KIỂM TRA được: dạng chữ ký này không xét được ở đây",
            "NOT CHECKED: this form of signature cannot be judged here",
        ),
        "none": Text("KHÔNG có chữ ký", "NOT signed"),
    }
)
# what is known of the certificate behind it (circular 15/2025 5: the result, in Vietnamese)
_TRUST: Mapping[TrustWord, Text] = MappingProxyType(
    {
        TrustWord.TRUSTED: Text(
            "TIN CẬY: dẫn tới gốc đã khai báo, còn hạn và chưa bị thu hồi",
            "TRUSTED: it leads to a configured root, was valid and not revoked",
        ),
        TrustWord.UNTRUSTED: Text(
            "KHÔNG tin cậy: không dẫn tới gốc nào đã khai báo",
            "NOT trusted: it leads to none of the configured roots",
        ),
        TrustWord.EXPIRED: Text("HẾT HẠN", "EXPIRED"),
        TrustWord.NOT_YET_VALID: Text("CHƯA có hiệu lực", "NOT YET valid"),
        TrustWord.REVOKED: Text("ĐÃ BỊ THU HỒI", "REVOKED"),
        TrustWord.UNKNOWN_REVOCATION: Text(
            "CHƯA RÕ có bị thu hồi hay không", "it is NOT KNOWN whether it was revoked"
        ),
        TrustWord.NOT_CONFIGURED: Text(
            "chưa khai báo chứng thư gốc nào: chuỗi, thời hạn và thu hồi chưa được xét",
            "no roots are configured: its path, dates and revocation are not judged",
        ),
    }
)


def package_page(read: ReadPackage, verdict: SignatureVerdict, lang: str) -> Iterator[str]:
    """One line an item; what a person asks first stands first."""

    def row(vi: str, en: str, value: str) -> Iterator[str]:
        if shown := " ".join(value.split()):  # one line, whatever a stranger wrote
            yield f"  {vi if lang == 'vi' else en:18} {shown}"

    yield f"{told(_KINDS[read.kind], lang)} ({read.version})"
    if read.header is not None:
        header = read.header
        yield from row("Loại nghiệp vụ", "Act", _act(header, lang))
        yield from row("Nơi gửi", "From", _organ(header.sender))
        for organ in header.to:
            yield from row("Nơi nhận", "To", _organ(organ))
        yield from row("Mã văn bản", "Document id", header.document_id)
        numbered = _joined("/", header.code.number, header.code.notation)
        yield from row("Số, ký hiệu", "Code", numbered)
        issued = header.promulgation
        yield from row("Ngày ban hành", "Issued", _joined(", ", issued.place, issued.date))
        yield from row("Loại văn bản", "Type", header.document_type.name)
        yield from row("Trích yếu", "Subject", header.subject)
        signer = header.signer
        words = _joined(" ", signer.competence, signer.position)
        yield from row("Người ký", "Signed by", _joined(", ", signer.full_name, words))
        for trace in header.traces:
            passed = f"{trace.timestamp} {trace.organ_id}"
            yield from row("Qua", "Passed", passed)
    if read.status is not None:
        yield from _status(read.status, lang, row)
    yield from row("Gói tin", "Package", f"{read.size:,} B  sha256 {read.sha256}")
    yield ""
    yield f"{'Tệp đính kèm' if lang == 'vi' else 'Attachments'}: {len(read.files)}"
    for number, fact in enumerate(read.files, start=1):
        yield from _file(number, fact, lang)
    yield ""
    yield from _signature(verdict, lang)
    yield ""
    yield f"{'Ghi nhận' if lang == 'vi' else 'Findings'}: {len(read.findings)}"
    for finding in read.findings:
        yield f"  {finding_line(finding, lang)}"


def _status(report: StatusReport, lang: str, row: Row) -> Iterator[str]:
    words = told(_STATUSES[report.code], lang) if report.code in _STATUSES else ""
    yield from row("Trạng thái", "Status", f"{report.code} {words}".rstrip())
    yield from row("Nơi gửi", "From", _organ(report.sender))
    about = report.response_for
    yield from row("Gửi cho", "For", about.organ_id)
    yield from row("Về văn bản", "About", _joined("  ", about.document_id, about.code))
    yield from row("Lúc", "At", report.timestamp)
    yield from row("Nội dung", "Description", report.description)


def _act(header: DocumentHeader, lang: str) -> str:
    kind = header.business.type
    words = told(_ACTS[kind], lang) if kind in _ACTS else "?"
    about = ", ".join(header.about())
    return f"{kind} {words}" + (f": {about}" if about else "")


def _file(number: int, fact: FileFact, lang: str) -> Iterator[str]:
    vi = lang == "vi"
    if fact.failed:
        yield f"  {number}. {fact.name}: {'KHÔNG đọc được' if vi else 'CANNOT be read'}"
        return
    yield f"  {number}. {fact.name}"
    declared = fact.declared_type or ("không khai" if vi else "not declared")
    really = f"{'thực chất' if vi else 'really'} {fact.actual_type}"
    said = f"{'khai là' if vi else 'declared'} {declared}"
    yield f"     {really}, {said}, {fact.size:,} B"
    yield f"     sha256 {fact.sha256}"
    if fact.unwrapped:
        words = "đã lấy ra khỏi zip" if vi else "taken out of a zip of"
        yield f"     {words} {fact.carried_size:,} B"
    if fact.declared_name != fact.name:
        yield f"     {'tên khai' if vi else 'declared name'} {fact.declared_name!r}"


def _signature(verdict: SignatureVerdict, lang: str) -> Iterator[str]:
    summary = verdict.summary()
    yield f"{'Chữ ký' if lang == 'vi' else 'Signature'}: {told(_VERDICTS[summary], lang)}"
    if verdict.profile == "none":
        return
    yield f"  {verdict.profile}  {verdict.algorithm}"
    for name, value in verdict.certificate.items():
        if name != "trust":
            yield f"  {name}: {value}"
    yield from _trust(verdict.trust, lang)
    for reference in verdict.references:
        uri = reference.uri or 'URI=""'
        yield f"  {reference.verdict.value:12} {uri}"


def _trust(trust: CertificateTrust | None, lang: str) -> Iterator[str]:
    """The word, the instant it is for, the path upwards, and the evidence with its age."""
    if trust is None:
        return
    vi = lang == "vi"
    yield f"  {'Chứng thư' if vi else 'Certificate'}: {told(_TRUST[trust.word], lang)}"
    yield f"    {'xét tại' if vi else 'judged at'} {instant(trust.at)} {trust.why}".rstrip()
    for step in trust.path[1:]:
        yield f"    {'cấp bởi' if vi else 'issued by'} {' '.join(step.subject.split())}"
    for fact in trust.revocation:
        said = f"{fact.kind} {fact.status.value} {fact.why} {fact.reason}".split()
        if fact.revoked_at is not None:
            said.append(instant(fact.revoked_at))
        if fact.age is not None:
            said.append(f"({'tuổi' if vi else 'age'} {fact.age} s)")
        yield f"    {'thu hồi' if vi else 'revocation'}: {' '.join(said)}"


def _organ(organ: Organ) -> str:
    return _joined("  ", organ.organ_id, organ.name)


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)
