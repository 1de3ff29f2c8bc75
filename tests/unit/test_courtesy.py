"""Workers give way to the door, and are never stopped by it."""

from __future__ import annotations

import pytest

from gateway.courtesy import LONGEST, USUAL, Courtesy


def test_an_empty_door_costs_nothing_and_a_crowd_is_bounded() -> None:
    courtesy = Courtesy()
    assert [Courtesy(n).nap() for n in range(USUAL + 1)] == [0.0] * (USUAL + 1)
    naps = [Courtesy(n).nap() for n in range(1000)]
    assert naps == sorted(naps)
    assert max(naps) == LONGEST
    with courtesy.at_the_door(), courtesy.at_the_door(), courtesy.at_the_door():
        assert courtesy.nap() > 0
    assert courtesy.nap() == 0


def test_who_is_refused_leaves_the_door_too() -> None:
    courtesy = Courtesy()
    with pytest.raises(ValueError, match="x"), courtesy.at_the_door():
        raise ValueError("x")
    assert courtesy.inside == 0
