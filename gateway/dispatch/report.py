"""What a reconciliation found, counted and written down: pages add up to a report.

In:     judged transfers and waiting packages, questions without an answer.
Out:    JSON values, canonical ones: no floats, every key present.
Fails:  never.
Never:  grows beyond `MOST_LISTED` differences: the rest is counted (`left_out`), not listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from gateway.c14n import JsonValue
from gateway.dispatch.reconcile import VIETNAM, Difference, Judged, Kind, Limits, Open, What

VERSION = 1
MOST_LISTED = 5000
MOST_NAMED = 50  # of the things that one kind of question without an answer was about
WANTING = (Kind.MISSING, Kind.DOUBLED, Kind.STUCK, Kind.NEVER_ANSWERED, Kind.FOREIGN)
# wanting: differences that want a person; unanswered: questions; the others count things
COUNTED = (
    "transfers",
    "matched",
    "asked",
    "waiting",
    *(kind.value for kind in Kind),
    "wanting",
    "unanswered",
    "left_out",
)


@dataclass(slots=True)
class Found:
    """The yield of one page, or of all."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    differences: list[dict[str, JsonValue]] = field(default_factory=list)
    unanswered: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def add(self, judged: Judged) -> None:
        """One transfer."""
        self.counts["transfers"] += 1
        self.counts["matched"] += judged.matched
        self.differ(judged.differences)
        self.leave_open(judged.unanswered)

    def differ(self, differences: Iterable[Difference]) -> None:
        for one in differences:
            self.counts[one.kind.value] += 1
            self.counts["wanting"] += one.kind in WANTING
            self._list(difference_json(one))

    def leave_open(self, questions: Iterable[Open]) -> None:
        for one in questions:
            self.counts["unanswered"] += 1
            known = self.unanswered.setdefault((one.asked, one.why), {"times": 0, "about": []})
            known["times"] += 1
            if one.about and len(known["about"]) < MOST_NAMED:
                known["about"].append(one.about)

    def _list(self, difference: dict[str, JsonValue]) -> None:
        if len(self.differences) < MOST_LISTED:
            self.differences.append(difference)
        else:
            self.counts["left_out"] += 1

    def merge(self, page: Mapping[str, Any]) -> None:
        """A page as `as_json` wrote it."""
        for name in COUNTED:
            self.counts[name] += page["counts"][name]
        for difference in page["differences"]:
            self._list(difference)
        for told in page["unanswered"]:
            key = (told["asked"], told["why"])
            known = self.unanswered.setdefault(key, {"times": 0, "about": []})
            known["times"] += told["times"]
            known["about"] = [*known["about"], *told["about"]][:MOST_NAMED]

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "counts": dict(self.counts),
            "differences": list(self.differences),
            "unanswered": [
                {"asked": asked, "why": why, "times": told["times"], "about": list(told["about"])}
                for (asked, why), told in sorted(self.unanswered.items())
            ],
        }


def difference_json(one: Difference) -> dict[str, JsonValue]:
    return {
        "kind": one.kind.value,
        "what": one.what.value,
        "transfer": one.transfer,
        "document": one.document,
        "document_id": one.document_id,
        "receiver": one.receiver,
        "axis_ids": list(one.axis_ids),
        "state": one.state,
        "since": "" if one.since is None else local_instant(one.since),
    }


def local_instant(at: datetime) -> str:
    return at.astimezone(VIETNAM).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True)
class About:
    """What a report is about. `by`: who asked, an account or a word (daily, cli).

    `skipped`: of a daily one, the first and the last day before it that stay without a report.
    """

    id: str
    gateway: str
    axis: str
    day: date
    by: str
    begun_at: datetime
    made_at: datetime
    limits: Limits
    axis_can: Mapping[str, bool]
    skipped: tuple[date, date] | None = None


def report_json(about: About, found: Found) -> dict[str, JsonValue]:
    """The report as it is signed."""
    return {
        "v": VERSION,
        "id": about.id,
        "gateway": about.gateway,
        "axis": about.axis,
        "day": about.day.isoformat(),
        "time_zone": VIETNAM.key,
        "by": about.by,
        "begun_at": local_instant(about.begun_at),
        "made_at": local_instant(about.made_at),
        "limits": {
            "stuck_after_seconds": int(about.limits.stuck_after.total_seconds()),
            "answer_within_seconds": int(about.limits.answer_within.total_seconds()),
        },
        "axis_can": dict(about.axis_can),
        "skipped": _skipped_json(about.skipped),
        **found.as_json(),
    }


def _skipped_json(days: tuple[date, date] | None) -> JsonValue:
    if days is None:
        return None
    first, last = days
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "days": (last - first).days + 1,
    }


def exit_code(counts: Mapping[str, int]) -> int:
    """0: all matched; 1: differences that want a person; 2: none, but questions stayed open."""
    if counts["wanting"]:
        return 1
    return 2 if counts["unanswered"] else 0


def is_known(what: str) -> bool:
    """Whether this version has words for it: reports may come from a later one."""
    return what in What._value2member_map_
