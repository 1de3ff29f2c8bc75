"""What is sent beside plain documents: urgency, and acts about a document a moment later.

Everything is chosen by the seed and the number of a document, whatever else goes on: a run with the
same seed hands in the same.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# OtherInfo/Priority with its weight; None: the document says none, which is thường
URGENCY: Mapping[int | None, float] = {None: 0.4, 0: 0.1, 1: 0.2, 2: 0.15, 3: 0.1, 4: 0.05}
# the acts about one document, one after another, each in its own lane
CHAINS: Mapping[tuple[str, ...], float] = {
    ("recall",): 0.6,
    ("update", "recall"): 0.3,
    ("replace",): 0.1,
}
SAYS: Mapping[str, Mapping[str, Any]] = {
    "recall": {"reason": "Ban hành nhầm"},
    "update": {"document_changed": 1},
    "replace": {},
}


class PlannedAct(NamedTuple):
    """`word`: as its address says it. `after`: seconds after the 202 of what came before."""

    word: str
    priority: int | None
    after: float

    @property
    def says(self) -> Mapping[str, Any]:
        return SAYS[self.word]


class Letter(NamedTuple):
    """A document that is to be handed in: how urgent, and what is said about it later."""

    priority: int | None = None
    acts: tuple[PlannedAct, ...] = ()


PLAIN = Letter()


@dataclass(frozen=True, slots=True)
class Mix:
    """`acts`: the share of documents that something is said about. `moment`: the longest pause
    before it is; half of the acts are handed in at once, while their document is on its way.
    """

    seed: int
    acts: float = 1 / 8
    moment: float = 1.0
    urgency: Mapping[int | None, float] = field(default_factory=lambda: URGENCY)

    def letter(self, number: int) -> Letter:
        rng = random.Random(f"{self.seed} {number}")
        (priority,) = rng.choices(list(self.urgency), self.urgency.values())
        if rng.random() >= self.acts:
            return Letter(priority)
        (chain,) = rng.choices(list(CHAINS), CHAINS.values())
        acts = []
        for word in chain:
            # more urgent than what it is about, as often as not: it would overtake if it could
            urgent = rng.choice((3, *self.urgency))
            after = rng.choice((0.0, rng.uniform(0.0, self.moment)))
            acts.append(PlannedAct(word, urgent, after))
        return Letter(priority, tuple(acts))
