"""A status package: what is reported about which document, and who must or may do what now.

In:     a StatusReport.
Out:    the title; lines.
Fails:  never: a code that no list knows is shown, and that nothing follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from gateway.cli.page.amounts import day, moment
from gateway.cli.page.lines import Sheet
from gateway.cli.page.next_step import Next, next_lines
from gateway.cli.page.parties import organ, staff
from gateway.errors import Text
from gateway.model.package import StatusReport


class Meaning(NamedTuple):
    words: Text
    then: Next


_NOTHING = Next(
    Text("Không phải làm gì; bên nhận báo tiếp.", "Nothing to do; the receiver goes on.")
)
# Directions and meanings: edxml-format 3, standards 1.9. A refusal has a reason: QĐ 28/2018, 5.4.
MEANINGS: Mapping[str, Meaning] = MappingProxyType(
    {
        "01": Meaning(
            Text("đã đến", "arrived"),
            Next(
                Text(
                    "Phần mềm của bên nhận đã có văn bản, văn thư chưa xử lý. Không phải làm gì; "
                    "chờ bên nhận tiếp nhận (03) hoặc từ chối (02).",
                    "The receiver's software has the document, its clerk has not looked yet. "
                    "Nothing to do; wait until the receiver accepts (03) or refuses (02).",
                )
            ),
        ),
        "02": Meaning(
            Text("từ chối tiếp nhận", "refused"),
            Next(
                Text(
                    "Văn bản bị trả lại. Bên gửi xem lý do, sửa hoặc gửi lại đúng nơi nhận.",
                    "The document is returned. The sender reads the reason, then mends it or sends "
                    "it to the right receiver.",
                ),
                "QĐ 28/2018/QĐ-TTg, Điều 5.4, 9.1; NĐ 30/2020/NĐ-CP, Điều 21.2 điểm b",
            ),
        ),
        "03": Meaning(
            Text("đã tiếp nhận", "accepted"),
            Next(
                Text(
                    "Bên nhận đã đăng ký văn bản đến. Không phải làm gì.",
                    "The receiver has registered the document. Nothing to do.",
                )
            ),
        ),
        "04": Meaning(Text("phân công xử lý", "assigned"), _NOTHING),
        "05": Meaning(Text("đang xử lý", "being processed"), _NOTHING),
        "06": Meaning(
            Text("hoàn thành", "finished"),
            Next(
                Text(
                    "Bên nhận đã xử lý xong. Không phải làm gì.",
                    "The receiver is done. Nothing to do.",
                )
            ),
        ),
        "13": Meaning(
            Text("yêu cầu lấy lại văn bản", "asks to take the document back"),
            Next(
                Text(
                    "Bên gửi muốn lấy lại văn bản. Bên nhận trả lời: đồng ý (15) hoặc từ chối, "
                    "nêu lý do (16); chưa trả lời thì chưa coi là đã lấy lại.",
                    "The sender wants the document back. The receiver answers: agreed (15) or "
                    "refused with a reason (16); without an answer it is not taken back.",
                )
            ),
        ),
        "15": Meaning(
            Text("đồng ý cập nhật, lấy lại", "agrees to the update or take-back"),
            Next(
                Text(
                    "Yêu cầu cập nhật hoặc lấy lại được chấp thuận. Bên gửi không phải làm gì "
                    "thêm.",
                    "The request to update or take back is granted. The sender has nothing to do.",
                )
            ),
        ),
        "16": Meaning(
            Text("từ chối cập nhật, lấy lại", "refuses the update or take-back"),
            Next(
                Text(
                    "Văn bản vẫn như cũ ở bên nhận. Bên gửi xem lý do và liên hệ với bên nhận.",
                    "The document stays with the receiver as it was. The sender reads the reason "
                    "and speaks with the receiver.",
                )
            ),
        ),
    }
)
_UNKNOWN = Meaning(
    Text("mã không có trong quy định", "a code that no list knows"),
    Next(
        Text(
            "Trạng thái của văn bản không thay đổi vì gói tin này. Nếu cần, hỏi bên báo.",
            "The state of the document does not change by it. Ask the reporting side if need be.",
        )
    ),
)


def title(report: StatusReport, sheet: Sheet) -> str:
    """`Trạng thái 02 (từ chối tiếp nhận)`"""
    words = sheet.word(_meaning(report).words)
    name = sheet.word(Text("Trạng thái", "Status"))
    return f"{name} {sheet.short(report.code, 20)} ({words})"


def status_lines(report: StatusReport, sheet: Sheet) -> Iterator[str]:
    about = report.response_for
    not_said = sheet.word(Text("không nêu", "not stated"))
    yield from sheet.row(Text("Bên báo", "Reported by"), organ(report.sender) or not_said)
    yield from sheet.row(Text("Báo cho", "To"), about.organ_id or not_said)
    yield from sheet.row(Text("Về văn bản", "About document"), about.code or not_said)
    yield from sheet.row(Text("Ngày ban hành", "Issued"), day(about.promulgation_date, sheet.lang))
    yield from sheet.row(Text("Mã định danh", "Document id"), about.document_id)
    yield from sheet.row(Text("Lúc", "At"), moment(report.timestamp, sheet.lang) or not_said)
    reason = report.code in {"02", "13", "16"}
    label = Text("Lý do", "Reason") if reason else Text("Nội dung", "Description")
    yield from sheet.row(label, report.description or (not_said if reason else ""))
    yield from sheet.row(Text("Người báo", "Staff"), staff(report.staff))
    yield from next_lines(_meaning(report).then, sheet)


def _meaning(report: StatusReport) -> Meaning:
    return MEANINGS.get(report.code, _UNKNOWN)
