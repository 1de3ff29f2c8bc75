"""The judge of the kill test can fail: made-up runs in which an act overtook, was lost, or came
twice, and axes that took more than their faults explain.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.fleet.judge import Verdict, once
from tests.support.fleet.mix import CHAINS, Mix
from tests.support.fleet.taken import Sending, problems
from tests.support.fleet.units import Sent, Told

NORTH, SOUTH = "000.00.00.G22", "000.00.00.G12"
ONCE = {("north", name): Sending(doubt=False, attempts=1) for name in ("vb", "th")}


def told(*names: str, to: tuple[str, ...] = (NORTH,)) -> Told:
    """One family: each of these speaks of the first, and was handed in after those before it."""
    made = Told()
    for place, name in enumerate(names):
        made.sent[name] = Sent(1, name, to, "", 1, 1, 0.0, {}, earlier=names[:place])
    return made


def axis(*took: str, to: tuple[str, ...] = (NORTH,), copies: int = 1) -> dict[str, Any]:
    """What an axis says that it took, in order, and laid out."""
    received = [{"document_id": name, "to": list(to), "kind": "document"} for name in took]
    entries = [{"kind": "document", "system": "sys.receiver"}] * len(took) * copies
    return {"received": received, "entries": entries}


def wrong(
    state: dict[str, Any],
    sent: Told,
    sending: dict[tuple[str, str], Sending] = ONCE,
    **faults: int,
) -> list[str]:
    met = {name.replace("_", " "): count for name, count in faults.items()}
    return problems("north", state, sent.sent, sending, met)


def test_a_recall_behind_its_document_is_well() -> None:
    assert wrong(axis("vb", "th"), told("vb", "th")) == []


def test_a_recall_before_its_document_is_found() -> None:
    (one,) = wrong(axis("th", "vb"), told("vb", "th"))
    assert one == f"axis north: th for {NORTH} was taken before vb"


def test_a_recall_of_what_was_never_taken_is_found() -> None:
    found = wrong(axis("th"), told("vb", "th"))
    assert f"axis north: th for {NORTH} was taken before vb" in found
    assert any("vb was taken 0 times" in one for one in found)


def test_only_the_first_taking_counts() -> None:
    """A repeat in doubt may come behind the recall, whose own first may not come before."""
    doubted = {**ONCE, ("north", "vb"): Sending(doubt=True, attempts=2)}
    assert wrong(axis("vb", "th", "vb"), told("vb", "th"), doubted) == []
    recalled = {**ONCE, ("north", "th"): Sending(doubt=True, attempts=2)}
    assert wrong(axis("th", "vb", "th"), told("vb", "th"), recalled) != []


def test_acts_about_one_document_keep_their_order() -> None:
    sending = {**ONCE, ("north", "cn"): Sending(doubt=False, attempts=1)}
    assert wrong(axis("vb", "cn", "th"), told("vb", "cn", "th"), sending) == []
    (one,) = wrong(axis("vb", "th", "cn"), told("vb", "cn", "th"), sending)
    assert one == f"axis north: th for {NORTH} was taken before cn"


def test_the_order_is_one_for_each_pair_of_agencies() -> None:
    """What another receiver got first says nothing about this one."""
    state = axis("vb", to=(SOUTH,))
    state["received"] += axis("th", "vb", to=(NORTH,))["received"]
    sending = {**ONCE, ("north", "vb"): Sending(doubt=True, attempts=2)}
    found = wrong(state, told("vb", "th", to=(NORTH, SOUTH)), sending)
    assert found == [f"axis north: th for {NORTH} was taken before vb"]


def test_what_was_taken_twice_needs_a_doubt_and_as_many_attempts() -> None:
    state = axis("vb", "vb", "th")
    (one,) = wrong(state, told("vb", "th"))
    assert "vb was taken 2 times" in one
    doubted = {**ONCE, ("north", "vb"): Sending(doubt=True, attempts=1)}
    assert wrong(state, told("vb", "th"), doubted) != []


def test_a_second_copy_needs_an_axis_that_lays_out_twice() -> None:
    state = axis("vb", "th", copies=2)
    assert wrong(state, told("vb", "th"), sendEdoc_duplicate=2) == []
    (one,) = wrong(state, told("vb", "th"), sendEdoc_duplicate=1)
    assert one == "axis north: 2 copies more than packages, by 1 faults"


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ({(NORTH, "vb"): 1}, "lost, copy of: [('000.00.00.G22', 'th')], 1 in all"),
        ({(NORTH, "vb"): 1, (NORTH, "th"): 2}, "doubled, copy of: {('000.00.00.G22', 'th'): 2}"),
        (
            {(NORTH, "vb"): 1, (NORTH, "th"): 1, (NORTH, "khac"): 1},
            "nobody sent it, copy of: [('000.00.00.G22', 'khac')]",
        ),
    ],
)
def test_a_recall_is_accounted_for_like_its_document(
    found: dict[tuple[str, str], int], word: str
) -> None:
    verdict = Verdict()
    once(verdict, Counter(found), told("vb", "th"), set(), "copy of")
    assert verdict.problems == [word]


def test_the_same_seed_sends_the_same() -> None:
    letters = [Mix(5).letter(number) for number in range(2000)]
    assert letters == [Mix(5).letter(number) for number in range(2000)]
    assert letters != [Mix(6).letter(number) for number in range(2000)]
    chains = Counter(tuple(act.word for act in one.acts) for one in letters)
    assert set(chains) == {(), *CHAINS}
    assert 0.10 < 1 - chains[()] / len(letters) < 0.15
