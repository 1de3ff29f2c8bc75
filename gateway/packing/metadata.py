"""The submission's metadata (JSON, contract 5) and the header of the model, each from the other.

In:     the bytes of the part `metadata`; or a DocumentHeader.
Out:    a Submission without files, and what is wrong with its shape; or a JSON object with absent
        fields left out.
Fails:  Rejected `metadata.invalid` with every finding, paths like `to[1].organ_id`.
Never:  judges content: what must be there is the rules' business; here only shapes are.

Beside the names of contract 5 this file knows: `task_codes`, `application_type`,
`other.reply_fors`, `other.direction`, `other.reference_codes`, `staff.department_id`,
`staff.staff_id`, `business.document_changed`, `business.receivers_changed`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from typing import Any

from gateway.c14n import JsonValue
from gateway.errors import Finding, Rejected, Severity, Text
from gateway.model.package import (
    Business,
    DocumentCode,
    DocumentHeader,
    DocumentType,
    Organ,
    OtherInfo,
    Promulgation,
    ReceiverChange,
    Replacement,
    ResponseFor,
    Signer,
    Staff,
)
from gateway.model.submission import Submission
from gateway.packing.dates import is_iso_date
from gateway.packing.texts import tidy

_VIETNAM = timezone(timedelta(hours=7))
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_NUMBER = 999_999_999
_ORGAN = ("organ_id", "name", "in_charge", "address", "email", "telephone", "fax", "website")
_RESPONSE = ("organ_id", "code", "document_id", "promulgation_date")
_STAFF = ("department", "department_id", "name", "staff_id", "email", "mobile")


def read_metadata(raw: bytes) -> tuple[Submission | None, tuple[Finding, ...]]:
    """What can be read, and every mistake of shape: so that the rules can judge the rest at once.

    Where a shape is wrong the value counts as absent. None: nothing can be read at all.
    """
    reader = _Reader()
    found = reader.load(raw)
    submission = reader.submission(found) if found is not None else None
    return submission, tuple(reader.findings)


def parse_metadata(raw: bytes) -> Submission:
    """A Submission whose `files` are empty and whose `document_id` may be ""."""
    submission, findings = read_metadata(raw)
    if findings or submission is None:
        raise misshapen(findings, readable=submission is not None)
    return submission


def misshapen(findings: Sequence[Finding], *, readable: bool) -> Rejected:
    """The refusal of metadata whose shape is wrong; `findings`: those of the shape first."""
    return Rejected(
        Text(
            f"Siêu dữ liệu không hợp lệ: {findings[0].text.vi}",
            f"the metadata are not valid: {findings[0].text.en}",
        ),
        code="metadata.invalid" if readable else findings[0].code,
        findings=tuple(findings),
    )


def header_to_json(header: DocumentHeader) -> dict[str, JsonValue]:
    """The header in the submission's field names; `parse_metadata` reads it back.

    Not in it, because no submission states them: the trace list and its attributes.
    """
    kind, other, business = header.document_type, header.other, header.business
    staff = [_texts(item) for item in business.staff]
    paper = business.paper if business.paper is not None else header.paper
    return _present(
        {
            "from": _texts(header.sender),
            "to": [_texts(organ) for organ in header.to],
            "document_id": header.document_id,
            "code": _texts(header.code),
            "promulgation": _texts(header.promulgation),
            "document_type": _present(
                {"type": kind.type, "type_detail": kind.type_detail, "name": kind.name}
            ),
            "subject": header.subject,
            "content": header.content,
            "signer": _texts(header.signer),
            "due_date": header.due_date,
            "to_places": list(header.to_places),
            "other": _present(
                {
                    "priority": other.priority,
                    "sphere": other.sphere,
                    "typer_notation": other.typer_notation,
                    "copies": other.copies,
                    "pages": other.pages,
                    "reply_fors": other.reply_fors,
                    "direction": other.direction,
                    "reference_codes": other.reference_codes,
                    "appendixes": list(other.appendixes),
                }
            ),
            "response_for": [_texts(item) for item in header.response_for],
            "steering_type": header.steering_type,
            "task_codes": list(header.task_codes),
            "application_type": header.application_type,
            "paper": None if paper is None else bool(paper),
            "staff": staff[0] if len(staff) == 1 else staff,
            "business": _business_json(business),
        }
    )


def _business_json(business: Business) -> dict[str, JsonValue]:
    """Empty for a plain new document."""
    said = _present(
        {
            "reason": business.reason,
            "about": business.document_id,
            "document_changed": business.document_changed,
            "receivers_changed": business.receivers_changed,
            "receivers": [
                {"organ_id": item.organ_id, "change": item.change} for item in business.receivers
            ],
            "replaces": [
                _present({"document_id": item.document_id, "organ_ids": list(item.organ_ids)})
                for item in business.replaces
            ],
        }
    )
    return {"type": int(business.type), **said} if said or business.type else {}


def _texts(noun: Any) -> dict[str, JsonValue]:
    return {f.name: getattr(noun, f.name) for f in fields(noun) if getattr(noun, f.name)}


def _present(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


class _Reader:
    """Checks shapes, gathers findings, and gives a default where something was wrong."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def load(self, raw: bytes) -> dict[str, Any] | None:
        try:
            value = json.loads(
                raw.decode("utf-8-sig"),
                object_pairs_hook=self._object,
                parse_constant=self._constant,
            )
        except (ValueError, RecursionError) as error:
            where = _place(error)
            self._say(
                "",
                "metadata.not_json",
                f"Phần metadata không phải JSON UTF-8 hợp lệ{where.vi}",
                f"the metadata are not valid JSON in UTF-8{where.en}",
            )
            return None
        if not isinstance(value, dict):
            self._type("", "đối tượng JSON", "a JSON object")
            return None
        return value

    def submission(self, found: dict[str, Any]) -> Submission:
        self._known(
            found,
            "",
            "from to document_id code promulgation document_type subject content signer due_date "
            "to_places other response_for steering_type task_codes application_type paper staff "
            "secrecy business released_at",
        )
        code = self._group(found, "code", "number notation")
        issued = self._group(found, "promulgation", "place date")
        kind = self._group(found, "document_type", "type type_detail name")
        signer = self._group(found, "signer", "competence position full_name")
        header = DocumentHeader(
            sender=Organ(**self._strings(found.get("from"), "from", _ORGAN)),
            to=tuple(
                Organ(**self._strings(item, path, _ORGAN))
                for path, item in self._items(found, "to", "")
            ),
            document_id=self._text(found, "document_id", ""),
            code=DocumentCode(
                self._text(code, "number", "code"), self._text(code, "notation", "code")
            ),
            promulgation=Promulgation(
                self._text(issued, "place", "promulgation"),
                self._day(issued, "date", "promulgation"),
            ),
            document_type=DocumentType(
                self._number(kind, "type", "document_type"),
                self._number(kind, "type_detail", "document_type"),
                self._text(kind, "name", "document_type"),
            ),
            subject=self._text(found, "subject", ""),
            content=self._text(found, "content", ""),
            signer=Signer(
                self._text(signer, "competence", "signer"),
                self._text(signer, "position", "signer"),
                self._text(signer, "full_name", "signer"),
            ),
            due_date=self._day(found, "due_date", ""),
            other=self._other(found),
            response_for=tuple(
                self._response(item, path) for path, item in self._items(found, "response_for", "")
            ),
            steering_type=self._number(found, "steering_type", ""),
            task_codes=self._list(found, "task_codes", ""),
            application_type=self._text(found, "application_type", ""),
            to_places=self._list(found, "to_places", ""),
            business=self._business(found),
        )
        return Submission(
            header=header,
            secrecy=self._text(found, "secrecy", ""),
            released_at=self._moment(found, "released_at"),
        )

    # -- groups --------------------------------------------------------------------------------

    def _other(self, found: Mapping[str, Any]) -> OtherInfo:
        other = self._group(
            found,
            "other",
            "priority sphere typer_notation copies pages reply_fors direction reference_codes "
            "appendixes",
        )
        return OtherInfo(
            priority=self._number(other, "priority", "other"),
            sphere=self._text(other, "sphere", "other"),
            typer_notation=self._text(other, "typer_notation", "other"),
            copies=self._number(other, "copies", "other"),
            pages=self._number(other, "pages", "other"),
            reply_fors=self._text(other, "reply_fors", "other"),
            direction=self._boolean(other, "direction", "other"),
            reference_codes=self._text(other, "reference_codes", "other"),
            appendixes=self._list(other, "appendixes", "other"),
        )

    def _response(self, item: object, path: str) -> ResponseFor:
        values = self._strings(item, path, _RESPONSE)
        if isinstance(item, dict):
            values["promulgation_date"] = self._day(item, "promulgation_date", path)
        return ResponseFor(**values)

    def _business(self, found: Mapping[str, Any]) -> Business:
        at = "business"
        said = self._group(
            found,
            at,
            "type reason about document_changed receivers_changed receivers replaces",
        )
        receivers = []
        for path, item in self._items(said, "receivers", at):
            change = self._object_at(item, path, "organ_id change")
            self._required(change, path, ("organ_id", "change"))
            receivers.append(
                ReceiverChange(
                    self._text(change, "organ_id", path), self._number(change, "change", path) or 0
                )
            )
        replaces = []
        for path, item in self._items(said, "replaces", at):
            replaced = self._object_at(item, path, "document_id organ_ids")
            self._required(replaced, path, ("document_id",))
            replaces.append(
                Replacement(
                    self._text(replaced, "document_id", path),
                    self._list(replaced, "organ_ids", path),
                )
            )
        paper = self._boolean(found, "paper", "")
        return Business(
            type=self._number(said, "type", at) or 0,
            document_id=self._text(said, "about", at),
            reason=self._text(said, "reason", at),
            paper=None if paper is None else int(paper),
            document_changed=self._number(said, "document_changed", at),
            receivers_changed=self._number(said, "receivers_changed", at),
            receivers=tuple(receivers),
            replaces=tuple(replaces),
            staff=self._staff(found.get("staff")),
        )

    def _staff(self, value: object) -> tuple[Staff, ...]:
        """One person as an object; several as a list."""
        if value is None:
            return ()
        people = value if isinstance(value, list) else [value]
        several = isinstance(value, list)
        return tuple(
            Staff(**self._strings(item, f"staff[{i}]" if several else "staff", _STAFF))
            for i, item in enumerate(people)
        )

    # -- values --------------------------------------------------------------------------------

    def _group(self, found: Mapping[str, Any], key: str, known: str) -> dict[str, Any]:
        value = found.get(key)
        return {} if value is None else self._object_at(value, key, known)

    def _object_at(self, value: object, path: str, known: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._type(path, "đối tượng JSON", "a JSON object")
            return {}
        self._known(value, path, known)
        return value

    def _strings(self, value: object, path: str, names: tuple[str, ...]) -> dict[str, str]:
        if value is None:
            return {}
        group = self._object_at(value, path, " ".join(names))
        return {name: self._text(group, name, path) for name in names if name in group}

    def _text(self, group: Mapping[str, Any], key: str, path: str) -> str:
        value = group.get(key)
        if value is None:
            return ""
        return self._string(value, _at(path, key))

    def _string(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            self._type(path, "chuỗi ký tự", "a string")
            return ""
        if _SURROGATE.search(value):
            self._say(
                path,
                "metadata.text",
                "Chuỗi chứa ký tự Unicode không hợp lệ",
                "the string holds half of a surrogate pair",
            )
            return ""
        return tidy(value)

    def _list(self, group: Mapping[str, Any], key: str, path: str) -> tuple[str, ...]:
        texts = (self._string(item, where) for where, item in self._items(group, key, path))
        return tuple(text for text in texts if text)

    def _items(self, group: Mapping[str, Any], key: str, path: str) -> list[tuple[str, Any]]:
        value = group.get(key)
        if value is None:
            return []
        where = _at(path, key)
        if not isinstance(value, list):
            self._type(where, "danh sách", "a list")
            return []
        return [(f"{where}[{index}]", item) for index, item in enumerate(value)]

    def _number(self, group: Mapping[str, Any], key: str, path: str) -> int | None:
        value = group.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_NUMBER:
            self._type(_at(path, key), "số nguyên không âm", "a non-negative integer")
            return None
        return value

    def _boolean(self, group: Mapping[str, Any], key: str, path: str) -> bool | None:
        value = group.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._type(_at(path, key), "true hoặc false", "true or false")
        return None

    def _day(self, group: Mapping[str, Any], key: str, path: str) -> str:
        text = self._text(group, key, path)
        if not text or is_iso_date(text):
            return text
        self._say(
            _at(path, key),
            "metadata.date",
            "Ngày phải có dạng yyyy-MM-dd và có thật",
            "a date must be yyyy-MM-dd and exist",
        )
        return ""

    def _moment(self, group: Mapping[str, Any], key: str) -> datetime | None:
        text = self._text(group, key, "")
        if not text:
            return None
        moment = _date_time(text)
        if moment is None:
            self._say(
                key,
                "metadata.datetime",
                "Thời điểm phải theo RFC 3339, ví dụ 2026-11-20T10:00:00+07:00",
                "an instant must follow RFC 3339, for example 2026-11-20T10:00:00+07:00",
            )
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=_VIETNAM)

    # -- findings ------------------------------------------------------------------------------

    def _known(self, group: Mapping[str, Any], path: str, known: str) -> None:
        allowed = known.split()
        for key in group:
            if key not in allowed:
                shown = _at(path, key[:60]).encode("utf-8", "replace").decode()
                self._say(
                    shown,
                    "metadata.unknown_key",
                    f"Khóa không có trong lược đồ: {shown!r}",
                    f"a key that the schema does not know: {shown!r}",
                )

    def _required(self, group: Mapping[str, Any], path: str, keys: tuple[str, ...]) -> None:
        for key in keys:
            if group.get(key) is None:
                where = _at(path, key)
                self._say(where, "metadata.missing", f"Thiếu {where}", f"{where} is missing")

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)[:60]
            shown = twice.encode("utf-8", "replace").decode()
            self._say(
                shown,
                "metadata.repeated_key",
                f"Khóa lặp lại trong một đối tượng: {shown!r}",
                f"a key stands twice in one object: {shown!r}",
            )
        return made

    @staticmethod
    def _constant(name: str) -> float:
        raise ValueError(name)

    def _type(self, path: str, vi: str, en: str) -> None:
        subject_vi, subject_en = (path or "metadata"), (path or "the metadata")
        self._say(path, "metadata.type", f"{subject_vi} phải là {vi}", f"{subject_en} must be {en}")

    def _say(self, path: str, code: str, vi: str, en: str) -> None:
        self.findings.append(Finding(path, code, Severity.ERROR, Text(vi, en)))


def _place(error: Exception) -> Text:
    """Where reading stopped, in our own words."""
    if isinstance(error, json.JSONDecodeError):
        return Text(
            f" (dừng ở dòng {error.lineno}, cột {error.colno})",
            f" (reading stopped in line {error.lineno}, column {error.colno})",
        )
    if isinstance(error, UnicodeDecodeError):
        return Text(
            f" (byte thứ {error.start + 1} không phải UTF-8)",
            f" (byte {error.start + 1} is not UTF-8)",
        )
    return Text("", "")


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _date_time(text: str) -> datetime | None:
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None
