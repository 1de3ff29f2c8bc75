"""The attachments: name, kind, size, and what is not as it seems.

In:     the facts of the files, the findings of the reader.
Out:    lines.
Fails:  never.
Never:  hides a file that failed or is not what its name says, however many there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from gateway.cli.page.amounts import about, grouped, measured
from gateway.cli.page.lines import Sheet
from gateway.cli.page.media import SEALED, kind_of
from gateway.errors import Finding, Severity, Text
from gateway.model.package import FileFact
from gateway.packing.names import extension
from gateway.packing.sniff import contradicts

MOST_FILES = 10
_UNSAID = Text("", "")
_NUMBER_IN_PATH = re.compile(r"/Attachment(?:\[(\d+)\])? \(line \d+\)(?: \[(\d+)\])?$")


def file_lines(
    files: Sequence[FileFact], findings: Sequence[Finding], sheet: Sheet
) -> Iterator[str]:
    """The first ten, and the first ten of those that need a look; then how many remain."""
    vi = sheet.lang == "vi"
    heading = "Tệp đính kèm" if vi else "Attachments"
    if not files:
        yield from sheet.heading(f"{heading}: {'không có' if vi else 'none'}")
        return
    total = about(sum(f.size for f in files), sheet.lang)
    unit = "tệp" if vi else "file" if len(files) == 1 else "files"
    yield from sheet.heading(f"{heading}: {grouped(len(files), sheet.lang)} {unit}, {total}")
    odd = [i for i, fact in enumerate(files) if _odd(fact)][:MOST_FILES]
    shown = sorted({*range(min(MOST_FILES, len(files))), *odd})
    whys = reasons(findings)
    for index in shown:
        yield from _file(index, files[index], sheet.word(whys.get(index + 1, _UNSAID)), sheet)
    if left := len(files) - len(shown):
        yield from sheet.line(sheet.besides(left, Text("tệp", "files")))


def _odd(fact: FileFact) -> bool:
    return fact.failed or differs(fact) or fact.name != fact.declared_name


def differs(fact: FileFact) -> bool:
    """Whether the bytes are something else than the name promises."""
    return not fact.encrypted and contradicts(extension(fact.declared_name), fact.actual_type)


def _file(index: int, fact: FileFact, why: str, sheet: Sheet) -> Iterator[str]:
    vi = sheet.lang == "vi"
    head = f"{index + 1}. "
    yield from sheet.line(head + sheet.short(fact.name), hang=len(head))
    deeper = 2 + len(head)
    if fact.failed:
        words = "KHÔNG đọc được" if vi else "CANNOT be read"
        yield from sheet.line(f"{words}: {sheet.short(why)}" if why else words, indent=deeper)
    else:
        for said in _facts(fact, sheet):
            yield from sheet.line(said, indent=deeper)
    if fact.declared_name != fact.name:
        words = "tên trong gói tin" if vi else "its name in the package"
        given = sheet.short(fact.declared_name) or ("trống" if vi else "empty")
        yield from sheet.line(f"{words}: {given}", indent=deeper)
    if fact.description not in {"", fact.name, fact.declared_name}:
        words = "mô tả" if vi else "description"
        yield from sheet.line(f"{words}: {sheet.short(fact.description)}", indent=deeper)


def _facts(fact: FileFact, sheet: Sheet) -> Iterator[str]:
    """What the file is and how large; each further fact that a person must know on its own."""
    vi, lang = sheet.lang == "vi", sheet.lang
    seen = SEALED.get(fact.encrypted) or kind_of(fact.actual_type, extension(fact.declared_name))
    kind = sheet.word(seen)
    yield f"{sheet.short(kind)}, {measured(fact.size, lang)}"
    if differs(fact):
        yield (
            "CHÚ Ý: nội dung khác với tên tệp"
            if vi
            else "NOTE: the content is not what the name says"
        )
    if fact.encrypted:
        yield (
            "đã mã hóa: chỉ nơi nhận có khóa mới mở được"
            if vi
            else "encrypted: only the receiver who has the key can open it"
        )
    if fact.unwrapped:
        carried = about(fact.carried_size, lang)
        yield (
            f"đã lấy ra từ tệp ZIP {carried} trong gói tin"
            if vi
            else f"taken out of a ZIP of {carried} in the package"
        )
    yield f"SHA-256 {fact.sha256}"


def reasons(findings: Sequence[Finding]) -> Mapping[int, Text]:
    """Number of an attachment, from 1 -> the words of its first error."""
    found: dict[int, Text] = {}
    for finding in findings:
        place = _NUMBER_IN_PATH.search(finding.path)
        if place is not None and finding.severity is Severity.ERROR:
            found.setdefault(int(place[1] or place[2] or 1), finding.text)
    return found
