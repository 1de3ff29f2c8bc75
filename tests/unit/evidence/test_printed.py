"""The minutes on paper: the same each time, all of the words, and none that cannot be shown."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from gateway.evidence import minutes, printed
from tests.unit.evidence.test_words import a_case, a_package

ROOT = Path(__file__).parents[3]


def test_it_names_the_minutes_that_it_shows() -> None:
    made = printed.write(a_case(), [a_package()])
    text = minutes.write(a_case(), [a_package()])
    assert made.startswith(b"%PDF-")
    assert printed.names(made) == hashlib.sha256(text.encode()).hexdigest()
    other = printed.write(a_case(), [replace(a_package(), size=8)])
    assert printed.names(other) != printed.names(made)
    assert printed.names(b"%PDF-1.7") == ""
    assert printed.names(made + other) == "", "two names are none"


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_writes_the_same_bytes(seed: str) -> None:
    script = (
        "import hashlib\n"
        "from gateway.evidence import printed\n"
        "from tests.unit.evidence.test_words import a_case, a_package\n"
        "print(hashlib.sha256(printed.write(a_case(), [a_package()])).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    again = printed.write(a_case(), [a_package()])
    assert done.stdout.strip() == hashlib.sha256(again).hexdigest()


def test_it_is_a4_with_numbered_pages_and_long_minutes_take_more_of_them() -> None:
    one = a_package()
    many = replace(one, files=tuple(replace(one.files[0], name=f"{n}.pdf") for n in range(200)))
    short, long = (printed.write(a_case(), [seen]) for seen in (one, many))
    assert b"/MediaBox [0 0 595.28 841.89]" in short
    assert short.count(b"/Type /Page\n") < long.count(b"/Type /Page\n")


def test_the_table_lists_package_file_records_and_checkpoints() -> None:
    listed = dict(printed.digests(a_case(), [a_package()]))
    case = a_case()
    assert listed["tệp 12.pdf"] == "ab" * 32
    assert listed["records/1-2.json"] == hashlib.sha256(case.records[0].body).hexdigest()
    assert listed["checkpoints/1-3.note"] == hashlib.sha256(case.heads[0].note.encode()).hexdigest()


def test_every_vietnamese_letter_has_its_shape_and_others_a_box() -> None:
    vowels = "aăâeêioôơuưy"
    tones = "\u0300\u0301\u0303\u0309\u0323"
    letters = "đĐ" + "".join(v + t for v in vowels + vowels.upper() for t in ("", *tones))
    shown = printed._shown(letters)
    assert "□" not in shown
    assert len(shown) == 2 + len(vowels) * 2 * 6
    assert printed._shown("公\u202e") == "□□"
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"):
        with TTFont(Path(printed.__file__).parent / "fonts" / name) as font:
            kept = {c for first, last in printed._KEPT for c in range(first, last + 1)}
            assert {*map(ord, shown), ord("□")} <= kept <= set(font.getBestCmap())


def test_a_subject_that_no_font_can_show_is_printed_all_the_same() -> None:
    one = a_package()
    assert one.header is not None
    strange = replace(one, header=replace(one.header, subject="公文\U0001f600 " + "x" * 4000))
    assert printed.names(printed.write(a_case(), [strange]))
