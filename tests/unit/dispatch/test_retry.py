"""The retry policy as a person writes it: what it means, and where it is wrong."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.retry import DEFAULT, Retry, parse
from gateway.errors import Misconfigured


def test_a_policy_says_its_pauses_its_lifetime_and_its_jitter() -> None:
    read = parse("30s, 2m, 1.5h then every 1h for 3d, jitter half")
    assert read == Retry((30.0, 120.0, 5400.0), 3600.0, 259_200.0, "half")


def test_without_every_the_last_pause_repeats_and_jitter_is_full() -> None:
    assert parse("500ms,1s for 10m") == Retry((0.5, 1.0), 1.0, 600.0, "full")


def test_blanks_around_words_do_not_matter() -> None:
    assert parse("  1s ,2s  then  every 3s for 1m , jitter none ") == parse(
        "1s, 2s then every 3s for 1m, jitter none"
    )


def test_pauses_follow_the_attempts_and_the_last_one_repeats() -> None:
    read = parse("1s, 5s then every 7s for 1h, jitter none")
    assert [read.pause(n, 0.3) for n in (1, 2, 3, 4, 5000)] == [1, 5, 7, 7, 7]


def test_the_default_is_what_a_person_would_compute() -> None:
    read = parse(DEFAULT)
    assert [read.pause(n, 0.5) for n in range(1, 10)] == [
        15,
        30,
        60,
        120,
        240,
        480,
        960,
        1800,
        1800,
    ]


@pytest.mark.parametrize(
    ("line", "position", "found"),
    [
        ("", 1, "found the end"),
        ("30", 1, "found '30'"),
        ("0s for 1d", 1, "found '0s'"),
        ("30 s for 1d", 1, "found '30'"),
        ("30s, for 1d", 6, "found 'for'"),
        ("30s 2m for 1d", 5, "found '2m'"),
        ("30s then 1h for 3d", 10, "found '1h'"),
        ("30s then every for 3d", 16, "found 'for'"),
        ("30s then every 1h", 18, "found the end"),
        ("30s for ever", 9, "found 'ever'"),
        ("30s for 3d jitter full", 12, "found 'jitter'"),
        ("30s for 3d, jitter much", 20, "found 'much'"),
        ("30s for 3d, jitter full, 5s", 24, "found ','"),
        ("30s for 3d, 5s", 11, "found ','"),
    ],
)
def test_what_is_wrong_is_named_with_its_position(line: str, position: int, found: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse(line)
    assert caught.value.code == "conf.value"
    assert caught.value.text.en.startswith(f"position {position}: need ")
    assert caught.value.text.en.endswith(found)
    assert caught.value.text.vi.startswith(f"Vị trí {position}: cần ")


@given(st.text("0123456789smhd., thenvryfojitul", max_size=60))
def test_any_text_is_a_policy_or_a_clear_answer(line: str) -> None:
    with suppress(Misconfigured):
        read = parse(line)
        assert min(*read.pauses, read.every, read.lifetime) > 0


@given(
    st.lists(st.integers(1, 999), min_size=1, max_size=8),
    st.integers(1, 99),
    st.sampled_from(["full", "half", "none"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 50),
)
def test_a_pause_stays_within_what_was_written(pauses, every, jitter, fraction, attempts) -> None:
    written = ", ".join(f"{p}s" for p in pauses)
    read = parse(f"{written} then every {every}m for 3d, jitter {jitter}")
    whole = pauses[attempts - 1] if attempts <= len(pauses) else every * 60
    least = {"full": 0, "half": whole / 2, "none": whole}[jitter]
    assert least <= read.pause(attempts, fraction) <= whole
