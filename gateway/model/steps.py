"""What one commit may make of a state: an edge of its table, or a walk of several at once.

In:     a table of transitions and the walks that its module lists.
Out:    old state -> the states that a row may have after one UPDATE.
Fails:  ValueError for a walk that is no path of its table.
Never:  allows what no sequence of edges allows.

Some ends have no edge: a refusal after doubt is SENDING -> UNCERTAIN -> HELD, and nobody may ever
see the middle of it as if it lasted. Such a walk is committed as one UPDATE. The triggers that
refuse everything else in the database (migration 0009) are held to what this module says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


def moves(
    table: Mapping[S, frozenset[S]], walks: Iterable[Sequence[S]] = ()
) -> Mapping[S, frozenset[S]]:
    """The edges of `table`, and from the beginning of each walk to its end."""
    made = {old: set(after) for old, after in table.items()}
    for walk in walks:
        if len(walk) < 3 or any(new not in table[old] for old, new in pairwise(walk)):
            raise ValueError(f"no walk of this table: {' -> '.join(walk)}")
        made[walk[0]].add(walk[-1])
    return MappingProxyType({old: frozenset(after) for old, after in made.items()})
