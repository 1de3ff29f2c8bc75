"""What a page is made of: safe text, lines of a width, numbers and days."""

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway.cli.answers import plain, say_json
from gateway.cli.page.amounts import (
    about,
    day,
    duration,
    exact,
    measured,
    moment,
    vietnam_date,
    vietnam_moment,
)
from gateway.cli.page.lines import Sheet, fold, one_line, terminal_width
from gateway.errors import Text

STEERS = (
    *(chr(c) for c in range(0x20) if chr(c) not in "\n\t"),
    *(chr(c) for c in range(0x7F, 0xA0)),
    *"\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2060\u2066\u2067\u2068\u2069\ufeff\ufff9",
    "\U000e0041",
    "\ud800",
)


@pytest.mark.parametrize("mark", STEERS, ids=lambda c: f"U+{ord(c):04X}")
def test_a_character_that_steers_or_hides_is_shown_by_its_code(mark, capsys) -> None:
    shown = plain(f"a{mark}b")
    assert re.fullmatch(r"a(\\u[0-9a-f]{4}){1,2}b", shown)
    say_json({"x": f"a{mark}b"})
    said = capsys.readouterr().out
    assert json.loads(said) == {"x": f"a{mark}b"}
    assert mark not in said


@given(st.text())
def test_no_text_at_all_gets_through_with_what_steers(text) -> None:
    shown = one_line(text)
    assert not set(STEERS) & set(shown)
    assert not set("\n\t\r") & set(shown)
    assert plain(shown) == shown


def test_vietnamese_stays_as_it_is_in_either_form_and_a_tower_of_marks_does_not() -> None:
    assert one_line("Ủy ban nhân dân") == "Ủy ban nhân dân"
    assert one_line("U\u0309y ban") == "Ủy ban"
    assert plain("ê\u0323\u0301") == "ê\u0323\u0301"
    assert "\\u" in plain("a" + "\u0301" * 40)


@given(
    st.text(st.characters(exclude_categories=("C", "Z", "M")) | st.just(" ")), st.integers(2, 60)
)
def test_folding_keeps_every_letter_and_the_width(text, width) -> None:
    text = " ".join(text.split())
    folded = fold(text, width)
    assert all(cell_len(line) <= width for line in folded)
    assert "".join(folded).replace(" ", "") == text.replace(" ", "")


def test_a_line_is_filled_as_far_as_it_goes() -> None:
    assert fold("aa bb cc", 5) == ["aa bb", "cc"]
    assert fold("aaaaaaa b", 5) == ["aaaaa", "aa b"]
    assert fold("文文文", 5) == ["文文", "文"]
    assert fold("", 5) == [""]


def test_what_is_cut_off_is_counted() -> None:
    sheet = Sheet("vi", 80)
    assert sheet.short("a" * 2500, 10) == "aaaaaaaaaa… (+2.490 ký tự)"
    assert Sheet("en", 80).short("a" * 2500, 10) == "aaaaaaaaaa… (+2,490 characters)"
    shown = list(sheet.rows(Text("Nơi nhận", "To"), [str(n) for n in range(1012)], Text("n", "n")))
    assert shown[0].split() == ["Nơi", "nhận", "(1.012)", "0"]
    assert shown[-1].strip() == "… và 1.002 n khác"


def test_a_label_that_is_too_long_has_a_line_of_its_own() -> None:
    shown = list(Sheet("en", 60).row(Text("", "A label longer than its column"), "value"))
    assert shown == ["  A label longer than its column", f"{'':22}value"]


def test_a_pipe_is_eighty_cells_wide(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert terminal_width() == 80


@pytest.mark.parametrize(("columns", "width"), [("100", 100), ("20", 40), ("400", 120), ("0", 80)])
def test_a_terminal_is_as_wide_as_it_says_within_reason(columns, width, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert terminal_width() == width


@pytest.mark.parametrize(
    ("size", "vi", "en"),
    [
        (0, "0 byte", "0 bytes"),
        (1, "1 byte", "1 byte"),
        (1023, "1.023 byte", "1,023 bytes"),
        (1024, "1,0 KB", "1.0 KB"),
        (1_263_616, "1,2 MB", "1.2 MB"),
        (1024 * 1024 - 1, "1,0 MB", "1.0 MB"),
        (2 * 1024**3, "2,0 GB", "2.0 GB"),
        (5 * 1024**4, "5120,0 GB", "5120.0 GB"),
    ],
)
def test_sizes_are_for_people(size, vi, en) -> None:
    assert (about(size, "vi"), about(size, "en")) == (vi, en)
    assert exact(size, "vi").endswith(" byte")
    assert measured(1_263_616, "vi") == "1,2 MB (1.263.616 byte)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-20", "20/11/2026"),
        ("2026/1/2", "02/01/2026"),
        ("20/11/2026", "20/11/2026"),
        ("2014-02-30", "2014-02-30 (not a valid date)"),
        ("20260101", "20260101 (not a valid date)"),
        ("hôm qua", "hôm qua (not a valid date)"),
        ("", ""),
        (" ", ""),
    ],
)
def test_a_day_is_written_as_here_and_what_is_none_is_said_to_be_none(text, shown) -> None:
    assert day(text, "en") == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026/11/20 10:00:00", "20/11/2026 10:00:00"),
        ("2026-11-20T10:00:00+07:00", "20/11/2026 10:00:00 +07:00"),
        ("2026-11-20T10:00", "20/11/2026 10:00"),
        ("2026/11/20", "20/11/2026"),
        ("2026/11/20 25:00:00", "2026/11/20 25:00:00 (not a valid date and time)"),
        ("2026/13/20 10:00:00", "2026/13/20 10:00:00 (not a valid date and time)"),
        ("hôm qua", "hôm qua (not a valid date and time)"),
        ("", ""),
    ],
)
def test_a_moment_likewise_and_it_is_not_moved_into_another_zone(text, shown) -> None:
    assert moment(text, "en") == shown


def test_a_certificate_is_valid_from_and_to_days_in_vietnam() -> None:
    assert vietnam_date("2025-12-31T17:30:00Z") == "01/01/2026"
    assert vietnam_date("9999-12-31T23:59:59Z") == "31/12/9999"
    assert vietnam_date("soon") == "soon"


def test_an_instant_of_ours_is_shown_in_vietnam() -> None:
    assert vietnam_moment(datetime(2026, 11, 19, 18, 5, tzinfo=UTC)) == "20/11/2026 01:05:00"
    last = datetime.max.replace(tzinfo=UTC)
    assert vietnam_moment(last) == "31/12/9999 23:59:59 UTC"


@pytest.mark.parametrize(
    ("seconds", "vi", "en"),
    [
        (0, "0 giây", "0 seconds"),
        (1, "1 giây", "1 second"),
        (119, "1 phút", "1 minute"),
        (7200, "2 giờ", "2 hours"),
        (86_400, "1 ngày", "1 day"),
        (86_400 * 1500, "1.500 ngày", "1,500 days"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds, vi, en) -> None:
    assert (duration(seconds, "vi"), duration(seconds, "en")) == (vi, en)
