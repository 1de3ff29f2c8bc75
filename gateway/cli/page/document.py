"""A document as somebody at the counter asks for it: who, whom, which, when, what, how urgent.

In:     the header of a document package.
Out:    lines; the act is in `acts`.
Fails:  never.
Never:  guesses what a code means that implementations disagree about (SteeringType).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gateway.cli.page.amounts import day, moment
from gateway.cli.page.lines import Sheet
from gateway.cli.page.parties import (
    OTHER_DOCUMENTS,
    OTHER_RECEIVERS,
    OTHERS,
    earlier,
    joined,
    named,
    names_in,
    organ,
)
from gateway.errors import Text
from gateway.model.package import BusinessType, DocumentHeader

# edxml-format 8; decree 30/2020, annex I, III.2 b has the upper three, 4 is older
URGENCY: Mapping[int, Text] = MappingProxyType(
    {
        0: Text("thường", "normal"),
        1: Text("KHẨN", "URGENT (khẩn)"),
        2: Text("THƯỢNG KHẨN", "VERY URGENT (thượng khẩn)"),
        3: Text("HỎA TỐC", "EXPRESS (hỏa tốc)"),
        4: Text(
            "HỎA TỐC HẸN GIỜ (mã cũ; nay là hỏa tốc)",
            "EXPRESS AT A SET HOUR (hỏa tốc hẹn giờ, an older code)",
        ),
    }
)
_NOT_SAID = Text("không nêu", "not stated")
_NO_TIME = Text("không nêu thời điểm", "no time stated")
_NO_AGENCY = Text("không nêu cơ quan", "no agency stated")
_PAPER: Mapping[frozenset[int], Text] = MappingProxyType(
    {
        frozenset(): _NOT_SAID,
        frozenset({0}): Text("không gửi kèm", "none is sent"),
        frozenset({1}): Text("có gửi kèm bản giấy", "one is sent too"),
        frozenset({0, 1}): Text(
            "nêu không thống nhất: vừa có vừa không", "stated both ways: one is sent, none is sent"
        ),
    }
)


def document_lines(header: DocumentHeader, sheet: Sheet) -> Iterator[str]:
    names = names_in(header)
    yield from _parties(header, sheet)
    code, issued = header.code, header.promulgation
    yield from sheet.row(Text("Số, ký hiệu", "Number"), joined("/", code.number, code.notation))
    place = f"{'tại' if sheet.lang == 'vi' else 'at'} {issued.place}" if issued.place else ""
    dated = joined(", ", day(issued.date, sheet.lang), place)
    yield from sheet.row(Text("Ngày ban hành", "Issued"), dated)
    yield from sheet.row(Text("Loại văn bản", "Type"), header.document_type.name)
    yield from sheet.row(Text("Trích yếu", "Subject"), header.subject)
    if header.content != header.subject:
        yield from sheet.row(Text("Nội dung", "Content"), header.content)
    yield from sheet.row(Text("Độ khẩn", "Urgency"), urgency(header.other.priority, sheet))
    yield from sheet.row(Text("Hạn xử lý", "Due"), day(header.due_date, sheet.lang))
    if header.business.type == BusinessType.NEW:  # else they are what the act is about: `acts`
        answered = [earlier(one, names, sheet.lang) for one in header.response_for]
        yield from sheet.rows(Text("Trả lời văn bản", "In reply to"), answered, OTHER_DOCUMENTS)
    signer = header.signer
    position = joined(" ", signer.competence, signer.position)
    yield from sheet.row(Text("Người ký", "Signed by"), joined(", ", signer.full_name, position))
    yield from sheet.row(Text("Bản giấy", "Paper copy"), paper(header, sheet))
    yield from _details(header, sheet)
    yield from sheet.row(Text("Mã định danh", "Document id"), header.document_id)
    passed = [
        joined(
            ", ",
            moment(hop.timestamp, sheet.lang) or sheet.word(_NO_TIME),
            named(hop.organ_id, names) or sheet.word(_NO_AGENCY),
        )
        for hop in header.traces
    ]
    yield from sheet.rows(Text("Đã đi qua", "Passed through"), passed, OTHERS)


def urgency(priority: int | None, sheet: Sheet) -> str:
    if priority is None:
        return sheet.word(_NOT_SAID)
    unknown = Text(
        f"mã {priority}, không có trong quy định", f"code {priority}, which no list knows"
    )
    return sheet.word(URGENCY.get(priority, unknown))


def paper(header: DocumentHeader, sheet: Sheet) -> str:
    """It may be said in two places (edxml-format 2.4)."""
    said = frozenset(p for p in (header.paper, header.business.paper) if p is not None)
    unknown = Text("giá trị không có trong quy định", "a value that no list knows")
    return sheet.word(_PAPER.get(said, unknown))


def _parties(header: DocumentHeader, sheet: Sheet) -> Iterator[str]:
    sender = header.sender
    yield from sheet.row(Text("Nơi gửi", "From"), organ(sender) or sheet.word(_NOT_SAID))
    if sender.in_charge != sender.name:
        yield from sheet.row(Text("Cơ quan chủ quản", "Parent agency"), sender.in_charge)
    contact = joined("; ", sender.telephone, sender.email)
    yield from sheet.row(Text("Liên hệ", "Contact"), contact)
    receivers = [organ(one) for one in header.to] or [sheet.word(_NOT_SAID)]
    yield from sheet.rows(Text("Nơi nhận", "To"), receivers, OTHER_RECEIVERS)


def _details(header: DocumentHeader, sheet: Sheet) -> Iterator[str]:
    other = header.other
    yield from sheet.row(Text("Lĩnh vực", "Field"), other.sphere)
    amounts = joined(
        ", ",
        _counted(other.pages, Text("trang", "page"), sheet),
        _counted(other.copies, Text("bản", "copy"), sheet),
    )
    yield from sheet.row(Text("Số trang, số bản", "Pages, copies"), amounts)
    yield from sheet.rows(Text("Phụ lục", "Appendixes"), other.appendixes, OTHERS)
    yield from sheet.rows(Text("Mã nhiệm vụ", "Task codes"), header.task_codes, OTHERS)
    places = "; ".join(header.to_places)
    yield from sheet.row(Text("Ghi ở Nơi nhận", "Distribution"), places)


def _counted(number: int | None, what: Text, sheet: Sheet) -> str:
    if number is None:
        return ""
    many = {"page": "pages", "copy": "copies"}[what.en]
    return f"{number} {sheet.word(what if number == 1 else Text(what.vi, many))}"
