"""What a document must contain: one test for each point of the law, and for each limit."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import Finding, Severity, errors_in
from gateway.model.package import (
    Business,
    DocumentCode,
    DocumentHeader,
    DocumentType,
    Extra,
    FileFact,
    Organ,
    OtherInfo,
    Promulgation,
    ResponseFor,
    Signer,
)
from gateway.rules import check_package, check_secrecy, check_submission, legal_value
from tests.support.rule_cases import AT, DAY, a_file, a_header, a_submission, shipped_rules

RULES = shipped_rules()


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [(f.path, f.code, f.severity.value) for f in findings]


def judged(**header_changes: object) -> list[tuple[str, str, str]]:
    return codes(check_submission(a_submission(header=a_header(**header_changes)), AT, RULES))


def a_fact(name: str = "cong-van.pdf") -> FileFact:
    return FileFact(name, 4, "00" * 32, 4, "00" * 32, unwrapped=False, declared_name=name)


def packaged(
    header: DocumentHeader, *extras: Extra, files: int = 1, arriving: bool = False
) -> list[tuple[str, str, str]]:
    facts = [a_fact(f"{n}.pdf") for n in range(files)]
    return codes(check_package(header, facts, extras, DAY, RULES, arriving=arriving))


def test_a_complete_submission_has_no_finding() -> None:
    assert check_submission(a_submission(), AT, RULES) == ()


def test_everything_that_is_missing_is_said_at_once() -> None:
    empty = DocumentHeader(sender=Organ(), to=(), document_id="")
    findings = check_submission(a_submission(header=empty, files=()), AT, RULES)
    assert codes(findings) == [
        ("from.organ_id", "content.missing", "error"),
        ("to", "content.missing", "error"),
        ("code.number", "content.missing", "error"),
        ("code.notation", "content.missing", "error"),
        ("promulgation.date", "content.missing", "error"),
        ("document_type.name", "content.missing", "error"),
        ("subject", "content.missing", "error"),
        ("signer.full_name", "content.missing", "error"),
        ("signer.position", "content.missing", "error"),
        ("files", "content.no_file", "error"),
    ]


def test_every_finding_names_its_article_and_speaks_both_languages() -> None:
    empty = DocumentHeader(sender=Organ(), to=(Organ(),), document_id="")
    for finding in check_submission(a_submission(header=empty, files=()), AT, RULES):
        assert finding.rule.startswith(("QĐ 28/2018", "QCVN 102", "NĐ 30/2020"))
        assert finding.text.vi
        assert finding.text.vi != finding.text.en
        assert "{" not in finding.text.vi + finding.text.en


def test_blanks_are_no_value() -> None:
    assert judged(subject=" \u00a0 ") == [("subject", "content.missing", "error")]


def test_the_second_receiver_is_named_by_its_index() -> None:
    found = judged(to=(Organ("H29"), Organ("  ")))
    assert found == [("to[1].organ_id", "content.missing", "error")]


def test_a_receiver_named_twice_is_found_in_either_written_form() -> None:
    found = judged(to=(Organ("000.00.19.H14"), Organ("H29"), Organ("h14.19")))
    assert found == [("to[2].organ_id", "content.receiver_twice", "error")]


@pytest.mark.parametrize("code", ["H14/19", "../etc", "a b", "x" * 51, "H14..1", "Cao Bằng"])
def test_what_has_not_the_form_of_an_agency_code_is_refused(code: str) -> None:
    found = judged(sender=Organ(code))
    assert found == [("from.organ_id", "agency.code_invalid", "error")]


def test_a_date_in_the_future_is_refused_by_the_vietnamese_calendar() -> None:
    late = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)  # already the 21st in Vietnam
    header = a_header(promulgation=Promulgation("", "2026-11-21"))
    submission = a_submission(header=header)
    assert check_submission(submission, late, RULES) == ()
    early = check_submission(submission, late - timedelta(microseconds=1), RULES)
    assert codes(early) == [("promulgation.date", "content.date_future", "error")]


@pytest.mark.parametrize("text", ["2014/02/30", "2026-13-01", "soon", "0000-01-01", "20261120"])
def test_a_day_that_does_not_exist_is_refused(text: str) -> None:
    found = judged(promulgation=Promulgation("", text), due_date=text)
    assert found == [
        ("promulgation.date", "content.date_invalid", "error"),
        ("due_date", "content.date_invalid", "error"),
    ]


@pytest.mark.parametrize("text", ["2026/11/20", "20/11/2026", "2026-11-20T10:00:00", "1-2-2026"])
def test_every_date_form_of_the_format_is_read(text: str) -> None:
    assert judged(promulgation=Promulgation("", text)) == []


def test_dates_of_documents_answered_are_judged_by_index() -> None:
    answers = (ResponseFor("H29", "1/CV", "x", "2026-01-02"), ResponseFor("H29", "", "", "x"))
    found = judged(response_for=answers)
    assert found == [("response_for[1].promulgation_date", "content.date_invalid", "error")]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"other": OtherInfo(priority=5)}, "other.priority"),
        ({"other": OtherInfo(priority=-1)}, "other.priority"),
        ({"other": OtherInfo(copies=-1)}, "other.copies"),
        ({"other": OtherInfo(pages=-1)}, "other.pages"),
        ({"steering_type": 4}, "steering_type"),
        ({"document_type": DocumentType(-1, None, "Công văn")}, "document_type.type"),
        ({"paper": 2}, "paper"),
        ({"business": Business(type=4)}, "business.type"),
    ],
)
def test_a_code_outside_its_list_is_refused(change: dict[str, object], path: str) -> None:
    assert judged(**change) == [(path, "content.code_unknown", "error")]


@pytest.mark.parametrize(
    "change",
    [
        {"other": OtherInfo(priority=3)},
        {"steering_type": 3},
        {"document_type": DocumentType(None, None, "Công văn")},
        {"document_type": DocumentType(18, 0, "Công văn")},
    ],
)
def test_the_ends_of_the_lists_are_accepted(change: dict[str, object]) -> None:
    assert judged(**change) == []


def test_the_legacy_priority_is_accepted_with_a_warning() -> None:
    found = judged(other=OtherInfo(priority=4))
    assert found == [("other.priority", "content.code_legacy", "warning")]


@pytest.mark.parametrize(
    ("change", "path", "severity"),
    [
        ({"code": DocumentCode("1" * 12, "CV")}, "code.number", "error"),
        ({"code": DocumentCode("1", "X" * 31)}, "code.notation", "error"),
        ({"subject": "x" * 501}, "subject", "error"),
        ({"document_id": "x" * 201}, "document_id", "error"),
        ({"signer": Signer("", "Chủ tịch", "x" * 51)}, "signer.full_name", "error"),
        ({"signer": Signer("", "x" * 101, "A")}, "signer.position", "error"),
        ({"document_type": DocumentType(1, 0, "x" * 101)}, "document_type.name", "error"),
        ({"to": (Organ("H29", "x" * 201),)}, "to[0].name", "error"),
        ({"content": "x" * 501}, "content", "warning"),
        ({"promulgation": Promulgation("x" * 51, "2026-11-20")}, "promulgation.place", "warning"),
        ({"other": OtherInfo(typer_notation="x" * 11)}, "other.typer_notation", "warning"),
        ({"other": OtherInfo(pages=1000)}, "other.pages", "warning"),
        ({"to_places": ("x" * 151,)}, "to_places[0]", "warning"),
        ({"to_places": ("x" * 150,) * 7}, "to_places", "error"),
    ],
)
def test_lengths_of_the_decree_refuse_and_lengths_of_a_broker_warn(
    change: dict[str, object], path: str, severity: str
) -> None:
    assert judged(**change) == [(path, "content.too_long", severity)]


def test_the_longest_allowed_values_pass() -> None:
    assert judged(subject="ệ" * 500, code=DocumentCode("1" * 11, "X" * 30)) == []


def test_a_decomposed_subject_is_measured_in_composed_characters() -> None:
    assert judged(subject=unicodedata.normalize("NFD", "ệ" * 500)) == []


def test_a_release_in_the_future_is_refused() -> None:
    found = check_submission(a_submission(released_at=AT + timedelta(minutes=6)), AT, RULES)
    assert codes(found) == [("released_at", "content.released_future", "error")]


def test_a_release_a_little_ahead_of_our_clock_is_a_warning() -> None:
    found = check_submission(a_submission(released_at=AT + timedelta(seconds=2)), AT, RULES)
    assert codes(found) == [("released_at", "content.released_ahead", "warning")]


def test_a_release_without_an_offset_is_refused() -> None:
    naive = AT.replace(tzinfo=None)
    found = check_submission(a_submission(released_at=naive), AT, RULES)
    assert codes(found) == [("released_at", "content.released_future", "error")]


def test_a_release_in_the_past_is_fine() -> None:
    assert check_submission(a_submission(released_at=AT), AT, RULES) == ()


@pytest.mark.parametrize(
    "name",
    [
        "../a.pdf",
        "a/b.pdf",
        "C:\\a.pdf",
        "",
        " ",
        ".",
        "..",
        "a\x00.pdf",
        "a\n.pdf",
        "\u202efdp.exe",
        "é" * 128,
        "\ud800.pdf",
        "a\x85.pdf",
        "a\u200e.pdf",
        "null",
    ],
)
def test_a_file_name_that_is_no_bare_name_is_refused(name: str) -> None:
    found = check_submission(a_submission(files=(a_file(), a_file(name))), AT, RULES)
    assert codes(found) == [("files[1].name", "content.file_name", "error")]


@pytest.mark.parametrize("name", ['a"b.pdf', "CON.pdf", "com1", "a:b.pdf", "a?.pdf", "a.pdf."])
def test_a_name_that_windows_cannot_save_is_a_warning(name: str) -> None:
    found = check_submission(a_submission(files=(a_file(name),)), AT, RULES)
    assert codes(found) == [("files[0].name", "content.file_name_changed", "warning")]


@pytest.mark.parametrize("name", ["Công văn số 12.docx", "CONG VAN.pdf", ".profile", "a 'b'.pdf"])
def test_a_name_that_everybody_can_save_is_fine(name: str) -> None:
    assert check_submission(a_submission(files=(a_file(name),)), AT, RULES) == ()


def test_an_empty_file_is_found_beside_everything_else() -> None:
    files = (a_file("a/b.pdf"), replace(a_file(), size=0))
    found = check_submission(a_submission(header=a_header(subject=""), files=files), AT, RULES)
    assert sorted(codes(found)) == [
        ("files[0].name", "content.file_name", "error"),
        ("files[1]", "content.file_empty", "error"),
        ("subject", "content.missing", "error"),
    ]


def test_what_packing_would_refuse_in_a_text_is_found_by_the_rules() -> None:
    found = judged(subject="null", content="a\x85b", task_codes=("\x7f", "null và void"))
    assert sorted(found) == [
        ("content", "text.control_character", "error"),
        ("subject", "text.null", "error"),
        ("task_codes[0]", "text.control_character", "error"),
    ]


def test_a_guillemet_is_no_control_character() -> None:
    assert judged(subject="«Về việc» 37° § 5\u00a0a") == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"due_date": "2026-11-19"}, [("due_date", "content.date_past", "warning")]),
        ({"due_date": "2026-11-20"}, []),
        (
            {"sender": Organ("H14.19", email="notmail")},
            [("from.email", "content.email", "warning")],
        ),
        ({"sender": Organ("H14.19", email="a@mau.gov.vn; b.c@mau.vn")}, []),
        (
            {"to": (Organ("H29", email="a@b"),)},
            [("to[0].email", "content.email", "warning")],
        ),
        (
            {"document_type": DocumentType(77, 0, "Công văn")},
            [("document_type.type", "content.code_unusual", "warning")],
        ),
        (
            {"document_type": DocumentType(2, 500, "Công văn")},
            [("document_type.type_detail", "content.code_unusual", "warning")],
        ),
        (
            {"response_for": (ResponseFor("z z!", promulgation_date="2026-02-30"),)},
            [
                ("response_for[0].organ_id", "agency.code_invalid", "warning"),
                ("response_for[0].promulgation_date", "content.date_invalid", "error"),
            ],
        ),
    ],
)
def test_what_is_probably_a_slip_is_said(
    change: dict[str, object], found: list[tuple[str, str, str]]
) -> None:
    assert sorted(judged(**change)) == found


def test_two_files_of_one_name_are_a_warning() -> None:
    files = (a_file("Phụ lục.pdf"), a_file(unicodedata.normalize("NFD", "PHỤ LỤC.pdf")))
    found = check_submission(a_submission(files=files), AT, RULES)
    assert codes(found) == [("files[1].name", "content.file_name_twice", "warning")]


def test_a_character_that_xml_cannot_hold_is_found_in_any_field() -> None:
    found = judged(
        subject="a\x0bb", sender=Organ("H14.19", address="\ud800"), task_codes=("ok", "\x1f")
    )
    assert sorted(found) == [
        ("from.address", "content.character", "error"),
        ("subject", "content.character", "error"),
        ("task_codes[1]", "content.character", "error"),
    ]


def test_metadata_alone_can_be_judged_before_any_file() -> None:
    submission = a_submission(files=(), secrecy="Mật")
    found = check_submission(submission, AT, RULES, with_files=False)
    assert codes(found) == [("secrecy", "secrecy.marked", "error")]


# --- secrecy


@pytest.mark.parametrize("value", ["Mật", "mật", "TUYỆT MẬT", "Không", "x", "0"])
def test_any_value_in_the_secrecy_field_is_refused(value: str) -> None:
    found = check_submission(a_submission(secrecy=value), AT, RULES)
    assert codes(found) == [("secrecy", "secrecy.marked", "error")]


def test_an_empty_secrecy_field_is_fine() -> None:
    assert check_submission(a_submission(secrecy="  "), AT, RULES) == ()


@pytest.mark.parametrize(
    "mark",
    [
        "Mật",
        "MẬT",
        "tối mật",
        "Tối  Mật ",
        "TUYỆT\u00a0MẬT",
        unicodedata.normalize("NFD", "Tối mật"),
    ],
)
def test_a_mark_is_found_as_a_whole_value_in_any_form(mark: str) -> None:
    extra = Extra("MessageHeader/SecurityLevel", mark)
    found = check_secrecy(DAY, RULES, type_name=mark, typer_notation=mark, extras=[extra])
    assert codes(found) == [
        ("document_type.name", "secrecy.marked", "error"),
        ("other.typer_notation", "secrecy.marked", "error"),
        ("MessageHeader/SecurityLevel", "secrecy.marked", "error"),
    ]


@pytest.mark.parametrize("word", ["Bảo mật", "Mật độ", "Công văn mật", "Bí mật nhà nước", "Mat"])
def test_a_word_inside_another_value_is_no_mark(word: str) -> None:
    assert check_secrecy(DAY, RULES, type_name=word, extras=[Extra("x", word)]) == ()


def test_a_document_about_secrets_may_pass() -> None:
    assert judged(subject="Tuyệt mật") == []


def test_a_marked_type_name_is_refused_in_a_submission_too() -> None:
    found = judged(document_type=DocumentType(2, 0, "Tối Mật"))
    assert found == [("document_type.name", "secrecy.marked", "error")]


def test_a_secrecy_finding_never_repeats_the_content() -> None:
    (finding,) = check_secrecy(DAY, RULES, secrecy="Kế hoạch A")
    assert "Kế hoạch" not in finding.text.vi + finding.text.en + finding.path


# --- packages


def test_a_ready_made_package_is_judged_with_the_same_paths() -> None:
    header = replace(a_header(), signer=Signer(), subject="")
    found = packaged(header, files=0)
    assert found == [
        ("subject", "content.missing", "error"),
        ("signer.full_name", "content.missing", "error"),
        ("signer.position", "content.missing", "error"),
        ("files", "content.no_file", "error"),
    ]


def test_lengths_only_warn_in_a_ready_made_package() -> None:
    assert packaged(a_header(subject="x" * 501)) == [("subject", "content.too_long", "warning")]


def test_an_arrival_is_never_refused_by_content() -> None:
    empty = DocumentHeader(sender=Organ(), to=(), document_id="", business=Business(type=2))
    findings = check_package(empty, [], [], DAY, RULES, arriving=True)
    assert len(findings) == 12
    assert errors_in(findings) == ()
    assert {f.code for f in findings} == {
        "content.missing",
        "content.no_file",
        "business.about_missing",
        "business.change_missing",
    }


def test_an_arrival_with_a_secrecy_mark_is_still_an_error() -> None:
    extra = Extra("MessageHeader/DoMat", "mật")
    found = packaged(a_header(), extra, arriving=True)
    assert found == [("MessageHeader/DoMat", "secrecy.marked", "error")]


def test_declared_names_are_judged_in_packages() -> None:
    fact = replace(a_fact("x.pdf"), declared_name="../x.pdf")
    found = check_package(a_header(), [fact], [], DAY, RULES)
    assert codes(found) == [("files[0].name", "content.file_name", "warning")]


def test_without_signatures_examined_the_legal_value_is_information_for_now() -> None:
    value = legal_value(DAY, RULES)
    assert value.as_json() == {"class": "information", "provisional": True}
    assert "Điều 4" in value.article
    assert value.text.vi


def test_no_severity_of_an_arrival_is_raised() -> None:
    header = a_header(other=OtherInfo(priority=4))
    assert packaged(header, arriving=True) == [("other.priority", "content.code_legacy", "warning")]
    assert Severity.NOTE not in {f.severity for f in check_package(header, [], [], DAY, RULES)}
