"""The act of a document package in words: recall, update, replacement, and what follows from it.

In:     the header of a document package.
Out:    the title of the act; lines: which documents, what changes, why, who asked, what to do next.
Fails:  never.
Never:  says that an act is allowed or done: only what the package asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gateway.cli.page.lines import MOST, Sheet
from gateway.cli.page.next_step import Next, next_lines
from gateway.cli.page.parties import (
    OTHER_DOCUMENTS,
    OTHER_PEOPLE,
    OTHER_RECEIVERS,
    earlier,
    joined,
    named,
    names_in,
    people,
)
from gateway.errors import Text
from gateway.model.package import Business, BusinessType, DocumentHeader

TITLES: Mapping[int, Text] = MappingProxyType(
    {
        0: Text("Văn bản mới", "New document"),
        1: Text("Thu hồi văn bản", "Recall of a document"),
        2: Text("Cập nhật văn bản", "Update of a document"),
        3: Text("Thay thế văn bản", "Replacement of a document"),
    }
)
# standards 3.1, 3.3, 3.4; what 15 and 16 answer: edxml-format 3
_NEXT: Mapping[int, Next] = MappingProxyType(
    {
        0: Next(
            Text(
                "Bên nhận kiểm tra tính xác thực, toàn vẹn và đầy đủ, rồi tiếp nhận "
                "(trạng thái 03) hoặc từ chối, nêu lý do (02).",
                "The receiver checks that it is authentic, whole and complete, then accepts it "
                "(status 03) or refuses it with a reason (02).",
            ),
            "QĐ 28/2018/QĐ-TTg, Điều 9.1; NĐ 30/2020/NĐ-CP, Điều 21.2",
        ),
        1: Next(
            Text(
                "Bên nhận hủy bỏ văn bản bị thu hồi trên hệ thống của mình và báo cho bên gửi "
                "biết.",
                "The receiver cancels the recalled document in its own system and tells the "
                "sender so.",
            ),
            "QĐ 28/2018/QĐ-TTg, Điều 9.2; NĐ 30/2020/NĐ-CP, Điều 18.4 điểm b",
        ),
        2: Next(
            Text(
                "Bên nhận xem phần thay đổi và trả lời: đồng ý (trạng thái 15) hoặc từ chối, "
                "nêu lý do (16).",
                "The receiver looks at what changed and answers: agreed (status 15) or refused "
                "with a reason (16).",
            ),
        ),
        3: Next(
            Text(
                "Bên nhận tiếp nhận văn bản này (trạng thái 03) và dùng nó thay cho văn bản bị "
                "thay thế, hoặc từ chối, nêu lý do (02).",
                "The receiver accepts this document (status 03) and uses it in place of the one "
                "replaced, or refuses it with a reason (02).",
            ),
            "NĐ 30/2020/NĐ-CP, Điều 18.3",
        ),
    }
)
_NO_REASON = Text("không nêu", "not stated")
_NOT_NAMED = Text("gói tin không nêu văn bản nào", "the package names no document")


def title(header: DocumentHeader) -> Text:
    kind = header.business.type
    unknown = Text(
        f"Văn bản, loại nghiệp vụ {kind} không có trong quy định",
        f"Document with act {kind}, which no list knows",
    )
    return TITLES.get(kind, unknown)


def act_lines(header: DocumentHeader, sheet: Sheet) -> Iterator[str]:
    """A block of its own for what is no new document."""
    business = header.business
    if business.type != BusinessType.NEW:
        yield ""
        yield from sheet.heading(sheet.word(title(header)))
    if business.type == BusinessType.REPLACE:
        yield from _replaced(header, sheet)
    elif business.type != BusinessType.NEW:
        labels = {
            1: Text("Thu hồi", "Recalls"),
            2: Text("Cập nhật", "Updates"),
        }
        label = labels.get(business.type, Text("Liên quan tới", "About"))
        about = _about(header, sheet)
        yield from sheet.rows(label, about or [sheet.word(_NOT_NAMED)], OTHER_DOCUMENTS)
    if business.type == BusinessType.UPDATE:
        yield from _changes(header, sheet)
    if business.type != BusinessType.NEW:
        reason = business.reason or sheet.word(_NO_REASON)
        yield from sheet.row(Text("Lý do", "Reason"), reason)
    asked = people(business.staff)
    yield from sheet.rows(Text("Người thực hiện", "Handled by"), asked, OTHER_PEOPLE)
    if business.type in _NEXT:
        yield from next_lines(_NEXT[business.type], sheet)


def _about(header: DocumentHeader, sheet: Sheet) -> list[str]:
    """Every earlier document, wherever it is named (edxml-format 6), each once."""
    names = names_in(header)
    known = _known(header, names, sheet)
    bare = [earlier(r, names, sheet.lang) for r in header.response_for if not r.document_id]
    return [*(known.get(one, one) for one in header.about()), *filter(None, bare)]


def _known(header: DocumentHeader, names: Mapping[str, str], sheet: Sheet) -> Mapping[str, str]:
    """What ResponseFor says of a document, by the document's id."""
    return {r.document_id: earlier(r, names, sheet.lang) for r in header.response_for}


def _changes(header: DocumentHeader, sheet: Sheet) -> Iterator[str]:
    business, names = header.business, names_in(header)
    yield from sheet.row(Text("Phần thay đổi", "What changed"), sheet.word(_changed(business)))
    for label, change in (
        (Text("Thêm nơi nhận", "Now also to"), 1),
        (Text("Bớt nơi nhận", "No longer to"), 0),
    ):
        concerned = [named(r.organ_id, names) for r in business.receivers if r.change == change]
        yield from sheet.rows(label, concerned, OTHER_RECEIVERS)
    odd = [
        f"{named(r.organ_id, names)}: ReceiverType {r.change}"
        for r in business.receivers
        if r.change not in {0, 1}
    ]
    yield from sheet.rows(Text("Không rõ thêm, bớt", "Added or removed?"), odd, OTHER_RECEIVERS)


def _changed(business: Business) -> Text:
    document, receivers = business.document_changed == 1, business.receivers_changed == 1
    if document and receivers:
        return Text(
            "thông tin văn bản và danh sách nơi nhận", "the document and the list of receivers"
        )
    if document:
        return Text("thông tin văn bản", "the document")
    if receivers or business.receivers:
        return Text("danh sách nơi nhận", "the list of receivers")
    return Text("không nêu", "not stated")


def _replaced(header: DocumentHeader, sheet: Sheet) -> Iterator[str]:
    """Each replaced document once, with all the receivers that were named for it."""
    names = names_in(header)
    concerned: dict[str, dict[str, None]] = {i: {} for i in header.about()}
    for item in header.business.replaces:
        concerned.setdefault(item.document_id, {}).update(dict.fromkeys(item.organ_ids))
    known = _known(header, names, sheet)
    documents = [
        _with_receivers(known.get(one, one), list(organs), names, sheet)
        for one, organs in concerned.items()
    ]
    label = Text("Thay thế cho", "Replaces")
    yield from sheet.rows(label, documents or [sheet.word(_NOT_NAMED)], OTHER_DOCUMENTS)


def _with_receivers(
    document: str, organ_ids: list[str], names: Mapping[str, str], sheet: Sheet
) -> str:
    shown = [named(organ_id, names) for organ_id in organ_ids[:MOST]]
    if len(organ_ids) > MOST:
        shown.append(sheet.besides(len(organ_ids) - MOST, OTHER_RECEIVERS))
    if not shown:
        return document
    receivers = sheet.word(Text("nơi nhận", "receivers"))
    return joined("; ", document, f"{receivers}: {', '.join(shown)}")
