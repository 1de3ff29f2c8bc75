"""Numbers, sizes, days, instants and ages as people here write them.

In:     values of a package: numbers of bytes, dates and timestamps as text.
Out:    `1,2 MB`, `1.234.567`, `20/11/2026`; for a date that is none, the text itself, and so said.
Fails:  never.
Never:  moves an instant of a package into another zone, or mends a date.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

from gateway.errors import Text
from gateway.model.package import iso_date

_VIETNAM = timezone(timedelta(hours=7))
_ISO_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MOMENT = re.compile(r"([0-9/-]{8,10})[ T]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(.*)")
_NO_DAY = Text("không phải ngày hợp lệ", "not a valid date")
_NO_MOMENT = Text("không phải thời điểm hợp lệ", "not a valid date and time")
_SECOND = Text("giây", "second")
_LENGTHS = (
    (86400, Text("ngày", "day")),
    (3600, Text("giờ", "hour")),
    (60, Text("phút", "minute")),
)
_UNITS = ("KB", "MB", "GB")  # of 1024, as file managers count


def grouped(number: int, lang: str) -> str:
    """`1.234.567` in Vietnamese, `1,234,567` in English."""
    text = f"{number:,}"
    return text.replace(",", ".") if lang == "vi" else text


def exact(size: int, lang: str) -> str:
    unit = "byte" if lang == "vi" or size == 1 else "bytes"
    return f"{grouped(size, lang)} {unit}"


def about(size: int, lang: str) -> str:
    """`1,2 MB` of a number of bytes; below 1 KB the bytes themselves."""
    if size < 1024:
        return exact(size, lang)
    amount, unit = size / 1024, 0
    while round(amount, 1) >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    text = f"{amount:.1f} {_UNITS[unit]}"
    return text.replace(".", ",") if lang == "vi" else text


def measured(size: int, lang: str) -> str:
    """Both: `1,2 MB (1.234.567 byte)`."""
    return exact(size, lang) if size < 1024 else f"{about(size, lang)} ({exact(size, lang)})"


def day(text: str, lang: str) -> str:
    """dd/MM/yyyy of a date in any form of edxml-format 8; "" for none."""
    return _day(text) or _invalid(text, _NO_DAY, lang)


def moment(text: str, lang: str) -> str:
    """dd/MM/yyyy HH:mm:ss, Vietnam time by convention; a zone that is written stays written."""
    found = _MOMENT.fullmatch(text.strip())
    shown = _day(found[1]) if found else _day(text)
    if found is None or not shown:
        return shown or _invalid(text, _NO_MOMENT, lang)
    try:
        time.fromisoformat(found[2])
    except ValueError:
        return _invalid(text, _NO_MOMENT, lang)
    return " ".join(part for part in (shown, found[2], found[3].strip()) if part)


def vietnam_date(instant: str) -> str:
    """dd/MM/yyyy in Vietnam of an instant in RFC 3339 (a certificate's bounds)."""
    try:
        at = datetime.fromisoformat(instant)
        local = at.replace(tzinfo=at.tzinfo or UTC).astimezone(_VIETNAM)
    except (ValueError, OverflowError):  # 9999-12-31: a certificate without an end
        return _day(instant) or instant
    return f"{local:%d/%m}/{local.year:04}"


def vietnam_moment(at: datetime) -> str:
    """dd/MM/yyyy HH:mm:ss in Vietnam of an instant."""
    try:
        local = at.astimezone(_VIETNAM)
    except OverflowError:  # the last day of the calendar
        return f"{at:%d/%m}/{at.year:04} {at:%H:%M:%S %Z}"
    return f"{local:%d/%m}/{local.year:04} {local:%H:%M:%S}"


def duration(seconds: int, lang: str) -> str:
    """`3 giờ`, `3 hours`: whole units of the largest of which there is one."""
    for length, unit in _LENGTHS:
        if seconds >= length:
            number = seconds // length
            return f"{grouped(number, lang)} {unit.vi if lang == 'vi' else _plural(number, unit)}"
    return f"{seconds} {_SECOND.vi if lang == 'vi' else _plural(seconds, _SECOND)}"


def _plural(number: int, unit: Text) -> str:
    return unit.en if number == 1 else f"{unit.en}s"


def _day(text: str) -> str:
    found = _ISO_DAY.fullmatch(iso_date(text))
    if found is None:
        return ""
    try:
        date.fromisoformat(found[0])
    except ValueError:
        return ""
    return f"{found[3]}/{found[2]}/{found[1]}"


def _invalid(text: str, why: Text, lang: str) -> str:
    return f"{text} ({why.vi if lang == 'vi' else why.en})" if text.strip() else ""
