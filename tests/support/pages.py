"""Packages as values, one for each thing a page of `inspect` can say, and their golden pages.

`python -m tests.support.pages` (from the root of the checkout) writes tests/golden/pages anew. Read
every line of the difference before it is committed: a person will read it, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.cli.answers import plain
from gateway.cli.page import package_page
from gateway.errors import Finding, Severity, Text
from gateway.model.package import (
    STATUS_CODES,
    Business,
    DocumentCode,
    DocumentHeader,
    Extra,
    FileFact,
    Organ,
    OtherInfo,
    ReceiverChange,
    ReferenceVerdict,
    Replacement,
    ResponseFor,
    SignatureVerdict,
    Staff,
    StatusReport,
    TraceHeader,
    Trust,
)
from gateway.model.trust import (
    CertificateTrust,
    PathStep,
    RevocationFact,
    RevocationWord,
    TrustWord,
)
from gateway.packing.read import ReadPackage
from tests.support.packages import a_header, a_status

GOLDEN = Path(__file__).parents[1] / "golden" / "pages"
Case = tuple[ReadPackage, SignatureVerdict]

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
UNSIGNED = SignatureVerdict("none", Trust.NONE, Trust.NONE, Trust.NONE)
CERTIFICATE = {
    "subject": "CN=Sở mẫu\\, con dấu,O=Tỉnh mẫu,UID=MST:0100000000",
    "issuer": "CN=CA thử nghiệm,O=TEST - không có giá trị,C=VN",
    "serial": "1a2b3c4d5e6f",
    "not_before": "2025-12-31T17:30:00Z",
    "not_after": "2030-12-31T10:00:00Z",
    "sha256": "cd" * 32,
    "key": "RSA 2048",
    "trust": "not_checked",
}
RECEIVERS = (
    Organ("000.00.00.G22", "Văn phòng Chính phủ"),
    Organ("000.00.00.H14", "Ủy ban nhân dân tỉnh Cao Bằng"),
)
EARLIER = ResponseFor(
    "000.00.00.G22", "267/VPCP-TTĐT", "000.00.00.G22,2026/08/06,267/VPCP-TTĐT", "2026-08-06"
)


def a_file(number: int, name: str, kind: str, size: int, **changes: object) -> FileFact:
    fact = FileFact(
        name=name,
        size=size,
        sha256=f"{number:02x}" * 32,
        carried_size=size,
        carried_sha256=f"{number:02x}" * 32,
        unwrapped=False,
        declared_name=name,
        actual_type=kind,
        content_id=f"cid:5a0e1c1e-0000-4000-8000-{number:012d}",
    )
    return replace(fact, **changes)  # type: ignore[arg-type]  # callers name real fields


LETTER = a_file(1, "12-STTTT-VX.pdf", "application/pdf", 1_263_616)
TABLE = a_file(2, "Bảng kê.xlsx", SHEET, 18_240, unwrapped=True, carried_size=17_001)


def a_package(
    header: DocumentHeader | None = None,
    status: StatusReport | None = None,
    files: tuple[FileFact, ...] = (),
    **changes: object,
) -> ReadPackage:
    kind = "status" if status else "document" if header else "unknown"
    made = ReadPackage(
        kind=kind,
        version="qcvn102",
        header=header,
        status=status,
        files=files,
        signature=None,
        extras=(),
        findings=(),
        sha256="ab" * 32,
        size=1_701_234,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # callers name real fields


def a_verdict(
    value: Trust = Trust.VALID,
    header: Trust = Trust.VALID,
    files: tuple[Trust, ...] = (Trust.VALID, Trust.VALID),
    **changes: object,
) -> SignatureVerdict:
    """Over the header, LETTER and TABLE."""
    references = (
        ReferenceVerdict("cid:edxml-header", header),
        ReferenceVerdict(LETTER.content_id, files[0]),
        ReferenceVerdict(TABLE.content_id, files[1]),
    )
    worst = next((t for t in files if t is not Trust.VALID), Trust.VALID)
    verdict = SignatureVerdict(
        "relay", value, header, worst, references, dict(CERTIFICATE), RSA_SHA256
    )
    return replace(verdict, **changes)  # type: ignore[arg-type]  # callers name real fields


def a_finding(number: int, code: str, vi: str, en: str, severity: Severity) -> Finding:
    where = f"/edXML/AttachmentEncoded/Attachment (line {40 + number}) [{number}]"
    return Finding(where, code, severity, Text(vi, en), "QCVN 102:2016/BTTTT")


def acts() -> Iterator[tuple[str, Case]]:
    files = (LETTER, TABLE)
    urgent = a_header(
        sender=Organ(
            "000.00.19.H14",
            "Sở Khoa học và Công nghệ tỉnh Cao Bằng",
            in_charge="Ủy ban nhân dân tỉnh Cao Bằng",
            telephone="0206 3000000",
            email="vanthu@mau.example.vn",
        ),
        to=RECEIVERS,
        other=OtherInfo(priority=2, sphere="Liên thông văn bản", copies=1, pages=12),
        response_for=(EARLIER, ResponseFor(code="15/QĐ-UBND")),
        business=Business(paper=1),
    )
    yield "new", (a_package(urgent, files=files), a_verdict())
    staff = (Staff("Phòng Văn thư", "", "Người mẫu", "", "vt@mau.example.vn", "0900000000"),)
    recall = a_header(
        to=RECEIVERS,
        response_for=(EARLIER, ResponseFor(document_id="000.00.19.H14,2026/08/07,268/SM-VP")),
        business=Business(type=1, reason="Ban hành nhầm thẩm quyền", paper=0, staff=staff),
    )
    yield "recall", (a_package(recall, files=files), a_verdict())
    update = a_header(
        to=RECEIVERS,
        business=Business(
            type=2,
            document_id=EARLIER.document_id,
            reason="Bổ sung nơi nhận",
            document_changed=0,
            receivers_changed=1,
            receivers=(
                ReceiverChange("000.00.00.H14", 1),
                ReceiverChange("000.00.00.H41", 0),
                ReceiverChange("000.00.00.H17", 0),
            ),
            staff=staff,
        ),
    )
    yield "update", (a_package(update, files=files), a_verdict())
    replacement = a_header(
        to=RECEIVERS,
        response_for=(EARLIER,),
        business=Business(
            type=3,
            reason="Sai nội dung Điều 2",
            replaces=(
                Replacement(EARLIER.document_id, ("000.00.00.G22", "000.00.00.H14")),
                Replacement("000.00.19.H14,2026/08/08,269/SM-VP", ("000.00.00.H41",)),
                Replacement(EARLIER.document_id, ("000.00.00.H41",)),
            ),
        ),
    )
    yield "replacement", (a_package(replacement, files=files), a_verdict())


def a_revocation() -> CertificateTrust:
    """The sender's certificate is listed, that of its issuer is in order; judged in Hà Nội."""
    at = datetime(2026, 11, 20, 3, tzinfo=UTC)
    years = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC))
    path = (
        PathStep(CERTIFICATE["subject"], CERTIFICATE["sha256"], *years),
        PathStep("CN=CA thử nghiệm,O=TEST - không có giá trị,C=VN", "ab" * 32, *years),
        PathStep("CN=Gốc thử nghiệm", "ef" * 32, *years),
    )
    facts = (
        RevocationFact(
            CERTIFICATE["sha256"],
            RevocationWord.REVOKED,
            kind="crl",
            age=5400,
            reason="keyCompromise",
            revoked_at=at - timedelta(days=1),
        ),
        RevocationFact("ab" * 32, RevocationWord.GOOD, kind="ocsp", age=90),
    )
    return CertificateTrust(TrustWord.REVOKED, at, "keyCompromise", path, facts)


def signatures() -> Iterator[tuple[str, Case]]:
    """The letter of an ordinary document under each verdict."""
    read = a_package(a_header(), files=(LETTER, TABLE))
    false = a_verdict(files=(Trust.FALSE, Trust.VALID))
    yield "signature-false", (read, false)
    yield "signature-files-only", (read, a_verdict(header=Trust.NONE))
    weak = Trust.NOT_CHECKED
    whole = (ReferenceVerdict("", weak),)
    enveloped = a_verdict(profile="enveloped", references=whole, certificate={})
    old = replace(enveloped, value=Trust.WEAK, header=weak, files=weak, algorithm=RSA_SHA1)
    yield "signature-weak", (read, old)
    yield "signature-revoked", (read, a_verdict(trust=a_revocation()))


def troubled() -> Iterator[tuple[str, Case]]:
    many = [a_file(n, f"phu-luc-{n}.docx", WORD, 20_000 + n) for n in range(1, 31)]
    many[24] = a_file(
        25, "ảnh chụp.jpg", "application/edxml+xml", 388_347, description="ảnh hiện trường"
    )
    many[27] = a_file(28, "hỏng.pdf", "", 0, failed=True, sha256="", carried_sha256="")
    broken = a_finding(
        28,
        "attachment.base64",
        "Nội dung không phải base64",
        "the content is not base64",
        Severity.ERROR,
    )
    other = a_finding(
        25,
        "attachment.type_differs",
        "Tên tệp là 'ảnh chụp.jpg' nhưng nội dung thực là application/edxml+xml",
        "the name says 'ảnh chụp.jpg', the bytes are application/edxml+xml",
        Severity.WARNING,
    )
    padding = tuple(
        a_finding(
            n, "attachment.padding", "Thiếu ký tự đệm", "padding is missing", Severity.WARNING
        )
        for n in range(1, 8)
    )
    note = Finding(
        "/edXML", "xml.prefix_repaired", Severity.NOTE, Text("Đã khai tiền tố", "prefix declared")
    )
    failed = a_package(a_header(), files=tuple(many), findings=(note, *padding, other, broken))
    yield "failed", (failed, UNSIGNED)
    yield "hostile", hostile()
    bare = a_header(
        sender=Organ(),
        to=(),
        document_id="",
        code=DocumentCode(),
        business=Business(type=7),
        other=OtherInfo(priority=9),
        paper=1,
        traces=(TraceHeader("", "hôm qua"), TraceHeader("000.00.00.G22", "")),
    )
    bare = replace(bare, promulgation=replace(bare.promulgation, date="2014/02/30", place=""))
    bare = replace(bare, business=replace(bare.business, paper=0))
    yield "bare", (a_package(bare), UNSIGNED)
    yield "unknown", (a_package(version="edxml1"), UNSIGNED)


HOSTILE = "\x1b[2J\x1b]0;hỏng\x07\u202egnp.exe\u2066\n\nChữ ký số: ĐÚNG\r\x9b31m\u200b\U000e0041"


def hostile() -> Case:
    """Everything a stranger can write, written to deceive the reader or the terminal."""
    header = a_header(
        sender=Organ("000.00.19.H14", HOSTILE),
        to=tuple(Organ(f"000.00.00.H{n:02}", f"Nơi nhận số {n}") for n in range(14)),
        subject=f"Trích yếu {HOSTILE} " + "văn bản dài " * 60,
        document_id="d" * 200,
        content="中文内容" * 30,
        traces=(TraceHeader(HOSTILE, HOSTILE),),
        response_for=(ResponseFor(code=HOSTILE, promulgation_date="30/02/2026"),),
    )
    name = f"a{HOSTILE}.pdf"
    renamed = a_file(1, "a_gnp.exe_.pdf", "application/pdf", 1, declared_name=name)
    finding = Finding(HOSTILE, "x.y", Severity.ERROR, Text(HOSTILE, HOSTILE), HOSTILE)
    extras = tuple(Extra(f"/edXML/{HOSTILE}{n}", HOSTILE * 3) for n in range(8))
    false = a_verdict(Trust.FALSE, Trust.FALSE, (Trust.FALSE, Trust.FALSE), algorithm=HOSTILE)
    outside = (*false.references, ReferenceVerdict(f"http://{HOSTILE}", Trust.NOT_CHECKED))
    verdict = replace(
        false,
        references=outside,
        certificate={"subject": HOSTILE, "not_before": HOSTILE, "not_after": HOSTILE},
    )
    read = a_package(header, files=(renamed,), findings=(finding,), extras=extras)
    return read, verdict


def statuses() -> Iterator[tuple[str, Case]]:
    for code in (*STATUS_CODES, "99"):
        description = "" if code == "16" else f"Nội dung mẫu của trạng thái {code}"
        yield f"status-{code}", (a_package(status=a_status(code=code, description=description),
                                           size=1_683), UNSIGNED)  # fmt: skip


def cases() -> Mapping[str, Case]:
    return dict([*acts(), *signatures(), *troubled(), *statuses()])


def page(case: Case, lang: str, width: int) -> str:
    """As it reaches the terminal."""
    return "".join(f"{plain(line)}\n" for line in package_page(*case, lang, width))


def golden() -> Iterator[tuple[str, str]]:
    """File name and text of every golden page. All statuses of one language share a file."""
    for lang in ("vi", "en"):
        for name, case in (*acts(), *signatures(), *troubled()):
            yield f"{name}.{lang}.txt", page(case, lang, 80)
        for name in ("new", "hostile"):
            yield f"{name}.{lang}.120.txt", page(cases()[name], lang, 120)
        told = [page(case, lang, 80) for _, case in statuses()]
        yield f"status.{lang}.txt", ("-" * 80 + "\n").join(told)


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, text in golden():
        (GOLDEN / name).write_text(text, "utf-8")
