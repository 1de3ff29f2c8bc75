"""Our RFC 8785 bytes against an independent implementation."""

import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.c14n import JsonValue, canonical_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(values)
def test_canonical_json_is_what_another_implementation_makes(value: JsonValue) -> None:
    made = canonical_json(value)
    assert made == rfc8785.dumps(value)  # type: ignore[arg-type]  # its own name for the same
    assert json.loads(made) == value


def test_keys_are_sorted_by_their_utf_16_units() -> None:
    value = {"\ufb33": 1, "\U0001f600": 2, "€": 3, "\r": 4, "1": 5, "ö": 6, "\x80": 7}
    assert list(json.loads(canonical_json(value))) == [
        "\r",
        "1",
        "\x80",
        "ö",
        "€",
        "\U0001f600",
        "\ufb33",
    ]


@pytest.mark.parametrize("value", [1.0, 2**53, {"a": {1: 2}}, {"a": b"x"}, [object()]])
def test_what_the_standard_cannot_hold_is_refused(value: JsonValue) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical_json(value)
