"""What `inspect` says to a person about a package, in Vietnamese or English.

In:     a ReadPackage and the verdict on its signature.
Out:    lines of text, safe for a terminal and no wider than it.
Fails:  never.
Never:  calls a signature good without saying over what; hides a finding.

One module for each part of the page, in the order in which it is read:

    findings    how much needs attention: in the first line, and in full at the end
    document    who to whom, number, day, type, subject, urgency, due day, where it passed
    acts        recall, update, replacement: which documents, what changes, why, what next
    status      what is reported about which document, what next
    files       the attachments as they really are (media: what such a file is called)
    signature   what it covers, by which algorithm, whose certificate

`lines` makes every text safe and folds it; `amounts` writes numbers and days; `parties` agencies,
people and documents. A new line about something belongs to its part and to nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from gateway.cli.page import acts, status
from gateway.cli.page.amounts import measured
from gateway.cli.page.document import document_lines
from gateway.cli.page.files import file_lines
from gateway.cli.page.findings import attention, finding_lines, headline
from gateway.cli.page.lines import PLAIN_WIDTH, Sheet, terminal_width
from gateway.cli.page.signature import signature_lines, troubles
from gateway.errors import Text
from gateway.model.package import Extra, SignatureVerdict
from gateway.packing.read import ReadPackage

__all__ = ["package_page", "terminal_width"]

_VERSIONS: Mapping[str, Text] = MappingProxyType(
    {
        "qcvn102": Text("QCVN 102:2016/BTTTT", "QCVN 102:2016/BTTTT"),
        "edxml1": Text(
            "edXML 1.0 (trước QCVN 102:2016/BTTTT)", "edXML 1.0 (older than QCVN 102:2016/BTTTT)"
        ),
    }
)
_MOST_EXTRAS = 5
_LONGEST_EXTRA = 40


def package_page(
    read: ReadPackage, verdict: SignatureVerdict, lang: str, width: int = PLAIN_WIDTH
) -> Iterator[str]:
    """`width`: cells of the terminal. What a person asks first stands first."""
    sheet = Sheet(lang, width)
    concerns = troubles(verdict, {f.code for f in read.findings})
    number = attention(read.findings, concerns)
    yield from sheet.heading(headline(_title(read, sheet), number, sheet))
    if read.header is not None or read.status is not None:
        yield ""
    if read.header is not None:
        yield from document_lines(read.header, sheet)
        yield from acts.act_lines(read.header, sheet)
    if read.status is not None:
        yield from status.status_lines(read.status, sheet)
    if read.files or read.status is None:
        yield ""
        yield from file_lines(read.files, read.findings, sheet)
    if verdict.profile != "none" or read.status is None:
        yield ""
        yield from signature_lines(verdict, read.files, sheet)
    yield ""
    yield from _package(read, sheet)
    yield ""
    yield from finding_lines(read.findings, concerns, sheet)


def _title(read: ReadPackage, sheet: Sheet) -> str:
    if read.status is not None:
        return status.title(read.status, sheet)
    if read.header is not None:
        return sheet.word(acts.title(read.header))
    return sheet.word(Text("Không rõ loại gói tin", "Package of unknown kind"))


def _package(read: ReadPackage, sheet: Sheet) -> Iterator[str]:
    version = _VERSIONS.get(read.version, Text(read.version, read.version))
    yield from sheet.heading(sheet.word(Text("Gói tin", "Package")))
    yield from sheet.row(Text("Quy chuẩn", "Format"), sheet.word(version))
    yield from sheet.row(Text("Dung lượng", "Size"), measured(read.size, sheet.lang))
    yield from sheet.line(f"SHA-256 {read.sha256}")
    yield from _extras(read.extras, sheet)


def _extras(extras: Sequence[Extra], sheet: Sheet) -> Iterator[str]:
    """Names without the long path; what they hold only as far as it is short."""
    values = []
    for extra in extras:
        name = extra.path.rpartition("/")[2]
        held = " ".join(extra.value[: 10 * _LONGEST_EXTRA].split())
        if len(held) > _LONGEST_EXTRA:
            held = f"{held[:_LONGEST_EXTRA]}…"
        values.append(f"{name} = {held}" if held else name)
    label = Text("Ngoài quy chuẩn", "Not of the format")
    yield from sheet.rows(label, values, Text("mục", "items"), _MOST_EXTRAS)
