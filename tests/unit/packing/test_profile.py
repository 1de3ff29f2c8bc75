"""The profile is data with periods; the schemas, the writer and the rules agree with today's."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from gateway.errors import Misconfigured
from gateway.model.package import STATUS_CODES, BusinessType
from gateway.packing.profile import Profile, load_profile
from gateway.rules import load_rules
from gateway.rules.kinds import Between
from tests.support.schemas import FOLDER

CONF = Path(__file__).parents[3] / "conf"
TODAY = date(2026, 11, 29)
XS = "{http://www.w3.org/2001/XMLSchema}"
ENTRY = {
    "id": "x",
    "elements": ["Priority"],
    "source": "s",
    "confidence": "read",
    "valid_from": date(2020, 1, 1),
}
CODES = {**ENTRY, "values": [{"code": "0", "vi": "a", "en": "a"}]}


def tables(folder: str) -> dict[str, dict[str, object]]:
    files = sorted((CONF / folder).glob("*.toml"))
    return {f.name: tomllib.loads(f.read_text("utf-8")) for f in files}


def shipped() -> Profile:
    return load_profile(tables("profile"))


def mistakes(**kinds: list[dict[str, object]]) -> list[tuple[str, str]]:
    with pytest.raises(Misconfigured) as caught:
        load_profile({"p.toml": kinds})
    assert caught.value.code == "conf.profile_invalid"
    return [(f.path, f.text.en) for f in caught.value.findings]


def facets(name: str) -> tuple[set[str], set[str]]:
    """Enumerations and patterns of a simple type of types.xsd."""
    tree = etree.parse(FOLDER / "types.xsd")
    found = next(e for e in tree.iter(f"{XS}simpleType") if e.get("name") == name)
    return (
        {e.get("value", "") for e in found.iter(f"{XS}enumeration")},
        {e.get("value", "") for e in found.iter(f"{XS}pattern")},
    )


# one truth


@pytest.mark.parametrize(
    ("ident", "type_"),
    [
        ("priority", "priority"),
        ("steering", "steering"),
        ("business", "businessType"),
        ("flag", "flag"),
        ("direction", "direction"),
        ("status", "statusCode"),
    ],
)
def test_a_code_list_of_today_is_the_facet_of_the_schema(ident: str, type_: str) -> None:
    codes = set(shipped().on(TODAY).code_list(ident).codes())
    values, patterns = facets(type_)
    if patterns:
        possible = {f"{n}" for n in range(100)} | {f"{n:02}" for n in range(100)}
        values = {v for v in possible if any(re.fullmatch(p, v) for p in patterns)}
    assert codes == values


def test_the_codes_in_the_code_are_those_of_today() -> None:
    today = shipped().on(TODAY)
    assert today.code_list("status").codes() == STATUS_CODES
    assert today.code_list("business").codes() == tuple(str(int(b)) for b in BusinessType)


@pytest.mark.parametrize(
    ("ident", "field"),
    [("priority", "other.priority"), ("steering", "steering_type"), ("business", "business.type")],
)
def test_the_rules_for_submissions_have_the_codes_of_today(ident: str, field: str) -> None:
    rules = load_rules(tables("rules")).on(TODAY)
    rule = next(r for r in rules.of(Between) if field in r.fields)
    codes = [int(c) for c in shipped().on(TODAY).code_list(ident).codes()]
    assert (rule.minimum, rule.maximum) == (min(codes), max(codes))


def test_the_form_of_an_agency_code_is_the_facet_of_the_schema() -> None:
    form = next(f for f in shipped().on(TODAY).forms if f.id == "organ_id")
    assert facets("organId")[1] == {form.pattern}
    assert form.fits("000.00.00.H14")
    assert not form.fits("000.00.00.H14\n")
    assert not form.fits("A" * 51)


# periods and gaps


def test_the_amendment_brings_its_catalogues_and_the_other_form_of_codes() -> None:
    before, after = (shipped().on(date(2022, 2, day)) for day in (16, 17))
    lists = {"document_type.normative", "document_type.administrative"}
    assert lists & {c.id for c in before.codes} == set()
    assert lists <= {c.id for c in after.codes}
    written = [next(f for f in p.forms if f.id == "organ_id.written") for p in (before, after)]
    assert [f.fits("H14.19") for f in written] == [False, True]
    assert [f.fits("000.00.19.H14") for f in written] == [True, True]


def test_numbers_that_were_cut_off_are_gaps_and_not_known() -> None:
    catalogue = shipped().on(TODAY).code_list("document_type.administrative")
    assert catalogue.holds("18")
    for cut in ("10", "17", "27"):
        assert not catalogue.holds(cut)
        assert catalogue.unseen(cut)
    assert not catalogue.unseen("0")
    assert not catalogue.unseen("²")
    with pytest.raises(KeyError):
        shipped().code_list("no such list")


def test_every_entry_has_its_source_and_confidence() -> None:
    everything = shipped()
    entries = (*everything.presence, *everything.forms, *everything.codes)
    assert len(entries) > 20
    assert all(entry.source and entry.confidence for entry in entries)


# mistakes


def test_every_mistake_is_told_at_once_with_its_place() -> None:
    found = mistakes(
        odd=[{}],
        codes=[
            CODES,
            {**CODES, "valid_to": date(2019, 1, 1)},
            {**CODES, "id": "y", "values": CODES["values"] * 2, "gaps": ["10-17"]},
            {"id": "z"},
        ],
        form=[{**ENTRY, "pattern": "("}, {**ENTRY, "id": "u", "pattern": "x", "limit": 3}],
    )
    assert [path for path, _ in found] == [
        "p.toml:odd",
        "p.toml:codes[1].valid_to",
        "p.toml:codes[2].values",
        "p.toml:codes[2].gaps",
        "p.toml:codes[3]",
        "p.toml:form[0].pattern",
        "p.toml:form[1]",
    ]


def test_two_entries_of_one_id_may_follow_each_other_but_not_overlap() -> None:
    later = {**CODES, "valid_from": date(2021, 1, 1)}
    assert [path for path, _ in mistakes(codes=[CODES, later])] == ["p.toml:codes[1].id"]
    ended = {**CODES, "valid_to": date(2020, 12, 31)}
    profile = load_profile({"p.toml": {"codes": [ended, later]}})
    assert len(profile.on(TODAY).codes) == 1
