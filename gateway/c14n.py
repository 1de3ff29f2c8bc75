"""Canonical bytes: RFC 8785 for JSON here; Canonical XML in `xmlc14n.py` next door.

Records, identities and receipts are hashed over these bytes, so nothing about them may ever
change: tests/golden holds vectors and an independent implementation judges this one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

_REFUSED = "canonical JSON holds text, integers up to 2^53, booleans, null, lists and objects"

JsonValue = str | int | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


def canonical_json(value: JsonValue) -> bytes:
    """RFC 8785 bytes. Floats are refused: no record needs one, and their form is a trap."""
    _check(value)
    return _ENCODER.encode(_sorted(value)).encode("utf-8")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _check(value: JsonValue) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise ValueError(_REFUSED)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(_REFUSED)
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    else:
        raise TypeError(_REFUSED)


def _sorted(value: JsonValue) -> JsonValue:
    # RFC 8785 3.2.3: keys in the order of their UTF-16 code units
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be", "surrogatepass"))
        return {k: _sorted(value[k]) for k in keys}
    if isinstance(value, list | tuple):
        return [_sorted(v) for v in value]
    return value
