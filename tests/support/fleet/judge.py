"""The verdict over a run: every id is accounted for, at both ends, in both ledgers, on the axes.

End states that are allowed, whatever the faults in `tests/kill/scenario.py` did and whoever died.
An act (recall, update, replacement) is a document here, with its own id, items and 01:

- a document that its unit has a 202 for: one document row, one transfer for each axis, ON_AXIS,
  in the lane of its urgency; every recipient ARRIVED by a 01;
- in the receiver's inbox one item of it, ENTERED; what came again on the axis is DUPLICATE;
- its 01: one item in the sender's inbox, SEEN; its transfer ON_AXIS, its recipient ON_AXIS;
- every fetch FETCHED, every arrival OPENED or DUPLICATE, every copy on the axes acknowledged;
- nobody waits in a family any more; an act was never taken before its document (`taken.py`);
- both ledgers verify with every record sealed and stamped; every receipt that anybody was given is
  found in the tree.

And those that need a cause, which is looked for:

- a package that an axis took more than once: its transfer is in doubt; not oftener than it tried;
- more copies on an axis than packages: it laid out twice (`duplicate`), so many at most;
- DUPLICATE at the receiver: a copy beyond the first on an axis, one each;
- a second 01 from an axis that says it itself (SOAP): a second copy was confirmed there;
- a report HELD to the sender, SEEN: a person was told 200 for holding that transfer, one each;
- a record of holding, releasing or retrying: a person was told 200 for it, one each;
- QUARANTINED as poison, with its bytes: two kills at least of processes that open, at that side.

The last: an arrival whose opening was begun three times because two processes died in the middle of
it (a gateway cannot tell a kill from a package that kills). Then its item, and what would have
followed from it, may be missing. It is counted and shown.

Nothing is HELD in the end, EXPIRED, REFUSED or WITHDRAWN, and nothing else is in quarantine: no
fault here justifies it, and every person releases what he held.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Executable, func, select

from gateway.arriving import POISON_AFTER
from gateway.audit.books import look_for, verify_books
from gateway.dispatch import lane_of
from gateway.ledger.receipt import ReceiptVerdict
from gateway.packing.read import read_package
from gateway.store.tables import (
    arrival,
    checkpoint,
    document,
    fetch,
    inbox_item,
    pending,
    recipient,
    record,
    stamp,
    transfer,
    turn,
)
from gateway.wiring.books import Books, open_books
from tests.support.fleet import taken
from tests.support.fleet.taken import Sending
from tests.support.fleet.units import Told
from tests.support.fleet.world import RECEIVER, SENDER, TO, World

STANDSTILL = 8.0  # seconds without progress after which leases of the dead are made to run out
LOOKS_SHARE = 10.0  # pauses between two looks, so many times as long as a look
SHOWN = 12  # problems of one kind that are printed

_COUNTS = {
    "not sealed": select(func.count()).select_from(pending),
    "transfers on their way": select(func.count()).where(transfer.c.state != "ON_AXIS"),
    "arrivals not opened": select(func.count()).where(arrival.c.state == "RECEIVED"),
    "packages not fetched": select(func.count()).where(fetch.c.state != "FETCHED"),
    "items not settled": select(func.count()).where(inbox_item.c.state.in_(["WAITING", "LEASED"])),
}
_SIZE = select(func.coalesce(func.max(checkpoint.c.size), 0))
_STAMPED = select(func.coalesce(func.max(stamp.c.size), 0))
_SENT = (
    select(
        document.c.document_id,
        document.c.id,
        transfer.c.id,
        transfer.c.axis,
        transfer.c.state,
        transfer.c.doubt,
        transfer.c.attempts,
        transfer.c.lane,
        recipient.c.agency,
        recipient.c.state,
        recipient.c.status_code,
    )
    .join(transfer, transfer.c.document_ref == document.c.id)
    .join(recipient, recipient.c.transfer_id == transfer.c.id)
)
_ITEMS = select(
    inbox_item.c.agency, inbox_item.c.sender, inbox_item.c.document_id, inbox_item.c.state
)
_BY_STATE = select(arrival.c.state, func.count()).group_by(arrival.c.state)
_POISON = select(arrival.c.raw_sha256).where(
    arrival.c.state == "QUARANTINED", arrival.c.opens > POISON_AFTER
)
_ARRIVED = select(func.count()).select_from(arrival).where(arrival.c.kind == "document")
_IN_LINE = select(func.count()).select_from(turn)
_OF_DOCUMENTS = select(transfer.c.id).where(transfer.c.kind == "document")
_BEHIND = select(func.count()).where(transfer.c.behind != 0)
_REPORTS = select(inbox_item.c.content).where(inbox_item.c.kind == "report")
_BY_PERSONS = {
    "hold": "transfer.held",
    "release": "transfer.released",
    "retry": "transfer.retried",
}
_ACTS = (
    select(record.c.event, func.count())
    .where(record.c.event.in_(_BY_PERSONS.values()))
    .group_by(record.c.event)
)
_ENTERED = select(func.count()).where(record.c.event == "item.entered")


@dataclass(slots=True)
class Verdict:
    """`problems`: why not; empty = every id is accounted for. `facts`: what a report says."""

    problems: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.problems.append(what)

    def lines(self) -> list[str]:
        more = [f"... and {len(self.problems) - SHOWN} more"] if len(self.problems) > SHOWN else []
        return [*(f"PROBLEM {p}" for p in self.problems[:SHOWN]), *more]


@contextmanager
def books_of(world: World) -> Iterator[dict[str, Books]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(open_books(side.house.settings()))
            for name, side in world.sides.items()
        }


def rows(books: Books, asked: Executable) -> list[tuple[Any, ...]]:
    return books.store.read_sync(lambda tx: [tuple(row) for row in tx.execute(asked).all()])


def number(books: Books, asked: Executable) -> int:
    return int(rows(books, asked)[0][0])


async def quiet(world: World, told: Told, patience: float) -> list[str]:
    """Returns when nobody has anything left to do; or, when nothing has moved for `patience`
    seconds, what is still there.
    """
    with books_of(world) as books:
        before: list[str] | None = None
        moved = time.monotonic()
        hurried = 0.0
        while True:
            looked = time.monotonic()
            left = [
                f"{side}: {what} {count}"
                for side, one in books.items()
                for what, asked in _COUNTS.items()
                if (count := await asyncio.to_thread(number, one, asked))
            ]
            left += [
                f"{side}: not stamped {behind}"
                for side, one in books.items()
                if (behind := number(one, _SIZE) - number(one, _STAMPED))
            ]
            excused = await poisoned(books)
            found_by = {"taken": (RECEIVER, told.taken), "heard of": (SENDER, told.heard)}
            for what, (end, found) in found_by.items():
                if end not in world.sides:
                    continue
                if missing := len(told.expected - set(found) - excused):
                    left.append(f"documents not {what}: {missing}")
            if not left:
                for name, axis in world.axes.items():
                    entries = (await axis.state())["entries"]
                    if waiting := len(_unread(world, name, entries, excused)):
                        left.append(f"axis {name}: not acknowledged {waiting}")
            if not left and before == []:
                return []  # twice: what ended during the first look was still to be sealed
            if left != before:
                before, moved = left, time.monotonic()
            elif time.monotonic() - moved > patience:
                return left
            elif time.monotonic() - max(moved, hurried) > STANDSTILL:
                hurried = time.monotonic()
                await asyncio.to_thread(leases_run_out, world)
            # what looking costs is taken from those who are to become quiet
            await asyncio.sleep(max(0.2, LOOKS_SHARE * (time.monotonic() - looked)))


def leases_run_out(world: World) -> None:
    """As if the minutes had passed for which a dead opener, sealer or stamper blocks others.

    On SQLite a restart frees them, because it proves that the process before is dead.
    """
    for side in world.sides.values():
        if (url := side.house.database) and url.startswith("postgresql"):
            with psycopg.connect(url) as conn:
                conn.execute(
                    "UPDATE arrival SET lease_until = received_at"
                    " WHERE state = 'RECEIVED' AND lease_until IS NOT NULL"
                )
                conn.execute("DELETE FROM lease")


async def poisoned(books: Mapping[str, Books]) -> set[tuple[str, str]]:
    """(receiver, DocumentId) of what stands in quarantine because kills met its opening twice."""
    found: set[tuple[str, str]] = set()
    for one in books.values():
        for (raw,) in await asyncio.to_thread(rows, one, _POISON):
            found |= await asyncio.to_thread(_spoken_of, one, raw)
    return found


def _spoken_of(books: Books, raw: str) -> set[tuple[str, str]]:
    """(receiver, DocumentId) of a package as it came: whose `To` it names, or who reports."""
    with books.blobs.open(raw) as source:
        package = read_package(source)
    if package.status is not None:
        about = package.status.response_for.document_id
        return {(package.status.sender.organ_id, about)}
    assert package.header is not None
    return {(to.organ_id, package.header.document_id) for to in package.header.to}


async def judge(world: World, told: Told) -> Verdict:
    """To be asked once the processes have stopped; the axes may still be there."""
    verdict = Verdict(list(told.wrong))
    verdict.check(not told.under_way, f"submissions without an answer: {len(told.under_way)}")
    states = {name: await axis.state() for name, axis in world.axes.items()}
    faults = {name: dict(sorted(state["met"].items())) for name, state in states.items()}
    with books_of(world) as books:
        excused = await poisoned(books)
        verdict.facts["quarantined as poison"] = len(excused)
        if SENDER in books:
            confirmed = _confirmed_there({name: states[name] for name in world.over_soap})
            sending = _sending(verdict, told, books[SENDER], excused, confirmed)
            for name, state in states.items():
                verdict.problems += taken.problems(name, state, told.sent, sending, faults[name])
        if RECEIVER in books:
            _receiving(verdict, told, books[RECEIVER], excused, states)
        for side, one in books.items():
            _persons(verdict, told, side, one)
            _quarantine(verdict, world, side, one)
            _ledger(verdict, world, told, side, one)
    copies: Counter[str] = Counter()
    for name, state in states.items():
        copies.update(f"{p['kind']} on {name}" for p in state["received"])
        unread = _unread(world, name, state["entries"], excused)
        verdict.check(not unread, f"axis {name} was never told that {len(unread)} arrived")
    for process in world.processes:
        verdict.check(not process.surprises, f"{process} ended by itself: {process.last_words()}")
    acts = Counter(len(one.earlier) for one in told.sent.values())
    verdict.facts["documents"] = len(told.sent)
    verdict.facts["of them acts about another"] = len(told.sent) - acts[0]
    verdict.facts["acts of persons"] = dict(Counter(f"{m.side} {m.act}" for m in told.moved))
    verdict.facts["that came too late"] = dict(told.forbidden)
    verdict.facts["deliveries expected"] = len(told.expected)
    verdict.facts["packages on the axes"] = dict(copies)
    verdict.facts["faults met"] = faults
    return verdict


def _unread(
    world: World,
    axis: str,
    entries: Sequence[Mapping[str, Any]],
    excused: set[tuple[str, str]],
) -> list[str]:
    """What lies on an axis for a gateway of this world, and was never acknowledged.

    Where acknowledging says 01, what stands in quarantine goes on being listed until a person has
    decided: nobody has received it.
    """
    ours = {f"sys.{side}" for side in world.sides}
    return [
        e["doc_id"]
        for e in entries
        if e["system"] in ours
        and e["status"] != "done"
        and not (
            axis in world.over_soap and excused.issuperset((to, e["document_id"]) for to in e["to"])
        )
    ]


def _confirmed_there(states: Mapping[str, Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """(receiver, DocumentId) -> copies confirmed on axes that say 01 themselves, one for each."""
    copies: Counter[tuple[str, str]] = Counter()
    for state in states.values():
        for entry in state["entries"]:
            if entry["status"] == "done":
                copies.update((code, entry["document_id"]) for code in entry["to"])
    return copies


def _sending(
    verdict: Verdict,
    told: Told,
    books: Books,
    excused: set[tuple[str, str]],
    copies: Counter[tuple[str, str]],
) -> dict[tuple[str, str], Sending]:
    """The sender's gateway: documents, transfers, recipients, statuses that came back.

    How each document was sent, by axis and DocumentId.
    """
    found: dict[str, list[tuple[Any, ...]]] = {}
    sent = rows(books, _SENT.where(document.c.kind == "document"))
    for row in sent:
        found.setdefault(row[0], []).append(row[1:])
    lost = set(told.sent) - set(found)
    verdict.check(not lost, f"accepted and not there: {sorted(lost)[:5]}")
    unasked = set(found) - set(told.sent) - told.under_way
    verdict.check(not unasked, f"there and never accepted: {sorted(unasked)[:5]}")
    axis_of = {code: axis for axis, code in TO.items()}
    for document_id, one in told.sent.items():
        its = found.get(document_id, [])
        about = f"{document_id} {its}"
        verdict.check(len({row[0] for row in its}) == 1, f"not one document: {about}")
        reached = sorted((row[2], row[7]) for row in its)
        expected = sorted((axis_of[code], code) for code in one.to)
        verdict.check(reached == expected, f"other transfers than promised: {about}")
        verdict.check({row[3] for row in its} == {"ON_AXIS"}, f"not on the axis: {about}")
        lanes = {row[6] for row in its}
        verdict.check(
            lanes == {lane_of(one.priority)}, f"not in the lane of {one.priority}: {about}"
        )
        for *_, agency, state, code in its:
            arrived = (state, code) == ("ARRIVED", "01")
            waiting = (state, code) == ("ON_AXIS", "") and (agency, document_id) in excused
            verdict.check(arrived or waiting, f"not arrived: {about}")
    heard = Counter(
        (s, d) for _, s, d, _ in rows(books, _ITEMS.where(inbox_item.c.kind == "status"))
    )
    again = {key: count - 1 for key, count in heard.items() if 1 < count <= copies[key]}
    once(verdict, heard - Counter(again), told, excused, "status of")
    verdict.facts["01 of second copies, said by an axis"] = sum(again.values())
    states = Counter(row[3] for row in rows(books, _ITEMS))
    verdict.check(set(states) <= {"SEEN"}, f"sender's inbox: {dict(states)}")
    verdict.facts["attempts"] = sum({row[2]: row[6] for row in sent}.values())
    verdict.facts["transfers in doubt"] = len({row[2] for row in sent if row[5]})
    _arrivals(verdict, SENDER, books)
    return {(row[3], row[0]): Sending(row[5], row[6]) for row in sent}


def _receiving(
    verdict: Verdict,
    told: Told,
    books: Books,
    excused: set[tuple[str, str]],
    axes: Mapping[str, Mapping[str, Any]],
) -> None:
    """The receiver's gateway: one item each, and one status for it."""
    items = rows(books, _ITEMS)
    once(verdict, Counter((a, d) for a, _, d, _ in items), told, excused, "copy of")
    states = Counter(row[3] for row in items)
    verdict.check(set(states) <= {"ENTERED"}, f"receiver's inbox: {dict(states)}")
    entered = number(books, _ENTERED)
    verdict.check(entered == len(items), f"{entered} entered, and {len(items)} items")
    statuses = rows(books, _SENT.where(document.c.kind == "status"))
    verdict.check(
        len(statuses) == len(items) == len({row[1] for row in statuses}),
        f"{len(statuses)} statuses for {len(items)} items",
    )
    ends = {(row[4], row[9]) for row in statuses}
    verdict.check(ends <= {("ON_AXIS", "ON_AXIS")}, f"statuses ended as {ends}")
    _arrivals(verdict, RECEIVER, books)
    opened = dict(rows(books, _BY_STATE)).get("OPENED", 0)
    verdict.check(opened == len(items), f"{opened} arrivals OPENED for {len(items)} items")
    copies = sum(taken.copies(state, f"sys.{RECEIVER}") for state in axes.values())
    came = number(books, _ARRIVED)
    verdict.check(came == copies, f"{came} documents came, and {copies} copies were laid out")


def _persons(verdict: Verdict, told: Told, side: str, books: Books) -> None:
    """What persons did stands in the ledger once for each 200, and the sender was told of each
    hold; nobody waits any more for somebody of his family.
    """
    moved = [m for m in told.moved if m.side == side]
    said = Counter(_BY_PERSONS[m.act] for m in moved)
    kept = dict(rows(books, _ACTS))
    verdict.check(kept == dict(said), f"{side}: persons were told {dict(said)}, recorded {kept}")
    documents = {name for (name,) in rows(books, _OF_DOCUMENTS)}
    held = Counter(m.transfer_id for m in moved if m.act == "hold" and m.transfer_id in documents)
    reports = Counter(content["report"]["transfer_id"] for (content,) in rows(books, _REPORTS))
    verdict.check(reports == held, f"{side}: holds {held - reports}, reports {reports - held}")
    waiting = (number(books, _IN_LINE), number(books, _BEHIND))
    verdict.check(waiting == (0, 0), f"{side}: {waiting} still wait for others of their family")


def _quarantine(verdict: Verdict, world: World, side: str, books: Books) -> None:
    found = len(rows(books, _POISON))
    kills = sum(p.kills for p in world.processes if p.side == side and p.job in {"open", "all"})
    verdict.check(not found or kills > 1, f"{side}: {found} are poison, after {kills} kills")


def once(
    verdict: Verdict,
    found: Counter[tuple[str, str]],
    told: Told,
    excused: set[tuple[str, str]],
    what: str,
) -> None:
    """`found`: (receiver, DocumentId) -> how often. Everything accepted once, and nothing else."""
    doubled = {key: count for key, count in found.items() if count != 1}
    verdict.check(not doubled, f"doubled, {what}: {doubled}")
    lost = told.expected - set(found) - excused
    verdict.check(not lost, f"lost, {what}: {sorted(lost)[:5]}, {len(lost)} in all")
    strange = set(found) - told.expected
    verdict.check(not strange, f"nobody sent it, {what}: {sorted(strange)[:5]}")


def _arrivals(verdict: Verdict, side: str, books: Books) -> None:
    states = dict(rows(books, _BY_STATE))
    ends = set(states) - ({"QUARANTINED"} if len(rows(books, _POISON)) else set())
    verdict.check(ends <= {"OPENED", "DUPLICATE"}, f"{side}'s arrivals: {states}")
    other = states.get("QUARANTINED", 0) - len(rows(books, _POISON))
    verdict.check(not other, f"{side}: {other} in quarantine for no kill")
    verdict.facts[f"{side}'s arrivals"] = states


def _ledger(verdict: Verdict, world: World, told: Told, side: str, books: Books) -> None:
    settings = world.sides[side].house.settings()
    report = verify_books(
        books.store,
        books.blobs,
        origin=settings.ledger.origin,
        public_key=books.public_key,
        anchors=books.anchors,
    )
    verdict.check(
        report.verified and not report.pending and not report.problems,
        f"{side}'s ledger: {report.problems[:5]}, {report.pending} not sealed",
    )
    verdicts = Counter(
        look_for(books.store, receipt, origin=settings.ledger.origin, public_key=books.public_key)[
            0
        ]
        for receipt in told.receipts[side]
    )
    verdict.check(set(verdicts) <= {ReceiptVerdict.FOUND}, f"{side}'s receipts: {dict(verdicts)}")
    verdict.facts[f"{side}'s ledger"] = f"{report.entries} entries, verified {report.verified}"
    verdict.facts[f"{side}'s receipts"] = sum(verdicts.values())
