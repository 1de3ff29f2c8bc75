"""Attachments and the lines of the manifest, each with its other half (edxml-format 2.5, 5).

In:     what the manifest lists and what the package carries, in the order of each.
Out:    for each attachment its line, or none; the lines that nothing answers to.
Fails:  never.
Never:  lets a guess by position take the line that another attachment names by its id.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from gateway.model.package import bare_cid

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pairs:
    """`lines[i]`: index of attachment i's line, None for none. `guessed`: paired without an id."""

    lines: tuple[int | None, ...]
    guessed: frozenset[int]
    waiting: tuple[int, ...]


def one_cid(content_id: str) -> str:
    bare = bare_cid(content_id)
    return f"cid:{bare}" if bare else ""


def paired(references: Sequence[Fields], attachments: Sequence[Fields]) -> Pairs:
    """By content id, then by name, then by position; all of one step before any of the next."""
    lines: dict[int, int] = {}
    guessed: set[int] = set()
    free = dict.fromkeys(range(len(references)))
    for keys, certain in ((_by_id, True), (_by_name, False)):
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for at in free:
            if key := keys(references[at]):
                waiting[key].append(at)
        for index, fields in enumerate(attachments):
            found = waiting.get(keys(fields)) if index not in lines else None
            if found:
                lines[index] = found.popleft()
                del free[lines[index]]
                if not certain:
                    guessed.add(index)
    for index in range(len(attachments)):
        if index not in lines and index in free:
            lines[index] = index
            del free[index]
            guessed.add(index)
    found_lines = tuple(lines.get(index) for index in range(len(attachments)))
    return Pairs(found_lines, frozenset(guessed), tuple(free))


def _by_id(fields: Fields) -> str:
    return bare_cid(fields.get("id", ""))


def _by_name(fields: Fields) -> str:
    return fields.get("name", "")
