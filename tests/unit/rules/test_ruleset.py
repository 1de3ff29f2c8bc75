"""Rules as data: periods, and every mistake in a rule file at once."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime

import pytest

from gateway.errors import Misconfigured
from gateway.rules import RuleSet, check_submission, legal_value, load_rules, vietnam_day
from gateway.rules.kinds import Required
from tests.support.rule_cases import a_header, a_submission, shipped_rules

BASICS = """
[[rule]]
id = "secrecy"
code = "secrecy.marked"
check = "secrecy"
marks = ["Mật"]
article = "Điều 1"
valid_from = 2018-09-06
vi = "mật"
en = "secret"

[[rule]]
id = "value"
code = "legal_value"
check = "legal_value"
value_class = "information"
provisional = true
article = "Điều 4"
valid_from = 2018-09-06
vi = "tham khảo"
en = "information"

[[rule]]
id = "acts"
code = "business.about_missing"
check = "names_document"
types = [1, 2, 3]
fields = ["business.about"]
article = "Điều 8"
valid_from = 2018-09-06
vi = "về văn bản nào"
en = "about which document"
"""


def a_rule(**changes: str) -> str:
    keys = {
        "id": '"r"',
        "code": '"c"',
        "check": '"required"',
        "fields": '["subject"]',
        "article": '"a"',
        "valid_from": "2020-01-01",
        "vi": '"v"',
        "en": '"e"',
    } | changes
    return "[[rule]]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items() if v) + "\n"


def load(*rules: str, basics: str = BASICS) -> RuleSet:
    return load_rules({"x.toml": tomllib.loads(basics + "\n".join(rules))})


def mistakes(*rules: str, basics: str = BASICS) -> dict[str, str]:
    with pytest.raises(Misconfigured) as caught:
        load(*rules, basics=basics)
    return {f.path: f.text.en for f in caught.value.findings}


def test_the_shipped_rules_load_and_some_are_in_force_today() -> None:
    rules = shipped_rules()
    assert len(rules.on(date(2026, 11, 22)).rules) == len(rules.rules)


def test_a_rule_that_begins_tomorrow_has_no_effect_today() -> None:
    rules = load(a_rule(valid_from="2026-11-21"))
    submission = a_submission(header=a_header(subject=""))
    today = datetime(2026, 11, 20, 16, 59, 59, tzinfo=UTC)  # 23:59:59 in Vietnam
    midnight = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    assert check_submission(submission, today, rules) == ()
    assert [f.code for f in check_submission(submission, midnight, rules)] == ["c"]


def test_a_rule_that_ended_yesterday_has_no_effect_today() -> None:
    rules = load(a_rule(valid_to="2026-11-20"), a_rule(valid_from="2026-11-21", code='"d"'))
    assert [r.code for r in rules.on(date(2026, 11, 20)).of(Required)] == ["c"]
    assert [r.code for r in rules.on(date(2026, 11, 21)).of(Required)] == ["d"]


def test_a_day_before_all_rules_claims_the_least_value() -> None:
    value = legal_value(date(2001, 1, 1), load())
    assert value.as_json() == {"class": "information", "provisional": True}


def test_all_mistakes_are_reported_at_once_with_their_place() -> None:
    found = mistakes(
        a_rule(id='"a"', fields='["subjekt", "to[].organ_id"]'),
        a_rule(id='"b"', check='"requird"'),
        a_rule(id='"c"', limit="3"),
        a_rule(id='"d"', valid_to="2019-01-01"),
        a_rule(id='"e"'),
        a_rule(id='"e"'),
        a_rule(id='"f"', vi=""),
        a_rule(id='"g"', severity='"fatal"'),
    )
    assert list(found) == [
        "x.toml:rule[3].fields",
        "x.toml:rule[4].check",
        "x.toml:rule[5]",
        "x.toml:rule[6].valid_to",
        "x.toml:rule[8].id",
        "x.toml:rule[9]",
        "x.toml:rule[10].severity",
    ]
    assert "`subjekt`" in found["x.toml:rule[3].fields"]
    assert "`limit`" in found["x.toml:rule[5]"]
    assert "file_name_once" in found["x.toml:rule[4].check"]
    assert "error, warning, note" in found["x.toml:rule[10].severity"]


@pytest.mark.parametrize("lost", ["secrecy", "legal_value"])
def test_a_rule_set_without_open_secrecy_or_value_is_refused(lost: str) -> None:
    basics = BASICS.replace(f'check = "{lost}"', f'check = "{lost}"\nvalid_to = 2030-01-01')
    assert lost in mistakes(basics=basics)["tables.rules"]


@pytest.mark.parametrize("act", [1, 2, 3])
def test_rules_that_let_an_act_name_no_document_are_refused(act: int) -> None:
    left = ", ".join(str(kind) for kind in (1, 2, 3) if kind != act)
    found = mistakes(basics=BASICS.replace("types = [1, 2, 3]", f"types = [{left}]"))
    assert f"business type {act}" in found["tables.rules"]


def test_a_stray_key_in_a_rule_file_is_refused() -> None:
    assert "x.toml:rules" in mistakes(basics="rules = 3\n" + BASICS)


def test_the_vietnamese_day_begins_seven_hours_before_utc() -> None:
    assert vietnam_day(datetime(2026, 12, 31, 17, 0, tzinfo=UTC)) == date(2027, 1, 1)
