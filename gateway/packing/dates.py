"""Which days and moments exist, and which form they were written in (edxml-format 8).

In:     a text out of a package.
Out:    whether it is a day or a moment, and whether in the form of the regulation.
Fails:  never.
Never:  guesses: 14 months do not run over into the next year.
"""

from __future__ import annotations

import re
from datetime import date

from gateway.model.package import iso_date

_DAY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}")
_MOMENT = re.compile(r"(.*) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")


def is_iso_date(text: str) -> bool:
    """`yyyy-MM-dd`, a day of the calendar."""
    if len(text) != 10 or not text.isascii():
        return False
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def is_day(text: str) -> bool:
    """`yyyy/MM/dd`, as the regulation has it."""
    return _DAY.fullmatch(text) is not None and is_iso_date(text.replace("/", "-"))


def is_moment(text: str) -> bool:
    """`yyyy/MM/dd HH:mm:ss`, as the regulation has it."""
    match = _MOMENT.fullmatch(text)
    return match is not None and is_day(match.group(1))


def is_other_moment(text: str) -> bool:
    """A moment to the second, its day in another of the forms that are read."""
    match = _MOMENT.fullmatch(text)
    return match is not None and len(match.group(1)) <= 10 and is_iso_date(iso_date(match.group(1)))
