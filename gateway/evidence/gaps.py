"""Between which stamps the records of a case lie: where the proof of time has its edges.

In:     a Case whose heads carry the times in their tokens.
Out:    each stretch between two neighbouring stamps that holds a record of the case.
Fails:  never.
Never:  narrows a bound by our own clock: what no token says is not said.

A stamp proves "existed before" (RFC 3161 1), so the later stamp of a stretch covers every entry in
it; the earlier one, with the proof that the entries are not in its tree, says "not before". While
no authority answers, such a stretch grows to hours: until its later stamp the time was provisional.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple

from gateway.evidence.case import Case, Head, Told

LONG = timedelta(hours=1)  # one number for every reader: a container knows no configuration


class Proof(StrEnum):
    NORMAL = "normal"  # both ends are stamps, and near
    PROVISIONAL = "provisional"  # a later stamp covers it, after more than LONG
    OPEN = "open"  # no later stamp yet: our own signed time alone


class Stretch(NamedTuple):
    """`first`, `last`: entries of the tree (as numbered, both included; `last` None: open).

    `records`: how many of them are of the case.
    """

    epoch: int
    first: int
    last: int | None
    after: datetime | None
    before: datetime | None
    records: int

    @property
    def proof(self) -> Proof:
        if self.before is None:
            return Proof.OPEN
        if self.after is not None and self.before - self.after > LONG:
            return Proof.PROVISIONAL
        return Proof.NORMAL

    def as_json(self) -> dict[str, Any]:
        return {
            "proof": self.proof.value,
            "epoch": self.epoch,
            "first": self.first,
            "last": self.last,
            "after": self.after.isoformat(timespec="microseconds") if self.after else None,
            "before": self.before.isoformat(timespec="microseconds") if self.before else None,
            "records": self.records,
        }


def stretches(case: Case) -> list[Stretch]:
    """In the order of the tree."""
    return list(_stretches(case))


def _stretches(case: Case) -> Iterator[Stretch]:
    stamped = [h for h in case.heads if h.stamped_at is not None]

    def around(told: Told) -> tuple[int, int, int | None]:
        epoch, seq = told.place
        sizes = [h.size for h in stamped if h.epoch == epoch]
        low = max((s for s in sizes if s <= seq), default=0)
        return epoch, low, min((s for s in sizes if s > seq), default=None)

    at = {h.place: h for h in stamped}
    for (epoch, low, high), told in groupby(case.told, key=around):
        yield Stretch(
            epoch,
            low,
            None if high is None else high - 1,
            _time(at, epoch, low),
            None if high is None else _time(at, epoch, high),
            sum(1 for _ in told),
        )


def _time(at: dict[Any, Head], epoch: int, size: int) -> datetime | None:
    head = at.get((epoch, size))
    return head.stamped_at if head else None
