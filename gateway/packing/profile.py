"""The profile of QCVN 102 as dated data: presence, forms and code lists of the wire.

In:     the parsed TOML of conf/profile/*.toml, by file name.
Out:    a Profile; `on(day)` is what was in force on a day.
Fails:  Misconfigured with every mistake at once, each path `FILE:kind[N].key`.
Never:  reads files; decides about an arrival (reading is liberal, edxml-format 13).
Next:   strict.py holds a package against it.

A corrected regulation is a change in conf/profile: close the entry with `valid_to`, add its
successor with `valid_from`. Lengths are rules (conf/rules/lengths.toml).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, TypeVar

import msgspec

from gateway.errors import Finding, Misconfigured, Severity, Text

_RANGE = re.compile(r"([0-9]{1,4})(?: to ([0-9]{1,4}))?")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every entry says of itself. `severity` note: told, but no violation."""

    id: str
    source: str
    confidence: Literal["read", "secondary", "deduced"]
    valid_from: date
    valid_to: date | None = None
    severity: Severity = Severity.ERROR

    def in_force(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class Presence(Entry, frozen=True, kw_only=True):
    """How often `element` stands in each `parent` that is there; `most` None: without limit."""

    kind: Literal["document", "status"]
    parent: str
    element: str
    least: int = 0
    most: int | None = None


class Form(Entry, frozen=True, kw_only=True):
    """`pattern` for the whole value, at most `most` characters."""

    elements: tuple[str, ...]
    pattern: str
    most: int | None = None

    def fits(self, value: str) -> bool:
        if self.most is not None and len(value) > self.most:
            return False
        return re.fullmatch(self.pattern, value, re.DOTALL) is not None


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: str
    vi: str
    en: str


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    element: str
    code: str


class CodeList(Entry, frozen=True, kw_only=True):
    """Codes with their meaning. `gaps`: `10 to 17`: codes of the source that nobody here has seen.

    `when`: only beside a sibling element with this value.
    """

    elements: tuple[str, ...]
    values: tuple[Code, ...]
    gaps: tuple[str, ...] = ()
    when: When | None = None

    def codes(self) -> tuple[str, ...]:
        return tuple(value.code for value in self.values)

    def holds(self, value: str) -> bool:
        """A known code; False for one in a gap, too: nobody knows what it means."""
        return value in self.codes()

    def unseen(self, value: str) -> bool:
        """The source has this code, or may have it, and it was cut off in what we have."""
        return value.isascii() and value.isdigit() and any(_between(g, value) for g in self.gaps)


@dataclass(frozen=True, slots=True)
class Profile:
    """All entries of all periods."""

    presence: tuple[Presence, ...] = ()
    forms: tuple[Form, ...] = ()
    codes: tuple[CodeList, ...] = ()

    def on(self, day: date) -> Profile:
        return replace(
            self,
            presence=tuple(e for e in self.presence if e.in_force(day)),
            forms=tuple(e for e in self.forms if e.in_force(day)),
            codes=tuple(e for e in self.codes if e.in_force(day)),
        )

    def code_list(self, ident: str) -> CodeList:
        """The list of this id; KeyError when none. Of a `Profile.on(day)` there is only one."""
        found = [entry for entry in self.codes if entry.id == ident]
        if not found:
            raise KeyError(ident)
        return found[-1]


_KINDS: Mapping[str, type[Entry]] = {"presence": Presence, "form": Form, "codes": CodeList}
_Some = TypeVar("_Some", bound=Entry)


def load_profile(tables: Mapping[str, Mapping[str, object]]) -> Profile:
    """`tables`: for each file its parsed TOML with the arrays `presence`, `form`, `codes`.

    Refused: an unknown key; a period that ends before it begins; overlapping periods of one id; a
    pattern that is none; a code listed twice; a gap that is no range.
    """
    entries: list[Entry] = []
    findings: list[Finding] = []
    for name, table in tables.items():
        for key, listed in table.items():
            kind = _KINDS.get(key)
            if kind is None:
                known = ", ".join(f"[[{k}]]" for k in _KINDS)
                findings.append(_mistake(f"{name}:{key}", f"`{key}`: {known}"))
                continue
            for number, raw in enumerate(listed if isinstance(listed, list) else [listed]):
                path = f"{name}:{key}[{number}]"
                try:
                    entry = msgspec.convert(raw, kind)
                except msgspec.ValidationError as error:
                    findings.append(_mistake(path, str(error)))
                    continue
                findings.extend(_contradictions(path, entry, entries))
                entries.append(entry)
    if findings:
        raise Misconfigured(
            Text("Tệp hồ sơ quy chuẩn có lỗi.", "The profile files have mistakes."),
            code="conf.profile_invalid",
            findings=tuple(findings),
        )
    return Profile(_of(Presence, entries), _of(Form, entries), _of(CodeList, entries))


def _of(kind: type[_Some], entries: list[Entry]) -> tuple[_Some, ...]:
    return tuple(entry for entry in entries if isinstance(entry, kind))


def _contradictions(path: str, entry: Any, earlier: list[Entry]) -> Iterator[Finding]:
    ends = entry.valid_to or date.max
    if ends < entry.valid_from:
        yield _mistake(f"{path}.valid_to", "the period ends before it begins")
    for other in earlier:
        overlap = entry.valid_from <= (other.valid_to or date.max) and other.valid_from <= ends
        if type(other) is type(entry) and other.id == entry.id and overlap:
            yield _mistake(f"{path}.id", f"two entries `{entry.id}` are in force at the same time")
    if isinstance(entry, Form):
        try:
            re.compile(entry.pattern)
        except re.error as error:
            yield _mistake(f"{path}.pattern", f"not a pattern: {error}")
    if isinstance(entry, CodeList):
        if len(set(entry.codes())) < len(entry.values):
            yield _mistake(f"{path}.values", "a code is listed twice")
        for gap in entry.gaps:
            if _RANGE.fullmatch(gap) is None:
                yield _mistake(f"{path}.gaps", f"not a range as `10 to 17`: {gap!r}")


def _between(gap: str, value: str) -> bool:
    match = _RANGE.fullmatch(gap)
    return match is not None and int(match[1]) <= int(value) <= int(match[2] or match[1])


def _mistake(path: str, detail: str) -> Finding:
    text = Text(f"Hồ sơ quy chuẩn không hợp lệ: {detail}", f"invalid profile: {detail}")
    return Finding(path, "conf.profile_invalid", Severity.ERROR, text)
