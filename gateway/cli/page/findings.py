"""What was found, the worst first, and how much of it needs attention.

In:     the findings of the reader and of the judges; what the signature gives cause for.
Out:    `attention`, a number; lines.
Fails:  never.
Never:  hides a kind of finding; of many alike the first are shown and the rest counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gateway.cli.page.amounts import grouped
from gateway.cli.page.lines import Sheet
from gateway.cli.page.parties import joined
from gateway.errors import Finding, Severity, Text

_ALIKE = 3
_GROUPS = (
    (Severity.ERROR, Text("Lỗi", "Errors")),
    (Severity.WARNING, Text("Cảnh báo", "Warnings")),
    (Severity.NOTE, Text("Ghi chú", "Notes")),
)


def attention(findings: Sequence[Finding], troubles: Sequence[Text]) -> int:
    """Errors, warnings and what is wrong with the signature; notes need nobody."""
    return len(troubles) + sum(f.severity is not Severity.NOTE for f in findings)


def headline(title: str, number: int, sheet: Sheet) -> str:
    """`Thu hồi văn bản: 3 điều cần chú ý`"""
    if not number:
        return f"{title}: {sheet.word(Text('không có lỗi hay cảnh báo', 'no errors, no warnings'))}"
    one = number == 1
    amount = grouped(number, sheet.lang)
    need = Text(
        f"{amount} điều cần chú ý (xem cuối trang)",
        f"{amount} {'thing needs' if one else 'things need'} attention (end of the page)",
    )
    return f"{title}: {sheet.word(need)}"


def finding_lines(
    findings: Sequence[Finding], troubles: Sequence[Text], sheet: Sheet
) -> Iterator[str]:
    vi = sheet.lang == "vi"
    number = attention(findings, troubles)
    heading = "Cần chú ý" if vi else "Needs attention"
    amount = grouped(number, sheet.lang) if number else "không có gì" if vi else "nothing"
    yield from sheet.heading(f"{heading}: {amount}")
    if troubles:
        yield from sheet.line(f"{'Chữ ký số' if vi else 'Signature'} ({len(troubles)})")
        for trouble in troubles:
            yield from _marked("!", sheet.short(sheet.word(trouble)), sheet)
    for severity, name in _GROUPS:
        group = [f for f in findings if f.severity is severity]
        if group:
            yield from sheet.line(f"{sheet.word(name)} ({grouped(len(group), sheet.lang)})")
            yield from _alike(group, " " if severity is Severity.NOTE else "!", sheet)


def _alike(group: Sequence[Finding], margin: str, sheet: Sheet) -> Iterator[str]:
    """By code, in the order in which each code was met first."""
    first: dict[str, int] = {}
    for finding in group:
        first.setdefault(finding.code, len(first))
    ordered = sorted(group, key=lambda f: first[f.code])
    for code, items in groupby(ordered, key=lambda f: f.code):
        same = list(items)
        for finding in same[:_ALIKE]:
            yield from _finding(finding, margin, sheet)
        if len(same) > _ALIKE:
            more = Text(f"điều {code}", f"of {code}")
            yield from sheet.line(sheet.besides(len(same) - _ALIKE, more), indent=4)


def _finding(finding: Finding, margin: str, sheet: Sheet) -> Iterator[str]:
    yield from _marked(margin, sheet.short(sheet.word(finding.text)), sheet)
    where = "" if finding.path == "/" else sheet.short(finding.path)
    rule = f"({finding.rule})" if finding.rule else ""
    yield from sheet.line(joined(" ", f"[{finding.code}]", where, rule), indent=6, hang=2)


def _marked(margin: str, text: str, sheet: Sheet) -> Iterator[str]:
    lines = sheet.line(text, indent=4, hang=2)
    yield f"{margin} {next(lines)[2:]}".rstrip()
    yield from lines
