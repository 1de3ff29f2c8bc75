"""What a recall, an update and a replacement must say, in which place; all findings at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model.package import (
    Business,
    DocumentHeader,
    FileFact,
    ReceiverChange,
    Replacement,
    ResponseFor,
)
from gateway.rules import check_package, check_submission
from tests.support.rule_cases import AT, DAY, a_header, a_submission, shipped_rules

RULES = shipped_rules()
OLD = "000.00.19.H14,2026/11/02,9/UBND-VX"
NAMED = (ResponseFor("000.00.19.H14", "9/UBND-VX", OLD, "2026-11-02"),)
RECALL = a_header(business=Business(type=1, reason="Ban hành nhầm"), response_for=NAMED)
UPDATE = a_header(business=Business(type=2, document_id=OLD, document_changed=1))
RECEIVERS = a_header(
    business=Business(
        type=2,
        document_id=OLD,
        receivers_changed=1,
        receivers=(ReceiverChange("000.00.00.G22", 0), ReceiverChange("H29", 1)),
    )
)
REPLACE = a_header(
    business=Business(
        type=3, replaces=(Replacement(OLD, ("000.00.00.G22",)), Replacement("x-2", ("H29",)))
    )
)


def submitted(header: DocumentHeader) -> list[tuple[str, str, str]]:
    found = check_submission(a_submission(header=header), AT, RULES)
    return [(f.path, f.code, f.severity.value) for f in found]


def packaged(header: DocumentHeader, *, arriving: bool = False) -> list[tuple[str, str, str]]:
    fact = FileFact("a.pdf", 4, "00" * 32, 4, "00" * 32, unwrapped=False, declared_name="a.pdf")
    found = check_package(header, [fact], [], DAY, RULES, arriving=arriving)
    return [(f.path, f.code, f.severity.value) for f in found]


def acting(header: DocumentHeader, **changes: object) -> DocumentHeader:
    business = replace(header.business, **changes)  # type: ignore[arg-type]  # names come from the test
    return replace(header, business=business)


@pytest.mark.parametrize("header", [RECALL, UPDATE, RECEIVERS, REPLACE])
def test_a_complete_act_has_no_finding(header: DocumentHeader) -> None:
    assert submitted(header) == []
    assert packaged(header) == []


def test_a_recall_says_which_documents_and_why() -> None:
    nameless = (*NAMED, ResponseFor("000.00.19.H14", "10/UBND-VX"))
    assert submitted(replace(acting(RECALL, reason=" "), response_for=nameless)) == [
        ("response_for[1].document_id", "business.about_missing", "error"),
        ("business.reason", "business.reason_missing", "error"),
    ]
    assert submitted(replace(RECALL, response_for=())) == [
        ("response_for", "business.about_missing", "error")
    ]


def test_an_update_says_of_what_and_what_changed() -> None:
    assert submitted(a_header(business=Business(type=2))) == [
        ("business.about", "business.about_missing", "error"),
        ("business.document_changed", "business.change_missing", "error"),
    ]
    assert submitted(acting(UPDATE, document_changed=0)) == [
        ("business.document_changed", "business.change_missing", "error")
    ]


def test_changed_receivers_and_their_flag_come_together() -> None:
    assert submitted(acting(RECEIVERS, receivers=())) == [
        ("business.receivers", "business.receivers_missing", "error"),
        ("business.receivers", "business.receivers_missing", "error"),
    ]
    assert submitted(acting(RECEIVERS, receivers_changed=0, document_changed=1)) == [
        ("business.receivers[0].organ_id", "business.misplaced", "error"),
        ("business.receivers[1].organ_id", "business.misplaced", "error"),
    ]


def test_a_receiver_is_added_or_removed_once_and_has_a_code() -> None:
    twice = (
        ReceiverChange("H29", 0),
        ReceiverChange("000.00.00.H29", 1),
        ReceiverChange("không mã", 2),
    )
    assert set(submitted(acting(RECEIVERS, receivers=twice))) == {
        ("business.receivers[1].organ_id", "content.receiver_twice", "error"),
        ("business.receivers[2].organ_id", "agency.code_invalid", "error"),
        ("business.receivers[2].change", "content.code_unknown", "error"),
    }


def test_a_replacement_names_every_document() -> None:
    assert submitted(acting(REPLACE, replaces=())) == [
        ("business.replaces", "business.about_missing", "error")
    ]
    assert submitted(acting(REPLACE, replaces=(Replacement(""), Replacement("x", ("?",))))) == [
        ("business.replaces[0].document_id", "business.about_missing", "error"),
        ("business.replaces[1].organ_ids[0]", "agency.code_invalid", "error"),
    ]


@pytest.mark.parametrize("kind", [4, 9])
def test_an_unknown_type_is_refused(kind: int) -> None:
    assert ("business.type", "content.code_unknown", "error") in submitted(
        a_header(business=Business(type=kind))
    )


def test_what_stands_in_the_place_of_another_act_is_refused() -> None:
    everything = replace(
        RECALL,
        business=Business(
            type=1,
            reason="x",
            document_id=OLD,
            document_changed=1,
            receivers=(ReceiverChange("H29", 1),),
            replaces=(Replacement(OLD),),
        ),
    )
    assert submitted(everything) == [
        ("business.about", "business.misplaced", "error"),
        ("business.document_changed", "business.misplaced", "error"),
        ("business.receivers[0].organ_id", "business.misplaced", "error"),
        ("business.replaces[0].document_id", "business.misplaced", "error"),
    ]


def test_a_new_document_that_names_another_is_only_told() -> None:
    """The vendor's sample of a new document fills Bussiness/DocumentId (edxml-format 6)."""
    new = a_header(business=Business(type=0, document_id="any"))
    assert submitted(new) == [("business.about", "business.misplaced", "warning")]
    assert packaged(new) == [("business.about", "business.misplaced", "warning")]


@pytest.mark.parametrize("kind", [1, 3])
def test_a_ready_made_act_may_name_its_document_in_another_place(kind: int) -> None:
    mixed = a_header(business=Business(type=kind, document_id=OLD, reason="x"))
    assert packaged(mixed) == [("business.about", "business.misplaced", "warning")]
    nowhere = acting(mixed, document_id="")
    assert [code for _, code, severity in packaged(nowhere) if severity == "error"] == [
        "business.about_missing"
    ]


def test_an_act_that_arrives_is_never_refused() -> None:
    arrived = packaged(a_header(business=Business(type=1)), arriving=True)
    assert {severity for _, _, severity in arrived} == {"warning"}
