"""Field names of the metadata (contract 5) and where they stand in a DocumentHeader.

In:     a header and a field such as `signer.full_name`, `to[].organ_id`, `to_places[]`.
Out:    (path, value) pairs, the path with its index: `to[1].organ_id`.
Fails:  AttributeError for a field that no header has; FIELDS names those that exist.
Never:  invents a value: an absent text is "", an absent number None.

Submissions and packages share these names, so a unit system reads the same path whether it sent
metadata or a ready-made package.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import get_args, get_origin, get_type_hints

from gateway.model.package import DocumentHeader

# contract 5 says `from`, which Python keeps for itself, and `business.about` for its DocumentId
_RENAMED = {"from": "sender", "about": "document_id"}
_METADATA_NAME = {"sender": "from", "business.document_id": "business.about"}


def read(header: DocumentHeader, field: str) -> Sequence[tuple[str, object]]:
    """Every value of `field`, with its path. A list that is empty gives nothing."""
    single = _single(field)
    if single is not None:
        return ((field, single(header)),)
    found: list[tuple[str, object]] = [("", header)]
    for name, attribute, many in _steps(field):
        values = [(f"{p}.{name}" if p else name, getattr(v, attribute)) for p, v in found]
        if many:
            values = [(f"{p}[{i}]", item) for p, v in values for i, item in enumerate(v)]
        found = values
    return found


def list_of(field: str) -> str | None:
    """The list that `field` runs through: `to[].organ_id` -> `to`; None for a single field."""
    head, bracket, _ = field.partition("[]")
    return head if bracket else None


@functools.cache
def _single(field: str) -> Callable[[DocumentHeader], object] | None:
    """The way to a field that runs through no list, in one step; most do."""
    steps = _steps(field)
    if any(many for _, _, many in steps):
        return None
    return operator.attrgetter(".".join(attribute for _, attribute, _ in steps))


@functools.cache
def _steps(field: str) -> tuple[tuple[str, str, bool], ...]:
    """(name in the path, attribute, is a list) for each part of a field."""
    parts = [(part.removesuffix("[]"), part.endswith("[]")) for part in field.split(".")]
    return tuple((name, _RENAMED.get(name, name), many) for name, many in parts)


def _described(cls: type, prefix: str) -> Iterator[tuple[str, object]]:
    """(field, type) of everything below a dataclass, leaves only."""
    for attribute, hint in get_type_hints(cls).items():
        name = _METADATA_NAME.get(prefix + attribute, prefix + attribute)
        kind = hint
        if get_origin(hint) is tuple:
            kind, name = get_args(hint)[0], f"{name}[]"
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield from _described(kind, f"{name}.")
        else:
            yield name, kind


FIELDS = frozenset(name for name, _ in _described(DocumentHeader, ""))
TEXT_FIELDS = tuple(name for name, kind in _described(DocumentHeader, "") if kind is str)
