"""`bien-ban.pdf`: the minutes as a person prints them: A4, page numbers, the table of digests.

In:     a Case, the packages as they were read.
Out:    a PDF that names the SHA-256 of the minutes it shows; or what a PDF names.
Fails:  never.
Never:  says what `bien-ban.txt` does not, but for the digests; is needed to verify: reading what
        it names takes no library.

The same case gives the same bytes on the same libraries: its date is that of the evidence, and no
number in it is random. A reader without them cannot make it again, so it is held to the minutes by
the digest that it names, and to the ledger by the list that the ledger signed.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.evidence import layout, minutes
from gateway.evidence.case import Case

if TYPE_CHECKING:
    from fpdf import FPDF

_FONTS = Path(__file__).parent / "fonts"
_FONT = "DejaVu"
_SIZE, _SMALL, _LINE = 10, 7, 5.2  # points; 64 hexadecimal digits of 7 fit into 108 mm
_MARGIN = 20  # millimetres; NĐ 30/2020/NĐ-CP appendix I: 20 to 25 at the top, 30 to 35 at the left
_LEFT = 30
_WIDTH = 210 - _LEFT - _MARGIN
_NAMES = re.compile(rb"edoc-gateway minutes sha256:([0-9a-f]{64})")
_MISSING = "□"
# what fonts/ORIGIN.md kept of them
_KEPT = (
    (0x20, 0x7E),
    (0xA0, 0x17F),
    (0x1A0, 0x1A1),
    (0x1AF, 0x1B0),
    (0x1EA0, 0x1EF9),
    (0x2010, 0x2015),
    (0x2018, 0x201E),
    (0x2020, 0x2022),
    (0x2026, 0x2026),
    (0x20AB, 0x20AC),
    (0x25A1, 0x25A1),
)


def names(pdf: bytes) -> str:
    """The SHA-256 (hex) of the minutes that a PDF of ours says it shows; "" when it says none."""
    found = set(_NAMES.findall(pdf))
    return found.pop().decode() if len(found) == 1 else ""


def write(case: Case, packages: Sequence[minutes.Seen]) -> bytes:
    from fpdf import FPDF, XPos, YPos

    text = minutes.write(case, packages)
    title, *lines = text.splitlines()
    digest = hashlib.sha256(text.encode()).hexdigest()

    class Pages(FPDF):
        def footer(self) -> None:
            self.set_y(-15)
            self.set_font(_FONT, size=_SMALL)
            self.cell(_WIDTH / 2, 8, case.origin)
            self.cell(_WIDTH / 2, 8, f"Trang {self.page_no()}/{{nb}}", align="R")

    pdf = Pages(format="A4")
    pdf.set_creation_date(case.at)
    pdf.set_title("Biên bản gửi, nhận văn bản điện tử")
    pdf.set_lang("vi-VN")
    # uncompressed, and not UTF-16: whoever reads it without a library finds it
    pdf.set_keywords(f"edoc-gateway minutes sha256:{digest}")
    for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
        pdf.add_font(_FONT, style, _FONTS / name)
    pdf.set_margins(_LEFT, _MARGIN, _MARGIN)
    pdf.set_auto_page_break(True, margin=22)
    pdf.add_page()
    pdf.set_font(_FONT, "B", 13)
    pdf.multi_cell(0, 8, _shown(title.strip()), align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for line in lines:
        _line(pdf, line)
    _digests(pdf, case, packages, digest)
    return bytes(pdf.output())


def _line(pdf: FPDF, line: str) -> None:
    """A line of the minutes: what stands at the margin in capitals is a heading."""
    from fpdf import XPos, YPos

    words = line.strip()
    if not words:
        pdf.ln(_LINE / 2)
        return
    indent = (len(line) - len(line.lstrip())) * 1.5
    heading = not indent and words.split(" ")[0].isupper() and words[:1].isalpha()
    pdf.set_font(_FONT, "B" if heading else "", _SIZE)
    pdf.set_x(_LEFT + indent)
    pdf.multi_cell(
        _WIDTH - indent, _LINE, _shown(words), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT
    )


def _digests(pdf: FPDF, case: Case, packages: Sequence[minutes.Seen], of_minutes: str) -> None:
    pdf.ln(_LINE)
    _line(pdf, "BẢNG GIÁ TRỊ BĂM (SHA-256) của các phần trong tệp bằng chứng")
    pdf.set_font(_FONT, size=_SMALL)
    with pdf.table(
        col_widths=(52, 108), width=_WIDTH, line_height=4.2, align="L", text_align="L"
    ) as table:
        table.row(("Phần", "SHA-256"))
        for what, digest in ((layout.MINUTES, of_minutes), *digests(case, packages)):
            table.row((_shown(what), digest))


def digests(case: Case, packages: Sequence[minutes.Seen]) -> Iterator[tuple[str, str]]:
    """What the table lists: packages and their files, records, checkpoints, stamps, receipts."""
    for seen in packages:
        yield f"gói tin ({seen.role})", seen.digest
        for fact in seen.files:
            yield f"tệp {fact.name}", fact.sha256
    for record in case.entries:
        yield layout.record(record.place), _sha256(record.body)
    for head in case.heads:
        yield layout.note(head), _sha256(head.note.encode())
        if head.token:
            yield layout.stamp(head), _sha256(head.token)
    for number, receipt in enumerate(case.receipts):
        yield layout.receipt(number), _sha256(receipt)


def _shown(text: str) -> str:
    """What the font can show, composed; □ for the rest."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(c if _known(ord(c)) else _MISSING for c in composed)


def _known(code: int) -> bool:
    return any(first <= code <= last for first, last in _KEPT)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
