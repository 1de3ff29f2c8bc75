"""SIGKILL at each commit of the path (issue text, architecture 10): the verdict is the ledger's.

The sender's gateway or the receiver's dies before or after one commit and is started again. The
axis remembers what it was given (`dedupe`) or does not. Allowed end states, whatever died when:

- the unit that handed the document in has its 202; its receipt is found in the tree;
- the document's transfer is ON_AXIS, its recipient ARRIVED by a 01, with or without doubt;
- the receiver's inbox has one item for it, ENTERED once; status 01 was accepted once, and its
  transfer is ON_AXIS; the sender's inbox has that status once, SEEN;
- the axis has one copy of each package; without `dedupe` perhaps one more for each attempt whose
  end was never committed. Every copy arrived and was acknowledged; one is OPENED, others DUPLICATE;
- both ledgers verify, with every record sealed and every blob there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.ledger.receipt import ReceiptVerdict
from tests.support.kills import RECEIVER, SENDER, Kill, Story, lane

# Every commit of a run without faults, by the names that `killed_gateway` gives.
COMMITS = {
    SENDER: (
        "start",
        "submission.accepted",
        "sealed:submission.accepted",
        "stamped",
        "attempt.started",
        "sealed:attempt.started",
        "attempt.ended",
        "sealed:attempt.ended",
        "fetch.listed",
        "fetch.claimed",
        "arrival.received",
        "sealed:arrival.received",
        "open.claimed",
        "arrival.opened",
        "sealed:arrival.opened",
        "item.seen",
        "sealed:item.seen",
    ),
    RECEIVER: (
        "start",
        "fetch.listed",
        "fetch.claimed",
        "arrival.received",
        "sealed:arrival.received",
        "stamped",
        "open.claimed",
        "arrival.opened",
        "sealed:arrival.opened",
        "item.fetched",
        "sealed:item.fetched",
        "item.entered",
        "sealed:item.entered",
        "attempt.started",
        "sealed:attempt.started",
        "attempt.ended",
        "sealed:attempt.ended",
    ),
}
# records that stand in one commit with one of the above
TOGETHER = {
    "item.available",
    "recipient.moved",
    "status.accepted",
    "sealed:item.available",
    "sealed:recipient.moved",
    "sealed:status.accepted",
}
MOMENTS = ("before", "after")
# the process that takes over what a dead one was sending dies of it as well
TWICE = {
    victim: tuple(
        Kill(victim, "attempt.started", "after", Kill(victim, "attempt.taken_over", moment))
        for moment in MOMENTS
    )
    for victim in COMMITS
}
EVERY = {
    victim: (*(Kill(victim, c, m) for c in commits for m in MOMENTS), *TWICE[victim])
    for victim, commits in COMMITS.items()
}
SAMPLE = {
    True: {
        SENDER: (
            Kill(SENDER, "submission.accepted", "before"),
            Kill(SENDER, "attempt.started", "after"),
            Kill(SENDER, "arrival.opened", "after"),
        ),
        RECEIVER: (
            Kill(RECEIVER, "arrival.received", "after"),
            Kill(RECEIVER, "arrival.opened", "before"),
            Kill(RECEIVER, "item.entered", "after"),
        ),
    },
    False: {
        SENDER: (
            Kill(SENDER, "submission.accepted", "after"),
            Kill(SENDER, "sealed:submission.accepted", "before"),
            Kill(SENDER, "attempt.ended", "before"),
        ),
        RECEIVER: (
            Kill(RECEIVER, "arrival.received", "before"),
            Kill(RECEIVER, "item.entered", "before"),
            Kill(RECEIVER, "attempt.ended", "before"),
        ),
    },
}


def judge(story: Story, *, dedupe: bool) -> None:
    """Raises AssertionError for an end state that is not allowed."""
    about = str(story.kill)
    (document,) = story.transfers[SENDER]
    assert document[:4] == ("document", "ON_AXIS", "ARRIVED", "01"), about
    (status,) = story.transfers[RECEIVER]
    assert status[:3] == ("status", "ON_AXIS", "ON_AXIS"), about
    assert story.items[RECEIVER] == [("document", "ENTERED", "")], about
    assert story.items[SENDER] == [("status", "SEEN", "01")], about
    for role, kind, transfer in ((RECEIVER, "document", document), (SENDER, "status", status)):
        copies, attempts = story.copies[kind], transfer[5]
        assert copies == 1 if dedupe else 1 <= copies <= attempts, about
        opened = sorted(story.arrivals[role])
        assert opened == [(kind, "DUPLICATE")] * (copies - 1) + [(kind, "OPENED")], about
    assert story.unacknowledged == 0, about
    once = {
        SENDER: ("submission.accepted", "item.available", "item.seen", "recipient.moved"),
        RECEIVER: ("item.available", "item.fetched", "item.entered", "status.accepted"),
    }
    for role, events in once.items():
        assert {e: story.events[role][e] for e in events} == dict.fromkeys(events, 1), about
    for ledger in story.ledgers.values():
        assert ledger.verified, (about, ledger.problems)
        assert (ledger.pending, ledger.problems) == (0, ()), about
        assert ledger.checkpoint is not None
        assert ledger.stamped_size == ledger.checkpoint.size, about
    # the answer of the submission, of the document's confirm and of the status'
    assert story.receipts == [ReceiptVerdict.FOUND] * 3, about


async def commits_of(folder: Path, victim: str) -> list[list[str]]:
    async with lane(folder, dedupe=True) as made, made.victims(victim) as run:
        story = await run(None)
    judge(story, dedupe=True)
    return story.commits


@pytest.mark.parametrize("victim", [SENDER, RECEIVER])
def test_no_commit_of_the_path_is_missing_among_the_kills(tmp_path: Path, victim: str) -> None:
    commits = asyncio.run(commits_of(tmp_path, victim))
    met = {name for commit in commits for name in commit}
    assert met - TOGETHER == set(COMMITS[victim])
    assert all(set(commit) - TOGETHER for commit in commits), "a commit that no kill meets"


async def die_and_rise(
    folder: Path, *, dedupe: bool, kills: dict[str, Sequence[Kill]]
) -> list[Story]:
    stories: list[Story] = []
    async with lane(folder, dedupe=dedupe) as made:
        for victim, its in kills.items():
            async with made.victims(victim) as run:
                for kill in its:
                    story = await run(kill)
                    assert all(story.reached), f"it never came to this: {kill}"
                    judge(story, dedupe=dedupe)
                    stories.append(story)
    return stories


async def on_both_axes(folder: Path, kills: dict[bool, dict[str, Sequence[Kill]]]) -> list[Story]:
    """One lane for each kind of axis, side by side."""
    async with asyncio.TaskGroup() as group:
        lanes = []
        for dedupe, its in kills.items():
            home = folder / f"dedupe-{dedupe}"
            home.mkdir()
            lanes.append(group.create_task(die_and_rise(home, dedupe=dedupe, kills=its)))
    return [story for one in lanes for story in one.result()]


def test_a_killed_gateway_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """A spread of the kill points; all of them: the test below."""
    stories = asyncio.run(on_both_axes(tmp_path, SAMPLE))
    assert len(stories) == 12


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_every_commit_before_it_and_after_it(tmp_path: Path) -> None:
    stories = asyncio.run(on_both_axes(tmp_path, {True: EVERY, False: EVERY}))
    print(table(stories))
    assert len(stories) == 2 * sum(len(its) for its in EVERY.values())


def table(stories: Sequence[Story]) -> str:
    head = (
        "victim    killed                                        copies  attempts  doubt  seconds"
    )
    lines = [head]
    for story in stories:
        assert story.kill is not None
        where = " + ".join(f"{k.moment} {k.commit}" for k in story.kill.deaths)
        kind = "document" if story.kill.victim == SENDER else "status"
        transfer = story.transfers[story.kill.victim][0]
        lines.append(
            f"{story.kill.victim:9} {where:60} {story.copies[kind]:6} {transfer[5]:8}"
            f" {'yes' if transfer[4] else 'no':>6} {story.seconds:8.2f}"
        )
    return "\n".join(lines)
