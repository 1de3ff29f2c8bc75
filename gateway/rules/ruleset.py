"""Rules with their periods: which of them are in force on a day.

In:     the parsed TOML of conf/rules/*.toml, by file name.
Out:    a RuleSet.
Fails:  Misconfigured with every mistake at once, each path `FILE:rule[N].key`.
Never:  reads files; lets a rule set pass that would let state secrets pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import TypeVar, get_args

import msgspec

from gateway.errors import Finding, Misconfigured, Severity, Text
from gateway.model.package import BusinessType
from gateway.rules.fields import FIELDS
from gateway.rules.kinds import AnyRule, FieldRule, NamesDocument, Rule, Secrecy, ValueClass

# UTC+7 all year, without daylight saving (standards 6); QĐ 28/2018 article 14.4
_VIETNAM = timezone(timedelta(hours=7))
_DAYS = 64

OneRule = TypeVar("OneRule", bound=Rule)


def vietnam_day(at: datetime) -> date:
    """The calendar day in Vietnam on which the aware instant `at` falls."""
    return at.astimezone(_VIETNAM).date()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of all periods; `on(day)` are those in force."""

    rules: tuple[AnyRule, ...]
    _days: dict[date, RuleSet] = field(default_factory=dict, init=False, repr=False, compare=False)

    def on(self, day: date) -> RuleSet:
        """The rules in force; remembered, because nearly all that is judged is judged today."""
        found = self._days.get(day)
        if found is None:
            found = RuleSet(tuple(rule for rule in self.rules if rule.in_force(day)))
            if len(self._days) >= _DAYS:
                self._days.clear()
            self._days[day] = found
        return found

    def of(self, kind: type[OneRule]) -> tuple[OneRule, ...]:
        """The rules with one kind of check."""
        return tuple([rule for rule in self.rules if isinstance(rule, kind)])


def load_rules(tables: Mapping[str, Mapping[str, object]]) -> RuleSet:
    """`tables`: for each file its parsed TOML, whose only key is the array `rule`.

    Refused: an unknown key, check or metadata field; a period that ends before it begins;
    overlapping periods of one id; no open-ended rule on secrecy, on legal value, or on what each
    business act is about.
    """
    rules: list[AnyRule] = []
    findings: list[Finding] = []
    for name, table in tables.items():
        findings.extend(_stray_keys(name, table))
        entries = table.get("rule", [])
        for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            path = f"{name}:rule[{number}]"
            try:
                rule = msgspec.convert(entry, AnyRule)
            except msgspec.ValidationError as error:
                detail = str(error)
                where = detail.rpartition("`$.")[2].rstrip("`") if "`$." in detail else ""
                findings.append(_misread(f"{path}.{where}" if where else path, detail))
                continue
            findings.extend(_contradictions(path, rule, rules))
            rules.append(rule)
    for kind, what in ((Secrecy, "secrecy"), (ValueClass, "legal_value")):
        if not any(isinstance(rule, kind) and rule.valid_to is None for rule in rules):
            detail = f'no rule with check = "{what}" that is still in force'
            findings.append(_mistake("tables.rules", detail))
    # an act that names no document moves nothing anywhere, and nobody would hear of it
    acts = [rule for rule in rules if isinstance(rule, NamesDocument) and rule.valid_to is None]
    for act in (BusinessType.RECALL, BusinessType.UPDATE, BusinessType.REPLACE):
        if not any(act in rule.types for rule in acts):
            detail = (
                f'no rule with check = "names_document" for business type {int(act)} that is '
                "still in force"
            )
            findings.append(_mistake("tables.rules", detail))
    if findings:
        raise Misconfigured(
            Text("Tệp quy tắc có lỗi.", "The rule files have mistakes."),
            code="conf.rules_invalid",
            findings=tuple(findings),
        )
    return RuleSet(tuple(rules))


def _stray_keys(name: str, table: Mapping[str, object]) -> Iterator[Finding]:
    for key in table:
        if key != "rule":
            yield _mistake(f"{name}:{key}", f"unknown key `{key}`; a rule file holds [[rule]] only")


def _contradictions(path: str, rule: AnyRule, earlier: list[AnyRule]) -> Iterator[Finding]:
    if rule.valid_to is not None and rule.valid_to < rule.valid_from:
        yield _mistake(f"{path}.valid_to", "the period ends before it begins")
    for other in earlier:
        if other.id == rule.id and _overlap(other, rule):
            yield _mistake(f"{path}.id", f"two rules `{rule.id}` are in force at the same time")
    if isinstance(rule, FieldRule):
        for field in rule.fields:
            if field not in FIELDS:
                yield _mistake(f"{path}.fields", f"the metadata has no field `{field}`")


def _overlap(one: Rule, two: Rule) -> bool:
    one_ends, two_ends = one.valid_to or date.max, two.valid_to or date.max
    return one.valid_from <= two_ends and two.valid_from <= one_ends


_REASONS = (
    (re.compile(r"unknown field `(.+?)`"), "khóa không được biết: `{0}`", "unknown key: `{0}`"),
    (re.compile(r"missing required field `(.+?)`"), "thiếu khóa `{0}`", "the key `{0}` is missing"),
    (
        re.compile(r"Invalid value '(.+?)' - at `\$\.check`"),
        "không có kiểu kiểm tra `{0}`; các kiểu: {checks}",
        "no check `{0}`; there are: {checks}",
    ),
    (
        re.compile(r"enum value '(.+?)'"),
        "không có giá trị `{0}`; các giá trị: {levels}",
        "no value `{0}`; there are: {levels}",
    ),
    (re.compile(r"Expected `str"), "cần một chuỗi", "a string is needed"),
    (re.compile(r"Expected `date"), "cần một ngày như 2026-11-20", "a day as 2026-11-20 is needed"),
    (re.compile(r"Expected `int"), "cần một số nguyên", "an integer is needed"),
    (re.compile(r"Expected `array"), "cần một danh sách", "a list is needed"),
    (re.compile(""), "giá trị sai kiểu", "a value of the wrong type"),
)


def _misread(path: str, detail: str) -> Finding:
    """What the library said of an entry, in our own words."""
    named = {
        "checks": ", ".join(sorted(str(kind.__struct_config__.tag) for kind in get_args(AnyRule))),
        "levels": ", ".join(level.value for level in Severity),
    }
    match, vi, en = next((m, vi, en) for p, vi, en in _REASONS if (m := p.search(detail)))
    text = Text(
        f"Quy tắc không hợp lệ: {vi.format(*match.groups(), **named)}",
        f"invalid rule: {en.format(*match.groups(), **named)}",
    )
    return Finding(path, "conf.rules_invalid", Severity.ERROR, text)


def _mistake(path: str, detail: str) -> Finding:
    text = Text(f"Quy tắc không hợp lệ: {detail}", f"invalid rule: {detail}")
    return Finding(path, "conf.rules_invalid", Severity.ERROR, text)
