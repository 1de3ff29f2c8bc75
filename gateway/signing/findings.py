"""What a verdict on a signature tells people: a named finding for each kind of trouble.

In:     a SignatureVerdict.
Out:    findings, one for each code, with how many references it concerns and the first of them.
Fails:  never.
Never:  makes an error of it: no package is thrown away for its signature (edxml-format 9.4).

Trouble with the block's own shape (several blocks, doubled parts) is found by the reader, which
sees the elements: packing/wrapping.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gateway.errors import Finding, Severity, Text
from gateway.model.package import ReferenceVerdict, SignatureVerdict

_RULE = "QCVN 102:2016/BTTTT"
_PATH = "signature"
_FALSE = Finding(
    _PATH,
    "signature.false",
    Severity.WARNING,
    Text(
        "Chữ ký của gói tin sai: nội dung ký không khớp với gói tin",
        "the package's signature is false: what was signed is not what the package holds",
    ),
    _RULE,
)
_KNOWN = (
    Finding(
        _PATH,
        "signature.reference_outside",
        Severity.WARNING,
        Text(
            "Chữ ký tham chiếu tới nội dung ngoài gói tin; không tải về, không tính là đã ký",
            "the signature refers to something outside the package; it is never fetched, and "
            "nothing counts as signed by it",
        ),
        _RULE,
    ),
    Finding(
        _PATH,
        "signature.reference_missing",
        Severity.WARNING,
        Text(
            "Chữ ký tham chiếu tới tệp đính kèm không có trong gói tin",
            "the signature refers to an attachment that the package does not hold",
        ),
        _RULE,
    ),
    Finding(
        _PATH,
        "signature.reference_doubled",
        Severity.WARNING,
        Text(
            "Chữ ký tham chiếu hai lần tới cùng một tệp đính kèm",
            "the signature refers to one attachment twice",
        ),
        _RULE,
    ),
    Finding(
        _PATH,
        "signature.content_id_doubled",
        Severity.WARNING,
        Text(
            "Hai tệp đính kèm mang cùng mã nội dung mà chữ ký tham chiếu",
            "two attachments have the content id that the signature refers to",
        ),
        _RULE,
    ),
    Finding(
        _PATH,
        "signature.transform",
        Severity.WARNING,
        Text(
            "Chữ ký dùng phép biến đổi ngoài danh sách cho phép; không thực hiện",
            "the signature asks for a transform outside the allow-list; it is not run",
        ),
        _RULE,
    ),
    Finding(
        _PATH,
        "signature.several",
        Severity.WARNING,
        Text(
            "Gói tin có nhiều hơn một khối chữ ký; không rõ khối nào bao trùm văn bản",
            "there is more than one signature block; none counts as covering the document",
        ),
        _RULE,
    ),
    Finding(
        _PATH,
        "signature.file_unsigned",
        Severity.WARNING,
        Text(
            "Tệp đính kèm không được chữ ký bao trùm",
            "an attachment that the signature does not cover",
        ),
        _RULE,
    ),
    Finding(
        _PATH,
        "signature.not_verifiable",
        Severity.WARNING,
        Text(
            "Không kiểm chứng được chữ ký trên toàn văn bản: gói tin đã được ghi lại sau khi ký",
            "the signature over the whole document cannot be verified: the package was written "
            "anew, or changed, after signing",
        ),
        _RULE,
    ),
)
_SAID: Mapping[str, Text] = MappingProxyType({f.code: f.text for f in _KNOWN})


def signature_findings(verdict: SignatureVerdict) -> tuple[Finding, ...]:
    """Warnings; `signature.false` first, then one for each `why` in the order of references."""
    false = (_FALSE,) if verdict.summary() == "false" else ()
    return (*false, *_reasons(verdict.references))


def _reasons(references: tuple[ReferenceVerdict, ...]) -> Iterator[Finding]:
    concerned: dict[str, list[str]] = {}
    for reference in references:
        if reference.why:
            concerned.setdefault(reference.why, []).append(reference.uri)
    for code, uris in concerned.items():
        said = _SAID[code]
        first = repr(uris[0][:100]) if uris[0] else 'URI=""'
        more = f" (+{len(uris) - 1})" if len(uris) > 1 else ""
        text = Text(f"{said.vi}: {first}{more}", f"{said.en}: {first}{more}")
        yield Finding(_PATH, code, Severity.WARNING, text, _RULE)
