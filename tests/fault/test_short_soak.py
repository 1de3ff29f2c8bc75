"""A few seconds of the soak (`tests/soak`): every id is accounted for; nothing is timed here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.soak.run import Wish, run
from tests.support.fleet.world import RECEIVER, SENDER

# each database and each side once in `make test`, all four pairs in `make test-long`
EACH = [
    pytest.param("sqlite", SENDER, marks=pytest.mark.long),
    ("sqlite", RECEIVER),
    pytest.param("postgresql", SENDER, marks=pytest.mark.postgres),
    pytest.param("postgresql", RECEIVER, marks=[pytest.mark.postgres, pytest.mark.long]),
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("database", "side"), EACH)
def test_a_short_soak_accounts_for_every_id(tmp_path: Path, database: str, side: str) -> None:
    wish = Wish(side=side, database=database, seconds=4, rate=10, seed=5, limit_ms=None)
    outcome = asyncio.run(run(wish, tmp_path))
    print("\n".join(outcome.lines()))
    assert outcome.verdict.problems == []
    assert outcome.verdict.facts["documents"] > 0
