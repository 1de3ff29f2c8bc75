"""SIGKILL at random points of random processes, with faults on both axes (`tests/kill`).

The allowed end states are listed in `tests/support/fleet/judge.py`, what is promised about order in
`tests/support/fleet/taken.py`, the faults in `tests/kill/scenario.py`. A run that fails is had
again with its seed: `python -m tests.kill`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kill.run import Wish, run

SHORT = {
    "sqlite": Wish(kills=3, seed=4, database="sqlite", rate=5),
    "postgresql": Wish(kills=3, seed=4, database="postgresql", workers=2, rate=4),
}
SHORT_SOAP = Wish(kills=2, seed=4, database="sqlite", rate=3, soap=True)
LONG = {
    "sqlite": Wish(kills=200, seed=20261129, database="sqlite"),
    "postgresql": Wish(kills=200, seed=20261129, database="postgresql", workers=3),
}
LONG_SOAP = {name: replace(wish, soap=True) for name, wish in LONG.items()}
EACH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


def survives(wish: Wish, folder: Path) -> Mapping[str, Any]:
    """What is known of the run, once its verdict is good."""
    outcome = asyncio.run(run(wish, folder))
    print("\n".join(outcome.lines()))
    assert outcome.verdict.problems == []
    assert sum(outcome.kills.values()) == wish.kills
    assert outcome.verdict.facts["documents"] > 0
    return outcome.verdict.facts


def survives_everything(wish: Wish, folder: Path) -> None:
    """So long a run has acts about documents, and persons who do each of their acts."""
    facts = survives(wish, folder)
    assert facts["of them acts about another"] > 0
    assert {act.split()[1] for act in facts["acts of persons"]} == {"hold", "release", "retry"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", EACH)
def test_a_few_kills_lose_nothing_and_double_nothing(tmp_path: Path, database: str) -> None:
    survives(SHORT[database], tmp_path)


@pytest.mark.timeout(600)
def test_a_few_kills_with_an_axis_over_soap_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    survives(SHORT_SOAP, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", EACH)
def test_two_hundred_kills_with_an_axis_over_soap(tmp_path: Path, database: str) -> None:
    survives_everything(LONG_SOAP[database], tmp_path)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", EACH)
def test_two_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path, database: str) -> None:
    survives_everything(LONG[database], tmp_path)
