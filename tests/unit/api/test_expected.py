"""What is wrong with a JSON body is said in our own words, and what would be right."""

from __future__ import annotations

import pytest

from gateway.api.accounts import AccountBody
from gateway.api.expected import wrong_members
from gateway.api.inbox import StatusBody
from gateway.api.queue import PeriodBody, ReleaseBody


def told(value: dict[str, object], shape: type = StatusBody) -> list[tuple[str, str, str]]:
    return [(f.path, f.code, f.text.en) for f in wrong_members(value, shape)]


def test_an_unknown_code_is_answered_with_the_codes_that_there_are() -> None:
    (found,) = told({"code": "99"})
    assert found[:2] == ("code", "member.invalid")
    assert found[2] == (
        'the value must be one of the strings: "02", "03", "04", "05", "06", "15", "16"'
    )


def test_a_role_is_answered_with_the_roles_that_there_are() -> None:
    (found,) = told({"name": "a", "role": "boss"}, AccountBody)
    assert '"unit"' in found[2]
    assert '"auditor"' in found[2]


@pytest.mark.parametrize("name", ["", "a\x00", 5, "x" * 201])
def test_a_text_is_answered_with_its_length_and_letters(name: object) -> None:
    (found,) = told({"name": name, "role": "ops"}, AccountBody)
    assert found == (
        "name",
        "member.invalid",
        "the value must be a string of 1 to 200 characters without control characters",
    )


def test_a_list_is_answered_with_what_its_items_are() -> None:
    (found,) = told({"name": "a", "role": "unit", "agencies": "H14"}, AccountBody)
    assert found[2] == "the value must be a list, each item a string"


@pytest.mark.parametrize("rate", [0, 6001, "60", True])
def test_a_number_is_answered_with_its_range(rate: object) -> None:
    (found,) = told({"from": "2026-11-20", "rate": rate}, PeriodBody)
    assert found == ("rate", "member.invalid", "the value must be a whole number from 1 to 6000")


def test_a_switch_is_answered_with_its_two_values() -> None:
    (found,) = told({"again": "yes"}, ReleaseBody)
    assert found == ("again", "member.invalid", "the value must be true or false")


def test_members_of_members_are_named_by_their_path() -> None:
    found = told({"code": "06", "staff": {"nam": "x", "email": 5}})
    assert [f[:2] for f in found] == [
        ("staff.nam", "member.unknown"),
        ("staff.email", "member.invalid"),
    ]
    assert told({"code": "06", "staff": 5})[0][2] == "the value must be a JSON object"


def test_a_good_body_has_nothing_wrong() -> None:
    assert told({"code": "06", "description": "Xong", "staff": {"name": "Mẫu"}}) == []
