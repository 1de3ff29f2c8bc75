"""Agencies and their identifier codes (mã định danh cơ quan).

Two written forms live side by side: 13 characters, level 1 last (QCVN 102:2016,
`000.00.19.H14`), and up to 35 characters, level 1 first (decision 20/2020/QĐ-TTg, `H14.19`).
The pair is data of the directory; the formulas here only check and help (standards 2.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gateway.errors import Rejected, Text

_SYNTAX = re.compile(r"[A-Za-z0-9]+(\.[A-Za-z0-9]+){0,5}")
_OLD = re.compile(r"\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2}")
_NEW = re.compile(r"[A-Z]\d{2}(\.[0-9A-Z]+)*")


@dataclass(frozen=True, slots=True, order=True)
class AgencyCode:
    """A code as written, in ASCII upper case: codes compare without case (edxml-format 7)."""

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > 50 or not _SYNTAX.fullmatch(self.text):
            shown = self.text[:60]
            raise Rejected(
                Text(
                    f"Mã định danh cơ quan không hợp lệ: {shown!r}",
                    f"not an agency code: {shown!r}",
                ),
                code="agency.code_invalid",
            )
        object.__setattr__(self, "text", self.text.upper())

    def __str__(self) -> str:
        return self.text

    def as_new_form(self) -> str | None:
        """`000.00.19.H14` -> `H14.19`; None when this is not an old-form code."""
        if not _OLD.fullmatch(self.text):
            return None
        groups = self.text.split(".")[::-1]
        while len(groups) > 1 and int(groups[-1]) == 0:
            groups.pop()
        return ".".join(groups)

    def as_old_form(self) -> str | None:
        """`H14.19` -> `000.00.19.H14`; None where no old form exists (standards 2.3)."""
        if not _NEW.fullmatch(self.text):
            return None
        top, *rest = self.text.split(".")
        if len(rest) > 3 or not all(g.isdigit() for g in rest):
            return None
        levels = [int(g) for g in rest] + [0] * (3 - len(rest))
        if levels[0] > 99 or levels[1] > 99 or levels[2] > 999:
            return None
        return f"{levels[2]:03d}.{levels[1]:02d}.{levels[0]:02d}.{top}"

    def match_key(self) -> str:
        """Equal for both written forms and for any zero padding of numeric groups."""
        text = self.as_new_form() or self.text
        if _NEW.fullmatch(text):
            top, *rest = text.split(".")
            return ".".join([top, *(str(int(g)) if g.isdigit() else g for g in rest)])
        return self.text


class AgencyState(StrEnum):
    ACTIVE = "active"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Agency:
    """One entry of the directory. `code` is the form of decision 20/2020, `code102` the older."""

    code: str
    name: str
    code102: str = ""
    parents: tuple[str, ...] = ()
    state: AgencyState = AgencyState.ACTIVE
    valid_from: date | None = None
    valid_to: date | None = None
    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()
    source: str = ""

    def codes(self) -> tuple[AgencyCode, ...]:
        return tuple(AgencyCode(c) for c in (self.code, self.code102) if c)

    def valid_on(self, day: date) -> bool:
        after_start = self.valid_from is None or self.valid_from <= day
        return after_start and (self.valid_to is None or day <= self.valid_to)
