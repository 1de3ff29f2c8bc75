"""Everything that keeps a package from being written strictly (edxml-format 13, left column).

In:     a header with the names of its files, or a status report.
Out:    all findings at once, each with its path in the submission's own field names.
Fails:  never.
Never:  judges what the law requires to be there (rules) or who may send it (desk).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from gateway.errors import Finding, Severity, Text
from gateway.model.package import STATUS_CODES, DocumentHeader, Organ, StatusReport
from gateway.packing.dates import is_iso_date, is_moment
from gateway.packing.names import MAX_NAME_BYTES, is_writable

RULE = "QCVN 102:2016/BTTTT"
MAX_FILE = 2 * 1024**3
# what XML 1.0 cannot hold, and the C1 controls, which no text for people holds
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ORGAN_ID = re.compile(r"[A-Za-z0-9]+(\.[A-Za-z0-9]+){0,5}")


def document_findings(header: DocumentHeader, written: str) -> list[Finding]:
    """What stands against writing this header. `written`: its XML text, looked through first."""
    found = [*_organ_id("from.organ_id", header.sender)]
    if not header.to:
        found.append(
            _error("to", "header.to_missing", "Không có bên nhận nào", "there is no receiver")
        )
    seen: set[str] = set()
    for index, organ in enumerate(header.to):
        path = f"to[{index}].organ_id"
        found.extend(_organ_id(path, organ))
        if organ.organ_id.upper() in seen:
            found.append(
                _error(
                    path,
                    "header.to_repeated",
                    f"Bên nhận lặp lại: {organ.organ_id[:60]}",
                    f"a receiver is named twice: {organ.organ_id[:60]}",
                )
            )
        seen.add(organ.organ_id.upper())
    found.extend(_document_id("document_id", header.document_id))
    found.extend(_day("promulgation.date", header.promulgation.date))
    found.extend(_day("due_date", header.due_date))
    for index, response in enumerate(header.response_for):
        found.extend(_day(f"response_for[{index}].promulgation_date", response.promulgation_date))
    found.extend(_numbers(header))
    for index, trace in enumerate(header.traces):
        found.extend(_moment(f"traces[{index}].timestamp", trace.timestamp, required=False))
    if _suspicious(written):
        found.extend(_texts(header, ""))
    return found


def status_findings(report: StatusReport, written: str) -> list[Finding]:
    found = [
        *_organ_id("from.organ_id", report.sender),
        *_organ_id("response_for.organ_id", Organ(report.response_for.organ_id)),
        *_document_id("response_for.document_id", report.response_for.document_id),
        *_day("response_for.promulgation_date", report.response_for.promulgation_date),
        *_moment("timestamp", report.timestamp, required=True),
    ]
    if report.code not in STATUS_CODES:
        found.append(
            _error(
                "code",
                "status.code_unknown",
                f"Mã trạng thái không có trong quy định: {report.code[:20]!r}",
                f"not a status code: {report.code[:20]!r}",
            )
        )
    if _suspicious(written):
        found.extend(_texts(report, ""))
    return found


def file_findings(index: int, name: str, size: int, description: str) -> Iterator[Finding]:
    """One attachment: its name, NFC and trimmed, its size in bytes, its description."""
    path = f"files[{index}].name"
    if not is_writable(name) or FORBIDDEN.search(name):
        yield _error(
            path,
            "attachment.name_unsafe",
            f"Tên tệp rỗng, chứa đường dẫn hoặc ký tự không cho phép, hoặc dài quá "
            f"{MAX_NAME_BYTES} byte: {name[:60]!r}",
            f"the file name is empty, has a path or forbidden characters, or is over "
            f"{MAX_NAME_BYTES} bytes: {name[:60]!r}",
        )
    yield from _texts(description, f"files[{index}].description")
    if name == "null":
        yield _null(path)
    if size > MAX_FILE:
        yield _error(
            f"files[{index}]",
            "limit.attachment_bytes",
            "Tệp đính kèm lớn hơn 2 GiB",
            "the attachment is larger than 2 GiB",
        )


def _numbers(header: DocumentHeader) -> Iterator[Finding]:
    other, business = header.other, header.business
    for path, value, highest in (
        ("document_type.type", header.document_type.type, None),
        ("document_type.type_detail", header.document_type.type_detail, None),
        ("other.priority", other.priority, 4),
        ("other.copies", other.copies, None),
        ("other.pages", other.pages, None),
        ("steering_type", header.steering_type, 3),
        ("business.type", business.type, 3),
        ("paper", business.paper, 1),
        ("paper", header.paper, 1),
        ("business.document_changed", business.document_changed, 1),
        ("business.receivers_changed", business.receivers_changed, 1),
        *(
            (f"business.receivers[{i}].change", r.change, 1)
            for i, r in enumerate(business.receivers)
        ),
    ):
        if value is not None and (
            value < 0 or value > (999_999_999 if highest is None else highest)
        ):
            allowed = "≥ 0" if highest is None else f"0–{highest}"
            yield _error(
                path,
                "number.invalid",
                f"Giá trị phải trong khoảng {allowed}: {value}",
                f"the value must be {allowed}: {value}",
            )


def _organ_id(path: str, organ: Organ) -> Iterator[Finding]:
    if len(organ.organ_id) > 50 or not _ORGAN_ID.fullmatch(organ.organ_id):
        yield _error(
            path,
            "agency.code_invalid",
            f"Mã định danh cơ quan không hợp lệ: {organ.organ_id[:60]!r}",
            f"not an agency code: {organ.organ_id[:60]!r}",
        )


def _document_id(path: str, value: str) -> Iterator[Finding]:
    if not value.strip() or len(value) > 255:
        yield _error(
            path,
            "header.document_id_invalid",
            "DocumentId phải có từ 1 đến 255 ký tự",
            "DocumentId must have 1 to 255 characters",
        )


def _day(path: str, value: str) -> Iterator[Finding]:
    if not value:
        return
    if not is_iso_date(value):
        yield _error(
            path,
            "date.invalid",
            f"Ngày không hợp lệ (cần yyyy-MM-dd): {value[:40]!r}",
            f"not a date (yyyy-MM-dd is needed): {value[:40]!r}",
        )


def _moment(path: str, value: str, *, required: bool) -> Iterator[Finding]:
    if not value and not required:
        return
    if not is_moment(value):
        yield _error(
            path,
            "timestamp.invalid",
            f"Thời điểm không hợp lệ (cần yyyy/MM/dd HH:mm:ss): {value[:40]!r}",
            f"not a moment (yyyy/MM/dd HH:mm:ss is needed): {value[:40]!r}",
        )


_JSON_NAMES = {"sender": "from"}


def _texts(value: object, path: str) -> Iterator[Finding]:
    """Each text in a noun and all it holds, by its path in the submission."""
    if isinstance(value, str):
        if FORBIDDEN.search(value):
            yield _error(
                path,
                "text.control_character",
                "Văn bản chứa ký tự điều khiển, không ghi được vào XML",
                "the text holds a control character that XML cannot carry",
            )
        if value.strip() == "null":
            yield _null(path)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            name = _JSON_NAMES.get(field.name, field.name)
            yield from _texts(getattr(value, field.name), f"{path}.{name}" if path else name)


def _suspicious(written: str) -> bool:
    return ">null<" in written or FORBIDDEN.search(written) is not None


def _null(path: str) -> Finding:
    return _error(
        path,
        "text.null",
        "Chữ 'null' bị bên nhận hiểu là không có giá trị",
        "receivers take the word 'null' for no value at all",
    )


def _error(path: str, code: str, vi: str, en: str) -> Finding:
    return Finding(path, code, Severity.ERROR, Text(vi, en), RULE)
